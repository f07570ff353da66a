#pragma once

#include <arch/percpu.h>

struct handoff;

// The boot CPU's per-CPU block from the first C function on: `self`, `canary` and preempt_count
// (off once) are set, GS base points here. Whoever moves GS elsewhere copies the canary: boot
// frames check against it.
extern struct arch_percpu arch_boot_percpu;

// boot_start.S: rdi = record, rsi = root table. boot_entry.c: called by it on the boot stack.
void kernel_start(void);
[[noreturn]] void kernel_entry(const struct handoff* handoff);

// Defined by kernel/top. Boot stack (32 KiB above a guard page), interrupts off, one CPU.
[[noreturn]] void kernel_main(const struct handoff* handoff);
