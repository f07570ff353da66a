// For in-kernel tests: user memory that the test's own threads can reach.
#pragma once

#include <arch/user_copy.h>
#include <debug/ktest.h>
#include <object/handle.h>
#include <vm/aspace.h>
#include <vm/vmar.h>
#include <vm/vmo.h>

struct user_area {
    struct aspace* aspace;
    struct vmo* vmo;
    vaddr_t base;
};

// Read-write memory of `size` bytes; this thread runs in its address space until the close. Others
// join with aspace_activate().
static inline bool user_area_open(struct user_area* a, size_t size) {
    const uint64_t key[2] = {1, 2};
    *a = (struct user_area){};
    if (aspace_create(key, &a->aspace) != STATUS_OK || vmo_create(size, 0, &a->vmo) != STATUS_OK) {
        return false;
    }
    struct vmar* root = aspace_root(a->aspace);
    constexpr uint32_t ACCESS = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
    status_t status = vmar_map(root, ACCESS, 0, ACCESS, a->vmo, 0, ACCESS, size, &a->base);
    vmar_unref(root);
    aspace_activate(a->aspace);
    return status == STATUS_OK;
}

static inline void user_area_close(struct user_area* a) {
    aspace_activate(nullptr);
    aspace_destroy(a->aspace);
    aspace_unref(a->aspace);
    vmo_unref(a->vmo);
}

static inline uint8_t __user* user_at(const struct user_area* a, size_t offset) {
    return (uint8_t __user*)(a->base + offset);
}

static inline bool user_put(const struct user_area* a, size_t offset, const void* from, size_t n) {
    return arch_copy_to_user(user_at(a, offset), from, n) == 0;
}

static inline bool user_get(const struct user_area* a, size_t offset, void* to, size_t n) {
    return arch_copy_from_user(to, user_at(a, offset), n) == 0;
}

// What becomes of an object that only a test knows: a handle, so that closing tells the peer.
static inline struct handle test_handle(struct object* o) {
    return handle_make(o, o->ops->default_rights);
}
