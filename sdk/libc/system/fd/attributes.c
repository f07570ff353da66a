// Operations on what a descriptor stands for: attributes, size, listing.

#include "ops_priv.h"

static bool is_path_only(const struct fd_object* o) {
    return (fd_object_flags(o) & ABI_O_PATH) != 0;
}

long sys_fstat(int fd, struct abi_stat* out) {
    FD_REF o = nullptr;
    long error = fd_lookup_ref(fd, &o);
    return error != 0 ? error : o->ops->stat(o, out);
}

long sys_fstatfs(int fd, struct abi_statfs* out) {
    FD_REF o = nullptr;
    long error = fd_lookup_ref(fd, &o);
    return error != 0 ? error : o->ops->statfs(o, out);
}

long sys_ftruncate(int fd, int64_t len) {
    FD_REF o = nullptr;
    if (len < 0) {
        return -ABI_EINVAL;
    }
    long error = fd_lookup_ref(fd, &o);
    if (error != 0) {
        return error;
    }
    return fd_object_writable(o) ? o->ops->resize(o, (uint64_t)len) : -ABI_EINVAL;
}

// The file becomes as long as asked for; its pages come when they are written.
long sys_fallocate(int fd, int mode, int64_t offset, int64_t len) {
    FD_REF o = nullptr;
    if (offset < 0 || len <= 0) {
        return -ABI_EINVAL;
    }
    if (len > INT64_MAX - offset) {
        return -ABI_EFBIG;
    }
    long error = fd_lookup_ref(fd, &o);
    if (error != 0) {
        return error;
    }
    struct abi_stat now;
    if (mode != 0) {
        return -ABI_EOPNOTSUPP;
    }
    if (!fd_object_writable(o)) {
        return -ABI_EBADF;
    }
    error = o->ops->stat(o, &now);
    if (error != 0) {
        return error;
    }
    if ((now.mode & ABI_S_IFMT) != ABI_S_IFREG) {
        return (now.mode & ABI_S_IFMT) == ABI_S_IFIFO ? -ABI_ESPIPE : -ABI_ENODEV;
    }
    return now.size < offset + len ? o->ops->resize(o, (uint64_t)(offset + len)) : 0;
}

// Advice that nobody takes.
long sys_fadvise64(int fd, int64_t, int64_t, int advice) {
    constexpr int last = 5;
    long flags = fd_table_get_flags(fd_table(), fd);
    if (flags < 0) {
        return flags;
    }
    return advice < 0 || advice > last ? -ABI_EINVAL : 0;
}

long sys_fsync(int fd) {
    FD_REF o = nullptr;
    long error = fd_lookup_ref(fd, &o);
    if (error != 0) {
        return error;
    }
    return is_path_only(o) ? -ABI_EBADF : o->ops->sync(o);
}

long sys_fdatasync(int fd) {
    return sys_fsync(fd);
}

long sys_fchmod(int fd, unsigned mode) {
    FD_REF o = nullptr;
    long error = fd_lookup_ref(fd, &o);
    if (error != 0) {
        return error;
    }
    struct fd_change change = {.has_mode = true, .mode = mode & 07777};
    return is_path_only(o) ? -ABI_EBADF : o->ops->change(o, &change);
}

// There are no owners: every file is its user's, and stays so.
long sys_fchown(int fd, unsigned, unsigned) {
    long flags = fd_table_get_flags(fd_table(), fd);
    return flags < 0 ? flags : 0;
}

long sys_getdents64(int fd, void* buffer, size_t len) {
    FD_REF o = nullptr;
    long error = fd_lookup_ref(fd, &o);
    if (error != 0) {
        return error;
    }
    return is_path_only(o) ? -ABI_EBADF : o->ops->entries(o, buffer, len);
}
