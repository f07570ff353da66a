#include <virtio/ring.h>

#include <stdatomic.h>

// What the device reads and writes is accessed once each, and never assumed to stay.
static uint16_t load16(const uint16_t* at) {
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void store16(uint16_t* at, uint16_t value) {
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

struct virtq_layout virtq_layout(uint16_t size) {
    struct virtq_layout l = {};
    l.avail = sizeof(struct virtq_desc) * size;
    // Both parts end with a word for notification by index, which we do not use.
    size_t avail_end = l.avail + sizeof(struct virtq_avail) + 2ull * size + 2;
    l.used = (avail_end + 3) & ~(size_t)3;
    l.size = l.used + sizeof(struct virtq_used) + sizeof(struct virtq_used_entry) * size + 2;
    return l;
}

void virtq_init(struct virtq* q, uint16_t size, void* memory) {
    struct virtq_layout l = virtq_layout(size);
    uint8_t* start = memory;
    *q = (struct virtq){.size = size,
                        .desc = memory,
                        .avail = (struct virtq_avail*)(void*)(start + l.avail),
                        .used = (struct virtq_used*)(void*)(start + l.used),
                        .free_count = size};
    for (uint16_t i = 0; i < size; i++) {
        q->next_free[i] = (uint16_t)((i + 1) % size);
    }
}

// ---- to the device ----

static struct virtq_desc describe(const struct virtq_segment* s) {
    return (struct virtq_desc){
        .address = s->address, .len = s->len, .flags = s->device_writes ? VIRTQ_WRITE : 0};
}

static void fill_table(const struct virtq_table* table, const struct virtq_segment segments[],
                       uint16_t count) {
    for (uint16_t i = 0; i < count; i++) {
        struct virtq_desc d = describe(&segments[i]);
        if (i + 1 < count) {
            d.flags |= VIRTQ_NEXT;
            d.next = (uint16_t)(i + 1);
        }
        table->desc[i] = d;
    }
}

// A row of free descriptors, which are linked in that order already. Returns the one behind it.
static uint16_t fill_row(struct virtq* q, const struct virtq_segment segments[], uint16_t count) {
    uint16_t at = q->free_head;
    for (uint16_t i = 0; i < count; i++) {
        struct virtq_desc d = describe(&segments[i]);
        if (i + 1 < count) {
            d.flags |= VIRTQ_NEXT;
            d.next = q->next_free[at];
        }
        q->desc[at] = d;
        at = q->next_free[at];
    }
    return at;
}

bool virtq_add(struct virtq* q, const struct virtq_segment segments[], uint16_t count,
               const struct virtq_table* table, void* token) {
    uint16_t head = q->free_head;
    uint16_t row = table != nullptr ? 1 : count;
    if (count == 0 || row > q->free_count) {
        return false;
    }
    if (table != nullptr) {
        fill_table(table, segments, count);
        q->desc[head] = (struct virtq_desc){.address = table->address,
                                            .len = (uint32_t)sizeof(struct virtq_desc) * count,
                                            .flags = VIRTQ_INDIRECT};
        q->free_head = q->next_free[head];
    } else {
        q->free_head = fill_row(q, segments, count);
    }
    q->free_count -= row;
    q->row_count[head] = row;
    q->token[head] = token;
    q->avail->ring[q->avail_index & (q->size - 1)] = head;
    q->avail_index++;
    return true;
}

bool virtq_publish(struct virtq* q) {
    if (q->avail_index == q->kicked_index) {
        return false;
    }
    q->kicked_index = q->avail_index;
    store16(&q->avail->index, q->avail_index);
    // The device goes to sleep by allowing notifications and looking at the index; one of us sees
    // the other.
    atomic_thread_fence(memory_order_seq_cst);
    return (load16(&q->used->flags) & VIRTQ_NO_NOTIFY) == 0;
}

// ---- from the device ----

static void free_row(struct virtq* q, uint16_t head) {
    uint16_t last = head;
    for (uint16_t i = 1; i < q->row_count[head]; i++) {
        last = q->next_free[last];
    }
    q->next_free[last] = q->free_head;
    q->free_head = head;
    q->free_count += q->row_count[head];
    q->row_count[head] = 0;
}

virtq_taken_t virtq_take(struct virtq* q, void** token, uint32_t* written) {
    uint16_t index = load16(&q->used->index);
    if (index == q->used_index) {
        return VIRTQ_EMPTY;
    }
    const struct virtq_used_entry* at = &q->used->ring[q->used_index & (q->size - 1)];
    uint32_t id = __atomic_load_n(&at->id, __ATOMIC_RELAXED);
    if (id >= q->size || q->row_count[id] == 0) {
        return VIRTQ_BROKEN;
    }
    *written = __atomic_load_n(&at->len, __ATOMIC_RELAXED);
    *token = q->token[id];
    q->used_index++;
    free_row(q, (uint16_t)id);
    return VIRTQ_TAKEN;
}
