// How threads begin and end. musl does the rest: stacks, lists, joining.
#include "thread_priv.h"

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include <jacinth/startup.h>
#include <libc/operations.h>
#include <libc/thread_block.h>
#include <spawn/status.h>
#include <spawn/vfork.h>

#include "table.h"

// The first function of a thread.
[[noreturn]] static void run(int (*entry)(void*), void* arg) {
    (void)entry(arg);
    (void)sys_exit(0);
    __builtin_trap();
}

static zx_status_t start(struct thread_record* record, int (*entry)(void*), void* stack, void* arg,
                         struct thread_block* block) {
    // As if it had been called: a return address of 0 below an aligned top ends a backtrace.
    uintptr_t* top = (uintptr_t*)((uintptr_t)stack & ~(uintptr_t)15) - 1;
    *top = 0;
    return zx_thread_start_regs(record->handle, (uintptr_t)run, (uintptr_t)top, (uintptr_t)entry,
                                (uintptr_t)arg, (uintptr_t)block, 0);
}

int thread_start(int (*entry)(void*), void* stack, void* arg, struct thread_block* block, int* tid,
                 int* clear_at_exit) {
    struct thread_record* record = thread_table_take();
    if (record == nullptr) {
        return -ABI_EAGAIN;
    }
    zx_handle_t thread;
    zx_status_t status = zx_thread_create(zx_process_self(), "thread", 6, 0, &thread);
    if (status != ZX_OK) {
        thread_table_give(record);
        return -ABI_EAGAIN;
    }
    const struct thread_block* self = thread_block_self();
    record->handle = thread;
    record->clear_at_exit = clear_at_exit;
    block->canary = self->canary;
    block->canary_copy = self->canary_copy;
    block->view = process_view_ref(self->view);
    block->record = record;
    record->block = block;
    // The thread may be gone when start() returns.
    int its_tid = record->tid;
    *tid = its_tid;
    if (start(record, entry, stack, arg, block) != ZX_OK) {
        process_view_unref(block->view);
        thread_table_give(record);
        (void)zx_handle_close(thread);
        return -ABI_EAGAIN;
    }
    return its_tid;
}

// What both ways out have in common. The handle is for the caller to close; the first thread's
// stays open, because zx_thread_self() gives it.
static zx_handle_t leave(int** clear_at_exit) {
    struct thread_record* record = thread_block_self()->record;
    zx_handle_t handle = record->handle == zx_thread_self() ? ZX_HANDLE_INVALID : record->handle;
    *clear_at_exit = record->clear_at_exit;
    process_view_unref(thread_block_self()->view);
    thread_table_give(record);
    return handle;
}

long sys_exit(int) {
    static zx_futex_t nobody;
    int* clear;
    // Closed before the word tells anybody that the thread is gone: who has joined it finds no
    // handle of it any more. (Nothing here waits on a lock in its name from now on.)
    (void)zx_handle_close(leave(&clear));
    zx_futex_t* word = clear != nullptr ? (zx_futex_t*)clear : &nobody;
    zx_futex_wake_handle_close_thread_exit(word, 1, 0, ZX_HANDLE_INVALID);
    __builtin_trap();
}

void thread_exit_unmap(void* base, size_t len) {
    int* clear;
    zx_handle_t handle = leave(&clear);
    (void)zx_vmar_unmap_handle_close_thread_exit(zx_vmar_root_self(), (uintptr_t)base, len, handle);
    zx_thread_exit();
    __builtin_trap();
}

long sys_exit_group(int code) {
    if (vfork_is_child != nullptr && vfork_is_child()) {
        vfork_end(spawn_status_exited(code));
    }
    zx_process_exit(code & 0xff);
    __builtin_trap();
}

long sys_set_tid_address(int* word) {
    struct thread_record* record = thread_block_self()->record;
    record->clear_at_exit = word;
    return record->tid;
}

long sys_gettid(void) {
    return thread_block_self()->record->tid;
}

// The list of robust mutexes is gone through by musl when a thread ends; when a process ends,
// nobody is left to hear of it.
long sys_set_robust_list(void*, size_t) {
    return 0;
}

long sys_get_robust_list(int, void** head, size_t* len) {
    *head = nullptr;
    *len = 3 * sizeof(long);
    return 0;
}
