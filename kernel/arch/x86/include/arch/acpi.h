// The ACPI tables as found at boot, for whoever hands them on (PCI configuration regions, resource
// ranges).
#pragma once

struct acpi_info;

// Null if there are none. Constant after arch_init().
const struct acpi_info* arch_acpi_info(void);
