// Exceptions. See <object/exception.h>, and docs/design/exceptions.md for the races.
//
// Each listener gets an exception object of its own. Its life, as the raising thread sees it:
//
//     offer()  made --channel_write--> in the channel --read--> a handle of the listener's
//                 |                           |                        |
//                 |                  (channel closed)            (handle closed, or its holder
//                 ends)
//                 +--- nobody listens         +------- last handle gone -------+
//                                                            |
//     the thread waits (killably) --------------------- `waiter` is claimed: look at `state`
//
// Locks: the object's own spinlock guards `waiter` and `gone`. The raising thread holds none while
// it waits.

#include <object/exception.h>

#include <zircon/syscalls/exception.h>
#include <zircon/syscalls/object.h>

#include <object/channel.h>
#include <object/job.h>
#include <object/process.h>
#include <object/thread_object.h>
#include <vm/heap.h>

struct exception {
    struct object base;
    struct thread_object* thread; // immutable, with a reference
    zx_rights_t rights;           // immutable: of the handles to thread and process
    uint32_t kind;                // immutable: ZX_EXCEPTION_CHANNEL_TYPE_*
    bool second;                  // immutable: the debugger has had its first chance
    _Atomic(uint32_t) state;      // ZX_EXCEPTION_STATE_*
    _Atomic(uint32_t) strategy;   // ZX_EXCEPTION_STRATEGY_*
    struct waiter* waiter;        // under the object's lock; null: nobody waits (any more)
    bool gone;                    // under the object's lock: no handle is left, and none comes
};

SLAB_CACHE(exception_cache, struct exception);

static struct exception* exception_of(struct object* o) {
    return container_of(o, struct exception, base);
}

// ---- the object ----

static void exception_on_zero_handles(struct object* o) {
    struct exception* e = exception_of(o);
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(o));
    e->gone = true;
    if (e->waiter != nullptr) {
        (void)wake_list_add(&wl, e->waiter, STATUS_OK); // or it was killed meanwhile
        e->waiter = nullptr;
    }
    spin_release(object_lock(o));
    wake_list_flush(&wl);
}

static void exception_destroy(struct object* o) {
    object_unref(thread_object_base(exception_of(o)->thread));
}

static void exception_free_memory(struct object* o) {
    slab_free(&exception_cache, exception_of(o));
}

static zx_koid_t exception_related_koid(struct object* o) {
    return thread_object_base(exception_of(o)->thread)->koid;
}

static const struct object_ops exception_ops = {
    .type = ZX_OBJ_TYPE_EXCEPTION,
    .name = "exception",
    .default_rights = ZX_DEFAULT_EXCEPTION_RIGHTS,
    .waitable = false,
    .on_zero_handles = exception_on_zero_handles,
    .destroy = exception_destroy,
    .free_memory = exception_free_memory,
    .related_koid = exception_related_koid,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(exception_ops);

struct exception* exception_from_object(struct object* o) {
    return o->ops == &exception_ops ? exception_of(o) : nullptr;
}

void exception_get_thread(struct exception* e, struct handle* out) {
    *out = handle_make(object_ref(thread_object_base(e->thread)),
                       e->rights & ZX_DEFAULT_THREAD_RIGHTS);
}

status_t exception_get_process(struct exception* e, struct handle* out) {
    if (e->kind == ZX_EXCEPTION_CHANNEL_TYPE_THREAD) {
        return STATUS_ACCESS_DENIED;
    }
    *out = handle_make(object_ref(process_object(thread_object_process(e->thread))),
                       e->rights & ZX_DEFAULT_PROCESS_RIGHTS);
    return STATUS_OK;
}

uint32_t exception_state(struct exception* e) {
    return atomic_load_explicit(&e->state, memory_order_relaxed);
}

status_t exception_set_state(struct exception* e, uint32_t state) {
    if (state > ZX_EXCEPTION_STATE_THREAD_EXIT) {
        return STATUS_INVALID_ARGS;
    }
    atomic_store_explicit(&e->state, state, memory_order_relaxed);
    return STATUS_OK;
}

uint32_t exception_strategy(struct exception* e) {
    return atomic_load_explicit(&e->strategy, memory_order_relaxed);
}

status_t exception_set_strategy(struct exception* e, uint32_t strategy) {
    if (strategy > ZX_EXCEPTION_STRATEGY_SECOND_CHANCE) {
        return STATUS_INVALID_ARGS;
    }
    if (e->kind != ZX_EXCEPTION_CHANNEL_TYPE_DEBUGGER || e->second) {
        return STATUS_BAD_STATE;
    }
    atomic_store_explicit(&e->strategy, strategy, memory_order_relaxed);
    return STATUS_OK;
}

// ---- slots ----

bool exception_slot_bound(const struct exception_slot* s) {
    return s->end.object != nullptr &&
           (object_signals(s->end.object) & ZX_CHANNEL_PEER_CLOSED) == 0;
}

status_t exception_slot_bind(struct exception_slot* s, zx_rights_t rights, struct handle* end) {
    if (exception_slot_bound(s)) {
        return STATUS_ALREADY_BOUND;
    }
    struct handle before = s->end;
    s->end = *end;
    s->rights = rights;
    *end = before;
    return STATUS_OK;
}

// Also under the task's lock: the kernel's end has no messages (nobody can write to it), so nothing
// but the channel's own spinlock is taken.
void exception_slot_close(struct exception_slot* s) {
    handle_cleanup(&s->end);
}

void exception_slot_listener(const struct exception_slot* s, uint32_t kind,
                             struct exception_listener* out) {
    *out = (struct exception_listener){.rights = s->rights, .kind = kind};
    if (exception_slot_bound(s)) {
        out->channel = object_ref(s->end.object);
    }
}

static status_t bind(struct object* task, zx_rights_t rights, bool debugger, struct handle* end) {
    struct process* process = process_from_object(task);
    if (process != nullptr) {
        return process_bind_exceptions(process, debugger, rights, end);
    }
    struct job* job = job_from_object(task);
    if (job != nullptr) {
        return job_bind_exceptions(job, debugger, rights, end);
    }
    return debugger ? STATUS_INVALID_ARGS
                    : thread_object_bind_exceptions(thread_from_object(task), rights, end);
}

status_t exception_channel_create(struct object* task, zx_rights_t rights, bool debugger,
                                  struct handle* out) {
    struct channel* mine;
    struct channel* theirs;
    TRY(channel_create(&mine, &theirs));
    HANDLE kernel = handle_make(channel_object(mine), ZX_RIGHT_NONE);
    // Not to be written to: see exception_slot_close().
    HANDLE user =
        handle_make(channel_object(theirs), ZX_RIGHT_TRANSFER | ZX_RIGHT_WAIT | ZX_RIGHT_READ);
    TRY(bind(task, rights, debugger, &kernel));
    *out = user;
    user.object = nullptr;
    return STATUS_OK;
}

// ---- raising ----

void exception_fill_report(const struct arch_exception_report* r, zx_exception_report_t* out) {
    *out = (zx_exception_report_t){
        .header = {.size = sizeof(*out), .type = r->type},
        .context = {
            .arch.u.x86_64 = {.vector = r->vector, .err_code = r->error_code, .cr2 = r->cr2},
            .synth_code = r->synth_code,
            .synth_data = r->synth_data}};
}

enum verdict : uint8_t {
    VERDICT_NEXT, // not handled, or nobody was there
    VERDICT_HANDLED,
    VERDICT_EXIT, // the thread is to end, because a listener says so or it was killed
};

// With one reference, which the caller gives up in the end.
static struct exception* exception_new(struct thread_object* t, const struct exception_listener* to,
                                       bool second) {
    struct exception* e = slab_alloc(&exception_cache);
    if (e == nullptr) {
        return nullptr;
    }
    (void)object_ref(thread_object_base(t));
    object_init(&e->base, &exception_ops, nullptr, 0);
    e->thread = t;
    e->rights = to->rights;
    e->kind = to->kind;
    e->second = second;
    atomic_store_explicit(&e->state, ZX_EXCEPTION_STATE_TRY_NEXT, memory_order_relaxed);
    atomic_store_explicit(&e->strategy, ZX_EXCEPTION_STRATEGY_FIRST_CHANCE, memory_order_relaxed);
    e->waiter = nullptr;
    e->gone = false;
    return e;
}

static struct message* message_about(struct exception* e, uint32_t type) {
    const zx_exception_info_t info = {
        .pid = process_object(thread_object_process(e->thread))->koid,
        .tid = thread_object_base(e->thread)->koid,
        .type = type,
    };
    struct message* m = message_new(sizeof(info), 1);
    if (m != nullptr) {
        message_fill_kernel(m, &info);
        m->handle[0] = handle_make(object_ref(&e->base), ZX_DEFAULT_EXCEPTION_RIGHTS);
    }
    return m;
}

// The message is sent: until the last handle is gone, or the thread is killed.
static enum verdict await(struct exception* e) {
    UNINITIALIZED struct waiter w;
    waiter_init(&w);
    spin_acquire(object_lock(&e->base));
    bool gone = e->gone;
    if (!gone) {
        e->waiter = &w;
    }
    spin_release(object_lock(&e->base));
    if (!gone && waiter_block(&w, TIME_INFINITE, WAIT_KILLABLE,
                              ZX_THREAD_STATE_BLOCKED_EXCEPTION >> 8) != STATUS_OK) {
        spin_acquire(object_lock(&e->base));
        e->waiter = nullptr;
        spin_release(object_lock(&e->base));
        return VERDICT_EXIT;
    }
    switch (exception_state(e)) {
    case ZX_EXCEPTION_STATE_HANDLED:
        return VERDICT_HANDLED;
    case ZX_EXCEPTION_STATE_THREAD_EXIT:
        return VERDICT_EXIT;
    default:
        return VERDICT_NEXT;
    }
}

static enum verdict send_and_await(struct exception* e, const struct exception_listener* to,
                                   const struct arch_exception_report* report) {
    struct message* m = message_about(e, report->type);
    if (m == nullptr) {
        return VERDICT_NEXT;
    }
    // Before the message is there: who has read it may look at the thread.
    thread_object_stop_for_exception(e->thread, to->kind, report);
    enum verdict verdict = VERDICT_NEXT;
    if (channel_write(channel_from_object(to->channel), m) == STATUS_OK) {
        verdict = await(e);
    } else {
        message_free(m); // closed meanwhile, or full of exceptions that nobody takes
    }
    thread_object_go_on(e->thread);
    return verdict;
}

// Gives up the listener's reference. Without memory nobody can be told, and nobody handles it.
// `strategy`: what the debugger wants; null: it is not asked (again).
static enum verdict offer(const struct exception_listener* to,
                          const struct arch_exception_report* report, bool second,
                          uint32_t* strategy) {
    if (to->channel == nullptr) {
        return VERDICT_NEXT;
    }
    enum verdict verdict = VERDICT_NEXT;
    struct exception* e =
        thread_killed() ? nullptr : exception_new(thread_object_current(), to, second);
    if (e != nullptr) {
        verdict = send_and_await(e, to, report);
        if (strategy != nullptr) {
            *strategy = exception_strategy(e);
        }
        object_unref(&e->base);
    }
    object_unref(to->channel);
    return thread_killed() ? VERDICT_EXIT : verdict;
}

static enum verdict offer_debugger(const struct arch_exception_report* report, bool second,
                                   uint32_t* strategy) {
    struct exception_listener to;
    process_exception_listener(process_current(), true, &to);
    return offer(&to, report, second, strategy);
}

// From the process's job upwards.
static enum verdict offer_jobs(const struct arch_exception_report* report) {
    enum verdict verdict = VERDICT_NEXT;
    for (struct job* j = process_job(process_current()); j != nullptr && verdict == VERDICT_NEXT;
         j = job_parent(j)) {
        struct exception_listener to;
        job_exception_listener(j, &to);
        verdict = offer(&to, report, false, nullptr);
    }
    return verdict;
}

static enum verdict offer_all(const struct arch_exception_report* report) {
    struct exception_listener to;
    uint32_t strategy = ZX_EXCEPTION_STRATEGY_FIRST_CHANCE;
    enum verdict verdict = offer_debugger(report, false, &strategy);
    if (verdict == VERDICT_NEXT) {
        thread_object_exception_listener(thread_object_current(), &to);
        verdict = offer(&to, report, false, nullptr);
    }
    if (verdict == VERDICT_NEXT) {
        process_exception_listener(process_current(), false, &to);
        verdict = offer(&to, report, false, nullptr);
    }
    if (verdict == VERDICT_NEXT && strategy == ZX_EXCEPTION_STRATEGY_SECOND_CHANCE) {
        verdict = offer_debugger(report, true, nullptr);
    }
    return verdict == VERDICT_NEXT ? offer_jobs(report) : verdict;
}

bool exception_raise(const struct arch_exception_report* report, bool* exits) {
    enum verdict verdict = offer_all(report);
    *exits = verdict == VERDICT_EXIT;
    return verdict == VERDICT_HANDLED;
}

void exception_tell_debugger(uint32_t type, bool* exits) {
    const struct arch_exception_report report = {.type = type};
    *exits = offer_debugger(&report, false, nullptr) == VERDICT_EXIT;
}

void exception_tell_job_debuggers(const struct arch_exception_report* report, bool* exits) {
    enum verdict verdict = VERDICT_NEXT;
    struct job* j = process_job(process_current());
    while (j != nullptr && !job_has_debugger(j)) {
        j = job_parent(j);
    }
    uint64_t after = 0;
    struct exception_listener to;
    while (j != nullptr && verdict != VERDICT_EXIT && job_next_debugger(j, &after, &to)) {
        verdict = offer(&to, report, false, nullptr);
    }
    *exits = verdict == VERDICT_EXIT;
}
