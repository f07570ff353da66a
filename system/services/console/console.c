// The console: one terminal, on the serial line and, if there is one, on the screen. Both show the
// same. It offers jacinth.io.Terminal (a connection without
// events) and the device "console" (an open with them).

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <async/loop.h>
#include <io/server.h>
#include <jacinth/startup.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/resource.h>

#include "keyboard.h"
#include "screen.h"
#include "serial.h"
#include "terminal.h"

constexpr uint32_t DIRECTORY_CONNECTIONS_MAX = 64;

static struct async_loop loop;
static struct terminal terminal;
static struct serial serial;
static struct screen screen;
static struct keyboard keyboard;

static void show(void*, const uint8_t* bytes, size_t count) {
    serial_write(bytes, count);
    screen_write(&screen, bytes, count);
}

static void want_input(void*) {
    serial_start_reading(&serial);
}

static void typed(void*, const uint8_t* bytes, size_t count) {
    terminal_type(&terminal, bytes, count);
}

static void scroll(void*, bool up) {
    screen_scroll(&screen, up);
}

// ---- the directory of what is offered ----

static struct io_server server;
static struct io_node root, device, service;
static const struct {
    const char* name;
    struct io_node* node;
} entries[] = {{"console", &device}, {"jacinth.io.Terminal", &service}};
constexpr size_t ENTRY_COUNT = sizeof(entries) / sizeof(entries[0]);

static void release(struct io_server*, struct io_node*) {
    // All are static.
}

static void get_attributes(struct io_node* node, struct jacinth_io_attributes* out) {
    out->mode = node == &root ? 0500 : 0620;
    out->link_count = 1;
    out->id = node == &root ? 1 : node == &device ? 2 : 3;
}

static zx_status_t lookup(struct io_node*, struct io_name name, struct io_node** out) {
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        if (name.len == strlen(entries[i].name) &&
            memcmp(name.text, entries[i].name, name.len) == 0) {
            *out = io_node_ref(entries[i].node);
            return ZX_OK;
        }
    }
    return ZX_ERR_NOT_FOUND;
}

static struct io_node* parent(struct io_node*) {
    return nullptr;
}

static zx_status_t read_entries(struct io_node*, uint64_t cookie, struct io_listing* listing) {
    for (uint64_t i = cookie; i < ENTRY_COUNT; i++) {
        struct io_name name = {entries[i].name, strlen(entries[i].name)};
        if (!io_listing_add(listing, i + 2, entries[i].node->kind, name, i + 1)) {
            break;
        }
    }
    return ZX_OK;
}

static void query_usage(struct io_node*, struct jacinth_io_usage* out) {
    out->read_only = true;
}

static zx_status_t open_other(struct io_node*, jacinth_io_flags_t flags, struct io_connection*,
                              struct fidl_txn*, struct jacinth_io_opened* out) {
    return terminal_open(&terminal, flags, &out->connection, &out->events);
}

static void connect_service(struct io_node*, zx_handle_t request) {
    (void)terminal_serve(&terminal, JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE, request);
}

static const struct io_ops ops = {
    IO_OPS_NO_FILES,
    .release = release,
    .get_attributes = get_attributes,
    .lookup = lookup,
    .parent = parent,
    .read_entries = read_entries,
    .query_usage = query_usage,
    .open_other = open_other,
    .connect = connect_service,
};

static zx_status_t serve(zx_handle_t channel) {
    io_node_init(&root, JACINTH_IO_KIND_DIRECTORY);
    io_node_init(&device, JACINTH_IO_KIND_TERMINAL);
    io_node_init(&service, JACINTH_IO_KIND_SERVICE);
    server.loop = &loop;
    server.ops = &ops;
    server.connections_max = DIRECTORY_CONNECTIONS_MAX;
    server.watchers_max = DIRECTORY_CONNECTIONS_MAX;
    io_server_init(&server);
    return io_server_serve(&server, channel, &root, JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE);
}

// ---- starting ----

static int fail(const char* what, zx_status_t status) {
    fprintf(stderr, "console: %s: %s\n", what, zx_status_get_string(status));
    return EXIT_FAILURE;
}

static void start_keyboard(void) {
    keyboard.loop = &loop;
    keyboard.typed = typed;
    keyboard.scroll = scroll;
    zx_status_t status =
        keyboard_start(&keyboard, zx_take_startup_handle(PA_HND(PA_IOPORT_RESOURCE, 0)));
    if (status != ZX_OK && status != ZX_ERR_NOT_FOUND) {
        (void)fail("no keyboard", status);
    }
}

// The serial line's terminal is not asked for its size: without a screen this is a guess. Reports
// of the screen are not passed on: the serial line's terminal gives its own.
static void start_screen(char** envp) {
    terminal.size = (struct jacinth_io_window_size){.rows = 24, .columns = 80};
    zx_status_t status =
        screen_start(&screen, (const char* const*)envp,
                     zx_take_startup_handle(PA_HND(PA_MMIO_RESOURCE, 0)), nullptr, nullptr);
    if (status == ZX_OK) {
        screen_size(&screen, &terminal.size);
        start_keyboard();
    } else if (status != ZX_ERR_NOT_FOUND) {
        (void)fail("no screen", status);
    }
}

int main(int, char**, char** envp) {
    zx_handle_t channel = zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0));
    serial.debug = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, ZX_RSRC_SYSTEM_DEBUG_BASE));
    if (channel == ZX_HANDLE_INVALID) {
        return fail("nobody to serve", ZX_ERR_BAD_HANDLE);
    }
    zx_status_t status = async_loop_init(&loop);
    if (status != ZX_OK) {
        return fail("no loop", status);
    }
    serial.loop = &loop;
    serial.typed = typed;
    terminal.loop = &loop;
    terminal.show = show;
    terminal.want_input = want_input;
    terminal_init(&terminal);
    start_screen(envp);
    status = serve(channel);
    if (status == ZX_OK) {
        status = async_loop_run(&loop);
    }
    return fail("cannot go on", status);
}
