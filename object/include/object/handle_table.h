// The handle table as a whole: life, iteration. What look-ups and insertions need is in
// <object/handle.h>.
#pragma once

#include <stdatomic.h>

#include <locking/spinlock.h>
#include <object/handle.h>
#include <sched/deferred.h>

constexpr uint32_t HANDLE_TABLE_MAX = 1u << 20; // handles per table; the next one is NO_MEMORY

struct handle_directory;

struct handle_table {
    _Atomic(struct handle_directory*) directory; // replaced under lock, read lock-free
    _Atomic(uint32_t) fresh;                     // entries ever handed out; grows under lock
    uint32_t secret;                             // immutable
    spinlock_t lock;
    uint32_t fifo_head, fifo_tail, fifo_count; // freed entries, oldest first; under lock
    _Atomic(uint32_t) count;                   // live handles
    struct epoch_item epoch;
};

// `secret` is random: it decides which values the table's handles have. Null: no memory.
[[nodiscard]] struct handle_table* handle_table_create(uint32_t secret);
// Closes every handle. The caller guarantees that nobody inserts any more.
void handle_table_close_all(struct handle_table* t);
// Frees an empty table that nobody else uses, after an epoch.
void handle_table_destroy(struct handle_table* t);

uint32_t handle_table_count(const struct handle_table* t);

struct handle_info {
    struct object* object; // a reference for the caller
    zx_handle_t value;
    zx_rights_t rights;
};
// Iterates from *cursor = 0; not a snapshot: what is opened or closed meanwhile may or may not
// appear. False at the end.
[[nodiscard]] bool handle_table_next(struct handle_table* t, uint32_t* cursor,
                                     struct handle_info* out);
