// Looking a handle up, inline, for the wrappers of the system calls; and the layout of the table,
// which object/core/handle.c keeps.
//
// handle_lookup() is exact but says only yes or no: whoever wants to know why not asks
// handle_get_rights() afterwards, off the fast path.
//
// Layout. An entry is 16 bytes; 256 make a chunk of one page. Chunks hang in a directory that grows
// by replacement (the old one is freed through an epoch), so an entry's address never changes and a
// look-up is two dependent loads.
//
// Value. 30 bits, `generation << 20 | index`, XOR the table's secret, shifted over the two fixed
// bits. An entry stores the value it answers to, so a look-up only compares, fixed bits included.
// The generation advances at each release.
//
// Protocol (lock-free; preemption off keeps the epoch open):
//   look-up                                        release, under the lock
//   (1) load entry.value (acquire); not it: no     (a) object := null
//   (2) load entry.object (acquire); null: no      (b) value := next generation (release)
//   (3) read rights, check type and rights         (c) next_free (release)
//   (4) take a reference unless dead               publish, later
//   (5) fence (acquire), entry.value again:        (d) rights (release), then object (release)
//       changed means (b) came: give it back
// What (2) and (3) read belongs to the generation of (1): a generation's object is null when its
// value appears (a before b), and whatever a later one writes is read together with (b), which (5)
// then sees. A value repeats only after 1,024 generations of thousands of releases each, so (5)
// cannot be fooled inside one window.
#pragma once

#include <stdatomic.h>

#include <object/handle_table.h>

constexpr uint32_t HANDLE_INDEX_BITS = 20;
constexpr uint32_t HANDLE_INDEX_MASK = (1u << HANDLE_INDEX_BITS) - 1;
constexpr uint32_t HANDLE_CHUNK_ENTRIES = 256;

struct handle_entry {
    _Atomic(struct object*) object; // null: free or reserved
    union {
        _Atomic(zx_rights_t) rights; // while object is set
        _Atomic(uint32_t) next_free; // while in the FIFO
    };
    _Atomic(zx_handle_t) value; // what this entry answers to, or will when it is used next
};
static_assert(sizeof(struct handle_entry) == 16);

struct handle_directory {
    struct epoch_item epoch;
    uint32_t capacity;
    struct handle_entry* chunks[];
};

ALWAYS_INLINE uint32_t handle_index(const struct handle_table* t, zx_handle_t value) {
    return ((value >> 2) ^ t->secret) & HANDLE_INDEX_MASK;
}

// An index that was handed out. Preemption off, as the directory may be replaced and freed.
ALWAYS_INLINE struct handle_entry* handle_entry_known(struct handle_table* t, uint32_t index) {
    struct handle_directory* d = atomic_load_explicit(&t->directory, memory_order_acquire);
    struct handle_entry* chunk = d->chunks[index / HANDLE_CHUNK_ENTRIES];
    __builtin_assume(chunk != nullptr);
    return &chunk[index % HANDLE_CHUNK_ENTRIES];
}

// Null when the index was never handed out. Lock-free, preemption off.
ALWAYS_INLINE struct handle_entry* handle_entry_at(struct handle_table* t, uint32_t index) {
    return likely(index < atomic_load_explicit(&t->fresh, memory_order_acquire))
               ? handle_entry_known(t, index)
               : nullptr;
}

// The look-up met a release: preemption is on again, the reference goes back.
COLD void handle_lookup_raced(struct object* o);

// A reference to the object, its actual rights and the entry's identity; null: there is none that
// fits.
[[nodiscard]] ALWAYS_INLINE struct object* handle_lookup(struct handle_table* t, zx_handle_t value,
                                                         zx_obj_type_t type, zx_rights_t need,
                                                         zx_rights_t* rights,
                                                         const void** identity) {
    preempt_disable();
    struct handle_entry* e = handle_entry_at(t, handle_index(t, value));
    if (unlikely(e == nullptr ||
                 atomic_load_explicit(&e->value, memory_order_acquire) != value)) { // (1)
        goto none;
    }
    struct object* o = atomic_load_explicit(&e->object, memory_order_acquire); // (2)
    if (unlikely(o == nullptr)) {
        goto none;
    }
    zx_rights_t held = atomic_load_explicit(&e->rights, memory_order_relaxed); // (3)
    if (unlikely((type != OBJECT_ANY && o->ops->type != type) || (held & need) != need)) {
        goto none;
    }
    if (unlikely(!object_ref_unless_dead(o))) { // (4)
        goto none;
    }
    atomic_thread_fence(memory_order_acquire);
    bool raced = atomic_load_explicit(&e->value, memory_order_relaxed) != value; // (5)
    preempt_enable();
    if (unlikely(raced)) {
        handle_lookup_raced(o);
        return nullptr;
    }
    *rights = held;
    *identity = e;
    return o;
none:
    preempt_enable();
    return nullptr;
}
