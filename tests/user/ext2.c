// ext2 as clients see it: the server in a thread of this program, on a disk in memory in another,
// which fails and dies as it is told. What is written is looked for after the file system was
// unmounted and mounted again, so that it is on the disk.
#include <utest/utest.h>

#include <stdlib.h>
#include <string.h>

#include <ext2/ext2.h>
#include <ext2fs/ext2fs.h>
#include <io/client.h>
#include <lib/compiler.h>
#include <ramdisk/ramdisk.h>
#include <zircon/process.h>

GROUP("ext2");

constexpr jacinth_io_flags_t READ = JACINTH_IO_FLAGS_READ;
constexpr jacinth_io_flags_t WRITE = JACINTH_IO_FLAGS_WRITE;
constexpr jacinth_io_flags_t APPEND = JACINTH_IO_FLAGS_APPEND;
constexpr jacinth_io_flags_t CREATE = JACINTH_IO_FLAGS_CREATE;
constexpr jacinth_io_flags_t TRUNCATE = JACINTH_IO_FLAGS_TRUNCATE;
constexpr jacinth_io_flags_t DIRECTORY = JACINTH_IO_FLAGS_DIRECTORY;
constexpr uint64_t DISK_BYTES = 8 << 20;
constexpr uint32_t BLOCK_SIZE = 512;

// ---- the disk ----

static struct {
    struct async_loop loop;
    struct ramdisk disk;
    struct async_receiver receiver; // a packet: quit
    struct utest_thread thread;
    zx_handle_t contents, control;
    zx_status_t result;
} disk;

static void on_quit(struct async_receiver*, const zx_port_packet_t*) {
    async_loop_quit(&disk.loop);
}

static void serve_disk(void*) {
    disk.result = async_loop_run(&disk.loop);
}

static zx_handle_t duplicate(zx_handle_t handle) {
    zx_handle_t copy;
    EXPECT_OK(zx_handle_duplicate(handle, ZX_RIGHT_SAME_RIGHTS, &copy));
    return copy;
}

static void start_disk(void) {
    EXPECT_OK(async_loop_init(&disk.loop));
    disk.receiver = (struct async_receiver){.handler = on_quit};
    async_receiver_begin(&disk.loop, &disk.receiver);
    EXPECT_OK(ramdisk_init(&disk.disk, &disk.loop, duplicate(disk.contents), BLOCK_SIZE,
                           JACINTH_BLOCK_FLAGS_VOLATILE_CACHE));
    struct utest_pair control = utest_channel();
    disk.control = control.a;
    EXPECT_OK(ramdisk_control(&disk.disk, control.b));
    utest_thread_start(&disk.thread, serve_disk, nullptr);
}

static void pause_disk(void) {
    zx_port_packet_t packet = {.key = async_receiver_key(&disk.receiver), .type = ZX_PKT_TYPE_USER};
    EXPECT_OK(zx_port_queue(disk.loop.port, &packet));
    utest_thread_join(&disk.thread);
    EXPECT_OK(disk.result);
}

// Its sessions end with it; the contents stay.
static void stop_disk(void) {
    pause_disk();
    ramdisk_destroy(&disk.disk);
    async_receiver_cancel(&disk.receiver);
    EXPECT_CLOSE(disk.control);
    while (async_loop_turn(&disk.loop, 0) == ZX_OK) {
    }
    async_loop_destroy(&disk.loop);
}

static zx_status_t connect_disk(void*, zx_handle_t* out) {
    struct utest_pair device = utest_channel();
    pause_disk();
    EXPECT_OK(block_device_serve(&disk.disk.device, device.b));
    utest_thread_start(&disk.thread, serve_disk, nullptr);
    *out = device.a;
    return ZX_OK;
}

static alignas(8) uint8_t bytes[1024];
static const struct fidl_storage storage = {bytes, sizeof(bytes)};

static void fail_nth(jacinth_ramdisk_kinds_t kinds, uint64_t count) {
    struct jacinth_ramdisk_control_fail_nth_request r = {
        .kinds = kinds, .count = count, .status = ZX_ERR_IO_REFUSED};
    EXPECT_OK(jacinth_ramdisk_control_fail_nth_call(disk.control, ZX_TIME_INFINITE, &r, storage));
}

static void restore(void) {
    EXPECT_OK(jacinth_ramdisk_control_restore_call(disk.control, ZX_TIME_INFINITE, storage));
}

static uint64_t count_reads(void) {
    struct jacinth_ramdisk_control_get_counts_response* r;
    EXPECT_OK(jacinth_ramdisk_control_get_counts_call(disk.control, ZX_TIME_INFINITE, storage, &r));
    return r->counts[0];
}

// ---- a new file system on it ----

static zx_status_t write_contents(void*, uint64_t first, uint32_t count, const void* buffer) {
    return zx_vmo_write(disk.contents, buffer, first * EXT2_SECTOR, (size_t)count * EXT2_SECTOR);
}
static zx_status_t flush_contents(void*) {
    return ZX_OK;
}
static int64_t now(void*) {
    return ZX_SEC(1'700'000'000);
}

static void format(uint32_t block_size) {
    struct ext2_device device = {.sector_count = DISK_BYTES / EXT2_SECTOR,
                                 .write_blocks = write_contents,
                                 .flush = flush_contents,
                                 .now = now};
    struct ext2_format options = {.block_size = block_size, .uuid = "a disk of a test"};
    EXPECT_OK(ext2_format(&device, &options));
}

// ---- the server ----

static struct {
    struct async_loop loop;
    struct ext2fs fs;
    struct utest_thread thread;
    zx_handle_t root;
    zx_status_t result;
    bool is_lost;
} data;

static void on_idle(struct io_server*) {
    async_loop_quit(&data.loop);
}

static void on_lost(void*) {
    data.is_lost = true;
}

static void serve_data(void*) {
    data.result = async_loop_run(&data.loop);
}

static void mount_data(void) {
    char why[EXT2_WHY_MAX];
    memset(&data, 0, sizeof(data));
    EXPECT_OK(async_loop_init(&data.loop));
    data.fs.disk.connect = connect_disk;
    data.fs.disk.lost = on_lost;
    data.fs.server = (struct io_server){.loop = &data.loop,
                                        .ops = &ext2fs_ops,
                                        .connections_max = 1000,
                                        .watchers_max = 4,
                                        .idle = on_idle};
    io_server_init(&data.fs.server);
    EXPECT_OK(ext2fs_init(&data.fs, why));
    EXPECT(why[0] == 0);
    struct utest_pair root = utest_channel();
    data.root = root.a;
    EXPECT_OK(ext2fs_serve_root(&data.fs, root.b, READ | WRITE | JACINTH_IO_FLAGS_EXECUTE));
    utest_thread_start(&data.thread, serve_data, nullptr);
}

static zx_status_t unmount_data(void) {
    EXPECT_CLOSE(data.root);
    utest_thread_join(&data.thread);
    EXPECT_OK(data.result);
    io_server_end(&data.fs.server);
    zx_status_t status = ext2fs_destroy(&data.fs);
    EXPECT_EQ(data.fs.node_count, 0);
    EXPECT_EQ(data.fs.reserved, 0);
    async_loop_destroy(&data.loop);
    return status;
}

static void begin_with(uint32_t block_size) {
    disk.contents = utest_vmo(DISK_BYTES);
    format(block_size);
    start_disk();
    mount_data();
}

static void begin(void) {
    begin_with(1024);
}

static void end(void) {
    EXPECT_OK(unmount_data());
    stop_disk();
    EXPECT_CLOSE(disk.contents);
}

static void remount(void) {
    EXPECT_OK(unmount_data());
    mount_data();
}

// ---- short forms ----

static struct io_opened open_at(const char* path, jacinth_io_flags_t flags) {
    struct io_opened o = {};
    utest_context(path);
    EXPECT_OK(io_open(data.root, path, strlen(path), flags, 0644, &o, nullptr));
    utest_context(nullptr);
    return o;
}

static zx_status_t try_open(const char* path, jacinth_io_flags_t flags) {
    struct io_opened o;
    zx_status_t status = io_open(data.root, path, strlen(path), flags, 0644, &o, nullptr);
    if (status == ZX_OK) {
        io_opened_close(&o);
    }
    return status;
}

static struct jacinth_io_attributes stat_at(const char* path) {
    struct jacinth_io_attributes a = {};
    utest_context(path);
    EXPECT_OK(io_stat(data.root, path, strlen(path), 0, &a, nullptr, nullptr));
    utest_context(nullptr);
    return a;
}

static zx_status_t write_some(zx_handle_t stream, const void* from, size_t len, size_t* actual) {
    zx_iovec_t v = {(void*)from, len};
    *actual = 0;
    return zx_stream_writev(stream, 0, &v, 1, actual);
}

static void write_file(const char* path, jacinth_io_flags_t flags, const char* text) {
    struct io_opened o = open_at(path, flags | WRITE);
    size_t actual;
    EXPECT_OK(write_some(o.stream, text, strlen(text), &actual));
    EXPECT_EQ(actual, strlen(text));
    io_opened_close(&o);
}

static void expect_text(const char* path, const char* want) {
    char got[64];
    size_t actual = 0;
    zx_iovec_t v = {got, sizeof(got)};
    struct io_opened o = open_at(path, READ);
    utest_context(path);
    EXPECT_OK(zx_stream_readv(o.stream, 0, &v, 1, &actual));
    EXPECT_EQ(actual, strlen(want));
    EXPECT(memcmp(got, want, actual) == 0);
    utest_context(nullptr);
    io_opened_close(&o);
}

static zx_status_t sync_all(void) {
    return io_sync(data.root);
}

static void fill(uint8_t* buffer, size_t len, uint64_t at) {
    for (size_t i = 0; i < len; i++) {
        buffer[i] = (uint8_t)((at + i) * 2654435761u >> 13);
    }
}

constexpr size_t PIECE = 64 << 10;
static uint8_t piece[PIECE], want[PIECE];

static void write_large(const char* path, size_t len) {
    struct io_opened o = open_at(path, WRITE | CREATE);
    for (size_t at = 0; at < len; at += PIECE) {
        size_t actual;
        fill(piece, PIECE, at);
        EXPECT_OK(write_some(o.stream, piece, PIECE, &actual));
        EXPECT_EQ(actual, PIECE);
    }
    io_opened_close(&o);
}

static void expect_large(const char* path, size_t len) {
    struct io_opened o = open_at(path, READ);
    for (size_t at = 0; at < len; at += PIECE) {
        size_t actual = 0;
        zx_iovec_t v = {piece, PIECE};
        EXPECT_OK(zx_stream_readv(o.stream, 0, &v, 1, &actual));
        EXPECT_EQ(actual, PIECE);
        fill(want, PIECE, at);
        EXPECT(memcmp(piece, want, PIECE) == 0);
    }
    io_opened_close(&o);
}

// ---- files ----

CASE(files) {
    begin();
    write_file("f", CREATE, "hello");
    expect_text("f", "hello");
    EXPECT_EQ(stat_at("f").size, 5);
    EXPECT_EQ(stat_at("f").storage_size, 1024); // it has no block yet
    write_file("f", APPEND, " world");
    expect_text("f", "hello world");
    remount();
    expect_text("f", "hello world");
    EXPECT_EQ(stat_at("f").size, 11);
    EXPECT_EQ(stat_at("f").mode, 0644);
    EXPECT_EQ(stat_at("f").storage_size, 1024);
    write_file("f", APPEND, "!");
    remount();
    expect_text("f", "hello world!");
    write_file("f", 0, "J");
    expect_text("f", "Jello world!");
    write_file("f", TRUNCATE, "x");
    remount();
    expect_text("f", "x");
    end();
}

CASE(names) {
    begin();
    EXPECT_OK(try_open("d", CREATE | DIRECTORY));
    EXPECT_OK(try_open("d/e", CREATE | DIRECTORY));
    write_file("d/e/f", CREATE, "1");
    EXPECT_OK(io_link(data.root, "d/e/f", 5, ZX_HANDLE_INVALID, "g", 1));
    EXPECT_OK(io_symlink(data.root, "d/e", 3, "l", 1));
    EXPECT_OK(io_rename(data.root, "d/e/f", 5, ZX_HANDLE_INVALID, "d/h", 3));
    remount();
    expect_text("d/h", "1");
    expect_text("g", "1");
    EXPECT_EQ(stat_at("g").link_count, 2);
    EXPECT_EQ(stat_at("l").kind, JACINTH_IO_KIND_DIRECTORY);
    EXPECT_STATUS(try_open("d/e/f", READ), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(io_unlink(data.root, "d", 1, DIRECTORY), ZX_ERR_NOT_EMPTY);
    EXPECT_OK(io_unlink(data.root, "d/h", 3, 0));
    EXPECT_OK(io_unlink(data.root, "d/e", 3, DIRECTORY));
    EXPECT_OK(io_unlink(data.root, "d", 1, DIRECTORY));
    write_file("new", CREATE, "2");
    EXPECT_OK(io_rename(data.root, "new", 3, ZX_HANDLE_INVALID, "g", 1));
    remount();
    expect_text("g", "2");
    EXPECT_STATUS(try_open("d", READ), ZX_ERR_NOT_FOUND);
    static struct io_entries entries;
    entries.cookie = 0;
    EXPECT_OK(io_read_entries(data.root, &entries));
    EXPECT_EQ(entries.count, 3); // and lost+found
    EXPECT_OK(io_read_entries(data.root, &entries));
    EXPECT_EQ(entries.count, 0);
    struct io_usage usage;
    EXPECT_OK(io_query_usage(data.root, &usage));
    EXPECT_EQ(usage.block_size, 1024);
    EXPECT_EQ(usage.used_nodes, 13);
    end();
}

CASE(large_file) {
    constexpr size_t LEN = 3 << 20;
    begin_with(4096);
    write_large("f", LEN);
    expect_large("f", LEN);
    remount();
    uint64_t before = count_reads();
    expect_large("f", LEN);
    // Some for metadata; contents in pieces of a quarter of a MiB.
    EXPECT(count_reads() - before <= LEN / (256 << 10) + 12);
    EXPECT_EQ(stat_at("f").size, LEN);
    end();
}

CASE(holes_and_resizing) {
    begin();
    struct io_opened o = open_at("f", READ | WRITE | CREATE);
    size_t actual;
    EXPECT_OK(write_some(o.stream, "0123456789", 10, &actual));
    EXPECT_OK(io_resize(o.connection, 4));
    EXPECT_OK(io_resize(o.connection, 10));
    EXPECT_OK(zx_stream_seek(o.stream, ZX_STREAM_SEEK_ORIGIN_START, 1 << 20, nullptr));
    EXPECT_OK(write_some(o.stream, "end", 3, &actual));
    io_opened_close(&o);
    remount();
    EXPECT_EQ(stat_at("f").size, (1 << 20) + 3);
    EXPECT(stat_at("f").storage_size <= 8192);
    o = open_at("f", READ | WRITE);
    char got[12];
    zx_iovec_t v = {got, sizeof(got)};
    EXPECT_OK(zx_stream_readv(o.stream, 0, &v, 1, &actual));
    EXPECT(memcmp(got, "0123\0\0\0\0\0\0\0\0", 12) == 0);
    EXPECT_OK(io_resize(o.connection, 2));
    EXPECT_OK(io_sync(o.connection));
    EXPECT_STATUS(io_resize(o.connection, UINT64_MAX), ZX_ERR_FILE_BIG);
    io_opened_close(&o);
    expect_text("f", "01");
    EXPECT_EQ(stat_at("f").storage_size, 1024);
    end();
}

// Somebody wants all of a large hole at once; others are served meanwhile.
static void commit(void* vmo) {
    uint64_t size;
    EXPECT_OK(zx_vmo_get_size(*(zx_handle_t*)vmo, &size));
    EXPECT_OK(zx_vmo_op_range(*(zx_handle_t*)vmo, ZX_VMO_OP_PREFETCH, 0, size, nullptr, 0));
}

CASE(one_who_wants_much) {
    begin();
    write_file("other", CREATE, "other");
    struct io_opened o = open_at("f", READ | WRITE | CREATE);
    size_t actual;
    EXPECT_OK(write_some(o.stream, "start", 5, &actual));
    EXPECT_OK(io_resize(o.connection, 20 << 20));
    EXPECT_OK(io_sync(o.connection));
    io_opened_close(&o);
    remount();
    o = open_at("f", READ);
    zx_handle_t vmo;
    uint64_t size;
    EXPECT_OK(io_get_vmo(o.connection, READ, &vmo, &size));
    struct utest_thread thread;
    utest_thread_start(&thread, commit, &vmo);
    for (unsigned i = 0; i < 10; i++) {
        expect_text("other", "other");
    }
    utest_thread_join(&thread);
    char got[5];
    EXPECT_OK(zx_vmo_read(vmo, got, 0, 5));
    EXPECT(memcmp(got, "start", 5) == 0);
    EXPECT_CLOSE(vmo);
    io_opened_close(&o);
    end();
}

CASE(a_mapping_reaches_the_disk) {
    begin();
    struct io_opened o = open_at("f", READ | WRITE | CREATE);
    EXPECT_OK(io_resize(o.connection, 3 * 4096));
    zx_handle_t vmo;
    uint64_t size;
    zx_vaddr_t at;
    EXPECT_OK(io_get_vmo(o.connection, READ | WRITE, &vmo, &size));
    EXPECT_EQ(size, 3 * 4096);
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(),
                          ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_ALLOW_FAULTS, 0, vmo, 0, size,
                          &at));
    memcpy((void*)(at + 4090), "over the edge", 13);
    EXPECT_OK(sync_all());
    memcpy((void*)at, "later", 5);
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, size));
    EXPECT_CLOSE(vmo);
    io_opened_close(&o);
    remount();
    o = open_at("f", READ);
    char got[4090 + 13];
    size_t actual;
    zx_iovec_t v = {got, sizeof(got)};
    EXPECT_OK(zx_stream_readv(o.stream, 0, &v, 1, &actual));
    EXPECT(memcmp(got, "later", 5) == 0);
    EXPECT(memcmp(got + 4090, "over the edge", 13) == 0);
    io_opened_close(&o);
    end();
}

CASE(a_stream_outlives_its_connection_and_its_name) {
    begin();
    size_t actual;
    struct io_opened o = open_at("f", READ | WRITE | CREATE);
    EXPECT_CLOSE(o.connection);
    EXPECT_OK(write_some(o.stream, "kept", 4, &actual));
    expect_text("f", "kept");
    EXPECT_OK(io_unlink(data.root, "f", 1, 0));
    EXPECT_OK(write_some(o.stream, "more", 4, &actual));
    EXPECT_OK(sync_all());
    char got[8];
    zx_iovec_t v = {got, sizeof(got)};
    EXPECT_OK(zx_stream_readv_at(o.stream, 0, 0, &v, 1, &actual));
    EXPECT(actual == 8 && memcmp(got, "keptmore", 8) == 0);
    EXPECT_STATUS(try_open("f", READ), ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(o.stream);
    EXPECT_OK(sync_all());
    end();
}

// Writes until there is no room; what had room is there.
CASE(a_full_disk) {
    begin();
    size_t total = 0;
    size_t actual = 0;
    struct io_opened o = open_at("f", WRITE | CREATE);
    zx_status_t status = ZX_OK;
    while (status == ZX_OK) {
        fill(piece, PIECE, total);
        status = write_some(o.stream, piece, PIECE, &actual);
        total += status == ZX_OK ? actual : 0;
        if (actual < PIECE && status == ZX_OK) {
            break;
        }
    }
    EXPECT(status == ZX_OK || status == ZX_ERR_NO_SPACE);
    EXPECT(total > DISK_BYTES / 2);
    EXPECT_OK(sync_all());
    EXPECT_OK(io_resize(o.connection, total / PIECE * PIECE));
    io_opened_close(&o);
    expect_large("f", total / PIECE * PIECE);
    EXPECT_OK(io_unlink(data.root, "f", 1, 0));
    EXPECT_OK(sync_all());
    write_large("g", DISK_BYTES / 2 / PIECE * PIECE);
    remount();
    expect_large("g", DISK_BYTES / 2 / PIECE * PIECE);
    end();
}

// What was set aside for pages is given back as they are saved, also while a writer goes on.
CASE(saving_while_somebody_writes) {
    begin();
    struct io_opened o = open_at("f", WRITE | CREATE);
    constexpr size_t LEN = 4 << 20; // half of the disk
    for (size_t at = 0; at < LEN; at += PIECE) {
        size_t actual;
        fill(piece, PIECE, at);
        EXPECT_OK(write_some(o.stream, piece, PIECE, &actual));
        EXPECT_EQ(actual, PIECE);
        EXPECT_OK(io_sync(o.connection));
        EXPECT(data.fs.reserved < 2 * PIECE / 1024);
    }
    io_opened_close(&o);
    expect_large("f", LEN);
    end();
}

// ---- disks that fail ----

CASE(reads_that_fail) {
    begin();
    write_large("f", 4 * PIECE);
    remount();
    struct io_opened o = open_at("f", READ);
    fail_nth(JACINTH_RAMDISK_KINDS_READ, 1000);
    size_t actual;
    zx_iovec_t v = {piece, PIECE};
    EXPECT_STATUS(zx_stream_readv(o.stream, 0, &v, 1, &actual), ZX_ERR_IO);
    restore();
    io_opened_close(&o);
    expect_large("f", 4 * PIECE);
    end();
}

CASE(writes_that_fail) {
    begin();
    write_file("f", CREATE, "first");
    EXPECT_OK(sync_all());
    write_file("f", APPEND, " second");
    fail_nth(JACINTH_RAMDISK_KINDS_WRITE, 1000);
    EXPECT_STATUS(sync_all(), ZX_ERR_IO);
    expect_text("f", "first second");
    restore();
    fail_nth(JACINTH_RAMDISK_KINDS_FLUSH, 1);
    EXPECT_STATUS(sync_all(), ZX_ERR_IO);
    EXPECT_OK(sync_all());
    remount();
    expect_text("f", "first second");
    end();
}

CASE(a_cut_of_power) {
    begin();
    EXPECT_OK(try_open("d", CREATE | DIRECTORY));
    write_file("d/f", CREATE, "synced");
    EXPECT_OK(sync_all());
    write_file("d/g", CREATE, "lost or not");
    struct jacinth_ramdisk_control_cut_power_request cut = {.writes = 3, .seed = 7};
    EXPECT_OK(
        jacinth_ramdisk_control_cut_power_call(disk.control, ZX_TIME_INFINITE, &cut, storage));
    EXPECT_STATUS(sync_all(), ZX_ERR_IO);
    EXPECT_STATUS(unmount_data(), ZX_ERR_IO);
    restore();
    mount_data(); // recovers
    expect_text("d/f", "synced");
    write_file("d/g", CREATE | TRUNCATE, "now");
    remount();
    expect_text("d/g", "now");
    end();
}

static bool disk_says_clean(void) {
    uint16_t state;
    EXPECT_OK(zx_vmo_read(disk.contents, &state, 1024 + 58, sizeof(state)));
    return (state & 1) != 0;
}

// All that was written is on the disk, so power may go: the next mount does not look at everything.
CASE(an_idle_file_system_says_that_it_is_clean) {
    begin();
    EXPECT(disk_says_clean()); // a mount alone changes nothing
    write_file("f", CREATE, "first");
    struct io_opened file = open_at("f", READ);
    EXPECT_OK(io_sync(file.connection));
    EXPECT(!disk_says_clean());
    EXPECT_OK(sync_all());
    EXPECT(disk_says_clean());
    // Nobody asks: some seconds after the change it is synced, then idle.
    write_file("f", APPEND, " second");
    EXPECT_OK(io_sync(file.connection));
    EXPECT(!disk_says_clean());
    io_opened_close(&file);
    for (unsigned i = 0; i < 600 && !disk_says_clean(); i++) {
        EXPECT_OK(zx_nanosleep(zx_deadline_after(ZX_MSEC(100))));
    }
    EXPECT(disk_says_clean());
    expect_text("f", "first second");
    EXPECT(disk_says_clean());
    struct jacinth_ramdisk_control_cut_power_request cut = {.writes = 0, .seed = 7};
    EXPECT_OK(sync_all());
    EXPECT_OK(
        jacinth_ramdisk_control_cut_power_call(disk.control, ZX_TIME_INFINITE, &cut, storage));
    (void)unmount_data();
    restore();
    uint64_t reads = count_reads();
    mount_data();
    EXPECT(count_reads() - reads <= 5); // superblock, groups, the root's inode; which disk it is
    expect_text("f", "first second");
    end();
}

CASE(a_driver_that_dies) {
    begin();
    write_file("f", CREATE, "before");
    EXPECT_OK(sync_all());
    write_file("g", CREATE, "on its way");
    stop_disk();
    start_disk();
    EXPECT_OK(sync_all());
    EXPECT(!data.is_lost);
    remount();
    expect_text("f", "before");
    expect_text("g", "on its way");
    // Another disk is none that anything is written to.
    write_file("g", TRUNCATE, "nowhere");
    stop_disk();
    zx_handle_t old = disk.contents;
    disk.contents = utest_vmo(DISK_BYTES);
    start_disk();
    EXPECT_STATUS(sync_all(), ZX_ERR_IO);
    EXPECT(data.is_lost);
    EXPECT_STATUS(unmount_data(), ZX_ERR_IO);
    stop_disk();
    EXPECT_CLOSE(disk.contents);
    EXPECT_CLOSE(old);
}
