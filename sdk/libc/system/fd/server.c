#include <fd/server.h>

#include <fd/device.h>
#include <io/client.h>
#include <libc/error.h>

long fd_server_error(zx_status_t status) {
    return status == ZX_ERR_PEER_CLOSED ? -ABI_EIO : errno_from_status(status);
}

uint8_t fd_entry_type(jacinth_io_kind_t kind) {
    switch (kind) {
    case JACINTH_IO_KIND_FILE:
        return ABI_DT_REG;
    case JACINTH_IO_KIND_DIRECTORY:
        return ABI_DT_DIR;
    case JACINTH_IO_KIND_SYMLINK:
        return ABI_DT_LNK;
    case JACINTH_IO_KIND_TERMINAL:
    case JACINTH_IO_KIND_DEVICE:
        return ABI_DT_CHR;
    case JACINTH_IO_KIND_SERVICE:
        return ABI_DT_SOCK;
    default:
        return ABI_DT_UNKNOWN;
    }
}

static struct abi_timespec time_of(int64_t ns) {
    constexpr int64_t second = 1'000'000'000;
    int64_t rest = ns % second;
    int64_t borrow = rest < 0;
    return (struct abi_timespec){ns / second - borrow, rest + borrow * second};
}

void fd_stat_from_attributes(const struct jacinth_io_attributes* a, uint64_t device,
                             struct abi_stat* out) {
    if (a->kind == JACINTH_IO_KIND_DEVICE && a->device != JACINTH_IO_DEVICE_NONE) {
        fd_device_stat((enum fd_device)(a->device - JACINTH_IO_DEVICE_NULL_DEVICE), out);
        return;
    }
    if (a->kind == JACINTH_IO_KIND_TERMINAL) {
        // The name is init's, the terminal the console's: each numbers for itself, but programs
        // (ttyname) compare. There is one terminal.
        *out = (struct abi_stat){.dev = 1,
                                 .ino = 97,
                                 .nlink = 1,
                                 .mode = ABI_S_IFCHR | (a->mode & 07777),
                                 .rdev = 5 << 8 | 1,
                                 .blksize = 4096};
        return;
    }
    // The type's number in a directory is its S_IF value's upper four bits.
    uint32_t type = (uint32_t)fd_entry_type(a->kind) << 12;
    *out = (struct abi_stat){.dev = device,
                             .ino = a->id,
                             .nlink = a->link_count,
                             .mode = type | (a->mode & 07777),
                             .size = (int64_t)a->size,
                             .blksize = 4096,
                             .blocks = (int64_t)((a->storage_size + 511) / 512),
                             .atim = time_of(a->access_time),
                             .mtim = time_of(a->modification_time),
                             .ctim = time_of(a->change_time)};
}

long fd_server_stat(zx_handle_t node, uint64_t device, struct abi_stat* out) {
    struct jacinth_io_attributes a;
    zx_status_t status = io_get_attributes(node, &a);
    if (status != ZX_OK) {
        return fd_server_error(status);
    }
    fd_stat_from_attributes(&a, device, out);
    return 0;
}

long fd_server_change(zx_handle_t node, const struct fd_change* change) {
    struct io_changes c = {.mode = change->has_mode ? &change->mode : nullptr,
                           .access_time = change->has_access ? &change->access_ns : nullptr,
                           .modification_time =
                               change->has_modification ? &change->modification_ns : nullptr};
    return fd_server_error(io_set_attributes(node, &c));
}

long fd_server_sync(zx_handle_t node) {
    return fd_server_error(io_sync(node));
}
