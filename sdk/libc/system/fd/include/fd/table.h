// Descriptors: small numbers to objects, each with FD_CLOEXEC.
//
// One table belongs to one view of the process (<libc/process_view.h>). Its lock is held for
// look-ups and changes only, never over an operation of an object: what is taken out of the table
// is given up after the lock was released, and who looks an object up gets a reference.
#pragma once

#include <stdint.h>

#include <fd/object.h>

struct fd_table;

constexpr int FD_MAX = 1024; // RLIMIT_NOFILE

// That of the calling thread's view.
struct fd_table* fd_table(void);

// ABI_EBADF: there is none. *out is a reference.
long fd_table_get_ref(struct fd_table* t, int fd, struct fd_object** out);

// The lowest free descriptor from `from` on; the reference passes over in any case. `flags`:
// ABI_FD_CLOEXEC or 0. Returns it, or -ABI_EMFILE (-ABI_EINVAL if no descriptor can be that large).
long fd_table_add(struct fd_table* t, struct fd_object* o, int from, int flags);
// Exactly this one; what was there is closed. The reference passes over in any case.
long fd_table_put(struct fd_table* t, struct fd_object* o, int fd, int flags);
long fd_table_close(struct fd_table* t, int fd);

// FD_CLOEXEC.
long fd_table_get_flags(struct fd_table* t, int fd);
long fd_table_set_flags(struct fd_table* t, int fd, int flags);

// The next open descriptor from `fd` on, with a reference and its flags; -1: there is none.
int fd_table_next_ref(struct fd_table* t, int fd, struct fd_object** out, int* flags);

// The process's first; empty at the start.
struct fd_table* fd_table_first(void);
// An empty one; null: no memory.
struct fd_table* fd_table_new(void);
// The same descriptors for another view: the objects are shared, later changes of the table are
// not.
struct fd_table* fd_table_copy(struct fd_table* from);
// Closes all.
void fd_table_delete(struct fd_table* t);
