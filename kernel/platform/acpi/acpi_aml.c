// Finds the sleep types of S5 in the byte code of a DSDT or SSDT without interpreting it.
//
// Firmware writes Name (_S5, Package () {a, b, ...}), which compiles to
//     08 ['\'] "_S5_" 12 <package length, 1-4 bytes> <element count> <element> <element> ...
// with elements 00, 01, FF (Zero, One, Ones), 0A b, 0B w w or 0C d d d d. The pattern is specific
// enough; a match that does not parse is passed over and the search goes on.
#include "acpi_table.h"

constexpr uint32_t pattern_len_max = 24; // everything up to the second element, at its longest

// Decodes one integer element; the number of bytes it takes, 0 if it is none.
static uint32_t element_decode(const uint8_t* aml, uint32_t left, uint8_t* out) {
    if (left == 0) {
        return 0;
    }
    uint32_t len;
    switch (aml[0]) {
    case 0x00:
    case 0x01:
    case 0xff:
        *out = aml[0] & 7;
        return 1;
    case 0x0a:
        len = 2;
        break;
    case 0x0b:
        len = 3;
        break;
    case 0x0c:
        len = 5;
        break;
    default:
        return 0;
    }
    if (left < len) {
        return 0;
    }
    *out = aml[1] & 7;
    return len;
}

// `aml` points at "_S5_"; `left` bytes can be looked at.
static bool s5_decode(const uint8_t* aml, uint32_t left, uint8_t* type_a, uint8_t* type_b) {
    static const uint8_t start[5] = {'_', 'S', '5', '_', 0x12};
    if (left < sizeof(start) + 2) {
        return false;
    }
    for (uint32_t i = 0; i < sizeof(start); i++) {
        if (aml[i] != start[i]) {
            return false;
        }
    }
    uint32_t at = sizeof(start);
    at += 1u + (aml[at] >> 6); // the package length tells its own length in the top two bits
    if (at >= left) {
        return false;
    }
    uint8_t element_count = aml[at++];
    uint32_t len = element_decode(aml + at, left - at, type_a);
    if (element_count == 0 || len == 0) {
        return false;
    }
    at += len;
    // One element may stand for both registers.
    *type_b = *type_a;
    return element_count == 1 || element_decode(aml + at, left - at, type_b) != 0;
}

static bool chunk_search(const uint8_t* chunk, uint32_t len, struct acpi_info* info) {
    for (uint32_t at = 1; at < len; at++) {
        if (chunk[at] != '_') {
            continue;
        }
        bool named =
            chunk[at - 1] == 0x08 || (at >= 2 && chunk[at - 1] == '\\' && chunk[at - 2] == 0x08);
        uint8_t type_a;
        uint8_t type_b;
        if (named && s5_decode(chunk + at, len - at, &type_a, &type_b)) {
            info->has_s5 = true;
            info->s5_type_a = type_a;
            info->s5_type_b = type_b;
            return true;
        }
    }
    return false;
}

void acpi_s5_find(const struct acpi_table_ref* table, struct acpi_info* info) {
    uint8_t chunk[512];
    // Chunks overlap, so that a pattern across a border is whole in the next one.
    for (uint32_t at = acpi_header_len; at < table->len; at += sizeof(chunk) - pattern_len_max) {
        uint32_t left = table->len - at;
        uint32_t len = left < sizeof(chunk) ? left : sizeof(chunk);
        if (!acpi_table_read(table, at, chunk, len) || chunk_search(chunk, len, info)) {
            return;
        }
    }
}
