// Paging under pressure: a synthetic file served by a process of its own, read, written and mapped
// by several threads while memory is short, and while the pager is killed, detached, or resizes.
#include <utest/utest.h>

#include <stdatomic.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/processargs.h>
#include <zircon/syscalls/port.h>
#include <zircon/syscalls/resource.h>

GROUP("paging");

constexpr uint64_t PAGE = 4096;
constexpr uint64_t MIB = 1 << 20;
constexpr uint64_t SUPPLY = 64; // pages supplied at once

// ---- the pager ----

struct order {
    uint64_t size;
    uint32_t options;
    bool waits; // for a signal on its channel, before it serves
};

static uint64_t word_of(uint64_t page, uint64_t generation) {
    return (page + 1) * 0x9e3779b97f4a7c15 + generation;
}

struct served {
    zx_handle_t pager, port, vmo, aux;
    zx_vaddr_t window;     // of aux
    uint32_t* generations; // what was written back last; null: nothing is written
};

static void* map_new(uint64_t size, zx_handle_t* vmo) {
    zx_vaddr_t at = 0;
    EXPECT_OK(zx_vmo_create(size, 0, vmo));
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, *vmo, 0, size,
                          &at));
    return (void*)at;
}

static void served_open(struct served* s, uint64_t size, uint32_t options) {
    *s = (struct served){};
    EXPECT_OK(zx_pager_create(0, &s->pager));
    EXPECT_OK(zx_port_create(0, &s->port));
    EXPECT_OK(zx_pager_create_vmo(s->pager, options, s->port, 1, size, &s->vmo));
    s->window = (zx_vaddr_t)map_new(SUPPLY * PAGE, &s->aux);
    if ((options & ZX_VMO_TRAP_DIRTY) != 0) {
        zx_handle_t table;
        s->generations = map_new(size / PAGE * sizeof(uint32_t), &table);
        EXPECT_CLOSE(table);
    }
}

static void give(struct served* s, uint64_t page, uint64_t count) {
    for (uint64_t done = 0; done < count;) {
        uint64_t n = count - done < SUPPLY ? count - done : SUPPLY;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t p = page + done + i;
            volatile uint64_t* words = (volatile uint64_t*)(s->window + i * PAGE);
            words[0] = words[511] = word_of(p, s->generations != nullptr ? s->generations[p] : 0);
        }
        zx_status_t status =
            zx_pager_supply_pages(s->pager, s->vmo, (page + done) * PAGE, n * PAGE, s->aux, 0);
        if (status != ZX_OK) {
            // The file ended there meanwhile, or is not ours any more.
            EXPECT(status == ZX_ERR_OUT_OF_RANGE || status == ZX_ERR_BAD_STATE);
            EXPECT_OK(zx_vmo_op_range(s->aux, ZX_VMO_OP_DECOMMIT, 0, SUPPLY * PAGE, nullptr, 0));
            return;
        }
        done += n;
    }
}

// Saves what is dirty.
static void write_back(struct served* s) {
    uint64_t size;
    EXPECT_OK(zx_vmo_get_size(s->vmo, &size));
    zx_vmo_dirty_range_t ranges[16];
    size_t n;
    EXPECT_OK(zx_pager_query_dirty_ranges(s->pager, s->vmo, 0, size, ranges, sizeof(ranges), &n,
                                          nullptr));
    for (size_t i = 0; i < n; i++) {
        uint64_t at = ranges[i].offset;
        EXPECT_OK(zx_pager_op_range(s->pager, ZX_PAGER_OP_WRITEBACK_BEGIN, s->vmo, at,
                                    ranges[i].length, 0));
        for (uint64_t p = at / PAGE; p < (at + ranges[i].length) / PAGE; p++) {
            uint64_t word;
            EXPECT_OK(zx_vmo_read(s->vmo, &word, p * PAGE, sizeof(word)));
            s->generations[p] = (uint32_t)(word - word_of(p, 0));
        }
        EXPECT_OK(zx_pager_op_range(s->pager, ZX_PAGER_OP_WRITEBACK_END, s->vmo, at,
                                    ranges[i].length, 0));
    }
}

// Until the VMO is gone or detached.
static void serve(struct served* s) {
    uint32_t dirtied = 0;
    for (;;) {
        zx_port_packet_t p;
        EXPECT_OK(zx_port_wait(s->port, ZX_TIME_INFINITE, &p));
        if (p.type != ZX_PKT_TYPE_PAGE_REQUEST || p.page_request.command == ZX_PAGER_VMO_COMPLETE) {
            return;
        }
        if (p.page_request.command == ZX_PAGER_VMO_READ) {
            give(s, p.page_request.offset / PAGE, p.page_request.length / PAGE);
            continue;
        }
        zx_status_t status = zx_pager_op_range(s->pager, ZX_PAGER_OP_DIRTY, s->vmo,
                                               p.page_request.offset, p.page_request.length, 0);
        EXPECT(status == ZX_OK || status == ZX_ERR_OUT_OF_RANGE);
        if (++dirtied % 64 == 0) {
            write_back(s);
        }
    }
}

CHILD(pager) {
    struct order order;
    uint32_t n;
    (void)zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr);
    if (zx_channel_read(channel, 0, &order, nullptr, sizeof(order), 0, &n, nullptr) != ZX_OK) {
        return 1;
    }
    struct served s;
    served_open(&s, order.size, order.options);
    zx_handle_t copy;
    EXPECT_OK(zx_handle_duplicate(s.vmo, ZX_RIGHT_SAME_RIGHTS, &copy));
    if (zx_channel_write(channel, 0, "v", 1, &copy, 1) != ZX_OK) {
        return 2;
    }
    if (order.waits) {
        (void)zx_object_wait_one(channel, ZX_USER_SIGNAL_0, ZX_TIME_INFINITE, nullptr);
    }
    serve(&s);
    return 0;
}

struct file {
    struct utest_child pager;
    zx_handle_t vmo;
    uint64_t pages;
};

// ---- the machine ----

static zx_handle_t part(uint64_t base) {
    zx_handle_t out;
    EXPECT_OK(zx_resource_create(utest_startup_peek(PA_HND(PA_SYSTEM_RESOURCE, 0)),
                                 ZX_RSRC_KIND_SYSTEM, base, 1, "test", 4, &out));
    return out;
}

static uint64_t free_bytes(void) {
    zx_handle_t info = part(ZX_RSRC_SYSTEM_INFO_BASE);
    zx_info_kmem_stats_t stats;
    EXPECT_OK(
        zx_object_get_info(info, ZX_INFO_KMEM_STATS, &stats, sizeof(stats), nullptr, nullptr));
    EXPECT_CLOSE(info);
    return stats.free_bytes;
}

static zx_info_paging_t paging(void) {
    zx_handle_t info = part(ZX_RSRC_SYSTEM_INFO_BASE);
    zx_info_paging_t stats;
    EXPECT_OK(zx_object_get_info(info, ZX_INFO_PAGING, &stats, sizeof(stats), nullptr, nullptr));
    EXPECT_CLOSE(info);
    return stats;
}

// Takes memory until so much is free.
static zx_handle_t leave_free(uint64_t bytes) {
    zx_handle_t hog = utest_vmo((uint64_t)8 << 30);
    for (uint64_t at = 0; free_bytes() > bytes; at += MIB) {
        EXPECT_OK(zx_vmo_op_range(hog, ZX_VMO_OP_COMMIT, at, MIB, nullptr, 0));
    }
    return hog;
}

// ---- a file, and the process that serves it from the system's reserve ----

static struct file open_file_of(struct order order) {
    uint64_t size = order.size;
    struct file f = {.pages = size / PAGE};
    zx_handle_t job;
    zx_handle_t profiles = part(ZX_RSRC_SYSTEM_PROFILE_BASE);
    EXPECT_OK(zx_job_create(zx_job_default(), 0, &job));
    EXPECT_OK(zx_job_allow_reserve(job, profiles));
    utest_child_start(&f.pager, "pager", job);
    EXPECT_STATUS(zx_job_allow_reserve(job, profiles), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(profiles);
    EXPECT_CLOSE(job);
    char said;
    uint32_t n;
    EXPECT_OK(zx_channel_write(f.pager.channel, 0, &order, sizeof(order), nullptr, 0));
    EXPECT_OK(
        zx_object_wait_one(f.pager.channel, ZX_CHANNEL_READABLE, utest_after_ms(20000), nullptr));
    EXPECT_OK(zx_channel_read(f.pager.channel, 0, &said, &f.vmo, 1, 1, &n, &n));
    return f;
}

static struct file open_file(uint64_t size, uint32_t options) {
    return open_file_of((struct order){.size = size, .options = options});
}

static void close_file(struct file* f) {
    EXPECT_CLOSE(f->vmo);
    EXPECT_OK(zx_task_kill(f->pager.process));
    EXPECT_EQ(utest_child_join(&f->pager), ZX_TASK_RETCODE_SYSCALL_KILL);
}

static void expect_page(const struct file* f, uint64_t page) {
    uint64_t word;
    EXPECT_OK(zx_vmo_read(f->vmo, &word, page * PAGE + PAGE - sizeof(word), sizeof(word)));
    EXPECT_EQ(word, word_of(page, 0));
}

static void read_through(const struct file* f) {
    for (uint64_t page = 0; page < f->pages; page += 64) {
        EXPECT_OK(zx_vmo_op_range(f->vmo, ZX_VMO_OP_PREFETCH, page * PAGE, 64 * PAGE, nullptr, 0));
        expect_page(f, page + 63);
    }
}

static zx_vaddr_t map_file(const struct file* f) {
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(),
                          ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_ALLOW_FAULTS, 0, f->vmo, 0,
                          f->pages * PAGE, &at));
    return at;
}

static uint64_t committed(zx_handle_t vmo) {
    zx_info_vmo_t info;
    EXPECT_OK(zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr));
    return info.committed_bytes / PAGE;
}

// ---- eviction ----

CASE_WITHIN(clean_pages_make_room, 120) {
    zx_handle_t hog = leave_free(28 * MIB);
    struct file f = open_file(32 * MIB, 0);
    zx_vaddr_t at = map_file(&f);
    zx_info_paging_t before = paging();
    // Written to, or always needed: these stay.
    uint64_t mine = 4711;
    EXPECT_OK(zx_vmo_op_range(f.vmo, ZX_VMO_OP_PREFETCH, 0, 8 * PAGE, nullptr, 0));
    EXPECT_OK(zx_vmo_write(f.vmo, &mine, 2 * PAGE, sizeof(mine)));
    *(volatile uint64_t*)(at + 5 * PAGE) = mine;
    EXPECT_OK(zx_vmo_op_range(f.vmo, ZX_VMO_OP_ALWAYS_NEED, 7 * PAGE, PAGE, nullptr, 0));
    read_through(&f);
    read_through(&f);
    zx_info_paging_t after = paging();
    EXPECT(after.evicted_pages - before.evicted_pages >= f.pages / 2);
    EXPECT(after.supplied_pages - before.supplied_pages > f.pages);
    EXPECT(committed(f.vmo) < f.pages);
    EXPECT(free_bytes() > 4 * MIB);
    uint64_t word;
    EXPECT_OK(zx_vmo_read(f.vmo, &word, 2 * PAGE, sizeof(word)));
    EXPECT_EQ(word, mine);
    EXPECT_EQ(*(volatile uint64_t*)(at + 5 * PAGE), mine);
    // A mapping sees what came back.
    for (uint64_t page = 100; page < f.pages; page += 1000) {
        EXPECT_EQ(*(volatile uint64_t*)(at + page * PAGE), word_of(page, 0));
    }
    // Memory for others: a program that wants more than is free gets it from the file's pages.
    zx_handle_t wish = utest_vmo(12 * MIB);
    read_through(&f);
    EXPECT_OK(zx_vmo_op_range(wish, ZX_VMO_OP_COMMIT, 0, 12 * MIB, nullptr, 0));
    EXPECT_CLOSE(wish);
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, f.pages * PAGE));
    EXPECT_CLOSE(hog);
    close_file(&f);
}

CASE_WITHIN(no_memory_in_the_end, 120) {
    // With nothing to evict, waiting is bounded.
    zx_handle_t hog = utest_vmo((uint64_t)8 << 30);
    zx_status_t status = ZX_OK;
    for (uint64_t at = 0; status == ZX_OK; at += MIB) {
        status = zx_vmo_op_range(hog, ZX_VMO_OP_COMMIT, at, MIB, nullptr, 0);
    }
    EXPECT_STATUS(status, ZX_ERR_NO_MEMORY);
    EXPECT_CLOSE(hog);
}

// Memory that nobody has locked goes before anybody is refused; what is locked stays.
CASE_WITHIN(unlocked_memory_goes, 120) {
    constexpr uint64_t size = 8 * MIB;
    zx_handle_t vmo[2];
    zx_vmo_lock_state_t state;
    uint64_t word = 4711;
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(zx_vmo_create(size, ZX_VMO_DISCARDABLE, &vmo[i]));
        EXPECT_OK(zx_vmo_op_range(vmo[i], ZX_VMO_OP_LOCK, 0, size, &state, sizeof(state)));
        EXPECT_EQ(state.discarded_size, 0);
        EXPECT_OK(zx_vmo_op_range(vmo[i], ZX_VMO_OP_COMMIT, 0, size, nullptr, 0));
        EXPECT_OK(zx_vmo_write(vmo[i], &word, 100 * PAGE, sizeof(word)));
    }
    EXPECT_OK(zx_vmo_op_range(vmo[0], ZX_VMO_OP_UNLOCK, 0, size, nullptr, 0));
    zx_handle_t hog = utest_vmo((uint64_t)8 << 30);
    zx_status_t status = ZX_OK;
    for (uint64_t at = 0; status == ZX_OK; at += MIB) {
        status = zx_vmo_op_range(hog, ZX_VMO_OP_COMMIT, at, MIB, nullptr, 0);
    }
    EXPECT_STATUS(status, ZX_ERR_NO_MEMORY);
    EXPECT_EQ(committed(vmo[0]), 0);
    EXPECT_EQ(committed(vmo[1]), size / PAGE);
    EXPECT_CLOSE(hog);
    EXPECT_STATUS(zx_vmo_read(vmo[0], &word, 0, sizeof(word)), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(zx_vmo_op_range(vmo[0], ZX_VMO_OP_TRY_LOCK, 0, size, nullptr, 0),
                  ZX_ERR_UNAVAILABLE);
    EXPECT_OK(zx_vmo_op_range(vmo[0], ZX_VMO_OP_LOCK, 0, size, &state, sizeof(state)));
    EXPECT_EQ(state.discarded_offset, 0);
    EXPECT_EQ(state.discarded_size, size);
    EXPECT_OK(zx_vmo_read(vmo[0], &word, 100 * PAGE, sizeof(word)));
    EXPECT_EQ(word, 0);
    EXPECT_OK(zx_vmo_read(vmo[1], &word, 100 * PAGE, sizeof(word)));
    EXPECT_EQ(word, 4711);
    EXPECT_CLOSE(vmo[0]);
    EXPECT_CLOSE(vmo[1]);
}

// ---- pressure ----

// Free bytes below which eviction works; programs have half of that left then.
static uint64_t reclaim_mark(void) {
    uint64_t mark = zx_system_get_physmem() / 32;
    return mark < 16 * MIB ? mark : 16 * MIB;
}

// Commits from `at` on until there is less than the mark; where it ended.
static uint64_t keep_short(zx_handle_t hog, uint64_t at) {
    for (; free_bytes() > reclaim_mark() * 7 / 8; at += 16 * PAGE) {
        EXPECT_OK(zx_vmo_op_range(hog, ZX_VMO_OP_COMMIT, at, 16 * PAGE, nullptr, 0));
    }
    return at;
}

// Eviction that found nothing looks again: what was dirty is clean now, and nobody allocates.
CASE_WITHIN(pages_written_back_go, 120) {
    constexpr uint64_t pages = 1024;
    struct served s;
    served_open(&s, pages * PAGE, 0);
    give(&s, 0, pages);
    for (uint64_t p = 0; p < pages; p++) {
        EXPECT_OK(zx_vmo_write(s.vmo, &p, p * PAGE, sizeof(p)));
    }
    zx_handle_t hog = utest_vmo((uint64_t)8 << 30);
    uint64_t at = 0;
    do { // what others have may go at first
        at = keep_short(hog, at);
        utest_sleep_ms(300);
    } while (free_bytes() > reclaim_mark() * 7 / 8);
    EXPECT_EQ(committed(s.vmo), pages);
    EXPECT_OK(zx_pager_op_range(s.pager, ZX_PAGER_OP_WRITEBACK_BEGIN, s.vmo, 0, pages * PAGE, 0));
    EXPECT_OK(zx_pager_op_range(s.pager, ZX_PAGER_OP_WRITEBACK_END, s.vmo, 0, pages * PAGE, 0));
    while (committed(s.vmo) == pages) { // the case's limit ends it
        utest_sleep_ms(20);
        at = keep_short(hog, at); // a large VMO that was closed before goes by and by
    }
    EXPECT_CLOSE(hog);
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), s.window, SUPPLY * PAGE));
    EXPECT_CLOSE(s.aux);
    EXPECT_CLOSE(s.vmo);
    EXPECT_CLOSE(s.port);
    EXPECT_CLOSE(s.pager);
}

static bool at_level(zx_handle_t event) {
    return utest_signals(event, ZX_EVENT_SIGNALED) != 0;
}

static void wait_for_level(zx_handle_t event) {
    EXPECT_OK(zx_object_wait_one(event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr));
}

CASE_WITHIN(pressure_comes_and_goes, 240) {
    zx_handle_t root = utest_startup_peek(PA_HND(PA_USER0, 0)); // GRANTED_ROOT_JOB
    if (zx_system_get_physmem() > 64 * MIB || root == ZX_HANDLE_INVALID) {
        utest_skip("for a machine of 64 MiB, with the root job");
    }
    zx_handle_t normal;
    zx_handle_t warning;
    EXPECT_OK(zx_system_get_event(root, ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL, &normal));
    EXPECT_OK(zx_system_get_event(root, ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING, &warning));
    wait_for_level(normal);
    // Memory full of a file's pages: eviction works, and then there is no pressure.
    struct file f = open_file(96 * MIB, 0);
    zx_info_paging_t before = paging();
    read_through(&f);
    EXPECT(paging().evicted_pages - before.evicted_pages > f.pages / 4);
    wait_for_level(normal);
    uint64_t filled = committed(f.vmo);
    EXPECT(filled > 16 * MIB / PAGE);
    // A program that takes all: the file's pages go, and then there is no more.
    zx_handle_t hog = utest_vmo(64 * MIB);
    zx_status_t status = ZX_OK;
    uint64_t end = 0;
    for (; status == ZX_OK; end += PAGE) {
        status = zx_vmo_op_range(hog, ZX_VMO_OP_COMMIT, end, PAGE, nullptr, 0);
    }
    EXPECT_STATUS(status, ZX_ERR_NO_MEMORY);
    EXPECT(committed(f.vmo) < filled / 8);
    while (at_level(normal) || at_level(warning)) {
        utest_sleep_ms(5);
    }
    // As it gives some back, there is less pressure. The kernel looks twice a second.
    while (!at_level(warning)) {
        EXPECT(!at_level(normal));
        end -= 16 * PAGE;
        EXPECT_OK(zx_vmo_op_range(hog, ZX_VMO_OP_DECOMMIT, end, 16 * PAGE, nullptr, 0));
        utest_sleep_ms(600);
    }
    EXPECT_CLOSE(hog);
    wait_for_level(normal);
    read_through(&f); // and its pages come back
    close_file(&f);
    EXPECT_CLOSE(normal);
    EXPECT_CLOSE(warning);
}

// ---- memory of the kernel ----

// Takes what it can get in page tables: places that lie far apart are looked at, each of which
// shows the page of zeroes.
static void use_tables(zx_handle_t scratch) {
    constexpr uint64_t table = 2 * MIB;
    constexpr uint64_t most = (uint64_t)1 << 42;
    zx_handle_t sparse = utest_vmo(most);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ, 0, sparse, 0, most, &at));
    EXPECT_CLOSE(sparse);
    zx_status_t status = ZX_OK;
    for (uint64_t i = 0; status == ZX_OK && i < most / table; i++) {
        status = zx_vmo_write(scratch, (void*)(at + i * table), 0, 8);
    }
    EXPECT_STATUS(status, ZX_ERR_NO_MEMORY);
}

// And in messages.
static void use_messages(const struct utest_pair pairs[], size_t count) {
    static uint8_t bytes[4096];
    for (uint32_t size = sizeof(bytes); size >= 64; size /= 4) {
        for (size_t i = 0; i < count; i++) {
            while (zx_channel_write(pairs[i].a, 0, bytes, size, nullptr, 0) == ZX_OK) {
            }
        }
    }
}

CHILD(hog_of_kernel_memory) {
    zx_handle_t scratch = utest_vmo(PAGE);
    struct utest_pair pairs[32];
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        pairs[i] = utest_channel();
    }
    use_tables(scratch);
    use_messages(pairs, sizeof(pairs) / sizeof(pairs[0]));
    (void)zx_object_signal_peer(channel, 0, ZX_USER_SIGNAL_1);
    (void)zx_object_wait_one(channel, ZX_CHANNEL_PEER_CLOSED, ZX_TIME_INFINITE, nullptr);
    return 0;
}

struct waiting {
    struct utest_thread thread;
    const struct file* file;
};

static void read_first_page(void* arg) {
    expect_page(((struct waiting*)arg)->file, 0);
}

// A pager with the reserve answers when a program has taken all memory by way of the kernel.
CASE_WITHIN(kernel_memory_for_the_pager, 120) {
    struct file f = open_file_of((struct order){.size = MIB, .waits = true});
    struct waiting w = {.file = &f};
    utest_thread_start(&w.thread, read_first_page, &w);
    utest_thread_reach(w.thread.handle, ZX_THREAD_STATE_BLOCKED_PAGER);
    struct utest_child hog;
    utest_child_start(&hog, "hog_of_kernel_memory", ZX_HANDLE_INVALID);
    EXPECT_OK(zx_object_wait_one(hog.channel, ZX_USER_SIGNAL_1, ZX_TIME_INFINITE, nullptr));
    EXPECT(free_bytes() >= reclaim_mark() / 5); // half of the user floor, or nearly
    EXPECT_OK(zx_object_signal_peer(f.pager.channel, 0, ZX_USER_SIGNAL_0));
    EXPECT_OK(zx_object_wait_one(w.thread.handle, ZX_THREAD_TERMINATED, ZX_TIME_INFINITE, nullptr));
    EXPECT_OK(zx_task_kill(hog.process));
    EXPECT_EQ(utest_child_join(&hog), ZX_TASK_RETCODE_SYSCALL_KILL);
    utest_thread_join(&w.thread);
    close_file(&f);
}

// ---- several threads ----

struct load {
    struct utest_thread thread;
    const struct file* file;
    zx_vaddr_t at; // 0: by calls
    uint64_t seed;
    uint64_t rounds;
    _Atomic(uint64_t) good, refused;
    zx_status_t refusal; // allowed besides OK
    zx_status_t other;   // likewise
};

static uint64_t next_random(uint64_t* seed) {
    *seed = *seed * 6364136223846793005 + 1442695040888963407;
    return *seed >> 33;
}

static void read_at_random(void* arg) {
    struct load* l = arg;
    for (uint64_t i = 0; i < l->rounds; i++) {
        uint64_t page = next_random(&l->seed) % l->file->pages;
        uint64_t word = 0;
        zx_status_t status = ZX_OK;
        if (l->at != 0) {
            word = *(volatile uint64_t*)(l->at + page * PAGE);
        } else {
            status = zx_vmo_read(l->file->vmo, &word, page * PAGE, sizeof(word));
        }
        if (status == ZX_OK) {
            // What grew again after it was cut off is zero.
            EXPECT(word == word_of(page, 0) || (l->other == ZX_ERR_OUT_OF_RANGE && word == 0));
            atomic_fetch_add(&l->good, 1);
        } else {
            EXPECT(status == l->refusal || status == l->other);
            atomic_fetch_add(&l->refused, 1);
        }
    }
}

static void start_load(struct load l[], size_t count, const struct load* like) {
    for (size_t i = 0; i < count; i++) {
        l[i] = (struct load){.file = like->file,
                             .at = like->at,
                             .seed = i * 7919 + 1,
                             .rounds = like->rounds,
                             .refusal = like->refusal,
                             .other = like->other};
        utest_thread_start(&l[i].thread, read_at_random, &l[i]);
    }
}

CASE_WITHIN(threads_fault_while_pages_go, 120) {
    zx_handle_t hog = leave_free(28 * MIB);
    struct file f = open_file(32 * MIB, 0);
    struct load mapped[2];
    struct load called[2];
    zx_vaddr_t at = map_file(&f);
    start_load(mapped, 2, &(struct load){.file = &f, .at = at, .rounds = 1500});
    start_load(called, 2, &(struct load){.file = &f, .rounds = 1500});
    for (int i = 0; i < 2; i++) {
        utest_thread_join(&mapped[i].thread);
        utest_thread_join(&called[i].thread);
        EXPECT_EQ(mapped[i].good + called[i].good, 3000);
    }
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, f.pages * PAGE));
    EXPECT_CLOSE(hog);
    close_file(&f);
}

CASE_WITHIN(pager_killed_in_the_middle, 60) {
    struct file f = open_file(32 * MIB, 0);
    struct load l[4];
    start_load(l, 4, &(struct load){.file = &f, .rounds = 20000, .refusal = ZX_ERR_BAD_STATE});
    while (atomic_load(&l[0].good) < 20) {
        utest_sleep_ms(1);
    }
    EXPECT_OK(zx_task_kill(f.pager.process));
    EXPECT_EQ(utest_child_join(&f.pager), ZX_TASK_RETCODE_SYSCALL_KILL);
    for (int i = 0; i < 4; i++) {
        utest_thread_join(&l[i].thread);
        EXPECT_EQ(l[i].good + l[i].refused, 20000);
    }
    EXPECT(l[0].refused + l[1].refused + l[2].refused + l[3].refused > 0);
    EXPECT_CLOSE(f.vmo);
}

CASE_WITHIN(resizes_and_detaches_race, 60) {
    for (int round = 0; round < 3; round++) {
        struct file f = open_file(4 * MIB, ZX_VMO_RESIZABLE);
        struct load l[3];
        start_load(l, 3,
                   &(struct load){.file = &f,
                                  .rounds = 1000,
                                  .refusal = ZX_ERR_BAD_STATE,
                                  .other = ZX_ERR_OUT_OF_RANGE});
        for (uint64_t i = 0; i < 100; i++) {
            EXPECT_OK(zx_vmo_set_size(f.vmo, (i * 37 % 1024 + 1) * PAGE));
        }
        EXPECT_OK(zx_task_kill(f.pager.process)); // detaches
        EXPECT_EQ(utest_child_join(&f.pager), ZX_TASK_RETCODE_SYSCALL_KILL);
        for (int i = 0; i < 3; i++) {
            utest_thread_join(&l[i].thread);
        }
        EXPECT_CLOSE(f.vmo);
    }
}

// ---- writers, writeback and eviction at once ----

constexpr uint64_t WRITERS = 3;

struct scribe {
    struct utest_thread thread;
    const struct file* file;
    zx_vaddr_t at;
    uint64_t number;
    uint64_t rounds;
};

// Each writer has pages of its own, and finds in them what it wrote last.
static void write_generations(void* arg) {
    struct scribe* s = arg;
    static uint8_t last[WRITERS][4096];
    uint64_t seed = s->number + 5;
    uint64_t own = s->file->pages / WRITERS;
    for (uint64_t i = 0; i < s->rounds; i++) {
        uint64_t slot = next_random(&seed) % own;
        uint64_t page = slot * WRITERS + s->number;
        volatile uint64_t* mapped = (volatile uint64_t*)(s->at + page * PAGE);
        uint64_t word = 0;
        EXPECT_OK(zx_vmo_read(s->file->vmo, &word, page * PAGE, sizeof(word)));
        EXPECT_EQ(word, word_of(page, last[s->number][slot]));
        if (i % 3 == 0 && last[s->number][slot] < 255) {
            word = word_of(page, ++last[s->number][slot]);
            if (i % 2 == 0) {
                *mapped = word;
            } else {
                EXPECT_OK(zx_vmo_write(s->file->vmo, &word, page * PAGE, sizeof(word)));
            }
        }
    }
}

CASE_WITHIN(nothing_written_is_lost, 120) {
    zx_handle_t hog = leave_free(26 * MIB);
    struct file f = open_file(24 * MIB, ZX_VMO_TRAP_DIRTY);
    zx_vaddr_t at = map_file(&f);
    struct scribe s[WRITERS];
    for (uint64_t i = 0; i < WRITERS; i++) {
        s[i] = (struct scribe){.file = &f, .at = at, .number = i, .rounds = 2000};
        utest_thread_start(&s[i].thread, write_generations, &s[i]);
    }
    for (uint64_t i = 0; i < WRITERS; i++) {
        utest_thread_join(&s[i].thread);
    }
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, f.pages * PAGE));
    EXPECT_CLOSE(hog);
    close_file(&f);
}

// ---- for machines that are small: the system tests start them ----

CASE_WITHIN(a_gibibyte_through_256, 240) {
    if (zx_system_get_physmem() > 256 * MIB) {
        utest_skip("for a machine of 256 MiB");
    }
    struct file f = open_file(1024 * MIB, 0);
    read_through(&f);
    EXPECT(committed(f.vmo) * PAGE < 256 * MIB);
    close_file(&f);
}

CASE_WITHIN(a_mapping_twice_the_machine, 240) {
    if (zx_system_get_physmem() > 64 * MIB) {
        utest_skip("for a machine of 64 MiB");
    }
    struct file f = open_file(128 * MIB, 0);
    zx_vaddr_t at = map_file(&f);
    for (int round = 0; round < 2; round++) {
        for (uint64_t page = 0; page < f.pages; page++) {
            EXPECT_EQ(*(volatile uint64_t*)(at + page * PAGE), word_of(page, 0));
        }
    }
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, f.pages * PAGE));
    close_file(&f);
}
