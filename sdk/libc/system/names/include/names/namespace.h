// The namespace: paths to directories, as the process was given them. Which paths does not change
// while it runs (but for names_add_prefix); the connection behind one is renewed when its server
// has died.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <names/path.h>
#include <zircon/types.h>

// "/tmp", "/boot" …, in the order of the bootstrap message.
const struct path_prefixes* names_prefixes(void);

// Adds a directory, while there is one thread. For a program that serves its own. Consumes the
// handle; the path has to stay where it is.
long names_add_prefix(const char* path, zx_handle_t directory);

// For a child: another connection to the directory at a prefix. 0, or an errno negated.
long names_prefix_clone(size_t index, zx_handle_t* out);

// A connection to a protocol of /svc: its channel closes if there is none of that name. INVALID: no
// /svc.
zx_handle_t names_connect(const char* service);

// The text by which a child learns its working directory: a name of its bootstrap message, to which
// no handle refers. Without a path (no path leads to the directory any more) it comes with the
// directory itself; INVALID: it is nowhere. 0, or -ABI_ENAMETOOLONG.
constexpr char NAMES_CWD_KEY[] = "jacinth.cwd=";
long names_cwd_for_child(char* out, size_t size, zx_handle_t* directory);

// A connection to a file that is to be executed (jacinth.io/File); `dir`: as for openat.
long names_open_program(int dir, const char* path, zx_handle_t* connection);
// The image of a program (or library), with the right to be executed, from a server that gives it.
long names_get_program(int dir, const char* path, zx_handle_t* vmo, uint64_t* size);

// The path without symbolic links, ".", "..": everything in it must be there.
long names_canonical(int dir, const char* path, char out[ABI_PATH_MAX]);
