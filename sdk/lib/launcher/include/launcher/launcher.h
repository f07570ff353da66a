// From a program's file to a running process.
//
//     launch_prepare()  process, address space, stack and bootstrap message; nothing runs yet
//     launch_start()    lets it run
//     launch_abandon()  or gives it up
//     launch()          prepare and start
//
// The file is a VMO, whose pages are mapped as they are (writable segments through a copy-on-write
// child), or a callback that reads, for servers without a pager (<launcher/source.h>): then a VMO
// is made, and headers and the segments' pages are read into it, piece by piece, before anything
// else is made. Of a file at most 64 KiB are in the library's own memory at any time (two pieces of
// 16 KiB and its headers), however large it is and wherever it comes from.
//
// Two kinds of program. NATIVE: position independent, bound to the vDSO by its own start code; if
// it names an interpreter, only that is mapped, and gets the program's VMO, the root region and the
// loader service in a message of its own before the program's. LINUX: fixed addresses are allowed;
// program and interpreter are both mapped where they ask to be, and the stack carries arguments,
// environment and auxiliary vector as the System V ABI says. In both cases the bootstrap channel
// and the vDSO's base arrive in the first two argument registers.
//
// Every failure has a name (launch_error_name) and leaves nothing behind: no process, no mapping,
// no handle. What a request hands over is gone in any case.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <elf/error.h>
#include <elf/plan.h>
#include <zircon/processargs.h>
#include <zircon/types.h>

// X(name, sentence)
#define LAUNCH_ERRORS(X)                                                              \
    X(OK, "no error")                                                                 \
    X(BAD_REQUEST, "the request is incomplete")                                       \
    X(BAD_PROGRAM, "the program's file is not usable")                                \
    X(BAD_INTERPRETER, "the interpreter's file is not usable")                        \
    X(NO_INTERPRETER, "the program's interpreter is not there")                       \
    X(NESTED_INTERPRETER, "the interpreter wants an interpreter")                     \
    X(BAD_VDSO, "the vDSO's image is not usable")                                     \
    X(TOO_MANY_HANDLES, "more handles than a message carries")                        \
    X(TOO_MANY_STRINGS, "arguments and environment do not fit the bootstrap message") \
    X(NO_MEMORY, "out of memory")                                                     \
    X(CREATE_PROCESS, "the process could not be created")                             \
    X(MAP_SEGMENT, "a segment could not be mapped")                                   \
    X(COPY_FILE, "memory for a file that must be read could not be made")             \
    X(READ_SEGMENT, "a segment could not be read")                                    \
    X(MAP_VDSO, "the vDSO could not be mapped")                                       \
    X(MAKE_STACK, "the stack could not be made")                                      \
    X(SEND_MESSAGE, "the bootstrap message could not be sent")                        \
    X(START, "the process could not be started")

typedef enum launch_error : uint8_t {
#define LAUNCH_ERROR_VALUE(name, text) LAUNCH_##name,
    LAUNCH_ERRORS(LAUNCH_ERROR_VALUE)
#undef LAUNCH_ERROR_VALUE
        LAUNCH_ERROR_COUNT,
} launch_error_t;

const char* launch_error_name(launch_error_t error); // "BAD_PROGRAM"
const char* launch_error_text(launch_error_t error);

// How a launch went: what failed, the system's word on it, and for a bad file what is wrong with
// it.
struct [[nodiscard]] launch_result {
    launch_error_t error;
    elf_error_t elf; // BAD_PROGRAM, BAD_INTERPRETER, BAD_VDSO
    zx_status_t
        status; // as zx_process_create and so on returned it; for a bad file IO_DATA_INTEGRITY
};

// ---- what to launch ----

// A file: a VMO, or a way to read it. What is read must be allowed to run, as all code that is
// copied (launch_request.vmex).
struct launch_file {
    zx_handle_t vmo;  // READ and MAP; EXECUTE for code that is mapped in place. Stays the caller's
    elf_read_fn read; // if vmo is ZX_HANDLE_INVALID
    void* ctx;
    uint64_t len;
};

// The vDSO's image and where its code is.
struct launch_vdso {
    zx_handle_t vmo;                // stays the caller's
    uint64_t code_offset, code_len; // [0, code_offset) is read-only
};
// Reads where its code is.
struct launch_result launch_vdso_init(struct launch_vdso* vdso, zx_handle_t vmo);

struct launch_handle {
    uint32_t info; // PA_HND word
    zx_handle_t handle;
};

typedef enum launch_mode : uint8_t {
    LAUNCH_NATIVE,
    LAUNCH_LINUX,
} launch_mode_t;

// Finds the interpreter that a program names; the VMO or callback lives until the launch returns.
typedef zx_status_t (*launch_find_fn)(void* ctx, const char* path, struct launch_file* out);

struct launch_request {
    launch_mode_t mode;
    zx_handle_t job;  // stays the caller's
    const char* name; // of process and image, cut to 31 bytes
    struct launch_file file;
    const struct launch_vdso* vdso;

    const char* const* args;
    uint32_t arg_count;
    const char* const* environ;
    uint32_t environ_count;
    const char* const* names; // PA_NS_DIR entries refer to them
    uint32_t name_count;
    struct launch_handle* handles; // go to the process; gone whatever happens
    uint32_t handle_count;

    bool private_text;  // code is copied, so that a debugger can write to it (see `vmex`)
    uint64_t stack_len; // 0: what the program asks for, or launch_stack_default
    zx_handle_t vmex;   // for code that must be copied; ZX_HANDLE_INVALID: the job's policy decides

    launch_find_fn find_interpreter; // null: there are none
    void* find_ctx;
    // For the interpreter (NATIVE); gone whatever happens. `find_interpreter` may still set it.
    zx_handle_t loader_service;
};

constexpr uint64_t launch_stack_default = 256 * 1024;
constexpr uint64_t launch_stack_max = 1ull << 30;
// What the library itself puts into the message, besides request.handles.
constexpr uint32_t launch_own_handles = 6;

// ---- the process made ----

struct launched {
    zx_handle_t process, thread, root_vmar;
    zx_handle_t bootstrap; // our end of the channel: the message is in it
    zx_handle_t their_bootstrap;
    zx_vaddr_t entry, stack, vdso_base;
    zx_vaddr_t image_base;
};

// On success *out holds handles that launch_start() or launch_abandon() take.
struct launch_result launch_prepare(const struct launch_request* request, struct launched* out);
// `process`: the process's handle, the caller's; may be null. Takes everything in *launched.
struct launch_result launch_start(struct launched* launched, zx_handle_t* process);
void launch_abandon(struct launched* launched);

struct launch_result launch(const struct launch_request* request, zx_handle_t* process);
