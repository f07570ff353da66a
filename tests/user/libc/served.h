// /served of this program's own: a server in a thread, in the namespace before main() runs, whose
// files can be read over their connections (ReadAt) and have no pages (GetVmo).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// A file of the test's, before the first case that asks for it. Kept, not copied.
void served_add(const char* name, const void* bytes, size_t len);
// The contents of another file, by the same name or another.
void served_add_file(const char* name, const char* path);
// The file says that it is so long.
void served_claim(const char* name, uint64_t len);
// The read of this number from now on (0: the next) and all behind it are answered with `status`;
// ZX_OK: with nothing, as if the file ended there. UINT32_MAX: none is.
void served_fail(uint32_t read, zx_status_t status);
// How many reads there were since the last served_fail().
uint32_t served_reads(void);
// Waits until nobody but this program is connected: the server's handles are this process's, too.
void served_settle(void);
// A connection to a file, opened to be executed.
zx_handle_t served_open(const char* name);
