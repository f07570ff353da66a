// See <spawn/vfork.h>; the registers are vfork.S's.
#include <spawn/vfork.h>

#include <stdlib.h>

#include <libc/error.h>
#include <libc/thread_block.h>
#include <signal/signal.h>

#include "spawn_priv.h"

// Called by vfork() with what it noted. 0: the thread is a child now.
long vfork_enter(const struct vfork_context* context);
[[noreturn]] void vfork_return(const struct vfork_context* context, long result);

static long enter(const struct vfork_context* context) {
    struct vfork_frame* frame = malloc(sizeof(*frame));
    struct process_view* copy = frame != nullptr ? process_view_copy(process_view()) : nullptr;
    if (copy == nullptr) {
        free(frame);
        return -ABI_ENOMEM;
    }
    frame->context = *context;
    frame->mask = thread_block_self()->record->signals_blocked;
    spawn_identity_become_child(copy->identity);
    copy->identity->frame = frame;
    frame->view = process_view_exchange(copy);
    return 0;
}

long vfork_enter(const struct vfork_context* context) {
    thread_record_go_inside(thread_block_self()->record);
    long result = enter(context);
    thread_record_go_outside(thread_block_self()->record);
    return result;
}

bool vfork_is_child(void) {
    return spawn_identity()->frame != nullptr;
}

void vfork_finish(long result) {
    struct vfork_frame* frame = spawn_identity()->frame;
    struct vfork_context context = frame->context;
    // The frame to return to lies above this one, if it is still there.
    if (context.rsp <= (uintptr_t)__builtin_frame_address(0)) {
        __builtin_trap();
    }
    thread_record_go_inside(thread_block_self()->record); // posix_spawn() comes from outside
    process_view_unref(process_view_exchange(frame->view));
    thread_block_self()->record->signals_blocked = frame->mask;
    free(frame);
    // What came for the process meanwhile was not for the child.
    (void)signal_deliver();
    thread_block_self()->record->inside = 0; // exec() and _exit() do not end otherwise
    vfork_return(&context, result);
}

void vfork_end(int status) {
    long pid = spawn_phantom(status);
    // No memory for a child that never was: vfork() would have failed, had it known.
    vfork_finish(pid);
}
