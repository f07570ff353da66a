// Faults: what is committed when, sharing, permissions, races on several CPUs, and memory that runs
// out at every possible point.
#include <vm/fault.h>

#include <arch/cpu.h>
#include <lib/string.h>
#include <sched/thread.h>
#include <vm/heap.h>

#include "../testing/user_space.h"

static void demand_zero(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    vaddr_t at;
    vaddr_t other;
    KASSERT(t, vmo_create(1ull << 30, 0, &v) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, 1ull << 30, TEST_RW, &at) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, 1ull << 30, ZX_VM_PERM_READ, &other) == STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + 12345), 0u);
    KEXPECT_EQ(t, test_peek(other + 12345), 0u);
    KEXPECT_EQ(t, vmo_committed(v), 0u); // reading commits nothing
    KEXPECT(t, test_put(at + 12345, 1));
    KEXPECT_EQ(t, vmo_committed(v), TEST_PAGE);
    KEXPECT_EQ(t, test_peek(other + 12345), 1u); // the zero page has been replaced everywhere
    KEXPECT(t, test_put(at + (512u << 20), 2));
    KEXPECT_EQ(t, vmo_peek(v, 512u << 20), 2u);
    KEXPECT_EQ(t, vmo_put(v, 700u << 20, 3), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + (700u << 20)), 3u);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(fault, demand_zero);

static void permission_is_not_demand(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    vaddr_t at;
    KASSERT(t, vmo_create(2 * TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, 2 * TEST_PAGE, ZX_VM_PERM_READ, &at) == STATUS_OK);
    KEXPECT_EQ(t, vm_fault(s.as, at, FAULT_USER | FAULT_WRITE), STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vm_fault(s.as, at, FAULT_USER | FAULT_EXEC), STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vm_fault(s.as, at, FAULT_USER), STATUS_OK);
    KEXPECT_EQ(t, vm_fault(s.as, at, FAULT_USER | FAULT_WRITE | FAULT_PRESENT),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmo_committed(v), 0u);
    KEXPECT_EQ(t, vm_fault(s.as, at + 2 * TEST_PAGE, FAULT_USER), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, vm_fault(s.as, 0, FAULT_USER), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, vm_fault_in(0xffff'8000'0000'0000u, FAULT_USER), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vm_fault_in(at, FAULT_USER | FAULT_WRITE), STATUS_INVALID_ARGS);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(fault, permission_is_not_demand);

static void beyond_the_end(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    struct vmo* slice;
    vaddr_t at;
    vaddr_t bound;
    KASSERT(t, vmo_create(4 * TEST_PAGE, ZX_VMO_RESIZABLE, &v) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, 8 * TEST_PAGE, TEST_RW | ZX_VM_ALLOW_FAULTS, &at) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, 8 * TEST_PAGE,
                        TEST_RW | ZX_VM_ALLOW_FAULTS | ZX_VM_FAULT_BEYOND_STREAM_SIZE,
                        &bound) == STATUS_OK);
    KEXPECT(t, test_put(at + 3 * TEST_PAGE, 3));
    KEXPECT(t, !test_put(at + 4 * TEST_PAGE, 4));
    KEXPECT_EQ(t, vmo_set_size(v, 6 * TEST_PAGE), STATUS_OK);
    KEXPECT(t, test_put(at + 4 * TEST_PAGE, 4));
    KEXPECT_EQ(t, vmo_set_size(v, 2 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + 3 * TEST_PAGE), 0xee00u); // unmapped by the shrink
    KEXPECT_EQ(t, vmo_set_size(v, 6 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + 3 * TEST_PAGE), 0u);
    KEXPECT_EQ(t, vmo_set_stream_size(v, 10), STATUS_OK);
    KEXPECT(t, test_put(bound + 4000, 1));
    KEXPECT(t, !test_put(bound + TEST_PAGE, 1));
    KEXPECT(t, test_put(at + TEST_PAGE, 1));
    // A stream that shrinks takes what lies beyond it out of such a mapping.
    KEXPECT_EQ(t, vmo_set_stream_size(v, 3 * TEST_PAGE), STATUS_OK);
    KEXPECT(t, test_put(bound + 2 * TEST_PAGE, 7));
    KEXPECT_EQ(t, vmo_set_stream_size(v, TEST_PAGE + 1), STATUS_OK);
    KEXPECT_EQ(t, test_peek(bound + 2 * TEST_PAGE), 0xee00u);
    KEXPECT(t, test_put(bound + TEST_PAGE, 7));
    KEXPECT_EQ(t, test_peek(at + 2 * TEST_PAGE), 7u);
    vmo_unref(v);
    // A slice ends where it ends, whatever lies behind it.
    KASSERT(t, vmo_create(4 * TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t, vmo_create_child(v, ZX_VMO_CHILD_SLICE, 0, TEST_PAGE, &slice) == STATUS_OK);
    KASSERT(t,
            test_map(&s, slice, 0, 2 * TEST_PAGE, TEST_RW | ZX_VM_ALLOW_FAULTS, &at) == STATUS_OK);
    KEXPECT(t, test_put(at, 1));
    KEXPECT(t, !test_put(at + TEST_PAGE, 1));
    vmo_unref(slice);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(fault, beyond_the_end);

static void copy_on_write_mapped(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    enum : uint32_t { PAGES = 600 }; // more than one page table
    struct vmo* v;
    struct vmo* child;
    vaddr_t at;
    vaddr_t below;
    KASSERT(t, vmo_create(PAGES * TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, PAGES * TEST_PAGE, TEST_RW | 21u << ZX_VM_ALIGN_BASE, &at) ==
                   STATUS_OK);
    for (uint32_t i = 0; i < PAGES; i++) {
        KEXPECT(t, test_put(at + i * TEST_PAGE, (uint8_t)i));
    }
    KASSERT(t,
            vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT, 0, PAGES * TEST_PAGE, &child) == STATUS_OK);
    KASSERT(t, test_map(&s, child, 0, PAGES * TEST_PAGE, TEST_RW | ZX_VM_MAP_RANGE, &below) ==
                   STATUS_OK);
    for (uint32_t i = 0; i < PAGES; i += 3) {
        KEXPECT(t, test_put(at + i * TEST_PAGE, (uint8_t)(i + 1)));
    }
    for (uint32_t i = 0; i < PAGES; i += 7) {
        KEXPECT(t, test_put(below + i * TEST_PAGE, (uint8_t)(i + 2)));
    }
    for (uint32_t i = 0; i < PAGES; i++) {
        uint8_t parent = (uint8_t)(i % 3 == 0 ? i + 1 : i);
        uint8_t copy = (uint8_t)(i % 7 == 0 ? i + 2 : i);
        KEXPECT_EQ(t, test_peek(at + i * TEST_PAGE), (uint32_t)parent);
        KEXPECT_EQ(t, test_peek(below + i * TEST_PAGE), (uint32_t)copy);
        KEXPECT_EQ(t, vmo_peek(v, i * TEST_PAGE), (uint32_t)parent);
    }
    // Alone again: writing takes no copy.
    KEXPECT_EQ(t, vmar_unmap(s.root, below, PAGES * TEST_PAGE), STATUS_OK);
    vmo_unref(child);
    paddr_t before;
    paddr_t after;
    KEXPECT_EQ(t, vmo_lookup(v, TEST_PAGE, &before), STATUS_OK);
    KEXPECT(t, test_put(at + TEST_PAGE, 200));
    KEXPECT_EQ(t, vmo_lookup(v, TEST_PAGE, &after), STATUS_OK);
    KEXPECT_EQ(t, before.raw, after.raw);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(fault, copy_on_write_mapped);

// The buffer of vmo_read and vmo_write is a mapping of the VMO itself, not yet faulted in.
static void buffer_in_itself(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    vaddr_t at;
    vaddr_t ro;
    size_t actual = 0;
    KASSERT(t, vmo_create(64 * TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, 64 * TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, TEST_PAGE, ZX_VM_PERM_READ, &ro) == STATUS_OK);
    for (uint32_t i = 0; i < 16; i++) {
        KEXPECT_EQ(t, vmo_put(v, i * TEST_PAGE + 9, (uint8_t)(i + 1)), STATUS_OK);
    }
    KEXPECT_EQ(t, vmo_read_user(v, test_user(at + 32 * TEST_PAGE + 5), 0, 16 * TEST_PAGE, &actual),
               STATUS_OK);
    KEXPECT_EQ(t, actual, 16 * TEST_PAGE);
    for (uint32_t i = 0; i < 16; i++) {
        KEXPECT_EQ(t, vmo_peek(v, (i + 32) * TEST_PAGE + 14), i + 1);
    }
    KEXPECT_EQ(t,
               vmo_write_user(v, test_user(at + TEST_PAGE), 48 * TEST_PAGE, 8 * TEST_PAGE, nullptr),
               STATUS_OK);
    KEXPECT_EQ(t, vmo_peek(v, 48 * TEST_PAGE + 9), 2u);
    KEXPECT_EQ(t, vmo_read_user(v, test_user(ro), 0, 10, nullptr), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmo_read_user(v, test_user(at + 64 * TEST_PAGE - 5), 0, 10, &actual),
               STATUS_NOT_FOUND);
    KEXPECT_EQ(t, actual, 5u);
    KEXPECT_EQ(t, vmo_read_user(v, test_user(0xffff'8000'0000'0000u), 0, 10, nullptr),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmo_write_user(v, test_user(0), 0, 10, nullptr), STATUS_INVALID_ARGS);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(fault, buffer_in_itself);

static uint32_t bytes_that_differ(struct vmo* v, uint64_t offset, uint64_t len, uint8_t value) {
    uint8_t bytes[256];
    uint32_t count = 0;
    for (uint64_t at = 0; at < len; at += sizeof(bytes)) {
        if (vmo_read(v, bytes, offset + at, sizeof(bytes)) != STATUS_OK) {
            return UINT32_MAX;
        }
        for (size_t i = 0; i < sizeof(bytes); i++) {
            count += bytes[i] != value;
        }
    }
    return count;
}

// Fresh pages are not cleared before they are written over: where the buffer ends early, nothing of
// what was in them shows.
static void buffer_ends_early(struct ktest* t) {
    enum : uint32_t { PAGES = 150, AT = 30 };
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* src;
    struct vmo* v;
    vaddr_t at;
    size_t actual = 0;
    KASSERT(t, vmo_create(PAGES * TEST_PAGE, 0, &src) == STATUS_OK);
    KASSERT(t, test_map(&s, src, 0, PAGES * TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    uint8_t pattern[256];
    memset(pattern, 0xa5, sizeof(pattern));
    for (uint64_t i = 0; i < PAGES * TEST_PAGE; i += sizeof(pattern)) {
        KEXPECT_EQ(t, vmo_write(src, pattern, i, sizeof(pattern)), STATUS_OK);
    }
    // A half of a page is left when the buffer ends. Then its pages go, for the second round.
    const size_t good = PAGES * TEST_PAGE - TEST_PAGE / 2;
    for (uint32_t round = 0; round < 2; round++) {
        KASSERT(t, vmo_create((PAGES + AT) * TEST_PAGE, 0, &v) == STATUS_OK);
        KEXPECT_EQ(t,
                   vmo_write_user(v, test_user(at + TEST_PAGE / 2), AT * TEST_PAGE,
                                  PAGES * TEST_PAGE, &actual),
                   STATUS_NOT_FOUND);
        KEXPECT_EQ(t, actual, good);
        KEXPECT_EQ(t, vmo_committed(v), PAGES * TEST_PAGE);
        KEXPECT_EQ(t, bytes_that_differ(v, AT * TEST_PAGE, good, 0xa5), 0u);
        KEXPECT_EQ(t, bytes_that_differ(v, AT * TEST_PAGE + good, TEST_PAGE / 2, 0), 0u);
        vmo_unref(v);
    }
    vmo_unref(src);
    test_space_leave(&s);
}
KTEST(fault, buffer_ends_early);

static void changes_reach_mappings(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* a;
    struct vmo* b;
    vaddr_t at;
    vaddr_t bt;
    KASSERT(t, vmo_create(8 * TEST_PAGE, 0, &a) == STATUS_OK);
    KASSERT(t, vmo_create(8 * TEST_PAGE, 0, &b) == STATUS_OK);
    KASSERT(t, test_map(&s, a, 0, 8 * TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    KASSERT(t, test_map(&s, b, 0, 8 * TEST_PAGE, TEST_RW, &bt) == STATUS_OK);
    for (uint32_t i = 0; i < 8; i++) {
        KEXPECT(t, test_put(at + i * TEST_PAGE, (uint8_t)(i + 1)));
        KEXPECT(t, test_put(bt + i * TEST_PAGE, 100));
    }
    KEXPECT_EQ(t, vmo_op_range(a, ZX_VMO_OP_DECOMMIT, 0, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at), 0u);
    KEXPECT_EQ(t, vmo_op_range(a, ZX_VMO_OP_ZERO, TEST_PAGE, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + TEST_PAGE), 0u);
    KEXPECT_EQ(t, vmo_transfer_data(b, 0, TEST_PAGE, a, 2 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, test_peek(bt), 3u);
    KEXPECT_EQ(t, test_peek(at + 2 * TEST_PAGE), 0u);
    KEXPECT(t, test_put(at + 2 * TEST_PAGE, 50));
    KEXPECT_EQ(t, test_peek(bt), 3u);
    vmo_unref(a);
    vmo_unref(b);
    test_space_leave(&s);
}
KTEST(fault, changes_reach_mappings);

static void large_pages(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    vaddr_t at;
    constexpr size_t len = 6u << 20;
    if (vmo_create_contiguous(len, 21, &v) != STATUS_OK) {
        test_space_leave(&s);
        ktest_skip(t, "no contiguous 6 MiB");
        return;
    }
    KASSERT(t, test_map(&s, v, 0, len, TEST_RW | 21u << ZX_VM_ALIGN_BASE, &at) == STATUS_OK);
    uint64_t tables = atomic_load(&s.as->arch.table_pages);
    KEXPECT(t, test_put(at + (3u << 20), 1));
    KEXPECT(t, atomic_load(&s.as->arch.table_pages) <= tables + 2); // no last-level table
    KEXPECT_EQ(t, vmo_peek(v, 3u << 20), 1u);
    // Partial changes split it.
    KEXPECT_EQ(t, vmar_protect(s.root, ZX_VM_PERM_READ, TEST_RWX, at + (3u << 20), TEST_PAGE),
               STATUS_OK);
    KEXPECT(t, !test_put(at + (3u << 20), 2));
    KEXPECT(t, test_put(at + (3u << 20) + TEST_PAGE, 2));
    KEXPECT_EQ(t, vmar_unmap(s.root, at + (3u << 20) + TEST_PAGE, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + (3u << 20) + TEST_PAGE), 0xee00u);
    KEXPECT_EQ(t, test_peek(at + (3u << 20)), 1u);
    KEXPECT(t, test_put(at + (3u << 20) + 2 * TEST_PAGE, 2));
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(fault, large_pages);

// A large entry that may only be read, in a mapping that has come to allow writing: the fault
// splits it, and brings the tables for that.
static void large_page_becomes_writable(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    vaddr_t at;
    constexpr size_t len = 2u << 20;
    if (vmo_create_contiguous(len, 21, &v) != STATUS_OK) {
        test_space_leave(&s);
        ktest_skip(t, "no contiguous 2 MiB");
        return;
    }
    uint32_t how = ZX_VM_PERM_READ | 21u << ZX_VM_ALIGN_BASE;
    KASSERT(t, test_map(&s, v, 0, len, how, &at) == STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + 5 * TEST_PAGE), 0u);
    KEXPECT_EQ(t, vmar_protect(s.root, TEST_RW, TEST_RWX, at, len), STATUS_OK);
    KEXPECT(t, test_put(at + 5 * TEST_PAGE, 1));
    KEXPECT(t, test_put(at + 511 * TEST_PAGE, 2));
    KEXPECT_EQ(t, vmo_peek(v, 5 * TEST_PAGE), 1u);
    KEXPECT_EQ(t, vmo_peek(v, 511 * TEST_PAGE), 2u);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(fault, large_page_becomes_writable);

// Unmapping and protecting gigabytes goes in steps; the result is the same.
static void long_ranges(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    vaddr_t at;
    constexpr uint64_t gib = 1u << 30;
    constexpr uint64_t places[] = {0, 16 * gib - TEST_PAGE, 16u << 20,
                                   17 * gib + 12345 * TEST_PAGE};
    constexpr uint64_t len = 40 * gib;
    KASSERT(t, vmo_create(len, 0, &v) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, len, TEST_RW, &at) == STATUS_OK);
    for (size_t i = 0; i < array_size(places); i++) {
        KEXPECT(t, test_put(at + places[i], (uint8_t)(i + 1)));
    }
    KEXPECT_EQ(t, vmar_protect(s.root, ZX_VM_PERM_READ, TEST_RWX, at, len), STATUS_OK);
    for (size_t i = 0; i < array_size(places); i++) {
        KEXPECT(t, !test_put(at + places[i], 9));
        KEXPECT_EQ(t, test_peek(at + places[i]), i + 1);
    }
    KEXPECT_EQ(t, vmo_op_range(v, ZX_VMO_OP_ZERO, 0, len), STATUS_OK);
    for (size_t i = 0; i < array_size(places); i++) {
        KEXPECT_EQ(t, test_peek(at + places[i]), 0u);
    }
    KEXPECT_EQ(t, vmar_unmap(s.root, at, len), STATUS_OK);
    for (size_t i = 0; i < array_size(places); i++) {
        KEXPECT_EQ(t, test_peek(at + places[i]), 0xee00u);
    }
    KEXPECT_EQ(t, atomic_load(&s.as->arch.table_pages), 1u);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(fault, long_ranges);

// ---- several CPUs ----

enum : uint32_t { WORKERS = 4, SHARED_PAGES = 64, ROUNDS = 40 };

struct crowd {
    struct test_space* s;
    struct vmo* v;
    vaddr_t at;
    _Atomic(uint32_t) errors;
    _Atomic(bool) stop;
};

struct worker {
    struct crowd* crowd;
    uint32_t index;
};

// Each worker owns every WORKERS-th byte of each page: all fault on all pages at once.
static int touch_all(void* arg) {
    const struct worker* w = arg;
    struct crowd* c = w->crowd;
    aspace_activate(c->s->as);
    for (uint32_t i = 0; i < SHARED_PAGES; i++) {
        vaddr_t va = c->at + i * TEST_PAGE + w->index;
        if (!test_put(va, (uint8_t)(i + w->index))) {
            atomic_fetch_add(&c->errors, 1);
        }
    }
    for (uint32_t i = 0; i < SHARED_PAGES; i++) {
        vaddr_t va = c->at + i * TEST_PAGE + w->index;
        if (test_peek(va) != (uint8_t)(i + w->index)) {
            atomic_fetch_add(&c->errors, 1);
        }
    }
    aspace_activate(nullptr);
    return 0;
}

static bool run_crowd(struct crowd* c, int (*fn)(void*)) {
    struct worker workers[WORKERS];
    struct thread* threads[WORKERS] = {};
    bool ok = true;
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){c, i};
        threads[i] = kthread_create("fault worker", fn, &workers[i], 16);
        if (threads[i] == nullptr) {
            ok = false;
            continue;
        }
        thread_set_affinity(threads[i], (cpu_mask_t)1 << (i % arch_cpu_count()));
        thread_start(threads[i]);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (threads[i] != nullptr) {
            kthread_join(threads[i]);
        }
    }
    return ok;
}

static void concurrent_faults(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct crowd c = {.s = &s};
        struct vmo* child = nullptr;
        KASSERT(t, vmo_create(SHARED_PAGES * TEST_PAGE, 0, &c.v) == STATUS_OK);
        if (round % 2 == 1) { // every write copies
            KEXPECT_EQ(t, vmo_op_range(c.v, ZX_VMO_OP_COMMIT, 0, SHARED_PAGES * TEST_PAGE),
                       STATUS_OK);
            KASSERT(t, vmo_create_child(c.v, ZX_VMO_CHILD_SNAPSHOT, 0, SHARED_PAGES * TEST_PAGE,
                                        &child) == STATUS_OK);
        }
        KASSERT(t, test_map(&s, c.v, 0, SHARED_PAGES * TEST_PAGE, TEST_RW | ZX_VM_MAP_RANGE,
                            &c.at) == STATUS_OK);
        KEXPECT(t, run_crowd(&c, touch_all));
        KEXPECT_EQ(t, atomic_load(&c.errors), 0u);
        KEXPECT_EQ(t, vmo_committed(c.v), SHARED_PAGES * TEST_PAGE);
        for (uint32_t w = 0; child != nullptr && w < WORKERS; w++) {
            KEXPECT_EQ(t, vmo_peek(child, 5 * TEST_PAGE + w), 0u);
        }
        KEXPECT_EQ(t, vmar_unmap(s.root, c.at, SHARED_PAGES * TEST_PAGE), STATUS_OK);
        if (child != nullptr) {
            vmo_unref(child);
        }
        vmo_unref(c.v);
    }
    test_space_leave(&s);
}
KTEST_WITH(fault, concurrent_faults, 0, 30'000);

// Writers against somebody who keeps resizing, snapshotting and decommitting: an access either
// succeeds or fails, and what was written to a page that nobody takes is read back.
static int write_while_changing(void* arg) {
    const struct worker* w = arg;
    struct crowd* c = w->crowd;
    aspace_activate(c->s->as);
    for (uint32_t i = 0; !atomic_load(&c->stop); i++) {
        vaddr_t own = c->at + w->index; // page 0 is never taken away
        if (!test_put(own, (uint8_t)i) || test_peek(own) != (uint8_t)i) {
            atomic_fetch_add(&c->errors, 1);
        }
        (void)test_put(c->at + (i % SHARED_PAGES) * TEST_PAGE + w->index, (uint8_t)i);
        thread_yield();
    }
    aspace_activate(nullptr);
    return 0;
}

static int change_everything(struct ktest* t, struct crowd* c) {
    for (uint32_t i = 0; i < 150; i++) {
        struct vmo* child = nullptr;
        KEXPECT_EQ(
            t, vmo_create_child(c->v, ZX_VMO_CHILD_SNAPSHOT, 0, SHARED_PAGES * TEST_PAGE, &child),
            STATUS_OK);
        KEXPECT_EQ(t, vmo_set_size(c->v, (1 + i % SHARED_PAGES) * TEST_PAGE), STATUS_OK);
        thread_yield();
        if (child != nullptr) {
            vmo_unref(child);
        }
        KEXPECT_EQ(t, vmo_set_size(c->v, SHARED_PAGES * TEST_PAGE), STATUS_OK);
        KEXPECT_EQ(t, vmo_op_range(c->v, ZX_VMO_OP_DECOMMIT, TEST_PAGE, 8 * TEST_PAGE), STATUS_OK);
        KEXPECT_EQ(t, vmo_op_range(c->v, ZX_VMO_OP_ZERO, 9 * TEST_PAGE, 8 * TEST_PAGE), STATUS_OK);
    }
    return 0;
}

static struct ktest* changing_test;
static int changer(void* arg) {
    const struct worker* w = arg;
    if (w->index != 0) {
        return write_while_changing(arg);
    }
    change_everything(changing_test, w->crowd);
    atomic_store(&w->crowd->stop, true);
    return 0;
}

static void resize_races(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct crowd c = {.s = &s};
    KASSERT(t, vmo_create(SHARED_PAGES * TEST_PAGE, ZX_VMO_RESIZABLE, &c.v) == STATUS_OK);
    KASSERT(t, test_map(&s, c.v, 0, SHARED_PAGES * TEST_PAGE, TEST_RW | ZX_VM_ALLOW_FAULTS,
                        &c.at) == STATUS_OK);
    changing_test = t;
    KEXPECT(t, run_crowd(&c, changer));
    KEXPECT_EQ(t, atomic_load(&c.errors), 0u);
    vmo_unref(c.v);
    test_space_leave(&s);
}
KTEST_WITH(fault, resize_races, 0, 30'000);

// ---- memory that runs out ----

// Everything that this layer allocates for, once; true: all of it worked. What fails may only fail
// with NO_MEMORY, and leaves nothing behind.
static bool all_operations(struct ktest* t, struct test_space* s) {
    struct vmo* v = nullptr;
    struct vmo* child = nullptr;
    struct vmar* box = nullptr;
    vaddr_t base;
    vaddr_t at = 0;
    constexpr size_t len = 200 * TEST_PAGE;
    status_t status = vmo_create(len, ZX_VMO_RESIZABLE, &v);
    if (status == STATUS_OK) {
        status = vmo_op_range(v, ZX_VMO_OP_COMMIT, 0, 3 * TEST_PAGE);
    }
    if (status == STATUS_OK) {
        status = vmo_put(v, 100 * TEST_PAGE, 1);
    }
    if (status == STATUS_OK) {
        status = vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT, TEST_PAGE, len, &child);
    }
    if (status == STATUS_OK) {
        status = vmo_put(child, 99 * TEST_PAGE, 2);
    }
    if (status == STATUS_OK) {
        status = vmar_allocate(s->root,
                               ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC, 0,
                               len, TEST_RWX, &box, &base);
    }
    if (status == STATUS_OK) {
        status = vmar_map(box, TEST_RW | ZX_VM_SPECIFIC | ZX_VM_ALLOW_FAULTS, 0, TEST_RW, v, 0,
                          TEST_RW, len, &at);
    }
    if (status == STATUS_OK) {
        status = vm_fault(s->as, at + 50 * TEST_PAGE, FAULT_USER | FAULT_WRITE);
    }
    if (status == STATUS_OK) {
        status = vmar_protect(box, ZX_VM_PERM_READ, TEST_RW, at + 10 * TEST_PAGE, 5 * TEST_PAGE);
    }
    if (status == STATUS_OK) {
        status = vmar_unmap(box, at + 30 * TEST_PAGE, TEST_PAGE);
    }
    if (status == STATUS_OK) {
        status = vmo_transfer_data(child, 0, 3 * TEST_PAGE, v, 0);
    }
    if (status == STATUS_OK) {
        status = vmo_set_size(v, 101 * TEST_PAGE);
    }
    KEXPECT(t, status == STATUS_OK || status == STATUS_NO_MEMORY);
    if (box != nullptr) {
        KEXPECT_EQ(t, vmar_destroy(box), STATUS_OK);
        vmar_unref(box);
    }
    if (child != nullptr) {
        vmo_unref(child);
    }
    if (v != nullptr) {
        vmo_unref(v);
    }
    return status == STATUS_OK;
}

static void every_allocation_fails_once(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    bool fired = true;
    uint32_t failures = 0;
    for (uint64_t nth = 1; fired && nth < 2000; nth++) {
        alloc_injection_arm(nth);
        bool ok = all_operations(t, &s);
        alloc_injection_disarm(&fired);
        failures += fired && !ok;
    }
    KEXPECT(t, !fired);
    KEXPECT(t, failures > 10); // the injection does reach these allocations
    test_space_leave(&s);
}
KTEST_WITH(fault, every_allocation_fails_once, 0, 30'000);
