// What encoder and decoder agree on.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <fidl/message.h>

constexpr uint8_t FIDL_MAGIC = 1;
constexpr uint8_t FIDL_V2 = 2;
constexpr uint64_t FIDL_PRESENT = UINT64_MAX;
constexpr uint32_t FIDL_HANDLE_PRESENT = UINT32_MAX;

static inline size_t fidl_padded(size_t len) {
    return (len + 7) & ~(size_t)7;
}

// A bool, enum or bits.
fidl_error_t fidl_check_value(const struct fidl_type* t, const uint8_t* at);
bool fidl_utf8_valid(const uint8_t* text, size_t len);
// Null: unknown.
const struct fidl_type* fidl_member_type(const struct fidl_type* t, uint64_t ordinal);
// Not one element of this type needs a look.
bool fidl_is_plain(const struct fidl_type* t);
