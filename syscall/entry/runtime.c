// The out-of-line half of the wrappers: failures, look-ups by several types, consumed handles, new
// handles.
#include <syscall/runtime.h>

#include <zircon/syscalls/policy.h>

#include <object/resource.h>

NOINLINE struct object* syscall_handle_find(zx_handle_t value, zx_obj_type_t type,
                                            zx_rights_t need) {
    return syscall_handle_get(value, type, need);
}
NOINLINE struct object* syscall_handle_find_rights(zx_handle_t value, zx_obj_type_t type,
                                                   zx_rights_t need, zx_rights_t* rights) {
    return syscall_handle_get_rights(value, type, need, rights);
}
NOINLINE struct object* syscall_handle_find_identity(zx_handle_t value, zx_obj_type_t type,
                                                     zx_rights_t need, const void** identity) {
    return syscall_handle_get_identity(value, type, need, identity);
}

status_t syscall_lookup_failed(status_t status) {
    if (status == STATUS_BAD_HANDLE) {
        return policy_bad_handle();
    }
    if (status == STATUS_WRONG_TYPE) {
        // Denied or allowed, the call fails with its own status; a killed process is the exception.
        status_t verdict = policy_check(ZX_POL_WRONG_OBJECT);
        return verdict == STATUS_INTR_KILLED ? verdict : status;
    }
    return status;
}

status_t syscall_handle_failed(zx_handle_t value, zx_obj_type_t type, zx_rights_t need) {
    return syscall_lookup_failed(handle_lookup_status(handle_table_current(), value, type, need));
}

status_t syscall_resource_get(zx_handle_t value, uint32_t kind, uint64_t base,
                              struct object** out) {
    OBJECT_REF object = syscall_handle_get(value, ZX_OBJ_TYPE_RESOURCE, ZX_RIGHT_NONE);
    if (unlikely(object == nullptr)) {
        return syscall_handle_failed(value, ZX_OBJ_TYPE_RESOURCE, ZX_RIGHT_NONE);
    }
    if (base != SYSCALL_ANY_BASE) {
        TRY(resource_check(resource_from_object(object), kind, base, 1));
    }
    *out = object_move(&object);
    return STATUS_OK;
}

status_t syscall_take(zx_handle_t value, bool optional, struct handle* out) {
    if (optional && value == ZX_HANDLE_INVALID) {
        return STATUS_OK;
    }
    status_t status = handle_remove(handle_table_current(), value, out);
    return likely(status == STATUS_OK) ? status : syscall_lookup_failed(status);
}

void syscall_given_close(zx_handle_t value) {
    (void)!handle_close(handle_table_current(), value); // a bad one is not why the call failed
}

status_t syscall_taken_check(const struct handle* taken, uint64_t types, zx_rights_t need) {
    if (taken->object == nullptr) {
        return STATUS_OK;
    }
    if (unlikely(!syscall_type_fits(taken->object, types))) {
        return syscall_lookup_failed(STATUS_WRONG_TYPE);
    }
    return likely((taken->rights & need) == need) ? STATUS_OK : STATUS_ACCESS_DENIED;
}

// One entry of user memory; false when it cannot be read. An entry that is not to be closed is
// ZX_HANDLE_INVALID.
static bool consumed_entry(const zx_handle_t __user* handles,
                           const zx_handle_disposition_t __user* dispositions, size_t index,
                           zx_handle_t* value) {
    if ((uintptr_t)handles != 0) {
        return arch_copy_from_user(value, handles + index, sizeof(*value)) == 0;
    }
    UNINITIALIZED zx_handle_disposition_t disposition;
    if (arch_copy_from_user(&disposition, dispositions + index, sizeof(disposition)) != 0) {
        return false;
    }
    *value = disposition.operation == ZX_HANDLE_OP_MOVE ? disposition.handle : ZX_HANDLE_INVALID;
    return true;
}

void syscall_consume(const zx_handle_t __user* handles,
                     zx_handle_disposition_t __user* dispositions, size_t count) {
    if ((uintptr_t)handles == 0 && (uintptr_t)dispositions == 0) {
        return;
    }
    // The count is the caller's word: a kill must be able to end this.
    for (size_t i = 0; i < count && !thread_killed(); i++) {
        zx_handle_t value = ZX_HANDLE_INVALID;
        if (!consumed_entry(handles, dispositions, i, &value)) {
            return;
        }
        (void)!handle_close(handle_table_current(), value); // bad ones are the failed call's matter
    }
}

status_t user_out_handle_copy(struct user_out_handle* out, zx_handle_t __user* user) {
    zx_handle_t value = ZX_HANDLE_INVALID;
    if (out->handle.object != nullptr) {
        TRY(handle_reserve(handle_table_current(), &out->slot));
        out->reserved = true;
        value = out->slot.value;
    }
    return arch_put_user_u32(user, value) ? STATUS_OK : STATUS_INVALID_ARGS;
}

status_t user_out_handle_give(struct user_out_handle* out, zx_handle_t __user* user) {
    if (unlikely(out->handle.object == nullptr)) {
        return arch_put_user_u32(user, ZX_HANDLE_INVALID) ? STATUS_OK : STATUS_INVALID_ARGS;
    }
    struct handle_table* t = handle_table_current();
    UNINITIALIZED struct handle_slot slot;
    TRY(handle_reserve(t, &slot));
    if (unlikely(!arch_put_user_u32(user, slot.value))) {
        handle_unreserve(t, &slot);
        return STATUS_INVALID_ARGS;
    }
    handle_publish(t, &slot, &out->handle);
    return STATUS_OK;
}

void user_out_handle_abandon(struct user_out_handle* out) {
    if (out->reserved) {
        handle_unreserve(handle_table_current(), &out->slot);
        out->reserved = false;
    }
    if (out->handle.object != nullptr) {
        handle_discard(&out->handle);
    }
}
