// Starts child.c with arguments, an environment, a handle and its output in a socket of ours, by
// the launcher library.
#include <stdio.h>

#include <jacinth/namespace.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/syscalls.h>

#include "collect.h"
#include "start.h"

int main(int argc, char** argv) {
    struct child_io io;
    struct launch_vdso vdso;
    struct launch_file file = {};
    char path[256];
    (void)argc;
    path_beside(argv[0], "child", path, sizeof(path));
    if (child_io_make(&io) != ZX_OK || launch_vdso_init(&vdso, zx_vmo_vdso()).error != LAUNCH_OK ||
        jacinth_open_executable(path, &file.vmo, &file.len) != 0) {
        return 1;
    }
    // Each handle goes with the word by which the child finds it.
    struct launch_handle handles[] = {
        {PA_HND(PA_FD, 1), io.their_output},
        {PA_HND(PA_FD, 2), io.their_errors},
        {PA_HND(PA_USER0, 0), io.their_event},
    };
    zx_handle_t interpreter = ZX_HANDLE_INVALID;
    const char* args[] = {path, "one", "two words"};
    const char* environ[] = {"COLOR=green"};
    struct launch_request request = {.job = zx_job_default(),
                                     .name = "child",
                                     .file = file,
                                     .vdso = &vdso,
                                     .args = args,
                                     .arg_count = 3,
                                     .environ = environ,
                                     .environ_count = 1,
                                     .handles = handles,
                                     .handle_count = 3,
                                     .find_interpreter = find_interpreter,
                                     .find_ctx = &interpreter};
    zx_handle_t process;
    struct launch_result result = launch(&request, &process);
    zx_handle_close(file.vmo);
    zx_handle_close(interpreter);
    if (result.error != LAUNCH_OK) {
        fprintf(stderr, "spawn: %s\n", launch_error_text(result.error));
        return 1;
    }
    return child_io_show(&io, process);
}
