// From the root pointer over the root table to the tables that matter.
//
// XSDT first (64-bit addresses); the RSDT serves machines without one or with a broken one. The
// FADT names the DSDT, so byte code is searched after the walk. The first of several tables with
// the same signature counts, except SSDTs.
#include <acpi/acpi.h>

#include "acpi_table.h"

constexpr uint32_t rsdp_len_1 = 20;
constexpr uint32_t rsdp_len_2 = 36;
constexpr uint32_t root_entries_max = 512;

struct root {
    struct acpi_table_ref table;
    uint32_t entry_len; // 4 in an RSDT, 8 in an XSDT
};

static bool signature_is_rsdp(const uint8_t* bytes) {
    static const uint8_t signature[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
    for (unsigned i = 0; i < sizeof(signature); i++) {
        if (bytes[i] != signature[i]) {
            return false;
        }
    }
    return true;
}

static uint8_t bytes_sum(const uint8_t* bytes, uint32_t len) {
    uint8_t sum = 0;
    for (uint32_t i = 0; i < len; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    return sum;
}

// Searches [start, start + len) on 16-byte borders; 0 if there is none.
static uint64_t rsdp_search(const struct acpi_memory* memory, uint64_t start, uint32_t len) {
    for (uint32_t at = 0; at < len; at += 16) {
        uint8_t bytes[rsdp_len_1];
        if (memory->read(memory->ctx, start + at, bytes, 8) && signature_is_rsdp(bytes) &&
            memory->read(memory->ctx, start + at, bytes, sizeof(bytes)) &&
            bytes_sum(bytes, sizeof(bytes)) == 0) {
            return start + at;
        }
    }
    return 0;
}

// Where BIOS machines keep it: the first KiB of the extended BIOS data area, or the BIOS ROM.
static uint64_t rsdp_find(const struct acpi_memory* memory) {
    uint8_t segment[2];
    uint64_t found = 0;
    if (memory->read(memory->ctx, 0x40e, segment, sizeof(segment))) {
        uint64_t ebda = (uint64_t)acpi_load_u16(segment) << 4;
        if (ebda >= 0x80000 && ebda < 0xa0000) {
            found = rsdp_search(memory, ebda, 1024);
        }
    }
    return found != 0 ? found : rsdp_search(memory, 0xe0000, 0x20000);
}

static bool root_open(const struct acpi_memory* memory, uint64_t address, uint32_t signature,
                      struct root* root) {
    root->entry_len = signature == acpi_sig_xsdt ? 8 : 4;
    return acpi_table_open(memory, address, &root->table) && root->table.signature == signature &&
           acpi_table_sums_up(&root->table);
}

static acpi_error_t root_find(const struct acpi_memory* memory, uint64_t rsdp,
                              struct acpi_info* info, struct root* root) {
    uint8_t bytes[rsdp_len_2] = {};
    if (rsdp == 0 || rsdp > UINT64_MAX - rsdp_len_2 ||
        !memory->read(memory->ctx, rsdp, bytes, rsdp_len_1) || !signature_is_rsdp(bytes)) {
        return ACPI_NO_RSDP;
    }
    if (bytes_sum(bytes, rsdp_len_1) != 0) {
        return ACPI_BAD_RSDP;
    }
    info->revision = bytes[15];
    if (info->revision >= 2) {
        bool sound = memory->read(memory->ctx, rsdp, bytes, rsdp_len_2) &&
                     acpi_load_u32(bytes + 20) >= rsdp_len_2 && bytes_sum(bytes, rsdp_len_2) == 0;
        if (!sound) {
            return ACPI_BAD_RSDP;
        }
        if (root_open(memory, acpi_load_u64(bytes + 24), acpi_sig_xsdt, root)) {
            return ACPI_OK;
        }
    }
    bool found = root_open(memory, acpi_load_u32(bytes + 16), acpi_sig_rsdt, root);
    return found ? ACPI_OK : ACPI_BAD_ROOT_TABLE;
}

static uint32_t root_entry_count(const struct root* root) {
    uint32_t count = (root->table.len - acpi_header_len) / root->entry_len;
    return count < root_entries_max ? count : root_entries_max;
}

// Opens the table that entry `index` of the root table points at.
static bool root_entry_open(const struct root* root, uint32_t index, struct acpi_table_ref* table) {
    uint8_t entry[8] = {};
    uint32_t offset = acpi_header_len + index * root->entry_len;
    return acpi_table_read(&root->table, offset, entry, root->entry_len) &&
           acpi_table_open(root->table.memory, acpi_load_u64(entry), table);
}

static uint8_t table_bit(uint32_t signature) {
    switch (signature) {
    case acpi_sig_madt:
        return ACPI_TABLE_MADT;
    case acpi_sig_fadt:
        return ACPI_TABLE_FADT;
    case acpi_sig_hpet:
        return ACPI_TABLE_HPET;
    case acpi_sig_mcfg:
        return ACPI_TABLE_MCFG;
    default:
        return 0;
    }
}

static bool table_parse(const struct acpi_table_ref* table, struct acpi_info* info,
                        uint64_t* dsdt) {
    switch (table->signature) {
    case acpi_sig_madt:
        return acpi_madt_parse(table, info);
    case acpi_sig_fadt:
        return acpi_fadt_parse(table, info, dsdt);
    case acpi_sig_hpet:
        return acpi_hpet_parse(table, info);
    case acpi_sig_mcfg:
        return acpi_mcfg_parse(table, info);
    default:
        return true;
    }
}

static void tables_walk(const struct root* root, struct acpi_info* info, uint64_t* dsdt) {
    for (uint32_t i = 0; i < root_entry_count(root); i++) {
        struct acpi_table_ref table;
        if (!root_entry_open(root, i, &table)) {
            info->bad_tables |= ACPI_TABLE_OTHER;
            continue;
        }
        uint8_t bit = table_bit(table.signature);
        if (bit == 0 || (info->found_tables & bit) != 0) {
            continue;
        }
        if (acpi_table_sums_up(&table) && table_parse(&table, info, dsdt)) {
            info->found_tables |= bit;
        } else {
            info->bad_tables |= bit;
        }
    }
}

static void sleep_types_find(const struct root* root, uint64_t dsdt, struct acpi_info* info) {
    struct acpi_table_ref table;
    if (dsdt != 0) {
        if (acpi_table_open(root->table.memory, dsdt, &table) && table.signature == acpi_sig_dsdt &&
            acpi_table_sums_up(&table)) {
            info->found_tables |= ACPI_TABLE_DSDT;
            acpi_s5_find(&table, info);
        } else {
            info->bad_tables |= ACPI_TABLE_DSDT;
        }
    }
    for (uint32_t i = 0; i < root_entry_count(root) && !info->has_s5; i++) {
        if (root_entry_open(root, i, &table) && table.signature == acpi_sig_ssdt &&
            acpi_table_sums_up(&table)) {
            acpi_s5_find(&table, info);
        }
    }
}

acpi_error_t acpi_read(const struct acpi_memory* memory, uint64_t rsdp, struct acpi_info* info) {
    constexpr struct acpi_register none = {.space = ACPI_SPACE_NONE};
    *info = (struct acpi_info){
        .pm_timer = none,
        .pm1a_control = none,
        .pm1b_control = none,
        .sleep_control = none,
        .reset = none,
        // What machines without these flags have.
        .has_legacy_devices = true,
        .has_8042 = true,
        .has_vga = true,
        .msi_allowed = true,
        .has_cmos_rtc = true,
    };
    struct root root;
    acpi_error_t error = root_find(memory, rsdp != 0 ? rsdp : rsdp_find(memory), info, &root);
    if (error != ACPI_OK) {
        return error;
    }
    uint64_t dsdt = 0;
    tables_walk(&root, info, &dsdt);
    sleep_types_find(&root, dsdt, info);
    return ACPI_OK;
}

const char* acpi_error_text(acpi_error_t error) {
    switch (error) {
    case ACPI_OK:
        return "no error";
    case ACPI_NO_RSDP:
        return "no ACPI root pointer";
    case ACPI_BAD_RSDP:
        return "the ACPI root pointer is damaged";
    case ACPI_BAD_ROOT_TABLE:
        return "the ACPI root table is damaged";
    }
    return "unknown ACPI error";
}
