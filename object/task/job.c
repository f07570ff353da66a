// Jobs. See <object/job.h>.

#include <object/job.h>

#include <zircon/syscalls/exception.h>

#include <debug/init.h>
#include <lib/string.h>
#include <locking/mutex.h>
#include <object/exception.h>
#include <object/process.h>
#include <vm/heap.h>

enum job_phase : uint8_t { JOB_READY, JOB_KILLING, JOB_DEAD };

// All members but `base` and the immutable ones [i] are guarded by tree_lock.
struct job {
    struct object base;
    struct job* parent;       // [i] with a reference; null: the root
    uint32_t height;          // [i] levels that may hang below
    struct list_node sibling; // in parent's jobs, until DEAD
    struct list jobs;         // struct job; those that job_kill() has reached are at the end
    struct list processes;    // links of struct process, likewise
    uint32_t job_count, process_count;
    bool kill_seen; // the parent's job_kill() has reached this one
    enum job_phase phase;
    bool kill_on_oom;
    int64_t retcode;
    int64_t ended_runtime_ns; // of processes and jobs below that have ended
    struct job_policy policy;
    struct exception_slot exceptions;
    struct list debuggers; // struct job_debugger, oldest first
    uint64_t debugger_number;
    char name[ZX_MAX_NAME_LEN];
};

struct job_debugger {
    struct list_node node;
    uint64_t number;
    struct exception_slot slot;
};

SLAB_CACHE(job_cache, struct job);

static mutex_t tree_lock = MUTEX_INIT(LOCK_CLASS_JOB_TREE);
static struct job* root;                 // set once at boot
static _Atomic(uint32_t) debugger_count; // of all jobs; written under tree_lock

static struct job* job_of(struct object* o) {
    return container_of(o, struct job, base);
}
static struct job* job_of_sibling(struct list_node* n) {
    return container_of(n, struct job, sibling);
}

// ---- life ----

static void leave_parent_locked(struct job* j) TA_REQ(tree_lock) {
    if (j->parent == nullptr) {
        return;
    }
    j->parent->ended_runtime_ns += j->ended_runtime_ns;
    list_remove(&j->sibling);
    if (--j->parent->job_count == 0) {
        object_signal(&j->parent->base, 0, ZX_JOB_NO_JOBS);
    }
}

static void free_debugger_locked(struct list_node* n) TA_REQ(tree_lock) {
    struct job_debugger* d = container_of(n, struct job_debugger, node);
    list_remove(n);
    exception_slot_close(&d->slot);
    heap_free(d);
    atomic_fetch_sub_explicit(&debugger_count, 1, memory_order_relaxed);
}

static void close_exceptions_locked(struct job* j) TA_REQ(tree_lock) {
    exception_slot_close(&j->exceptions);
    while (!list_empty(&j->debuggers)) {
        free_debugger_locked(list_first(&j->debuggers));
    }
}

// Ends the job if nothing is left in it and nothing can come: links it out and says whether it did,
// so that the caller can go on with the parent.
static bool try_end_locked(struct job* j, bool handles_gone) TA_REQ(tree_lock) {
    bool wanted = j->phase == JOB_KILLING || (j->phase == JOB_READY && handles_gone);
    if (!wanted || j->job_count != 0 || j->process_count != 0) {
        return false;
    }
    j->phase = JOB_DEAD;
    close_exceptions_locked(j);
    leave_parent_locked(j);
    object_signal(&j->base, 0, ZX_JOB_TERMINATED);
    return true;
}

static bool handles_gone(struct job* j) {
    return atomic_load_explicit(&j->base.handles, memory_order_acquire) == 0;
}

// After something left `j`: ends it and, upwards, whoever waited only for it. The references
// upwards keep all of them alive meanwhile.
static void end_upwards_locked(struct job* j) TA_REQ(tree_lock) {
    while (j != nullptr && j != root && try_end_locked(j, handles_gone(j))) {
        j = j->parent;
    }
}

static void job_on_zero_handles(struct object* o) {
    MUTEX_GUARD(&tree_lock);
    end_upwards_locked(job_of(o));
}

static void job_destroy(struct object* o) {
    struct job* j = job_of(o);
    if (j->phase != JOB_DEAD && j->parent != nullptr) {
        // Never had a handle, or lost it while it still had children that are gone by now.
        MUTEX_GUARD(&tree_lock);
        if (j->phase != JOB_DEAD) {
            close_exceptions_locked(j);
            leave_parent_locked(j);
            end_upwards_locked(j->parent);
        }
    }
    if (j->parent != nullptr) {
        object_unref(&j->parent->base);
    }
}

static void job_free_memory(struct object* o) {
    slab_free(&job_cache, job_of(o));
}

static zx_koid_t job_related_koid(struct object* o) {
    struct job* j = job_of(o);
    return j->parent != nullptr ? j->parent->base.koid : 0;
}

static const struct object_ops job_ops = {
    .type = ZX_OBJ_TYPE_JOB,
    .name = "job",
    .default_rights = ZX_DEFAULT_JOB_RIGHTS,
    .waitable = true,
    .on_zero_handles = job_on_zero_handles,
    .destroy = job_destroy,
    .free_memory = job_free_memory,
    .related_koid = job_related_koid,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(job_ops);

static struct job* job_new(void) {
    struct job* j = slab_alloc_zero(&job_cache);
    if (j == nullptr) {
        return nullptr;
    }
    object_init(&j->base, &job_ops, nullptr, ZX_JOB_NO_JOBS | ZX_JOB_NO_PROCESSES);
    list_init(&j->jobs);
    list_init(&j->processes);
    list_init(&j->debuggers);
    return j;
}

status_t job_create(struct job* parent, struct job** out) {
    if (parent->height == 0) {
        return STATUS_OUT_OF_RANGE;
    }
    OBJECT_REF fresh = nullptr;
    struct job* j = job_new();
    if (j == nullptr) {
        return STATUS_NO_MEMORY;
    }
    fresh = &j->base;
    j->height = parent->height - 1;
    MUTEX_GUARD(&tree_lock);
    if (parent->phase != JOB_READY) {
        j->phase = JOB_DEAD; // it never entered the tree
        return STATUS_BAD_STATE;
    }
    j->policy = parent->policy;
    j->policy.memory_reserve = j->policy.memory_reserve && parent != root;
    j->parent = job_of(object_ref(&parent->base));
    list_push_front(&parent->jobs, &j->sibling);
    if (parent->job_count++ == 0) {
        object_signal(&parent->base, ZX_JOB_NO_JOBS, 0);
    }
    *out = job_of(object_move(&fresh));
    return STATUS_OK;
}

struct job* job_root(void) {
    return root;
}
struct job* job_from_object(struct object* o) {
    return o->ops == &job_ops ? job_of(o) : nullptr;
}
struct object* job_object(struct job* j) {
    return &j->base;
}

static void make_root(void) {
    root = job_new();
    ASSERT(root != nullptr);
    root->height = JOB_MAX_HEIGHT;
    policy_init(&root->policy);
    // For the processes of the root job itself, which start all others: no program may end them by
    // taking all memory.
    root->policy.memory_reserve = true;
    memcpy(root->name, "root", sizeof("root"));
}
INIT_HOOK(INIT_OBJECTS, make_root);

// ---- processes ----

status_t job_enter(struct job* j, struct list_node* link, struct job_policy* policy) {
    MUTEX_GUARD(&tree_lock);
    if (j->phase != JOB_READY) {
        return STATUS_BAD_STATE;
    }
    *policy = j->policy;
    list_push_front(&j->processes, link);
    if (j->process_count++ == 0) {
        object_signal(&j->base, ZX_JOB_NO_PROCESSES, 0);
    }
    return STATUS_OK;
}

void job_leave(struct job* j, struct list_node* link) {
    int64_t runtime_ns = process_runtime_ns(process_from_job_link(link));
    MUTEX_GUARD(&tree_lock);
    j->ended_runtime_ns += runtime_ns;
    list_remove(link);
    if (--j->process_count == 0) {
        object_signal(&j->base, 0, ZX_JOB_NO_PROCESSES);
    }
    end_upwards_locked(j);
}

// ---- killing ----

// The next process or job below `j` that job_kill() has not reached, with a reference. Those
// reached move to the end, so this is O(1). One whose last reference is just going needs no
// killing.
static struct object* next_victim_locked(struct job* j) TA_REQ(tree_lock) {
    struct list_node* n;
    while ((n = list_first(&j->processes)) != nullptr &&
           process_kill_mark(process_from_job_link(n))) {
        list_remove(n);
        list_push_back(&j->processes, n);
        struct object* o = process_object(process_from_job_link(n));
        if (object_ref_unless_dead(o)) {
            return o;
        }
    }
    while ((n = list_first(&j->jobs)) != nullptr && !job_of_sibling(n)->kill_seen) {
        struct job* child = job_of_sibling(n);
        child->kill_seen = true;
        list_remove(n);
        list_push_back(&j->jobs, n);
        if (object_ref_unless_dead(&child->base)) {
            return &child->base;
        }
    }
    return nullptr;
}

// What kill_tree() works off, instead of recursing over the tree.
struct kill_walk {
    struct job* pending[JOB_MAX_HEIGHT + 1]; // depth first: at most one job per level of the tree
    size_t depth;
    // The highest job that a process which died was critical to. All of them lie on the way from
    // the walk's top to the root (those below are dying anyway), so the highest takes the others
    // along. With a reference; null: none.
    struct job* critical;
};

static void note_critical(struct kill_walk* w, struct job* j) {
    if (j != nullptr && (w->critical == nullptr || j->height > w->critical->height)) {
        struct job* lower = w->critical;
        w->critical = j;
        j = lower;
    }
    if (j != nullptr) {
        object_unref(&j->base);
    }
}

// One job's own processes die here; a job below is left in the walk.
static void kill_one(struct job* j, int64_t retcode, struct kill_walk* w) {
    for (;;) {
        struct object* victim;
        {
            MUTEX_GUARD(&tree_lock);
            victim = next_victim_locked(j);
        }
        if (victim == nullptr) {
            return;
        }
        struct process* p = process_from_object(victim);
        if (p != nullptr) {
            note_critical(w, process_kill_step(p, retcode));
            object_unref(victim);
        } else {
            w->pending[w->depth++] = job_of(victim);
            return;
        }
    }
}

static bool begin_kill(struct job* j, int64_t retcode) {
    MUTEX_GUARD(&tree_lock);
    if (j->phase != JOB_READY) {
        return false;
    }
    j->phase = JOB_KILLING;
    j->retcode = retcode;
    return true;
}

static void finish_kill(struct job* j) {
    MUTEX_GUARD(&tree_lock);
    end_upwards_locked(j);
}

// Kills a job and what is below it; the job that is to go next on account of that, or null.
static struct job* kill_tree(struct job* j, int64_t retcode) {
    if (!begin_kill(j, retcode)) {
        return nullptr;
    }
    struct kill_walk w = {.pending = {job_of(object_ref(&j->base))}, .depth = 1};
    while (w.depth > 0) {
        struct job* top = w.pending[w.depth - 1];
        size_t before = w.depth;
        kill_one(top, retcode, &w);
        if (w.depth > before) {
            if (!begin_kill(w.pending[w.depth - 1], retcode)) {
                object_unref(&w.pending[--w.depth]->base);
            }
        } else {
            finish_kill(top);
            object_unref(&top->base);
            w.depth--;
        }
    }
    return w.critical;
}

void job_kill(struct job* j, int64_t retcode) {
    struct job* next = kill_tree(j, retcode);
    while (next != nullptr) {
        struct job* critical = next;
        next = kill_tree(critical, ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL);
        object_unref(&critical->base);
    }
}

status_t job_set_critical(struct job* j, struct process* p, bool only_nonzero) {
    {
        MUTEX_GUARD(&tree_lock);
        struct job* above = process_job(p);
        while (above != nullptr && above != j) {
            above = above->parent;
        }
        if (above == nullptr) {
            return STATUS_INVALID_ARGS;
        }
    }
    return process_set_critical(p, j, only_nonzero);
}

// ---- exceptions ----

struct job* job_parent(struct job* j) {
    return j->parent;
}

bool job_debuggers_exist(void) {
    return atomic_load_explicit(&debugger_count, memory_order_relaxed) != 0;
}

// Takes out those whose other end is closed, and counts the others.
static uint32_t count_debuggers_locked(struct job* j) TA_REQ(tree_lock) {
    uint32_t count = 0;
    struct list_node* next;
    for (struct list_node* n = list_first(&j->debuggers); n != nullptr; n = next) {
        next = list_next(&j->debuggers, n);
        if (exception_slot_bound(&container_of(n, struct job_debugger, node)->slot)) {
            count++;
        } else {
            free_debugger_locked(n);
        }
    }
    return count;
}

static bool has_debugger_locked(struct job* j) TA_REQ(tree_lock) {
    return count_debuggers_locked(j) != 0;
}

bool job_has_debugger(struct job* j) {
    MUTEX_GUARD(&tree_lock);
    return has_debugger_locked(j);
}

static status_t bind_debugger_locked(struct job* j, zx_rights_t rights, struct handle* end)
    TA_REQ(tree_lock) {
    if (count_debuggers_locked(j) >= ZX_EXCEPTION_CHANNEL_JOB_DEBUGGER_MAX_COUNT) {
        return STATUS_ALREADY_BOUND;
    }
    struct job_debugger* d = heap_alloc_zero(sizeof(*d));
    if (d == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = exception_slot_bind(&d->slot, rights, end);
    ASSERT(status == STATUS_OK); // the slot is new
    d->number = ++j->debugger_number;
    list_push_back(&j->debuggers, &d->node);
    atomic_fetch_add_explicit(&debugger_count, 1, memory_order_relaxed);
    return STATUS_OK;
}

status_t job_bind_exceptions(struct job* j, bool debugger, zx_rights_t rights, struct handle* end) {
    MUTEX_GUARD(&tree_lock);
    if (j->phase != JOB_READY) {
        return STATUS_BAD_STATE;
    }
    return debugger ? bind_debugger_locked(j, rights, end)
                    : exception_slot_bind(&j->exceptions, rights, end);
}

void job_exception_listener(struct job* j, struct exception_listener* out) {
    MUTEX_GUARD(&tree_lock);
    exception_slot_listener(&j->exceptions, ZX_EXCEPTION_CHANNEL_TYPE_JOB, out);
}

bool job_next_debugger(struct job* j, uint64_t* after, struct exception_listener* out) {
    MUTEX_GUARD(&tree_lock);
    list_for_each(n, &j->debuggers) {
        struct job_debugger* d = container_of(n, struct job_debugger, node);
        if (d->number > *after) {
            *after = d->number;
            exception_slot_listener(&d->slot, ZX_EXCEPTION_CHANNEL_TYPE_JOB_DEBUGGER, out);
            return true;
        }
    }
    return false;
}

// ---- properties and enumeration ----

status_t job_set_policy(struct job* j, bool absolute, const zx_policy_basic_v2_t* entries,
                        uint32_t count) {
    MUTEX_GUARD(&tree_lock);
    if (j->job_count != 0 || j->process_count != 0) {
        return STATUS_BAD_STATE;
    }
    struct job_policy changed = j->policy; // all entries or none
    for (uint32_t i = 0; i < count; i++) {
        const zx_policy_basic_v2_t* e = &entries[i];
        if (e->flags != ZX_POL_OVERRIDE_ALLOW && e->flags != ZX_POL_OVERRIDE_DENY) {
            return STATUS_INVALID_ARGS;
        }
        TRY(policy_apply(&changed, e->condition, e->action, e->flags == ZX_POL_OVERRIDE_DENY,
                         absolute));
    }
    j->policy = changed;
    return STATUS_OK;
}

status_t job_allow_reserve(struct job* j) {
    MUTEX_GUARD(&tree_lock);
    if (j->job_count != 0 || j->process_count != 0) {
        return STATUS_BAD_STATE;
    }
    j->policy.memory_reserve = true;
    return STATUS_OK;
}

void job_set_kill_on_oom(struct job* j, bool value) {
    MUTEX_GUARD(&tree_lock);
    j->kill_on_oom = value;
}

void job_set_name(struct job* j, const char* name, size_t len) {
    MUTEX_GUARD(&tree_lock);
    memset(j->name, 0, sizeof(j->name));
    memcpy(j->name, name, min(len, sizeof(j->name) - 1));
}

void job_get_name(struct job* j, char out[ZX_MAX_NAME_LEN]) {
    MUTEX_GUARD(&tree_lock);
    memcpy(out, j->name, ZX_MAX_NAME_LEN);
}

void job_get_info(struct job* j, zx_info_job_t* out) {
    MUTEX_GUARD(&tree_lock);
    *out = (zx_info_job_t){.return_code = j->retcode,
                           .exited = j->phase == JOB_DEAD,
                           .kill_on_oom = j->kill_on_oom,
                           .debugger_attached = has_debugger_locked(j)};
}

size_t job_child_koids(struct job* j, bool jobs, zx_koid_t* out, size_t max, size_t* avail) {
    size_t n = 0;
    MUTEX_GUARD(&tree_lock);
    struct list* l = jobs ? &j->jobs : &j->processes;
    list_for_each(node, l) {
        if (n == max) {
            break;
        }
        out[n++] = jobs ? job_of_sibling(node)->base.koid
                        : process_object(process_from_job_link(node))->koid;
    }
    *avail = jobs ? j->job_count : j->process_count;
    return n;
}

struct object* job_find_child(struct job* j, zx_koid_t koid) {
    MUTEX_GUARD(&tree_lock);
    list_for_each(n, &j->jobs) {
        struct object* o = &job_of_sibling(n)->base;
        if (o->koid == koid) {
            return object_ref_unless_dead(o) ? o : nullptr;
        }
    }
    list_for_each(n, &j->processes) {
        struct object* o = process_object(process_from_job_link(n));
        if (o->koid == koid) {
            return object_ref_unless_dead(o) ? o : nullptr;
        }
    }
    return nullptr;
}

// ---- the whole tree ----

// The job after `j` among those below `top`, in depth-first order.
static struct job* next_below_locked(struct job* top, struct job* j) TA_REQ(tree_lock) {
    struct list_node* n = list_first(&j->jobs);
    while (n == nullptr && j != top) {
        n = list_next(&j->parent->jobs, &j->sibling);
        j = j->parent;
    }
    return n != nullptr ? job_of_sibling(n) : nullptr;
}

int64_t job_runtime_ns(struct job* top) {
    MUTEX_GUARD(&tree_lock);
    int64_t sum = 0;
    for (struct job* j = top; j != nullptr; j = next_below_locked(top, j)) {
        sum += j->ended_runtime_ns;
        list_for_each(n, &j->processes) {
            sum += process_runtime_ns(process_from_job_link(n));
        }
    }
    return sum;
}

// The process with the smallest koid above `*after`, with a reference; moves `*after` there.
static struct process* next_process_locked(zx_koid_t* after) TA_REQ(tree_lock) {
    for (;;) {
        struct process* best = nullptr;
        zx_koid_t best_koid = UINT64_MAX;
        for (struct job* j = root; j != nullptr; j = next_below_locked(root, j)) {
            list_for_each(n, &j->processes) {
                struct process* p = process_from_job_link(n);
                zx_koid_t koid = process_object(p)->koid;
                if (koid > *after && koid < best_koid) {
                    best = p;
                    best_koid = koid;
                }
            }
        }
        *after = best_koid;
        if (best == nullptr || object_ref_unless_dead(process_object(best))) {
            return best;
        }
    }
}

void job_each_process(bool (*fn)(struct process* p, void* arg), void* arg) {
    zx_koid_t after = 0;
    for (;;) {
        struct process* p;
        {
            MUTEX_GUARD(&tree_lock);
            p = next_process_locked(&after);
        }
        if (p == nullptr) {
            return;
        }
        bool more = fn(p, arg);
        object_unref(process_object(p));
        if (!more) {
            return;
        }
    }
}
