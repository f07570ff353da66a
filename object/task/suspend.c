// Suspend tokens. See <object/suspend.h>. The token keeps its task; that the last handle goes ends
// the suspension.

#include <object/suspend.h>

#include <object/process.h>
#include <object/thread_object.h>
#include <vm/heap.h>

struct suspend_token {
    struct object base;
    struct object* task; // immutable, with a reference
};

SLAB_CACHE(token_cache, struct suspend_token);

static struct suspend_token* token_of(struct object* o) {
    return container_of(o, struct suspend_token, base);
}

static void token_on_zero_handles(struct object* o) {
    struct object* task = token_of(o)->task;
    struct process* process = process_from_object(task);
    if (process != nullptr) {
        process_resume(process);
    } else {
        thread_object_resume(thread_from_object(task));
    }
}

static void token_destroy(struct object* o) {
    object_unref(token_of(o)->task);
}

static void token_free_memory(struct object* o) {
    slab_free(&token_cache, token_of(o));
}

static zx_koid_t token_related_koid(struct object* o) {
    return token_of(o)->task->koid;
}

static const struct object_ops token_ops = {
    .type = ZX_OBJ_TYPE_SUSPEND_TOKEN,
    .name = "suspend token",
    .default_rights = ZX_DEFAULT_SUSPEND_TOKEN_RIGHTS,
    .waitable = false,
    .on_zero_handles = token_on_zero_handles,
    .destroy = token_destroy,
    .free_memory = token_free_memory,
    .related_koid = token_related_koid,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(token_ops);

static status_t suspend(struct object* task) {
    struct process* process = process_from_object(task);
    if (process != nullptr) {
        return process == process_current() ? STATUS_NOT_SUPPORTED : process_suspend(process);
    }
    struct thread_object* thread = thread_from_object(task);
    return thread == thread_object_current() ? STATUS_NOT_SUPPORTED : thread_object_suspend(thread);
}

status_t suspend_token_create(struct object* task, struct object** out) {
    struct suspend_token* t = slab_alloc(&token_cache);
    if (t == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = suspend(task);
    if (status != STATUS_OK) {
        slab_free(&token_cache, t);
        return status;
    }
    object_init(&t->base, &token_ops, nullptr, 0);
    t->task = object_ref(task);
    *out = &t->base;
    return STATUS_OK;
}
