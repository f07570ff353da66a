#include <block/client.h>

#include <string.h>

#include <lib/compiler.h>
#include <zircon/syscalls.h>

static_assert(BLOCK_FIFO_DEPTH <= 256); // ids of requests are bytes

// ---- calls that end ----

static void end_call(struct block_client* c, struct block_call* call) {
    call->is_done = true;
    if (call->handler == nullptr) {
        return;
    }
    list_push_back(&c->done, &call->node);
    if (c->loop != nullptr) {
        async_task_post(c->loop, &c->task, 0);
    }
}

static struct block_call* first_call(const struct list* l) {
    struct list_node* n = list_first(l);
    return n != nullptr ? container_of(n, struct block_call, node) : nullptr;
}

// Nothing more of it is sent.
static void stop_call(struct block_call* call) {
    if (list_linked(&call->node)) {
        list_remove(&call->node);
    }
}

static void end_request(struct block_client* c, uint32_t id, zx_status_t status) {
    struct block_call* call = c->calls[id];
    c->calls[id] = nullptr;
    c->free[c->free_count++] = (uint8_t)id;
    call->under_way--;
    if (status != ZX_OK) {
        call->status = call->status == ZX_OK ? status : call->status;
        stop_call(call);
    }
    if (call->under_way == 0 && !list_linked(&call->node)) {
        end_call(c, call);
    }
}

// Every call ends now, and from now on.
static void break_client(struct block_client* c, zx_status_t why) {
    c->broken = why;
    for (uint32_t id = 0; id < BLOCK_FIFO_DEPTH; id++) {
        if (c->calls[id] != nullptr) {
            end_request(c, id, why);
        }
    }
    for (struct block_call* call; (call = first_call(&c->waiting)) != nullptr;) {
        stop_call(call);
        call->status = why;
        end_call(c, call);
    }
}

// ---- the fifo ----

static struct block_request next_request(const struct block_client* c, struct block_call* call,
                                         uint32_t id) {
    uint64_t left = call->length - call->sent;
    uint32_t most = call->opcode == BLOCK_DISCARD ? c->info.max_discard : c->info.max_transfer;
    struct block_request r = {.reqid = id, .opcode = call->opcode};
    if (call->opcode != BLOCK_FLUSH) {
        r.length = left < most ? (uint32_t)left : most;
        r.device_offset = call->device_offset + call->sent;
    }
    if (call->opcode <= BLOCK_WRITE) {
        r.vmoid = call->vmoid;
        r.vmo_offset = call->vmo_offset + call->sent;
    }
    call->sent += r.length;
    return r;
}

void block_kick(struct block_client* c) {
    uint32_t count = 0;
    for (struct block_call* call;
         c->free_count > 0 && (call = first_call(&c->waiting)) != nullptr;) {
        uint32_t id = c->free[--c->free_count];
        c->calls[id] = call;
        call->under_way++;
        c->batch.requests[count++] = next_request(c, call, id);
        if (call->sent == call->length) {
            list_remove(&call->node);
        }
    }
    size_t sent = 0;
    zx_status_t status =
        count > 0 ? zx_fifo_write(c->fifo, BLOCK_ENTRY_SIZE, c->batch.requests, count, &sent)
                  : ZX_OK;
    if (status != ZX_OK || sent != count) {
        // There is room for as many as have ids, unless the server makes its own rules.
        break_client(c, status == ZX_ERR_PEER_CLOSED ? status : ZX_ERR_IO_INVALID);
    }
}

static void take_answers(struct block_client* c) {
    size_t count = 0;
    zx_status_t status =
        zx_fifo_read(c->fifo, BLOCK_ENTRY_SIZE, c->batch.responses, BLOCK_FIFO_DEPTH, &count);
    if (status == ZX_ERR_SHOULD_WAIT || c->broken != ZX_OK) {
        return;
    }
    for (size_t i = 0; status == ZX_OK && i < count; i++) {
        const struct block_response* r = &c->batch.responses[i];
        if (r->reqid >= BLOCK_FIFO_DEPTH || c->calls[r->reqid] == nullptr) {
            status = ZX_ERR_IO_INVALID;
        } else {
            end_request(c, r->reqid, r->status);
        }
    }
    if (status != ZX_OK) {
        break_client(c, status);
    }
}

// ---- calls ----

void block_start(struct block_client* c, struct block_call* call) {
    call->status = c->broken;
    call->sent = 0;
    call->under_way = 0;
    call->is_done = false;
    call->node = (struct list_node){};
    if (c->broken == ZX_OK && (call->length > 0 || call->opcode == BLOCK_FLUSH)) {
        call->length = call->opcode == BLOCK_FLUSH ? 0 : call->length;
        list_push_back(&c->waiting, &call->node);
        return;
    }
    end_call(c, call);
}

zx_status_t block_wait(struct block_client* c, struct block_call* call) {
    block_kick(c);
    while (!call->is_done) {
        zx_status_t status = zx_object_wait_one(c->fifo, ZX_FIFO_READABLE | ZX_FIFO_PEER_CLOSED,
                                                ZX_TIME_INFINITE, nullptr);
        if (status == ZX_OK) {
            take_answers(c);
        } else {
            break_client(c, status);
        }
        block_kick(c);
    }
    return call->status;
}

zx_status_t block_run(struct block_client* c, block_opcode_t opcode, uint16_t vmoid,
                      uint64_t vmo_offset, uint64_t device_offset, uint64_t length) {
    struct block_call call = {.opcode = opcode,
                              .vmoid = vmoid,
                              .vmo_offset = vmo_offset,
                              .device_offset = device_offset,
                              .length = length};
    block_start(c, &call);
    return block_wait(c, &call);
}

// ---- on a loop ----

// False: a handler has closed the client.
static bool run_handlers(struct block_client* c) {
    bool closed = false;
    c->closed = &closed;
    for (struct block_call* call; !closed && (call = first_call(&c->done)) != nullptr;) {
        list_remove(&call->node);
        call->handler(call, call->status);
    }
    if (!closed) {
        c->closed = nullptr;
    }
    return !closed;
}

static void on_task(struct async_task* task) {
    struct block_client* c = container_of(task, struct block_client, task);
    if (run_handlers(c)) {
        block_kick(c);
    }
}

static void on_fifo(struct async_wait* wait, const zx_packet_signal_t*) {
    struct block_client* c = container_of(wait, struct block_client, wait);
    take_answers(c);
    block_kick(c);
    if (c->broken == ZX_OK) {
        zx_status_t status = async_wait_begin(c->loop, &c->wait);
        if (status != ZX_OK) {
            break_client(c, status);
        }
    }
    async_task_cancel(&c->task); // it would come a turn later
    on_task(&c->task);
}

zx_status_t block_client_watch(struct block_client* c, struct async_loop* loop) {
    c->loop = loop;
    c->wait = (struct async_wait){
        .object = c->fifo, .trigger = ZX_FIFO_READABLE | ZX_FIFO_PEER_CLOSED, .handler = on_fifo};
    c->task = (struct async_task){.handler = on_task};
    return async_wait_begin(loop, &c->wait);
}

// ---- sessions ----

static zx_status_t get_info(struct block_client* c) {
    alignas(8) uint8_t bytes[128];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_block_block_get_info_response* response;
    zx_status_t status =
        jacinth_block_block_get_info_call(c->device, ZX_TIME_INFINITE, storage, &response);
    if (status != ZX_OK) {
        return status;
    }
    c->info = response->info;
    bool sane = c->info.block_size > 0 && c->info.max_transfer > 0 &&
                ((c->info.flags & JACINTH_BLOCK_FLAGS_DISCARD) == 0 || c->info.max_discard > 0);
    return sane ? ZX_OK : ZX_ERR_IO_INVALID;
}

static zx_status_t open_session(struct block_client* c) {
    alignas(8) uint8_t bytes[128];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_block_block_open_session_request request;
    struct jacinth_block_block_open_session_response* response;
    zx_status_t status = zx_channel_create(0, &c->session, &request.session);
    if (status == ZX_OK) {
        status = jacinth_block_block_open_session_call(c->device, ZX_TIME_INFINITE, &request,
                                                       storage, &response);
    }
    if (status == ZX_OK) {
        c->fifo = response->fifo;
    }
    return status;
}

zx_status_t block_client_open(struct block_client* c, zx_handle_t device) {
    memset(c, 0, sizeof(*c));
    c->device = device;
    list_init(&c->waiting);
    list_init(&c->done);
    for (uint32_t id = 0; id < BLOCK_FIFO_DEPTH; id++) {
        c->free[c->free_count++] = (uint8_t)id;
    }
    zx_status_t status = get_info(c);
    if (status == ZX_OK) {
        status = open_session(c);
    }
    if (status != ZX_OK) {
        block_client_close(c);
    }
    return status;
}

void block_client_close(struct block_client* c) {
    if (c->loop != nullptr) {
        async_wait_cancel(&c->wait);
        async_task_cancel(&c->task);
    }
    (void)zx_handle_close(c->fifo);
    (void)zx_handle_close(c->session);
    (void)zx_handle_close(c->device);
    if (c->closed != nullptr) {
        *c->closed = true;
    }
    memset(c, 0, sizeof(*c));
    c->broken = ZX_ERR_BAD_STATE;
    list_init(&c->waiting);
    list_init(&c->done);
}

zx_status_t block_client_attach(struct block_client* c, zx_handle_t vmo, uint16_t* id) {
    return block_client_attach_as(c, vmo, 0, id);
}

zx_status_t block_client_attach_as(struct block_client* c, zx_handle_t vmo,
                                   jacinth_block_vmo_options_t options, uint16_t* id) {
    alignas(8) uint8_t bytes[128];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_block_session_attach_vmo_request request = {.options = options};
    struct jacinth_block_session_attach_vmo_response* response;
    zx_status_t status = zx_handle_duplicate(vmo, ZX_RIGHT_SAME_RIGHTS, &request.vmo);
    if (status == ZX_OK) {
        status = jacinth_block_session_attach_vmo_call(c->session, ZX_TIME_INFINITE, &request,
                                                       storage, &response);
    }
    if (status == ZX_OK) {
        *id = response->id;
    }
    return status;
}

zx_status_t block_client_detach(struct block_client* c, uint16_t id) {
    alignas(8) uint8_t bytes[128];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    struct jacinth_block_session_detach_vmo_request request = {.id = id};
    return jacinth_block_session_detach_vmo_call(c->session, ZX_TIME_INFINITE, &request, storage);
}
