// VMOs without mappings: contents, children, sizes, ranges, pins, moves.
#include <vm/vmo.h>

#include <lib/string.h>
#include <vm/heap.h>
#include <vm/page.h>
#include <vm/reclaim.h>

#include "../testing/user_space.h"

static void create_options(struct ktest* t) {
    struct vmo* v;
    KEXPECT_EQ(t, vmo_create(1, 1u << 9, &v), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmo_create(1, ZX_VMO_RESIZABLE | ZX_VMO_UNBOUNDED, &v), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmo_create(UINT64_MAX, 0, &v), STATUS_OUT_OF_RANGE);
    KASSERT(t, vmo_create(5000, 0, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_size(v), 2 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_stream_size(v), 5000u);
    KEXPECT_EQ(t, vmo_set_size(v, 1), STATUS_UNAVAILABLE);
    vmo_unref(v);
    KASSERT(t, vmo_create(100, ZX_VMO_UNBOUNDED, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_size(v), VMO_SIZE_UNBOUNDED);
    KEXPECT_EQ(t, vmo_put(v, VMO_SIZE_UNBOUNDED - 1, 3), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, VMO_SIZE_UNBOUNDED - 1), 3u);
    vmo_unref(v);
}
KTEST(vmo, create_options);

static void sparse_contents(struct ktest* t) {
    struct vmo* v;
    KASSERT(t, vmo_create(1ull << 40, 0, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 1ull << 39), 0u);
    KEXPECT_EQ(t, vmo_committed(v), 0u);
    uint8_t text[400];
    memset(text, 0xa5, sizeof(text));
    KEXPECT_EQ(t, vmo_write(v, text, (1ull << 39) - 300, sizeof(text)), STATUS_OK);
    KEXPECT_EQ(t, vmo_committed(v), 2 * TEST_PAGE);
    uint8_t back[sizeof(text)] = {};
    KEXPECT_EQ(t, vmo_read(v, back, (1ull << 39) - 300, sizeof(back)), STATUS_OK);
    KEXPECT(t, memcmp(text, back, sizeof(text)) == 0);
    KEXPECT_EQ(t, vmo_peek(v, (1ull << 39) - 301), 0u);
    KEXPECT_EQ(t, vmo_read(v, back, (1ull << 40) - 1, 2), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, vmo_write(v, back, UINT64_MAX, 2), STATUS_OUT_OF_RANGE);
    vmo_unref(v);
}
KTEST(vmo, sparse_contents);

// ---- children ----

static void snapshot_isolation(struct ktest* t) {
    struct vmo* parent;
    struct vmo* child;
    KASSERT(t, vmo_create(8 * TEST_PAGE, 0, &parent) == STATUS_OK);
    for (uint32_t i = 0; i < 4; i++) {
        KEXPECT_EQ(t, vmo_put(parent, i * TEST_PAGE, (uint8_t)(10 + i)), STATUS_OK);
    }
    KASSERT(t, vmo_create_child(parent, ZX_VMO_CHILD_SNAPSHOT, TEST_PAGE, 9 * TEST_PAGE, &child) ==
                   STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(child, 0), 11u);
    KEXPECT_EQ(t, vmo_peek(child, 8 * TEST_PAGE), 0u); // beyond the parent
    KEXPECT_EQ(t, vmo_put(parent, TEST_PAGE, 99), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(child, 0), 11u);
    KEXPECT_EQ(t, vmo_put(child, TEST_PAGE, 77), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(parent, 2 * TEST_PAGE), 12u);
    KEXPECT_EQ(t, vmo_put(child, 5 * TEST_PAGE, 55), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(parent, 6 * TEST_PAGE), 0u);
    KEXPECT_EQ(t, vmo_op_range(parent, ZX_VMO_OP_DECOMMIT, 0, TEST_PAGE), STATUS_NOT_SUPPORTED);
    vmo_unref(parent); // the child keeps what it shares
    KEXPECT_EQ(t, vmo_peek(child, 2 * TEST_PAGE), 13u);
    KEXPECT_EQ(t, vmo_peek(child, TEST_PAGE), 77u);
    vmo_unref(child);
}
KTEST(vmo, snapshot_isolation);

// Each generation is a snapshot of the one before and writes one page of its own; the ancestors go
// at once, or stay and are checked.
static void snapshot_chain(struct ktest* t, bool keep) {
    enum : uint32_t { DEPTH = 1000, KEPT = 50, PAGES = 16 };
    static struct vmo* kept[KEPT]; // cases run one at a time
    struct vmo* v;
    KASSERT(t, vmo_create(PAGES * TEST_PAGE, 0, &v) == STATUS_OK);
    uint32_t generations = keep ? KEPT : DEPTH;
    for (uint32_t g = 0; g < generations; g++) {
        KEXPECT_EQ(t, vmo_put(v, (g % PAGES) * TEST_PAGE, (uint8_t)g), STATUS_OK);
        struct vmo* child;
        KASSERT(t, vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT, 0, PAGES * TEST_PAGE, &child) ==
                       STATUS_OK);
        if (keep) {
            kept[g] = v;
        } else {
            vmo_unref(v);
        }
        v = child;
    }
    for (uint32_t i = 0; i < PAGES; i++) {
        uint32_t last = (generations - 1) - (generations - 1 - i) % PAGES;
        KEXPECT_EQ(t, vmo_peek(v, i * TEST_PAGE), (uint32_t)(uint8_t)last);
    }
    KEXPECT_EQ(t, vmo_committed(v), PAGES * TEST_PAGE);
    for (uint32_t g = 0; keep && g < KEPT; g++) {
        for (uint32_t i = 0; i < PAGES; i++) {
            uint32_t want = i <= g ? g - (g - i) % PAGES : 0;
            KEXPECT_EQ(t, vmo_peek(kept[g], i * TEST_PAGE), (uint32_t)(uint8_t)want);
        }
        vmo_unref(kept[g]);
    }
    vmo_unref(v);
}

static void snapshots_1000_deep(struct ktest* t) {
    snapshot_chain(t, false);
}
KTEST(vmo, snapshots_1000_deep);

static void snapshots_kept(struct ktest* t) {
    snapshot_chain(t, true);
}
KTEST(vmo, snapshots_kept);

static void slice_and_reference(struct ktest* t) {
    struct vmo* parent;
    struct vmo* slice;
    struct vmo* ref;
    KASSERT(t, vmo_create(8 * TEST_PAGE, 0, &parent) == STATUS_OK);
    KEXPECT_EQ(t,
               vmo_create_child(parent, ZX_VMO_CHILD_SLICE, 6 * TEST_PAGE, 3 * TEST_PAGE, &slice),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t,
               vmo_create_child(parent, ZX_VMO_CHILD_SLICE | ZX_VMO_CHILD_SNAPSHOT, 0, 1, &slice),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmo_create_child(parent, ZX_VMO_CHILD_SLICE, 1, 1, &slice), STATUS_INVALID_ARGS);
    KASSERT(t, vmo_create_child(parent, ZX_VMO_CHILD_SLICE, 2 * TEST_PAGE, 2 * TEST_PAGE, &slice) ==
                   STATUS_OK);
    KEXPECT_EQ(t, vmo_put(slice, TEST_PAGE, 42), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(parent, 3 * TEST_PAGE), 42u);
    KEXPECT_EQ(t, vmo_put(slice, 2 * TEST_PAGE, 1), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, vmo_op_range(parent, ZX_VMO_OP_DECOMMIT, 0, TEST_PAGE), STATUS_OK);
    vmo_unref(parent);
    KEXPECT_EQ(t, vmo_peek(slice, TEST_PAGE), 42u);
    vmo_unref(slice);

    KASSERT(t, vmo_create(TEST_PAGE, ZX_VMO_RESIZABLE, &parent) == STATUS_OK);
    KEXPECT_EQ(t, vmo_create_child(parent, ZX_VMO_CHILD_SLICE, 0, TEST_PAGE, &slice),
               STATUS_NOT_SUPPORTED);
    KASSERT(t, vmo_create_child(parent, ZX_VMO_CHILD_REFERENCE | ZX_VMO_CHILD_RESIZABLE, 0, 0,
                                &ref) == STATUS_OK);
    KEXPECT_EQ(t, vmo_set_size(ref, 5 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_size(parent), 5 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_put(parent, 4 * TEST_PAGE, 9), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(ref, 4 * TEST_PAGE), 9u);
    vmo_unref(parent);
    vmo_unref(ref);
}
KTEST(vmo, slice_and_reference);

static void count_children(struct vmo* v, void* owner, bool none) {
    (void)v;
    int* seen = owner; // under the family lock
    *seen = none ? *seen + 100 : *seen + 1;
}
static const struct vmo_owner_ops counting_ops = {.children_changed = count_children};

static void zero_children(struct ktest* t) {
    struct vmo* parent;
    struct vmo* child;
    struct vmo* grandchild;
    int seen = 0;
    KASSERT(t, vmo_create(TEST_PAGE, 0, &parent) == STATUS_OK);
    vmo_set_owner(parent, &counting_ops, &seen, 17);
    KASSERT(t, vmo_create_child(parent, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &child) == STATUS_OK);
    KEXPECT_EQ(t, seen, 1);
    KASSERT(t, vmo_create_child(child, ZX_VMO_CHILD_SLICE, 0, TEST_PAGE, &grandchild) == STATUS_OK);
    KEXPECT_EQ(t, seen, 1);
    vmo_unref(child); // the grandchild moves up
    KEXPECT_EQ(t, seen, 1);
    struct vmo_info info;
    vmo_get_info(grandchild, &info);
    KEXPECT_EQ(t, info.parent_koid, 17u);
    vmo_unref(grandchild);
    KEXPECT_EQ(t, seen, 101);
    vmo_set_owner(parent, nullptr, nullptr, 0);
    vmo_unref(parent);
}
KTEST(vmo, zero_children);

// More than are handed up at a time; their new parent never looks childless meanwhile.
static void many_children_move_up(struct ktest* t) {
    constexpr uint32_t COUNT = 700;
    static struct vmo* grandchild[COUNT];
    struct vmo* parent;
    struct vmo* child;
    int seen = 0;
    KASSERT(t, vmo_create(TEST_PAGE, 0, &parent) == STATUS_OK);
    vmo_set_owner(parent, &counting_ops, &seen, 17);
    KASSERT(t, vmo_create_child(parent, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &child) == STATUS_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t kind = i % 2 == 0 ? ZX_VMO_CHILD_SNAPSHOT : ZX_VMO_CHILD_SLICE;
        KASSERT(t, vmo_create_child(child, kind, 0, TEST_PAGE, &grandchild[i]) == STATUS_OK);
    }
    vmo_unref(child);
    KEXPECT_EQ(t, seen, 1);
    struct vmo_info info;
    vmo_get_info(parent, &info);
    KEXPECT_EQ(t, info.child_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        vmo_get_info(grandchild[i], &info);
        KEXPECT_EQ(t, info.parent_koid, 17u);
        KEXPECT_EQ(t, seen, 1);
        vmo_unref(grandchild[i]);
    }
    KEXPECT_EQ(t, seen, 101);
    // Without a parent above they become orphans.
    KASSERT(t, vmo_create(TEST_PAGE, 0, &child) == STATUS_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        KASSERT(t, vmo_create_child(child, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &grandchild[i]) ==
                       STATUS_OK);
    }
    vmo_unref(child);
    for (uint32_t i = 0; i < COUNT; i++) {
        vmo_get_info(grandchild[i], &info);
        KEXPECT_EQ(t, info.parent_koid, 0u);
        vmo_unref(grandchild[i]);
    }
    vmo_set_owner(parent, nullptr, nullptr, 0);
    vmo_unref(parent);
}
KTEST(vmo, many_children_move_up);

// ---- sizes ----

static void resize_reads_zero(struct ktest* t) {
    struct vmo* v;
    KASSERT(t, vmo_create(4 * TEST_PAGE, ZX_VMO_RESIZABLE, &v) == STATUS_OK);
    for (uint32_t i = 0; i < 4; i++) {
        KEXPECT_EQ(t, vmo_put(v, i * TEST_PAGE + 700, 1), STATUS_OK);
    }
    KEXPECT_EQ(t, vmo_set_size(v, TEST_PAGE + 600), STATUS_OK);
    KEXPECT_EQ(t, vmo_size(v), 2 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_stream_size(v), TEST_PAGE + 600);
    KEXPECT_EQ(t, vmo_set_size(v, 4 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 700), 1u);
    KEXPECT_EQ(t, vmo_peek(v, TEST_PAGE + 700), 0u);
    KEXPECT_EQ(t, vmo_peek(v, 3 * TEST_PAGE + 700), 0u);
    KEXPECT_EQ(t, vmo_committed(v), 2 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_set_size(v, VMO_SIZE_MAX + 1), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, vmo_set_stream_size(v, 4 * TEST_PAGE + 1), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, vmo_set_stream_size(v, 650), STATUS_OK);
    KEXPECT_EQ(t, vmo_set_stream_size(v, 4096), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 700), 0u);
    KEXPECT_EQ(t, vmo_set_size(v, 0), STATUS_OK);
    KEXPECT_EQ(t, vmo_committed(v), 0u);
    vmo_unref(v);
}
KTEST(vmo, resize_reads_zero);

static void snapshot_then_shrink(struct ktest* t) {
    struct vmo* v;
    struct vmo* child;
    KASSERT(t, vmo_create(4 * TEST_PAGE, ZX_VMO_RESIZABLE, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_put(v, 3 * TEST_PAGE, 5), STATUS_OK);
    KASSERT(t, vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_RESIZABLE, 0, 4 * TEST_PAGE,
                                &child) == STATUS_OK);
    KEXPECT_EQ(t, vmo_set_size(v, 0), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(child, 3 * TEST_PAGE), 5u);
    KEXPECT_EQ(t, vmo_set_size(child, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_set_size(child, 4 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(child, 3 * TEST_PAGE), 0u);
    vmo_unref(v);
    vmo_unref(child);
}
KTEST(vmo, snapshot_then_shrink);

// ---- ranges ----

static void commit_decommit_zero(struct ktest* t) {
    struct vmo* v;
    KASSERT(t, vmo_create(100 * TEST_PAGE, 0, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_COMMIT, 1, 100 * TEST_PAGE), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_COMMIT, 1, 100 * TEST_PAGE - 1), STATUS_OK);
    KEXPECT_EQ(t, vmo_committed(v), 100 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_DECOMMIT, 1, TEST_PAGE), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmo_put(v, 10 * TEST_PAGE + 5, 8), STATUS_OK);
    KEXPECT_EQ(t, vmo_put(v, 20 * TEST_PAGE + 5, 8), STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_DECOMMIT, 10 * TEST_PAGE, 5 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 10 * TEST_PAGE + 5), 0u);
    KEXPECT_EQ(t, vmo_committed(v), 95 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_ZERO, 20 * TEST_PAGE + 6, 3 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 20 * TEST_PAGE + 5), 8u);
    KEXPECT_EQ(t, vmo_committed(v), 93 * TEST_PAGE); // two whole pages gone
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_ZERO, 20 * TEST_PAGE + 5, 1), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 20 * TEST_PAGE + 5), 0u);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_CACHE_SYNC, 0, 0), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_CACHE_SYNC, 0, 1), STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(v, 99, 0, 1), STATUS_INVALID_ARGS);
    vmo_unref(v);
}
KTEST(vmo, commit_decommit_zero);

static void zero_hides_snapshot(struct ktest* t) {
    struct vmo* v;
    struct vmo* child;
    KASSERT(t, vmo_create(300 * TEST_PAGE, 0, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_COMMIT, 0, 300 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_put(v, 200 * TEST_PAGE, 6), STATUS_OK);
    KASSERT(t, vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT, 0, 300 * TEST_PAGE, &child) == STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(child, ZX_VMO_OP_ZERO, 0, 300 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(child, 200 * TEST_PAGE), 0u);
    KEXPECT_EQ(t, vmo_committed(child), 0u);
    KEXPECT_EQ(t, vmo_peek(v, 200 * TEST_PAGE), 6u);
    vmo_unref(child);
    vmo_unref(v);
}
KTEST(vmo, zero_hides_snapshot);

static void discardable(struct ktest* t) {
    struct vmo* v;
    zx_vmo_lock_state_t state;
    KASSERT(t, vmo_create(2 * TEST_PAGE, 0, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_lock(v, 0, 2 * TEST_PAGE, &state), STATUS_NOT_SUPPORTED);
    vmo_unref(v);
    KASSERT(t, vmo_create(2 * TEST_PAGE, ZX_VMO_DISCARDABLE, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_UNLOCK, 0, 2 * TEST_PAGE), STATUS_BAD_STATE);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_TRY_LOCK, 0, TEST_PAGE), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, vmo_put(v, 0, 1), STATUS_OK);
    (void)reclaim_pages(2);
    KEXPECT_EQ(t, vmo_committed(v), TEST_PAGE); // never unlocked yet
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_TRY_LOCK, 0, 2 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_lock(v, 0, 2 * TEST_PAGE, &state), STATUS_OK);
    KEXPECT_EQ(t, state.discarded_size, 0u);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_UNLOCK, 0, 2 * TEST_PAGE), STATUS_OK);
    (void)reclaim_pages(2);
    KEXPECT_EQ(t, vmo_committed(v), TEST_PAGE); // the second lock holds
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_UNLOCK, 0, 2 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_pin(v, 0, TEST_PAGE, VMO_PIN_WRITE), STATUS_OK);
    (void)reclaim_pages(2);
    KEXPECT_EQ(t, vmo_committed(v), TEST_PAGE); // a device may write to it
    vmo_unpin(v, 0, TEST_PAGE);
    KEXPECT(t, reclaim_pages(1) >= 1);
    KEXPECT_EQ(t, vmo_committed(v), 0u);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_TRY_LOCK, 0, 2 * TEST_PAGE), STATUS_UNAVAILABLE);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_UNLOCK, 0, 2 * TEST_PAGE), STATUS_BAD_STATE);
    KEXPECT_EQ(t, vmo_lock(v, 0, 2 * TEST_PAGE, &state), STATUS_OK);
    KEXPECT_EQ(t, state.discarded_size, 2 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_peek(v, 0), 0u);
    vmo_unref(v);
}
KTEST(vmo, discardable);

// Until somebody has been told of the loss, nothing puts new pages in the place of the old ones.
static void discarded_takes_nothing(struct ktest* t) {
    struct test_space s;
    struct vmo* v;
    struct vmo* plain;
    vaddr_t at;
    zx_vmo_lock_state_t state;
    constexpr uint64_t size = 2 * TEST_PAGE;
    KASSERT(t, test_space_enter(&s));
    KASSERT(t, vmo_create(size, 0, &plain) == STATUS_OK);
    KASSERT(t, vmo_create(size, ZX_VMO_DISCARDABLE | ZX_VMO_RESIZABLE, &v) == STATUS_OK);
    KEXPECT_EQ(t, test_map(&s, v, 0, size, TEST_RW | ZX_VM_ALLOW_FAULTS, &at), STATUS_OK);
    KEXPECT_EQ(t, vmo_lock(v, 0, size, &state), STATUS_OK);
    KEXPECT(t, test_put(at, 1));
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_UNLOCK, 0, size), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at), 1u);
    KEXPECT(t, reclaim_pages(1) >= 1);
    KEXPECT_EQ(t, test_peek(at), 0xee00u); // the translation went with the page
    KEXPECT(t, !test_put(at, 2));
    KEXPECT_EQ(t, vmo_put(v, 0, 2), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_COMMIT, 0, size), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, vmo_pin(v, 0, TEST_PAGE, VMO_PIN_WRITE), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, vmo_pin(v, 0, TEST_PAGE, VMO_PIN_UNCLEARED), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, vmo_transfer_data(v, 0, TEST_PAGE, plain, 0), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, vmo_transfer_data(plain, 0, TEST_PAGE, v, 0), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, vmo_committed(v), 0u);
    KEXPECT_EQ(t, vmo_set_size(v, size + 5), STATUS_OK);
    KEXPECT_EQ(t, vmo_set_size(v, 5), STATUS_OK);
    KEXPECT_EQ(t, vmo_lock(v, 0, TEST_PAGE, &state), STATUS_OK);
    KEXPECT_EQ(t, state.discarded_size, TEST_PAGE);
    KEXPECT(t, test_put(at, 3));
    KEXPECT_EQ(t, vmo_peek(v, 0), 3u);
    vmo_unref(plain);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmo, discarded_takes_nothing);

// A window on discardable memory is discardable.
static void slices_of_discardable(struct ktest* t) {
    struct test_space s;
    struct vmo* v;
    struct vmo* slice;
    struct vmo* child;
    vaddr_t at;
    KASSERT(t, test_space_enter(&s));
    KASSERT(t, vmo_create(2 * TEST_PAGE, ZX_VMO_DISCARDABLE, &v) == STATUS_OK);
    KASSERT(t, vmo_create_child(v, ZX_VMO_CHILD_SLICE, 0, TEST_PAGE, &slice) == STATUS_OK);
    KEXPECT_EQ(t, vmo_create_child(slice, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &child),
               STATUS_NOT_SUPPORTED);
    KEXPECT_EQ(t, test_map(&s, slice, 0, TEST_PAGE, TEST_RW, &at), STATUS_NOT_SUPPORTED);
    vmo_unref(slice);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmo, slices_of_discardable);

// ---- pins and moves ----

static void pinning(struct ktest* t) {
    struct vmo* v;
    struct vmo* child;
    KASSERT(t, vmo_create(8 * TEST_PAGE, ZX_VMO_RESIZABLE, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_pin(v, 6 * TEST_PAGE, 4 * TEST_PAGE, VMO_PIN_WRITE), STATUS_OUT_OF_RANGE);
    KASSERT(t, vmo_pin(v, 2 * TEST_PAGE, 4 * TEST_PAGE, VMO_PIN_WRITE) == STATUS_OK);
    paddr_t pinned;
    KEXPECT_EQ(t, vmo_lookup(v, 3 * TEST_PAGE + 8, &pinned), STATUS_OK);
    KEXPECT_EQ(t, vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &child),
               STATUS_BAD_STATE);
    KEXPECT_EQ(t, vmo_set_size(v, 5 * TEST_PAGE), STATUS_BAD_STATE);
    KEXPECT_EQ(t, vmo_set_size(v, 6 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_DECOMMIT, 0, 6 * TEST_PAGE), STATUS_BAD_STATE);
    KEXPECT_EQ(t, vmo_put(v, 3 * TEST_PAGE, 4), STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_ZERO, 0, 6 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 3 * TEST_PAGE), 0u);
    paddr_t found;
    KEXPECT_EQ(t, vmo_lookup(v, 3 * TEST_PAGE + 8, &found), STATUS_OK);
    KEXPECT_EQ(t, found.raw, pinned.raw);
    vmo_unpin(v, 2 * TEST_PAGE, 4 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_set_size(v, 0), STATUS_OK);
    vmo_unref(v);
}
KTEST(vmo, pinning);

// Pages that are there stay as they are, and those between them are made: as many as the range has.
static void pinning_uncleared(struct ktest* t) {
    struct vmo* v;
    KASSERT(t, vmo_create(100 * TEST_PAGE, ZX_VMO_RESIZABLE, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_put(v, 2 * TEST_PAGE, 7), STATUS_OK);
    KEXPECT_EQ(t, vmo_put(v, 99 * TEST_PAGE, 8), STATUS_OK);
    paddr_t before, after[100];
    KEXPECT_EQ(t, vmo_lookup(v, 2 * TEST_PAGE, &before), STATUS_OK);
    KASSERT(t, vmo_pin(v, TEST_PAGE, 98 * TEST_PAGE, VMO_PIN_UNCLEARED) == STATUS_OK);
    for (uint32_t done = 0; done < 98;) {
        done += vmo_lookup_pinned(v, (1 + done) * TEST_PAGE, 98 - done, after + done);
    }
    KEXPECT_EQ(t, after[1].raw, before.raw);
    for (uint32_t i = 1; i < 98; i++) {
        KEXPECT(t, after[i].raw != after[i - 1].raw);
    }
    KEXPECT_EQ(t, vmo_peek(v, 0), 0u); // beside the range
    KEXPECT_EQ(t, vmo_peek(v, 2 * TEST_PAGE), 7u);
    KEXPECT_EQ(t, vmo_peek(v, 99 * TEST_PAGE), 8u);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_DECOMMIT, 98 * TEST_PAGE, TEST_PAGE), STATUS_BAD_STATE);
    vmo_unpin(v, TEST_PAGE, 98 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_set_size(v, 0), STATUS_OK);
    vmo_unref(v);
}
KTEST(vmo, pinning_uncleared);

// Where an allocation is refused, the slower way is tried, and nothing is lost (the check around
// every test sees to that).
static void pinning_uncleared_without_memory(struct ktest* t) {
    bool fired = true;
    for (uint64_t nth = 1; fired && nth < 100; nth++) {
        struct vmo* v;
        KASSERT(t, vmo_create(200 * TEST_PAGE, 0, &v) == STATUS_OK);
        alloc_injection_arm(nth);
        status_t status = vmo_pin(v, 60 * TEST_PAGE, 10 * TEST_PAGE, VMO_PIN_UNCLEARED);
        alloc_injection_disarm(&fired);
        KEXPECT(t, status == STATUS_OK || (status == STATUS_NO_MEMORY && fired));
        if (status == STATUS_OK) {
            vmo_unpin(v, 60 * TEST_PAGE, 10 * TEST_PAGE);
        }
        vmo_unref(v);
    }
    KEXPECT(t, !fired);
}
KTEST(vmo, pinning_uncleared_without_memory);

static void transfer(struct ktest* t) {
    struct vmo* a;
    struct vmo* b;
    struct vmo* child;
    KASSERT(t, vmo_create(200 * TEST_PAGE, 0, &a) == STATUS_OK);
    KASSERT(t, vmo_create(200 * TEST_PAGE, 0, &b) == STATUS_OK);
    KEXPECT_EQ(t, vmo_put(a, 100 * TEST_PAGE, 1), STATUS_OK);
    KEXPECT_EQ(t, vmo_put(b, 0, 2), STATUS_OK);
    paddr_t before;
    paddr_t after;
    KEXPECT_EQ(t, vmo_lookup(a, 100 * TEST_PAGE, &before), STATUS_OK);
    KEXPECT_EQ(t, vmo_transfer_data(b, 0, 100 * TEST_PAGE, a, 100 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_lookup(b, 0, &after), STATUS_OK);
    KEXPECT_EQ(t, before.raw, after.raw); // moved, not copied
    KEXPECT_EQ(t, vmo_peek(b, 0), 1u);
    KEXPECT_EQ(t, vmo_peek(a, 100 * TEST_PAGE), 0u);
    KEXPECT_EQ(t, vmo_committed(a), 0u);
    // A shared page is copied.
    KASSERT(t, vmo_create_child(b, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &child) == STATUS_OK);
    KEXPECT_EQ(t, vmo_transfer_data(a, 0, TEST_PAGE, b, 0), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(child, 0), 1u);
    KEXPECT_EQ(t, vmo_put(a, 0, 3), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(child, 0), 1u);
    vmo_unref(child);
    // Overlapping, upwards.
    for (uint32_t i = 0; i < 100; i++) {
        KEXPECT_EQ(t, vmo_put(a, i * TEST_PAGE, (uint8_t)(i + 1)), STATUS_OK);
    }
    KEXPECT_EQ(t, vmo_transfer_data(a, 10 * TEST_PAGE, 100 * TEST_PAGE, a, 0), STATUS_OK);
    for (uint32_t i = 0; i < 100; i++) {
        KEXPECT_EQ(t, vmo_peek(a, (i + 10) * TEST_PAGE), i + 1);
    }
    KEXPECT_EQ(t, vmo_peek(a, 0), 0u);
    vmo_unref(a);
    vmo_unref(b);
}
KTEST(vmo, transfer);

// Runs of pages, cut by what is missing, shared, or there already, between leaves that lie askew.
static void transfer_runs(struct ktest* t) {
    enum : uint32_t { PAGES = 200, FROM = 3, TO = 60, ABSENT = 40, SHARED = 90, THERE = 150 };
    struct vmo* a;
    struct vmo* b;
    struct vmo* child;
    KASSERT(t, vmo_create(PAGES * TEST_PAGE, 0, &a) == STATUS_OK);
    KASSERT(t, vmo_create((PAGES + TO) * TEST_PAGE, 0, &b) == STATUS_OK);
    for (uint32_t i = 0; i < PAGES; i++) {
        if (i != ABSENT) {
            KEXPECT_EQ(t, vmo_put(a, i * TEST_PAGE, (uint8_t)(i + 1)), STATUS_OK);
        }
    }
    KASSERT(t, vmo_create_child(a, ZX_VMO_CHILD_SNAPSHOT, SHARED * TEST_PAGE, 5 * TEST_PAGE,
                                &child) == STATUS_OK);
    KEXPECT_EQ(t, vmo_put(b, (THERE - FROM + TO) * TEST_PAGE, 77), STATUS_OK);
    KEXPECT_EQ(t, vmo_put(b, (ABSENT - FROM + TO) * TEST_PAGE, 78), STATUS_OK);
    KEXPECT_EQ(
        t, vmo_transfer_data(b, TO * TEST_PAGE, (PAGES - FROM) * TEST_PAGE, a, FROM * TEST_PAGE),
        STATUS_OK);
    for (uint32_t i = 0; i < PAGES; i++) {
        uint32_t value = i == ABSENT ? 0 : (uint8_t)(i + 1);
        KEXPECT_EQ(t, vmo_peek(a, i * TEST_PAGE), i < FROM ? value : 0);
        KEXPECT_EQ(t, vmo_peek(b, (i - FROM + TO) * TEST_PAGE), i < FROM ? 0 : value);
    }
    KEXPECT_EQ(t, vmo_committed(a), FROM * TEST_PAGE);
    KEXPECT_EQ(t, vmo_committed(b), (PAGES - FROM - 1) * TEST_PAGE);
    for (uint32_t i = 0; i < 5; i++) {
        KEXPECT_EQ(t, vmo_peek(child, i * TEST_PAGE), SHARED + i + 1);
    }
    // Overlapping, downwards.
    KEXPECT_EQ(t, vmo_transfer_data(b, 0, PAGES * TEST_PAGE, b, TO * TEST_PAGE), STATUS_OK);
    for (uint32_t i = FROM; i < PAGES; i++) {
        KEXPECT_EQ(t, vmo_peek(b, (i - FROM) * TEST_PAGE), i == ABSENT ? 0u : (uint8_t)(i + 1));
    }
    // A pinned page ends it; what came before has moved.
    KEXPECT_EQ(t, vmo_pin(b, 20 * TEST_PAGE, TEST_PAGE, VMO_PIN_WRITE), STATUS_OK);
    KEXPECT_EQ(t, vmo_transfer_data(a, 10 * TEST_PAGE, 100 * TEST_PAGE, b, 10 * TEST_PAGE),
               STATUS_BAD_STATE);
    KEXPECT_EQ(t, vmo_peek(a, 19 * TEST_PAGE), 19 + FROM + 1);
    KEXPECT_EQ(t, vmo_peek(b, 20 * TEST_PAGE), 20 + FROM + 1);
    vmo_unpin(b, 20 * TEST_PAGE, TEST_PAGE);
    vmo_unref(child);
    vmo_unref(a);
    vmo_unref(b);
}
KTEST(vmo, transfer_runs);

static void contiguous(struct ktest* t) {
    struct vmo* v;
    struct vmo* child;
    KASSERT(t, vmo_create_contiguous(5 * TEST_PAGE, 16, &v) == STATUS_OK);
    paddr_t first;
    paddr_t last;
    KEXPECT_EQ(t, vmo_lookup(v, 0, &first), STATUS_OK);
    KEXPECT_EQ(t, vmo_lookup(v, 4 * TEST_PAGE, &last), STATUS_OK);
    KEXPECT_EQ(t, first.raw % 65536, 0u);
    KEXPECT_EQ(t, last.raw - first.raw, 4 * TEST_PAGE);
    KEXPECT_EQ(t, vmo_peek(v, 5 * TEST_PAGE - 1), 0u);
    KEXPECT_EQ(t, vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &child),
               STATUS_NOT_SUPPORTED);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_DECOMMIT, 0, TEST_PAGE), STATUS_NOT_SUPPORTED);
    KEXPECT_EQ(t, vmo_put(v, 100, 1), STATUS_OK);
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_ZERO, 0, 5 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 100), 0u);
    vmo_unref(v);
}
KTEST(vmo, contiguous);

static void wired(struct ktest* t) {
    // Any memory that stays will do as "wired": here a contiguous VMO's.
    struct vmo* owner;
    struct vmo* v;
    struct vmo* child;
    struct vmo* grandchild;
    paddr_t base;
    KASSERT(t, vmo_create_contiguous(4 * TEST_PAGE, 0, &owner) == STATUS_OK);
    KEXPECT_EQ(t, vmo_put(owner, 3 * TEST_PAGE, 7), STATUS_OK);
    KEXPECT_EQ(t, vmo_lookup(owner, 0, &base), STATUS_OK);
    KASSERT(t, vmo_create_wired(base, 4 * TEST_PAGE, 3 * TEST_PAGE + 5, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_stream_size(v), 3 * TEST_PAGE + 5);
    KEXPECT_EQ(t, vmo_peek(v, 3 * TEST_PAGE), 7u);
    KEXPECT_EQ(t, vmo_put(v, 0, 1), STATUS_ACCESS_DENIED);
    KASSERT(t, vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT, 2 * TEST_PAGE, 3 * TEST_PAGE, &child) ==
                   STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(child, TEST_PAGE), 7u);
    KEXPECT_EQ(t, vmo_peek(child, 2 * TEST_PAGE), 0u);
    KEXPECT_EQ(t, vmo_put(child, TEST_PAGE, 8), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 3 * TEST_PAGE), 7u);
    KEXPECT_EQ(t, vmo_committed(child), TEST_PAGE);
    KASSERT(t, vmo_create_child(child, ZX_VMO_CHILD_SNAPSHOT, 0, 3 * TEST_PAGE, &grandchild) ==
                   STATUS_OK);
    vmo_unref(child);
    KEXPECT_EQ(t, vmo_peek(grandchild, TEST_PAGE), 8u);
    KEXPECT_EQ(t, vmo_op_range(grandchild, ZX_VMO_OP_ZERO, TEST_PAGE, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(grandchild, TEST_PAGE), 0u);
    vmo_unref(grandchild);
    vmo_unref(v);
    vmo_unref(owner);
}
KTEST(vmo, wired);

static void physical(struct ktest* t) {
    struct vmo* v;
    struct vmo* child;
    KEXPECT_EQ(t, vmo_create_physical((paddr_t){0xfee00001}, TEST_PAGE, &v), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmo_create_physical((paddr_t){0xfee00000}, 0, &v), STATUS_INVALID_ARGS);
    paddr_t last = {arch_phys_limit() - TEST_PAGE};
    KEXPECT_EQ(t, vmo_create_physical(last, 2 * TEST_PAGE, &v), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, vmo_create_physical((paddr_t){arch_phys_limit()}, TEST_PAGE, &v),
               STATUS_OUT_OF_RANGE);
    KASSERT(t, vmo_create_physical(last, TEST_PAGE, &v) == STATUS_OK);
    vmo_unref(v);
    KASSERT(t, vmo_create_physical((paddr_t){0xfee00000}, TEST_PAGE, &v) == STATUS_OK);
    KEXPECT_EQ(t, vmo_put(v, 0, 1), STATUS_NOT_SUPPORTED);
    KEXPECT_EQ(t, vmo_set_stream_size(v, 100), STATUS_NOT_SUPPORTED);
    KEXPECT_EQ(t, vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &child),
               STATUS_NOT_SUPPORTED);
    KASSERT(t, vmo_create_child(v, ZX_VMO_CHILD_SLICE, 0, TEST_PAGE, &child) == STATUS_OK);
    KEXPECT_EQ(t, vmo_set_cache_policy(v, ZX_CACHE_POLICY_CACHED), STATUS_BAD_STATE);
    vmo_unref(child);
    KEXPECT_EQ(t, vmo_set_cache_policy(v, 7), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmo_set_cache_policy(v, ZX_CACHE_POLICY_CACHED), STATUS_OK);
    vmo_unref(v);
}
KTEST(vmo, physical);
