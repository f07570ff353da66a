// Futex calls.
//
// The handle of an owner is looked up here, not by the wrapper: callers take it from the word, and
// between their look at the word and the call the owner may have let go and ended. The word differs
// then, and that is the result (BAD_STATE), not what has become of the handle.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <arch/user_copy.h>
#include <object/futex.h>
#include <object/handle.h>
#include <object/process.h>
#include <object/thread_object.h>

static struct futex** my_spare(void) {
    return thread_object_futex_spare(thread_object_current());
}

// The thread behind an owner's handle: with a reference in *held, or null for ZX_HANDLE_INVALID.
static status_t owner_get(zx_handle_t value, const zx_futex_storage_t __user* word,
                          zx_futex_storage_t expected, struct object** held,
                          struct thread** owner) {
    *owner = nullptr;
    if (value == ZX_HANDLE_INVALID) {
        return STATUS_OK;
    }
    status_t status = handle_get(handle_table_current(), value, ZX_OBJ_TYPE_THREAD, 0, held);
    if (status != STATUS_OK) {
        return futex_word_differs(word, expected) ? STATUS_BAD_STATE
                                                  : syscall_lookup_failed(status);
    }
    struct thread_object* t = thread_from_object(*held);
    if (thread_object_process(t) == process_current()) {
        *owner = thread_object_started(t);
    }
    if (*owner == nullptr) {
        return futex_word_differs(word, expected) ? STATUS_BAD_STATE : STATUS_INVALID_ARGS;
    }
    return STATUS_OK;
}

static NOINLINE status_t wait_with_owner(const zx_futex_storage_t __user* word,
                                         zx_futex_storage_t expected, zx_handle_t new_owner,
                                         zx_time_t deadline) {
    OBJECT_REF held = nullptr;
    struct thread* owner;
    TRY(owner_get(new_owner, word, expected, &held, &owner));
    return futex_wait(my_spare(), word, expected, owner, deadline);
}

status_t sys_futex_wait(const zx_futex_storage_t __user* value_ptr,
                        zx_futex_storage_t current_value, zx_handle_t new_futex_owner,
                        zx_time_t deadline) {
    if (unlikely(new_futex_owner != ZX_HANDLE_INVALID)) {
        return wait_with_owner(value_ptr, current_value, new_futex_owner, deadline);
    }
    return futex_wait(my_spare(), value_ptr, current_value, nullptr, deadline);
}

status_t sys_futex_wake(const zx_futex_storage_t __user* value_ptr, uint32_t wake_count) {
    return futex_wake(value_ptr, wake_count, false);
}

status_t sys_futex_wake_single_owner(const zx_futex_storage_t __user* value_ptr) {
    return futex_wake(value_ptr, 1, true);
}

status_t sys_futex_requeue(const zx_futex_storage_t __user* value_ptr, uint32_t wake_count,
                           zx_futex_storage_t current_value,
                           const zx_futex_storage_t __user* requeue_ptr, uint32_t requeue_count,
                           zx_handle_t new_requeue_owner) {
    OBJECT_REF held = nullptr;
    struct futex_requeue r = {.from = value_ptr,
                              .to = requeue_ptr,
                              .expected = current_value,
                              .wake_count = wake_count,
                              .requeue_count = requeue_count};
    TRY(owner_get(new_requeue_owner, value_ptr, current_value, &held, &r.owner));
    return futex_requeue(my_spare(), &r);
}

status_t sys_futex_requeue_single_owner(const zx_futex_storage_t __user* value_ptr,
                                        zx_futex_storage_t current_value,
                                        const zx_futex_storage_t __user* requeue_ptr,
                                        uint32_t requeue_count, zx_handle_t new_requeue_owner) {
    OBJECT_REF held = nullptr;
    struct futex_requeue r = {.from = value_ptr,
                              .to = requeue_ptr,
                              .expected = current_value,
                              .wake_count = 1,
                              .requeue_count = requeue_count,
                              .hand_over = true};
    TRY(owner_get(new_requeue_owner, value_ptr, current_value, &held, &r.owner));
    return futex_requeue(my_spare(), &r);
}

status_t sys_futex_get_owner(const zx_futex_storage_t __user* value_ptr, zx_koid_t* koid) {
    return futex_owner_koid(value_ptr, koid);
}

void sys_futex_wake_handle_close_thread_exit(const zx_futex_storage_t __user* value_ptr,
                                             uint32_t wake_count, zx_futex_storage_t new_value,
                                             zx_handle_t close_handle) {
    // Nobody is there to be told of a failure: each step is made whatever became of the others.
    if (arch_store_user_u32((uint32_t __user*)value_ptr, (uint32_t)new_value)) {
        (void)!futex_wake(value_ptr, wake_count, false);
    }
    (void)!handle_close(handle_table_current(), close_handle);
    thread_object_exit_by_call();
}
