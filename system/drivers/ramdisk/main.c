// ramdisk: a disk in memory (ramdisk/ramdisk.h) as a service. `ramdisk NAME SOURCE`: it offers NAME
// (jacinth.block/Block) and NAME-control (jacinth.ramdisk/Control). SOURCE is its size in MiB, or
// the path below /boot of a file that it begins with.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <io/offers.h>
#include <jacinth/startup.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

#include <ramdisk/ramdisk.h>

constexpr uint32_t BLOCK_SIZE = 512;
constexpr jacinth_block_flags_t FLAGS =
    JACINTH_BLOCK_FLAGS_VOLATILE_CACHE | JACINTH_BLOCK_FLAGS_DISCARD;

static struct async_loop loop;
static struct ramdisk disk;

static void connect(void*, zx_handle_t request) {
    (void)block_device_serve(&disk.device, request);
}

static void connect_control(void*, zx_handle_t request) {
    (void)ramdisk_control(&disk, request);
}

static void abandoned(void*) {
    async_loop_quit(&loop);
}

// A copy that may be written to.
static zx_status_t copy_file(const char* path, zx_handle_t* out) {
    static const char prefix[] = "/boot/";
    zx_handle_t file;
    uint64_t size;
    path += strncmp(path, prefix, sizeof(prefix) - 1) == 0 ? sizeof(prefix) - 1 : 0;
    zx_status_t status = bootsvc_open(bootsvc_startup(), path, &file, &size);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_vmo_create(size, 0, out);
    static uint8_t piece[64 << 10];
    for (uint64_t at = 0; status == ZX_OK && at < size;) {
        uint64_t len = size - at < sizeof(piece) ? size - at : sizeof(piece);
        status = zx_vmo_read(file, piece, at, len);
        if (status == ZX_OK) {
            status = zx_vmo_write(*out, piece, at, len);
        }
        at += len;
    }
    (void)zx_handle_close(file);
    return status;
}

static zx_status_t make_contents(const char* source, zx_handle_t* out) {
    char* end;
    unsigned long long mib = strtoull(source, &end, 10);
    if (*end != '\0') {
        return copy_file(source, out);
    }
    return mib > 0 && mib <= 1024 ? zx_vmo_create(mib << 20, 0, out) : ZX_ERR_OUT_OF_RANGE;
}

static zx_status_t serve(const char* name, const char* source) {
    static char control_name[64];
    static struct io_offer offer[] = {{.connect = connect},
                                      {.name = control_name, .connect = connect_control}};
    static struct io_offers offers = {
        .loop = &loop, .offers = offer, .count = 2, .abandoned = abandoned};
    offer[0].name = name;
    zx_handle_t contents;
    zx_handle_t request = zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0));
    if (snprintf(control_name, sizeof(control_name), "%s-control", name) >=
        (int)sizeof(control_name)) {
        return ZX_ERR_BAD_PATH;
    }
    zx_status_t status = async_loop_init(&loop);
    if (status == ZX_OK) {
        status = make_contents(source, &contents);
    }
    if (status == ZX_OK) {
        status = ramdisk_init(&disk, &loop, contents, BLOCK_SIZE, FLAGS);
    }
    if (status == ZX_OK) {
        status = io_offers_begin(&offers, request);
    }
    return status == ZX_OK ? async_loop_run(&loop) : status;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: ramdisk NAME MIB|FILE\n");
        return 2;
    }
    zx_status_t status = serve(argv[1], argv[2]);
    if (status != ZX_OK) {
        fprintf(stderr, "ramdisk: %s\n", zx_status_get_string(status));
    }
    return status == ZX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
