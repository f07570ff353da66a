/*
 * The kernel's own page tables.
 *
 *   image        .text RX, .rodata R, .data and .bss RW, 4 KiB pages, the boot stack's guard absent
 *   direct map   the RAM of the map and nothing else, NX, the largest pages that alignment and the
 *                CPU allow. The image's text and read-only data are read-only here as well:
 *                otherwise every byte of the kernel's code would have a writable alias.
 *   empty        one table each for the page array, the arenas and the early window, so that the
 *                root never changes after boot
 *
 * All leaf entries are global with Accessed and Dirty preset (the CPU need not write them later).
 * Directory entries are supervisor, writable, executable: rights are decided at the leaf.
 *
 * A table is filled through the pool's address, never through its physical one, so the host tests
 * run this code on ordinary memory. Rejected: a fixed number of tables, which some memory map
 * exceeds.
 */

#include <early/page_tables.h>

#include <arch/layout.h>

enum entry_bits : uint64_t {
    ENTRY_PRESENT = 1ull << 0,
    ENTRY_WRITE = 1ull << 1,
    ENTRY_ACCESSED = 1ull << 5,
    ENTRY_DIRTY = 1ull << 6,
    ENTRY_LARGE = 1ull << 7,
    ENTRY_GLOBAL = 1ull << 8,
    ENTRY_NO_EXEC = 1ull << 63,
};

constexpr uint64_t ENTRY_ADDRESS = 0x000f'ffff'ffff'f000u;
constexpr uint64_t TABLE_BITS = ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED;
constexpr uint64_t LEAF_READ = ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_DIRTY | ENTRY_GLOBAL;
constexpr uint64_t LEAF_TEXT = LEAF_READ;
constexpr uint64_t LEAF_RODATA = LEAF_READ | ENTRY_NO_EXEC;
constexpr uint64_t LEAF_DATA = LEAF_READ | ENTRY_WRITE | ENTRY_NO_EXEC;

constexpr uint64_t LARGE_BYTES = 1ull << 21;
constexpr uint64_t GIANT_BYTES = 1ull << 30;

struct builder {
    struct table_pool* pool;
    uint64_t* root;
    bool giant_pages;
};

static uint64_t* table_at(const struct table_pool* pool, uint64_t paddr) {
    return (uint64_t*)(pool->memory + (paddr - pool->paddr));
}

// A cleared table; null when the pool is used up.
static uint64_t* table_take(struct table_pool* pool) {
    if (pool->used == pool->page_count) {
        return nullptr;
    }
    uint64_t* table = (uint64_t*)(pool->memory + (uint64_t)pool->used * BOOT_PAGE_BYTES);
    pool->used++;
    for (uint32_t i = 0; i < 512; i++) {
        ((volatile uint64_t*)table)[i] = 0;
    }
    return table;
}

static uint64_t table_paddr(const struct table_pool* pool, const uint64_t* table) {
    return pool->paddr + (uint64_t)((const uint8_t*)table - pool->memory);
}

// The table behind table[index], made if absent. Callers never descend through a leaf.
static uint64_t* table_below(struct builder* b, uint64_t* table, uint64_t index) {
    if ((table[index] & ENTRY_PRESENT) == 0) {
        uint64_t* below = table_take(b->pool);
        if (below == nullptr) {
            return nullptr;
        }
        table[index] = table_paddr(b->pool, below) | TABLE_BITS;
    }
    return table_at(b->pool, table[index] & ENTRY_ADDRESS);
}

// The bytes that one entry at the lowest possible level covers for this piece: 1 GiB, 2 MiB or 4
// KiB.
static uint64_t leaf_bytes(const struct builder* b, uint64_t vaddr, uint64_t paddr,
                           uint64_t length) {
    uint64_t both = vaddr | paddr;
    if (b->giant_pages && both % GIANT_BYTES == 0 && length >= GIANT_BYTES) {
        return GIANT_BYTES;
    }
    if (both % LARGE_BYTES == 0 && length >= LARGE_BYTES) {
        return LARGE_BYTES;
    }
    return BOOT_PAGE_BYTES;
}

// The table that holds the entry of `bytes` size for vaddr; null when the pool is used up.
static uint64_t* table_for(struct builder* b, uint64_t vaddr, uint64_t bytes) {
    uint64_t* table = table_below(b, b->root, vaddr >> 39 & 511);
    if (table != nullptr && bytes < GIANT_BYTES) {
        table = table_below(b, table, vaddr >> 30 & 511);
    }
    if (table != nullptr && bytes < LARGE_BYTES) {
        table = table_below(b, table, vaddr >> 21 & 511);
    }
    return table;
}

static bool map_range(struct builder* b, uint64_t vaddr, uint64_t paddr, uint64_t length,
                      uint64_t bits) {
    while (length != 0) {
        uint64_t bytes = leaf_bytes(b, vaddr, paddr, length);
        uint64_t* table = table_for(b, vaddr, bytes);
        if (table == nullptr) {
            return false;
        }
        // All entries of this size that the table holds and the piece needs, without descending
        // anew.
        uint64_t index = vaddr / bytes & 511;
        uint64_t large = bytes == BOOT_PAGE_BYTES ? 0 : ENTRY_LARGE;
        do {
            table[index] = paddr | bits | large;
            index++;
            vaddr += bytes;
            paddr += bytes;
            length -= bytes;
        } while (index < 512 && leaf_bytes(b, vaddr, paddr, length) == bytes && length != 0);
    }
    return true;
}

static bool map_image(struct builder* b, const struct kernel_space* space) {
    const struct image_header* h = space->image;
    uint64_t v = space->image_vaddr;
    uint64_t p = space->image_paddr;
    uint64_t above = h->stack_guard + BOOT_PAGE_BYTES;
    return map_range(b, v, p, h->text_end, LEAF_TEXT) &&
           map_range(b, v + h->text_end, p + h->text_end, h->rodata_end - h->text_end,
                     LEAF_RODATA) &&
           map_range(b, v + h->rodata_end, p + h->rodata_end, h->stack_guard - h->rodata_end,
                     LEAF_DATA) &&
           map_range(b, v + above, p + above, h->image_end - above, LEAF_DATA);
}

// The part of [base, end) inside [low, high), mapped at its place in the direct map.
static bool map_direct_part(struct builder* b, uint64_t base, uint64_t end, uint64_t low,
                            uint64_t high, uint64_t bits) {
    base = base > low ? base : low;
    end = end < high ? end : high;
    return base >= end || map_range(b, DIRECT_MAP_BASE + base, base, end - base, bits);
}

static bool map_direct(struct builder* b, const struct kernel_space* space) {
    uint64_t fixed = space->image_paddr;
    uint64_t fixed_end = fixed + space->image->rodata_end;
    uint32_t cursor = 0;
    struct handoff_span run;
    while (memory_map_next_ram(space->map, &cursor, &run)) {
        uint64_t end = run.base + run.length;
        if (!map_direct_part(b, run.base, end, 0, fixed, LEAF_DATA) ||
            !map_direct_part(b, run.base, end, fixed, fixed_end, LEAF_RODATA) ||
            !map_direct_part(b, run.base, end, fixed_end, UINT64_MAX, LEAF_DATA)) {
            return false;
        }
    }
    return true;
}

// Tables that stay empty here: the second level of every arena, and the early window's leaf table.
static bool reserve_tables(struct builder* b, uint64_t* out_window) {
    constexpr uint64_t bases[] = {PAGE_ARRAY_BASE, KERNEL_ARENA_BASE, KERNEL_HEAP_BASE};
    for (uint32_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        if (table_for(b, bases[i], GIANT_BYTES) == nullptr) {
            return false;
        }
    }
    const uint64_t* window = table_for(b, EARLY_WINDOW_BASE, BOOT_PAGE_BYTES);
    if (window == nullptr) {
        return false;
    }
    *out_window = table_paddr(b->pool, window);
    return true;
}

bool page_tables_build(struct table_pool* pool, const struct kernel_space* space,
                       uint64_t* out_root, uint64_t* out_window) {
    struct builder b = {.pool = pool, .root = table_take(pool), .giant_pages = space->giant_pages};
    if (b.root == nullptr) {
        return false;
    }
    *out_root = table_paddr(pool, b.root);
    return map_image(&b, space) && map_direct(&b, space) && reserve_tables(&b, out_window);
}

// Tables of one level that [base, end) touches, each covering 2^shift bytes.
static uint64_t tables_touched(uint64_t base, uint64_t end, uint32_t shift) {
    return ((end - 1) >> shift) - (base >> shift) + 1;
}

uint32_t page_tables_bound(const struct memory_map* map, const struct image_header* image,
                           bool giant_pages) {
    // Root, four arenas with the window's lower levels, two directories of the image.
    uint64_t bound = 1 + 3 + 3 + 2;
    bound += image->image_end / LARGE_BYTES + 2;
    // The read-only hole of the direct map: two borders, each with a directory and a leaf table.
    bound += 4;
    uint32_t cursor = 0;
    struct handoff_span run;
    while (memory_map_next_ram(map, &cursor, &run)) {
        uint64_t end = run.base + run.length;
        uint64_t directories = tables_touched(run.base, end, 30);
        // With giant pages only the two ends of a run need directories; leaf tables serve ends
        // only.
        bound += tables_touched(run.base, end, 39);
        bound += giant_pages && directories > 2 ? 2 : directories;
        bound += 2;
    }
    return bound > UINT32_MAX ? UINT32_MAX : (uint32_t)bound;
}
