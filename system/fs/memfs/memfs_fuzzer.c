// Requests to memfs as the fuzzer likes them, through the loop, the connections and the decoder:
// the input is a program of short records. Most are sound requests with paths of a few names, so
// that they meet; some are bytes. At the end everything is closed, and then no node, byte or handle
// may be left (the fakes know which handles there are, the sanitizers see the rest).
#include <stdlib.h>
#include <string.h>

#include <async/loop.h>
#include <fidl/jacinth.io.h>
#include <lib/compiler.h>
#include <memfs/memfs.h>
#include <zircon/rights.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "sdk/lib/fidl/fake_channel.h"
#include "sdk/lib/fidl/fake_handles.h"

static void must(bool condition) {
    if (!condition) {
        abort();
    }
}

[[noreturn]] void assert_failed(const char*, const char*, int) {
    abort();
}

// ---- the kernel, as far as a server sees it ----

constexpr uint32_t WAITS_MAX = 256;

static struct {
    struct {
        zx_handle_t object;
        uint64_t key;
    } waits[WAITS_MAX];
    uint32_t wait_count;
    // What the next zx_port_wait and the read after it give.
    bool has_packet;
    uint64_t key;
    zx_status_t read_status;
    const uint8_t* bytes;
    uint32_t len;
    zx_handle_info_t handles[4];
    uint32_t handle_count;
    bool was_read;
    uint64_t vmo_size;
    zx_time_t now;
} k;

zx_status_t zx_port_create(uint32_t, zx_handle_t* out) {
    *out = fake_handle(ZX_OBJ_TYPE_PORT, ZX_RIGHTS_BASIC).handle;
    return ZX_OK;
}
zx_status_t zx_object_wait_async(zx_handle_t object, zx_handle_t, uint64_t key, zx_signals_t,
                                 uint32_t) {
    if (k.wait_count == WAITS_MAX) {
        return ZX_ERR_NO_MEMORY;
    }
    k.waits[k.wait_count].object = object;
    k.waits[k.wait_count++].key = key;
    return ZX_OK;
}
static bool forget(uint64_t key) {
    for (uint32_t i = 0; i < k.wait_count; i++) {
        if (k.waits[i].key == key) {
            k.waits[i] = k.waits[--k.wait_count];
            return true;
        }
    }
    return false;
}
zx_status_t zx_port_cancel(zx_handle_t, zx_handle_t, uint64_t key) {
    return forget(key) ? ZX_OK : ZX_ERR_NOT_FOUND;
}
zx_status_t zx_port_cancel_key(zx_handle_t, uint32_t, uint64_t) {
    return ZX_ERR_NOT_FOUND;
}
zx_status_t zx_port_wait(zx_handle_t, zx_time_t, zx_port_packet_t* packet) {
    if (!k.has_packet) {
        return ZX_ERR_TIMED_OUT;
    }
    k.has_packet = false;
    must(forget(k.key)); // a wait is armed once
    *packet = (zx_port_packet_t){.key = k.key, .type = ZX_PKT_TYPE_SIGNAL_ONE};
    return ZX_OK;
}
zx_status_t zx_channel_read_etc(zx_handle_t, uint32_t, void* bytes, zx_handle_info_t* handles,
                                uint32_t, uint32_t, uint32_t* len, uint32_t* count) {
    k.was_read = true;
    if (k.read_status == ZX_OK) {
        memcpy(bytes, k.bytes, k.len);
        memcpy(handles, k.handles, k.handle_count * sizeof(*handles));
        *len = k.len;
        *count = k.handle_count;
    }
    return k.read_status;
}
zx_status_t zx_channel_create(uint32_t, zx_handle_t* a, zx_handle_t* b) {
    *a = fake_handle(ZX_OBJ_TYPE_CHANNEL, ZX_DEFAULT_CHANNEL_RIGHTS).handle;
    *b = fake_handle(ZX_OBJ_TYPE_CHANNEL, ZX_DEFAULT_CHANNEL_RIGHTS).handle;
    return ZX_OK;
}
zx_status_t zx_event_create(uint32_t, zx_handle_t* out) {
    *out = fake_handle(ZX_OBJ_TYPE_EVENT, ZX_RIGHTS_BASIC).handle;
    return ZX_OK;
}
zx_status_t zx_handle_duplicate(zx_handle_t handle, zx_rights_t rights, zx_handle_t* out) {
    (void)fake_handle_rights(handle); // ends the test if it is none
    *out = fake_handle(ZX_OBJ_TYPE_EVENT, rights).handle;
    return ZX_OK;
}
// Tokens come back as other handles: the first that was given out is always meant.
zx_status_t zx_object_get_info(zx_handle_t handle, uint32_t topic, void* buffer, size_t size,
                               size_t*, size_t*) {
    (void)fake_handle_rights(handle);
    memset(buffer, 0, size);
    if (topic == ZX_INFO_HANDLE_BASIC) {
        ((zx_info_handle_basic_t*)buffer)->koid = 1;
    } else {
        ((zx_info_vmo_t*)buffer)->committed_bytes = k.vmo_size;
    }
    return ZX_OK;
}
zx_status_t zx_object_set_property(zx_handle_t handle, uint32_t, const void*, size_t) {
    (void)fake_handle_rights(handle);
    return ZX_OK;
}
zx_status_t zx_vmo_create(uint64_t, uint32_t, zx_handle_t* out) {
    *out = fake_handle(ZX_OBJ_TYPE_VMO, ZX_DEFAULT_VMO_RIGHTS).handle;
    return ZX_OK;
}
zx_status_t zx_vmo_create_child(zx_handle_t parent, uint32_t, uint64_t, uint64_t,
                                zx_handle_t* out) {
    (void)fake_handle_rights(parent);
    return zx_vmo_create(0, 0, out);
}
// Whether anybody has a window is left to chance.
zx_status_t zx_object_wait_one(zx_handle_t handle, zx_signals_t, zx_time_t, zx_signals_t*) {
    (void)fake_handle_rights(handle);
    return ++k.now % 3 == 0 ? ZX_ERR_TIMED_OUT : ZX_OK;
}
zx_status_t zx_vmo_set_size(zx_handle_t handle, uint64_t size) {
    (void)fake_handle_rights(handle);
    k.vmo_size = size & 0xffff; // one for all: they are none
    return size > 1u << 30 ? ZX_ERR_OUT_OF_RANGE : ZX_OK;
}
zx_status_t zx_vmo_get_stream_size(zx_handle_t handle, uint64_t* size) {
    (void)fake_handle_rights(handle);
    *size = k.vmo_size;
    return ZX_OK;
}
zx_status_t zx_vmo_replace_as_executable(zx_handle_t handle, zx_handle_t, zx_handle_t* out) {
    return zx_handle_replace(handle, ZX_RIGHTS_BASIC | ZX_RIGHT_EXECUTE, out);
}
zx_status_t zx_stream_create(uint32_t, zx_handle_t vmo, zx_off_t, zx_handle_t* out) {
    (void)fake_handle_rights(vmo);
    *out = fake_handle(ZX_OBJ_TYPE_STREAM, ZX_RIGHTS_BASIC).handle;
    return ZX_OK;
}
zx_status_t zx_clock_read(zx_handle_t, zx_time_t*) {
    return ZX_ERR_BAD_HANDLE;
}
zx_time_t zx_clock_get_monotonic(void) {
    return ++k.now;
}

// ---- records ----

struct input {
    const uint8_t* at;
    size_t left;
};

static uint8_t take(struct input* in) {
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->at++;
}

struct path {
    uint8_t text[64];
    struct fidl_vector_of_uint8 vector;
};

// Up to four parts of a few.
static struct fidl_vector_of_uint8 take_path(struct input* in, struct path* p) {
    static const char* const parts[] = {"a", "b", "c", ".", "..", "", "/a", "nn\0n"};
    size_t len = 0;
    for (uint8_t spec = take(in), i = 0; i < 4; i++) {
        const char* part = parts[spec & 7];
        size_t part_len = part[0] == 'n' ? 4 : strlen(part);
        if (part[0] == 'n' && (spec & 8) != 0) {
            part = "link";
        }
        memcpy(p->text + len, part, part_len);
        len += part_len;
        if ((spec & 16) == 0) {
            break;
        }
        p->text[len++] = '/';
        spec = take(in);
    }
    p->vector = (struct fidl_vector_of_uint8){len, p->text};
    return p->vector;
}

// The request of some method, in `e`.
static bool make_request(struct input* in, uint8_t what, struct fidl_encoder* e) {
    static struct path one, two;
    static union fidl_envelope members[JACINTH_IO_ATTRIBUTE_CHANGES_MEMBERS];
    bool with_token = (what & 0x80) != 0;
    zx_handle_t token = ZX_HANDLE_INVALID;
    switch (what & 15) {
    case 0:
    case 1: {
        struct jacinth_io_directory_open_request r = {.path = take_path(in, &one)};
        r.flags = take(in) | (what & 16 ? JACINTH_IO_FLAGS_NO_FOLLOW : 0);
        return jacinth_io_directory_open_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 2: {
        struct jacinth_io_directory_unlink_request r = {.path = take_path(in, &one)};
        r.flags = what & 16 ? JACINTH_IO_FLAGS_DIRECTORY : 0;
        return jacinth_io_directory_unlink_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 3:
    case 4: {
        struct jacinth_io_directory_rename_request r = {.path = take_path(in, &one),
                                                        .to = take_path(in, &two)};
        if (with_token) {
            token = fake_handle(ZX_OBJ_TYPE_EVENT, ZX_RIGHTS_BASIC).handle;
        }
        r.token = token;
        return jacinth_io_directory_rename_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 5: {
        struct jacinth_io_directory_link_request r = {.path = take_path(in, &one),
                                                      .to = take_path(in, &two)};
        return jacinth_io_directory_link_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 6: {
        struct jacinth_io_directory_symlink_request r = {.target = take_path(in, &one),
                                                         .path = take_path(in, &two)};
        return jacinth_io_directory_symlink_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 7: {
        struct jacinth_io_directory_stat_request r = {.path = take_path(in, &one)};
        return jacinth_io_directory_stat_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 8: {
        struct jacinth_io_directory_read_link_request r = {.path = take_path(in, &one)};
        return jacinth_io_directory_read_link_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 9: {
        struct jacinth_io_node_clone_request r = {
            .request = fake_handle(ZX_OBJ_TYPE_CHANNEL, ZX_DEFAULT_CHANNEL_RIGHTS).handle};
        return jacinth_io_directory_clone_request_encode(e, &r) == FIDL_OK;
    }
    case 10: {
        struct jacinth_io_directory_watch_request r = {
            .watcher = fake_handle(ZX_OBJ_TYPE_CHANNEL, ZX_DEFAULT_CHANNEL_RIGHTS).handle};
        return jacinth_io_directory_watch_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 11: {
        struct jacinth_io_directory_read_entries_request r = {.cookie = take(in)};
        return jacinth_io_directory_read_entries_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 12: {
        struct jacinth_io_file_resize_request r = {.length = (uint64_t)take(in) << (what >> 4) * 4};
        return jacinth_io_file_resize_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 13: {
        if ((what & 16) != 0) {
            struct jacinth_io_file_read_at_request r = {.offset = take(in), .count = take(in)};
            return jacinth_io_file_read_at_request_encode(e, 1, &r) == FIDL_OK;
        }
        struct jacinth_io_file_get_vmo_request r = {.flags = take(in)};
        return jacinth_io_file_get_vmo_request_encode(e, 1, &r) == FIDL_OK;
    }
    case 14:
        return jacinth_io_directory_get_token_request_encode(e, 1) == FIDL_OK;
    default: {
        struct jacinth_io_directory_change_request r = {.path = take_path(in, &one)};
        r.changes.fidl = (struct fidl_table){array_size(members), members};
        memset(members, 0, sizeof(members));
        jacinth_io_attribute_changes_set_mode(&r.changes, take(in));
        return jacinth_io_directory_change_request_encode(e, 1, &r) == FIDL_OK;
    }
    }
}

// One packet for one of those that wait.
static void deliver(struct async_loop* loop, uint8_t whom) {
    k.key = k.waits[whom % k.wait_count].key;
    k.has_packet = true;
    must(async_loop_turn(loop, 0) == ZX_OK);
    must(!k.has_packet);
}

static void run_record(struct async_loop* loop, struct input* in) {
    alignas(8) static uint8_t bytes[1024];
    zx_handle_disposition_t dispositions[4];
    uint8_t whom = take(in);
    uint8_t what = take(in);
    struct fidl_encoder e = {bytes, sizeof(bytes), 0, dispositions, 4, 0};
    k.read_status = ZX_OK;
    k.handle_count = 0;
    fake_channel_refuse((whom & 0xf0) == 0xf0 ? ZX_ERR_SHOULD_WAIT : ZX_OK);
    if ((whom & 0xe0) == 0x40) { // the client is gone
        k.read_status = ZX_ERR_PEER_CLOSED;
    } else if ((whom & 0xe0) == 0x60) { // bytes
        e.len = what & 63;
        for (size_t i = 0; i < e.len; i++) {
            bytes[i] = take(in);
        }
    } else if (!make_request(in, what, &e)) {
        return; // not a value of the type: no client can send that
    }
    for (uint32_t i = 0; i < e.handle_count; i++) {
        k.handles[k.handle_count++] =
            (zx_handle_info_t){.handle = dispositions[i].handle,
                               .type = dispositions[i].type,
                               .rights = fake_handle_rights(dispositions[i].handle)};
    }
    k.bytes = bytes;
    k.len = (uint32_t)e.len;
    k.was_read = false;
    deliver(loop, whom & 31);
    // Watchers read nothing: their packets say that the client is gone.
    for (uint32_t i = 0; !k.was_read && i < k.handle_count; i++) {
        (void)zx_handle_close(k.handles[i].handle);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static struct memfs fs;
    struct async_loop loop;
    struct input in = {data, size};
    fake_handles_reset();
    memset(&k, 0, sizeof(k));
    must(async_loop_init(&loop) == ZX_OK);
    memset(&fs, 0, sizeof(fs));
    fs.server = (struct io_server){
        .loop = &loop, .ops = &memfs_ops, .connections_max = 200, .watchers_max = 8};
    io_server_init(&fs.server);
    fs.nodes_max = 64;
    fs.bytes_max = 1 << 16;
    must(memfs_init(&fs) == ZX_OK);
    zx_handle_t theirs, ours;
    must(zx_channel_create(0, &theirs, &ours) == ZX_OK);
    must(io_server_serve(&fs.server, ours, &fs.root->io, 7) == ZX_OK);
    while (in.left > 1 && k.wait_count != 0) {
        run_record(&loop, &in);
    }
    io_server_end(&fs.server);
    memfs_destroy(&fs);
    must(fs.nodes_used == 0 && fs.names_used == 0 && fs.bytes_used == 0);
    must(fs.server.connection_count == 0 && fs.server.watcher_count == 0 && k.wait_count == 0);
    async_loop_destroy(&loop);
    fake_channel_reset();
    must(zx_handle_close(theirs) == ZX_OK);
    must(fake_handles_live() == 0);
    return 0;
}
