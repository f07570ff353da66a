// Access to one table, and what the parsers share. Private to the library.
#pragma once

#include <acpi/acpi.h>

constexpr uint32_t acpi_header_len = 36;
constexpr uint32_t acpi_table_len_max = 16u << 20;

// Signatures as little-endian words.
constexpr uint32_t acpi_sig_rsdt = 0x54445352;
constexpr uint32_t acpi_sig_xsdt = 0x54445358;
constexpr uint32_t acpi_sig_madt = 0x43495041; // "APIC"
constexpr uint32_t acpi_sig_fadt = 0x50434146; // "FACP"
constexpr uint32_t acpi_sig_hpet = 0x54455048;
constexpr uint32_t acpi_sig_mcfg = 0x4746434d;
constexpr uint32_t acpi_sig_dsdt = 0x54445344;
constexpr uint32_t acpi_sig_ssdt = 0x54445353;

struct acpi_table_ref {
    const struct acpi_memory* memory;
    uint64_t address;
    uint32_t signature;
    uint32_t len; // header included
};

// Reads the header at `address`. False if it cannot be read or its length is impossible.
bool acpi_table_open(const struct acpi_memory* memory, uint64_t address,
                     struct acpi_table_ref* table);

// Whether all bytes add up to zero, as they must.
bool acpi_table_sums_up(const struct acpi_table_ref* table);

// Copies bytes of the table; false if the range is not wholly in it.
bool acpi_table_read(const struct acpi_table_ref* table, uint32_t offset, void* buffer,
                     uint32_t len);

uint16_t acpi_load_u16(const uint8_t* from);
uint32_t acpi_load_u32(const uint8_t* from);
uint64_t acpi_load_u64(const uint8_t* from);

// Each fills its part of info; false: the table is malformed, its part is as if it did not exist.
bool acpi_madt_parse(const struct acpi_table_ref* table, struct acpi_info* info);
bool acpi_fadt_parse(const struct acpi_table_ref* table, struct acpi_info* info,
                     uint64_t* out_dsdt);
bool acpi_hpet_parse(const struct acpi_table_ref* table, struct acpi_info* info);
bool acpi_mcfg_parse(const struct acpi_table_ref* table, struct acpi_info* info);

// Looks for \_S5 in a DSDT or SSDT.
void acpi_s5_find(const struct acpi_table_ref* table, struct acpi_info* info);
