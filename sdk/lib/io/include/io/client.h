// The client's side of jacinth.io: one call, one message, one answer; no state, no allocation.
//
// A connection is a channel that stays the caller's. Calls wait for the answer without a deadline:
// a server that dies closes the channel (PEER_CLOSED), and which servers a program trusts to
// answer is decided by who wrote its namespace. Any thread may make any call at any time.
//
// Paths are relative, `len` bytes without a terminator, no slash at the beginning; "" is the
// directory itself. Results are written on success only. IO_INVALID: the server's answer was not
// one. Handles that are passed in are gone, whatever the outcome.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <fidl/jacinth.io.h>
#include <zircon/types.h>

constexpr size_t IO_PATH_MAX = JACINTH_IO_MAX_PATH;
constexpr size_t IO_NAME_MAX = JACINTH_IO_MAX_NAME;

// A path that an answer carries.
struct io_path {
    uint32_t len;
    char text[IO_PATH_MAX];
};

// ---- every connection ----

// Another connection in the same state: `request` will be its server end (one-way).
zx_status_t io_clone_to(zx_handle_t node, zx_handle_t request);
// The same with a new channel: *out may be used at once.
zx_status_t io_clone(zx_handle_t node, zx_handle_t* out);
zx_status_t io_get_attributes(zx_handle_t node, struct jacinth_io_attributes* out);
// What is null stays as it is.
struct io_changes {
    const uint32_t* mode;
    const zx_time_t* access_time;
    const zx_time_t* modification_time;
};
zx_status_t io_set_attributes(zx_handle_t node, const struct io_changes* changes);
zx_status_t io_sync(zx_handle_t node);

// ---- files ----

zx_status_t io_resize(zx_handle_t file, uint64_t length);
zx_status_t io_get_vmo(zx_handle_t file, jacinth_io_flags_t flags, zx_handle_t* vmo,
                       uint64_t* size);
// Of a file without pages. What one answer brings, at most JACINTH_IO_MAX_TRANSFER bytes; nothing:
// the file ends there.
zx_status_t io_read_at(zx_handle_t file, uint64_t offset, void* bytes, size_t capacity,
                       size_t* actual);

// ---- directories ----

struct io_opened {
    jacinth_io_kind_t kind;
    jacinth_io_device_t device;
    zx_handle_t connection, stream, events; // or ZX_HANDLE_INVALID
    bool has_rest;                          // a link: go on with `rest`
};
// `rest` may be null: a link that leads out is then NOT_FOUND.
zx_status_t io_open(zx_handle_t directory, const char* path, size_t len, jacinth_io_flags_t flags,
                    uint32_t mode, struct io_opened* out, struct io_path* rest);
void io_opened_close(struct io_opened* opened);
zx_status_t io_connect(zx_handle_t directory, const char* path, size_t len, zx_handle_t request);

// *has_rest as in io_open, with `rest` and it both null or neither.
zx_status_t io_stat(zx_handle_t directory, const char* path, size_t len, jacinth_io_flags_t flags,
                    struct jacinth_io_attributes* out, bool* has_rest, struct io_path* rest);
zx_status_t io_change(zx_handle_t directory, const char* path, size_t len, jacinth_io_flags_t flags,
                      const struct io_changes* changes);

// A piece of a listing: entries point into the buffer, which is the caller's to keep (it is large:
// not for a stack) and serves one call after the other. Begin with cookie 0; no entries: the end.
struct io_entries {
    uint64_t cookie;
    uint32_t count;
    const struct jacinth_io_entry* entries;
    alignas(8) uint8_t buffer[ZX_CHANNEL_MAX_MSG_BYTES];
};
zx_status_t io_read_entries(zx_handle_t directory, struct io_entries* entries);

zx_status_t io_unlink(zx_handle_t directory, const char* path, size_t len,
                      jacinth_io_flags_t flags);
zx_status_t io_get_token(zx_handle_t directory, zx_handle_t* token);
// `token`: of the directory below which `to` lies; ZX_HANDLE_INVALID: this one.
zx_status_t io_rename(zx_handle_t directory, const char* path, size_t len, zx_handle_t token,
                      const char* to, size_t to_len);
zx_status_t io_link(zx_handle_t directory, const char* path, size_t len, zx_handle_t token,
                    const char* to, size_t to_len);
zx_status_t io_symlink(zx_handle_t directory, const char* target, size_t target_len,
                       const char* path, size_t len);
zx_status_t io_readlink(zx_handle_t directory, const char* path, size_t len, struct io_path* out);
zx_status_t io_watch(zx_handle_t directory, zx_handle_t watcher);
// The next event of a watcher's channel, if there is one (SHOULD_WAIT).
struct io_event {
    jacinth_io_change_t change;
    uint32_t name_len;
    char name[IO_NAME_MAX];
};
zx_status_t io_watcher_read(zx_handle_t watcher, struct io_event* out);
struct io_usage {
    uint64_t total_bytes, used_bytes, total_nodes, used_nodes;
    uint32_t block_size, max_name;
    bool read_only;
    uint32_t name_len;
    char name[IO_NAME_MAX];
};
zx_status_t io_query_usage(zx_handle_t directory, struct io_usage* out);

// ---- terminals ----

// At most JACINTH_IO_MAX_TRANSFER bytes at once. SHOULD_WAIT: see the events of the terminal.
zx_status_t io_terminal_read(zx_handle_t terminal, void* bytes, size_t capacity, size_t* actual);
zx_status_t io_terminal_write(zx_handle_t terminal, const void* bytes, size_t len, size_t* actual);
zx_status_t io_terminal_get_mode(zx_handle_t terminal, struct jacinth_io_mode* out);
zx_status_t io_terminal_set_mode(zx_handle_t terminal, const struct jacinth_io_mode* mode,
                                 jacinth_io_when_t when);
zx_status_t io_terminal_get_size(zx_handle_t terminal, struct jacinth_io_window_size* out);
zx_status_t io_terminal_set_size(zx_handle_t terminal, const struct jacinth_io_window_size* size);
zx_status_t io_terminal_flush(zx_handle_t terminal, bool input, bool output);
zx_status_t io_terminal_set_controller(zx_handle_t terminal, zx_handle_t controller);
