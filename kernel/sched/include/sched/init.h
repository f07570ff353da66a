// Bringing the scheduler up; for kernel/top only.
#pragma once

#include <lib/types.h>

// First thing after arch_init_early(): the running context becomes the idle thread of CPU 0, so
// that "current" is valid. Interrupts off.
void sched_init_boot(vaddr_t stack_top);
// With memory and clocks: starts the kernel's worker, and main_fn in a thread of its own; the
// caller becomes idle. Interrupts come on.
[[noreturn]] void sched_start_boot(int (*main_fn)(void* arg));
