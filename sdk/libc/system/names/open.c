// open and what begins with it.

#include <string.h>

#include <fd/directory.h>
#include <fd/file.h>
#include <fd/server.h>
#include <fd/table.h>
#include <fd/terminal.h>
#include <zircon/syscalls.h>

#include "names_priv.h"

struct open_request {
    struct names_request base;
    int flags; // ABI_O_*
    uint32_t mode;
    jacinth_io_flags_t wanted;
    struct io_opened opened;
    struct fd_object** out;
};

static bool has(int flags, int64_t flag) {
    return (flags & flag) == flag;
}

static bool may_write(int flags) {
    int mode = flags & (int)ABI_O_ACCMODE;
    return mode == ABI_O_WRONLY || mode == ABI_O_RDWR;
}

static bool may_read(int flags) {
    int mode = flags & (int)ABI_O_ACCMODE;
    return mode == ABI_O_RDONLY || mode == ABI_O_RDWR;
}

// Appending and truncating mean nothing without writing.
static jacinth_io_flags_t io_flags_of(int flags) {
    jacinth_io_flags_t f = may_read(flags) ? JACINTH_IO_FLAGS_READ : 0;
    f |= has(flags, ABI_O_EXECUTABLE) ? JACINTH_IO_FLAGS_EXECUTE : 0;
    if (may_write(flags)) {
        f |= JACINTH_IO_FLAGS_WRITE;
        f |= has(flags, ABI_O_APPEND) ? JACINTH_IO_FLAGS_APPEND : 0;
        f |= has(flags, ABI_O_TRUNC) ? JACINTH_IO_FLAGS_TRUNCATE : 0;
    }
    if (has(flags, ABI_O_CREAT) && !has(flags, ABI_O_PATH)) {
        f |= JACINTH_IO_FLAGS_CREATE;
        f |= has(flags, ABI_O_EXCL) ? JACINTH_IO_FLAGS_EXCLUSIVE : 0;
    }
    f |= has(flags, ABI_O_DIRECTORY) ? JACINTH_IO_FLAGS_DIRECTORY : 0;
    return f | (has(flags, ABI_O_NOFOLLOW) ? JACINTH_IO_FLAGS_NO_FOLLOW : 0);
}

// What an object remembers of them.
static uint32_t kept_flags(int flags) {
    constexpr uint32_t kept = ABI_O_ACCMODE | ABI_O_APPEND | ABI_O_NONBLOCK | ABI_O_DIRECTORY;
    return (uint32_t)flags & kept;
}

// ---- by a server ----

// With NO_FOLLOW, a link that leads out may be the last one, which is not to be followed, or one
// before it, which is.
static zx_status_t tell_links_apart(struct open_request* r, zx_handle_t directory, const char* path,
                                    size_t len) {
    struct jacinth_io_attributes a;
    bool leads_out = false;
    zx_status_t status =
        io_stat(directory, path, len, JACINTH_IO_FLAGS_NO_FOLLOW, &a, &leads_out, r->base.rest);
    if (status != ZX_OK) {
        return status;
    }
    r->base.has_rest = leads_out;
    return leads_out ? ZX_OK : ZX_ERR_IO_OVERRUN; // ELOOP, as open() has it
}

static zx_status_t ask_open(struct names_request* base, zx_handle_t directory, const char* path,
                            size_t len) {
    struct open_request* r = (struct open_request*)base;
    zx_status_t status = io_open(directory, path, len, r->wanted, r->mode, &r->opened, base->rest);
    if (status != ZX_OK) {
        return status;
    }
    base->has_rest = r->opened.has_rest;
    if (base->has_rest) {
        io_opened_close(&r->opened);
    }
    return base->has_rest && has(r->flags, ABI_O_NOFOLLOW)
               ? tell_links_apart(r, directory, path, len)
               : ZX_OK;
}

static long open_directory(struct open_request* r, const struct names_target* t) {
    char text[ABI_PATH_MAX];
    names_target_text(t, text);
    return fd_directory_new(r->opened.connection, t->device, text[0] != 0 ? text : nullptr,
                            kept_flags(r->flags) | ABI_O_DIRECTORY, r->out);
}

// From the server's answer to an object.
static long take_opened(struct names_request* base, const struct names_target* t) {
    struct open_request* r = (struct open_request*)base;
    struct io_opened* o = &r->opened;
    switch (o->kind) {
    case JACINTH_IO_KIND_FILE:
        (void)zx_handle_close(o->events);
        if (o->stream == ZX_HANDLE_INVALID && may_read(r->flags) && !has(r->flags, ABI_O_PATH)) {
            return fd_served_file_new(o->connection, ZX_HANDLE_INVALID, kept_flags(r->flags),
                                      t->device, r->out);
        }
        return fd_file_new(o->connection, o->stream, kept_flags(r->flags), t->device, r->out);
    case JACINTH_IO_KIND_DIRECTORY:
        (void)zx_handle_close(o->stream);
        (void)zx_handle_close(o->events);
        return open_directory(r, t);
    case JACINTH_IO_KIND_TERMINAL:
        (void)zx_handle_close(o->stream);
        return fd_terminal_new(o->connection, o->events, kept_flags(r->flags), t->device, r->out);
    case JACINTH_IO_KIND_DEVICE:
        io_opened_close(o);
        return o->device == JACINTH_IO_DEVICE_NONE
                   ? -ABI_ENXIO
                   : fd_device_new((enum fd_device)(o->device - JACINTH_IO_DEVICE_NULL_DEVICE),
                                   kept_flags(r->flags), r->out);
    default:
        io_opened_close(o);
        return -ABI_ENXIO; // a service: it is not read and written
    }
}

// ---- by the library ----

// The same open description. (Where names of descriptors are files, opening one may give another
// description of the same file; programs that use these names expect either.)
static long open_descriptor(const struct names_target* t, int flags, struct fd_object** out) {
    struct fd_object* o;
    if (fd_table_get_ref(fd_table(), t->number, &o) != 0) {
        return -ABI_ENOENT;
    }
    bool may =
        (!may_read(flags) || fd_object_readable(o)) && (!may_write(flags) || fd_object_writable(o));
    if (!may) {
        fd_object_unref(o);
        return -ABI_EACCES;
    }
    *out = o;
    return 0;
}

// An open description of its own: O_NONBLOCK of one is not the other's.
static long open_terminal(const struct names_target* t, int flags, struct fd_object** out) {
    struct fd_object* terminal;
    if (fd_table_get_ref(fd_table(), t->number, &terminal) != 0) {
        return -ABI_ENXIO;
    }
    struct fd_handles handles;
    long error = terminal->ops->clone(terminal, &handles);
    fd_object_unref(terminal);
    if (error == 0) {
        error = fd_object_from_handles(&handles, out);
    }
    if (error == 0) {
        atomic_store_explicit(&(*out)->flags, kept_flags(flags), memory_order_relaxed);
    }
    return error;
}

static long open_special(const struct names_target* t, int flags, struct fd_object** out) {
    if (has(flags, ABI_O_CREAT) && has(flags, ABI_O_EXCL)) {
        return -ABI_EEXIST;
    }
    if (has(flags, ABI_O_DIRECTORY) || t->is_directory) {
        return -ABI_ENOTDIR;
    }
    switch (t->special) {
    case NAMES_DEVICE:
        return fd_device_new((enum fd_device)t->number, kept_flags(flags), out);
    case NAMES_DESCRIPTOR:
        return open_descriptor(t, flags, out);
    case NAMES_TERMINAL:
        return open_terminal(t, flags, out);
    default: // the program, as the link that it is
        return -ABI_ELOOP;
    }
}

static long open_here(struct names_request* base, const struct names_target* t) {
    struct open_request* r = (struct open_request*)base;
    switch (t->kind) {
    case NAMES_SPECIAL:
        return open_special(t, r->flags, r->out);
    case NAMES_MADE_UP:
        if (has(r->flags, ABI_O_CREAT) && has(r->flags, ABI_O_EXCL)) {
            return -ABI_EEXIST;
        }
        return may_write(r->flags) || has(r->flags, ABI_O_CREAT)
                   ? -ABI_EISDIR
                   : names_made_up_new(t->path, kept_flags(r->flags) | ABI_O_DIRECTORY, r->out);
    default:
        return has(r->flags, ABI_O_CREAT) ? -ABI_EROFS : -ABI_ENOENT;
    }
}

// ---- operations ----

static long check_flags(const char* path, int flags) {
    if (has(flags, ABI_O_TMPFILE)) {
        return -ABI_EOPNOTSUPP;
    }
    if ((flags & 3) == 3 || (has(flags, ABI_O_CREAT) && has(flags, ABI_O_DIRECTORY))) {
        return -ABI_EINVAL;
    }
    bool directory = path[0] != 0 && path_asks_for_directory(path);
    return directory && has(flags, ABI_O_CREAT) ? -ABI_EISDIR : 0;
}

long names_open(int dir, const char* path, int flags, uint32_t mode, struct fd_object** out) {
    if (has(flags, ABI_O_PATH)) {
        flags &= (int)(ABI_O_PATH | ABI_O_DIRECTORY | ABI_O_NOFOLLOW | ABI_O_CLOEXEC);
    }
    long error = check_flags(path, flags);
    if (error != 0) {
        return error;
    }
    bool makes_new = has(flags, ABI_O_CREAT) && has(flags, ABI_O_EXCL);
    struct open_request r = {.base = {.ask = ask_open,
                                      .here = open_here,
                                      .done = take_opened,
                                      .follows = !has(flags, ABI_O_NOFOLLOW) && !makes_new,
                                      .sees_program = has(flags, ABI_O_NOFOLLOW)},
                             .flags = flags,
                             .mode = mode,
                             .wanted = io_flags_of(flags),
                             .out = out};
    return names_request(dir, path, &r.base);
}

static uint32_t mode_after_umask(unsigned mode) {
    return mode & 07777 & ~atomic_load_explicit(&process_view()->umask, memory_order_relaxed);
}

long sys_openat(int dir, const char* path, int flags, unsigned mode) {
    struct fd_object* o;
    long error = names_open(dir, path, flags, mode_after_umask(mode), &o);
    if (error != 0) {
        return error;
    }
    return fd_table_add(fd_table(), o, 0, has(flags, ABI_O_CLOEXEC) ? ABI_FD_CLOEXEC : 0);
}

long sys_open(const char* path, int flags, unsigned mode) {
    return sys_openat(ABI_AT_FDCWD, path, flags, mode);
}

long sys_truncate(const char* path, int64_t len) {
    NAMES_REF o = nullptr;
    if (len < 0) {
        return -ABI_EINVAL;
    }
    long error = names_open(ABI_AT_FDCWD, path, ABI_O_WRONLY, 0, &o);
    return error != 0 ? error : o->ops->resize(o, (uint64_t)len);
}

long sys_umask(unsigned mask) {
    return atomic_exchange_explicit(&process_view()->umask, mask & 0777, memory_order_relaxed);
}

static long make_file(int dir, const char* path, unsigned mode) {
    NAMES_REF o = nullptr;
    return names_open(dir, path, ABI_O_CREAT | ABI_O_EXCL | ABI_O_WRONLY, mode_after_umask(mode),
                      &o);
}

// Files are the only nodes that a program can make.
long sys_mknodat(int dir, const char* path, unsigned mode, uint64_t) {
    unsigned type = mode & ABI_S_IFMT;
    return type == 0 || type == ABI_S_IFREG ? make_file(dir, path, mode) : -ABI_EPERM;
}

long sys_mknod(const char* path, unsigned mode, uint64_t device) {
    return sys_mknodat(ABI_AT_FDCWD, path, mode, device);
}

// ---- programs ----

struct program_request {
    struct names_request base;
    struct io_opened opened;
};

static zx_status_t ask_program(struct names_request* base, zx_handle_t directory, const char* path,
                               size_t len) {
    struct program_request* r = (struct program_request*)base;
    // Without READ: a stream of its own is nothing that a program needs.
    zx_status_t status =
        io_open(directory, path, len, JACINTH_IO_FLAGS_EXECUTE, 0, &r->opened, base->rest);
    base->has_rest = status == ZX_OK && r->opened.has_rest;
    if (base->has_rest) {
        io_opened_close(&r->opened);
    }
    return status;
}

static long program_here(struct names_request*, const struct names_target* t) {
    return t->kind == NAMES_MISSING ? -ABI_ENOENT : -ABI_EACCES;
}

long names_open_program(int dir, const char* path, zx_handle_t* connection) {
    struct program_request r = {
        .base = {.ask = ask_program, .here = program_here, .follows = true}};
    long error = names_request(dir, path, &r.base);
    if (error != 0) {
        return error;
    }
    error = -ABI_EACCES;
    if (r.opened.kind == JACINTH_IO_KIND_FILE) {
        *connection = r.opened.connection;
        r.opened.connection = ZX_HANDLE_INVALID;
        error = 0;
    }
    io_opened_close(&r.opened);
    return error;
}

long names_get_program(int dir, const char* path, zx_handle_t* vmo, uint64_t* size) {
    zx_handle_t connection;
    long error = names_open_program(dir, path, &connection);
    if (error == 0) {
        error = fd_server_error(
            io_get_vmo(connection, JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_EXECUTE, vmo, size));
        (void)zx_handle_close(connection);
    }
    return error;
}
