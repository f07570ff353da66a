// What operations of a thread see of the process: its open files, where it is, what it lets
// through.
//
// Normally all threads share one view. vfork() gives the calling thread a copy, so that what the
// child-to-be does to descriptors, directory, masks and actions does not happen to the parent;
// posix_spawn() makes a copy and applies its file actions to that. So no operation keeps such state
// in a global: it asks process_view() each time.
//
// Each part belongs to one module, which defines the struct, says which lock protects it, and does
// what must be done for a copy. The pointers of a view never change after its creation.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct fd_table;       // fd: descriptors
struct names_place;    // names: the working directory
struct signal_state;   // signal: mask and actions
struct spawn_identity; // spawn: process group, session

struct process_view {
    _Atomic uint32_t refs;
    _Atomic uint32_t umask;
    struct fd_table* fds;
    struct names_place* place;
    struct signal_state* signals;
    struct spawn_identity* identity;
};

// The calling thread's view: the word at +0x20 of its thread control block. Never null.
struct process_view* process_view(void);
// Makes `view` the calling thread's; the reference passes over. Returns the old one with its
// reference.
[[nodiscard]] struct process_view* process_view_exchange(struct process_view* view);

[[nodiscard]] struct process_view* process_view_ref(struct process_view* view);
// The last reference ends each part.
void process_view_unref(struct process_view* view);
// A copy with one reference, each part copied by its module; null: no memory.
[[nodiscard]] struct process_view* process_view_copy(struct process_view* from);

// What a module does for its part. Null members: it is not in this program, and the part is null.
struct process_view_part {
    // Before main(), in the one thread there is; startup handles may be taken
    // (<jacinth/startup.h>).
    void (*start)(struct process_view* view);
    // Fills the part of *to; false: no memory, and nothing was done.
    bool (*copy)(const struct process_view* from, struct process_view* to);
    // The last reference is gone; the part may be null.
    void (*end)(struct process_view* view);
};
// Each module defines its own, in the object that any use of the module brings into a program:
// these are weak references, so that a program without the module does not get it by them.
extern const struct process_view_part fd_view_part, names_view_part, signal_view_part,
    spawn_view_part;
