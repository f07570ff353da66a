// BARs and capabilities of a function.
#include <pci/config.h>

constexpr uint32_t BAR_IO = 1 << 0;
constexpr uint32_t BAR_TYPE = 3 << 1; // 0: 32 bits, 2: 64 bits
constexpr uint32_t BAR_64BIT = 2 << 1;
constexpr uint32_t BAR_PREFETCHABLE = 1 << 3;
constexpr uint32_t BAR_MEMORY_FLAGS = 0xf, BAR_IO_FLAGS = 0x3;
constexpr uint16_t STATUS_HAS_CAPABILITIES = 1 << 4;

static uint32_t read(const struct pci_access* a, pci_address_t address, uint16_t offset,
                     uint8_t width) {
    return a->read(a->ctx, address, offset, width);
}

static void write(const struct pci_access* a, pci_address_t address, uint16_t offset, uint8_t width,
                  uint32_t value) {
    a->write(a->ctx, address, offset, width, value);
}

// ---- BARs ----

// The bits of a BAR that can be changed, and what it holds.
static uint32_t measure(const struct pci_access* a, pci_address_t address, uint16_t offset,
                        uint32_t* value) {
    *value = read(a, address, offset, 4);
    write(a, address, offset, 4, UINT32_MAX);
    uint32_t mask = read(a, address, offset, 4);
    write(a, address, offset, 4, *value);
    return mask;
}

// A size is a power of two, the base one of its multiples, and the end an address.
static void judge(struct pci_bar* bar, uint64_t mask, uint64_t top) {
    bar->size = mask & -mask;
    bool is_range = (mask | (bar->size - 1)) == top;
    bool is_aligned = (bar->base & (bar->size - 1)) == 0;
    if (!is_range || !is_aligned || bar->base > top - (bar->size - 1)) {
        *bar = (struct pci_bar){.kind = PCI_BAR_BAD};
    }
}

// Returns how many registers it takes: 1 or 2.
static uint32_t read_bar(const struct pci_access* a, pci_address_t address, uint32_t index,
                         uint32_t count, struct pci_bar* out) {
    uint16_t offset = (uint16_t)(PCI_BAR0 + 4 * index);
    uint32_t low, high = 0;
    uint32_t low_mask = measure(a, address, offset, &low);
    *out = (struct pci_bar){};
    if ((low & BAR_IO) != 0) {
        // Bits above 16 may be fixed to 0.
        uint32_t mask = low_mask & ~BAR_IO_FLAGS & 0xffff;
        out->kind = mask != 0 ? PCI_BAR_IO : PCI_BAR_NONE;
        out->base = low & ~BAR_IO_FLAGS & 0xffff;
        if (mask != 0) {
            judge(out, mask, 0xffff);
        }
        return 1;
    }
    uint64_t mask = low_mask & ~BAR_MEMORY_FLAGS;
    bool is_wide = (low & BAR_TYPE) == BAR_64BIT;
    if (is_wide && index + 1 == count) {
        out->kind = PCI_BAR_BAD; // its upper half is something else
        return 1;
    }
    if (is_wide) {
        mask |= (uint64_t)measure(a, address, (uint16_t)(offset + 4), &high) << 32;
    }
    if (mask != 0) {
        *out = (struct pci_bar){.kind = PCI_BAR_MEMORY,
                                .is_64bit = is_wide,
                                .prefetchable = (low & BAR_PREFETCHABLE) != 0,
                                .base = (uint64_t)high << 32 | (low & ~BAR_MEMORY_FLAGS)};
        judge(out, mask, is_wide ? UINT64_MAX : UINT32_MAX);
    }
    return is_wide ? 2 : 1;
}

static uint32_t bar_count(const struct pci_function* f) {
    return f->header_type == 0 ? PCI_BARS : f->header_type == 1 ? 2 : 0;
}

void pci_read_bars(const struct pci_access* a, const struct pci_function* f,
                   struct pci_bar out[PCI_BARS]) {
    uint32_t count = bar_count(f);
    uint32_t command = read(a, f->address, PCI_COMMAND, 2);
    constexpr uint32_t decodes = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
    for (uint32_t i = 0; i < PCI_BARS; i++) {
        out[i] = (struct pci_bar){};
    }
    write(a, f->address, PCI_COMMAND, 2, command & ~decodes);
    for (uint32_t i = 0; i < count;) {
        i += read_bar(a, f->address, i, count, &out[i]);
    }
    write(a, f->address, PCI_COMMAND, 2, command);
}

// Whether a memory BAR of `f`, other than `except`, begins in [base, base + size).
static bool begins_in(const struct pci_access* a, const struct pci_function* f, uint32_t except,
                      uint64_t base, uint64_t size) {
    const uint32_t count = bar_count(f);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t index = i;
        const uint32_t low = read(a, f->address, (uint16_t)(PCI_BAR0 + 4 * i), 4);
        uint64_t at = low & ~BAR_MEMORY_FLAGS;
        if ((low & BAR_IO) != 0) {
            continue;
        }
        if ((low & BAR_TYPE) == BAR_64BIT && ++i < count) {
            at |= (uint64_t)read(a, f->address, (uint16_t)(PCI_BAR0 + 4 * i), 4) << 32;
        }
        if (index != except && at != 0 && at - base < size) {
            return true;
        }
    }
    return false;
}

void pci_reject_shared(const struct pci_access* a, const struct pci_function* other,
                       const struct pci_function* f, struct pci_bar bars[PCI_BARS]) {
    const bool itself = other->address == f->address;
    if (!itself && (read(a, other->address, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) == 0) {
        return; // it answers to no address
    }
    bool shared[PCI_BARS];
    for (uint32_t i = 0; i < PCI_BARS; i++) {
        shared[i] = bars[i].kind == PCI_BAR_MEMORY &&
                    begins_in(a, other, itself ? i : PCI_BARS, bars[i].base, bars[i].size);
    }
    for (uint32_t i = 0; i < PCI_BARS; i++) {
        bars[i] = shared[i] ? (struct pci_bar){.kind = PCI_BAR_BAD} : bars[i];
    }
}

// ---- capabilities ----

static uint8_t capability_size(const struct pci_access* a, pci_address_t address, uint8_t id,
                               uint8_t offset) {
    switch (id) {
    case PCI_CAP_POWER:
        return 8;
    case PCI_CAP_MSI:
        return 24; // the longest form
    case PCI_CAP_MSIX:
        return 12;
    case PCI_CAP_ALLOCATION: // BARs of another kind
    case PCI_CAP_EXPRESS:
        return 60;
    case PCI_CAP_ADVANCED:
        return 6;
    case PCI_CAP_VENDOR: {
        uint32_t said = read(a, address, (uint16_t)(offset + 2), 1);
        return said >= 3 ? (uint8_t)said : 3;
    }
    default:
        return 2;
    }
}

uint32_t pci_read_capabilities(const struct pci_access* a, pci_address_t address,
                               struct pci_capability out[PCI_CAPABILITIES_MAX]) {
    uint32_t count = 0;
    uint64_t seen = 0; // a bit for each place: a list that leads back ends there
    if ((read(a, address, PCI_STATUS, 2) & STATUS_HAS_CAPABILITIES) == 0) {
        return 0;
    }
    uint8_t offset = read(a, address, PCI_CAPABILITIES, 1) & 0xfc;
    while (offset >= PCI_HEADER_SIZE && (seen >> offset / 4 & 1) == 0) {
        seen |= 1ull << offset / 4;
        uint32_t word = read(a, address, offset, 2);
        uint8_t id = (uint8_t)word;
        if (id == 0xff) {
            break; // nobody answers
        }
        uint32_t size = capability_size(a, address, id, offset);
        uint32_t room = 256u - offset;
        out[count++] = (struct pci_capability){id, offset, (uint8_t)(size < room ? size : room)};
        offset = (uint8_t)(word >> 8) & 0xfc;
    }
    return count;
}

static bool is_inside(const struct pci_bar bars[PCI_BARS], uint32_t bar, uint64_t offset,
                      uint64_t size) {
    return bar < PCI_BARS && bars[bar].kind == PCI_BAR_MEMORY && bars[bar].base != 0 &&
           size <= bars[bar].size && offset <= bars[bar].size - size;
}

bool pci_read_msix(const struct pci_access* a, pci_address_t address,
                   const struct pci_capability capabilities[], uint32_t count,
                   const struct pci_bar bars[PCI_BARS], struct pci_msix* out) {
    for (uint32_t i = 0; i < count; i++) {
        const struct pci_capability* c = &capabilities[i];
        if (c->id != PCI_CAP_MSIX || c->size < 12) {
            continue;
        }
        uint32_t table = read(a, address, (uint16_t)(c->offset + 4), 4);
        uint32_t pending = read(a, address, (uint16_t)(c->offset + 8), 4);
        struct pci_msix m = {
            .capability = c->offset,
            .table_bar = table & 7,
            .pending_bar = pending & 7,
            .table_offset = table & ~7u,
            .pending_offset = pending & ~7u,
            .count = (uint16_t)((read(a, address, (uint16_t)(c->offset + 2), 2) & 0x7ff) + 1)};
        if (is_inside(bars, m.table_bar, m.table_offset, (uint64_t)m.count * PCI_MSIX_ENTRY_SIZE) &&
            is_inside(bars, m.pending_bar, m.pending_offset, (m.count + 63ull) / 64 * 8)) {
            *out = m;
            return true;
        }
        return false;
    }
    return false;
}

bool pci_may_write(const struct pci_capability capabilities[], uint32_t count, uint16_t offset,
                   uint8_t width) {
    if (offset < PCI_HEADER_SIZE || (uint32_t)offset + width > 256) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct pci_capability* c = &capabilities[i];
        uint32_t kept = c->id == PCI_CAP_VENDOR ? 2 : c->size; // an id and a link are nobody's
        if (offset < c->offset + kept && c->offset < (uint32_t)offset + width) {
            return false;
        }
    }
    return true;
}
