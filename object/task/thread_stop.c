// Threads that stand still: suspended, or in an exception; and their registers meanwhile. See
// docs/design/exceptions.md.
//
// A thread stands still in one of two places, both reached with its frame complete: on its way to
// user mode (suspension, what it raised itself) and in a fault. It says so in `stop`, under its
// process's lock, before it blocks, and takes that lock again before it goes on. So whoever holds
// the lock and finds it standing has its registers to himself, once it is off its CPU.

#include <zircon/syscalls/exception.h>

#include <arch/thread_state.h>
#include <arch/upcalls.h>
#include <arch/user_copy.h>
#include <object/crash.h>
#include <vm/heap.h>

#include "thread_priv.h"

// ---- suspension ----

static bool is_killed(const struct thread_object* t) {
    return (atomic_load_explicit(&t->kernel->pending, memory_order_relaxed) &
            THREAD_PENDING_KILL) != 0;
}

bool thread_suspension_wanted(struct thread_object* t) {
    return t->suspensions != 0 || process_suspended_locked(t->process);
}

static void set_pending_locked(struct thread_object* t) {
    if (t->phase == THREAD_PHASE_RUNNING) {
        thread_set_pending(t->kernel, THREAD_PENDING_SUSPEND);
    }
}

static void let_go_locked(struct thread_object* t) {
    if (t->resume == nullptr || thread_suspension_wanted(t)) {
        return; // one that has not stopped yet looks for itself
    }
    struct wake_list wl;
    wake_list_begin(&wl);
    (void)wake_list_add(&wl, t->resume, STATUS_OK); // or it was killed meanwhile
    t->resume = nullptr;
    wake_list_flush(&wl);
}

status_t thread_object_suspend(struct thread_object* t) {
    MUTEX_GUARD(process_lock(t->process));
    if (t->phase == THREAD_PHASE_DEAD || is_killed(t) || process_dying_locked(t->process)) {
        return STATUS_BAD_STATE;
    }
    t->suspensions++;
    set_pending_locked(t);
    return STATUS_OK;
}

void thread_object_resume(struct thread_object* t) {
    MUTEX_GUARD(process_lock(t->process));
    t->suspensions--;
    let_go_locked(t);
}

void thread_object_suspend_locked(struct list_node* process_link) {
    set_pending_locked(thread_object_from_link(process_link));
}

void thread_object_resume_locked(struct list_node* process_link) {
    let_go_locked(thread_object_from_link(process_link));
}

// Whether the current thread stands still, or goes on doing so; `w` is where it waits. In one step,
// so that who holds a token and has found it standing finds it so until the token is closed.
static bool stands(struct thread_object* t, struct waiter* w) {
    MUTEX_GUARD(process_lock(t->process));
    bool stood = t->stop == THREAD_STOP_SUSPENDED;
    if (!thread_killed() && thread_suspension_wanted(t)) {
        waiter_init(w);
        t->resume = w;
        t->stop = THREAD_STOP_SUSPENDED;
        if (!stood) {
            object_signal(&t->base, ZX_THREAD_RUNNING, ZX_THREAD_SUSPENDED);
        }
        return true;
    }
    // Whoever sets the bit holds the lock and has counted its token before.
    thread_clear_own_pending(THREAD_PENDING_SUSPEND);
    t->resume = nullptr;
    t->stop = THREAD_GOES;
    if (stood) {
        object_signal(&t->base, ZX_THREAD_SUSPENDED, ZX_THREAD_RUNNING);
    }
    return false;
}

void thread_stand_still(void) {
    struct thread_object* t = thread_object_current();
    UNINITIALIZED struct waiter w;
    while (stands(t, &w)) {
        // Only to be resumed, or killed: either way it looks again.
        (void)!waiter_block(&w, TIME_INFINITE, WAIT_KILLABLE, 0);
    }
}

// ---- exceptions ----

void thread_object_stop_for_exception(struct thread_object* t, uint32_t kind,
                                      const struct arch_exception_report* report) {
    MUTEX_GUARD(process_lock(t->process));
    t->stop = THREAD_STOP_EXCEPTION;
    t->exception_kind = kind;
    t->raised = report;
}

void thread_object_go_on(struct thread_object* t) {
    MUTEX_GUARD(process_lock(t->process));
    t->stop = THREAD_GOES;
    t->exception_kind = ZX_EXCEPTION_CHANNEL_TYPE_NONE;
    t->raised = nullptr;
}

status_t thread_object_bind_exceptions(struct thread_object* t, zx_rights_t rights,
                                       struct handle* end) {
    MUTEX_GUARD(process_lock(t->process));
    if (t->phase == THREAD_PHASE_DEAD || process_dying_locked(t->process)) {
        return STATUS_BAD_STATE;
    }
    return exception_slot_bind(&t->exceptions, rights, end);
}

void thread_object_exception_listener(struct thread_object* t, struct exception_listener* out) {
    MUTEX_GUARD(process_lock(t->process));
    exception_slot_listener(&t->exceptions, ZX_EXCEPTION_CHANNEL_TYPE_THREAD, out);
}

status_t thread_object_exception_report(struct thread_object* t, zx_exception_report_t* out) {
    MUTEX_GUARD(process_lock(t->process));
    const struct arch_exception_report* r = t->raised;
    if (r == nullptr) {
        return STATUS_BAD_STATE;
    }
    exception_fill_report(r, out);
    return STATUS_OK;
}

void thread_leave(void) {
    bool exits;
    if (!thread_killed() && process_has_debugger(process_current())) {
        exception_tell_debugger(ZX_EXCP_THREAD_EXITING, &exits);
    }
    thread_object_exit_current();
}

// Nobody handled it: the process ends.
[[noreturn]] static void die(struct arch_user_frame* frame,
                             const struct arch_exception_report* report) {
    crash_report(frame, report);
    process_die_of(report);
    thread_object_exit_current();
}

void arch_upcall_user_exception(struct arch_user_frame* frame,
                                const struct arch_exception_report* report) {
    bool exits;
    if (exception_raise(report, &exits)) {
        return;
    }
    // Also when a kill ended the wait of a page fault for a pager: that is no crash.
    if (exits || thread_killed()) {
        thread_leave();
    }
    die(frame, report);
}

static void announce_start(struct thread_object* t) {
    bool exits = false;
    if (t->first) {
        exception_tell_job_debuggers(
            &(struct arch_exception_report){.type = ZX_EXCP_PROCESS_STARTING}, &exits);
    }
    if (!exits) {
        exception_tell_debugger(ZX_EXCP_THREAD_STARTING, &exits);
    }
    if (exits) {
        thread_leave();
    }
}

// What user mode raised itself goes to job debuggers, and ends nobody; the rest is an error.
static void raise(struct arch_user_frame* frame, const struct arch_exception_report* report) {
    if (report->type != ZX_EXCP_USER) {
        arch_upcall_user_exception(frame, report);
        return;
    }
    bool exits;
    exception_tell_job_debuggers(report, &exits);
    if (exits) {
        thread_leave();
    }
}

void thread_do_errand(struct arch_user_frame* frame) {
    struct thread_object* t = thread_object_current();
    enum thread_errand errand = t->errand;
    t->errand = THREAD_ERRAND_NONE;
    thread_clear_own_pending(THREAD_PENDING_EXCEPTION);
    switch (errand) {
    case THREAD_ERRAND_START:
        announce_start(t);
        return;
    case THREAD_ERRAND_RAISE:
        raise(frame, &t->errand_report);
        return;
    case THREAD_ERRAND_EXIT:
        thread_leave();
    default:
        return;
    }
}

// ---- registers ----

struct state_access {
    uint32_t topic;
    void* state;
};

static void get_state(struct thread* k, void* arg) {
    const struct state_access* a = arg;
    arch_thread_state_get(k, a->topic, a->state);
}

static void set_state(struct thread* k, void* arg) {
    const struct state_access* a = arg;
    arch_thread_state_set(k, a->topic, a->state);
}

// Under the process's lock, of a thread that stands: it leaves its CPU at once, either because it
// blocks or because it waits for that lock.
static void access_locked(struct thread_object* t, void (*fn)(struct thread* k, void* arg),
                          struct state_access* a) {
    while (!thread_call_off_cpu(t->kernel, fn, a)) {
        thread_yield();
    }
}

static bool stands_locked(const struct thread_object* t) {
    return t->phase == THREAD_PHASE_RUNNING && t->stop != THREAD_GOES;
}

static status_t read_state(struct thread_object* t, struct state_access* a) {
    MUTEX_GUARD(process_lock(t->process));
    if (!stands_locked(t)) {
        return STATUS_BAD_STATE;
    }
    access_locked(t, get_state, a);
    return STATUS_OK;
}

static status_t write_state(struct thread_object* t, struct state_access* a) {
    MUTEX_GUARD(process_lock(t->process));
    if (!stands_locked(t)) {
        return STATUS_BAD_STATE;
    }
    TRY(arch_thread_state_check(t->kernel, a->topic, a->state));
    access_locked(t, set_state, a);
    return STATUS_OK;
}

static void free_state(void** state) {
    heap_free(*state);
}
#define STATE CLEANUP(free_state) void*

status_t thread_object_read_state(struct thread_object* t, uint32_t topic, void __user* buffer,
                                  size_t size) {
    size_t need = arch_thread_state_size(topic);
    if (need == 0) {
        return STATUS_INVALID_ARGS;
    }
    if (size < need) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    STATE state = heap_alloc_zero(need);
    if (state == nullptr) {
        return STATUS_NO_MEMORY;
    }
    TRY(read_state(t, &(struct state_access){.topic = topic, .state = state}));
    return arch_copy_to_user(buffer, state, need) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

status_t thread_object_write_state(struct thread_object* t, uint32_t topic,
                                   const void __user* buffer, size_t size) {
    if (size == 0 || size != arch_thread_state_size(topic)) {
        return STATUS_INVALID_ARGS;
    }
    STATE state = heap_alloc(size);
    if (state == nullptr) {
        return STATUS_NO_MEMORY;
    }
    if (arch_copy_from_user(state, buffer, size) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return write_state(t, &(struct state_access){.topic = topic, .state = state});
}
