#include <io/client.h>

#include <string.h>

#include <fidl/channel.h>
#include <zircon/syscalls.h>

// Room for a request with one or two paths, or an answer with one.
constexpr size_t SMALL = 512;
constexpr size_t ONE_PATH = IO_PATH_MAX + 1 + 256;
constexpr size_t TWO_PATHS = 2 * (IO_PATH_MAX + 1) + 256;

#define STORAGE(name, size)                                               \
    alignas(8) __attribute__((uninitialized)) uint8_t name##_bytes[size]; \
    const struct fidl_storage name = {name##_bytes, sizeof(name##_bytes)}

// Encoding only reads them.
static struct fidl_vector_of_uint8 bytes_of(const void* bytes, size_t len) {
    return (struct fidl_vector_of_uint8){len, (uint8_t*)bytes};
}

static zx_status_t path_of(const char* path, size_t len, struct fidl_vector_of_uint8* out) {
    *out = bytes_of(path, len);
    return len <= IO_PATH_MAX ? ZX_OK : ZX_ERR_BAD_PATH;
}

// The limits of the protocol make it fit.
static void keep_path(struct io_path* out, const struct fidl_vector_of_uint8* path) {
    out->len = (uint32_t)path->count;
    if (path->count != 0) {
        memcpy(out->text, path->data, path->count);
    }
}

// ---- every connection ----

zx_status_t io_clone_to(zx_handle_t node, zx_handle_t request) {
    STORAGE(s, SMALL);
    struct jacinth_io_node_clone_request r = {.request = request};
    return jacinth_io_node_clone_send(node, s, &r);
}

zx_status_t io_clone(zx_handle_t node, zx_handle_t* out) {
    zx_handle_t ours, theirs;
    zx_status_t status = zx_channel_create(0, &ours, &theirs);
    if (status != ZX_OK) {
        return status;
    }
    status = io_clone_to(node, theirs);
    if (status == ZX_OK) {
        *out = ours;
    } else {
        (void)zx_handle_close(ours);
    }
    return status;
}

zx_status_t io_get_attributes(zx_handle_t node, struct jacinth_io_attributes* out) {
    STORAGE(s, SMALL);
    struct jacinth_io_node_get_attributes_response* answer;
    zx_status_t status = jacinth_io_node_get_attributes_call(node, ZX_TIME_INFINITE, s, &answer);
    if (status == ZX_OK) {
        *out = answer->attributes;
    }
    return status;
}

// Only those that are to change are in the table, which points to them.
struct changes_table {
    union fidl_envelope members[JACINTH_IO_ATTRIBUTE_CHANGES_MEMBERS];
    zx_time_t access_time, modification_time;
};

static struct jacinth_io_attribute_changes make_changes(const struct io_changes* from,
                                                        struct changes_table* table) {
    *table = (struct changes_table){};
    struct jacinth_io_attribute_changes c = {
        .fidl = {JACINTH_IO_ATTRIBUTE_CHANGES_MEMBERS, table->members}};
    if (from->mode != nullptr) {
        jacinth_io_attribute_changes_set_mode(&c, *from->mode);
    }
    if (from->access_time != nullptr) {
        table->access_time = *from->access_time;
        jacinth_io_attribute_changes_set_access_time(&c, &table->access_time);
    }
    if (from->modification_time != nullptr) {
        table->modification_time = *from->modification_time;
        jacinth_io_attribute_changes_set_modification_time(&c, &table->modification_time);
    }
    return c;
}

zx_status_t io_set_attributes(zx_handle_t node, const struct io_changes* changes) {
    STORAGE(s, SMALL);
    struct changes_table table;
    struct jacinth_io_node_set_attributes_request r = {.changes = make_changes(changes, &table)};
    return jacinth_io_node_set_attributes_call(node, ZX_TIME_INFINITE, &r, s);
}

zx_status_t io_sync(zx_handle_t node) {
    STORAGE(s, SMALL);
    return jacinth_io_node_sync_call(node, ZX_TIME_INFINITE, s);
}

// ---- files ----

zx_status_t io_resize(zx_handle_t file, uint64_t length) {
    STORAGE(s, SMALL);
    struct jacinth_io_file_resize_request r = {.length = length};
    return jacinth_io_file_resize_call(file, ZX_TIME_INFINITE, &r, s);
}

zx_status_t io_get_vmo(zx_handle_t file, jacinth_io_flags_t flags, zx_handle_t* vmo,
                       uint64_t* size) {
    STORAGE(s, SMALL);
    struct jacinth_io_file_get_vmo_request r = {.flags = flags};
    struct jacinth_io_file_get_vmo_response* answer;
    zx_status_t status = jacinth_io_file_get_vmo_call(file, ZX_TIME_INFINITE, &r, s, &answer);
    if (status == ZX_OK) {
        *vmo = answer->vmo;
        *size = answer->size;
    }
    return status;
}

zx_status_t io_read_at(zx_handle_t file, uint64_t offset, void* bytes, size_t capacity,
                       size_t* actual) {
    STORAGE(s, JACINTH_IO_MAX_TRANSFER + SMALL);
    uint32_t most =
        capacity < JACINTH_IO_MAX_TRANSFER ? (uint32_t)capacity : JACINTH_IO_MAX_TRANSFER;
    struct jacinth_io_file_read_at_request r = {.offset = offset, .count = most};
    struct jacinth_io_file_read_at_response* answer;
    zx_status_t status = jacinth_io_file_read_at_call(file, ZX_TIME_INFINITE, &r, s, &answer);
    if (status != ZX_OK) {
        return status;
    }
    if (answer->data.count > most) {
        return ZX_ERR_IO_INVALID;
    }
    *actual = answer->data.count;
    if (*actual != 0) {
        memcpy(bytes, answer->data.data, *actual);
    }
    return ZX_OK;
}

// ---- directories ----

void io_opened_close(struct io_opened* opened) {
    (void)zx_handle_close(fidl_take(&opened->connection));
    (void)zx_handle_close(fidl_take(&opened->stream));
    (void)zx_handle_close(fidl_take(&opened->events));
}

zx_status_t io_open(zx_handle_t directory, const char* path, size_t len, jacinth_io_flags_t flags,
                    uint32_t mode, struct io_opened* out, struct io_path* rest) {
    STORAGE(s, ONE_PATH);
    struct jacinth_io_directory_open_request r = {.flags = flags, .mode = mode};
    zx_status_t status = path_of(path, len, &r.path);
    if (status != ZX_OK) {
        return status;
    }
    struct jacinth_io_directory_open_response* answer;
    status = jacinth_io_directory_open_call(directory, ZX_TIME_INFINITE, &r, s, &answer);
    if (status != ZX_OK) {
        return status;
    }
    const struct jacinth_io_opened* o = &answer->opened;
    struct io_opened opened = {.kind = o->kind,
                               .device = o->device,
                               .connection = o->connection,
                               .stream = o->stream,
                               .events = o->events,
                               .has_rest = o->rest.data != nullptr};
    if (opened.has_rest && rest == nullptr) {
        io_opened_close(&opened);
        return ZX_ERR_NOT_FOUND;
    }
    if (opened.has_rest) {
        keep_path(rest, &o->rest);
    }
    *out = opened;
    return ZX_OK;
}

zx_status_t io_connect(zx_handle_t directory, const char* path, size_t len, zx_handle_t request) {
    STORAGE(s, ONE_PATH);
    struct jacinth_io_directory_connect_request r = {.request = request};
    zx_status_t status = path_of(path, len, &r.path);
    if (status != ZX_OK) {
        (void)zx_handle_close(request);
        return status;
    }
    return jacinth_io_directory_connect_send(directory, s, &r);
}

zx_status_t io_stat(zx_handle_t directory, const char* path, size_t len, jacinth_io_flags_t flags,
                    struct jacinth_io_attributes* out, bool* has_rest, struct io_path* rest) {
    STORAGE(s, ONE_PATH);
    struct jacinth_io_directory_stat_request r = {.flags = flags};
    zx_status_t status = path_of(path, len, &r.path);
    if (status != ZX_OK) {
        return status;
    }
    struct jacinth_io_directory_stat_response* answer;
    status = jacinth_io_directory_stat_call(directory, ZX_TIME_INFINITE, &r, s, &answer);
    if (status != ZX_OK) {
        return status;
    }
    bool leads_out = answer->rest.data != nullptr;
    if (leads_out && rest == nullptr) {
        return ZX_ERR_NOT_FOUND;
    }
    if (leads_out) {
        keep_path(rest, &answer->rest);
    }
    if (has_rest != nullptr) {
        *has_rest = leads_out;
    }
    *out = answer->attributes;
    return ZX_OK;
}

zx_status_t io_change(zx_handle_t directory, const char* path, size_t len, jacinth_io_flags_t flags,
                      const struct io_changes* changes) {
    STORAGE(s, ONE_PATH);
    struct changes_table table;
    struct jacinth_io_directory_change_request r = {.flags = flags,
                                                    .changes = make_changes(changes, &table)};
    zx_status_t status = path_of(path, len, &r.path);
    return status == ZX_OK ? jacinth_io_directory_change_call(directory, ZX_TIME_INFINITE, &r, s)
                           : status;
}

zx_status_t io_read_entries(zx_handle_t directory, struct io_entries* entries) {
    struct fidl_storage s = {entries->buffer, sizeof(entries->buffer)};
    struct jacinth_io_directory_read_entries_request r = {.cookie = entries->cookie};
    struct jacinth_io_directory_read_entries_response* answer;
    zx_status_t status =
        jacinth_io_directory_read_entries_call(directory, ZX_TIME_INFINITE, &r, s, &answer);
    if (status == ZX_OK) {
        entries->cookie = answer->cookie;
        entries->count = (uint32_t)answer->entries.count;
        entries->entries = answer->entries.data;
    }
    return status;
}

zx_status_t io_unlink(zx_handle_t directory, const char* path, size_t len,
                      jacinth_io_flags_t flags) {
    STORAGE(s, ONE_PATH);
    struct jacinth_io_directory_unlink_request r = {.flags = flags};
    zx_status_t status = path_of(path, len, &r.path);
    return status == ZX_OK ? jacinth_io_directory_unlink_call(directory, ZX_TIME_INFINITE, &r, s)
                           : status;
}

zx_status_t io_get_token(zx_handle_t directory, zx_handle_t* token) {
    STORAGE(s, SMALL);
    struct jacinth_io_directory_get_token_response* answer;
    zx_status_t status =
        jacinth_io_directory_get_token_call(directory, ZX_TIME_INFINITE, s, &answer);
    if (status == ZX_OK) {
        *token = answer->token;
    }
    return status;
}

// Both paths of a request that gives a directory's token away; the token is gone if one is no path.
static zx_status_t paths_with_token(const char* from, size_t from_len,
                                    struct fidl_vector_of_uint8* from_out, const char* to,
                                    size_t to_len, struct fidl_vector_of_uint8* to_out,
                                    zx_handle_t token) {
    zx_status_t status = path_of(from, from_len, from_out);
    if (status == ZX_OK) {
        status = path_of(to, to_len, to_out);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(token);
    }
    return status;
}

zx_status_t io_rename(zx_handle_t directory, const char* path, size_t len, zx_handle_t token,
                      const char* to, size_t to_len) {
    STORAGE(s, TWO_PATHS);
    struct jacinth_io_directory_rename_request r = {.token = token};
    zx_status_t status = paths_with_token(path, len, &r.path, to, to_len, &r.to, token);
    if (status != ZX_OK) {
        return status;
    }
    return jacinth_io_directory_rename_call(directory, ZX_TIME_INFINITE, &r, s);
}

zx_status_t io_link(zx_handle_t directory, const char* path, size_t len, zx_handle_t token,
                    const char* to, size_t to_len) {
    STORAGE(s, TWO_PATHS);
    struct jacinth_io_directory_link_request r = {.token = token};
    zx_status_t status = paths_with_token(path, len, &r.path, to, to_len, &r.to, token);
    if (status != ZX_OK) {
        return status;
    }
    return jacinth_io_directory_link_call(directory, ZX_TIME_INFINITE, &r, s);
}

zx_status_t io_symlink(zx_handle_t directory, const char* target, size_t target_len,
                       const char* path, size_t len) {
    STORAGE(s, TWO_PATHS);
    struct jacinth_io_directory_symlink_request r = {};
    zx_status_t status = path_of(target, target_len, &r.target);
    if (status == ZX_OK) {
        status = path_of(path, len, &r.path);
    }
    return status == ZX_OK ? jacinth_io_directory_symlink_call(directory, ZX_TIME_INFINITE, &r, s)
                           : status;
}

zx_status_t io_readlink(zx_handle_t directory, const char* path, size_t len, struct io_path* out) {
    STORAGE(s, ONE_PATH);
    struct jacinth_io_directory_read_link_request r = {};
    zx_status_t status = path_of(path, len, &r.path);
    if (status != ZX_OK) {
        return status;
    }
    struct jacinth_io_directory_read_link_response* answer;
    status = jacinth_io_directory_read_link_call(directory, ZX_TIME_INFINITE, &r, s, &answer);
    if (status == ZX_OK) {
        keep_path(out, &answer->target);
    }
    return status;
}

zx_status_t io_watch(zx_handle_t directory, zx_handle_t watcher) {
    STORAGE(s, SMALL);
    struct jacinth_io_directory_watch_request r = {.watcher = watcher};
    return jacinth_io_directory_watch_call(directory, ZX_TIME_INFINITE, &r, s);
}

zx_status_t io_watcher_read(zx_handle_t watcher, struct io_event* out) {
    STORAGE(s, SMALL);
    struct fidl_message m = {.bytes = s.bytes};
    uint32_t len = 0;
    uint32_t handles = 0;
    zx_status_t status = zx_channel_read_etc(watcher, ZX_CHANNEL_READ_MAY_DISCARD, s.bytes, nullptr,
                                             s.capacity, 0, &len, &handles);
    if (status != ZX_OK) {
        return status == ZX_ERR_BUFFER_TOO_SMALL ? ZX_ERR_IO_INVALID : status;
    }
    m.len = len;
    struct jacinth_io_watcher_on_change_event* event;
    if (jacinth_io_watcher_on_change_event_decode(&m, &event) != FIDL_OK) {
        return ZX_ERR_IO_INVALID;
    }
    out->change = event->change;
    out->name_len = (uint32_t)event->name.count;
    memcpy(out->name, event->name.data, event->name.count);
    return ZX_OK;
}

zx_status_t io_query_usage(zx_handle_t directory, struct io_usage* out) {
    STORAGE(s, SMALL);
    struct jacinth_io_directory_query_usage_response* answer;
    zx_status_t status =
        jacinth_io_directory_query_usage_call(directory, ZX_TIME_INFINITE, s, &answer);
    if (status != ZX_OK) {
        return status;
    }
    const struct jacinth_io_usage* u = &answer->usage;
    *out = (struct io_usage){.total_bytes = u->total_bytes,
                             .used_bytes = u->used_bytes,
                             .total_nodes = u->total_nodes,
                             .used_nodes = u->used_nodes,
                             .block_size = u->block_size,
                             .max_name = u->max_name,
                             .read_only = u->read_only,
                             .name_len = (uint32_t)u->name.count};
    memcpy(out->name, u->name.data, u->name.count);
    return ZX_OK;
}

// ---- terminals ----

zx_status_t io_terminal_read(zx_handle_t terminal, void* bytes, size_t capacity, size_t* actual) {
    STORAGE(s, JACINTH_IO_MAX_TRANSFER + SMALL);
    uint32_t most =
        capacity < JACINTH_IO_MAX_TRANSFER ? (uint32_t)capacity : JACINTH_IO_MAX_TRANSFER;
    struct jacinth_io_terminal_read_request r = {.count = most};
    struct jacinth_io_terminal_read_response* answer;
    zx_status_t status = jacinth_io_terminal_read_call(terminal, ZX_TIME_INFINITE, &r, s, &answer);
    if (status != ZX_OK) {
        return status;
    }
    if (answer->data.count > most) {
        return ZX_ERR_IO_INVALID;
    }
    memcpy(bytes, answer->data.data, answer->data.count);
    *actual = answer->data.count;
    return ZX_OK;
}

zx_status_t io_terminal_write(zx_handle_t terminal, const void* bytes, size_t len, size_t* actual) {
    STORAGE(s, JACINTH_IO_MAX_TRANSFER + SMALL);
    size_t most = len < JACINTH_IO_MAX_TRANSFER ? len : JACINTH_IO_MAX_TRANSFER;
    struct jacinth_io_terminal_write_request r = {.data = bytes_of(bytes, most)};
    struct jacinth_io_terminal_write_response* answer;
    zx_status_t status = jacinth_io_terminal_write_call(terminal, ZX_TIME_INFINITE, &r, s, &answer);
    if (status != ZX_OK) {
        return status;
    }
    if (answer->count > most) {
        return ZX_ERR_IO_INVALID;
    }
    *actual = answer->count;
    return ZX_OK;
}

zx_status_t io_terminal_get_mode(zx_handle_t terminal, struct jacinth_io_mode* out) {
    STORAGE(s, SMALL);
    struct jacinth_io_terminal_get_mode_response* answer;
    zx_status_t status = jacinth_io_terminal_get_mode_call(terminal, ZX_TIME_INFINITE, s, &answer);
    if (status == ZX_OK) {
        *out = answer->mode;
    }
    return status;
}

zx_status_t io_terminal_set_mode(zx_handle_t terminal, const struct jacinth_io_mode* mode,
                                 jacinth_io_when_t when) {
    STORAGE(s, SMALL);
    struct jacinth_io_terminal_set_mode_request r = {.mode = *mode, .when = when};
    return jacinth_io_terminal_set_mode_call(terminal, ZX_TIME_INFINITE, &r, s);
}

zx_status_t io_terminal_get_size(zx_handle_t terminal, struct jacinth_io_window_size* out) {
    STORAGE(s, SMALL);
    struct jacinth_io_terminal_get_window_size_response* answer;
    zx_status_t status =
        jacinth_io_terminal_get_window_size_call(terminal, ZX_TIME_INFINITE, s, &answer);
    if (status == ZX_OK) {
        *out = answer->size;
    }
    return status;
}

zx_status_t io_terminal_set_size(zx_handle_t terminal, const struct jacinth_io_window_size* size) {
    STORAGE(s, SMALL);
    struct jacinth_io_terminal_set_window_size_request r = {.size = *size};
    return jacinth_io_terminal_set_window_size_call(terminal, ZX_TIME_INFINITE, &r, s);
}

zx_status_t io_terminal_flush(zx_handle_t terminal, bool input, bool output) {
    STORAGE(s, SMALL);
    struct jacinth_io_terminal_flush_request r = {.input = input, .output = output};
    return jacinth_io_terminal_flush_call(terminal, ZX_TIME_INFINITE, &r, s);
}

zx_status_t io_terminal_set_controller(zx_handle_t terminal, zx_handle_t controller) {
    STORAGE(s, SMALL);
    struct jacinth_io_terminal_set_controller_request r = {.controller = controller};
    return jacinth_io_terminal_set_controller_call(terminal, ZX_TIME_INFINITE, &r, s);
}
