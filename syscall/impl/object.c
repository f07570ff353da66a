// Signals and waiting.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/exception.h>

#include <object/job.h>
#include <object/port.h>
#include <object/process.h>
#include <object/wait.h>
#include <vm/heap.h>

// ---- signals ----

static status_t check_masks(const struct object* o, uint32_t clear, uint32_t set) {
    zx_signals_t allowed = ZX_USER_SIGNAL_ALL | o->ops->user_settable;
    return ((clear | set) & ~allowed) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

status_t sys_object_signal(struct object* o, uint32_t clear_mask, uint32_t set_mask) {
    TRY(check_masks(o, clear_mask, set_mask));
    object_signal(o, clear_mask, set_mask);
    return STATUS_OK;
}

status_t sys_object_signal_peer(struct object* o, uint32_t clear_mask, uint32_t set_mask) {
    if (o->ops->peer_ref == op_no_peer) {
        return STATUS_NOT_SUPPORTED;
    }
    TRY(check_masks(o, clear_mask, set_mask));
    OBJECT_REF peer = o->ops->peer_ref(o);
    if (peer == nullptr) {
        return STATUS_PEER_CLOSED;
    }
    object_signal(peer, clear_mask, set_mask);
    return STATUS_OK;
}

// ---- waiting ----

status_t sys_object_wait_one(struct object* o, const void* identity, zx_handle_t value,
                             zx_signals_t signals, zx_time_t deadline, zx_signals_t* observed) {
    if (unlikely(!o->ops->waitable)) {
        return STATUS_NOT_SUPPORTED;
    }
    struct wait_target target = {
        .object = o, .identity = identity, .value = value, .signals = signals};
    status_t status = wait_one(&target, deadline);
    *observed = target.observed;
    return status;
}

static status_t find_targets(const zx_wait_item_t* items, struct wait_target* targets, size_t count,
                             size_t* found) {
    for (*found = 0; *found < count; (*found)++) {
        const zx_wait_item_t* item = &items[*found];
        status_t status =
            wait_target_get(handle_table_current(), item->handle, item->waitfor, &targets[*found]);
        if (unlikely(status != STATUS_OK)) {
            return syscall_lookup_failed(status);
        }
    }
    return STATUS_OK;
}

static void store_observed(const struct wait_target* targets, zx_wait_item_t* items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        items[i].pending = targets[i].observed;
    }
}

static status_t wait_many_with(zx_wait_item_t __user* user, size_t count, zx_time_t deadline,
                               zx_wait_item_t* items, struct wait_target* targets) {
    if (arch_copy_from_user(items, user, count * sizeof(items[0])) != 0) {
        return STATUS_INVALID_ARGS;
    }
    size_t found;
    status_t status = find_targets(items, targets, count, &found);
    if (status == STATUS_OK) {
        status = wait_many(targets, count, deadline);
        store_observed(targets, items, count);
    }
    for (size_t i = 0; i < found; i++) {
        object_unref(targets[i].object);
    }
    bool answer = found == count && status != STATUS_INTR_RETRY && status != STATUS_NO_MEMORY;
    if (answer && arch_copy_to_user(user, items, count * sizeof(items[0])) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return status;
}

struct wait_many_block {
    zx_wait_item_t items[WAIT_MANY_MAX];
    struct wait_target targets[WAIT_MANY_MAX];
};
SLAB_CACHE(wait_many_cache, struct wait_many_block);

status_t sys_object_wait_many(zx_wait_item_t __user* items, size_t num_items, zx_time_t deadline) {
    constexpr size_t ON_STACK = 4;
    if (num_items > WAIT_MANY_MAX) {
        return STATUS_OUT_OF_RANGE;
    }
    if (num_items <= ON_STACK) {
        UNINITIALIZED zx_wait_item_t few_items[ON_STACK];
        UNINITIALIZED struct wait_target few_targets[ON_STACK];
        return wait_many_with(items, num_items, deadline, few_items, few_targets);
    }
    struct wait_many_block* block = slab_alloc(&wait_many_cache);
    if (block == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = wait_many_with(items, num_items, deadline, block->items, block->targets);
    slab_free(&wait_many_cache, block);
    return status;
}

status_t sys_object_wait_async(struct object* o, const void* identity, zx_handle_t value,
                               struct port* port, uint64_t key, zx_signals_t signals,
                               uint32_t options) {
    constexpr uint32_t KNOWN =
        ZX_WAIT_ASYNC_TIMESTAMP | ZX_WAIT_ASYNC_EDGE | ZX_WAIT_ASYNC_BOOT_TIMESTAMP;
    constexpr uint32_t BOTH_CLOCKS = ZX_WAIT_ASYNC_TIMESTAMP | ZX_WAIT_ASYNC_BOOT_TIMESTAMP;
    if ((options & ~KNOWN) != 0 || (options & BOTH_CLOCKS) == BOTH_CLOCKS) {
        return STATUS_INVALID_ARGS;
    }
    if (!o->ops->waitable) {
        return STATUS_NOT_SUPPORTED;
    }
    struct wait_target target = {
        .object = o, .identity = identity, .value = value, .signals = signals};
    status_t status = port_wait_async(port, &target, key, options);
    return likely(status != STATUS_NO_RESOURCES)
               ? status
               : policy_exception(ZX_EXCP_POLICY_CODE_PORT_TOO_MANY_OBSERVERS, STATUS_UNAVAILABLE);
}

// ---- children ----

status_t sys_object_get_child(struct object* o, zx_rights_t held, uint64_t koid, zx_rights_t rights,
                              struct user_out_handle* out) {
    if (rights == ZX_RIGHT_SAME_RIGHTS) {
        rights = held;
    } else if ((rights & ~held) != 0) {
        return STATUS_ACCESS_DENIED;
    }
    struct job* job = job_from_object(o);
    struct process* process = process_from_object(o);
    if (job == nullptr && process == nullptr) {
        return STATUS_WRONG_TYPE;
    }
    struct object* child =
        job != nullptr ? job_find_child(job, koid) : process_find_thread(process, koid);
    if (child == nullptr) {
        return STATUS_NOT_FOUND;
    }
    // Rights that the child's type has no use for are dropped, those of the parent's handle cap the
    // rest.
    out->handle = handle_make(child, rights);
    return STATUS_OK;
}
