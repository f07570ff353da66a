// The handle table: see <object/handle.h> for what it guarantees.
//
// The layout and the look-up protocol, whose steps (1) to (5) and (a) to (d) are named below, are
// in <object/handle_lookup.h>.
//
// Locks: HANDLE_TABLE guards the free FIFO, the growth of the directory and every change of an
// entry.

#include <object/handle.h>

#include <lib/align.h>
#include <lib/bits.h>
#include <object/handle_lookup.h>
#include <object/handle_table.h>
#include <vm/heap.h>

constexpr uint32_t VALUE_MASK = (1u << 30) - 1;
constexpr uint32_t DIRECTORY_MAX = HANDLE_TABLE_MAX / HANDLE_CHUNK_ENTRIES;
constexpr uint32_t DIRECTORY_FIRST = 4;
// A freed entry waits behind this many others before it is used again.
constexpr uint32_t FIFO_DEPTH = 4096;
constexpr uint32_t NO_ENTRY = UINT32_MAX;
static_assert(HANDLE_TABLE_MAX == 1u << HANDLE_INDEX_BITS);
static_assert(ZX_HANDLE_FIXED_BITS_MASK == 3);

SLAB_CACHE(table_cache, struct handle_table);
SLAB_CACHE_SIZED(chunk_cache, "handle_chunk", HANDLE_CHUNK_ENTRIES * sizeof(struct handle_entry),
                 64);

struct handle_table* handle_table_create(uint32_t secret) {
    struct handle_table* t = slab_alloc(&table_cache);
    if (t == nullptr) {
        return nullptr;
    }
    *t = (struct handle_table){
        .secret = secret & VALUE_MASK, .fifo_head = NO_ENTRY, .fifo_tail = NO_ENTRY};
    spinlock_init(&t->lock, LOCK_CLASS_HANDLE_TABLE);
    return t;
}

static uint32_t value_of(const struct handle_table* t, uint32_t index, uint32_t generation) {
    return ((((generation << HANDLE_INDEX_BITS) | index) & VALUE_MASK) ^ t->secret) << 2 |
           ZX_HANDLE_FIXED_BITS_MASK;
}

// The value that the same entry answers to next.
static uint32_t value_after(const struct handle_table* t, zx_handle_t value) {
    uint32_t next = (((value >> 2) ^ t->secret) + (1u << HANDLE_INDEX_BITS)) & VALUE_MASK;
    return (next ^ t->secret) << 2 | ZX_HANDLE_FIXED_BITS_MASK;
}

// ---- look-up ----

COLD void handle_lookup_raced(struct object* o) {
    object_unref(o);
}

// Why a look-up fails; OK: it would not. Preemption off.
static status_t entry_check(const struct handle_entry* e, zx_handle_t value, zx_obj_type_t type,
                            zx_rights_t need) {
    if (e == nullptr || atomic_load_explicit(&e->value, memory_order_acquire) != value) {
        return STATUS_BAD_HANDLE;
    }
    const struct object* o = atomic_load_explicit(&e->object, memory_order_acquire);
    if (o == nullptr) {
        return STATUS_BAD_HANDLE;
    }
    zx_rights_t rights = atomic_load_explicit(&e->rights, memory_order_relaxed);
    if (type != OBJECT_ANY && o->ops->type != type) {
        return STATUS_WRONG_TYPE;
    }
    return (rights & need) == need ? STATUS_OK : STATUS_ACCESS_DENIED;
}

status_t handle_lookup_status(struct handle_table* t, zx_handle_t value, zx_obj_type_t type,
                              zx_rights_t need) {
    preempt_disable();
    struct handle_entry* e = handle_entry_at(t, handle_index(t, value));
    status_t status = entry_check(e, value, type, need);
    // An entry that was changed meanwhile was released when it was looked at, or later.
    bool same = e != nullptr && atomic_load_explicit(&e->value, memory_order_acquire) == value;
    preempt_enable();
    // What fits now came after the look-up that failed: it was not there then.
    return same && status != STATUS_OK ? status : STATUS_BAD_HANDLE;
}

ALWAYS_INLINE status_t table_get(struct handle_table* t, zx_handle_t value, zx_obj_type_t type,
                                 zx_rights_t need, struct object** out, zx_rights_t* rights,
                                 const void** identity) {
    struct object* o = handle_lookup(t, value, type, need, rights, identity);
    if (unlikely(o == nullptr)) {
        return handle_lookup_status(t, value, type, need);
    }
    *out = o;
    return STATUS_OK;
}

status_t handle_get(struct handle_table* t, zx_handle_t value, zx_obj_type_t type, zx_rights_t need,
                    struct object** out) {
    zx_rights_t rights;
    const void* identity;
    return table_get(t, value, type, need, out, &rights, &identity);
}

status_t handle_get_rights(struct handle_table* t, zx_handle_t value, zx_obj_type_t type,
                           zx_rights_t need, struct object** out, zx_rights_t* rights) {
    const void* identity;
    return table_get(t, value, type, need, out, rights, &identity);
}

status_t handle_get_identity(struct handle_table* t, zx_handle_t value, zx_obj_type_t type,
                             zx_rights_t need, struct object** out, const void** identity) {
    zx_rights_t rights;
    return table_get(t, value, type, need, out, &rights, identity);
}

static inline bool entry_answers(const struct handle_entry* e, zx_handle_t value) {
    return atomic_load_explicit(&e->value, memory_order_acquire) == value &&
           atomic_load_explicit(&e->object, memory_order_acquire) != nullptr;
}

bool handle_identity_current(const void* identity, zx_handle_t value) {
    atomic_thread_fence(memory_order_seq_cst); // see cancel_observers()
    return entry_answers(identity, value);
}

bool handle_valid(struct handle_table* t, zx_handle_t value) {
    preempt_disable();
    struct handle_entry* e = handle_entry_at(t, handle_index(t, value));
    bool valid = e != nullptr && entry_answers(e, value);
    preempt_enable();
    return valid;
}

// ---- growth ----

static void free_directory(struct epoch_item* item) {
    heap_free(container_of(item, struct handle_directory, epoch));
}

// Makes room for chunk number `chunk`. Called without the lock; a concurrent grower may win, then
// ours is thrown away.
static bool grow_directory(struct handle_table* t, uint32_t chunk) {
    uint32_t capacity = DIRECTORY_FIRST;
    while (capacity <= chunk) {
        capacity *= 8;
    }
    capacity = min(capacity, DIRECTORY_MAX);
    struct handle_directory* fresh =
        heap_alloc_zero(sizeof(*fresh) + capacity * sizeof(fresh->chunks[0]));
    if (fresh == nullptr) {
        return false;
    }
    fresh->capacity = capacity;
    spin_acquire(&t->lock);
    struct handle_directory* old = atomic_load_explicit(&t->directory, memory_order_relaxed);
    struct handle_directory* loser = old;
    if (old != nullptr && old->capacity >= capacity) {
        loser = fresh;
    } else {
        for (uint32_t i = 0; old != nullptr && i < old->capacity; i++) {
            fresh->chunks[i] = old->chunks[i];
        }
        atomic_store_explicit(&t->directory, fresh, memory_order_release);
    }
    spin_release(&t->lock);
    if (loser == fresh) {
        heap_free(fresh);
    } else if (loser != nullptr) {
        epoch_defer(&loser->epoch, free_directory);
    }
    return true;
}

// Adds chunk number `chunk`, unless somebody else has meanwhile, or has used up all that was there:
// then it may lie beyond the directory, and whoever asks again is told so. Called without the lock.
static bool grow_chunk(struct handle_table* t, uint32_t chunk) {
    struct handle_entry* entries = slab_alloc(&chunk_cache);
    if (entries == nullptr) {
        return false;
    }
    spin_acquire(&t->lock);
    struct handle_directory* d = atomic_load_explicit(&t->directory, memory_order_relaxed);
    if (chunk < d->capacity && d->chunks[chunk] == nullptr) {
        d->chunks[chunk] = entries;
        entries = nullptr;
    }
    spin_release(&t->lock);
    if (entries != nullptr) {
        slab_free(&chunk_cache, entries);
    }
    return true;
}

// ---- insertion ----

enum reserve_step { RESERVED, NEED_DIRECTORY, NEED_CHUNK, FULL };

// The next entry that was never used.
static enum reserve_step reserve_fresh_locked(struct handle_table* t, struct handle_slot* out)
    TA_REQ(t->lock) {
    uint32_t fresh = atomic_load_explicit(&t->fresh, memory_order_relaxed);
    struct handle_directory* d = atomic_load_explicit(&t->directory, memory_order_relaxed);
    uint32_t chunk = fresh / HANDLE_CHUNK_ENTRIES;
    if (d == nullptr || chunk >= d->capacity) {
        return NEED_DIRECTORY;
    }
    if (d->chunks[chunk] == nullptr) {
        return NEED_CHUNK;
    }
    struct handle_entry* e = &d->chunks[chunk][fresh % HANDLE_CHUNK_ENTRIES];
    *out = (struct handle_slot){.value = value_of(t, fresh, 0), .index = fresh};
    atomic_store_explicit(&e->object, nullptr, memory_order_relaxed);
    atomic_store_explicit(&e->value, out->value, memory_order_relaxed);
    atomic_store_explicit(&t->fresh, fresh + 1, memory_order_release);
    return RESERVED;
}

ALWAYS_INLINE enum reserve_step reserve_locked(struct handle_table* t, struct handle_slot* out)
    TA_REQ(t->lock) {
    bool full = atomic_load_explicit(&t->fresh, memory_order_relaxed) == HANDLE_TABLE_MAX;
    if (t->fifo_count > FIFO_DEPTH || unlikely(full)) {
        if (t->fifo_count == 0) {
            return FULL;
        }
        struct handle_entry* e = handle_entry_known(t, t->fifo_head);
        out->value = atomic_load_explicit(&e->value, memory_order_relaxed);
        out->index = t->fifo_head;
        t->fifo_head = atomic_load_explicit(&e->next_free, memory_order_relaxed);
        t->fifo_count--;
        return RESERVED;
    }
    return reserve_fresh_locked(t, out);
}

static NOINLINE status_t reserve_growing(struct handle_table* t, struct handle_slot* out,
                                         enum reserve_step step) {
    while (step != RESERVED) {
        uint32_t chunk =
            atomic_load_explicit(&t->fresh, memory_order_relaxed) / HANDLE_CHUNK_ENTRIES;
        if (step == FULL || (step == NEED_DIRECTORY && !grow_directory(t, chunk)) ||
            (step == NEED_CHUNK && !grow_chunk(t, chunk))) {
            return STATUS_NO_MEMORY;
        }
        spin_acquire(&t->lock);
        step = reserve_locked(t, out);
        spin_release(&t->lock);
    }
    return STATUS_OK;
}

status_t handle_reserve(struct handle_table* t, struct handle_slot* out) {
    spin_acquire(&t->lock);
    enum reserve_step step = reserve_locked(t, out);
    spin_release(&t->lock);
    return likely(step == RESERVED) ? STATUS_OK : reserve_growing(t, out, step);
}

void handle_publish(struct handle_table* t, struct handle_slot* slot, struct handle* h) {
    preempt_disable();
    struct handle_entry* e = handle_entry_known(t, slot->index);
    preempt_enable();
    atomic_store_explicit(&e->rights, h->rights, memory_order_release); // (d)
    atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
    atomic_store_explicit(&e->object, h->object, memory_order_release);
    h->object = nullptr;
}

static void release_locked(struct handle_table* t, struct handle_entry* e, uint32_t index)
    TA_REQ(t->lock) {
    zx_handle_t value = atomic_load_explicit(&e->value, memory_order_relaxed);
    atomic_store_explicit(&e->object, nullptr, memory_order_relaxed);              // (a)
    atomic_store_explicit(&e->value, value_after(t, value), memory_order_release); // (b)
    atomic_store_explicit(&e->next_free, NO_ENTRY, memory_order_release);          // (c)
    uint32_t count = t->fifo_count;
    if (unlikely(count == 0)) {
        t->fifo_head = index;
    } else {
        struct handle_entry* last = handle_entry_known(t, t->fifo_tail);
        atomic_store_explicit(&last->next_free, index, memory_order_relaxed);
    }
    t->fifo_tail = index;
    t->fifo_count = count + 1;
}

void handle_unreserve(struct handle_table* t, struct handle_slot* slot) {
    spin_acquire(&t->lock);
    release_locked(t, handle_entry_known(t, slot->index), slot->index);
    spin_release(&t->lock);
}

// ---- removal ----

// Tells the observers that were made through this entry that it is gone.
static NOINLINE void cancel_observers_slow(struct object* o, const struct handle_entry* e) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(o));
    object_cancel_observers(o, e, &wl);
    spin_release(object_lock(o));
    wake_list_flush(&wl);
}

ALWAYS_INLINE void cancel_observers(struct object* o, const struct handle_entry* e) {
    // Against handle_identity_current(): clear the entry, fence, look at the list here; link the
    // observer, fence, look at the entry there. One of the two sees the other.
    atomic_thread_fence(memory_order_seq_cst);
    if (unlikely(!list_empty(&o->observers)) && o->ops->waitable) {
        cancel_observers_slow(o, e);
    }
}

static inline struct handle take_locked(struct handle_table* t, struct handle_entry* e,
                                        uint32_t index) TA_REQ(t->lock) {
    struct handle h = {.object = atomic_load_explicit(&e->object, memory_order_relaxed),
                       .rights = atomic_load_explicit(&e->rights, memory_order_relaxed)};
    if (h.object != nullptr) {
        release_locked(t, e, index);
        atomic_fetch_sub_explicit(&t->count, 1, memory_order_relaxed);
    }
    return h;
}

ALWAYS_INLINE status_t remove_entry(struct handle_table* t, zx_handle_t value, struct handle* out) {
    uint32_t index = handle_index(t, value);
    struct handle h = {};
    spin_acquire(&t->lock);
    struct handle_entry* e = handle_entry_at(t, index);
    if (likely(e != nullptr && atomic_load_explicit(&e->value, memory_order_relaxed) == value)) {
        h = take_locked(t, e, index);
    }
    spin_release(&t->lock);
    if (unlikely(h.object == nullptr)) {
        return STATUS_BAD_HANDLE;
    }
    cancel_observers(h.object, e);
    *out = h;
    return STATUS_OK;
}

status_t handle_remove(struct handle_table* t, zx_handle_t value, struct handle* out) {
    return remove_entry(t, value, out);
}

status_t handle_close(struct handle_table* t, zx_handle_t value) {
    if (value == ZX_HANDLE_INVALID) {
        return STATUS_OK;
    }
    struct handle h;
    TRY(remove_entry(t, value, &h));
    object_handle_removed(h.object);
    object_unref(h.object);
    return STATUS_OK;
}

// ---- handles outside a table ----

void handle_discard(struct handle* h) {
    struct object* o = object_move(&h->object);
    object_handle_removed(o);
    object_unref(o);
}

// ---- whole table ----

uint32_t handle_table_count(const struct handle_table* t) {
    return atomic_load_explicit(&t->count, memory_order_relaxed);
}

bool handle_table_next(struct handle_table* t, uint32_t* cursor, struct handle_info* out) {
    for (;;) {
        preempt_disable();
        struct handle_entry* e = handle_entry_at(t, *cursor);
        if (e == nullptr) {
            preempt_enable();
            return false;
        }
        (*cursor)++;
        zx_handle_t value = atomic_load_explicit(&e->value, memory_order_acquire);
        preempt_enable();
        zx_rights_t rights;
        const void* identity;
        struct object* o = handle_lookup(t, value, OBJECT_ANY, 0, &rights, &identity);
        if (o != nullptr) {
            *out = (struct handle_info){.object = o, .value = value, .rights = rights};
            return true;
        }
    }
}

void handle_table_close_all(struct handle_table* t) {
    uint32_t fresh = atomic_load_explicit(&t->fresh, memory_order_acquire);
    for (uint32_t i = 0; i < fresh; i++) {
        preempt_disable();
        struct handle_entry* e = handle_entry_at(t, i);
        preempt_enable();
        if (atomic_load_explicit(&e->object, memory_order_relaxed) == nullptr) {
            continue;
        }
        spin_acquire(&t->lock);
        struct handle h = take_locked(t, e, i);
        spin_release(&t->lock);
        if (h.object != nullptr) {
            cancel_observers(h.object, e);
            handle_discard(&h);
        }
    }
}

static void free_table(struct epoch_item* item) {
    struct handle_table* t = container_of(item, struct handle_table, epoch);
    struct handle_directory* d = atomic_load_explicit(&t->directory, memory_order_relaxed);
    for (uint32_t i = 0; d != nullptr && i < d->capacity && d->chunks[i] != nullptr; i++) {
        slab_free(&chunk_cache, d->chunks[i]);
    }
    heap_free(d);
    slab_free(&table_cache, t);
}

void handle_table_destroy(struct handle_table* t) {
    DEBUG_ASSERT(handle_table_count(t) == 0);
    epoch_defer(&t->epoch, free_table);
}
