// ext2: /data, the file system of a disk. `ext2 DEVICE`: an entry of its /svc that speaks
// jacinth.block/Block. It offers Connect("data"), a connection to the root, and ends when whoever
// started it is gone, or with a failure when the disk is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    zx_handle_t theirs;
    zx_status_t status = zx_channel_create(0, out, &theirs);
    if (status == ZX_OK) {
        status = io_connect(state.svc, state.device, strlen(state.device), theirs);
        if (status != ZX_OK) {
            (void)zx_handle_close(*out);
        }
    }
    return status;
}

static void device_lost(void*) {
    fprintf(stderr, "ext2: %s is gone\n", state.device);
    state.is_lost = true;
    async_loop_quit(&state.loop);
}

static void connect(void*, zx_handle_t request) {
    // Who fails to be served sees the channel close.
    (void)ext2fs_serve_root(&state.fs, request,
                            JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE |
                                JACINTH_IO_FLAGS_EXECUTE);
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

static zx_status_t begin(void) {
    char why[EXT2_WHY_MAX];
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
    status = ext2fs_init(&state.fs, why);
    if (why[0] != 0) {
        fprintf(stderr, "ext2: %s: %s: %s\n", state.device,
                status == ZX_OK ? "mounted read-only" : "refused", why);
    }
    return status;
}

int main(int argc, char** argv) {
    static struct io_offer offer[] = {{.name = "data", .connect = connect}};
    static struct io_offers offers = {
        .loop = &state.loop, .offers = offer, .count = 1, .abandoned = abandoned};
    zx_handle_t request = zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0));
    if (argc != 2) {
        fprintf(stderr, "usage: ext2 DEVICE\n");
        return 2;
    }
    state.device = argv[1];
    zx_status_t status = begin();
    if (status != ZX_OK) {
        // No disk, or none of ours: nothing to try again.
        fprintf(stderr, "ext2: %s: %s\n", state.device, zx_status_get_string(status));
        return EXIT_SUCCESS;
    }
    status = io_offers_begin(&offers, request);
    if (status == ZX_OK) {
        status = async_loop_run(&state.loop);
    }
    if (status == ZX_OK && !state.is_lost) {
        io_server_end(&state.fs.server);
        status = ext2fs_destroy(&state.fs);
    }
    return status == ZX_OK && !state.is_lost ? EXIT_SUCCESS : EXIT_FAILURE;
}
