// Configuration space as this machine has it: mapped (ECAM), or behind the ports of the first PCs.
#pragma once

#include <pci/config.h>
#include <zircon/types.h>

struct ecam {
    uint64_t base; // of bus 0, whether or not there is one
    uint32_t segment;
    uint8_t first_bus, last_bus;
};

// Reads pci.ecam=, which the kernel puts into the environment. False: there is none.
bool access_find_ecam(char* const environment[], struct ecam* out);
// Buses are mapped as they are looked at. `mmio` stays the caller's, and is kept.
void access_begin_ecam(struct pci_access* access, const struct ecam* ecam, zx_handle_t mmio);
zx_status_t access_begin_ports(struct pci_access* access, zx_handle_t ioports);
