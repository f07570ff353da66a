// Copies between kernel and user memory that survive any pointer. Contract.
//
// The limit is the current address space's, checked once per copy; SMAP is opened around the copy
// only. A fault inside the copy loop resolves through the normal fault path (which may sleep, page
// in, allocate); when that fails, the copy stops and reports how far it came. The forms that
// disable faults, and any copy while preemption is off, do not resolve one: the copy stops at once.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/compiler.h>
#include <lib/status.h>
#include <lib/types.h>

// Bytes NOT copied (0 = all).
[[nodiscard]] size_t arch_copy_from_user(void* dst, const void __user* src, size_t size);
[[nodiscard]] size_t arch_copy_to_user(void __user* dst, const void* src, size_t size);

// One value, at any address. False: bad pointer.
[[nodiscard]] bool arch_put_user_u32(uint32_t __user* dst, uint32_t value);

// A message and its two counts, each of which may be null: three stores, one opening of user
// memory. False: bad pointer, and any part of it may have been stored.
[[nodiscard]] bool arch_copy_message_to_user(void __user* dst, const void* src, size_t size,
                                             uint32_t __user* count1, uint32_t value1,
                                             uint32_t __user* count2, uint32_t value2);
// The same for at most USER_ANSWER_MAX bytes, and faster where none of the pointers is null.
constexpr size_t USER_ANSWER_MAX = 4096;
[[nodiscard]] bool arch_copy_answer_to_user(void __user* dst, const void* src, size_t size,
                                            uint32_t __user* count1, uint32_t value1,
                                            uint32_t __user* count2, uint32_t value2);

// The arguments of a call that has more than registers can hold, at once and in registers: for what
// is called often. False: bad pointer.
struct user_block {
    uint64_t word[6];
};
[[nodiscard]] bool arch_load_user_block(struct user_block* out, const void __user* src);

// The copies with faults disabled: on a fault `*fault_va` is the address to resolve (see
// vm_fault_in()), the return value what is left.
[[nodiscard]] size_t arch_copy_from_user_nofault(void* dst, const void __user* src, size_t size,
                                                 vaddr_t* fault_va);
[[nodiscard]] size_t arch_copy_to_user_nofault(void __user* dst, const void* src, size_t size,
                                               vaddr_t* fault_va);

// At most USER_ANSWER_MAX bytes with preemption off, and so without resolving faults: false when a
// part is not present or the pointer is bad, or nearly so.
[[nodiscard]] bool arch_copy_from_user_present(void* dst, const void __user* src, size_t size);

// Loads one aligned 32-bit word with faults disabled (futex compare under a lock). False on a
// fault.
[[nodiscard]] bool arch_load_user_u32_nofault(const uint32_t __user* src, uint32_t* out);

// Stores one aligned 32-bit word in one piece, with release order. False: bad pointer.
[[nodiscard]] bool arch_store_user_u32(uint32_t __user* dst, uint32_t value);

// Typed copies: the types must be equal, the status is INVALID_ARGS for a bad pointer.
#define copy_from_user(dst, src)                                                                  \
    ({                                                                                            \
        static_assert(__builtin_types_compatible_p(typeof(*(dst)), typeof_unqual(*(src))));       \
        arch_copy_from_user((dst), (src), sizeof(*(dst))) == 0 ? STATUS_OK : STATUS_INVALID_ARGS; \
    })
#define copy_to_user(dst, src)                                                                     \
    ({                                                                                             \
        static_assert(__builtin_types_compatible_p(typeof_unqual(*(src)), typeof_unqual(*(dst)))); \
        arch_copy_to_user((dst), (src), sizeof(*(src))) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;    \
    })
