// What the small programs share: usage, lists of the kernel, parts of the system resource.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// True: the arguments ask for help, and got it.
bool tool_wants_help(int argc, char** argv, const char* usage);
// Says what is wrong; the result is the exit code for it.
int tool_bad_usage(const char* usage);
int tool_failed(const char* program, const char* what, zx_status_t status);

// A number that is all of `text`, in C's notation.
bool tool_parse_u64(const char* text, uint64_t* out);

// A topic that is a list, as long as it is now. *out is malloc's, and null if the list is empty.
zx_status_t tool_list(zx_handle_t handle, uint32_t topic, size_t record_size, void** out,
                      size_t* count);

// A name that an object was given, with what cannot be printed replaced.
void tool_name(zx_handle_t handle, char name[ZX_MAX_NAME_LEN]);

// A part of the system resource (ZX_RSRC_SYSTEM_*_BASE): granted as itself, under
// PA_SYSTEM_RESOURCE and its base, or made from the whole. ZX_HANDLE_INVALID: neither was granted.
zx_handle_t tool_system_resource(uint64_t base);

// "channel"; "?" for a type that has no name.
const char* tool_type_name(zx_obj_type_t type);
// The rights' letters, a dot for each that is missing, and a terminator.
constexpr size_t tool_rights_len = 26;
void tool_rights(zx_rights_t rights, char text[tool_rights_len]);
extern const char tool_rights_legend[];
