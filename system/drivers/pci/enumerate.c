// Which functions there are.
#include <string.h>

#include <pci/config.h>

constexpr uint8_t HEADER_MULTIFUNCTION = 0x80;
constexpr uint8_t HEADER_BRIDGE = 1;
constexpr uint32_t CLASS_HOST_BRIDGE = 0x0600;
constexpr uint32_t DEVICES = 32, FUNCTIONS = 8, BUSES = 256;

struct search {
    const struct pci_access* access;
    struct pci_function* out;
    uint32_t capacity, count;
    bool found[BUSES]; // buses that are known of
    uint32_t host_bridges;
};

static uint32_t read(const struct search* s, pci_address_t address, uint16_t offset,
                     uint8_t width) {
    return s->access->read(s->access->ctx, address, offset, width);
}

static bool is_there(const struct search* s, pci_address_t address) {
    uint32_t vendor = read(s, address, PCI_VENDOR, 2);
    return vendor != 0xffff && vendor != 0;
}

bool pci_is_there(const struct pci_access* a, const struct pci_function* f) {
    return f->vendor != 0xffff && a->read(a->ctx, f->address, PCI_VENDOR, 2) == f->vendor &&
           a->read(a->ctx, f->address, PCI_DEVICE, 2) == f->device;
}

// A bridge leads to a bus above its own; what says otherwise leads back.
static void follow_bridge(struct search* s, pci_address_t address) {
    uint32_t secondary = read(s, address, PCI_SECONDARY_BUS, 1);
    if (secondary > (uint32_t)(address >> 8) && secondary <= s->access->last_bus) {
        s->found[secondary] = true;
    }
}

static void take_function(struct search* s, pci_address_t address) {
    uint32_t class_and_revision = read(s, address, PCI_REVISION, 4);
    struct pci_function f = {.address = address,
                             .vendor = (uint16_t)read(s, address, PCI_VENDOR, 2),
                             .device = (uint16_t)read(s, address, PCI_DEVICE, 2),
                             .class_code = class_and_revision >> 8,
                             .revision = (uint8_t)class_and_revision,
                             .header_type = read(s, address, PCI_HEADER_TYPE, 1) & 0x7f};
    if (f.header_type == HEADER_BRIDGE) {
        follow_bridge(s, address);
    } else if (f.header_type == 0) {
        uint32_t subsystem = read(s, address, PCI_SUBSYSTEM, 4);
        f.subsystem_vendor = (uint16_t)subsystem;
        f.subsystem = (uint16_t)(subsystem >> 16);
    }
    if (!pci_is_there(s->access, &f)) {
        return; // it has gone while this was read
    }
    s->host_bridges += f.class_code >> 8 == CLASS_HOST_BRIDGE;
    if (s->count < s->capacity) {
        s->out[s->count] = f;
    }
    s->count++;
}

static void search_device(struct search* s, pci_address_t first) {
    if (!is_there(s, first)) {
        return; // function 0 is there if any is
    }
    bool has_more = (read(s, first, PCI_HEADER_TYPE, 1) & HEADER_MULTIFUNCTION) != 0;
    take_function(s, first);
    for (uint16_t i = 1; has_more && i < FUNCTIONS; i++) {
        if (is_there(s, (pci_address_t)(first + i))) {
            take_function(s, (pci_address_t)(first + i));
        }
    }
}

uint32_t pci_enumerate(const struct pci_access* access, struct pci_function out[],
                       uint32_t capacity) {
    struct search s = {.access = access, .out = out, .capacity = capacity};
    memset(s.found, 0, sizeof(s.found));
    s.found[access->first_bus] = true;
    // Bridges lead upwards, so one pass finds all. A host bridge beside the first one may have
    // buses of its own, of which no register tells.
    for (uint32_t bus = access->first_bus; bus <= access->last_bus; bus++) {
        const bool look = s.found[bus] || s.host_bridges > 1;
        for (uint32_t device = 0; look && device < DEVICES; device++) {
            search_device(&s, (pci_address_t)(bus << 8 | device << 3));
        }
    }
    return s.count;
}
