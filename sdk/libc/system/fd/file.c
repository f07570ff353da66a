// Files. See <fd/file.h>.
//
// Reading, writing, seeking and O_APPEND are the stream's, that is the kernel's: they are shared
// with every process that has a duplicate, without a word between them. The server is asked for
// what a stream cannot do.

#include <fd/file.h>

#include <string.h>

#include <fd/server.h>
#include <io/client.h>
#include <libc/early.h>
#include <libc/error.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "ops_priv.h"

struct file {
    struct fd_object base;
    zx_handle_t connection; // immutable, as the others
    zx_handle_t stream;
    zx_handle_t memory; // of a file that no server has; ZX_HANDLE_INVALID: unknown
    uint64_t device;
};

static struct file* file_of(struct fd_object* o) {
    return (struct file*)o;
}

// ---- contents ----

// Of stream calls: a bad pointer is NOT_FOUND.
static long stream_error(zx_status_t status) {
    switch (status) {
    case ZX_ERR_NOT_FOUND:
        return -ABI_EFAULT;
    case ZX_ERR_OUT_OF_RANGE:
        return -ABI_EFBIG;
    case ZX_ERR_BAD_HANDLE: // opened for neither
        return -ABI_EBADF;
    default:
        return errno_from_status(status);
    }
}

typedef zx_status_t (*move_fn)(zx_handle_t, uint32_t, const zx_iovec_t*, size_t, size_t*);
typedef zx_status_t (*move_at_fn)(zx_handle_t, uint32_t, zx_off_t, const zx_iovec_t*, size_t,
                                  size_t*);

static long move(struct fd_object* o, const struct fd_io* io, uint64_t offset, move_fn here,
                 move_at_fn at) {
    zx_iovec_t piece = {};
    const zx_iovec_t* vectors = io->vectors;
    size_t count = io->count;
    if (io->skip != 0) {
        (void)fd_io_next(io, &piece.buffer, &piece.capacity);
        vectors = &piece;
        count = 1;
    }
    size_t actual = 0;
    zx_handle_t stream = file_of(o)->stream;
    zx_status_t status = offset == FD_OFFSET_CURRENT
                             ? here(stream, 0, vectors, count, &actual)
                             : at(stream, 0, offset, vectors, count, &actual);
    return status == ZX_OK ? (long)actual : stream_error(status);
}

static long file_read(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    return move(o, io, offset, zx_stream_readv, zx_stream_readv_at);
}

static long file_write(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    return move(o, io, offset, zx_stream_writev, zx_stream_writev_at);
}

static long file_seek(struct fd_object* o, int64_t offset, int whence) {
    if (whence < ABI_SEEK_SET || whence > ABI_SEEK_END) {
        return -ABI_EINVAL;
    }
    zx_off_t now = 0;
    zx_status_t status =
        zx_stream_seek(file_of(o)->stream, (zx_stream_seek_origin_t)whence, offset, &now);
    if (status == ZX_ERR_OUT_OF_RANGE) {
        return -ABI_EOVERFLOW;
    }
    return status == ZX_OK ? (long)now : stream_error(status);
}

static long file_set_append(struct fd_object* o, bool append) {
    uint8_t value = append;
    zx_status_t status = zx_object_set_property(file_of(o)->stream, ZX_PROP_STREAM_MODE_APPEND,
                                                &value, sizeof(value));
    return status == ZX_ERR_BAD_HANDLE ? 0 : errno_from_status(status); // nothing to append to
}

// ---- what the server does ----

static bool has_server(struct fd_object* o) {
    return file_of(o)->connection != ZX_HANDLE_INVALID;
}

static long file_stat(struct fd_object* o, struct abi_stat* out) {
    if (has_server(o)) {
        return fd_server_stat(file_of(o)->connection, file_of(o)->device, out);
    }
    zx_info_stream_t info;
    zx_info_handle_basic_t basic;
    zx_status_t status = zx_object_get_info(file_of(o)->stream, ZX_INFO_STREAM, &info, sizeof(info),
                                            nullptr, nullptr);
    if (status == ZX_OK) {
        bool has_memory = file_of(o)->memory != ZX_HANDLE_INVALID;
        status = zx_object_get_info(has_memory ? file_of(o)->memory : file_of(o)->stream,
                                    ZX_INFO_HANDLE_BASIC, &basic, sizeof(basic), nullptr, nullptr);
    }
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    *out = (struct abi_stat){.dev = 1,
                             .ino = basic.koid,
                             .mode = ABI_S_IFREG | 0600,
                             .size = (int64_t)info.content_size,
                             .blksize = 4096,
                             .blocks = (int64_t)((info.content_size + 511) / 512)};
    return 0;
}

static long file_change(struct fd_object* o, const struct fd_change* change) {
    return has_server(o) ? fd_server_change(file_of(o)->connection, change) : 0;
}

static long file_resize(struct fd_object* o, uint64_t len) {
    if (has_server(o)) {
        return fd_server_error(io_resize(file_of(o)->connection, len));
    }
    if (file_of(o)->memory == ZX_HANDLE_INVALID || !fd_object_writable(o)) {
        return -ABI_EINVAL;
    }
    zx_status_t status = zx_vmo_set_size(file_of(o)->memory, len);
    return status == ZX_ERR_OUT_OF_RANGE ? -ABI_EFBIG : errno_from_status(status);
}

static long file_sync(struct fd_object* o) {
    return has_server(o) ? fd_server_sync(file_of(o)->connection) : 0;
}

// How much can be read from here.
static long file_control(struct fd_object* o, uint64_t request, void* argument) {
    struct abi_stat s;
    if (request != ABI_FIONREAD) {
        return -ABI_ENOTTY;
    }
    long at = file_seek(o, 0, ABI_SEEK_CUR);
    long error = at < 0 ? at : file_stat(o, &s);
    if (error != 0) {
        return error;
    }
    int64_t rest = s.size > at ? s.size - at : 0;
    *(int*)argument = rest < INT32_MAX ? (int)rest : INT32_MAX;
    return 0;
}

static long file_get_vmo(struct fd_object* o, uint32_t access, zx_handle_t* out) {
    if (!fd_object_readable(o) || ((access & ABI_PROT_WRITE) != 0 && !fd_object_writable(o))) {
        return -ABI_EACCES;
    }
    if (file_of(o)->memory != ZX_HANDLE_INVALID) {
        return errno_from_status(
            zx_handle_duplicate(file_of(o)->memory, ZX_RIGHT_SAME_RIGHTS, out));
    }
    if (!has_server(o)) {
        return -ABI_ENODEV;
    }
    jacinth_io_flags_t flags = JACINTH_IO_FLAGS_READ;
    flags |= (access & ABI_PROT_WRITE) != 0 ? JACINTH_IO_FLAGS_WRITE : 0;
    flags |= (access & ABI_PROT_EXEC) != 0 ? JACINTH_IO_FLAGS_EXECUTE : 0;
    uint64_t size;
    return fd_server_error(io_get_vmo(file_of(o)->connection, flags, out, &size));
}

static long file_clone(struct fd_object* o, struct fd_handles* out) {
    struct file* f = file_of(o);
    *out = (struct fd_handles){};
    zx_status_t status = ZX_OK;
    if (f->connection != ZX_HANDLE_INVALID) {
        status = io_clone(f->connection, &out->handle[out->count]);
        out->count += status == ZX_OK;
    }
    if (status == ZX_OK && f->connection == ZX_HANDLE_INVALID && f->memory != ZX_HANDLE_INVALID) {
        status = zx_handle_duplicate(f->memory, ZX_RIGHT_SAME_RIGHTS, &out->handle[out->count]);
        out->count += status == ZX_OK;
    }
    if (status == ZX_OK && f->stream != ZX_HANDLE_INVALID) {
        status = zx_handle_duplicate(f->stream, ZX_RIGHT_SAME_RIGHTS, &out->handle[out->count]);
        out->count += status == ZX_OK;
    }
    if (status != ZX_OK) {
        fd_handles_close(out);
    }
    return fd_server_error(status);
}

static void file_close(struct fd_object* o) {
    (void)zx_handle_close(file_of(o)->memory);
    (void)zx_handle_close(file_of(o)->stream);
    (void)zx_handle_close(file_of(o)->connection);
    early_free(o);
}

static const struct fd_ops file_ops = {
    .read = file_read,
    .write = file_write,
    .seek = file_seek,
    .stat = file_stat,
    .statfs = fd_no_statfs,
    .change = file_change,
    .resize = file_resize,
    .sync = file_sync,
    .control = file_control,
    .entries = fd_no_entries,
    .get_vmo = file_get_vmo,
    .wait_on = fd_always_ready,
    .ready = fd_no_signals,
    .set_append = file_set_append,
    .clone = file_clone,
    .close = file_close,
};

long fd_file_new(zx_handle_t connection, zx_handle_t stream, uint32_t flags, uint64_t device,
                 struct fd_object** out) {
    struct file* f = early_alloc(sizeof(*f));
    if (f == nullptr) {
        (void)zx_handle_close(stream);
        (void)zx_handle_close(connection);
        return -ABI_ENOMEM;
    }
    fd_object_init(&f->base, &file_ops, flags);
    f->connection = connection;
    f->stream = stream;
    f->memory = ZX_HANDLE_INVALID;
    f->device = device;
    *out = &f->base;
    return 0;
}

long fd_file_with_memory(zx_handle_t stream, zx_handle_t vmo, uint32_t flags,
                         struct fd_object** out) {
    long error = fd_file_new(ZX_HANDLE_INVALID, stream, flags, 0, out);
    if (error != 0) {
        (void)zx_handle_close(vmo);
        return error;
    }
    file_of(*out)->memory = vmo;
    return 0;
}

long fd_file_of_memory(zx_handle_t vmo, struct fd_object** out) {
    zx_handle_t stream;
    zx_status_t status = zx_stream_create(ZX_STREAM_MODE_READ, vmo, 0, &stream);
    if (status != ZX_OK) {
        (void)zx_handle_close(vmo);
        return errno_from_status(status);
    }
    return fd_file_with_memory(stream, vmo, ABI_O_RDONLY, out);
}

// ---- files without a name ----

// Not sealed, and no large pages. The name is for those who look.
long sys_memfd_create(const char* name, unsigned flags) {
    constexpr unsigned known = ABI_MFD_CLOEXEC | ABI_MFD_ALLOW_SEALING;
    constexpr size_t longest = 249;
    size_t len = strnlen(name, longest + 1);
    if ((flags & ~known) != 0 || len > longest) {
        return -ABI_EINVAL;
    }
    zx_handle_t vmo;
    zx_handle_t stream = ZX_HANDLE_INVALID;
    zx_status_t status = zx_vmo_create(0, ZX_VMO_RESIZABLE, &vmo);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    (void)zx_object_set_property(vmo, ZX_PROP_NAME, name,
                                 len < ZX_MAX_NAME_LEN ? len : ZX_MAX_NAME_LEN - 1);
    status = zx_stream_create(ZX_STREAM_MODE_READ | ZX_STREAM_MODE_WRITE, vmo, 0, &stream);
    if (status != ZX_OK) {
        (void)zx_handle_close(vmo);
        return errno_from_status(status);
    }
    struct fd_object* o;
    long error = fd_file_with_memory(stream, vmo, ABI_O_RDWR, &o);
    int keep = (flags & ABI_MFD_CLOEXEC) != 0 ? ABI_FD_CLOEXEC : 0;
    return error != 0 ? error : fd_table_add(fd_table(), o, 0, keep);
}
