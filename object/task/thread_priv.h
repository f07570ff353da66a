// What the files of threads share: the object itself.
#pragma once

#include <object/exception.h>
#include <object/thread_object.h>

enum thread_phase : uint8_t { THREAD_PHASE_NEW, THREAD_PHASE_RUNNING, THREAD_PHASE_DEAD };

// Why a thread stands still. While it does, under the process's lock, its registers may be read and
// written: it needs that lock to go on.
enum thread_stop : uint8_t { THREAD_GOES, THREAD_STOP_SUSPENDED, THREAD_STOP_EXCEPTION };

// What a thread raises, or does, on its way to user mode, where its registers are complete.
enum thread_errand : uint8_t {
    THREAD_ERRAND_NONE,
    THREAD_ERRAND_START, // is about to execute its first instruction
    THREAD_ERRAND_RAISE, // `errand_report`
    THREAD_ERRAND_EXIT,  // has asked to end
};

struct thread_object {
    struct object base;
    struct process* process;       // immutable, with a reference
    struct thread* kernel;         // immutable
    struct list_node process_link; // under the process's lock
    enum thread_phase phase;       // under the process's lock
    enum thread_stop stop;         // under the process's lock; written by the thread itself
    enum thread_errand errand;     // the thread's own
    bool first;                    // of its process; set before the start
    uint32_t exception_kind;       // as `stop`: ZX_EXCEPTION_CHANNEL_TYPE_*
    uint32_t suspensions;          // under the process's lock: tokens for this thread alone
    struct waiter* resume;         // under the process's lock; null: it does not wait to be resumed
    struct exception_slot exceptions;           // under the process's lock
    const struct arch_exception_report* raised; // as `stop`: while it is THREAD_STOP_EXCEPTION
    struct arch_exception_report errand_report; // the thread's own
    int64_t ended_runtime_ns;                   // under the process's lock; valid when DEAD
    struct channel_waiter call;                 // the thread's own
    struct futex* futex_spare;                  // the thread's own
    vaddr_t entry, stack;                       // set before the start, then the thread's own
    uintptr_t arg1, arg2;
    char name[ZX_MAX_NAME_LEN]; // under the object's lock
};

// ---- thread_stop.c ----
// Under the process's lock, before a thread is started: whether a token wants it to stand still.
bool thread_suspension_wanted(struct thread_object* t);
// The current thread, with its frame complete: does what is pending.
void thread_do_errand(struct arch_user_frame* frame);
void thread_stand_still(void);
// The current thread ends, after the debugger has been told.
[[noreturn]] void thread_leave(void);
