// Debug registers of threads, for the switch and for the debug exception.
#pragma once

#include <arch/thread.h>

// Interrupts off: makes the CPU's debug registers those of a thread; null: disarms them.
void x86_debug_load(const void* debug);
void x86_debug_free(struct arch_thread* t);
// A debug exception from user mode, interrupts off: notes why in the current thread, and makes sure
// that the instruction can be executed when the thread goes on.
void x86_debug_note(struct arch_user_frame* frame);
// The current thread's last debug exception was a single step that the CPU does not know of.
void x86_debug_note_step(void);
