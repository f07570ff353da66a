// Lists directories and files of the boot image: ls [PATH]...
#include <stdio.h>

#include <bootsvc/client.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

static bool print_item(void*, const struct bootsvc_item* item) {
    if (item->is_directory) {
        printf("%10s  %.*s/\n", "", (int)item->name_len, item->name);
    } else {
        printf("%10u  %.*s\n", item->size, (int)item->name_len, item->name);
    }
    return true;
}

static zx_status_t list(const char* path) {
    zx_status_t status = bootsvc_list(bootsvc_startup(), path, print_item, nullptr);
    zx_handle_t vmo;
    uint64_t size;
    if (status != ZX_OK && bootsvc_open(bootsvc_startup(), path, &vmo, &size) == ZX_OK) {
        (void)zx_handle_close(vmo);
        printf("%10llu  %s\n", (unsigned long long)size, path);
        return ZX_OK;
    }
    return status;
}

int main(int argc, char** argv) {
    static char* everything[] = {nullptr, "/boot", nullptr};
    if (argc < 2) {
        argc = 2;
        argv = everything;
    }
    int result = 0;
    for (int i = 1; i < argc; i++) {
        if (argc > 2) {
            printf("%s:\n", argv[i]);
        }
        zx_status_t status = list(argv[i]);
        if (status != ZX_OK) {
            (void)fflush(stdout);
            fprintf(stderr, "ls: %s: %s\n", argv[i], zx_status_get_string(status));
            result = 1;
        }
    }
    return result;
}
