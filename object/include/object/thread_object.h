// Threads as user mode sees them. The scheduler's struct thread is the other half: it exists from
// creation until the thread has run its course (or the object dies unstarted); a running thread
// keeps its object alive.
//
//      NEW --start--> RUNNING --exit, kill--> DEAD (TERMINATED)
#pragma once

#include <zircon/syscalls/object.h>

#include <object/channel.h>
#include <object/handle.h>
#include <object/object.h>
#include <object/process.h>

struct arch_exception_report;
struct exception_listener;
struct futex;
struct thread_object;
struct zx_exception_report;

status_t thread_object_create(struct process* p, const char* name, size_t name_len,
                              struct thread_object** out);
[[nodiscard]] struct thread_object* thread_from_object(struct object* o);
struct object* thread_object_base(struct thread_object* t);
struct process* thread_object_process(struct thread_object* t);
static inline struct thread_object* thread_object_current(void) {
    return thread_current()->user;
}

// zx_thread_start. BAD_STATE; INVALID_ARGS: the entry is no user address.
status_t thread_object_start(struct thread_object* t, vaddr_t entry, vaddr_t stack, uintptr_t arg1,
                             uintptr_t arg2);
// zx_thread_start_regs: also sets the thread pointer and the ABI's other register of a thread
// (x86-64: the GS base). INVALID_ARGS also for those.
status_t thread_object_start_regs(struct thread_object* t, vaddr_t entry, vaddr_t stack,
                                  uintptr_t arg1, uintptr_t arg2, uintptr_t thread_pointer,
                                  uintptr_t abi_register);
// For process_start: the handle that the process gets, published in the slot once the start cannot
// fail any more; its value there is the first argument. Null: none.
struct thread_gift {
    struct handle_table* table;
    struct handle_slot* slot;
    struct handle* handle;
};
status_t thread_object_start_first(struct thread_object* t, vaddr_t entry, vaddr_t stack,
                                   const struct thread_gift* gift, uintptr_t arg2);
[[noreturn]] void thread_object_exit_current(void);
// The same at the thread's own wish, in a system call: at once, or, when a debugger is to be told,
// on the way to user mode, which it does not reach. The call must return.
void thread_object_exit_by_call(void);

void thread_object_set_name(struct thread_object* t, const char* name, size_t len);
void thread_object_get_name(struct thread_object* t, char out[ZX_MAX_NAME_LEN]);
void thread_object_get_info(struct thread_object* t, zx_info_thread_t* out);
int64_t thread_object_runtime_ns(struct thread_object* t);
uint32_t thread_object_last_cpu(struct thread_object* t); // a hint: the thread moves on
// BAD_STATE when it has ended.
status_t thread_object_set_priority(struct thread_object* t, int priority);
status_t thread_object_set_affinity(struct thread_object* t, cpu_mask_t mask);

// ---- standing still: suspension, exceptions, registers (thread_stop.c) ----

// NOT for the current thread. BAD_STATE: it has ended or was killed.
status_t thread_object_suspend(struct thread_object* t);
void thread_object_resume(struct thread_object* t);
// A thread that stands still. INVALID_ARGS: no such topic, or values that user mode may not have.
// BAD_STATE: it does not stand still. BUFFER_TOO_SMALL: `size` (of the buffer; a write must be
// exact: INVALID_ARGS). NO_MEMORY.
status_t thread_object_read_state(struct thread_object* t, uint32_t topic, void __user* buffer,
                                  size_t size);
status_t thread_object_write_state(struct thread_object* t, uint32_t topic,
                                   const void __user* buffer, size_t size);
// BAD_STATE: it is in no exception.
status_t thread_object_exception_report(struct thread_object* t, struct zx_exception_report* out);

// The current thread, in a system call: raises an exception on its way to user mode. One per call:
// the first counts.
void thread_object_raise_later(const struct arch_exception_report* report);
// For exception.c: the current thread stands in an exception, and goes on.
void thread_object_stop_for_exception(struct thread_object* t, uint32_t kind,
                                      const struct arch_exception_report* report);
void thread_object_go_on(struct thread_object* t);
status_t thread_object_bind_exceptions(struct thread_object* t, zx_rights_t rights,
                                       struct handle* end); // ALREADY_BOUND, BAD_STATE
void thread_object_exception_listener(struct thread_object* t, struct exception_listener* out);

// The current thread's interrupted channel call.
struct channel_waiter* thread_object_call(struct thread_object* t);

// The current thread's place to wait on futexes with (<object/futex.h>).
struct futex** thread_object_futex_spare(struct thread_object* t);
// The kernel half of a thread that has been started (it may have ended since); null: it has not.
// Valid as long as the object.
struct thread* thread_object_started(struct thread_object* t);

// Under the process's lock.
struct thread_object* thread_object_from_link(struct list_node* process_link);
void thread_object_kill_locked(struct list_node* process_link);    // marks a started one for death
void thread_object_suspend_locked(struct list_node* process_link); // a token for the process came
void thread_object_resume_locked(struct list_node* process_link);  // the last one has gone
int64_t thread_object_runtime_locked(struct list_node* process_link);
