// A new handle on its way out of a system call.
//
// The implementation puts the capability into `handle`. When it has succeeded, the wrapper reserves
// a slot of the table and copies the slot's value to user memory (user_out_handle_copy), and after
// all results of the call are copied, publishes it (user_out_handle_publish, which cannot fail).
// A call with one new handle has both done by user_out_handle_give(), its last step.
// Whatever ends the call before that, the cleanup frees the slot and closes the handle: a value
// that user mode never saw is never in the table.
#pragma once

#include <object/handle.h>

struct user_out_handle {
    struct handle handle; // empty: ZX_HANDLE_INVALID is what user mode gets
    struct handle_slot slot;
    bool reserved;
};

// NO_MEMORY: no slot. INVALID_ARGS: bad pointer.
status_t user_out_handle_copy(struct user_out_handle* out, zx_handle_t __user* user);
status_t user_out_handle_give(struct user_out_handle* out, zx_handle_t __user* user);
static inline void user_out_handle_publish(struct user_out_handle* out) {
    if (out->reserved) {
        handle_publish(handle_table_current(), &out->slot, &out->handle);
        out->reserved = false;
    }
}
void user_out_handle_abandon(struct user_out_handle* out);

static inline void user_out_handle_cleanup(struct user_out_handle* out) {
    if (out->handle.object != nullptr || out->reserved) {
        user_out_handle_abandon(out);
    }
}
#define USER_OUT_HANDLE CLEANUP(user_out_handle_cleanup) struct user_out_handle
