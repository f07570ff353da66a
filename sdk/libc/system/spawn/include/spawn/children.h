// The children of this process, and the groups that they form.
//
// A child is known by its pid until somebody has waited for it. A group is a job: its first child
// makes it, and it stays as long as a child of it is known, so that another can join although the
// first has ended. Only what this process started is here; the kernel knows the rest.
//
// Pure bookkeeping without a lock: spawn_lock() of spawn.h protects all of it. Handles are closed,
// and memory is freed, by whoever takes out the last reference.
#pragma once

#include <stdint.h>

#include <signal/signal_set.h>
#include <zircon/types.h>

struct child_group {
    struct child_group* next;
    int id;
    uint32_t members;
    zx_handle_t job; // ZX_HANDLE_INVALID: it was killed
};

// How many of the last messages to a child are kept, for the case that it execs before it reads
// them.
constexpr uint32_t child_recent = 16;

struct child {
    struct child* next;
    int pid;
    int group_id;              // what it was started in
    struct child_group* group; // null: in that of this process, whose job is not its own to kill
    uint32_t refs;             // one of the table's, one of each thread that looks at it
    zx_handle_t process;       // ZX_HANDLE_INVALID for a child that never was
    zx_handle_t signals;       // our end of its channel, or ZX_HANDLE_INVALID
    zx_handle_t stopped;       // it stands still until this token is closed, or ZX_HANDLE_INVALID
    uint64_t written;          // messages to `signals`
    struct signal_message recent[child_recent]; // the last ones: of message n at n % child_recent
    int stop_signal;                            // why
    bool tells_stop;                            // waitpid() has not said so yet
    bool tells_continue;                        // nor that it goes on
    int sent;   // the signal whose default was carried out by killing it
    bool ended; // `status`, `user_ns` and `system_ns` are final
    int status;
    int64_t run_ns;
};

struct children {
    struct child* first;
    struct child_group* groups;
};

void children_add(struct children* c, struct child* child);
// Takes it out of the list, and its group if it was the last: the group is returned for the caller
// to close and free, or null.
struct child_group* children_remove(struct children* c, struct child* child);
struct child* children_find(const struct children* c, int pid);

// Whom a call means: waitpid's and kill's -1, 0, pid and -group. `own_group` stands for 0.
struct child_filter {
    enum : uint8_t { CHILD_ANY, CHILD_PID, CHILD_GROUP } by;
    int id;
};
struct child_filter child_filter_of(int pid, int own_group);
// The next one after `after` (null: the first) that is meant.
struct child* children_next(const struct children* c, const struct child* after,
                            const struct child_filter* filter);

struct child_group* children_group(const struct children* c, int id);
void children_add_group(struct children* c, struct child_group* group);
