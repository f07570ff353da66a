// Files: contents that are read and written through a stream, and the server that keeps them.
#pragma once

#include <fd/object.h>

// Consumes the handles; either may be ZX_HANDLE_INVALID. `device`: see fd/server.h.
long fd_file_new(zx_handle_t connection, zx_handle_t stream, uint32_t flags, uint64_t device,
                 struct fd_object** out);
// A file that no server has: its stream, and the memory below that, if it is known. Consumes both.
long fd_file_with_memory(zx_handle_t stream, zx_handle_t vmo, uint32_t flags,
                         struct fd_object** out);
// A file that has no stream, because its server has no pages: read-only. `counter`: where reading
// goes on; ZX_HANDLE_INVALID: at the beginning. Consumes both.
long fd_served_file_new(zx_handle_t connection, zx_handle_t counter, uint32_t flags,
                        uint64_t device, struct fd_object** out);
// A file that is nothing but memory: read-only, nobody else's. Consumes the handle.
long fd_file_of_memory(zx_handle_t vmo, struct fd_object** out);
