// Socket calls.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <object/socket.h>

status_t sys_socket_create(uint32_t options, struct user_out_handle* out0,
                           struct user_out_handle* out1) {
    if ((options & ~ZX_SOCKET_CREATE_MASK) != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct socket* a;
    struct socket* b;
    TRY(socket_create(options, &a, &b));
    out0->handle = handle_make(socket_object(a), ZX_DEFAULT_SOCKET_RIGHTS);
    out1->handle = handle_make(socket_object(b), ZX_DEFAULT_SOCKET_RIGHTS);
    return STATUS_OK;
}

status_t sys_socket_write(struct socket* socket, uint32_t options, const void __user* buffer,
                          size_t buffer_size, size_t* actual) {
    if ((options & ~ZX_SOCKET_WRITE_WHOLE) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return socket_write(socket, options != 0, buffer, buffer_size, actual);
}

status_t sys_socket_read(struct socket* socket, uint32_t options, void __user* buffer,
                         size_t buffer_size, size_t* actual) {
    if ((options & ~ZX_SOCKET_PEEK) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return socket_read(socket, options != 0, buffer, buffer_size, actual);
}

static status_t disposition_of(uint32_t value, enum socket_disposition* out) {
    switch (value) {
    case 0:
        *out = SOCKET_KEEP;
        return STATUS_OK;
    case ZX_SOCKET_DISPOSITION_WRITE_DISABLED:
        *out = SOCKET_WRITE_DISABLED;
        return STATUS_OK;
    case ZX_SOCKET_DISPOSITION_WRITE_ENABLED:
        *out = SOCKET_WRITE_ENABLED;
        return STATUS_OK;
    default:
        return STATUS_INVALID_ARGS;
    }
}

status_t sys_socket_set_disposition(struct socket* socket, uint32_t disposition,
                                    uint32_t disposition_peer) {
    enum socket_disposition mine;
    enum socket_disposition peers;
    TRY(disposition_of(disposition, &mine));
    TRY(disposition_of(disposition_peer, &peers));
    return socket_set_dispositions(socket, mine, peers);
}
