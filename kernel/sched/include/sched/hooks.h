// What the scheduler needs from the layers above; declared here, defined by vm and object, bound at
// link time.
#pragma once

#include <lib/types.h>

struct thread;

// vm: a kernel stack with an unmapped guard page below it; returns its top or 0. `size` >= 16 KiB.
vaddr_t sched_hook_stack_alloc(void);
void sched_hook_stack_free(vaddr_t top);
// How much of it was ever used (0: not known), and the same of the deepest that is no more.
size_t sched_hook_stack_used(vaddr_t top);
size_t sched_hook_stack_deepest(void);
// vm: zeroed memory for a struct thread, and its return (called after an epoch).
struct thread* sched_hook_thread_alloc(void);
void sched_hook_thread_free(struct thread* t);
// object: the last thing a user thread's kernel half does, off its CPU: drops the reference that
// the running thread held.
void sched_hook_thread_reaped(struct thread* t);
