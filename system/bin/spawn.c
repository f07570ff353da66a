// Starts a program many times over, one after the other, and checks that every run ends with 0:
// spawn [-s] COUNT PATH [ARG...]. A soak of everything that a start and an end of a process
// involve. -s: through the launcher service instead of the library.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <launchsvc/client.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "ns.h"
#include "tool.h"

static zx_handle_t duplicate(zx_handle_t handle) {
    zx_handle_t copy = ZX_HANDLE_INVALID;
    (void)zx_handle_duplicate(handle, ZX_RIGHT_SAME_RIGHTS, &copy);
    return copy;
}

static bool start_by_service(zx_handle_t service, const struct launch_request* r,
                             zx_handle_t* process) {
    zx_status_t status = launchsvc_add_args(service, r->args, r->arg_count);
    if (status == ZX_OK) {
        status =
            launchsvc_launch(service, duplicate(r->file.vmo), duplicate(r->job), r->name, process);
    }
    if (status != ZX_OK) {
        fprintf(stderr, "spawn: %s: %s\n", r->name, zx_status_get_string(status));
    }
    return status == ZX_OK;
}

static bool start_by_library(const struct launch_request* r, zx_handle_t* process) {
    struct launch_result result = launch(r, process);
    if (result.error != LAUNCH_OK) {
        fprintf(stderr, "spawn: %s: %s: %s (%s)\n", r->name, launch_error_text(result.error),
                elf_error_text(result.elf), zx_status_get_string(result.status));
    }
    return result.error == LAUNCH_OK;
}

static bool run_once(zx_handle_t service, const struct launch_request* request, const char* path) {
    zx_handle_t process = ZX_HANDLE_INVALID;
    bool started = service != ZX_HANDLE_INVALID ? start_by_service(service, request, &process)
                                                : start_by_library(request, &process);
    if (!started) {
        return false;
    }
    zx_info_process_t info = {};
    zx_status_t status =
        zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr);
    if (status == ZX_OK) {
        status =
            zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr);
    }
    (void)zx_handle_close(process);
    if (status != ZX_OK || info.return_code != 0) {
        fprintf(stderr, "spawn: %s: %s, return code %lld\n", path, zx_status_get_string(status),
                (long long)info.return_code);
    }
    return status == ZX_OK && info.return_code == 0;
}

int main(int argc, char** argv) {
    zx_handle_t service = ZX_HANDLE_INVALID;
    if (argc > 1 && strcmp(argv[1], "-s") == 0) {
        (void)tool_connect("fuchsia.process.Launcher", &service);
        argc--;
        argv++;
    }
    char* end = nullptr;
    unsigned long long count = argc > 1 ? strtoull(argv[1], &end, 10) : 0;
    if (argc < 3 || end == argv[1] || *end != '\0') {
        fprintf(stderr, "usage: spawn [-s] COUNT PATH [ARG...]\n");
        return 2;
    }
    struct launch_vdso vdso;
    struct launch_file file = {};
    struct io_opened opened = {};
    zx_status_t status =
        ns_open("/boot", JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_DIRECTORY, &opened);
    if (status == ZX_OK) {
        status = bootsvc_open(opened.connection, argv[2], &file.vmo, &file.len);
    }
    if (status != ZX_OK || launch_vdso_init(&vdso, zx_vmo_vdso()).error != LAUNCH_OK) {
        fprintf(stderr, "spawn: %s: %s\n", argv[2], zx_status_get_string(status));
        return 1;
    }
    struct launch_request request = {.job = zx_job_default(),
                                     .name = argv[2],
                                     .file = file,
                                     .vdso = &vdso,
                                     .args = (const char* const*)argv + 2,
                                     .arg_count = (uint32_t)argc - 2};
    zx_time_t begin = zx_clock_get_monotonic();
    for (unsigned long long i = 0; i < count; i++) {
        if (!run_once(service, &request, argv[2])) {
            fprintf(stderr, "spawn: at run %llu\n", i);
            return 1;
        }
    }
    zx_time_t spent = zx_clock_get_monotonic() - begin;
    printf("spawn: %llu runs, %lld us each\n", count,
           count > 0 ? (long long)(spent / 1000) / (long long)count : 0);
    return 0;
}
