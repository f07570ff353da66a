#include <tasks/tasks.h>

#include <stdlib.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

constexpr uint32_t JOB_DEPTH_MAX = 32; // the kernel's limit

// A list may grow between asking how long it is and asking for it.
zx_status_t tasks_list(zx_handle_t handle, uint32_t topic, size_t record_size, void** out,
                       size_t* count) {
    size_t capacity = 16;
    for (;;) {
        size_t avail = 0;
        void* list = calloc(capacity, record_size);
        if (list == nullptr) {
            return ZX_ERR_NO_MEMORY;
        }
        zx_status_t status =
            zx_object_get_info(handle, topic, list, capacity * record_size, count, &avail);
        if (status == ZX_OK && avail <= capacity) {
            *out = list;
            return ZX_OK;
        }
        free(list);
        if (status != ZX_OK) {
            return status;
        }
        capacity = avail + avail / 2;
    }
}

struct walk {
    task_fn visit;
    void* ctx;
    bool stopped;
};

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
    void* list = nullptr;
    size_t count = 0;
    zx_status_t status = tasks_list(job, jobs ? ZX_INFO_JOB_CHILDREN : ZX_INFO_JOB_PROCESSES,
                                    sizeof(zx_koid_t), &list, &count);
    const zx_koid_t* koids = list;
    for (size_t i = 0; i < count && status == ZX_OK && !w->stopped; i++) {
        status = walk_child(w, job, koids[i], jobs, depth);
    }
    free(list);
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

struct search {
    zx_koid_t koid;
    zx_handle_t found;
    bool is_job;
};

static bool take_if_found(void* ctx, const struct task* task) {
    struct search* s = ctx;
    if (task->koid != s->koid) {
        return true;
    }
    s->is_job = task->is_job;
    (void)zx_handle_duplicate(task->handle, ZX_RIGHT_SAME_RIGHTS, &s->found);
    return false;
}

zx_status_t tasks_find(zx_handle_t job, zx_koid_t koid, bool* is_job, zx_handle_t* out) {
    struct search s = {.koid = koid};
    zx_status_t status = tasks_walk(job, take_if_found, &s);
    if (status != ZX_OK) {
        return status;
    }
    if (s.found == ZX_HANDLE_INVALID) {
        return ZX_ERR_NOT_FOUND;
    }
    *is_job = s.is_job;
    *out = s.found;
    return ZX_OK;
}

zx_status_t tasks_find_process(zx_handle_t job, zx_koid_t koid, zx_handle_t* out) {
    bool is_job;
    zx_handle_t task;
    zx_status_t status = tasks_find(job, koid, &is_job, &task);
    if (status == ZX_OK && is_job) {
        (void)zx_handle_close(task);
        return ZX_ERR_WRONG_TYPE;
    }
    if (status == ZX_OK) {
        *out = task;
    }
    return status;
}
