// Starts a program many times over, one after the other, and checks that every run ends with 0:
// spawn COUNT PATH [ARG...]. A soak of everything that a start and an end of a process involve.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

static bool run_once(const struct launch_request* request, const char* path) {
    zx_handle_t process;
    struct launch_result result = launch(request, &process);
    if (result.error != LAUNCH_OK) {
        fprintf(stderr, "spawn: %s: %s: %s (%s)\n", path, launch_error_text(result.error),
                elf_error_text(result.elf), zx_status_get_string(result.status));
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
    if (argc < 3) {
        fprintf(stderr, "usage: spawn COUNT PATH [ARG...]\n");
        return 2;
    }
    unsigned long long count = strtoull(argv[1], nullptr, 10);
    struct launch_vdso vdso;
    struct launch_file file = {};
    zx_status_t status = bootsvc_open(bootsvc_startup(), argv[2], &file.vmo, &file.len);
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
        if (!run_once(&request, argv[2])) {
            fprintf(stderr, "spawn: at run %llu\n", i);
            return 1;
        }
    }
    zx_time_t spent = zx_clock_get_monotonic() - begin;
    printf("spawn: %llu runs, %lld us each\n", count,
           count > 0 ? (long long)(spent / 1000) / (long long)count : 0);
    return 0;
}
