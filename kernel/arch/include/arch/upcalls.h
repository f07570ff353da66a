// What the architecture calls upwards. Declared here, defined by the layer named; bound at link
// time because these are the hottest edges of the kernel and there is exactly one implementation of
// each.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/status.h>
#include <lib/types.h>

struct arch_user_frame;
struct thread;

// The values are those of x86's error code: there is nothing to convert on the way.
enum fault_flags : uint32_t {
    FAULT_PRESENT = 1u << 0, // a permission fault: the translation existed
    FAULT_WRITE = 1u << 1,
    FAULT_USER = 1u << 2, // came from user mode
    FAULT_EXEC = 1u << 4,
};

// vm: resolves a fault on a user address of the current thread's address space; called with
// interrupts on, may sleep. Not OK = the access fails: user mode gets an exception, a user copy its
// error.
status_t arch_upcall_page_fault(vaddr_t va, enum fault_flags flags);

// sched: the timer interrupt of this CPU (interrupts off).
void arch_upcall_timer(void);
// sched: cpu.pending is not zero and preemption is enabled: called on the way out of an interrupt
// to kernel code, and by preempt_enable().
void arch_upcall_preempt(void);
// object: work before returning to user mode (kill, suspend, reschedule, deferred work) when thread
// flags or cpu.pending say so. Interrupts on; may not return.
void arch_upcall_user_return(struct arch_user_frame* frame);

struct arch_exception_report {
    uint32_t type;       // ZX_EXCP_*
    uint32_t synth_code; // page faults: the status of the failed fault; policy errors:
                         // ZX_EXCP_POLICY_CODE_*
    uint32_t synth_data; // bad system call: its number
    uint64_t vector, error_code, cr2;
};
// object: an exception from user mode that nothing resolved. May not return (the process is
// killed), or returns to resume the thread.
void arch_upcall_user_exception(struct arch_user_frame* frame,
                                const struct arch_exception_report* report);

// object: an IN or OUT of user mode, at which the CPU faulted; interrupts on. True: all its ports
// are granted to the current process; it has been made, and the result of an IN is in `value`.
struct arch_port_access {
    uint16_t port;
    uint8_t size; // bytes, one port each: 1, 2 or 4
    bool out;
    uint32_t value;
};
[[nodiscard]] bool arch_upcall_port_access(struct arch_port_access* access);

// syscall: the tables that the entry path reads. The wrapper of number n gets the user's arguments
// in the C order (1..6 in registers, 7 and 8 on the stack); what it returns goes into rax. A number
// >= syscall_count, or a call whose return address is not vdso_base + syscall_return_offsets[n],
// becomes a user exception: POLICY_ERROR with synth_code BAD_SYSCALL.
extern const uint32_t syscall_count;
extern const uint32_t syscall_return_offsets[];
extern int64_t (*const syscall_table[])(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                        uint64_t, uint64_t);

// sched: the idle thread of a CPU that is about to start; null (no memory) leaves the CPU out.
// Called on the boot CPU.
struct thread* arch_upcall_secondary_thread(uint32_t cpu);
// sched: a secondary CPU is up, on that thread, interrupts off, preemption disabled once.
[[noreturn]] void arch_upcall_secondary_main(void);

// platform: an external interrupt line (IOAPIC/MSI vector) fired. Interrupts off.
void arch_upcall_irq(uint32_t vector);

// mmu: serves IPI_TLB. Interrupts off.
void arch_upcall_tlb(void);

// vm: zeroed memory, aligned to 64 bytes, for per-CPU blocks and FPU save areas; null when there is
// none.
[[nodiscard]] void* arch_upcall_alloc(size_t size);
void arch_upcall_free(void* p);
