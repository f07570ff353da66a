// zx_object_get_property and zx_object_set_property. The wrapper has checked that the property
// exists for the type, and the right.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/object.h>

#include <object/exception.h>
#include <object/job.h>
#include <object/process.h>
#include <object/socket.h>
#include <object/stream.h>
#include <object/thread_object.h>
#include <object/vmo_object.h>
#include <vm/aspace.h>
#include <vm/vmo.h>

#include "impl_priv.h"

// ---- names ----

static status_t get_name(struct object* o, char out[ZX_MAX_NAME_LEN]) {
    switch (o->ops->type) {
    case ZX_OBJ_TYPE_PROCESS:
        process_get_name(process_from_object(o), out);
        return STATUS_OK;
    case ZX_OBJ_TYPE_THREAD:
        thread_object_get_name(thread_from_object(o), out);
        return STATUS_OK;
    case ZX_OBJ_TYPE_JOB:
        job_get_name(job_from_object(o), out);
        return STATUS_OK;
    case ZX_OBJ_TYPE_VMO:
        vmo_get_name(vmo_from_object(o), out);
        return STATUS_OK;
    default:
        return STATUS_WRONG_TYPE;
    }
}

static status_t set_name(struct object* o, const char* name, size_t len) {
    switch (o->ops->type) {
    case ZX_OBJ_TYPE_PROCESS:
        process_set_name(process_from_object(o), name, len);
        return STATUS_OK;
    case ZX_OBJ_TYPE_THREAD:
        thread_object_set_name(thread_from_object(o), name, len);
        return STATUS_OK;
    case ZX_OBJ_TYPE_JOB:
        job_set_name(job_from_object(o), name, len);
        return STATUS_OK;
    case ZX_OBJ_TYPE_VMO:
        vmo_set_name(vmo_from_object(o), name, len);
        return STATUS_OK;
    default:
        return STATUS_WRONG_TYPE;
    }
}

// ---- the others: one machine word each ----

// A thread's own: another's are among its general registers.
static status_t get_thread_base(struct object* o, uint32_t property, uint64_t* out) {
    if (thread_from_object(o) != thread_object_current()) {
        return STATUS_ACCESS_DENIED;
    }
    struct thread* self = thread_current();
    *out = property == ZX_PROP_REGISTER_FS ? arch_thread_fs_base(self) : arch_thread_gs_base(self);
    return STATUS_OK;
}

static status_t get_word(struct object* o, uint32_t property, uint64_t* out) {
    switch (property) {
    case ZX_PROP_PROCESS_DEBUG_ADDR:
        *out = process_debug_addr(process_from_object(o));
        return STATUS_OK;
    case ZX_PROP_PROCESS_BREAK_ON_LOAD:
        *out = process_break_on_load(process_from_object(o));
        return STATUS_OK;
    case ZX_PROP_PROCESS_VDSO_BASE_ADDRESS:
        *out = atomic_load(&process_aspace(process_from_object(o))->vdso_base);
        return STATUS_OK;
    case ZX_PROP_PROCESS_HW_TRACE_CONTEXT_ID:
        return STATUS_NOT_SUPPORTED; // would reveal where the page tables lie
    case ZX_PROP_VMO_CONTENT_SIZE:
        *out = vmo_stream_size(vmo_from_object(o));
        return STATUS_OK;
    case ZX_PROP_SOCKET_RX_THRESHOLD:
        *out = socket_read_threshold(socket_from_object(o));
        return STATUS_OK;
    case ZX_PROP_SOCKET_TX_THRESHOLD:
        *out = socket_write_threshold(socket_from_object(o));
        return STATUS_OK;
    case ZX_PROP_EXCEPTION_STATE:
        *out = exception_state(exception_from_object(o));
        return STATUS_OK;
    case ZX_PROP_EXCEPTION_STRATEGY:
        *out = exception_strategy(exception_from_object(o));
        return STATUS_OK;
    case ZX_PROP_REGISTER_FS:
    case ZX_PROP_REGISTER_GS:
        return get_thread_base(o, property, out);
    case ZX_PROP_STREAM_MODE_APPEND:
        *out = stream_append_mode(stream_from_object(o));
        return STATUS_OK;
    default:
        return STATUS_NOT_SUPPORTED;
    }
}

static status_t set_thread_base(struct object* o, uint32_t property, uint64_t value) {
    if (thread_from_object(o) != thread_object_current()) {
        return STATUS_ACCESS_DENIED;
    }
    struct thread* self = thread_current();
    bool valid = property == ZX_PROP_REGISTER_FS ? arch_thread_set_fs_base(self, value)
                                                 : arch_thread_set_gs_base(self, value);
    return valid ? STATUS_OK : STATUS_INVALID_ARGS;
}

static status_t set_debug_addr(struct process* p, uint64_t value) {
    if (value == 0) {
        return STATUS_INVALID_ARGS;
    }
    process_set_debug_addr(p, value, false);
    return STATUS_OK;
}

static status_t set_word(struct object* o, uint32_t property, uint64_t value) {
    switch (property) {
    case ZX_PROP_REGISTER_FS:
    case ZX_PROP_REGISTER_GS:
        return set_thread_base(o, property, value);
    case ZX_PROP_EXCEPTION_STATE:
        return exception_set_state(exception_from_object(o), (uint32_t)value);
    case ZX_PROP_EXCEPTION_STRATEGY:
        return exception_set_strategy(exception_from_object(o), (uint32_t)value);
    case ZX_PROP_PROCESS_DEBUG_ADDR:
        return set_debug_addr(process_from_object(o), value);
    case ZX_PROP_PROCESS_BREAK_ON_LOAD:
        process_set_debug_addr(process_from_object(o), value, true);
        return STATUS_OK;
    case ZX_PROP_JOB_KILL_ON_OOM:
        if (value > 1) {
            return STATUS_INVALID_ARGS;
        }
        job_set_kill_on_oom(job_from_object(o), value == 1);
        return STATUS_OK;
    case ZX_PROP_VMO_CONTENT_SIZE:
        return vmo_set_stream_size(vmo_from_object(o), value);
    case ZX_PROP_SOCKET_RX_THRESHOLD:
        return socket_set_read_threshold(socket_from_object(o), value);
    case ZX_PROP_SOCKET_TX_THRESHOLD:
        return socket_set_write_threshold(socket_from_object(o), value);
    case ZX_PROP_STREAM_MODE_APPEND:
        if (value > 1) {
            return STATUS_INVALID_ARGS;
        }
        stream_set_append_mode(stream_from_object(o), value == 1);
        return STATUS_OK;
    default:
        return STATUS_NOT_SUPPORTED;
    }
}

// Bytes of a property other than the name.
static size_t property_size(uint32_t property) {
    switch (property) {
    case ZX_PROP_STREAM_MODE_APPEND:
        return sizeof(uint8_t);
    case ZX_PROP_EXCEPTION_STATE:
    case ZX_PROP_EXCEPTION_STRATEGY:
        return sizeof(uint32_t);
    default:
        return sizeof(uint64_t);
    }
}

status_t sys_object_get_property(struct object* o, uint32_t property, void __user* value,
                                 size_t value_size) {
    if (property == ZX_PROP_NAME) {
        char name[ZX_MAX_NAME_LEN];
        if (value_size < sizeof(name)) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        TRY(get_name(o, name));
        return arch_copy_to_user(value, name, sizeof(name)) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
    }
    size_t size = property_size(property);
    if (value_size < size) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    uint64_t word;
    TRY(get_word(o, property, &word));
    return arch_copy_to_user(value, &word, size) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

status_t sys_object_set_property(struct object* o, uint32_t property, const void __user* value,
                                 size_t value_size) {
    if (property == ZX_PROP_NAME) {
        char name[ZX_MAX_NAME_LEN];
        TRY(copy_name(name, value, value_size));
        return set_name(o, name, min(value_size, sizeof(name) - 1));
    }
    size_t size = property_size(property);
    if (value_size < size) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    uint64_t word = 0;
    if (arch_copy_from_user(&word, value, size) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return set_word(o, property, word);
}
