// Jobs and processes that never run: the tree's height, killing it, critical processes, resources.
#include <object/job.h>

#include <debug/ktest.h>
#include <object/handle.h>
#include <object/process.h>
#include <object/resource.h>
#include <vm/heap.h>
#include <vm/vmar.h>

#include "../testing/ktest_user.h"

static status_t new_job(struct job* parent, struct handle* out) {
    struct job* j;
    TRY(job_create(parent, &j));
    *out = test_handle(job_object(j));
    return STATUS_OK;
}

static struct job* job_of(const struct handle* h) {
    return job_from_object(h->object);
}

static status_t new_process(struct job* j, struct handle* out) {
    struct process* p;
    struct vmar* root;
    TRY(process_create(j, "ktest", 5, &p, &root));
    vmar_unref(root);
    *out = test_handle(process_object(p));
    return STATUS_OK;
}

static void the_tree_has_a_greatest_height(struct ktest* t) {
    struct handle chain[JOB_MAX_HEIGHT] = {};
    struct job* parent = job_root();
    uint32_t depth = 0;
    status_t status = STATUS_OK;
    while (depth < JOB_MAX_HEIGHT && (status = new_job(parent, &chain[depth])) == STATUS_OK) {
        parent = job_of(&chain[depth]);
        depth++;
    }
    HANDLE one_more = {};
    KEXPECT_EQ(t, new_job(parent, &one_more), STATUS_OUT_OF_RANGE);
    KEXPECT(t, depth + 1 >= JOB_MAX_HEIGHT);
    // Killed at the top, dead at the bottom.
    struct handle p = {};
    KASSERT(t, new_process(parent, &p) == STATUS_OK);
    job_kill(job_of(&chain[0]), -7);
    KEXPECT(t, (object_signals(p.object) & ZX_PROCESS_TERMINATED) != 0);
    for (uint32_t i = 0; i < depth; i++) {
        KEXPECT(t, (object_signals(chain[i].object) & ZX_JOB_TERMINATED) != 0);
        zx_info_job_t info;
        job_get_info(job_of(&chain[i]), &info);
        KEXPECT(t, info.exited != 0);
        KEXPECT_EQ(t, info.return_code, i == 0 ? -7 : info.return_code);
    }
    KEXPECT_EQ(t, new_job(job_of(&chain[0]), &one_more), STATUS_BAD_STATE);
    KEXPECT_EQ(t, new_process(job_of(&chain[0]), &one_more), STATUS_BAD_STATE);
    handle_discard(&p);
    for (uint32_t i = 0; i < depth; i++) {
        handle_discard(&chain[i]);
    }
}
KTEST(job, the_tree_has_a_greatest_height);

static void killing_a_job_reaches_a_thousand_processes(struct ktest* t) {
    constexpr uint32_t JOBS = 10;
    constexpr uint32_t PROCESSES = 1000;
    struct handle top = {};
    struct handle jobs[JOBS] = {};
    struct handle* processes = heap_alloc_zero(PROCESSES * sizeof(*processes));
    KASSERT(t, processes != nullptr && new_job(job_root(), &top) == STATUS_OK);
    for (uint32_t i = 0; i < JOBS; i++) {
        KASSERT(t,
                new_job(i % 2 == 0 ? job_of(&top) : job_of(&jobs[i - 1]), &jobs[i]) == STATUS_OK);
    }
    for (uint32_t i = 0; i < PROCESSES; i++) {
        KASSERT(t, new_process(job_of(&jobs[i % JOBS]), &processes[i]) == STATUS_OK);
    }
    KEXPECT_EQ(t, object_signals(top.object) & ZX_JOB_NO_JOBS, 0u);
    job_kill(job_of(&top), ZX_TASK_RETCODE_SYSCALL_KILL);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        KEXPECT(t, (object_signals(processes[i].object) & ZX_PROCESS_TERMINATED) != 0);
        handle_discard(&processes[i]);
    }
    KEXPECT(t, (object_signals(top.object) & ZX_JOB_NO_JOBS) != 0);
    for (uint32_t i = 0; i < JOBS; i++) {
        KEXPECT(t, (object_signals(jobs[i].object) & ZX_JOB_TERMINATED) != 0);
        handle_discard(&jobs[i]);
    }
    handle_discard(&top);
    heap_free(processes);
}
KTEST_WITH(job, killing_a_job_reaches_a_thousand_processes, 0, 30'000);

static void a_critical_process_takes_its_job_along(struct ktest* t) {
    HANDLE top = {};
    HANDLE below = {};
    HANDLE p = {};
    HANDLE other = {};
    KASSERT(t, new_job(job_root(), &top) == STATUS_OK);
    KASSERT(t, new_job(job_of(&top), &below) == STATUS_OK);
    KASSERT(t, new_process(job_of(&below), &p) == STATUS_OK);
    KASSERT(t, new_process(job_of(&top), &other) == STATUS_OK);
    struct process* process = process_from_object(p.object);
    // Only a job that stands above it.
    KEXPECT_EQ(t, job_set_critical(job_of(&below), process_from_object(other.object), false),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, job_set_critical(job_of(&top), process, false), STATUS_OK);
    KEXPECT_EQ(t, job_set_critical(job_of(&top), process, false), STATUS_ALREADY_BOUND);
    process_kill(process, 0);
    KEXPECT(t, (object_signals(other.object) & ZX_PROCESS_TERMINATED) != 0);
    KEXPECT(t, (object_signals(top.object) & ZX_JOB_TERMINATED) != 0);
    zx_info_job_t info;
    job_get_info(job_of(&top), &info);
    KEXPECT_EQ(t, info.return_code, ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL);
}
KTEST(job, a_critical_process_takes_its_job_along);

static void policy_only_becomes_stricter(struct ktest* t) {
    HANDLE top = {};
    HANDLE below = {};
    KASSERT(t, new_job(job_root(), &top) == STATUS_OK);
    const zx_policy_basic_v2_t deny = {.condition = ZX_POL_NEW_CHANNEL,
                                       .action = ZX_POL_ACTION_DENY,
                                       .flags = ZX_POL_OVERRIDE_DENY};
    const zx_policy_basic_v2_t allow = {.condition = ZX_POL_NEW_CHANNEL,
                                        .action = ZX_POL_ACTION_ALLOW,
                                        .flags = ZX_POL_OVERRIDE_DENY};
    KEXPECT_EQ(t, job_set_policy(job_of(&top), true, &deny, 1), STATUS_OK);
    KASSERT(t, new_job(job_of(&top), &below) == STATUS_OK);
    KEXPECT_EQ(t, job_set_policy(job_of(&top), true, &deny, 1), STATUS_BAD_STATE); // has a child
    KEXPECT(t, job_set_policy(job_of(&below), true, &allow, 1) != STATUS_OK);
    KEXPECT_EQ(t, job_set_policy(job_of(&below), false, &allow, 1), STATUS_OK); // relative: ignored
}
KTEST(job, policy_only_becomes_stricter);

static void resources_stay_within_their_parents(struct ktest* t) {
    struct resource* root;
    KASSERT(t,
            resource_create_root(ZX_RSRC_KIND_IOPORT, 0x1000, 0x100, "ktest", &root) == STATUS_OK);
    HANDLE h = test_handle(resource_object(root));
    struct resource* r;
    KEXPECT_EQ(t, resource_create(root, ZX_RSRC_KIND_MMIO, 0x1000, 1, "", 0, &r),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, resource_create(root, ZX_RSRC_KIND_IOPORT, 0xfff, 2, "", 0, &r),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, resource_create(root, ZX_RSRC_KIND_IOPORT, 0x10ff, 2, "", 0, &r),
               STATUS_ACCESS_DENIED);
    KEXPECT_EQ(t, resource_create(root, ZX_RSRC_KIND_IOPORT, 0x1000, 0, "", 0, &r),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, resource_create(root, ZX_RSRC_KIND_IOPORT, UINT64_MAX, 2, "", 0, &r),
               STATUS_INVALID_ARGS);
    KASSERT(t, resource_create(root, ZX_RSRC_KIND_IOPORT | ZX_RSRC_FLAG_EXCLUSIVE, 0x1010, 16, "x",
                               1, &r) == STATUS_OK);
    HANDLE exclusive = test_handle(resource_object(r));
    KEXPECT_EQ(t, resource_check(r, ZX_RSRC_KIND_IOPORT, 0x1010, 16), STATUS_OK);
    KEXPECT_EQ(t, resource_check(r, ZX_RSRC_KIND_IOPORT, 0x1010, 17), STATUS_OUT_OF_RANGE);
    KEXPECT_EQ(t, resource_check(r, ZX_RSRC_KIND_MMIO, 0x1010, 1), STATUS_WRONG_TYPE);
    KEXPECT_EQ(t, resource_create(root, ZX_RSRC_KIND_IOPORT, 0x101f, 1, "", 0, &r),
               STATUS_NOT_FOUND);
    KASSERT(t, resource_create(root, ZX_RSRC_KIND_IOPORT, 0x1020, 1, "", 0, &r) == STATUS_OK);
    HANDLE beside = test_handle(resource_object(r));
}
KTEST(resource, resources_stay_within_their_parents);
