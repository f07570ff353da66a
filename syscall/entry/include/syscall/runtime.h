// What the generated wrappers are made of: look-ups with the job policy behind them, and handles
// that a call consumes whatever becomes of it.
//
// The fast path is inline and has no branch but the look-up's own result; everything about failures
// is cold and out of line (runtime.c).
#pragma once

#include <zircon/syscalls/types.h>
#include <zircon/types.h>

#include <arch/user_copy.h>
#include <lib/compiler.h>
#include <lib/status.h>
#include <object/handle.h>
#include <object/object.h>
#include <object/policy.h>
#include <syscall/out_handle.h>

#define SYSCALL_TYPE(name) ((uint64_t)1 << ZX_OBJ_TYPE_##name)
#define SYSCALL_ANY_TYPE   UINT64_MAX
#define SYSCALL_ANY_BASE   UINT64_MAX
static_assert(ZX_OBJ_TYPE_UPPER_BOUND == 64);

// A look-up failed: the policies on bad handles and wrong types have their say. Returns `status`.
COLD status_t syscall_lookup_failed(status_t status);

ALWAYS_INLINE status_t syscall_handle_get(zx_handle_t value, zx_obj_type_t type, zx_rights_t need,
                                          struct object** out) {
    status_t status = handle_get(handle_table_current(), value, type, need, out);
    return likely(status == STATUS_OK) ? status : syscall_lookup_failed(status);
}

ALWAYS_INLINE status_t syscall_handle_get_rights(zx_handle_t value, zx_obj_type_t type,
                                                 zx_rights_t need, struct object** out,
                                                 zx_rights_t* rights) {
    status_t status = handle_get_rights(handle_table_current(), value, type, need, out, rights);
    return likely(status == STATUS_OK) ? status : syscall_lookup_failed(status);
}

ALWAYS_INLINE status_t syscall_handle_get_identity(zx_handle_t value, zx_obj_type_t type,
                                                   zx_rights_t need, struct object** out,
                                                   const void** identity) {
    status_t status = handle_get_identity(handle_table_current(), value, type, need, out, identity);
    return likely(status == STATUS_OK) ? status : syscall_lookup_failed(status);
}

// One of several types (SYSCALL_TYPE bits). `quiet`: a bad handle is no matter for the policy.
// `rights` may be null.
status_t syscall_handle_get_of(zx_handle_t value, uint64_t types, zx_rights_t need, bool quiet,
                               struct object** out, zx_rights_t* rights);

// SYSCALL_ANY_BASE leaves kind and range to the implementation.
status_t syscall_resource_get(zx_handle_t value, uint32_t kind, uint64_t base, struct object** out);

// ---- handles that the call consumes ----

// A handle that the call consumes, closed at the end of the scope unless it was set to
// ZX_HANDLE_INVALID.
void syscall_given_close(zx_handle_t value);
static inline void syscall_given_cleanup(zx_handle_t* value) {
    if (unlikely(*value != ZX_HANDLE_INVALID)) {
        syscall_given_close(*value);
    }
}
#define SYSCALL_GIVEN CLEANUP(syscall_given_cleanup) zx_handle_t

// Takes the handle out of the table, into `out`, which the caller discards. `optional`:
// ZX_HANDLE_INVALID leaves it empty.
status_t syscall_take(zx_handle_t value, bool optional, struct handle* out);
// Type and rights of what was taken; an empty one passes.
status_t syscall_taken_check(const struct handle* taken, uint64_t types, zx_rights_t need);

// Handles named in user memory, closed at the end of the scope unless `count` has become 0.
struct syscall_consumed {
    const zx_handle_t __user* handles;
    zx_handle_disposition_t __user* dispositions; // those to be moved
    size_t count;
};
// Also for implementations, whose own failures must close what they were given.
void syscall_consume(struct syscall_consumed* consumed);
static inline void syscall_consumed_cleanup(struct syscall_consumed* consumed) {
    if (unlikely(consumed->count != 0)) {
        syscall_consume(consumed);
    }
}
#define SYSCALL_CONSUMED CLEANUP(syscall_consumed_cleanup) struct syscall_consumed
