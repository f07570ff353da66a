// Where a thread of another process stands: its frames, as offsets into what was loaded there.
//
// Frames are found by their pointers, which this tree's programs keep; others end the list early.
// Bounded, whatever the process looks like: so many frames, so many regions, and so long a wait for
// pagers of its memory (3 s for all of one space). One space at a time, of one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/syscalls/debug.h>
#include <zircon/syscalls/object.h>
#include <zircon/types.h>

constexpr uint32_t BACKTRACE_FRAMES_MAX = 64;
constexpr size_t BACKTRACE_REGIONS_MAX = 4096; // what lies behind them has no name

struct backtrace_space {
    zx_handle_t process; // stays the caller's
    zx_info_maps_t* maps;
    size_t count;
    uint64_t base, build_id; // of the module that was looked at last
};

zx_status_t backtrace_begin(struct backtrace_space* space, zx_handle_t process);
// False: some memory could not be read, as its pager did not answer; frames end there.
bool backtrace_end(struct backtrace_space* space);

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
