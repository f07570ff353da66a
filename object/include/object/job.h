// Jobs: the tree that groups processes, kills them together and restricts what they may do.
//
// A child keeps its parent alive; a parent knows its children weakly. The whole tree is guarded by
// one mutex (JOB_TREE).
//
//      READY --job_kill--> KILLING --last child gone--> DEAD (TERMINATED)
//        +--last handle and last child gone----------------^
#pragma once

#include <zircon/syscalls/object.h>

#include <object/object.h>
#include <object/policy.h>

struct exception_listener;
struct handle;
struct job;
struct process;

constexpr uint32_t JOB_MAX_HEIGHT = 32;

struct job* job_root(void);                                // no reference
status_t job_create(struct job* parent, struct job** out); // OUT_OF_RANGE, BAD_STATE, NO_MEMORY
[[nodiscard]] struct job* job_from_object(struct object* o);
struct object* job_object(struct job* j);
// Kills all processes and jobs below; returns at once.
void job_kill(struct job* j, int64_t retcode);
status_t job_set_policy(struct job* j, bool absolute, const zx_policy_basic_v2_t* entries,
                        uint32_t count); // BAD_STATE: has children
status_t job_set_critical(struct job* j, struct process* p,
                          bool only_nonzero); // ALREADY_BOUND, INVALID_ARGS (not below the job)
status_t job_allow_reserve(struct job* j);    // BAD_STATE: has children
void job_set_kill_on_oom(struct job* j, bool value);
void job_set_name(struct job* j, const char* name, size_t len);
void job_get_name(struct job* j, char out[ZX_MAX_NAME_LEN]);
void job_get_info(struct job* j, zx_info_job_t* out);
int64_t job_runtime_ns(struct job* j); // all processes below, the dead included

// ---- exceptions ----
struct job* job_parent(struct job* j); // no reference; null: the root
status_t job_bind_exceptions(struct job* j, bool debugger, zx_rights_t rights,
                             struct handle* end); // ALREADY_BOUND, BAD_STATE, NO_MEMORY
void job_exception_listener(struct job* j, struct exception_listener* out);
bool job_debuggers_exist(void); // any, anywhere
bool job_has_debugger(struct job* j);
// The debugger bound next after number *after, which moves to it; false: there is none.
bool job_next_debugger(struct job* j, uint64_t* after, struct exception_listener* out);

// Koids of the children (jobs or processes), up to `max`; *avail = how many there are.
size_t job_child_koids(struct job* j, bool jobs, zx_koid_t* out, size_t max, size_t* avail);
// A child job or process by koid, with a reference; null: none.
struct object* job_find_child(struct job* j, zx_koid_t koid);

// For processes. Enter: BAD_STATE when the job is dying. The policy is copied out under the same
// lock.
status_t job_enter(struct job* j, struct list_node* link, struct job_policy* policy);
void job_leave(struct job* j, struct list_node* link);
// Walks all processes of the system, each with a reference during the call; false from fn ends the
// walk. For `k ps` and the out-of-memory policy.
void job_each_process(bool (*fn)(struct process* p, void* arg), void* arg);
