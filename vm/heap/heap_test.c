// The heap against a list of live blocks, on fake pages: random sizes and caches from several CPUs,
// refusals by the page allocator, exact figures, everything returned by a drain. In debug builds
// also what it must catch: a second free, a write past the end, a write after the free.
#include <vm/heap.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <lib/assert.h>
#include <lib/compiler.h>
#include <lib/random.h>
#include <vm/pmm.h>

#include "heap_port_host.h"

uint32_t host_cpu;
uint64_t host_fail_in;

// ---- panics that a test expects ----

static jmp_buf panic_to;
static bool panic_expected;

static void panic_hit(void) {
    if (!panic_expected) {
        abort();
    }
    panic_expected = false;
    longjmp(panic_to, 1);
}

void panic(const char* format, ...) {
    (void)format;
    panic_hit();
    abort();
}

void assert_failed(const char* expression, const char* file, int line) {
    print_error("assertion failed: %s (%s:%d)\n", expression, file, line);
    panic_hit();
    abort();
}

// ---- fake pages ----

constexpr size_t FRAMES = 16384;
static bool frame_used[FRAMES];
static size_t frames_used;
static size_t frame_limit = FRAMES;

static int machine(void** state) {
    (void)state;
    static const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    static const int prot = PROT_READ | PROT_WRITE;
    void* array = mmap((void*)PAGE_SPACE_ARRAY, FRAMES * sizeof(struct page), prot, flags, -1, 0);
    void* direct = mmap((void*)PAGE_SPACE_DIRECT, FRAMES * PAGE_SIZE, prot, flags, -1, 0);
    assert_true(array != MAP_FAILED && direct != MAP_FAILED);
    return 0;
}

struct page* pmm_alloc_contiguous(size_t count, uint32_t align_log2, enum pmm_flags flags) {
    assert_int_equal(flags & PMM_SLAB, PMM_SLAB);
    size_t step = align_log2 > PAGE_SHIFT ? (size_t)1 << (align_log2 - PAGE_SHIFT) : 1;
    if (count > FRAMES || frames_used + count > frame_limit) {
        return nullptr;
    }
    for (size_t first = 0; first + count <= FRAMES; first += step) {
        size_t n = 0;
        while (n < count && !frame_used[first + n]) {
            n++;
        }
        if (n == count) {
            memset(&frame_used[first], true, count);
            frames_used += count;
            struct page* p = page_from_paddr((paddr_t){first * PAGE_SIZE});
            memset(page_to_virt(p), 0x5a, count * PAGE_SIZE);
            for (size_t i = 0; i < count; i++) {
                p[i] = (struct page){.state = PAGE_SLAB};
            }
            return p;
        }
    }
    return nullptr;
}

void pmm_free_contiguous(struct page* p, size_t count) {
    size_t first = page_to_paddr(p).raw / PAGE_SIZE;
    for (size_t i = first; i < first + count; i++) {
        assert_true(frame_used[i]);
        frame_used[i] = false;
        page_from_paddr((paddr_t){i * PAGE_SIZE})->state = PAGE_FREE;
    }
    frames_used -= count;
}

struct page* pmm_alloc_page(enum pmm_flags flags) {
    return pmm_alloc_contiguous(1, 0, flags);
}
void pmm_free_page(struct page* p) {
    pmm_free_contiguous(p, 1);
}

// ---- random use ----

struct odd {
    char bytes[72];
};
struct big {
    alignas(64) char bytes[1344];
};
SLAB_CACHE(odd_cache, struct odd);
SLAB_CACHE(big_cache, struct big);
SLAB_CACHE_SIZED(tiny_cache, "tiny", 1, 1);
static struct slab_cache* const caches[] = {&odd_cache, &big_cache, &tiny_cache};

struct live {
    uint8_t* p;
    size_t size;
    struct slab_cache* cache; // null: by size
    uint8_t fill;
};

constexpr size_t live_max = 2500;

static size_t pick_size(struct random* rng) {
    switch (random_below(rng, 8)) {
    case 0:
        return 2049 + random_below(rng, 20000);
    case 1:
        return random_below(rng, 2) == 0 ? 64 * random_below(rng, 33) : random_below(rng, 2049);
    default:
        return random_below(rng, 300);
    }
}

static bool live_make(struct live* l, struct random* rng) {
    bool zero = random_below(rng, 2) == 0;
    l->cache = random_below(rng, 2) == 0 ? caches[random_below(rng, array_size(caches))] : nullptr;
    l->size = l->cache != nullptr ? l->cache->size : pick_size(rng);
    if (l->cache != nullptr) {
        l->p = zero ? slab_alloc_zero(l->cache) : slab_alloc(l->cache);
        assert_int_equal((uintptr_t)l->p % max(l->cache->align, 1u), 0);
    } else {
        l->p = zero ? heap_alloc_zero(l->size) : heap_alloc(l->size);
        assert_int_equal((uintptr_t)l->p % (l->size % 64 == 0 && l->size > 0 ? 64 : 16), 0);
        assert_true(l->size <= 2048 || (uintptr_t)l->p % PAGE_SIZE == 0);
    }
    if (l->p == nullptr) {
        return false;
    }
    for (size_t i = 0; zero && i < l->size; i++) {
        assert_int_equal(l->p[i], 0);
    }
    l->fill = (uint8_t)random_u64(rng);
    memset(l->p, l->fill, l->size);
    return true;
}

static void live_end(struct live* l) {
    for (size_t i = 0; i < l->size; i++) {
        assert_int_equal(l->p[i], l->fill);
    }
    if (l->cache != nullptr) {
        slab_free(l->cache, l->p);
    } else {
        heap_free(l->p);
    }
    l->p = nullptr;
}

static void random_use(void** state) {
    (void)state;
    static struct live live[live_max];
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct random rng = random_init(seed);
        uint64_t objects = 0;
        uint32_t refused = 0;
        for (int step = 0; step < 60000; step++) {
            host_cpu = random_below(&rng, CPU_MAX);
            frame_limit = step / 5000 % 3 == 2 ? frames_used + 2 : FRAMES;
            struct live* l = &live[random_below(&rng, live_max)];
            if (l->p != nullptr) {
                live_end(l);
                objects--;
            } else if (live_make(l, &rng)) {
                objects++;
            } else {
                refused++;
            }
            if (step % 1000 == 0) {
                struct heap_stats s;
                heap_get_stats(&s);
                assert_int_equal(s.objects, objects);
                assert_int_equal(s.pages, frames_used);
            }
            if (step % 7000 == 0) {
                heap_drain();
            }
        }
        assert_true(refused > 0);
        for (size_t i = 0; i < live_max; i++) {
            if (live[i].p != nullptr) {
                live_end(&live[i]);
            }
        }
        heap_drain();
        assert_int_equal(frames_used, 0);
        struct heap_stats s;
        heap_get_stats(&s);
        assert_int_equal(s.objects + s.pages + s.bytes_in_use, 0);
    }
    frame_limit = FRAMES;
}

static void refusals(void** state) {
    (void)state;
    assert_null(heap_alloc(SIZE_MAX));
    assert_null(heap_alloc(SIZE_MAX - PAGE_SIZE));
    assert_null(heap_alloc(FRAMES * PAGE_SIZE + 1));
    heap_free(nullptr);
    host_fail_in = 1;
    assert_null(slab_alloc(&odd_cache));
    host_fail_in = 2;
    void* p = heap_alloc(24);
    assert_non_null(p);
    assert_null(heap_alloc(24));
    heap_free(p);
    heap_drain();
    assert_int_equal(frames_used, 0);
}

// ---- misuse, debug builds ----

#define EXPECT_PANIC(statement)       \
    do {                              \
        panic_expected = true;        \
        if (setjmp(panic_to) == 0) {  \
            statement;                \
        }                             \
        assert_false(panic_expected); \
    } while (0)

static void misuse_is_caught(void** state) {
    (void)state;
    if (!kernel_debug) {
        skip();
    }
    struct odd* volatile a = slab_alloc(&odd_cache);
    slab_free(&odd_cache, a);
    EXPECT_PANIC(slab_free(&odd_cache, a));

    struct odd* volatile b = slab_alloc(&odd_cache);
    char after = b->bytes[sizeof(b->bytes) + 8];
    b->bytes[sizeof(b->bytes) + 8] = 'x';
    EXPECT_PANIC(slab_free(&odd_cache, b));
    b->bytes[sizeof(b->bytes) + 8] = after;
    slab_free(&odd_cache, b);

    char before = b->bytes[20];
    b->bytes[20] = 'x';
    EXPECT_PANIC((void)slab_alloc(&odd_cache)); // takes it off the list
    b->bytes[20] = before;
    EXPECT_PANIC(heap_free((char*)PAGE_SPACE_DIRECT + (FRAMES - 1) * PAGE_SIZE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_use),
        cmocka_unit_test(refusals),
        cmocka_unit_test(misuse_is_caught),
    };
    return cmocka_run_group_tests(tests, machine, nullptr);
}
