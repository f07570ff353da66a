// Exceptions, interrupts, and the way back to user mode.
//
// From user mode an exception is first offered to whoever can resolve it (page faults: the VM),
// then reported to the object layer, which ends the process or lets the thread go on. From kernel
// mode only the instructions listed in .extable may fault; anything else is a bug of the kernel and
// panics with registers and a backtrace.
//
// On the way back to user mode nothing is left undone: pending bits are tested with interrupts off,
// and a frame that somebody may have written to is brought back to what user mode may have before
// it is loaded.
#include "traps.h"

#include <arch/upcalls.h>
#include <arch/user_copy.h>
#include <debug/counters.h>
#include <debug/log.h>
#include <debug/panic.h>
#include <lib/assert.h>
#include <sched/thread.h>
#include <zircon/syscalls/exception.h>

#include "apic.h"
#include "asm_defs.h"
#include "debug_regs.h"
#include "ipi.h"
#include "machine_check.h"
#include "regs.h"
#include "sysret.h"
#include "thread_state.h"
#include "user_ports.h"
#include "x86_cpu.h"

enum : uint64_t {
    PF_PRESENT = 1u << 0,
    PF_WRITE = 1u << 1,
    PF_USER = 1u << 2,
    PF_RESERVED = 1u << 3,
    PF_EXEC = 1u << 4,
};

// How far below the top of a kernel stack a stray access still counts as "this stack overflowed".
constexpr uint64_t STACK_REACH = 64 * 1024;

struct extable_entry {
    int32_t fault; // relative to its own address
    int32_t fixup;
};
extern const struct extable_entry __extable_start[];
extern const struct extable_entry __extable_end[];

static _Atomic(cpu_mask_t) halt_requested;

// Non-maskable interrupts that were not sent to halt a CPU: a machine's button, or its hardware in
// trouble.
COUNTER(foreign_nmis);
static _Atomic(uint64_t) nmis_told[CPU_MAX]; // by the CPU itself, in its interrupts

void x86_halt_request(cpu_mask_t targets) {
    atomic_fetch_or(&halt_requested, targets);
}

// ---- reports ----
static const char* exception_name(uint64_t vector) {
    static const char* const names[] = {
        "divide error",
        "debug",
        "NMI",
        "breakpoint",
        "overflow",
        "bound range",
        "undefined instruction",
        "no FPU",
        "double fault",
        "coprocessor overrun",
        "invalid TSS",
        "segment not present",
        "stack segment",
        "general protection",
        "page fault",
        "reserved",
        "x87 error",
        "alignment check",
        "machine check",
        "SIMD error",
        "virtualization",
        "control protection",
    };
    return vector < array_size(names) ? names[vector] : "unexpected exception";
}

static void frame_print(const struct arch_user_frame* f, uint64_t cr2) {
    kprintf("rip %016lx  cs %02lx  flags %08lx  vector %lu  error %lx  cr2 %016lx  cr3 %016lx\n",
            f->rip, f->cs, f->rflags, f->vector, f->error_code, cr2, cr3_read());
    kprintf("rsp %016lx  rbp %016lx  rax %016lx  rbx %016lx\n", f->rsp, f->rbp, f->rax, f->rbx);
    kprintf("rcx %016lx  rdx %016lx  rsi %016lx  rdi %016lx\n", f->rcx, f->rdx, f->rsi, f->rdi);
    kprintf("r8  %016lx  r9  %016lx  r10 %016lx  r11 %016lx\n", f->r8, f->r9, f->r10, f->r11);
    kprintf("r12 %016lx  r13 %016lx  r14 %016lx  r15 %016lx\n", f->r12, f->r13, f->r14, f->r15);
}

extern const char __text_start[], __text_end[];

static bool is_kernel_text(uint64_t pc) {
    return pc >= (uint64_t)__text_start && pc < (uint64_t)__text_end;
}

[[noreturn]] static void kernel_fault(const struct arch_user_frame* f, uint64_t cr2) {
    irq_disable();
    panic_from(f->rip, f->rbp);
    if (f->vector == X86_VECTOR_UD) {
        assert_trapped(f->rip);
    }
    frame_print(f, cr2);
    if (f->vector == X86_VECTOR_UD && is_kernel_text(f->rip) &&
        ubsan_trap_name((const void*)f->rip) != nullptr) {
        panic("undefined behaviour: %s", ubsan_trap_name((const void*)f->rip));
    }
    if (f->vector == X86_VECTOR_PF) {
        panic("kernel page fault: %s at %lx%s",
              (f->error_code & PF_EXEC) != 0    ? "execute"
              : (f->error_code & PF_WRITE) != 0 ? "write"
                                                : "read",
              cr2, (f->error_code & PF_RESERVED) != 0 ? " (reserved bit in a page table)" : "");
    }
    panic("%s in the kernel (vector %lu, error %lx)", exception_name(f->vector), f->vector,
          f->error_code);
}

// ---- interrupts ----
static void nmis_tell(void) {
    const uint32_t cpu = arch_cpu_index();
    const uint64_t seen = atomic_load_explicit(&foreign_nmis.slots[cpu], memory_order_relaxed);
    if (unlikely(seen != atomic_load_explicit(&nmis_told[cpu], memory_order_relaxed))) {
        atomic_store_explicit(&nmis_told[cpu], seen, memory_order_relaxed);
        klog(LOG_WARN, "cpu %u: non-maskable interrupt from outside (%lu so far)", cpu, seen);
    }
}

static void interrupt(uint32_t vector) {
    struct arch_percpu* self = arch_percpu_self();
    self->irq_depth++;
    switch (vector) {
    case X86_VECTOR_TIMER:
        lapic_eoi();
        arch_upcall_timer();
        break;
    case X86_VECTOR_IPI_RESCHED:
        lapic_eoi();
        arch_pending_set(CPU_PENDING_RESCHED);
        break;
    case X86_VECTOR_IPI_CALL:
        lapic_eoi();
        x86_ipi_calls_run();
        nmis_tell();
        break;
    case X86_VECTOR_IPI_TLB:
        lapic_eoi();
        arch_upcall_tlb();
        break;
    case X86_VECTOR_ERROR:
        lapic_error();
        lapic_eoi();
        break;
    case X86_VECTOR_SPURIOUS:
        break; // by definition not acknowledged
    default:
        arch_upcall_irq(vector);
        lapic_eoi();
        break;
    }
    self->irq_depth--;
}

// ---- back to user mode ----
static bool work_pending(void) {
    return (atomic_load_explicit(&arch_current_thread()->pending, memory_order_relaxed) |
            arch_pending()) != 0;
}

// What the upper layers may have written into a frame, limited to what user mode may have.
static void frame_confine(struct arch_user_frame* f) {
    f->cs = X86_USER_CS;
    f->ss = X86_USER_DS;
    f->rflags = (f->rflags & X86_RFLAGS_USER) | X86_RFLAGS_IF | X86_RFLAGS_RESERVED1;
}

static void report_exception(struct arch_user_frame* frame,
                             const struct arch_exception_report* report) {
    arch_upcall_user_exception(frame, report);
    frame_confine(frame);
}

// What stands between a thread and user mode, one round of it. Interrupts are on: what was pending
// may have been done by one of them.
static NOINLINE void before_return(struct arch_user_frame* frame) {
    if (work_pending()) {
        arch_upcall_user_return(frame);
        frame_confine(frame);
    } else if (!x86_canonical(frame->rip)) {
        // IRET would fault in the kernel; the thread gets the fault that the jump deserves.
        report_exception(frame, &(struct arch_exception_report){.type = ZX_EXCP_GENERAL,
                                                                .vector = X86_VECTOR_GP});
    }
}

inline void x86_user_return_prepare(struct arch_user_frame* frame) {
    irq_disable();
    while (unlikely(work_pending() || !x86_canonical(frame->rip))) {
        irq_enable();
        before_return(frame);
        irq_disable();
    }
}

// ---- exceptions from user mode ----
static uint32_t exception_type(uint64_t vector) {
    switch (vector) {
    case X86_VECTOR_DB:
        return ZX_EXCP_HW_BREAKPOINT;
    case X86_VECTOR_BP:
        return ZX_EXCP_SW_BREAKPOINT;
    case X86_VECTOR_UD:
        return ZX_EXCP_UNDEFINED_INSTRUCTION;
    case X86_VECTOR_PF:
        return ZX_EXCP_FATAL_PAGE_FAULT;
    case X86_VECTOR_AC:
        return ZX_EXCP_UNALIGNED_ACCESS;
    default:
        return ZX_EXCP_GENERAL;
    }
}

static enum fault_flags fault_flags(uint64_t error_code) {
    static_assert(PF_PRESENT == FAULT_PRESENT && PF_WRITE == FAULT_WRITE && PF_USER == FAULT_USER &&
                  PF_EXEC == FAULT_EXEC);
    return (enum fault_flags)(error_code & (FAULT_PRESENT | FAULT_WRITE | FAULT_USER | FAULT_EXEC));
}

static NOINLINE void exception_report(struct arch_user_frame* frame, uint64_t cr2,
                                      status_t status) {
    if (frame->vector == X86_VECTOR_DB) {
        x86_debug_note(frame);
    }
    irq_enable();
    report_exception(frame, &(struct arch_exception_report){
                                .type = exception_type(frame->vector),
                                .vector = frame->vector,
                                .error_code = frame->error_code,
                                .cr2 = cr2,
                                .synth_code = (uint32_t)status,
                            });
}

static void user_page_fault(struct arch_user_frame* frame) {
    const uint64_t cr2 = cr2_read();
    if (unlikely((frame->error_code & PF_RESERVED) != 0)) {
        kernel_fault(frame, cr2);
    }
    irq_enable();
    status_t status;
    if (unlikely((frame->error_code & (PF_PRESENT | PF_USER)) == PF_PRESENT)) {
        // An access that the CPU made on its own account, with supervisor rights, and SMAP refused.
        // Hardware makes such accesses to descriptor tables only; QEMU before 9.1 also reads the
        // stack so in a far return or IRET of user mode. Nothing the VM could do would let it pass.
        status = STATUS_ACCESS_DENIED;
    } else if (unlikely(cr2 >= USER_HALF_END)) {
        status = STATUS_NOT_FOUND; // nothing is mapped for user mode in the kernel half
        // Whether something is for the kernel is in the report for nobody to see: it would tell
        // where the kernel lies.
        frame->error_code &= ~PF_PRESENT;
    } else {
        status = arch_upcall_page_fault(cr2, fault_flags(frame->error_code));
    }
    if (unlikely(status != STATUS_OK)) {
        exception_report(frame, cr2, status);
    }
}

// IN and OUT fault always: see user_ports.c. What the CPU does after an instruction is done here.
static NOINLINE void user_general_protection(struct arch_user_frame* frame) {
    irq_enable();
    if (frame->error_code != 0 || !x86_user_port_instruction(frame)) {
        exception_report(frame, 0, STATUS_OK);
    } else if ((frame->rflags & X86_RFLAGS_TF) != 0) {
        x86_debug_note_step();
        report_exception(frame, &(struct arch_exception_report){.type = ZX_EXCP_HW_BREAKPOINT,
                                                                .vector = X86_VECTOR_DB});
    }
}

void x86_user_trap(struct arch_user_frame* frame) {
    if (frame->vector == X86_VECTOR_PF) {
        user_page_fault(frame);
    } else if (frame->vector == X86_VECTOR_GP) {
        user_general_protection(frame);
    } else if (frame->vector >= X86_VECTOR_FIRST_EXTERNAL) {
        interrupt((uint32_t)frame->vector);
    } else {
        exception_report(frame, 0, STATUS_OK);
    }
    x86_user_return_prepare(frame);
}

// ---- exceptions from the kernel ----
static const struct extable_entry* extable_find(uint64_t rip) {
    for (const struct extable_entry* e = __extable_start; e < __extable_end; e++) {
        if ((uint64_t)&e->fault + (uint64_t)(int64_t)e->fault == rip) {
            return e;
        }
    }
    return nullptr;
}

static void extable_apply(const struct extable_entry* e, struct arch_user_frame* frame) {
    frame->rip = (uint64_t)&e->fixup + (uint64_t)(int64_t)e->fixup;
}

// A page fault of a user copy: resolved like one from user mode unless the copy runs with faults
// disabled or where nobody may sleep.
static void copy_fault(const struct extable_entry* e, struct arch_user_frame* frame, uint64_t cr2) {
    struct arch_thread* t = &thread_current()->arch;
    if (cr2 < USER_HALF_END && t->nofault == 0 && !preempt_disabled()) {
        irq_enable(); // a copy never runs with interrupts off
        const status_t status = arch_upcall_page_fault(cr2, fault_flags(frame->error_code));
        irq_disable();
        if (status == STATUS_OK) {
            return;
        }
    }
    t->fault_va = cr2;
    extable_apply(e, frame);
}

static void kernel_exception(struct arch_user_frame* frame) {
    const uint64_t cr2 = frame->vector == X86_VECTOR_PF ? cr2_read() : 0;
    const struct extable_entry* e = extable_find(frame->rip);
    if (e == nullptr || (frame->error_code & PF_RESERVED) != 0) {
        kernel_fault(frame, cr2);
    }
    if (frame->vector == X86_VECTOR_PF) {
        copy_fault(e, frame, cr2);
    } else if (frame->vector == X86_VECTOR_GP) {
        extable_apply(e, frame);
    } else {
        kernel_fault(frame, cr2);
    }
}

void x86_kernel_trap(struct arch_user_frame* frame) {
    if (frame->vector < X86_VECTOR_FIRST_EXTERNAL) {
        kernel_exception(frame);
        return;
    }
    interrupt((uint32_t)frame->vector);
    // Zero: preemption is enabled and something is pending. Whatever it was, the interrupted code
    // had interrupts on.
    if (arch_preempt_count() == 0 && arch_irq_depth() == 0) {
        arch_upcall_preempt();
        irq_disable();
    }
}

// ---- exceptions with a stack of their own ----
[[noreturn]] static void double_fault(const struct arch_user_frame* f) {
    const uint64_t cr2 = cr2_read();
    const struct thread* t = arch_current_thread();
    panic_from(f->rip, f->rbp);
    if (f->vector == X86_VECTOR_UD) {
        assert_trapped(f->rip);
    }
    frame_print(f, cr2);
    if (t != nullptr && cr2 < t->arch.stack_top && t->arch.stack_top - cr2 <= STACK_REACH) {
        panic("kernel stack overflow in thread '%s' (stack top %lx, access to %lx)", t->name,
              t->arch.stack_top, cr2);
    }
    panic("double fault (cr2 %lx)", cr2);
}

void x86_exception_stack_trap(struct arch_user_frame* frame) {
    switch (frame->vector) {
    case X86_VECTOR_NMI:
        if ((atomic_load(&halt_requested) & (cpu_mask_t)1 << arch_cpu_index()) != 0) {
            arch_halt_forever();
        }
        // No lock may be taken here, so telling about it is left to an interrupt.
        counter_add(&foreign_nmis, 1);
        lapic_send_self(X86_VECTOR_IPI_CALL);
        break;
    case X86_VECTOR_MC:
        x86_machine_check(frame);
        break;
    case X86_VECTOR_DB:
        // Armed by user mode: a trap that came due at the kernel's first instruction, or a data
        // breakpoint on user memory that the kernel copies from or to. All addresses in the debug
        // registers are user addresses, so no code or data of the kernel's meets one. Nobody is
        // told: what the kernel does is not what the program does.
        dr6_write(DR6_FIXED);
        frame->rflags &= ~X86_RFLAGS_TF;
        break;
    case X86_VECTOR_DF:
        double_fault(frame);
    default:
        kernel_fault(frame, 0);
    }
}

// ---- system calls, off the fast path ----
static bool sysret_possible(struct arch_user_frame* frame) {
    if (x86_sysret_ok(frame)) {
        return true;
    }
    arch_percpu_self()->iret_fallbacks++;
    return false;
}

bool x86_syscall_return_work(struct arch_user_frame* frame) {
    x86_user_return_prepare(frame);
    return sysret_possible(frame);
}

// A number that does not exist, or an instruction that is not the vDSO's for this number. This is
// also where a thread whose mode word selects another personality arrives, because its vdso_base
// never matches.
bool x86_syscall_slow(struct arch_user_frame* frame) {
    const struct arch_exception_report report = {
        .type = ZX_EXCP_POLICY_ERROR,
        .synth_code = ZX_EXCP_POLICY_CODE_BAD_SYSCALL,
        .synth_data = (uint32_t)frame->rax,
        .vector = X86_VECTOR_SYSCALL,
    };
    frame->rax = (uint64_t)(int64_t)STATUS_BAD_SYSCALL;
    report_exception(frame, &report);
    x86_user_return_prepare(frame);
    return sysret_possible(frame);
}
