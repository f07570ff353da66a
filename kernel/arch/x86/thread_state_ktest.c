// In-kernel test: what is written into a stopped thread's registers is what it finds there, and
// what user mode may not have does not get in.
//
// As in fpu_ktest.c, a kernel thread with an FPU area is a user thread in the eyes of the switch.
#include <arch/thread_state.h>

#include <zircon/syscalls/debug.h>

#include <arch/percpu.h>
#include <arch/thread.h>
#include <debug/ktest.h>
#include <lib/assert.h>
#include <lib/string.h>
#include <sched/thread.h>

#include "debug_regs.h"
#include "fpu.h"
#include "sysret.h"

constexpr uint64_t MARK = 0x1122'3344'5566'7788;
constexpr uint64_t OTHER = 0x99aa'bbcc'ddee'ff00;
constexpr uint32_t MXCSR_OTHER = 0x7f80; // rounds towards zero

// The structures are larger than what fits a frame.
static union {
    zx_thread_state_general_regs_t general;
    zx_thread_state_fp_regs_t fp;
    zx_thread_state_vector_regs_t vector;
    zx_thread_state_debug_regs_t debug;
    zx_thread_state_single_step_t step;
} state;

static struct waiter subject_waits;
static struct {
    uint64_t low, seventh;
    uint32_t mxcsr;
    uint16_t control_word;
    uint64_t dr7;
} found;

static uint64_t dr7_read(void) {
    uint64_t value;
    __asm__ volatile("movq %%dr7, %0" : "=r"(value));
    return value;
}

static int subject(void*) {
    struct thread* me = thread_current();
    if (!arch_thread_alloc_fpu(&me->arch)) {
        return 1;
    }
    const irq_state_t off = irq_save();
    x86_fpu_load(arch_percpu_self(), me);
    irq_restore(off);
    __asm__ volatile("movq %0, %%xmm0\n\tmovq %0, %%xmm7" ::"r"(MARK));
    waiter_init(&subject_waits);
    const status_t status = waiter_block(&subject_waits, TIME_INFINITE, WAIT_UNINTERRUPTIBLE, 0);
    __asm__ volatile("movq %%xmm0, %0\n\tmovq %%xmm7, %1" : "=r"(found.low), "=r"(found.seventh));
    __asm__ volatile("stmxcsr %0" : "=m"(found.mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(found.control_word));
    const irq_state_t again = irq_save();
    found.dr7 = dr7_read();
    void* area = me->arch.fpu;
    me->arch.fpu = nullptr; // from here on an ordinary kernel thread
    irq_restore(again);
    thread_yield();
    struct arch_thread rest = {.fpu = area};
    arch_thread_free(&rest);
    return status == STATUS_OK ? 0 : 2;
}

static void get(struct thread* t, void* topic) {
    arch_thread_state_get(t, *(uint32_t*)topic, &state);
}
static void set(struct thread* t, void* topic) {
    arch_thread_state_set(t, *(uint32_t*)topic, &state);
}

static void call(struct thread* t, void (*fn)(struct thread* t, void* topic), uint32_t topic) {
    while (!thread_call_off_cpu(t, fn, &topic)) {
        thread_yield();
    }
}

static struct thread* start_subject(void) {
    struct thread* s = kthread_create("subject", subject, nullptr, PRIORITY_DEFAULT);
    ASSERT(s != nullptr);
    thread_start(s);
    while (atomic_load_explicit(&s->state, memory_order_relaxed) != THREAD_BLOCKED) {
        thread_yield();
    }
    return s;
}

static void end_subject(struct ktest* t, struct thread* s) {
    struct wake_list wl;
    wake_list_begin(&wl);
    KEXPECT(t, wake_list_add(&wl, &subject_waits, STATUS_OK));
    wake_list_flush(&wl);
    KEXPECT_EQ(t, kthread_join(s), 0);
}

static void registers_are_read_and_written(struct ktest* t) {
    struct thread* s = start_subject();
    call(s, get, ZX_THREAD_STATE_VECTOR_REGS);
    KEXPECT_EQ(t, state.vector.zmm[0].v[0], MARK);
    KEXPECT_EQ(t, state.vector.zmm[7].v[0], MARK);
    KEXPECT_EQ(t, state.vector.zmm[8].v[0], 0ul);
    KEXPECT_EQ(t, state.vector.mxcsr, 0x1f80u);
    state.vector.zmm[7].v[0] = OTHER;
    state.vector.mxcsr = MXCSR_OTHER;
    KEXPECT_EQ(t, arch_thread_state_check(s, ZX_THREAD_STATE_VECTOR_REGS, &state), STATUS_OK);
    call(s, set, ZX_THREAD_STATE_VECTOR_REGS);
    call(s, get, ZX_THREAD_STATE_FP_REGS);
    KEXPECT_EQ(t, state.fp.fcw, 0x37f);
    state.fp.fcw = 0x27f; // double precision
    call(s, set, ZX_THREAD_STATE_FP_REGS);
    end_subject(t, s);
    KEXPECT_EQ(t, found.low, MARK);
    KEXPECT_EQ(t, found.seventh, OTHER);
    KEXPECT_EQ(t, found.mxcsr, MXCSR_OTHER);
    KEXPECT_EQ(t, found.control_word, 0x27f);
    KEXPECT_EQ(t, found.dr7, DR7_FIXED);
}
KTEST(thread_state, registers_are_read_and_written);

static void set_debug(struct ktest* t, struct thread* s) {
    KEXPECT_EQ(t, arch_thread_state_check(s, ZX_THREAD_STATE_DEBUG_REGS, &state), STATUS_OK);
    call(s, set, ZX_THREAD_STATE_DEBUG_REGS);
}

static void debug_registers_are_the_threads_own(struct ktest* t) {
    const uint64_t armed = 3 | 0xdull << 16; // writes of four bytes at dr0
    const uint32_t slow = x86_slow_switch;
    struct thread* s = start_subject();
    // Registers that arm nothing slow nobody down; nor does a breakpoint that was removed.
    state.debug = (zx_thread_state_debug_regs_t){.dr = {0x202000}};
    set_debug(t, s);
    KEXPECT_EQ(t, x86_slow_switch, slow);
    state.debug = (zx_thread_state_debug_regs_t){.dr = {0x201000}, .dr7 = armed};
    set_debug(t, s);
    set_debug(t, s);
    KEXPECT_EQ(t, x86_slow_switch, slow + 1);
    state.debug.dr7 = 0;
    set_debug(t, s);
    KEXPECT_EQ(t, x86_slow_switch, slow);
    state.debug.dr7 = armed;
    set_debug(t, s);
    thread_yield();
    KEXPECT_EQ(t, dr7_read(), DR7_FIXED);
    memset(&state, 0, sizeof(state));
    call(s, get, ZX_THREAD_STATE_DEBUG_REGS);
    KEXPECT_EQ(t, state.debug.dr[0], 0x201000ul);
    KEXPECT_EQ(t, state.debug.dr7, armed | DR7_FIXED);
    end_subject(t, s);
    KEXPECT_EQ(t, found.dr7, armed | DR7_FIXED);
    thread_yield();
    KEXPECT_EQ(t, dr7_read(), DR7_FIXED);
}
KTEST(thread_state, debug_registers_are_the_threads_own);

static status_t check_general(struct thread* s, uint64_t rip, uint64_t fs_base, uint64_t gs_base) {
    state.general = (zx_thread_state_general_regs_t){
        .rip = rip, .fs_base = fs_base, .gs_base = gs_base, .rflags = UINT64_MAX};
    return arch_thread_state_check(s, ZX_THREAD_STATE_GENERAL_REGS, &state);
}

static void what_user_mode_may_not_have(struct ktest* t) {
    static const uint64_t bad[] = {USER_HALF_END, 1ull << 63, KERNEL_HALF_BASE, UINT64_MAX};
    struct thread* s = start_subject();
    for (size_t i = 0; i < array_size(bad); i++) {
        // The kernel's are canonical: a base may be one, because user mode may set it so.
        const status_t base = i < 2 ? STATUS_INVALID_ARGS : STATUS_OK;
        KEXPECT_EQ(t, check_general(s, bad[i], 0, 0), STATUS_INVALID_ARGS);
        KEXPECT_EQ(t, check_general(s, 0, bad[i], 0), base);
        KEXPECT_EQ(t, check_general(s, 0, 0, bad[i]), base);
    }
    KEXPECT_EQ(t, check_general(s, USER_HALF_END - 1, 1, 2), STATUS_OK);
    call(s, set, ZX_THREAD_STATE_GENERAL_REGS);
    call(s, get, ZX_THREAD_STATE_GENERAL_REGS);
    KEXPECT_EQ(t, state.general.rflags, X86_RFLAGS_USER | X86_RFLAGS_IF | X86_RFLAGS_RESERVED1);
    state.step = 0;
    call(s, set, ZX_THREAD_STATE_SINGLE_STEP);
    call(s, get, ZX_THREAD_STATE_GENERAL_REGS);
    KEXPECT_EQ(t, state.general.rflags & X86_RFLAGS_TF, 0ul);
    call(s, get, ZX_THREAD_STATE_VECTOR_REGS);
    state.vector.mxcsr |= 1u << 16;
    KEXPECT_EQ(t, arch_thread_state_check(s, ZX_THREAD_STATE_VECTOR_REGS, &state),
               STATUS_INVALID_ARGS);
    state.debug = (zx_thread_state_debug_regs_t){.dr = {KERNEL_HALF_BASE}};
    KEXPECT_EQ(t, arch_thread_state_check(s, ZX_THREAD_STATE_DEBUG_REGS, &state),
               STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, arch_thread_state_size(3), 0ul);
    end_subject(t, s);
}
KTEST(thread_state, what_user_mode_may_not_have);
