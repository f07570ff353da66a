// CRC-32 as used by ZBI items, GPT and zlib (reflected polynomial 0xedb88320).
//
// Incremental: start with 0, feed the result of one call into the next.
#pragma once

#include <stddef.h>
#include <stdint.h>

[[nodiscard]] uint32_t crc32_update(uint32_t crc, const void* data, size_t len);
