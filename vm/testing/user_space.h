// What in-kernel tests of VMOs and address spaces share: an address space that the test's thread
// runs in, so that user copies touch its memory through real faults.
#pragma once

#include <arch/user_copy.h>
#include <debug/ktest.h>
#include <vm/aspace.h>
#include <vm/vmar.h>
#include <vm/vmo.h>

constexpr uint32_t TEST_RW = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
constexpr uint32_t TEST_RWX = TEST_RW | ZX_VM_PERM_EXECUTE;
constexpr size_t TEST_PAGE = PAGE_SIZE;

struct test_space {
    struct aspace* as;
    struct vmar* root;
};

static inline bool test_space_enter(struct test_space* s) {
    static const uint64_t key[2] = {0x1234, 0x5678};
    *s = (struct test_space){};
    if (aspace_create(key, &s->as) != STATUS_OK) {
        return false;
    }
    s->root = aspace_root(s->as);
    aspace_activate(s->as);
    return true;
}

static inline void test_space_leave(struct test_space* s) {
    aspace_activate(nullptr);
    aspace_destroy(s->as);
    vmar_unref(s->root);
    aspace_unref(s->as);
}

static inline uint8_t __user* test_user(vaddr_t va) {
    return (uint8_t __user*)va;
}
// One byte through the current address space; false: the access fails.
static inline bool test_put(vaddr_t va, uint8_t value) {
    return arch_copy_to_user(test_user(va), &value, 1) == 0;
}
static inline bool test_get(vaddr_t va, uint8_t* value) {
    return arch_copy_from_user(value, test_user(va), 1) == 0;
}
// The byte at va, or 0xee00 if it cannot be read.
static inline uint32_t test_peek(vaddr_t va) {
    uint8_t value = 0;
    return test_get(va, &value) ? value : 0xee00;
}
static inline status_t test_map(struct test_space* s, struct vmo* v, uint64_t offset, size_t len,
                                uint32_t perms, vaddr_t* out) {
    return vmar_map(s->root, perms, 0, TEST_RWX, v, offset, TEST_RWX, len, out);
}

static inline status_t vmo_put(struct vmo* v, uint64_t offset, uint8_t value) {
    return vmo_write(v, &value, offset, 1);
}
static inline uint32_t vmo_peek(struct vmo* v, uint64_t offset) {
    uint8_t value = 0;
    return vmo_read(v, &value, offset, 1) == STATUS_OK ? value : 0xee00;
}
static inline uint64_t vmo_committed(struct vmo* v) {
    UNINITIALIZED struct vmo_info info;
    vmo_get_info(v, &info);
    return info.committed;
}
