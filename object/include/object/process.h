// Processes: an address space, a handle table and threads.
//
//      INITIAL --process_start--> RUNNING --exit, kill, last thread ends--> DYING --last thread
//      gone--> DEAD (TERMINATED)
//         +--last handle gone, or kill: at
//         once---------------------------------------------------------^
//
// DEAD: all handles are closed and the address space is empty. Locks: `lock` (PROCESS) guards the
// state and the list of threads.
#pragma once

#include <zircon/syscalls/exception.h>
#include <zircon/syscalls/object.h>

#include <arch/upcalls.h>
#include <locking/mutex.h>
#include <object/handle.h>
#include <object/object.h>
#include <object/policy.h>

struct aspace;
struct exception_listener;
struct io_ports;
struct job;
struct process;
struct thread_object;
struct vmar;

// `vmar_out`: the root region with a reference. BAD_STATE: the job is dying. NO_MEMORY.
status_t process_create(struct job* job, const char* name, size_t name_len, struct process** out,
                        struct vmar** vmar_out);
[[nodiscard]] struct process* process_from_object(struct object* o);
struct object* process_object(struct process* p);
static inline struct process* process_current(void) {
    return thread_current()->process;
}

struct aspace* process_aspace(struct process* p);
struct handle_table* process_handles(struct process* p);
struct io_ports* process_io_ports(struct process* p);
struct job* process_job(struct process* p);
const struct job_policy* process_policy(const struct process* p);

// First thread. `arg1` moves into the process's table (null object: 0). On failure it stays the
// caller's.
status_t process_start(struct process* p, struct thread_object* t, vaddr_t entry, vaddr_t stack,
                       struct handle* arg1, uintptr_t arg2);
// Marks the process as ended and its threads for death; the first return code counts. The current
// thread, if it belongs to it, dies on its way to user mode.
void process_kill(struct process* p, int64_t retcode);
// The same for job_kill(), which may come here once for each level of the tree: the job that cannot
// do without the process is not killed but returned, with a reference; null: there is none, or the
// process does not end at once.
[[nodiscard]] struct job* process_kill_step(struct process* p, int64_t retcode);
[[noreturn]] void process_exit_current(int64_t retcode);
// Ends the current process by an exception that nobody handled.
void process_die_of(const struct arch_exception_report* report);
// Which one that was; BAD_STATE: the process has not ended, or not so.
status_t process_fatal_exception(struct process* p, struct zx_exception_report* out);

// A name of up to 31 bytes.
void process_set_name(struct process* p, const char* name, size_t len);
void process_get_name(struct process* p, char out[ZX_MAX_NAME_LEN]);

void process_get_info(struct process* p, zx_info_process_t* out);
size_t process_thread_koids(struct process* p, zx_koid_t* out, size_t max, size_t* avail);
struct object* process_find_thread(struct process* p,
                                   zx_koid_t koid); // with a reference; null: none
int64_t process_runtime_ns(struct process* p);
// Properties that user mode sets and debuggers read.
void process_set_debug_addr(struct process* p, uintptr_t addr, bool break_on_load);
uintptr_t process_debug_addr(struct process* p);
uintptr_t process_break_on_load(struct process* p);

// ---- suspension, exceptions ----
status_t process_suspend(struct process* p); // NOT the current one. BAD_STATE
void process_resume(struct process* p);
// ALREADY_BOUND, BAD_STATE.
status_t process_bind_exceptions(struct process* p, bool debugger, zx_rights_t rights,
                                 struct handle* end);
void process_exception_listener(struct process* p, bool debugger, struct exception_listener* out);
// Whether a debugger was ever there.
bool process_has_debugger(struct process* p);

// ---- for threads (object/task/thread.c) ----
mutex_t* process_lock(struct process* p);
// Under the lock (asserted): tokens that want all threads to stand still; it is dying or dead.
bool process_suspended_locked(struct process* p);
bool process_dying_locked(struct process* p);
// BAD_STATE: the process is dying, or dead.
status_t process_add_thread_locked(struct process* p, struct list_node* link)
    TA_REQ(process_lock(p));
void process_remove_thread_locked(struct process* p, struct list_node* link)
    TA_REQ(process_lock(p));
// Runs `commit(arg)` under the lock if a thread may start now: `first` demands INITIAL (and makes
// it RUNNING), else RUNNING. BAD_STATE.
status_t process_begin_thread(struct process* p, bool first, status_t (*commit)(void* arg),
                              void* arg);
// The current thread's last act in its process: leaves the address space; the last one finishes the
// process.
void process_end_thread(struct process* p);

// ---- for jobs ----
status_t process_set_critical(struct process* p, struct job* j, bool only_nonzero);
struct process* process_from_job_link(struct list_node* link);
// Under the job tree's lock: true the first time.
bool process_kill_mark(struct process* p);
