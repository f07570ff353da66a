// The life of threads: creation, start, end, reaping; affinity and accounts.
//
// The end. A thread that ends becomes DEAD under its lock and never runs again. The thread that
// runs next on that CPU queues its reaping (deferred work): stack and FPU area go back, the joiner
// or the object layer is told. The struct itself goes through an epoch, because a wake list, an IPI
// or a reader of the owner word of a mutex may still hold a pointer.
#include "sched_priv.h"

#include <arch/clock.h>
#include <arch/upcalls.h>
#include <lib/bits.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <sched/hooks.h>
#include <sched/init.h>

#include "run_queue.h"

static struct {
    spinlock_t lock; // class THREAD_LIST; the members below
    struct list all; // by creation
    uint64_t created;
    struct thread boot; // CPU 0's idle thread: runs the early initialisation
} threads = {.lock = SPINLOCK_INIT(LOCK_CLASS_THREAD_LIST), .all = LIST_INIT(threads.all)};

// ---- creation ----

static void init_common(struct thread* t, const char* name, int priority) {
    ASSERT(priority >= 0 && priority <= PRIORITY_MAX);
    size_t i = 0;
    for (; name[i] != '\0' && i < THREAD_NAME_MAX - 1; i++) {
        t->name[i] = name[i];
    }
    t->name[i] = '\0';
    struct thread_sched* s = &t->sched;
    s->base_priority = (uint8_t)priority;
    atomic_store_explicit(&s->priority, (uint8_t)priority, memory_order_relaxed);
    s->inverse_weight = fair_inverse_weight((uint32_t)priority);
    s->affinity = ~(cpu_mask_t)0;
    list_init(&s->owned);
    wait_timer_init(t);
    SPIN_IRQ_GUARD(&threads.lock);
    t->tid = ++threads.created;
    list_push_back(&threads.all, &s->all);
}

static void forget(struct thread* t) {
    SPIN_IRQ_GUARD(&threads.lock);
    list_remove(&t->sched.all);
}

static void free_memory(struct epoch_item* item) {
    sched_hook_thread_free(container_of(item, struct thread, sched.epoch));
}

static void free_stack(struct thread* t) {
    arch_thread_free(&t->arch);
    vaddr_t stack;
    {
        // Who lists the threads looks at their stacks.
        SPIN_IRQ_GUARD(&threads.lock);
        stack = t->arch.stack_top;
        t->arch.stack_top = 0;
    }
    if (stack != 0) {
        sched_hook_stack_free(stack);
    }
}

void thread_free(struct thread* t) {
    DEBUG_ASSERT(thread_state(t) == THREAD_DEAD || thread_state(t) == THREAD_INITIAL);
    free_stack(t); // one that was reaped has none any more
    forget(t);
    epoch_defer(&t->sched.epoch, free_memory);
}

static void unref(struct thread* t) {
    if (atomic_fetch_sub_explicit(&t->sched.refs, 1, memory_order_acq_rel) == 1) {
        thread_free(t);
    }
}

// Deferred work, on the CPU where the thread ended: it is off its stack.
static void reap(struct deferred* d) {
    struct thread* t = container_of(d, struct thread, sched.reap);
    free_stack(t);
    if (t->sched.fn == nullptr) {
        sched_hook_thread_reaped(t);
        return;
    }
    uintptr_t joiner =
        atomic_exchange_explicit(&t->sched.joiner, THREAD_ENDED, memory_order_acq_rel);
    if (joiner != 0) {
        struct wake_list wl;
        wake_list_begin(&wl);
        wake_list_add(&wl, (struct waiter*)joiner, STATUS_OK);
        wake_list_flush(&wl);
    }
    unref(t);
}

// Where every thread begins: on its own stack, interrupts off, depth 1, the run-queue lock handed
// over by whoever ran before.
static void first_run(struct thread*) {
    sched_finish_switch();
    irq_enable();
    preempt_enable();
    struct thread* t = thread_current();
    if (t->sched.fn != nullptr) {
        thread_exit_current(t->sched.fn(t->sched.arg));
    }
    t->sched.entry();
    thread_exit_current(0);
}

static struct thread* create(const char* name, int priority) {
    struct thread* t = sched_hook_thread_alloc();
    if (t == nullptr) {
        return nullptr;
    }
    vaddr_t stack = sched_hook_stack_alloc();
    if (stack == 0) {
        sched_hook_thread_free(t);
        return nullptr;
    }
    arch_thread_init(&t->arch, stack, first_run);
    t->arch.stack_top = stack;
    t->sched.reap = (struct deferred)DEFERRED_INIT(reap);
    init_common(t, name, priority);
    preempt_disable();
    atomic_store_explicit(&t->sched.cpu, arch_cpu_index(), memory_order_relaxed);
    preempt_enable();
    return t;
}

struct thread* kthread_create(const char* name, int (*fn)(void* arg), void* arg, int priority) {
    struct thread* t = create(name, priority);
    if (t != nullptr) {
        t->sched.fn = fn;
        t->sched.arg = arg;
        atomic_store_explicit(&t->sched.refs, 2, memory_order_relaxed);
    }
    return t;
}

struct thread* thread_create(const char* name, void (*entry)(void)) {
    struct thread* t = create(name, PRIORITY_DEFAULT);
    if (t == nullptr) {
        return nullptr;
    }
    t->sched.entry = entry;
    if (!arch_thread_alloc_fpu(&t->arch)) {
        thread_free(t);
        return nullptr;
    }
    return t;
}

// Outside the analysis: the thread's lock is known at run time only.
void thread_start(struct thread* t) TA_OFF {
    irq_state_t state = irq_save();
    preempt_disable();
    struct cpu_sched* c = thread_lock(t);
    ASSERT(thread_state(t) == THREAD_INITIAL);
    t->sched.vruntime = c->min_vruntime;
    sched_make_ready(c, t);
    irq_restore(state);
    preempt_enable();
}

// ---- the end ----

// Outside the analysis: the lock passes to the next thread.
[[noreturn]] static void leave_cpu(struct thread* t) TA_OFF {
    irq_disable();
    preempt_disable();
    struct cpu_sched* c = this_cpu();
    spin_acquire_raw(&c->lock);
    thread_set_state(t, THREAD_DEAD);
    t->sched.migrate = true;
    sched_switch_from(c, t, cpu_ticks(), true);
    panic("a dead thread ran again");
}

void thread_exit_current(int code) {
    struct thread* t = thread_current();
    DEBUG_ASSERT(!preempt_disabled() && !t->sched.is_idle);
    if (kernel_debug) {
        lock_check_none_held();
    }
    t->sched.exit_code = code;
    priority_thread_ended(t);
    leave_cpu(t);
}

int kthread_join(struct thread* t) {
    if (thread_state(t) == THREAD_INITIAL) { // never started: nobody else knows it
        thread_free(t);
        return 0;
    }
    struct waiter w;
    waiter_init(&w);
    uintptr_t none = 0;
    if (atomic_compare_exchange_strong_explicit(&t->sched.joiner, &none, (uintptr_t)&w,
                                                memory_order_acq_rel, memory_order_acquire)) {
        status_t status = waiter_block(&w, TIME_INFINITE, WAIT_UNINTERRUPTIBLE, 0);
        ASSERT(status == STATUS_OK);
    } else {
        ASSERT(none == THREAD_ENDED); // one joiner
    }
    int code = t->sched.exit_code;
    unref(t);
    return code;
}

void kthread_detach(struct thread* t) {
    if (thread_state(t) == THREAD_INITIAL) {
        thread_free(t);
        return;
    }
    unref(t);
}

// ---- properties ----

// Outside the analysis: the thread's lock is known at run time only.
void thread_set_affinity(struct thread* t, cpu_mask_t mask) TA_OFF {
    ASSERT(mask != 0);
    irq_state_t state = irq_save();
    preempt_disable();
    struct cpu_sched* c = thread_lock(t);
    t->sched.affinity = mask;
    bool remote = false;
    uint32_t index = c->index;
    if ((mask & cpu_bit(index)) != 0) {
        thread_unlock(c);
    } else if (thread_state(t) == THREAD_RUNNING) {
        t->sched.migrate = true;
        remote = sched_resched_locked(c);
        thread_unlock(c);
    } else if (t->sched.queued) {
        run_queue_remove(c, t);
        sched_make_ready(c, t);
    } else if (c->next == t) {
        c->next = nullptr;
        c->ready_count--;
        sched_make_ready(c, t);
    } else {
        thread_unlock(c);
    }
    if (remote) {
        arch_ipi_send(cpu_bit(index), IPI_RESCHED);
    }
    irq_restore(state);
    preempt_enable();
}

static int64_t runtime_in_ns(uint64_t ticks) {
    uint64_t rate = sched_global.ticks_per_second;
    return (int64_t)(ticks / rate * 1'000'000'000 + ticks % rate * 1'000'000'000 / rate);
}

// Up to the last charge for a thread that runs on another CPU (at most a slice ago if others wait
// there), else exact. Outside the analysis: the thread's lock is known at run time only.
int64_t thread_runtime_ns(struct thread* t) TA_OFF {
    irq_state_t state = irq_save();
    preempt_disable();
    struct cpu_sched* c = thread_lock(t);
    uint64_t ticks = atomic_load_explicit(&t->sched.runtime, memory_order_relaxed);
    if (thread_state(t) == THREAD_RUNNING && (c == this_cpu() || arch_clock_scale()->trusted)) {
        int64_t since = (int64_t)(cpu_ticks() - t->sched.started);
        ticks += since > 0 ? (uint64_t)since : 0;
    }
    thread_unlock(c);
    irq_restore(state);
    preempt_enable();
    return runtime_in_ns(ticks);
}

// Outside the analysis: the thread's lock is known at run time only.
bool thread_call_off_cpu(struct thread* t, void (*fn)(struct thread* t, void* arg),
                         void* arg) TA_OFF {
    irq_state_t state = irq_save();
    preempt_disable();
    struct cpu_sched* c = thread_lock(t);
    bool off = thread_state(t) != THREAD_RUNNING;
    if (off) {
        fn(t, arg);
    }
    thread_unlock(c);
    irq_restore(state);
    preempt_enable();
    return off;
}

// ---- CPUs ----

static void cpu_online(struct cpu_sched* c) {
    atomic_store_explicit(&c->epoch.seen,
                          atomic_load_explicit(&sched_global.epoch, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_fetch_or_explicit(&sched_global.online, cpu_bit(c->index), memory_order_seq_cst);
}

static void make_idle(struct thread* t, uint32_t cpu) {
    struct cpu_sched* c = &sched_cpus[cpu];
    t->sched.is_idle = true;
    t->sched.inverse_weight = 0; // never queued, no virtual time
    t->sched.affinity = cpu_bit(cpu);
    atomic_store_explicit(&t->sched.cpu, cpu, memory_order_relaxed);
    thread_set_state(t, THREAD_RUNNING);
    c->idle = t;
    c->current = t;
}

static void init_cpu(uint32_t cpu) {
    struct cpu_sched* c = &sched_cpus[cpu];
    run_queue_init(c, cpu);
    timer_queue_init(c);
    epoch_cpu_init(c);
}

MINSIZE void sched_init_boot(vaddr_t stack_top) {
    for (uint32_t i = 0; i < CPU_MAX; i++) {
        init_cpu(i);
    }
    struct thread* t = &threads.boot;
    arch_percpu_self()->sched = &sched_cpus[0];
    arch_thread_adopt(t, stack_top);
    init_common(t, "idle/0", 0);
    make_idle(t, 0);
    cpu_online(&sched_cpus[0]);
}

void sched_start_boot(int (*main_fn)(void* arg)) {
    sched_ticks_init();
    struct thread* worker = kthread_create("worker", sched_worker_main, nullptr, PRIORITY_DEFAULT);
    struct thread* main_thread = kthread_create("main", main_fn, nullptr, PRIORITY_DEFAULT);
    if (worker == nullptr || main_thread == nullptr) {
        panic("no memory for the first threads");
    }
    if (kernel_debug) {
        lock_check_start();
    }
    thread_start(worker);
    kthread_detach(worker);
    thread_start(main_thread);
    kthread_detach(main_thread);
    irq_enable();
    preempt_enable();
    sched_idle_loop();
}

struct thread* arch_upcall_secondary_thread(uint32_t cpu) {
    char name[16];
    (void)fmt_snprintf(name, sizeof(name), "idle/%u", cpu);
    struct thread* t = create(name, 0);
    if (t != nullptr) {
        make_idle(t, cpu);
    }
    return t;
}

void arch_upcall_secondary_main(void) {
    arch_percpu_self()->sched = &sched_cpus[arch_cpu_index()];
    cpu_online(this_cpu());
    irq_enable();
    preempt_enable();
    sched_idle_loop();
}

struct lock_held_list* lock_check_thread_list(void) {
    struct thread* t = thread_current();
    return t != nullptr ? &t->sched.locks : nullptr;
}

// ---- the list of threads ----

struct snapshot {
    uint64_t tid, switches;
    int64_t runtime_ns;
    size_t stack_used;
    char name[THREAD_NAME_MAX];
    uint32_t cpu, priority;
    enum thread_state state;
};

// The first thread with a larger tid (threads.lock keeps it and its stack alive meanwhile).
static MINSIZE bool next_snapshot(uint64_t after, struct snapshot* out) {
    SPIN_IRQ_GUARD(&threads.lock);
    struct thread* best = nullptr;
    list_for_each(n, &threads.all) {
        struct thread* t = container_of(n, struct thread, sched.all);
        if (t->tid > after && (best == nullptr || t->tid < best->tid)) {
            best = t;
        }
    }
    if (best == nullptr) {
        return false;
    }
    *out = (struct snapshot){
        .tid = best->tid,
        .switches = atomic_load_explicit(&best->sched.switches, memory_order_relaxed),
        .runtime_ns =
            runtime_in_ns(atomic_load_explicit(&best->sched.runtime, memory_order_relaxed)),
        .cpu = atomic_load_explicit(&best->sched.cpu, memory_order_relaxed),
        .stack_used = best->arch.stack_top != 0 ? sched_hook_stack_used(best->arch.stack_top) : 0,
        .priority = thread_priority(best),
        .state = thread_state(best),
    };
    memcpy(out->name, best->name, sizeof(out->name));
    return true;
}

MINSIZE void thread_dump_all(print_fn print) {
    static const char* const state_names[] = {"initial", "ready",     "running",
                                              "blocked", "suspended", "dead"};
    print("%8s %4s %4s %-9s %14s %10s %6s %s\n", "id", "cpu", "prio", "state", "runtime us",
          "switches", "stack", "name");
    struct snapshot s;
    size_t deepest = sched_hook_stack_deepest();
    for (uint64_t after = 0; next_snapshot(after, &s); after = s.tid) {
        text_make_printable(s.name, sizeof(s.name)); // a program may have chosen it
        print("%8lu %4u %4u %-9s %14ld %10lu %6lu %s\n", (unsigned long)s.tid, s.cpu, s.priority,
              state_names[s.state], (long)(s.runtime_ns / 1000), (unsigned long)s.switches,
              (unsigned long)s.stack_used, s.name);
        deepest = max(deepest, s.stack_used);
    }
    print("deepest kernel stack: %lu bytes\n", (unsigned long)deepest);
}

void thread_print_running(print_fn print) {
    for (uint32_t i = 0; i < CPU_MAX; i++) {
        const struct thread* t = sched_cpus[i].current;
        if (t != nullptr) {
            print("cpu %u: thread %lu %s\n", i, (unsigned long)t->tid, t->name);
        }
    }
}
