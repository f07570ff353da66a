#include "tasks.h"

#include <stdlib.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

constexpr uint32_t JOB_DEPTH_MAX = 32; // the kernel's limit

struct walk {
    task_fn visit;
    void* ctx;
    bool stopped;
};

struct koids {
    zx_koid_t* list;
    size_t count;
};

// A list as long as it is now: it may grow between asking how long and asking for it.
static zx_status_t read_koids(zx_handle_t job, uint32_t topic, struct koids* out) {
    *out = (struct koids){};
    size_t capacity = 16;
    for (;;) {
        size_t avail = 0;
        zx_koid_t* list = malloc(capacity * sizeof(*list));
        if (list == nullptr) {
            return ZX_ERR_NO_MEMORY;
        }
        zx_status_t status =
            zx_object_get_info(job, topic, list, capacity * sizeof(*list), &out->count, &avail);
        if (status == ZX_OK && avail <= capacity) {
            out->list = list;
            return ZX_OK;
        }
        free(list);
        if (status != ZX_OK) {
            return status;
        }
        capacity = avail + avail / 2;
    }
}

static zx_status_t walk_job(struct walk* w, zx_handle_t job, zx_koid_t koid, uint32_t depth);

static zx_status_t walk_child(struct walk* w, zx_handle_t job, zx_koid_t koid, bool is_job,
                              uint32_t depth) {
    zx_handle_t child;
    if (zx_object_get_child(job, koid, ZX_RIGHT_SAME_RIGHTS, &child) != ZX_OK) {
        return ZX_OK; // gone meanwhile
    }
    zx_status_t status = ZX_OK;
    if (is_job) {
        status = walk_job(w, child, koid, depth);
    } else {
        struct task task = {.handle = child, .koid = koid, .depth = depth};
        w->stopped = !w->visit(w->ctx, &task);
    }
    (void)zx_handle_close(child);
    return status;
}

static zx_status_t walk_list(struct walk* w, zx_handle_t job, bool jobs, uint32_t depth) {
    struct koids koids;
    zx_status_t status =
        read_koids(job, jobs ? ZX_INFO_JOB_CHILDREN : ZX_INFO_JOB_PROCESSES, &koids);
    for (size_t i = 0; i < koids.count && status == ZX_OK && !w->stopped; i++) {
        status = walk_child(w, job, koids.list[i], jobs, depth);
    }
    free(koids.list);
    return status;
}

static zx_status_t walk_job(struct walk* w, zx_handle_t job, zx_koid_t koid, uint32_t depth) {
    struct task task = {.handle = job, .koid = koid, .is_job = true, .depth = depth};
    w->stopped = !w->visit(w->ctx, &task);
    if (w->stopped || depth > JOB_DEPTH_MAX) {
        return ZX_OK;
    }
    zx_status_t status = walk_list(w, job, false, depth + 1);
    return status == ZX_OK && !w->stopped ? walk_list(w, job, true, depth + 1) : status;
}

zx_status_t tasks_walk(zx_handle_t job, task_fn visit, void* ctx) {
    zx_info_handle_basic_t info;
    zx_status_t status =
        zx_object_get_info(job, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr, nullptr);
    if (status != ZX_OK) {
        return status;
    }
    struct walk w = {.visit = visit, .ctx = ctx};
    return walk_job(&w, job, info.koid, 0);
}
