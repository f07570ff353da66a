// The command interpreter: one line, one command.
//
// A command is a built-in word or a program of the boot image: NAME is bin/NAME, a name with a
// slash is a path in /boot. Every program is a process in a job of its own, which ends with it, and
// gets what the shell's owner says for its path.
#pragma once

#include <launcher/launcher.h>
#include <zircon/types.h>

// What a program is given besides its file and its words. Filled by whoever owns the shell.
struct shell_gift {
    struct launch_handle* handles; // the program's
    uint32_t handle_count;
    const char* const* names; // of its PA_NS_DIR handles
    uint32_t name_count;
    const char* const* environ;
    uint32_t environ_count;
};

struct shell {
    zx_handle_t boot_files;
    const struct launch_vdso* vdso;
    zx_handle_t debug, power; // resources
    zx_handle_t interrupt;    // raised signals of it end the program that runs. May be missing
    zx_signals_t interrupt_signal;
    // For the program with this path in the boot image: its job, and what it gets. False: no
    // memory.
    bool (*give)(void* ctx, const char* path, const char* name, zx_handle_t* job,
                 struct shell_gift* gift);
    // A program has ended, and its job has been killed.
    void (*ended)(void* ctx);
    // The machine is about to be switched off, or started anew.
    void (*power_ends)(void* ctx);
    void* ctx;
};

constexpr int64_t shell_not_found = 127;
constexpr int64_t shell_not_startable = 126;
constexpr int64_t shell_bad_line = 2;

// Runs a line. The result is the program's return code (negative: ZX_TASK_RETCODE_*), or one of the
// above. An empty line gives 0.
int64_t shell_run(const struct shell* sh, const char* line);

// Says what a result other than 0 means, for people.
void shell_explain(int64_t code);
