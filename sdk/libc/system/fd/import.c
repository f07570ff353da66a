// From the handles that a process was given to an object: their types say what it is.

#include <fd/device.h>
#include <fd/directory.h>
#include <fd/file.h>
#include <fd/terminal.h>
#include <libc/error.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "kinds.h"

void fd_handles_close(struct fd_handles* h) {
    for (uint32_t i = 0; i < h->count; i++) {
        (void)zx_handle_close(h->handle[i]);
    }
    h->count = 0;
}

static zx_info_handle_basic_t basic_of(zx_handle_t handle) {
    zx_info_handle_basic_t info = {};
    (void)zx_object_get_info(handle, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr, nullptr);
    return info;
}

// As ABI_O_*; with neither right, an O_PATH.
static uint32_t access_of(zx_handle_t handle) {
    switch (basic_of(handle).rights & (ZX_RIGHT_READ | ZX_RIGHT_WRITE)) {
    case ZX_RIGHT_READ:
        return ABI_O_RDONLY;
    case ZX_RIGHT_WRITE:
        return ABI_O_WRONLY;
    case ZX_RIGHT_READ | ZX_RIGHT_WRITE:
        return ABI_O_RDWR;
    default:
        return ABI_O_PATH;
    }
}

static uint32_t append_of(zx_handle_t stream) {
    uint8_t append = 0;
    (void)zx_object_get_property(stream, ZX_PROP_STREAM_MODE_APPEND, &append, sizeof(append));
    return append != 0 ? ABI_O_APPEND : 0;
}

// Takes the first handle of a type out of the set.
static zx_handle_t take(struct fd_handles* h, zx_obj_type_t type) {
    for (uint32_t i = 0; i < h->count; i++) {
        if (basic_of(h->handle[i]).type == type) {
            zx_handle_t taken = h->handle[i];
            h->handle[i] = h->handle[--h->count];
            return taken;
        }
    }
    return ZX_HANDLE_INVALID;
}

// Which server's it is, nobody said.
constexpr uint64_t DEVICE_UNKNOWN = 0;

static long with_channel(zx_handle_t channel, struct fd_handles* rest, struct fd_object** out) {
    zx_handle_t stream = take(rest, ZX_OBJ_TYPE_STREAM);
    if (stream != ZX_HANDLE_INVALID) {
        uint32_t flags = access_of(stream) | append_of(stream);
        return fd_file_new(channel, stream, flags, DEVICE_UNKNOWN, out);
    }
    zx_handle_t events = take(rest, ZX_OBJ_TYPE_EVENTPAIR);
    if (events != ZX_HANDLE_INVALID) {
        return fd_terminal_new(channel, events, ABI_O_RDWR, DEVICE_UNKNOWN, out);
    }
    return fd_directory_new(channel, DEVICE_UNKNOWN, nullptr, ABI_O_RDONLY | ABI_O_DIRECTORY, out);
}

static long with_one(zx_handle_t handle, struct fd_object** out) {
    switch (basic_of(handle).type) {
    case ZX_OBJ_TYPE_SOCKET:
        return pipe_object_new(handle, access_of(handle), out);
    case ZX_OBJ_TYPE_STREAM:
        return fd_file_new(ZX_HANDLE_INVALID, handle, access_of(handle) | append_of(handle),
                           DEVICE_UNKNOWN, out);
    case ZX_OBJ_TYPE_DEBUGLOG:
        return log_object_new(handle, out);
    case ZX_OBJ_TYPE_EVENT:
        return fd_device_from_event(handle, out);
    default:
        (void)zx_handle_close(handle);
        return -ABI_ENODEV;
    }
}

long fd_object_from_handles(struct fd_handles* handles, struct fd_object** out) {
    zx_handle_t channel = take(handles, ZX_OBJ_TYPE_CHANNEL);
    long error = -ABI_ENODEV;
    if (channel != ZX_HANDLE_INVALID) {
        error = with_channel(channel, handles, out);
    } else if (handles->count != 0) {
        error = with_one(handles->handle[--handles->count], out);
    }
    fd_handles_close(handles); // what the kind does not know
    return error;
}
