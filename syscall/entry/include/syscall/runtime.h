// What the generated wrappers are made of: look-ups with the job policy behind them, and handles
// that a call consumes whatever becomes of it.
//
// The fast path is inline and has no branch but the look-up's own result; everything about failures
// is cold and out of line (runtime.c).
#pragma once

#include <zircon/syscalls/types.h>
#include <zircon/types.h>

#include <arch/user_copy.h>
#include <lib/compiler.h>
#include <lib/status.h>
#include <object/handle.h>
#include <object/handle_lookup.h>
#include <object/object.h>
#include <object/policy.h>
#include <syscall/out_handle.h>

#define SYSCALL_TYPE(name) ((uint64_t)1 << ZX_OBJ_TYPE_##name)
#define SYSCALL_ANY_TYPE   UINT64_MAX
#define SYSCALL_ANY_BASE   UINT64_MAX
static_assert(ZX_OBJ_TYPE_UPPER_BOUND == 64);

// A look-up failed: the policies on bad handles and wrong types have their say. Returns `status`.
COLD status_t syscall_lookup_failed(status_t status);

// The object with a reference, or null: then syscall_handle_failed() says what the call returns.
// The out-pointer's target is written on success only.
[[nodiscard]] ALWAYS_INLINE struct object* syscall_handle_get(zx_handle_t value, zx_obj_type_t type,
                                                              zx_rights_t need) {
    zx_rights_t rights;
    const void* identity;
    return handle_lookup(handle_table_current(), value, type, need, &rights, &identity);
}

[[nodiscard]] ALWAYS_INLINE struct object* syscall_handle_get_rights(zx_handle_t value,
                                                                     zx_obj_type_t type,
                                                                     zx_rights_t need,
                                                                     zx_rights_t* rights) {
    const void* identity;
    return handle_lookup(handle_table_current(), value, type, need, rights, &identity);
}

[[nodiscard]] ALWAYS_INLINE struct object* syscall_handle_get_identity(zx_handle_t value,
                                                                       zx_obj_type_t type,
                                                                       zx_rights_t need,
                                                                       const void** identity) {
    zx_rights_t rights;
    return handle_lookup(handle_table_current(), value, type, need, &rights, identity);
}

// The same, not inline: for the calls that are not marked `hot`.
[[nodiscard]] struct object* syscall_handle_find(zx_handle_t value, zx_obj_type_t type,
                                                 zx_rights_t need);
[[nodiscard]] struct object* syscall_handle_find_rights(zx_handle_t value, zx_obj_type_t type,
                                                        zx_rights_t need, zx_rights_t* rights);
[[nodiscard]] struct object* syscall_handle_find_identity(zx_handle_t value, zx_obj_type_t type,
                                                          zx_rights_t need, const void** identity);

// Never OK.
COLD status_t syscall_handle_failed(zx_handle_t value, zx_obj_type_t type, zx_rights_t need);

// The structure that holds arguments of a hot call: through registers, if it has that size. False:
// bad pointer.
#define syscall_struct_get(dst, src)             \
    (sizeof(*(dst)) == sizeof(struct user_block) \
         ? syscall_block_get((dst), (src))       \
         : arch_copy_from_user((dst), (src), sizeof(*(dst))) == 0)
ALWAYS_INLINE bool syscall_block_get(void* dst, const void __user* src) {
    UNINITIALIZED struct user_block block;
    if (unlikely(!arch_load_user_block(&block, src))) {
        return false;
    }
    __builtin_memcpy(dst, &block, sizeof(block));
    return true;
}

// Whether an object is of one of several types (SYSCALL_TYPE bits).
ALWAYS_INLINE bool syscall_type_fits(const struct object* object, uint64_t types) {
    return (types & (uint64_t)1 << object->ops->type) != 0;
}

// SYSCALL_ANY_BASE leaves kind and range to the implementation.
status_t syscall_resource_get(zx_handle_t value, uint32_t kind, uint64_t base, struct object** out);

// ---- handles that the call consumes ----

// A handle that the call consumes, closed at the end of the scope unless it was set to
// ZX_HANDLE_INVALID.
void syscall_given_close(zx_handle_t value);
static inline void syscall_given_cleanup(zx_handle_t* value) {
    if (unlikely(*value != ZX_HANDLE_INVALID)) {
        syscall_given_close(*value);
    }
}
#define SYSCALL_GIVEN CLEANUP(syscall_given_cleanup) zx_handle_t

// Takes the handle out of the table, into `out`, which the caller discards. `optional`:
// ZX_HANDLE_INVALID leaves it empty.
status_t syscall_take(zx_handle_t value, bool optional, struct handle* out);
// Type and rights of what was taken; an empty one passes.
status_t syscall_taken_check(const struct handle* taken, uint64_t types, zx_rights_t need);

// Handles named in user memory, closed at the end of the scope unless `count` has become 0.
struct syscall_consumed {
    const zx_handle_t __user* handles;
    zx_handle_disposition_t __user* dispositions; // those to be moved
    size_t count;
};
// Also for implementations, whose own failures must close what they were given.
COLD void syscall_consume(const zx_handle_t __user* handles,
                          zx_handle_disposition_t __user* dispositions, size_t count);
static inline void syscall_consumed_cleanup(struct syscall_consumed* consumed) {
    if (unlikely(consumed->count != 0)) {
        // By value, so that the fast path keeps none of it in memory.
        syscall_consume(consumed->handles, consumed->dispositions, consumed->count);
    }
}
#define SYSCALL_CONSUMED CLEANUP(syscall_consumed_cleanup) struct syscall_consumed
