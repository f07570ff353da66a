// Access to one table: every read is checked against the length in the header.
#include "acpi_table.h"

uint16_t acpi_load_u16(const uint8_t* from) {
    return (uint16_t)(from[0] | from[1] << 8);
}

uint32_t acpi_load_u32(const uint8_t* from) {
    return acpi_load_u16(from) | (uint32_t)acpi_load_u16(from + 2) << 16;
}

uint64_t acpi_load_u64(const uint8_t* from) {
    return acpi_load_u32(from) | (uint64_t)acpi_load_u32(from + 4) << 32;
}

bool acpi_table_open(const struct acpi_memory* memory, uint64_t address,
                     struct acpi_table_ref* table) {
    uint8_t head[8];
    if (address == 0 || address > UINT64_MAX - acpi_table_len_max ||
        !memory->read(memory->ctx, address, head, sizeof(head))) {
        return false;
    }
    *table = (struct acpi_table_ref){
        .memory = memory,
        .address = address,
        .signature = acpi_load_u32(head),
        .len = acpi_load_u32(head + 4),
    };
    return table->len >= acpi_header_len && table->len <= acpi_table_len_max;
}

bool acpi_table_read(const struct acpi_table_ref* table, uint32_t offset, void* buffer,
                     uint32_t len) {
    if (offset > table->len || len > table->len - offset) {
        return false;
    }
    return len == 0 ||
           table->memory->read(table->memory->ctx, table->address + offset, buffer, len);
}

bool acpi_table_sums_up(const struct acpi_table_ref* table) {
    uint8_t chunk[256];
    uint8_t sum = 0;
    for (uint32_t at = 0; at < table->len;) {
        uint32_t left = table->len - at;
        uint32_t step = left < sizeof(chunk) ? left : sizeof(chunk);
        if (!acpi_table_read(table, at, chunk, step)) {
            return false;
        }
        for (uint32_t i = 0; i < step; i++) {
            sum = (uint8_t)(sum + chunk[i]);
        }
        at += step;
    }
    return sum == 0;
}
