// ACPI parsing over tables made here: a whole machine, then one damage after another, then random
// damage with checksums repaired, so that it reaches the parsers.
#include <acpi/acpi.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <lib/random.h>

constexpr uint64_t memory_base = 0xe0000;
constexpr uint32_t memory_len = 0x8000;
constexpr uint32_t table_count_max = 12;

struct machine {
    uint8_t* bytes; // physical memory_base .. memory_base + memory_len
    uint32_t used;
    uint32_t rsdp_at;
    uint32_t root_at;
    uint32_t entry_len;
    uint32_t table_at[table_count_max];
    uint32_t table_count;
    bool refuse_reads;
};

static void put(struct machine* m, uint32_t at, uint64_t value, unsigned len) {
    for (unsigned i = 0; i < len; i++) {
        m->bytes[at + i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t get_u32(const struct machine* m, uint32_t at) {
    return (uint32_t)m->bytes[at] | (uint32_t)m->bytes[at + 1] << 8 |
           (uint32_t)m->bytes[at + 2] << 16 | (uint32_t)m->bytes[at + 3] << 24;
}

static void fix_sum(struct machine* m, uint32_t at, uint32_t len, uint32_t sum_at) {
    m->bytes[sum_at] = 0;
    uint8_t sum = 0;
    for (uint32_t i = 0; i < len; i++) {
        sum = (uint8_t)(sum + m->bytes[at + i]);
    }
    m->bytes[sum_at] = (uint8_t)-sum;
}

static void fix_table(struct machine* m, uint32_t at) {
    uint32_t len = get_u32(m, at + 4);
    if (len >= 36 && len <= memory_len - at) {
        fix_sum(m, at, len, at + 9);
    }
}

static bool machine_read(void* ctx, uint64_t physical, void* buffer, size_t len) {
    const struct machine* m = ctx;
    if (m->refuse_reads || physical < memory_base || len > memory_len ||
        physical - memory_base > memory_len - len) {
        return false;
    }
    memcpy(buffer, m->bytes + (physical - memory_base), len);
    return true;
}

// Starts a machine with an RSDP of the revision and an empty root table.
static struct machine machine_make(uint8_t revision) {
    struct machine m = {.bytes = calloc(1, memory_len), .rsdp_at = 0x120, .root_at = 0x200};
    bool extended = revision >= 2;
    m.entry_len = extended ? 8 : 4;
    m.used = 0x400;
    memcpy(m.bytes + m.rsdp_at, "RSD PTR ", 8);
    m.bytes[m.rsdp_at + 15] = revision;
    put(&m, m.rsdp_at + 16, extended ? 0 : memory_base + m.root_at, 4);
    put(&m, m.rsdp_at + 20, 36, 4);
    put(&m, m.rsdp_at + 24, extended ? memory_base + m.root_at : 0, 8);
    fix_sum(&m, m.rsdp_at, 20, m.rsdp_at + 8);
    fix_sum(&m, m.rsdp_at, 36, m.rsdp_at + 32);
    memcpy(m.bytes + m.root_at, extended ? "XSDT" : "RSDT", 4);
    put(&m, m.root_at + 4, 36, 4);
    fix_table(&m, m.root_at);
    return m;
}

// Appends a table with the given body behind its header; returns where it is.
static uint32_t table_place(struct machine* m, const char* signature, uint8_t revision,
                            const void* body, uint32_t body_len) {
    uint32_t at = m->used;
    memcpy(m->bytes + at, signature, 4);
    put(m, at + 4, 36 + body_len, 4);
    m->bytes[at + 8] = revision;
    memcpy(m->bytes + at + 36, body, body_len);
    fix_table(m, at);
    m->used += (36 + body_len + 15) & ~15u;
    return at;
}

static uint32_t table_add(struct machine* m, const char* signature, const void* body,
                          uint32_t body_len) {
    uint32_t at = table_place(m, signature, 3, body, body_len);
    uint32_t root_len = get_u32(m, m->root_at + 4);
    put(m, m->root_at + root_len, memory_base + at, m->entry_len);
    put(m, m->root_at + 4, root_len + m->entry_len, 4);
    fix_table(m, m->root_at);
    m->table_at[m->table_count++] = at;
    return at;
}

static acpi_error_t machine_parse(struct machine* m, struct acpi_info* info) {
    struct acpi_memory memory = {.read = machine_read, .ctx = m};
    return acpi_read(&memory, memory_base + m->rsdp_at, info);
}

static const uint8_t madt_body[] = {
    0x00, 0x00, 0xe0, 0xfe, 1,    0,    0,    0, // LAPIC address, legacy 8259s
    0,    8,    0,    0,    1,    0,    0,    0, // CPU 0
    0,    8,    1,    4,    1,    0,    0,    0, // CPU 1, APIC 4
    0,    8,    2,    6,    2,    0,    0,    0, // may be plugged in
    0,    8,    3,    8,    0,    0,    0,    0, // never
    0,    8,    4,    0xff, 1,    0,    0,    0, // broadcast address
    9,    16,   0,    0,    0x00, 0x01, 0,    0,    1,    0, 0, 0, 77, 0, 0, 0, // x2APIC 256
    9,    16,   0,    0,    4,    0,    0,    0,    1,    0, 0, 0, 1,  0, 0, 0, // APIC 4 once more
    1,    12,   9,    0,    0,    0,    0xc0, 0xfe, 24,   0, 0, 0,              // IOAPIC 9, GSI 24
    2,    10,   0,    0,    2,    0,    0,    0,    0,    0,                    // IRQ 0 -> GSI 2
    2,    10,   0,    9,    9,    0,    0,    0,    0x0d, 0,                    // IRQ 9 high level
    2,    10,   0,    5,    5,    0,    0,    0,    0x0f, 0,                    // IRQ 5 low level
    4,    6,    0xff, 0,    0,    1,                               // NMI at LINT1 of all
    10,   12,   5,    0,    77,   0,    0,    0,    0,    0, 0, 0, // NMI at LINT0 of CPU 77
    127,  5,    1,    2,    3,                                     // unknown
    5,    12,   0,    0,    0x00, 0x00, 0xe1, 0xfe, 1,    0, 0, 0, // LAPIC address, 64 bit
};

static void test_madt(void**) {
    struct machine m = machine_make(2);
    table_add(&m, "APIC", madt_body, sizeof(madt_body));
    struct acpi_info info;
    assert_int_equal(machine_parse(&m, &info), ACPI_OK);
    assert_int_equal(info.found_tables, ACPI_TABLE_MADT);
    assert_int_equal(info.bad_tables, 0);
    assert_int_equal(info.lapic_address, 0x1fee10000);
    assert_true(info.has_8259);
    assert_int_equal(info.cpu_count, 4);
    assert_int_equal(info.cpus[1].apic_id, 4);
    assert_true(info.cpus[1].enabled);
    assert_true(!info.cpus[2].enabled && info.cpus[2].online_capable);
    assert_int_equal(info.cpus[3].apic_id, 256);
    assert_int_equal(info.cpus[3].uid, 77);
    assert_int_equal(info.ioapic_count, 1);
    assert_int_equal(info.ioapics[0].address, 0xfec00000);
    assert_int_equal(info.ioapics[0].gsi_base, 24);
    assert_int_equal(info.override_count, 3);
    assert_int_equal(info.overrides[0].gsi, 2);
    assert_true(!info.overrides[0].wiring.level && !info.overrides[0].wiring.active_low);
    assert_true(info.overrides[1].wiring.level && !info.overrides[1].wiring.active_low);
    assert_true(info.overrides[2].wiring.level && info.overrides[2].wiring.active_low);
    assert_int_equal(info.nmi_count, 2);
    assert_true(info.nmis[0].uid == acpi_nmi_all_cpus && info.nmis[0].lint == 1);
    assert_true(info.nmis[1].uid == 77 && info.nmis[1].lint == 0);
    free(m.bytes);
}

static void test_madt_many_cpus(void**) {
    constexpr uint32_t count = acpi_cpu_max + 5;
    uint8_t body[8 + count * 16] = {};
    for (uint32_t i = 0; i < count; i++) {
        uint8_t* entry = body + 8 + i * 16;
        entry[0] = 9;
        entry[1] = 16;
        entry[4] = (uint8_t)i;
        entry[5] = (uint8_t)(i >> 8);
        entry[8] = 1;
    }
    struct machine m = machine_make(2);
    table_add(&m, "APIC", body, sizeof(body));
    struct acpi_info info;
    assert_int_equal(machine_parse(&m, &info), ACPI_OK);
    assert_int_equal(info.cpu_count, acpi_cpu_max);
    assert_int_equal(info.dropped, 5);
    assert_int_equal(info.cpus[acpi_cpu_max - 1].apic_id, acpi_cpu_max - 1);
    free(m.bytes);
}

static void test_madt_malformed(void**) {
    static const uint8_t bad[][12] = {
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, // zero length would never end
        {0, 1},
        {0, 7, 0, 0, 1},
        {1, 11},
        {9, 15},
        {2, 9},
        {4, 5},
        {5, 11},
        {10, 11},
        {0, 13}, // beyond the table
        {77, 13},
        {77, 1},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t body[8 + 8 + 12] = {0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0, 8, 0, 0, 1, 0, 0, 0};
        memcpy(body + 16, bad[i], 12);
        struct machine m = machine_make(2);
        table_add(&m, "APIC", body, sizeof(body));
        struct acpi_info info;
        assert_int_equal(machine_parse(&m, &info), ACPI_OK);
        assert_int_equal(info.bad_tables, ACPI_TABLE_MADT);
        assert_int_equal(info.cpu_count, 0);
        free(m.bytes);
    }
}

struct fadt {
    uint8_t bytes[268 - 36];
};

static void fadt_put(struct fadt* fadt, uint32_t offset, uint64_t value, unsigned len) {
    for (unsigned i = 0; i < len; i++) {
        fadt->bytes[offset - 36 + i] = (uint8_t)(value >> (8 * i));
    }
}

static void fadt_put_register(struct fadt* fadt, uint32_t offset, uint8_t space, uint64_t address) {
    fadt_put(fadt, offset, space, 1);
    fadt_put(fadt, offset + 1, 16, 1);
    fadt_put(fadt, offset + 4, address, 8);
}

static struct fadt fadt_sample(void) {
    struct fadt fadt = {};
    fadt_put(&fadt, 46, 9, 2);
    fadt_put(&fadt, 48, 0xb2, 4);
    fadt_put(&fadt, 52, 2, 1);
    fadt_put(&fadt, 64, 0x604, 4);
    fadt_put(&fadt, 76, 0x608, 4);
    fadt_put(&fadt, 91, 4, 1);
    fadt_put(&fadt, 109, 0x2 | 0x8, 2);
    fadt_put(&fadt, 112, 1 << 8 | 1 << 10, 4);
    fadt_put_register(&fadt, 116, 1, 0xcf9);
    fadt_put(&fadt, 128, 0x0f, 1);
    return fadt;
}

static void test_fadt(void**) {
    struct fadt fadt = fadt_sample();
    struct machine m = machine_make(2);
    table_add(&m, "FACP", fadt.bytes, sizeof(fadt.bytes));
    struct acpi_info info;
    assert_int_equal(machine_parse(&m, &info), ACPI_OK);
    assert_int_equal(info.found_tables, ACPI_TABLE_FADT);
    assert_int_equal(info.sci_irq, 9);
    assert_int_equal(info.smi_command_port, 0xb2);
    assert_int_equal(info.acpi_enable_value, 2);
    assert_int_equal(info.pm_timer.space, ACPI_SPACE_IO);
    assert_int_equal(info.pm_timer.address, 0x608);
    assert_true(info.pm_timer_is_32bit);
    assert_int_equal(info.pm1a_control.address, 0x604);
    assert_int_equal(info.pm1b_control.space, ACPI_SPACE_NONE);
    assert_int_equal(info.reset.address, 0xcf9);
    assert_int_equal(info.reset_value, 0x0f);
    assert_true(!info.has_legacy_devices && info.has_8042 && !info.msi_allowed && info.has_vga);
    assert_false(info.hardware_reduced || info.has_s5);
    free(m.bytes);
}

static void test_fadt_extended_fields_win(void**) {
    struct fadt fadt = fadt_sample();
    fadt_put_register(&fadt, 208, 0, 0xfed40000);
    fadt_put_register(&fadt, 172, 1, 0x1804);
    fadt_put_register(&fadt, 184, 1, 0x12345); // no such port
    fadt_put(&fadt, 68, 0x10000, 4);           // nor this
    struct machine m = machine_make(2);
    table_add(&m, "FACP", fadt.bytes, sizeof(fadt.bytes));
    struct acpi_info info;
    assert_int_equal(machine_parse(&m, &info), ACPI_OK);
    assert_int_equal(info.pm_timer.space, ACPI_SPACE_MEMORY);
    assert_int_equal(info.pm_timer.address, 0xfed40000);
    assert_int_equal(info.pm1a_control.address, 0x1804);
    assert_int_equal(info.pm1b_control.space, ACPI_SPACE_NONE);
    free(m.bytes);
}

static void test_fadt_short(void**) {
    struct fadt fadt = fadt_sample();
    for (uint32_t len = 0; len <= sizeof(fadt.bytes); len++) {
        struct machine m = machine_make(2);
        table_add(&m, "FACP", fadt.bytes, len);
        struct acpi_info info;
        assert_int_equal(machine_parse(&m, &info), ACPI_OK);
        bool enough = 36 + len >= 116;
        assert_int_equal(info.found_tables, enough ? ACPI_TABLE_FADT : 0);
        assert_int_equal(info.bad_tables, enough ? 0 : ACPI_TABLE_FADT);
        assert_int_equal(info.pm_timer.space, enough ? ACPI_SPACE_IO : ACPI_SPACE_NONE);
        assert_int_equal(info.reset.space, 36 + len >= 132 ? ACPI_SPACE_IO : ACPI_SPACE_NONE);
        free(m.bytes);
    }
}

// ---- S5 -----------------------------------------------------------------------------------------

static bool parse_s5(const uint8_t* aml, uint32_t len, uint32_t shift, bool in_ssdt,
                     struct acpi_info* info) {
    uint8_t body[2048] = {};
    memcpy(body + shift, aml, len);
    struct machine m = machine_make(2);
    uint32_t dsdt = table_place(&m, "DSDT", 2, body, in_ssdt ? 8 : shift + len);
    struct fadt fadt = fadt_sample();
    fadt_put(&fadt, shift % 2 != 0 ? 40 : 140, memory_base + dsdt, 4);
    table_add(&m, "FACP", fadt.bytes, sizeof(fadt.bytes));
    if (in_ssdt) {
        table_add(&m, "SSDT", "noise", 5);
        table_add(&m, "SSDT", body, shift + len);
    }
    assert_int_equal(machine_parse(&m, info), ACPI_OK);
    assert_true((info->found_tables & ACPI_TABLE_DSDT) != 0);
    free(m.bytes);
    return info->has_s5;
}

static void test_s5(void**) {
    static const struct {
        uint8_t aml[20];
        uint32_t len;
        int type_a; // -1: not found
        int type_b;
    } cases[] = {
        {{8, '_', 'S', '5', '_', 0x12, 6, 4, 0, 0, 0, 0}, 12, 0, 0},
        {{8, '_', 'S', '5', '_', 0x12, 8, 4, 0x0a, 5, 0x0a, 6, 0, 0}, 14, 5, 6},
        {{8, '\\', '_', 'S', '5', '_', 0x12, 8, 4, 0x0a, 5, 1, 0, 0}, 14, 5, 1},
        {{8, '_', 'S', '5', '_', 0x12, 0x46, 0, 2, 0x0b, 7, 0, 0x0c, 3, 0, 0, 0}, 17, 7, 3},
        {{8, '_', 'S', '5', '_', 0x12, 6, 1, 0x0a, 5}, 10, 5, 5},
        {{8, '_', 'S', '5', '_', 0x12, 6, 0, 0x0a, 5}, 10, -1, 0},
        {{8, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a}, 9, -1, 0},
        {{8, '_', 'S', '5', '_', 0x12, 0xc0, 0}, 8, -1, 0},
        {{8, '_', 'S', '5', '_', 0x12}, 6, -1, 0},
        {{8, '_', 'S', '5', '_', 0x13, 6, 4, 0, 0}, 10, -1, 0},
        {{9, '_', 'S', '5', '_', 0x12, 6, 4, 0, 0}, 10, -1, 0},
        {{8, '_', 'S', '4', '_', 0x12, 6, 4, 0, 0}, 10, -1, 0},
        {{8, '_', 'S', '5', '_', 0x12, 6, 4, 0x70, 0}, 10, -1, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        // Every position relative to the chunks of the search.
        for (uint32_t shift = 450; shift < 520; shift++) {
            struct acpi_info info;
            bool found = parse_s5(cases[i].aml, cases[i].len, shift, shift % 3 == 0, &info);
            assert_int_equal(found, cases[i].type_a >= 0);
            if (found) {
                assert_int_equal(info.s5_type_a, cases[i].type_a);
                assert_int_equal(info.s5_type_b, cases[i].type_b);
            }
        }
    }
    assert_int_equal(acpi_pm1_sleep_bits(5), 5 << 10 | 1 << 13);
}

// ---- The others ---------------------------------------------------------------------------------

static void test_hpet(void**) {
    uint8_t body[20] = {1,    0xa2, 0x86, 0x80, 0, 64, 0, 0,    0,   0,
                        0xd0, 0xfe, 0,    0,    0, 0,  0, 0x80, 0x37};
    struct machine m = machine_make(2);
    table_add(&m, "HPET", body, sizeof(body));
    struct acpi_info info;
    assert_int_equal(machine_parse(&m, &info), ACPI_OK);
    assert_int_equal(info.hpet_address, 0xfed00000);
    assert_int_equal(info.hpet_min_tick, 0x3780);
    free(m.bytes);
    for (int i = 0; i < 3; i++) { // short, in port space, misaligned
        uint8_t bad[20];
        memcpy(bad, body, sizeof(bad));
        bad[i == 1 ? 4 : 8] |= 1;
        m = machine_make(2);
        table_add(&m, "HPET", i == 0 ? body : bad, i == 0 ? 19 : 20);
        assert_int_equal(machine_parse(&m, &info), ACPI_OK);
        assert_int_equal(info.bad_tables, ACPI_TABLE_HPET);
        assert_int_equal(info.hpet_address, 0);
        free(m.bytes);
    }
}

static void test_mcfg(void**) {
    uint8_t body[8 + 32] = {[8 + 3] = 0xb0, [8 + 11] = 0xff, [24 + 4] = 1,
                            [24 + 8] = 7,   [24 + 10] = 16,  [24 + 11] = 31};
    struct machine m = machine_make(2);
    table_add(&m, "MCFG", body, sizeof(body));
    struct acpi_info info;
    assert_int_equal(machine_parse(&m, &info), ACPI_OK);
    assert_int_equal(info.mcfg_count, 2);
    assert_int_equal(info.mcfg[0].base, 0xb0000000);
    assert_int_equal(info.mcfg[0].bus_last, 255);
    assert_int_equal(info.mcfg[1].base, 1ull << 32);
    assert_int_equal(info.mcfg[1].segment, 7);
    free(m.bytes);
    body[24 + 10] = 32; // first bus after the last
    m = machine_make(2);
    table_add(&m, "MCFG", body, sizeof(body));
    assert_int_equal(machine_parse(&m, &info), ACPI_OK);
    assert_int_equal(info.bad_tables, ACPI_TABLE_MCFG);
    assert_int_equal(info.mcfg_count, 0);
    free(m.bytes);
}

static void test_old_machine_with_rsdt(void**) {
    struct machine m = machine_make(0);
    table_add(&m, "SLIT", "xxxx", 4);
    table_add(&m, "APIC", madt_body, sizeof(madt_body));
    table_add(&m, "APIC", madt_body, 8); // the first one counts
    struct acpi_info info;
    assert_int_equal(machine_parse(&m, &info), ACPI_OK);
    assert_int_equal(info.revision, 0);
    assert_int_equal(info.cpu_count, 4);
    assert_true(info.has_8042 && info.has_legacy_devices && info.msi_allowed);
    free(m.bytes);
}

static void test_search(void**) {
    struct machine m = machine_make(2);
    struct acpi_memory memory = {.read = machine_read, .ctx = &m};
    struct acpi_info info;
    assert_int_equal(acpi_read(&memory, 0, &info), ACPI_OK);
    m.bytes[m.rsdp_at + 3] ^= 1;
    assert_int_equal(acpi_read(&memory, 0, &info), ACPI_NO_RSDP);
    free(m.bytes);
}

static void test_root_damage(void**) {
    struct acpi_info info;
    struct machine m = machine_make(2);
    struct acpi_memory memory = {.read = machine_read, .ctx = &m};
    assert_int_equal(acpi_read(&memory, 0x1234, &info), ACPI_NO_RSDP);
    assert_int_equal(acpi_read(&memory, UINT64_MAX, &info), ACPI_NO_RSDP);
    m.bytes[m.rsdp_at + 10] ^= 1;
    assert_int_equal(machine_parse(&m, &info), ACPI_BAD_RSDP);
    m.bytes[m.rsdp_at + 10] ^= 1;
    m.bytes[m.rsdp_at + 33] ^= 1; // only the extended sum covers it
    assert_int_equal(machine_parse(&m, &info), ACPI_BAD_RSDP);
    m.bytes[m.rsdp_at + 33] ^= 1;
    m.bytes[m.root_at + 20] ^= 1;
    assert_int_equal(machine_parse(&m, &info), ACPI_BAD_ROOT_TABLE);
    m.bytes[m.root_at + 20] ^= 1;
    static const uint32_t lengths[] = {0, 35, memory_len, UINT32_MAX, (16u << 20) + 1};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put(&m, m.root_at + 4, lengths[i], 4);
        fix_table(&m, m.root_at);
        assert_int_equal(machine_parse(&m, &info), ACPI_BAD_ROOT_TABLE);
    }
    m.refuse_reads = true;
    assert_int_equal(machine_parse(&m, &info), ACPI_NO_RSDP);
    assert_string_not_equal(acpi_error_text(ACPI_BAD_ROOT_TABLE), "unknown ACPI error");
    free(m.bytes);
}

static struct machine whole_machine(void) {
    static const uint8_t hpet[20] = {[9] = 0, [10] = 0xd0, [11] = 0xfe};
    static const uint8_t mcfg[24] = {[11] = 0xb0, [19] = 0xff};
    static const uint8_t aml[] = {8, '_', 'S', '5', '_', 0x12, 8, 4, 0x0a, 5, 0x0a, 6, 0, 0};
    struct machine m = machine_make(2);
    uint32_t dsdt = table_place(&m, "DSDT", 2, aml, sizeof(aml));
    struct fadt fadt = fadt_sample();
    fadt_put(&fadt, 140, memory_base + dsdt, 8);
    table_add(&m, "APIC", madt_body, sizeof(madt_body));
    table_add(&m, "FACP", fadt.bytes, sizeof(fadt.bytes));
    table_add(&m, "HPET", hpet, sizeof(hpet));
    table_add(&m, "MCFG", mcfg, sizeof(mcfg));
    m.table_at[m.table_count++] = dsdt;
    return m;
}

static void expect_within_bounds(const struct acpi_info* info) {
    assert_true(info->cpu_count <= acpi_cpu_max && info->ioapic_count <= acpi_ioapic_max);
    assert_true(info->override_count <= acpi_override_max && info->nmi_count <= acpi_nmi_max);
    assert_true(info->mcfg_count <= acpi_mcfg_max);
    assert_true(info->s5_type_a <= 7 && info->s5_type_b <= 7);
    for (uint32_t i = 0; i < info->nmi_count; i++) {
        assert_true(info->nmis[i].lint <= 1);
    }
}

static void test_checksum_guards_every_table(void**) {
    for (uint32_t i = 0; i < 5; i++) {
        struct machine m = whole_machine();
        m.bytes[m.table_at[i] + 12] ^= 0x10;
        struct acpi_info info;
        assert_int_equal(machine_parse(&m, &info), ACPI_OK);
        assert_int_equal(__builtin_popcount(info.bad_tables), 1);
        // Without a FADT nobody knows the DSDT.
        assert_int_equal(__builtin_popcount(info.found_tables), i == 1 ? 3 : 4);
        assert_int_equal(info.has_s5, i != 1 && i != 4);
        free(m.bytes);
    }
}

static void test_random_damage(void**) {
    struct random random = random_init(100);
    unsigned whole = 0;
    for (int round = 0; round < 20000; round++) {
        struct machine m = whole_machine();
        for (int i = 0; i < 3; i++) {
            m.bytes[random_below(&random, m.used)] = (uint8_t)random_u64(&random);
        }
        for (uint32_t i = 0; i < m.table_count; i++) {
            fix_table(&m, m.table_at[i]);
        }
        fix_table(&m, m.root_at);
        struct acpi_info info;
        if (machine_parse(&m, &info) == ACPI_OK) {
            expect_within_bounds(&info);
            whole += info.bad_tables == 0;
        }
        free(m.bytes);
    }
    assert_true(whole > 2000 && whole < 19000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_madt),
        cmocka_unit_test(test_madt_many_cpus),
        cmocka_unit_test(test_madt_malformed),
        cmocka_unit_test(test_fadt),
        cmocka_unit_test(test_fadt_extended_fields_win),
        cmocka_unit_test(test_fadt_short),
        cmocka_unit_test(test_s5),
        cmocka_unit_test(test_hpet),
        cmocka_unit_test(test_mcfg),
        cmocka_unit_test(test_old_machine_with_rsdt),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_root_damage),
        cmocka_unit_test(test_checksum_guards_every_table),
        cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
