// Starting programs through the launcher service. A connection collects arguments, environment,
// names and handles; launchsvc_launch() uses them up. One thread at a time on a connection.
#pragma once

#include <stdint.h>

#include <zircon/processargs.h>
#include <zircon/types.h>

// The word under which programs are given a connection; the service itself is given the channel of
// launchsvc_connect() under it.
#define LAUNCHSVC_STARTUP PA_HND(PA_USER2, 0)

// Another connection, by whoever holds the service's own channel.
zx_status_t launchsvc_connect(zx_handle_t root, zx_handle_t* out);

zx_status_t launchsvc_add_args(zx_handle_t service, const char* const* args, uint32_t count);
zx_status_t launchsvc_add_environs(zx_handle_t service, const char* const* environ, uint32_t count);
// Directories of the new process's name space; the handles are gone whatever happens.
zx_status_t launchsvc_add_names(zx_handle_t service, const char* const* paths,
                                const zx_handle_t* directories, uint32_t count);
// `ids`: PA_HND words. The handles are gone whatever happens.
zx_status_t launchsvc_add_handles(zx_handle_t service, const uint32_t* ids,
                                  const zx_handle_t* handles, uint32_t count);

// `executable` and `job` are gone whatever happens. A name of more than ZX_MAX_NAME_LEN bytes is
// INVALID_ARGS. PEER_CLOSED: the service found the request malformed, or has ended.
zx_status_t launchsvc_launch(zx_handle_t service, zx_handle_t executable, zx_handle_t job,
                             const char* name, zx_handle_t* process);
