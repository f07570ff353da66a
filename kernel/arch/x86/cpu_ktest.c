// In-kernel tests of the port: cross-calls and IPIs under load, the clock across CPUs, the per-CPU
// words.
#include <arch/cpu.h>

#include <stdatomic.h>

#include <arch/clock.h>
#include <arch/percpu.h>
#include <debug/ktest.h>
#include <lib/bits.h>
#include <sched/thread.h>

#include "clock_priv.h"
#include "regs.h"
#include "x86_cpu.h"

static void count_call(void* arg) {
    _Atomic(uint64_t)* counts = arg;
    atomic_fetch_add(&counts[arch_cpu_index()], 1);
}

static void call_on_reaches_exactly_the_named(struct ktest* t) {
    static _Atomic(uint64_t) counts[CPU_MAX];
    const cpu_mask_t online = arch_cpus_online();
    for (uint32_t i = 0; i < CPU_MAX; i++) {
        atomic_store(&counts[i], 0);
    }
    arch_call_on(online, count_call, counts);
    arch_call_on(0, count_call, counts);
    arch_call_on(1, count_call, counts);
    for (uint32_t i = 0; i < CPU_MAX; i++) {
        const uint64_t expected = (online & bit(i)) == 0 ? 0 : i == 0 ? 2 : 1;
        KEXPECT_EQ(t, atomic_load(&counts[i]), expected);
    }
}
KTEST(arch, call_on_reaches_exactly_the_named);

// Every CPU calls all others at once: callers must serve each other while they wait.
static struct {
    _Atomic(uint64_t) received;
} storm;

static void storm_hit(void* arg) {
    (void)arg;
    atomic_fetch_add(&storm.received, 1);
}

constexpr uint64_t STORM_ROUNDS = 40;

static int storm_thread(void* arg) {
    (void)arg;
    for (uint64_t i = 0; i < STORM_ROUNDS; i++) {
        arch_call_on(arch_cpus_online(), storm_hit, nullptr);
    }
    return 0;
}

static void ipi_storm(struct ktest* t) {
    struct thread* threads[8] = {};
    atomic_store(&storm.received, 0);
    const uint32_t cpus = bit_count(arch_cpus_online());
    const uint32_t count = min(cpus, (uint32_t)array_size(threads));
    for (uint32_t i = 0; i < count; i++) {
        threads[i] = kthread_create("ipi-storm", storm_thread, nullptr, PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_set_affinity(threads[i], bit(i));
        thread_start(threads[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        KEXPECT_EQ(t, kthread_join(threads[i]), 0);
    }
    KEXPECT_EQ(t, atomic_load(&storm.received), STORM_ROUNDS * count * cpus);
}
KTEST_WITH(arch, ipi_storm, 0, 10'000);

// A reading on one CPU, taken after one on another, is never smaller.
static void clock_read(void* arg) {
    *(int64_t*)arg = clock_monotonic_ns();
}

static void clock_is_monotonic_across_cpus(struct ktest* t) {
    int64_t last = clock_monotonic_ns();
    uint64_t backwards = 0;
    for (int round = 0; round < 50; round++) {
        for (cpu_mask_t left = arch_cpus_online(); left != 0; left &= left - 1) {
            int64_t now = 0;
            arch_call_on(left & -left, clock_read, &now);
            backwards += now < last ? 1 : 0;
            last = now;
        }
    }
    KEXPECT_EQ(t, backwards, 0u);
}
KTEST_WITH(arch, clock_is_monotonic_across_cpus, 0, 10'000);

static void clock_scale_agrees(struct ktest* t) {
    const struct clock_scale* s = arch_clock_scale();
    KASSERT(t, s->ticks_per_second > 0);
    // A second of ticks is a second, to the precision of the scale.
    const unsigned __int128 second = (unsigned __int128)s->ticks_per_second * s->mult >> s->shift;
    KEXPECT(t, (uint64_t)second > 999'999'000 && (uint64_t)second < 1'000'001'000);
    const uint64_t ticks = clock_ns_to_ticks(1'000'000'000);
    KEXPECT(t, ticks - s->base_ticks >= s->ticks_per_second - 10 &&
                   ticks - s->base_ticks <= s->ticks_per_second + 10);
    KEXPECT_EQ(t, clock_ns_to_ticks(-1), s->base_ticks);
    KEXPECT(t, clock_ns_to_ticks(INT64_MAX) > ticks);
}
KTEST(arch, clock_scale_agrees);

static void delay_takes_its_time(struct ktest* t) {
    const int64_t from = clock_monotonic_ns();
    x86_delay_us(200);
    KEXPECT(t, clock_monotonic_ns() - from >= 199'000);
}
KTEST(arch, delay_takes_its_time);

// "Nothing pending" and the depth share a word: the one instruction that leaves a level must tell
// exactly when both are zero.
static void preempt_word(struct ktest* t) {
    const irq_state_t state = irq_save();
    const uint32_t pending = arch_pending_take();
    KEXPECT_EQ(t, arch_preempt_count(), PREEMPT_NOTHING_PENDING);
    arch_preempt_inc();
    arch_preempt_inc();
    KEXPECT(t, !arch_preempt_dec_is_zero());
    arch_pending_set(CPU_PENDING_DEFERRED);
    KEXPECT_EQ(t, arch_preempt_count(), 1u);
    KEXPECT_EQ(t, arch_pending(), CPU_PENDING_DEFERRED);
    KEXPECT(t, arch_preempt_dec_is_zero());
    KEXPECT_EQ(t, arch_pending_take(), CPU_PENDING_DEFERRED);
    KEXPECT_EQ(t, arch_preempt_count(), PREEMPT_NOTHING_PENDING);
    if (pending != 0) {
        arch_pending_set(pending);
    }
    irq_restore(state);
}
KTEST(arch, preempt_word);

struct cpu_state {
    bool checked[CPU_MAX];
    uint64_t cr4[CPU_MAX];
    uint64_t efer[CPU_MAX];
    bool self_ok[CPU_MAX];
};

static void read_state(void* arg) {
    struct cpu_state* s = arg;
    const uint32_t cpu = arch_cpu_index();
    s->cr4[cpu] = cr4_read();
    s->efer[cpu] = msr_read(MSR_EFER);
    s->self_ok[cpu] = x86_cpu_get(cpu) == x86_cpu_self() &&
                      arch_percpu_self()->self == arch_percpu_self() && arch_irq_depth() <= 1;
    s->checked[cpu] = true;
}

// Protections are on, and on everywhere.
static void every_cpu_has_the_features_on(struct ktest* t) {
    static struct cpu_state s;
    const struct cpu_features* f = arch_cpu_features();
    arch_call_on(arch_cpus_online(), read_state, &s);
    for (cpu_mask_t left = arch_cpus_online(); left != 0; left &= left - 1) {
        const unsigned cpu = bit_lowest(left);
        KASSERT(t, s.checked[cpu]);
        KEXPECT(t, s.self_ok[cpu]);
        KEXPECT_EQ(t, (s.cr4[cpu] & CR4_SMEP) != 0, f->smep);
        KEXPECT_EQ(t, (s.cr4[cpu] & CR4_SMAP) != 0, f->smap);
        KEXPECT_EQ(t, (s.cr4[cpu] & CR4_UMIP) != 0, f->umip);
        KEXPECT_EQ(t, (s.cr4[cpu] & CR4_FSGSBASE) != 0, f->fsgsbase);
        KEXPECT_EQ(t, s.cr4[cpu] & (CR4_LA57 | CR4_PKE), 0u);
        KEXPECT_EQ(t, (s.efer[cpu] & EFER_NXE) != 0, f->nx);
        KEXPECT(t, (s.efer[cpu] & EFER_SCE) != 0);
    }
}
KTEST(arch, every_cpu_has_the_features_on);
