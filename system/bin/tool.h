// What the small programs share: usage, and reaching what they show.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// True: the arguments ask for help, and got it.
bool tool_wants_help(int argc, char** argv, const char* usage);
// For a tool that takes so many arguments and no options: true, go on; false, it is over with
// *code, after its usage was said, and `help` to who asked.
bool tool_takes(int count, int argc, char** argv, const char* usage, const char* help, int* code);
// Says what is wrong; the result is the exit code for it.
int tool_bad_usage(const char* usage);
int tool_failed(const char* program, const char* what, zx_status_t status);

// A number that is all of `text`, in C's notation.
bool tool_parse_u64(const char* text, uint64_t* out);

// A name that an object was given, with what cannot be printed replaced.
void tool_name(zx_handle_t handle, char name[ZX_MAX_NAME_LEN]);

// Of the namespace, by its prefix; ZX_HANDLE_INVALID: it is not in it. It stays there.
zx_handle_t tool_directory(const char* prefix);
// A connection to a protocol of /svc. Whether there is somebody shows in the first call: without it
// in /svc, ZX_ERR_PEER_CLOSED.
zx_status_t tool_connect(const char* protocol, zx_handle_t* out);
// Where to begin with tasks: a job that was granted, else what jacinth.system.Tasks gives, else the
// program's own. Borrowed.
zx_handle_t tool_root_job(void);
zx_status_t tool_find_process(const char* koid_text, zx_handle_t* out);

// "channel"; "?" for a type that has no name.
const char* tool_type_name(zx_obj_type_t type);
// The rights' letters, a dot for each that is missing, and a terminator.
constexpr size_t tool_rights_len = 26;
void tool_rights(zx_rights_t rights, char text[tool_rights_len]);
extern const char tool_rights_legend[];
