// jacinth.pci/Device: one function in the hands of its driver.
//
// The function decodes memory while it is open, and masters the bus only when its driver says so;
// with the driver's channel both end, so that a device whose driver has died writes nowhere. What
// it was about to write to stays in the quarantine of its BTI until the next driver has reset it.
#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

#include "bus.h"

constexpr uint64_t PAGE = 4096;
constexpr uint16_t MSIX_CONTROL = 2, MSIX_ENABLE = 1 << 15, MSIX_MASK_ALL = 1 << 14;
constexpr uint32_t EXPRESS_DEVICE_CAPABILITIES = 4, EXPRESS_HAS_RESET = 1 << 28;
constexpr uint16_t EXPRESS_DEVICE_CONTROL = 8, EXPRESS_RESET = 1 << 15;
constexpr zx_duration_t RESET_TIME = ZX_MSEC(100); // as long as a function may take
constexpr uint32_t HEADER_WORDS = PCI_HEADER_SIZE / 4;

struct device {
    struct async_channel channel;
    struct bus* bus;
    struct function* function;
    uint32_t command; // as it was found
    struct pci_bar bars[PCI_BARS];
    uint32_t capability_count;
    struct pci_capability capabilities[PCI_CAPABILITIES_MAX];
    bool has_msix, has_interrupts;
    struct pci_msix msix;
    // A reset that is under way:
    bool is_resetting, is_closed;
    struct async_task reset_done;
    uint32_t header[HEADER_WORDS];
    struct fidl_txn reset_txn;
    alignas(8) uint8_t reset_bytes[64];
};

static uint32_t read(const struct device* d, uint16_t offset, uint8_t width) {
    const struct pci_access* a = &d->bus->access;
    return a->read(a->ctx, d->function->f.address, offset, width);
}

static void write(const struct device* d, uint16_t offset, uint8_t width, uint32_t value) {
    const struct pci_access* a = &d->bus->access;
    a->write(a->ctx, d->function->f.address, offset, width, value);
}

static void set_command(const struct device* d, uint16_t clear, uint16_t set) {
    write(d, PCI_COMMAND, 2, (read(d, PCI_COMMAND, 2) & ~(uint32_t)clear) | set);
}

// ---- information and configuration ----

static zx_status_t get_info(void* ctx, struct fidl_txn* txn) {
    const struct device* d = ctx;
    struct jacinth_pci_device_get_info_response response;
    bus_describe(d->function, &response.info);
    return jacinth_pci_device_get_info_reply(txn, &response);
}

static zx_status_t get_capabilities(void* ctx, struct fidl_txn* txn) {
    const struct device* d = ctx;
    struct jacinth_pci_capability list[PCI_CAPABILITIES_MAX];
    for (uint32_t i = 0; i < d->capability_count; i++) {
        const struct pci_capability* c = &d->capabilities[i];
        list[i] =
            (struct jacinth_pci_capability){.id = c->id, .offset = c->offset, .size = c->size};
    }
    struct jacinth_pci_device_get_capabilities_response response = {
        .capabilities = {d->capability_count, list}};
    return jacinth_pci_device_get_capabilities_reply(txn, &response);
}

static zx_status_t check_place(const struct device* d, uint16_t offset, uint8_t width) {
    if ((width != 1 && width != 2 && width != 4) || offset % width != 0) {
        return ZX_ERR_INVALID_ARGS;
    }
    return (uint32_t)offset + width <= d->bus->access.size ? ZX_OK : ZX_ERR_OUT_OF_RANGE;
}

static zx_status_t read_config(void* ctx, struct jacinth_pci_device_read_config_request* r,
                               struct fidl_txn* txn) {
    const struct device* d = ctx;
    zx_status_t status = check_place(d, r->offset, r->width);
    if (status != ZX_OK) {
        return jacinth_pci_device_read_config_reply_error(txn, status);
    }
    struct jacinth_pci_device_read_config_response response = {.value =
                                                                   read(d, r->offset, r->width)};
    return jacinth_pci_device_read_config_reply(txn, &response);
}

static zx_status_t write_config(void* ctx, struct jacinth_pci_device_write_config_request* r,
                                struct fidl_txn* txn) {
    const struct device* d = ctx;
    zx_status_t status = check_place(d, r->offset, r->width);
    if (status == ZX_OK &&
        !pci_may_write(d->capabilities, d->capability_count, r->offset, r->width)) {
        status = ZX_ERR_ACCESS_DENIED;
    }
    if (status != ZX_OK) {
        return jacinth_pci_device_write_config_reply_error(txn, status);
    }
    write(d, r->offset, r->width, r->value);
    return jacinth_pci_device_write_config_reply(txn);
}

// ---- memory ----

static zx_status_t make_window(const struct device* d, uint64_t base, uint64_t size,
                               zx_handle_t* out) {
    zx_status_t status = zx_vmo_create_physical(d->bus->mmio, base, size, out);
    if (status == ZX_OK) {
        status = zx_vmo_set_cache_policy(*out, ZX_CACHE_POLICY_UNCACHED_DEVICE);
        if (status != ZX_OK) {
            (void)zx_handle_close(*out);
        }
    }
    return status;
}

// Who can write the table of interrupts can write any word of memory.
static zx_status_t make_bar(const struct device* d, uint8_t index, zx_handle_t* out) {
    const struct pci_bar* bar = index < PCI_BARS ? &d->bars[index] : nullptr;
    if (bar == nullptr || bar->kind != PCI_BAR_MEMORY || bar->base == 0) {
        return ZX_ERR_NOT_FOUND;
    }
    if ((d->has_msix && d->msix.table_bar == index) || bar->size % PAGE != 0) {
        return ZX_ERR_ACCESS_DENIED;
    }
    return make_window(d, bar->base, bar->size, out);
}

static zx_status_t get_bar(void* ctx, struct jacinth_pci_device_get_bar_request* request,
                           struct fidl_txn* txn) {
    const struct device* d = ctx;
    struct jacinth_pci_device_get_bar_response response = {};
    zx_status_t status = make_bar(d, request->index, &response.vmo);
    if (status != ZX_OK) {
        return jacinth_pci_device_get_bar_reply_error(txn, status);
    }
    response.size = d->bars[request->index].size;
    return jacinth_pci_device_get_bar_reply(txn, &response);
}

static zx_status_t get_bti(void* ctx, struct fidl_txn* txn) {
    const struct device* d = ctx;
    struct jacinth_pci_device_get_bti_response response = {};
    zx_status_t status = zx_bti_create(d->bus->iommu, 0, d->function->f.address, &response.bti);
    return status == ZX_OK ? jacinth_pci_device_get_bti_reply(txn, &response)
                           : jacinth_pci_device_get_bti_reply_error(txn, status);
}

static zx_status_t set_bus_master(void* ctx, struct jacinth_pci_device_set_bus_master_request* r,
                                  struct fidl_txn* txn) {
    set_command(ctx, PCI_COMMAND_BUS_MASTER, r->enabled ? PCI_COMMAND_BUS_MASTER : 0);
    return jacinth_pci_device_set_bus_master_reply(txn);
}

// ---- interrupts ----

static void set_msix_control(const struct device* d, uint16_t clear, uint16_t set) {
    uint16_t at = (uint16_t)(d->msix.capability + MSIX_CONTROL);
    write(d, at, 2, (read(d, at, 2) & ~(uint32_t)clear) | set);
}

static zx_status_t have_messages(const struct device* d, uint32_t count) {
    struct function* f = d->function;
    uint32_t block = 1;
    while (block < count) {
        block *= 2;
    }
    if (block <= f->message_count) {
        return ZX_OK;
    }
    zx_handle_t more;
    zx_status_t status = zx_msi_allocate(d->bus->msi, block, &more);
    if (status == ZX_OK) {
        (void)zx_handle_close(f->messages);
        f->messages = more;
        f->message_count = block;
    }
    return status;
}

// Whole pages that hold the entries.
static zx_status_t make_table(const struct device* d, uint32_t count, zx_handle_t* out) {
    uint64_t first = d->msix.table_offset & ~(PAGE - 1);
    uint64_t end = d->msix.table_offset + (uint64_t)count * PCI_MSIX_ENTRY_SIZE;
    uint64_t size = (end - first + PAGE - 1) & ~(PAGE - 1);
    return make_window(d, d->bars[d->msix.table_bar].base + first, size, out);
}

static zx_status_t make_interrupts(struct device* d, uint32_t count, zx_handle_t out[]) {
    zx_handle_t table;
    zx_status_t status = have_messages(d, count);
    if (status != ZX_OK) {
        return status;
    }
    status = make_table(d, count, &table);
    if (status == ZX_OK) {
        set_msix_control(d, 0, MSIX_ENABLE | MSIX_MASK_ALL);
        for (uint32_t i = 0; status == ZX_OK && i < count; i++) {
            status = zx_msi_create(d->function->messages, ZX_MSI_MODE_MSI_X, i, table,
                                   d->msix.table_offset % PAGE, &out[i]);
        }
        set_msix_control(d, status == ZX_OK ? MSIX_MASK_ALL : MSIX_ENABLE, 0);
        (void)zx_handle_close(table);
    }
    return status;
}

static zx_status_t get_interrupts(void* ctx, struct jacinth_pci_device_get_interrupts_request* r,
                                  struct fidl_txn* txn) {
    struct device* d = ctx;
    zx_handle_t list[JACINTH_PCI_MAX_INTERRUPTS] = {};
    zx_status_t status = ZX_ERR_NOT_SUPPORTED;
    if (d->has_interrupts) {
        status = ZX_ERR_ALREADY_BOUND;
    } else if (d->has_msix && r->count >= 1 && r->count <= d->msix.count &&
               r->count <= JACINTH_PCI_MAX_INTERRUPTS) {
        status = make_interrupts(d, r->count, list);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close_many(list, JACINTH_PCI_MAX_INTERRUPTS);
        return jacinth_pci_device_get_interrupts_reply_error(txn, status);
    }
    d->has_interrupts = true;
    struct jacinth_pci_device_get_interrupts_response response = {.interrupts = {r->count, list}};
    return jacinth_pci_device_get_interrupts_reply(txn, &response);
}

static void stop_interrupts(const struct device* d) {
    if (d->has_msix) {
        set_msix_control(d, MSIX_ENABLE, MSIX_MASK_ALL);
    }
}

// ---- beginning, reset, end ----

static void begin_decoding(struct device* d) {
    stop_interrupts(d);
    set_command(d, PCI_COMMAND_BUS_MASTER, PCI_COMMAND_MEMORY | PCI_COMMAND_NO_INTX);
}

static void close_device(struct device* d) {
    stop_interrupts(d);
    write(d, PCI_COMMAND, 2, d->command & ~(uint32_t)PCI_COMMAND_BUS_MASTER);
    d->function->in_use = false;
    free(d);
}

static void on_reset_done(struct async_task* task) {
    struct device* d = container_of(task, struct device, reset_done);
    d->is_resetting = false;
    for (uint16_t i = 0; i < HEADER_WORDS; i++) {
        if (i != PCI_COMMAND / 4) { // its upper half is cleared by ones
            write(d, (uint16_t)(4 * i), 4, d->header[i]);
        }
    }
    write(d, PCI_COMMAND, 2, d->header[PCI_COMMAND / 4] & 0xffff);
    if (d->is_closed) {
        close_device(d);
        return;
    }
    begin_decoding(d);
    if (jacinth_pci_device_reset_reply(&d->reset_txn) != ZX_OK) {
        async_channel_end(&d->channel);
        close_device(d);
    }
}

static uint8_t find_express_reset(const struct device* d) {
    for (uint32_t i = 0; i < d->capability_count; i++) {
        const struct pci_capability* c = &d->capabilities[i];
        if (c->id == PCI_CAP_EXPRESS && c->size >= EXPRESS_DEVICE_CONTROL + 2 &&
            (read(d, (uint16_t)(c->offset + EXPRESS_DEVICE_CAPABILITIES), 4) & EXPRESS_HAS_RESET) !=
                0) {
            return c->offset;
        }
    }
    return 0;
}

static zx_status_t reset(void* ctx, struct fidl_txn* txn) {
    struct device* d = ctx;
    uint8_t express = find_express_reset(d);
    if (express == 0 || d->is_resetting) {
        return jacinth_pci_device_reset_reply_error(txn, express == 0 ? ZX_ERR_NOT_SUPPORTED
                                                                      : ZX_ERR_BAD_STATE);
    }
    for (uint16_t i = 0; i < HEADER_WORDS; i++) {
        d->header[i] = read(d, (uint16_t)(4 * i), 4);
    }
    d->is_resetting = true;
    d->has_interrupts = false;
    d->reset_txn = *txn;
    d->reset_txn.storage = (struct fidl_storage){d->reset_bytes, sizeof(d->reset_bytes)};
    uint16_t control = (uint16_t)(express + EXPRESS_DEVICE_CONTROL);
    write(d, control, 2, read(d, control, 2) | EXPRESS_RESET);
    async_task_post(d->bus->loop, &d->reset_done, zx_clock_get_monotonic() + RESET_TIME);
    return ZX_OK;
}

static const struct jacinth_pci_device_ops ops = {.get_info = get_info,
                                                  .get_capabilities = get_capabilities,
                                                  .read_config = read_config,
                                                  .write_config = write_config,
                                                  .get_bar = get_bar,
                                                  .get_bti = get_bti,
                                                  .set_bus_master = set_bus_master,
                                                  .get_interrupts = get_interrupts,
                                                  .reset = reset};

static zx_status_t on_message(struct async_channel* channel, struct fidl_message* message) {
    struct device* d = container_of(channel, struct device, channel);
    return jacinth_pci_device_dispatch(&ops, d, channel->handle, message,
                                       async_loop_storage(channel->loop));
}

static void on_closed(struct async_channel* channel, zx_status_t) {
    struct device* d = container_of(channel, struct device, channel);
    d->is_closed = true;
    if (!d->is_resetting) { // else when that is done: until then nobody else gets it
        close_device(d);
    }
}

zx_status_t device_open(struct bus* bus, struct function* function, zx_handle_t channel) {
    zx_status_t status = function->in_use                            ? ZX_ERR_ALREADY_BOUND
                         : !pci_is_there(&bus->access, &function->f) ? ZX_ERR_IO_NOT_PRESENT
                                                                     : ZX_OK;
    struct device* d = status == ZX_OK ? calloc(1, sizeof(*d)) : nullptr;
    if (d == nullptr) {
        (void)zx_handle_close(channel);
        return status == ZX_OK ? ZX_ERR_NO_MEMORY : status;
    }
    d->channel =
        (struct async_channel){.handle = channel, .message = on_message, .closed = on_closed};
    d->reset_done.handler = on_reset_done;
    d->bus = bus;
    d->function = function;
    d->command = read(d, PCI_COMMAND, 2);
    status = async_channel_begin(bus->loop, &d->channel);
    if (status != ZX_OK) {
        free(d);
        return status;
    }
    function->in_use = true;
    pci_read_bars(&bus->access, &function->f, d->bars);
    for (uint32_t i = 0; i < bus->count; i++) {
        pci_reject_shared(&bus->access, &bus->functions[i].f, &function->f, d->bars);
    }
    d->capability_count = pci_read_capabilities(&bus->access, function->f.address, d->capabilities);
    d->has_msix = pci_read_msix(&bus->access, function->f.address, d->capabilities,
                                d->capability_count, d->bars, &d->msix);
    begin_decoding(d);
    return ZX_OK;
}
