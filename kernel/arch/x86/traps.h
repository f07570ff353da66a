// What the entry code calls, and what the rest of the port tells it.
#pragma once

#include <arch/cpu.h>
#include <arch/thread.h>

void x86_user_trap(struct arch_user_frame* frame);
void x86_kernel_trap(struct arch_user_frame* frame);
void x86_exception_stack_trap(struct arch_user_frame* frame);
bool x86_syscall_slow(struct arch_user_frame* frame);
bool x86_syscall_return_work(struct arch_user_frame* frame);

// Does all that must be done before user mode runs; returns with interrupts off.
void x86_user_return_prepare(struct arch_user_frame* frame);

// CPUs that an NMI stops for good.
void x86_halt_request(cpu_mask_t targets);
