// Reading and writing objects as programs see it: waiting unless O_NONBLOCK, all of a write.
#pragma once

#include <fd/object.h>

// ABI_EBADF: not open for that. ABI_EINTR: interrupted before the first byte.
long fd_read(struct fd_object* o, struct fd_io* io, uint64_t offset);
long fd_write(struct fd_object* o, struct fd_io* io, uint64_t offset);

// With MSG_DONTWAIT and MSG_NOSIGNAL.
long fd_read_how(struct fd_object* o, struct fd_io* io, uint64_t offset, bool dont_wait);
long fd_write_how(struct fd_object* o, struct fd_io* io, uint64_t offset, bool dont_wait,
                  bool no_signal);

// Waits until one of `events` (ABI_POLL*) may be there. 0, -ABI_EINTR, -ABI_ETIMEDOUT.
long fd_wait_for(struct fd_object* o, uint32_t events, zx_time_t deadline);
