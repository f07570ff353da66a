// What a socket's end holds: a list of blocks (struct socket_block) in pages of their own.
//
// In a stream every block is a page and the list is the stream: bytes are taken from the front and
// added behind, and a write that fits behind the last block goes there, so that small writes do not
// cost a page each. A datagram (struct socket_datagram) is a list of its own, never changed once it
// is queued.
//
// The lists are under the pair's lock; blocks on their way in or out belong to one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/compiler.h>
#include <lib/list.h>
#include <lib/status.h>

struct socket_block {
    struct list_node node;
    uint32_t begin, end; // the bytes in use
    uint8_t data[];
};

struct socket_datagram {
    struct list_node node;
    struct list blocks;
    size_t size;
    uint32_t readers; // who copies from it, and the queue; under the pair's lock
};

// Fills fresh blocks with `len` bytes of user memory, behind `out`, which is freed on failure.
// `exact`: no larger than needed. NO_MEMORY; INVALID_ARGS: bad pointer.
status_t socket_blocks_fill(struct list* out, const uint8_t __user* data, size_t len, bool exact);
void socket_blocks_free(struct list* blocks);
// Cuts `excess` bytes off the end; what that empties goes to `dropped`.
void socket_blocks_trim(struct list* blocks, size_t excess, struct list* dropped);
// Moves the blocks behind `to`; the first one's bytes go into the last block there if they fit, and
// the block to `dropped`.
void socket_blocks_append(struct list* to, struct list* from, struct list* dropped);

// Null: no memory.
[[nodiscard]] struct socket_datagram* socket_datagram_new(void);
void socket_datagram_free(struct socket_datagram* d);
// The first `len` bytes, at most all. INVALID_ARGS.
status_t socket_datagram_copy_out(const struct socket_datagram* d, uint8_t __user* to, size_t len);
