// Handles and the handle table of a process.
//
// Value = 2 fixed low bits | index | generation, mixed with a per-table secret. Two-level table
// whose chunks never move; a freed slot is reused only after at least 4,096 others (FIFO), and its
// generation changes, so a stale value does not resolve before millions of closes and a foreign
// value never does. Look-up is lock-free: preemption off, load the entry, take a reference if not
// zero, check the entry again; objects and chunks are freed through an epoch.
//
// Check order everywhere: BAD_HANDLE, then WRONG_TYPE, then ACCESS_DENIED.
#pragma once

#include <zircon/types.h>

#include <lib/compiler.h>
#include <lib/status.h>
#include <object/object.h>

struct handle_table;

// A capability outside any table: in a message, or on its way in or out. Holds one reference and
// one handle count.
struct handle {
    struct object* object; // null: empty
    zx_rights_t rights;
};
void handle_discard(struct handle* h); // drops both counts; h becomes empty
static inline void handle_cleanup(struct handle* h) {
    if (h->object != nullptr) {
        handle_discard(h);
    }
}
#define HANDLE CLEANUP(handle_cleanup) struct handle
// Takes over the caller's reference and adds the handle count.
static inline struct handle handle_make(struct object* o_ref, zx_rights_t rights) {
    object_handle_added(o_ref);
    return (struct handle){.object = o_ref, .rights = rights};
}

static inline struct handle_table* handle_table_current(void) {
    return thread_current()->handles;
}

// ---- look-up (a reference for the caller) ----
constexpr zx_obj_type_t OBJECT_ANY = 0;
status_t handle_get(struct handle_table* t, zx_handle_t value, zx_obj_type_t type, zx_rights_t need,
                    struct object** out);
// Also the handle's actual rights.
status_t handle_get_rights(struct handle_table* t, zx_handle_t value, zx_obj_type_t type,
                           zx_rights_t need, struct object** out, zx_rights_t* rights);
// Also an identity of the entry that observers keep (for CANCELED on close); valid while compared
// under the object's lock.
status_t handle_get_identity(struct handle_table* t, zx_handle_t value, zx_obj_type_t type,
                             zx_rights_t need, struct object** out, const void** identity);
// Whether that entry still answers to `value`. A waiter asks after linking its observer, under the
// object's lock: a close clears the entry before it looks for observers to cancel, so either this
// sees the close or the close sees the observer.
bool handle_identity_current(const void* identity, zx_handle_t value);
// Why a look-up failed. The entry may have changed since: never OK.
status_t handle_lookup_status(struct handle_table* t, zx_handle_t value, zx_obj_type_t type,
                              zx_rights_t need);
bool handle_valid(struct handle_table* t, zx_handle_t value);

// ---- removal ----
// Takes the handle out of the table; its observers are cancelled (HANDLE_CLOSED).
status_t handle_remove(struct handle_table* t, zx_handle_t value, struct handle* out);
status_t handle_close(struct handle_table* t, zx_handle_t value); // ZX_HANDLE_INVALID is OK

// ---- insertion in two steps, so that nothing is published before the value reached user memory
// ----
struct handle_slot {
    zx_handle_t value;
    uint32_t index;
};
status_t handle_reserve(struct handle_table* t, struct handle_slot* out); // NO_MEMORY
void handle_publish(struct handle_table* t, struct handle_slot* slot,
                    struct handle* h); // cannot fail; h becomes empty
void handle_unreserve(struct handle_table* t, struct handle_slot* slot);
