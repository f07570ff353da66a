// Looking at names: stat, access, readlink, statfs.

#include <string.h>

#include <fd/device.h>
#include <fd/server.h>
#include <fd/table.h>

#include "names_priv.h"

// ---- stat ----

struct stat_request {
    struct names_request base;
    jacinth_io_flags_t flags;
    struct jacinth_io_attributes attributes;
    struct abi_stat* out;
};

static zx_status_t ask_stat(struct names_request* base, zx_handle_t directory, const char* path,
                            size_t len) {
    struct stat_request* r = (struct stat_request*)base;
    return io_stat(directory, path, len, r->flags, &r->attributes, &base->has_rest, base->rest);
}

static long take_attributes(struct names_request* base, const struct names_target* t) {
    struct stat_request* r = (struct stat_request*)base;
    fd_stat_from_attributes(&r->attributes, t->device, r->out);
    return 0;
}

static long stat_descriptor(int fd, struct abi_stat* out) {
    return sys_fstat(fd, out) == 0 ? 0 : -ABI_ENOENT;
}

static long stat_special(const struct names_target* t, struct abi_stat* out) {
    if (t->is_directory) {
        return -ABI_ENOTDIR;
    }
    switch (t->special) {
    case NAMES_DEVICE:
        fd_device_stat((enum fd_device)t->number, out);
        return 0;
    case NAMES_PROGRAM: // the link itself
        *out = (struct abi_stat){.dev = 1, .ino = 98, .nlink = 1, .mode = ABI_S_IFLNK | 0777};
        return 0;
    default:
        return stat_descriptor(t->number, out);
    }
}

static long stat_here(struct names_request* base, const struct names_target* t) {
    struct stat_request* r = (struct stat_request*)base;
    switch (t->kind) {
    case NAMES_SPECIAL:
        return stat_special(t, r->out);
    case NAMES_MADE_UP:
        names_made_up_stat(t->path, r->out);
        return 0;
    default:
        return -ABI_ENOENT;
    }
}

long names_stat(int dir, const char* path, bool follow, struct abi_stat* out) {
    struct stat_request r = {.base = {.ask = ask_stat,
                                      .here = stat_here,
                                      .done = take_attributes,
                                      .follows = follow,
                                      .sees_program = !follow},
                             .flags = follow ? 0 : JACINTH_IO_FLAGS_NO_FOLLOW,
                             .out = out};
    return names_request(dir, path, &r.base);
}

// AT_EMPTY_PATH: the descriptor itself, or the working directory.
static long stat_itself(int dir, struct abi_stat* out) {
    if (dir != ABI_AT_FDCWD) {
        return sys_fstat(dir, out);
    }
    NAMES_REF o = names_place_ref();
    return o->ops->stat(o, out);
}

long sys_newfstatat(int dir, const char* path, struct abi_stat* out, int flags) {
    constexpr int known = ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH | 0x800; // NO_AUTOMOUNT
    if ((flags & ~known) != 0) {
        return -ABI_EINVAL;
    }
    if ((flags & ABI_AT_EMPTY_PATH) != 0 && path[0] == 0) {
        return stat_itself(dir, out);
    }
    return names_stat(dir, path, (flags & ABI_AT_SYMLINK_NOFOLLOW) == 0, out);
}

long sys_stat(const char* path, struct abi_stat* out) {
    return names_stat(ABI_AT_FDCWD, path, true, out);
}

long sys_lstat(const char* path, struct abi_stat* out) {
    return names_stat(ABI_AT_FDCWD, path, false, out);
}

// ---- access ----

// There are no users: what the owner may do, everybody may.
static long check_access(const struct abi_stat* s, int mode) {
    uint32_t owner = s->mode >> 6 & 7;
    return ((uint32_t)mode & ~owner) != 0 ? -ABI_EACCES : 0;
}
static_assert(ABI_R_OK == 4 && ABI_W_OK == 2 && ABI_X_OK == 1);

long sys_faccessat2(int dir, const char* path, int mode, int flags) {
    constexpr int known = ABI_AT_EACCESS | ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH;
    if ((mode & ~7) != 0 || (flags & ~known) != 0) {
        return -ABI_EINVAL;
    }
    struct abi_stat s;
    long error = sys_newfstatat(dir, path, &s, flags & ~(int)ABI_AT_EACCESS);
    return error != 0 ? error : check_access(&s, mode);
}

long sys_faccessat(int dir, const char* path, int mode) {
    return sys_faccessat2(dir, path, mode, 0);
}

long sys_access(const char* path, int mode) {
    return sys_faccessat2(ABI_AT_FDCWD, path, mode, 0);
}

// ---- readlink ----

struct readlink_request {
    struct names_request base;
    struct io_path target;
    char* buffer;
    size_t size;
};

static zx_status_t ask_readlink(struct names_request* base, zx_handle_t directory, const char* path,
                                size_t len) {
    return io_readlink(directory, path, len, &((struct readlink_request*)base)->target);
}

// As much as fits, without a terminator.
static long give_text(struct readlink_request* r, const char* text, size_t len) {
    len = len < r->size ? len : r->size;
    memcpy(r->buffer, text, len);
    return (long)len;
}

static long take_target(struct names_request* base, const struct names_target*) {
    struct readlink_request* r = (struct readlink_request*)base;
    return give_text(r, r->target.text, r->target.len);
}

static const char* device_path(const struct abi_stat* s) {
    static const char* const devices[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/full"};
    for (uint32_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        struct abi_stat device;
        fd_device_stat((enum fd_device)i, &device);
        if (device.rdev == s->rdev) {
            return devices[i];
        }
    }
    return "/dev/console";
}

static long readlink_descriptor(struct readlink_request* r, int fd) {
    struct fd_object* found;
    struct abi_stat s;
    if (fd_table_get_ref(fd_table(), fd, &found) != 0) {
        return -ABI_ENOENT;
    }
    NAMES_REF o = found;
    const char* path = names_path_of(o);
    if (path == nullptr && o->ops->stat(o, &s) == 0 && (s.mode & ABI_S_IFMT) == ABI_S_IFCHR) {
        path = device_path(&s);
    }
    return path != nullptr ? give_text(r, path, strlen(path)) : -ABI_ENOENT;
}

static long readlink_here(struct names_request* base, const struct names_target* t) {
    struct readlink_request* r = (struct readlink_request*)base;
    if (t->kind == NAMES_MISSING) {
        return -ABI_ENOENT;
    }
    if (t->special == NAMES_DESCRIPTOR) {
        return readlink_descriptor(r, t->number);
    }
    if (t->special == NAMES_PROGRAM) {
        const char* program = names_program_path();
        return program != nullptr ? give_text(r, program, strlen(program)) : -ABI_ENOENT;
    }
    return -ABI_EINVAL; // no link
}

long sys_readlinkat(int dir, const char* path, char* buffer, size_t size) {
    if ((int64_t)size <= 0) {
        return -ABI_EINVAL;
    }
    struct readlink_request r = {.base = {.ask = ask_readlink,
                                          .here = readlink_here,
                                          .done = take_target,
                                          .sees_program = true},
                                 .buffer = buffer,
                                 .size = size};
    return names_request(dir, path, &r.base);
}

long sys_readlink(const char* path, char* buffer, size_t size) {
    return sys_readlinkat(ABI_AT_FDCWD, path, buffer, size);
}

// ---- file systems ----

long sys_statfs(const char* path, struct abi_statfs* out) {
    struct abi_stat s;
    NAMES_REF o = nullptr;
    long error = names_open(ABI_AT_FDCWD, path, ABI_O_RDONLY | ABI_O_DIRECTORY, 0, &o);
    if (error == 0) {
        return o->ops->statfs(o, out);
    }
    if (error != -ABI_ENOTDIR) {
        return error;
    }
    // Of a file: its server tells by the directory at the prefix.
    error = names_stat(ABI_AT_FDCWD, path, true, &s);
    if (error != 0) {
        return error;
    }
    if (s.dev < names_device(0)) {
        return fd_no_statfs(nullptr, out);
    }
    o = names_root_ref(s.dev - names_device(0));
    return o->ops->statfs(o, out);
}

long sys_syncfs(int fd) {
    return sys_fsync(fd);
}

long sys_sync(void) {
    for (size_t i = 0; i < names_prefixes()->count; i++) {
        NAMES_REF o = names_root_ref(i);
        (void)o->ops->sync(o);
    }
    return 0;
}
