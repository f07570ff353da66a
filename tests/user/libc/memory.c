// Memory: mappings, and malloc above them.
#include <utest/utest.h>

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zircon/process.h>

GROUP("libc_memory");

constexpr size_t PAGE = 4096;

static size_t mapped_bytes(void) {
    zx_info_task_stats_t stats;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_TASK_STATS, &stats, sizeof(stats),
                                 nullptr, nullptr));
    return stats.mem_mapped_bytes;
}

static char* map_pages(size_t pages, int prot) {
    char* p = mmap(nullptr, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(p != MAP_FAILED);
    return p;
}

// Whether the page can be read, or written, without finding out the hard way.
static bool can_read(const void* p) {
    char byte;
    zx_handle_t vmo = utest_vmo(PAGE);
    zx_status_t status = zx_vmo_write(vmo, p, 0, sizeof(byte));
    EXPECT_CLOSE(vmo);
    return status == ZX_OK;
}

static bool can_write(void* p) {
    zx_handle_t vmo = utest_vmo(PAGE);
    zx_status_t status = zx_vmo_read(vmo, p, 0, 1);
    EXPECT_CLOSE(vmo);
    return status == ZX_OK;
}

CASE(map_and_unmap) {
    size_t before = mapped_bytes();
    char* p = map_pages(4, PROT_READ | PROT_WRITE);
    EXPECT_EQ(mapped_bytes(), before + 4 * PAGE);
    for (size_t i = 0; i < 4 * PAGE; i++) {
        EXPECT_EQ(p[i], 0);
    }
    memset(p, 1, 4 * PAGE);
    EXPECT_EQ(munmap(p + PAGE, 2 * PAGE), 0);
    EXPECT(can_read(p) && !can_read(p + PAGE) && !can_read(p + 2 * PAGE) && can_read(p + 3 * PAGE));
    EXPECT_EQ(munmap(p, 4 * PAGE), 0);
    EXPECT_EQ(munmap(p, 4 * PAGE), 0);
    EXPECT_EQ(mapped_bytes(), before);
}

CASE(what_is_refused) {
    constexpr int FLAGS = MAP_PRIVATE | MAP_ANONYMOUS;
    EXPECT(mmap(nullptr, 0, PROT_READ, FLAGS, -1, 0) == MAP_FAILED && errno == EINVAL);
    EXPECT(mmap(nullptr, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    EXPECT(mmap(nullptr, PAGE, PROT_READ, FLAGS, -1, 1) == MAP_FAILED && errno == EINVAL);
    EXPECT(mmap(nullptr, SIZE_MAX, PROT_READ, FLAGS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    EXPECT(mmap(nullptr, 1ull << 60, PROT_READ, FLAGS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    EXPECT(mmap(nullptr, PAGE, PROT_READ, MAP_PRIVATE, 900, 0) == MAP_FAILED && errno == EBADF);
    EXPECT(munmap((void*)1, PAGE) == -1 && errno == EINVAL);
    EXPECT(mprotect((void*)1, PAGE, PROT_READ) == -1 && errno == EINVAL);
    EXPECT(madvise((void*)1, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
    EXPECT(sbrk(PAGE) == (void*)-1 && errno == ENOMEM);
}

CASE(protect) {
    char* p = map_pages(3, PROT_NONE);
    EXPECT(!can_read(p));
    EXPECT_EQ(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
    EXPECT(!can_read(p) && can_write(p + PAGE) && !can_read(p + 2 * PAGE));
    p[PAGE] = 5;
    EXPECT_EQ(mprotect(p, 3 * PAGE, PROT_READ), 0);
    EXPECT(can_read(p) && !can_write(p) && !can_write(p + PAGE));
    EXPECT_EQ(p[PAGE], 5);
    EXPECT_EQ(munmap(p, 3 * PAGE), 0);
    EXPECT(mprotect(p, PAGE, PROT_READ) == -1 && errno == ENOMEM);
}

CASE(fixed_places) {
    constexpr int FLAGS = MAP_PRIVATE | MAP_ANONYMOUS;
    char* p = map_pages(3, PROT_READ | PROT_WRITE);
    memset(p, 1, 3 * PAGE);
    char* q = mmap(p + PAGE, PAGE, PROT_READ, FLAGS | MAP_FIXED, -1, 0);
    EXPECT(q == p + PAGE);
    EXPECT(p[0] == 1 && q[0] == 0 && p[2 * PAGE] == 1 && !can_write(q));
    q = mmap(p, PAGE, PROT_READ, FLAGS | MAP_FIXED_NOREPLACE, -1, 0);
    EXPECT(q == MAP_FAILED && errno == EEXIST);
    EXPECT_EQ(munmap(p, 3 * PAGE), 0);
    q = mmap(p, PAGE, PROT_READ, FLAGS | MAP_FIXED_NOREPLACE, -1, 0);
    EXPECT(q == p);
    EXPECT_EQ(munmap(p, PAGE), 0);
    // Below the address space.
    q = mmap((void*)PAGE, PAGE, PROT_READ, FLAGS | MAP_FIXED, -1, 0);
    EXPECT(q == MAP_FAILED && errno == ENOMEM);
}

CASE(advice) {
    char* p = map_pages(2, PROT_READ | PROT_WRITE);
    memset(p, 1, 2 * PAGE);
    EXPECT_EQ(madvise(p, PAGE, MADV_DONTNEED), 0);
    EXPECT(p[0] == 0 && p[PAGE - 1] == 0 && p[PAGE] == 1);
    EXPECT_EQ(madvise(p, PAGE, MADV_SEQUENTIAL), 0);
    EXPECT(madvise(p, PAGE, 77) == -1 && errno == EINVAL);
    EXPECT_EQ(mlock(p, 2 * PAGE), 0);
    EXPECT_EQ(munlock(p, 2 * PAGE), 0);
    EXPECT_EQ(munmap(p, 2 * PAGE), 0);
}

CASE(remap) {
    size_t before = mapped_bytes();
    char* p = map_pages(4, PROT_READ | PROT_WRITE);
    p[0] = 1;
    EXPECT(mremap(p, 4 * PAGE, 2 * PAGE, 0) == p);
    EXPECT_EQ(mapped_bytes(), before + 2 * PAGE);
    EXPECT(p[0] == 1 && !can_read(p + 2 * PAGE));
    EXPECT(mremap(p, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
    EXPECT_EQ(munmap(p, 2 * PAGE), 0);
}

// ---- malloc ----

static void use_large_blocks(void) {
    char* p = malloc(8 << 20);
    EXPECT(p != nullptr);
    p[0] = 1;
    p[(8 << 20) - 1] = 2;
    p = realloc(p, 20 << 20);
    EXPECT(p != nullptr && p[0] == 1 && p[(8 << 20) - 1] == 2);
    p = realloc(p, 1 << 20);
    EXPECT(p != nullptr && p[0] == 1);
    free(p);
}

CASE(large_blocks_go_back) {
    use_large_blocks(); // the allocator's own pages stay
    size_t before = mapped_bytes();
    use_large_blocks();
    EXPECT_EQ(mapped_bytes(), before);
    // Volatile: the compiler knows these, and believes that they leave errno alone.
    void* (*volatile allocate)(size_t) = malloc;
    void* (*volatile allocate_zeros)(size_t, size_t) = calloc;
    errno = 0;
    EXPECT(allocate(SIZE_MAX / 2) == nullptr && errno == ENOMEM);
    errno = 0;
    EXPECT(allocate_zeros(SIZE_MAX / 4, 8) == nullptr && errno == ENOMEM);
}

CASE(aligned_blocks) {
    for (size_t align = 8; align <= 1 << 16; align *= 2) {
        char* p = aligned_alloc(align, 3 * align);
        EXPECT(p != nullptr && (uintptr_t)p % align == 0);
        memset(p, 1, 3 * align);
        EXPECT(malloc_usable_size(p) >= 3 * align);
        free(p);
    }
}

constexpr uint32_t WORKERS = 8;
constexpr uint32_t ROUNDS = 2000;
constexpr uint32_t HELD = 32;

static atomic_uint broken;

// Blocks of all sizes, each filled with a byte of its own, which must be there at the end. Some are
// handed over to another worker, which frees them.
static _Atomic(unsigned char*) handed_over[WORKERS];

static bool is_filled(const unsigned char* p, size_t len, unsigned char byte) {
    for (size_t i = 0; i < len; i++) {
        if (p[i] != byte) {
            return false;
        }
    }
    return true;
}

static void* work(void* arg) {
    uintptr_t index = (uintptr_t)arg;
    struct {
        unsigned char* p;
        size_t len;
    } held[HELD] = {};
    uint32_t random = (uint32_t)index * 7919 + 1;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        random = random * 1664525 + 1013904223;
        uint32_t slot = random >> 24 & (HELD - 1);
        if (held[slot].p != nullptr) {
            broken += !is_filled(held[slot].p, held[slot].len, (unsigned char)(slot + index));
            free(atomic_exchange(&handed_over[(index + 1) % WORKERS], held[slot].p));
        }
        size_t len = (random >> 8 & 15) == 0 ? random >> 16 : random >> 8 & 511;
        held[slot].p = malloc(len);
        held[slot].len = len;
        if (held[slot].p == nullptr) {
            broken++;
            continue;
        }
        memset(held[slot].p, (int)(slot + index), len);
    }
    for (uint32_t slot = 0; slot < HELD; slot++) {
        free(held[slot].p);
    }
    return nullptr;
}

CASE_WITHIN(eight_threads, 120) {
    pthread_t threads[WORKERS];
    for (uintptr_t i = 0; i < WORKERS; i++) {
        EXPECT_EQ(pthread_create(&threads[i], nullptr, work, (void*)i), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        EXPECT_EQ(pthread_join(threads[i], nullptr), 0);
        free(atomic_exchange(&handed_over[i], nullptr));
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        free(atomic_exchange(&handed_over[i], nullptr));
    }
    EXPECT_EQ(broken, 0);
}
