// What an address space looks like to those who may ask: this program's own, and those of programs
// that the launcher has prepared and that never run.
#include <utest/utest.h>

#include <stdlib.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>

GROUP("maps");

constexpr zx_vm_option_t PERMS = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
constexpr uint64_t PAGE = 4096;

// The file's headers lie at the beginning of the image (System V ABI, chapter 5).
struct file_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
constexpr uint32_t SEGMENT_LOAD = 1, SEGMENT_X = 1, SEGMENT_W = 2, SEGMENT_R = 4;
extern const struct file_header image [[gnu::visibility("hidden")]] __asm__("__ehdr_start");

struct map {
    zx_info_maps_t* entry;
    size_t count;
};

static struct map map_of(zx_handle_t process) {
    size_t avail;
    struct map map = {};
    EXPECT_OK(zx_object_get_info(process, ZX_INFO_PROCESS_MAPS, nullptr, 0, nullptr, &avail));
    avail += 16; // the memory for the answer is in the answer
    map.entry = calloc(avail, sizeof(*map.entry));
    EXPECT(map.entry != nullptr);
    EXPECT_OK(zx_object_get_info(process, ZX_INFO_PROCESS_MAPS, map.entry,
                                 avail * sizeof(*map.entry), &map.count, &avail));
    EXPECT_EQ(map.count, avail);
    return map;
}

// The mapping at an address; null: nothing is mapped there.
static const zx_info_maps_t* mapping_at(const struct map* map, uint64_t address) {
    for (size_t i = 0; i < map->count; i++) {
        const zx_info_maps_t* e = &map->entry[i];
        if (e->type == ZX_INFO_MAPS_TYPE_MAPPING && address - e->base < e->size) {
            return e;
        }
    }
    return nullptr;
}

static void expect_no_writable_code(const struct map* map) {
    for (size_t i = 0; i < map->count; i++) {
        const zx_info_maps_t* e = &map->entry[i];
        if (e->type == ZX_INFO_MAPS_TYPE_MAPPING) {
            zx_vm_option_t both = ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
            EXPECT((e->u.mapping.mmu_flags & both) != both);
        }
    }
}

CASE(rights_are_the_segments) {
    struct map map = map_of(zx_process_self());
    expect_no_writable_code(&map);
    uint32_t kinds = 0;
    const struct segment* seg = (const void*)((uintptr_t)&image + image.phoff);
    for (uint16_t i = 0; i < image.phnum; i++) {
        if (seg[i].type != SEGMENT_LOAD) {
            continue;
        }
        zx_vm_option_t want = ((seg[i].flags & SEGMENT_R) != 0 ? ZX_VM_PERM_READ : 0) |
                              ((seg[i].flags & SEGMENT_W) != 0 ? ZX_VM_PERM_WRITE : 0) |
                              ((seg[i].flags & SEGMENT_X) != 0 ? ZX_VM_PERM_EXECUTE : 0);
        uint64_t begin = (uintptr_t)&image + seg[i].vaddr;
        for (uint64_t at = begin & -PAGE; at < begin + seg[i].memsz; at += PAGE) {
            const zx_info_maps_t* e = mapping_at(&map, at);
            EXPECT(e != nullptr);
            EXPECT_EQ(e->u.mapping.mmu_flags & PERMS, want);
        }
        kinds |= 1u << seg[i].flags;
    }
    // Constants, code and data: a test that saw none would say nothing.
    EXPECT((kinds & 1u << SEGMENT_R) != 0);
    EXPECT((kinds & 1u << (SEGMENT_R | SEGMENT_X)) != 0);
    EXPECT((kinds & 1u << (SEGMENT_R | SEGMENT_W)) != 0);
    free(map.entry);
}

CASE(stack_and_guard) {
    struct map map = map_of(zx_process_self());
    const zx_info_maps_t* stack = mapping_at(&map, (uintptr_t)__builtin_frame_address(0));
    EXPECT(stack != nullptr);
    EXPECT_EQ(stack->u.mapping.mmu_flags & PERMS, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE);
    EXPECT(stack->size >= 64 * 1024);
    EXPECT(mapping_at(&map, stack->base - 1) == nullptr);
    free(map.entry);
}

// Twenty programs are not at twenty times the same place, and none has writable code.
CASE(places_differ) {
    constexpr size_t STARTS = 20;
    uint64_t place[STARTS];
    struct launch_file file = {};
    struct launch_vdso vdso;
    EXPECT_OK(bootsvc_open(bootsvc_startup(), "bin/hello", &file.vmo, &file.len));
    EXPECT_EQ(launch_vdso_init(&vdso, zx_vmo_vdso()).error, LAUNCH_OK);
    const char* const args[] = {"hello"};
    size_t different = 0;
    for (size_t i = 0; i < STARTS; i++) {
        struct launch_request request = {.job = zx_job_default(),
                                         .name = "hello",
                                         .file = file,
                                         .vdso = &vdso,
                                         .args = args,
                                         .arg_count = 1};
        struct launched made;
        EXPECT_EQ(launch_prepare(&request, &made).error, LAUNCH_OK);
        struct map map = map_of(made.process);
        expect_no_writable_code(&map);
        zx_vaddr_t vdso_base;
        EXPECT_OK(zx_object_get_property(made.process, ZX_PROP_PROCESS_VDSO_BASE_ADDRESS,
                                         &vdso_base, sizeof(vdso_base)));
        EXPECT(mapping_at(&map, vdso_base) != nullptr);
        const zx_info_maps_t* code = mapping_at(&map, made.entry);
        EXPECT(code != nullptr);
        place[i] = code->base;
        bool seen = false;
        for (size_t k = 0; k < i; k++) {
            seen = seen || place[k] == place[i];
        }
        different += seen ? 0 : 1;
        free(map.entry);
        launch_abandon(&made);
    }
    EXPECT(different >= 16);
    EXPECT_CLOSE(file.vmo);
}
