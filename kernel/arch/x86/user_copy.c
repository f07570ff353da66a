// User copies: the checks around the loops of user_copy.S.
#include <arch/user_copy.h>

#include <arch/mmu.h>
#include <arch/percpu.h>
#include <lib/assert.h>
#include <lib/string.h>
#include <sched/thread.h>

#include "cpuid.h"
#include "regs.h"

// Where an instruction that may fault goes on when the fault cannot be resolved: each entry is a
// pair of 32-bit offsets, relative to their own address. The entries belong to the section that
// SITE marks in front of the instruction ("o"): where the linker drops the function, it drops them,
// too, instead of keeping it for their sake.
#define SITE ".Lsite%=:\n\t"
#define EXTABLE(from, to)                                    \
    ".pushsection .extable, \"ao\", @progbits, .Lsite%=\n\t" \
    ".balign 4\n\t"                                          \
    ".long " from " - .\n\t"                                 \
    ".long " to " - .\n\t"                                   \
    ".popsection\n\t"

// SMAP forbids the kernel every access to user pages but those between these two. Where each of the
// two is, is noted: on a CPU without SMAP x86_smap_remove() takes them out.
#define SMAP_SITE                                               \
    ".pushsection .smap_sites, \"ao\", @progbits, .Lsite%=\n\t" \
    ".balign 4\n\t"                                             \
    ".long 1b - .\n\t"                                          \
    ".popsection"
ALWAYS_INLINE void user_access_open(void) {
    __asm__ volatile(SITE "1: stac\n\t" SMAP_SITE ::: "memory", "cc");
}
ALWAYS_INLINE void user_access_close(void) {
    __asm__ volatile(SITE "1: clac\n\t" SMAP_SITE ::: "memory", "cc");
}

void x86_smap_remove(void) {
    extern const int32_t __smap_sites_start[], __smap_sites_end[];
    static const uint8_t nop[3] = {0x0f, 0x1f, 0x00}; // as long as what it replaces
    const uint64_t cr0 = cr0_read();
    cr0_write(cr0 & ~CR0_WP); // the text is read-only by its page table entries alone
    for (const int32_t* site = __smap_sites_start; site < __smap_sites_end; site++) {
        memcpy((uint8_t*)((uintptr_t)site + (uintptr_t)(intptr_t)*site), nop, sizeof(nop));
    }
    cr0_write(cr0); // serialises: nothing of the old code is still to come
}

// Inside the user half. What of it the current address space has is up to the page tables: what is
// not mapped faults, and the fault is not resolved. Kernel threads have no tables of their own
// there.
ALWAYS_INLINE bool in_user_half(vaddr_t va, size_t size) {
    return size <= USER_HALF_END && va <= USER_HALF_END - size;
}

// The one place where a user pointer becomes an address.
ALWAYS_INLINE vaddr_t user_address(const void __user* p) {
    return (vaddr_t)p;
}

// Bulk by quadwords (one counted instruction per eight bytes under emulation, the microcoded path
// on silicon). When a quadword faults, the rest is tried by bytes, so that the count that comes
// back is exact. Bytes NOT copied.
ALWAYS_INLINE size_t copy_bytes(void* dst, const void* src, size_t size) {
    size_t count = size / 8;
    const size_t tail = size % 8;
    __asm__ volatile(SITE "1: rep movsq\n\t"
                          "movl %k[tail], %k[count]\n"
                          "2: rep movsb\n"
                          "3:\n\t"
                          ".pushsection .text.user_copy_fixup%=, \"ax\", @progbits\n"
                          "4: leaq (%[tail],%[count],8), %[count]\n\t"
                          "jmp 2b\n\t"
                          ".popsection\n\t" EXTABLE("1b", "4b") EXTABLE("2b", "3b")
                     : [count] "+c"(count), "+D"(dst), "+S"(src)
                     : [tail] "r"(tail)
                     : "memory");
    return count;
}

ALWAYS_INLINE size_t copy(void* dst, const void* src, size_t size, vaddr_t user) {
    if (unlikely(!in_user_half(user, size))) {
        return size;
    }
    user_access_open();
    const size_t left = copy_bytes(dst, src, size);
    user_access_close();
    return left;
}

ALWAYS_INLINE bool put32(vaddr_t va, uint32_t value) {
    if (unlikely(!in_user_half(va, sizeof(value)))) {
        return false;
    }
    user_access_open();
    __asm__ goto volatile(SITE "1: movl %0, (%1)\n\t" EXTABLE("1b", "%l[refused]")
                          :
                          : "r"(value), "r"(va)
                          : "memory"
                          : refused);
    user_access_close();
    return true;
refused:
    user_access_close();
    return false;
}

// A fault may sleep, so a copy that resolves faults is never made under a spinlock.
static void check_may_fault(void) {
    DEBUG_ASSERT(!preempt_disabled() && irq_enabled());
}

size_t arch_copy_from_user(void* dst, const void __user* src, size_t size) {
    check_may_fault();
    return copy(dst, (const void*)user_address(src), size, user_address(src));
}

size_t arch_copy_to_user(void __user* dst, const void* src, size_t size) {
    check_may_fault();
    return copy((void*)user_address(dst), src, size, user_address(dst));
}

// As put32() with user memory open; null is nowhere.
ALWAYS_INLINE bool put32_open(vaddr_t va, uint32_t value) {
    if (va == 0) {
        return true;
    }
    if (unlikely(!in_user_half(va, sizeof(value)))) {
        return false;
    }
    __asm__ goto volatile(SITE "1: movl %0, (%1)\n\t" EXTABLE("1b", "%l[refused]")
                          :
                          : "r"(value), "r"(va)
                          : "memory"
                          : refused);
    return true;
refused:
    return false;
}

INLINE_ACROSS_FILES bool arch_copy_message_to_user(void __user* dst, const void* src, size_t size,
                                                   uint32_t __user* count1, uint32_t value1,
                                                   uint32_t __user* count2, uint32_t value2) {
    check_may_fault();
    const vaddr_t to = user_address(dst);
    if (unlikely(!in_user_half(to, size)) && size != 0) {
        return false;
    }
    user_access_open();
    const bool ok = copy_bytes((void*)to, src, size) == 0 &&
                    put32_open(user_address(count1), value1) &&
                    put32_open(user_address(count2), value2);
    user_access_close();
    return ok;
}

static NOINLINE bool copy_answer_any(void __user* dst, const void* src, size_t size,
                                     uint32_t __user* count1, uint32_t value1,
                                     uint32_t __user* count2, uint32_t value2) {
    return arch_copy_message_to_user(dst, src, size, count1, value1, count2, value2);
}

INLINE_ACROSS_FILES bool arch_copy_answer_to_user(void __user* dst, const void* src, size_t size,
                                                  uint32_t __user* count1, uint32_t value1,
                                                  uint32_t __user* count2, uint32_t value2) {
    constexpr vaddr_t easy = USER_HALF_END - USER_ANSWER_MAX;
    check_may_fault();
    DEBUG_ASSERT(size <= USER_ANSWER_MAX);
    const vaddr_t to = user_address(dst);
    const vaddr_t to1 = user_address(count1);
    const vaddr_t to2 = user_address(count2);
    // One comparison each, which null does not pass either.
    if (unlikely(to > easy || to1 - 1 > easy - 1 || to2 - 1 > easy - 1)) {
        return copy_answer_any(dst, src, size, count1, value1, count2, value2);
    }
    user_access_open();
    if (unlikely(copy_bytes((void*)to, src, size) != 0)) {
        goto refused;
    }
    __asm__ goto volatile(SITE "1: movl %0, (%2)\n"
                               "2: movl %1, (%3)\n\t" EXTABLE("1b", "%l[refused]")
                                   EXTABLE("2b", "%l[refused]")
                          :
                          : "r"(value1), "r"(value2), "r"(to1), "r"(to2)
                          : "memory"
                          : refused);
    user_access_close();
    return true;
refused:
    user_access_close();
    return false;
}

INLINE_ACROSS_FILES bool arch_load_user_block(struct user_block* out, const void __user* src) {
    check_may_fault();
    const vaddr_t va = user_address(src);
    if (unlikely(!in_user_half(va, sizeof(*out)))) {
        return false;
    }
    uint64_t w0, w1, w2, w3, w4, w5;
    user_access_open();
    __asm__ goto volatile(SITE "1: movq (%[va]), %[w0]\n"
                               "2: movq 8(%[va]), %[w1]\n"
                               "3: movq 16(%[va]), %[w2]\n"
                               "4: movq 24(%[va]), %[w3]\n"
                               "5: movq 32(%[va]), %[w4]\n"
                               "6: movq 40(%[va]), %[w5]\n\t" EXTABLE("1b", "%l[refused]")
                                   EXTABLE("2b", "%l[refused]") EXTABLE("3b", "%l[refused]")
                                       EXTABLE("4b", "%l[refused]") EXTABLE("5b", "%l[refused]")
                                           EXTABLE("6b", "%l[refused]")
                          : [w0] "=&r"(w0), [w1] "=&r"(w1), [w2] "=&r"(w2), [w3] "=&r"(w3),
                            [w4] "=&r"(w4), [w5] "=r"(w5)
                          : [va] "r"(va)
                          : "memory"
                          : refused);
    user_access_close();
    *out = (struct user_block){{w0, w1, w2, w3, w4, w5}};
    return true;
refused:
    user_access_close();
    return false;
}

INLINE_ACROSS_FILES bool arch_copy_from_user_present(void* dst, const void __user* src,
                                                     size_t size) {
    DEBUG_ASSERT(preempt_disabled() && size <= USER_ANSWER_MAX);
    const vaddr_t from = user_address(src);
    if (unlikely(from > USER_HALF_END - USER_ANSWER_MAX)) {
        return false;
    }
    user_access_open();
    const size_t left = copy_bytes(dst, (const void*)from, size);
    user_access_close();
    return left == 0;
}

// Where a range that does not fit the user half leaves it: the address that no fault resolves.
static vaddr_t refused_at(vaddr_t va) {
    return max(va, (vaddr_t)USER_HALF_END);
}

static size_t copy_nofault(void* dst, const void* src, size_t size, vaddr_t user,
                           vaddr_t* fault_va) {
    struct arch_thread* t = &thread_current()->arch;
    t->nofault++;
    t->fault_va = refused_at(user); // if it is the range itself; else the fault overwrites it
    const size_t left = copy(dst, src, size, user);
    t->nofault--;
    if (left != 0) {
        *fault_va = t->fault_va;
    }
    return left;
}

size_t arch_copy_from_user_nofault(void* dst, const void __user* src, size_t size,
                                   vaddr_t* fault_va) {
    return copy_nofault(dst, (const void*)user_address(src), size, user_address(src), fault_va);
}

size_t arch_copy_to_user_nofault(void __user* dst, const void* src, size_t size,
                                 vaddr_t* fault_va) {
    return copy_nofault((void*)user_address(dst), src, size, user_address(dst), fault_va);
}

INLINE_ACROSS_FILES bool arch_load_user_u32_nofault(const uint32_t __user* src, uint32_t* out) {
    const vaddr_t va = user_address(src);
    if (unlikely((va & 3) != 0 || !in_user_half(va, sizeof(*out)))) {
        return false;
    }
    struct arch_thread* t = &thread_current()->arch;
    uint32_t value;
    t->nofault++;
    user_access_open();
    __asm__ goto volatile(SITE "1: movl (%1), %0\n\t" EXTABLE("1b", "%l[refused]")
                          : "=r"(value)
                          : "r"(va)
                          : "memory"
                          : refused);
    user_access_close();
    t->nofault--;
    *out = value;
    return true;
refused:
    user_access_close();
    t->nofault--;
    return false;
}

bool arch_put_user_u32(uint32_t __user* dst, uint32_t value) {
    check_may_fault();
    return put32(user_address(dst), value);
}

// An aligned store is one access, and no earlier one passes it (x86 keeps stores in order).
bool arch_store_user_u32(uint32_t __user* dst, uint32_t value) {
    check_may_fault();
    const vaddr_t va = user_address(dst);
    return likely((va & 3) == 0) && put32(va, value);
}
