// Kernel contexts, the switch between them, and the way into user mode.
//
// A switch happens with interrupts off. It moves what belongs to the thread and lives in the CPU:
// the kernel stack (TSS and SYSCALL entry), the canary of that stack, the FS and GS bases of user
// mode, the FPU. While the kernel runs, user mode's GS base is the inactive one.
#include <arch/thread.h>

#include <arch/layout.h>
#include <arch/percpu.h>
#include <arch/upcalls.h>
#include <lib/assert.h>
#include <lib/string.h>
#include <sched/thread.h>

#include "asm_defs.h"
#include "cpuid.h"
#include "fpu.h"
#include "regs.h"
#include "sysret.h"
#include "thread_state.h"
#include "traps.h"
#include "x86_cpu.h"

static_assert(offsetof(struct arch_percpu, current) == PERCPU_CURRENT);
static_assert(offsetof(struct arch_percpu, kernel_sp) == PERCPU_KERNEL_SP);
static_assert(offsetof(struct arch_percpu, user_sp) == PERCPU_USER_SP);
static_assert(offsetof(struct arch_percpu, pending) == PERCPU_PENDING);
static_assert(offsetof(struct arch_percpu, iret_fallbacks) == PERCPU_IRET_FALLBACKS);
static_assert(offsetof(struct thread, arch.sp) == THREAD_SP);
static_assert(offsetof(struct thread, arch.vdso_base) == THREAD_VDSO_BASE);
static_assert(offsetof(struct thread, pending) == THREAD_PENDING);
static_assert(offsetof(struct arch_user_frame, r10) == FRAME_R10);
static_assert(offsetof(struct arch_user_frame, rax) == FRAME_RAX);
static_assert(offsetof(struct arch_user_frame, rdi) == FRAME_RDI);
static_assert(offsetof(struct arch_user_frame, vector) == FRAME_VECTOR);
static_assert(offsetof(struct arch_user_frame, rip) == FRAME_RIP);
static_assert(offsetof(struct arch_user_frame, rsp) == FRAME_RSP);
static_assert(sizeof(struct arch_user_frame) == FRAME_SIZE);

void x86_thread_begin(void);
[[noreturn]] void x86_user_enter(struct arch_user_frame* frame);

// What a new thread's first switch finds on its stack: see switch_stacks(), x86_thread_begin.
struct switch_frame {
    uint64_t return_address;
    uint64_t entry;
};

void arch_thread_init(struct arch_thread* t, vaddr_t stack_top,
                      void (*entry)(struct thread* prev)) {
    // The place of the user frame stays free, and zero, so that it can be looked at before the
    // thread has ever been in user mode.
    memset((void*)(stack_top - FRAME_SIZE), 0, FRAME_SIZE);
    struct switch_frame* f = (struct switch_frame*)(stack_top - FRAME_SIZE - 16 - sizeof(*f));
    *f = (struct switch_frame){.return_address = (uint64_t)&x86_thread_begin,
                               .entry = (uint64_t)entry};
    // A null return address and frame pointer above it end a backtrace.
    memset(f + 1, 0, 16);
    t->sp = (uint64_t)f;
    t->stack_top = stack_top;
    t->canary = arch_percpu_self()->canary ^ cpu_ticks() * 0x9e37'79b9'7f4a'7c15u;
    t->canary &= ~(uint64_t)0xff; // a string overrun stops at the zero byte
    t->vdso_base = VDSO_BASE_NONE;
}

void arch_thread_adopt(struct thread* t, vaddr_t stack_top) {
    const irq_state_t state = irq_save();
    struct x86_cpu* c = x86_cpu_self();
    t->arch.stack_top = stack_top;
    t->arch.canary = c->percpu.canary; // frames of this stack already carry it
    t->arch.vdso_base = VDSO_BASE_NONE;
    c->percpu.current = t;
    c->percpu.kernel_sp = stack_top;
    c->tss.rsp[0] = stack_top;
    irq_restore(state);
}

// ---- user mode's segment bases ----
// The bases are in the CPU only while their thread is current. With FSGSBASE user mode changes them
// without telling, so they are read back.
static void bases_save(struct arch_thread* t) {
    if (x86_fsgsbase_on) {
        uint64_t gs;
        __asm__ volatile("swapgs\n\trdgsbase %0\n\tswapgs" : "=r"(gs)::"memory");
        t->gs_base = gs;
        t->fs_base = fs_base_read();
    } else {
        t->gs_base = msr_read(MSR_KERNEL_GS_BASE);
        t->fs_base = msr_read(MSR_FS_BASE);
    }
}

static void bases_load(const struct arch_thread* t) {
    if (x86_fsgsbase_on) {
        __asm__ volatile("swapgs\n\twrgsbase %0\n\tswapgs" ::"r"(t->gs_base) : "memory");
        fs_base_write(t->fs_base);
    } else {
        msr_write(MSR_KERNEL_GS_BASE, t->gs_base);
        msr_write(MSR_FS_BASE, t->fs_base);
    }
}

// Outside the analysis of the stack protector, as all that follows: the canary changes in the
// middle.
#define SWITCH_CODE __attribute__((no_stack_protector))

// Leaves the stack of `prev` for that of `next`; returns when somebody switches back, with who that
// was. The frame pointer and where to go on are all that is stored: what else the compiler wants to
// keep, it keeps on the stack by itself.
ALWAYS_INLINE SWITCH_CODE struct thread* switch_stacks(struct thread* prev, struct thread* next) {
    __asm__ volatile("pushq %%rbp\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "movq %%rsp, %c[sp](%[prev])\n\t"
                     "movq %c[sp](%[next]), %%rsp\n\t"
                     "retq\n"
                     "1: popq %%rbp"
                     : [prev] "+D"(prev), [next] "+S"(next)
                     : [sp] "i"(offsetof(struct thread, arch.sp))
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc");
    return prev;
}

// The last steps of every switch.
ALWAYS_INLINE SWITCH_CODE struct thread* switch_to(struct x86_cpu* c, struct thread* prev,
                                                   struct thread* next) {
    c->percpu.current = next;
    c->percpu.kernel_sp = next->arch.stack_top;
    c->percpu.canary = next->arch.canary;
    c->tss.rsp[0] = next->arch.stack_top;
    return switch_stacks(prev, next);
}

static NOINLINE SWITCH_CODE struct thread* switch_general(struct thread* prev,
                                                          struct thread* next) {
    struct x86_cpu* c = x86_cpu_self();
    if (prev->arch.fpu != nullptr) {
        bases_save(&prev->arch);
        x86_fpu_save(prev->arch.fpu);
    }
    if (next->arch.fpu != nullptr) {
        bases_load(&next->arch);
        x86_fpu_load(&c->percpu, next);
    }
    if (unlikely(prev->arch.debug != nullptr || next->arch.debug != nullptr)) {
        x86_debug_load(next->arch.debug);
    }
    return switch_to(c, prev, next);
}

// The area of `next` holds what the CPU refuses; everything else is done.
static NOINLINE SWITCH_CODE struct thread* switch_refused(struct thread* prev,
                                                          struct thread* next) {
    struct x86_cpu* c = x86_cpu_self();
    x86_fpu_load(&c->percpu, next);
    return switch_to(c, prev, next);
}

// Between two user threads on a CPU that has FSGSBASE and XSAVEOPT, while no thread has armed
// breakpoints, which is the case that counts, nothing is called: one trip to the inactive GS base,
// one XSAVEOPT, one XRSTOR.
SWITCH_CODE INLINE_ACROSS_FILES struct thread* arch_context_switch(struct thread* prev,
                                                                   struct thread* next) {
    if (unlikely(prev->arch.fpu == nullptr || next->arch.fpu == nullptr || x86_slow_switch != 0)) {
        return switch_general(prev, next);
    }
    uint64_t gs;
    __asm__ volatile("swapgs\n\trdgsbase %0\n\twrgsbase %1\n\tswapgs"
                     : "=&r"(gs)
                     : "r"(next->arch.gs_base)
                     : "memory");
    prev->arch.gs_base = gs;
    prev->arch.fs_base = fs_base_read();
    fs_base_write(next->arch.fs_base);
    __asm__ volatile("xsaveopt64 (%0)" ::"r"(prev->arch.fpu), "a"(-1), "d"(-1) : "memory");
    struct x86_cpu* c = x86_cpu_self();
    if (c->percpu.fpu_owner != next || next->arch.fpu_cpu != c->percpu.cpu) {
        if (unlikely(!x86_fpu_xrstor(next->arch.fpu))) {
            return switch_refused(prev, next);
        }
        c->percpu.fpu_owner = next;
        next->arch.fpu_cpu = c->percpu.cpu;
    }
    return switch_to(c, prev, next);
}

static bool base_ok(uint64_t value) {
    return value < USER_HALF_END;
}

static bool set_base(struct thread* t, uint64_t* member, uint64_t value) {
    if (!base_ok(value)) {
        return false;
    }
    const irq_state_t state = irq_save();
    if (t == arch_current_thread()) {
        bases_save(&t->arch);
        *member = value;
        bases_load(&t->arch);
    } else {
        *member = value;
    }
    irq_restore(state);
    return true;
}

bool arch_thread_set_fs_base(struct thread* t, uint64_t value) {
    return set_base(t, &t->arch.fs_base, value);
}
bool arch_thread_set_gs_base(struct thread* t, uint64_t value) {
    return set_base(t, &t->arch.gs_base, value);
}

static uint64_t get_base(struct thread* t, const uint64_t* member) {
    const irq_state_t state = irq_save();
    if (t == arch_current_thread()) {
        bases_save(&t->arch);
    }
    const uint64_t value = *member;
    irq_restore(state);
    return value;
}

uint64_t arch_thread_fs_base(struct thread* t) {
    return get_base(t, &t->arch.fs_base);
}
uint64_t arch_thread_gs_base(struct thread* t) {
    return get_base(t, &t->arch.gs_base);
}

// ---- user mode ----
struct arch_user_frame* arch_thread_user_frame(struct arch_thread* t) {
    return (struct arch_user_frame*)(t->stack_top - FRAME_SIZE);
}

void arch_enter_user(uint64_t pc, uint64_t sp, uint64_t arg1, uint64_t arg2) {
    struct thread* t = arch_current_thread();
    ASSERT(t->arch.fpu != nullptr);
    struct arch_user_frame* frame = arch_thread_user_frame(&t->arch);
    *frame = (struct arch_user_frame){
        .rdi = arg1,
        .rsi = arg2,
        .rip = pc,
        .cs = X86_USER_CS,
        .rflags = X86_RFLAGS_IF | X86_RFLAGS_RESERVED1,
        .rsp = sp,
        .ss = X86_USER_DS,
    };
    x86_user_return_prepare(frame);
    x86_fpu_load(arch_percpu_self(),
                 t); // in case the area was allocated by the thread itself, after its first switch
    x86_user_enter(frame);
}
