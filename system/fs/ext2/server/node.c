// Nodes of the server: one for each node of the core that a client has, and for files that were
// used lately. And the file system as a whole: mounting, syncing, ending.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>
#include <zircon/processargs.h>
#include <zircon/syscalls.h>

#include <ext2fs/ext2fs.h>

constexpr uint32_t IDLE_MAX = 512;
constexpr zx_duration_t AGE_MAX = ZX_SEC(5);
constexpr zx_duration_t IDLE_MIN = ZX_SEC(1);

// ---- nodes ----

static jacinth_io_kind_t kind_of(enum ext2_kind kind) {
    switch (kind) {
    case EXT2_FILE:
        return JACINTH_IO_KIND_FILE;
    case EXT2_DIRECTORY:
        return JACINTH_IO_KIND_DIRECTORY;
    case EXT2_SYMLINK:
        return JACINTH_IO_KIND_SYMLINK;
    default:
        return JACINTH_IO_KIND_DEVICE;
    }
}

// It is in use again.
static void wake(struct ext2fs_node* n) {
    async_wait_cancel(&n->without_users);
    if (list_linked(&n->idle)) {
        list_remove(&n->idle);
        n->fs->idle_count--;
    }
}

zx_status_t ext2fs_node_get(struct ext2fs* fs, struct ext2_node* core, struct io_node** out) {
    struct ext2fs_node* n = core->user;
    if (n != nullptr) {
        ext2_unref(fs->core, core); // the node has one of its own
        if (n->io.refs++ == 0) {
            wake(n);
        }
        *out = &n->io;
        return ZX_OK;
    }
    n = calloc(1, sizeof(*n));
    if (n == nullptr) {
        ext2_unref(fs->core, core);
        return ZX_ERR_NO_MEMORY;
    }
    io_node_init(&n->io, kind_of(core->kind));
    n->fs = fs;
    n->core = core;
    core->user = n;
    fs->node_count++;
    *out = &n->io;
    return ZX_OK;
}

static void node_end(struct ext2fs_node* n) {
    struct ext2fs* fs = n->fs;
    wake(n);
    if (list_linked(&n->dirty)) {
        list_remove(&n->dirty);
    }
    fs->reserved -= n->reserved;
    n->reserved = 0;
    n->core->user = nullptr;
    ext2_unref(fs->core, n->core);
    n->core = nullptr;
    if (n->vmo != ZX_HANDLE_INVALID) {
        ext2fs_file_end(n);
    } else {
        fs->node_count--;
        free(n);
    }
}

static void settle_when_unused(struct ext2fs_node* n);

static bool has_names(const struct ext2fs_node* n) {
    struct ext2_attributes attributes;
    ext2_get_attributes(n->core, &attributes);
    return attributes.links != 0;
}

void ext2fs_node_settle(struct ext2fs_node* n) {
    struct ext2fs* fs = n->fs;
    ext2fs_file_refresh(n);
    ext2fs_file_trim(n);
    if (!has_names(n)) {
        node_end(n); // what is dirty is nobody's any more
        ext2fs_changed(fs);
        return;
    }
    list_push_back(&fs->idle, &n->idle);
    fs->idle_count++;
    struct list_node* next;
    for (struct list_node* at = list_first(&fs->idle); at != nullptr && fs->idle_count > IDLE_MAX;
         at = next) {
        next = list_next(&fs->idle, at);
        struct ext2fs_node* old = container_of(at, struct ext2fs_node, idle);
        if (!list_linked(&old->dirty)) {
            node_end(old);
        }
    }
}

static void on_unused(struct async_wait* wait, const zx_packet_signal_t*) {
    settle_when_unused(container_of(wait, struct ext2fs_node, without_users));
}

// No connection has it. A client may still have its pages.
static void settle_when_unused(struct ext2fs_node* n) {
    zx_handle_t in_use = ext2fs_file_in_use(n);
    if (in_use == ZX_HANDLE_INVALID) {
        ext2fs_node_settle(n);
        return;
    }
    n->without_users = (struct async_wait){
        .object = in_use, .trigger = ZX_VMO_ZERO_CHILDREN, .handler = on_unused};
    // If it cannot be waited for it is kept until it is used again.
    (void)async_wait_begin(n->fs->server.loop, &n->without_users);
}

void ext2fs_node_release(struct ext2fs_node* n) {
    if (n->vmo == ZX_HANDLE_INVALID) {
        bool had_names = has_names(n);
        struct ext2fs* fs = n->fs;
        node_end(n);
        if (!had_names) {
            ext2fs_changed(fs);
        }
        return;
    }
    settle_when_unused(n);
}

// ---- syncing ----

zx_status_t ext2fs_sync(struct ext2fs* fs) {
    zx_status_t result = ZX_OK;
    uint64_t left = 0;
    struct list_node* next;
    for (struct list_node* at = list_first(&fs->dirty); at != nullptr; at = next) {
        next = list_next(&fs->dirty, at);
        struct ext2fs_node* file = container_of(at, struct ext2fs_node, dirty);
        uint64_t all = UINT64_MAX;
        zx_status_t status = ext2fs_file_save(file, &all);
        result = result == ZX_OK ? status : result;
        left += file->dirty_left;
    }
    fs->dirty_pages = left;
    zx_status_t status = ext2_sync(fs->core);
    return result == ZX_OK ? status : result;
}

zx_status_t ext2fs_save_some(struct ext2fs* fs) {
    uint64_t budget = EXT2FS_CONTENTS_MAX;
    zx_status_t status = ZX_OK;
    struct list_node* next;
    for (struct list_node* at = list_first(&fs->dirty);
         status == ZX_OK && at != nullptr && budget != 0; at = next) {
        next = list_next(&fs->dirty, at);
        status = ext2fs_file_save(container_of(at, struct ext2fs_node, dirty), &budget);
    }
    return status;
}

// Much is saved a piece in each turn, so that others come in between; then all is synced, with what
// was written meanwhile.
static void on_age(struct async_task* task) {
    struct ext2fs* fs = container_of(task, struct ext2fs, by_age);
    if (fs->age_steps == 0) {
        fs->age_steps = 1 + fs->dirty_pages * 4096 / EXT2FS_CONTENTS_MAX;
    }
    if (--fs->age_steps != 0 && ext2fs_save_some(fs) == ZX_OK) {
        async_task_post(fs->server.loop, task, 0);
        return;
    }
    fs->age_steps = 0;
    if (ext2fs_sync(fs) != ZX_OK) {
        ext2fs_changed(fs); // later
    } else {
        async_task_post(fs->server.loop, &fs->when_idle, zx_clock_get_monotonic() + IDLE_MIN);
    }
}

// If it fails the disk is not clean, and the next mount looks.
static void on_idle(struct async_task* task) {
    struct ext2fs* fs = container_of(task, struct ext2fs, when_idle);
    if (fs->by_age.loop == nullptr) { // nothing was changed since
        (void)ext2_mark_clean(fs->core);
    }
}

zx_status_t ext2fs_settle(struct ext2fs* fs) {
    zx_status_t status = ext2fs_sync(fs);
    if (status == ZX_OK) {
        status = ext2_mark_clean(fs->core);
    }
    return status == ZX_OK ? ext2_sync(fs->core) : status; // which flushes the mark
}

void ext2fs_changed(struct ext2fs* fs) {
    if (fs->by_age.loop == nullptr && !ext2_is_read_only(fs->core)) {
        async_task_post(fs->server.loop, &fs->by_age, zx_clock_get_monotonic() + AGE_MAX);
    }
}

// ---- the whole ----

static int64_t now(void* ctx) {
    struct ext2fs_disk* disk = ctx;
    const struct ext2fs* fs = container_of(disk, struct ext2fs, disk);
    zx_time_t at;
    if (fs->utc_clock != ZX_HANDLE_INVALID && zx_clock_read(fs->utc_clock, &at) == ZX_OK) {
        return at;
    }
    return ZX_SEC(PA_CLOCK_UTC_AT_BOOT) + zx_clock_get_monotonic();
}

static zx_status_t mount(struct ext2fs* fs, char why[EXT2_WHY_MAX]) {
    struct ext2_device device = {.ctx = &fs->disk,
                                 .sector_count = fs->disk.sectors,
                                 .read_blocks = ext2fs_disk_read,
                                 .write_blocks = ext2fs_disk_write,
                                 .flush = ext2fs_disk_flush,
                                 .now = now};
    bool is_protected = (fs->disk.client.info.flags & JACINTH_BLOCK_FLAGS_READ_ONLY) != 0;
    struct ext2_options options = {.read_only = fs->read_only || is_protected};
    zx_status_t status = ext2_mount(&device, &options, &fs->core, why);
    if (status == ZX_OK && ext2_block_size(fs->core) < fs->disk.sectors_per_block * EXT2_SECTOR) {
        (void)snprintf(why, EXT2_WHY_MAX, "its blocks are smaller than the disk's");
        ext2_abandon(fs->core);
        fs->core = nullptr;
        status = ZX_ERR_NOT_SUPPORTED;
    }
    if (status == ZX_OK) {
        ext2fs_disk_remember(&fs->disk);
        async_task_post(fs->server.loop, &fs->when_idle, zx_clock_get_monotonic() + IDLE_MIN);
    }
    return status;
}

zx_status_t ext2fs_init(struct ext2fs* fs, char why[EXT2_WHY_MAX]) {
    why[0] = 0;
    list_init(&fs->dirty);
    list_init(&fs->idle);
    fs->by_age.handler = on_age;
    fs->when_idle.handler = on_idle;
    ext2fs_reads_init(fs);
    fs->dirty_max = zx_system_get_physmem() / 8 / 4096;
    zx_status_t status = ext2fs_disk_open(&fs->disk);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_pager_create(0, &fs->pager);
    if (status == ZX_OK) {
        status = mount(fs, why);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(fs->pager);
        ext2fs_disk_close(&fs->disk);
    }
    return status;
}

zx_status_t ext2fs_destroy(struct ext2fs* fs) {
    async_task_cancel(&fs->by_age);
    async_task_cancel(&fs->when_idle);
    zx_status_t saved = ext2fs_sync(fs);
    for (struct list_node* n; (n = list_first(&fs->idle)) != nullptr;) {
        node_end(container_of(n, struct ext2fs_node, idle));
    }
    // The last packets of what has ended.
    while (fs->node_count != 0 && async_loop_turn(fs->server.loop, 0) == ZX_OK) {
    }
    zx_status_t status = ext2_unmount(fs->core);
    fs->core = nullptr;
    (void)zx_handle_close(fs->pager);
    ext2fs_disk_close(&fs->disk);
    ext2fs_reads_end(fs);
    return saved == ZX_OK ? status : saved;
}

zx_status_t ext2fs_serve_root(struct ext2fs* fs, zx_handle_t channel, jacinth_io_flags_t rights) {
    struct ext2_node* core;
    struct io_node* root;
    zx_status_t status = ext2_root(fs->core, &core);
    if (status == ZX_OK) {
        status = ext2fs_node_get(fs, core, &root);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(channel);
        return status;
    }
    if (ext2_is_read_only(fs->core)) {
        rights &= ~JACINTH_IO_FLAGS_WRITE;
    }
    status = io_server_serve(&fs->server, channel, root, rights);
    io_node_unref(&fs->server, root);
    return status;
}
