// Switching, placing, preempting, stealing.
//
// A CPU's timer is armed for a slice only while somebody else is ready here (tickless), and never
// moved back: it may fire early, then it looks and arms itself again. So a pair of threads that
// wake each other all the time arms it once per slice and not once per switch.
//
// Work moves between CPUs when a thread wakes (an idle CPU is preferred to waiting at home), when a
// CPU runs out of work (it pulls one thread), and when an affinity changes. Only the lock of one
// CPU is held at any time: a thread under way belongs to whoever moves it.
//
// The functions that hand a lock to the next thread, or lock the CPU a thread belongs to, are
// outside the thread-safety analysis: which lock it is, and who releases it, is known at run time
// only.
#include "sched_priv.h"

#include <arch/clock.h>
#include <arch/mmu.h>
#include <arch/upcalls.h>
#include <lib/bits.h>

#include "run_queue.h"
#include "switch.h"

struct cpu_sched sched_cpus[CPU_MAX];
struct sched_global sched_global;

// ---- the timer ----

void sched_ticks_init(void) {
    uint64_t rate = arch_clock_scale()->ticks_per_second;
    sched_global.ticks_per_second = rate;
    sched_global.slice = FAIR_SLICE_NS * (rate / 1000) / 1'000'000;
    sched_global.credit = FAIR_CREDIT_NS * (rate / 1000) / 1'000'000;
    sched_global.granularity = FAIR_GRANULARITY_NS * (rate / 1000) / 1'000'000;
    sched_global.spare = FAIR_SPARE_NS * (rate / 1000) / 1'000'000;
}

// Ticks are compared on their own CPU only; what is far away needs no precision.
static uint64_t ns_to_ticks(int64_t ns) {
    constexpr int64_t FAR = 1'000'000'000'000;
    return (uint64_t)min(max(ns, (int64_t)0), FAR) / 1000 * (sched_global.ticks_per_second / 1000) /
           1000;
}

static int64_t ticks_to_ns(uint64_t ticks) {
    return (int64_t)(ticks * 1'000'000 / (sched_global.ticks_per_second / 1000));
}

static void program(struct cpu_sched* c, int64_t deadline_ns, uint64_t deadline) {
    c->hw_deadline_ns = deadline_ns;
    c->hw_deadline = deadline;
    arch_timer_set(deadline_ns);
}

void sched_arm(struct cpu_sched* c, int64_t deadline_ns) {
    if (deadline_ns < c->hw_deadline_ns) {
        program(c, deadline_ns, cpu_ticks() + ns_to_ticks(deadline_ns - clock_monotonic_ns()));
    }
}

void sched_arm_slice_slow(struct cpu_sched* c) {
    uint64_t now = cpu_ticks();
    int64_t left_ns = now < c->slice_end ? ticks_to_ns(c->slice_end - now) : 0;
    program(c, clock_monotonic_ns() + left_ns, c->slice_end);
}

static void kick_thief(struct cpu_sched* c) {
    cpu_mask_t idle =
        atomic_load_explicit(&sched_global.idle, memory_order_relaxed) & ~cpu_bit(c->index);
    if (idle != 0) {
        arch_ipi_send(cpu_bit(bit_lowest(idle)), IPI_RESCHED);
    }
}

void arch_upcall_timer(void) {
    struct cpu_sched* c = this_cpu();
    preempt_disable();
    c->hw_deadline_ns = TIME_INFINITE; // it has fired
    c->hw_deadline = UINT64_MAX;
    timer_queue_run(c, clock_monotonic_ns());
    spin_acquire_raw(&c->lock);
    bool waiting = c->ready_count != 0;
    if (waiting && cpu_ticks() >= c->slice_end) {
        bool remote = sched_resched_locked(c); // the switch that follows arms the next
        DEBUG_ASSERT(!remote);
    } else if (waiting) {
        sched_arm_slice(c);
    }
    spin_release_raw(&c->lock);
    if (waiting) {
        kick_thief(c);
    }
    sched_arm(c, timer_queue_next(c));
    preempt_enable(); // interrupts are off: what is pending is found on the way out
}

// ---- switching ----

// See finish_switch().
void sched_finish_special(struct cpu_sched* c, struct thread* prev) TA_OFF {
    // Read before the unlock: afterwards prev may run elsewhere, even end there.
    bool dead = thread_state(prev) == THREAD_DEAD;
    spin_release_raw(&c->lock);
    if (dead) {
        deferred_queue(&prev->sched.reap);
        return;
    }
    struct cpu_sched* home = thread_lock(prev);
    if (prev->sched.migrate && thread_state(prev) == THREAD_READY && !prev->sched.queued &&
        home->next != prev) {
        sched_make_ready(home, prev);
    } else {
        thread_unlock(home);
    }
}

// See finish_switch().
void sched_finish_switch(void) TA_OFF {
    finish_switch();
}

void sched_note_idle(const struct cpu_sched* c, bool idle) {
    if (idle) {
        atomic_fetch_or_explicit(&sched_global.idle, cpu_bit(c->index), memory_order_seq_cst);
    } else {
        atomic_fetch_and_explicit(&sched_global.idle, ~cpu_bit(c->index), memory_order_relaxed);
    }
}

// See switch_from().
void sched_switch_from(struct cpu_sched* c, struct thread* prev, uint64_t now, bool blocks) TA_OFF {
    switch_from(c, prev, now, blocks);
}

// Whether the current thread, just charged, is still the best. Equal fixed priorities take turns.
static bool goes_on(struct cpu_sched* c, const struct thread* prev) {
    if (c->next != nullptr) {
        struct thread* waiting = c->next;
        c->next = nullptr;
        c->ready_count--;
        run_queue_insert(c, waiting);
    }
    const struct thread* best = run_queue_best(c);
    if (unlikely(prev->sched.migrate)) {
        return false;
    }
    if (best == nullptr || prev->sched.is_idle) {
        return best == nullptr;
    }
    if (thread_is_fixed(prev) || thread_is_fixed(best)) {
        return thread_priority(best) < thread_priority(prev);
    }
    return fair_before(prev->sched.vruntime, best->sched.vruntime);
}

// Puts the current thread back if it should be, and runs what is best. Interrupts off, depth 1.
static void resched(void) TA_OFF {
    struct cpu_sched* c = this_cpu();
    spin_acquire_raw(&c->lock);
    struct thread* prev = c->current;
    if (!c->resched && !(prev->sched.is_idle && c->ready_count != 0)) {
        if (c->ready_count != 0) {
            sched_arm_slice(c); // a remote waker ended our being alone
        }
        spin_release_raw(&c->lock);
        epoch_note(c);
        return;
    }
    c->resched = false;
    uint64_t now = cpu_ticks();
    run_queue_charge(c, prev, now);
    if (goes_on(c, prev)) {
        c->slice_end = now + sched_global.slice;
        if (c->ready_count != 0) {
            sched_arm_slice(c);
        }
        spin_release_raw(&c->lock);
        epoch_note(c);
        return;
    }
    struct thread* next = take_best(c, now, false);
    thread_set_state(prev, THREAD_READY);
    if (!prev->sched.is_idle && !prev->sched.migrate) {
        run_queue_insert(c, prev);
    }
    switch_to(c, prev, next, now);
}

void arch_upcall_preempt(void) {
    irq_state_t state = irq_save();
    do {
        preempt_disable();
        uint32_t bits = arch_pending_take();
        if ((bits & CPU_PENDING_DEFERRED) != 0) {
            deferred_run(this_cpu());
        }
        if ((bits & CPU_PENDING_RESCHED) != 0) {
            resched();
        } else {
            epoch_note(this_cpu());
        }
    } while (arch_preempt_dec_is_zero());
    irq_restore(state);
}

NOINLINE PRESERVES_REGISTERS void preempt_pending_slow(void) {
    if (irq_enabled()) {
        arch_upcall_preempt();
    }
}

// Whether prev goes on although it yields: only lower priorities wait. Else its virtual time is
// moved behind the first of those who wait.
static bool yields_to_nobody(const struct cpu_sched* c, struct thread* prev) {
    if (unlikely(prev->sched.migrate)) {
        return false;
    }
    if (unlikely(thread_is_fixed(prev))) {
        const struct thread* best = c->next != nullptr ? c->next : run_queue_best(c);
        return thread_priority(best) < thread_priority(prev);
    }
    if (c->first != nullptr) {
        prev->sched.vruntime = fair_later(prev->sched.vruntime, c->first->sched.vruntime);
    }
    return false;
}

// Outside the analysis: the lock passes to the thread that runs next.
void thread_yield(void) TA_OFF {
    DEBUG_ASSERT(irq_enabled());
    irq_disable();
    preempt_disable();
    struct cpu_sched* c = this_cpu();
    spin_acquire_raw(&c->lock);
    struct thread* prev = thread_current();
    if (c->ready_count == 0 || yields_to_nobody(c, prev)) {
        spin_release_raw(&c->lock);
        epoch_note(c);
    } else {
        uint64_t now = cpu_ticks();
        run_queue_charge(c, prev, now);
        c->resched = false;
        struct thread* next = take_best(c, now, false);
        thread_set_state(prev, THREAD_READY);
        if (likely(!prev->sched.migrate)) {
            run_queue_insert(c, prev);
        }
        switch_to(c, prev, next, now);
    }
    irq_enable();
    preempt_enable();
}

// ---- waking and placing ----

bool sched_resched_locked(struct cpu_sched* c) {
    c->resched = true;
    if (c == this_cpu()) {
        arch_pending_set(CPU_PENDING_RESCHED);
        return false;
    }
    return true;
}

static uint32_t choose_cpu(const struct cpu_sched* c, const struct thread* t) {
    cpu_mask_t allowed =
        t->sched.affinity & atomic_load_explicit(&sched_global.online, memory_order_relaxed);
    cpu_mask_t home = cpu_bit(c->index) & allowed;
    cpu_mask_t idle = atomic_load_explicit(&sched_global.idle, memory_order_relaxed) & allowed;
    if (likely(home != 0) && ((idle & home) != 0 || idle == 0)) {
        return c->index;
    }
    cpu_mask_t from = idle != 0 ? idle : allowed;
    if (from == 0) {
        return c->index; // none of its CPUs runs (any more): better somewhere than nowhere
    }
    // Nobody idle: spread over the allowed ones by where the thread comes from.
    cpu_mask_t above = from & ~(cpu_bit(c->index) | (cpu_bit(c->index) - 1));
    return bit_lowest(above != 0 ? above : from);
}

// Whether a thread that has just been queued on c should take the CPU from the current one.
static bool preempts(const struct cpu_sched* c, const struct thread* t) {
    const struct thread* current = c->current;
    if (current->sched.is_idle) {
        return true;
    }
    if (thread_is_fixed(t)) {
        return thread_priority(t) > thread_priority(current);
    }
    return !thread_is_fixed(current) &&
           fair_preempts(t->sched.vruntime, current->sched.vruntime, sched_global.granularity);
}

// A fair thread that has only just got this CPU keeps it for a moment: it may be about to block,
// and then one switch does for two.
static bool spared(const struct cpu_sched* c, const struct thread* t) {
    const struct thread* current = c->current;
    return c == this_cpu() && !thread_is_fixed(t) && !current->sched.is_idle &&
           cpu_ticks() - current->sched.started < sched_global.spare;
}

// What a thread that has just been queued on c means for the one that runs there. True: c needs an
// IPI_RESCHED.
[[nodiscard]] static NOINLINE bool contend(struct cpu_sched* c, const struct thread* t) {
    if (preempts(c, t)) {
        if (!spared(c, t)) {
            atomic_fetch_and_explicit(&sched_global.idle, ~cpu_bit(c->index), memory_order_relaxed);
            return sched_resched_locked(c);
        }
        c->slice_end = min(c->slice_end, c->current->sched.started + sched_global.spare);
    }
    if (c != this_cpu()) {
        return c->ready_count == 1; // its timer may be off
    }
    sched_arm_slice(c);
    return false;
}

// Queues a READY thread on c, which it belongs to. True: c needs an IPI_RESCHED.
[[nodiscard]] static bool enqueue(struct cpu_sched* c, struct thread* t) {
    t->sched.migrate = false;
    t->sched.vruntime = fair_place(t->sched.vruntime, c->min_vruntime, sched_global.credit);
    run_queue_insert(c, t);
    return contend(c, t);
}

// sched_make_ready() but for the lock, in the usual case: a fair thread wakes another of its own
// CPU, on which nobody waits, and no CPU is idle. Those with a weight are neither fixed nor idle.
// False: nothing is done.
ALWAYS_INLINE bool ready_here(struct cpu_sched* c, struct thread* t) {
    const struct thread* current = c->current;
    cpu_mask_t allowed = t->sched.affinity;
    cpu_mask_t idle = atomic_load_explicit(&sched_global.idle, memory_order_relaxed);
    if (c != this_cpu() || c->first != nullptr || t->sched.inverse_weight == 0 ||
        current->sched.inverse_weight == 0 || (idle & allowed) != 0 ||
        (allowed >> c->index & 1) == 0) {
        return false;
    }
    thread_set_state(t, THREAD_READY);
    t->sched.migrate = false;
    uint64_t place = fair_place(t->sched.vruntime, c->min_vruntime, sched_global.credit);
    t->sched.vruntime = place;
    c->ready_count++;
    t->sched.queued = true;
    c->first = t;
    if (unlikely(fair_preempts(place, current->sched.vruntime, sched_global.granularity))) {
        bool remote = contend(c, t);
        DEBUG_ASSERT(!remote);
    } else {
        sched_arm_slice(c);
    }
    return true;
}

// t, READY and in no place, changes its CPU. Takes c's lock, returns with the lock of the new one.
static struct cpu_sched* move(struct cpu_sched* c, struct thread* t, uint32_t cpu) TA_OFF {
    t->sched.vruntime -= c->min_vruntime;
    atomic_store_explicit(&t->sched.cpu, cpu, memory_order_relaxed);
    spin_release_raw(&c->lock);
    c = &sched_cpus[cpu];
    spin_acquire_raw(&c->lock);
    t->sched.vruntime += c->min_vruntime;
    return c;
}

// Outside the analysis: which run queue's lock is held depends on the thread.
void sched_make_ready(struct cpu_sched* c, struct thread* t) TA_OFF {
    thread_set_state(t, THREAD_READY);
    for (;;) {
        uint32_t cpu = choose_cpu(c, t);
        if (likely(cpu == c->index)) {
            break;
        }
        c = move(c, t, cpu); // and look again: its affinity may have changed on the way
    }
    bool remote = enqueue(c, t);
    uint32_t index = c->index;
    spin_release_raw(&c->lock);
    if (remote) {
        arch_ipi_send(cpu_bit(index), IPI_RESCHED);
    }
}

// Outside the analysis: it locks whatever CPU's queue the thread belongs to.
INLINE_ACROSS_FILES void sched_unpark_no_preempt(struct thread* t) TA_OFF {
    irq_state_t state = irq_save();
    struct cpu_sched* c = thread_lock(t);
    if (unlikely(thread_state(t) != THREAD_BLOCKED) || likely(ready_here(c, t))) {
        thread_unlock(c);
    } else {
        sched_make_ready(c, t);
    }
    irq_restore(state);
}

void sched_unpark(struct thread* t) {
    preempt_disable();
    sched_unpark_no_preempt(t);
    preempt_enable();
}

// ---- idle ----

// Pulls one thread from the CPU where most wait. True: something is queued here now. Interrupts
// off, depth 1.
static bool steal(struct cpu_sched* self) TA_OFF {
    cpu_mask_t online = atomic_load_explicit(&sched_global.online, memory_order_relaxed);
    for (cpu_mask_t left = online & ~cpu_bit(self->index); left != 0; left &= left - 1) {
        struct cpu_sched* victim = &sched_cpus[bit_lowest(left)];
        if (__atomic_load_n(&victim->ready_count, __ATOMIC_RELAXED) == 0 ||
            !spin_try_acquire_raw(&victim->lock)) {
            continue;
        }
        if (victim->next != nullptr && run_queue_best(victim) == nullptr) {
            // It has waited since a reply; here it need not.
            struct thread* waiting = victim->next;
            victim->next = nullptr;
            victim->ready_count--;
            run_queue_insert(victim, waiting);
        }
        struct thread* t = run_queue_find_for(victim, self->index);
        if (t == nullptr) {
            spin_release_raw(&victim->lock);
            continue;
        }
        run_queue_remove(victim, t);
        struct cpu_sched* c = move(victim, t, self->index);
        if ((t->sched.affinity & cpu_bit(self->index)) == 0) {
            sched_make_ready(c, t); // its affinity changed on the way
            continue;
        }
        bool remote = enqueue(c, t);
        DEBUG_ASSERT(!remote);
        spin_release_raw(&c->lock);
        return true;
    }
    return false;
}

[[noreturn]] void sched_idle_loop(void) {
    for (;;) {
        irq_disable();
        preempt_disable();
        struct cpu_sched* c = this_cpu();
        epoch_note(c);
        bool work = steal(c) || __atomic_load_n(&c->ready_count, __ATOMIC_RELAXED) != 0;
        if (work) {
            arch_pending_set(CPU_PENDING_RESCHED);
        } else {
            atomic_fetch_or_explicit(&sched_global.idle, cpu_bit(c->index), memory_order_relaxed);
        }
        bool pending = arch_preempt_dec_is_zero();
        if (work || pending) {
            arch_upcall_preempt();
            irq_enable();
        } else {
            arch_idle();
        }
    }
}

struct sched_cpu_info sched_cpu_info(uint32_t cpu) {
    struct cpu_sched* c = &sched_cpus[cpu];
    if (c->idle == nullptr) {
        return (struct sched_cpu_info){};
    }
    return (struct sched_cpu_info){.idle_ns = thread_runtime_ns(c->idle),
                                   .switches =
                                       atomic_load_explicit(&c->switches, memory_order_relaxed)};
}

uint64_t sched_context_switches(void) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < CPU_MAX; i++) {
        sum += atomic_load_explicit(&sched_cpus[i].switches, memory_order_relaxed);
    }
    return sum;
}

bool sched_is_quiet(void) {
    uint64_t before = sched_context_switches();
    preempt_disable();
    bool quiet = true;
    for (cpu_mask_t left = atomic_load_explicit(&sched_global.online, memory_order_relaxed);
         left != 0; left &= left - 1) {
        const struct cpu_sched* c = &sched_cpus[bit_lowest(left)];
        const struct thread* current = __atomic_load_n(&c->current, __ATOMIC_ACQUIRE);
        quiet = quiet && __atomic_load_n(&c->ready_count, __ATOMIC_RELAXED) == 0 &&
                (current == c->idle || c == this_cpu());
    }
    preempt_enable();
    return quiet && sched_context_switches() == before;
}
