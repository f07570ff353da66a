// Streams. See <object/stream.h>.
//
// Two sleeping locks. The stream's own is held by what uses the seek offset, from the look at it
// until it has moved. The content's is shared by all streams over the same pages (struct
// stream_content, found by its page set) and held by a write that may grow the content: so the end
// that an append finds is still the end when it writes, and the gap that a write leaves is cleared
// before anybody else makes it content. Order: the stream's, then the content's. Both are held
// while pages are awaited, so a kill ends the wait for them.

#include <object/stream.h>

#include <stdckdint.h>

#include <arch/user_copy.h>
#include <debug/init.h>
#include <lib/bits.h>
#include <lib/hash.h>
#include <vm/heap.h>
#include <vm/vmo.h>

#include "killable_lock.h"

constexpr size_t BUCKETS = 64;

// What streams over one set of pages share.
struct stream_content {
    struct list_node node;      // under the table's lock
    const struct page_set* set; // immutable
    uint32_t users;             // streams; under the table's lock
    struct killable_lock grow;
};

static struct {
    spinlock_t lock; // class OBJECT
    struct list bucket[BUCKETS];
} contents = {.lock = SPINLOCK_INIT(LOCK_CLASS_OBJECT)};

struct stream {
    struct object base;
    struct vmo* vmo;                // immutable, with a reference
    struct stream_content* content; // immutable, counted in its users
    bool may_resize;                // immutable
    uint32_t mode;                  // ZX_STREAM_MODE_READ and WRITE; immutable
    _Atomic(bool) append;
    struct killable_lock seek_lock;
    _Atomic(uint64_t) seek; // written under seek_lock
};

SLAB_CACHE(stream_cache, struct stream);
SLAB_CACHE(content_cache, struct stream_content);

static struct stream* stream_of(struct object* o) {
    return container_of(o, struct stream, base);
}

// ---- shared contents ----

static void contents_init(void) {
    for (size_t i = 0; i < BUCKETS; i++) {
        list_init(&contents.bucket[i]);
    }
}
INIT_HOOK(INIT_OBJECTS, contents_init);

static struct stream_content* find_locked(struct list* bucket, const struct page_set* set)
    TA_REQ(contents.lock) {
    list_for_each(n, bucket) {
        struct stream_content* c = container_of(n, struct stream_content, node);
        if (c->set == set) {
            return c;
        }
    }
    return nullptr;
}

static struct list* bucket_of(const struct page_set* set) {
    return &contents.bucket[hash_mix_u64((uintptr_t)set) % BUCKETS];
}

// Null: no memory.
static struct stream_content* content_get(const struct page_set* set) {
    struct stream_content* fresh = slab_alloc(&content_cache);
    if (fresh == nullptr) {
        return nullptr;
    }
    *fresh = (struct stream_content){.set = set};
    killable_lock_init(&fresh->grow);
    struct list* bucket = bucket_of(set);
    spin_acquire(&contents.lock);
    struct stream_content* c = find_locked(bucket, set);
    if (c == nullptr) {
        c = fresh;
        fresh = nullptr;
        list_push_back(bucket, &c->node);
    }
    c->users++;
    spin_release(&contents.lock);
    if (fresh != nullptr) {
        slab_free(&content_cache, fresh);
    }
    return c;
}

static void content_put(struct stream_content* c) {
    spin_acquire(&contents.lock);
    bool last = --c->users == 0;
    if (last) {
        list_remove(&c->node);
    }
    spin_release(&contents.lock);
    if (last) {
        slab_free(&content_cache, c);
    }
}

// ---- life ----

static void stream_destroy(struct object* o) {
    struct stream* s = stream_of(o);
    content_put(s->content);
    vmo_unref(s->vmo);
}

static void stream_free_memory(struct object* o) {
    slab_free(&stream_cache, stream_of(o));
}

static const struct object_ops stream_ops = {
    .type = ZX_OBJ_TYPE_STREAM,
    .name = "stream",
    .default_rights = ZX_DEFAULT_STREAM_RIGHTS,
    .waitable = true,
    .on_zero_handles = op_none,
    .destroy = stream_destroy,
    .free_memory = stream_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(stream_ops);

status_t stream_create(struct vmo* v, uint32_t options, bool may_resize, uint64_t seek,
                       struct stream** out) {
    struct stream* s = slab_alloc_zero(&stream_cache);
    if (s == nullptr) {
        return STATUS_NO_MEMORY;
    }
    s->content = content_get(v->set);
    if (s->content == nullptr) {
        slab_free(&stream_cache, s);
        return STATUS_NO_MEMORY;
    }
    object_init(&s->base, &stream_ops, nullptr, 0);
    s->vmo = vmo_ref(v);
    s->may_resize = may_resize && (v->flags & VMO_RESIZABLE) != 0;
    s->mode = options & (ZX_STREAM_MODE_READ | ZX_STREAM_MODE_WRITE);
    atomic_store_explicit(&s->append, (options & ZX_STREAM_MODE_APPEND) != 0, memory_order_relaxed);
    killable_lock_init(&s->seek_lock);
    atomic_store_explicit(&s->seek, seek, memory_order_relaxed);
    *out = s;
    return STATUS_OK;
}

struct stream* stream_from_object(struct object* o) {
    return o->ops == &stream_ops ? stream_of(o) : nullptr;
}

struct object* stream_object(struct stream* s) {
    return &s->base;
}

// ---- vectors ----

// Entries looked at between two looks at a pending kill: the array is as long as the caller says.
constexpr size_t KILL_CHECK_INTERVAL = 1024;

static status_t vector_at(const zx_iovec_t __user* vectors, size_t i, zx_iovec_t* out) {
    if (i % KILL_CHECK_INTERVAL == 0 && thread_killed()) {
        return STATUS_INTR_KILLED;
    }
    return copy_from_user(out, &vectors[i]);
}

static status_t total_size(const zx_iovec_t __user* vectors, size_t count, size_t* out) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        UNINITIALIZED zx_iovec_t v;
        TRY(vector_at(vectors, i, &v));
        if (ckd_add(&total, total, v.capacity)) {
            return STATUS_INVALID_ARGS;
        }
    }
    *out = total;
    return STATUS_OK;
}

typedef status_t (*move_fn)(struct vmo* v, void __user* buffer, uint64_t offset, size_t len,
                            size_t* actual);

// Moves up to `limit` bytes at `offset`; the array may have changed since it was summed.
static status_t move_vectors(struct stream* s, move_fn move, const zx_iovec_t __user* vectors,
                             size_t count, uint64_t offset, size_t limit, size_t* done) {
    for (size_t i = 0; i < count && *done < limit; i++) {
        UNINITIALIZED zx_iovec_t v;
        TRY(vector_at(vectors, i, &v));
        size_t n = min(v.capacity, limit - *done);
        size_t moved = 0;
        status_t status =
            n != 0 ? move(s->vmo, (void __user*)v.buffer, offset + *done, n, &moved) : STATUS_OK;
        *done += moved;
        TRY(status);
    }
    return STATUS_OK;
}

// Once something has moved, what stopped the rest is for the next call to find out.
static status_t moved_or(status_t status, size_t done) {
    return done != 0 && status != STATUS_INTR_KILLED ? STATUS_OK : status;
}

// ---- reading ----

static status_t read_into(struct vmo* v, void __user* buffer, uint64_t offset, size_t len,
                          size_t* actual) {
    return vmo_read_user(v, buffer, offset, len, actual);
}

static status_t read_at(struct stream* s, const zx_iovec_t __user* vectors, size_t count,
                        uint64_t offset, size_t* actual) {
    uint64_t end = vmo_stream_size(s->vmo);
    size_t done = 0;
    status_t status = STATUS_OK;
    if (offset < end) {
        status = move_vectors(s, read_into, vectors, count, offset, end - offset, &done);
    }
    *actual = done;
    return moved_or(status, done);
}

status_t stream_readv(struct stream* s, const zx_iovec_t __user* vectors, size_t count,
                      const uint64_t* offset, size_t* actual) {
    size_t total;
    TRY(total_size(vectors, count, &total));
    if (offset != nullptr) {
        return read_at(s, vectors, count, *offset, actual);
    }
    TRY(killable_lock_acquire(&s->seek_lock));
    uint64_t at = atomic_load_explicit(&s->seek, memory_order_relaxed);
    status_t status = read_at(s, vectors, count, at, actual);
    if (status == STATUS_OK) {
        atomic_store_explicit(&s->seek, at + *actual, memory_order_relaxed);
    }
    killable_lock_release(&s->seek_lock);
    return status;
}

// ---- writing ----

static status_t write_within(struct vmo* v, void __user* buffer, uint64_t offset, size_t len,
                             size_t* actual) {
    return vmo_write_user(v, buffer, offset, len, actual);
}

static status_t write_growing(struct vmo* v, void __user* buffer, uint64_t offset, size_t len,
                              size_t* actual) {
    return vmo_append_user(v, buffer, offset, len, actual);
}

// Makes the VMO reach `end` if it may and can. *limit: how far it reaches.
static status_t make_room(struct stream* s, uint64_t offset, uint64_t end, uint64_t* limit) {
    uint64_t size = vmo_size(s->vmo);
    status_t status = STATUS_UNAVAILABLE;
    if (end > size && s->may_resize) {
        status = vmo_expand(s->vmo, end);
        size = vmo_size(s->vmo);
    }
    *limit = min(end, size);
    if (offset < size) {
        return STATUS_OK;
    }
    return status == STATUS_OUT_OF_RANGE ? STATUS_OUT_OF_RANGE : STATUS_NO_SPACE;
}

// With the content's lock: `total` != 0 bytes at `offset`.
static status_t grow_and_write(struct stream* s, const zx_iovec_t __user* vectors, size_t count,
                               uint64_t offset, size_t total, size_t* done) {
    uint64_t end;
    if (ckd_add(&end, offset, total)) {
        return STATUS_FILE_BIG;
    }
    uint64_t limit;
    TRY(make_room(s, offset, end, &limit));
    uint64_t content = vmo_stream_size(s->vmo);
    if (offset > content) {
        TRY(vmo_op_range(s->vmo, ZX_VMO_OP_ZERO, content, offset - content));
    }
    return move_vectors(s, write_growing, vectors, count, offset, limit - offset, done);
}

// *offset: where it was written, which an append decides.
static status_t write_at(struct stream* s, const zx_iovec_t __user* vectors, size_t count,
                         size_t total, bool append, uint64_t* offset, size_t* actual) {
    *actual = 0;
    if (total == 0) {
        return STATUS_OK;
    }
    uint64_t end;
    if (!append && !ckd_add(&end, *offset, total) && end <= vmo_stream_size(s->vmo)) {
        status_t status = move_vectors(s, write_within, vectors, count, *offset, total, actual);
        return moved_or(status, *actual);
    }
    TRY(killable_lock_acquire(&s->content->grow));
    if (append) {
        *offset = vmo_stream_size(s->vmo);
    }
    status_t status = grow_and_write(s, vectors, count, *offset, total, actual);
    killable_lock_release(&s->content->grow);
    return moved_or(status, *actual);
}

status_t stream_writev(struct stream* s, const zx_iovec_t __user* vectors, size_t count,
                       const uint64_t* offset, bool append, size_t* actual) {
    size_t total;
    TRY(total_size(vectors, count, &total));
    if (offset != nullptr) {
        uint64_t at = *offset;
        return write_at(s, vectors, count, total, false, &at, actual);
    }
    TRY(killable_lock_acquire(&s->seek_lock));
    append = append || stream_append_mode(s);
    uint64_t at = atomic_load_explicit(&s->seek, memory_order_relaxed);
    status_t status = write_at(s, vectors, count, total, append, &at, actual);
    if (status == STATUS_OK) {
        atomic_store_explicit(&s->seek, at + *actual, memory_order_relaxed);
    }
    killable_lock_release(&s->seek_lock);
    return status;
}

// ---- seeking and the rest ----

static status_t seek_locked(struct stream* s, zx_stream_seek_origin_t origin, int64_t offset) {
    uint64_t base = 0;
    switch (origin) {
    case ZX_STREAM_SEEK_ORIGIN_START:
        break;
    case ZX_STREAM_SEEK_ORIGIN_CURRENT:
        base = atomic_load_explicit(&s->seek, memory_order_relaxed);
        break;
    case ZX_STREAM_SEEK_ORIGIN_END:
        base = vmo_stream_size(s->vmo);
        break;
    default:
        return STATUS_INVALID_ARGS;
    }
    int64_t to;
    if (ckd_add(&to, base, offset) || to < 0) {
        return STATUS_INVALID_ARGS;
    }
    atomic_store_explicit(&s->seek, (uint64_t)to, memory_order_relaxed);
    return STATUS_OK;
}

status_t stream_seek(struct stream* s, zx_stream_seek_origin_t origin, int64_t offset,
                     uint64_t* out) {
    TRY(killable_lock_acquire(&s->seek_lock));
    status_t status = seek_locked(s, origin, offset);
    *out = atomic_load_explicit(&s->seek, memory_order_relaxed);
    killable_lock_release(&s->seek_lock);
    return status;
}

bool stream_append_mode(struct stream* s) {
    return atomic_load_explicit(&s->append, memory_order_relaxed);
}

void stream_set_append_mode(struct stream* s, bool append) {
    atomic_store_explicit(&s->append, append, memory_order_relaxed);
}

void stream_get_info(struct stream* s, zx_info_stream_t* out) {
    *out =
        (zx_info_stream_t){.options = s->mode | (stream_append_mode(s) ? ZX_STREAM_MODE_APPEND : 0),
                           .seek = atomic_load_explicit(&s->seek, memory_order_relaxed),
                           .content_size = vmo_stream_size(s->vmo)};
}
