// Directories of servers.
#pragma once

#include <fd/object.h>

// Consumes the connection. `path`: the absolute path it was opened by, copied; null: nobody knows.
// `device`: see fd/server.h.
long fd_directory_new(zx_handle_t connection, uint64_t device, const char* path, uint32_t flags,
                      struct fd_object** out);

// False: another kind of object. The connection stays the object's.
bool fd_directory_get(struct fd_object* o, zx_handle_t* connection, uint64_t* device,
                      const char** path);

// For listings: appends an entry of `type` (ABI_DT_*) to a buffer of struct abi_dirent. Returns its
// length, 0 if it does not fit.
size_t fd_put_entry(void* at, size_t room, uint64_t ino, int64_t next, uint8_t type,
                    const char* name, size_t len);
