// Thread objects: life and properties. See <object/thread_object.h>; thread_stop.c has the rest.
//
// `kernel`, the scheduler's half, is freed with the object.
//
// References of a started thread: one is held by the kernel half and dropped by the reaper
// (sched_hook_thread_reaped), when the thread is off its CPU for good. The object keeps its process
// until it is destroyed.

#include <object/thread_object.h>

#include <arch/percpu.h>
#include <arch/upcalls.h>
#include <lib/string.h>
#include <locking/mutex.h>
#include <object/futex.h>
#include <object/job.h>
#include <sched/hooks.h>
#include <vm/aspace.h>
#include <vm/heap.h>

#include "thread_priv.h"

SLAB_CACHE(thread_object_cache, struct thread_object);

static struct thread_object* thread_of(struct object* o) {
    return container_of(o, struct thread_object, base);
}

struct thread_object* thread_object_from_link(struct list_node* link) {
    return container_of(link, struct thread_object, process_link);
}

// ---- life ----

static void thread_object_destroy(struct object* o) {
    struct thread_object* t = thread_of(o);
    if (t->phase == THREAD_PHASE_NEW) {
        MUTEX_GUARD(process_lock(t->process));
        process_remove_thread_locked(t->process, &t->process_link);
        exception_slot_close(&t->exceptions);
    }
    thread_free(t->kernel);
    futex_spare_free(t->futex_spare);
    object_unref(process_object(t->process));
}

static void thread_object_free_memory(struct object* o) {
    slab_free(&thread_object_cache, thread_of(o));
}

static zx_koid_t thread_related_koid(struct object* o) {
    return process_object(thread_of(o)->process)->koid;
}

static const struct object_ops thread_ops = {
    .type = ZX_OBJ_TYPE_THREAD,
    .name = "thread",
    .default_rights = ZX_DEFAULT_THREAD_RIGHTS,
    .waitable = true,
    .on_zero_handles = op_none,
    .destroy = thread_object_destroy,
    .free_memory = thread_object_free_memory,
    .related_koid = thread_related_koid,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(thread_ops);

// The first thing a user thread runs, in the kernel.
static void user_thread_entry(void) {
    struct thread_object* t = thread_object_current();
    aspace_activate(process_aspace(t->process));
    if (thread_killed()) {
        thread_object_exit_current();
    }
    if (process_has_debugger(t->process) || (t->first && job_debuggers_exist())) {
        t->errand = THREAD_ERRAND_START;
        thread_set_own_pending(THREAD_PENDING_EXCEPTION);
    }
    arch_enter_user(t->entry, t->stack, t->arg1, t->arg2);
}

// On failure the object is one that was never in the process's list.
static status_t join_process(struct thread_object* t, struct process* p) {
    MUTEX_GUARD(process_lock(p));
    status_t status = process_add_thread_locked(p, &t->process_link);
    if (status != STATUS_OK) {
        t->phase = THREAD_PHASE_DEAD;
    }
    return status;
}

status_t thread_object_create(struct process* p, const char* name, size_t name_len,
                              struct thread_object** out) {
    struct thread_object* t = slab_alloc_zero(&thread_object_cache);
    if (t == nullptr) {
        return STATUS_NO_MEMORY;
    }
    memcpy(t->name, name, min(name_len, sizeof(t->name) - 1));
    t->kernel = thread_create(t->name, user_thread_entry);
    t->futex_spare = futex_spare_new();
    if (t->kernel == nullptr || t->futex_spare == nullptr) {
        if (t->kernel != nullptr) {
            thread_free(t->kernel);
        }
        if (t->futex_spare != nullptr) {
            futex_spare_free(t->futex_spare);
        }
        slab_free(&thread_object_cache, t);
        return STATUS_NO_MEMORY;
    }
    object_init(&t->base, &thread_ops, nullptr, 0);
    (void)object_ref(process_object(p));
    t->process = p;
    t->kernel->process = p;
    t->kernel->handles = process_handles(p);
    t->kernel->user = t;
    t->kernel->memory_reserve = process_policy(p)->memory_reserve;
    t->kernel->tid = t->base.koid;
    status_t status = join_process(t, p);
    if (status != STATUS_OK) {
        object_unref(&t->base);
        return status;
    }
    *out = t;
    return STATUS_OK;
}

struct thread_object* thread_from_object(struct object* o) {
    return o->ops == &thread_ops ? thread_of(o) : nullptr;
}

struct object* thread_object_base(struct thread_object* t) {
    return &t->base;
}
struct process* thread_object_process(struct thread_object* t) {
    return t->process;
}
struct channel_waiter* thread_object_call(struct thread_object* t) {
    return &t->call;
}
struct futex** thread_object_futex_spare(struct thread_object* t) {
    return &t->futex_spare;
}

struct thread* thread_object_started(struct thread_object* t) {
    MUTEX_GUARD(process_lock(t->process));
    return t->phase != THREAD_PHASE_NEW ? t->kernel : nullptr;
}

// ---- start ----

struct start_args {
    struct thread_object* thread;
    vaddr_t entry, stack;
    uintptr_t arg1, arg2, thread_pointer, abi_register;
    const struct thread_gift* gift; // null: none
    bool first;
};

// Without a vDSO in its address space a thread cannot make system calls.
static uint64_t vdso_base_of(struct process* p) {
    uint64_t base = atomic_load_explicit(&process_aspace(p)->vdso_base, memory_order_acquire);
    return base != 0 ? base : VDSO_BASE_NONE;
}

// Under the process's lock.
static status_t commit_start(void* arg) {
    struct start_args* a = arg;
    struct thread_object* t = a->thread;
    if (t->phase != THREAD_PHASE_NEW) {
        return STATUS_BAD_STATE;
    }
    t->entry = a->entry;
    t->stack = a->stack;
    t->arg1 = a->arg1;
    t->arg2 = a->arg2;
    t->first = a->first;
    if (!arch_thread_set_fs_base(t->kernel, a->thread_pointer) ||
        !arch_thread_set_gs_base(t->kernel, a->abi_register)) {
        return STATUS_INVALID_ARGS;
    }
    if (a->gift != nullptr) {
        // Here and not before: a start that is refused must not show the handle to the process.
        handle_publish(a->gift->table, a->gift->slot, a->gift->handle);
    }
    t->phase = THREAD_PHASE_RUNNING;
    t->kernel->arch.vdso_base = vdso_base_of(t->process);
    (void)object_ref(&t->base); // the kernel half's, see the reaper
    object_signal(&t->base, 0, ZX_THREAD_RUNNING);
    if (thread_suspension_wanted(t)) {
        thread_set_pending(t->kernel, THREAD_PENDING_SUSPEND);
    }
    thread_start(t->kernel);
    return STATUS_OK;
}

static status_t start(struct start_args* a) {
    if (a->entry < ASPACE_BASE || a->entry >= ASPACE_END) {
        return STATUS_INVALID_ARGS;
    }
    return process_begin_thread(a->thread->process, a->first, commit_start, a);
}

status_t thread_object_start(struct thread_object* t, vaddr_t entry, vaddr_t stack, uintptr_t arg1,
                             uintptr_t arg2) {
    struct start_args a = {t, entry, stack, arg1, arg2, 0, 0, nullptr, false};
    return start(&a);
}

status_t thread_object_start_regs(struct thread_object* t, vaddr_t entry, vaddr_t stack,
                                  uintptr_t arg1, uintptr_t arg2, uintptr_t thread_pointer,
                                  uintptr_t abi_register) {
    struct start_args a = {t,       entry, stack, arg1, arg2, thread_pointer, abi_register,
                           nullptr, false};
    return start(&a);
}

status_t thread_object_start_first(struct thread_object* t, vaddr_t entry, vaddr_t stack,
                                   const struct thread_gift* gift, uintptr_t arg2) {
    uintptr_t arg1 = gift != nullptr ? gift->slot->value : ZX_HANDLE_INVALID;
    struct start_args a = {t, entry, stack, arg1, arg2, 0, 0, gift, true};
    return start(&a);
}

// ---- end ----

static void unlink_ended(struct thread_object* t) {
    MUTEX_GUARD(process_lock(t->process));
    process_remove_thread_locked(t->process, &t->process_link);
    t->ended_runtime_ns = thread_runtime_ns(t->kernel);
    t->phase = THREAD_PHASE_DEAD;
    exception_slot_close(&t->exceptions);
}

void thread_object_exit_current(void) {
    struct thread_object* t = thread_object_current();
    channel_call_abandon(&t->call);
    unlink_ended(t);
    object_signal(&t->base, ZX_THREAD_RUNNING | ZX_THREAD_SUSPENDED, ZX_THREAD_TERMINATED);
    process_end_thread(t->process);
    thread_exit_current(0);
}

void sched_hook_thread_reaped(struct thread* kernel) {
    if (kernel->user != nullptr) {
        object_unref(&kernel->user->base);
    }
}

void thread_object_kill_locked(struct list_node* process_link) {
    struct thread_object* t = thread_object_from_link(process_link);
    if (t->phase == THREAD_PHASE_RUNNING) {
        thread_set_pending(t->kernel, THREAD_PENDING_KILL);
    }
}

void thread_object_exit_by_call(void) {
    struct thread_object* t = thread_object_current();
    if (!process_has_debugger(t->process)) {
        thread_object_exit_current();
    }
    t->errand = THREAD_ERRAND_EXIT;
    thread_set_own_pending(THREAD_PENDING_EXCEPTION);
}

void thread_object_raise_later(const struct arch_exception_report* report) {
    struct thread_object* t = thread_object_current();
    if (t->errand == THREAD_ERRAND_NONE) {
        t->errand = THREAD_ERRAND_RAISE;
        t->errand_report = *report;
        thread_set_own_pending(THREAD_PENDING_EXCEPTION);
    }
}

void arch_upcall_user_return(struct arch_user_frame* frame) {
    if (arch_pending() != 0) {
        arch_upcall_preempt();
    }
    uint32_t pending = atomic_load_explicit(&thread_current()->pending, memory_order_relaxed);
    if (likely(pending == 0)) {
        return;
    }
    if ((pending & THREAD_PENDING_KILL) != 0) {
        thread_object_exit_current();
    }
    // One at a time: the port looks again.
    if ((pending & THREAD_PENDING_EXCEPTION) != 0) {
        thread_do_errand(frame);
    } else {
        thread_stand_still();
    }
}

// ---- properties ----

void thread_object_set_name(struct thread_object* t, const char* name, size_t len) {
    spin_acquire(object_lock(&t->base));
    memset(t->name, 0, sizeof(t->name));
    memcpy(t->name, name, min(len, sizeof(t->name) - 1));
    spin_release(object_lock(&t->base));
}

void thread_object_get_name(struct thread_object* t, char out[ZX_MAX_NAME_LEN]) {
    spin_acquire(object_lock(&t->base));
    memcpy(out, t->name, ZX_MAX_NAME_LEN);
    spin_release(object_lock(&t->base));
}

static void fill_info(struct thread_object* t, zx_info_thread_t* out) {
    *out = (zx_info_thread_t){.state = ZX_THREAD_STATE_NEW};
    if (t->phase == THREAD_PHASE_DEAD) {
        out->state = ZX_THREAD_STATE_DEAD;
    } else if (t->phase == THREAD_PHASE_RUNNING) {
        struct thread* k = t->kernel;
        bool blocked = atomic_load_explicit(&k->state, memory_order_relaxed) == THREAD_BLOCKED;
        out->state = ZX_THREAD_STATE_RUNNING;
        if ((atomic_load_explicit(&k->pending, memory_order_relaxed) & THREAD_PENDING_KILL) != 0) {
            out->state = ZX_THREAD_STATE_DYING;
        } else if (t->stop == THREAD_STOP_SUSPENDED) {
            out->state = ZX_THREAD_STATE_SUSPENDED;
        } else if (t->stop == THREAD_STOP_EXCEPTION) {
            out->state = ZX_THREAD_STATE_BLOCKED_EXCEPTION;
            out->wait_exception_channel_type = t->exception_kind;
        } else if (blocked) {
            out->state = ZX_THREAD_STATE_BLOCKED | ((uint32_t)k->blocked_reason << 8);
        }
    }
    if (t->phase != THREAD_PHASE_DEAD) {
        out->cpu_affinity_mask.mask[0] = t->kernel->sched.affinity;
    }
}

void thread_object_get_info(struct thread_object* t, zx_info_thread_t* out) {
    MUTEX_GUARD(process_lock(t->process));
    fill_info(t, out);
}

int64_t thread_object_runtime_locked(struct list_node* process_link) {
    struct thread_object* t = thread_object_from_link(process_link);
    return t->phase == THREAD_PHASE_DEAD ? t->ended_runtime_ns : thread_runtime_ns(t->kernel);
}

int64_t thread_object_runtime_ns(struct thread_object* t) {
    MUTEX_GUARD(process_lock(t->process));
    return thread_object_runtime_locked(&t->process_link);
}

uint32_t thread_object_last_cpu(struct thread_object* t) {
    return atomic_load_explicit(&t->kernel->sched.cpu, memory_order_relaxed);
}

status_t thread_object_set_priority(struct thread_object* t, int priority) {
    MUTEX_GUARD(process_lock(t->process));
    if (t->phase == THREAD_PHASE_DEAD) {
        return STATUS_BAD_STATE;
    }
    thread_set_priority(t->kernel, priority);
    return STATUS_OK;
}

status_t thread_object_set_affinity(struct thread_object* t, cpu_mask_t mask) {
    MUTEX_GUARD(process_lock(t->process));
    if (t->phase == THREAD_PHASE_DEAD) {
        return STATUS_BAD_STATE;
    }
    thread_set_affinity(t->kernel, mask);
    return STATUS_OK;
}
