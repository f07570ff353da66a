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
