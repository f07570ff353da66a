// Between the files of the port that know page tables.
#pragma once

#include <arch/mmu.h>

// Tables that no CPU can reach any more, zero but for their links.
void mmu_tables_free(struct mmu_table* list);

// Flushes what the gather noted on every CPU that may have it, and returns when all have.
void mmu_gather_flush(const struct tlb_gather* g);
