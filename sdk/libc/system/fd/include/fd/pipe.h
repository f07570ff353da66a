// Pipes: a stream socket, each end with the other direction's right taken away.
#pragma once

#include <fd/object.h>

// `flags`: ABI_O_NONBLOCK or 0.
long fd_pipe_new(uint32_t flags, struct fd_object** reading, struct fd_object** writing);
// Two ends that both read and write (socketpair).
long fd_pipe_new_pair(uint32_t flags, struct fd_object** a, struct fd_object** b);

// The stream socket of an end; ABI_ENOTSOCK for any other object.
long fd_pipe_socket(struct fd_object* o, zx_handle_t* out);
