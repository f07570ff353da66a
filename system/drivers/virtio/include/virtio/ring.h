// A split virtqueue (virtio 1.1, 2.6), the driver's side. Pure: memory that the device shares is
// the caller's, with the addresses under which the device sees it.
//
// A request is a row of segments, those that the device reads first. It takes one descriptor if the
// caller supplies a table for the row (VIRTIO_F_INDIRECT_DESC), else one for each segment. What the
// device says is checked: that it has used what it was given, once, and no more.
//
// One thread; the device is the only other party, and the order of what it sees is kept here.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr uint16_t VIRTQ_SIZE_MAX = 256; // ours; a power of two

enum : uint16_t {
    VIRTQ_NEXT = 1,
    VIRTQ_WRITE = 2, // the device writes there
    VIRTQ_INDIRECT = 4,
};
enum : uint16_t {
    VIRTQ_NO_INTERRUPT = 1, // of the driver's flags
    VIRTQ_NO_NOTIFY = 1,    // of the device's
};

struct virtq_desc {
    uint64_t address;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct virtq_avail {
    uint16_t flags;
    uint16_t index; // where the next head will be put; counts on
    uint16_t ring[];
};

struct virtq_used_entry {
    uint32_t id; // a head
    uint32_t len;
};

struct virtq_used {
    uint16_t flags;
    uint16_t index;
    struct virtq_used_entry ring[];
};

struct virtq_segment {
    uint64_t address;
    uint32_t len; // not 0
    bool device_writes;
};

// A row of its own for a request: in shared memory, for as many segments as the request has.
struct virtq_table {
    struct virtq_desc* desc;
    uint64_t address;
};

struct virtq {
    uint16_t size; // a power of two
    struct virtq_desc* desc;
    struct virtq_avail* avail;
    struct virtq_used* used;
    uint16_t free_head, free_count; // descriptors that are not under way, linked by `next_free`
    uint16_t avail_index, kicked_index, used_index;
    uint16_t next_free[VIRTQ_SIZE_MAX]; // also the rest of a row; what is shared is not trusted
    uint16_t row_count[VIRTQ_SIZE_MAX]; // by head; 0: not under way
    void* token[VIRTQ_SIZE_MAX];        // by head
};

// The three parts lie in one piece of memory: where, from its start, and how large it is.
struct virtq_layout {
    size_t avail, used, size;
};
struct virtq_layout virtq_layout(uint16_t size);
// The memory is zero.
void virtq_init(struct virtq* q, uint16_t size, void* memory);

// Gives the device a request; `token` comes back with it. False: no descriptors are left. It is not
// seen before virtq_publish.
bool virtq_add(struct virtq* q, const struct virtq_segment segments[], uint16_t count,
               const struct virtq_table* table, void* token);
// Shows what was added. True: the device wants to be told.
bool virtq_publish(struct virtq* q);

typedef enum virtq_taken : uint8_t {
    VIRTQ_TAKEN,
    VIRTQ_EMPTY,
    VIRTQ_BROKEN, // the device has said something that cannot be; nothing it says counts any more
} virtq_taken_t;
// The next request that the device is done with. *written: how many bytes it says to have written.
virtq_taken_t virtq_take(struct virtq* q, void** token, uint32_t* written);
