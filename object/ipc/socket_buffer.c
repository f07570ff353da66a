// Blocks and datagrams of sockets. See socket_buffer.h.

#include "socket_buffer.h"

#include <arch/user_copy.h>
#include <lib/string.h>
#include <lib/types.h>
#include <vm/heap.h>

constexpr size_t BLOCK_BYTES = PAGE_SIZE - sizeof(struct socket_block);

SLAB_CACHE(datagram_cache, struct socket_datagram);

static struct socket_block* block_of(struct list_node* n) {
    return container_of(n, struct socket_block, node);
}

void socket_blocks_free(struct list* blocks) {
    struct list_node* n;
    while ((n = list_pop_front(blocks)) != nullptr) {
        heap_free(block_of(n));
    }
}

static status_t fill_one(struct list* out, const uint8_t __user* data, size_t len, bool exact) {
    struct socket_block* b = heap_alloc(exact ? sizeof(*b) + len : PAGE_SIZE);
    if (b == nullptr) {
        return STATUS_NO_MEMORY;
    }
    b->node = (struct list_node){};
    b->begin = 0;
    b->end = (uint32_t)len;
    list_push_back(out, &b->node);
    return arch_copy_from_user(b->data, data, len) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

status_t socket_blocks_fill(struct list* out, const uint8_t __user* data, size_t len, bool exact) {
    size_t done = 0;
    while (done < len) {
        size_t n = min(len - done, BLOCK_BYTES);
        status_t status = fill_one(out, data + done, n, exact);
        if (status != STATUS_OK) {
            socket_blocks_free(out);
            return status;
        }
        done += n;
    }
    return STATUS_OK;
}

void socket_blocks_trim(struct list* blocks, size_t excess, struct list* dropped) {
    while (excess > 0) {
        struct socket_block* b = block_of(list_last(blocks));
        size_t n = min(excess, (size_t)(b->end - b->begin));
        b->end -= (uint32_t)n;
        excess -= n;
        if (b->begin == b->end) {
            list_remove(&b->node);
            list_push_back(dropped, &b->node);
        }
    }
}

void socket_blocks_append(struct list* to, struct list* from, struct list* dropped) {
    struct list_node* last = list_last(to);
    struct list_node* first = list_first(from);
    if (last != nullptr && first != nullptr) {
        struct socket_block* into = block_of(last);
        struct socket_block* b = block_of(first);
        uint32_t n = b->end - b->begin;
        if (n <= BLOCK_BYTES - into->end) {
            memcpy(into->data + into->end, b->data + b->begin, n);
            into->end += n;
            list_remove(first);
            list_push_back(dropped, first);
        }
    }
    list_splice_back(to, from);
}

// ---- datagrams ----

struct socket_datagram* socket_datagram_new(void) {
    struct socket_datagram* d = slab_alloc_zero(&datagram_cache);
    if (d != nullptr) {
        list_init(&d->blocks);
        d->readers = 1;
    }
    return d;
}

void socket_datagram_free(struct socket_datagram* d) {
    socket_blocks_free(&d->blocks);
    slab_free(&datagram_cache, d);
}

status_t socket_datagram_copy_out(const struct socket_datagram* d, uint8_t __user* to, size_t len) {
    size_t left = min(len, d->size);
    list_for_each(node, &d->blocks) {
        const struct socket_block* b = block_of(node);
        size_t n = min(left, (size_t)(b->end - b->begin));
        if (arch_copy_to_user(to, b->data + b->begin, n) != 0) {
            return STATUS_INVALID_ARGS;
        }
        to += n;
        left -= n;
    }
    return STATUS_OK;
}
