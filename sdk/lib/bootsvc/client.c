#include <bootsvc/client.h>

#include <stdlib.h>
#include <string.h>

#include <io/client.h>
#include <jacinth/startup.h>
#include <zircon/syscalls.h>

static constexpr char mount[] = "/boot";

zx_handle_t bootsvc_startup(void) {
    static zx_handle_t service; // written once, by the first caller of a start-up that has one
    for (uint32_t i = 0; service == ZX_HANDLE_INVALID; i++) {
        const char* name = zx_startup_name(i);
        if (name == nullptr) {
            break;
        }
        if (strcmp(name, mount) == 0) {
            service = zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
        }
    }
    return service;
}

// Without "/boot" and slashes at the ends.
static size_t shorten(const char** path) {
    size_t mount_len = sizeof(mount) - 1;
    const char* p = *path;
    if (strncmp(p, mount, mount_len) == 0 && (p[mount_len] == '/' || p[mount_len] == 0)) {
        p += mount_len;
    }
    while (*p == '/') {
        p++;
    }
    size_t len = strlen(p);
    while (len > 0 && p[len - 1] == '/') {
        len--;
    }
    *path = p;
    return len;
}

zx_status_t bootsvc_open(zx_handle_t service, const char* path, zx_handle_t* vmo, uint64_t* size) {
    size_t len = shorten(&path);
    struct io_opened opened;
    zx_status_t status = io_open(service, path, len, JACINTH_IO_FLAGS_EXECUTE, 0, &opened, nullptr);
    if (status != ZX_OK) {
        return status;
    }
    if (opened.kind == JACINTH_IO_KIND_FILE) {
        status = io_get_vmo(opened.connection, JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_EXECUTE,
                            vmo, size);
    } else {
        status = ZX_ERR_NOT_FILE;
    }
    io_opened_close(&opened);
    return status;
}

zx_status_t bootsvc_clone(zx_handle_t service, zx_handle_t* out) {
    return io_clone(service, out);
}

// ---- listing ----

static zx_status_t report(zx_handle_t directory, const struct jacinth_io_entry* entry,
                          bootsvc_found_fn found, void* ctx, bool* more) {
    struct bootsvc_item item = {.name = (const char*)entry->name.data,
                                .name_len = (uint32_t)entry->name.count,
                                .is_directory = entry->kind == JACINTH_IO_KIND_DIRECTORY};
    if (!item.is_directory) {
        struct jacinth_io_attributes a;
        zx_status_t status = io_stat(directory, item.name, item.name_len, 0, &a, nullptr, nullptr);
        if (status != ZX_OK) {
            return status;
        }
        item.size = (uint32_t)a.size;
    }
    *more = found(ctx, &item);
    return ZX_OK;
}

static zx_status_t list(zx_handle_t directory, struct io_entries* entries, bootsvc_found_fn found,
                        void* ctx) {
    bool more = true;
    zx_status_t status = ZX_OK;
    while (more && status == ZX_OK) {
        status = io_read_entries(directory, entries);
        more = status == ZX_OK && entries->count != 0;
        for (uint32_t i = 0; more && status == ZX_OK && i < entries->count; i++) {
            status = report(directory, &entries->entries[i], found, ctx, &more);
        }
    }
    return status;
}

zx_status_t bootsvc_list(zx_handle_t service, const char* directory, bootsvc_found_fn found,
                         void* ctx) {
    size_t len = shorten(&directory);
    struct io_opened opened;
    zx_status_t status =
        io_open(service, directory, len, JACINTH_IO_FLAGS_DIRECTORY, 0, &opened, nullptr);
    if (status != ZX_OK) {
        return status;
    }
    struct io_entries* entries = malloc(sizeof(*entries));
    if (entries != nullptr) {
        entries->cookie = 0;
        status = list(opened.connection, entries, found, ctx);
    } else {
        status = ZX_ERR_NO_MEMORY;
    }
    free(entries);
    io_opened_close(&opened);
    return status;
}
