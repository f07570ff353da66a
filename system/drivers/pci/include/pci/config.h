// PCI configuration space, read with suspicion: what functions there are, their BARs and
// capabilities. Pure, over an access to registers.
//
// What is found there is the hardware's word, which may be anything: numbers of buses that lead
// nowhere or back, capability lists without an end, BARs that are no power of two or lie across the
// end of the address space. Each is bounded, and left out or marked.
#pragma once

#include <stdint.h>

// bus << 8 | device << 3 | function
typedef uint16_t pci_address_t;

struct pci_access {
    // `width` is 1, 2 or 4 and `offset` a multiple of it. What is not there reads as ones.
    uint32_t (*read)(void* ctx, pci_address_t address, uint16_t offset, uint8_t width);
    void (*write)(void* ctx, pci_address_t address, uint16_t offset, uint8_t width, uint32_t value);
    void* ctx;
    uint16_t size; // of a function's space: 256 or 4096
    uint8_t first_bus, last_bus;
};

enum : uint16_t {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08, // and the class in the upper bytes
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SECONDARY_BUS = 0x19,
    PCI_SUBSYSTEM = 0x2c,
    PCI_CAPABILITIES = 0x34,
    PCI_HEADER_SIZE = 0x40,
};
constexpr uint16_t PCI_COMMAND_IO = 1 << 0;
constexpr uint16_t PCI_COMMAND_MEMORY = 1 << 1;
constexpr uint16_t PCI_COMMAND_BUS_MASTER = 1 << 2;
constexpr uint16_t PCI_COMMAND_NO_INTX = 1 << 10;

// ---- functions ----

struct pci_function {
    pci_address_t address;
    uint16_t vendor, device;
    uint16_t subsystem_vendor, subsystem; // 0 of bridges
    uint32_t class_code;                  // class, subclass, interface: 24 bits
    uint8_t revision;
    uint8_t header_type; // 0 device, 1 bridge
};

// All functions of the first bus and of those behind bridges, each bus once; with several host
// bridges, of all buses. Returns how many there are; those beyond `capacity` are not in `out`.
uint32_t pci_enumerate(const struct pci_access* access, struct pci_function out[],
                       uint32_t capacity);

// Whether it is there still: what has gone reads as ones.
bool pci_is_there(const struct pci_access* access, const struct pci_function* function);

// ---- BARs ----

constexpr uint32_t PCI_BARS = 6;

typedef enum pci_bar_kind : uint8_t {
    PCI_BAR_NONE, // not there, or the upper half of the one before
    PCI_BAR_MEMORY,
    PCI_BAR_IO,
    PCI_BAR_BAD, // contradicts itself
} pci_bar_kind_t;

struct pci_bar {
    pci_bar_kind_t kind;
    bool is_64bit, prefetchable;
    uint64_t base; // 0: the firmware has given it no place
    uint64_t size;
};

// The function decodes nothing while this runs; its BARs and its command are as before when it
// returns.
void pci_read_bars(const struct pci_access* access, const struct pci_function* function,
                   struct pci_bar out[PCI_BARS]);

// Marks as bad the memory BARs of `function` in which registers of `other` begin (of itself: those
// of another BAR): one of the two must be wrong, and whoever has a BAR reaches what is there. Of
// two ranges one of which lies inside the other, the larger is refused.
void pci_reject_shared(const struct pci_access* access, const struct pci_function* other,
                       const struct pci_function* function, struct pci_bar bars[PCI_BARS]);

// ---- capabilities ----

enum : uint8_t {
    PCI_CAP_POWER = 0x01,
    PCI_CAP_MSI = 0x05,
    PCI_CAP_VENDOR = 0x09,
    PCI_CAP_EXPRESS = 0x10,
    PCI_CAP_MSIX = 0x11,
    PCI_CAP_ADVANCED = 0x13,
    PCI_CAP_ALLOCATION = 0x14,
};

struct pci_capability {
    uint8_t id;
    uint8_t offset;
    uint8_t size; // of what belongs to it, as far as that is known; at least 2
};
constexpr uint32_t PCI_CAPABILITIES_MAX = 48; // as many as have room

uint32_t pci_read_capabilities(const struct pci_access* access, pci_address_t address,
                               struct pci_capability out[PCI_CAPABILITIES_MAX]);

struct pci_msix {
    uint8_t capability; // offset; 0: there is none
    uint8_t table_bar, pending_bar;
    uint32_t table_offset, pending_offset;
    uint16_t count; // of vectors
};
constexpr uint32_t PCI_MSIX_ENTRY_SIZE = 16;

// False: there is none, or its tables do not lie in memory BARs that have a place.
bool pci_read_msix(const struct pci_access* access, pci_address_t address,
                   const struct pci_capability capabilities[], uint32_t count,
                   const struct pci_bar bars[PCI_BARS], struct pci_msix* out);

// Whether the function's driver may write there: behind the header, outside of what the bus driver
// keeps to itself (power, MSI, MSI-X, express, resets, all extended capabilities).
bool pci_may_write(const struct pci_capability capabilities[], uint32_t count, uint16_t offset,
                   uint8_t width);
