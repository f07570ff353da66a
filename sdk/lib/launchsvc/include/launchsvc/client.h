// Starting programs through the launcher service. A connection collects arguments, environment,
// names and handles; launchsvc_launch() uses them up. One thread at a time on a connection.
#pragma once

#include <stdint.h>

#include <zircon/processargs.h>
#include <zircon/types.h>

// The word under which programs are given a connection.
#define LAUNCHSVC_STARTUP PA_HND(PA_USER2, 0)

zx_status_t launchsvc_add_args(zx_handle_t service, const char* const* args, uint32_t count);
zx_status_t launchsvc_add_environs(zx_handle_t service, const char* const* environ, uint32_t count);
// Directories of the new process's name space; the handles are gone whatever happens.
zx_status_t launchsvc_add_names(zx_handle_t service, const char* const* paths,
                                const zx_handle_t* directories, uint32_t count);
// `ids`: PA_HND words. The handles are gone whatever happens.
zx_status_t launchsvc_add_handles(zx_handle_t service, const uint32_t* ids,
                                  const zx_handle_t* handles, uint32_t count);

// How the next launch is done; what is not set here is the launcher's choice.
struct launchsvc_options {
    bool is_linux;       // LAUNCH_LINUX (<launcher/launcher.h>)
    uint64_t stack_size; // bytes; 0: what the program asks for
};
zx_status_t launchsvc_set_options(zx_handle_t service, const struct launchsvc_options* options);

// `executable` and `job` are gone whatever happens. A name of more than ZX_MAX_NAME_LEN bytes is
// INVALID_ARGS. PEER_CLOSED: the service found the request malformed, or has ended. A program with
// an interpreter needs a loader service (fuchsia.ldsvc/Loader) among its handles, as
// PA_LDSVC_LOADER.
zx_status_t launchsvc_launch(zx_handle_t service, zx_handle_t executable, zx_handle_t job,
                             const char* name, zx_handle_t* process);

// A process that was made and does not run yet. zx_process_start(process, thread, entry, stack,
// bootstrap, vdso_base) starts it.
struct launchsvc_created {
    zx_handle_t process, root_vmar, thread, bootstrap; // the caller's
    zx_vaddr_t entry, stack, vdso_base, base;
};
zx_status_t launchsvc_create(zx_handle_t service, zx_handle_t executable, zx_handle_t job,
                             const char* name, struct launchsvc_created* out);
