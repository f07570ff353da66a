// Jobs: what a chain of critical processes costs the kernel's stack.
#include <object/job.h>

#include <zircon/syscalls/object.h>

#include <debug/ktest.h>
#include <object/handle.h>
#include <object/process.h>
#include <vm/vmar.h>

// As deep in the stack as a system call, its wrapper and an interrupt may be.
static NOINLINE void kill_from_below(struct job* j, int64_t retcode, int levels) {
    volatile uint8_t ballast[512];
    ballast[0] = 1;
    if (levels > 1) {
        kill_from_below(j, retcode, levels - 1);
    } else {
        job_kill(j, retcode);
    }
    ballast[0] = 2;
}

// Each job of the deepest possible chain has a process that the job above cannot do without: the
// end of the lowest takes all of them along, one by one.
static void critical_chain_does_not_nest(struct ktest* t) {
    struct job* jobs[JOB_MAX_HEIGHT] = {};
    struct process* processes[JOB_MAX_HEIGHT] = {};
    uint32_t made = 0;
    for (struct job* above = job_root(); made < JOB_MAX_HEIGHT; above = jobs[made++]) {
        KASSERT(t, job_create(above, &jobs[made]) == STATUS_OK);
        struct vmar* root;
        KASSERT(t, process_create(jobs[made], "p", 1, &processes[made], &root) == STATUS_OK);
        vmar_unref(root);
        if (made > 0) {
            KEXPECT_EQ(t, job_set_critical(above, processes[made], false), STATUS_OK);
        }
    }
    kill_from_below(jobs[made - 1], 7, 4);
    zx_info_job_t info;
    job_get_info(jobs[made - 1], &info);
    KEXPECT_EQ(t, info.return_code, 7);
    job_get_info(jobs[0], &info);
    KEXPECT(t, info.exited);
    KEXPECT_EQ(t, info.return_code, ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL);
    for (uint32_t i = 0; i < made; i++) {
        zx_info_process_t ended;
        process_get_info(processes[i], &ended);
        KEXPECT(t, (ended.flags & ZX_INFO_PROCESS_FLAG_EXITED) != 0);
        KEXPECT(t, (object_signals(job_object(jobs[i])) & ZX_JOB_TERMINATED) != 0);
        object_unref(process_object(processes[i]));
        object_unref(job_object(jobs[i]));
    }
}
KTEST(job, critical_chain_does_not_nest);

// One process is critical to the job two levels up, another to the job in between: both jobs go,
// with the code of a critical end.
static void criticals_of_several_levels(struct ktest* t) {
    struct job* jobs[3];
    struct process* p[2];
    struct handle handles[3]; // or the upper ones would end with their last child, of old age
    for (uint32_t i = 0; i < 3; i++) {
        KASSERT(t, job_create(i == 0 ? job_root() : jobs[i - 1], &jobs[i]) == STATUS_OK);
        handles[i] = handle_make(object_ref(job_object(jobs[i])), 0);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct vmar* root;
        KASSERT(t, process_create(jobs[2], "p", 1, &p[i], &root) == STATUS_OK);
        vmar_unref(root);
        KEXPECT_EQ(t, job_set_critical(jobs[i], p[i], false), STATUS_OK);
    }
    job_kill(jobs[2], 7);
    for (uint32_t i = 0; i < 3; i++) {
        zx_info_job_t info;
        job_get_info(jobs[i], &info);
        KEXPECT(t, info.exited);
        KEXPECT_EQ(t, info.return_code, i == 2 ? 7 : ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL);
        handle_discard(&handles[i]);
        object_unref(job_object(jobs[i]));
    }
    for (uint32_t i = 0; i < 2; i++) {
        object_unref(process_object(p[i]));
    }
}
KTEST(job, criticals_of_several_levels);
