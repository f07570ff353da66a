// What a descriptor stands for: an open description, shared by all that dup() made of it.
//
// An object has a count of references and its operations. Whoever looks it up in a table
// (fd/table.h) gets a reference, so that a close by another thread ends nothing that is going on.
//
// Operations return a result or an errno negated (<libc/abi.h>). They do not wait for others to
// read or write: what cannot be done now is -ABI_EAGAIN, and fd_read() and fd_write() wait with
// `wait_on`. (They may wait for the answer of the server that they ask.) They are called without
// any lock of the table held, by several threads at once: an object that has state beyond its
// handles has a lock of its own.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <libc/abi.h>
#include <zircon/types.h>

struct fd_object;

// Where to read or write; offsets are never negative, so this is none.
constexpr uint64_t FD_OFFSET_CURRENT = UINT64_MAX;

// Buffers in order, of which `skip` bytes are done; `len` is the sum of all.
struct fd_io {
    const zx_iovec_t* vectors;
    size_t count;
    size_t len;
    size_t skip;
};

// What to wait for until one of `events` (ABI_POLL*) may be there.
struct fd_wait {
    uint32_t ready;     // these are there now: look no further
    zx_handle_t handle; // ZX_HANDLE_INVALID: no other ever comes
    zx_signals_t signals;
};

// Handles that travel to a child as PA_HND(PA_FD, n): at most so many for one object.
constexpr uint32_t FD_HANDLES_MAX = 2;

struct fd_handles {
    zx_handle_t handle[FD_HANDLES_MAX];
    uint32_t count;
};
void fd_handles_close(struct fd_handles* h);

// Attributes to change; times are nanoseconds of UTC.
struct fd_change {
    bool has_mode, has_access, has_modification;
    uint32_t mode;
    int64_t access_ns, modification_ns;
};

// All mandatory; fd_no_*() below answer for kinds that cannot.
struct fd_ops {
    long (*read)(struct fd_object* o, const struct fd_io* io, uint64_t offset);
    long (*write)(struct fd_object* o, const struct fd_io* io, uint64_t offset);
    long (*seek)(struct fd_object* o, int64_t offset, int whence);
    long (*stat)(struct fd_object* o, struct abi_stat* out);
    long (*statfs)(struct fd_object* o, struct abi_statfs* out);
    long (*change)(struct fd_object* o, const struct fd_change* change);
    long (*resize)(struct fd_object* o, uint64_t len);
    long (*sync)(struct fd_object* o);
    // What ioctl() asks; -ABI_ENOTTY for what it does not know.
    long (*control)(struct fd_object* o, uint64_t request, void* argument);
    // Directory entries (struct abi_dirent), as many as fit; 0: the end.
    long (*entries)(struct fd_object* o, void* buffer, size_t len);
    // `access`: ABI_PROT_* that the mapping may want.
    long (*get_vmo)(struct fd_object* o, uint32_t access, zx_handle_t* out);
    void (*wait_on)(struct fd_object* o, uint32_t events, struct fd_wait* out);
    uint32_t (*ready)(struct fd_object* o, zx_signals_t seen); // as ABI_POLL*
    // Changes what the kernel or a server keeps of ABI_O_APPEND; the others are in `flags`.
    long (*set_append)(struct fd_object* o, bool append);
    // Handles from which fd_object_from_handles() makes an equal object in another process.
    long (*clone)(struct fd_object* o, struct fd_handles* out);
    // The last reference went: closes handles and frees the memory.
    void (*close)(struct fd_object* o);
};

struct fd_object {
    const struct fd_ops* ops; // immutable
    _Atomic(uint32_t) refs;
    _Atomic(uint32_t) flags;  // ABI_O_*: the access mode (immutable), APPEND, NONBLOCK, PATH
    _Atomic(bool) is_watched; // what it does is told (fd/watch.h); never cleared
};

void fd_object_init(struct fd_object* o, const struct fd_ops* ops, uint32_t flags);
void fd_object_ref(struct fd_object* o);
void fd_object_unref(struct fd_object* o); // null is nothing to do

uint32_t fd_object_flags(const struct fd_object* o);
bool fd_object_readable(const struct fd_object* o);
bool fd_object_writable(const struct fd_object* o);

// Consumes the handles, whatever the outcome. The kind follows from their types.
long fd_object_from_handles(struct fd_handles* handles, struct fd_object** out);

// ---- buffers ----

// The first piece that is not done; false: all is done.
bool fd_io_next(const struct fd_io* io, void** at, size_t* len);
// Copies up to `max` bytes of what is not done out of the buffers; returns how many.
size_t fd_io_gather(const struct fd_io* io, void* to, size_t max);

// ---- for kinds that cannot ----

long fd_no_read(struct fd_object* o, const struct fd_io* io, uint64_t offset);  // EINVAL
long fd_no_write(struct fd_object* o, const struct fd_io* io, uint64_t offset); // EINVAL
long fd_no_seek(struct fd_object* o, int64_t offset, int whence);               // ESPIPE
long fd_no_file_stat(struct fd_object* o, struct abi_stat* out); // of what has no place and no type
long fd_no_statfs(struct fd_object* o, struct abi_statfs* out);  // an anonymous file system
long fd_no_change(struct fd_object* o, const struct fd_change* change);    // nothing kept, no error
long fd_no_resize(struct fd_object* o, uint64_t len);                      // EINVAL
long fd_no_sync(struct fd_object* o);                                      // EINVAL
long fd_no_control(struct fd_object* o, uint64_t request, void* argument); // ENOTTY
long fd_no_entries(struct fd_object* o, void* buffer, size_t len);         // ENOTDIR
long fd_no_vmo(struct fd_object* o, uint32_t access, zx_handle_t* out);    // ENODEV
void fd_always_ready(struct fd_object* o, uint32_t events, struct fd_wait* out);
uint32_t fd_no_signals(struct fd_object* o, zx_signals_t seen);
long fd_append_is_a_flag(struct fd_object* o, bool append); // nobody else keeps it
// The slots of what is no file and no directory: nothing of a file system's there.
#define FD_OPS_NO_FILE                                                                          \
    .statfs = fd_no_statfs, .change = fd_no_change, .resize = fd_no_resize, .sync = fd_no_sync, \
    .entries = fd_no_entries, .get_vmo = fd_no_vmo, .set_append = fd_append_is_a_flag
