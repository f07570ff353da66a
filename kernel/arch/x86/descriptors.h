// Segment, task and interrupt descriptors.
#pragma once

#include <stdint.h>

struct x86_cpu;

void x86_idt_init(void); // boot CPU, once: the one table of all CPUs
void x86_descriptors_load(
    struct x86_cpu* cpu); // each CPU for its own block: GDT, TSS, IDT, GS base, SYSCALL registers
