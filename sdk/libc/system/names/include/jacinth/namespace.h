// What POSIX's calls hide: the handles behind paths and descriptors. For programs that use the C
// library and the system's own calls side by side.
//
// Paths are those of open(): relative to the working directory, through the process's namespace.
// All answer 0, or -1 and errno.
#pragma once

#include <stdint.h>

#include <zircon/compiler.h>
#include <zircon/types.h>

__BEGIN_CDECLS
#pragma GCC visibility push(default)

// A program or library: its image, with the right to be executed. The VMO is the caller's.
int jacinth_open_executable(const char* path, zx_handle_t* vmo, uint64_t* size);

// Hands `request`, one end of a channel, to the service at a path (/svc/NAME). It is gone whatever
// happens. 0 says that the request was sent: if nobody is there, the channel closes.
int jacinth_connect(const char* path, zx_handle_t request);

// The contents of an open file, as mmap() would map them with these permissions (PROT_*). The VMO
// is the caller's. ENODEV: it has none.
int jacinth_fd_get_vmo(int fd, int protection, zx_handle_t* vmo);

#pragma GCC visibility pop
__END_CDECLS
