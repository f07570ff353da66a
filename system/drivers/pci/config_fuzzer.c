// Any bytes as the configuration spaces of a machine: the search ends, what is found lies where it
// may, and BARs are left as they were.
#include <stdlib.h>
#include <string.h>

#include <pci/config.h>

constexpr uint32_t SPACES = 5; // of all functions together: they repeat

static uint8_t spaces[SPACES][256];

static void check(bool right) {
    if (!right) {
        abort();
    }
}

static uint8_t* space_of(pci_address_t address) {
    return spaces[(address * 2654435761u >> 16) % SPACES];
}

static uint32_t read(void*, pci_address_t address, uint16_t offset, uint8_t width) {
    uint32_t value = 0;
    check(offset % width == 0 && offset + width <= 256);
    memcpy(&value, space_of(address) + offset, width);
    return value;
}

// Each byte keeps the bits that the byte 128 further (of the same space) says.
static void write(void*, pci_address_t address, uint16_t offset, uint8_t width, uint32_t value) {
    check(offset % width == 0 && offset + width <= PCI_HEADER_SIZE);
    for (uint32_t i = 0; i < width; i++) {
        uint8_t* at = space_of(address) + offset + i;
        uint8_t fixed = at[128];
        *at = (uint8_t)((*at & fixed) | (value >> 8 * i & ~fixed));
    }
}

static void look_at(const struct pci_access* a, const struct pci_function* f) {
    struct pci_bar bars[PCI_BARS];
    struct pci_capability capabilities[PCI_CAPABILITIES_MAX];
    struct pci_msix msix;
    uint8_t before[256];
    memcpy(before, space_of(f->address), sizeof(before));
    pci_read_bars(a, f, bars);
    check(memcmp(before, space_of(f->address), sizeof(before)) == 0);
    for (uint32_t i = 0; i < PCI_BARS; i++) {
        const struct pci_bar* b = &bars[i];
        if (b->kind == PCI_BAR_MEMORY || b->kind == PCI_BAR_IO) {
            check(b->size != 0 && (b->size & (b->size - 1)) == 0 && b->base % b->size == 0);
            check(b->base + (b->size - 1) >= b->base);
        } else {
            check(b->size == 0);
        }
    }
    uint32_t count = pci_read_capabilities(a, f->address, capabilities);
    check(count <= PCI_CAPABILITIES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        check(capabilities[i].offset >= PCI_HEADER_SIZE && capabilities[i].size >= 2);
        check(capabilities[i].offset + capabilities[i].size <= 256);
        check(!pci_may_write(capabilities, count, capabilities[i].offset, 1));
    }
    if (pci_read_msix(a, f->address, capabilities, count, bars, &msix)) {
        check(msix.count >= 1 && msix.count <= 2048);
        const struct pci_bar* b = &bars[msix.table_bar];
        check(msix.table_offset + (uint64_t)msix.count * PCI_MSIX_ENTRY_SIZE <= b->size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    struct pci_access access = {.read = read, .write = write, .size = 256, .last_bus = 3};
    static struct pci_function functions[64];
    memset(spaces, 0, sizeof(spaces));
    memcpy(spaces, data, len < sizeof(spaces) ? len : sizeof(spaces));
    uint32_t count = pci_enumerate(&access, functions, 64);
    check(count <= 4 * 32 * 8);
    for (uint32_t i = 0; i < count && i < 64; i++) {
        look_at(&access, &functions[i]);
    }
    return 0;
}
