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
static uint32_t access_of(zx_rights_t rights) {
    switch (rights & (ZX_RIGHT_READ | ZX_RIGHT_WRITE)) {
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

struct imported {
    zx_handle_t handle;
    zx_obj_type_t type;
    zx_rights_t rights;
};

// Takes the first handle of a type out of those that are left.
static struct imported take(struct imported* all, uint32_t count, zx_obj_type_t type) {
    for (uint32_t i = 0; i < count; i++) {
        if (all[i].handle != ZX_HANDLE_INVALID && all[i].type == type) {
            struct imported taken = all[i];
            all[i].handle = ZX_HANDLE_INVALID;
            return taken;
        }
    }
    return (struct imported){};
}

// Which server's it is, nobody said.
constexpr uint64_t DEVICE_UNKNOWN = 0;

static uint32_t stream_flags(const struct imported* stream) {
    return access_of(stream->rights) | append_of(stream->handle);
}

static long with_channel(zx_handle_t channel, struct imported* rest, uint32_t count,
                         struct fd_object** out) {
    struct imported stream = take(rest, count, ZX_OBJ_TYPE_STREAM);
    if (stream.handle != ZX_HANDLE_INVALID) {
        return fd_file_new(channel, stream.handle, stream_flags(&stream), DEVICE_UNKNOWN, out);
    }
    struct imported counter = take(rest, count, ZX_OBJ_TYPE_COUNTER);
    if (counter.handle != ZX_HANDLE_INVALID) {
        return fd_served_file_new(channel, counter.handle, ABI_O_RDONLY, DEVICE_UNKNOWN, out);
    }
    struct imported events = take(rest, count, ZX_OBJ_TYPE_EVENTPAIR);
    if (events.handle != ZX_HANDLE_INVALID) {
        return fd_terminal_new(channel, events.handle, ABI_O_RDWR, DEVICE_UNKNOWN, out);
    }
    return fd_directory_new(channel, DEVICE_UNKNOWN, nullptr, ABI_O_RDONLY | ABI_O_DIRECTORY, out);
}

static long with_one(const struct imported* one, struct fd_object** out) {
    switch (one->type) {
    case ZX_OBJ_TYPE_SOCKET:
        return pipe_object_new(one->handle, access_of(one->rights), out);
    case ZX_OBJ_TYPE_STREAM:
        return fd_file_new(ZX_HANDLE_INVALID, one->handle, stream_flags(one), DEVICE_UNKNOWN, out);
    case ZX_OBJ_TYPE_DEBUGLOG:
        return log_object_new(one->handle, out);
    case ZX_OBJ_TYPE_COUNTER:
        return event_object_new(one->handle, out);
    case ZX_OBJ_TYPE_EVENT:
        return fd_device_from_event(one->handle, out);
    default:
        (void)zx_handle_close(one->handle);
        return -ABI_ENODEV;
    }
}

// A stream and the memory below it.
static long with_memory(struct imported* all, uint32_t count, struct fd_object** out) {
    struct imported stream = take(all, count, ZX_OBJ_TYPE_STREAM);
    struct imported memory = take(all, count, ZX_OBJ_TYPE_VMO);
    return fd_file_with_memory(stream.handle, memory.handle, stream_flags(&stream), out);
}

long fd_object_from_handles(struct fd_handles* handles, struct fd_object** out) {
    struct imported all[FD_HANDLES_MAX] = {};
    uint32_t count = handles->count;
    for (uint32_t i = 0; i < count; i++) {
        zx_info_handle_basic_t info = basic_of(handles->handle[i]);
        all[i] = (struct imported){handles->handle[i], info.type, info.rights};
    }
    handles->count = 0;
    struct imported channel = take(all, count, ZX_OBJ_TYPE_CHANNEL);
    long error = -ABI_ENODEV;
    if (channel.handle != ZX_HANDLE_INVALID) {
        error = with_channel(channel.handle, all, count, out);
    } else if (count == 2) {
        error = with_memory(all, count, out);
    } else if (count != 0) {
        struct imported last = all[count - 1];
        all[count - 1].handle = ZX_HANDLE_INVALID;
        error = with_one(&last, out);
    }
    for (uint32_t i = 0; i < count; i++) { // what the kind does not know
        (void)zx_handle_close(all[i].handle);
    }
    return error;
}
