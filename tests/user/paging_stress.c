// One file, and threads that do to it all that can be done at once while memory is short: write
// it (by calls and through a mapping), clone it and write the clones, cut and grow its end, pin it,
// and take memory away. Each keeps a model of what must stand where, and compares. The pager is a
// thread of its own, which also writes back.
#include <utest/utest.h>

#include <stdatomic.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls/iommu.h>
#include <zircon/syscalls/port.h>
#include <zircon/syscalls/resource.h>

GROUP("paging_stress");

constexpr uint64_t PAGE = 4096;
constexpr uint64_t HEAD = 512; // pages that are always there; each belongs to one writer
constexpr uint64_t TAIL = 128; // pages that come and go behind them
constexpr uint64_t SUPPLY = 64;
constexpr uint64_t WRITERS = 2;
constexpr uint64_t WINDOW = 24; // pages of a clone
constexpr uint64_t ROUNDS = 60; // of each thread; a thousand times as many make a soak
constexpr zx_vm_option_t READ_WRITE = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;

// What the disk would hold, by the pager's thread alone: the word of each page, 0 for zeroes.
static uint64_t stored[HEAD + TAIL];

struct file {
    zx_handle_t pager, port, vmo, aux;
    zx_vaddr_t window; // of aux
    zx_vaddr_t head;   // all of the head, mapped
};
static struct file file;

struct actor {
    struct utest_thread thread;
    uint64_t number;
    uint64_t seed;
};

static uint64_t next_random(struct actor* a, uint64_t below) {
    a->seed = a->seed * 6364136223846793005 + 1442695040888963407;
    return (a->seed >> 33) % below;
}

static uint64_t word_of(uint64_t page, uint64_t generation) {
    return (page + 1) * 0x9e3779b97f4a7c15 + generation;
}

static uint64_t generation_of(uint64_t page, uint64_t word) {
    uint64_t generation = word - word_of(page, 0);
    EXPECT(generation < 1 << 24);
    return generation;
}

// A page's word stands at both of its ends when the pager gives it; programs change the first.
static volatile uint64_t* at_page(zx_vaddr_t base, uint64_t page) {
    return (volatile uint64_t*)(base + page * PAGE);
}

static uint64_t read_word(zx_handle_t vmo, uint64_t page) {
    uint64_t word;
    EXPECT_OK(zx_vmo_read(vmo, &word, page * PAGE, sizeof(word)));
    return word;
}

static void write_word(zx_handle_t vmo, uint64_t page, uint64_t word) {
    EXPECT_OK(zx_vmo_write(vmo, &word, page * PAGE, sizeof(word)));
}

static zx_vaddr_t map(zx_handle_t vmo, uint64_t pages) {
    zx_vaddr_t at = 0;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), READ_WRITE | ZX_VM_ALLOW_FAULTS, 0, vmo, 0,
                          pages * PAGE, &at));
    return at;
}

static void unmap(zx_vaddr_t at, uint64_t pages) {
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, pages * PAGE));
}

// ---- the pager ----

static bool fine_or_gone(zx_status_t status) {
    EXPECT(status == ZX_OK || status == ZX_ERR_OUT_OF_RANGE);
    return status == ZX_OK;
}

static void give(uint64_t page, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        if (stored[page + i] != 0) {
            volatile uint64_t* words = at_page(file.window, i);
            words[0] = stored[page + i];
            words[511] = word_of(page + i, 0);
        }
    }
    if (!fine_or_gone(
            zx_pager_supply_pages(file.pager, file.vmo, page * PAGE, count * PAGE, file.aux, 0))) {
        EXPECT_OK(zx_vmo_op_range(file.aux, ZX_VMO_OP_DECOMMIT, 0, SUPPLY * PAGE, nullptr, 0));
    }
}

// In pieces of at most SUPPLY pages, the last first, and cut anywhere.
static void answer(struct actor* a, uint64_t page, uint64_t count) {
    while (count != 0) {
        uint64_t most = count < SUPPLY ? count : SUPPLY;
        uint64_t n = next_random(a, 4) != 0 ? most : 1 + next_random(a, most);
        give(page + count - n, n);
        count -= n;
    }
}

static void save(const zx_vmo_dirty_range_t* r) {
    uint64_t zero = r->options & ZX_VMO_DIRTY_RANGE_IS_ZERO;
    if (!fine_or_gone(zx_pager_op_range(file.pager, ZX_PAGER_OP_WRITEBACK_BEGIN, file.vmo,
                                        r->offset, r->length, zero))) {
        return;
    }
    for (uint64_t at = r->offset; at < r->offset + r->length; at += PAGE) {
        uint64_t word = 0;
        if (zero == 0 && !fine_or_gone(zx_vmo_read(file.vmo, &word, at, sizeof(word)))) {
            return;
        }
        stored[at / PAGE] = word;
    }
    (void)fine_or_gone(zx_pager_op_range(file.pager, ZX_PAGER_OP_WRITEBACK_END, file.vmo, r->offset,
                                         r->length, 0));
}

static void write_back(void) {
    uint64_t size;
    zx_vmo_dirty_range_t ranges[16];
    size_t n;
    EXPECT_OK(zx_vmo_get_size(file.vmo, &size));
    if (fine_or_gone(zx_pager_query_dirty_ranges(file.pager, file.vmo, 0, size, ranges,
                                                 sizeof(ranges), &n, nullptr))) {
        for (size_t i = 0; i < n; i++) {
            save(&ranges[i]);
        }
    }
}

// Until a user packet comes.
static void serve(void* arg) {
    struct actor* a = arg;
    for (uint64_t served = 0;; served++) {
        zx_port_packet_t p;
        zx_status_t status = zx_port_wait(file.port, utest_after_ms(20), &p);
        if (status == ZX_ERR_TIMED_OUT || served % 16 == 0) {
            write_back();
        }
        if (status == ZX_ERR_TIMED_OUT) {
            continue;
        }
        EXPECT_OK(status);
        if (p.type != ZX_PKT_TYPE_PAGE_REQUEST) {
            return;
        }
        if (p.page_request.command == ZX_PAGER_VMO_READ) {
            answer(a, p.page_request.offset / PAGE, p.page_request.length / PAGE);
        } else {
            (void)fine_or_gone(zx_pager_op_range(file.pager, ZX_PAGER_OP_DIRTY, file.vmo,
                                                 p.page_request.offset, p.page_request.length, 0));
        }
    }
}

// ---- who writes the head ----

static void write_head(void* arg) {
    struct actor* a = arg;
    uint64_t last[HEAD / WRITERS] = {};
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t slot = next_random(a, HEAD / WRITERS);
        uint64_t page = slot * WRITERS + a->number;
        volatile uint64_t* mapped = at_page(file.head, page);
        EXPECT_EQ(next_random(a, 2) != 0 ? *mapped : read_word(file.vmo, page),
                  word_of(page, last[slot]));
        EXPECT_EQ(mapped[511], word_of(page, 0));
        switch (next_random(a, 4)) {
        case 0:
            *mapped = word_of(page, ++last[slot]);
            break;
        case 1:
            write_word(file.vmo, page, word_of(page, ++last[slot]));
            break;
        case 2: // a hint costs nothing but time
            EXPECT_OK(zx_vmo_op_range(file.vmo, ZX_VMO_OP_DONT_NEED, 0, HEAD * PAGE, nullptr, 0));
            break;
        default:
            break;
        }
    }
}

// ---- who clones it ----

// What page i of a clone must show: its own word, zeroes, or a word of the file that is not older
// than one seen before.
struct clone {
    zx_handle_t vmo;
    zx_vaddr_t at;
    uint64_t first; // page of the file
    uint64_t pages; // its size
    bool own[WINDOW];
    uint64_t word[WINDOW]; // own: that; else: the generation seen last
};

static void clone_check(struct clone* c, struct actor* a, uint64_t i) {
    if (i >= c->pages) {
        return;
    }
    uint64_t word = next_random(a, 2) != 0 ? *at_page(c->at, i) : read_word(c->vmo, i);
    if (c->own[i]) {
        EXPECT_EQ(word, c->word[i]);
        return;
    }
    uint64_t generation = generation_of(c->first + i, word);
    EXPECT(generation >= c->word[i]);
    c->word[i] = generation;
}

static void clone_set(struct clone* c, uint64_t i, uint64_t word) {
    c->own[i] = true;
    c->word[i] = word;
}

// A pinned file is not cloned: BAD_STATE, and another try.
static bool clone_open(struct clone* c, zx_handle_t parent, uint64_t offset) {
    zx_status_t status = zx_vmo_create_child(
        parent, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE | ZX_VMO_CHILD_RESIZABLE, offset * PAGE,
        WINDOW * PAGE, &c->vmo);
    EXPECT(status == ZX_OK || status == ZX_ERR_BAD_STATE);
    if (status == ZX_OK) {
        c->at = map(c->vmo, WINDOW);
    }
    return status == ZX_OK;
}

static void clone_close(struct clone* c) {
    unmap(c->at, WINDOW);
    EXPECT_CLOSE(c->vmo);
}

static void clone_resize(struct clone* c, uint64_t pages) {
    EXPECT_OK(zx_vmo_set_size(c->vmo, pages * PAGE));
    for (uint64_t i = pages < c->pages ? pages : c->pages; i < WINDOW; i++) {
        clone_set(c, i, 0);
    }
    c->pages = pages;
}

static void clone_step(struct clone* c, struct actor* a) {
    uint64_t i = next_random(a, c->pages);
    uint64_t word = 0xc10e'0000'0000'0000 + a->seed % (1 << 30);
    zx_handle_t root = zx_vmar_root_self();
    switch (next_random(a, 8)) {
    case 0:
        *at_page(c->at, i) = word;
        clone_set(c, i, word);
        break;
    case 1:
        write_word(c->vmo, i, word);
        clone_set(c, i, word);
        break;
    case 2:
        EXPECT_OK(zx_vmo_op_range(c->vmo, ZX_VMO_OP_ZERO, i * PAGE, PAGE, nullptr, 0));
        clone_set(c, i, 0);
        break;
    case 3: // cuts the mapping in three
        EXPECT_OK(zx_vmar_protect(root, ZX_VM_PERM_READ, c->at + i * PAGE, PAGE));
        clone_check(c, a, i);
        EXPECT_OK(zx_vmar_protect(root, READ_WRITE, c->at + i * PAGE, PAGE));
        break;
    case 4: { // takes a piece out, and puts it back
        zx_vaddr_t at;
        zx_info_vmar_t info;
        EXPECT_OK(zx_object_get_info(root, ZX_INFO_VMAR, &info, sizeof(info), nullptr, nullptr));
        EXPECT_OK(zx_vmar_map(root, READ_WRITE | ZX_VM_ALLOW_FAULTS | ZX_VM_SPECIFIC_OVERWRITE,
                              c->at + i * PAGE - info.base, c->vmo, i * PAGE, PAGE, &at));
        break;
    }
    case 5:
        clone_resize(c, 1 + next_random(a, WINDOW));
        break;
    case 6:
        EXPECT_OK(zx_vmo_op_range(c->vmo, ZX_VMO_OP_DONT_NEED, 0, c->pages * PAGE, nullptr, 0));
        break;
    default:
        clone_check(c, a, i);
        break;
    }
}

static void make_clones(void* arg) {
    struct actor* a = arg;
    for (uint64_t round = 0; round < ROUNDS / 15; round++) {
        struct clone c = {.first = next_random(a, HEAD - WINDOW), .pages = WINDOW};
        if (!clone_open(&c, file.vmo, c.first)) {
            continue;
        }
        for (int i = 0; i < 12; i++) {
            clone_step(&c, a);
        }
        // A clone of the clone has what the clone has now, whatever becomes of that.
        struct clone second = c;
        EXPECT(clone_open(&second, c.vmo, 0));
        second.pages = WINDOW;
        for (uint64_t i = c.pages; i < WINDOW; i++) {
            clone_set(&second, i, 0);
        }
        for (int i = 0; i < 12; i++) {
            clone_step(&c, a);
            clone_step(&second, a);
        }
        for (uint64_t i = 0; i < WINDOW; i++) {
            clone_check(&c, a, i);
        }
        clone_close(&c);
        for (uint64_t i = 0; i < WINDOW; i++) {
            clone_check(&second, a, i);
        }
        clone_close(&second);
    }
}

// ---- who cuts and grows the tail ----

static void resize_tail(void* arg) {
    struct actor* a = arg;
    uint64_t words[TAIL] = {};
    uint64_t pages = 0;
    zx_vaddr_t at = map(file.vmo, HEAD + TAIL);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        if (pages == 0 || next_random(a, 4) == 0) {
            uint64_t now = next_random(a, TAIL + 1);
            EXPECT_OK(zx_vmo_set_size(file.vmo, (HEAD + now) * PAGE));
            for (uint64_t p = now; p < TAIL; p++) {
                words[p] = 0;
            }
            pages = now;
            continue;
        }
        uint64_t p = next_random(a, pages);
        volatile uint64_t* mapped = at_page(at, HEAD + p);
        EXPECT_EQ(next_random(a, 2) != 0 ? *mapped : read_word(file.vmo, HEAD + p), words[p]);
        if (next_random(a, 2) != 0) {
            words[p] = word_of(HEAD + p, i + 1);
            if (next_random(a, 2) != 0) {
                *mapped = words[p];
            } else {
                write_word(file.vmo, HEAD + p, words[p]);
            }
        }
    }
    unmap(at, HEAD + TAIL);
}

// ---- who pins, and who takes memory ----

static zx_handle_t part(uint64_t base) {
    zx_handle_t all = utest_startup_peek(PA_HND(PA_SYSTEM_RESOURCE, 0));
    zx_handle_t out;
    if (all == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    EXPECT_OK(zx_resource_create(all, ZX_RSRC_KIND_SYSTEM, base, 1, "part", 4, &out));
    return out;
}

static zx_handle_t make_bti(void) {
    zx_handle_t resource = part(ZX_RSRC_SYSTEM_IOMMU_BASE);
    zx_iommu_desc_dummy_t desc = {};
    zx_handle_t iommu;
    zx_handle_t bti;
    EXPECT_OK(zx_iommu_create(resource, ZX_IOMMU_TYPE_DUMMY, &desc, sizeof(desc), &iommu));
    EXPECT_OK(zx_bti_create(iommu, 0, 0xffff'ffff'0000'0077, &bti));
    EXPECT_CLOSE(iommu);
    EXPECT_CLOSE(resource);
    return bti;
}

// A page that is pinned stays where it is, and what it is.
static void pin_pages(void* arg) {
    struct actor* a = arg;
    zx_handle_t bti = make_bti();
    for (uint64_t i = 0; i < ROUNDS / 4; i++) {
        uint64_t page = next_random(a, HEAD);
        uint32_t how =
            next_random(a, 2) != 0 ? ZX_BTI_PERM_READ : ZX_BTI_PERM_READ | ZX_BTI_PERM_WRITE;
        zx_handle_t first;
        zx_handle_t second;
        zx_paddr_t before;
        zx_paddr_t after;
        EXPECT_OK(zx_bti_pin(bti, how, file.vmo, page * PAGE, PAGE, &before, 1, &first));
        uint64_t generation = generation_of(page, *at_page(file.head, page));
        EXPECT_OK(zx_vmo_op_range(file.vmo, ZX_VMO_OP_DONT_NEED, 0, HEAD * PAGE, nullptr, 0));
        zx_thread_legacy_yield(0);
        EXPECT_OK(
            zx_bti_pin(bti, ZX_BTI_PERM_READ, file.vmo, page * PAGE, PAGE, &after, 1, &second));
        EXPECT_EQ(before, after);
        EXPECT(generation_of(page, *at_page(file.head, page)) >= generation);
        EXPECT_OK(zx_pmt_unpin(first));
        EXPECT_OK(zx_pmt_unpin(second));
    }
    EXPECT_CLOSE(bti);
}

static _Atomic(bool) enough;

static uint64_t evicted(void) {
    zx_handle_t info = part(ZX_RSRC_SYSTEM_INFO_BASE);
    zx_info_paging_t stats;
    EXPECT_OK(zx_object_get_info(info, ZX_INFO_PAGING, &stats, sizeof(stats), nullptr, nullptr));
    EXPECT_CLOSE(info);
    return stats.evicted_pages;
}

static zx_handle_t hog;
static uint64_t hog_end;

static uint64_t free_bytes(zx_handle_t info) {
    zx_info_kmem_stats_t stats;
    EXPECT_OK(
        zx_object_get_info(info, ZX_INFO_KMEM_STATS, &stats, sizeof(stats), nullptr, nullptr));
    return stats.free_bytes;
}

// Takes memory until there is little more than eviction's mark, a 32nd of all, or 16 MiB.
static void fill_memory(void) {
    zx_handle_t info = part(ZX_RSRC_SYSTEM_INFO_BASE);
    uint64_t mark = zx_system_get_physmem() / 32;
    mark = mark < 4096 * PAGE ? mark : 4096 * PAGE;
    for (; free_bytes(info) > mark + 256 * PAGE; hog_end += 64 * PAGE) {
        EXPECT_OK(zx_vmo_op_range(hog, ZX_VMO_OP_COMMIT, hog_end, 64 * PAGE, nullptr, 0));
    }
    EXPECT_CLOSE(info);
}

static uint64_t evicted_before; // what it was when all began

// Until the others are done, and eviction has taken something: the kernel looks twice a second.
static void squeeze(void* arg) {
    (void)arg;
    while (!atomic_load(&enough) || evicted() == evicted_before) {
        fill_memory(); // a large VMO that was closed before goes by and by
        zx_handle_t vmo = utest_vmo(512 * PAGE);
        EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, 512 * PAGE, nullptr, 0));
        EXPECT_CLOSE(vmo);
        utest_sleep_ms(1);
    }
}

// ---- all of it ----

static void open_file(uint32_t options) {
    for (uint64_t page = 0; page < HEAD + TAIL; page++) {
        stored[page] = page < HEAD ? word_of(page, 0) : 0;
    }
    file.port = utest_port();
    EXPECT_OK(zx_pager_create(0, &file.pager));
    EXPECT_OK(zx_pager_create_vmo(file.pager, options | ZX_VMO_RESIZABLE, file.port, 1, HEAD * PAGE,
                                  &file.vmo));
    file.aux = utest_vmo(SUPPLY * PAGE);
    file.window = map(file.aux, SUPPLY);
    file.head = map(file.vmo, HEAD);
}

static void close_file(void) {
    unmap(file.window, SUPPLY);
    unmap(file.head, HEAD);
    EXPECT_CLOSE(file.aux);
    EXPECT_CLOSE(file.vmo);
    EXPECT_CLOSE(file.pager);
    EXPECT_CLOSE(file.port);
}

// However long it takes: utest_thread_join() is for threads that are at their end.
static void join(struct actor* a) {
    EXPECT_OK(
        zx_object_wait_one(a->thread.handle, ZX_THREAD_TERMINATED, ZX_TIME_INFINITE, nullptr));
    utest_thread_join(&a->thread);
}

static void run(uint32_t options, uint64_t seed) {
    static void (*const acts[])(void*) = {serve,       write_head, write_head, make_clones,
                                          make_clones, pin_pages,  squeeze,    resize_tail};
    constexpr size_t count = sizeof(acts) / sizeof(acts[0]);
    struct actor actors[count];
    hog = utest_vmo((uint64_t)1 << 40);
    hog_end = 0;
    fill_memory();
    open_file(options);
    atomic_store(&enough, false);
    evicted_before = evicted();
    for (size_t i = 0; i < count; i++) {
        actors[i] = (struct actor){.number = i == 2, .seed = seed * 1000 + i};
        utest_thread_start(&actors[i].thread, acts[i], &actors[i]);
    }
    for (size_t i = 1; i < count; i++) {
        if (acts[i] != squeeze) {
            join(&actors[i]);
        }
    }
    atomic_store(&enough, true);
    for (size_t i = 0; i < count; i++) {
        if (acts[i] == squeeze) {
            join(&actors[i]);
        }
    }
    zx_port_packet_t stop = {};
    EXPECT_OK(zx_port_queue(file.port, &stop));
    join(&actors[0]);
    close_file();
    EXPECT_CLOSE(hog);
}

CASE_WITHIN(everything_at_once, 120) {
    run(0, 1);
}

CASE_WITHIN(everything_at_once_with_leave, 120) {
    run(ZX_VMO_TRAP_DIRTY, 2);
}

// ---- pages that move between VMOs ----

constexpr uint64_t SHELF = 96; // pages of each of the two
constexpr uint64_t TAG = 0x7a0e'0000'0000'0000;

static struct {
    zx_handle_t vmo[2];
    zx_vaddr_t at[2];
} shelf;

static void read_shelves(void* arg) {
    struct actor* a = arg;
    while (!atomic_load(&enough)) {
        uint64_t word = *at_page(shelf.at[next_random(a, 2)], next_random(a, SHELF));
        EXPECT(word == 0 || (word & TAG) == TAG);
    }
}

static void check_snapshot(zx_handle_t* child, const uint64_t words[]) {
    for (uint64_t page = 0; *child != ZX_HANDLE_INVALID && page < SHELF; page++) {
        EXPECT_EQ(read_word(*child, page), words[page]);
    }
    if (*child != ZX_HANDLE_INVALID) {
        EXPECT_CLOSE(*child);
        *child = ZX_HANDLE_INVALID;
    }
}

static void move_pages(struct actor* a, uint64_t words[2][SHELF]) {
    uint64_t from = next_random(a, 2);
    uint64_t to = next_random(a, 4) == 0 ? from : 1 - from;
    uint64_t n = 1 + next_random(a, SHELF / 2);
    uint64_t first = next_random(a, SHELF / 2 - n + 1);
    uint64_t there = SHELF / 2 + next_random(a, SHELF / 2 - n + 1); // never overlaps
    if (next_random(a, 2) != 0) {
        uint64_t other = first;
        first = there;
        there = other;
    }
    EXPECT_OK(zx_vmo_transfer_data(shelf.vmo[to], 0, there * PAGE, n * PAGE, shelf.vmo[from],
                                   first * PAGE));
    for (uint64_t i = 0; i < n; i++) {
        words[to][there + i] = words[from][first + i];
        words[from][first + i] = 0;
    }
}

CASE_WITHIN(pages_move_while_read, 120) {
    struct actor readers[2];
    struct actor self = {.seed = 99};
    static uint64_t words[2][SHELF];
    static uint64_t frozen[SHELF];
    zx_handle_t child = ZX_HANDLE_INVALID;
    for (int i = 0; i < 2; i++) {
        shelf.vmo[i] = utest_vmo(SHELF * PAGE);
        shelf.at[i] = map(shelf.vmo[i], SHELF);
    }
    atomic_store(&enough, false);
    for (uint64_t i = 0; i < 2; i++) {
        readers[i] = (struct actor){.seed = i + 7};
        utest_thread_start(&readers[i].thread, read_shelves, &readers[i]);
    }
    for (uint64_t i = 0; i < 5 * ROUNDS; i++) {
        uint64_t which = next_random(&self, 2);
        uint64_t page = next_random(&self, SHELF);
        EXPECT_EQ(*at_page(shelf.at[which], page), words[which][page]);
        EXPECT_EQ(read_word(shelf.vmo[which], page), words[which][page]);
        words[which][page] = TAG + i;
        *at_page(shelf.at[which], page) = TAG + i;
        move_pages(&self, words);
        if (i % 32 == 0) {
            check_snapshot(&child, frozen);
            memcpy(frozen, words[0], sizeof(frozen));
            EXPECT_OK(
                zx_vmo_create_child(shelf.vmo[0], ZX_VMO_CHILD_SNAPSHOT, 0, SHELF * PAGE, &child));
        }
    }
    check_snapshot(&child, frozen);
    atomic_store(&enough, true);
    for (int i = 0; i < 2; i++) {
        join(&readers[i]);
        unmap(shelf.at[i], SHELF);
        EXPECT_CLOSE(shelf.vmo[i]);
    }
}
