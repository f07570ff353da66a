// Interruption: see <libc/thread.h>.
//
// Both sides write first and look then (sequentially consistent): the thread says what it blocks on
// and looks at is_interrupted; the interrupter sets that and looks what the thread blocks on. So
// one of them sees the other. Between the thread's look and its sleep a wake-up is lost: therefore
// the interrupter repeats it until the thread has taken notice.
#include <zircon/syscalls.h>

#include <libc/error.h>
#include <libc/operations.h>
#include <libc/thread.h>
#include <libc/thread_block.h>
#include <signal/signal.h>

#include "table.h"

// Weak here: a program without signals does not get them by having threads.
[[gnu::weak]] signal_outcome_t signal_deliver(void);

constexpr zx_duration_t RETRY_AFTER = 100'000; // ns

zx_handle_t thread_wake_event(void) {
    struct thread_record* record = thread_block_self()->record;
    if (record->wake == ZX_HANDLE_INVALID) {
        zx_handle_t event;
        if (zx_event_create(0, &event) != ZX_OK) {
            return ZX_HANDLE_INVALID;
        }
        record->wake = event;
    }
    return record->wake;
}

bool thread_take_interrupt(void) {
    struct thread_record* record = thread_block_self()->record;
    if (record->wake != ZX_HANDLE_INVALID) {
        (void)zx_object_signal(record->wake, THREAD_WAKE_SIGNAL, 0);
    }
    return atomic_exchange(&record->is_interrupted, false);
}

void thread_notice(void) {
    if (signal_deliver != nullptr && thread_block_self()->record->is_interrupted) {
        (void)signal_deliver();
    }
}

void thread_interrupt(int tid) {
    struct thread_record* record = thread_table_find(tid);
    if (record == nullptr) {
        return;
    }
    record->is_interrupted = true;
    while (thread_table_wake(record, tid) && record->is_interrupted) {
        zx_futex_t* word = record->blocked_on;
        if (word == nullptr) {
            return;
        }
        // Strangers that wait there look at the word again.
        (void)zx_futex_wake(word, UINT32_MAX);
        (void)zx_nanosleep(zx_deadline_after(RETRY_AFTER));
    }
}

static zx_status_t wait_owned(zx_futex_t* word, int value, zx_handle_t owner, zx_time_t deadline) {
    zx_status_t status = zx_futex_wait(word, value, owner, deadline);
    // Whatever is wrong with the owner, the word has not changed: wait without one.
    bool is_owners_fault =
        status == ZX_ERR_INVALID_ARGS || status == ZX_ERR_BAD_HANDLE || status == ZX_ERR_WRONG_TYPE;
    if (owner != ZX_HANDLE_INVALID && is_owners_fault) {
        status = zx_futex_wait(word, value, ZX_HANDLE_INVALID, deadline);
    }
    return status;
}

long thread_futex_wait(zx_futex_t* word, int value, zx_handle_t owner, zx_time_t deadline) {
    struct thread_record* record = thread_block_self()->record;
    record->blocked_on = word;
    zx_status_t status = ZX_OK;
    if (!record->is_interrupted) {
        status = wait_owned(word, value, owner, deadline);
    }
    record->blocked_on = nullptr;
    // The interrupter has noted the address perhaps, and wakes strangers once more: no harm.
    if (record->is_interrupted && thread_take_interrupt()) {
        return -ABI_EINTR;
    }
    // BAD_STATE: the word held something else.
    return status == ZX_ERR_BAD_STATE ? -ABI_EAGAIN : errno_from_status(status);
}
