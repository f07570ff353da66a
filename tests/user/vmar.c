// Regions and mappings: where things go, what may be done to them, and what the memory then does.
#include <utest/utest.h>

#include <string.h>

#include <jacinth/startup.h>

GROUP("vmar");

constexpr size_t PAGE = 4096;
constexpr zx_vm_option_t READ = ZX_VM_PERM_READ;
constexpr zx_vm_option_t READ_WRITE = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
constexpr zx_vm_option_t CAN_ALL =
    ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE | ZX_VM_CAN_MAP_SPECIFIC;

static zx_handle_t root(void) {
    return zx_vmar_root_self();
}

static zx_handle_t region(size_t size, zx_vaddr_t* base) {
    zx_handle_t vmar;
    EXPECT_OK(zx_vmar_allocate(root(), CAN_ALL, 0, size, &vmar, base));
    return vmar;
}

static void drop(zx_handle_t vmar) {
    EXPECT_OK(zx_vmar_destroy(vmar));
    EXPECT_CLOSE(vmar);
}

static uint8_t peek(zx_vaddr_t at) {
    return *(volatile uint8_t*)at;
}
static void poke(zx_vaddr_t at, uint8_t value) {
    *(volatile uint8_t*)at = value;
}

// Whether the byte can be read or written, asked of the kernel: a call that copies.
static bool readable(zx_vaddr_t at) {
    struct utest_pair pair = utest_channel();
    zx_status_t status = zx_channel_write(pair.a, 0, (void*)at, 1, nullptr, 0);
    EXPECT(status == ZX_OK || status == ZX_ERR_INVALID_ARGS);
    utest_close_pair(pair);
    return status == ZX_OK;
}

static bool writable(zx_vaddr_t at) {
    if (!readable(at)) {
        return false;
    }
    uint8_t old = peek(at);
    struct utest_pair pair = utest_channel();
    EXPECT_OK(zx_channel_write(pair.a, 0, &old, 1, nullptr, 0));
    zx_status_t status = zx_channel_read(pair.b, 0, (void*)at, nullptr, 1, 0, nullptr, nullptr);
    EXPECT(status == ZX_OK || status == ZX_ERR_INVALID_ARGS);
    utest_close_pair(pair);
    return status == ZX_OK;
}

// ---- regions ----

CASE(root_region) {
    zx_info_vmar_t info;
    EXPECT_OK(zx_object_get_info(root(), ZX_INFO_VMAR, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.base, 0x200000);
    EXPECT((uintptr_t)&info >= info.base && (uintptr_t)&info < info.base + info.len);
    EXPECT_STATUS(zx_vmar_destroy(root()), ZX_ERR_NOT_SUPPORTED);
}

CASE(allocate) {
    zx_vaddr_t base;
    zx_handle_t vmar = region(16 * PAGE, &base);
    zx_info_vmar_t info;
    EXPECT_OK(zx_object_get_info(vmar, ZX_INFO_VMAR, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.base, base);
    EXPECT_EQ(info.len, 16 * PAGE);
    EXPECT_EQ(base % PAGE, 0);
    EXPECT_EQ(utest_basic(vmar).rights,
              ZX_DEFAULT_VMAR_RIGHTS | ZX_RIGHT_READ | ZX_RIGHT_WRITE | ZX_RIGHT_EXECUTE);
    // A size is rounded up to pages.
    zx_handle_t inner;
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_allocate(vmar, ZX_VM_CAN_MAP_READ, 0, 1, &inner, &at));
    EXPECT_OK(zx_object_get_info(inner, ZX_INFO_VMAR, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.len, PAGE);
    EXPECT_EQ(utest_basic(inner).rights, ZX_DEFAULT_VMAR_RIGHTS | ZX_RIGHT_READ);
    EXPECT_CLOSE(inner);
    drop(vmar);
}

CASE(allocate_random) {
    // Twenty places in a row are no twenty neighbours. (Small regions share blocks of 2 MiB, each
    // at a random one of some 512 places in it.)
    zx_vaddr_t last = 0;
    uint32_t near = 0;
    for (uint32_t i = 0; i < 20; i++) {
        zx_vaddr_t base;
        zx_handle_t vmar = region(PAGE, &base);
        near += base - last <= 2 * PAGE || last - base <= 2 * PAGE;
        last = base;
        drop(vmar);
    }
    EXPECT(near < 5);
}

CASE(allocate_specific) {
    zx_vaddr_t base;
    zx_handle_t vmar = region(16 * PAGE, &base);
    zx_handle_t inner;
    zx_vaddr_t at;
    zx_vm_option_t options = ZX_VM_CAN_MAP_READ | ZX_VM_SPECIFIC;
    EXPECT_OK(zx_vmar_allocate(vmar, options, 4 * PAGE, 2 * PAGE, &inner, &at));
    EXPECT_EQ(at, base + 4 * PAGE);
    zx_handle_t other;
    EXPECT_STATUS(zx_vmar_allocate(vmar, options, 5 * PAGE, 2 * PAGE, &other, &at),
                  ZX_ERR_ALREADY_EXISTS);
    EXPECT_STATUS(zx_vmar_allocate(vmar, options, 15 * PAGE, 2 * PAGE, &other, &at),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_allocate(vmar, options, 4 * PAGE + 1, PAGE, &other, &at),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_vmar_allocate(vmar, options, 6 * PAGE, PAGE, &other, &at));
    EXPECT_CLOSE(other);
    EXPECT_CLOSE(inner);
    // The range stays taken without its handle.
    EXPECT_STATUS(zx_vmar_allocate(vmar, options, 4 * PAGE, PAGE, &other, &at),
                  ZX_ERR_ALREADY_EXISTS);
    drop(vmar);
}

CASE(allocate_errors) {
    zx_vaddr_t base;
    zx_handle_t vmar = region(16 * PAGE, &base);
    zx_handle_t out;
    zx_vaddr_t at;
    EXPECT_STATUS(zx_vmar_allocate(vmar, READ, 0, PAGE, &out, &at), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_allocate(vmar, ZX_VM_CAN_MAP_READ, PAGE, PAGE, &out, &at),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_allocate(vmar, ZX_VM_CAN_MAP_READ, 0, 0, &out, &at), ZX_ERR_INVALID_ARGS);
    // Larger than its parent.
    EXPECT_STATUS(zx_vmar_allocate(vmar, ZX_VM_CAN_MAP_READ, 0, 17 * PAGE, &out, &at),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_allocate(vmar, ZX_VM_CAN_MAP_READ, 0, SIZE_MAX, &out, &at),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_allocate(ZX_HANDLE_INVALID, 0, 0, PAGE, &out, &at), ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_vmar_allocate(event, 0, 0, PAGE, &out, &at), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    static const struct {
        zx_rights_t right;
        zx_vm_option_t option;
    } needs[] = {{ZX_RIGHT_READ, ZX_VM_CAN_MAP_READ},
                 {ZX_RIGHT_WRITE, ZX_VM_CAN_MAP_WRITE},
                 {ZX_RIGHT_EXECUTE, ZX_VM_CAN_MAP_EXECUTE}};
    for (uint32_t i = 0; i < 3; i++) {
        zx_handle_t weak = utest_without(vmar, needs[i].right);
        EXPECT_STATUS(zx_vmar_allocate(weak, needs[i].option, 0, PAGE, &out, &at),
                      ZX_ERR_ACCESS_DENIED);
        EXPECT_CLOSE(weak);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(out)) {
        EXPECT_STATUS(zx_vmar_allocate(vmar, 0, 0, 16 * PAGE, p, &at), ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(at)) {
        EXPECT_STATUS(zx_vmar_allocate(vmar, 0, 0, 16 * PAGE, &out, p), ZX_ERR_INVALID_ARGS);
    }
    // None of these failures took the room.
    EXPECT_OK(zx_vmar_allocate(vmar, 0, 0, 16 * PAGE, &out, &at));
    EXPECT_CLOSE(out);
    drop(vmar);
}

CASE(destroy) {
    zx_vaddr_t base;
    zx_handle_t vmar = region(16 * PAGE, &base);
    zx_handle_t inner;
    zx_handle_t vmo = utest_vmo(PAGE);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_allocate(vmar, CAN_ALL, 0, 4 * PAGE, &inner, &at));
    EXPECT_OK(zx_vmar_map(inner, READ_WRITE, 0, vmo, 0, PAGE, &at));
    poke(at, 1);
    EXPECT_OK(zx_vmar_destroy(vmar));
    EXPECT(!readable(at));
    zx_handle_t out;
    EXPECT_STATUS(zx_vmar_destroy(vmar), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_vmar_destroy(inner), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_vmar_map(inner, READ, 0, vmo, 0, PAGE, &at), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_vmar_allocate(vmar, 0, 0, PAGE, &out, &at), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_vmar_unmap(vmar, base, PAGE), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_vmar_protect(vmar, READ, base, PAGE), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(inner);
    EXPECT_CLOSE(vmar);
    EXPECT_CLOSE(vmo);
}

// ---- mappings ----

CASE(map) {
    zx_handle_t vmo = utest_vmo(2 * PAGE);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(root(), READ_WRITE, 0, vmo, 0, 2 * PAGE, &at));
    EXPECT_EQ(peek(at), 0);
    poke(at + PAGE, 7);
    uint8_t byte;
    EXPECT_OK(zx_vmo_read(vmo, &byte, PAGE, 1));
    EXPECT_EQ(byte, 7);
    // The mapping keeps the object.
    EXPECT_CLOSE(vmo);
    poke(at, 8);
    EXPECT_EQ(peek(at), 8);
    EXPECT_EQ(peek(at + PAGE), 7);
    EXPECT_OK(zx_vmar_unmap(root(), at, 2 * PAGE));
    EXPECT(!readable(at));
}

CASE(map_offset) {
    zx_handle_t vmo = utest_vmo(4 * PAGE);
    uint8_t byte = 9;
    EXPECT_OK(zx_vmo_write(vmo, &byte, 3 * PAGE, 1));
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(root(), READ, 0, vmo, 3 * PAGE, PAGE, &at));
    EXPECT_EQ(peek(at), 9);
    EXPECT(!writable(at));
    EXPECT_OK(zx_vmar_unmap(root(), at, PAGE));
    EXPECT_CLOSE(vmo);
}

CASE(map_twice) {
    zx_handle_t vmo = utest_vmo(PAGE);
    zx_vaddr_t a;
    zx_vaddr_t b;
    EXPECT_OK(zx_vmar_map(root(), READ_WRITE, 0, vmo, 0, PAGE, &a));
    EXPECT_OK(zx_vmar_map(root(), READ, 0, vmo, 0, PAGE, &b));
    EXPECT(a != b);
    poke(a, 3);
    EXPECT_EQ(peek(b), 3);
    EXPECT_OK(zx_vmar_unmap(root(), a, PAGE));
    EXPECT_EQ(peek(b), 3);
    EXPECT_OK(zx_vmar_unmap(root(), b, PAGE));
    EXPECT_CLOSE(vmo);
}

CASE(map_specific) {
    zx_vaddr_t base;
    zx_handle_t vmar = region(8 * PAGE, &base);
    zx_handle_t vmo = utest_vmo(4 * PAGE);
    zx_vaddr_t at;
    zx_vm_option_t options = READ_WRITE | ZX_VM_SPECIFIC;
    EXPECT_OK(zx_vmar_map(vmar, options, 2 * PAGE, vmo, 0, 2 * PAGE, &at));
    EXPECT_EQ(at, base + 2 * PAGE);
    EXPECT_STATUS(zx_vmar_map(vmar, options, 3 * PAGE, vmo, 0, PAGE, &at), ZX_ERR_ALREADY_EXISTS);
    EXPECT_STATUS(zx_vmar_map(vmar, options, 1, vmo, 0, PAGE, &at), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_map(vmar, options, 7 * PAGE, vmo, 0, 2 * PAGE, &at), ZX_ERR_INVALID_ARGS);
    poke(base + 3 * PAGE, 1);
    // Over what is there.
    zx_handle_t second = utest_vmo(PAGE);
    options = READ_WRITE | ZX_VM_SPECIFIC_OVERWRITE;
    EXPECT_OK(zx_vmar_map(vmar, options, 3 * PAGE, second, 0, PAGE, &at));
    EXPECT_EQ(peek(base + 3 * PAGE), 0);
    uint8_t byte;
    EXPECT_OK(zx_vmo_read(vmo, &byte, PAGE, 1));
    EXPECT_EQ(byte, 1);
    // Not over a region.
    zx_handle_t inner;
    EXPECT_OK(zx_vmar_allocate(vmar, CAN_ALL | ZX_VM_SPECIFIC, 5 * PAGE, PAGE, &inner, &at));
    EXPECT_STATUS(zx_vmar_map(vmar, options, 4 * PAGE, vmo, 0, 2 * PAGE, &at), ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(inner);
    EXPECT_CLOSE(second);
    EXPECT_CLOSE(vmo);
    drop(vmar);
}

// Each entry of the top-level table is filled with tables of its own, works, and is empty again.
CASE(every_top_level_slot) {
    constexpr zx_vaddr_t SLOT = 1ull << 39; // what one entry covers
    constexpr uint32_t SLOTS = 256;         // of the user half
    zx_info_vmar_t info;
    EXPECT_OK(zx_object_get_info(root(), ZX_INFO_VMAR, &info, sizeof(info), nullptr, nullptr));
    EXPECT(info.base < SLOT && info.base + info.len > (SLOTS - 1) * SLOT);
    zx_handle_t vmo = utest_vmo(SLOTS * PAGE);
    zx_vaddr_t at[SLOTS];
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        // What lies in the middle of a slot may be the program's own: the next free page does.
        zx_vaddr_t want = slot * SLOT + SLOT / 2;
        zx_status_t status = ZX_ERR_ALREADY_EXISTS;
        for (uint32_t tries = 0; status == ZX_ERR_ALREADY_EXISTS && tries < 64; tries++) {
            status = zx_vmar_map(root(), READ_WRITE | ZX_VM_SPECIFIC,
                                 want + tries * (SLOT / 128) - info.base, vmo, slot * PAGE, PAGE,
                                 &at[slot]);
        }
        EXPECT_OK(status);
        EXPECT_EQ(at[slot] / SLOT, slot);
        *(volatile uint64_t*)at[slot] = ~(uint64_t)at[slot];
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        uint64_t stored;
        EXPECT_EQ(*(volatile uint64_t*)at[slot], ~(uint64_t)at[slot]);
        EXPECT_OK(zx_vmo_read(vmo, &stored, slot * PAGE, sizeof(stored)));
        EXPECT_EQ(stored, ~(uint64_t)at[slot]);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        EXPECT_OK(zx_vmar_unmap(root(), at[slot], PAGE));
        EXPECT(!readable(at[slot]));
    }
    EXPECT_CLOSE(vmo);
}

CASE(map_errors) {
    zx_handle_t vmo = utest_vmo(2 * PAGE);
    zx_vaddr_t at;
    EXPECT_STATUS(zx_vmar_map(root(), ZX_VM_PERM_WRITE, 0, vmo, 0, PAGE, &at), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_map(root(), READ, PAGE, vmo, 0, PAGE, &at), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_map(root(), READ, 0, vmo, 1, PAGE, &at), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_map(root(), READ, 0, vmo, 0, 0, &at), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_map(root(), READ | 1u << 23, 0, vmo, 0, PAGE, &at), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_map(root(), READ | ZX_VM_CAN_MAP_READ, 0, vmo, 0, PAGE, &at),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_map(root(), READ, 0, vmo, 0, 3 * PAGE, &at), ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_STATUS(zx_vmar_map(root(), READ, 0, vmo, 2 * PAGE, PAGE, &at), ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_STATUS(zx_vmar_map(root(), READ, 0, vmo, UINT64_MAX & ~(PAGE - 1), 2 * PAGE, &at),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_map(root(), READ, 0, ZX_HANDLE_INVALID, 0, PAGE, &at), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_vmar_map(ZX_HANDLE_INVALID, READ, 0, vmo, 0, PAGE, &at), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_vmar_map(vmo, READ, 0, vmo, 0, PAGE, &at), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_vmar_map(root(), READ, 0, root(), 0, PAGE, &at), ZX_ERR_WRONG_TYPE);
    // No room.
    zx_vaddr_t base;
    zx_handle_t vmar = region(2 * PAGE, &base);
    EXPECT_OK(zx_vmar_map(vmar, READ, 0, vmo, 0, PAGE, &at));
    EXPECT_STATUS(zx_vmar_map(vmar, READ, 0, vmo, 0, 2 * PAGE, &at), ZX_ERR_NO_RESOURCES);
    drop(vmar);
    // A mapping that nobody learns of is undone.
    vmar = region(PAGE, &base);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(at)) {
        EXPECT_STATUS(zx_vmar_map(vmar, READ, 0, vmo, 0, PAGE, p), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_OK(zx_vmar_map(vmar, READ, 0, vmo, 0, PAGE, &at));
    drop(vmar);
    EXPECT_CLOSE(vmo);
}

CASE(map_rights) {
    static const struct {
        zx_rights_t right;
        zx_vm_option_t option;
    } needs[] = {{ZX_RIGHT_MAP, 0},
                 {ZX_RIGHT_READ, READ},
                 {ZX_RIGHT_WRITE, READ_WRITE},
                 {ZX_RIGHT_EXECUTE, READ | ZX_VM_PERM_EXECUTE}};
    zx_handle_t plain = utest_vmo(PAGE);
    zx_handle_t vmo;
    EXPECT_OK(zx_vmo_replace_as_executable(plain, ZX_HANDLE_INVALID, &vmo));
    zx_vaddr_t base;
    zx_vaddr_t at;
    zx_handle_t vmar = region(8 * PAGE, &base);
    for (uint32_t i = 0; i < 4; i++) {
        zx_handle_t weak = utest_without(vmo, needs[i].right);
        EXPECT_STATUS(zx_vmar_map(vmar, needs[i].option, 0, weak, 0, PAGE, &at),
                      ZX_ERR_ACCESS_DENIED);
        EXPECT_CLOSE(weak);
        EXPECT_OK(zx_vmar_map(vmar, needs[i].option, 0, vmo, 0, PAGE, &at));
        if (i > 0) {
            weak = utest_without(vmar, needs[i].right);
            EXPECT_STATUS(zx_vmar_map(weak, needs[i].option, 0, vmo, 0, PAGE, &at),
                          ZX_ERR_ACCESS_DENIED);
            EXPECT_CLOSE(weak);
        }
    }
    // A region that may not hold it.
    zx_handle_t inner;
    EXPECT_OK(zx_vmar_allocate(vmar, ZX_VM_CAN_MAP_READ, 0, PAGE, &inner, &at));
    EXPECT_STATUS(zx_vmar_map(inner, READ_WRITE, 0, vmo, 0, PAGE, &at), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_vmar_map(inner, READ | ZX_VM_SPECIFIC, 0, vmo, 0, PAGE, &at),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(inner);
    EXPECT_CLOSE(vmo);
    drop(vmar);
}

CASE(allow_faults) {
    zx_handle_t vmo;
    zx_vaddr_t at;
    EXPECT_OK(zx_vmo_create(PAGE, ZX_VMO_RESIZABLE, &vmo));
    EXPECT_STATUS(zx_vmar_map(root(), READ | ZX_VM_REQUIRE_NON_RESIZABLE, 0, vmo, 0, PAGE, &at),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_OK(zx_vmar_map(root(), READ_WRITE | ZX_VM_ALLOW_FAULTS, 0, vmo, 0, 2 * PAGE, &at));
    EXPECT(readable(at));
    EXPECT(!readable(at + PAGE)); // beyond the end
    EXPECT_OK(zx_vmo_set_size(vmo, 2 * PAGE));
    poke(at + PAGE, 5);
    EXPECT_OK(zx_vmo_set_size(vmo, PAGE));
    EXPECT(!readable(at + PAGE));
    EXPECT_OK(zx_vmar_unmap(root(), at, 2 * PAGE));
    EXPECT_CLOSE(vmo);
}

CASE(upper_limit) {
    zx_vaddr_t base;
    zx_handle_t vmar = region(64 * PAGE, &base);
    zx_handle_t vmo = utest_vmo(PAGE);
    for (uint32_t i = 0; i < 8; i++) {
        zx_vaddr_t at;
        EXPECT_OK(
            zx_vmar_map(vmar, READ | ZX_VM_OFFSET_IS_UPPER_LIMIT, 8 * PAGE, vmo, 0, PAGE, &at));
        EXPECT(at + PAGE <= base + 8 * PAGE);
    }
    zx_vaddr_t at;
    EXPECT_STATUS(
        zx_vmar_map(vmar, READ | ZX_VM_OFFSET_IS_UPPER_LIMIT, 8 * PAGE, vmo, 0, PAGE, &at),
        ZX_ERR_NO_RESOURCES);
    EXPECT_CLOSE(vmo);
    drop(vmar);
}

CASE(alignment) {
    zx_handle_t vmo = utest_vmo(PAGE);
    for (uint32_t log2 = 12; log2 <= 24; log2 += 4) {
        zx_vaddr_t at;
        EXPECT_OK(zx_vmar_map(root(), READ | log2 << ZX_VM_ALIGN_BASE, 0, vmo, 0, PAGE, &at));
        EXPECT_EQ(at & ((1ull << log2) - 1), 0);
        EXPECT_OK(zx_vmar_unmap(root(), at, PAGE));
    }
    EXPECT_CLOSE(vmo);
}

CASE(map_range) {
    zx_handle_t vmo = utest_vmo(16 * PAGE);
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, 16 * PAGE, nullptr, 0));
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(root(), READ_WRITE | ZX_VM_MAP_RANGE, 0, vmo, 0, 16 * PAGE, &at));
    for (uint32_t i = 0; i < 16; i++) {
        poke(at + i * PAGE, (uint8_t)i);
    }
    zx_vaddr_t base;
    zx_handle_t vmar = region(16 * PAGE, &base);
    EXPECT_STATUS(zx_vmar_map(vmar, READ | ZX_VM_MAP_RANGE | ZX_VM_SPECIFIC_OVERWRITE, 0, vmo, 0,
                              PAGE, &base),
                  ZX_ERR_INVALID_ARGS);
    drop(vmar);
    EXPECT_OK(zx_vmar_unmap(root(), at, 16 * PAGE));
    EXPECT_CLOSE(vmo);
}

// ---- unmap and protect ----

CASE(unmap_splits) {
    zx_vaddr_t base;
    zx_handle_t vmar = region(16 * PAGE, &base);
    zx_handle_t vmo = utest_vmo(8 * PAGE);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(vmar, READ_WRITE | ZX_VM_SPECIFIC, 0, vmo, 0, 8 * PAGE, &at));
    for (uint32_t i = 0; i < 8; i++) {
        poke(at + i * PAGE, (uint8_t)(i + 1));
    }
    EXPECT_OK(zx_vmar_unmap(vmar, at + 3 * PAGE, 2 * PAGE));
    for (uint32_t i = 0; i < 8; i++) {
        bool hole = i == 3 || i == 4;
        EXPECT_EQ(readable(at + i * PAGE), !hole);
        if (!hole) {
            EXPECT_EQ(peek(at + i * PAGE), i + 1);
        }
    }
    EXPECT_OK(zx_vmar_unmap(vmar, at, 8 * PAGE)); // over the hole as well
    EXPECT_STATUS(zx_vmar_unmap(vmar, at, 8 * PAGE), ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(vmo);
    drop(vmar);
}

CASE(unmap_errors) {
    zx_vaddr_t base;
    zx_handle_t vmar = region(16 * PAGE, &base);
    zx_handle_t inner;
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_allocate(vmar, CAN_ALL | ZX_VM_SPECIFIC, 4 * PAGE, 4 * PAGE, &inner, &at));
    EXPECT_STATUS(zx_vmar_unmap(vmar, base + 1, PAGE), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_unmap(vmar, base, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_unmap(vmar, base - PAGE, PAGE), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_unmap(vmar, base + 15 * PAGE, 2 * PAGE), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_unmap(vmar, base, SIZE_MAX - PAGE + 1), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_unmap(vmar, base + 3 * PAGE, 2 * PAGE), ZX_ERR_INVALID_ARGS); // cuts it
    EXPECT_STATUS(zx_vmar_unmap(ZX_HANDLE_INVALID, base, PAGE), ZX_ERR_BAD_HANDLE);
    EXPECT_CLOSE(inner);
    drop(vmar);
}

CASE(protect) {
    zx_handle_t vmo = utest_vmo(4 * PAGE);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(root(), READ_WRITE, 0, vmo, 0, 4 * PAGE, &at));
    poke(at + PAGE, 7);
    EXPECT_OK(zx_vmar_protect(root(), READ, at + PAGE, PAGE));
    EXPECT(writable(at));
    EXPECT(!writable(at + PAGE));
    EXPECT_EQ(peek(at + PAGE), 7);
    EXPECT(writable(at + 2 * PAGE));
    EXPECT_OK(zx_vmar_protect(root(), 0, at + PAGE, 2 * PAGE));
    EXPECT(!readable(at + PAGE));
    EXPECT(!readable(at + 2 * PAGE));
    EXPECT_OK(zx_vmar_protect(root(), READ_WRITE, at, 4 * PAGE));
    EXPECT_EQ(peek(at + PAGE), 7);
    poke(at + PAGE, 8);
    EXPECT_OK(zx_vmar_unmap(root(), at, 4 * PAGE));
    EXPECT_CLOSE(vmo);
}

CASE(protect_errors) {
    zx_handle_t vmo = utest_vmo(2 * PAGE);
    zx_handle_t reader = utest_without(vmo, ZX_RIGHT_WRITE);
    zx_vaddr_t base;
    zx_vaddr_t at;
    zx_handle_t vmar = region(8 * PAGE, &base);
    EXPECT_OK(zx_vmar_map(vmar, READ | ZX_VM_SPECIFIC, 0, reader, 0, 2 * PAGE, &at));
    // What the handle allowed is the limit for good.
    EXPECT_STATUS(zx_vmar_protect(vmar, READ_WRITE, at, PAGE), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_vmar_protect(vmar, READ | ZX_VM_PERM_EXECUTE, at, PAGE), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_vmar_protect(vmar, ZX_VM_PERM_WRITE, at, PAGE), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_protect(vmar, READ, at, 3 * PAGE), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(zx_vmar_protect(vmar, READ, at + 4 * PAGE, PAGE), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(zx_vmar_protect(vmar, READ, at + 1, PAGE), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_protect(vmar, READ, at, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_protect(vmar, READ | ZX_VM_SPECIFIC, at, PAGE), ZX_ERR_INVALID_ARGS);
    zx_handle_t weak = utest_without(vmar, ZX_RIGHT_READ);
    EXPECT_STATUS(zx_vmar_protect(weak, READ, at, PAGE), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    zx_handle_t inner;
    EXPECT_OK(zx_vmar_allocate(vmar, CAN_ALL | ZX_VM_SPECIFIC, 2 * PAGE, PAGE, &inner, &at));
    EXPECT_STATUS(zx_vmar_protect(vmar, READ, base, 3 * PAGE), ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(inner);
    EXPECT_CLOSE(reader);
    EXPECT_CLOSE(vmo);
    drop(vmar);
}

// ---- ranges ----

CASE(op_range) {
    zx_handle_t vmo = utest_vmo(8 * PAGE);
    zx_vaddr_t at;
    zx_info_vmo_t info;
    EXPECT_OK(zx_vmar_map(root(), READ_WRITE, 0, vmo, 0, 8 * PAGE, &at));
    EXPECT_OK(zx_vmar_op_range(root(), ZX_VMAR_OP_COMMIT, at, 4 * PAGE, nullptr, 0));
    EXPECT_OK(zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.committed_bytes, 4 * PAGE);
    poke(at, 5);
    EXPECT_OK(zx_vmar_op_range(root(), ZX_VMAR_OP_DECOMMIT, at, PAGE, nullptr, 0));
    EXPECT_EQ(peek(at), 0);
    poke(at + PAGE, 6);
    EXPECT_OK(zx_vmar_op_range(root(), ZX_VMAR_OP_ZERO, at + PAGE, PAGE, nullptr, 0));
    EXPECT_EQ(peek(at + PAGE), 0);
    EXPECT_OK(zx_vmar_op_range(root(), ZX_VMAR_OP_MAP_RANGE, at, 8 * PAGE, nullptr, 0));
    uint8_t byte;
    EXPECT_STATUS(zx_vmar_op_range(root(), ZX_VMAR_OP_COMMIT, at, PAGE, &byte, 1),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_op_range(root(), 99, at, PAGE, nullptr, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmar_op_range(root(), ZX_VMAR_OP_COMMIT, at + 1, PAGE, nullptr, 0),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_vmar_unmap(root(), at + 2 * PAGE, PAGE));
    EXPECT_STATUS(zx_vmar_op_range(root(), ZX_VMAR_OP_COMMIT, at, 8 * PAGE, nullptr, 0),
                  ZX_ERR_BAD_STATE);
    EXPECT_OK(zx_vmar_unmap(root(), at, 8 * PAGE));
    EXPECT_CLOSE(vmo);
}

// ---- code ----

typedef int (*function)(void);

CASE(run_code) {
    // movl $42, %eax; ret. Not at the start of its page: debug builds look at the bytes before a
    // function that is called through a pointer.
    static const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3};
    constexpr size_t CODE_AT = 64;
    zx_handle_t vmo = utest_vmo(PAGE);
    zx_handle_t executable;
    EXPECT_OK(zx_vmo_write(vmo, code, CODE_AT, sizeof(code)));
    EXPECT_OK(zx_vmo_replace_as_executable(vmo, ZX_HANDLE_INVALID, &executable));
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(root(), READ | ZX_VM_PERM_EXECUTE, 0, executable, 0, PAGE, &at));
    EXPECT_EQ(((function)(at + CODE_AT))(), 42);
    EXPECT(!writable(at));
    EXPECT_OK(zx_vmar_unmap(root(), at, PAGE));
    EXPECT_CLOSE(executable);
}

// ---- the vDSO ----

// Its mapping can neither be removed nor changed nor made a second time.
CASE(vdso) {
    uintptr_t vdso;
    EXPECT_OK(zx_object_get_property(zx_process_self(), ZX_PROP_PROCESS_VDSO_BASE_ADDRESS, &vdso,
                                     sizeof(vdso)));
    EXPECT(vdso != 0);
    EXPECT_EQ(memcmp((void*)vdso,
                     "\x7f"
                     "ELF",
                     4),
              0);
    uint64_t size;
    EXPECT_OK(zx_vmo_get_size(zx_vmo_vdso(), &size));
    zx_vaddr_t at;
    // The code can be run from one place only.
    for (uint64_t offset = 0; offset < size; offset += PAGE) {
        zx_status_t status = zx_vmar_map(root(), READ | ZX_VM_PERM_EXECUTE, 0, zx_vmo_vdso(),
                                         offset, size - offset, &at);
        EXPECT_STATUS(status, ZX_ERR_ACCESS_DENIED);
    }
    zx_vaddr_t last = vdso + size - PAGE;
    EXPECT_STATUS(zx_vmar_unmap(root(), last, PAGE), ZX_ERR_ACCESS_DENIED);
    // Through the root region it cannot be reached (INVALID_ARGS), through its own it is refused.
    zx_status_t status = zx_vmar_protect(root(), READ, last, PAGE);
    EXPECT(status == ZX_ERR_INVALID_ARGS || status == ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_nanosleep(0));
}

// ---- races ----

struct race {
    zx_vaddr_t at;
    zx_handle_t vmar;
    atomic_bool stop;
};

static void remap(void* arg) {
    struct race* r = arg;
    zx_handle_t vmo = utest_vmo(PAGE);
    zx_vaddr_t at;
    while (!atomic_load(&r->stop)) {
        EXPECT_OK(zx_vmar_map(r->vmar, READ_WRITE | ZX_VM_SPECIFIC, 0, vmo, 0, PAGE, &at));
        EXPECT_OK(zx_vmar_unmap(r->vmar, at, PAGE));
    }
    EXPECT_CLOSE(vmo);
}

// Calls that copy while the memory comes and goes: copied, or an error, and nothing else.
CASE_WITHIN(copy_while_unmapped, 60) {
    struct race r = {};
    r.vmar = region(PAGE, &r.at);
    struct utest_thread t;
    utest_thread_start(&t, remap, &r);
    struct utest_pair pair = utest_channel();
    static uint8_t buffer[4096];
    for (uint32_t i = 0; i < 1000; i++) {
        zx_status_t status = zx_channel_write(pair.a, 0, (void*)r.at, PAGE, nullptr, 0);
        EXPECT(status == ZX_OK || status == ZX_ERR_INVALID_ARGS);
        if (status == ZX_OK) {
            EXPECT_OK(zx_channel_read(pair.b, 0, buffer, nullptr, PAGE, 0, nullptr, nullptr));
        }
    }
    atomic_store(&r.stop, true);
    utest_thread_join(&t);
    utest_close_pair(pair);
    drop(r.vmar);
}

struct counting {
    volatile uint8_t* memory;
    atomic_bool stop;
};

static void count_up(void* arg) {
    struct counting* c = arg;
    while (!atomic_load(&c->stop)) {
        for (uint32_t i = 0; i < 8; i++) {
            c->memory[i * PAGE]++;
        }
    }
}

// A snapshot write-protects what another thread is writing: no write may be lost or leak into it.
CASE_WITHIN(snapshot_while_written, 60) {
    zx_handle_t vmo = utest_vmo(8 * PAGE);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(root(), READ_WRITE, 0, vmo, 0, 8 * PAGE, &at));
    struct counting c = {.memory = (uint8_t*)at};
    struct utest_thread t;
    utest_thread_start(&t, count_up, &c);
    for (uint32_t i = 0; i < 300; i++) {
        zx_handle_t copy;
        EXPECT_OK(zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, 8 * PAGE, &copy));
        uint8_t first[8];
        uint8_t second[8];
        for (uint32_t p = 0; p < 8; p++) {
            EXPECT_OK(zx_vmo_read(copy, &first[p], p * PAGE, 1));
        }
        // Pages are written in order: each is at most one behind the one before.
        for (uint32_t p = 1; p < 8; p++) {
            EXPECT((uint8_t)(first[p - 1] - first[p]) <= 1);
        }
        zx_thread_legacy_yield(0);
        for (uint32_t p = 0; p < 8; p++) {
            EXPECT_OK(zx_vmo_read(copy, &second[p], p * PAGE, 1));
            EXPECT_EQ(first[p], second[p]);
        }
        EXPECT_CLOSE(copy);
    }
    atomic_store(&c.stop, true);
    utest_thread_join(&t);
    EXPECT_OK(zx_vmar_unmap(root(), at, 8 * PAGE));
    EXPECT_CLOSE(vmo);
}
