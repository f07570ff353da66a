/*
 * PVH boot, second half: long mode, the first 4 GiB mapped one to one, running where the loader put
 * the file. Copies the kernel image to its place and goes there.
 *
 * Runs before relocation: no mutable or pointer-holding static data (the record is scratch memory
 * in .boot.bss, cleared by entry.S), and every address of a symbol is relative to the code.
 */

#include "pvh.h"

#include <early/block.h>
#include <early/cpu.h>
#include <early/enter.h>
#include <early/options.h>
#include <early/place.h>
#include <early/say.h>

// Linker script and entry.S.
extern const uint8_t __load_start[];
extern const uint8_t __load_end[];
extern const uint8_t __image_start[];
extern uint64_t pvh_tables[];

[[noreturn]] void pvh_main(uint64_t start_info_paddr);

// The temporary tables reach no further; everything placed here lies below.
constexpr uint64_t REACH = 1ull << 32;

static const void* reach_identity(uint64_t paddr) {
    return (const void*)(uintptr_t)paddr;
}

static void copy_quads(void* to, const void* from, uint64_t bytes) {
    uint64_t quads = bytes / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(quads)::"memory");
}

// Best effort: without a trampoline the kernel runs on one CPU.
static void place_trampoline(struct handoff* record, const struct handoff_span* avoid,
                             uint32_t avoid_count) {
    struct memory_map map = record_map(record);
    struct place_request request = {.length = HANDOFF_TRAMPOLINE_BYTES,
                                    .align = BOOT_PAGE_BYTES,
                                    .lowest = BOOT_PAGE_BYTES,
                                    .limit = 1ull << 20};
    uint64_t base;
    if (place_find(&map, avoid, avoid_count, &request, 0, &base)) {
        record->taken[HANDOFF_TAKEN_TRAMPOLINE] =
            (struct handoff_span){base, HANDOFF_TRAMPOLINE_BYTES};
    }
}

void pvh_main(uint64_t start_info_paddr) {
    uint64_t entry_tsc = cpu_tsc();
    static struct handoff scratch; // in .boot.bss (section.h)
    struct handoff* record = &scratch;
    struct handoff_span avoid[PVH_MAX_AVOID];

    record_init(record, HANDOFF_SOURCE_PVH, entry_tsc);
    const char* error =
        pvh_read(reach_identity(start_info_paddr), start_info_paddr, reach_identity, record, avoid);
    if (error != nullptr) {
        boot_fail(error);
    }
    avoid[PVH_MAX_AVOID - 1] = (struct handoff_span){(uint64_t)(uintptr_t)__load_start,
                                                     (uint64_t)(__load_end - __load_start)};
    find_uart(&record->uart);
    place_trampoline(record, avoid, PVH_MAX_AVOID);

    struct entropy entropy;
    entropy_init(&entropy);
    entropy_gather_cpu(&entropy);

    const struct image_header* image = (const struct image_header*)__image_start;
    if (!image_header_valid(image)) {
        boot_fail("the kernel image is damaged");
    }
    struct memory_map map = record_map(record);
    struct boot_block block;
    block_measure(&block, image, &map, cpu_has_giant_pages(), 0);
    bool kaslr = !option_is(record->cmdline, "kaslr", "off");
    if (!block_place(&block, &map, avoid, PVH_MAX_AVOID, REACH, kaslr, &entropy)) {
        boot_fail("no room for the kernel in memory");
    }
    uint8_t* memory = (uint8_t*)(uintptr_t)block.paddr;
    copy_quads(memory, image, image->file_end);

    struct kernel_start start;
    error = block_finish(&block, memory, record, &entropy, &start);
    if (error != nullptr) {
        boot_fail(error);
    }
    enter_kernel(pvh_tables, &start);
}
