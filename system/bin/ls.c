// Lists directories of the boot image: ls [DIR]...
#include <stdio.h>

#include <bootsvc/client.h>
#include <zircon/status.h>

static bool print_item(void*, const struct bootsvc_item* item) {
    if (item->is_directory) {
        printf("%10s  %.*s/\n", "", (int)item->name_len, item->name);
    } else {
        printf("%10u  %.*s\n", item->size, (int)item->name_len, item->name);
    }
    return true;
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
        zx_status_t status = bootsvc_list(bootsvc_startup(), argv[i], print_item, nullptr);
        if (status != ZX_OK) {
            (void)fflush(stdout);
            fprintf(stderr, "ls: %s: %s\n", argv[i], zx_status_get_string(status));
            result = 1;
        }
    }
    return result;
}
