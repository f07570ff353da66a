// Where standard output and standard error end. Of what a descriptor can be, this library knows
// what can be written to without a server, and terminals if it is helped.
#include <jacinth/startup.h>
#include <minic/terminal.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/types.h>

#include "minic_priv.h"

// Of a terminal's events (jacinth.io: EVENT_WRITABLE).
constexpr zx_signals_t WRITABLE = ZX_USER_SIGNAL_1;
// Of a device that needs nobody: which one it is.
constexpr zx_signals_t IS_FULL = ZX_USER_SIGNAL_3;
constexpr zx_signals_t IS_DEBUG = ZX_USER_SIGNAL_4;

// How programs of the C library end by that signal (docs/design/libc.md).
constexpr int64_t ENDED_BY_SIGPIPE = -2000 - 13;

static minic_sink_kind_t device_of(zx_handle_t event) {
    zx_signals_t observed = 0;
    (void)zx_object_wait_one(event, IS_FULL | IS_DEBUG, 0, &observed);
    return (observed & IS_DEBUG) != 0  ? MINIC_SINK_DEBUG
           : (observed & IS_FULL) != 0 ? MINIC_SINK_FULL
                                       : MINIC_SINK_NOTHING;
}

// Several handles may belong to one descriptor: a file has a connection besides its stream, a
// terminal events besides its connection.
static void take(struct minic_sink* sink, zx_handle_t handle, zx_handle_t* channel) {
    zx_info_handle_basic_t info = {};
    (void)zx_object_get_info(handle, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr, nullptr);
    switch (info.type) {
    case ZX_OBJ_TYPE_SOCKET:
        sink->kind = MINIC_SINK_SOCKET;
        sink->handle = handle;
        return;
    case ZX_OBJ_TYPE_STREAM:
        sink->kind = MINIC_SINK_FILE;
        sink->handle = handle;
        return;
    case ZX_OBJ_TYPE_CHANNEL:
        *channel = handle;
        return;
    case ZX_OBJ_TYPE_EVENTPAIR:
        sink->events = handle;
        return;
    case ZX_OBJ_TYPE_EVENT:
        sink->kind = device_of(handle);
        break;
    default:
        break;
    }
    (void)zx_handle_close(handle);
}

void minic_sink_find(struct minic_sink* sink, uint16_t fd) {
    zx_handle_t handle;
    zx_handle_t channel = ZX_HANDLE_INVALID;
    while ((handle = zx_take_startup_handle(PA_HND(PA_FD, fd))) != ZX_HANDLE_INVALID) {
        take(sink, handle, &channel);
    }
    if (sink->events != ZX_HANDLE_INVALID && minic_terminal_write != nullptr) {
        sink->kind = MINIC_SINK_TERMINAL;
        sink->handle = channel;
    } else {
        (void)zx_handle_close(channel);
    }
}

// ---- writing ----

static zx_status_t write_part(struct minic_sink* sink, const char* text, size_t len,
                              size_t* written) {
    zx_iovec_t whole = {(void*)text, len};
    switch (sink->kind) {
    case MINIC_SINK_SOCKET:
        return zx_socket_write(sink->handle, 0, text, len, written);
    case MINIC_SINK_FILE:
        return zx_stream_writev(sink->handle, 0, &whole, 1, written);
    case MINIC_SINK_TERMINAL:
        return minic_terminal_write(sink->handle, text, len, written);
    case MINIC_SINK_FULL:
        return ZX_ERR_NO_SPACE;
    case MINIC_SINK_NOTHING:
        *written = len;
        return ZX_OK;
    default:
        *written = len;
        return zx_debug_write(text, len);
    }
}

static zx_status_t wait_for_room(const struct minic_sink* sink) {
    return sink->kind == MINIC_SINK_SOCKET
               ? zx_object_wait_one(sink->handle, ZX_SOCKET_WRITABLE | ZX_SOCKET_PEER_CLOSED,
                                    ZX_TIME_INFINITE, nullptr)
               : zx_object_wait_one(sink->events, WRITABLE | ZX_EVENTPAIR_PEER_CLOSED,
                                    ZX_TIME_INFINITE, nullptr);
}

bool minic_sink_write(struct minic_sink* sink, const char* text, size_t len) {
    while (len > 0) {
        size_t written = 0;
        zx_status_t status = write_part(sink, text, len, &written);
        if (status == ZX_ERR_SHOULD_WAIT) {
            status = wait_for_room(sink);
        } else if (status == ZX_ERR_PEER_CLOSED && sink->kind == MINIC_SINK_TERMINAL) {
            sink->kind = MINIC_SINK_DEBUG; // its server has ended: what is to be said is said
            status = ZX_OK;
        }
        if (status == ZX_ERR_PEER_CLOSED && sink->kind == MINIC_SINK_SOCKET) {
            zx_process_exit(ENDED_BY_SIGPIPE); // nobody reads: `top | head` is to end
        }
        if (status != ZX_OK) {
            return false;
        }
        text += written;
        len -= written;
    }
    return true;
}
