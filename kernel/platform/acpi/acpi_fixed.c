// Tables of fixed layout: FADT (power management registers, boot flags), HPET, MCFG.
//
// The FADT grew with every revision. It is copied into a zeroed buffer as far as it goes, so that a
// field of a later revision reads as zero, which always means "not there".
#include "acpi_table.h"

// Lengths after revisions of the table; a field is never read in part.
static constexpr uint16_t fadt_lengths[] = {268, 244, 132, 116};
constexpr uint32_t fadt_len_known = 268;

// Offsets in the FADT.
typedef enum fadt_field : uint16_t {
    FADT_DSDT = 40,
    FADT_SCI_IRQ = 46,
    FADT_SMI_COMMAND = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_PM1A_CONTROL = 64,
    FADT_PM1B_CONTROL = 68,
    FADT_PM_TIMER = 76,
    FADT_PM_TIMER_LEN = 91,
    FADT_BOOT_FLAGS = 109,
    FADT_FLAGS = 112,
    FADT_RESET = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_CONTROL = 172,
    FADT_X_PM1B_CONTROL = 184,
    FADT_X_PM_TIMER = 208,
    FADT_SLEEP_CONTROL = 244,
} fadt_field_t;

constexpr uint32_t fadt_flag_timer_32bit = 1u << 8;
constexpr uint32_t fadt_flag_reset = 1u << 10;
constexpr uint32_t fadt_flag_hardware_reduced = 1u << 20;

constexpr uint16_t boot_legacy_devices = 1u << 0;
constexpr uint16_t boot_8042 = 1u << 1;
constexpr uint16_t boot_no_vga = 1u << 2;
constexpr uint16_t boot_no_msi = 1u << 3;
constexpr uint16_t boot_no_cmos_rtc = 1u << 5;

constexpr struct acpi_register no_register = {.space = ACPI_SPACE_NONE};

// A "generic address": space, width, offset, access size, address.
static struct acpi_register register_decode(const uint8_t* from) {
    uint64_t address = acpi_load_u64(from + 4);
    if (address == 0 || (from[0] != ACPI_SPACE_MEMORY && from[0] != ACPI_SPACE_IO) ||
        (from[0] == ACPI_SPACE_IO && address > 0xffff)) {
        return no_register;
    }
    return (struct acpi_register){
        .address = address, .space = (acpi_space_t)from[0], .bit_width = from[1]};
}

// The extended field if it names something, else the old port number.
static struct acpi_register register_pick(const uint8_t* fadt, fadt_field_t extended,
                                          fadt_field_t port_field, uint8_t bit_width) {
    struct acpi_register reg = register_decode(fadt + extended);
    if (reg.space != ACPI_SPACE_NONE) {
        return reg;
    }
    uint32_t port = acpi_load_u32(fadt + port_field);
    if (port == 0 || port > 0xffff) {
        return no_register;
    }
    return (struct acpi_register){.address = port, .space = ACPI_SPACE_IO, .bit_width = bit_width};
}

static void boot_flags_take(struct acpi_info* info, uint16_t flags) {
    info->has_legacy_devices = (flags & boot_legacy_devices) != 0;
    info->has_8042 = (flags & boot_8042) != 0;
    info->has_vga = (flags & boot_no_vga) == 0;
    info->msi_allowed = (flags & boot_no_msi) == 0;
    info->has_cmos_rtc = (flags & boot_no_cmos_rtc) == 0;
}

// 0 if even the oldest form is longer.
static uint32_t fadt_usable_len(uint32_t len) {
    for (uint32_t i = 0; i < sizeof(fadt_lengths) / sizeof(fadt_lengths[0]); i++) {
        if (fadt_lengths[i] <= len) {
            return fadt_lengths[i];
        }
    }
    return 0;
}

bool acpi_fadt_parse(const struct acpi_table_ref* table, struct acpi_info* info,
                     uint64_t* out_dsdt) {
    uint8_t fadt[fadt_len_known] = {};
    uint32_t len = fadt_usable_len(table->len);
    if (len == 0 || !acpi_table_read(table, 0, fadt, len)) {
        return false;
    }
    uint8_t revision = fadt[8];
    uint32_t flags = acpi_load_u32(fadt + FADT_FLAGS);
    info->sci_irq = acpi_load_u16(fadt + FADT_SCI_IRQ);
    info->smi_command_port = acpi_load_u32(fadt + FADT_SMI_COMMAND);
    info->acpi_enable_value = fadt[FADT_ACPI_ENABLE];
    info->hardware_reduced = (flags & fadt_flag_hardware_reduced) != 0;
    info->pm1a_control = register_pick(fadt, FADT_X_PM1A_CONTROL, FADT_PM1A_CONTROL, 16);
    info->pm1b_control = register_pick(fadt, FADT_X_PM1B_CONTROL, FADT_PM1B_CONTROL, 16);
    info->sleep_control = register_decode(fadt + FADT_SLEEP_CONTROL);
    if (fadt[FADT_PM_TIMER_LEN] == 4) {
        info->pm_timer = register_pick(fadt, FADT_X_PM_TIMER, FADT_PM_TIMER, 32);
        info->pm_timer_is_32bit = (flags & fadt_flag_timer_32bit) != 0;
    }
    if ((flags & fadt_flag_reset) != 0) {
        info->reset = register_decode(fadt + FADT_RESET);
        info->reset_value = fadt[FADT_RESET_VALUE];
    }
    if (revision >= 2) { // before, the flags were reserved; the defaults of old machines stand
        boot_flags_take(info, acpi_load_u16(fadt + FADT_BOOT_FLAGS));
    }
    uint64_t extended_dsdt = acpi_load_u64(fadt + FADT_X_DSDT);
    *out_dsdt = extended_dsdt != 0 ? extended_dsdt : acpi_load_u32(fadt + FADT_DSDT);
    return true;
}

bool acpi_hpet_parse(const struct acpi_table_ref* table, struct acpi_info* info) {
    uint8_t body[20];
    if (!acpi_table_read(table, acpi_header_len, body, sizeof(body))) {
        return false;
    }
    struct acpi_register base = register_decode(body + 4);
    if (base.space != ACPI_SPACE_MEMORY || base.address % 8 != 0) {
        return false;
    }
    if (info->hpet_address == 0) { // the first block is the one that counts
        info->hpet_address = base.address;
        info->hpet_min_tick = acpi_load_u16(body + 17);
    }
    return true;
}

static bool mcfg_entry_ok(const struct acpi_mcfg* region) {
    // One MiB for each bus, counted from bus 0 whatever the first one is.
    return region->bus_first <= region->bus_last && region->base != 0 &&
           region->base % (1u << 20) == 0 && region->base <= UINT64_MAX - (256ull << 20);
}

static bool mcfg_entries_take(const struct acpi_table_ref* table, struct acpi_info* info) {
    constexpr uint32_t entries_at = 44;
    constexpr uint32_t entry_len = 16;
    uint32_t count = table->len < entries_at ? 0 : (table->len - entries_at) / entry_len;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t entry[entry_len];
        if (!acpi_table_read(table, entries_at + i * entry_len, entry, entry_len)) {
            return false;
        }
        struct acpi_mcfg region = {
            .base = acpi_load_u64(entry),
            .segment = acpi_load_u16(entry + 8),
            .bus_first = entry[10],
            .bus_last = entry[11],
        };
        if (!mcfg_entry_ok(&region)) {
            return false;
        }
        if (info->mcfg_count == acpi_mcfg_max) {
            info->dropped++;
            continue;
        }
        info->mcfg[info->mcfg_count++] = region;
    }
    return table->len >= entries_at;
}

bool acpi_mcfg_parse(const struct acpi_table_ref* table, struct acpi_info* info) {
    bool sound = mcfg_entries_take(table, info);
    if (!sound) {
        info->mcfg_count = 0;
    }
    return sound;
}
