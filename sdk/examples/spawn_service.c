// The same as spawn.c by the launcher service: this program does not own the launcher, it asks for
// a process over a channel.
#include <stdio.h>

#include <jacinth/namespace.h>
#include <jacinth/startup.h>
#include <launchsvc/client.h>
#include <zircon/syscalls.h>

#include "collect.h"
#include "start.h"

static bool connect(const char* path, zx_handle_t* service) {
    zx_handle_t theirs;
    return zx_channel_create(0, service, &theirs) == ZX_OK && jacinth_connect(path, theirs) == 0;
}

// Everything that is passed is gone, whatever happens: the job is needed again.
static zx_handle_t our_job(void) {
    zx_handle_t copy = ZX_HANDLE_INVALID;
    zx_handle_duplicate(zx_job_default(), ZX_RIGHT_SAME_RIGHTS, &copy);
    return copy;
}

int main(int argc, char** argv) {
    struct child_io io;
    zx_handle_t service;
    zx_handle_t loader; // finds the interpreter, if the program is linked with the shared C library
    zx_handle_t program;
    zx_handle_t process;
    uint64_t len;
    char path[256];
    (void)argc;
    path_beside(argv[0], "child", path, sizeof(path));
    if (child_io_make(&io) != ZX_OK || !connect("/svc/fuchsia.process.Launcher", &service) ||
        !connect("/svc/fuchsia.ldsvc.Loader", &loader) ||
        jacinth_open_executable(path, &program, &len) != 0) {
        return 1;
    }
    const char* const args[] = {path, "one", "two words"};
    const char* const environ[] = {"COLOR=green"};
    const uint32_t words[] = {PA_HND(PA_FD, 1), PA_HND(PA_FD, 2), PA_HND(PA_USER0, 0),
                              PA_HND(PA_LDSVC_LOADER, 0)};
    const zx_handle_t handles[] = {io.their_output, io.their_errors, io.their_event, loader};
    zx_status_t status = launchsvc_add_args(service, args, 3);
    if (status == ZX_OK) {
        status = launchsvc_add_environs(service, environ, 1);
    }
    if (status == ZX_OK) {
        status = launchsvc_add_handles(service, words, handles, 4);
    }
    if (status == ZX_OK) {
        status = launchsvc_launch(service, program, our_job(), "child", &process);
    }
    if (status != ZX_OK) {
        fprintf(stderr, "spawn_service: status %d\n", status);
        return 1;
    }
    return child_io_show(&io, process);
}
