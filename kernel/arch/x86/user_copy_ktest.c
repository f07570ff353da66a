// In-kernel tests of user copies: whatever the pointer, the copy stops where it must and says how
// far it came.
//
// Each test gives its own thread an address space with one readable-writable page, one read-only
// page behind it, and nothing else.
#include <arch/user_copy.h>

#include <arch/percpu.h>
#include <debug/ktest.h>
#include <lib/string.h>
#include <sched/thread.h>
#include <vm/aspace.h>
#include <vm/vmar.h>
#include <vm/vmo.h>

#include "cpuid.h"
#include "regs.h"

constexpr vaddr_t BASE = ASPACE_BASE;
constexpr vaddr_t RW_PAGE = 0x10'0000'0000;
constexpr vaddr_t RO_PAGE = RW_PAGE + PAGE_SIZE;
constexpr vaddr_t HOLE = RO_PAGE + PAGE_SIZE;

struct stage {
    struct aspace* as;
    struct vmar* root;
};

static void* user(vaddr_t va) {
    return (void*)va;
}
static const void __user* from(vaddr_t va) {
    return (const void __user*)user(va);
}
static void __user* to(vaddr_t va) {
    return (void __user*)user(va);
}

static void stage_open(struct ktest* t, struct stage* s) {
    static const uint64_t key[2] = {1, 2};
    constexpr uint32_t all = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
    constexpr uint32_t rw = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
    *s = (struct stage){};
    KASSERT(t, aspace_create(key, &s->as) == STATUS_OK);
    s->root = aspace_root(s->as);
    aspace_activate(s->as);
    struct vmo* v;
    KASSERT(t, vmo_create(2 * PAGE_SIZE, 0, &v) == STATUS_OK);
    vaddr_t at = 0;
    KEXPECT_EQ(t,
               vmar_map(s->root, rw | ZX_VM_SPECIFIC, RW_PAGE - ASPACE_BASE, all, v, 0, all,
                        2 * PAGE_SIZE, &at),
               STATUS_OK);
    KEXPECT_EQ(t, at, RW_PAGE);
    vmo_unref(v);
    KEXPECT_EQ(t, vmar_protect(s->root, ZX_VM_PERM_READ, all, RO_PAGE, PAGE_SIZE), STATUS_OK);
    // Both pages present, for the copies that resolve nothing.
    uint8_t byte = 0;
    KEXPECT_EQ(t, arch_copy_to_user(to(RW_PAGE), &byte, 1), 0u);
    KEXPECT_EQ(t, arch_copy_from_user(&byte, from(RO_PAGE), 1), 0u);
}

static void stage_close(struct stage* s) {
    if (s->as != nullptr) {
        aspace_activate(nullptr);
        aspace_destroy(s->as);
        vmar_unref(s->root);
        aspace_unref(s->as);
    }
}

static void good_pointers(struct ktest* t) {
    struct stage s;
    stage_open(t, &s);
    char in[64], out[64];
    for (size_t i = 0; i < sizeof(in); i++) {
        in[i] = (char)i;
    }
    for (size_t offset = 0; offset < 9; offset++) {
        for (size_t len = 0; len <= 33; len++) {
            memset(out, 0x55, sizeof(out));
            KEXPECT_EQ(t, arch_copy_to_user(to(RW_PAGE + offset), in, len), 0u);
            KEXPECT_EQ(t, arch_copy_from_user(out, from(RW_PAGE + offset), len), 0u);
            KEXPECT_EQ(t, memcmp(in, out, len), 0);
            KEXPECT_EQ(t, out[len], 0x55);
        }
    }
    // Straddling both pages, for reading.
    KEXPECT_EQ(t, arch_copy_from_user(out, from(RO_PAGE - 13), 40), 0u);
    stage_close(&s);
}
KTEST(user_copy, good_pointers);

static void bad_pointers(struct ktest* t) {
    struct stage s;
    stage_open(t, &s);
    char buffer[32] = {};
    static const vaddr_t bad[] = {
        0,
        1,
        BASE - 1,
        BASE,
        HOLE,
        USER_HALF_END - PAGE_SIZE,
        USER_HALF_END - 1,
        USER_HALF_END,
        0x8000'0000'0000'0000u,
        KERNEL_HALF_BASE - 1,
        KERNEL_HALF_BASE,
        DIRECT_MAP_BASE + 0x100000,
        KERNEL_IMAGE_BASE,
        UINTPTR_MAX - 15,
        UINTPTR_MAX,
    };
    for (size_t i = 0; i < array_size(bad); i++) {
        KEXPECT_EQ(t, arch_copy_from_user(buffer, from(bad[i]), sizeof(buffer)), sizeof(buffer));
        KEXPECT_EQ(t, arch_copy_to_user(to(bad[i]), buffer, sizeof(buffer)), sizeof(buffer));
        vaddr_t at = 0;
        KEXPECT_EQ(t, arch_copy_to_user_nofault(to(bad[i]), buffer, sizeof(buffer), &at),
                   sizeof(buffer));
        bool leaves = bad[i] == USER_HALF_END - 1; // by its second byte
        KEXPECT_EQ(t, at, leaves ? USER_HALF_END : bad[i]);
        uint32_t word;
        KEXPECT(t, !arch_load_user_u32_nofault((const uint32_t __user*)from(bad[i]), &word));
    }
    // Writing to the read-only page.
    KEXPECT_EQ(t, arch_copy_to_user(to(RO_PAGE), buffer, 8), 8u);
    // A length that reaches out of the address space, or wraps.
    KEXPECT_EQ(t, arch_copy_from_user(buffer, from(RW_PAGE), SIZE_MAX), SIZE_MAX);
    KEXPECT_EQ(t, arch_copy_from_user(buffer, from(RW_PAGE), USER_HALF_END), USER_HALF_END);
    stage_close(&s);
}
KTEST(user_copy, bad_pointers);

// The count of what is left is exact to the byte, for every alignment of the end of what is mapped.
static void partial_copies_are_exact(struct ktest* t) {
    struct stage s;
    stage_open(t, &s);
    char buffer[64] = {};
    for (size_t good = 1; good < 24; good++) {
        for (size_t bad = 1; bad < 24; bad++) {
            vaddr_t at = 0;
            KEXPECT_EQ(t, arch_copy_from_user(buffer, from(HOLE - good), good + bad), bad);
            KEXPECT_EQ(t, arch_copy_from_user_nofault(buffer, from(HOLE - good), good + bad, &at),
                       bad);
            KEXPECT_EQ(t, at, HOLE);
            KEXPECT_EQ(t, arch_copy_to_user_nofault(to(RO_PAGE - good), buffer, good + bad, &at),
                       bad);
            KEXPECT_EQ(t, at, RO_PAGE);
        }
    }
    stage_close(&s);
}
KTEST(user_copy, partial_copies_are_exact);

static void words(struct ktest* t) {
    struct stage s;
    stage_open(t, &s);
    const uint32_t value = 0xdeadbeef;
    uint32_t word = 0;
    KEXPECT_EQ(t, arch_copy_to_user(to(RW_PAGE + 4), &value, sizeof(value)), 0u);
    KEXPECT(t, arch_load_user_u32_nofault((const uint32_t __user*)from(RW_PAGE + 4), &word));
    KEXPECT_EQ(t, word, value);
    for (size_t offset = 1; offset < 4; offset++) {
        KEXPECT(t,
                !arch_load_user_u32_nofault((const uint32_t __user*)from(RW_PAGE + offset), &word));
    }
    stage_close(&s);
}
KTEST(user_copy, words);

// A copy leaves SMAP closed, whether it succeeded or not.
static void smap_is_closed_after(struct ktest* t) {
    struct stage s;
    stage_open(t, &s);
    char buffer[8] = {};
    constexpr uint64_t ac = 1u << 18;
    KEXPECT_EQ(t, arch_copy_from_user(buffer, from(RW_PAGE), 8), 0u);
    KEXPECT_EQ(t, x86_flags() & ac, 0u);
    KEXPECT_EQ(t, arch_copy_from_user(buffer, from(HOLE), 8), 8u);
    KEXPECT_EQ(t, x86_flags() & ac, 0u);
    stage_close(&s);
}
KTEST(user_copy, smap_is_closed_after);

// A thread without an address space reaches nothing.
static void kernel_threads_have_no_user_memory(struct ktest* t) {
    char buffer[8] = {};
    KEXPECT_EQ(t, arch_copy_from_user(buffer, from(RW_PAGE), 8), 8u);
    KEXPECT_EQ(t, arch_copy_to_user(to(RW_PAGE), buffer, 8), 8u);
}
KTEST(user_copy, kernel_threads_have_no_user_memory);
