// The launcher service's side of a connection.
#pragma once

#include <launcher/launcher.h>
#include <zircon/types.h>

struct launchsvc_connection;

// Null: out of memory. `vdso` lives as long as the connection.
struct launchsvc_connection* launchsvc_connection_new(const struct launch_vdso* vdso);
// Closes the handles that no Launch has used.
void launchsvc_connection_free(struct launchsvc_connection* c);

// An answer: 24 bytes, and the process that was started, or ZX_HANDLE_INVALID.
struct launchsvc_reply {
    uint8_t bytes[32];
    uint32_t len; // 0: there is nothing to answer
    zx_handle_t process;
};

// Handles one message; the handles that came with it are gone. An error means that the connection
// must be closed: the message was malformed, or there is more in it than a launch can use.
zx_status_t launchsvc_handle(struct launchsvc_connection* c, const void* bytes, size_t len,
                             zx_handle_info_t* handles, uint32_t handle_count,
                             struct launchsvc_reply* reply);

// Reads and answers one message of a channel. SHOULD_WAIT: there is none. Any other error: close
// the channel. `buffer`: ZX_CHANNEL_MAX_MSG_BYTES to work in, aligned to 8.
zx_status_t launchsvc_serve(struct launchsvc_connection* c, zx_handle_t channel, void* buffer);
