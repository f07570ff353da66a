// Reading contents: from pages that somebody waits for to pages that are there.
//
// A read is what was asked for at once. It goes through in pieces of EXT2FS_CONTENTS_MAX at most,
// each of which has a slot of the disk's supply to itself until the device has filled it; then its
// pages move to the file, without a copy. Reads without a slot wait in a queue, behind which a read
// that is not at its end goes after each piece: who wants much holds up nobody.
//
//     waiting --start--> under way, in a slot --> finished: gone, waiting again, or pausing
//
// While a piece is under way anything may happen to its file, and old contents must not come to be
// seen by that:
//
// - Nothing behind the shortest length that the file has had since the piece began (`limit`) is
//   given: those blocks may be another file's by now. It is zero there, if it is still there at
//   all, as what came by growing is.
// - A page that was saved meanwhile (`saved`) is not given: it was there, so whoever had waited for
//   it has gone on; and it may be gone again, with contents that the piece does not have.
// - Where a block of the file lies does not change as long as it is before the limit.
// - A file that has ended has nobody who waits; the piece keeps its slot until the device is done.
//
// What needs the disk at once (the core's maps) is waited for before the piece has a slot, so a
// disk that is lost meanwhile finds reads either whole or not begun.
#include <stdlib.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>

#include <ext2fs/ext2fs.h>

constexpr uint64_t PAGE = 4096;
constexpr uint64_t READ_AROUND = 32 << 10;
constexpr uint32_t PAGES_MAX = EXT2FS_CONTENTS_MAX / PAGE;

// There is no memory at the moment (the kernel is taking back pages that nobody needs).
constexpr zx_duration_t MEMORY_PAUSE = ZX_MSEC(10);
constexpr uint32_t MEMORY_TRIES = 500;

struct ext2fs_read {
    struct ext2fs* fs;
    struct ext2fs_node* file; // null: nobody waits any more
    struct list_node node;    // of the file's
    struct list_node queue;   // of the waiting
    struct async_task pause;
    uint64_t at, end;   // what somebody waits for
    uint64_t ahead_end; // what somebody will; no farther than `end`: nothing
    uint32_t failures;  // one after the other, for want of memory
    uint32_t deaths;    // of the driver, one after the other
    bool is_careful;    // a page at a time: one bad place takes only its page with it
    // The piece that is under way, from `at` on:
    struct ext2fs_slot* slot; // null: none is
    uint64_t len, limit;
    zx_status_t status;
    uint64_t saved[PAGES_MAX / 64];
};

static uint64_t min64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t slot_offset(const struct ext2fs* fs, const struct ext2fs_slot* slot) {
    return (uint64_t)(slot - fs->slots) * EXT2FS_CONTENTS_MAX;
}

// ---- the queue ----

static void pump(struct ext2fs* fs);

static void on_task(struct async_task* task) {
    pump(container_of(task, struct ext2fs, read_task));
}

static void wait_for_turn(struct ext2fs_read* r) {
    list_push_back(&r->fs->waiting, &r->queue);
    async_task_post(r->fs->server.loop, &r->fs->read_task, 0);
}

static void on_pause(struct async_task* task) {
    wait_for_turn(container_of(task, struct ext2fs_read, pause));
}

// It is not under way.
static void read_end(struct ext2fs_read* r) {
    async_task_cancel(&r->pause);
    if (list_linked(&r->queue)) {
        list_remove(&r->queue);
    }
    if (list_linked(&r->node)) {
        list_remove(&r->node);
    }
    free(r);
}

// ---- a piece's end ----

static bool is_saved(const struct ext2fs_read* r, uint64_t page) {
    return (r->saved[page / 64] >> page % 64 & 1) != 0;
}

static zx_status_t clear_behind_limit(const struct ext2fs_read* r, uint64_t in_supply) {
    uint64_t from = r->limit > r->at ? r->limit - r->at : 0;
    return from >= r->len ? ZX_OK
                          : zx_vmo_op_range(r->fs->disk.supply, ZX_VMO_OP_ZERO, in_supply + from,
                                            r->len - from, nullptr, 0);
}

// All of it but what was saved, and what lies where the file is no more.
static zx_status_t supply(struct ext2fs_read* r, struct ext2fs_slot* slot) {
    const struct ext2fs* fs = r->fs;
    uint64_t size, in_supply = slot_offset(fs, slot);
    zx_status_t status = zx_vmo_get_size(r->file->vmo, &size);
    if (status == ZX_OK) {
        status = clear_behind_limit(r, in_supply);
    }
    uint64_t len = size > r->at ? min64(size - r->at, r->len) : 0;
    uint64_t pages = len / PAGE, given = 0;
    for (uint64_t i = 0, n; status == ZX_OK && i < pages; i += n) {
        for (n = 0; i + n < pages && !is_saved(r, i + n); n++) {
        }
        if (n == 0) {
            n = 1;
            continue;
        }
        status = zx_pager_supply_pages(fs->pager, r->file->vmo, r->at + i * PAGE, n * PAGE,
                                       fs->disk.supply, in_supply + i * PAGE);
        given += status == ZX_OK ? n : 0;
    }
    slot->is_used = given * PAGE != r->len;
    return status;
}

static void fail_and_end(struct ext2fs_read* r, zx_status_t status) {
    ext2fs_file_fail(r->file, r->at, r->end - r->at, status); // who wants a part of it asks again
    read_end(r);
}

static void go_on(struct ext2fs_read* r, uint64_t done) {
    r->at += done;
    if (r->at >= r->end) {
        read_end(r);
    } else {
        wait_for_turn(r);
    }
}

// A piece of `len` has ended, and is not under way.
static void settle(struct ext2fs_read* r, zx_status_t status) {
    if (status == ZX_OK) {
        r->failures = r->failures != 0; // smaller pieces from now on
        r->deaths = 0;
        go_on(r, r->len);
        return;
    }
    r->ahead_end = 0;
    if (status == ZX_ERR_NO_MEMORY && r->failures++ < MEMORY_TRIES) {
        async_task_post(r->fs->server.loop, &r->pause, zx_clock_get_monotonic() + MEMORY_PAUSE);
    } else if (status == ZX_ERR_NO_MEMORY || r->fs->disk.is_lost ||
               r->end - r->at > EXT2FS_CONTENTS_MAX) {
        fail_and_end(r, status);
    } else if (r->len > PAGE) {
        r->is_careful = true;
        wait_for_turn(r);
    } else {
        ext2fs_file_fail(r->file, r->at, PAGE, status);
        go_on(r, PAGE);
    }
}

static void finish(struct ext2fs_read* r) {
    struct ext2fs_slot* slot = r->slot;
    slot->read = nullptr;
    slot->is_used = true;
    r->slot = nullptr;
    if (r->file == nullptr) {
        read_end(r);
    } else {
        settle(r, r->status == ZX_OK ? supply(r, slot) : r->status);
    }
}

static void on_call(struct block_call* call, zx_status_t status) {
    struct ext2fs_slot* slot = container_of(call, struct ext2fs_call, call)->slot;
    struct ext2fs_read* r = slot->read;
    struct ext2fs* fs = r->fs;
    if (status == ZX_ERR_PEER_CLOSED || status == ZX_ERR_CANCELED) {
        (void)ext2fs_disk_revive(&fs->disk); // this call is forgotten with all others
        return;
    }
    r->status = r->status == ZX_OK ? status : r->status;
    if (--slot->under_way == 0) {
        finish(r);
        pump(fs);
    }
}

// ---- a piece's beginning ----

struct piece {
    uint64_t len;
    uint32_t count;
    struct run {
        uint64_t sector, offset;
        uint32_t sectors;
    } runs[EXT2FS_RUNS];
};

// Runs that lie behind `len` are not read.
static void cut_piece(struct piece* p, uint64_t len) {
    p->len = len;
    while (p->count > 0 && p->runs[p->count - 1].offset >= len) {
        p->count--;
    }
    if (p->count > 0) {
        struct run* last = &p->runs[p->count - 1];
        last->sectors = (uint32_t)min64(last->sectors, (len - last->offset) / EXT2_SECTOR);
    }
}

// Where `p->len` bytes of the file lie; fewer, if that is in very many places.
static zx_status_t map_piece(const struct ext2fs_read* r, struct piece* p) {
    const struct ext2fs* fs = r->fs;
    uint32_t block_size = ext2_block_size(fs->core);
    for (uint64_t at = 0; at < p->len;) {
        struct ext2_run run;
        zx_status_t status = ext2_map(fs->core, r->file->core, (r->at + at) / block_size,
                                      (uint32_t)((p->len - at) / block_size), &run);
        if (status == ZX_ERR_OUT_OF_RANGE) { // behind what a file can have
            break;
        }
        if (status != ZX_OK) {
            return status;
        }
        if (!run.is_hole && p->count == EXT2FS_RUNS) {
            cut_piece(p, ext2fs_page_down(at));
            break;
        }
        if (!run.is_hole) {
            p->runs[p->count++] = (struct run){.sector = run.first,
                                               .offset = at,
                                               .sectors = run.count * (block_size / EXT2_SECTOR)};
        }
        at += (uint64_t)run.count * block_size;
    }
    return ZX_OK;
}
static_assert(EXT2FS_RUNS * 1024 > PAGE);

static uint64_t piece_len(const struct ext2fs_read* r) {
    uint64_t max = r->is_careful ? PAGE : r->failures != 0 ? READ_AROUND : EXT2FS_CONTENTS_MAX;
    uint64_t end = r->ahead_end > r->end ? r->ahead_end : r->end;
    return min64(end - r->at, max);
}

// Room that nothing lies in.
static zx_status_t clear_slot(struct ext2fs* fs, struct ext2fs_slot* slot) {
    zx_status_t status =
        slot->is_used ? zx_vmo_op_range(fs->disk.supply, ZX_VMO_OP_DECOMMIT, slot_offset(fs, slot),
                                        EXT2FS_CONTENTS_MAX, nullptr, 0)
                      : ZX_OK;
    slot->is_used = status != ZX_OK;
    return status;
}

static void send(struct ext2fs_read* r, struct ext2fs_slot* slot, const struct piece* p) {
    struct ext2fs* fs = r->fs;
    slot->read = r;
    slot->under_way = p->count;
    r->slot = slot;
    r->status = ZX_OK;
    for (uint32_t i = 0; i < PAGES_MAX / 64; i++) {
        r->saved[i] = 0;
    }
    for (uint32_t i = 0; i < p->count; i++) {
        slot->calls[i] = (struct ext2fs_call){.call.handler = on_call, .slot = slot};
        ext2fs_disk_start(&fs->disk, &slot->calls[i].call, p->runs[i].sector, p->runs[i].sectors,
                          slot_offset(fs, slot) + p->runs[i].offset);
    }
    if (p->count == 0) {
        finish(r);
    } else {
        block_kick(&fs->disk.client);
    }
}

static void start(struct ext2fs_read* r, struct ext2fs_slot* slot) {
    static struct piece piece; // until it is sent
    uint64_t size;
    ext2fs_file_refresh(r->file);
    if (zx_vmo_get_size(r->file->vmo, &size) != ZX_OK || size <= r->at) {
        read_end(r); // it was cut: nobody waits there
        return;
    }
    r->limit = ext2fs_file_size(r->file);
    r->len = piece_len(r);
    piece.len = r->len;
    piece.count = 0;
    zx_status_t status = r->fs->disk.is_lost ? ZX_ERR_IO : map_piece(r, &piece);
    if (status == ZX_OK) {
        status = clear_slot(r->fs, slot);
    }
    if (status != ZX_OK) {
        settle(r, status);
        return;
    }
    r->len = piece.len;
    send(r, slot, &piece);
}

// So many in a turn at most: pieces without a block on the disk have ended when they have begun.
static void pump(struct ext2fs* fs) {
    bool is_full = true;
    for (uint32_t i = 0; i < EXT2FS_SLOTS; i++) {
        if (fs->slots[i].read == nullptr && !list_empty(&fs->waiting)) {
            start(container_of(list_pop_front(&fs->waiting), struct ext2fs_read, queue),
                  &fs->slots[i]);
        }
        is_full = is_full && fs->slots[i].read != nullptr;
    }
    if (!is_full && !list_empty(&fs->waiting)) {
        async_task_post(fs->server.loop, &fs->read_task, 0);
    }
}

// ---- what is asked for ----

// The part of [offset, end) from `offset` on that is on its way: whoever asked for it while it was
// is served with it.
static uint64_t join(struct ext2fs_node* file, uint64_t offset, uint64_t end) {
    list_for_each(n, &file->reads) {
        struct ext2fs_read* r = container_of(n, struct ext2fs_read, node);
        if (r->slot == nullptr || offset < r->at || offset >= r->at + r->len) {
            continue;
        }
        uint64_t to = offset, most = min64(end, r->at + r->len);
        while (to < most && !is_saved(r, (to - r->at) / PAGE)) {
            to += PAGE;
        }
        r->end = to > r->end ? to : r->end;
        return to;
    }
    return offset;
}

// Twice as far with each read that goes on where the last one ended.
static uint64_t read_ahead(struct ext2fs_node* file, uint64_t offset, uint64_t len) {
    uint64_t size = ext2fs_page_up(ext2fs_file_size(file));
    uint64_t ahead = offset == file->next_read ? file->ahead * 2 : READ_AROUND;
    ahead = ahead < READ_AROUND ? READ_AROUND : min64(ahead, EXT2FS_CONTENTS_MAX);
    uint64_t end = min64(offset + (len > ahead ? len : ahead), size);
    end = end > offset + len ? end : offset + len;
    file->ahead = ahead;
    file->next_read = end;
    return end;
}

void ext2fs_read_begin(struct ext2fs_node* file, uint64_t offset, uint64_t len) {
    uint64_t end = offset + len;
    for (uint64_t to; offset < end && (to = join(file, offset, end)) != offset;) {
        offset = to;
    }
    if (offset == end) {
        return;
    }
    struct ext2fs_read* r = calloc(1, sizeof(*r));
    if (r == nullptr) {
        ext2fs_file_fail(file, offset, end - offset, ZX_ERR_IO);
        return;
    }
    r->fs = file->fs;
    r->file = file;
    r->at = offset;
    r->end = end;
    r->pause.handler = on_pause;
    list_push_back(&file->reads, &r->node);
    if (end - offset <= EXT2FS_CONTENTS_MAX) {
        ext2fs_file_refresh(file);
        r->ahead_end = read_ahead(file, offset, end - offset);
    }
    list_push_back(&r->fs->waiting, &r->queue);
    pump(r->fs);
}

// ---- what happens to files meanwhile ----

void ext2fs_reads_saved(struct ext2fs_node* file, uint64_t offset, uint64_t len) {
    list_for_each(n, &file->reads) {
        struct ext2fs_read* r = container_of(n, struct ext2fs_read, node);
        uint64_t end = min64(offset + len, r->at + r->len);
        uint64_t first = offset > r->at ? offset : r->at;
        for (uint64_t at = first; r->slot != nullptr && at < end; at += PAGE) {
            uint64_t page = (at - r->at) / PAGE;
            r->saved[page / 64] |= 1ull << page % 64;
        }
    }
}

void ext2fs_reads_cut(struct ext2fs_node* file, uint64_t size) {
    list_for_each(n, &file->reads) {
        struct ext2fs_read* r = container_of(n, struct ext2fs_read, node);
        r->limit = min64(r->limit, size);
    }
}

void ext2fs_reads_drop(struct ext2fs_node* file) {
    for (struct list_node* n; (n = list_first(&file->reads)) != nullptr;) {
        struct ext2fs_read* r = container_of(n, struct ext2fs_read, node);
        list_remove(&r->node);
        r->file = nullptr;
        if (r->slot == nullptr) {
            read_end(r);
        }
    }
}

// ---- the whole ----

void ext2fs_reads_init(struct ext2fs* fs) {
    list_init(&fs->waiting);
    fs->read_task.handler = on_task;
}

void ext2fs_reads_end(struct ext2fs* fs) {
    async_task_cancel(&fs->read_task);
    for (struct list_node* n; (n = list_first(&fs->waiting)) != nullptr;) {
        read_end(container_of(n, struct ext2fs_read, queue));
    }
    for (uint32_t i = 0; i < EXT2FS_SLOTS; i++) {
        if (fs->slots[i].read != nullptr) {
            read_end(fs->slots[i].read);
            fs->slots[i].read = nullptr;
        }
    }
}

// What the driver's device was about to write is still pinned until the next driver has stopped it,
// and that comes before anything that could be asked of that driver.
void ext2fs_reads_lost(struct ext2fs* fs) {
    for (uint32_t i = 0; i < EXT2FS_SLOTS; i++) {
        struct ext2fs_slot* slot = &fs->slots[i];
        struct ext2fs_read* r = slot->read;
        if (r == nullptr) {
            continue;
        }
        if (r->file != nullptr && r->deaths++ == 0 && !fs->disk.is_lost) {
            slot->read = nullptr;
            slot->is_used = true;
            r->slot = nullptr;
            wait_for_turn(r);
        } else {
            r->status = ZX_ERR_IO;
            finish(r);
        }
    }
    async_task_post(fs->server.loop, &fs->read_task, 0);
}
