// The interrupt controllers and CPUs ("APIC" table).
//
// After 44 bytes of fixed part come entries {u8 type, u8 length, ...}. An entry shorter than its
// type demands, or one that reaches beyond the table, makes the whole table malformed: its sum was
// right, so half of it is not to be trusted either. Unknown types are skipped.
#include "acpi_table.h"

constexpr uint32_t madt_fixed_len = 44;
constexpr uint32_t cpu_enabled = 1;
constexpr uint32_t cpu_online_capable = 2;

typedef enum madt_type : uint8_t {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LAPIC_NMI = 4,
    MADT_LAPIC_ADDRESS = 5,
    MADT_X2APIC = 9,
    MADT_X2APIC_NMI = 10,
} madt_type_t;

// Polarity in bits 0-1, trigger in bits 2-3: 0 as the bus has it, 1 high/edge, 3 low/level. Bus
// defaults are those of ISA and of NMI pins: high, edge.
static struct acpi_wiring wiring_decode(uint16_t flags) {
    return (struct acpi_wiring){.active_low = (flags & 3) == 3, .level = (flags >> 2 & 3) == 3};
}

static void cpu_add(struct acpi_info* info, uint32_t apic_id, uint32_t uid, uint32_t flags) {
    bool enabled = (flags & cpu_enabled) != 0;
    bool online_capable = !enabled && (flags & cpu_online_capable) != 0;
    if (!enabled && !online_capable) {
        return; // a slot that will never hold a CPU
    }
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        if (info->cpus[i].apic_id == apic_id) {
            return; // listed in both the old and the new form
        }
    }
    if (info->cpu_count == acpi_cpu_max) {
        info->dropped++;
        return;
    }
    info->cpus[info->cpu_count++] = (struct acpi_cpu){
        .apic_id = apic_id, .uid = uid, .enabled = enabled, .online_capable = online_capable};
}

static void ioapic_add(struct acpi_info* info, const uint8_t* entry) {
    if (info->ioapic_count == acpi_ioapic_max) {
        info->dropped++;
        return;
    }
    info->ioapics[info->ioapic_count++] = (struct acpi_ioapic){
        .id = entry[2], .address = acpi_load_u32(entry + 4), .gsi_base = acpi_load_u32(entry + 8)};
}

static void override_add(struct acpi_info* info, const uint8_t* entry) {
    if (entry[2] != 0) {
        return; // only bus 0, ISA, is defined
    }
    if (info->override_count == acpi_override_max) {
        info->dropped++;
        return;
    }
    info->overrides[info->override_count++] =
        (struct acpi_override){.isa_irq = entry[3],
                               .gsi = acpi_load_u32(entry + 4),
                               .wiring = wiring_decode(acpi_load_u16(entry + 8))};
}

static void nmi_add(struct acpi_info* info, uint32_t uid, uint8_t lint, uint16_t flags) {
    if (lint > 1 || info->nmi_count == acpi_nmi_max) {
        info->dropped++;
        return;
    }
    info->nmis[info->nmi_count++] =
        (struct acpi_nmi){.uid = uid, .lint = lint, .wiring = wiring_decode(flags)};
}

// The shortest length an entry of this type may have; 0 for types that are skipped.
static uint8_t entry_len_min(uint8_t type) {
    switch (type) {
    case MADT_LAPIC:
        return 8;
    case MADT_IOAPIC:
    case MADT_LAPIC_ADDRESS:
    case MADT_X2APIC_NMI:
        return 12;
    case MADT_OVERRIDE:
        return 10;
    case MADT_LAPIC_NMI:
        return 6;
    case MADT_X2APIC:
        return 16;
    default:
        return 0;
    }
}

static void entry_take(struct acpi_info* info, const uint8_t* entry) {
    switch (entry[0]) {
    case MADT_LAPIC:
        if (entry[3] != 0xff) { // the broadcast address is no CPU
            cpu_add(info, entry[3], entry[2], acpi_load_u32(entry + 4));
        }
        break;
    case MADT_IOAPIC:
        ioapic_add(info, entry);
        break;
    case MADT_OVERRIDE:
        override_add(info, entry);
        break;
    case MADT_LAPIC_NMI:
        nmi_add(info, entry[2] == 0xff ? acpi_nmi_all_cpus : entry[2], entry[5],
                acpi_load_u16(entry + 3));
        break;
    case MADT_LAPIC_ADDRESS:
        info->lapic_address = acpi_load_u64(entry + 4);
        break;
    case MADT_X2APIC:
        if (acpi_load_u32(entry + 4) != UINT32_MAX) {
            cpu_add(info, acpi_load_u32(entry + 4), acpi_load_u32(entry + 12),
                    acpi_load_u32(entry + 8));
        }
        break;
    case MADT_X2APIC_NMI:
        nmi_add(info, acpi_load_u32(entry + 4), entry[8], acpi_load_u16(entry + 2));
        break;
    }
}

static bool entries_walk(const struct acpi_table_ref* table, struct acpi_info* info) {
    uint32_t at = madt_fixed_len;
    while (at < table->len) {
        uint8_t entry[16];
        if (!acpi_table_read(table, at, entry, 2)) {
            return false;
        }
        uint8_t len = entry[1];
        uint8_t len_min = entry_len_min(entry[0]);
        if (len < 2 || len < len_min || len > table->len - at) {
            return false;
        }
        if (len_min != 0) {
            if (!acpi_table_read(table, at, entry, len_min)) {
                return false;
            }
            entry_take(info, entry);
        }
        at += len;
    }
    return true;
}

bool acpi_madt_parse(const struct acpi_table_ref* table, struct acpi_info* info) {
    uint8_t fixed[8];
    if (!acpi_table_read(table, acpi_header_len, fixed, sizeof(fixed))) {
        return false;
    }
    info->lapic_address = acpi_load_u32(fixed);
    info->has_8259 = (acpi_load_u32(fixed + 4) & 1) != 0;
    if (entries_walk(table, info)) {
        return true;
    }
    info->lapic_address = 0;
    info->cpu_count = 0;
    info->ioapic_count = 0;
    info->override_count = 0;
    info->nmi_count = 0;
    return false;
}
