// The descriptors of a view of the process, and those that a program begins with.

#include <jacinth/startup.h>
#include <libc/fd_memory.h>
#include <libc/process_view.h>
#include <zircon/syscalls.h>

#include <fd/device.h>
#include <fd/table.h>

struct fd_table* fd_table(void) {
    return process_view()->fds;
}

long fd_get_vmo(int fd, uint32_t access, zx_handle_t* out) {
    struct fd_object* o;
    long error = fd_table_get_ref(fd_table(), fd, &o);
    if (error == 0) {
        error = o->ops->get_vmo(o, access, out);
        fd_object_unref(o);
    }
    return error;
}

// All handles of one descriptor. A message has at most 64 handles: few enough to be looked through
// once for each.
static void import_one(struct fd_table* t, int fd, zx_handle_t first) {
    struct fd_handles handles = {.handle = {first}, .count = 1};
    zx_handle_t next;
    while ((next = zx_take_startup_handle(PA_HND(PA_FD, (uint32_t)fd))) != ZX_HANDLE_INVALID) {
        if (handles.count < FD_HANDLES_MAX) {
            handles.handle[handles.count++] = next;
        } else {
            (void)zx_handle_close(next);
        }
    }
    struct fd_object* o;
    if (fd_object_from_handles(&handles, &o) == 0) {
        (void)fd_table_put(t, o, fd, 0);
    }
}

static bool import_all(struct fd_table* t) {
    bool any = false;
    uint32_t fd;
    zx_handle_t handle;
    while ((handle = zx_take_startup_handle_of_type(PA_FD, &fd)) != ZX_HANDLE_INVALID) {
        any = true;
        if (fd < FD_MAX) {
            import_one(t, (int)fd, handle);
        } else {
            (void)zx_handle_close(handle);
        }
    }
    return any;
}

// For a program whose starter knows nothing of descriptors: no input, output to the debug console.
static void put_devices(struct fd_table* t) {
    struct fd_object* o;
    if (fd_device_new(FD_DEVICE_NULL, ABI_O_RDONLY, &o) == 0) {
        (void)fd_table_put(t, o, 0, 0);
    }
    if (fd_device_new(FD_DEVICE_DEBUG, ABI_O_WRONLY, &o) == 0) {
        fd_object_ref(o);
        (void)fd_table_put(t, o, 1, 0);
        (void)fd_table_put(t, o, 2, 0);
    }
}

static void start(struct process_view* view) {
    view->fds = fd_table_first();
    if (!import_all(view->fds)) {
        put_devices(view->fds);
    }
}

static bool copy(const struct process_view* from, struct process_view* to) {
    to->fds = fd_table_copy(from->fds);
    return to->fds != nullptr;
}

static void end(struct process_view* view) {
    fd_table_delete(view->fds);
}

const struct process_view_part fd_view_part = {.start = start, .copy = copy, .end = end};
