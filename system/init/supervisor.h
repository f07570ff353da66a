// Runs the services of the services file: starts them, at boot or when somebody wants them, watches
// them, starts them again, and brings requests to whoever serves them.
//
// What init does with a service never waits for it. Requests go into the channel of its outgoing
// directory (PA_DIRECTORY_REQUEST); while it is down they lie in the channel that the next instance
// gets.
//
// Everything here runs on init's loop, but supervisor_attach, supervisor_settle and
// supervisor_sync, which other threads may call.
#pragma once

#include <async/client.h>
#include <async/loop.h>
#include <fidl/jacinth.system.h>
#include <io/server.h>
#include <zircon/types.h>

#include "authority.h"

// The services that start at boot are started, but for prompts.
zx_status_t supervisor_start(const struct authority* a, struct async_loop* loop);
// Then those, if there is no run list in their place. The loop's.
void supervisor_start_prompts(void);

// ---- any thread ----

typedef enum supervisor_attach : uint32_t {
    SUPERVISOR_PREFIX,  // the directory behind a prefix of the namespace, as this paragraph sees it
    SUPERVISOR_SERVICE, // a connection to a protocol
} supervisor_attach_t;
// The server end of a channel, for whoever serves that name, which must stay. A service that is not
// running is started when the first message is in the channel, not before.
void supervisor_attach(supervisor_attach_t what, uint32_t paragraph, const char* name,
                       zx_handle_t channel);
// Waits until the loop has seen everything that has happened so far: what a program that has ended
// had open is closed.
void supervisor_settle(void);
// The same, and has the file systems that run write what they have: before the power goes. One that
// does not answer is waited for some seconds.
void supervisor_sync(void);

// ---- the loop only ----

// supervisor_sync for the loop, which does not wait: `done` is called when all have answered, or
// the time is over. Who asks while it is under way is told with the others.
void supervisor_sync_then(void (*done)(uint32_t arg), uint32_t arg);
void supervisor_attach_now(supervisor_attach_t what, uint32_t paragraph, const char* name,
                           zx_handle_t channel);
// Opens a device at the service that has it; the answer comes when the service has given it.
zx_status_t supervisor_open_device(const char* name, jacinth_io_flags_t flags,
                                   struct io_connection* connection, struct fidl_txn* txn);
uint32_t supervisor_list(struct jacinth_system_service out[SERVICES_PARAGRAPHS_MAX]);
zx_status_t supervisor_restart(const char* name, size_t len);
