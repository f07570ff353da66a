// A stopped thread's user registers, as debuggers read and write them. Contract.
//
// The thread stands still on its way back to user mode, or in an exception: its frame is complete.
// It is off its CPU during get and set (thread_call_off_cpu()), and cannot return to user mode.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/status.h>

struct thread;

// The largest of the structures in <zircon/syscalls/debug.h>.
constexpr size_t ARCH_THREAD_STATE_MAX = 2120;

// Bytes of a ZX_THREAD_STATE_* topic; 0: there is no such topic.
size_t arch_thread_state_size(uint32_t topic);
// Before a set, with the thread stopped and no spinlock held. INVALID_ARGS: user mode may not have
// such values. NO_MEMORY.
status_t arch_thread_state_check(struct thread* t, uint32_t topic, const void* state);
void arch_thread_state_get(struct thread* t, uint32_t topic, void* state);
// What is left of the values that user mode has no say in is replaced, as for flags.
void arch_thread_state_set(struct thread* t, uint32_t topic, const void* state);
