// Sockets, of which there is one kind: two stream ends of the local family that are connected from
// the start (socketpair). There is no network and no address, so nobody makes or names others:
// socket() says that the family is not there, and what would name an end says that it cannot.
//
// Descriptors do not travel in messages: control data is refused.

#include <string.h>

#include <fd/pipe.h>
#include <libc/error.h>
#include <zircon/syscalls.h>

#include "ops_priv.h"

static_assert(ABI_SOCK_NONBLOCK == ABI_O_NONBLOCK && ABI_SOCK_CLOEXEC == ABI_O_CLOEXEC);
constexpr int TYPE_FLAGS = ABI_SOCK_NONBLOCK | ABI_SOCK_CLOEXEC;

// An end, with a reference; -ABI_ENOTSOCK for other descriptors.
static long get_end_ref(int fd, struct fd_object** out, zx_handle_t* socket) {
    long error = fd_lookup_ref(fd, out);
    return error != 0 ? error : fd_pipe_socket(*out, socket);
}

// For what only sockets with addresses do: `answer` of an end.
static long of_an_end(int fd, long answer) {
    FD_REF o = nullptr;
    zx_handle_t socket;
    long error = get_end_ref(fd, &o, &socket);
    return error != 0 ? error : answer;
}

// ---- making ----

long sys_socket(int, int, int) {
    return -ABI_EAFNOSUPPORT;
}

long sys_socketpair(int domain, int type, int protocol, int* fds) {
    if (domain != ABI_AF_UNIX) {
        return -ABI_EAFNOSUPPORT;
    }
    if ((type & ~TYPE_FLAGS) != ABI_SOCK_STREAM || protocol != 0) {
        return -ABI_EPROTONOSUPPORT;
    }
    struct fd_object* a;
    struct fd_object* b;
    long error = fd_pipe_new_pair((uint32_t)type & ABI_O_NONBLOCK, &a, &b);
    int keep = (type & ABI_SOCK_CLOEXEC) != 0 ? ABI_FD_CLOEXEC : 0;
    return error != 0 ? error : fd_add_pair(a, b, keep, fds);
}

long sys_bind(int fd, const void*, unsigned) {
    return of_an_end(fd, -ABI_EINVAL); // has its address: none
}

long sys_connect(int fd, const void*, unsigned) {
    return of_an_end(fd, -ABI_EISCONN);
}

long sys_listen(int fd, int) {
    return of_an_end(fd, -ABI_EINVAL);
}

long sys_accept(int fd, void*, unsigned*) {
    return of_an_end(fd, -ABI_EINVAL);
}

long sys_accept4(int fd, void*, unsigned*, int) {
    return of_an_end(fd, -ABI_EINVAL);
}

// ---- what is known of an end ----

// An address of the local family without a name: its family alone.
static long give_address(int fd, void* out, unsigned* len) {
    long error = of_an_end(fd, 0);
    if (error == 0) {
        const uint16_t family = ABI_AF_UNIX;
        memcpy(out, &family, *len < sizeof(family) ? *len : sizeof(family));
        *len = sizeof(family);
    }
    return error;
}

long sys_getsockname(int fd, void* out, unsigned* len) {
    return give_address(fd, out, len);
}

long sys_getpeername(int fd, void* out, unsigned* len) {
    return give_address(fd, out, len);
}

static bool option_of(int option, int* out) {
    switch (option) {
    case ABI_SO_TYPE:
        *out = ABI_SOCK_STREAM;
        return true;
    case ABI_SO_DOMAIN:
        *out = ABI_AF_UNIX;
        return true;
    case ABI_SO_ERROR:
    case ABI_SO_PROTOCOL:
    case ABI_SO_ACCEPTCONN:
        *out = 0;
        return true;
    default:
        return false;
    }
}

long sys_getsockopt(int fd, int level, int option, void* out, unsigned* len) {
    int value;
    long error = of_an_end(fd, 0);
    if (error != 0) {
        return error;
    }
    if (level != ABI_SOL_SOCKET || !option_of(option, &value)) {
        return -ABI_ENOPROTOOPT;
    }
    *len = *len < sizeof(value) ? *len : sizeof(value);
    memcpy(out, &value, *len);
    return 0;
}

long sys_setsockopt(int fd, int, int, const void*, unsigned) {
    return of_an_end(fd, -ABI_ENOPROTOOPT);
}

// ---- moving bytes ----

long sys_shutdown(int fd, int how) {
    FD_REF o = nullptr;
    zx_handle_t socket;
    long error = get_end_ref(fd, &o, &socket);
    if (error != 0) {
        return error;
    }
    if (how < ABI_SHUT_RD || how > ABI_SHUT_RDWR) {
        return -ABI_EINVAL;
    }
    constexpr uint32_t disabled = ZX_SOCKET_DISPOSITION_WRITE_DISABLED;
    return errno_from_status(zx_socket_set_disposition(socket, how != ABI_SHUT_RD ? disabled : 0,
                                                       how != ABI_SHUT_WR ? disabled : 0));
}

static long send_parts(int fd, struct fd_io* io, int flags) {
    FD_REF o = nullptr;
    zx_handle_t socket;
    long error = get_end_ref(fd, &o, &socket);
    if (error != 0) {
        return error;
    }
    if ((flags & ~(ABI_MSG_NOSIGNAL | ABI_MSG_DONTWAIT)) != 0) {
        return -ABI_EOPNOTSUPP;
    }
    return fd_write_how(o, io, FD_OFFSET_CURRENT, (flags & ABI_MSG_DONTWAIT) != 0,
                        (flags & ABI_MSG_NOSIGNAL) != 0);
}

static long receive_parts(int fd, struct fd_io* io, int flags) {
    FD_REF o = nullptr;
    zx_handle_t socket;
    long error = get_end_ref(fd, &o, &socket);
    if (error != 0) {
        return error;
    }
    if ((flags & ~(ABI_MSG_DONTWAIT | ABI_MSG_CMSG_CLOEXEC)) != 0) {
        return -ABI_EOPNOTSUPP;
    }
    return fd_read_how(o, io, FD_OFFSET_CURRENT, (flags & ABI_MSG_DONTWAIT) != 0);
}

long sys_sendto(int fd, const void* data, size_t len, int flags, const void*, unsigned) {
    zx_iovec_t piece = {(void*)data, len};
    struct fd_io io = {.vectors = &piece, .count = 1, .len = len};
    return send_parts(fd, &io, flags);
}

long sys_recvfrom(int fd, void* buffer, size_t len, int flags, void*, unsigned* from_len) {
    zx_iovec_t piece = {buffer, len};
    struct fd_io io = {.vectors = &piece, .count = 1, .len = len};
    long result = receive_parts(fd, &io, flags);
    if (result >= 0 && from_len != nullptr) {
        *from_len = 0;
    }
    return result;
}

long sys_sendmsg(int fd, const struct abi_msghdr* message, int flags) {
    struct fd_io io;
    if (message->control_len != 0) {
        return of_an_end(fd, -ABI_EOPNOTSUPP);
    }
    long error = fd_io_of(message->parts, message->part_count, &io);
    return error != 0 ? error : send_parts(fd, &io, flags);
}

long sys_recvmsg(int fd, struct abi_msghdr* message, int flags) {
    struct fd_io io;
    long error = fd_io_of(message->parts, message->part_count, &io);
    long result = error != 0 ? error : receive_parts(fd, &io, flags);
    if (result >= 0) {
        message->name_len = 0;
        message->control_len = 0;
        message->flags = 0;
    }
    return result;
}
