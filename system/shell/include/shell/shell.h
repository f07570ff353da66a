// The command interpreter: one line, one command.
//
// A command is a built-in word or a program of the boot image: NAME is bin/NAME, a name with a
// slash is a path in /boot. Every program is a process in a job of its own, which ends with it, and
// gets exactly what it is meant to have: that job, "/boot", and what the table of grants in shell.c
// says for its path.
#pragma once

#include <launcher/launcher.h>
#include <zircon/types.h>

struct shell {
    zx_handle_t root_job;
    zx_handle_t jobs; // where programs' jobs go
    zx_handle_t boot_files;
    zx_handle_t launcher; // takes connections to the launcher service; may be missing
    struct launch_vdso vdso;
    zx_handle_t debug, power;              // resources
    zx_handle_t mmio, irq, ioport, system; // whole kinds, for those who are granted them
    const char* const* environ;            // of every program
    uint32_t environ_count;
    zx_handle_t interrupt; // an event: SIGNALED ends the program that runs. May be missing
};

constexpr int64_t shell_not_found = 127;
constexpr int64_t shell_not_startable = 126;
constexpr int64_t shell_bad_line = 2;

// Runs a line. The result is the program's return code (negative: ZX_TASK_RETCODE_*), or one of the
// above. An empty line gives 0.
int64_t shell_run(const struct shell* sh, const char* line);

// Says what a result other than 0 means, for people.
void shell_explain(int64_t code);

// Starts a program that stays: in its own job below `jobs`, with one handle besides "/boot".
zx_status_t shell_start_service(const struct shell* sh, zx_handle_t jobs, const char* path,
                                uint32_t info, zx_handle_t handle);
