// In-kernel test: every thread with FPU state keeps it over switches and migrations, and starts
// with the initial one.
//
// Kernel threads have no FPU area; these get one, which makes them user threads in the eyes of the
// switch. The registers are reached by inline assembly: the kernel's own code never touches them.
#include <arch/thread.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <debug/ktest.h>
#include <sched/thread.h>

#include "fpu.h"

constexpr int THREADS = 6;
constexpr int ROUNDS = 300;

static void xmm_write(uint64_t v) {
    __asm__ volatile("movq %0, %%xmm0\n\tmovq %0, %%xmm7" ::"r"(v));
}

static bool xmm_is(uint64_t v) {
    uint64_t a, b;
    __asm__ volatile("movq %%xmm0, %0\n\tmovq %%xmm7, %1" : "=r"(a), "=r"(b));
    return a == v && b == v;
}

static uint32_t mxcsr_read(void) {
    uint32_t v;
    __asm__ volatile("stmxcsr %0" : "=m"(v));
    return v;
}

static uint16_t control_word_read(void) {
    uint16_t v;
    __asm__ volatile("fnstcw %0" : "=m"(v));
    return v;
}

static int keep_state(void* arg) {
    struct thread* me = thread_current();
    const uint64_t mark = (uint64_t)arg * 0x0101'0101'0101'0101u;
    int wrong = 0;
    if (!arch_thread_alloc_fpu(&me->arch)) {
        return -1;
    }
    const irq_state_t state = irq_save();
    x86_fpu_load(arch_percpu_self(), me);
    irq_restore(state);
    wrong += xmm_is(0) && mxcsr_read() == 0x1f80 && control_word_read() == 0x37f ? 0 : 1;
    xmm_write(mark);
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 16 == 0) {
            thread_set_affinity(me, i % 32 == 0 ? arch_cpus_online() : (cpu_mask_t)1);
        }
        thread_yield();
        wrong += xmm_is(mark + (uint64_t)i) ? 0 : 1;
        xmm_write(mark + (uint64_t)i + 1);
    }
    const irq_state_t off = irq_save();
    void* area = me->arch.fpu;
    me->arch.fpu = nullptr; // from here on an ordinary kernel thread
    irq_restore(off);
    struct arch_thread rest = {.fpu = area};
    arch_thread_free(&rest);
    return wrong;
}

static void state_survives_switches(struct ktest* t) {
    struct thread* threads[THREADS] = {};
    for (int i = 0; i < THREADS; i++) {
        threads[i] = kthread_create("fpu", keep_state, (void*)(uintptr_t)(i + 1), PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        thread_start(threads[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        KEXPECT_EQ(t, kthread_join(threads[i]), 0);
    }
}
KTEST_WITH(fpu, state_survives_switches, 0, 10'000);

// A state that the CPU refuses (a reserved bit of the XSAVE header) is replaced by the initial one.
static int refused_state(void*) {
    struct thread* me = thread_current();
    if (!arch_thread_alloc_fpu(&me->arch)) {
        return -1;
    }
    const irq_state_t state = irq_save();
    uint8_t* area = me->arch.fpu;
    area[512 + 7] = 0x80; // the top byte of XSTATE_BV
    x86_fpu_load(arch_percpu_self(), me);
    const int wrong = mxcsr_read() == 0x1f80 && area[512 + 7] == 0 ? 0 : 1;
    me->arch.fpu = nullptr;
    irq_restore(state);
    struct arch_thread rest = {.fpu = area};
    arch_thread_free(&rest);
    return wrong;
}

static void bad_state_is_replaced(struct ktest* t) {
    if (x86_fpu_how == X86_FPU_FXSAVE) {
        ktest_skip(t, "no XSAVE; under emulation FXRSTOR takes anything");
        return;
    }
    struct thread* thread = kthread_create("fpu", refused_state, nullptr, PRIORITY_DEFAULT);
    KASSERT(t, thread != nullptr);
    thread_start(thread);
    KEXPECT_EQ(t, kthread_join(thread), 0);
}
KTEST(fpu, bad_state_is_replaced);
