// Slots of exception channels: one listener at a time, and what the end of either side means.
#include <object/exception.h>

#include <zircon/syscalls/exception.h>

#include <debug/ktest.h>
#include <object/job.h>
#include <object/process.h>
#include <object/suspend.h>
#include <object/thread_object.h>
#include <vm/vmar.h>

static bool says_closed(const struct handle* user) {
    return (object_signals(user->object) & ZX_CHANNEL_PEER_CLOSED) != 0;
}

// A process without threads, in a job of its own.
struct family {
    struct job* job;
    struct process* process;
    struct handle job_handle;
};

static void family_make(struct ktest* t, struct family* f) {
    KASSERT(t, job_create(job_root(), &f->job) == STATUS_OK);
    f->job_handle = handle_make(object_ref(job_object(f->job)), 0);
    struct vmar* root;
    KASSERT(t, process_create(f->job, "p", 1, &f->process, &root) == STATUS_OK);
    vmar_unref(root);
}

static void family_drop(struct family* f) {
    handle_discard(&f->job_handle);
    object_unref(process_object(f->process));
    object_unref(job_object(f->job));
}

static void one_listener_at_a_time(struct ktest* t) {
    struct family f;
    family_make(t, &f);
    struct object* p = process_object(f.process);
    struct handle first;
    struct handle second;
    struct handle debugger;
    KEXPECT_EQ(t, exception_channel_create(p, 0, false, &first), STATUS_OK);
    KEXPECT_EQ(t, exception_channel_create(p, 0, false, &second), STATUS_ALREADY_BOUND);
    KEXPECT_EQ(t, exception_channel_create(p, 0, true, &debugger), STATUS_OK);
    struct exception_listener l;
    process_exception_listener(f.process, false, &l);
    KASSERT(t, l.channel != nullptr);
    object_unref(l.channel);
    KEXPECT_EQ(t, l.kind, ZX_EXCEPTION_CHANNEL_TYPE_PROCESS);
    // Gone: nobody listens, and the place is free.
    handle_discard(&first);
    process_exception_listener(f.process, false, &l);
    KEXPECT(t, l.channel == nullptr);
    KEXPECT_EQ(t, exception_channel_create(p, 0, false, &second), STATUS_OK);
    process_kill(f.process, 0);
    KEXPECT(t, says_closed(&second) && says_closed(&debugger));
    KEXPECT_EQ(t, exception_channel_create(p, 0, false, &first), STATUS_BAD_STATE);
    handle_discard(&second);
    handle_discard(&debugger);
    family_drop(&f);
}
KTEST(exception, one_listener_at_a_time);

// A job's debuggers are asked in the order in which they came; those that have gone are passed
// over.
static void debuggers_in_order(struct ktest* t) {
    struct family f;
    family_make(t, &f);
    struct handle debugger[3];
    for (size_t i = 0; i < 3; i++) {
        KEXPECT_EQ(t, exception_channel_create(job_object(f.job), 0, true, &debugger[i]),
                   STATUS_OK);
    }
    KEXPECT(t, job_debuggers_exist() && job_has_debugger(f.job));
    handle_discard(&debugger[1]);
    uint64_t after = 0;
    struct exception_listener l;
    size_t listening = 0;
    while (job_next_debugger(f.job, &after, &l)) {
        KEXPECT_EQ(t, l.kind, ZX_EXCEPTION_CHANNEL_TYPE_JOB_DEBUGGER);
        if (l.channel != nullptr) {
            object_unref(l.channel);
            listening++;
        }
    }
    KEXPECT_EQ(t, listening, 2ul);
    job_kill(f.job, 0);
    KEXPECT(t, says_closed(&debugger[0]) && says_closed(&debugger[2]));
    KEXPECT(t, !job_has_debugger(f.job));
    handle_discard(&debugger[0]);
    handle_discard(&debugger[2]);
    family_drop(&f);
}
KTEST(exception, debuggers_in_order);

// Tokens of a process outlive it, and count down into nothing.
static void tokens_outlive_their_process(struct ktest* t) {
    struct family f;
    family_make(t, &f);
    struct object* tokens[2];
    for (size_t i = 0; i < 2; i++) {
        KEXPECT_EQ(t, suspend_token_create(process_object(f.process), &tokens[i]), STATUS_OK);
    }
    process_kill(f.process, 0);
    struct object* late;
    KEXPECT_EQ(t, suspend_token_create(process_object(f.process), &late), STATUS_BAD_STATE);
    for (size_t i = 0; i < 2; i++) {
        struct handle h = handle_make(tokens[i], 0);
        handle_discard(&h);
    }
    family_drop(&f);
}
KTEST(exception, tokens_outlive_their_process);
