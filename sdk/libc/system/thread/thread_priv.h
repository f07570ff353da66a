// What musl's replaced files call (sdk/libc/overlay/src/thread).
#pragma once

#include <stddef.h>

struct thread_block;

// Makes a thread that calls entry(arg); its tid is in *tid before it runs. When it ends,
// *clear_at_exit is set to 0 and one waiter of it woken, after the last use of its stack. The tid,
// or an errno negated.
int thread_start(int (*entry)(void*), void* stack, void* arg, struct thread_block* block, int* tid,
                 int* clear_at_exit);
// Where the first thread's stack lies. 0, or an errno negated.
long thread_first_stack(void** base, size_t* len);
// Ends the calling thread and unmaps its stack.
[[noreturn]] void thread_exit_unmap(void* base, size_t len);
