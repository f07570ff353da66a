// Where a thread of another process stands: its frames, as offsets into what was loaded there.
//
// Frames are found by their pointers, which this tree's programs keep; others end the list early.
// Bounded, whatever the process looks like: so many frames, so many regions.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/syscalls/debug.h>
#include <zircon/syscalls/object.h>
#include <zircon/types.h>

constexpr uint32_t BACKTRACE_FRAMES_MAX = 64;
constexpr size_t BACKTRACE_REGIONS_MAX = 4096; // what lies behind them has no name

// As zx_process_read_memory, which is used where there is none.
typedef zx_status_t (*backtrace_read_fn)(void* ctx, uint64_t at, void* to, size_t len, size_t* got);

struct backtrace_space {
    zx_handle_t process;    // stays the caller's
    backtrace_read_fn read; // the caller's, after backtrace_begin; null: none
    void* read_ctx;
    zx_info_maps_t* maps;
    size_t count;
    uint64_t base, build_id; // of the module that was looked at last
};

zx_status_t backtrace_begin(struct backtrace_space* space, zx_handle_t process);
void backtrace_end(struct backtrace_space* space);

struct backtrace_frame {
    uint32_t index;
    uint64_t offset;    // into the module
    const char* module; // printable, without colons and braces; "?" if nothing is known
    uint64_t build_id;  // the first eight bytes of the module's; 0: unknown
};
typedef void (*backtrace_frame_fn)(void* ctx, const struct backtrace_frame* frame);
// Of a thread that stands still, with these registers.
void backtrace_walk(struct backtrace_space* space,
                    const zx_x86_64_thread_state_general_regs_t* regs, backtrace_frame_fn frame,
                    void* ctx);
