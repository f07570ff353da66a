// The physical allocator against a set of frames, on fake memory: a machine of 72 MiB with holes, a
// part of it above 4 GiB. Random requests from several CPUs; every frame handed out must be usable
// RAM, nobody else's, where it was asked for; the figures must add up at every step.
#include <vm/pmm.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <boot/handoff.h>
#include <lib/compiler.h>
#include <lib/random.h>

#include "pmm_port_host.h"

constexpr uint64_t MIB = 1 << 20;
constexpr uint64_t GIB4 = 4096 * MIB;
constexpr uint64_t BORDER_BYTES = 256 * 1024; // of RAM directly below 4 GiB
constexpr uint64_t FRAME_TOP = (GIB4 + 64 * MIB) / PAGE_SIZE;

uint32_t host_cpu;
bool host_locked;
bool host_is_program;
uint64_t host_fail_in;

void host_lock_check(bool want) {
    assert_int_equal(host_locked, want);
}

// 0: not ours to give, 1: usable and free, 2: handed out, 3: part of the array
static uint8_t frame_use[FRAME_TOP];
static uint64_t tables_taken;

static void array_frame(paddr_t pa) {
    assert_true(pa.raw / PAGE_SIZE < FRAME_TOP);
    assert_int_equal(frame_use[pa.raw / PAGE_SIZE], 1); // nobody has it
    frame_use[pa.raw / PAGE_SIZE] = 3;
}

void port_map_array_page(void* at, paddr_t pa, paddr_t (*table)(void)) {
    assert_int_equal((uintptr_t)at % PAGE_SIZE, 0);
    array_frame(pa);
    // A table for every 64 pages of the array, so that both requests are met.
    if ((uintptr_t)at / PAGE_SIZE % 64 == 0) {
        array_frame(table());
        tables_taken++;
    }
    memset(at, 0, PAGE_SIZE);
}

static void usable(struct handoff* h, uint64_t base, uint64_t length,
                   enum handoff_memory_kind kind) {
    h->memory[h->memory_count++] =
        (struct handoff_memory){.base = base, .length = length, .kind = kind};
    for (uint64_t f = base / PAGE_SIZE; f < (base + length) / PAGE_SIZE; f++) {
        frame_use[f] = kind == HANDOFF_MEMORY_USABLE;
    }
}

static void taken(struct handoff* h, enum handoff_taken which, uint64_t base, uint64_t length) {
    h->taken[which] = (struct handoff_span){base, length};
    memset(&frame_use[base / PAGE_SIZE], 0, length / PAGE_SIZE);
}

constexpr uint64_t zbi_base = 9 * MIB;
constexpr uint64_t zbi_length = 3 * MIB;

static int machine(void** state) {
    (void)state;
    static const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    uint64_t array_bytes = FRAME_TOP * sizeof(struct page);
    void* array = mmap((void*)PAGE_SPACE_ARRAY, array_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    void* direct =
        mmap((void*)PAGE_SPACE_DIRECT, FRAME_TOP * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
    assert_ptr_not_equal(array, MAP_FAILED);
    assert_ptr_not_equal(direct, MAP_FAILED);
    // What is not backed by the allocator must not be read by it.
    memset(array, 0x01, array_bytes);
    struct handoff* h = calloc(1, sizeof(*h));
    usable(h, PAGE_SIZE, 0x9e000, HANDOFF_MEMORY_USABLE);
    usable(h, 1 * MIB, 30 * MIB + 5 * PAGE_SIZE, HANDOFF_MEMORY_USABLE);
    usable(h, 40 * MIB, MIB, HANDOFF_MEMORY_RESERVED);
    usable(h, 41 * MIB + 3 * PAGE_SIZE, 9 * MIB, HANDOFF_MEMORY_USABLE);
    usable(h, GIB4 - BORDER_BYTES, BORDER_BYTES + 32 * MIB, HANDOFF_MEMORY_USABLE);
    taken(h, HANDOFF_TAKEN_KERNEL, 2 * MIB, 2 * MIB);
    taken(h, HANDOFF_TAKEN_TABLES, 4 * MIB, 64 * PAGE_SIZE);
    taken(h, HANDOFF_TAKEN_RECORD, 1 * MIB, 8 * PAGE_SIZE);
    taken(h, HANDOFF_TAKEN_ZBI, zbi_base, zbi_length);
    taken(h, HANDOFF_TAKEN_TRAMPOLINE, 0x8000, 4 * PAGE_SIZE);
    pmm_init(h);
    // The bitmap of the page array is the only frame taken so far: find it.
    struct pmm_stats s;
    pmm_get_stats(&s);
    uint64_t usable_frames = 0;
    for (uint64_t f = 0; f < FRAME_TOP; f++) {
        usable_frames += frame_use[f] == 1;
    }
    assert_int_equal(s.free_pages + 1, usable_frames);
    frame_use[1] = 0;
    free(h);
    return 0;
}

static void figures_add_up(uint64_t allocated) {
    struct pmm_stats s;
    pmm_get_stats(&s);
    assert_int_equal(s.allocated_pages, allocated);
    assert_int_equal(s.total_pages, s.free_pages + s.wired_pages + allocated);
}

static void frames_take(const struct page* p, uint64_t count) {
    uint64_t frame = page_to_paddr(p).raw / PAGE_SIZE;
    for (uint64_t i = 0; i < count; i++) {
        assert_true(frame + i < FRAME_TOP);
        assert_int_equal(frame_use[frame + i], 1);
        frame_use[frame + i] = 2;
        assert_int_equal(atomic_load(&p[i].refs), 1);
        assert_null(p[i].u.vmo.set);
    }
}

static void frames_give(const struct page* p, uint64_t count) {
    uint64_t frame = page_to_paddr(p).raw / PAGE_SIZE;
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(frame_use[frame + i], 2);
        frame_use[frame + i] = 1;
    }
}

static void is_zero(const struct page* p, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t* words = page_to_virt(p + i);
        for (size_t k = 0; k < PAGE_SIZE / 8; k += 37) {
            assert_int_equal(words[k], 0);
        }
    }
}

struct run {
    struct page* p;
    uint64_t count;
    bool list; // single pages
};

constexpr size_t run_max = 400;

static void run_free(struct run* r) {
    if (r->list) {
        for (struct page* p = r->p; p != nullptr; p = p->next) {
            frames_give(p, 1);
        }
        pmm_free_list(r->p);
    } else {
        frames_give(r->p, r->count);
        pmm_free_contiguous(r->p, r->count);
    }
    r->p = nullptr;
}

static bool run_alloc(struct run* r, struct random* rng) {
    uint32_t flags = PMM_VMO;
    flags |= random_below(rng, 3) == 0 ? PMM_ZERO : 0;
    flags |= random_below(rng, 8) == 0 ? PMM_BELOW_4G : 0;
    flags |= random_below(rng, 2) == 0 ? PMM_USER : 0;
    r->list = random_below(rng, 2) == 0;
    r->count = 1 + random_below(rng, random_below(rng, 4) == 0 ? 1024 : 20);
    uint32_t align = 12;
    if (r->list) {
        r->p = pmm_alloc_pages(r->count, (enum pmm_flags)flags);
    } else {
        align += random_below(rng, 10);
        r->p = pmm_alloc_contiguous(r->count, align, (enum pmm_flags)flags);
    }
    if (r->p == nullptr) {
        return false;
    }
    uint64_t end = 0;
    for (struct page* p = r->p; r->list && p != nullptr; p = p->next) {
        end = max(end, page_to_paddr(p).raw);
        struct page* next = p->next;
        frames_take(p, 1);
        is_zero(p, (flags & PMM_ZERO) != 0);
        memset(page_to_virt(p), 0x77, PAGE_SIZE);
        p->next = next;
    }
    if (!r->list) {
        end = page_to_paddr(r->p).raw + r->count * PAGE_SIZE - 1;
        assert_int_equal(page_to_paddr(r->p).raw % ((uint64_t)1 << align), 0);
        frames_take(r->p, r->count);
        is_zero(r->p, (flags & PMM_ZERO) != 0 ? r->count : 0);
        memset(page_to_virt(r->p), 0x77, r->count * PAGE_SIZE);
    }
    assert_true((flags & PMM_BELOW_4G) == 0 || end < GIB4);
    return true;
}

static void random_requests(void** state) {
    (void)state;
    static struct run runs[run_max];
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct random rng = random_init(seed);
        uint64_t allocated = 0;
        uint32_t refused = 0;
        for (int step = 0; step < 6000; step++) {
            host_cpu = random_below(&rng, CPU_MAX);
            struct run* r = &runs[random_below(&rng, run_max)];
            if (r->p != nullptr) {
                allocated -= r->count;
                run_free(r);
            } else if (run_alloc(r, &rng)) {
                allocated += r->count;
            } else {
                refused++;
            }
            if (step % 500 == 0) {
                pmm_drain_caches();
            }
            figures_add_up(allocated);
        }
        assert_true(refused > 0); // the machine is too small for all of it
        for (size_t i = 0; i < run_max; i++) {
            if (runs[i].p != nullptr) {
                run_free(&runs[i]);
            }
        }
        pmm_drain_caches();
        figures_add_up(0);
    }
    assert_true(tables_taken > 0);
}

static void every_length_contiguous(void** state) {
    (void)state;
    for (uint64_t count = 1; count <= 1024; count += 1 + count / 32) {
        struct run r = {.count = count};
        r.p = pmm_alloc_contiguous(count, 12, PMM_VMO);
        assert_non_null(r.p);
        frames_take(r.p, count);
        run_free(&r);
    }
    // More than half of the largest piece of RAM: no aligned block of the next power of two exists.
    struct run r = {.count = 20 * MIB / PAGE_SIZE};
    r.p = pmm_alloc_contiguous(r.count, 12, PMM_VMO);
    assert_non_null(r.p);
    frames_take(r.p, r.count);
    run_free(&r);
    assert_null(pmm_alloc_contiguous(33 * MIB / PAGE_SIZE, 12, PMM_VMO));
    assert_null(pmm_alloc_contiguous(SIZE_MAX, 12, PMM_VMO));
    assert_null(pmm_alloc_contiguous(1, 60, PMM_VMO));
    pmm_drain_caches();
    figures_add_up(0);
}

static int hook_calls;
static void reclaim_hook(void) {
    assert_false(host_locked);
    hook_calls++;
}

// Each kind of request ends at its floor, the kernel's at nothing; and everything comes back.
static void floors(void** state) {
    (void)state;
    pmm_set_reclaim_hook(reclaim_hook);
    host_cpu = 0;
    struct pmm_stats s;
    pmm_get_stats(&s);
    struct run all = {.list = true};
    static const enum pmm_flags kinds[] = {PMM_USER, PMM_KERNEL, PMM_SYSTEM, PMM_KERNEL};
    const uint64_t floor[] = {s.user_floor, 2 * s.system_floor, s.system_floor, 0};
    for (size_t i = 0; i < array_size(kinds); i++) {
        struct page* p;
        host_is_program = i == 1; // its kernel memory ends earlier
        while ((p = pmm_alloc_page(kinds[i])) != nullptr) {
            frames_take(p, 1);
            p->next = all.p;
            all.p = p;
            all.count++;
        }
        pmm_get_stats(&s);
        // The kernel's own requests fill a CPU's cache to the last, below the floor.
        uint64_t below = kinds[i] == PMM_KERNEL ? min(floor[i], (uint64_t)64) : 0;
        assert_true(s.free_pages >= floor[i] - below && s.free_pages <= floor[i] + 40);
        assert_int_equal(hook_calls, 1);
        assert_null(pmm_alloc_contiguous(2, 12, kinds[i]));
    }
    assert_int_equal(s.free_pages, 0);
    figures_add_up(all.count);
    run_free(&all);
    pmm_drain_caches();
    figures_add_up(0);
    // All of it comes together again: the largest piece is still there.
    struct run r = {.count = 31 * MIB / PAGE_SIZE};
    r.p = pmm_alloc_contiguous(r.count, 12, PMM_VMO);
    assert_non_null(r.p);
    frames_take(r.p, r.count);
    run_free(&r);
}

// RAM on both sides of 4 GiB: what is asked for below it does not reach across.
static void nothing_crosses_4_gib(void** state) {
    (void)state;
    struct run above = {.p = pmm_alloc_contiguous(1024, 12, PMM_VMO), .count = 1024};
    assert_non_null(above.p);
    frames_take(above.p, above.count);
    run_free(&above); // no longer untouched
    struct run low = {.list = true};
    struct run border = {.list = true};
    struct page* p;
    while ((p = pmm_alloc_page(PMM_BELOW_4G)) != nullptr) {
        frames_take(p, 1);
        struct run* r = page_to_paddr(p).raw >= GIB4 - BORDER_BYTES ? &border : &low;
        p->next = r->p;
        r->p = p;
        r->count++;
    }
    assert_int_equal(border.count, BORDER_BYTES / PAGE_SIZE);
    run_free(&border);
    pmm_drain_caches();
    assert_null(pmm_alloc_contiguous(BORDER_BYTES / PAGE_SIZE + 1, 12, PMM_BELOW_4G));
    run_free(&low);
    pmm_drain_caches();
    figures_add_up(0);
}

static void adopt_wired(void** state) {
    (void)state;
    struct pmm_stats before;
    pmm_get_stats(&before);
    uint64_t count = zbi_length / PAGE_SIZE;
    struct page* p = pmm_adopt((paddr_t){zbi_base}, count, PMM_VMO);
    assert_non_null(p);
    assert_int_equal(page_to_paddr(p).raw, zbi_base);
    assert_ptr_equal(paddr_to_page((paddr_t){zbi_base + 5 * PAGE_SIZE}), p + 5);
    memset(&frame_use[zbi_base / PAGE_SIZE], 1, count);
    frames_take(p, count);
    figures_add_up(count);
    struct run r = {.p = p, .count = count};
    run_free(&r);
    figures_add_up(0);
    assert_null(paddr_to_page((paddr_t){GIB4 + 100 * MIB}));
    assert_null(paddr_to_page((paddr_t){UINT64_MAX}));
}

static void refusal_on_request(void** state) {
    (void)state;
    host_fail_in = 1;
    assert_null(pmm_alloc_page(PMM_KERNEL));
    host_fail_in = 1;
    assert_null(pmm_alloc_pages(3, PMM_KERNEL));
    host_fail_in = 1;
    assert_null(pmm_alloc_contiguous(3, 12, PMM_KERNEL));
    host_fail_in = 1;
    struct page* p = pmm_alloc_page(PMM_NOT_INJECTED);
    assert_int_equal(host_fail_in, 1); // not even counted
    host_fail_in = 0;
    assert_non_null(p);
    pmm_retype(p, PAGE_SLAB);
    struct pmm_stats s;
    pmm_get_stats(&s);
    assert_int_equal(s.slab_pages, 1);
    pmm_free_page(p);
    figures_add_up(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_requests), cmocka_unit_test(every_length_contiguous),
        cmocka_unit_test(floors),          cmocka_unit_test(nothing_crosses_4_gib),
        cmocka_unit_test(adopt_wired),     cmocka_unit_test(refusal_on_request),
    };
    return cmocka_run_group_tests(tests, machine, nullptr);
}
