// Any bytes as the configuration spaces of a machine, which may be gone after any read: the search
// ends, what is found lies where it may, and BARs are left as they were.
#include <stdlib.h>
#include <string.h>

#include <pci/config.h>

constexpr uint32_t SPACES = 5;    // of all functions together: they repeat
constexpr uint32_t LOOKED_AT = 8; // of the functions

static uint8_t spaces[SPACES][256];
static uint16_t reads_left; // then the machine is gone; 0: it stays
static bool gone;

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
    if (reads_left != 0) {
        gone |= --reads_left == 0;
    }
    if (gone) {
        return UINT32_MAX >> (32 - 8 * width);
    }
    memcpy(&value, space_of(address) + offset, width);
    return value;
}

// Each byte keeps the bits that the byte 128 further (of the same space) says.
static void write(void*, pci_address_t address, uint16_t offset, uint8_t width, uint32_t value) {
    check(offset % width == 0 && offset + width <= PCI_HEADER_SIZE);
    if (gone) {
        return;
    }
    for (uint32_t i = 0; i < width; i++) {
        uint8_t* at = space_of(address) + offset + i;
        uint8_t fixed = at[128];
        *at = (uint8_t)((*at & fixed) | (value >> 8 * i & ~fixed));
    }
}

static void look_at_bars(const struct pci_access* a, const struct pci_function functions[],
                         uint32_t count, const struct pci_function* f,
                         struct pci_bar bars[PCI_BARS]) {
    uint8_t before[256];
    memcpy(before, space_of(f->address), sizeof(before));
    pci_read_bars(a, f, bars);
    check(gone || memcmp(before, space_of(f->address), sizeof(before)) == 0);
    for (uint32_t i = 0; i < count; i++) {
        pci_reject_shared(a, &functions[i], f, bars);
    }
    check(gone || memcmp(before, space_of(f->address), sizeof(before)) == 0);
    for (uint32_t i = 0; i < PCI_BARS; i++) {
        const struct pci_bar* b = &bars[i];
        if (b->kind == PCI_BAR_MEMORY || b->kind == PCI_BAR_IO) {
            check(b->size != 0 && (b->size & (b->size - 1)) == 0 && b->base % b->size == 0);
            check(b->base + (b->size - 1) >= b->base);
        } else {
            check(b->size == 0);
        }
        for (uint32_t n = 0; n < i; n++) {
            const struct pci_bar* c = &bars[n];
            check(gone || b->kind != PCI_BAR_MEMORY || c->kind != PCI_BAR_MEMORY || b->base == 0 ||
                  c->base == 0 || b->base - c->base >= c->size);
            check(gone || b->kind != PCI_BAR_MEMORY || c->kind != PCI_BAR_MEMORY || b->base == 0 ||
                  c->base == 0 || c->base - b->base >= b->size);
        }
    }
}

static void look_at(const struct pci_access* a, const struct pci_function functions[],
                    uint32_t function_count, const struct pci_function* f) {
    struct pci_bar bars[PCI_BARS];
    struct pci_capability capabilities[PCI_CAPABILITIES_MAX];
    struct pci_msix msix;
    look_at_bars(a, functions, function_count, f, bars);
    uint32_t count = pci_read_capabilities(a, f->address, capabilities);
    check(count <= PCI_CAPABILITIES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        check(capabilities[i].offset >= PCI_HEADER_SIZE && capabilities[i].size >= 2);
        check(capabilities[i].offset + capabilities[i].size <= 256);
        check(!pci_may_write(capabilities, count, capabilities[i].offset, 1));
        for (uint32_t n = 0; n < i; n++) {
            check(capabilities[i].offset != capabilities[n].offset);
        }
    }
    if (pci_read_msix(a, f->address, capabilities, count, bars, &msix)) {
        check(msix.count >= 1 && msix.count <= 2048);
        const struct pci_bar* b = &bars[msix.table_bar];
        check(b->kind == PCI_BAR_MEMORY && b->base != 0);
        check(msix.table_offset + (uint64_t)msix.count * PCI_MSIX_ENTRY_SIZE <= b->size);
        for (uint16_t i = 0; i < 12; i++) {
            check(!pci_may_write(capabilities, count, (uint16_t)(msix.capability + i), 1));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    struct pci_access access = {.read = read, .write = write, .size = 256, .last_bus = 3};
    static struct pci_function functions[LOOKED_AT];
    memset(spaces, 0, sizeof(spaces));
    memcpy(spaces, data, len < sizeof(spaces) ? len : sizeof(spaces));
    reads_left = 0;
    gone = false;
    if (len > sizeof(spaces) + 1) {
        memcpy(&reads_left, data + sizeof(spaces), sizeof(reads_left));
    }
    uint32_t found = pci_enumerate(&access, functions, LOOKED_AT);
    check(found <= 4 * 32 * 8);
    uint32_t count = found < LOOKED_AT ? found : LOOKED_AT;
    for (uint32_t i = 0; i < count; i++) {
        check(functions[i].vendor != 0xffff && functions[i].vendor != 0);
        look_at(&access, functions, count, &functions[i]);
    }
    return 0;
}
