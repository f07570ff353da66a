// For the examples that consist of two programs: starts the one that lies beside this one.
#pragma once

#include <launcher/launcher.h>

// Where it lies: "sdk/echo", "echo_server" -> "/boot/sdk/echo_server".
void path_beside(const char* path0, const char* name, char* path, size_t len);

// `path0`: this program's argv[0]. `handles` are gone whatever happens; with each goes the word by
// which the program finds it (<jacinth/startup.h>). The process is the caller's.
zx_status_t start_beside(const char* path0, const char* name, const char* argument,
                         struct launch_handle* handles, uint32_t handle_count, zx_handle_t job,
                         zx_handle_t* process);
// For launch_request.find_interpreter: a program that is linked with the shared C library names
// ld.so.1, which lies in /boot/lib. `ctx` points to a handle, which the caller closes after the
// launch.
zx_status_t find_interpreter(void* ctx, const char* name, struct launch_file* out);

// Waits for its end. What main() returned, or negative.
int64_t wait_for(zx_handle_t process);
