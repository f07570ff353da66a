// A whole driver: for QEMU's device for teaching (`-device edu,addr=5.0,dma_mask=...`), which
// raises interrupts when told to, and moves memory by DMA. Without it everything is skipped.
#include <utest/utest.h>

#include <stdio.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls/iommu.h>
#include <zircon/syscalls/port.h>
#include <zircon/syscalls/resource.h>

GROUP("edu");

constexpr uint64_t PAGE = 4096;
constexpr uint32_t SLOTS = 32;

// ---- PCI, bus 0, by ports ----

constexpr uint16_t CONFIG_ADDRESS = 0xcf8;
constexpr uint16_t CONFIG_DATA = 0xcfc;
constexpr uint32_t EDU_ID = 0x11e8'1234;
constexpr uint32_t COMMAND = 0x04;
constexpr uint32_t BAR0 = 0x10;
constexpr uint32_t CAPABILITIES = 0x34;
constexpr uint32_t COMMAND_MEMORY_AND_DMA = 6;
constexpr uint32_t ECAM_BASE = 0x60; // of the q35's host bridge

static uint32_t config_read(uint32_t slot, uint32_t at) {
    uint32_t value;
    __asm__ volatile("outl %0, %1" ::"a"(1u << 31 | slot << 11 | (at & ~3u)), "Nd"(CONFIG_ADDRESS));
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(CONFIG_DATA));
    return value;
}

static void config_write(uint32_t slot, uint32_t at, uint32_t value) {
    __asm__ volatile("outl %0, %1" ::"a"(1u << 31 | slot << 11 | (at & ~3u)), "Nd"(CONFIG_ADDRESS));
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(CONFIG_DATA));
}

// ---- the device ----

enum edu_register : uint32_t {
    EDU_IDENTITY = 0x00,
    EDU_INVERT = 0x04,
    EDU_INTERRUPT_STATUS = 0x24,
    EDU_INTERRUPT_RAISE = 0x60,
    EDU_INTERRUPT_CLEAR = 0x64,
    EDU_DMA_SOURCE = 0x80,
    EDU_DMA_TARGET = 0x88,
    EDU_DMA_COUNT = 0x90,
    EDU_DMA_COMMAND = 0x98,
};
constexpr uint32_t DMA_START = 1;
constexpr uint32_t DMA_TO_MEMORY = 2;
constexpr uint32_t DMA_INTERRUPTS = 4;
constexpr uint32_t DMA_DONE = 0x100; // in the interrupt status
constexpr uint64_t DMA_BUFFER = 0x40000;
constexpr size_t MOVED = 4088; // the buffer has 4,096, but QEMU refuses the last ones

static struct {
    uint32_t slot;
    volatile uint8_t* registers;
    zx_handle_t bti, interrupt, port;
} edu;

static zx_handle_t kind(uint32_t type) {
    zx_handle_t h = utest_startup_peek(PA_HND(type, 0));
    if (h == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    return h;
}

static zx_handle_t system_part(zx_rsrc_system_base_t base) {
    zx_handle_t part;
    EXPECT_OK(zx_resource_create(kind(PA_SYSTEM_RESOURCE), ZX_RSRC_KIND_SYSTEM, base, 1, "part", 4,
                                 &part));
    return part;
}

static uint32_t get(uint32_t at) {
    return *(volatile uint32_t*)(edu.registers + at);
}
static void put(uint32_t at, uint32_t value) {
    *(volatile uint32_t*)(edu.registers + at) = value;
}
static void put64(uint32_t at, uint64_t value) {
    *(volatile uint64_t*)(edu.registers + at) = value;
}

static void open_bti(void) {
    zx_handle_t resource = system_part(ZX_RSRC_SYSTEM_IOMMU_BASE);
    zx_iommu_desc_dummy_t desc = {};
    zx_handle_t iommu;
    EXPECT_OK(zx_iommu_create(resource, ZX_IOMMU_TYPE_DUMMY, &desc, sizeof(desc), &iommu));
    EXPECT_OK(zx_bti_create(iommu, 0, edu.slot << 3, &edu.bti));
    EXPECT_CLOSE(iommu);
    EXPECT_CLOSE(resource);
}

static void open_device(void) {
    EXPECT_OK(zx_ioports_request(kind(PA_IOPORT_RESOURCE), CONFIG_ADDRESS, 8));
    for (edu.slot = 0; edu.slot < SLOTS && config_read(edu.slot, 0) != EDU_ID; edu.slot++) {
    }
    if (edu.slot == SLOTS) {
        EXPECT_OK(zx_ioports_release(kind(PA_IOPORT_RESOURCE), CONFIG_ADDRESS, 8));
        utest_skip("this machine has no edu device");
    }
    config_write(edu.slot, COMMAND, COMMAND_MEMORY_AND_DMA);
    zx_handle_t bar;
    zx_vaddr_t at;
    EXPECT_OK(zx_vmo_create_physical(kind(PA_MMIO_RESOURCE), config_read(edu.slot, BAR0) & ~15u,
                                     PAGE, &bar));
    EXPECT_OK(
        zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, bar, 0, PAGE, &at));
    EXPECT_CLOSE(bar);
    edu.registers = (volatile uint8_t*)at;
    EXPECT_EQ(get(EDU_IDENTITY) & 0xff, 0xed);
    printf("edu in slot %u\n", edu.slot); // tests/system/driver_test.py counts on it
    put(EDU_INVERT, 0x1234);
    EXPECT_EQ(get(EDU_INVERT), ~0x1234u);
    put(EDU_INTERRUPT_CLEAR, UINT32_MAX);
    open_bti();
    EXPECT_OK(zx_port_create(ZX_PORT_BIND_TO_INTERRUPT, &edu.port));
}

static void close_device(void) {
    put(EDU_INTERRUPT_CLEAR, UINT32_MAX);
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), (uintptr_t)edu.registers, PAGE));
    EXPECT_OK(zx_ioports_release(kind(PA_IOPORT_RESOURCE), CONFIG_ADDRESS, 8));
    EXPECT_CLOSE(edu.interrupt);
    EXPECT_CLOSE(edu.bti);
    EXPECT_CLOSE(edu.port);
}

// ---- its interrupts ----

// Where the q35 leads pin A of a slot below 25.
static uint32_t line_of(uint32_t slot) {
    return 20 + slot % 4;
}

static void open_line(void) {
    EXPECT_OK(zx_interrupt_create(kind(PA_IRQ_RESOURCE), line_of(edu.slot),
                                  ZX_INTERRUPT_MODE_LEVEL_HIGH, &edu.interrupt));
    EXPECT_OK(zx_interrupt_bind(edu.interrupt, edu.port, 1, ZX_INTERRUPT_BIND));
}

// Address and data are a bus driver's to write; the kernel is shown the capability.
static zx_handle_t open_message(void) {
    uint32_t at = config_read(edu.slot, CAPABILITIES) & 0xfc;
    while (at != 0 && (config_read(edu.slot, at) & 0xff) != 5) {
        at = config_read(edu.slot, at) >> 8 & 0xfc;
    }
    EXPECT(at != 0);
    zx_handle_t resource = system_part(ZX_RSRC_SYSTEM_MSI_BASE);
    zx_handle_t msi;
    zx_info_msi_t info;
    zx_handle_t config;
    EXPECT_OK(zx_msi_allocate(resource, 1, &msi));
    EXPECT_CLOSE(resource);
    EXPECT_OK(zx_object_get_info(msi, ZX_INFO_MSI, &info, sizeof(info), nullptr, nullptr));
    const uint64_t ecam = config_read(0, ECAM_BASE) & ~0xfffffffu;
    EXPECT_OK(
        zx_vmo_create_physical(kind(PA_MMIO_RESOURCE), ecam + (edu.slot << 15), PAGE, &config));
    EXPECT_OK(zx_msi_create(msi, 0, 0, config, at, &edu.interrupt));
    EXPECT_CLOSE(config);
    EXPECT_OK(zx_interrupt_bind(edu.interrupt, edu.port, 1, ZX_INTERRUPT_BIND));
    config_write(edu.slot, at + 4, (uint32_t)info.target_addr);
    config_write(edu.slot, at + 8, (uint32_t)(info.target_addr >> 32));
    config_write(edu.slot, at + 12, info.target_data);
    config_write(edu.slot, at, config_read(edu.slot, at) | 1u << 16);
    return msi;
}

static void close_message(zx_handle_t msi) {
    for (uint32_t at = config_read(edu.slot, CAPABILITIES) & 0xfc; at != 0;
         at = config_read(edu.slot, at) >> 8 & 0xfc) {
        if ((config_read(edu.slot, at) & 0xff) == 5) {
            config_write(edu.slot, at, config_read(edu.slot, at) & ~(1u << 16));
        }
    }
    EXPECT_CLOSE(msi);
}

static void expect_interrupt(uint32_t status) {
    zx_port_packet_t packet;
    EXPECT_OK(zx_port_wait(edu.port, utest_after_ms(20'000), &packet));
    EXPECT_EQ(packet.type, ZX_PKT_TYPE_INTERRUPT);
    EXPECT_EQ(get(EDU_INTERRUPT_STATUS), status);
}

static void expect_quiet(void) {
    zx_port_packet_t packet;
    EXPECT_STATUS(zx_port_wait(edu.port, 0, &packet), ZX_ERR_TIMED_OUT);
}

static void acknowledge(void) {
    put(EDU_INTERRUPT_CLEAR, get(EDU_INTERRUPT_STATUS));
    EXPECT_OK(zx_interrupt_ack(edu.interrupt));
}

CASE(line) {
    open_device();
    open_line();
    for (uint32_t n = 1; n < 10; n++) {
        put(EDU_INTERRUPT_RAISE, n);
        expect_interrupt(n);
        acknowledge();
        expect_quiet();
    }
    // Acknowledged while the device still asks: once more, and once only.
    put(EDU_INTERRUPT_RAISE, 0x80);
    expect_interrupt(0x80);
    EXPECT_OK(zx_interrupt_ack(edu.interrupt));
    expect_interrupt(0x80);
    expect_quiet();
    acknowledge();
    expect_quiet();
    close_device();
}

CASE(message) {
    open_device();
    zx_handle_t msi = open_message();
    for (uint32_t n = 1; n < 10; n++) {
        put(EDU_INTERRUPT_RAISE, n);
        expect_interrupt(n);
        acknowledge();
    }
    close_message(msi);
    close_device();
}

// ---- its DMA ----

static void move(uint64_t source, uint64_t target, uint32_t command) {
    put64(EDU_DMA_SOURCE, source);
    put64(EDU_DMA_TARGET, target);
    put64(EDU_DMA_COUNT, MOVED);
    put64(EDU_DMA_COMMAND, command | DMA_START | DMA_INTERRUPTS);
    expect_interrupt(DMA_DONE);
    acknowledge();
}

// Out of the page `from` of one VMO and into the page `to` of another, through the device.
static void move_page(zx_handle_t from_vmo, uint64_t from, zx_handle_t to_vmo, uint64_t to) {
    zx_paddr_t source;
    zx_paddr_t target;
    zx_handle_t pins[2];
    EXPECT_OK(
        zx_bti_pin(edu.bti, ZX_BTI_PERM_READ, from_vmo, from * PAGE, PAGE, &source, 1, &pins[0]));
    EXPECT_OK(
        zx_bti_pin(edu.bti, ZX_BTI_PERM_WRITE, to_vmo, to * PAGE, PAGE, &target, 1, &pins[1]));
    move(source, DMA_BUFFER, 0);
    move(DMA_BUFFER, target, DMA_TO_MEMORY);
    EXPECT_OK(zx_pmt_unpin(pins[0]));
    EXPECT_OK(zx_pmt_unpin(pins[1]));
}

static void fill(uint8_t page[PAGE], uint8_t seed) {
    for (uint32_t i = 0; i < PAGE; i++) {
        page[i] = (uint8_t)(seed + i * 7);
    }
}

CASE_WITHIN(dma, 60) {
    static uint8_t sent[PAGE];
    static uint8_t got[PAGE];
    open_device();
    zx_handle_t msi = open_message();
    zx_handle_t one = utest_vmo(4 * PAGE);
    zx_handle_t run;
    EXPECT_OK(zx_vmo_create_contiguous(edu.bti, 4 * PAGE, 0, &run));
    fill(sent, 1);
    EXPECT_OK(zx_vmo_write(one, sent, 2 * PAGE, PAGE));
    move_page(one, 2, run, 3);
    EXPECT_OK(zx_vmo_read(run, got, 3 * PAGE, PAGE));
    EXPECT(memcmp(sent, got, MOVED) == 0);
    // A page that a snapshot shared: the device writes into this VMO, not into the snapshot.
    zx_handle_t copy;
    EXPECT_OK(zx_vmo_create_child(one, ZX_VMO_CHILD_SNAPSHOT, 0, 4 * PAGE, &copy));
    fill(sent, 2);
    EXPECT_OK(zx_vmo_write(run, sent, 0, PAGE));
    move_page(run, 0, one, 2);
    EXPECT_OK(zx_vmo_read(one, got, 2 * PAGE, PAGE));
    EXPECT(memcmp(sent, got, MOVED) == 0);
    EXPECT_OK(zx_vmo_read(copy, got, 2 * PAGE, PAGE));
    fill(sent, 1);
    EXPECT(memcmp(sent, got, MOVED) == 0);
    EXPECT_CLOSE(copy);
    EXPECT_CLOSE(run);
    EXPECT_CLOSE(one);
    close_message(msi);
    close_device();
}
