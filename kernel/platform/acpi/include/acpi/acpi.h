// What the kernel needs to know from the ACPI tables, gathered in one pass at boot.
//
// The firmware's tables are input that may be wrong: every length and offset is checked against the
// table it came from, every table's checksum is verified, and a table that fails is left out and
// noted in `bad_tables`. Only a missing or broken root makes acpi_read fail. Lists have fixed
// capacities; what does not fit is counted in `dropped`, not lost silently.
//
// Physical memory is reached through a callback that copies, because the tables may lie anywhere
// (reserved memory, not in the direct map) and a copy cannot change between check and use. No
// allocation, no AML interpreter: the one AML value needed, the sleep types of \_S5, is found by
// its byte pattern. Runs once on the boot CPU; the result is immutable afterwards.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint32_t acpi_cpu_max = 512;
constexpr uint32_t acpi_ioapic_max = 32;
constexpr uint32_t acpi_override_max = 48;
constexpr uint32_t acpi_nmi_max = 64;
constexpr uint32_t acpi_mcfg_max = 16;

typedef enum [[nodiscard]] acpi_error : uint8_t {
    ACPI_OK,
    ACPI_NO_RSDP,        // there is none at the address, or none was found
    ACPI_BAD_RSDP,       // checksum or length
    ACPI_BAD_ROOT_TABLE, // neither XSDT nor RSDT is usable
} acpi_error_t;

// Copies len bytes of physical memory; false if the range cannot be read.
typedef bool (*acpi_memory_read_fn)(void* ctx, uint64_t physical, void* buffer, size_t len);

struct acpi_memory {
    acpi_memory_read_fn read;
    void* ctx;
};

typedef enum acpi_table : uint8_t { // bits of the masks in acpi_info
    ACPI_TABLE_MADT = 1,
    ACPI_TABLE_FADT = 2,
    ACPI_TABLE_HPET = 4,
    ACPI_TABLE_MCFG = 8,
    ACPI_TABLE_DSDT = 16,
    ACPI_TABLE_OTHER = 32,
} acpi_table_t;

typedef enum acpi_space : uint8_t {
    ACPI_SPACE_MEMORY = 0,
    ACPI_SPACE_IO = 1,
    ACPI_SPACE_NONE = 0xff, // the register does not exist
} acpi_space_t;

struct acpi_register {
    uint64_t address;
    acpi_space_t space;
    uint8_t bit_width;
};

// How an interrupt line is wired, the bus default already applied (ISA: active high, edge).
struct acpi_wiring {
    bool active_low;
    bool level;
};

struct acpi_cpu {
    uint32_t apic_id;
    uint32_t uid;
    bool enabled;        // can be started now
    bool online_capable; // absent, may be plugged in later
};

struct acpi_ioapic {
    uint32_t address;
    uint32_t gsi_base;
    uint8_t id;
};

struct acpi_override { // ISA line `isa_irq` is wired to `gsi`
    uint32_t gsi;
    uint8_t isa_irq;
    struct acpi_wiring wiring;
};

constexpr uint32_t acpi_nmi_all_cpus = UINT32_MAX;

struct acpi_nmi { // a local interrupt pin that carries NMI
    uint32_t uid; // of the CPU, or acpi_nmi_all_cpus
    uint8_t lint; // 0 or 1
    struct acpi_wiring wiring;
};

struct acpi_mcfg { // a memory-mapped PCI configuration region
    uint64_t base;
    uint16_t segment;
    uint8_t bus_first;
    uint8_t bus_last;
};

struct acpi_info {
    uint8_t revision;     // of the RSDP
    uint8_t found_tables; // acpi_table_t bits: present and sound
    uint8_t bad_tables;   // present and refused
    uint32_t dropped;     // list entries beyond a capacity

    uint64_t lapic_address;
    bool has_8259; // a pair of legacy controllers, to be masked
    uint32_t cpu_count;
    uint32_t ioapic_count;
    uint32_t override_count;
    uint32_t nmi_count;
    uint32_t mcfg_count;

    struct acpi_register pm_timer; // 3.579545 MHz
    bool pm_timer_is_32bit;        // else 24
    struct acpi_register pm1a_control;
    struct acpi_register pm1b_control;
    struct acpi_register sleep_control; // hardware-reduced machines
    struct acpi_register reset;
    uint8_t reset_value;
    uint16_t sci_irq;
    uint32_t smi_command_port; // 0: ACPI mode is always on
    uint8_t acpi_enable_value;
    bool hardware_reduced;
    bool has_legacy_devices; // boot-architecture flags of the FADT; sensible defaults without it
    bool has_8042;
    bool has_vga;
    bool msi_allowed;
    bool has_cmos_rtc;

    bool has_s5;
    uint8_t s5_type_a;
    uint8_t s5_type_b;

    uint64_t hpet_address; // 0: none
    uint16_t hpet_min_tick;

    struct acpi_cpu cpus[acpi_cpu_max];
    struct acpi_ioapic ioapics[acpi_ioapic_max];
    struct acpi_override overrides[acpi_override_max];
    struct acpi_nmi nmis[acpi_nmi_max];
    struct acpi_mcfg mcfg[acpi_mcfg_max];
};

// `rsdp` is the physical address from the hand-off record, 0 to search the BIOS areas.
acpi_error_t acpi_read(const struct acpi_memory* memory, uint64_t rsdp, struct acpi_info* info);

// What to write to the PM1 control registers (keeping their other bits) to enter S5.
static inline uint16_t acpi_pm1_sleep_bits(uint8_t type) {
    return (uint16_t)((type & 7u) << 10 | 1u << 13);
}
constexpr uint16_t acpi_pm1_sleep_mask = 0x3c00;

const char* acpi_error_text(acpi_error_t error);
