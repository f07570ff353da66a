// Messages: allocation, filling and draining. See <object/message.h>.

#include <object/message.h>

#include <arch/user_copy.h>
#include <lib/align.h>
#include <lib/string.h>
#include <vm/heap.h>

// What one part holds: a page with its link.
constexpr uint32_t PART_BYTES = PAGE_SIZE - sizeof(struct message_part);

struct slab_cache message_cache[MESSAGE_CACHES] = {
    SLAB_CACHE_INIT("message-256", 256, 64),
    SLAB_CACHE_INIT("message-1344", 1344, 64),
    SLAB_CACHE_INIT("message-2048", 2048, 64),
    SLAB_CACHE_INIT("message-4160", 4160, 64),
};
static_assert(MESSAGE_CACHE_SIZE[0] == 256 && MESSAGE_CACHE_SIZE[1] == 1344);
static_assert(MESSAGE_CACHE_SIZE[2] == 2048 && MESSAGE_CACHE_SIZE[3] == 4160);
// A page of bytes and a few handles fit the largest.
static_assert(sizeof(struct message) + PAGE_SIZE + sizeof(struct handle) <= 4160);

static uint32_t first_capacity(uint32_t handles) {
    return (uint32_t)(PAGE_SIZE - sizeof(struct message) - handles * sizeof(struct handle));
}

static void free_parts(struct message* m) {
    while (m->rest != nullptr) {
        struct message_part* next = m->rest->next;
        heap_free(m->rest);
        m->rest = next;
    }
}

static bool add_parts(struct message* m, uint32_t bytes) {
    struct message_part** link = &m->rest;
    while (bytes > 0) {
        uint32_t n = min(bytes, PART_BYTES);
        struct message_part* part = heap_alloc(sizeof(*part) + n);
        if (part == nullptr) {
            return false;
        }
        part->next = nullptr;
        *link = part;
        link = &part->next;
        bytes -= n;
    }
    return true;
}

ALWAYS_INLINE void message_init(struct message* m, uint32_t bytes, uint32_t first,
                                uint32_t handles_at, uint32_t handles) {
    m->node = (struct list_node){};
    m->bytes = bytes;
    m->handles = handles;
    m->first_bytes = (uint16_t)first;
    m->rest = nullptr;
    m->handle = (struct handle*)(void*)(m->data + handles_at);
    for (uint32_t i = 0; i < handles; i++) {
        m->handle[i] = (struct handle){};
    }
}

static NOINLINE struct message* message_new_large(uint32_t bytes, uint32_t handles) {
    uint32_t first = min(bytes, first_capacity(handles));
    uint32_t handles_at = (uint32_t)align_up(first, alignof(struct handle));
    struct message* m = heap_alloc(sizeof(*m) + handles_at + handles * sizeof(struct handle));
    if (unlikely(m == nullptr)) {
        return nullptr;
    }
    m->cache = MESSAGE_CACHES;
    message_init(m, bytes, first, handles_at, handles);
    if (unlikely(bytes > first) && !add_parts(m, bytes - first)) {
        free_parts(m);
        heap_free(m);
        return nullptr;
    }
    return m;
}

struct message* message_new(uint32_t bytes, uint32_t handles) {
    uint32_t handles_at = (uint32_t)align_up(bytes, alignof(struct handle));
    size_t size = sizeof(struct message) + handles_at + handles * sizeof(struct handle);
    uint32_t cache = message_cache_for(size);
    if (unlikely(cache == MESSAGE_CACHES)) {
        return message_new_large(bytes, handles);
    }
    struct message* m = slab_alloc_fast(&message_cache[cache]);
    if (unlikely(m == nullptr)) {
        // The largest take eight pages in a row where the heap makes do with single ones.
        return cache == MESSAGE_CACHES - 1 ? message_new_large(bytes, handles) : nullptr;
    }
    m->cache = (uint8_t)cache;
    message_init(m, bytes, bytes, handles_at, handles);
    return m;
}

static inline void free_memory(struct message* m) {
    if (likely(m->cache != MESSAGE_CACHES)) {
        slab_free_fast(&message_cache[m->cache], m);
        return;
    }
    free_parts(m);
    heap_free(m);
}

static NOINLINE void message_free_with_handles(struct message* m) {
    for (uint32_t i = 0; i < m->handles; i++) {
        if (m->handle[i].object != nullptr) {
            handle_discard(&m->handle[i]);
        }
    }
    free_memory(m);
}

void message_free(struct message* m) {
    if (unlikely(m == nullptr)) {
        return;
    }
    if (m->handles != 0) {
        message_free_with_handles(m);
        return;
    }
    free_memory(m);
}

void message_free_all(struct list* messages) {
    struct list_node* n;
    while ((n = list_pop_front(messages)) != nullptr) {
        message_free(container_of(n, struct message, node));
    }
}

// ---- a position in a message's bytes ----

struct cursor {
    uint8_t* at;
    uint32_t room; // bytes left in this part
    struct message_part* next;
};

static struct cursor cursor_start(const struct message* m) {
    return (struct cursor){(uint8_t*)m->data, m->first_bytes, m->rest};
}

static void cursor_advance(struct cursor* c, uint32_t n) {
    c->at += n;
    c->room -= n;
    if (c->room == 0 && c->next != nullptr) {
        *c = (struct cursor){c->next->data, PART_BYTES, c->next->next};
    }
}

static status_t copy_in(struct cursor* c, const uint8_t __user* from, uint32_t left) {
    while (left > 0) {
        uint32_t n = min(left, c->room);
        if (arch_copy_from_user(c->at, from, n) != 0) {
            return STATUS_INVALID_ARGS;
        }
        cursor_advance(c, n);
        from += n;
        left -= n;
    }
    return STATUS_OK;
}

status_t message_fill_parts(struct message* m, const void __user* bytes) {
    struct cursor c = cursor_start(m);
    return copy_in(&c, bytes, m->bytes);
}

status_t message_gather_size(const zx_channel_iovec_t __user* vectors, uint32_t count,
                             uint32_t* bytes) {
    if (count > ZX_CHANNEL_MAX_MSG_IOVECS) {
        return STATUS_OUT_OF_RANGE;
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        UNINITIALIZED zx_channel_iovec_t v;
        TRY(copy_from_user(&v, &vectors[i]));
        if (v.reserved != 0) {
            return STATUS_INVALID_ARGS;
        }
        sum += v.capacity;
    }
    if (sum > MESSAGE_MAX_BYTES) {
        return STATUS_OUT_OF_RANGE;
    }
    *bytes = (uint32_t)sum;
    return STATUS_OK;
}

status_t message_gather(struct message* m, const zx_channel_iovec_t __user* vectors,
                        uint32_t count) {
    struct cursor c = cursor_start(m);
    uint32_t left = m->bytes;
    for (uint32_t i = 0; i < count; i++) {
        UNINITIALIZED zx_channel_iovec_t v;
        TRY(copy_from_user(&v, &vectors[i]));
        // The array may have changed since it was summed: never beyond what was allocated.
        if (v.capacity > left) {
            return STATUS_INVALID_ARGS;
        }
        TRY(copy_in(&c, (const uint8_t __user*)v.buffer, v.capacity));
        left -= v.capacity;
    }
    return left == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

status_t message_drain_parts(const struct message* m, void __user* bytes) {
    struct cursor c = cursor_start(m);
    uint8_t __user* to = bytes;
    uint32_t left = m->bytes;
    while (left > 0) {
        uint32_t n = min(left, c.room);
        if (arch_copy_to_user(to, c.at, n) != 0) {
            return STATUS_INVALID_ARGS;
        }
        cursor_advance(&c, n);
        to += n;
        left -= n;
    }
    return STATUS_OK;
}

void message_fill_kernel(struct message* m, const void* bytes) {
    struct cursor c = cursor_start(m);
    const uint8_t* from = bytes;
    uint32_t left = m->bytes;
    while (left > 0) {
        uint32_t n = min(left, c.room);
        memcpy(c.at, from, n);
        cursor_advance(&c, n);
        from += n;
        left -= n;
    }
}
