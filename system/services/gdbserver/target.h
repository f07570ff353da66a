// The program that is debugged: its threads, standing or going, its memory and its breakpoints.
//
// The server is its debugger (exception channel) and has one thread, so nothing here is locked. The
// program stands as a whole or goes: while it stands the process is suspended; a thread that is to
// stand while others go is suspended by a token of its own. Threads that stand in an exception are
// let go by closing it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <gdbserver/registers.h>
#include <zircon/syscalls/exception.h>
#include <zircon/types.h>

constexpr size_t threads_max = 256; // more are debugged all the same, and not shown
constexpr size_t breakpoints_max = 128;

struct target_thread {
    zx_koid_t koid;
    zx_handle_t handle;
    zx_handle_t exception; // in which it stands, and that was read
    zx_excp_type_t exception_type;
    zx_handle_t token; // stands while others go
    bool is_stepping;
    bool is_pending; // its exception was found while all stood: it is looked at before it goes on
    bool was_moved;  // ... and it is a breakpoint of ours, to which the thread was moved back
};

// As gdb's packets Z number them.
enum breakpoint_kind : uint8_t {
    BREAKPOINT_SOFTWARE,
    BREAKPOINT_HARDWARE,
    BREAKPOINT_WRITE,
    BREAKPOINT_READ, // the CPU knows no such condition: read or written
    BREAKPOINT_ACCESS,
    BREAKPOINT_KINDS,
};

struct breakpoint {
    bool is_set;
    enum breakpoint_kind kind;
    uint8_t original; // what an instruction lies over
    uint8_t slot;     // debug register
    bool in_hardware;
    uint64_t address, len;
};

enum stop_reason : uint8_t {
    STOP_NONE,
    STOP_SIGNAL,
    STOP_BREAKPOINT,
    STOP_HARDWARE,
    STOP_WATCH, // see `watch`
    STOP_ENDED, // see `code`
};
struct stop {
    enum stop_reason reason;
    uint8_t signal; // gdb's number
    zx_koid_t thread;
    const struct breakpoint* watch;
    int64_t code;
};

enum : uint8_t {
    SIGNAL_NONE = 0,
    SIGNAL_INT = 2,
    SIGNAL_ILL = 4,
    SIGNAL_TRAP = 5,
    SIGNAL_ABRT = 6,
    SIGNAL_FPE = 8,
    SIGNAL_KILL = 9,
    SIGNAL_BUS = 10,
    SIGNAL_SEGV = 11,
    SIGNAL_SYS = 12,
};

struct target {
    zx_handle_t process;
    zx_handle_t channel; // of exceptions
    zx_handle_t token;   // while it stands
    struct target_thread threads[threads_max];
    size_t thread_count;
    struct breakpoint breakpoints[breakpoints_max];
    zx_x86_64_thread_state_debug_regs_t debug_registers; // of all threads
    struct stop stop;                                    // why it stands
    bool stands_at_start; // the first thread that starts is not let go
};

// Becomes the process's debugger. It goes on.
zx_status_t target_attach(struct target* t, zx_handle_t process);
// Lets it go on without a debugger.
void target_detach(struct target* t);

// Stops all of it, and says why: `reason`, by `thread` (0: any).
void target_stand(struct target* t, struct stop why);
// Waits for something to happen, up to `deadline`. True: the program stands, or has ended.
bool target_wait(struct target* t, zx_time_t deadline);
// What each thread is to do when target_go() lets them.
enum action : uint8_t { ACTION_STAND, ACTION_GO, ACTION_STEP };
void target_prepare(struct target* t, struct target_thread* thread, enum action action,
                    uint8_t signal);
void target_go(struct target* t);

struct target_thread* target_find(struct target* t, zx_koid_t koid);
zx_status_t target_read_registers(const struct target_thread* thread, struct registers* out);
zx_status_t target_write_registers(const struct target_thread* thread, const struct registers* r);

// What was there before breakpoints. The bytes that could be read.
size_t target_read(struct target* t, uint64_t address, void* out, size_t len);
zx_status_t target_write(struct target* t, uint64_t address, const void* data, size_t len);
// NO_RESOURCES: all are in use. NOT_SUPPORTED: not this length, or place.
zx_status_t target_set_breakpoint(struct target* t, enum breakpoint_kind kind, uint64_t address,
                                  uint64_t len);
zx_status_t target_clear_breakpoint(struct target* t, enum breakpoint_kind kind, uint64_t address,
                                    uint64_t len);
// Where the program's image begins, when nobody has said; 0: unknown.
uint64_t target_find_image(struct target* t);
