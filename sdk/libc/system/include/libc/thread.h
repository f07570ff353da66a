// Threads, for the other modules: their names (tids), and how to end the waits of one.
//
// Who waits in an operation that a signal or a cancellation may end follows this:
//     on futexes:     thread_futex_wait().
//     on handles:     wait for thread_wake_event() and ZX_USER_SIGNAL_0, too: first get the event,
//                     then leave with -EINTR if thread_take_interrupt(), then wait. If the wait
//                     ends by the event, take the interrupt; there may be none (a late signal of an
//                     earlier one), then wait again.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

struct thread_record;

constexpr zx_signals_t THREAD_WAKE_SIGNAL = ZX_USER_SIGNAL_0;

// The calling thread's own; made at the first call. ZX_HANDLE_INVALID: no memory.
zx_handle_t thread_wake_event(void);
// Whether the thread was interrupted since the last call.
[[nodiscard]] bool thread_take_interrupt(void);
// Lets signals act that have interrupted the thread: called where operations begin that may block.
void thread_notice(void);
// Ends the wait in which the thread is, or the next one; no such thread: nothing.
void thread_interrupt(int tid);
// The handle of the thread with this tid; ZX_HANDLE_INVALID: there is none. It may be closed as
// soon as the thread ends, so it serves as an owner of futexes only.
zx_handle_t thread_handle_of(int tid);

// A duplicate of the handle, all rights; ZX_HANDLE_INVALID: the thread has ended.
zx_handle_t thread_duplicate_handle(struct thread_record* record);

// All records that are in use or were, from index 0 on; null: there are no more. Its tid is 0 if it
// is no thread's.
struct thread_record* thread_at(uint32_t index);
// The record of the thread with this tid; null: there is none. It may end at any time, the record
// stays.
struct thread_record* thread_with(int tid);

// Waits while the word holds `value`. 0, -EAGAIN if it does not, -ETIMEDOUT, -EINTR. `owner`:
// ZX_HANDLE_INVALID, or a thread that holds what is waited for and may be gone by now.
[[nodiscard]] long thread_futex_wait(zx_futex_t* word, int value, zx_handle_t owner,
                                     zx_time_t deadline);
