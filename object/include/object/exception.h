// Exceptions: who is told what a thread did, in which order, and what becomes of it. The whole
// design: docs/design/exceptions.md.
//
// A task (thread, process, job) has slots; in each an exception channel may be bound, whose other
// end user mode holds. A thread that raises an exception offers it to one slot after the other: it
// writes a message with the handle of a new exception object and waits until that object has no
// handle any more. What the object's state is then is the answer.
#pragma once

#include <zircon/syscalls/exception.h>

#include <arch/upcalls.h>
#include <object/handle.h>

struct exception;
struct thread_object;

// ---- slots ----

// Guarded by the lock of the task it is in.
struct exception_slot {
    struct handle end;  // the kernel's end of the channel; empty: nothing was ever bound
    zx_rights_t rights; // of the task's handle through which it was bound
};

// What is needed to offer an exception, taken out of the slot.
struct exception_listener {
    struct object* channel; // the kernel's end, with a reference; null: nobody listens
    zx_rights_t rights;
    uint32_t kind; // ZX_EXCEPTION_CHANNEL_TYPE_*
};

// Whether somebody listens: the other end is open.
bool exception_slot_bound(const struct exception_slot* s);
// ALREADY_BOUND. Else *end moves in, and becomes what was in the slot before, if anything.
status_t exception_slot_bind(struct exception_slot* s, zx_rights_t rights, struct handle* end);
// The task is at its end: the listener's end says PEER_CLOSED.
void exception_slot_close(struct exception_slot* s);
void exception_slot_listener(const struct exception_slot* s, uint32_t kind,
                             struct exception_listener* out);

// zx_task_create_exception_channel: `rights` are those of the task's handle. ALREADY_BOUND,
// BAD_STATE (the task has ended), INVALID_ARGS (a thread has no debugger of its own), NO_MEMORY.
status_t exception_channel_create(struct object* task, zx_rights_t rights, bool debugger,
                                  struct handle* out);

// The report as user mode reads it.
void exception_fill_report(const struct arch_exception_report* r, struct zx_exception_report* out);

// ---- raising; the current thread, on its way to user mode ----

// True: the thread goes on. False: nobody has handled it, or the thread is to end (thread_killed()
// and *exits tell).
[[nodiscard]] bool exception_raise(const struct arch_exception_report* report, bool* exits);
// What the thread did is told to debuggers; it goes on whatever they say, but for *exits.
void exception_tell_debugger(uint32_t type, bool* exits);
// To all debuggers of the nearest job that has some.
void exception_tell_job_debuggers(const struct arch_exception_report* report, bool* exits);

// ---- the object ----

[[nodiscard]] struct exception* exception_from_object(struct object* o);
// ACCESS_DENIED: it came over a thread's channel.
status_t exception_get_process(struct exception* e, struct handle* out);
void exception_get_thread(struct exception* e, struct handle* out);
uint32_t exception_state(struct exception* e);
status_t exception_set_state(struct exception* e, uint32_t state); // INVALID_ARGS
uint32_t exception_strategy(struct exception* e);
// INVALID_ARGS; BAD_STATE: it did not come over a process debugger's channel, or for the second
// time.
status_t exception_set_strategy(struct exception* e, uint32_t strategy);
