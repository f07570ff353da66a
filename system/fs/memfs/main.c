// memfs: /tmp, a file system in memory. It is given nothing but the channel on which it offers
// itself (Connect("tmp"): a connection to the root) and, if there is one, the clock of UTC; it ends
// when whoever started it is gone.
#include <stdio.h>
#include <stdlib.h>

#include <io/offers.h>
#include <jacinth/startup.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

#include <memfs/memfs.h>

constexpr uint32_t CONNECTIONS_MAX = 8192;
constexpr uint32_t WATCHERS_MAX = 1024;
static_assert(CONNECTIONS_MAX + WATCHERS_MAX < ASYNC_WAITS_MAX);
// A node takes a few hundred bytes, a name as much; half of the memory is left to others.
constexpr uint64_t MEMORY_FOR_NODE = 4096;

static struct async_loop loop;
static struct memfs fs;

static void connect(void*, zx_handle_t request) {
    // Who fails to be served sees the channel close.
    (void)io_server_serve(&fs.server, request, &fs.root->io,
                          JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE |
                              JACINTH_IO_FLAGS_EXECUTE);
}

static void abandoned(void*) {
    async_loop_quit(&loop);
}

static int fail(const char* what, zx_status_t status) {
    fprintf(stderr, "memfs: %s: %s\n", what, zx_status_get_string(status));
    return EXIT_FAILURE;
}

int main(int, char**) {
    static struct io_offer offer[] = {{.name = "tmp", .connect = connect}};
    static struct io_offers offers = {
        .loop = &loop, .offers = offer, .count = 1, .abandoned = abandoned};
    zx_status_t status = async_loop_init(&loop);
    if (status != ZX_OK) {
        return fail("no loop", status);
    }
    fs.server = (struct io_server){.loop = &loop,
                                   .ops = &memfs_ops,
                                   .connections_max = CONNECTIONS_MAX,
                                   .watchers_max = WATCHERS_MAX};
    io_server_init(&fs.server);
    fs.utc_clock = zx_take_startup_handle(PA_HND(PA_CLOCK_UTC, 0));
    fs.bytes_max = zx_system_get_physmem() / 2;
    fs.nodes_max = zx_system_get_physmem() / MEMORY_FOR_NODE;
    status = memfs_init(&fs);
    if (status != ZX_OK) {
        return fail("no memory", status);
    }
    zx_handle_t request = zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0));
    if (request == ZX_HANDLE_INVALID) {
        return fail("nobody to serve", ZX_ERR_BAD_HANDLE);
    }
    status = io_offers_begin(&offers, request);
    if (status == ZX_OK) {
        status = async_loop_run(&loop);
    }
    return status == ZX_OK ? EXIT_SUCCESS : fail("the loop ended", status);
}
