// Handle calls.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <object/process.h>

status_t sys_handle_close(zx_handle_t handle) {
    status_t status = handle_close(handle_table_current(), handle);
    return likely(status == STATUS_OK) ? status : syscall_lookup_failed(status);
}

// All valid ones are closed, whatever the others are.
status_t sys_handle_close_many(const zx_handle_t __user* handles, size_t num_handles) {
    status_t result = STATUS_OK;
    constexpr size_t CHUNK = 32;
    UNINITIALIZED zx_handle_t values[CHUNK];
    for (size_t done = 0; done < num_handles; done += CHUNK) {
        size_t n = min(CHUNK, num_handles - done);
        if (arch_copy_from_user(values, handles + done, n * sizeof(values[0])) != 0) {
            return STATUS_INVALID_ARGS;
        }
        for (size_t i = 0; i < n; i++) {
            status_t status = handle_close(handle_table_current(), values[i]);
            result = status == STATUS_OK ? result : status;
        }
        // The count is the caller's word: a kill must be able to end this.
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    }
    return result == STATUS_OK ? result : syscall_lookup_failed(result);
}

static status_t narrow_rights(zx_rights_t held, zx_rights_t asked, zx_rights_t* out) {
    if (asked != ZX_RIGHT_SAME_RIGHTS && (asked & ~held) != 0) {
        return STATUS_INVALID_ARGS;
    }
    *out = asked == ZX_RIGHT_SAME_RIGHTS ? held : asked;
    return STATUS_OK;
}

status_t sys_handle_duplicate(zx_handle_t handle, zx_rights_t rights, struct user_out_handle* out) {
    zx_rights_t held;
    struct object* o = syscall_handle_get_rights(handle, OBJECT_ANY, ZX_RIGHT_DUPLICATE, &held);
    if (unlikely(o == nullptr)) {
        return syscall_handle_failed(handle, OBJECT_ANY, ZX_RIGHT_DUPLICATE);
    }
    zx_rights_t narrowed;
    status_t status = narrow_rights(held, rights, &narrowed);
    if (unlikely(status != STATUS_OK)) {
        object_unref(o);
        return status;
    }
    out->handle = handle_make(o, narrowed);
    return STATUS_OK;
}

// The source has left the table; on failure the wrapper closes it.
status_t sys_handle_replace(struct handle* handle, zx_rights_t rights,
                            struct user_out_handle* out) {
    zx_rights_t narrowed;
    TRY(narrow_rights(handle->rights, rights, &narrowed));
    out->handle = (struct handle){.object = object_move(&handle->object), .rights = narrowed};
    return STATUS_OK;
}

status_t sys_handle_check_valid(zx_handle_t handle) {
    return handle_valid(handle_table_current(), handle) ? STATUS_OK : STATUS_BAD_HANDLE;
}
