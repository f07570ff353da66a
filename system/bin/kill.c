// Kills jobs and processes by koid: kill KOID...
#include <stdio.h>
#include <stdlib.h>

#include <jacinth/startup.h>
#include <system/grants.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

#include "tasks.h"

struct search {
    zx_koid_t koid;
    bool found;
    zx_status_t status;
};

static bool kill_if_found(void* ctx, const struct task* task) {
    struct search* s = ctx;
    if (task->koid != s->koid) {
        return true;
    }
    s->found = true;
    s->status = zx_task_kill(task->handle);
    return false;
}

static zx_status_t kill_one(zx_handle_t root, const char* text) {
    char* end;
    struct search s = {.koid = strtoull(text, &end, 0)};
    if (end == text || *end != '\0') {
        return ZX_ERR_INVALID_ARGS;
    }
    zx_status_t status = tasks_walk(root, kill_if_found, &s);
    if (status == ZX_OK) {
        status = s.found ? s.status : ZX_ERR_NOT_FOUND;
    }
    return status;
}

int main(int argc, char** argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: kill KOID...\n");
        return 2;
    }
    zx_handle_t root = zx_take_startup_handle(GRANTED_ROOT_JOB);
    int result = 0;
    for (int i = 1; i < argc; i++) {
        zx_status_t status = kill_one(root, argv[i]);
        if (status != ZX_OK) {
            fprintf(stderr, "kill: %s: %s\n", argv[i], zx_status_get_string(status));
            result = 1;
        }
    }
    return result;
}
