// The namespace of a program without the C library.
#pragma once

#include <stdint.h>

#include <io/client.h>
#include <zircon/types.h>

// A prefix and its directory, which stays the namespace's. False: there are no more.
struct ns_entry {
    const char* prefix;
    zx_handle_t directory;
};
bool ns_entry(uint32_t index, struct ns_entry* out);

// Which entry an absolute path belongs to, the one with the longest prefix; *rest is what follows
// it, without leading slashes. False: to none.
bool ns_find(const char* path, struct ns_entry* out, const char** rest);

// The working directory's path, as a program of the C library tells it to whom it starts; null:
// nobody has.
const char* ns_working_directory(void);

// Opens an absolute path.
zx_status_t ns_open(const char* path, jacinth_io_flags_t flags, struct io_opened* out);
