// From the boot image to the files in it: windows on one VMO, nothing is copied.
#include <string.h>

#include <bootfs/zbi.h>
#include <bootsvc/server.h>
#include <jacinth/startup.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "image_priv.h"

constexpr uint64_t PAGE_LEN = bootfs_page_len;

const char* bootsvc_error_text(bootsvc_error_t error) {
    switch (error) {
    case BOOTSVC_OK:
        return "no error";
    case BOOTSVC_NO_ZBI:
        return "the boot image is not a ZBI";
    case BOOTSVC_NO_BOOTFS:
        return "the boot image holds no bootfs";
    case BOOTSVC_BAD_BOOTFS:
        return "the boot image's bootfs is damaged";
    case BOOTSVC_FAILED:
        return "the boot image cannot be reached";
    }
    return "unknown error";
}

static bootsvc_error_t failed(zx_status_t* status, zx_status_t why) {
    *status = why;
    return BOOTSVC_FAILED;
}

static zx_status_t map_readable(zx_handle_t vmo, uint64_t len, zx_vaddr_t* address) {
    return zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ, 0, vmo, 0, bootsvc_round_up(len),
                       address);
}

// Where bootfs lies in the mapped ZBI.
static bootsvc_error_t find_item(const void* data, uint64_t len, struct zbi_item* item) {
    struct zbi zbi;
    if (zbi_open(&zbi, data, len) != ZBI_OK) {
        return BOOTSVC_NO_ZBI;
    }
    if (zbi_find(&zbi, zbi_type_bootfs, item) != ZBI_OK) {
        return BOOTSVC_NO_BOOTFS;
    }
    // Its pages are mapped where they lie.
    return item->payload_offset % PAGE_LEN == 0 ? BOOTSVC_OK : BOOTSVC_BAD_BOOTFS;
}

bootsvc_error_t bootsvc_find(zx_handle_t bootdata, zx_handle_t vmex, zx_handle_t* bootfs,
                             zx_status_t* status) {
    uint64_t size;
    *status = zx_vmo_get_size(bootdata, &size);
    if (*status != ZX_OK) {
        return BOOTSVC_FAILED;
    }
    zx_vaddr_t address;
    *status = map_readable(bootdata, size, &address);
    if (*status != ZX_OK) {
        return BOOTSVC_FAILED;
    }
    struct zbi_item item = {};
    bootsvc_error_t error = find_item((const void*)address, size, &item);
    (void)zx_vmar_unmap(zx_vmar_root_self(), address, bootsvc_round_up(size));
    if (error != BOOTSVC_OK) {
        return error;
    }
    zx_handle_t slice;
    *status = zx_vmo_create_child(bootdata, ZX_VMO_CHILD_SLICE, item.payload_offset,
                                  bootsvc_round_up(item.payload_len), &slice);
    if (*status != ZX_OK) {
        return BOOTSVC_FAILED;
    }
    (void)zx_object_set_property(slice, ZX_PROP_NAME, "bootfs", 6);
    *status = zx_vmo_replace_as_executable(slice, vmex, bootfs);
    return *status == ZX_OK ? BOOTSVC_OK : BOOTSVC_FAILED;
}

bootsvc_error_t bootsvc_init(struct bootsvc* svc, zx_handle_t bootfs, zx_status_t* status) {
    char header[bootfs_header_len];
    uint64_t image_len;
    uint64_t head_len;
    zx_status_t got = zx_vmo_get_size(bootfs, &image_len);
    if (got == ZX_OK) {
        got = zx_vmo_read(bootfs, header, 0, sizeof(header));
    }
    if (got != ZX_OK) {
        return failed(status, got);
    }
    if (bootfs_head_len(header, sizeof(header), &head_len) != BOOTFS_OK || head_len > image_len) {
        return BOOTSVC_BAD_BOOTFS;
    }
    zx_vaddr_t address;
    got = map_readable(bootfs, head_len, &address);
    if (got != ZX_OK) {
        return failed(status, got);
    }
    if (bootfs_open(&svc->fs, (const void*)address, head_len, image_len) != BOOTFS_OK) {
        (void)zx_vmar_unmap(zx_vmar_root_self(), address, bootsvc_round_up(head_len));
        return BOOTSVC_BAD_BOOTFS;
    }
    svc->vmo = bootfs;
    return bootsvc_make_tree(svc) ? BOOTSVC_OK : failed(status, ZX_ERR_NO_MEMORY);
}

zx_status_t bootsvc_window(const struct bootsvc* svc, uint64_t offset, uint64_t len,
                           const char* name, size_t name_len, zx_handle_t* out) {
    // An empty file has no pages; one page of the image stands for it, and its size says so.
    zx_status_t status = zx_vmo_create_child(svc->vmo, ZX_VMO_CHILD_SLICE, len == 0 ? 0 : offset,
                                             len == 0 ? PAGE_LEN : bootsvc_round_up(len), out);
    if (status == ZX_OK) {
        (void)zx_object_set_property(*out, ZX_PROP_NAME, name, name_len);
    }
    return status;
}

zx_status_t bootsvc_open_local(const struct bootsvc* svc, const char* path, size_t path_len,
                               zx_handle_t* vmo, uint64_t* size) {
    struct bootfs_file file;
    if (bootfs_find(&svc->fs, path, path_len, &file) != BOOTFS_OK) {
        return ZX_ERR_NOT_FOUND;
    }
    size_t at = path_len; // the last part: what people call the file
    while (at > 0 && path[at - 1] != '/') {
        at--;
    }
    *size = file.data_len;
    return bootsvc_window(svc, file.data_offset, file.data_len, path + at, path_len - at, vmo);
}
