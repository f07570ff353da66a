#include <io/windows.h>

#include <zircon/syscalls.h>

static bool has_children(zx_handle_t vmo) {
    return vmo != ZX_HANDLE_INVALID &&
           zx_object_wait_one(vmo, ZX_VMO_ZERO_CHILDREN, 0, nullptr) != ZX_OK;
}

static zx_status_t new_reference(zx_handle_t to, zx_handle_t* out) {
    return zx_vmo_create_child(to, ZX_VMO_CHILD_REFERENCE | ZX_VMO_CHILD_RESIZABLE, 0, 0, out);
}

zx_status_t io_window_open(struct io_windows* windows, zx_handle_t file, jacinth_io_flags_t flags,
                           zx_handle_t* out) {
    bool writes = (flags & JACINTH_IO_FLAGS_WRITE) != 0;
    bool runs = (flags & JACINTH_IO_FLAGS_EXECUTE) != 0;
    if (writes == runs) {
        return ZX_ERR_INVALID_ARGS;
    }
    if (has_children(writes ? windows->runners : windows->writers)) {
        return ZX_ERR_UNAVAILABLE;
    }
    zx_handle_t* kind = writes ? &windows->writers : &windows->runners;
    zx_status_t status = *kind == ZX_HANDLE_INVALID ? new_reference(file, kind) : ZX_OK;
    return status == ZX_OK ? new_reference(*kind, out) : status;
}

bool io_windows_are_run(const struct io_windows* windows) {
    return has_children(windows->runners);
}

static zx_handle_t close_unused(zx_handle_t* kind) {
    if (!has_children(*kind)) {
        (void)zx_handle_close(*kind); // none is no error
        *kind = ZX_HANDLE_INVALID;
    }
    return *kind;
}

zx_handle_t io_windows_close_unused(struct io_windows* windows) {
    zx_handle_t runners = close_unused(&windows->runners);
    zx_handle_t writers = close_unused(&windows->writers);
    return runners != ZX_HANDLE_INVALID ? runners : writers;
}

void io_windows_end(struct io_windows* windows) {
    (void)zx_handle_close(windows->runners);
    (void)zx_handle_close(windows->writers);
    *windows = (struct io_windows){};
}
