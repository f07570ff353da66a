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
    zx_handle_t is_up;   // event: who connects may
    uint32_t block_size; // 0: BLOCK_SIZE
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
    EXPECT_OK(ramdisk_init(&disk.disk, &disk.loop, duplicate(disk.contents),
                           disk.block_size != 0 ? disk.block_size : BLOCK_SIZE,
                           JACINTH_BLOCK_FLAGS_VOLATILE_CACHE));
    struct utest_pair control = utest_channel();
    disk.control = control.a;
    EXPECT_OK(ramdisk_control(&disk.disk, control.b));
    utest_thread_start(&disk.thread, serve_disk, nullptr);
    EXPECT_OK(zx_object_signal(disk.is_up, 0, ZX_USER_SIGNAL_0));
}

static void pause_disk(void) {
    zx_port_packet_t packet = {.key = async_receiver_key(&disk.receiver), .type = ZX_PKT_TYPE_USER};
    EXPECT_OK(zx_port_queue(disk.loop.port, &packet));
    utest_thread_join(&disk.thread);
    EXPECT_OK(disk.result);
}

// Its sessions end with it; the contents stay. Who connects waits for the next.
static void stop_disk(void) {
    EXPECT_OK(zx_object_signal(disk.is_up, ZX_USER_SIGNAL_0, 0));
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
    EXPECT_OK(zx_object_wait_one(disk.is_up, ZX_USER_SIGNAL_0, ZX_TIME_INFINITE, nullptr));
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
    EXPECT_OK(zx_event_create(0, &disk.is_up));
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
    EXPECT_CLOSE(disk.is_up);
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

CASE(a_disk_of_large_blocks) {
    disk.block_size = 4096;
    begin_with(4096);
    write_large("f", 4 * PIECE);
    write_file("g", CREATE, "short");
    remount();
    expect_large("f", 4 * PIECE);
    expect_text("g", "short");
    EXPECT_OK(unmount_data());
    // Blocks that the disk has no way to read by themselves are refused, in words.
    format(1024);
    char why[EXT2_WHY_MAX];
    EXPECT_OK(async_loop_init(&data.loop));
    data.fs = (struct ext2fs){.disk.connect = connect_disk, .server.loop = &data.loop};
    EXPECT_STATUS(ext2fs_init(&data.fs, why), ZX_ERR_NOT_SUPPORTED);
    EXPECT(strlen(why) > 0);
    async_loop_destroy(&data.loop);
    stop_disk();
    disk.block_size = 0;
    EXPECT_CLOSE(disk.contents);
    EXPECT_CLOSE(disk.is_up);
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

// What is on the disk of a file that was written by write_pages.
static uint64_t count_saved(uint32_t seed, uint64_t count);
static void write_pages(const char* path, uint32_t seed, uint64_t count);

// However much is written, no more of it than there may be waits to be saved; and if nothing can be
// saved no more is taken.
CASE(what_is_unsaved_has_a_limit) {
    constexpr uint64_t MOST = 256, AT_ONCE = 64, PAGES = 1024;
    begin_with(4096);
    data.fs.dirty_max = MOST; // the server does nothing before it is asked
    write_pages("f", 1, PAGES);
    EXPECT(count_saved(1, PAGES) >= PAGES - MOST - AT_ONCE);
    EXPECT_OK(sync_all());
    EXPECT_EQ(count_saved(1, PAGES), PAGES);
    fail_nth(JACINTH_RAMDISK_KINDS_WRITE, 1'000'000);
    struct io_opened o = open_at("g", WRITE | CREATE);
    uint64_t written = 0;
    size_t actual;
    fill(piece, PIECE, 0);
    while (write_some(o.stream, piece, PIECE, &actual) == ZX_OK && written < PAGES * 4096) {
        written += actual;
    }
    EXPECT(written >= MOST * 4096 / 2 && written <= (MOST + AT_ONCE) * 4096);
    restore();
    EXPECT_OK(write_some(o.stream, piece, PIECE, &actual));
    io_opened_close(&o);
    remount();
    EXPECT_EQ(stat_at("g").size, written + actual);
    end();
}

// ---- disks that fail ----

static uint64_t place_of(uint32_t seed, uint64_t page);

// What one file cannot save takes its part of the limit, and no more: others come and go.
CASE(one_file_that_cannot_be_saved) {
    begin_with(4096);
    write_pages("bad", 1, 2);
    EXPECT_OK(sync_all());
    struct jacinth_ramdisk_control_fail_range_request bad = {.kinds = JACINTH_RAMDISK_KINDS_WRITE,
                                                             .first = place_of(1, 0),
                                                             .count = 8,
                                                             .status = ZX_ERR_IO_DATA_LOSS};
    EXPECT_OK(
        jacinth_ramdisk_control_fail_range_call(disk.control, ZX_TIME_INFINITE, &bad, storage));
    write_file("bad", 0, "new");
    EXPECT_STATUS(sync_all(), ZX_ERR_IO);
    data.fs.dirty_max = 256; // the server does nothing before it is asked
    for (uint32_t i = 0; i < 16; i++) {
        write_pages("t", 2 + i, 64);
        EXPECT_OK(io_unlink(data.root, "t", 1, 0));
    }
    restore();
    end();
}

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
    EXPECT_CLOSE(disk.is_up);
    EXPECT_CLOSE(old);
}

// ---- reads that are under way ----

constexpr uint64_t PAGE = 4096;
constexpr uint64_t BLOCKS_OF_PAGE = PAGE / BLOCK_SIZE;

static void hold_reads(uint64_t first, uint64_t count, bool carry_out) {
    struct jacinth_ramdisk_control_hold_reads_request r = {
        .first = first, .count = count, .carry_out = carry_out};
    EXPECT_OK(jacinth_ramdisk_control_hold_reads_call(disk.control, ZX_TIME_INFINITE, &r, storage));
}

static void let_go(void) {
    hold_reads(0, 0, false);
}

static void await_held(uint64_t count) {
    struct jacinth_ramdisk_control_get_counts_response* r;
    do {
        EXPECT_OK(
            jacinth_ramdisk_control_get_counts_call(disk.control, ZX_TIME_INFINITE, storage, &r));
    } while (r->held < count);
    EXPECT_EQ(r->held, count);
}

// What page `page` of a file of this seed holds (each page another thing).
static void page_of(uint8_t out[PAGE], uint32_t seed, uint64_t page) {
    fill(out, PAGE, (uint64_t)seed << 32 | page << 12);
    memcpy(out, &(uint64_t[2]){seed, page}, 16);
}

static void write_pages(const char* path, uint32_t seed, uint64_t count) {
    struct io_opened o = open_at(path, WRITE | CREATE);
    for (uint64_t i = 0; i < count; i++) {
        size_t actual;
        page_of(piece, seed, i);
        EXPECT_OK(write_some(o.stream, piece, PAGE, &actual));
        EXPECT_EQ(actual, PAGE);
    }
    io_opened_close(&o);
}

// The block of the disk where that page lies; 0: nowhere.
static uint64_t find_page(uint32_t seed, uint64_t page) {
    uint8_t got[64];
    page_of(want, seed, page);
    for (uint64_t at = 0; at < DISK_BYTES; at += PAGE) {
        EXPECT_OK(zx_vmo_read(disk.contents, got, at, sizeof(got)));
        if (memcmp(got, want, sizeof(got)) == 0) {
            return at / BLOCK_SIZE;
        }
    }
    return 0;
}

static uint64_t place_of(uint32_t seed, uint64_t page) {
    uint64_t place = find_page(seed, page);
    EXPECT(place != 0);
    return place;
}

static uint64_t count_saved(uint32_t seed, uint64_t count) {
    uint64_t saved = 0;
    for (uint64_t at = 0; at < DISK_BYTES; at += PAGE) {
        uint64_t is[2];
        EXPECT_OK(zx_vmo_read(disk.contents, is, at, sizeof(is)));
        saved += is[0] == seed && is[1] < count;
    }
    return saved;
}

static zx_status_t read_at(zx_handle_t stream, uint64_t offset, void* buffer, size_t len,
                           size_t* actual) {
    zx_iovec_t v = {buffer, len};
    return zx_stream_readv_at(stream, 0, offset, &v, 1, actual);
}

static void expect_page(zx_handle_t stream, uint32_t seed, uint64_t page) {
    uint8_t is[PAGE], should[PAGE];
    size_t actual = 0;
    EXPECT_OK(read_at(stream, page * PAGE, is, PAGE, &actual));
    EXPECT_EQ(actual, PAGE);
    page_of(should, seed, page);
    EXPECT(memcmp(is, should, PAGE) == 0);
}

// A thread that wants a page.
struct reader {
    struct utest_thread thread;
    zx_handle_t stream;
    uint64_t page;
    zx_status_t status;
    size_t actual;
    uint8_t got[PAGE];
};

static void run_reader(void* arg) {
    struct reader* r = arg;
    r->status = read_at(r->stream, r->page * PAGE, r->got, PAGE, &r->actual);
}

static void reader_start(struct reader* r, zx_handle_t stream, uint64_t page) {
    *r = (struct reader){.stream = stream, .page = page};
    utest_thread_start(&r->thread, run_reader, r);
}

static void reader_join(struct reader* r, uint32_t seed) {
    uint8_t should[PAGE];
    utest_thread_join(&r->thread);
    EXPECT_OK(r->status);
    page_of(should, seed, r->page);
    EXPECT(r->actual == PAGE && memcmp(r->got, should, PAGE) == 0);
}

constexpr uint64_t FILE_PAGES = 64;

// Files of pages with seeds 1 to `count`, on the disk and nowhere else.
static void begin_with_files(uint32_t count) {
    begin_with(4096);
    for (uint32_t i = 0; i < count; i++) {
        write_pages((const char[]){(char)('a' + i), 0}, i + 1, FILE_PAGES);
    }
    remount();
}

CASE(reads_do_not_wait_for_each_other) {
    static struct reader one, same, two;
    begin_with_files(3);
    struct io_opened a = open_at("a", READ), b = open_at("b", READ), c = open_at("c", READ);
    hold_reads(place_of(1, 0), BLOCKS_OF_PAGE, false);
    reader_start(&one, a.stream, 0);
    await_held(1);
    // Of another file, and of another part of the same one.
    for (uint64_t i = 0; i < FILE_PAGES; i++) {
        expect_page(b.stream, 2, i);
    }
    expect_page(a.stream, 1, FILE_PAGES - 1);
    expect_page(c.stream, 3, 0);
    // What is on its way is not read once more: page 3 comes with page 0.
    uint64_t before = count_reads();
    reader_start(&same, a.stream, 3);
    utest_thread_reach(same.thread.handle, ZX_THREAD_STATE_BLOCKED_PAGER);
    reader_start(&two, c.stream, 1); // it is there
    reader_join(&two, 3);
    await_held(1);
    let_go();
    reader_join(&one, 1);
    reader_join(&same, 1);
    EXPECT_EQ(count_reads(), before + 1);
    io_opened_close(&a);
    io_opened_close(&b);
    io_opened_close(&c);
    end();
}

// More reads than there are slots: the others wait for their turn.
CASE(more_reads_than_slots) {
    constexpr uint32_t COUNT = EXT2FS_SLOTS + 4;
    static struct reader readers[COUNT];
    struct io_opened files[COUNT];
    begin_with_files(COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        files[i] = open_at((const char[]){(char)('a' + i), 0}, READ);
        expect_page(files[i].stream, i + 1, FILE_PAGES - 1); // where its blocks lie is known now
    }
    hold_reads(place_of(1, 0), DISK_BYTES / BLOCK_SIZE - place_of(1, 0), false);
    for (uint32_t i = 0; i < COUNT; i++) {
        reader_start(&readers[i], files[i].stream, 20);
        await_held(i < EXT2FS_SLOTS ? i + 1 : EXT2FS_SLOTS);
        utest_thread_reach(readers[i].thread.handle, ZX_THREAD_STATE_BLOCKED_PAGER);
    }
    EXPECT_EQ(stat_at("a").size, FILE_PAGES * PAGE); // others are answered meanwhile
    EXPECT_OK(sync_all());
    let_go();
    for (uint32_t i = 0; i < COUNT; i++) {
        reader_join(&readers[i], i + 1);
        io_opened_close(&files[i]);
    }
    end();
}

// The blocks were read, and are cut off, and another's, before the pages get to the file.
CASE(a_file_that_is_cut_while_it_is_read) {
    static struct reader one;
    begin_with_files(1);
    struct io_opened a = open_at("a", READ | WRITE);
    hold_reads(place_of(1, 0), BLOCKS_OF_PAGE, true);
    reader_start(&one, a.stream, 0);
    await_held(1);
    // The core reads the rest of the last block, so this place is not held any more; what was
    // answered late is the old contents.
    hold_reads(place_of(1, 1), BLOCKS_OF_PAGE, true);
    EXPECT_OK(io_resize(a.connection, 100));
    EXPECT_OK(io_resize(a.connection, 8 * PAGE));
    EXPECT_OK(sync_all());
    write_pages("b", 2, FILE_PAGES);
    EXPECT_OK(sync_all());
    let_go();
    utest_thread_join(&one.thread);
    EXPECT_OK(one.status);
    for (uint64_t i = 0; i < 8; i++) {
        uint8_t got[PAGE], should[PAGE];
        size_t actual;
        EXPECT_OK(read_at(a.stream, i * PAGE, got, PAGE, &actual));
        EXPECT_EQ(actual, PAGE);
        page_of(should, 1, 0);
        size_t kept = i == 0 ? 100 : 0;
        memset(should + kept, 0, PAGE - kept);
        EXPECT(memcmp(got, should, PAGE) == 0);
    }
    // Saved and read again it is the same.
    io_opened_close(&a);
    remount();
    a = open_at("a", READ);
    uint8_t got[PAGE];
    size_t actual;
    EXPECT_OK(read_at(a.stream, 0, got, PAGE, &actual));
    EXPECT(got[99] != 0 || got[98] != 0);
    EXPECT(got[100] == 0 && got[PAGE - 1] == 0);
    io_opened_close(&a);
    end();
}

static void hold_disk(bool hold) {
    struct jacinth_ramdisk_control_hold_request r = {.hold = hold};
    EXPECT_OK(jacinth_ramdisk_control_hold_call(disk.control, ZX_TIME_INFINITE, &r, storage));
}

static void run_sync(void*) {
    EXPECT_OK(sync_all());
}

static void run_cut(void* arg) {
    EXPECT_OK(io_resize(*(zx_handle_t*)arg, PAGE));
}

static void run_write(void* arg) {
    zx_iovec_t v = {want, 8 * PAGE};
    size_t actual;
    (void)zx_stream_writev_at(*(zx_handle_t*)arg, 0, 0, &v, 1, &actual); // it ends
}

// Leave to write to eight pages is asked for while the server is busy, and before it hears of that
// there is only one.
CASE(a_file_that_is_cut_while_it_is_written_to) {
    static struct utest_thread sync, cut, writer;
    begin_with_files(1);
    struct io_opened a = open_at("a", READ | WRITE);
    for (uint64_t i = 0; i < 8; i++) {
        expect_page(a.stream, 1, i);
    }
    hold_disk(true);
    utest_thread_start(&sync, run_sync, nullptr);
    await_held(1);
    utest_thread_start(&cut, run_cut, &a.connection);
    utest_thread_reach(cut.handle, ZX_THREAD_STATE_BLOCKED_CHANNEL);
    fill(want, 8 * PAGE, 0);
    utest_thread_start(&writer, run_write, &a.stream);
    utest_thread_reach(writer.handle, ZX_THREAD_STATE_BLOCKED_PAGER);
    hold_disk(false);
    utest_thread_join(&sync);
    utest_thread_join(&cut);
    utest_thread_join(&writer);
    EXPECT_EQ(stat_at("a").size, PAGE);
    io_opened_close(&a);
    end();
}

// The kernel takes back whatever it can.
static void take_all_memory(void) {
    zx_handle_t hog = utest_vmo((uint64_t)8 << 30);
    zx_status_t status = ZX_OK;
    for (uint64_t at = 0; status == ZX_OK; at += 1 << 20) {
        status = zx_vmo_op_range(hog, ZX_VMO_OP_COMMIT, at, 1 << 20, nullptr, 0);
    }
    EXPECT_STATUS(status, ZX_ERR_NO_MEMORY);
    EXPECT_CLOSE(hog);
}

static uint64_t committed(zx_handle_t vmo) {
    zx_info_vmo_t info;
    EXPECT_OK(zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr));
    return info.committed_bytes;
}

// A page that is written to, saved, and taken back while a read has its old contents on the way.
CASE_WITHIN(a_page_that_is_saved_while_it_is_read, 120) {
    static struct reader one;
    begin_with_files(1);
    struct io_opened a = open_at("a", READ | WRITE);
    expect_page(a.stream, 1, 3); // and 3 to 10 with it
    hold_reads(place_of(1, 0), BLOCKS_OF_PAGE, true);
    reader_start(&one, a.stream, 0); // on the way: 0 to 7
    await_held(1);
    zx_iovec_t v = {"new", 3};
    size_t actual;
    EXPECT_OK(zx_stream_writev_at(a.stream, 0, 3 * PAGE, &v, 1, &actual));
    EXPECT_OK(sync_all());
    zx_handle_t vmo;
    uint64_t size;
    EXPECT_OK(io_get_vmo(a.connection, READ, &vmo, &size));
    EXPECT(committed(vmo) > 0);
    take_all_memory();
    EXPECT_EQ(committed(vmo), 0);
    EXPECT_CLOSE(vmo);
    let_go();
    reader_join(&one, 1);
    uint8_t got[3];
    EXPECT_OK(read_at(a.stream, 3 * PAGE, got, 3, &actual));
    EXPECT(memcmp(got, "new", 3) == 0);
    io_opened_close(&a);
    remount();
    a = open_at("a", READ);
    EXPECT_OK(read_at(a.stream, 3 * PAGE, got, 3, &actual));
    EXPECT(memcmp(got, "new", 3) == 0);
    expect_page(a.stream, 1, 2);
    expect_page(a.stream, 1, 4);
    io_opened_close(&a);
    end();
}

// It gets a stream, and reads its first page.
CHILD(reads_a_page) {
    zx_handle_t stream;
    char byte;
    if (zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr) != ZX_OK ||
        zx_channel_read(channel, 0, nullptr, &stream, 0, 1, nullptr, nullptr) != ZX_OK) {
        return 1;
    }
    size_t actual;
    return read_at(stream, 0, &byte, 1, &actual) == ZX_OK ? 0 : 2;
}

CASE(a_file_that_ends_while_it_is_read) {
    struct utest_child child;
    begin_with_files(1);
    struct io_opened a = open_at("a", READ);
    struct io_usage usage;
    EXPECT_OK(io_query_usage(data.root, &usage));
    uint64_t before = usage.used_bytes;
    hold_reads(place_of(1, 0), BLOCKS_OF_PAGE, true);
    utest_child_start(&child, "reads_a_page", ZX_HANDLE_INVALID);
    EXPECT_OK(zx_channel_write(child.channel, 0, nullptr, 0, &a.stream, 1));
    await_held(1);
    EXPECT_OK(io_unlink(data.root, "a", 1, 0));
    EXPECT_CLOSE(a.connection);
    EXPECT_OK(zx_task_kill(child.process));
    EXPECT_EQ(utest_child_join(&child), ZX_TASK_RETCODE_SYSCALL_KILL);
    // Its blocks are free once nobody has it, which the server hears when it hears it.
    do {
        EXPECT_OK(sync_all());
        EXPECT_OK(io_query_usage(data.root, &usage));
    } while (usage.used_bytes > before - FILE_PAGES * PAGE);
    write_pages("b", 2, FILE_PAGES);
    let_go();
    remount();
    struct io_opened b = open_at("b", READ);
    for (uint64_t i = 0; i < FILE_PAGES; i++) {
        expect_page(b.stream, 2, i);
    }
    io_opened_close(&b);
    end();
}

CASE(one_bad_place_takes_only_its_page) {
    begin_with_files(1);
    struct io_opened a = open_at("a", READ);
    uint8_t got[4 * PAGE];
    size_t actual;
    struct jacinth_ramdisk_control_fail_range_request bad = {.kinds = JACINTH_RAMDISK_KINDS_READ,
                                                             .first = place_of(1, 5),
                                                             .count = BLOCKS_OF_PAGE,
                                                             .status = ZX_ERR_IO_DATA_LOSS};
    EXPECT_OK(
        jacinth_ramdisk_control_fail_range_call(disk.control, ZX_TIME_INFINITE, &bad, storage));
    expect_page(a.stream, 1, 0); // what is read ahead is nobody's failure
    expect_page(a.stream, 1, 4);
    EXPECT_STATUS(read_at(a.stream, 5 * PAGE, got, PAGE, &actual), ZX_ERR_IO);
    expect_page(a.stream, 1, 6);
    zx_handle_t vmo;
    uint64_t size;
    EXPECT_OK(io_get_vmo(a.connection, READ, &vmo, &size));
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_PREFETCH, 0, size, nullptr, 0), ZX_ERR_IO);
    restore();
    for (uint64_t i = 0; i < FILE_PAGES; i++) {
        expect_page(a.stream, 1, i);
    }
    EXPECT_CLOSE(vmo);
    io_opened_close(&a);
    end();
}

// A disk that has no memory for a request now has some later.
CASE(reads_that_wait_for_memory) {
    begin_with_files(1);
    struct io_opened a = open_at("a", READ);
    struct jacinth_ramdisk_control_fail_nth_request r = {
        .kinds = JACINTH_RAMDISK_KINDS_READ, .count = 3, .status = ZX_ERR_NO_MEMORY};
    expect_page(a.stream, 1, FILE_PAGES - 1); // where its blocks lie is known now
    EXPECT_OK(jacinth_ramdisk_control_fail_nth_call(disk.control, ZX_TIME_INFINITE, &r, storage));
    for (uint64_t i = 0; i < FILE_PAGES; i++) {
        expect_page(a.stream, 1, i);
    }
    io_opened_close(&a);
    end();
}

CASE(a_driver_that_dies_under_reads) {
    static struct reader one, two;
    begin_with_files(2);
    struct io_opened a = open_at("a", READ), b = open_at("b", READ);
    uint64_t first = place_of(1, 0), end_of_all = DISK_BYTES / BLOCK_SIZE;
    expect_page(a.stream, 1, FILE_PAGES - 1); // where their blocks lie is known now
    expect_page(b.stream, 2, FILE_PAGES - 1);
    hold_reads(first, end_of_all - first, false);
    reader_start(&one, a.stream, 0);
    reader_start(&two, b.stream, 2);
    await_held(2);
    stop_disk();
    start_disk(); // which holds nothing
    reader_join(&one, 1);
    reader_join(&two, 2);
    EXPECT(!data.is_lost);
    // And no driver with that disk comes back.
    hold_reads(first, end_of_all - first, false);
    reader_start(&one, a.stream, 50);
    reader_start(&two, b.stream, 50);
    await_held(2);
    zx_handle_t old = disk.contents;
    stop_disk();
    disk.contents = utest_vmo(DISK_BYTES);
    start_disk();
    utest_thread_join(&one.thread);
    utest_thread_join(&two.thread);
    EXPECT_STATUS(one.status, ZX_ERR_IO);
    EXPECT_STATUS(two.status, ZX_ERR_IO);
    EXPECT(data.is_lost);
    expect_page(a.stream, 1, 0); // it is there
    io_opened_close(&a);
    io_opened_close(&b);
    (void)unmount_data(); // nothing was to be saved, but the mark that all is well
    stop_disk();
    EXPECT_CLOSE(disk.contents);
    EXPECT_CLOSE(disk.is_up);
    EXPECT_CLOSE(old);
}

static void run_prefetch(void* arg) {
    EXPECT_STATUS(zx_vmo_op_range(*(zx_handle_t*)arg, ZX_VMO_OP_PREFETCH, 0, 8 * PAGE, nullptr, 0),
                  ZX_ERR_IO);
}

// What fails is more than is left of the file: who waits for what is left is told.
CASE(a_disk_that_is_lost_under_a_file_that_was_cut) {
    static struct utest_thread reader;
    begin_with_files(1);
    struct io_opened a = open_at("a", READ | WRITE);
    uint64_t first = place_of(1, 0), end_of_all = DISK_BYTES / BLOCK_SIZE;
    expect_page(a.stream, 1, FILE_PAGES - 1); // where its blocks lie is known now
    zx_handle_t vmo;
    uint64_t size;
    EXPECT_OK(io_get_vmo(a.connection, READ, &vmo, &size));
    hold_reads(first, end_of_all - first, false);
    utest_thread_start(&reader, run_prefetch, &vmo);
    await_held(1);
    EXPECT_OK(io_resize(a.connection, PAGE));
    zx_handle_t old = disk.contents;
    stop_disk();
    disk.contents = utest_vmo(DISK_BYTES);
    start_disk();
    utest_thread_join(&reader);
    EXPECT(data.is_lost);
    EXPECT_CLOSE(vmo);
    io_opened_close(&a);
    EXPECT_STATUS(unmount_data(), ZX_ERR_IO);
    stop_disk();
    EXPECT_CLOSE(disk.contents);
    EXPECT_CLOSE(disk.is_up);
    EXPECT_CLOSE(old);
}
