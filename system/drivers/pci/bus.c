#include "bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>

constexpr uint32_t CLIENTS_MAX = 64;

struct client {
    struct async_channel channel;
    struct bus* bus;
    const struct filter* filter;
};

static uint32_t client_count;

// ---- filters ----

static bool read_part(struct filter* filter, const char** text) {
    char* end;
    unsigned long long vendor = strtoull(*text, &end, 16);
    if (end == *text || *end != ':') {
        return false;
    }
    const char* second = end + 1;
    unsigned long long device = strtoull(second, &end, 16);
    if (end == second || (*end != ',' && *end != '\0') || vendor > 0xffff || device > 0xffff ||
        filter->count == FILTER_PARTS_MAX) {
        return false;
    }
    filter->parts[filter->count].vendor = (uint16_t)vendor;
    filter->parts[filter->count++].device = (uint16_t)device;
    *text = *end == ',' ? end + 1 : end;
    return true;
}

bool filter_read(struct filter* filter, const char* text) {
    *filter = (struct filter){};
    if (strcmp(text, "list") == 0) {
        return true;
    }
    while (read_part(filter, &text)) {
        if (*text == '\0') {
            return true;
        }
    }
    return false;
}

static bool fits(const struct filter* filter, const struct pci_function* f) {
    for (uint32_t i = 0; i < filter->count; i++) {
        if (filter->parts[i].vendor == f->vendor && filter->parts[i].device == f->device) {
            return true;
        }
    }
    return false;
}

// ---- functions ----

void bus_search(struct bus* bus) {
    static struct pci_function found[JACINTH_PCI_MAX_DEVICES];
    uint32_t count = pci_enumerate(&bus->access, found, JACINTH_PCI_MAX_DEVICES);
    if (count > JACINTH_PCI_MAX_DEVICES) {
        fprintf(stderr, "pci: %u functions are more than I can list\n",
                count - JACINTH_PCI_MAX_DEVICES);
        count = JACINTH_PCI_MAX_DEVICES;
    }
    for (uint32_t i = 0; i < count; i++) {
        bus->functions[i] = (struct function){.f = found[i]};
    }
    bus->count = count;
}

void bus_describe(const struct function* function, struct jacinth_pci_device_info* out) {
    const struct pci_function* f = &function->f;
    *out = (struct jacinth_pci_device_info){.address = f->address,
                                            .vendor = f->vendor,
                                            .device = f->device,
                                            .subsystem_vendor = f->subsystem_vendor,
                                            .subsystem = f->subsystem,
                                            .revision = f->revision,
                                            .in_use = function->in_use,
                                            .class_code = f->class_code};
}

static zx_status_t list(void* ctx, struct fidl_txn* txn) {
    static struct jacinth_pci_device_info infos[JACINTH_PCI_MAX_DEVICES];
    const struct client* c = ctx;
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->bus->count; i++) {
        if (c->filter->count == 0 || fits(c->filter, &c->bus->functions[i].f)) {
            bus_describe(&c->bus->functions[i], &infos[count++]);
        }
    }
    struct jacinth_pci_devices_list_response response = {.devices = {count, infos}};
    return jacinth_pci_devices_list_reply(txn, &response);
}

static zx_status_t open_device(const struct client* c, pci_address_t address, zx_handle_t channel) {
    for (uint32_t i = 0; i < c->bus->count; i++) {
        struct function* function = &c->bus->functions[i];
        if (function->f.address == address && fits(c->filter, &function->f)) {
            return device_open(c->bus, function, channel);
        }
    }
    (void)zx_handle_close(channel);
    return ZX_ERR_NOT_FOUND;
}

static zx_status_t open(void* ctx, struct jacinth_pci_devices_open_request* request,
                        struct fidl_txn* txn) {
    zx_status_t status = open_device(ctx, request->address, fidl_take(&request->device));
    return status == ZX_OK ? jacinth_pci_devices_open_reply(txn)
                           : jacinth_pci_devices_open_reply_error(txn, status);
}

static const struct jacinth_pci_devices_ops ops = {.list = list, .open = open};

// ---- clients ----

static zx_status_t on_message(struct async_channel* channel, struct fidl_message* message) {
    struct client* c = container_of(channel, struct client, channel);
    return jacinth_pci_devices_dispatch(&ops, c, channel->handle, message,
                                        async_loop_storage(channel->loop));
}

static void on_closed(struct async_channel* channel, zx_status_t) {
    free(container_of(channel, struct client, channel));
    client_count--;
}

void bus_serve(struct bus* bus, const struct filter* filter, zx_handle_t channel) {
    struct client* c = client_count < CLIENTS_MAX ? malloc(sizeof(*c)) : nullptr;
    if (c == nullptr) {
        (void)zx_handle_close(channel);
        return;
    }
    *c = (struct client){.channel = {.handle = channel, .message = on_message, .closed = on_closed},
                         .bus = bus,
                         .filter = filter};
    if (async_channel_begin(bus->loop, &c->channel) != ZX_OK) {
        free(c);
        return;
    }
    client_count++;
}
