// jacinth.io, from a client's side: what any server of it must do, tried on memfs in a thread of
// this program, where nothing that it holds can hide: after each case its nodes are counted, and
// its handles are ours. The last cases are about the servers of the running system.
#include <utest/utest.h>

#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <io/client.h>
#include <io/server.h>
#include <jacinth/startup.h>
#include <lib/compiler.h>
#include <zircon/syscalls/object.h>

#include <memfs/memfs.h>

GROUP("io");

constexpr jacinth_io_flags_t READ = JACINTH_IO_FLAGS_READ;
constexpr jacinth_io_flags_t WRITE = JACINTH_IO_FLAGS_WRITE;
constexpr jacinth_io_flags_t EXECUTE = JACINTH_IO_FLAGS_EXECUTE;
constexpr jacinth_io_flags_t APPEND = JACINTH_IO_FLAGS_APPEND;
constexpr jacinth_io_flags_t CREATE = JACINTH_IO_FLAGS_CREATE;
constexpr jacinth_io_flags_t EXCLUSIVE = JACINTH_IO_FLAGS_EXCLUSIVE;
constexpr jacinth_io_flags_t TRUNCATE = JACINTH_IO_FLAGS_TRUNCATE;
constexpr jacinth_io_flags_t DIRECTORY = JACINTH_IO_FLAGS_DIRECTORY;
constexpr jacinth_io_flags_t NO_FOLLOW = JACINTH_IO_FLAGS_NO_FOLLOW;

// ---- the server ----

static struct {
    struct async_loop loop;
    struct memfs fs;
    struct utest_thread thread;
    zx_handle_t root;
    zx_status_t result;
} mem;

static void on_idle(struct io_server*) {
    async_loop_quit(&mem.loop);
}

static void serve(void*) {
    mem.result = async_loop_run(&mem.loop);
}

static void begin_with(uint32_t connections_max, uint64_t nodes_max, uint64_t bytes_max,
                       jacinth_io_flags_t rights) {
    memset(&mem, 0, sizeof(mem));
    EXPECT_OK(async_loop_init(&mem.loop));
    mem.fs.server = (struct io_server){.loop = &mem.loop,
                                       .ops = &memfs_ops,
                                       .connections_max = connections_max,
                                       .watchers_max = 4,
                                       .idle = on_idle};
    io_server_init(&mem.fs.server);
    mem.fs.nodes_max = nodes_max;
    mem.fs.bytes_max = bytes_max;
    EXPECT_OK(memfs_init(&mem.fs));
    zx_handle_t theirs;
    EXPECT_OK(zx_channel_create(0, &mem.root, &theirs));
    EXPECT_OK(io_server_serve(&mem.fs.server, theirs, &mem.fs.root->io, rights));
    utest_thread_start(&mem.thread, serve, nullptr);
}

static zx_handle_t begin(void) {
    begin_with(1000, 200'000, 64 << 20, READ | WRITE | EXECUTE);
    return mem.root;
}

// All connections but the root's are closed. What is left in the file system goes with it, and
// then nothing is left.
static void end(void) {
    EXPECT_CLOSE(mem.root);
    utest_thread_join(&mem.thread);
    EXPECT_OK(mem.result);
    io_server_end(&mem.fs.server); // watchers
    memfs_destroy(&mem.fs);
    EXPECT_EQ(mem.fs.nodes_used, 0);
    EXPECT_EQ(mem.fs.names_used, 0);
    EXPECT_EQ(mem.fs.bytes_used, 0);
    async_loop_destroy(&mem.loop);
}

// ---- short forms ----

static zx_status_t try_open(zx_handle_t directory, const char* path, jacinth_io_flags_t flags) {
    struct io_opened o;
    zx_status_t status = io_open(directory, path, strlen(path), flags, 0644, &o, nullptr);
    if (status == ZX_OK) {
        io_opened_close(&o);
    }
    return status;
}

static struct io_opened open_at(zx_handle_t directory, const char* path, jacinth_io_flags_t flags) {
    struct io_opened o = {};
    utest_context(path);
    EXPECT_OK(io_open(directory, path, strlen(path), flags, 0644, &o, nullptr));
    utest_context(nullptr);
    return o;
}

static zx_handle_t open_directory(zx_handle_t directory, const char* path) {
    struct io_opened o = open_at(directory, path, DIRECTORY);
    EXPECT_EQ(o.kind, JACINTH_IO_KIND_DIRECTORY);
    EXPECT_EQ(o.stream, ZX_HANDLE_INVALID);
    return o.connection;
}

static void make_file(zx_handle_t directory, const char* path) {
    struct io_opened o = open_at(directory, path, CREATE | EXCLUSIVE);
    EXPECT_EQ(o.kind, JACINTH_IO_KIND_FILE);
    io_opened_close(&o);
}

static void make_directory(zx_handle_t directory, const char* path) {
    struct io_opened o = open_at(directory, path, CREATE | EXCLUSIVE | DIRECTORY);
    io_opened_close(&o);
}

static zx_status_t try_stat(zx_handle_t directory, const char* path, jacinth_io_flags_t flags) {
    struct jacinth_io_attributes a;
    return io_stat(directory, path, strlen(path), flags, &a, nullptr, nullptr);
}

static struct jacinth_io_attributes stat_at(zx_handle_t directory, const char* path) {
    struct jacinth_io_attributes a = {};
    utest_context(path);
    EXPECT_OK(io_stat(directory, path, strlen(path), NO_FOLLOW, &a, nullptr, nullptr));
    utest_context(nullptr);
    return a;
}

static zx_status_t unlink_at(zx_handle_t directory, const char* path, jacinth_io_flags_t flags) {
    return io_unlink(directory, path, strlen(path), flags);
}

static zx_status_t rename_at(zx_handle_t directory, const char* path, const char* to) {
    return io_rename(directory, path, strlen(path), ZX_HANDLE_INVALID, to, strlen(to));
}

static zx_status_t link_at(zx_handle_t directory, const char* path, const char* to) {
    return io_link(directory, path, strlen(path), ZX_HANDLE_INVALID, to, strlen(to));
}

static zx_status_t symlink_at(zx_handle_t directory, const char* target, const char* path) {
    return io_symlink(directory, target, strlen(target), path, strlen(path));
}

static size_t write_text(zx_handle_t stream, const char* text) {
    zx_iovec_t v = {(void*)text, strlen(text)};
    size_t actual = 0;
    EXPECT_OK(zx_stream_writev(stream, 0, &v, 1, &actual));
    return actual;
}

static void write_file(zx_handle_t directory, const char* path, jacinth_io_flags_t flags,
                       const char* text) {
    struct io_opened o = open_at(directory, path, flags | WRITE);
    EXPECT_EQ(write_text(o.stream, text), strlen(text));
    io_opened_close(&o);
}

static void expect_text(zx_handle_t directory, const char* path, const char* want) {
    char got[64];
    size_t actual = 0;
    zx_iovec_t v = {got, sizeof(got)};
    struct io_opened o = open_at(directory, path, READ);
    EXPECT_OK(zx_stream_readv(o.stream, 0, &v, 1, &actual));
    EXPECT_EQ(actual, strlen(want));
    EXPECT(memcmp(got, want, actual) == 0);
    io_opened_close(&o);
}

// ---- files ----

CASE(create_write_read) {
    zx_handle_t root = begin();
    EXPECT_STATUS(try_open(root, "f", READ), ZX_ERR_NOT_FOUND);
    struct io_opened o = open_at(root, "f", READ | WRITE | CREATE);
    EXPECT_EQ(o.kind, JACINTH_IO_KIND_FILE);
    EXPECT_EQ(utest_basic(o.stream).type, ZX_OBJ_TYPE_STREAM);
    EXPECT_EQ(write_text(o.stream, "hello"), 5);
    struct jacinth_io_attributes a;
    EXPECT_OK(io_get_attributes(o.connection, &a));
    EXPECT_EQ(a.kind, JACINTH_IO_KIND_FILE);
    EXPECT_EQ(a.size, 5);
    EXPECT_EQ(a.storage_size, 4096);
    EXPECT_EQ(a.mode, 0644);
    EXPECT_EQ(a.link_count, 1);
    EXPECT_EQ(a.id, stat_at(root, "f").id);
    io_opened_close(&o);
    expect_text(root, "f", "hello");
    write_file(root, "f", APPEND, " world");
    expect_text(root, "f", "hello world");
    write_file(root, "f", 0, "J");
    expect_text(root, "f", "Jello world");
    write_file(root, "f", TRUNCATE | CREATE, "x");
    expect_text(root, "f", "x");
    end();
}

CASE(open_flags) {
    zx_handle_t root = begin();
    make_file(root, "f");
    make_directory(root, "d");
    EXPECT_STATUS(try_open(root, "f", CREATE | EXCLUSIVE), ZX_ERR_ALREADY_EXISTS);
    EXPECT_STATUS(try_open(root, "d", CREATE | EXCLUSIVE | DIRECTORY), ZX_ERR_ALREADY_EXISTS);
    EXPECT_OK(try_open(root, "f", CREATE));
    EXPECT_OK(try_open(root, "d", CREATE | DIRECTORY));
    EXPECT_STATUS(try_open(root, "f", DIRECTORY), ZX_ERR_NOT_DIR);
    EXPECT_STATUS(try_open(root, "d", WRITE), ZX_ERR_NOT_FILE);
    EXPECT_STATUS(try_open(root, "d", READ | DIRECTORY | WRITE), ZX_ERR_NOT_FILE);
    EXPECT_STATUS(try_open(root, "d", CREATE), ZX_ERR_NOT_FILE);
    EXPECT_OK(try_open(root, "d", READ));
    EXPECT_STATUS(try_open(root, "f", TRUNCATE), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(try_open(root, "f", READ | APPEND), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(try_open(root, "new/", CREATE), ZX_ERR_NOT_DIR);
    EXPECT_OK(try_open(root, "new/", CREATE | DIRECTORY));
    // Without READ and WRITE there is a connection and no stream.
    struct io_opened o = open_at(root, "f", 0);
    EXPECT_EQ(o.stream, ZX_HANDLE_INVALID);
    EXPECT(o.connection != ZX_HANDLE_INVALID);
    EXPECT_STATUS(io_resize(o.connection, 1), ZX_ERR_ACCESS_DENIED);
    io_opened_close(&o);
    // The stream has the rights of the open.
    o = open_at(root, "f", READ);
    EXPECT_EQ(utest_basic(o.stream).rights & (ZX_RIGHT_READ | ZX_RIGHT_WRITE), ZX_RIGHT_READ);
    io_opened_close(&o);
    o = open_at(root, "f", WRITE);
    EXPECT_EQ(utest_basic(o.stream).rights & (ZX_RIGHT_READ | ZX_RIGHT_WRITE), ZX_RIGHT_WRITE);
    io_opened_close(&o);
    end();
}

CASE(resize_and_pages) {
    zx_handle_t root = begin();
    struct io_opened o = open_at(root, "f", READ | WRITE | CREATE);
    (void)write_text(o.stream, "0123456789");
    EXPECT_OK(io_resize(o.connection, 4));
    EXPECT_OK(io_resize(o.connection, 8000));
    EXPECT_EQ(stat_at(root, "f").size, 8000);
    zx_handle_t vmo;
    uint64_t size;
    EXPECT_OK(io_get_vmo(o.connection, READ, &vmo, &size));
    EXPECT_EQ(size, 8000);
    char bytes[10];
    EXPECT_OK(zx_vmo_read(vmo, bytes, 0, sizeof(bytes)));
    EXPECT(memcmp(bytes, "0123\0\0\0\0\0\0", 10) == 0);
    EXPECT_STATUS(zx_vmo_write(vmo, "x", 0, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(vmo);
    EXPECT_OK(io_get_vmo(o.connection, READ | WRITE, &vmo, &size));
    EXPECT_OK(zx_vmo_write(vmo, "x", 0, 1)); // reaches the file
    EXPECT_STATUS(zx_vmo_set_size(vmo, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(vmo);
    // What has pages is not read over the connection; what is not open for reading, by nobody.
    size_t actual;
    EXPECT_STATUS(io_read_at(o.connection, 0, bytes, 4, &actual), ZX_ERR_NOT_SUPPORTED);
    struct io_opened written = open_at(root, "f", WRITE);
    EXPECT_STATUS(io_read_at(written.connection, 0, bytes, 4, &actual), ZX_ERR_ACCESS_DENIED);
    io_opened_close(&written);
    EXPECT_STATUS(io_get_vmo(o.connection, WRITE, &vmo, &size), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(io_get_vmo(o.connection, READ | CREATE, &vmo, &size), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(io_get_vmo(o.connection, READ | EXECUTE, &vmo, &size), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(io_resize(o.connection, UINT64_MAX), ZX_ERR_NO_SPACE);
    EXPECT_OK(io_sync(o.connection));
    EXPECT_OK(io_resize(o.connection, 4));
    io_opened_close(&o);
    expect_text(root, "f", "x123");
    o = open_at(root, "f", READ);
    EXPECT_STATUS(io_get_vmo(o.connection, READ | WRITE, &vmo, &size), ZX_ERR_ACCESS_DENIED);
    io_opened_close(&o);
    end();
}

CASE(unlinked_while_open) {
    zx_handle_t root = begin();
    struct io_opened o = open_at(root, "f", READ | WRITE | CREATE);
    EXPECT_OK(unlink_at(root, "f", 0));
    EXPECT_STATUS(try_open(root, "f", READ), ZX_ERR_NOT_FOUND);
    (void)write_text(o.stream, "still here");
    struct jacinth_io_attributes a;
    EXPECT_OK(io_get_attributes(o.connection, &a));
    EXPECT_EQ(a.size, 10);
    EXPECT_EQ(a.link_count, 0);
    io_opened_close(&o);
    // The same with a directory: nothing can be made in it any more.
    make_directory(root, "d");
    zx_handle_t d = open_directory(root, "d");
    EXPECT_OK(unlink_at(root, "d", DIRECTORY));
    EXPECT_STATUS(try_open(d, "x", CREATE), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(try_stat(d, "..", 0), ZX_OK); // itself: it is nowhere
    make_file(root, "g");
    zx_handle_t token;
    EXPECT_OK(io_get_token(d, &token));
    EXPECT_STATUS(io_rename(root, "g", 1, token, "x", 1), ZX_ERR_NOT_FOUND);
    EXPECT_OK(io_get_token(d, &token));
    EXPECT_STATUS(io_link(root, "g", 1, token, "x", 1), ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(d);
    end();
}

// ---- paths ----

CASE(paths) {
    zx_handle_t root = begin();
    make_directory(root, "a");
    make_directory(root, "a/b");
    make_file(root, "a/b/f");
    uint64_t f = stat_at(root, "a/b/f").id;
    static const char* const same[] = {
        "a/b/f",        "./a/./b//f",        "a/../a/b/f", "../../a/b/f", "a/b/../../a///b/f",
        "a/b/../b/./f", "a/b/../../../a/b/f"};
    for (size_t i = 0; i < array_size(same); i++) {
        EXPECT_EQ(stat_at(root, same[i]).id, f);
    }
    static const char* const roots[] = {"", ".", "..", "./", "a/..", "a/b/../..//"};
    for (size_t i = 0; i < array_size(roots); i++) {
        EXPECT_EQ(stat_at(root, roots[i]).id, stat_at(root, "").id);
    }
    zx_handle_t b = open_directory(root, "a/b/");
    EXPECT_EQ(stat_at(b, "../../a/b/f").id, f);
    EXPECT_EQ(stat_at(b, "f").id, f);
    EXPECT_CLOSE(b);
    EXPECT_STATUS(try_stat(root, "a/b/f/", 0), ZX_ERR_NOT_DIR);
    EXPECT_STATUS(try_stat(root, "a/b/f/x", 0), ZX_ERR_NOT_DIR);
    EXPECT_STATUS(try_stat(root, "a/b/f/.", 0), ZX_ERR_NOT_DIR);
    EXPECT_STATUS(try_stat(root, "a/x/f", 0), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(try_stat(root, "a/x", 0), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(try_stat(root, "/a", 0), ZX_ERR_INVALID_ARGS);
    struct jacinth_io_attributes a;
    EXPECT_STATUS(io_stat(root, "a\0b", 3, 0, &a, nullptr, nullptr), ZX_ERR_INVALID_ARGS);
    static char name[IO_PATH_MAX + 1];
    memset(name, 'n', sizeof(name));
    struct io_opened o;
    EXPECT_OK(io_open(root, name, IO_NAME_MAX, CREATE, 0, &o, nullptr));
    io_opened_close(&o);
    EXPECT_STATUS(io_open(root, name, IO_NAME_MAX + 1, CREATE, 0, &o, nullptr), ZX_ERR_BAD_PATH);
    EXPECT_STATUS(io_open(root, name, IO_PATH_MAX, CREATE, 0, &o, nullptr), ZX_ERR_BAD_PATH);
    EXPECT_STATUS(io_open(root, name, IO_PATH_MAX + 1, CREATE, 0, &o, nullptr), ZX_ERR_BAD_PATH);
    // Bytes are bytes.
    EXPECT_OK(try_open(root, "\xff\x80 \n\x01", CREATE | EXCLUSIVE));
    EXPECT_OK(try_stat(root, "\xff\x80 \n\x01", 0));
    end();
}

// Names that nobody can change.
CASE(dot_names) {
    zx_handle_t root = begin();
    make_directory(root, "d");
    make_file(root, "f");
    static const char* const names[] = {"", ".", "..", "d/.", "d/..", "d/../"};
    for (size_t i = 0; i < array_size(names); i++) {
        utest_context(names[i]);
        EXPECT_STATUS(unlink_at(root, names[i], DIRECTORY), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(rename_at(root, names[i], "x"), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(rename_at(root, "d", names[i]), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(link_at(root, "f", names[i]), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(symlink_at(root, "t", names[i]), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(try_open(root, names[i], CREATE | EXCLUSIVE | DIRECTORY),
                      ZX_ERR_ALREADY_EXISTS);
    }
    end();
}

// ---- links ----

CASE(symbolic_links) {
    zx_handle_t root = begin();
    make_directory(root, "d");
    make_file(root, "d/f");
    uint64_t f = stat_at(root, "d/f").id;
    EXPECT_OK(symlink_at(root, "d", "to_d"));
    EXPECT_OK(symlink_at(root, "f", "d/to_f"));
    EXPECT_OK(symlink_at(root, "../to_d/./to_f", "d/to_to_f"));
    struct jacinth_io_attributes a;
    EXPECT_OK(io_stat(root, "to_d/to_to_f", 12, 0, &a, nullptr, nullptr));
    EXPECT_EQ(a.id, f);
    EXPECT_EQ(stat_at(root, "to_d").kind, JACINTH_IO_KIND_SYMLINK);
    EXPECT_EQ(stat_at(root, "to_d").size, 1);
    EXPECT_EQ(stat_at(root, "to_d/").kind, JACINTH_IO_KIND_DIRECTORY); // the slash follows
    EXPECT_STATUS(try_open(root, "to_d", NO_FOLLOW | DIRECTORY), ZX_ERR_NOT_DIR);
    EXPECT_OK(try_open(root, "to_d", DIRECTORY));
    EXPECT_STATUS(try_open(root, "to_d", CREATE | EXCLUSIVE), ZX_ERR_ALREADY_EXISTS);
    EXPECT_STATUS(symlink_at(root, "x", "to_d"), ZX_ERR_ALREADY_EXISTS);
    EXPECT_STATUS(symlink_at(root, "", "empty"), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(io_symlink(root, "a\0b", 3, "nul", 3), ZX_ERR_INVALID_ARGS);
    struct io_path text;
    EXPECT_OK(io_readlink(root, "d/to_to_f", 9, &text));
    EXPECT_EQ(text.len, 14);
    EXPECT(memcmp(text.text, "../to_d/./to_f", 14) == 0);
    EXPECT_STATUS(io_readlink(root, "d/f", 3, &text), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(io_readlink(root, "nothing", 7, &text), ZX_ERR_NOT_FOUND);
    // A link that leads nowhere: what is made is made there.
    EXPECT_OK(symlink_at(root, "d/new", "dangling"));
    EXPECT_STATUS(try_stat(root, "dangling", 0), ZX_ERR_NOT_FOUND);
    EXPECT_OK(try_open(root, "dangling", CREATE));
    EXPECT_OK(try_stat(root, "d/new", NO_FOLLOW));
    // Removing and renaming is of the link.
    EXPECT_OK(rename_at(root, "dangling", "renamed"));
    EXPECT_OK(unlink_at(root, "renamed", 0));
    EXPECT_OK(try_stat(root, "d/new", 0));
    EXPECT_STATUS(unlink_at(root, "to_d", DIRECTORY), ZX_ERR_NOT_DIR);
    EXPECT_OK(unlink_at(root, "to_d", 0));
    EXPECT_OK(try_stat(root, "d", 0));
    end();
}

CASE(links_without_end) {
    zx_handle_t root = begin();
    EXPECT_OK(symlink_at(root, "self", "self"));
    EXPECT_OK(symlink_at(root, "b", "a"));
    EXPECT_OK(symlink_at(root, "a", "b"));
    EXPECT_STATUS(try_stat(root, "self", 0), ZX_ERR_IO_OVERRUN);
    EXPECT_STATUS(try_open(root, "a", CREATE), ZX_ERR_IO_OVERRUN);
    EXPECT_STATUS(try_stat(root, "b/c", 0), ZX_ERR_IO_OVERRUN);
    make_file(root, "l0");
    char from[] = "l00", to[] = "l00";
    for (int i = 1; i <= 41; i++) { // l1 -> l0, ...
        size_t to_len = i - 1 < 10 ? 2 : 3, len = i < 10 ? 2 : 3;
        to[1] = (char)('0' + (i - 1 < 10 ? i - 1 : (i - 1) / 10));
        to[2] = (char)('0' + (i - 1) % 10);
        from[1] = (char)('0' + (i < 10 ? i : i / 10));
        from[2] = (char)('0' + i % 10);
        EXPECT_OK(io_symlink(root, to, to_len, from, len));
    }
    EXPECT_STATUS(try_stat(root, "l40", 0), ZX_OK);
    EXPECT_STATUS(try_stat(root, "l41", 0), ZX_ERR_IO_OVERRUN);
    // Text that grows at each step.
    static char path[2000];
    memset(path, '/', sizeof(path));
    path[0] = 'g';
    EXPECT_OK(io_symlink(root, path, sizeof(path), "g", 1));
    EXPECT_STATUS(try_stat(root, "g/x", 0), ZX_ERR_BAD_PATH);
    end();
}

static void expect_rest(const struct io_path* got, const char* want) {
    EXPECT_EQ(got->len, strlen(want));
    EXPECT(memcmp(got->text, want, got->len) == 0);
}

CASE(links_that_lead_out) {
    zx_handle_t root = begin();
    make_directory(root, "d");
    EXPECT_OK(symlink_at(root, "/boot/bin", "out"));
    EXPECT_OK(symlink_at(root, "../out/ls", "d/further"));
    static struct io_path rest;
    struct io_opened o;
    EXPECT_OK(io_open(root, "out", 3, READ, 0, &o, &rest));
    EXPECT(o.has_rest);
    EXPECT_EQ(o.kind, JACINTH_IO_KIND_SYMLINK);
    EXPECT_EQ(o.connection, ZX_HANDLE_INVALID);
    expect_rest(&rest, "/boot/bin");
    EXPECT_OK(io_open(root, "out/a/../b/", 11, READ, 0, &o, &rest));
    expect_rest(&rest, "/boot/bin/a/../b/");
    EXPECT_OK(io_open(root, "d/further", 9, READ | WRITE | CREATE, 0, &o, &rest));
    expect_rest(&rest, "/boot/bin/ls");
    EXPECT_OK(io_open(root, "out", 3, NO_FOLLOW, 0, &o, &rest));
    expect_rest(&rest, "/boot/bin");
    EXPECT_STATUS(try_open(root, "out", READ), ZX_ERR_NOT_FOUND); // to who cannot go on
    struct jacinth_io_attributes a;
    bool has_rest = false;
    EXPECT_OK(io_stat(root, "out/x", 5, 0, &a, &has_rest, &rest));
    EXPECT(has_rest);
    expect_rest(&rest, "/boot/bin/x");
    EXPECT_STATUS(unlink_at(root, "out/x", 0), ZX_ERR_NEXT);
    EXPECT_STATUS(rename_at(root, "out/x", "y"), ZX_ERR_NEXT);
    EXPECT_STATUS(rename_at(root, "d", "out/x"), ZX_ERR_NEXT);
    EXPECT_STATUS(symlink_at(root, "t", "out/x"), ZX_ERR_NEXT);
    EXPECT_STATUS(io_readlink(root, "out/x", 5, &rest), ZX_ERR_NEXT);
    uint32_t mode = 0;
    EXPECT_STATUS(io_change(root, "out", 3, 0, &(struct io_changes){.mode = &mode}), ZX_ERR_NEXT);
    EXPECT_OK(unlink_at(root, "out", 0));
    end();
}

CASE(hard_links) {
    zx_handle_t root = begin();
    make_directory(root, "d");
    write_file(root, "f", CREATE, "one");
    EXPECT_OK(link_at(root, "f", "d/g"));
    EXPECT_EQ(stat_at(root, "f").link_count, 2);
    EXPECT_EQ(stat_at(root, "f").id, stat_at(root, "d/g").id);
    EXPECT_STATUS(link_at(root, "f", "d/g"), ZX_ERR_ALREADY_EXISTS);
    EXPECT_STATUS(link_at(root, "d", "e"), ZX_ERR_NOT_FILE);
    EXPECT_STATUS(link_at(root, "f", "h/"), ZX_ERR_NOT_DIR);
    EXPECT_STATUS(link_at(root, "x", "y"), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(link_at(root, "f", "x/y"), ZX_ERR_NOT_FOUND);
    EXPECT_OK(rename_at(root, "f", "d/g")); // one file: nothing happens
    EXPECT_OK(try_stat(root, "f", 0));
    EXPECT_OK(unlink_at(root, "f", 0));
    expect_text(root, "d/g", "one");
    EXPECT_EQ(stat_at(root, "d/g").link_count, 1);
    end();
}

// ---- names ----

CASE(unlink_errors) {
    zx_handle_t root = begin();
    make_directory(root, "d");
    make_file(root, "d/f");
    EXPECT_STATUS(unlink_at(root, "x", 0), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(unlink_at(root, "x", DIRECTORY), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(unlink_at(root, "d", 0), ZX_ERR_NOT_FILE);
    EXPECT_STATUS(unlink_at(root, "d/", 0), ZX_ERR_NOT_FILE);
    EXPECT_STATUS(unlink_at(root, "d", DIRECTORY), ZX_ERR_NOT_EMPTY);
    EXPECT_STATUS(unlink_at(root, "d/f", DIRECTORY), ZX_ERR_NOT_DIR);
    EXPECT_STATUS(unlink_at(root, "d/f/", 0), ZX_ERR_NOT_DIR);
    EXPECT_OK(unlink_at(root, "d/f", 0));
    EXPECT_OK(unlink_at(root, "d/", DIRECTORY));
    EXPECT_EQ(stat_at(root, "").link_count, 2);
    end();
}

CASE(rename_over) {
    zx_handle_t root = begin();
    write_file(root, "a", CREATE, "A");
    write_file(root, "b", CREATE, "B");
    make_directory(root, "d");
    make_directory(root, "e");
    make_directory(root, "full");
    make_file(root, "full/x");
    EXPECT_OK(rename_at(root, "a", "b"));
    expect_text(root, "b", "A");
    EXPECT_STATUS(try_stat(root, "a", 0), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(rename_at(root, "b", "d"), ZX_ERR_NOT_FILE);
    EXPECT_STATUS(rename_at(root, "d", "b"), ZX_ERR_NOT_DIR);
    EXPECT_STATUS(rename_at(root, "d", "full"), ZX_ERR_NOT_EMPTY);
    EXPECT_STATUS(rename_at(root, "b", "c/"), ZX_ERR_NOT_DIR);
    EXPECT_STATUS(rename_at(root, "x", "y"), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(rename_at(root, "b", "x/y"), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(rename_at(root, "b", "b/y"), ZX_ERR_NOT_DIR);
    EXPECT_EQ(stat_at(root, "").link_count, 5);
    EXPECT_OK(rename_at(root, "full", "d"));
    EXPECT_OK(try_stat(root, "d/x", 0));
    EXPECT_EQ(stat_at(root, "").link_count, 4);
    EXPECT_OK(rename_at(root, "d/", "e/d/"));
    EXPECT_EQ(stat_at(root, "").link_count, 3);
    EXPECT_EQ(stat_at(root, "e").link_count, 3);
    EXPECT_EQ(stat_at(root, "e/d/..").id, stat_at(root, "e").id);
    EXPECT_OK(rename_at(root, "b", "b")); // itself
    EXPECT_OK(rename_at(root, "e", "e"));
    end();
}

CASE(rename_makes_no_cycles) {
    zx_handle_t root = begin();
    make_directory(root, "a");
    make_directory(root, "a/b");
    make_directory(root, "a/b/c");
    EXPECT_STATUS(rename_at(root, "a", "a/x"), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(rename_at(root, "a", "a/b/c/x"), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(rename_at(root, "a", "a/b/c"), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(rename_at(root, "a/b", "a"), ZX_ERR_NOT_EMPTY);
    EXPECT_OK(rename_at(root, "a/b/c", "c"));
    EXPECT_OK(rename_at(root, "a", "c/a"));
    EXPECT_OK(try_stat(root, "c/a/b", 0));
    end();
}

CASE(tokens) {
    zx_handle_t root = begin();
    make_directory(root, "d");
    write_file(root, "f", CREATE, "F");
    zx_handle_t d = open_directory(root, "d");
    zx_handle_t token, again;
    EXPECT_OK(io_get_token(d, &token));
    EXPECT_OK(io_get_token(d, &again));
    EXPECT_EQ(utest_koid(token), utest_koid(again));
    EXPECT_EQ(utest_basic(token).rights & ZX_RIGHT_SIGNAL, 0);
    EXPECT_OK(io_link(root, "f", 1, token, "g", 1));
    EXPECT_OK(io_rename(root, "f", 1, again, "h", 1));
    expect_text(d, "g", "F");
    expect_text(d, "h", "F");
    EXPECT_STATUS(io_rename(d, "h", 1, utest_event(), "i", 1), ZX_ERR_NOT_SUPPORTED);
    EXPECT_OK(io_get_token(d, &token));
    EXPECT_CLOSE(d);
    EXPECT_OK(io_sync(root)); // by the next request the server has seen that d is closed
    EXPECT_STATUS(io_rename(root, "d", 1, token, "i", 1), ZX_ERR_NOT_SUPPORTED);
    end();
}

// ---- attributes ----

CASE(attributes) {
    zx_handle_t root = begin();
    struct io_opened o = open_at(root, "f", READ | WRITE | CREATE);
    uint32_t mode = 017640;
    zx_time_t access = 11, modification = 22;
    struct jacinth_io_attributes before = stat_at(root, "f");
    EXPECT(before.modification_time >= ZX_SEC(PA_CLOCK_UTC_AT_BOOT));
    EXPECT_OK(io_set_attributes(o.connection, &(struct io_changes){&mode, &access, nullptr}));
    struct jacinth_io_attributes a = stat_at(root, "f");
    EXPECT_EQ(a.mode, 07640);
    EXPECT_EQ(a.access_time, 11);
    EXPECT_EQ(a.modification_time, before.modification_time);
    EXPECT(a.change_time > before.change_time);
    EXPECT_OK(io_change(root, "f", 1, 0, &(struct io_changes){.modification_time = &modification}));
    EXPECT_EQ(stat_at(root, "f").modification_time, 22);
    EXPECT_OK(io_change(root, "f", 1, 0, &(struct io_changes){}));
    EXPECT_STATUS(io_change(root, "g", 1, 0, &(struct io_changes){}), ZX_ERR_NOT_FOUND);
    // A time that was set stays when the writer leaves; what is written later changes it.
    io_opened_close(&o);
    EXPECT_EQ(stat_at(root, "f").modification_time, 22);
    write_file(root, "f", 0, "x");
    EXPECT(stat_at(root, "f").modification_time > 22);
    // Of directories: with their names.
    EXPECT_OK(io_set_attributes(root, &(struct io_changes){.modification_time = &modification}));
    EXPECT_EQ(stat_at(root, "").modification_time, 22);
    EXPECT_OK(unlink_at(root, "f", 0));
    EXPECT(stat_at(root, "").modification_time > 22);
    end();
}

CASE(connections_without_rights) {
    begin_with(100, 100, 1 << 20, READ | WRITE);
    zx_handle_t root = mem.root;
    write_file(root, "f", CREATE, "text");
    make_directory(root, "d");
    EXPECT_STATUS(try_open(root, "f", READ | EXECUTE), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_open(root, "new", CREATE | READ | EXECUTE), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_stat(root, "new", 0), ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(root);
    utest_thread_join(&mem.thread);
    // The same file system, to somebody who may only read.
    zx_handle_t theirs;
    EXPECT_OK(zx_channel_create(0, &root, &theirs));
    mem.root = root;
    EXPECT_OK(io_server_serve(&mem.fs.server, theirs, &mem.fs.root->io, READ));
    utest_thread_start(&mem.thread, serve, nullptr);
    expect_text(root, "f", "text");
    EXPECT_STATUS(try_open(root, "f", WRITE), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_open(root, "new", CREATE), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_open(root, "new", CREATE | DIRECTORY), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(unlink_at(root, "f", 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(rename_at(root, "f", "g"), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(link_at(root, "f", "g"), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(symlink_at(root, "f", "g"), ZX_ERR_ACCESS_DENIED);
    uint32_t mode = 0;
    struct io_changes changes = {.mode = &mode};
    EXPECT_STATUS(io_change(root, "f", 1, 0, &changes), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(io_set_attributes(root, &changes), ZX_ERR_ACCESS_DENIED);
    zx_handle_t d = open_directory(root, "d"); // no more than its parent
    EXPECT_STATUS(try_open(d, "new", CREATE), ZX_ERR_ACCESS_DENIED);
    zx_handle_t token;
    EXPECT_OK(io_get_token(d, &token));
    EXPECT_STATUS(io_rename(root, "f", 1, token, "g", 1), ZX_ERR_ACCESS_DENIED);
    zx_handle_t clone;
    EXPECT_OK(io_clone(d, &clone));
    EXPECT_STATUS(try_open(clone, "new", CREATE), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(clone);
    EXPECT_CLOSE(d);
    end();
}

// ---- listings ----

static struct io_entries entries;

static uint32_t count_entries(zx_handle_t directory) {
    uint32_t count = 0;
    entries.cookie = 0;
    do {
        EXPECT_OK(io_read_entries(directory, &entries));
        count += entries.count;
    } while (entries.count != 0);
    return count;
}

static void number_name(char name[6], uint32_t number) {
    name[0] = 'n';
    for (int i = 5; i > 0; i--) {
        name[i] = (char)('0' + number % 10);
        number /= 10;
    }
}

CASE(listing) {
    zx_handle_t root = begin();
    EXPECT_EQ(count_entries(root), 0);
    make_directory(root, "d");
    make_file(root, "f");
    EXPECT_OK(symlink_at(root, "f", "l"));
    entries.cookie = 0;
    EXPECT_OK(io_read_entries(root, &entries));
    EXPECT_EQ(entries.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct jacinth_io_entry* e = &entries.entries[i];
        char name[2] = {(char)e->name.data[0]};
        EXPECT_EQ(e->name.count, 1);
        EXPECT_EQ(e->id, stat_at(root, name).id);
        EXPECT_EQ(e->kind, stat_at(root, name).kind);
    }
    EXPECT_OK(io_read_entries(root, &entries));
    EXPECT_EQ(entries.count, 0);
    entries.cookie = UINT64_MAX; // nobody's
    EXPECT_OK(io_read_entries(root, &entries));
    EXPECT_EQ(entries.count, 0);
    end();
}

// Names that stay are seen once, whatever comes and goes between the pieces.
CASE_WITHIN(listing_under_changes, 60) {
    constexpr uint32_t COUNT = 2000;
    zx_handle_t root = begin();
    static uint8_t seen[2 * COUNT];
    memset(seen, 0, sizeof(seen));
    make_file(root, "f");
    char name[6];
    for (uint32_t i = 0; i < COUNT; i++) {
        number_name(name, i);
        EXPECT_OK(io_link(root, "f", 1, ZX_HANDLE_INVALID, name, 6));
    }
    entries.cookie = 0;
    for (uint32_t piece = 0;; piece++) {
        EXPECT_OK(io_read_entries(root, &entries));
        if (entries.count == 0) {
            break;
        }
        for (uint32_t i = 0; i < entries.count; i++) {
            const struct jacinth_io_entry* e = &entries.entries[i];
            if (e->name.count == 6) {
                uint32_t number = 0;
                for (int k = 1; k < 6; k++) {
                    number = number * 10 + (e->name.data[k] - '0');
                }
                EXPECT(number < 2 * COUNT);
                seen[number]++;
            }
        }
        for (uint32_t i = 0; i < 100; i++) { // odd ones go, others come
            number_name(name, piece * 200 + 2 * i + 1);
            (void)io_unlink(root, name, 6, 0);
            number_name(name, COUNT + piece * 100 + i);
            (void)(piece < 10 && io_link(root, "f", 1, ZX_HANDLE_INVALID, name, 6) == ZX_OK);
        }
    }
    for (uint32_t i = 0; i < COUNT; i += 2) {
        EXPECT_EQ(seen[i], 1);
    }
    for (uint32_t i = 0; i < 2 * COUNT; i++) {
        EXPECT(seen[i] <= 1);
    }
    end();
}

// Twice the names take twice the time, not four times.
CASE_WITHIN(a_large_directory, 120) {
    zx_handle_t root = begin();
    make_file(root, "f");
    char name[6];
    zx_time_t begun = zx_clock_get_monotonic();
    zx_time_t quarter = 0;
    for (uint32_t i = 0; i < 100'000 - 1; i++) {
        number_name(name, i);
        EXPECT_OK(io_link(root, "f", 1, ZX_HANDLE_INVALID, name, 6));
        if (i == 25'000) {
            quarter = zx_clock_get_monotonic() - begun;
        }
    }
    zx_time_t all = zx_clock_get_monotonic() - begun;
    EXPECT_EQ(count_entries(root), 100'000);
    EXPECT(all < 10 * quarter);
    EXPECT_EQ(stat_at(root, "f").link_count, 100'000);
    for (uint32_t i = 0; i < 10'000; i++) {
        number_name(name, i);
        EXPECT_OK(io_unlink(root, name, 6, 0));
    }
    EXPECT_EQ(count_entries(root), 90'000);
    end();
}

// ---- watchers ----

static void expect_event(zx_handle_t watcher, jacinth_io_change_t change, const char* name) {
    EXPECT_OK(zx_object_wait_one(watcher, ZX_CHANNEL_READABLE, utest_after_ms(5000), nullptr));
    struct io_event e;
    EXPECT_OK(io_watcher_read(watcher, &e));
    EXPECT_EQ(e.change, change);
    EXPECT_EQ(e.name_len, strlen(name));
    EXPECT(memcmp(e.name, name, e.name_len) == 0);
}

CASE(watch) {
    zx_handle_t root = begin();
    make_directory(root, "d");
    zx_handle_t d = open_directory(root, "d");
    struct utest_pair w = utest_channel();
    EXPECT_OK(io_watch(d, w.a));
    make_file(root, "not_there");
    make_file(root, "d/a");
    EXPECT_OK(rename_at(root, "d/a", "d/b"));
    EXPECT_OK(link_at(root, "d/b", "d/c"));
    EXPECT_OK(symlink_at(root, "x", "d/l"));
    EXPECT_OK(rename_at(root, "d/l", "d/b"));
    EXPECT_OK(unlink_at(root, "d/b", 0));
    EXPECT_OK(try_open(root, "d/c", CREATE)); // it was there
    expect_event(w.b, JACINTH_IO_CHANGE_ADDED, "a");
    expect_event(w.b, JACINTH_IO_CHANGE_REMOVED, "a");
    expect_event(w.b, JACINTH_IO_CHANGE_ADDED, "b");
    expect_event(w.b, JACINTH_IO_CHANGE_ADDED, "c");
    expect_event(w.b, JACINTH_IO_CHANGE_ADDED, "l");
    expect_event(w.b, JACINTH_IO_CHANGE_REMOVED, "l");
    expect_event(w.b, JACINTH_IO_CHANGE_REMOVED, "b");
    expect_event(w.b, JACINTH_IO_CHANGE_ADDED, "b");
    expect_event(w.b, JACINTH_IO_CHANGE_REMOVED, "b");
    struct io_event e;
    EXPECT_STATUS(io_watcher_read(w.b, &e), ZX_ERR_SHOULD_WAIT);
    EXPECT_CLOSE(w.b);
    make_file(root, "d/z"); // nobody is told
    EXPECT_OK(unlink_at(root, "d/z", 0));
    // As many as allowed.
    struct utest_pair more[5];
    for (int i = 0; i < 4; i++) {
        more[i] = utest_channel();
        EXPECT_OK(io_watch(d, more[i].a));
    }
    more[4] = utest_channel();
    EXPECT_STATUS(io_watch(d, more[4].a), ZX_ERR_NO_RESOURCES);
    for (int i = 0; i < 5; i++) {
        EXPECT_CLOSE(more[i].b);
    }
    EXPECT_CLOSE(d);
    end();
}

CASE_WITHIN(watcher_overflow, 60) {
    zx_handle_t root = begin();
    struct utest_pair w = utest_channel();
    EXPECT_OK(io_watch(root, w.a));
    make_file(root, "f");
    for (uint32_t i = 0; i < 4000; i++) { // more than the kernel keeps
        EXPECT_OK(link_at(root, "f", "g"));
        EXPECT_OK(unlink_at(root, "g", 0));
    }
    struct io_event e = {};
    uint32_t count = 0;
    while (e.change != JACINTH_IO_CHANGE_OVERFLOW) {
        EXPECT_OK(zx_object_wait_one(w.b, ZX_CHANNEL_READABLE, utest_after_ms(5000), nullptr));
        EXPECT_OK(io_watcher_read(w.b, &e));
        count++;
    }
    EXPECT(count > 100 && count < 8000);
    make_file(root, "after");
    expect_event(w.b, JACINTH_IO_CHANGE_ADDED, "after");
    EXPECT_CLOSE(w.b);
    end();
}

// ---- limits ----

CASE(usage_and_limits) {
    begin_with(8, 5, 64 * 4096, READ | WRITE);
    zx_handle_t root = mem.root;
    static struct io_usage u;
    EXPECT_OK(io_query_usage(root, &u));
    EXPECT_EQ(u.used_nodes, 1);
    EXPECT_EQ(u.total_nodes, 5);
    EXPECT_EQ(u.used_bytes, 0);
    EXPECT(!u.read_only);
    make_file(root, "a");
    make_file(root, "b");
    make_file(root, "c");
    make_file(root, "d");
    EXPECT_STATUS(try_open(root, "e", CREATE), ZX_ERR_NO_SPACE);
    EXPECT_STATUS(symlink_at(root, "t", "e"), ZX_ERR_NO_SPACE);
    EXPECT_OK(link_at(root, "a", "e"));
    EXPECT_STATUS(link_at(root, "a", "f"), ZX_ERR_NO_SPACE); // five names
    struct io_opened o = open_at(root, "a", READ | WRITE);
    EXPECT_STATUS(io_resize(o.connection, 65 * 4096), ZX_ERR_NO_SPACE);
    EXPECT_OK(io_resize(o.connection, 64 * 4096));
    static char zeros[64 * 4096];
    memset(zeros, 1, sizeof(zeros));
    zx_iovec_t v = {zeros, sizeof(zeros)};
    size_t actual;
    EXPECT_OK(zx_stream_writev(o.stream, 0, &v, 1, &actual));
    EXPECT_STATUS(try_open(root, "a", WRITE), ZX_ERR_NO_SPACE); // it is looked at here
    EXPECT_OK(io_query_usage(root, &u));
    EXPECT_EQ(u.used_bytes, 64 * 4096);
    EXPECT_STATUS(try_open(root, "b", WRITE), ZX_ERR_NO_SPACE);
    EXPECT_OK(try_open(root, "b", READ));
    EXPECT_OK(try_open(root, "a", WRITE | TRUNCATE));
    EXPECT_OK(try_open(root, "b", WRITE));
    io_opened_close(&o);
    // The text of a link takes room as a file's contents do.
    EXPECT_OK(unlink_at(root, "d", 0));
    static char text[IO_PATH_MAX];
    memset(text, 't', sizeof(text));
    EXPECT_OK(io_symlink(root, text, sizeof(text), "l", 1));
    EXPECT_OK(io_query_usage(root, &u));
    EXPECT_EQ(u.used_bytes, sizeof(text));
    EXPECT_EQ(stat_at(root, "l").storage_size, sizeof(text));
    o = open_at(root, "b", WRITE);
    v.capacity = 63 * 4096;
    EXPECT_OK(zx_stream_writev(o.stream, 0, &v, 1, &actual));
    io_opened_close(&o);
    EXPECT_OK(unlink_at(root, "l", 0));
    EXPECT_EQ(stat_at(root, "b").size, 63 * 4096);
    EXPECT_OK(io_symlink(root, text, sizeof(text), "l", 1));
    EXPECT_OK(unlink_at(root, "c", 0));
    EXPECT_STATUS(io_symlink(root, text, sizeof(text), "m", 1), ZX_ERR_NO_SPACE);
    // Connections: the root is one.
    zx_handle_t clones[8];
    for (int i = 0; i < 8; i++) {
        EXPECT_OK(io_clone(root, &clones[i]));
    }
    EXPECT_STATUS(try_open(root, "a", READ), ZX_ERR_NO_RESOURCES);
    EXPECT_STATUS(try_open(root, "new", CREATE), ZX_ERR_NO_RESOURCES);
    EXPECT_STATUS(try_stat(root, "new", 0), ZX_ERR_NOT_FOUND);
    struct jacinth_io_attributes a;
    EXPECT_OK(io_get_attributes(clones[6], &a));
    EXPECT_STATUS(io_get_attributes(clones[7], &a), ZX_ERR_PEER_CLOSED);
    for (int i = 0; i < 8; i++) {
        EXPECT_CLOSE(clones[i]);
    }
    EXPECT_OK(io_sync(root));
    EXPECT_OK(try_open(root, "a", READ));
    end();
}

// A share of the connections, and a share of the share: who uses his up leaves some to the one he
// has it from.
CASE(shares_of_connections) {
    constexpr uint32_t ALL = 400;
    begin_with(ALL, 100, 1 << 20, READ | WRITE);
    zx_handle_t root = mem.root;
    make_file(root, "f");
    zx_handle_t share, part;
    EXPECT_OK(io_clone(root, &share)); // 300
    EXPECT_OK(io_clone(share, &part)); // 225, of which it is one
    static struct io_opened opened[ALL];
    uint32_t count = 0;
    while (io_open(part, "f", 1, READ, 0, &opened[count], nullptr) == ZX_OK) {
        count++;
        EXPECT(count < ALL);
    }
    EXPECT_EQ(count, 224);
    while (io_open(share, "f", 1, READ, 0, &opened[count], nullptr) == ZX_OK) {
        count++;
        EXPECT(count < ALL);
    }
    EXPECT_EQ(count, 298);
    EXPECT_OK(try_open(root, "f", READ));
    struct utest_pair w = utest_channel();
    EXPECT_STATUS(io_watch(share, w.a), ZX_ERR_NO_RESOURCES);
    EXPECT_CLOSE(w.b);
    EXPECT_CLOSE(part); // what was opened through it stays, and stays charged
    EXPECT_CLOSE(share);
    for (uint32_t i = 0; i < count; i++) {
        io_opened_close(&opened[i]);
    }
    zx_status_t status = ZX_ERR_NO_RESOURCES; // until all are forgotten there
    for (uint32_t i = 0; i < 1000 && status != ZX_OK; i++) {
        EXPECT_OK(io_clone(root, &share));
        EXPECT_OK(io_clone(share, &part));
        for (count = 0; count < 200; count++) {
            status = io_open(part, "f", 1, READ, 0, &opened[count], nullptr);
            if (status != ZX_OK) {
                break;
            }
        }
        for (uint32_t k = 0; k < count; k++) {
            io_opened_close(&opened[k]);
        }
        EXPECT_CLOSE(part);
        EXPECT_CLOSE(share);
    }
    EXPECT_OK(status);
    end();
}

// ---- clients that misbehave ----

static uint64_t random_state;

static uint64_t random_u64(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

CASE(clone_and_connect) {
    zx_handle_t root = begin();
    write_file(root, "f", CREATE, "text");
    struct io_opened o = open_at(root, "f", READ);
    zx_handle_t clone;
    EXPECT_OK(io_clone(o.connection, &clone)); // used at once
    struct jacinth_io_attributes a;
    EXPECT_OK(io_get_attributes(clone, &a));
    EXPECT_EQ(a.size, 4);
    EXPECT_STATUS(io_resize(clone, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(clone);
    io_opened_close(&o);
    // What is no service closes the channel.
    static const char* const nobody[] = {"f", "", "none", "/"};
    for (size_t i = 0; i < array_size(nobody); i++) {
        struct utest_pair pair = utest_channel();
        EXPECT_OK(io_connect(root, nobody[i], strlen(nobody[i]), pair.a));
        EXPECT_OK(
            zx_object_wait_one(pair.b, ZX_CHANNEL_PEER_CLOSED, utest_after_ms(5000), nullptr));
        EXPECT_CLOSE(pair.b);
    }
    end();
}

CASE_WITHIN(a_client_that_does_not_read, 60) {
    zx_handle_t root = begin();
    zx_handle_t bad;
    EXPECT_OK(io_clone(root, &bad));
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    zx_status_t status = ZX_OK;
    for (uint32_t i = 0; i < 100'000 && status != ZX_ERR_PEER_CLOSED; i++) {
        status = fidl_request(bad, 1, &jacinth_io_directory_get_token_method, storage, nullptr);
        if (status == ZX_ERR_SHOULD_WAIT) {
            utest_sleep_ms(1); // our messages are the ones that wait
        }
    }
    EXPECT_STATUS(status, ZX_ERR_PEER_CLOSED);
    EXPECT_OK(try_open(root, "f", CREATE));
    EXPECT_CLOSE(bad);
    end();
}

// A message with the head of some method and nonsense behind it, or a sound one with one byte
// changed; with handles of all kinds.
static void send_nonsense(zx_handle_t channel) {
    static const struct fidl_method* const methods[] = {
        &jacinth_io_directory_open_method,    &jacinth_io_directory_rename_method,
        &jacinth_io_directory_clone_method,   &jacinth_io_directory_watch_method,
        &jacinth_io_directory_connect_method, &jacinth_io_directory_read_entries_method,
        &jacinth_io_directory_stat_method,    &jacinth_io_file_resize_method,
        &jacinth_io_file_get_vmo_method,      &jacinth_io_directory_set_attributes_method,
        &jacinth_io_file_read_at_method,
    };
    alignas(8) uint8_t bytes[256];
    uint32_t len = 16 + (uint32_t)(random_u64() % 31) * 8;
    for (uint32_t i = 0; i < sizeof(bytes); i++) {
        uint64_t r = random_u64();
        bytes[i] = r % 3 == 0 ? (uint8_t)(r >> 8) : r % 3 == 1 ? 0 : 0xff;
    }
    const struct fidl_method* method = methods[random_u64() % array_size(methods)];
    struct fidl_header header = {.txid = method->kind == FIDL_TWO_WAY ? 7 : 0,
                                 .at_rest_flags = {2},
                                 .magic = 1,
                                 .ordinal = method->ordinal};
    if (random_u64() % 8 != 0) {
        memcpy(bytes, &header, sizeof(header));
    }
    if (random_u64() % 2 == 0) { // like an Open or a Stat of a short path
        static const uint64_t sound[] = {3, UINT64_MAX, 0x1, 0x612f2e};
        memcpy(bytes + 16, sound, sizeof(sound));
        len = 48;
        bytes[16 + random_u64() % 32] ^= (uint8_t)(random_u64() % 4 == 0 ? random_u64() : 0);
    }
    zx_handle_t handles[3];
    uint32_t count = (uint32_t)(random_u64() % 4);
    for (uint32_t i = 0; i < count; i++) {
        struct utest_pair pair = {};
        switch (random_u64() % 3) {
        case 0:
            handles[i] = utest_event();
            break;
        case 1:
            handles[i] = utest_vmo(4096);
            break;
        default:
            pair = utest_channel();
            handles[i] = pair.a;
            EXPECT_CLOSE(pair.b);
            break;
        }
    }
    (void)zx_channel_write(channel, ZX_CHANNEL_WRITE_MAY_REFUSE, bytes,
                           random_u64() % 16 == 0 ? (uint32_t)(random_u64() % 16) : len, handles,
                           count);
}

static void drain(zx_handle_t channel) {
    for (;;) {
        alignas(8) static uint8_t bytes[ZX_CHANNEL_MAX_MSG_BYTES];
        zx_handle_t handles[8];
        uint32_t len, count = 0;
        if (zx_channel_read(channel, 0, bytes, handles, sizeof(bytes), 8, &len, &count) != ZX_OK) {
            return;
        }
        for (uint32_t i = 0; i < count; i++) {
            EXPECT_CLOSE(handles[i]);
        }
    }
}

// Each second client has the file open.
static void misbehave(zx_handle_t root, const char* file, jacinth_io_flags_t flags,
                      uint32_t rounds) {
    random_state = 0x9e3779b97f4a7c15;
    for (uint32_t round = 0; round < rounds; round++) {
        zx_handle_t victim;
        struct io_opened o = {};
        if (round % 2 == 0) {
            EXPECT_OK(io_clone(root, &victim));
        } else {
            o = open_at(root, file, flags);
            victim = o.connection;
        }
        for (int i = 0; i < 8; i++) {
            send_nonsense(victim);
        }
        struct jacinth_io_attributes a;
        zx_status_t status = io_get_attributes(victim, &a); // all was looked at
        EXPECT(status == ZX_OK || status == ZX_ERR_PEER_CLOSED);
        drain(victim);
        if (round % 2 == 0) {
            EXPECT_CLOSE(victim);
        } else {
            io_opened_close(&o);
        }
    }
    EXPECT_OK(try_open(root, file, flags));
}

CASE_WITHIN(nonsense, 120) {
    zx_handle_t root = begin();
    make_directory(root, "a");
    write_file(root, "f", CREATE, "text");
    misbehave(root, "f", READ | WRITE, 400);
    end();
}

// ---- many at once ----

static void race(void* arg) {
    static const char* const names[] = {"a", "b", "c", "d", "a/x", "b/x", "a/b", "c/d", "a/x/y"};
    zx_handle_t root = *(zx_handle_t*)arg;
    uint64_t state = 88172645463325252u ^ (uintptr_t)arg;
    for (uint32_t i = 0; i < 1500; i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        const char* one = names[(state >> 33) % array_size(names)];
        const char* two = names[(state >> 43) % array_size(names)];
        switch ((state >> 53) % 8) {
        case 0:
            (void)try_open(root, one, CREATE | READ | WRITE);
            break;
        case 1:
            (void)try_open(root, one, CREATE | DIRECTORY);
            break;
        case 2:
            (void)unlink_at(root, one, 0);
            break;
        case 3:
            (void)unlink_at(root, one, DIRECTORY);
            break;
        case 4:
        case 5:
            (void)rename_at(root, one, two);
            break;
        case 6:
            (void)link_at(root, one, two);
            break;
        default:
            (void)symlink_at(root, two, one);
            break;
        }
    }
}

// Removes everything: possible only if the tree is one.
static void remove_all(zx_handle_t directory) {
    static struct io_entries all;
    all.cookie = 0;
    EXPECT_OK(io_read_entries(directory, &all));
    while (all.count != 0) {
        char name[IO_NAME_MAX + 1] = {};
        const struct jacinth_io_entry* e = &all.entries[0];
        memcpy(name, e->name.data, e->name.count);
        if (e->kind == JACINTH_IO_KIND_DIRECTORY) {
            zx_handle_t child = open_directory(directory, name);
            remove_all(child);
            EXPECT_CLOSE(child);
            EXPECT_OK(unlink_at(directory, name, DIRECTORY));
        } else {
            EXPECT_OK(unlink_at(directory, name, 0));
        }
        all.cookie = 0;
        EXPECT_OK(io_read_entries(directory, &all));
    }
}

CASE_WITHIN(many_clients_at_once, 120) {
    zx_handle_t root = begin();
    struct utest_thread threads[4] = {};
    zx_handle_t roots[4];
    for (int i = 0; i < 4; i++) {
        EXPECT_OK(io_clone(root, &roots[i]));
        utest_thread_start(&threads[i], race, &roots[i]);
    }
    for (int i = 0; i < 4; i++) {
        utest_thread_join(&threads[i]);
        EXPECT_CLOSE(roots[i]);
    }
    remove_all(root);
    static struct io_usage u;
    EXPECT_OK(io_query_usage(root, &u));
    EXPECT_EQ(u.used_nodes, 1);
    EXPECT_EQ(stat_at(root, "").link_count, 2);
    end();
}

// ---- the servers of the running system ----

CASE(boot_image) {
    zx_handle_t root = bootsvc_startup();
    struct io_opened o = open_at(root, "bin/hello", READ | EXECUTE);
    struct jacinth_io_attributes a;
    EXPECT_OK(io_get_attributes(o.connection, &a));
    EXPECT_EQ(a.kind, JACINTH_IO_KIND_FILE);
    EXPECT_EQ(a.mode, 0555);
    char head[4];
    zx_iovec_t v = {head, sizeof(head)};
    size_t actual;
    EXPECT_OK(zx_stream_readv(o.stream, 0, &v, 1, &actual));
    EXPECT(memcmp(head,
                  "\x7f"
                  "ELF",
                  4) == 0);
    // The stream ends where the file does.
    uint64_t end_of_file;
    EXPECT_OK(zx_stream_seek(o.stream, ZX_STREAM_SEEK_ORIGIN_END, 0, &end_of_file));
    EXPECT_EQ(end_of_file, a.size);
    EXPECT(a.size % 4096 != 0);
    EXPECT_OK(zx_stream_readv(o.stream, 0, &v, 1, &actual));
    EXPECT_EQ(actual, 0);
    EXPECT_STATUS(zx_stream_writev(o.stream, 0, &v, 1, &actual), ZX_ERR_ACCESS_DENIED);
    zx_handle_t vmo;
    uint64_t size;
    zx_rights_t changing = ZX_RIGHT_WRITE | ZX_RIGHT_SET_PROPERTY | ZX_RIGHT_RESIZE;
    EXPECT_OK(io_get_vmo(o.connection, READ, &vmo, &size));
    EXPECT_EQ(size, a.size);
    EXPECT_EQ(utest_basic(vmo).rights & (changing | ZX_RIGHT_EXECUTE), 0);
    EXPECT_CLOSE(vmo);
    EXPECT_OK(io_get_vmo(o.connection, READ | EXECUTE, &vmo, &size));
    EXPECT_EQ(utest_basic(vmo).rights & (changing | ZX_RIGHT_EXECUTE), ZX_RIGHT_EXECUTE);
    EXPECT_CLOSE(vmo);
    EXPECT_STATUS(io_get_vmo(o.connection, READ | WRITE, &vmo, &size), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(io_resize(o.connection, 0), ZX_ERR_ACCESS_DENIED);
    io_opened_close(&o);
    EXPECT_EQ(stat_at(root, "doc/LICENSE").mode, 0444);
    EXPECT_EQ(stat_at(root, "bin/../doc/.").kind, JACINTH_IO_KIND_DIRECTORY);
    EXPECT_EQ(stat_at(root, "..").id, stat_at(root, "").id);
    EXPECT_STATUS(try_stat(root, "bin/none", 0), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(try_stat(root, "bin/hello/x", 0), ZX_ERR_NOT_DIR);
    static struct io_usage u;
    EXPECT_OK(io_query_usage(root, &u));
    EXPECT(u.read_only);
    EXPECT_EQ(u.used_nodes, u.total_nodes);
}

CASE(boot_image_never_changes) {
    zx_handle_t root = bootsvc_startup();
    uint32_t mode = 0777;
    struct io_changes changes = {.mode = &mode};
    EXPECT_STATUS(try_open(root, "bin/hello", WRITE), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_open(root, "new", CREATE), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_open(root, "new", CREATE | DIRECTORY), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(unlink_at(root, "bin/hello", 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(rename_at(root, "bin/hello", "x"), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(link_at(root, "bin/hello", "x"), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(symlink_at(root, "bin/hello", "x"), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(io_change(root, "bin/hello", 9, 0, &changes), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(io_set_attributes(root, &changes), ZX_ERR_ACCESS_DENIED);
    struct utest_pair pair = utest_channel();
    EXPECT_STATUS(io_watch(root, pair.a), ZX_ERR_NO_RESOURCES); // there would be nothing to tell
    EXPECT_CLOSE(pair.b);
    EXPECT_OK(io_sync(root));
}

CASE(boot_image_listing) {
    zx_handle_t bin = open_directory(bootsvc_startup(), "bin");
    bool seen = false;
    uint32_t count = 0;
    entries.cookie = 0;
    do {
        EXPECT_OK(io_read_entries(bin, &entries));
        count += entries.count;
        for (uint32_t i = 0; i < entries.count; i++) {
            const struct jacinth_io_entry* e = &entries.entries[i];
            seen = seen || (e->name.count == 5 && memcmp(e->name.data, "hello", 5) == 0);
        }
    } while (entries.count != 0);
    EXPECT(seen);
    EXPECT(count > 3);
    entries.cookie = UINT64_MAX;
    EXPECT_OK(io_read_entries(bin, &entries));
    EXPECT_EQ(entries.count, 0);
    EXPECT_CLOSE(bin);
}

CASE_WITHIN(boot_image_survives_nonsense, 120) {
    zx_handle_t root;
    EXPECT_OK(io_clone(bootsvc_startup(), &root));
    misbehave(root, "bin/hello", READ | EXECUTE, 200);
    EXPECT_CLOSE(root);
}

// The directory that this program was started with under the name; it stays the runtime's.
static zx_handle_t startup_directory(const char* want) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), want) == 0) {
            return utest_startup_peek(PA_HND(PA_NS_DIR, i));
        }
    }
    return ZX_HANDLE_INVALID;
}

CASE_WITHIN(tmp, 120) {
    zx_handle_t tmp;
    if (startup_directory("/tmp") == ZX_HANDLE_INVALID) {
        utest_skip("this program was given no /tmp");
    }
    EXPECT_OK(io_clone(startup_directory("/tmp"), &tmp));
    static struct io_usage before, after;
    EXPECT_OK(io_query_usage(tmp, &before));
    make_directory(tmp, "io_test");
    zx_handle_t d = open_directory(tmp, "io_test");
    write_file(d, "f", CREATE, "text");
    EXPECT_OK(rename_at(d, "f", "g"));
    expect_text(tmp, "io_test/g", "text");
    misbehave(d, "g", READ | WRITE, 100);
    expect_text(d, "g", "text");
    remove_all(d);
    EXPECT_CLOSE(d);
    EXPECT_OK(unlink_at(tmp, "io_test", DIRECTORY));
    do { // until it has seen that all of them are closed; the case's limit ends this
        EXPECT_OK(io_query_usage(tmp, &after));
    } while (after.used_nodes != before.used_nodes || after.used_bytes != before.used_bytes);
    EXPECT_CLOSE(tmp);
}
