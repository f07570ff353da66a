// The bus: its functions, and who drives them. Everything on one loop's thread; no locks.
#pragma once

#include <stdint.h>

#include <async/channel.h>
#include <async/loop.h>
#include <fidl/jacinth.pci.h>
#include <pci/config.h>
#include <zircon/types.h>

// What an offer lets its clients see and open.
constexpr uint32_t FILTER_PARTS_MAX = 8;
struct filter {
    uint32_t count; // of parts; with none, everything is listed and nothing opened
    struct {
        uint16_t vendor, device;
    } parts[FILTER_PARTS_MAX];
};

struct function {
    struct pci_function f;
    bool in_use;
    // Vectors for its interrupts, as many as a driver has asked for. They stay the function's: who
    // keeps interrupts beyond a reset or the device has them, but no others besides.
    zx_handle_t messages;
    uint32_t message_count;
};

struct bus {
    struct async_loop* loop;
    struct pci_access access;
    zx_handle_t mmio, iommu, msi; // of the last two either may be missing
    uint32_t count;
    struct function functions[JACINTH_PCI_MAX_DEVICES];
};

// "list", or VENDOR:DEVICE in hexadecimal digits, several with commas between them.
bool filter_read(struct filter* filter, const char* text);

void bus_search(struct bus* bus);
// Serves jacinth.pci/Devices; the channel is gone whatever the outcome.
void bus_serve(struct bus* bus, const struct filter* filter, zx_handle_t channel);
void bus_describe(const struct function* function, struct jacinth_pci_device_info* out);

// Serves jacinth.pci/Device until its channel closes; the channel is gone whatever the outcome.
zx_status_t device_open(struct bus* bus, struct function* function, zx_handle_t channel);
