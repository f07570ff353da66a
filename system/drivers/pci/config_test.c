// PCI configuration space of machines that exist and of some that should not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <pci/config.h>

// ---- a machine ----

struct fake_function {
    pci_address_t address;
    uint8_t space[256];
    uint32_t bar_mask[PCI_BARS]; // bits that can be changed
};

static struct {
    struct fake_function functions[40];
    uint32_t count;
    uint32_t writes_while_decoding; // to BARs
    uint32_t reads_left;            // then all functions are gone; 0: they stay
    bool gone;
} machine;

static struct fake_function* find(pci_address_t address) {
    for (uint32_t i = 0; i < machine.count; i++) {
        if (machine.functions[i].address == address) {
            return &machine.functions[i];
        }
    }
    return nullptr;
}

static uint32_t fake_read(void*, pci_address_t address, uint16_t offset, uint8_t width) {
    const struct fake_function* f = find(address);
    uint32_t value = 0;
    assert_true((width == 1 || width == 2 || width == 4) && offset % width == 0);
    assert_true(offset + width <= 256);
    if (machine.reads_left != 0) {
        machine.gone |= --machine.reads_left == 0;
    }
    if (f == nullptr || machine.gone) {
        return UINT32_MAX >> (32 - 8 * width);
    }
    memcpy(&value, f->space + offset, width);
    return value;
}

static void fake_write(void*, pci_address_t address, uint16_t offset, uint8_t width,
                       uint32_t value) {
    struct fake_function* f = find(address);
    assert_non_null(f);
    if (machine.gone) {
        return;
    }
    if (offset >= PCI_BAR0 && offset < PCI_BAR0 + 4 * PCI_BARS) {
        uint32_t i = (offset - PCI_BAR0) / 4u, old;
        assert_int_equal(width, 4);
        machine.writes_while_decoding += (f->space[PCI_COMMAND] & 3) != 0;
        memcpy(&old, f->space + offset, 4);
        value = (value & f->bar_mask[i]) | (old & ~f->bar_mask[i]);
    }
    memcpy(f->space + offset, &value, width);
}

static struct pci_access bus_range(uint8_t first, uint8_t last) {
    return (struct pci_access){
        .read = fake_read, .write = fake_write, .size = 256, .first_bus = first, .last_bus = last};
}

static struct fake_function* add(uint32_t bus, uint32_t device, uint32_t function) {
    assert_true(machine.count < 40);
    struct fake_function* f = &machine.functions[machine.count++];
    memset(f, 0, sizeof(*f));
    f->address = (pci_address_t)(bus << 8 | device << 3 | function);
    memcpy(f->space, "\xf4\x1a\x42\x10", 4); // 1af4:1042
    return f;
}

static struct fake_function* add_bridge(uint32_t bus, uint32_t device, uint8_t secondary) {
    struct fake_function* f = add(bus, device, 0);
    f->space[PCI_HEADER_TYPE] = 1;
    f->space[PCI_SECONDARY_BUS] = secondary;
    return f;
}

static void set_bar(struct fake_function* f, uint32_t i, uint32_t value, uint32_t mask) {
    memcpy(f->space + PCI_BAR0 + 4 * i, &value, 4);
    f->bar_mask[i] = mask;
}

static int reset(void**) {
    memset(&machine, 0, sizeof(machine));
    return 0;
}

static uint32_t enumerate(uint8_t first, uint8_t last, struct pci_function out[40]) {
    struct pci_access a = bus_range(first, last);
    return pci_enumerate(&a, out, 40);
}

// ---- functions ----

static void test_an_empty_machine(void**) {
    struct pci_function out[40];
    assert_int_equal(enumerate(0, 255, out), 0);
}

static void test_what_a_function_is(void**) {
    struct pci_function out[40];
    struct fake_function* f = add(0, 3, 0);
    memcpy(f->space + PCI_REVISION, "\x07\x00\x80\x01", 4);
    memcpy(f->space + PCI_SUBSYSTEM, "\x22\x11\x44\x33", 4);
    assert_int_equal(enumerate(0, 255, out), 1);
    assert_int_equal(out[0].address, 3 << 3);
    assert_int_equal(out[0].vendor, 0x1af4);
    assert_int_equal(out[0].device, 0x1042);
    assert_int_equal(out[0].class_code, 0x018000);
    assert_int_equal(out[0].revision, 7);
    assert_int_equal(out[0].subsystem_vendor, 0x1122);
    assert_int_equal(out[0].subsystem, 0x3344);
}

static void test_functions_of_a_device(void**) {
    struct pci_function out[40];
    add(0, 1, 0)->space[PCI_HEADER_TYPE] = 0x80;
    add(0, 1, 2); // function 1 is not there
    add(0, 1, 7);
    add(0, 2, 0); // says that it has one function
    add(0, 2, 1);
    add(0, 4, 1); // has no function 0
    assert_int_equal(enumerate(0, 0, out), 4);
    assert_int_equal(out[1].address, 1 << 3 | 2);
    assert_int_equal(out[2].address, 1 << 3 | 7);
    assert_int_equal(out[3].address, 2 << 3);
}

static void test_bridges(void**) {
    struct pci_function out[40];
    add_bridge(0, 1, 5);
    add_bridge(5, 0, 9);
    add(9, 31, 0);
    add(7, 0, 0); // no bridge leads there
    assert_int_equal(enumerate(0, 255, out), 3);
    assert_int_equal(out[2].address, 9 << 8 | 31 << 3);
    assert_int_equal(enumerate(7, 255, out), 1);
}

// What is behind a second host bridge hangs on no bridge.
static void test_several_roots(void**) {
    struct pci_function out[40];
    memcpy(add(0, 0, 0)->space + PCI_REVISION, "\x00\x00\x00\x06", 4);
    add_bridge(0, 1, 3);
    add(3, 0, 0);
    add_bridge(64, 0, 65);
    add(65, 0, 0);
    assert_int_equal(enumerate(0, 255, out), 3);
    memcpy(add(0, 2, 0)->space + PCI_REVISION, "\x00\x00\x00\x06", 4);
    assert_int_equal(enumerate(0, 255, out), 6);
    assert_int_equal(out[5].address, 65 << 8);
    assert_int_equal(enumerate(0, 64, out), 5);
}

static void test_bridges_that_lead_nowhere(void**) {
    struct pci_function out[40];
    add_bridge(0, 1, 0); // to itself
    add_bridge(0, 2, 3); // two to one bus
    add_bridge(0, 3, 3);
    add_bridge(3, 0, 0); // back
    add_bridge(3, 1, 3);
    add_bridge(0, 4, 255); // beyond the range
    assert_int_equal(enumerate(0, 100, out), 6);
}

static void test_more_functions_than_room(void**) {
    struct pci_function out[2] = {};
    struct pci_access a = bus_range(0, 255);
    for (uint32_t i = 0; i < 10; i++) {
        add(0, i, 0);
    }
    assert_int_equal(pci_enumerate(&a, out, 1), 10);
    assert_int_equal(out[0].vendor, 0x1af4);
    assert_int_equal(out[1].vendor, 0);
}

// Whenever it happens, what has gone is not listed by what it reads as then.
static void test_functions_that_go_while_they_are_read(void**) {
    struct pci_function out[40];
    uint32_t listed = 0;
    for (uint32_t reads = 1; listed < 3; reads++) {
        assert_true(reads < 10'000);
        (void)reset(nullptr);
        add(0, 1, 0)->space[PCI_HEADER_TYPE] = 0x80;
        add(0, 1, 5);
        add_bridge(0, 2, 1);
        machine.reads_left = reads;
        listed = enumerate(0, 255, out);
        for (uint32_t i = 0; i < listed; i++) {
            assert_int_equal(out[i].vendor, 0x1af4);
            assert_int_equal(out[i].device, 0x1042);
        }
    }
}

static void test_what_is_there_still(void**) {
    struct pci_access a = bus_range(0, 0);
    struct pci_function out[40];
    struct fake_function* f = add(0, 1, 0);
    assert_int_equal(enumerate(0, 0, out), 1);
    assert_true(pci_is_there(&a, &out[0]));
    f->space[PCI_DEVICE] = 0x43; // another in its place
    assert_false(pci_is_there(&a, &out[0]));
    machine.gone = true;
    assert_false(pci_is_there(&a, &out[0]));
    out[0].vendor = out[0].device = 0xffff;
    assert_false(pci_is_there(&a, &out[0]));
}

// ---- BARs ----

static void read_bars(struct fake_function* f, struct pci_bar bars[PCI_BARS]) {
    struct pci_access a = bus_range(0, 255);
    struct pci_function function = {.address = f->address,
                                    .header_type = f->space[PCI_HEADER_TYPE] & 0x7f};
    uint8_t before[256];
    memcpy(before, f->space, sizeof(before));
    pci_read_bars(&a, &function, bars);
    assert_memory_equal(before, f->space, sizeof(before));
    assert_int_equal(machine.writes_while_decoding, 0);
}

static void test_bars(void**) {
    struct fake_function* f = add(0, 1, 0);
    struct pci_bar bars[PCI_BARS];
    f->space[PCI_COMMAND] = 7;
    set_bar(f, 0, 0xc001, 0xffffff80);              // I/O, 128
    set_bar(f, 1, 0xfebd1000, 0xfffff000);          // memory, 4 KiB
    set_bar(f, 4, 0x0000000c | 0x4000, 0xffffc000); // 64 bits, prefetchable, 16 KiB
    set_bar(f, 5, 0x00000038, 0xffffffff);
    read_bars(f, bars);
    assert_int_equal(bars[0].kind, PCI_BAR_IO);
    assert_int_equal(bars[0].base, 0xc000);
    assert_int_equal(bars[0].size, 128);
    assert_int_equal(bars[1].kind, PCI_BAR_MEMORY);
    assert_int_equal(bars[1].base, 0xfebd1000);
    assert_int_equal(bars[1].size, 4096);
    assert_false(bars[1].is_64bit);
    assert_int_equal(bars[2].kind, PCI_BAR_NONE);
    assert_int_equal(bars[4].kind, PCI_BAR_MEMORY);
    assert_true(bars[4].is_64bit && bars[4].prefetchable);
    assert_int_equal(bars[4].base, 0x38'0000'4000);
    assert_int_equal(bars[4].size, 16384);
    assert_int_equal(bars[5].kind, PCI_BAR_NONE);
}

static void test_a_large_bar(void**) {
    struct fake_function* f = add(0, 1, 0);
    struct pci_bar bars[PCI_BARS];
    set_bar(f, 0, 0x4, 0);
    set_bar(f, 1, 0x80, 0xfffffff8); // 32 GiB
    read_bars(f, bars);
    assert_int_equal(bars[0].kind, PCI_BAR_MEMORY);
    assert_int_equal(bars[0].size, 32ull << 30);
    assert_int_equal(bars[0].base, 0x80ull << 32);
}

static void test_bad_bars(void**) {
    struct fake_function* f = add(0, 1, 0);
    struct pci_bar bars[PCI_BARS];
    set_bar(f, 0, 0, 0xff0ff000);          // holes: no size
    set_bar(f, 1, 0x7ebd0000, 0x7fff0000); // its highest bit is fixed
    set_bar(f, 2, 0x0001, 0x00f0);         // an I/O range with a hole above
    set_bar(f, 5, 0x4, 0xfffff000);        // 64 bits, but there is no next
    read_bars(f, bars);
    assert_int_equal(bars[0].kind, PCI_BAR_BAD);
    assert_int_equal(bars[1].kind, PCI_BAR_BAD);
    assert_int_equal(bars[2].kind, PCI_BAR_BAD);
    assert_int_equal(bars[5].kind, PCI_BAR_BAD);
}

static void test_a_bridge_has_two_bars(void**) {
    struct fake_function* f = add_bridge(0, 1, 1);
    struct pci_bar bars[PCI_BARS];
    set_bar(f, 0, 0xfe000000, 0xfffff000);
    read_bars(f, bars); // what lies behind them is as it was
    assert_int_equal(bars[0].kind, PCI_BAR_MEMORY);
    assert_int_equal(bars[2].kind, PCI_BAR_NONE);
}

static void test_bars_that_others_are_in(void**) {
    struct pci_access a = bus_range(0, 0);
    struct pci_bar bars[PCI_BARS];
    struct pci_function out[40];
    struct fake_function* f = add(0, 1, 0);
    struct fake_function* other = add(0, 2, 0);
    set_bar(f, 0, 0xfeb00000, 0xfff00000);
    set_bar(f, 1, 0xfea00000, 0xfff00000);
    set_bar(f, 2, 0x00000004, 0xfff00000);
    set_bar(f, 3, 0x38, 0xffffffff);
    set_bar(f, 4, 0xfeb80000, 0xffff0000);     // inside the first
    set_bar(f, 5, 0xfec00000, 0xffff0000);     // behind it
    set_bar(other, 0, 0xfea00001, 0xfffffff0); // I/O
    set_bar(other, 1, 0xfea00000, 0xfff00000);
    set_bar(other, 2, 0x00040004, 0xffff0000); // in 64 bits
    set_bar(other, 3, 0x38, 0xffffffff);
    assert_int_equal(enumerate(0, 0, out), 2);
    read_bars(f, bars);
    pci_reject_shared(&a, &out[0], &out[0], bars);
    assert_int_equal(bars[0].kind, PCI_BAR_BAD);
    assert_int_equal(bars[1].kind, PCI_BAR_MEMORY);
    assert_int_equal(bars[2].kind, PCI_BAR_MEMORY);
    assert_int_equal(bars[4].kind, PCI_BAR_MEMORY);
    assert_int_equal(bars[5].kind, PCI_BAR_MEMORY);
    pci_reject_shared(&a, &out[1], &out[0], bars); // which decodes nothing
    assert_int_equal(bars[1].kind, PCI_BAR_MEMORY);
    other->space[PCI_COMMAND] = PCI_COMMAND_MEMORY;
    pci_reject_shared(&a, &out[1], &out[0], bars);
    assert_int_equal(bars[1].kind, PCI_BAR_BAD);
    assert_int_equal(bars[2].kind, PCI_BAR_BAD);
    assert_int_equal(bars[4].kind, PCI_BAR_MEMORY);
    assert_int_equal(bars[5].kind, PCI_BAR_MEMORY);
    // Two of its own at one place, of one size.
    set_bar(f, 4, 0xfec00000, 0xffff0000);
    read_bars(f, bars);
    pci_reject_shared(&a, &out[0], &out[0], bars);
    assert_int_equal(bars[4].kind, PCI_BAR_BAD);
    assert_int_equal(bars[5].kind, PCI_BAR_BAD);
}

// ---- capabilities ----

static void put_capability(struct fake_function* f, uint8_t at, uint8_t id, uint8_t next) {
    f->space[at] = id;
    f->space[at + 1] = next;
}

static struct fake_function* with_capabilities(void) {
    struct fake_function* f = add(0, 1, 0);
    f->space[PCI_STATUS] = 0x10;
    f->space[PCI_CAPABILITIES] = 0x98;
    put_capability(f, 0x98, PCI_CAP_MSIX, 0x84);
    put_capability(f, 0x84, PCI_CAP_VENDOR, 0x40);
    f->space[0x86] = 20;
    put_capability(f, 0x40, PCI_CAP_POWER, 0);
    return f;
}

static void test_capabilities(void**) {
    struct pci_access a = bus_range(0, 0);
    struct pci_capability c[PCI_CAPABILITIES_MAX];
    struct fake_function* f = with_capabilities();
    assert_int_equal(pci_read_capabilities(&a, f->address, c), 3);
    assert_int_equal(c[0].offset, 0x98);
    assert_int_equal(c[0].size, 12);
    assert_int_equal(c[1].id, PCI_CAP_VENDOR);
    assert_int_equal(c[1].size, 20);
    assert_int_equal(c[2].id, PCI_CAP_POWER);
    f->space[PCI_STATUS] = 0;
    assert_int_equal(pci_read_capabilities(&a, f->address, c), 0);
}

static void test_lists_without_an_end(void**) {
    struct pci_access a = bus_range(0, 0);
    struct pci_capability c[PCI_CAPABILITIES_MAX];
    struct fake_function* f = with_capabilities();
    f->space[0x41] = 0x98; // back
    assert_int_equal(pci_read_capabilities(&a, f->address, c), 3);
    f->space[0x41] = 0x43; // to itself: the lower bits do not count
    assert_int_equal(pci_read_capabilities(&a, f->address, c), 3);
    f->space[0x41] = 0x20; // into the header
    assert_int_equal(pci_read_capabilities(&a, f->address, c), 3);
    f->space[0x41] = 0xfc; // the last place there is
    f->space[0xfc] = PCI_CAP_EXPRESS;
    assert_int_equal(pci_read_capabilities(&a, f->address, c), 4);
    assert_int_equal(c[3].size, 4);
}

static bool read_msix(struct fake_function* f, struct pci_msix* out) {
    struct pci_access a = bus_range(0, 0);
    struct pci_capability c[PCI_CAPABILITIES_MAX];
    struct pci_bar bars[PCI_BARS];
    uint32_t count = pci_read_capabilities(&a, f->address, c);
    read_bars(f, bars);
    return pci_read_msix(&a, f->address, c, count, bars, out);
}

static void test_msix(void**) {
    struct pci_msix m = {};
    struct fake_function* f = with_capabilities();
    set_bar(f, 1, 0xfebd1000, 0xfffff000);
    f->space[0x9a] = 3;                             // 4 vectors
    memcpy(f->space + 0x9c, "\x01\x00\x00\x00", 4); // BAR 1, 0
    memcpy(f->space + 0xa0, "\x01\x08\x00\x00", 4); // BAR 1, 0x800
    assert_true(read_msix(f, &m));
    assert_int_equal(m.capability, 0x98);
    assert_int_equal(m.count, 4);
    assert_int_equal(m.table_bar, 1);
    assert_int_equal(m.pending_offset, 0x800);
    set_bar(f, 1, 0, 0xfffff000); // the firmware has given it no place: its table is nowhere
    assert_false(read_msix(f, &m));
    set_bar(f, 1, 0xfebd1000, 0xfffff000);
    assert_true(read_msix(f, &m));
    // Beyond the end of its BAR, in one that is not there, in one that there cannot be.
    memcpy(f->space + 0x9c, "\xc9\x0f\x00\x00", 4);
    assert_false(read_msix(f, &m));
    memcpy(f->space + 0x9c, "\x02\x00\x00\x00", 4);
    assert_false(read_msix(f, &m));
    memcpy(f->space + 0x9c, "\x07\x00\x00\x00", 4);
    assert_false(read_msix(f, &m));
}

static void test_what_a_driver_may_write(void**) {
    struct pci_access a = bus_range(0, 0);
    struct pci_capability c[PCI_CAPABILITIES_MAX];
    struct fake_function* f = with_capabilities();
    uint32_t count = pci_read_capabilities(&a, f->address, c);
    for (uint16_t offset = 0; offset < PCI_HEADER_SIZE; offset++) {
        assert_false(pci_may_write(c, count, offset, 1));
    }
    assert_false(pci_may_write(c, count, 0x44, 4)); // power
    assert_true(pci_may_write(c, count, 0x48, 4));
    assert_false(pci_may_write(c, count, 0x84, 4)); // the link of a capability
    assert_true(pci_may_write(c, count, 0x86, 2));  // its inside
    assert_false(pci_may_write(c, count, 0x98, 4)); // MSI-X
    assert_false(pci_may_write(c, count, 0xa0, 4));
    assert_true(pci_may_write(c, count, 0xa4, 4));
    assert_true(pci_may_write(c, count, 0xfc, 4));
    assert_false(pci_may_write(c, count, 0x100, 4));
    assert_false(pci_may_write(c, count, 0xffff, 4));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_empty_machine, reset),
        cmocka_unit_test_setup(test_what_a_function_is, reset),
        cmocka_unit_test_setup(test_functions_of_a_device, reset),
        cmocka_unit_test_setup(test_bridges, reset),
        cmocka_unit_test_setup(test_several_roots, reset),
        cmocka_unit_test_setup(test_bridges_that_lead_nowhere, reset),
        cmocka_unit_test_setup(test_more_functions_than_room, reset),
        cmocka_unit_test_setup(test_functions_that_go_while_they_are_read, reset),
        cmocka_unit_test_setup(test_what_is_there_still, reset),
        cmocka_unit_test_setup(test_bars, reset),
        cmocka_unit_test_setup(test_a_large_bar, reset),
        cmocka_unit_test_setup(test_bad_bars, reset),
        cmocka_unit_test_setup(test_a_bridge_has_two_bars, reset),
        cmocka_unit_test_setup(test_bars_that_others_are_in, reset),
        cmocka_unit_test_setup(test_capabilities, reset),
        cmocka_unit_test_setup(test_lists_without_an_end, reset),
        cmocka_unit_test_setup(test_msix, reset),
        cmocka_unit_test_setup(test_what_a_driver_may_write, reset),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
