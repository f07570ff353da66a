// The launcher service's side of a connection: decodes requests, collects, launches.
//
// A launch reads a file and may ask a loader service: both belong to the client and may take as
// long as they like. So a launch is a piece of work apart from the connection: `begin` gets it and
// has it run wherever it may wait, then finished on the thread of the connections.
//
// Everything but launchsvc_work_run() belongs to one thread.
#pragma once

#include <fidl/channel.h>
#include <fidl/message.h>
#include <launcher/launcher.h>
#include <zircon/types.h>

struct launchsvc_connection;
// A launch that somebody asked for, with all that was collected for it.
struct launchsvc_work;

struct launchsvc_service {
    const struct launch_vdso* vdso;
    // Takes the work: sooner or later launchsvc_work_run(), then launchsvc_work_finish().
    // NO_RESOURCES: nothing more can be taken; the connection ends, the work is given up.
    zx_status_t (*begin)(struct launchsvc_service* service, struct launchsvc_work* work);
};

// Null: out of memory. `service` outlives the connection and its works; the channel stays the
// caller's. `owner`: what launchsvc_work_finish() calls the connection.
struct launchsvc_connection* launchsvc_connection_new(struct launchsvc_service* service,
                                                      zx_handle_t channel, void* owner);
// The channel is about to be closed: answers are dropped, collected handles closed. Works may still
// be under way.
void launchsvc_connection_end(struct launchsvc_connection* c);

// Handles one message; its handles are gone. Any status but OK means that the connection must end:
// the message was malformed, or there is more in it than a launch can use. `storage`: for an
// answer.
zx_status_t launchsvc_handle(struct launchsvc_connection* c, struct fidl_message* message,
                             struct fidl_storage storage);

// Makes the process; on any thread.
void launchsvc_work_run(struct launchsvc_work* work);
// Answers, unless the connection has ended, and frees the work. Any status but OK: the connection
// of *owner, which has not ended, must end.
zx_status_t launchsvc_work_finish(struct launchsvc_work* work, struct fidl_storage storage,
                                  void** owner);
