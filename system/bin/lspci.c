// The functions on the PCI bus.
#include <stdio.h>

#include <fidl/jacinth.pci.h>
#include <zircon/syscalls.h>

#include "tool.h"
#include "tools.h"

static const struct {
    uint16_t kind; // class and subclass
    const char* name;
} kinds[] = {
    {0x0100, "SCSI"},       {0x0101, "IDE"},      {0x0106, "SATA"},        {0x0108, "NVMe"},
    {0x0180, "storage"},    {0x0200, "ethernet"}, {0x0300, "VGA"},         {0x0380, "display"},
    {0x0403, "audio"},      {0x0500, "memory"},   {0x0600, "host bridge"}, {0x0601, "ISA bridge"},
    {0x0604, "PCI bridge"}, {0x0680, "bridge"},   {0x0c03, "USB"},         {0x0c05, "SMBus"}};

static const char* kind_name(uint32_t class_code) {
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].kind == class_code >> 8) {
            return kinds[i].name;
        }
    }
    return "?";
}

int lspci_main(int argc, char** argv) {
    static const char usage[] = "lspci";
    int code;
    if (!tool_takes(
            0, argc, argv, usage,
            "BUS:DEVICE.FUNCTION VENDOR:DEVICE (REVISION) CLASS KIND; in use: a driver has it.",
            &code)) {
        return code;
    }
    static alignas(8) uint8_t buffer[ZX_CHANNEL_MAX_MSG_BYTES];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    struct jacinth_pci_devices_list_response* list;
    zx_handle_t bus;
    zx_status_t status = tool_connect("jacinth.pci.List", &bus);
    if (status == ZX_OK) {
        status = jacinth_pci_devices_list_call(bus, ZX_TIME_INFINITE, storage, &list);
    }
    if (status != ZX_OK) {
        return tool_failed("lspci", "the bus", status);
    }
    for (uint64_t i = 0; i < list->devices.count; i++) {
        const struct jacinth_pci_device_info* d = &list->devices.data[i];
        printf("%02x:%02x.%u %04x:%04x (%02x) %06x %s%s\n", d->address >> 8, d->address >> 3 & 0x1f,
               d->address & 7u, d->vendor, d->device, d->revision, d->class_code,
               kind_name(d->class_code), d->in_use ? ", in use" : "");
    }
    return 0;
}
