// The first message of a process, for the code that starts it.
#pragma once

#include <zircon/types.h>

#include <processargs/processargs.h>

// What a dynamic linker gets in a message of its own, before the program's.
struct crt0_loader_message {
    zx_handle_t program; // memory with the program's file
    zx_handle_t loader;  // service that has libraries; ZX_HANDLE_INVALID: none
};
// Reads it; its other handles are closed. The channel stays open for the program's message. Null,
// or what is wrong.
const char* crt0_loader_message_read(zx_handle_t bootstrap, struct crt0_loader_message* out);

// Reads it and closes the channel; the strings stay where they are. Null: *problem says why.
const struct processargs* crt0_message_read(zx_handle_t bootstrap, const char** problem);

// The region that the launcher mapped this image into. It stays where it is found;
// ZX_HANDLE_INVALID if the program has taken it.
zx_handle_t crt0_vmar_loaded(void);
