// What operations on descriptors share.
#pragma once

#include <libc/operations.h>

#include <fd/io.h>
#include <fd/object.h>
#include <fd/table.h>

// Scoped: the reference ends with the variable.
static inline void fd_unref_cleanup(struct fd_object** o) {
    fd_object_unref(*o);
}
#define FD_REF [[gnu::cleanup(fd_unref_cleanup)]] struct fd_object*

static inline long fd_lookup_ref(int fd, struct fd_object** out) {
    return fd_table_get_ref(fd_table(), fd, out);
}

// Two descriptors for two objects, whose references it consumes.
long fd_add_pair(struct fd_object* a, struct fd_object* b, int flags, int* fds);
// Of a program's buffers; -ABI_EINVAL: too many, or their sum is too large.
long fd_io_of(const struct abi_iovec* parts, int count, struct fd_io* out);
