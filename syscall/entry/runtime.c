// The out-of-line half of the wrappers: failures, look-ups by several types, consumed handles, new
// handles.
#include <syscall/runtime.h>

#include <zircon/syscalls/policy.h>

#include <object/resource.h>

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

static status_t check(const struct object* object, uint64_t types, zx_rights_t rights,
                      zx_rights_t need) {
    if ((types & (uint64_t)1 << object->ops->type) == 0) {
        return STATUS_WRONG_TYPE;
    }
    return (rights & need) == need ? STATUS_OK : STATUS_ACCESS_DENIED;
}

status_t syscall_handle_get_of(zx_handle_t value, uint64_t types, zx_rights_t need, bool quiet,
                               struct object** out, zx_rights_t* rights) {
    zx_rights_t held = 0;
    OBJECT_REF object = nullptr;
    status_t status =
        handle_get_rights(handle_table_current(), value, OBJECT_ANY, ZX_RIGHT_NONE, &object, &held);
    if (status == STATUS_OK) {
        status = check(object, types, held, need);
    }
    if (unlikely(status != STATUS_OK)) {
        return quiet ? status : syscall_lookup_failed(status);
    }
    if (rights != nullptr) {
        *rights = held;
    }
    *out = object_move(&object);
    return STATUS_OK;
}

status_t syscall_resource_get(zx_handle_t value, uint32_t kind, uint64_t base,
                              struct object** out) {
    OBJECT_REF object = nullptr;
    TRY(syscall_handle_get(value, ZX_OBJ_TYPE_RESOURCE, ZX_RIGHT_NONE, &object));
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
    status_t status = check(taken->object, types, taken->rights, need);
    return likely(status == STATUS_OK) ? status : syscall_lookup_failed(status);
}

// One entry of user memory; false when it cannot be read. An entry that is not to be closed is
// ZX_HANDLE_INVALID.
static bool consumed_entry(const struct syscall_consumed* consumed, size_t index,
                           zx_handle_t* value) {
    if (consumed->handles != nullptr) {
        return arch_copy_from_user(value, consumed->handles + index, sizeof(*value)) == 0;
    }
    UNINITIALIZED zx_handle_disposition_t disposition;
    const zx_handle_disposition_t __user* user = consumed->dispositions + index;
    if (arch_copy_from_user(&disposition, user, sizeof(disposition)) != 0) {
        return false;
    }
    *value = disposition.operation == ZX_HANDLE_OP_MOVE ? disposition.handle : ZX_HANDLE_INVALID;
    return true;
}

void syscall_consume(struct syscall_consumed* consumed) {
    if (consumed->handles == nullptr && consumed->dispositions == nullptr) {
        return;
    }
    // The count is the caller's word: a kill must be able to end this.
    for (size_t i = 0; i < consumed->count && !thread_killed(); i++) {
        zx_handle_t value = ZX_HANDLE_INVALID;
        if (!consumed_entry(consumed, i, &value)) {
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

void user_out_handle_abandon(struct user_out_handle* out) {
    if (out->reserved) {
        handle_unreserve(handle_table_current(), &out->slot);
        out->reserved = false;
    }
    if (out->handle.object != nullptr) {
        handle_discard(&out->handle);
    }
}
