// Where the page array and the direct map lie. Host tests put both where a program can map memory.
#pragma once

#include <stdint.h>

#ifdef JX_HOST
constexpr uintptr_t PAGE_SPACE_ARRAY = 0x2000'0000'0000u;
constexpr uintptr_t PAGE_SPACE_DIRECT = 0x3000'0000'0000u;
#else
#include <arch/layout.h>
constexpr uintptr_t PAGE_SPACE_ARRAY = PAGE_ARRAY_BASE;
constexpr uintptr_t PAGE_SPACE_DIRECT = DIRECT_MAP_BASE;
#endif
