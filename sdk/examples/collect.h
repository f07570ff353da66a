// What spawn.c and spawn_service.c share: the ends of what their child is given.
#pragma once

#include <zircon/types.h>

struct child_io {
    zx_handle_t output, event;                           // ours
    zx_handle_t their_output, their_errors, their_event; // the child's
};

zx_status_t child_io_make(struct child_io* io);
// Shows what the child writes until it ends, then its end. The program's exit code.
int child_io_show(struct child_io* io, zx_handle_t process);
