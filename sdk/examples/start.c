#include "start.h"

#include <stdio.h>
#include <string.h>

#include <jacinth/namespace.h>
#include <jacinth/startup.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

void path_beside(const char* path0, const char* name, char* path, size_t len) {
    const char* slash = strrchr(path0, '/');
    int folder = slash != NULL ? (int)(slash - path0) : 3;
    const char* root = path0[0] == '/' ? "" : "/boot/";
    snprintf(path, len, "%s%.*s/%s", root, folder, slash != NULL ? path0 : "bin", name);
}

zx_status_t find_interpreter(void* ctx, const char* name, struct launch_file* out) {
    zx_handle_t* found = ctx;
    char path[256];
    snprintf(path, sizeof(path), "/boot/lib/%s", name);
    if (jacinth_open_executable(path, found, &out->len) != 0) {
        return ZX_ERR_NOT_FOUND;
    }
    out->vmo = *found;
    return ZX_OK;
}

zx_status_t start_beside(const char* path0, const char* name, const char* argument,
                         struct launch_handle* handles, uint32_t handle_count, zx_handle_t job,
                         zx_handle_t* process) {
    char path[256];
    path_beside(path0, name, path, sizeof(path));
    struct launch_vdso vdso;
    struct launch_file file = {};
    zx_handle_t interpreter = ZX_HANDLE_INVALID;
    struct launch_result result = launch_vdso_init(&vdso, zx_vmo_vdso());
    if (result.error == LAUNCH_OK && jacinth_open_executable(path, &file.vmo, &file.len) != 0) {
        result.status = ZX_ERR_NOT_FOUND;
    }
    if (result.status == ZX_OK) {
        const char* args[] = {path, argument};
        struct launch_request request = {.job = job,
                                         .name = name,
                                         .file = file,
                                         .vdso = &vdso,
                                         .args = args,
                                         .arg_count = argument != NULL ? 2 : 1,
                                         .handles = handles,
                                         .handle_count = handle_count,
                                         .find_interpreter = find_interpreter,
                                         .find_ctx = &interpreter};
        result = launch(&request, process);
    } else {
        for (uint32_t i = 0; i < handle_count; i++) {
            zx_handle_close(handles[i].handle);
        }
    }
    zx_handle_close(file.vmo);
    zx_handle_close(interpreter);
    if (result.status != ZX_OK) {
        fprintf(stderr, "%s: %s (status %d)\n", path, launch_error_text(result.error),
                result.status);
    }
    return result.status;
}

int64_t wait_for(zx_handle_t process) {
    zx_info_process_t info = {};
    zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, NULL);
    zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), NULL, NULL);
    return info.return_code;
}
