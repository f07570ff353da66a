// The self-check of the big test program.
#include "big_sum.h"

#include "big_layout.h"

constexpr uint32_t page_words = 4096 / 8;
constexpr uint64_t mix = 0x9e3779b97f4a7c15;
constexpr uint64_t function_seed = 0x0123456789abcdef;

typedef uint64_t (*big_function)(uint64_t x);
typedef const uint64_t* __attribute__((aligned(1))) odd_pointer_t;

// From the generated assembly.
extern const uint64_t big_rodata[] BIG_HIDDEN;
extern volatile uint64_t big_data[] BIG_HIDDEN;
extern const uint64_t* const big_text[BIG_FUNCTION_COUNT] BIG_HIDDEN;
extern const uint64_t* const big_pointers[BIG_POINTER_COUNT] BIG_HIDDEN;
extern const odd_pointer_t big_odd_pointers[BIG_ODD_POINTER_COUNT] BIG_HIDDEN;
extern const big_function big_functions[BIG_FUNCTION_COUNT] BIG_HIDDEN;

static volatile uint64_t bss[BIG_BSS_LEN / 8];

static void sum_add(uint64_t* sum, uint64_t word) {
    *sum = *sum * mix + word + 1;
}

static void sum_pages(uint64_t* sum, const volatile uint64_t* words, uint32_t page_count) {
    for (uint32_t page = 0; page < page_count; page++) {
        uint64_t page_sum = 0;
        for (uint32_t i = 0; i < page_words; i++) {
            page_sum += words[(uint64_t)page * page_words + i];
        }
        sum_add(sum, page_sum);
    }
}

// One word in every 64 KiB and the last one: touching all of it would need that much memory.
static uint64_t bss_bits(void) {
    uint64_t bits = bss[BIG_BSS_LEN / 8 - 1];
    for (uint64_t i = 0; i < BIG_BSS_LEN / 8; i += 8192) {
        bits |= bss[i];
    }
    return bits;
}

uint64_t big_sum(void) {
    uint64_t sum = 0;
    sum_pages(&sum, big_rodata, BIG_RODATA_PAGES);
    for (uint32_t i = 0; i < BIG_FUNCTION_COUNT; i++) {
        sum_pages(&sum, big_text[i], BIG_TEXT_PAGES / BIG_FUNCTION_COUNT);
    }
    sum_pages(&sum, big_data, BIG_DATA_PAGES);
    for (uint32_t i = 0; i < BIG_POINTER_COUNT; i++) {
        sum_add(&sum, *big_pointers[i]);
    }
    for (uint32_t i = 0; i < BIG_ODD_POINTER_COUNT; i++) {
        sum_add(&sum, *big_odd_pointers[i]);
    }
    uint64_t x = function_seed;
    for (uint32_t i = 0; i < BIG_FUNCTION_COUNT; i++) {
        x = big_functions[i](x);
        sum_add(&sum, x);
    }
    sum_add(&sum, bss_bits());
    for (uint32_t i = 0; i < BIG_IMPORT_COUNT; i++) {
        sum_add(&sum, big_imports[i] != nullptr && big_imports[i] == big_imports[0]);
    }
    return sum;
}

bool big_write_check(void) {
    for (uint64_t page = 0; page < BIG_DATA_PAGES; page += 64) {
        big_data[page * page_words] += page + 1;
    }
    bss[BIG_BSS_LEN / 16] = 77;
    uint64_t changed = 0;
    sum_pages(&changed, big_data, BIG_DATA_PAGES);
    for (uint64_t page = 0; page < BIG_DATA_PAGES; page += 64) {
        big_data[page * page_words] -= page + 1;
    }
    uint64_t restored = 0;
    sum_pages(&restored, big_data, BIG_DATA_PAGES);
    return changed != restored && bss[BIG_BSS_LEN / 16] == 77;
}
