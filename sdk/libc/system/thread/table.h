// Slots for threads.
#pragma once

#include <libc/thread_record.h>

// A record with a new tid and nothing else set; null: no memory, or too many threads.
[[nodiscard]] struct thread_record* thread_table_take(void);
// Its tid names nobody from now on. Closes the wake event; the handle is the caller's.
void thread_table_give(struct thread_record* record);
// An address in the first thread's stack.
uintptr_t thread_first_frame(void);
// Null: no such thread. It may end at any time.
struct thread_record* thread_table_find(int tid);
// Signals the wake event of the thread if it has this tid still; false: it has not.
bool thread_table_wake(struct thread_record* record, int tid);
