// Prints files of the boot image.
#include <stdio.h>

#include <bootsvc/client.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

static zx_status_t print_file(const char* path) {
    zx_handle_t vmo;
    uint64_t size;
    zx_status_t status = bootsvc_open(bootsvc_startup(), path, &vmo, &size);
    for (uint64_t at = 0; status == ZX_OK && at < size;) {
        char part[1024];
        size_t len = size - at < sizeof(part) ? (size_t)(size - at) : sizeof(part);
        status = zx_vmo_read(vmo, part, at, len);
        if (status == ZX_OK) {
            (void)fwrite(part, 1, len, stdout);
            at += len;
        }
    }
    (void)zx_handle_close(vmo);
    return status;
}

int main(int argc, char** argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: cat FILE...\n");
        return 2;
    }
    int result = 0;
    for (int i = 1; i < argc; i++) {
        zx_status_t status = print_file(argv[i]);
        if (status != ZX_OK) {
            (void)fflush(stdout);
            fprintf(stderr, "cat: %s: %s\n", argv[i], zx_status_get_string(status));
            result = 1;
        }
    }
    return result;
}
