// Memory for devices: contiguous and physical VMOs, IOMMUs, BTIs, pins, quarantine.
#include <utest/utest.h>

#include <stdatomic.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls/iommu.h>
#include <zircon/syscalls/resource.h>

GROUP("bti");

constexpr uint64_t PAGE = 4096;
constexpr uint64_t DEVICE = 0xffff'ffff'0000'0000; // an id that no device has
constexpr uint32_t READ_WRITE = ZX_BTI_PERM_READ | ZX_BTI_PERM_WRITE;

static zx_handle_t system_part(zx_rsrc_system_base_t base) {
    zx_handle_t all = utest_startup_peek(PA_HND(PA_SYSTEM_RESOURCE, 0));
    zx_handle_t part;
    if (all == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    EXPECT_OK(zx_resource_create(all, ZX_RSRC_KIND_SYSTEM, base, 1, "part", 4, &part));
    return part;
}

static zx_handle_t dummy_iommu(void) {
    zx_handle_t resource = system_part(ZX_RSRC_SYSTEM_IOMMU_BASE);
    zx_iommu_desc_dummy_t desc = {};
    zx_handle_t iommu;
    EXPECT_OK(zx_iommu_create(resource, ZX_IOMMU_TYPE_DUMMY, &desc, sizeof(desc), &iommu));
    EXPECT_CLOSE(resource);
    return iommu;
}

static zx_handle_t device(uint64_t id) {
    zx_handle_t iommu = dummy_iommu();
    zx_handle_t bti;
    EXPECT_OK(zx_bti_create(iommu, 0, DEVICE + id, &bti));
    EXPECT_CLOSE(iommu);
    return bti;
}

static zx_info_bti_t info_of(zx_handle_t bti) {
    zx_info_bti_t info;
    EXPECT_OK(zx_object_get_info(bti, ZX_INFO_BTI, &info, sizeof(info), nullptr, nullptr));
    return info;
}

static zx_info_vmo_t vmo_info(zx_handle_t vmo) {
    zx_info_vmo_t info;
    EXPECT_OK(zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr));
    return info;
}

static zx_handle_t resizable(uint64_t size) {
    zx_handle_t vmo;
    EXPECT_OK(zx_vmo_create(size, ZX_VMO_RESIZABLE, &vmo));
    return vmo;
}

static zx_handle_t contiguous(zx_handle_t bti, size_t size, uint32_t alignment_log2) {
    zx_handle_t vmo;
    EXPECT_OK(zx_vmo_create_contiguous(bti, size, alignment_log2, &vmo));
    return vmo;
}

CASE(iommu) {
    zx_handle_t resource = system_part(ZX_RSRC_SYSTEM_IOMMU_BASE);
    uint8_t desc[2] = {};
    zx_handle_t out;
    EXPECT_STATUS(zx_iommu_create(resource, ZX_IOMMU_TYPE_DUMMY, desc, 0, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_iommu_create(resource, ZX_IOMMU_TYPE_DUMMY, desc, 2, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_iommu_create(resource, ZX_IOMMU_TYPE_INTEL, desc, 1, &out),
                  ZX_ERR_NOT_SUPPORTED);
    FOR_BAD_POINTERS(p, UTEST_READ, 1) {
        EXPECT_STATUS(zx_iommu_create(resource, ZX_IOMMU_TYPE_DUMMY, p, 1, &out),
                      ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(resource);
    zx_handle_t info = system_part(ZX_RSRC_SYSTEM_INFO_BASE);
    EXPECT_STATUS(zx_iommu_create(info, ZX_IOMMU_TYPE_DUMMY, desc, 1, &out), ZX_ERR_OUT_OF_RANGE);
    EXPECT_CLOSE(info);
    zx_handle_t iommu = dummy_iommu();
    EXPECT_EQ(utest_basic(iommu).type, ZX_OBJ_TYPE_IOMMU);
    EXPECT_EQ(utest_basic(iommu).rights, ZX_DEFAULT_IOMMU_RIGHTS);
    EXPECT_STATUS(zx_bti_create(iommu, 1, DEVICE, &out), ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(iommu);
    zx_handle_t bti = device(0);
    EXPECT_EQ(utest_basic(bti).type, ZX_OBJ_TYPE_BTI);
    EXPECT_EQ(utest_basic(bti).rights, ZX_DEFAULT_BTI_RIGHTS);
    EXPECT_EQ(info_of(bti).minimum_contiguity, PAGE);
    EXPECT_EQ(info_of(bti).aspace_size, UINT64_MAX);
    EXPECT_CLOSE(bti);
}

CASE(contiguous) {
    zx_handle_t bti = device(0);
    zx_handle_t vmo = contiguous(bti, 5 * PAGE + 1, 0);
    zx_info_vmo_t info = vmo_info(vmo);
    EXPECT_EQ(info.size_bytes, 6 * PAGE);
    EXPECT_EQ(info.committed_bytes, 6 * PAGE);
    EXPECT((info.flags & ZX_INFO_VMO_CONTIGUOUS) != 0);
    zx_paddr_t first;
    zx_paddr_t all[6];
    zx_handle_t one;
    zx_handle_t each;
    EXPECT_OK(zx_bti_pin(bti, READ_WRITE | ZX_BTI_CONTIGUOUS, vmo, 0, 6 * PAGE, &first, 1, &one));
    EXPECT_OK(zx_bti_pin(bti, READ_WRITE, vmo, 0, 6 * PAGE, all, 6, &each));
    for (uint32_t i = 0; i < 6; i++) {
        EXPECT_EQ(all[i], first + i * PAGE);
    }
    EXPECT_OK(zx_pmt_unpin(one));
    EXPECT_OK(zx_pmt_unpin(each));
    zx_handle_t child;
    EXPECT_STATUS(zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE, &child),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 0, PAGE, nullptr, 0),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(zx_vmo_set_size(vmo, PAGE), ZX_ERR_UNAVAILABLE);
    uint64_t word = 1;
    EXPECT_OK(zx_vmo_read(vmo, &word, 5 * PAGE, sizeof(word)));
    EXPECT_EQ(word, 0);
    EXPECT_CLOSE(vmo);
    for (uint32_t log2 = 12; log2 <= 20; log2++) {
        vmo = contiguous(bti, 3 * PAGE, log2);
        EXPECT_OK(zx_bti_pin(bti, READ_WRITE | ZX_BTI_CONTIGUOUS, vmo, 0, PAGE, &first, 1, &one));
        EXPECT_EQ(first & ((1ull << log2) - 1), 0);
        EXPECT_OK(zx_pmt_unpin(one));
        EXPECT_CLOSE(vmo);
    }
    EXPECT_STATUS(zx_vmo_create_contiguous(bti, 0, 0, &vmo), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create_contiguous(bti, PAGE, 11, &vmo), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create_contiguous(bti, PAGE, 64, &vmo), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create_contiguous(bti, UINT64_MAX, 0, &vmo), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_create_contiguous(bti, 1ull << 50, 0, &vmo), ZX_ERR_NO_MEMORY);
    EXPECT_CLOSE(bti);
}

CASE(pin) {
    zx_handle_t bti = device(0);
    zx_handle_t vmo = resizable(8 * PAGE);
    EXPECT_OK(zx_vmo_write(vmo, "x", 2 * PAGE, 1));
    zx_paddr_t a[100];
    zx_handle_t pmt;
    memset(a, 0xff, sizeof(a));
    EXPECT_OK(zx_bti_pin(bti, READ_WRITE, vmo, PAGE, 4 * PAGE, a, 4, &pmt));
    EXPECT_EQ(utest_basic(pmt).type, ZX_OBJ_TYPE_PMT);
    EXPECT_EQ(utest_basic(pmt).rights, ZX_DEFAULT_PMT_RIGHTS);
    EXPECT_EQ(a[4], UINT64_MAX);
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT_EQ(a[i] & (PAGE - 1), 0);
        EXPECT(a[i] != 0 && (i == 0 || a[i] != a[i - 1]));
    }
    EXPECT_EQ(vmo_info(vmo).committed_bytes, 4 * PAGE);
    EXPECT_EQ(info_of(bti).pmo_count, 1);
    EXPECT_EQ(info_of(bti).quarantine_count, 0);
    // What is pinned stays.
    zx_handle_t child;
    EXPECT_STATUS(zx_vmo_set_size(vmo, 4 * PAGE), ZX_ERR_BAD_STATE);
    EXPECT_OK(zx_vmo_set_size(vmo, 5 * PAGE));
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 0, 2 * PAGE, nullptr, 0),
                  ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE, &child),
                  ZX_ERR_BAD_STATE);
    // Zeroed in place: the device and the program go on seeing the same page.
    zx_paddr_t again[4];
    zx_handle_t second;
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_ZERO, 0, 5 * PAGE, nullptr, 0));
    EXPECT_OK(zx_bti_pin(bti, ZX_BTI_PERM_READ | ZX_BTI_COMPRESS, vmo, PAGE, 4 * PAGE, again, 4,
                         &second));
    EXPECT(memcmp(a, again, sizeof(again)) == 0);
    EXPECT_OK(zx_pmt_unpin(pmt));
    EXPECT_STATUS(zx_vmo_set_size(vmo, 0), ZX_ERR_BAD_STATE);
    EXPECT_OK(zx_pmt_unpin(second));
    EXPECT_EQ(info_of(bti).pmo_count, 0);
    EXPECT_OK(zx_vmo_set_size(vmo, 0));
    EXPECT_CLOSE(vmo);
    // The pin holds the VMO; pieces of the address list are longer than one copy.
    vmo = resizable(100 * PAGE);
    EXPECT_OK(zx_bti_pin(bti, READ_WRITE, vmo, 0, 100 * PAGE, a, 100, &pmt));
    EXPECT_CLOSE(vmo);
    EXPECT_OK(zx_pmt_unpin(pmt));
    EXPECT_CLOSE(bti);
}

// What is pinned is the VMO's alone: a copy made before goes on showing what it showed.
CASE(pin_unshares) {
    zx_handle_t bti = device(0);
    zx_handle_t vmo = utest_vmo(PAGE);
    zx_handle_t copy;
    EXPECT_OK(zx_vmo_write(vmo, "before", 0, 6));
    EXPECT_OK(zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE, &copy));
    zx_paddr_t a;
    zx_paddr_t b;
    zx_handle_t one;
    zx_handle_t two;
    EXPECT_OK(zx_bti_pin(bti, READ_WRITE, vmo, 0, PAGE, &a, 1, &one));
    EXPECT_OK(zx_bti_pin(bti, READ_WRITE, copy, 0, PAGE, &b, 1, &two));
    EXPECT(a != b);
    EXPECT_OK(zx_vmo_write(vmo, "after!", 0, 6));
    char text[6];
    EXPECT_OK(zx_vmo_read(copy, text, 0, 6));
    EXPECT(memcmp(text, "before", 6) == 0);
    EXPECT_OK(zx_pmt_unpin(one));
    EXPECT_OK(zx_pmt_unpin(two));
    EXPECT_CLOSE(copy);
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(bti);
}

// What is there is left alone, whether it is a page or was zero in a copy; what is not is made.
CASE(pin_uncleared) {
    zx_handle_t bti = device(0);
    zx_handle_t vmo = utest_vmo(70 * PAGE);
    zx_handle_t pmt;
    zx_paddr_t a[70];
    EXPECT_OK(zx_vmo_write(vmo, "there", 66 * PAGE, 5));
    EXPECT_OK(
        zx_bti_pin(bti, ZX_BTI_PERM_WRITE | ZX_BTI_UNCLEARED, vmo, PAGE, 69 * PAGE, a, 69, &pmt));
    EXPECT_EQ(vmo_info(vmo).committed_bytes, 69 * PAGE);
    char text[5];
    EXPECT_OK(zx_vmo_read(vmo, text, 66 * PAGE, 5));
    EXPECT(memcmp(text, "there", 5) == 0);
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 69 * PAGE, PAGE, nullptr, 0),
                  ZX_ERR_BAD_STATE);
    // Pages that wait for a device are not moved, and nothing is put in their place.
    zx_handle_t other = utest_vmo(PAGE);
    EXPECT_OK(zx_vmo_write(other, "x", 0, 1));
    EXPECT_STATUS(zx_vmo_transfer_data(other, 0, 0, PAGE, vmo, PAGE), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_vmo_transfer_data(vmo, 0, PAGE, PAGE, other, 0), ZX_ERR_BAD_STATE);
    EXPECT_OK(zx_pmt_unpin(pmt));
    EXPECT_OK(zx_vmo_transfer_data(other, 0, 0, PAGE, vmo, 66 * PAGE));
    EXPECT_OK(zx_vmo_read(other, text, 0, 5));
    EXPECT(memcmp(text, "there", 5) == 0);
    EXPECT_CLOSE(other);
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(bti);
}

CASE(pin_errors) {
    zx_handle_t bti = device(0);
    zx_handle_t vmo = utest_vmo(4 * PAGE);
    zx_paddr_t a[8];
    zx_handle_t pmt;
    static const struct {
        uint32_t options;
        uint64_t offset, size;
        size_t count;
        zx_status_t status;
    } wrong[] = {
        {0, 0, PAGE, 1, ZX_ERR_INVALID_ARGS},
        {1u << 5 | READ_WRITE, 0, PAGE, 1, ZX_ERR_INVALID_ARGS},
        {ZX_BTI_UNCLEARED, 0, PAGE, 1, ZX_ERR_INVALID_ARGS},
        {ZX_BTI_UNCLEARED | ZX_BTI_PERM_READ, 0, PAGE, 1, ZX_ERR_INVALID_ARGS},
        {READ_WRITE | ZX_BTI_COMPRESS | ZX_BTI_CONTIGUOUS, 0, PAGE, 1, ZX_ERR_INVALID_ARGS},
        {READ_WRITE | ZX_BTI_CONTIGUOUS, 0, PAGE, 1, ZX_ERR_INVALID_ARGS}, // it is not
        {READ_WRITE, 1, PAGE, 1, ZX_ERR_INVALID_ARGS},
        {READ_WRITE, 0, PAGE + 1, 1, ZX_ERR_INVALID_ARGS},
        {READ_WRITE, 0, 0, 0, ZX_ERR_INVALID_ARGS},
        {READ_WRITE, 0, 2 * PAGE, 1, ZX_ERR_INVALID_ARGS},
        {READ_WRITE, 0, 2 * PAGE, 3, ZX_ERR_INVALID_ARGS},
        {READ_WRITE, PAGE, 4 * PAGE, 4, ZX_ERR_OUT_OF_RANGE},
        {READ_WRITE, 0ull - PAGE, 4 * PAGE, 4, ZX_ERR_OUT_OF_RANGE},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        EXPECT_STATUS(zx_bti_pin(bti, wrong[i].options, vmo, wrong[i].offset, wrong[i].size, a,
                                 wrong[i].count, &pmt),
                      wrong[i].status);
    }
    zx_handle_t reader = utest_without(vmo, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_bti_pin(bti, READ_WRITE, reader, 0, PAGE, a, 1, &pmt), ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_bti_pin(bti, ZX_BTI_PERM_READ, reader, 0, PAGE, a, 1, &pmt));
    EXPECT_OK(zx_pmt_unpin(pmt));
    EXPECT_CLOSE(reader);
    // A call that could not tell what it did has done nothing.
    FOR_BAD_POINTERS(p, UTEST_WRITE, 4 * sizeof(a[0])) {
        EXPECT_STATUS(zx_bti_pin(bti, READ_WRITE, vmo, 0, 4 * PAGE, p, 4, &pmt),
                      ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(pmt)) {
        EXPECT_STATUS(zx_bti_pin(bti, READ_WRITE, vmo, 0, 4 * PAGE, a, 4, p), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_EQ(info_of(bti).pmo_count, 0);
    EXPECT_EQ(info_of(bti).quarantine_count, 0);
    EXPECT_STATUS(zx_pmt_unpin(vmo), ZX_ERR_WRONG_TYPE); // and is gone
    EXPECT_STATUS(zx_handle_close(vmo), ZX_ERR_BAD_HANDLE);
    EXPECT_CLOSE(bti);
}

// ---- quarantine ----

static bool is_pinned(zx_handle_t vmo) {
    return zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 0, PAGE, nullptr, 0) == ZX_ERR_BAD_STATE;
}

CASE(quarantine) {
    zx_handle_t bti = device(1);
    zx_handle_t other = device(2);
    zx_handle_t vmo = utest_vmo(PAGE);
    zx_paddr_t a;
    zx_handle_t pmt;
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT_OK(zx_bti_pin(bti, READ_WRITE, vmo, 0, PAGE, &a, 1, &pmt));
        EXPECT_CLOSE(pmt);
    }
    EXPECT_EQ(info_of(bti).quarantine_count, 3);
    EXPECT_EQ(info_of(bti).pmo_count, 3);
    EXPECT_EQ(info_of(other).quarantine_count, 0);
    EXPECT_OK(zx_bti_release_quarantine(other));
    EXPECT(is_pinned(vmo));
    zx_handle_t reader = utest_without(bti, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_bti_release_quarantine(reader), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(reader);
    EXPECT_OK(zx_bti_release_quarantine(bti));
    EXPECT(!is_pinned(vmo));
    EXPECT_EQ(info_of(bti).quarantine_count, 0);
    EXPECT_EQ(info_of(bti).pmo_count, 0);
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(other);
    EXPECT_CLOSE(bti);
}

// What one driver left is given back without looking again and again at what others left: if each
// token cost a walk over those, this would take minutes, in which no signal is heeded.
CASE_WITHIN(quarantine_of_many, 60) {
    constexpr uint32_t TOKENS = 60'000; // of a page, which can have 65,535
    zx_handle_t bti[2] = {device(5), device(6)};
    zx_handle_t vmo[2] = {utest_vmo(PAGE), utest_vmo(PAGE)};
    for (uint32_t of = 0; of < 2; of++) {
        for (uint32_t i = 0; i < TOKENS; i++) {
            zx_paddr_t a;
            zx_handle_t pmt;
            EXPECT_OK(zx_bti_pin(bti[of], READ_WRITE, vmo[of], 0, PAGE, &a, 1, &pmt));
            EXPECT_CLOSE(pmt);
        }
    }
    for (uint32_t of = 2; of-- > 0;) {
        EXPECT_EQ(info_of(bti[of]).quarantine_count, TOKENS);
        EXPECT_OK(zx_bti_release_quarantine(bti[of]));
        EXPECT_EQ(info_of(bti[of]).pmo_count, 0);
        EXPECT(!is_pinned(vmo[of]));
        EXPECT_CLOSE(vmo[of]);
        EXPECT_CLOSE(bti[of]);
    }
}

// The channel brings a BTI and a VMO.
CHILD(dies_with_a_pin) {
    zx_handle_t h[2];
    uint32_t count;
    zx_signals_t seen;
    (void)zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, &seen);
    if (zx_channel_read(channel, 0, nullptr, h, 0, 2, nullptr, &count) != ZX_OK || count != 2) {
        return 1;
    }
    zx_paddr_t a;
    zx_handle_t pmt;
    return zx_bti_pin(h[0], READ_WRITE, h[1], 0, PAGE, &a, 1, &pmt) == ZX_OK ? 7 : 2;
}

// The device may go on writing after its driver died, and after the driver's BTI is gone: the page
// is nobody else's until the next driver has stopped it.
CASE(a_driver_dies) {
    zx_handle_t bti = device(3);
    zx_handle_t vmo = utest_vmo(PAGE);
    struct utest_child child;
    utest_child_start(&child, "dies_with_a_pin", ZX_HANDLE_INVALID);
    zx_handle_t given[2] = {bti, ZX_HANDLE_INVALID};
    EXPECT_OK(zx_handle_duplicate(vmo, ZX_RIGHT_SAME_RIGHTS, &given[1]));
    EXPECT_OK(zx_channel_write(child.channel, 0, nullptr, 0, given, 2));
    EXPECT_EQ(utest_child_join(&child), 7);
    EXPECT(is_pinned(vmo));
    zx_handle_t next = device(3);
    EXPECT_EQ(info_of(next).pmo_count, 0);
    EXPECT_EQ(info_of(next).quarantine_count, 1);
    EXPECT_OK(zx_bti_release_quarantine(next));
    EXPECT(!is_pinned(vmo));
    EXPECT_CLOSE(next);
    EXPECT_CLOSE(vmo);
}

// Pins, closes and releases from four threads: nothing is lost, nothing stays.
struct stress {
    zx_handle_t bti, vmo;
};

static void pin_and_drop(void* arg) {
    struct stress* s = arg;
    zx_paddr_t a[16];
    zx_handle_t pmt;
    for (uint32_t i = 0; i < 200; i++) {
        EXPECT_OK(zx_bti_pin(s->bti, READ_WRITE, s->vmo, 0, 16 * PAGE, a, 16, &pmt));
        if (i % 3 == 0) {
            EXPECT_CLOSE(pmt);
        } else {
            EXPECT_OK(zx_pmt_unpin(pmt));
        }
        if (i % 16 == 0) {
            EXPECT_OK(zx_bti_release_quarantine(s->bti));
        }
    }
}

CASE(threads) {
    struct stress s = {.bti = device(4), .vmo = utest_vmo(16 * PAGE)};
    struct utest_thread threads[4];
    for (uint32_t i = 0; i < 4; i++) {
        utest_thread_start(&threads[i], pin_and_drop, &s);
    }
    for (uint32_t i = 0; i < 4; i++) {
        utest_thread_join(&threads[i]);
    }
    EXPECT_OK(zx_bti_release_quarantine(s.bti));
    EXPECT_EQ(info_of(s.bti).quarantine_count, 0);
    EXPECT_EQ(info_of(s.bti).pmo_count, 0);
    EXPECT(!is_pinned(s.vmo));
    EXPECT_CLOSE(s.vmo);
    EXPECT_CLOSE(s.bti);
}

// Everything that moves, drops or shares pages at once with pins. Whatever each call answers, pages
// that are pinned stay where they are, and in the end nothing is pinned.
struct melee {
    zx_handle_t bti, vmo, other;
    _Atomic(bool) done;
};
constexpr uint64_t MELEE_PAGES = 96;

static uint64_t next_random(uint64_t* state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void pin_twice(void* arg) {
    struct melee* m = arg;
    uint64_t random = (uintptr_t)&random;
    for (uint32_t i = 0; i < 300; i++) {
        static const uint32_t how[] = {ZX_BTI_PERM_READ, READ_WRITE,
                                       ZX_BTI_PERM_WRITE | ZX_BTI_UNCLEARED};
        zx_paddr_t a[MELEE_PAGES], b[MELEE_PAGES];
        zx_handle_t one, two;
        const uint64_t first = next_random(&random) % MELEE_PAGES;
        const uint64_t count = next_random(&random) % (MELEE_PAGES - first) + 1;
        const uint32_t options = how[next_random(&random) % 3];
        zx_status_t status =
            zx_bti_pin(m->bti, options, m->vmo, first * PAGE, count * PAGE, a, count, &one);
        if (status != ZX_OK) {
            EXPECT_STATUS(status, ZX_ERR_OUT_OF_RANGE);
            continue;
        }
        EXPECT_OK(
            zx_bti_pin(m->bti, READ_WRITE, m->vmo, first * PAGE, count * PAGE, b, count, &two));
        EXPECT(memcmp(a, b, count * sizeof(a[0])) == 0);
        EXPECT_OK(zx_pmt_unpin(one));
        (void)zx_thread_legacy_yield(0);
        EXPECT_OK(zx_bti_pin(m->bti, ZX_BTI_PERM_READ, m->vmo, first * PAGE, PAGE, b, 1, &one));
        EXPECT_EQ(a[0], b[0]);
        if (i % 4 == 0) {
            EXPECT_CLOSE(one); // to the quarantine
            EXPECT_CLOSE(two);
            EXPECT_OK(zx_bti_release_quarantine(m->bti)); // the other's, too
        } else {
            EXPECT_OK(zx_pmt_unpin(two));
            EXPECT_OK(zx_pmt_unpin(one));
        }
    }
}

static void trouble_pins(void* arg) {
    struct melee* m = arg;
    uint64_t random = (uintptr_t)&random;
    while (!atomic_load(&m->done)) {
        const uint64_t first = next_random(&random) % MELEE_PAGES;
        const uint64_t size = (next_random(&random) % (MELEE_PAGES - first) + 1) * PAGE;
        zx_handle_t child;
        zx_status_t status = ZX_OK;
        switch (next_random(&random) % 6) {
        case 0:
            status = zx_vmo_set_size(m->vmo, first * PAGE);
            break;
        case 1:
            status = zx_vmo_set_size(m->vmo, MELEE_PAGES * PAGE);
            break;
        case 2:
            status = zx_vmo_op_range(m->vmo, ZX_VMO_OP_DECOMMIT, first * PAGE, size, nullptr, 0);
            break;
        case 3:
            status = zx_vmo_op_range(m->vmo, ZX_VMO_OP_ZERO, first * PAGE, size, nullptr, 0);
            break;
        case 4:
            status = zx_vmo_create_child(m->vmo, ZX_VMO_CHILD_SNAPSHOT, first * PAGE, size, &child);
            if (status == ZX_OK) {
                (void)zx_vmo_write(child, "child", 0, 5);
                EXPECT_CLOSE(child);
            }
            break;
        default:
            (void)zx_vmo_write(m->other, "moved", 0, 5);
            status = zx_vmo_transfer_data(m->vmo, 0, first * PAGE, PAGE, m->other, 0);
            break;
        }
        // DECOMMIT is not for a VMO that has snapshots.
        EXPECT(status == ZX_OK || status == ZX_ERR_BAD_STATE || status == ZX_ERR_OUT_OF_RANGE ||
               status == ZX_ERR_NOT_SUPPORTED);
        (void)zx_thread_legacy_yield(0);
    }
}

CASE_WITHIN(pins_in_a_melee, 60) {
    struct melee m = {
        .bti = device(7), .vmo = resizable(MELEE_PAGES * PAGE), .other = utest_vmo(PAGE)};
    struct utest_thread threads[4];
    for (uint32_t i = 0; i < 4; i++) {
        utest_thread_start(&threads[i], i < 2 ? pin_twice : trouble_pins, &m);
    }
    utest_thread_join(&threads[0]);
    utest_thread_join(&threads[1]);
    atomic_store(&m.done, true);
    utest_thread_join(&threads[2]);
    utest_thread_join(&threads[3]);
    EXPECT_OK(zx_bti_release_quarantine(m.bti));
    EXPECT_EQ(info_of(m.bti).pmo_count, 0);
    EXPECT_OK(zx_vmo_set_size(m.vmo, 0));
    EXPECT_CLOSE(m.other);
    EXPECT_CLOSE(m.vmo);
    EXPECT_CLOSE(m.bti);
}

// ---- physical memory ----

static zx_handle_t mmio(void) {
    zx_handle_t h = utest_startup_peek(PA_HND(PA_MMIO_RESOURCE, 0));
    if (h == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    return h;
}

constexpr zx_paddr_t ROM = 0xf0000; // the firmware's, in any PC and not RAM of the kernel's

// Parts of parts end, and all of them go with the last.
CASE(resources_have_a_depth) {
    zx_handle_t part[34];
    uint32_t count = 0;
    zx_status_t status = ZX_OK;
    for (zx_handle_t above = mmio(); status == ZX_OK && count < 34; above = part[count++]) {
        status = zx_resource_create(above, ZX_RSRC_KIND_MMIO, ROM, PAGE, "x", 1, &part[count]);
        if (status != ZX_OK) {
            break;
        }
    }
    EXPECT_STATUS(status, ZX_ERR_NO_RESOURCES);
    EXPECT(count > 16);
    EXPECT_OK(zx_handle_close_many(part, count));
}

CASE(physical) {
    zx_handle_t vmo;
    zx_handle_t part;
    EXPECT_OK(zx_resource_create(mmio(), ZX_RSRC_KIND_MMIO, ROM, 2 * PAGE, "rom", 3, &part));
    EXPECT_STATUS(zx_vmo_create_physical(part, ROM, 3 * PAGE, &vmo), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_create_physical(part, ROM - PAGE, PAGE, &vmo), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_create_physical(part, ROM + 1, PAGE, &vmo), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create_physical(part, ROM, 1, &vmo), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create_physical(part, ROM, 0, &vmo), ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_vmo_create_physical(part, ROM, 2 * PAGE, &vmo));
    zx_info_vmo_t info = vmo_info(vmo);
    EXPECT_EQ(info.cache_policy, ZX_CACHE_POLICY_UNCACHED);
    EXPECT_EQ(info.committed_bytes, 0);
    uint32_t word;
    EXPECT_STATUS(zx_vmo_read(vmo, &word, 0, 4), ZX_ERR_NOT_SUPPORTED);
    zx_handle_t child;
    EXPECT_STATUS(zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE, &child),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, PAGE, nullptr, 0),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(zx_vmo_set_cache_policy(vmo, 4), ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED_DEVICE));
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ, 0, vmo, 0, 2 * PAGE, &at));
    EXPECT_STATUS(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_CACHED), ZX_ERR_BAD_STATE);
    // A device may be told to reach another's registers.
    zx_handle_t bti = device(0);
    zx_paddr_t a;
    zx_handle_t pmt;
    EXPECT_OK(zx_bti_pin(bti, READ_WRITE | ZX_BTI_CONTIGUOUS, vmo, PAGE, PAGE, &a, 1, &pmt));
    EXPECT_EQ(a, ROM + PAGE);
    EXPECT_OK(zx_pmt_unpin(pmt));
    EXPECT_CLOSE(bti);
    word = *(volatile uint32_t*)at;
    EXPECT_EQ(*(volatile uint32_t*)at, word);
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, 2 * PAGE));
    EXPECT_OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_CACHED));
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(part);
}

// Whoever may map any device still cannot map memory, or what the kernel drives.
CASE(no_ram) {
    zx_handle_t bti = device(0);
    zx_handle_t own = contiguous(bti, PAGE, 0);
    zx_paddr_t a;
    zx_handle_t pmt;
    zx_handle_t vmo;
    EXPECT_OK(zx_bti_pin(bti, READ_WRITE | ZX_BTI_CONTIGUOUS, own, 0, PAGE, &a, 1, &pmt));
    EXPECT_STATUS(zx_vmo_create_physical(mmio(), a, PAGE, &vmo), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_vmo_create_physical(mmio(), 0, 1ull << 40, &vmo), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_vmo_create_physical(mmio(), 0xfee0'0000, PAGE, &vmo), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_vmo_create_physical(mmio(), 0xfec0'0000, PAGE, &vmo), ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_pmt_unpin(pmt));
    EXPECT_CLOSE(own);
    EXPECT_CLOSE(bti);
}
