// Kinds that are made from handles only.
#pragma once

#include <fd/object.h>

// An end of a pipe, or of a pair that goes both ways: a stream socket. Consumes it.
long pipe_object_new(zx_handle_t socket, uint32_t flags, struct fd_object** out);
// Lines for the kernel's log. Consumes the handle.
long log_object_new(zx_handle_t log, struct fd_object** out);
// A number that is added to and taken: a counter. Consumes it.
long event_object_new(zx_handle_t counter, struct fd_object** out);
