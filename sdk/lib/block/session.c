// Sessions: requests from the fifo to the driver, and answers back. See <block/server.h>.
//
// Each request of a session lives in one of its `ops`:
//
//     free --take--> queued --submit_ready--> with the driver --block_op_done--> answers
//                      |                                                           |
//       not sound: ----+--> answers                            answer (fifo) --> free
//
// A member of a group goes from the driver to `free` at once, but the last one, which waits in its
// group until it can answer for all.
#include <stdlib.h>
#include <string.h>

#include <async/channel.h>
#include <lib/compiler.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "server_priv.h"

constexpr uint32_t SESSIONS_MAX = 16;

struct group {
    uint32_t active; // requests that have not ended
    uint32_t blocks;
    zx_status_t status;    // the first that was not OK
    bool is_ending;        // BLOCK_GROUP_END has come
    struct block_op* last; // that one, if it has ended
};

// Of a VMO whose detaching waits for its requests.
struct block_departure {
    struct fidl_txn txn;
    alignas(8) uint8_t bytes[64];
};

struct block_session {
    struct async_channel channel;
    struct async_wait wait; // for the fifo
    zx_handle_t fifo;
    struct block_device* device;
    struct block_range range; // what offsets count from, and end at
    struct list_node node;
    struct list_node ready;     // in the device's list while something is queued
    struct list_node answering; // in the device's list while there are answers
    struct list free, queued, answers;
    uint32_t free_count;
    uint32_t with_driver;
    bool is_full; // the fifo took not all answers
    bool is_ended;
    struct group groups[BLOCK_GROUPS];
    struct block_vmo* vmos[JACINTH_BLOCK_MAX_VMOS]; // the id is the index and 1
    uint64_t vmo_bytes;
    struct block_op ops[BLOCK_FIFO_DEPTH];
};

static struct block_op* op_of(struct list_node* node) {
    return container_of(node, struct block_op, node);
}

struct block_session* block_session_of(struct list_node* node) {
    return container_of(node, struct block_session, node);
}

// ---- VMOs ----

static struct block_vmo* find_vmo(struct block_session* s, uint16_t id) {
    return id >= 1 && id <= JACINTH_BLOCK_MAX_VMOS ? s->vmos[id - 1] : nullptr;
}

// No request uses it, and none can.
static void free_vmo(struct block_session* s, struct block_vmo* v) {
    if (s->device->driver->detach != nullptr && !v->is_unpinned) {
        s->device->driver->detach(s->device, v);
    }
    (void)zx_handle_close(v->handle);
    s->vmo_bytes -= v->window.size;
    if (v->departure != nullptr && !s->is_ended) {
        // A client that does not take the answer ends with its fifo.
        (void)jacinth_block_session_detach_vmo_reply(&v->departure->txn);
    }
    free(v->departure);
    free(v);
}

static void unuse_vmo(struct block_session* s, struct block_vmo* v) {
    if (v != nullptr && --v->uses == 0 && v->is_gone) {
        free_vmo(s, v);
    }
}

static void forget_vmos(struct block_session* s) {
    for (uint32_t i = 0; i < JACINTH_BLOCK_MAX_VMOS; i++) {
        struct block_vmo* v = s->vmos[i];
        s->vmos[i] = nullptr;
        if (v != nullptr) {
            v->is_gone = true;
            if (v->uses == 0) {
                free_vmo(s, v);
            }
        }
    }
}

// Memory of its own, that nobody has to be asked for while it is prepared.
static zx_status_t describe_vmo(zx_handle_t handle, struct block_window* out) {
    zx_info_vmo_t info;
    zx_status_t status =
        zx_object_get_info(handle, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr);
    if (status != ZX_OK) {
        return status;
    }
    if ((info.handle_rights & ZX_RIGHT_MAP) == 0 ||
        (info.handle_rights & (ZX_RIGHT_READ | ZX_RIGHT_WRITE)) == 0) {
        return ZX_ERR_ACCESS_DENIED;
    }
    if ((info.flags & ZX_INFO_VMO_TYPE_PAGED) == 0 ||
        (info.flags & (ZX_INFO_VMO_PAGER_BACKED | ZX_INFO_VMO_DISCARDABLE)) != 0) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    *out = (struct block_window){info.size_bytes, info.handle_rights};
    return ZX_OK;
}

static zx_status_t new_vmo(struct block_session* s, zx_handle_t handle,
                           jacinth_block_vmo_options_t options, uint16_t* id) {
    uint16_t slot = 0;
    while (slot < JACINTH_BLOCK_MAX_VMOS && s->vmos[slot] != nullptr) {
        slot++;
    }
    struct block_vmo* v = slot < JACINTH_BLOCK_MAX_VMOS ? malloc(sizeof(*v)) : nullptr;
    if (v == nullptr) {
        return ZX_ERR_NO_RESOURCES;
    }
    *v = (struct block_vmo){.handle = handle,
                            .is_unpinned = (options & JACINTH_BLOCK_VMO_OPTIONS_UNPINNED) != 0};
    zx_status_t status = describe_vmo(handle, &v->window);
    if (status == ZX_OK && v->window.size > JACINTH_BLOCK_MAX_VMO_BYTES - s->vmo_bytes) {
        status = ZX_ERR_NO_RESOURCES;
    }
    if (status == ZX_OK && s->device->driver->attach != nullptr && !v->is_unpinned) {
        status = s->device->driver->attach(s->device, v);
    }
    if (status != ZX_OK) {
        free(v);
        return status;
    }
    s->vmo_bytes += v->window.size;
    s->vmos[slot] = v;
    *id = (uint16_t)(slot + 1);
    return ZX_OK;
}

static zx_status_t attach_vmo(void* ctx, struct jacinth_block_session_attach_vmo_request* request,
                              struct fidl_txn* txn) {
    struct jacinth_block_session_attach_vmo_response response = {};
    zx_status_t status = new_vmo(ctx, request->vmo, request->options, &response.id);
    if (status != ZX_OK) {
        return jacinth_block_session_attach_vmo_reply_error(txn, status);
    }
    (void)fidl_take(&request->vmo);
    return jacinth_block_session_attach_vmo_reply(txn, &response);
}

static zx_status_t detach_vmo(void* ctx, struct jacinth_block_session_detach_vmo_request* request,
                              struct fidl_txn* txn) {
    struct block_session* s = ctx;
    struct block_vmo* v = find_vmo(s, request->id);
    if (v == nullptr) {
        return jacinth_block_session_detach_vmo_reply_error(txn, ZX_ERR_NOT_FOUND);
    }
    struct block_departure* d = malloc(sizeof(*d));
    if (d == nullptr) {
        return jacinth_block_session_detach_vmo_reply_error(txn, ZX_ERR_NO_MEMORY);
    }
    d->txn = *txn;
    d->txn.storage = (struct fidl_storage){d->bytes, sizeof(d->bytes)};
    v->departure = d;
    v->is_gone = true;
    s->vmos[request->id - 1] = nullptr;
    if (v->uses == 0) {
        free_vmo(s, v);
    }
    return ZX_OK;
}

static const struct jacinth_block_session_ops ops = {.attach_vmo = attach_vmo,
                                                     .detach_vmo = detach_vmo};

// ---- requests that have ended ----

static void free_op(struct block_op* op) {
    op->vmo = nullptr;
    list_push_back(&op->session->free, &op->node);
    op->session->free_count++;
}

static void queue_answer(struct block_op* op) {
    struct block_session* s = op->session;
    list_push_back(&s->answers, &op->node);
    if (!list_linked(&s->answering)) {
        list_push_back(&s->device->answering, &s->answering);
    }
}

static void end_in_group(struct block_op* op) {
    struct group* g = &op->session->groups[op->request.group];
    g->active--;
    g->blocks += op->blocks;
    if (g->status == ZX_OK) {
        g->status = op->status;
    }
    if ((op->request.flags & BLOCK_GROUP_END) != 0) {
        g->last = op;
    } else {
        free_op(op);
    }
    if (g->is_ending && g->active == 0) {
        g->last->status = g->status;
        g->last->blocks = g->blocks;
        queue_answer(g->last);
        *g = (struct group){};
    }
}

static void end_op(struct block_op* op, zx_status_t status) {
    op->status = status;
    op->blocks = status == ZX_OK ? op->request.length : 0;
    unuse_vmo(op->session, op->vmo);
    if (op->is_grouped) {
        end_in_group(op);
    } else {
        queue_answer(op);
    }
}

static void count_op(struct block_device* d, const struct block_op* op, zx_status_t status) {
    struct jacinth_block_counts* const kinds[BLOCK_OPCODES] = {
        &d->stats.reads, &d->stats.writes, &d->stats.flushes, &d->stats.discards};
    struct jacinth_block_counts* c = kinds[op->request.opcode];
    zx_duration_t took = zx_clock_get_monotonic() - op->start;
    c->requests++;
    c->errors += status != ZX_OK;
    c->blocks += status == ZX_OK ? op->request.length : 0;
    c->total_time += took;
    c->max_time = took > c->max_time ? took : c->max_time;
}

void block_op_done(struct block_op* op, zx_status_t status) {
    struct block_session* s = op->session;
    count_op(s->device, op, status);
    s->device->stats.in_flight--;
    s->with_driver--;
    if (!s->is_ended) {
        end_op(op, status);
        return;
    }
    unuse_vmo(s, op->vmo);
    if (s->with_driver == 0) {
        free(s);
    }
}

// ---- requests that come in ----

static void queue_op(struct block_op* op) {
    struct block_session* s = op->session;
    if (op->vmo != nullptr) {
        op->vmo->uses++;
    }
    list_push_back(&s->queued, &op->node);
    if (!list_linked(&s->ready)) {
        list_push_back(&s->device->ready, &s->ready);
    }
}

// Into its group, if it names one and that takes it.
static zx_status_t join_group(struct block_op* op) {
    const struct block_request* r = &op->request;
    if ((r->flags & BLOCK_IN_GROUP) == 0 || r->group >= BLOCK_GROUPS) {
        return ZX_OK;
    }
    struct group* g = &op->session->groups[r->group];
    if (g->is_ending) {
        return ZX_ERR_BAD_STATE;
    }
    op->is_grouped = true;
    g->active++;
    g->is_ending = (r->flags & BLOCK_GROUP_END) != 0;
    return ZX_OK;
}

static void take_request(struct block_session* s, const struct block_request* request,
                         zx_time_t now) {
    struct block_op* op = op_of(list_pop_front(&s->free));
    struct block_vmo* v = request->opcode <= BLOCK_WRITE ? find_vmo(s, request->vmoid) : nullptr;
    s->free_count--;
    *op = (struct block_op){.request = *request, .session = s, .start = now};
    zx_status_t status = join_group(op);
    if (status == ZX_OK) {
        struct jacinth_block_info info = s->device->info;
        info.block_count = s->range.count;
        status = block_request_check(&info, &op->request, v != nullptr ? &v->window : nullptr);
    }
    if (status == ZX_OK) {
        op->request.device_offset += op->request.opcode != BLOCK_FLUSH ? s->range.first : 0;
        op->vmo = v;
        queue_op(op);
    } else {
        end_op(op, status);
    }
}

static zx_status_t read_requests(struct block_session* s) {
    struct block_request* batch = s->device->batch.requests;
    size_t count;
    zx_status_t status = zx_fifo_read(s->fifo, BLOCK_ENTRY_SIZE, batch, s->free_count, &count);
    if (status != ZX_OK) {
        return status;
    }
    zx_time_t now = zx_clock_get_monotonic();
    for (size_t i = 0; i < count; i++) {
        take_request(s, &batch[i], now);
    }
    return ZX_OK;
}

// ---- the fifo ----

static void on_fifo(struct async_wait* wait, const zx_packet_signal_t* signal);

// For whatever can be done next.
static zx_status_t watch_fifo(struct block_session* s) {
    zx_signals_t trigger = ZX_FIFO_PEER_CLOSED | (s->free_count > 0 ? ZX_FIFO_READABLE : 0) |
                           (s->is_full ? ZX_FIFO_WRITABLE : 0);
    if (s->wait.loop != nullptr && s->wait.trigger == trigger) {
        return ZX_OK;
    }
    async_wait_cancel(&s->wait);
    s->wait.trigger = trigger;
    return async_wait_begin(s->device->loop, &s->wait);
}

static void on_fifo(struct async_wait* wait, const zx_packet_signal_t* signal) {
    struct block_session* s = container_of(wait, struct block_session, wait);
    struct block_device* d = s->device;
    zx_status_t status = ZX_OK;
    if (s->free_count > 0) {
        status = read_requests(s);
    } else if ((signal->observed & ZX_FIFO_PEER_CLOSED) != 0) {
        status = ZX_ERR_PEER_CLOSED;
    }
    if (s->is_full && (signal->observed & ZX_FIFO_WRITABLE) != 0) {
        s->is_full = false;
        if (!list_linked(&s->answering)) {
            list_push_back(&d->answering, &s->answering);
        }
    }
    if (status == ZX_OK || status == ZX_ERR_SHOULD_WAIT) {
        status = watch_fifo(s);
    }
    if (status != ZX_OK) {
        block_session_end(s);
    }
    block_device_pump(d);
}

static size_t make_answers(struct block_session* s, struct block_response out[]) {
    size_t count = 0;
    list_for_each(n, &s->answers) {
        const struct block_op* op = op_of(n);
        out[count++] = (struct block_response){.reqid = op->request.reqid,
                                               .status = op->status,
                                               .group = op->request.group,
                                               .blocks = op->blocks};
    }
    return count;
}

static zx_status_t send_answers(struct block_session* s) {
    if (s->is_full || list_empty(&s->answers)) {
        return ZX_OK;
    }
    struct block_response* batch = s->device->batch.responses;
    size_t count = make_answers(s, batch), sent = 0;
    zx_status_t status = zx_fifo_write(s->fifo, BLOCK_ENTRY_SIZE, batch, count, &sent);
    if (status != ZX_OK && status != ZX_ERR_SHOULD_WAIT) {
        return status;
    }
    s->is_full = status != ZX_OK || sent < count;
    for (size_t i = 0; status == ZX_OK && i < sent; i++) {
        free_op(op_of(list_pop_front(&s->answers)));
    }
    return watch_fifo(s);
}

// ---- to the driver and back ----

// One request of each session that has some, again and again.
static void submit_ready(struct block_device* d) {
    bool any = false;
    while (d->stats.in_flight < d->depth && !list_empty(&d->ready)) {
        struct block_session* s =
            container_of(list_pop_front(&d->ready), struct block_session, ready);
        struct block_op* op = op_of(list_pop_front(&s->queued));
        if (!list_empty(&s->queued)) {
            list_push_back(&d->ready, &s->ready);
        }
        d->stats.in_flight++;
        s->with_driver++;
        any = true;
        d->driver->submit(d, op);
    }
    if (any && d->driver->kick != nullptr) {
        d->driver->kick(d);
    }
}

void block_device_pump(struct block_device* d) {
    if (d->is_pumping) {
        return;
    }
    d->is_pumping = true;
    submit_ready(d);
    for (struct list_node* n; (n = list_pop_front(&d->answering)) != nullptr;) {
        struct block_session* s = container_of(n, struct block_session, answering);
        if (send_answers(s) != ZX_OK) {
            block_session_end(s);
        }
    }
    d->is_pumping = false;
}

// ---- beginning and end ----

void block_session_end(struct block_session* s) {
    async_wait_cancel(&s->wait);
    async_channel_end(&s->channel);
    (void)zx_handle_close(s->fifo);
    s->is_ended = true;
    s->device->stats.sessions--;
    list_remove(&s->node);
    if (list_linked(&s->ready)) {
        list_remove(&s->ready);
    }
    if (list_linked(&s->answering)) {
        list_remove(&s->answering);
    }
    for (struct list_node* n; (n = list_pop_front(&s->queued)) != nullptr;) {
        unuse_vmo(s, op_of(n)->vmo);
    }
    forget_vmos(s);
    if (s->with_driver == 0) {
        free(s);
    }
}

static zx_status_t on_message(struct async_channel* channel, struct fidl_message* message) {
    struct block_session* s = container_of(channel, struct block_session, channel);
    return jacinth_block_session_dispatch(&ops, s, channel->handle, message,
                                          async_loop_storage(channel->loop));
}

static void on_closed(struct async_channel* channel, zx_status_t) {
    block_session_end(container_of(channel, struct block_session, channel));
}

static struct block_session* new_session(struct block_device* d, struct block_range range,
                                         zx_handle_t channel) {
    struct block_session* s = d->stats.sessions < SESSIONS_MAX ? calloc(1, sizeof(*s)) : nullptr;
    if (s == nullptr) {
        return nullptr;
    }
    s->channel =
        (struct async_channel){.handle = channel, .message = on_message, .closed = on_closed};
    s->wait.handler = on_fifo;
    s->device = d;
    s->range = range;
    list_init(&s->free);
    list_init(&s->queued);
    list_init(&s->answers);
    for (uint32_t i = 0; i < BLOCK_FIFO_DEPTH; i++) {
        s->ops[i].session = s;
        free_op(&s->ops[i]);
    }
    return s;
}

zx_status_t block_session_begin(struct block_device* d, struct block_range range,
                                zx_handle_t channel, zx_handle_t* fifo) {
    struct block_session* s = new_session(d, range, channel);
    if (s == nullptr) {
        (void)zx_handle_close(channel);
        return ZX_ERR_NO_RESOURCES;
    }
    zx_handle_t theirs;
    zx_status_t status = zx_fifo_create(BLOCK_FIFO_DEPTH, BLOCK_ENTRY_SIZE, 0, &s->fifo, &theirs);
    if (status != ZX_OK) {
        (void)zx_handle_close(channel);
        free(s);
        return status;
    }
    s->wait.object = s->fifo;
    status = async_channel_begin(d->loop, &s->channel);
    if (status == ZX_OK) {
        status = watch_fifo(s);
        if (status != ZX_OK) {
            async_channel_end(&s->channel);
        }
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(s->fifo);
        (void)zx_handle_close(theirs);
        free(s);
        return status;
    }
    list_push_back(&d->sessions, &s->node);
    d->stats.sessions++;
    *fifo = theirs;
    return ZX_OK;
}
