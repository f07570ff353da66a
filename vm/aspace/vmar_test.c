// VMARs and mappings: options and their errors, splitting, placement, nesting, the vDSO rule.
#include <vm/vmar.h>

#include <lib/string.h>

#include "../testing/user_space.h"

constexpr zx_vm_option_t CAN_ALL =
    ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE | ZX_VM_CAN_MAP_SPECIFIC;

static status_t map_at(struct vmar* v, zx_vm_option_t options, size_t offset, struct vmo* vmo,
                       uint64_t vmo_offset, size_t len, vaddr_t* out) {
    return vmar_map(v, options, offset, TEST_RWX, vmo, vmo_offset, TEST_RWX, len, out);
}

static void allocate_errors(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmar* v;
    struct vmar* inner;
    vaddr_t base;
    KEXPECT_EQ(t, vmar_allocate(s.root, ZX_VM_PERM_READ, 0, TEST_PAGE, TEST_RWX, &v, &base),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_allocate(s.root, 0, 0, 0, TEST_RWX, &v, &base), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_allocate(s.root, 0, 4096, TEST_PAGE, TEST_RWX, &v, &base),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_allocate(s.root, 0, 0, SIZE_MAX - 5000, TEST_RWX, &v, &base),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_allocate(s.root, CAN_ALL, 0, TEST_PAGE, TEST_RW, &v, &base),
               STATUS_ACCESS_DENIED);
    KASSERT(t, vmar_allocate(s.root, ZX_VM_CAN_MAP_READ, 0, 16 * TEST_PAGE, TEST_RWX, &v, &base) ==
                   STATUS_OK);
    KEXPECT(t, base >= ASPACE_BASE + (ASPACE_END - ASPACE_BASE) / 2);
    KEXPECT_EQ(t, base % TEST_PAGE, 0u);
    KEXPECT_EQ(t, vmar_allocate(v, ZX_VM_CAN_MAP_WRITE, 0, TEST_PAGE, TEST_RWX, &inner, &base),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmar_allocate(v, ZX_VM_SPECIFIC, 0, TEST_PAGE, TEST_RWX, &inner, &base),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmar_allocate(v, 0, 0, 17 * TEST_PAGE, TEST_RWX, &inner, &base),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_destroy(s.root), STATUS_NOT_SUPPORTED);
    KEXPECT_EQ(t, vmar_destroy(v), STATUS_OK);
    KEXPECT_EQ(t, vmar_destroy(v), STATUS_BAD_STATE);
    KEXPECT_EQ(t, vmar_allocate(v, 0, 0, TEST_PAGE, TEST_RWX, &inner, &base), STATUS_BAD_STATE);
    vmar_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, allocate_errors);

static void map_errors(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    struct vmo* sized;
    vaddr_t at;
    KASSERT(t, vmo_create(2 * TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t, vmo_create(2 * TEST_PAGE, ZX_VMO_RESIZABLE, &sized) == STATUS_OK);
    const struct {
        zx_vm_option_t options;
        size_t offset;
        bool resizable;
        uint64_t vmo_offset;
        size_t len;
        status_t status;
    } cases[] = {
        {ZX_VM_PERM_WRITE, 0, false, 0, TEST_PAGE, STATUS_INVALID_ARGS},
        {ZX_VM_PERM_EXECUTE, 0, false, 0, TEST_PAGE, STATUS_INVALID_ARGS},
        {ZX_VM_PERM_EXECUTE | ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED, 0, false, 0, TEST_PAGE,
         STATUS_OK},
        {ZX_VM_CAN_MAP_READ, 0, false, 0, TEST_PAGE, STATUS_INVALID_ARGS},
        {TEST_RW, TEST_PAGE, false, 0, TEST_PAGE, STATUS_INVALID_ARGS},
        {TEST_RW, 0, false, 1, TEST_PAGE, STATUS_INVALID_ARGS},
        {TEST_RW, 0, false, 0, 0, STATUS_INVALID_ARGS},
        {TEST_RW, 0, false, 0, SIZE_MAX, STATUS_INVALID_ARGS},
        {TEST_RW, 0, false, UINT64_MAX - 4095, 2 * TEST_PAGE, STATUS_INVALID_ARGS},
        {TEST_RW | ZX_VM_SPECIFIC, 1, false, 0, TEST_PAGE, STATUS_INVALID_ARGS},
        {TEST_RW | ZX_VM_SPECIFIC, ASPACE_END, false, 0, TEST_PAGE, STATUS_INVALID_ARGS},
        {TEST_RW | ZX_VM_SPECIFIC_OVERWRITE | ZX_VM_MAP_RANGE, 0, false, 0, TEST_PAGE,
         STATUS_INVALID_ARGS},
        {TEST_RW | ZX_VM_SPECIFIC | ZX_VM_OFFSET_IS_UPPER_LIMIT, 0, false, 0, TEST_PAGE,
         STATUS_INVALID_ARGS},
        {TEST_RW | (9u << ZX_VM_ALIGN_BASE), 0, false, 0, TEST_PAGE, STATUS_INVALID_ARGS},
        {TEST_RW | (33u << ZX_VM_ALIGN_BASE), 0, false, 0, TEST_PAGE, STATUS_INVALID_ARGS},
        {TEST_RW, 0, false, TEST_PAGE, 2 * TEST_PAGE, STATUS_BUFFER_TOO_SMALL},
        {TEST_RW | ZX_VM_ALLOW_FAULTS, 0, false, TEST_PAGE, 2 * TEST_PAGE, STATUS_OK},
        {TEST_RW, 0, true, 0, TEST_PAGE, STATUS_NOT_SUPPORTED},
        {TEST_RW | ZX_VM_ALLOW_FAULTS | ZX_VM_REQUIRE_NON_RESIZABLE, 0, true, 0, TEST_PAGE,
         STATUS_NOT_SUPPORTED},
        {TEST_RW | ZX_VM_ALLOW_FAULTS, 0, false, 0, ASPACE_END, STATUS_NO_RESOURCES},
        {TEST_RW | ZX_VM_OFFSET_IS_UPPER_LIMIT, TEST_PAGE, false, 0, 2 * TEST_PAGE,
         STATUS_NO_RESOURCES},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        status_t status =
            map_at(s.root, cases[i].options, cases[i].offset, cases[i].resizable ? sized : v,
                   cases[i].vmo_offset, cases[i].len, &at);
        if (status != cases[i].status) {
            ktest_fail(t, __FILE_NAME__, __LINE__, "case", i, (uint64_t)status);
        }
    }
    KEXPECT_EQ(t, vmar_map(s.root, TEST_RW, 0, ZX_VM_PERM_READ, v, 0, TEST_RW, TEST_PAGE, &at),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmar_map(s.root, TEST_RW, 0, TEST_RW, v, 0, ZX_VM_PERM_READ, TEST_PAGE, &at),
               STATUS_ACCESS_DENIED);
    vmo_unref(v);
    vmo_unref(sized);
    test_space_leave(&s);
}
KTEST(vmar, map_errors);

static void specific_and_overwrite(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* a;
    struct vmo* b;
    vaddr_t at;
    vaddr_t mid;
    KASSERT(t, vmo_create(8 * TEST_PAGE, 0, &a) == STATUS_OK);
    KASSERT(t, vmo_create(8 * TEST_PAGE, 0, &b) == STATUS_OK);
    KEXPECT_EQ(t, vmo_put(a, 6 * TEST_PAGE, 6), STATUS_OK);
    KEXPECT_EQ(t, vmo_put(b, 0, 9), STATUS_OK);
    KASSERT(t, map_at(s.root, TEST_RW | ZX_VM_SPECIFIC, 0, a, 0, 8 * TEST_PAGE, &at) == STATUS_OK);
    KEXPECT_EQ(t, at, ASPACE_BASE);
    KEXPECT_EQ(t, map_at(s.root, TEST_RW | ZX_VM_SPECIFIC, 7 * TEST_PAGE, b, 0, TEST_PAGE, &mid),
               STATUS_ALREADY_EXISTS);
    KASSERT(t, map_at(s.root, TEST_RW | ZX_VM_SPECIFIC_OVERWRITE, 4 * TEST_PAGE, b, 0,
                      2 * TEST_PAGE, &mid) == STATUS_OK);
    KEXPECT_EQ(t, test_peek(mid), 9u);
    KEXPECT_EQ(t, test_peek(at + 6 * TEST_PAGE), 6u); // the part above goes on showing its page
    KEXPECT_EQ(t, vmar_region_count(s.root), 4u);
    vmo_unref(a);
    vmo_unref(b);
    test_space_leave(&s);
}
KTEST(vmar, specific_and_overwrite);

// full, prefix, suffix, middle, several mappings at once
static void unmap_splits(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    vaddr_t at;
    KASSERT(t, vmo_create(16 * TEST_PAGE, 0, &v) == STATUS_OK);
    for (uint32_t i = 0; i < 16; i++) {
        KEXPECT_EQ(t, vmo_put(v, i * TEST_PAGE, (uint8_t)(i + 1)), STATUS_OK);
    }
    KASSERT(t, test_map(&s, v, 0, 16 * TEST_PAGE, TEST_RW | ZX_VM_MAP_RANGE, &at) == STATUS_OK);
    KEXPECT_EQ(t, vmar_unmap(s.root, at + 1, TEST_PAGE), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_unmap(s.root, at, 0), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_unmap(s.root, ASPACE_END, TEST_PAGE), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_unmap(s.root, at + 16 * TEST_PAGE, TEST_PAGE), STATUS_NOT_FOUND);
    KEXPECT_EQ(t, vmar_unmap(s.root, at, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmar_unmap(s.root, at + 15 * TEST_PAGE, 1), STATUS_OK);
    KEXPECT_EQ(t, vmar_unmap(s.root, at + 5 * TEST_PAGE, 2 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmar_unmap(s.root, at + 10 * TEST_PAGE, 2 * TEST_PAGE), STATUS_OK);
    for (uint32_t i = 0; i < 16; i++) {
        bool gone = i == 0 || i == 15 || i == 5 || i == 6 || i == 10 || i == 11;
        KEXPECT_EQ(t, test_peek(at + i * TEST_PAGE), gone ? 0xee00u : i + 1);
    }
    KEXPECT_EQ(t, vmar_region_count(s.root), 4u);
    KEXPECT_EQ(t, vmar_unmap(s.root, at + 3 * TEST_PAGE, 6 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + 9 * TEST_PAGE), 10u);
    KEXPECT_EQ(t, test_peek(at + 8 * TEST_PAGE), 0xee00u);
    KEXPECT_EQ(t, vmar_unmap(s.root, at, 16 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmar_region_count(s.root), 1u);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, unmap_splits);

static void protect_splits(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    vaddr_t at;
    KASSERT(t, vmo_create(8 * TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t,
            vmar_map(s.root, TEST_RW, 0, TEST_RWX, v, 0, TEST_RW, 8 * TEST_PAGE, &at) == STATUS_OK);
    KEXPECT(t, test_put(at + 3 * TEST_PAGE, 3));
    KEXPECT_EQ(t, vmar_protect(s.root, ZX_VM_PERM_WRITE, TEST_RWX, at, TEST_PAGE),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_protect(s.root, ZX_VM_SPECIFIC, TEST_RWX, at, TEST_PAGE),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_protect(s.root, TEST_RWX, TEST_RWX, at, TEST_PAGE), STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmar_protect(s.root, TEST_RW, ZX_VM_PERM_READ, at, TEST_PAGE),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmar_protect(s.root, ZX_VM_PERM_READ, TEST_RWX, at, 9 * TEST_PAGE),
               STATUS_NOT_FOUND);
    KEXPECT_EQ(t,
               vmar_protect(s.root, ZX_VM_PERM_READ, TEST_RWX, at + 2 * TEST_PAGE, 3 * TEST_PAGE),
               STATUS_OK);
    KEXPECT(t, !test_put(at + 3 * TEST_PAGE, 4));
    KEXPECT(t, !test_put(at + 2 * TEST_PAGE, 4)); // never touched: the same answer
    KEXPECT_EQ(t, test_peek(at + 3 * TEST_PAGE), 3u);
    KEXPECT(t, test_put(at + TEST_PAGE, 1));
    KEXPECT(t, test_put(at + 5 * TEST_PAGE, 5));
    KEXPECT_EQ(t, vmar_region_count(s.root), 4u);
    KEXPECT_EQ(t, vmar_protect(s.root, 0, TEST_RWX, at, 8 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + 3 * TEST_PAGE), 0xee00u);
    KEXPECT_EQ(t, vmar_protect(s.root, TEST_RW, TEST_RWX, at, 8 * TEST_PAGE), STATUS_OK);
    KEXPECT(t, test_put(at + 3 * TEST_PAGE, 4));
    KEXPECT_EQ(t, test_peek(at + 5 * TEST_PAGE), 5u);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, protect_splits);

// A snapshot must not become writable through protect.
static void protect_keeps_sharing(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    struct vmo* child;
    vaddr_t at;
    KASSERT(t, vmo_create(TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t, test_map(&s, v, 0, TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    KEXPECT(t, test_put(at, 1));
    KASSERT(t, vmo_create_child(v, ZX_VMO_CHILD_SNAPSHOT, 0, TEST_PAGE, &child) == STATUS_OK);
    KEXPECT_EQ(t, vmar_protect(s.root, TEST_RWX, TEST_RWX, at, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmar_protect(s.root, TEST_RW, TEST_RWX, at, TEST_PAGE), STATUS_OK);
    KEXPECT(t, test_put(at, 2));
    KEXPECT_EQ(t, vmo_peek(child, 0), 1u);
    vmo_unref(child);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, protect_keeps_sharing);

static void placement(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    KASSERT(t, vmo_create(17 * TEST_PAGE, 0, &v) == STATUS_OK);
    vaddr_t middle = ASPACE_BASE + (ASPACE_END - ASPACE_BASE) / 2;
    vaddr_t at;
    vaddr_t low = UINTPTR_MAX;
    vaddr_t high = 0;
    for (uint32_t i = 0; i < 64; i++) {
        KASSERT(t, test_map(&s, v, 0, 17 * TEST_PAGE, TEST_RW, &at) == STATUS_OK);
        KEXPECT(t, at >= middle - TEST_PAGE && at < ASPACE_END);
        low = min(low, at);
        high = max(high, at);
    }
    // Spread over a neighbourhood, in tables that they share.
    KEXPECT(t, high - low > 256u << 20 && high - low < 2u << 30);
    KEXPECT_EQ(t, test_map(&s, v, 0, 100ull << 30, TEST_RW | ZX_VM_ALLOW_FAULTS, &at), STATUS_OK);
    KEXPECT(t, at >= middle - TEST_PAGE && at + (100ull << 30) <= ASPACE_END);
    for (uint32_t log2 = 10; log2 <= 32; log2++) {
        KASSERT(t, test_map(&s, v, 0, TEST_PAGE, TEST_RW | log2 << ZX_VM_ALIGN_BASE, &at) ==
                       STATUS_OK);
        KEXPECT_EQ(t, at % ((vaddr_t)1 << log2), 0u);
    }
    KASSERT(t, map_at(s.root, TEST_RW | ZX_VM_OFFSET_IS_UPPER_LIMIT, 0x80000000, v, 0,
                      2 * TEST_PAGE, &at) == STATUS_OK);
    KEXPECT(t, at + 2 * TEST_PAGE <= ASPACE_BASE + 0x80000000);
    // 100 GiB up, by address.
    KASSERT(t, map_at(s.root, TEST_RW | ZX_VM_SPECIFIC, (100ull << 30) - ASPACE_BASE, v, 0,
                      TEST_PAGE, &at) == STATUS_OK);
    KEXPECT(t, test_put(100ull << 30, 1));
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, placement);

// Small regions share a page table, at random places, and go on to another block when it is full.
static void placement_small(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    KASSERT(t, vmo_create(TEST_PAGE, 0, &v) == STATUS_OK);
    constexpr uint32_t count = 700; // more than a block takes
    static vaddr_t at[count];
    vaddr_t low = UINTPTR_MAX;
    vaddr_t high = 0;
    uint32_t in_order = 0;
    uint32_t outside = 0;
    for (uint32_t i = 0; i < count; i++) {
        KASSERT(t, test_map(&s, v, 0, TEST_PAGE, TEST_RW, &at[i]) == STATUS_OK);
        if (i < 32) {
            low = min(low, at[i]);
            high = max(high, at[i]);
        }
        in_order += i > 0 && at[i] > at[i - 1];
        outside += at[i] >> 21 != at[0] >> 21;
    }
    KEXPECT(t, low >> 21 == high >> 21 && high - low > 1u << 20);
    KEXPECT(t, in_order > count / 4 && in_order < count * 3 / 4);
    KEXPECT(t, outside >= count - 512);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, placement_small);

// 20 address spaces with keys of their own put the same thing in at least 16 places.
static void placement_differs(struct ktest* t) {
    vaddr_t seen[20];
    uint32_t distinct = 0;
    for (uint64_t i = 0; i < array_size(seen); i++) {
        struct aspace* as;
        struct vmar* box;
        const uint64_t key[2] = {i, 99};
        KASSERT(t, aspace_create(key, &as) == STATUS_OK);
        struct vmar* root = aspace_root(as);
        KEXPECT_EQ(t, vmar_allocate(root, 0, 0, TEST_PAGE, TEST_RWX, &box, &seen[i]), STATUS_OK);
        vmar_unref(box);
        bool fresh = true;
        for (uint64_t k = 0; k < i; k++) {
            fresh = fresh && seen[k] >> 30 != seen[i] >> 30;
        }
        distinct += fresh;
        aspace_destroy(as);
        vmar_unref(root);
        aspace_unref(as);
    }
    KEXPECT(t, distinct >= 16);
}
KTEST(vmar, placement_differs);

static void compact_and_full(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    struct vmar* box;
    vaddr_t base;
    vaddr_t at;
    KASSERT(t, vmo_create(TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t, vmar_allocate(s.root, CAN_ALL | ZX_VM_COMPACT, 0, 32 * TEST_PAGE, TEST_RWX, &box,
                             &base) == STATUS_OK);
    vaddr_t low = UINTPTR_MAX;
    vaddr_t high = 0;
    for (uint32_t i = 0; i < 10; i++) {
        KASSERT(t, map_at(box, TEST_RW, 0, v, 0, TEST_PAGE, &at) == STATUS_OK);
        low = min(low, at);
        high = max(high, at);
    }
    // Side by side, but for a wrap-around at the end of the region.
    KEXPECT(t, high - low == 9 * TEST_PAGE || high == base + 31 * TEST_PAGE);
    for (uint32_t i = 10; i < 32; i++) {
        KEXPECT_EQ(t, map_at(box, TEST_RW, 0, v, 0, TEST_PAGE, &at), STATUS_OK);
    }
    KEXPECT_EQ(t, map_at(box, TEST_RW, 0, v, 0, TEST_PAGE, &at), STATUS_NO_RESOURCES);
    KEXPECT_EQ(t, vmar_unmap(box, base + 7 * TEST_PAGE, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, map_at(box, TEST_RW, 0, v, 0, TEST_PAGE, &at), STATUS_OK);
    KEXPECT_EQ(t, at, base + 7 * TEST_PAGE);
    vmar_unref(box);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, compact_and_full);

static void nested(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    enum : uint32_t { DEPTH = 500 };
    struct vmo* v;
    vaddr_t base;
    KASSERT(t, vmo_create(TEST_PAGE, 0, &v) == STATUS_OK);
    struct vmar* top = nullptr;
    struct vmar* parent = vmar_ref(s.root);
    for (uint32_t i = 0; i < DEPTH; i++) {
        struct vmar* child;
        KASSERT(t, vmar_allocate(parent, CAN_ALL, 0, 8 * TEST_PAGE, TEST_RWX, &child, &base) ==
                       STATUS_OK);
        if (top == nullptr) {
            top = vmar_ref(child);
        }
        vmar_unref(parent); // closing a handle frees nothing
        parent = child;
    }
    vaddr_t at;
    KASSERT(t, map_at(parent, TEST_RW, 0, v, 0, TEST_PAGE, &at) == STATUS_OK);
    KEXPECT(t, test_put(at, 1));
    KEXPECT_EQ(t, vmar_region_count(s.root), DEPTH + 2);
    // Through a VMAR that only contains it: refused; as a whole: taken along.
    KEXPECT_EQ(t, vmar_unmap(s.root, vmar_base(top), TEST_PAGE), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_protect(s.root, ZX_VM_PERM_READ, TEST_RWX, vmar_base(top), TEST_PAGE),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t,
               map_at(s.root, TEST_RW | ZX_VM_SPECIFIC_OVERWRITE, vmar_base(top) - ASPACE_BASE, v,
                      0, TEST_PAGE, &base),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_unmap(s.root, vmar_base(top), vmar_size(top)), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at), 0xee00u);
    KEXPECT_EQ(t, map_at(parent, TEST_RW, 0, v, 0, TEST_PAGE, &at), STATUS_BAD_STATE);
    KEXPECT_EQ(t, vmar_region_count(s.root), 1u);
    vmar_unref(parent);
    vmar_unref(top);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, nested);

static void vdso_rule(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    struct vmo* slice;
    vaddr_t at;
    vaddr_t data;
    KASSERT(t, vmo_create(4 * TEST_PAGE, 0, &v) == STATUS_OK);
    vmo_set_vdso(v, 2 * TEST_PAGE, 2 * TEST_PAGE);
    constexpr uint32_t rx = ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE;
    KEXPECT_EQ(t, test_map(&s, v, 0, 4 * TEST_PAGE, rx, &at), STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, test_map(&s, v, 2 * TEST_PAGE, TEST_PAGE, rx, &at), STATUS_ACCESS_DENIED);
    KASSERT(t,
            vmo_create_child(v, ZX_VMO_CHILD_SLICE, TEST_PAGE, 2 * TEST_PAGE, &slice) == STATUS_OK);
    KEXPECT_EQ(t, test_map(&s, slice, 0, 2 * TEST_PAGE, rx, &at), STATUS_ACCESS_DENIED);
    vmo_unref(slice);
    KASSERT(t, test_map(&s, v, 0, 2 * TEST_PAGE, ZX_VM_PERM_READ, &data) == STATUS_OK);
    KEXPECT_EQ(t, vmar_protect(s.root, rx, TEST_RWX, data, TEST_PAGE), STATUS_ACCESS_DENIED);
    KASSERT(t, test_map(&s, v, 2 * TEST_PAGE, 2 * TEST_PAGE, rx, &at) == STATUS_OK);
    KEXPECT_EQ(t, atomic_load(&s.as->vdso_base), at - 2 * TEST_PAGE);
    vaddr_t second;
    KEXPECT_EQ(t, test_map(&s, v, 2 * TEST_PAGE, 2 * TEST_PAGE, rx, &second), STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmar_unmap(s.root, at, TEST_PAGE), STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmar_protect(s.root, ZX_VM_PERM_READ, TEST_RWX, at, TEST_PAGE),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t,
               map_at(s.root, TEST_RW | ZX_VM_SPECIFIC_OVERWRITE, at - ASPACE_BASE, v, 0, TEST_PAGE,
                      &second),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmar_unmap(s.root, data, 2 * TEST_PAGE), STATUS_OK);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, vdso_rule);

static void report(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    struct vmar* box;
    vaddr_t base;
    vaddr_t at;
    KASSERT(t, vmo_create(4 * TEST_PAGE, 0, &v) == STATUS_OK);
    vmo_set_name(v, "pages", 5);
    KEXPECT_EQ(t, vmo_put(v, TEST_PAGE, 1), STATUS_OK);
    KASSERT(t, vmar_allocate(s.root, CAN_ALL | ZX_VM_SPECIFIC, 0x1000000, 16 * TEST_PAGE, TEST_RWX,
                             &box, &base) == STATUS_OK);
    KASSERT(t, map_at(box, TEST_RW | ZX_VM_SPECIFIC, 0, v, 0, 2 * TEST_PAGE, &at) == STATUS_OK);
    KASSERT(t, map_at(box, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 8 * TEST_PAGE, v, TEST_PAGE, TEST_PAGE,
                      &at) == STATUS_OK);
    KASSERT(t,
            map_at(s.root, TEST_RW | ZX_VM_SPECIFIC, 0x2000000, v, 0, TEST_PAGE, &at) == STATUS_OK);
    const struct {
        vaddr_t base;
        size_t size;
        uint32_t depth;
        bool is_mapping;
        uint64_t committed;
    } want[] = {
        {ASPACE_BASE, ASPACE_END - ASPACE_BASE, 0, false, 0},
        {ASPACE_BASE + 0x1000000, 16 * TEST_PAGE, 1, false, 0},
        {ASPACE_BASE + 0x1000000, 2 * TEST_PAGE, 2, true, TEST_PAGE},
        {ASPACE_BASE + 0x1000000 + 8 * TEST_PAGE, TEST_PAGE, 2, true, TEST_PAGE},
        {ASPACE_BASE + 0x2000000, TEST_PAGE, 1, true, 0},
    };
    struct region_cursor cursor = {};
    struct region_info info;
    for (size_t i = 0; i < array_size(want); i++) {
        KASSERT(t, vmar_report(s.root, &cursor, &info, 1) == 1);
        KEXPECT_EQ(t, info.base, want[i].base);
        KEXPECT_EQ(t, info.size, want[i].size);
        KEXPECT_EQ(t, info.depth, want[i].depth);
        KEXPECT_EQ(t, info.is_mapping, want[i].is_mapping);
        KEXPECT_EQ(t, info.committed, want[i].committed);
    }
    KEXPECT(t, strcmp(info.name, "pages") == 0);
    KEXPECT_EQ(t, vmar_report(s.root, &cursor, &info, 1), 0u);
    KEXPECT_EQ(t, vmar_region_count(box), 3u);
    vmar_unref(box);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, report);

static void op_range(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    struct vmo* v;
    vaddr_t at;
    vaddr_t ro;
    KASSERT(t, vmo_create(8 * TEST_PAGE, 0, &v) == STATUS_OK);
    KASSERT(t, map_at(s.root, TEST_RW | ZX_VM_SPECIFIC, 0, v, 0, 4 * TEST_PAGE, &at) == STATUS_OK);
    KASSERT(t, map_at(s.root, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 4 * TEST_PAGE, v, 4 * TEST_PAGE,
                      TEST_PAGE, &ro) == STATUS_OK);
    KEXPECT_EQ(t, vmar_op_range(s.root, 77, at, TEST_PAGE), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_op_range(s.root, ZX_VMAR_OP_COMMIT, at + 1, TEST_PAGE), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, vmar_op_range(s.root, ZX_VMAR_OP_COMMIT, 0, TEST_PAGE), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, vmar_op_range(s.root, ZX_VMAR_OP_COMMIT, at, 4 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmo_committed(v), 4 * TEST_PAGE);
    KEXPECT_EQ(t, vmar_op_range(s.root, ZX_VMAR_OP_ZERO, ro, TEST_PAGE), STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, vmar_op_range(s.root, ZX_VMAR_OP_MAP_RANGE, at, 5 * TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, vmar_op_range(s.root, ZX_VMAR_OP_MAP_RANGE, at, 6 * TEST_PAGE), STATUS_BAD_STATE);
    KEXPECT(t, test_put(at + TEST_PAGE, 5));
    KEXPECT_EQ(t, vmar_op_range(s.root, ZX_VMAR_OP_DECOMMIT, at + TEST_PAGE, TEST_PAGE), STATUS_OK);
    KEXPECT_EQ(t, test_peek(at + TEST_PAGE), 0u);
    KEXPECT_EQ(t, vmo_committed(v), 3 * TEST_PAGE);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, op_range);

static void many_mappings(struct ktest* t) {
    struct test_space s;
    KASSERT(t, test_space_enter(&s));
    enum : uint32_t { COUNT = 20000 };
    struct vmo* v;
    vaddr_t at;
    KASSERT(t, vmo_create(TEST_PAGE, 0, &v) == STATUS_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        KASSERT(t, test_map(&s, v, 0, TEST_PAGE, TEST_RW, &at) == STATUS_OK);
    }
    KEXPECT(t, test_put(at, 3));
    KEXPECT_EQ(t, vmar_region_count(s.root), COUNT + 1);
    vmo_unref(v);
    test_space_leave(&s);
}
KTEST(vmar, many_mappings);
