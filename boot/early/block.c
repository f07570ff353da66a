/*
 * From an image in memory to a kernel that can be jumped to; common to all ways of booting.
 *
 * Everything that stays after boot is one contiguous block: the image, the record, the page tables.
 * One block means one decision about where to go, one span to keep clear of, and at most one large
 * page of the direct map broken up for it. Its place is aligned to 2 MiB while that is possible, so
 * that it does not cut a second large page in two.
 *
 * Guarantee to the kernel: what the record says (see <boot/handoff.h>). Nothing outside the block
 * is written. Pure but for the entropy and time it is handed; the host tests run it on fake memory.
 */

#include <early/block.h>

#include <arch/layout.h>
#include <early/cpu.h>
#include <early/options.h>
#include <early/page_tables.h>
#include <early/place.h>

constexpr uint64_t MIB = 1ull << 20;

static uint64_t round_pages(uint64_t x) {
    return (x + BOOT_PAGE_BYTES - 1) & ~(BOOT_PAGE_BYTES - 1);
}

static void copy_words(void* to, const void* from, uint64_t bytes) {
    uint64_t* out = to;
    const uint64_t* in = from;
    for (uint64_t n = bytes / 8; n != 0; n--) {
        *out++ = *in++;
    }
}

void record_init(struct handoff* record, enum handoff_source source, uint64_t entry_tsc) {
    volatile uint64_t* word = (volatile uint64_t*)record;
    for (uint64_t n = sizeof(*record) / 8; n != 0; n--) {
        *word++ = 0;
    }
    record->magic = HANDOFF_MAGIC;
    record->version = HANDOFF_VERSION;
    record->size_bytes = sizeof(*record);
    record->source = source;
    record->entry_tsc = entry_tsc;
}

struct memory_map record_map(struct handoff* record) {
    return (struct memory_map){
        .entries = record->memory, .capacity = HANDOFF_MAX_MEMORY, .count = record->memory_count};
}

void record_map_done(struct handoff* record, const struct memory_map* map) {
    record->memory_count = map->count;
}

bool record_set_cmdline(struct handoff* record, const char* text, uint64_t length) {
    uint32_t n = 0;
    while (n < length && text[n] != '\0' && n < HANDOFF_MAX_CMDLINE - 1) {
        record->cmdline[n] = text[n];
        n++;
    }
    record->cmdline[n] = '\0';
    record->cmdline_len = n;
    return n == length || text[n] == '\0';
}

void block_measure(struct boot_block* block, const struct image_header* image,
                   const struct memory_map* map, bool giant_pages, uint32_t spare_tables) {
    *block = (struct boot_block){.giant_pages = giant_pages};
    block->record_offset = image->image_end;
    block->pool_offset = block->record_offset + round_pages(sizeof(struct handoff));
    block->pool_pages = page_tables_bound(map, image, giant_pages) + spare_tables;
    block->length = block->pool_offset + block->pool_pages * BOOT_PAGE_BYTES;
}

bool block_place(struct boot_block* block, const struct memory_map* map,
                 const struct handoff_span* avoid, uint32_t avoid_count, uint64_t limit, bool kaslr,
                 struct entropy* entropy) {
    uint64_t random = kaslr ? entropy_squeeze(entropy) : 0;
    struct place_request request = {
        .length = block->length, .align = 2 * MIB, .lowest = MIB, .limit = limit};
    if (place_find(map, avoid, avoid_count, &request, random, &block->paddr)) {
        return true;
    }
    request.align = BOOT_PAGE_BYTES;
    return place_find(map, avoid, avoid_count, &request, random, &block->paddr);
}

// Without KASLR the difference between link and run addresses is KERNEL_IMAGE_BASE itself.
static uint64_t choose_vaddr(const struct image_header* image, bool kaslr,
                             struct entropy* entropy) {
    if (!kaslr) {
        return KERNEL_IMAGE_BASE + image->link_base;
    }
    uint64_t places = (KERNEL_IMAGE_BYTES - image->image_end) / BOOT_PAGE_BYTES + 1;
    return KERNEL_IMAGE_BASE + entropy_squeeze(entropy) % places * BOOT_PAGE_BYTES;
}

static void record_entropy(struct handoff* record, struct entropy* entropy) {
    for (uint32_t i = 0; i < HANDOFF_ENTROPY_BYTES; i += 8) {
        uint64_t word = entropy_squeeze(entropy);
        for (uint32_t k = 0; k < 8; k++) {
            record->entropy[i + k] = (uint8_t)(word >> (8 * k));
        }
    }
    record->entropy_sources = entropy->sources;
}

// The end of the highest RAM.
static uint64_t ram_end(const struct memory_map* map) {
    uint64_t end = 0;
    uint32_t cursor = 0;
    struct handoff_span run;
    while (memory_map_next_ram(map, &cursor, &run)) {
        end = run.base + run.length;
    }
    return end;
}

static void record_block(struct handoff* record, const struct boot_block* block,
                         const struct image_header* image, const struct table_pool* pool) {
    record->direct_map_base = DIRECT_MAP_BASE;
    record->taken[HANDOFF_TAKEN_KERNEL] = (struct handoff_span){block->paddr, image->image_end};
    record->taken[HANDOFF_TAKEN_RECORD] = (struct handoff_span){
        block->paddr + block->record_offset, round_pages(sizeof(struct handoff))};
    record->taken[HANDOFF_TAKEN_TABLES] =
        (struct handoff_span){pool->paddr, pool->used * BOOT_PAGE_BYTES};
}

const char* block_finish(const struct boot_block* block, uint8_t* memory, struct handoff* record,
                         struct entropy* entropy, struct kernel_start* out) {
    const struct image_header* image = (const struct image_header*)memory;
    if (!image_header_valid(image) || image->image_end > block->record_offset) {
        return "the kernel image is damaged";
    }
    record->kaslr = option_is(record->cmdline, "kaslr", "off") ? 0 : 1;
    record->kernel_vaddr = choose_vaddr(image, record->kaslr != 0, entropy);
    record->kernel_bias = record->kernel_vaddr - image->link_base;
    image_clear_bss(memory, image);
    if (!image_relocate(memory, image, record->kernel_bias)) {
        return "the kernel's relocations are damaged";
    }

    struct memory_map map = record_map(record);
    struct table_pool pool = {.memory = memory + block->pool_offset,
                              .paddr = block->paddr + block->pool_offset,
                              .page_count = block->pool_pages};
    struct kernel_space space = {.image = image,
                                 .image_paddr = block->paddr,
                                 .image_vaddr = record->kernel_vaddr,
                                 .map = &map,
                                 .giant_pages = block->giant_pages};
    if (!page_tables_build(&pool, &space, &record->root_table, &record->window_table)) {
        return "too few pages for the kernel's page tables";
    }
    record_block(record, block, image, &pool);
    record->direct_map_bytes = ram_end(&map);
    record->boot_canary = entropy_squeeze(entropy) << 8; // a zero byte stops runaway strings
    record_entropy(record, entropy);
    out->entry = record->kernel_vaddr + image->entry;
    out->record = DIRECT_MAP_BASE + block->paddr + block->record_offset;
    out->root_table = record->root_table;
    record->handoff_tsc = cpu_tsc();
    copy_words(memory + block->record_offset, record, sizeof(*record));
    return nullptr;
}
