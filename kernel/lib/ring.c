// Byte ring. Every copy is at most two memcpys: up to the end of the buffer, then from its start.
#include <lib/ring.h>

#include <lib/string.h>

static inline size_t size_min(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t ring_index(const struct ring* ring, uint64_t position) {
    return (size_t)(position & (ring->cap - 1));
}

void ring_init(struct ring* ring, void* data, size_t cap) {
    *ring = (struct ring){.data = data, .cap = cap};
}

// Copies len <= cap bytes to the given position.
static void copy_in(struct ring* ring, uint64_t position, const unsigned char* from, size_t len) {
    size_t index = ring_index(ring, position);
    size_t first = size_min(len, ring->cap - index);
    memcpy(ring->data + index, from, first);
    memcpy(ring->data, from + first, len - first);
}

static void copy_out(const struct ring* ring, uint64_t position, unsigned char* to, size_t len) {
    size_t index = ring_index(ring, position);
    size_t first = size_min(len, ring->cap - index);
    memcpy(to, ring->data + index, first);
    memcpy(to + first, ring->data, len - first);
}

size_t ring_write(struct ring* ring, const void* data, size_t len) {
    len = size_min(len, ring_free(ring));
    if (len > 0) {
        copy_in(ring, ring->write_count, data, len);
        ring->write_count += len;
    }
    return len;
}

void ring_overwrite(struct ring* ring, const void* data, size_t len) {
    const unsigned char* bytes = data;
    if (len > ring->cap) {
        bytes += len - ring->cap;
        ring->write_count += len - ring->cap;
        len = ring->cap;
    }
    if (len > 0) {
        copy_in(ring, ring->write_count, bytes, len);
        ring->write_count += len;
    }
    if (ring->write_count - ring->read_count > ring->cap) {
        ring->read_count = ring->write_count - ring->cap;
    }
}

size_t ring_peek(const struct ring* ring, size_t offset, void* data, size_t len) {
    size_t used = ring_used(ring);
    if (offset >= used) {
        return 0;
    }
    len = size_min(len, used - offset);
    if (len > 0) {
        copy_out(ring, ring->read_count + offset, data, len);
    }
    return len;
}

size_t ring_skip(struct ring* ring, size_t len) {
    len = size_min(len, ring_used(ring));
    ring->read_count += len;
    return len;
}

size_t ring_read(struct ring* ring, void* data, size_t len) {
    return ring_skip(ring, ring_peek(ring, 0, data, len));
}

const void* ring_readable(const struct ring* ring, size_t* len) {
    size_t index = ring_index(ring, ring->read_count);
    *len = size_min(ring_used(ring), ring->cap - index);
    return ring->data + index;
}

void* ring_writable(struct ring* ring, size_t* len) {
    size_t index = ring_index(ring, ring->write_count);
    *len = size_min(ring_free(ring), ring->cap - index);
    return ring->data + index;
}

void ring_commit(struct ring* ring, size_t len) {
    ring->write_count += size_min(len, ring_free(ring));
}
