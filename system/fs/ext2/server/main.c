// ext2: /data, the file system of a disk. `ext2 DEVICE`: an entry of its /svc that speaks
// jacinth.block/Block. It offers Connect("data"), a connection to the root.
//
// Every program that sees /data is given a connection, and few use it: the disk is asked for, and
// mounted, when the first request comes. If there is no disk, or none with ext2, connections are
// closed then, and the next one that is used tries again. It ends with a failure when the disk goes
// away, and when whoever started it is gone.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <block/volume.h>
#include <io/client.h>
#include <io/offers.h>
#include <jacinth/startup.h>
#include <lib/compiler.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

#include <ext2fs/ext2fs.h>

constexpr uint32_t CONNECTIONS_MAX = 8192;
constexpr uint32_t WATCHERS_MAX = 1024;

static struct {
    struct async_loop loop;
    struct ext2fs fs;
    zx_handle_t svc;
    const char* device;
    bool is_lost;
} state; // the loop's thread alone

static zx_status_t connect_device(void*, zx_handle_t* out) {
    zx_handle_t device;
    zx_handle_t theirs;
    zx_status_t status = zx_channel_create(0, &device, &theirs);
    if (status != ZX_OK) {
        return status;
    }
    status = io_connect(state.svc, state.device, strlen(state.device), theirs);
    if (status != ZX_OK) {
        (void)zx_handle_close(device);
        return status;
    }
    return block_volume_open(device, out);
}

static void device_lost(void*) {
    fprintf(stderr, "ext2: %s is gone\n", state.device);
    state.is_lost = true;
    async_loop_quit(&state.loop);
}

// ---- mounting ----

static zx_status_t mount(void) {
    static bool has_complained;
    char why[EXT2_WHY_MAX];
    if (state.fs.core != nullptr) {
        return ZX_OK;
    }
    zx_status_t status = ext2fs_init(&state.fs, why);
    bool is_absent = status == ZX_ERR_PEER_CLOSED; // nobody offers such a disk
    // Each program that starts may lead here again: a failure is worth one line.
    if (status == ZX_OK ? why[0] != 0 : !is_absent && !has_complained) {
        fprintf(stderr, "ext2: %s: %s: %s\n", state.device,
                status == ZX_OK ? "mounted read-only" : zx_status_get_string(status), why);
        has_complained = status != ZX_OK;
    }
    return status;
}

// ---- connections ----

struct caller { // who has not asked for anything yet
    struct async_wait wait;
};

static void caller_wakes(struct async_wait* wait, const zx_packet_signal_t* signal) {
    struct caller* c = container_of(wait, struct caller, wait);
    zx_handle_t channel = wait->object;
    free(c);
    if ((signal->observed & ZX_CHANNEL_READABLE) == 0 || mount() != ZX_OK) {
        (void)zx_handle_close(channel);
        return;
    }
    // Who fails to be served sees the channel close.
    (void)ext2fs_serve_root(&state.fs, channel,
                            JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE |
                                JACINTH_IO_FLAGS_EXECUTE);
}

static void connect(void*, zx_handle_t request) {
    struct caller* c = malloc(sizeof(*c));
    if (c != nullptr) {
        c->wait = (struct async_wait){.object = request,
                                      .trigger = ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                                      .handler = caller_wakes};
        if (async_wait_begin(&state.loop, &c->wait) == ZX_OK) {
            return;
        }
        free(c);
    }
    (void)zx_handle_close(request);
}

static void abandoned(void*) {
    async_loop_quit(&state.loop);
}

static zx_handle_t services(void) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), "/svc") == 0) {
            return zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
        }
    }
    return ZX_HANDLE_INVALID;
}

static zx_status_t begin(zx_handle_t request) {
    static struct io_offer offer[] = {{.name = "data", .connect = connect},
                                      {.name = "@root", .connect = connect}};
    static struct io_offers offers = {
        .loop = &state.loop, .offers = offer, .count = 2, .abandoned = abandoned};
    state.svc = services();
    zx_status_t status = async_loop_init(&state.loop);
    if (status != ZX_OK) {
        return status;
    }
    state.fs.disk.connect = connect_device;
    state.fs.disk.lost = device_lost;
    state.fs.utc_clock = zx_take_startup_handle(PA_HND(PA_CLOCK_UTC, 0));
    state.fs.server = (struct io_server){.loop = &state.loop,
                                         .ops = &ext2fs_ops,
                                         .connections_max = CONNECTIONS_MAX,
                                         .watchers_max = WATCHERS_MAX};
    io_server_init(&state.fs.server);
    status = io_offers_begin(&offers, request);
    return status == ZX_OK ? async_loop_run(&state.loop) : status;
}

int main(int argc, char** argv) {
    zx_handle_t request = zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0));
    if (argc != 2) {
        fprintf(stderr, "usage: ext2 DEVICE\n");
        return 2;
    }
    state.device = argv[1];
    zx_status_t status = begin(request);
    if (status == ZX_OK && !state.is_lost && state.fs.core != nullptr) {
        io_server_end(&state.fs.server);
        status = ext2fs_destroy(&state.fs);
    }
    if (status != ZX_OK) {
        fprintf(stderr, "ext2: %s: %s\n", state.device, zx_status_get_string(status));
    }
    return status == ZX_OK && !state.is_lost ? EXIT_SUCCESS : EXIT_FAILURE;
}
