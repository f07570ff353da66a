// What all kinds of descriptors share: the count, walking through buffers, and the answers of kinds
// that cannot do something.

#include <fd/object.h>

#include <string.h>

#include <fd/watch.h>

// ---- the count ----

void fd_object_init(struct fd_object* o, const struct fd_ops* ops, uint32_t flags) {
    o->ops = ops;
    atomic_init(&o->refs, 1);
    atomic_init(&o->flags, flags);
    atomic_init(&o->is_watched, false);
}

void fd_object_ref(struct fd_object* o) {
    (void)atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
}

void fd_object_unref(struct fd_object* o) {
    if (o != nullptr && atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1) {
        if (o->is_watched && watch_object_closed != nullptr) {
            watch_object_closed(o);
        }
        o->ops->close(o);
    }
}

uint32_t fd_object_flags(const struct fd_object* o) {
    return atomic_load_explicit(&o->flags, memory_order_relaxed);
}

// O_PATH is one bit of ABI_O_ACCMODE: neither.
bool fd_object_readable(const struct fd_object* o) {
    uint32_t mode = fd_object_flags(o) & (uint32_t)ABI_O_ACCMODE;
    return mode == ABI_O_RDONLY || mode == ABI_O_RDWR;
}

bool fd_object_writable(const struct fd_object* o) {
    uint32_t mode = fd_object_flags(o) & (uint32_t)ABI_O_ACCMODE;
    return mode == ABI_O_WRONLY || mode == ABI_O_RDWR;
}

// ---- buffers ----

bool fd_io_next(const struct fd_io* io, void** at, size_t* len) {
    size_t skip = io->skip;
    for (size_t i = 0; i < io->count; i++) {
        const zx_iovec_t* v = &io->vectors[i];
        if (skip < v->capacity) {
            *at = (char*)v->buffer + skip;
            *len = v->capacity - skip;
            return true;
        }
        skip -= v->capacity;
    }
    return false;
}

size_t fd_io_gather(const struct fd_io* io, void* to, size_t max) {
    struct fd_io rest = *io;
    size_t done = 0;
    void* at;
    size_t len;
    while (done < max && fd_io_next(&rest, &at, &len)) {
        len = len < max - done ? len : max - done;
        memcpy((char*)to + done, at, len);
        done += len;
        rest.skip += len;
    }
    return done;
}

// ---- kinds that cannot ----

long fd_no_read(struct fd_object*, const struct fd_io*, uint64_t) {
    return -ABI_EINVAL;
}

long fd_no_write(struct fd_object*, const struct fd_io*, uint64_t) {
    return -ABI_EINVAL;
}

long fd_no_seek(struct fd_object*, int64_t, int) {
    return -ABI_ESPIPE;
}

long fd_no_file_stat(struct fd_object*, struct abi_stat* out) {
    *out = (struct abi_stat){.dev = 1, .ino = 1, .nlink = 1, .mode = 0600, .blksize = 4096};
    return 0;
}

long fd_no_statfs(struct fd_object*, struct abi_statfs* out) {
    *out = (struct abi_statfs){.bsize = 4096, .frsize = 4096, .namelen = ABI_NAME_MAX};
    return 0;
}

long fd_no_change(struct fd_object*, const struct fd_change*) {
    return 0;
}

long fd_no_resize(struct fd_object*, uint64_t) {
    return -ABI_EINVAL;
}

long fd_no_sync(struct fd_object*) {
    return -ABI_EINVAL;
}

long fd_no_control(struct fd_object*, uint64_t, void*) {
    return -ABI_ENOTTY;
}

long fd_no_entries(struct fd_object*, void*, size_t) {
    return -ABI_ENOTDIR;
}

long fd_no_vmo(struct fd_object*, uint32_t, zx_handle_t*) {
    return -ABI_ENODEV;
}

void fd_always_ready(struct fd_object*, uint32_t events, struct fd_wait* out) {
    constexpr uint32_t both = ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLOUT | ABI_POLLWRNORM;
    *out = (struct fd_wait){.ready = events & both};
}

uint32_t fd_no_signals(struct fd_object*, zx_signals_t) {
    return 0;
}

long fd_append_is_a_flag(struct fd_object*, bool) {
    return 0;
}
