// virtio_blk: the driver of all virtio block devices that its jacinth.pci.VirtioBlock hands out. It
// offers them as disk0, disk1 ... (jacinth.block/Block) in the order of their addresses, and
// jacinth.block.Statistics of them all. A disk that cannot be started keeps its name, which nobody
// serves then: whoever wants it must not get its neighbour. Devices that are no disks of ours have
// none.
//
// disk.patience=SECONDS in the environment (the kernel's command line): how long a device may leave
// requests without any answer (30; 0: for ever, for machines whose clock runs ahead while they
// wait).
//
// It ends when a device fails it (with a failure), or the bus driver ends (with 0): init starts it
// again, and then it begins by stopping its devices.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <async/channel.h>
#include <fidl/jacinth.pci.h>
#include <io/client.h>
#include <io/offers.h>
#include <jacinth/startup.h>
#include <lib/compiler.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

#include "disk.h"

constexpr uint32_t DISKS_MAX = 4;
constexpr uint32_t WATCHERS_MAX = 16;
constexpr uint64_t PATIENCE_S = 30, PATIENCE_MAX_S = 1'000'000;

static struct {
    struct async_loop loop;
    uint32_t count; // of names that are given
    struct disk disks[DISKS_MAX];
    zx_duration_t patience;
    bool has_failed, bus_is_gone;
    uint32_t watchers;
} state; // the loop's thread alone

static const char* const names[DISKS_MAX] = {"disk0", "disk1", "disk2", "disk3"};

static void lost(struct disk* disk, const char* why) {
    if (why != nullptr) {
        fprintf(stderr, "virtio_blk: %s: %s\n", names[disk - state.disks], why);
        state.has_failed = true;
    } else if (!state.bus_is_gone) { // each disk tells
        fprintf(stderr, "virtio_blk: the bus driver has ended: this one ends, and follows it\n");
        state.bus_is_gone = true;
    }
    async_loop_quit(&state.loop);
}

// ---- finding them ----

static zx_handle_t services(void) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), "/svc") == 0) {
            return zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
        }
    }
    return ZX_HANDLE_INVALID;
}

static zx_status_t connect_bus(zx_handle_t* out) {
    static constexpr char name[] = "jacinth.pci.VirtioBlock";
    zx_handle_t theirs, svc = services();
    zx_status_t status = zx_channel_create(0, out, &theirs);
    if (status == ZX_OK) {
        status = io_connect(svc, name, sizeof(name) - 1, theirs);
    }
    (void)zx_handle_close(svc);
    return status;
}

static zx_status_t open_device(zx_handle_t bus, uint16_t address, zx_handle_t* out) {
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_pci_devices_open_request request = {.address = address};
    zx_status_t status = zx_channel_create(0, out, &request.device);
    if (status != ZX_OK) {
        return status;
    }
    status = jacinth_pci_devices_open_call(bus, ZX_TIME_INFINITE, &request, storage);
    if (status != ZX_OK) {
        (void)zx_handle_close(*out);
    }
    return status;
}

static bool is_started(const struct disk* d) {
    return d->virtio.pci != ZX_HANDLE_INVALID;
}

static void start_disk(zx_handle_t bus, uint16_t address) {
    struct disk* d = &state.disks[state.count];
    zx_handle_t pci;
    zx_status_t status = open_device(bus, address, &pci);
    if (status == ZX_OK) {
        *d = (struct disk){.patience = state.patience, .lost = lost};
        status = disk_start(d, &state.loop, pci);
    }
    if (status == ZX_OK && d->interrupt == ZX_HANDLE_INVALID) {
        fprintf(stderr, "virtio_blk: %s has no MSI-X: it is polled\n", names[state.count]);
    }
    state.count += status != ZX_ERR_NOT_SUPPORTED;
    if (status != ZX_OK) {
        fprintf(stderr, "virtio_blk: the device %02x:%02x.%u: %s\n", address >> 8,
                address >> 3 & 0x1f, address & 7u, zx_status_get_string(status));
    }
}

static zx_status_t start_disks(void) {
    static alignas(8) uint8_t bytes[ZX_CHANNEL_MAX_MSG_BYTES];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_pci_devices_list_response* list;
    zx_handle_t bus;
    zx_status_t status = connect_bus(&bus);
    if (status == ZX_OK) {
        status = jacinth_pci_devices_list_call(bus, ZX_TIME_INFINITE, storage, &list);
    }
    if (status != ZX_OK) {
        return status;
    }
    for (uint64_t i = 0; i < list->devices.count && state.count < DISKS_MAX; i++) {
        start_disk(bus, list->devices.data[i].address);
    }
    (void)zx_handle_close(bus);
    return ZX_OK;
}

// ---- statistics ----

static zx_status_t list_stats(void*, struct fidl_txn* txn) {
    struct jacinth_block_device_stats list[DISKS_MAX];
    char texts[DISKS_MAX][JACINTH_BLOCK_MAX_NAME];
    uint32_t count = 0;
    for (uint32_t i = 0; i < state.count; i++) {
        const struct disk* d = &state.disks[i];
        size_t len = strlen(names[i]);
        memcpy(texts[i], names[i], len);
        if (is_started(d)) {
            list[count++] = (struct jacinth_block_device_stats){
                .name = {len, texts[i]}, .info = d->block.info, .stats = d->block.stats};
        }
    }
    struct jacinth_block_statistics_list_response response = {.devices = {count, list}};
    return jacinth_block_statistics_list_reply(txn, &response);
}

static const struct jacinth_block_statistics_ops statistics_ops = {.list = list_stats};

static zx_status_t on_message(struct async_channel* channel, struct fidl_message* message) {
    return jacinth_block_statistics_dispatch(&statistics_ops, nullptr, channel->handle, message,
                                             async_loop_storage(channel->loop));
}

static void on_closed(struct async_channel* channel, zx_status_t) {
    free(channel);
    state.watchers--;
}

static void connect_statistics(void*, zx_handle_t request) {
    struct async_channel* c = state.watchers < WATCHERS_MAX ? malloc(sizeof(*c)) : nullptr;
    if (c == nullptr) {
        (void)zx_handle_close(request);
        return;
    }
    *c = (struct async_channel){.handle = request, .message = on_message, .closed = on_closed};
    if (async_channel_begin(&state.loop, c) != ZX_OK) {
        free(c);
        return;
    }
    state.watchers++;
}

// ---- the program ----

// Who asks for a disk that is not there finds the channel closed.
static void connect_disk(void* ctx, zx_handle_t request) {
    struct disk* d = ctx;
    if (is_started(d)) {
        (void)block_device_serve(&d->block, request);
    } else {
        (void)zx_handle_close(request);
    }
}

static void abandoned(void*) {
    async_loop_quit(&state.loop);
}

static zx_duration_t read_patience(char* const environment[]) {
    static constexpr char name[] = "disk.patience=";
    unsigned long long seconds = PATIENCE_S;
    for (uint32_t i = 0; environment[i] != nullptr; i++) {
        if (strncmp(environment[i], name, sizeof(name) - 1) == 0) {
            seconds = strtoull(environment[i] + sizeof(name) - 1, nullptr, 10);
        }
    }
    return seconds > 0 && seconds < PATIENCE_MAX_S ? ZX_SEC((int64_t)seconds) : ZX_TIME_INFINITE;
}

int main(int, char**, char** environment) {
    static struct io_offer offer[DISKS_MAX + 1] = {
        {.name = "jacinth.block.Statistics", .connect = connect_statistics}};
    static struct io_offers offers = {
        .loop = &state.loop, .offers = offer, .count = DISKS_MAX + 1, .abandoned = abandoned};
    for (uint32_t i = 0; i < DISKS_MAX; i++) {
        offer[i + 1] =
            (struct io_offer){.name = names[i], .connect = connect_disk, .ctx = &state.disks[i]};
    }
    state.patience = read_patience(environment);
    zx_status_t status = async_loop_init(&state.loop);
    if (status == ZX_OK) {
        status = start_disks();
    }
    if (status == ZX_OK) {
        status = io_offers_begin(&offers, zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0)));
    }
    if (status == ZX_OK) {
        status = async_loop_run(&state.loop);
    }
    if (status != ZX_OK) {
        fprintf(stderr, "virtio_blk: %s\n", zx_status_get_string(status));
    }
    return status == ZX_OK && !state.has_failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
