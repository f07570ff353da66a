// FPU, SSE and AVX state of user threads. The kernel itself never touches these registers.
#pragma once

struct thread;

void x86_fpu_init(void); // boot CPU, after feature detection
// Interrupts off, at a switch: stores the registers of `t` if it is a user thread.
void x86_fpu_save(struct thread* t);
// Interrupts off: makes the registers those of `t`, unless they still are.
void x86_fpu_load(struct thread* t);
