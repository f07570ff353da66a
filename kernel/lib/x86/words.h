// Bulk moves of 8-byte words, x86-64. Every port supplies this header.
//
// The generic memory functions cut a job into a bulk part and its edges and hand the bulk here.
// On x86-64 that is one string instruction on quadwords: it moves eight bytes per executed
// instruction under emulation and takes the microcoded fast path on silicon. The byte forms would
// be eight times slower under emulation and are not used.
//
// Callers guarantee that the direction flag is clear (kernel invariant) and that both ranges are
// mapped. Addresses need not be aligned.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Copies upwards; correct for overlap only when dst <= src.
static inline void arch_words_copy_up(void* dst, const void* src, size_t word_count) {
    __asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(word_count) : : "memory");
}

static inline void arch_words_fill(void* dst, uint64_t word, size_t word_count) {
    __asm__ volatile("rep stosq" : "+D"(dst), "+c"(word_count) : "a"(word) : "memory");
}
