// Terminals: what is typed and shown over a connection to the server that has the device.
#pragma once

#include <fd/object.h>

// Consumes both. `device`: see fd/server.h.
long fd_terminal_new(zx_handle_t connection, zx_handle_t events, uint32_t flags, uint64_t device,
                     struct fd_object** out);
bool fd_is_terminal(const struct fd_object* o);

// How a terminal whose server has died is opened again; set by whoever knows names, before main().
typedef zx_status_t (*fd_reopen_fn)(zx_handle_t* connection, zx_handle_t* events);
void fd_terminal_set_reopen(fd_reopen_fn reopen);
