#pragma once

#include <boot/handoff.h>
#include <early/entropy.h>
#include <early/image.h>
#include <early/memory_map.h>
#include <stdint.h>

// The one piece of physical memory that the boot stages take for good: image, record, table pool.
struct boot_block {
    uint64_t paddr;
    uint64_t length;
    uint64_t record_offset;
    uint64_t pool_offset;
    uint32_t pool_pages;
    bool giant_pages;
};

// What block_finish() leaves for the jump; the addresses are the kernel's.
struct kernel_start {
    uint64_t entry;
    uint64_t record;
    uint64_t root_table;
};

// Sizes the block for this image and map. `spare_tables`: extra pool pages, for a map that may
// still change (what is not used is given back by block_finish).
void block_measure(struct boot_block* block, const struct image_header* image,
                   const struct memory_map* map, bool giant_pages, uint32_t spare_tables);

// Picks block->paddr at random (or the lowest place, without `kaslr`), below `limit`, in usable
// memory, clear of `avoid`. False if it fits nowhere.
[[nodiscard]] bool block_place(struct boot_block* block, const struct memory_map* map,
                               const struct handoff_span* avoid, uint32_t avoid_count,
                               uint64_t limit, bool kaslr, struct entropy* entropy);

// Turns the block, whose first file_end bytes hold the unrelocated image, into a kernel ready to
// run: clears .bss, relocates, builds the tables, and moves the completed `record` into place.
// `memory` is where this CPU reaches the block. Null, or what went wrong.
[[nodiscard]] const char* block_finish(const struct boot_block* block, uint8_t* memory,
                                       struct handoff* record, struct entropy* entropy,
                                       struct kernel_start* out);

// A record with its constant fields set and everything else zero.
void record_init(struct handoff* record, enum handoff_source source, uint64_t entry_tsc);
// The record's map as the map functions want it. Call record_map_done() when finished with it.
struct memory_map record_map(struct handoff* record);
void record_map_done(struct handoff* record, const struct memory_map* map);
// Copies at most HANDOFF_MAX_CMDLINE - 1 bytes up to a NUL; false if it did not fit (cut off).
bool record_set_cmdline(struct handoff* record, const char* text, uint64_t length);
