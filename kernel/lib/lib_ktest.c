// The library in the kernel's own compilation: no vector registers, no red zone, the kernel's
// flags. The host tests go deep; these hold that the same code gives the same answers here.
#include <debug/ktest.h>
#include <lib/chacha20.h>
#include <lib/crc32.h>
#include <lib/fmt.h>
#include <lib/hash.h>
#include <lib/heap.h>
#include <lib/random.h>
#include <lib/rbtree.h>
#include <lib/string.h>

constexpr size_t buf_len = 256;

static bool bytes_same(const uint8_t* a, const uint8_t* b, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

// Moves len bytes inside `actual` with memmove and inside `expected` byte by byte.
static void move_both(uint8_t* actual, uint8_t* expected, size_t to, size_t from, size_t len) {
    memmove(actual + to, actual + from, len);
    if (to <= from) {
        for (size_t i = 0; i < len; i++) {
            expected[to + i] = expected[from + i];
        }
    } else {
        for (size_t i = len; i-- > 0;) {
            expected[to + i] = expected[from + i];
        }
    }
}

static void lib_memmove(struct ktest* t) {
    struct random random = random_init(1);
    uint8_t actual[buf_len];
    uint8_t expected[buf_len];
    for (size_t i = 0; i < buf_len; i++) {
        actual[i] = expected[i] = (uint8_t)random_u64(&random);
    }
    for (size_t len = 0; len <= 130; len++) {
        for (size_t shift = 0; shift < 20; shift++) {
            move_both(actual, expected, 100, 80 + shift, len);
            move_both(actual, expected, 80 + shift, 100, len);
            KASSERT(t, bytes_same(actual, expected, buf_len));
        }
    }
}
KTEST(lib, lib_memmove);

static void lib_memcpy_memset(struct ktest* t) {
    uint8_t from[buf_len];
    uint8_t to[buf_len];
    for (size_t i = 0; i < buf_len; i++) {
        from[i] = (uint8_t)(i * 7 + 1);
    }
    for (size_t len = 0; len < 200; len++) {
        memset(to, 0xee, buf_len);
        memcpy(to + 8, from + len % 16, len);
        KASSERT(t, bytes_same(to + 8, from + len % 16, len));
        KASSERT(t, to[7] == 0xee && to[8 + len] == 0xee);
        memset(to + 8, 0x11, len);
        KASSERT(t, to[7] == 0xee && to[8 + len] == 0xee);
        KASSERT(t, len == 0 || (to[8] == 0x11 && to[8 + len - 1] == 0x11));
        KASSERT(t, memcmp(from, from, len) == 0);
    }
}
KTEST(lib, lib_memcpy_memset);

static void lib_fmt(struct ktest* t) {
    char text[96];
    fmt_snprintf(text, sizeof(text), "%5d|%-5u|%05x|%s|%zu|%llx|%p|%c", -12, 34u, 0xabu, "text",
                 (size_t)7, 0x123456789abcdefull, (void*)0x10, 'z');
    KEXPECT(t, strcmp(text, "  -12|34   |000ab|text|7|123456789abcdef|0x10|z") == 0);
    KEXPECT_EQ(t, fmt_snprintf(text, 4, "%s", "abcdef"), (size_t)6);
    KEXPECT(t, strcmp(text, "abc") == 0);
}
KTEST(lib, lib_fmt);

struct numbered {
    struct rbtree_node tree;
    struct heap_node heap;
    uint64_t key;
};

static struct numbered* of_tree(const struct rbtree_node* node) {
    return container_of((struct rbtree_node*)node, struct numbered, tree);
}

static struct numbered* of_heap(const struct heap_node* node) {
    return container_of((struct heap_node*)node, struct numbered, heap);
}

static int numbered_compare(const struct rbtree_node* a, const struct rbtree_node* b) {
    return of_tree(a)->key < of_tree(b)->key ? -1 : of_tree(a)->key > of_tree(b)->key;
}

static bool numbered_before(const struct heap_node* a, const struct heap_node* b) {
    return of_heap(a)->key < of_heap(b)->key;
}

// The same numbers through the tree and the heap come out in the same order.
static void lib_tree_and_heap(struct ktest* t) {
    constexpr uint32_t count = 128;
    static struct numbered items[count];
    static const struct rbtree_ops ops = {.compare = numbered_compare};
    struct random random = random_init(2);
    struct rbtree tree;
    struct heap heap;
    rbtree_init(&tree, &ops);
    heap_init(&heap, numbered_before);
    for (uint32_t i = 0; i < count; i++) {
        items[i].key = random_u64(&random);
        rbtree_insert(&tree, &items[i].tree);
        heap_insert(&heap, &items[i].heap);
    }
    KEXPECT_EQ(t, rbtree_verify(&tree), (size_t)count);
    KEXPECT(t, heap_verify(&heap));
    while (!rbtree_is_empty(&tree)) {
        struct numbered* first = of_tree(rbtree_first(&tree));
        struct heap_node* top = heap_pop(&heap);
        KASSERT(t, top != nullptr && of_heap(top)->key == first->key);
        rbtree_erase(&tree, &first->tree);
    }
    KEXPECT(t, heap_is_empty(&heap));
}
KTEST(lib, lib_tree_and_heap);

static void lib_digests(struct ktest* t) {
    const struct siphash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    uint8_t data[15];
    for (uint8_t i = 0; i < sizeof(data); i++) {
        data[i] = i;
    }
    KEXPECT_EQ(t, siphash_24(&key, data, sizeof(data)), (uint64_t)0xa129ca6149be45e5u);
    KEXPECT_EQ(t, crc32_update(0, "123456789", 9), 0xcbf43926u);
    uint8_t chacha_key[32];
    for (uint8_t i = 0; i < sizeof(chacha_key); i++) {
        chacha_key[i] = i;
    }
    const uint8_t nonce[12] = {0, 0, 0, 9, 0, 0, 0, 0x4a};
    uint8_t block[64];
    chacha20_block(chacha_key, 1, nonce, block);
    KEXPECT(t, block[0] == 0x10 && block[1] == 0xf1 && block[63] == 0x4e);
}
KTEST(lib, lib_digests);
