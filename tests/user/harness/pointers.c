// Addresses at which the kernel must not be able to read or write for a program.
#include <utest/utest.h>

#include <jacinth/startup.h>

#include "harness_priv.h"

constexpr size_t PAGE = 4096;

// Set once, before the first case.
static struct {
    uintptr_t writable;  // a page between two holes
    uintptr_t read_only; // likewise
    uintptr_t no_access;
    uintptr_t hole;
} area;

static zx_handle_t make_region(size_t size, zx_vaddr_t* base) {
    zx_handle_t region;
    EXPECT_OK(zx_vmar_allocate(zx_vmar_root_self(),
                               ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC, 0,
                               size, &region, base));
    return region;
}

// The region's handle is closed: the mapping stays, and nothing else can be mapped in the holes.
void* utest_guarded_pages(size_t pages, zx_vm_option_t permissions) {
    zx_vaddr_t base;
    zx_vaddr_t at;
    zx_handle_t region = make_region((pages + 2) * PAGE, &base);
    zx_handle_t vmo = utest_vmo(pages * PAGE);
    EXPECT_OK(zx_vmar_map(region, ZX_VM_SPECIFIC | permissions, PAGE, vmo, 0, pages * PAGE, &at));
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(region);
    EXPECT_EQ(at, base + PAGE);
    return (void*)at;
}

void utest_pointers_prepare(void) {
    area.writable = (uintptr_t)utest_guarded_pages(1, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE);
    area.read_only = (uintptr_t)utest_guarded_pages(1, ZX_VM_PERM_READ);
    area.no_access = (uintptr_t)utest_guarded_pages(1, 0);
    area.hole = area.writable - PAGE;
}

struct kind {
    const char* what;
    uintptr_t address;
    uint32_t only; // bits of utest_bad_pointers.kinds that must be set
    uint32_t not_if;
};

// Straddling ones begin where half of the object still fits.
static struct kind kind_at(uint32_t index, size_t size) {
    size_t half = size / 2;
    switch (index) {
    case 0:
        return (struct kind){"null pointer", 0, 0, UTEST_OR_NULL};
    case 1:
        return (struct kind){"unmapped memory", area.hole, 0, 0};
    case 2:
        return (struct kind){"inaccessible memory", area.no_access, 0, 0};
    case 3:
        return (struct kind){"read-only memory", area.read_only, UTEST_WRITE, 0};
    case 4:
        return (struct kind){"end of a mapping", area.writable + PAGE - half, 0, 0};
    case 5:
        return (struct kind){"beginning of a mapping", area.writable - (size - half), 0, 0};
    case 6:
        return (struct kind){"kernel memory", 0xffffffff80000000, 0, 0};
    case 7:
        return (struct kind){"direct map", 0xffff800000000000, 0, 0};
    case 8:
        return (struct kind){"non-canonical address", 0x0000800000000000, 0, 0};
    case 9:
        return (struct kind){"end of user space", 0x0000800000000000 - half, 0, 0};
    case 10:
        return (struct kind){"end of the address space", UINTPTR_MAX - half, 0, 0};
    default:
        return (struct kind){};
    }
}

bool utest_bad_pointer_next(struct utest_bad_pointers* bad, void** out) {
    for (;;) {
        struct kind kind = kind_at(bad->next++, bad->size);
        if (kind.what == nullptr) {
            utest_context(nullptr);
            return false;
        }
        if ((bad->kinds & kind.only) == kind.only && (bad->kinds & kind.not_if) == 0) {
            utest_context(kind.what);
            *out = (void*)kind.address;
            return true;
        }
    }
}
