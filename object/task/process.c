// Processes. See <object/process.h> for the states.
//
// Who keeps whom: handles and threads (each thread object) keep the process; the process keeps its
// job, its address space and its handle table. The job knows it weakly, through `job_link`, from
// creation to DEAD. A running thread keeps its own object, hence the process.
//
// finish() runs exactly once, in the thread that makes the process DYING while no thread is live,
// or in the last live thread's exit. It sleeps and runs with no lock held.

#include <object/process.h>

#include <zircon/syscalls/exception.h>

#include <debug/cmdline.h>
#include <debug/init.h>
#include <lib/string.h>
#include <locking/mutex.h>
#include <object/cprng.h>
#include <object/exception.h>
#include <object/handle_table.h>
#include <object/io_ports.h>
#include <object/job.h>
#include <object/thread_object.h>
#include <vm/aspace.h>
#include <vm/heap.h>
#include <vm/vmar.h>

enum process_phase : uint8_t { PROCESS_INITIAL, PROCESS_RUNNING, PROCESS_DYING, PROCESS_DEAD };

// What process.lock guards.
struct process_state {
    enum process_phase phase;
    struct list threads; // links of struct thread_object, started or not, until they end
    uint32_t thread_count;
    uint32_t live; // threads started and not yet ended
    int64_t retcode;
    struct arch_exception_report fatal; // if retcode is EXCEPTION_KILL
    int64_t start_ns;
    int64_t ended_runtime_ns; // of threads that have ended
    struct job* critical_job; // with a reference
    bool critical_only_nonzero;
    uint32_t suspensions;                // tokens
    struct exception_slot exceptions[2]; // [1]: the debugger's
    char name[ZX_MAX_NAME_LEN];
};

struct process {
    struct object base;
    mutex_t lock;
    struct job* job;            // immutable, with a reference
    struct aspace* aspace;      // immutable, with a reference
    struct handle_table* table; // immutable
    struct job_policy policy;   // immutable copy
    struct io_ports io_ports;   // has its own lock
    struct list_node job_link;  // under the job tree's lock
    bool kill_mark;             // under the job tree's lock
    _Atomic(uintptr_t) debug_addr, break_on_load;
    _Atomic(bool) has_debugger; // or had one; written under `lock`
    struct process_state guarded_;
};

SLAB_CACHE(process_cache, struct process);

static inline struct process_state* process_state(struct process* p) TA_REQ(p->lock) {
    return &p->guarded_;
}

static struct process* process_of(struct object* o) {
    return container_of(o, struct process, base);
}

// ---- the end ----

// The job that dies with the process, with a reference, or null.
static struct job* leave_job(struct process* p) {
    struct job* critical = nullptr;
    int64_t retcode;
    {
        MUTEX_GUARD(&p->lock);
        struct process_state* s = process_state(p);
        retcode = s->retcode;
        critical = s->critical_job;
        s->critical_job = nullptr;
        if (critical != nullptr && s->critical_only_nonzero && retcode == 0) {
            object_unref(job_object(critical));
            critical = nullptr;
        }
        s->phase = PROCESS_DEAD;
        exception_slot_close(&s->exceptions[false]);
        exception_slot_close(&s->exceptions[true]);
    }
    object_signal(&p->base, 0, ZX_PROCESS_TERMINATED);
    job_leave(p->job, &p->job_link);
    return critical;
}

// No thread is live and none can start.
static struct job* finish(struct process* p) {
    handle_table_close_all(p->table);
    aspace_destroy(p->aspace);
    return leave_job(p);
}

static void kill_critical(struct job* j) {
    if (j != nullptr) {
        job_kill(j, ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL);
        object_unref(job_object(j));
    }
}

// To DYING, if in no later phase than `last`: the threads are told. True: nobody is live, the
// caller must finish().
static bool begin_end(struct process* p, int64_t retcode, enum process_phase last) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    if (s->phase > last) {
        return false;
    }
    s->phase = PROCESS_DYING;
    s->retcode = retcode;
    list_for_each(n, &s->threads) {
        thread_object_kill_locked(n);
    }
    return s->live == 0;
}

struct job* process_kill_step(struct process* p, int64_t retcode) {
    return begin_end(p, retcode, PROCESS_RUNNING) ? finish(p) : nullptr;
}

void process_kill(struct process* p, int64_t retcode) {
    kill_critical(process_kill_step(p, retcode));
}

void process_die_of(const struct arch_exception_report* report) {
    struct process* p = process_current();
    {
        MUTEX_GUARD(&p->lock);
        // Of several that come at once any one will do.
        process_state(p)->fatal = *report;
    }
    process_kill(p, ZX_TASK_RETCODE_EXCEPTION_KILL);
}

status_t process_fatal_exception(struct process* p, zx_exception_report_t* out) {
    MUTEX_GUARD(&p->lock);
    const struct process_state* s = process_state(p);
    // (A program may end with that code by itself: then there was no exception.)
    if (s->phase != PROCESS_DEAD || s->retcode != ZX_TASK_RETCODE_EXCEPTION_KILL ||
        s->fatal.type == 0) {
        return STATUS_BAD_STATE;
    }
    exception_fill_report(&s->fatal, out);
    return STATUS_OK;
}

void process_exit_current(int64_t retcode) {
    process_kill(process_current(), retcode);
    thread_object_exit_current();
}

// One that was never started ends. In one step: a start that is under way may still win.
static void process_on_zero_handles(struct object* o) {
    struct process* p = process_of(o);
    if (begin_end(p, 0, PROCESS_INITIAL)) {
        kill_critical(finish(p));
    }
}

static void process_destroy(struct object* o) {
    struct process* p = process_of(o);
    DEBUG_ASSERT(p->guarded_.phase == PROCESS_DEAD && list_empty(&p->guarded_.threads));
    handle_table_destroy(p->table);
    aspace_unref(p->aspace);
    io_ports_destroy(&p->io_ports);
    object_unref(job_object(p->job));
}

static void process_free_memory(struct object* o) {
    slab_free(&process_cache, process_of(o));
}
static zx_koid_t process_related_koid(struct object* o) {
    return job_object(process_of(o)->job)->koid;
}

static const struct object_ops process_ops = {
    .type = ZX_OBJ_TYPE_PROCESS,
    .name = "process",
    .default_rights = ZX_DEFAULT_PROCESS_RIGHTS,
    .waitable = true,
    .on_zero_handles = process_on_zero_handles,
    .destroy = process_destroy,
    .free_memory = process_free_memory,
    .related_koid = process_related_koid,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(process_ops);

// ---- creation ----

// aslr=off: every address space draws the same places in the same order, so that a program that
// asks for the same things finds them at the same addresses, in each run. Handle values stay
// secret. Written once, before there is a process.
static bool places_are_fixed;

static void read_aslr_option(void) {
    places_are_fixed = !parse_option_bool(cmdline(), "aslr", true);
}
INIT_HOOK(INIT_OBJECTS, read_aslr_option);

// The parts that can fail for want of memory; all or nothing.
static status_t make_parts(struct process* p, struct vmar** root) {
    uint64_t random[3];
    cprng_draw(random, sizeof(random));
    if (places_are_fixed) {
        random[0] = random[1] = 0;
    }
    p->table = handle_table_create((uint32_t)random[2]);
    if (p->table == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = aspace_create(random, &p->aspace);
    if (status != STATUS_OK) {
        handle_table_destroy(p->table);
        return status;
    }
    *root = aspace_root(p->aspace);
    return STATUS_OK;
}

status_t process_create(struct job* job, const char* name, size_t name_len, struct process** out,
                        struct vmar** vmar_out) {
    struct process* p = slab_alloc_zero(&process_cache);
    if (p == nullptr) {
        return STATUS_NO_MEMORY;
    }
    struct vmar* root;
    status_t status = make_parts(p, &root);
    if (status != STATUS_OK) {
        slab_free(&process_cache, p);
        return status;
    }
    mutex_init(&p->lock, LOCK_CLASS_PROCESS);
    io_ports_init(&p->io_ports);
    list_init(&p->guarded_.threads);
    memcpy(p->guarded_.name, name, min(name_len, (size_t)ZX_MAX_NAME_LEN - 1));
    object_init(&p->base, &process_ops, nullptr, 0);
    p->job = job;
    (void)object_ref(job_object(job));
    // From here on the job can find and kill it.
    status = job_enter(job, &p->job_link, &p->policy);
    if (status != STATUS_OK) {
        vmar_unref(root);
        aspace_destroy(p->aspace);
        p->guarded_.phase = PROCESS_DEAD; // nobody else has seen it
        object_unref(&p->base);
        return status;
    }
    *out = p;
    *vmar_out = root;
    return STATUS_OK;
}

struct process* process_from_object(struct object* o) {
    return o->ops == &process_ops ? process_of(o) : nullptr;
}

struct object* process_object(struct process* p) {
    return &p->base;
}
struct aspace* process_aspace(struct process* p) {
    return p->aspace;
}
struct handle_table* process_handles(struct process* p) {
    return p->table;
}
struct io_ports* process_io_ports(struct process* p) {
    return &p->io_ports;
}
struct job* process_job(struct process* p) {
    return p->job;
}
const struct job_policy* process_policy(const struct process* p) {
    return &p->policy;
}

struct process* process_from_job_link(struct list_node* link) {
    return container_of(link, struct process, job_link);
}

bool process_kill_mark(struct process* p) {
    bool first = !p->kill_mark;
    p->kill_mark = true;
    return first;
}

// ---- threads ----

mutex_t* process_lock(struct process* p) {
    return &p->lock;
}

// Other files know the lock as process_lock(p); the analysis does not see that it is this one.
static inline void process_lock_held(struct process* p) TA_ASSERT(p->lock) {
    DEBUG_ASSERT(mutex_held(&p->lock));
}

status_t process_add_thread_locked(struct process* p, struct list_node* link) {
    process_lock_held(p);
    struct process_state* s = process_state(p);
    if (s->phase >= PROCESS_DYING) {
        return STATUS_BAD_STATE;
    }
    list_push_back(&s->threads, link);
    s->thread_count++;
    return STATUS_OK;
}

void process_remove_thread_locked(struct process* p, struct list_node* link) {
    process_lock_held(p);
    list_remove(link);
    process_state(p)->thread_count--;
}

status_t process_begin_thread(struct process* p, bool first, status_t (*commit)(void* arg),
                              void* arg) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    if (s->phase != (first ? PROCESS_INITIAL : PROCESS_RUNNING)) {
        return STATUS_BAD_STATE;
    }
    s->live++; // before the thread can run and end
    status_t status = commit(arg);
    if (status != STATUS_OK) {
        s->live--;
        return status;
    }
    if (first) {
        s->phase = PROCESS_RUNNING;
        s->start_ns = clock_monotonic_ns();
    }
    return STATUS_OK;
}

static bool thread_ended(struct process* p, int64_t runtime_ns) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    s->ended_runtime_ns += runtime_ns;
    if (--s->live != 0) {
        return false;
    }
    // The last one out: without exit or kill the process ends with 0.
    s->phase = PROCESS_DYING;
    return true;
}

void process_end_thread(struct process* p) {
    aspace_activate(nullptr);
    if (thread_ended(p, thread_runtime_ns(thread_current()))) {
        kill_critical(finish(p));
    }
}

status_t process_start(struct process* p, struct thread_object* t, vaddr_t entry, vaddr_t stack,
                       struct handle* arg1, uintptr_t arg2) {
    if (thread_object_process(t) != p) {
        return STATUS_ACCESS_DENIED;
    }
    if (arg1->object == nullptr) {
        return thread_object_start_first(t, entry, stack, nullptr, arg2);
    }
    struct handle_slot slot;
    TRY(handle_reserve(p->table, &slot));
    struct thread_gift gift = {.table = p->table, .slot = &slot, .handle = arg1};
    status_t status = thread_object_start_first(t, entry, stack, &gift, arg2);
    if (status != STATUS_OK) {
        handle_unreserve(p->table, &slot);
    }
    return status;
}

status_t process_set_critical(struct process* p, struct job* j, bool only_nonzero) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    if (s->critical_job != nullptr) {
        return STATUS_ALREADY_BOUND;
    }
    if (s->phase >= PROCESS_DYING) {
        return STATUS_BAD_STATE;
    }
    (void)object_ref(job_object(j));
    s->critical_job = j;
    s->critical_only_nonzero = only_nonzero;
    return STATUS_OK;
}

// ---- suspension, exceptions ----

bool process_suspended_locked(struct process* p) {
    process_lock_held(p);
    return process_state(p)->suspensions != 0;
}

bool process_dying_locked(struct process* p) {
    process_lock_held(p);
    return process_state(p)->phase >= PROCESS_DYING;
}

status_t process_suspend(struct process* p) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    if (s->phase >= PROCESS_DYING) {
        return STATUS_BAD_STATE;
    }
    if (s->suspensions++ == 0) {
        list_for_each(n, &s->threads) {
            thread_object_suspend_locked(n);
        }
    }
    return STATUS_OK;
}

void process_resume(struct process* p) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    if (--s->suspensions == 0) {
        list_for_each(n, &s->threads) {
            thread_object_resume_locked(n);
        }
    }
}

status_t process_bind_exceptions(struct process* p, bool debugger, zx_rights_t rights,
                                 struct handle* end) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    if (s->phase >= PROCESS_DYING) {
        return STATUS_BAD_STATE;
    }
    TRY(exception_slot_bind(&s->exceptions[debugger], rights, end));
    if (debugger) {
        atomic_store_explicit(&p->has_debugger, true, memory_order_relaxed);
    }
    return STATUS_OK;
}

void process_exception_listener(struct process* p, bool debugger, struct exception_listener* out) {
    MUTEX_GUARD(&p->lock);
    exception_slot_listener(
        &process_state(p)->exceptions[debugger],
        debugger ? ZX_EXCEPTION_CHANNEL_TYPE_DEBUGGER : ZX_EXCEPTION_CHANNEL_TYPE_PROCESS, out);
}

bool process_has_debugger(struct process* p) {
    return atomic_load_explicit(&p->has_debugger, memory_order_relaxed);
}

// ---- properties ----

void process_set_name(struct process* p, const char* name, size_t len) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    memset(s->name, 0, sizeof(s->name));
    memcpy(s->name, name, min(len, sizeof(s->name) - 1));
}

void process_get_name(struct process* p, char out[ZX_MAX_NAME_LEN]) {
    MUTEX_GUARD(&p->lock);
    memcpy(out, process_state(p)->name, ZX_MAX_NAME_LEN);
}

void process_set_debug_addr(struct process* p, uintptr_t addr, bool break_on_load) {
    atomic_store(break_on_load ? &p->break_on_load : &p->debug_addr, addr);
}

uintptr_t process_debug_addr(struct process* p) {
    return atomic_load(&p->debug_addr);
}
uintptr_t process_break_on_load(struct process* p) {
    return atomic_load(&p->break_on_load);
}

void process_get_info(struct process* p, zx_info_process_t* out) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    *out = (zx_info_process_t){.return_code = s->retcode, .start_time = s->start_ns};
    if (s->start_ns != 0) {
        out->flags |= ZX_INFO_PROCESS_FLAG_STARTED;
    }
    if (s->phase == PROCESS_DEAD) {
        out->flags |= ZX_INFO_PROCESS_FLAG_EXITED;
    }
    if (exception_slot_bound(&s->exceptions[true])) {
        out->flags |= ZX_INFO_PROCESS_FLAG_DEBUGGER_ATTACHED;
    }
}

size_t process_thread_koids(struct process* p, zx_koid_t* out, size_t max, size_t* avail) {
    size_t n = 0;
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    list_for_each(node, &s->threads) {
        if (n == max) {
            break;
        }
        out[n++] = thread_object_base(thread_object_from_link(node))->koid;
    }
    *avail = s->thread_count;
    return n;
}

struct object* process_find_thread(struct process* p, zx_koid_t koid) {
    MUTEX_GUARD(&p->lock);
    list_for_each(node, &process_state(p)->threads) {
        struct object* o = thread_object_base(thread_object_from_link(node));
        if (o->koid == koid) {
            return object_ref_unless_dead(o) ? o : nullptr;
        }
    }
    return nullptr;
}

int64_t process_runtime_ns(struct process* p) {
    MUTEX_GUARD(&p->lock);
    struct process_state* s = process_state(p);
    int64_t sum = s->ended_runtime_ns;
    list_for_each(node, &s->threads) {
        sum += thread_object_runtime_locked(node);
    }
    return sum;
}
