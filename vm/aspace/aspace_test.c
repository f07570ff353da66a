// Address spaces: isolation, life, usage, and creation when memory runs out.
#include <vm/aspace.h>

#include <vm/heap.h>

#include "../testing/user_space.h"

static void isolated(struct ktest* t) {
    struct test_space a;
    struct test_space b;
    struct vmo* va;
    struct vmo* vb;
    vaddr_t at;
    KASSERT(t, test_space_enter(&a));
    KASSERT(t, vmo_create(TEST_PAGE, 0, &va) == STATUS_OK);
    KASSERT(t, vmo_create(TEST_PAGE, 0, &vb) == STATUS_OK);
    KASSERT(t, test_map(&a, va, 0, TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    KEXPECT(t, test_put(at, 1));
    KASSERT(t, test_space_enter(&b));
    KEXPECT_EQ(t, test_peek(at), 0xee00u);
    vaddr_t same;
    KASSERT(t, vmar_map(b.root, TEST_RW | ZX_VM_SPECIFIC, at - ASPACE_BASE, TEST_RW, vb, 0, TEST_RW,
                        TEST_PAGE, &same) == STATUS_OK);
    KEXPECT(t, test_put(at, 2));
    aspace_activate(a.as);
    KEXPECT_EQ(t, test_peek(at), 1u);
    aspace_activate(b.as);
    KEXPECT_EQ(t, test_peek(at), 2u);
    test_space_leave(&b);
    test_space_leave(&a);
    vmo_unref(va);
    vmo_unref(vb);
}
KTEST(aspace, isolated);

static void destroyed(struct ktest* t) {
    struct test_space s;
    struct vmo* v;
    vaddr_t at;
    KASSERT(t, test_space_enter(&s));
    KASSERT(t, vmo_create(TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    KEXPECT(t, test_put(at, 1));
    aspace_destroy(s.as);
    aspace_destroy(s.as);
    KEXPECT(t, !test_put(at, 1));
    KEXPECT_EQ(t, test_map(&s, v, 0, TEST_PAGE, TEST_RW, &at), STATUS_BAD_STATE);
    KEXPECT(t, aspace_root(s.as) == nullptr);
    KEXPECT_EQ(t, vmo_peek(v, 0), 1u);
    struct vmo_info info;
    vmo_get_info(v, &info);
    KEXPECT_EQ(t, info.mapping_count, 0u);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(aspace, destroyed);

static void usage(struct ktest* t) {
    struct test_space s;
    struct vmo* own;
    struct vmo* twice;
    vaddr_t at;
    KASSERT(t, test_space_enter(&s));
    KASSERT(t, vmo_create(4 * TEST_PAGE, 0, &own) == STATUS_OK);
    KASSERT(t, vmo_create(4 * TEST_PAGE, 0, &twice) == STATUS_OK);
    KASSERT(t, test_map(&s, own, 0, 4 * TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    KEXPECT(t, test_put(at, 1));
    KASSERT(t, test_map(&s, twice, 0, 4 * TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    KASSERT(t, test_map(&s, twice, 0, 2 * TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    KEXPECT(t, test_put(at, 1));
    struct aspace_usage u;
    aspace_get_usage(s.as, &u);
    KEXPECT_EQ(t, u.mapped, 10 * TEST_PAGE);
    KEXPECT_EQ(t, u.private, TEST_PAGE);
    KEXPECT_EQ(t, u.shared, 2 * TEST_PAGE); // seen by both mappings
    KEXPECT(t, u.page_tables >= 4 * TEST_PAGE);
    vmo_unref(own);
    vmo_unref(twice);
    test_space_leave(&s);
}
KTEST(aspace, usage);

// One creation with the nth allocation failing; true if that changed the outcome.
static bool create_failing(struct ktest* t, uint64_t nth, bool* fired) {
    static const uint64_t key[2] = {1, 2};
    struct aspace* as;
    alloc_injection_arm(nth);
    status_t status = aspace_create(key, &as);
    alloc_injection_disarm(fired);
    KEXPECT(t, status == STATUS_OK || (*fired && status == STATUS_NO_MEMORY));
    if (status == STATUS_OK) {
        aspace_destroy(as);
        aspace_unref(as);
    }
    return status != STATUS_OK;
}

static void creation_out_of_memory(struct ktest* t) {
    bool fired;
    KEXPECT(t, !create_failing(t, 0, &fired)); // fills the caches that would absorb a failure
    uint32_t failures = 0;
    fired = true;
    for (uint64_t nth = 1; fired && nth < 50; nth++) {
        failures += create_failing(t, nth, &fired);
    }
    KEXPECT(t, !fired);
    KEXPECT(t, failures >= 2);
}
KTEST(aspace, creation_out_of_memory);
