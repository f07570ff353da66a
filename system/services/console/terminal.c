#include "terminal.h"

#include <stdlib.h>
#include <string.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>

constexpr zx_signals_t READABLE = JACINTH_IO_EVENT_READABLE;
constexpr zx_signals_t WRITABLE = JACINTH_IO_EVENT_WRITABLE;

static_assert(sizeof(struct line_mode) == sizeof(struct jacinth_io_mode));

struct open {
    struct list_node node; // in the terminal's list
    struct terminal* terminal;
    uint32_t connections;
    jacinth_io_flags_t rights;
    zx_handle_t events;  // our end, or ZX_HANDLE_INVALID
    zx_signals_t raised; // on the other one
};

struct connection {
    struct async_channel channel;
    struct open* open;
};

// ---- output ----

static void flush(struct terminal* t) {
    if (t->pending_count > 0) {
        t->show(t->ctx, t->pending, t->pending_count);
        t->pending_count = 0;
    }
}

// What the discipline says in small pieces goes out in large ones.
static void collect(void* ctx, const uint8_t* bytes, size_t count) {
    struct terminal* t = ctx;
    while (count > 0) {
        size_t room = sizeof(t->pending) - t->pending_count;
        size_t part = count < room ? count : room;
        memcpy(t->pending + t->pending_count, bytes, part);
        t->pending_count += part;
        bytes += part;
        count -= part;
        if (t->pending_count == sizeof(t->pending)) {
            // CR LF stay together: the serial line looks for both.
            bool open_end = t->pending[t->pending_count - 1] == '\r';
            t->pending_count -= open_end;
            flush(t);
            t->pending[0] = '\r';
            t->pending_count = open_end;
        }
    }
}

// ---- events ----

static void tell(struct open* o, zx_signals_t now) {
    zx_signals_t set = now & ~o->raised;
    zx_signals_t clear = o->raised & ~now;
    o->raised = now;
    if (o->events != ZX_HANDLE_INVALID && (set | clear) != 0) {
        (void)zx_object_signal_peer(o->events, clear, set); // nobody there: nobody to tell
    }
}

static zx_signals_t events_now(const struct terminal* t, const struct open* o) {
    zx_signals_t now = 0;
    if ((o->rights & JACINTH_IO_FLAGS_READ) != 0 && line_readable(&t->line)) {
        now |= READABLE;
    }
    if ((o->rights & JACINTH_IO_FLAGS_WRITE) != 0 && line_writable(&t->line)) {
        now |= WRITABLE;
    }
    return now;
}

static void expire(struct async_task* task);

// After everything that may have changed the discipline.
static void settle(struct terminal* t) {
    flush(t);
    for (struct list_node* n = list_first(&t->opens); n != nullptr; n = list_next(&t->opens, n)) {
        struct open* o = container_of(n, struct open, node);
        tell(o, events_now(t, o));
    }
    int64_t deadline = line_deadline(&t->line);
    if (deadline == LINE_NEVER) {
        async_task_cancel(&t->timer);
    } else {
        async_task_post(t->loop, &t->timer, deadline);
    }
}

static void expire(struct async_task* task) {
    struct terminal* t = container_of(task, struct terminal, timer);
    line_expire(&t->line, zx_clock_get_monotonic());
    settle(t);
}

// ---- the controller ----

static void drop_controller(struct terminal* t) {
    if (t->controller != ZX_HANDLE_INVALID) {
        async_wait_cancel(&t->controller_wait);
        (void)zx_handle_close(t->controller);
        t->controller = ZX_HANDLE_INVALID;
    }
}

static void controller_gone(struct async_wait* wait, const zx_packet_signal_t*) {
    drop_controller(container_of(wait, struct terminal, controller_wait));
}

static bool is_alive(zx_handle_t controller) {
    return zx_object_wait_one(controller, ZX_EVENTPAIR_PEER_CLOSED, 0, nullptr) == ZX_ERR_TIMED_OUT;
}

// Whose session the terminal is: whoever opened it anew is not of it.
static bool may_control(const struct open* o) {
    const struct terminal* t = o->terminal;
    return t->controller == ZX_HANDLE_INVALID || t->controller_open == nullptr ||
           t->controller_open == o || !is_alive(t->controller);
}

// What could not be a controller leaves the one there is in its place.
static zx_status_t take_controller(const struct open* o, zx_handle_t controller) {
    struct terminal* t = o->terminal;
    if (!is_alive(controller)) {
        (void)zx_handle_close(controller);
        return ZX_ERR_PEER_CLOSED;
    }
    if (!may_control(o)) {
        (void)zx_handle_close(controller);
        return ZX_ERR_ACCESS_DENIED;
    }
    drop_controller(t);
    t->controller_wait = (struct async_wait){
        .object = controller, .trigger = ZX_EVENTPAIR_PEER_CLOSED, .handler = controller_gone};
    zx_status_t status = async_wait_begin(t->loop, &t->controller_wait);
    if (status == ZX_OK) {
        t->controller = controller;
        t->controller_open = o;
    } else {
        (void)zx_handle_close(controller);
    }
    return status;
}

static void tell_controller(struct terminal* t, zx_signals_t signals) {
    if (signals != 0 && t->controller != ZX_HANDLE_INVALID) {
        (void)zx_object_signal_peer(t->controller, 0, signals);
    }
}

// ---- typing ----

void terminal_type(struct terminal* t, const uint8_t* bytes, size_t count) {
    uint32_t events = line_type(&t->line, zx_clock_get_monotonic(), bytes, count);
    tell_controller(t, ((events & LINE_INTERRUPT) != 0 ? JACINTH_IO_EVENT_INTERRUPT : 0) |
                           ((events & LINE_QUIT) != 0 ? JACINTH_IO_EVENT_QUIT : 0) |
                           ((events & LINE_SUSPEND) != 0 ? JACINTH_IO_EVENT_SUSPEND : 0));
    settle(t);
}

void terminal_resize(struct terminal* t, const struct jacinth_io_window_size* size) {
    bool changed = memcmp(&t->size, size, sizeof(*size)) != 0;
    t->size = *size;
    tell_controller(t, changed ? JACINTH_IO_EVENT_RESIZED : 0);
}

// ---- requests ----

static struct open* open_of(void* ctx) {
    return ((struct connection*)ctx)->open;
}

static zx_status_t do_read(void* ctx, struct jacinth_io_terminal_read_request* request,
                           struct fidl_txn* txn) {
    struct open* o = open_of(ctx);
    struct terminal* t = o->terminal;
    uint8_t data[LINE_CELLS];
    size_t count = 0;
    if ((o->rights & JACINTH_IO_FLAGS_READ) == 0) {
        return jacinth_io_terminal_read_reply_error(txn, ZX_ERR_BAD_HANDLE);
    }
    t->want_input(t->ctx);
    if (request->count > 0) {
        size_t max = request->count < sizeof(data) ? request->count : sizeof(data);
        line_read_result_t result =
            line_read(&t->line, zx_clock_get_monotonic(), data, max, &count);
        settle(t);
        if (result == LINE_READ_WAIT) {
            return jacinth_io_terminal_read_reply_error(txn, ZX_ERR_SHOULD_WAIT);
        }
    }
    struct jacinth_io_terminal_read_response response = {.data = {count, data}};
    return jacinth_io_terminal_read_reply(txn, &response);
}

static zx_status_t do_write(void* ctx, struct jacinth_io_terminal_write_request* request,
                            struct fidl_txn* txn) {
    struct open* o = open_of(ctx);
    if ((o->rights & JACINTH_IO_FLAGS_WRITE) == 0) {
        return jacinth_io_terminal_write_reply_error(txn, ZX_ERR_BAD_HANDLE);
    }
    if (!line_write(&o->terminal->line, request->data.data, request->data.count)) {
        return jacinth_io_terminal_write_reply_error(txn, ZX_ERR_SHOULD_WAIT);
    }
    flush(o->terminal); // shown before it is answered
    struct jacinth_io_terminal_write_response response = {.count = (uint32_t)request->data.count};
    return jacinth_io_terminal_write_reply(txn, &response);
}

static zx_status_t do_get_mode(void* ctx, struct fidl_txn* txn) {
    struct jacinth_io_terminal_get_mode_response response;
    memcpy(&response.mode, &open_of(ctx)->terminal->line.mode, sizeof(response.mode));
    return jacinth_io_terminal_get_mode_reply(txn, &response);
}

// Output is shown before it is answered: "after output" is now.
static zx_status_t do_set_mode(void* ctx, struct jacinth_io_terminal_set_mode_request* request,
                               struct fidl_txn* txn) {
    struct terminal* t = open_of(ctx)->terminal;
    struct line_mode mode;
    memcpy(&mode, &request->mode, sizeof(mode));
    if (request->when == JACINTH_IO_WHEN_AFTER_OUTPUT_FLUSH) {
        line_flush_input(&t->line);
    }
    line_set_mode(&t->line, &mode);
    settle(t);
    return jacinth_io_terminal_set_mode_reply(txn);
}

static zx_status_t do_get_size(void* ctx, struct fidl_txn* txn) {
    struct jacinth_io_terminal_get_window_size_response response = {
        .size = open_of(ctx)->terminal->size};
    return jacinth_io_terminal_get_window_size_reply(txn, &response);
}

static zx_status_t do_set_size(void* ctx,
                               struct jacinth_io_terminal_set_window_size_request* request,
                               struct fidl_txn* txn) {
    terminal_resize(open_of(ctx)->terminal, &request->size);
    return jacinth_io_terminal_set_window_size_reply(txn);
}

static zx_status_t do_flush(void* ctx, struct jacinth_io_terminal_flush_request* request,
                            struct fidl_txn* txn) {
    struct terminal* t = open_of(ctx)->terminal;
    if (request->input) {
        line_flush_input(&t->line);
    }
    if (request->output) {
        line_flush_output(&t->line);
    }
    settle(t);
    return jacinth_io_terminal_flush_reply(txn);
}

static zx_status_t do_set_controller(void* ctx,
                                     struct jacinth_io_terminal_set_controller_request* request,
                                     struct fidl_txn* txn) {
    zx_status_t status = take_controller(open_of(ctx), fidl_take(&request->controller));
    return status == ZX_OK ? jacinth_io_terminal_set_controller_reply(txn)
                           : jacinth_io_terminal_set_controller_reply_error(txn, status);
}

// ---- what every connection answers ----

static zx_status_t connect(struct open* o, zx_handle_t channel);

static zx_status_t do_clone(void* ctx, struct jacinth_io_node_clone_request* request) {
    (void)connect(open_of(ctx), fidl_take(&request->request)); // the closed channel says it
    return ZX_OK;
}

static zx_status_t do_get_attributes(void*, struct fidl_txn* txn) {
    struct jacinth_io_node_get_attributes_response response = {
        .attributes = {.kind = JACINTH_IO_KIND_TERMINAL, .mode = 0620, .link_count = 1, .id = 1}};
    return jacinth_io_node_get_attributes_reply(txn, &response);
}

static zx_status_t do_set_attributes(void*, struct jacinth_io_node_set_attributes_request*,
                                     struct fidl_txn* txn) {
    return jacinth_io_node_set_attributes_reply_error(txn, ZX_ERR_NOT_SUPPORTED);
}

static zx_status_t do_sync(void*, struct fidl_txn* txn) {
    return jacinth_io_node_sync_reply(txn);
}

static const struct jacinth_io_terminal_ops ops = {
    .read = do_read,
    .write = do_write,
    .get_mode = do_get_mode,
    .set_mode = do_set_mode,
    .get_window_size = do_get_size,
    .set_window_size = do_set_size,
    .flush = do_flush,
    .set_controller = do_set_controller,
    .clone = do_clone,
    .get_attributes = do_get_attributes,
    .set_attributes = do_set_attributes,
    .sync = do_sync,
};

// ---- connections ----

static void open_unref(struct open* o) {
    if (--o->connections == 0) {
        if (o->terminal->controller_open == o) {
            o->terminal->controller_open = nullptr;
        }
        list_remove(&o->node);
        (void)zx_handle_close(o->events);
        free(o);
    }
}

static zx_status_t take_message(struct async_channel* channel, struct fidl_message* message) {
    struct connection* c = container_of(channel, struct connection, channel);
    return jacinth_io_terminal_dispatch(&ops, c, channel->handle, message,
                                        async_loop_storage(channel->loop));
}

static void connection_closed(struct async_channel* channel, zx_status_t) {
    struct connection* c = container_of(channel, struct connection, channel);
    c->open->terminal->connection_count--;
    open_unref(c->open);
    free(c);
}

// The channel is gone whatever the outcome.
static zx_status_t connect(struct open* o, zx_handle_t channel) {
    struct terminal* t = o->terminal;
    struct connection* c =
        t->connection_count < TERMINAL_CONNECTIONS_MAX ? malloc(sizeof(*c)) : nullptr;
    if (c == nullptr) {
        (void)zx_handle_close(channel);
        return ZX_ERR_NO_RESOURCES;
    }
    *c = (struct connection){
        .channel = {.handle = channel, .message = take_message, .closed = connection_closed},
        .open = o};
    zx_status_t status = async_channel_begin(t->loop, &c->channel);
    if (status != ZX_OK) {
        free(c);
        return status;
    }
    t->connection_count++;
    o->connections++;
    return ZX_OK;
}

// `events`: our end of the pair, gone whatever the outcome.
static zx_status_t add_open(struct terminal* t, jacinth_io_flags_t flags, zx_handle_t channel,
                            zx_handle_t events) {
    struct open* o = malloc(sizeof(*o));
    if (o == nullptr) {
        (void)zx_handle_close(channel);
        (void)zx_handle_close(events);
        return ZX_ERR_NO_MEMORY;
    }
    *o = (struct open){
        .terminal = t,
        .connections = 1, // ours, until it has one
        .rights = flags & (JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE),
        .events = events,
    };
    list_push_back(&t->opens, &o->node);
    zx_status_t status = connect(o, channel);
    if (status == ZX_OK) {
        tell(o, events_now(t, o));
        if ((o->rights & JACINTH_IO_FLAGS_READ) != 0) {
            t->want_input(t->ctx);
        }
    }
    open_unref(o);
    return status;
}

zx_status_t terminal_serve(struct terminal* t, jacinth_io_flags_t flags, zx_handle_t channel) {
    return add_open(t, flags, channel, ZX_HANDLE_INVALID);
}

zx_status_t terminal_open(struct terminal* t, jacinth_io_flags_t flags, zx_handle_t* connection,
                          zx_handle_t* events) {
    zx_handle_t channel, our_events, near, their_events;
    zx_status_t status = zx_channel_create(0, &near, &channel);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_eventpair_create(0, &our_events, &their_events);
    if (status != ZX_OK) {
        (void)zx_handle_close(near);
        (void)zx_handle_close(channel);
        return status;
    }
    status = add_open(t, flags, channel, our_events);
    if (status != ZX_OK) {
        (void)zx_handle_close(near);
        (void)zx_handle_close(their_events);
        return status;
    }
    *connection = near;
    *events = their_events;
    return ZX_OK;
}

void terminal_init(struct terminal* t) {
    line_init(&t->line, collect, t);
    list_init(&t->opens);
    t->timer.handler = expire;
    t->controller = ZX_HANDLE_INVALID;
    t->controller_open = nullptr;
    t->connection_count = 0;
    t->pending_count = 0;
}
