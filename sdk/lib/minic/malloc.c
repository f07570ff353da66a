// The heap: blocks by size class out of chunks, large blocks as mappings of their own.
//
// Every block has a 16-byte head that names its class or its mapping's size, so that free() needs
// no search. Classes are four to each power of two up to LARGE_MIN; freed blocks wait on their
// class's list and are not merged: programs of this library are small and short-lived, and it
// leaves when the full C library comes. Fresh mappings read as zero, which calloc() does not rely
// on, because blocks are reused.
//
// One lock for the lists and the chunk. Mappings are made and given back outside it.

#include <stdlib.h>

#include <stdint.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

#include "minic_priv.h"

constexpr size_t PAGE_LEN = 4096;
constexpr size_t CHUNK_LEN = 1 << 20;
constexpr size_t LARGE_MIN = 1 << 16; // blocks of this size, head included, have their own mapping
constexpr uint32_t FIRST_SHIFT = 5;   // the smallest class: 32 bytes with the head
constexpr uint32_t CLASSES = (16 - FIRST_SHIFT) * 4 + 1;

constexpr uint32_t MAGIC_USED = 0x6a61c1f7;
constexpr uint32_t MAGIC_FREE = 0x0f4ee0b1;
constexpr uint32_t CLASS_LARGE = UINT32_MAX;

struct block {
    uint32_t magic;
    uint32_t class;
    union {
        size_t mapped;      // large
        struct block* next; // free
        size_t size;        // used: what malloc was asked for
    };
};
static_assert(sizeof(struct block) == 16);

static struct {
    struct minic_lock lock;
    struct block* free[CLASSES]; // under lock
    char* chunk;                 // under lock: the rest of the current chunk
    size_t chunk_left;
} heap;

static uint32_t class_of(size_t total) {
    if (total <= (size_t)1 << FIRST_SHIFT) {
        return 0;
    }
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(total - 1); // 2^shift < total <= 2^(shift+1)
    size_t quarter = (size_t)1 << (shift - 2);
    uint32_t quarters = (uint32_t)((total - ((size_t)1 << shift) + quarter - 1) / quarter);
    return (shift - FIRST_SHIFT) * 4 + quarters;
}

// Multiples of 16 from 64 bytes on; below that there are half steps only.
static size_t class_size(uint32_t class) {
    uint32_t shift = FIRST_SHIFT + class / 4;
    size_t size = ((size_t)1 << shift) + ((size_t)1 << (shift - 2)) * (class % 4);
    return (size + 15) & ~(size_t)15;
}

static void* map_fresh(size_t len) {
    zx_handle_t vmo;
    if (zx_vmo_create(len, 0, &vmo) != ZX_OK) {
        return nullptr;
    }
    (void)zx_object_set_property(vmo, ZX_PROP_NAME, "heap", 4);
    zx_vaddr_t address = 0;
    zx_status_t status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0,
                                     vmo, 0, len, &address);
    (void)zx_handle_close(vmo);
    return status == ZX_OK ? (void*)address : nullptr;
}

static void* take_large(size_t size) {
    size_t total;
    if (__builtin_add_overflow(size, sizeof(struct block) + PAGE_LEN - 1, &total)) {
        return nullptr;
    }
    total &= ~(PAGE_LEN - 1);
    struct block* b = map_fresh(total);
    if (b == nullptr) {
        return nullptr;
    }
    *b = (struct block){.magic = MAGIC_USED, .class = CLASS_LARGE, .mapped = total};
    return b + 1;
}

// A block of a class from its list or the chunk; null: the chunk is used up.
static struct block* take_locked(uint32_t class) {
    struct block* b = heap.free[class];
    size_t size = class_size(class);
    if (b != nullptr) {
        if (b->magic != MAGIC_FREE) {
            minic_die("malloc: a freed block was written to");
        }
        heap.free[class] = b->next;
    } else if (heap.chunk_left >= size) {
        b = (struct block*)(void*)heap.chunk;
        heap.chunk += size;
        heap.chunk_left -= size;
    }
    return b;
}

static struct block* take_small(uint32_t class) {
    minic_lock(&heap.lock);
    struct block* b = take_locked(class);
    minic_unlock(&heap.lock);
    if (b != nullptr) {
        return b;
    }
    // What is left of the old chunk is lost: less than one block of a small class.
    char* chunk = map_fresh(CHUNK_LEN);
    if (chunk == nullptr) {
        return nullptr;
    }
    minic_lock(&heap.lock);
    heap.chunk = chunk;
    heap.chunk_left = CHUNK_LEN;
    b = take_locked(class);
    minic_unlock(&heap.lock);
    return b;
}

void* malloc(size_t size) {
    if (size >= LARGE_MIN - sizeof(struct block)) {
        return take_large(size);
    }
    uint32_t class = class_of(size + sizeof(struct block));
    struct block* b = take_small(class);
    if (b == nullptr) {
        return nullptr;
    }
    *b = (struct block){.magic = MAGIC_USED, .class = class, .size = size};
    return b + 1;
}

static struct block* block_of(void* memory, const char* caller) {
    struct block* b = (struct block*)memory - 1;
    if (b->magic != MAGIC_USED || (b->class >= CLASSES && b->class != CLASS_LARGE)) {
        minic_die(caller);
    }
    return b;
}

void free(void* memory) {
    if (memory == nullptr) {
        return;
    }
    struct block* b = block_of(memory, "free: not a block in use");
    if (b->class == CLASS_LARGE) {
        (void)zx_vmar_unmap(zx_vmar_root_self(), (zx_vaddr_t)b, b->mapped);
        return;
    }
    b->magic = MAGIC_FREE;
    minic_lock(&heap.lock);
    b->next = heap.free[b->class];
    heap.free[b->class] = b;
    minic_unlock(&heap.lock);
}

void* calloc(size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        return nullptr;
    }
    void* memory = malloc(total);
    if (memory != nullptr) {
        memset(memory, 0, total);
    }
    return memory;
}

void* realloc(void* memory, size_t size) {
    if (memory == nullptr) {
        return malloc(size);
    }
    struct block* b = block_of(memory, "realloc: not a block in use");
    size_t room = b->class == CLASS_LARGE ? b->mapped : class_size(b->class);
    size_t capacity = room - sizeof(struct block);
    if (size <= capacity && size >= capacity / 2) {
        return memory;
    }
    void* moved = malloc(size);
    if (moved != nullptr) {
        memcpy(moved, memory, size < capacity ? size : capacity);
        free(memory);
    }
    return moved;
}
