// For in-kernel tests: one thread on each of several CPUs, all started, then joined.
#pragma once

#include <arch/cpu.h>
#include <debug/ktest.h>
#include <lib/bits.h>
#include <lib/compiler.h>
#include <sched/thread.h>

constexpr uint32_t KTEST_CPUS = 4;

struct cpu_threads {
    struct thread* thread[KTEST_CPUS];
    uint32_t count;
};

// As many as the machine has, four at most. arg[i] goes to the thread on CPU `first` + i.
static inline void cpu_threads_start(struct ktest* t, struct cpu_threads* c, uint32_t first,
                                     int (*fn)(void*), void* const* arg) {
    uint32_t cpus = min(arch_cpu_count(), KTEST_CPUS);
    *c = (struct cpu_threads){};
    for (uint32_t cpu = first; cpu < cpus; cpu++) {
        struct thread* th = kthread_create("cpu-test", fn, arg[cpu - first], PRIORITY_DEFAULT);
        if (th == nullptr) {
            ktest_fail(t, __FILE_NAME__, __LINE__, "no thread", cpu, 0);
            continue;
        }
        thread_set_affinity(th, bit(cpu));
        c->thread[c->count++] = th;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        thread_start(c->thread[i]);
    }
}

static inline void cpu_threads_join(struct cpu_threads* c) {
    for (uint32_t i = 0; i < c->count; i++) {
        kthread_join(c->thread[i]);
    }
}
