// A message on its way through a channel: bytes and the handles that move with it.
//
// One allocation holds the header, the handles and the first bytes; bytes that do not fit one page
// continue in further pages, so that a message never needs contiguous memory beyond a page. A
// message belongs to exactly one place at a time: the writer that fills it, a queue, the reader.
#pragma once

#include <zircon/types.h>

#include <arch/user_copy.h>
#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/status.h>
#include <object/handle.h>
#include <vm/slab_fast.h>

constexpr uint32_t MESSAGE_MAX_BYTES = 65536;
constexpr uint32_t MESSAGE_MAX_HANDLES = 64;

struct message_part {
    struct message_part* next;
    uint8_t data[];
};

struct message {
    struct list_node node; // in a channel's queue; under the channel's lock
    uint32_t bytes,
        handles;          // counts; immutable once filled (handles falls to 0 when they are taken)
    uint16_t first_bytes; // bytes held by `data`
    uint8_t cache;        // where the memory comes from; MESSAGE_CACHES: the heap
    struct message_part* rest; // null: all bytes are in `data`
    struct handle* handle;     // [handles], behind `data`
    alignas(16) uint8_t data[];
};

// Allocates room for both; contents undefined, no handle set. Null: no memory.
[[nodiscard]] struct message* message_new(uint32_t bytes, uint32_t handles);
// Frees the message and closes every handle it still holds. Null is fine. No lock held.
void message_free(struct message* m);

// Messages of up to a page of bytes come from caches of their own, whose sizes waste little: 16, 3
// and 2 messages fill a page, 7 of the largest eight pages.
constexpr uint32_t MESSAGE_CACHES = 4;
constexpr uint32_t MESSAGE_CACHE_SIZE[MESSAGE_CACHES] = {256, 1344, 2048, 4160};
extern struct slab_cache message_cache[MESSAGE_CACHES];
// The smallest that holds `size` bytes, header included; MESSAGE_CACHES: none.
ALWAYS_INLINE uint32_t message_cache_for(size_t size) {
    if (likely(size <= MESSAGE_CACHE_SIZE[0])) {
        return 0;
    }
    return 1 + (size > MESSAGE_CACHE_SIZE[1]) + (size > MESSAGE_CACHE_SIZE[2]) +
           (size > MESSAGE_CACHE_SIZE[3]);
}

// Most messages: no handles. The same as the two above, inline. Interrupts on.
[[nodiscard]] ALWAYS_INLINE struct message* message_new_plain(uint32_t bytes) {
    uint32_t cache = message_cache_for(sizeof(struct message) + bytes);
    if (unlikely(cache == MESSAGE_CACHES)) {
        return message_new(bytes, 0);
    }
    struct message* m = slab_alloc_fast(&message_cache[cache]);
    if (unlikely(m == nullptr)) {
        return message_new(bytes, 0); // knows what else to try
    }
    m->node = (struct list_node){};
    m->bytes = bytes;
    m->handles = 0;
    m->first_bytes = (uint16_t)bytes;
    m->cache = (uint8_t)cache;
    m->rest = nullptr;
    return m;
}
ALWAYS_INLINE void message_free_plain(struct message* m) {
    if (unlikely(m->cache == MESSAGE_CACHES || m->handles != 0)) {
        message_free(m);
    } else {
        slab_free_fast(&message_cache[m->cache], m);
    }
}
// Frees all messages of a list.
void message_free_all(struct list* messages);

// Copies all bytes from one user buffer, or gathers them from an array of `count` channel iovecs.
// INVALID_ARGS: bad pointer.
status_t message_fill_parts(struct message* m, const void __user* bytes);
static inline status_t message_fill(struct message* m, const void __user* bytes) {
    if (unlikely(m->rest != nullptr)) {
        return message_fill_parts(m, bytes);
    }
    return arch_copy_from_user(m->data, bytes, m->bytes) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}
status_t message_gather(struct message* m, const zx_channel_iovec_t __user* vectors,
                        uint32_t count);
// The sum of the vectors' sizes: INVALID_ARGS for a bad pointer or a non-zero reserved field,
// OUT_OF_RANGE above MESSAGE_MAX_BYTES or too many vectors.
status_t message_gather_size(const zx_channel_iovec_t __user* vectors, uint32_t count,
                             uint32_t* bytes);
// Copies all bytes out.
status_t message_drain_parts(const struct message* m, void __user* bytes);
static inline status_t message_drain(const struct message* m, void __user* bytes) {
    if (unlikely(m->rest != nullptr)) {
        return message_drain_parts(m, bytes);
    }
    return arch_copy_to_user(bytes, m->data, m->bytes) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}
// From kernel memory, for messages the kernel writes itself.
void message_fill_kernel(struct message* m, const void* bytes);

// The first four bytes: the transaction id; 0 when there are fewer.
static inline zx_txid_t message_txid(const struct message* m) {
    zx_txid_t txid = 0;
    if (likely(m->bytes >= sizeof(txid))) {
        __builtin_memcpy(&txid, m->data, sizeof(txid));
    }
    return txid;
}
static inline void message_set_txid(struct message* m, zx_txid_t txid) {
    __builtin_memcpy(m->data, &txid, sizeof(txid));
}
