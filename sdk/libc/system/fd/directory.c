// Directories of servers. See <fd/directory.h>.
//
// A position in a directory is the number of the entry: "." is 0, ".." is 1, both made up here.
// Going on from where the last answer of the server ended costs nothing; any other position is
// found by counting from the beginning.

#include <fd/directory.h>

#include <stdlib.h>
#include <string.h>

#include <fd/server.h>
#include <io/client.h>
#include <libc/early.h>
#include <libc/lock.h>
#include <zircon/syscalls.h>

// Where a listing is.
struct listing {
    int64_t position;         // of the entry that comes next
    int64_t batch_position;   // of the first entry in the batch
    struct io_entries* batch; // the server's last answer; null: not asked yet
};

struct directory {
    struct fd_object base;
    zx_handle_t connection; // immutable, as device and path
    uint64_t device;
    char* path;            // null: unknown
    struct libc_lock lock; // held while the server is asked for entries: one thread lists at a time
    struct listing listing; // under the lock
};

constexpr int64_t DOTS = 2;

static struct directory* directory_of(struct fd_object* o) {
    return (struct directory*)o;
}

// ---- listing ----

size_t fd_put_entry(void* at, size_t room, uint64_t ino, int64_t next, uint8_t type,
                    const char* name, size_t len) {
    size_t size = (offsetof(struct abi_dirent, name) + len + 1 + 7) & ~(size_t)7;
    if (size > room) {
        return 0;
    }
    struct abi_dirent* entry = at;
    memset(at, 0, size);
    entry->ino = ino;
    entry->off = next;
    entry->reclen = (uint16_t)size;
    entry->type = type;
    memcpy(entry->name, name, len);
    return size;
}

// Asks from the beginning, or for what comes behind the batch.
static long next_batch(struct directory* d, bool from_start) {
    struct listing* l = &d->listing;
    if (l->batch == nullptr) {
        l->batch = malloc(sizeof(*l->batch));
        if (l->batch == nullptr) {
            return -ABI_ENOMEM;
        }
        from_start = true;
    }
    if (from_start) {
        l->batch_position = DOTS;
        l->batch->cookie = 0;
    } else {
        l->batch_position += l->batch->count;
    }
    l->batch->count = 0;
    return fd_server_error(io_read_entries(d->connection, l->batch));
}

// The entry at the position. 1: *out; 0: the end.
static long find_entry(struct directory* d, const struct jacinth_io_entry** out) {
    struct listing* l = &d->listing;
    bool from_start = l->batch == nullptr || l->position < l->batch_position;
    for (;;) {
        if (!from_start && l->position < l->batch_position + l->batch->count) {
            *out = &l->batch->entries[l->position - l->batch_position];
            return 1;
        }
        long error = next_batch(d, from_start);
        if (error != 0 || l->batch->count == 0) {
            free(l->batch); // the next look begins anew
            l->batch = nullptr;
            return error;
        }
        from_start = false;
    }
}

// What a server must not have in a directory is left out.
static bool is_a_name(const struct jacinth_io_entry* e) {
    const char* name = (const char*)e->name.data;
    size_t len = e->name.count;
    return len != 0 && memchr(name, '/', len) == nullptr && memchr(name, 0, len) == nullptr &&
           !(len <= 2 && name[0] == '.' && name[len - 1] == '.');
}

// Size of what was put at `at`; 0: the end; -ABI_EINVAL: no room.
static long put_next(struct directory* d, void* at, size_t room) {
    struct listing* l = &d->listing;
    size_t size;
    if (l->position < DOTS) {
        struct abi_stat self;
        long error = fd_server_stat(d->connection, d->device, &self);
        if (error != 0) {
            return error;
        }
        size = fd_put_entry(at, room, self.ino, l->position + 1, ABI_DT_DIR, "..",
                            (size_t)l->position + 1);
    } else {
        const struct jacinth_io_entry* e;
        long found = find_entry(d, &e);
        while (found == 1 && !is_a_name(e)) {
            l->position++;
            found = find_entry(d, &e);
        }
        if (found != 1) {
            return found;
        }
        size = fd_put_entry(at, room, e->id, l->position + 1, fd_entry_type(e->kind),
                            (const char*)e->name.data, e->name.count);
    }
    l->position += size != 0;
    return size != 0 ? (long)size : -ABI_EINVAL;
}

static long directory_entries(struct fd_object* o, void* buffer, size_t len) {
    struct directory* d = directory_of(o);
    size_t done = 0;
    libc_lock_acquire(&d->lock);
    long size;
    while ((size = put_next(d, (char*)buffer + done, len - done)) > 0) {
        done += (size_t)size;
    }
    libc_lock_release(&d->lock);
    return done != 0 ? (long)done : size;
}

static long directory_seek(struct fd_object* o, int64_t offset, int whence) {
    struct directory* d = directory_of(o);
    long result = -ABI_EINVAL;
    libc_lock_acquire(&d->lock);
    struct listing* l = &d->listing;
    if (whence == ABI_SEEK_CUR && offset == 0) {
        result = l->position;
    } else if (whence == ABI_SEEK_SET && offset >= 0) {
        if (offset == 0) { // rewinding must show what is new
            free(l->batch);
            l->batch = nullptr;
        }
        l->position = offset;
        result = offset;
    }
    libc_lock_release(&d->lock);
    return result;
}

// ---- the rest ----

static long directory_read(struct fd_object*, const struct fd_io*, uint64_t) {
    return -ABI_EISDIR;
}

static long directory_stat(struct fd_object* o, struct abi_stat* out) {
    return fd_server_stat(directory_of(o)->connection, directory_of(o)->device, out);
}

static long directory_statfs(struct fd_object* o, struct abi_statfs* out) {
    struct io_usage u;
    zx_status_t status = io_query_usage(directory_of(o)->connection, &u);
    if (status != ZX_OK) {
        return fd_server_error(status);
    }
    constexpr uint64_t read_only = 1; // ST_RDONLY
    uint64_t block = u.block_size != 0 ? u.block_size : 4096;
    // What is used may be more than there should be: servers learn late of what streams write.
    uint64_t free_blocks =
        u.total_bytes > u.used_bytes ? (u.total_bytes - u.used_bytes) / block : 0;
    *out = (struct abi_statfs){.bsize = block,
                               .frsize = block,
                               .blocks = u.total_bytes / block,
                               .bfree = free_blocks,
                               .bavail = u.read_only ? 0 : free_blocks,
                               .files = u.total_nodes,
                               .ffree =
                                   u.total_nodes > u.used_nodes ? u.total_nodes - u.used_nodes : 0,
                               .fsid = {(int32_t)directory_of(o)->device},
                               .namelen = u.max_name,
                               .flags = u.read_only ? read_only : 0};
    return 0;
}

static long directory_change(struct fd_object* o, const struct fd_change* change) {
    return fd_server_change(directory_of(o)->connection, change);
}

static long directory_sync(struct fd_object* o) {
    return fd_server_sync(directory_of(o)->connection);
}

static long directory_clone(struct fd_object* o, struct fd_handles* out) {
    *out = (struct fd_handles){.count = 1};
    return fd_server_error(io_clone(directory_of(o)->connection, &out->handle[0]));
}

static void directory_close(struct fd_object* o) {
    struct directory* d = directory_of(o);
    (void)zx_handle_close(d->connection);
    free(d->listing.batch);
    early_free(d->path);
    early_free(d);
}

static const struct fd_ops directory_ops = {
    .read = directory_read,
    .write = fd_no_write, // never asked: not writable
    .seek = directory_seek,
    .stat = directory_stat,
    .statfs = directory_statfs,
    .change = directory_change,
    .resize = fd_no_resize,
    .sync = directory_sync,
    .control = fd_no_control,
    .entries = directory_entries,
    .get_vmo = fd_no_vmo,
    .wait_on = fd_always_ready,
    .ready = fd_no_signals,
    .set_append = fd_append_is_a_flag,
    .clone = directory_clone,
    .close = directory_close,
};

long fd_directory_new(zx_handle_t connection, uint64_t device, const char* path, uint32_t flags,
                      struct fd_object** out) {
    struct directory* d = early_alloc(sizeof(*d));
    char* copy = path != nullptr ? early_alloc(strlen(path) + 1) : nullptr;
    if (d == nullptr || (path != nullptr && copy == nullptr)) {
        (void)zx_handle_close(connection);
        early_free(d);
        early_free(copy);
        return -ABI_ENOMEM;
    }
    if (copy != nullptr) {
        memcpy(copy, path, strlen(path) + 1);
    }
    fd_object_init(&d->base, &directory_ops, flags);
    d->connection = connection;
    d->device = device;
    d->path = copy;
    *out = &d->base;
    return 0;
}

bool fd_directory_get(struct fd_object* o, zx_handle_t* connection, uint64_t* device,
                      const char** path) {
    if (o->ops != &directory_ops) {
        return false;
    }
    *connection = directory_of(o)->connection;
    *device = directory_of(o)->device;
    *path = directory_of(o)->path;
    return true;
}
