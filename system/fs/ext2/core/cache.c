// Blocks of metadata by number. Clean ones without pins go when there are too many; dirty ones stay
// until they are written, so who makes them looks at dirty_count first (fs_prepare).
#include <stdlib.h>
#include <string.h>

#include "core.h"

static struct block** bucket_of(struct cache* c, uint32_t number) {
    return &c->buckets[(number * 2654435761u) >> 20];
}
static_assert(CACHE_BUCKETS == 1u << 12);

zx_status_t cache_init(struct ext2* fs, uint32_t blocks) {
    struct cache* c = &fs->cache;
    list_init(&c->lru);
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        list_init(&c->dirty[i]);
    }
    c->max = blocks;
    c->run = malloc(WRITE_RUN);
    return c->run != nullptr ? ZX_OK : ZX_ERR_NO_MEMORY;
}

static struct block* find(struct cache* c, uint32_t number) {
    struct block* b = *bucket_of(c, number);
    while (b != nullptr && b->number != number) {
        b = b->hash_next;
    }
    return b;
}

static void drop(struct cache* c, struct block* b) {
    struct block** at = bucket_of(c, b->number);
    while (*at != b) {
        at = &(*at)->hash_next;
    }
    *at = b->hash_next;
    if (b->class != CLASS_CLEAN) {
        list_remove(&b->dirty);
        c->dirty_count--;
    }
    if (list_linked(&b->lru)) {
        list_remove(&b->lru);
    }
    c->count--;
    free(b->data);
    free(b);
}

void cache_destroy(struct ext2* fs) {
    for (unsigned i = 0; i < CACHE_BUCKETS; i++) {
        while (fs->cache.buckets[i] != nullptr) {
            drop(&fs->cache, fs->cache.buckets[i]);
        }
    }
    free(fs->cache.run);
}

static void evict(struct cache* c) {
    struct list_node* next;
    for (struct list_node* n = list_first(&c->lru); n != nullptr && c->count >= c->max; n = next) {
        next = list_next(&c->lru, n);
        struct block* b = container_of(n, struct block, lru);
        if (b->class == CLASS_CLEAN) {
            drop(c, b);
        }
    }
}

static void pin(struct block* b) {
    if (b->pins++ == 0 && list_linked(&b->lru)) {
        list_remove(&b->lru);
    }
}

// Pinned, with whatever in it.
static struct block* make(struct ext2* fs, uint32_t number) {
    struct cache* c = &fs->cache;
    evict(c);
    struct block* b = calloc(1, sizeof(*b));
    uint8_t* data = malloc(fs->block_size);
    if (b == nullptr || data == nullptr) {
        free(b);
        free(data);
        return nullptr;
    }
    b->number = number;
    b->class = CLASS_CLEAN;
    b->data = data;
    b->pins = 1;
    b->hash_next = *bucket_of(c, number);
    *bucket_of(c, number) = b;
    c->count++;
    return b;
}

zx_status_t block_get(struct ext2* fs, uint32_t number, struct block** out) {
    struct block* b = find(&fs->cache, number);
    if (b != nullptr) {
        pin(b);
        *out = b;
        return ZX_OK;
    }
    if (number >= fs->super.blocks_count) {
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    b = make(fs, number);
    if (b == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    zx_status_t status = fs->device.read_blocks(
        fs->device.ctx, (uint64_t)number * fs->sectors_per_block, fs->sectors_per_block, b->data);
    if (status != ZX_OK) {
        drop(&fs->cache, b);
        return status;
    }
    *out = b;
    return ZX_OK;
}

bool cache_has(struct ext2* fs, uint32_t number) {
    return find(&fs->cache, number) != nullptr;
}

// Beginning with a block that is not there; *len: how many were looked at.
static bool fetch_run(struct ext2* fs, uint32_t first, uint32_t max, uint32_t* len) {
    struct cache* c = &fs->cache;
    uint32_t count = max;
    while (find(c, first + count - 1) != nullptr) {
        count--; // not the first
    }
    if (fs->device.read_blocks(fs->device.ctx, (uint64_t)first * fs->sectors_per_block,
                               count * fs->sectors_per_block, c->run) != ZX_OK) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (find(c, first + i) != nullptr) {
            continue; // and may be dirty
        }
        struct block* b = make(fs, first + i);
        if (b == nullptr) {
            return false;
        }
        memcpy(b->data, c->run + (size_t)i * fs->block_size, fs->block_size);
        block_put(fs, b);
    }
    *len = count;
    return true;
}

void cache_fetch(struct ext2* fs, uint32_t first, uint32_t count) {
    uint32_t blocks = fs->super.blocks_count;
    uint32_t max = WRITE_RUN / fs->block_size;
    count = first >= blocks ? 0 : count > blocks - first ? blocks - first : count;
    while (count != 0) {
        uint32_t len = 1;
        if (find(&fs->cache, first) == nullptr &&
            !fetch_run(fs, first, count < max ? count : max, &len)) {
            return;
        }
        first += len;
        count -= len;
    }
}

zx_status_t block_new(struct ext2* fs, uint32_t number, struct block** out) {
    struct block* b = find(&fs->cache, number);
    if (b != nullptr) {
        pin(b);
    } else {
        b = make(fs, number);
        if (b == nullptr) {
            return ZX_ERR_NO_MEMORY;
        }
    }
    memset(b->data, 0, fs->block_size);
    block_dirty(fs, b, CLASS_FRESH);
    *out = b;
    return ZX_OK;
}

void block_put(struct ext2* fs, struct block* b) {
    if (--b->pins == 0) {
        list_push_back(&fs->cache.lru, &b->lru);
    }
}

void block_dirty(struct ext2* fs, struct block* b, enum block_class class) {
    if (b->class == CLASS_CLEAN) {
        b->class = class;
        list_push_back(&fs->cache.dirty[class], &b->dirty);
        fs->cache.dirty_count++;
    }
}

void block_forget(struct ext2* fs, uint32_t number) {
    struct block* b = find(&fs->cache, number);
    if (b == nullptr) {
        return;
    }
    if (b->pins == 0) {
        drop(&fs->cache, b);
    } else if (b->class != CLASS_CLEAN) { // a corrupted image: the block has two owners
        list_remove(&b->dirty);
        b->class = CLASS_CLEAN;
        fs->cache.dirty_count--;
    }
}

// ---- writing ----

static struct block* merge(struct block* a, struct block* b) {
    struct block* first = nullptr;
    struct block** end = &first;
    while (a != nullptr && b != nullptr) {
        struct block** lower = a->number < b->number ? &a : &b;
        *end = *lower;
        end = &(*lower)->sorted;
        *lower = *end;
    }
    *end = a != nullptr ? a : b;
    return first;
}

// Bottom-up: runs of 1, 2, 4 … blocks.
static struct block* sort(struct list* dirty) {
    struct block* runs[32] = {};
    list_for_each(n, dirty) {
        struct block* b = container_of(n, struct block, dirty);
        b->sorted = nullptr;
        unsigned i = 0;
        for (; runs[i] != nullptr; i++) {
            b = merge(runs[i], b);
            runs[i] = nullptr;
        }
        runs[i] = b;
    }
    struct block* all = nullptr;
    for (unsigned i = 0; i < 32; i++) {
        all = merge(runs[i], all);
    }
    return all;
}

// Neighbours, beginning with `b`, in one request; *after is the first that is none.
static zx_status_t write_run(struct ext2* fs, struct block* b, struct block** after) {
    uint32_t max = WRITE_RUN / fs->block_size;
    uint32_t first = b->number;
    uint32_t count = 0;
    const uint8_t* data = b->data;
    if (b->sorted != nullptr && b->sorted->number == first + 1) {
        data = fs->cache.run;
        for (; b != nullptr && b->number == first + count && count < max; b = b->sorted) {
            memcpy(fs->cache.run + (size_t)count++ * fs->block_size, b->data, fs->block_size);
        }
    } else {
        count = 1;
        b = b->sorted;
    }
    *after = b;
    fs->cache.unflushed = true;
    return fs->device.write_blocks(fs->device.ctx, (uint64_t)first * fs->sectors_per_block,
                                   count * fs->sectors_per_block, data);
}

zx_status_t cache_write(struct ext2* fs, enum block_class class) {
    struct cache* c = &fs->cache;
    struct block* b = sort(&c->dirty[class]);
    while (b != nullptr) {
        struct block* after;
        zx_status_t status = write_run(fs, b, &after);
        if (status != ZX_OK) {
            return status; // what is still dirty will be written by the next sync
        }
        for (; b != after; b = b->sorted) {
            list_remove(&b->dirty);
            b->class = CLASS_CLEAN;
            c->dirty_count--;
        }
    }
    return ZX_OK;
}

zx_status_t cache_flush(struct ext2* fs) {
    if (!fs->cache.unflushed) {
        return ZX_OK;
    }
    zx_status_t status = fs->device.flush(fs->device.ctx);
    if (status == ZX_OK) {
        fs->cache.unflushed = false;
    }
    return status;
}
