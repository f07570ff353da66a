// The loop (sdk/lib/async): order, cancelling within handlers, bounded turns, channels, calls.
#include <utest/utest.h>

#include <stdlib.h>
#include <string.h>

#include <async/channel.h>
#include <async/client.h>
#include <async/loop.h>
#include <fidl/jacinth.io.h>
#include <lib/compiler.h>

GROUP("async");

// Turns until there is nothing to do.
static void run_idle(struct async_loop* loop) {
    zx_status_t status;
    while ((status = async_loop_turn(loop, 0)) == ZX_OK) {
    }
    EXPECT_STATUS(status, ZX_ERR_TIMED_OUT);
}

static struct async_loop new_loop(void) {
    struct async_loop loop;
    EXPECT_OK(async_loop_init(&loop));
    return loop;
}

// ---- waits ----

struct counted_wait {
    struct async_wait wait;
    struct async_loop* loop;
    struct counted_wait* victim; // cancelled and freed by the handler
    int again;                   // how often the handler arms it again
    int* count;
};

static void on_signal(struct async_wait* wait, const zx_packet_signal_t* signal) {
    struct counted_wait* w = container_of(wait, struct counted_wait, wait);
    EXPECT((signal->observed & ZX_USER_SIGNAL_0) != 0);
    EXPECT(wait->loop == nullptr);
    ++*w->count;
    if (w->victim != nullptr) {
        async_wait_cancel(&w->victim->wait);
        memset(w->victim, 0xff, sizeof(*w->victim)); // a delivery would fault
        free(w->victim);
        w->victim = nullptr;
    }
    if (w->again > 0) {
        w->again--;
        EXPECT_OK(async_wait_begin(w->loop, wait));
    } else {
        memset(w, 0xff, sizeof(*w));
        free(w);
    }
}

static struct counted_wait* new_wait(struct async_loop* loop, zx_handle_t event, int* count) {
    struct counted_wait* w = calloc(1, sizeof(*w));
    EXPECT(w != nullptr);
    w->wait.object = event;
    w->wait.trigger = ZX_USER_SIGNAL_0;
    w->wait.handler = on_signal;
    w->loop = loop;
    w->count = count;
    EXPECT_OK(async_wait_begin(loop, &w->wait));
    return w;
}

CASE(wait_once_and_again) {
    struct async_loop loop = new_loop();
    zx_handle_t event = utest_event();
    int count = 0;
    struct counted_wait* w = new_wait(&loop, event, &count);
    w->again = 3;
    run_idle(&loop);
    EXPECT_EQ(count, 0);
    EXPECT_OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_0));
    run_idle(&loop);
    EXPECT_EQ(count, 4);
    async_loop_destroy(&loop);
    EXPECT_CLOSE(event);
}

CASE(cancelled_wait_is_not_delivered) {
    struct async_loop loop = new_loop();
    zx_handle_t event = utest_event();
    int count = 0;
    struct counted_wait* first = new_wait(&loop, event, &count);
    struct counted_wait* second = new_wait(&loop, event, &count);
    first->victim = second;
    struct counted_wait* third = new_wait(&loop, event, &count);
    EXPECT_OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_0)); // three packets in the port
    async_wait_cancel(&third->wait);
    free(third);
    run_idle(&loop);
    EXPECT_EQ(count, 1);
    async_loop_destroy(&loop);
    EXPECT_CLOSE(event);
}

CASE(cancel_after_the_handle_was_closed) {
    struct async_loop loop = new_loop();
    zx_handle_t event = utest_event();
    int count = 0;
    struct counted_wait* w = new_wait(&loop, event, &count);
    EXPECT_OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_0));
    EXPECT_CLOSE(event);
    async_wait_cancel(&w->wait);
    free(w);
    run_idle(&loop);
    EXPECT_EQ(count, 0);
    async_loop_destroy(&loop);
}

// One more would be the program's end.
CASE_WITHIN(as_many_waits_as_a_port_takes, 60) {
    struct async_loop loop = new_loop();
    zx_handle_t events[5];
    for (int i = 0; i < 5; i++) {
        events[i] = utest_event();
    }
    struct async_wait* waits = calloc(ASYNC_WAITS_MAX + 1, sizeof(*waits));
    EXPECT(waits != nullptr);
    for (uint32_t i = 0; i <= ASYNC_WAITS_MAX; i++) {
        waits[i] = (struct async_wait){.object = events[i / 4000], .trigger = ZX_USER_SIGNAL_0};
        EXPECT_STATUS(async_wait_begin(&loop, &waits[i]),
                      i < ASYNC_WAITS_MAX ? ZX_OK : ZX_ERR_NO_RESOURCES);
    }
    async_wait_cancel(&waits[0]);
    EXPECT_OK(async_wait_begin(&loop, &waits[ASYNC_WAITS_MAX]));
    EXPECT_EQ(loop.armed_waits, ASYNC_WAITS_MAX);
    async_loop_destroy(&loop);
    free(waits);
    for (int i = 0; i < 5; i++) {
        EXPECT_CLOSE(events[i]);
    }
}

// ---- tasks ----

static char order[64];
static uint32_t order_len;

struct lettered_task {
    struct async_task task;
    struct async_loop* loop;
    struct async_task* victim;
    bool again;
    char letter;
};

static void on_task(struct async_task* task) {
    struct lettered_task* t = container_of(task, struct lettered_task, task);
    EXPECT(order_len < sizeof(order) - 1);
    order[order_len++] = t->letter;
    if (t->victim != nullptr) {
        async_task_cancel(t->victim);
    }
    if (t->again) {
        async_task_post(t->loop, task, 0);
    }
}

static void expect_order(const char* want) {
    EXPECT_EQ(order_len, strlen(want));
    EXPECT(memcmp(order, want, order_len) == 0);
    order_len = 0;
}

CASE(tasks_run_by_deadline_then_in_order) {
    struct async_loop loop = new_loop();
    struct lettered_task t[5];
    for (int i = 0; i < 5; i++) {
        t[i] = (struct lettered_task){
            .task = {.handler = on_task}, .loop = &loop, .letter = (char)('a' + i)};
    }
    order_len = 0;
    zx_time_t now = zx_clock_get_monotonic();
    async_task_post(&loop, &t[0].task, now + ZX_MSEC(20));
    async_task_post(&loop, &t[1].task, now + ZX_MSEC(10));
    async_task_post(&loop, &t[2].task, 0);
    async_task_post(&loop, &t[3].task, 0);
    async_task_post(&loop, &t[4].task, 0);
    async_task_post(&loop, &t[2].task, 0); // moved to the end
    t[3].victim = &t[4].task;
    EXPECT_STATUS(async_loop_turn(&loop, 0), ZX_OK);
    expect_order("dc");
    while (order_len < 2) {
        EXPECT_OK(async_loop_turn(&loop, ZX_TIME_INFINITE));
    }
    expect_order("ba");
    EXPECT(zx_clock_get_monotonic() >= now + ZX_MSEC(20));
    EXPECT_STATUS(async_loop_turn(&loop, 0), ZX_ERR_TIMED_OUT);
    async_loop_destroy(&loop);
}

CASE(a_task_that_posts_itself_starves_nobody) {
    struct async_loop loop = new_loop();
    zx_handle_t event = utest_event();
    int count = 0;
    (void)new_wait(&loop, event, &count);
    EXPECT_OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_0));
    struct lettered_task greedy = {
        .task = {.handler = on_task}, .loop = &loop, .again = true, .letter = 'g'};
    struct lettered_task modest = {.task = {.handler = on_task}, .loop = &loop, .letter = 'm'};
    order_len = 0;
    async_task_post(&loop, &greedy.task, 0);
    EXPECT_OK(async_loop_turn(&loop, 0));
    EXPECT_EQ(count, 1); // the packet had its turn
    async_task_post(&loop, &modest.task, zx_clock_get_monotonic());
    utest_sleep_ms(1);
    EXPECT_OK(async_loop_turn(&loop, 0));
    EXPECT_OK(async_loop_turn(&loop, 0));
    EXPECT(memchr(order, 'm', order_len) != nullptr);
    EXPECT_EQ(order_len, 4);
    async_task_cancel(&greedy.task);
    EXPECT_STATUS(async_loop_turn(&loop, 0), ZX_ERR_TIMED_OUT);
    async_loop_destroy(&loop);
    EXPECT_CLOSE(event);
}

CASE(many_tasks_and_cancels) {
    constexpr int COUNT = 2000;
    struct async_loop loop = new_loop();
    struct lettered_task* t = calloc(COUNT, sizeof(*t));
    EXPECT(t != nullptr);
    zx_time_t last = zx_clock_get_monotonic() + ZX_SEC(3600);
    for (int i = 0; i < COUNT; i++) {
        t[i] = (struct lettered_task){.task = {.handler = on_task}, .letter = 'x'};
        async_task_post(&loop, &t[i].task,
                        i == 3 || i == 5 || i == 6 || i == 999 ? 0 : last + (i * 7919) % COUNT);
    }
    for (int i = 0; i < COUNT; i += 2) {
        async_task_cancel(&t[i].task);
    }
    order_len = 0;
    EXPECT_OK(async_loop_turn(&loop, 0));
    expect_order("xxx"); // 3, 5 and 999; 6 was cancelled
    for (int i = 0; i < COUNT; i++) {
        async_task_cancel(&t[i].task);
    }
    EXPECT_STATUS(async_loop_turn(&loop, 0), ZX_ERR_TIMED_OUT);
    free(t);
    async_loop_destroy(&loop);
}

// ---- packets ----

struct summing {
    struct async_receiver receiver;
    struct async_loop* loop;
    uint64_t sum;
};

static void on_packet(struct async_receiver* receiver, const zx_port_packet_t* packet) {
    struct summing* s = container_of(receiver, struct summing, receiver);
    s->sum += packet->user.u64[0];
    if (s->sum == 5050) {
        async_loop_quit(s->loop);
    }
}

static void queue_numbers(void* arg) {
    struct summing* s = arg;
    for (uint64_t i = 1; i <= 100; i++) {
        zx_port_packet_t packet = {.key = async_receiver_key(&s->receiver)};
        packet.user.u64[0] = i;
        EXPECT_OK(zx_port_queue(s->loop->port, &packet));
    }
}

CASE(packets_of_another_thread) {
    struct async_loop loop = new_loop();
    struct summing s = {.receiver = {.handler = on_packet}, .loop = &loop};
    async_receiver_begin(&loop, &s.receiver);
    struct utest_thread thread = {};
    utest_thread_start(&thread, queue_numbers, &s);
    EXPECT_OK(async_loop_run(&loop));
    utest_thread_join(&thread);
    EXPECT_EQ(s.sum, 5050);
    zx_port_packet_t packet = {.key = async_receiver_key(&s.receiver)};
    EXPECT_OK(zx_port_queue(loop.port, &packet));
    async_receiver_cancel(&s.receiver);
    EXPECT_STATUS(async_loop_turn(&loop, 0), ZX_ERR_TIMED_OUT);
    async_loop_destroy(&loop);
}

// ---- channels ----

struct counted_channel {
    struct async_channel channel;
    uint64_t bytes;
    zx_status_t result; // of `message`
    zx_status_t why;
    bool free_in_message;
};

static zx_status_t on_message(struct async_channel* channel, struct fidl_message* m) {
    struct counted_channel* c = container_of(channel, struct counted_channel, channel);
    c->bytes += m->len;
    zx_status_t result = c->result;
    fidl_message_discard(m);
    if (c->free_in_message) {
        async_channel_end(channel);
        memset(c, 0xff, sizeof(*c));
        free(c);
    }
    return result;
}

static void on_closed(struct async_channel* channel, zx_status_t why) {
    container_of(channel, struct counted_channel, channel)->why = why;
}

static struct counted_channel* new_channel(struct async_loop* loop, zx_handle_t handle) {
    struct counted_channel* c = calloc(1, sizeof(*c));
    EXPECT(c != nullptr);
    c->channel =
        (struct async_channel){.handle = handle, .message = on_message, .closed = on_closed};
    EXPECT_OK(async_channel_begin(loop, &c->channel));
    return c;
}

CASE(channel_reads_all_then_closes) {
    struct async_loop loop = new_loop();
    struct utest_pair pair = utest_channel();
    struct counted_channel* c = new_channel(&loop, pair.a);
    for (uint32_t i = 0; i < 10; i++) {
        zx_handle_t event = utest_event();
        EXPECT_OK(zx_channel_write(pair.b, 0, "abc", 3, &event, 1));
    }
    EXPECT_CLOSE(pair.b);
    run_idle(&loop);
    EXPECT_EQ(c->bytes, 30);
    EXPECT_STATUS(c->why, ZX_ERR_PEER_CLOSED);
    free(c);
    async_loop_destroy(&loop);
}

CASE(channel_ended_by_its_message) {
    struct async_loop loop = new_loop();
    struct utest_pair pair = utest_channel();
    struct counted_channel* c = new_channel(&loop, pair.a);
    c->result = ZX_ERR_SHOULD_WAIT; // no special meaning here
    EXPECT_OK(zx_channel_write(pair.b, 0, "a", 1, nullptr, 0));
    EXPECT_OK(zx_channel_write(pair.b, 0, "b", 1, nullptr, 0));
    run_idle(&loop);
    EXPECT_EQ(c->bytes, 1);
    EXPECT_STATUS(c->why, ZX_ERR_SHOULD_WAIT);
    EXPECT_STATUS(zx_channel_write(pair.b, 0, "c", 1, nullptr, 0), ZX_ERR_PEER_CLOSED);
    EXPECT_CLOSE(pair.b);
    free(c);
    pair = utest_channel();
    c = new_channel(&loop, pair.a);
    c->free_in_message = true;
    EXPECT_OK(zx_channel_write(pair.b, 0, "a", 1, nullptr, 0));
    run_idle(&loop);
    EXPECT_STATUS(zx_channel_write(pair.b, 0, "c", 1, nullptr, 0), ZX_ERR_PEER_CLOSED);
    EXPECT_CLOSE(pair.b);
    async_loop_destroy(&loop);
}

// ---- calls and dispatch ----

// A terminal that answers reads with a number of x; sizes later, when told to.
struct server {
    struct async_channel channel;
    struct fidl_txn pending;
    bool has_pending;
    zx_status_t why;
};

static zx_status_t serve_read(void*, struct jacinth_io_terminal_read_request* request,
                              struct fidl_txn* txn) {
    static uint8_t data[16];
    memset(data, 'x', sizeof(data));
    if (request->count > sizeof(data)) {
        return jacinth_io_terminal_read_reply_error(txn, ZX_ERR_OUT_OF_RANGE);
    }
    struct jacinth_io_terminal_read_response r = {.data = {request->count, data}};
    return jacinth_io_terminal_read_reply(txn, &r);
}
static zx_status_t serve_get_size(void* ctx, struct fidl_txn* txn) {
    struct server* s = ctx;
    s->pending = *txn;
    s->has_pending = true;
    return ZX_OK;
}
static zx_status_t serve_set_controller(void*, struct jacinth_io_terminal_set_controller_request*,
                                        struct fidl_txn* txn) {
    return jacinth_io_terminal_set_controller_reply(txn); // not taken: closed by the dispatcher
}
static zx_status_t serve_clone(void*, struct jacinth_io_node_clone_request*) {
    return ZX_ERR_NOT_SUPPORTED;
}

static zx_status_t server_message(struct async_channel* channel, struct fidl_message* m) {
    static const struct jacinth_io_terminal_ops ops = {.read = serve_read,
                                                       .get_window_size = serve_get_size,
                                                       .set_controller = serve_set_controller,
                                                       .clone = serve_clone};
    struct server* s = container_of(channel, struct server, channel);
    return jacinth_io_terminal_dispatch(&ops, s, channel->handle, m,
                                        async_loop_storage(channel->loop));
}
static void server_closed(struct async_channel* channel, zx_status_t why) {
    container_of(channel, struct server, channel)->why = why;
}

struct answered {
    struct async_call call;
    int count;
    zx_status_t status;
    uint64_t number;
};

static void on_read_answer(struct async_call* call, zx_status_t status, void* response) {
    struct answered* a = container_of(call, struct answered, call);
    a->count++;
    a->status = status;
    if (status == ZX_OK) {
        void* body;
        a->status = fidl_result(response, &body);
        if (a->status == ZX_OK) {
            a->number = ((struct jacinth_io_terminal_read_response*)body)->data.count;
        }
    }
}
static void on_size_answer(struct async_call* call, zx_status_t status, void* response) {
    struct answered* a = container_of(call, struct answered, call);
    a->count++;
    a->status = status;
    void* body;
    if (status == ZX_OK && fidl_result(response, &body) == ZX_OK) {
        a->number = ((struct jacinth_io_terminal_get_window_size_response*)body)->size.rows;
    }
}

static zx_status_t client_why;
static void client_closed(struct async_client*, zx_status_t why) {
    client_why = why;
}

static void begin_both(struct async_loop* loop, struct server* s, struct async_client* client) {
    struct utest_pair pair = utest_channel();
    *s = (struct server){
        .channel = {.handle = pair.a, .message = server_message, .closed = server_closed}};
    EXPECT_OK(async_channel_begin(loop, &s->channel));
    *client = (struct async_client){.closed = client_closed};
    EXPECT_OK(async_client_begin(loop, client, pair.b));
    client_why = ZX_OK;
}

static void call_read(struct async_client* client, struct answered* a, uint32_t count) {
    *a = (struct answered){.call = {.handler = on_read_answer}};
    struct jacinth_io_terminal_read_request r = {.count = count};
    EXPECT_OK(async_client_call(client, &a->call, &jacinth_io_terminal_read_method, &r));
}

static void call_size(struct async_client* client, struct answered* a) {
    *a = (struct answered){.call = {.handler = on_size_answer}};
    EXPECT_OK(
        async_client_call(client, &a->call, &jacinth_io_terminal_get_window_size_method, nullptr));
}

CASE(calls_are_answered_in_any_order) {
    struct async_loop loop = new_loop();
    struct server s;
    struct async_client client;
    begin_both(&loop, &s, &client);
    struct answered size, read, bad;
    call_size(&client, &size);
    call_read(&client, &read, 7);
    call_read(&client, &bad, 17);
    run_idle(&loop);
    EXPECT(s.has_pending);
    EXPECT_EQ(size.count, 0);
    EXPECT_EQ(read.count, 1);
    EXPECT_EQ(read.number, 7);
    EXPECT_STATUS(bad.status, ZX_ERR_OUT_OF_RANGE);
    struct jacinth_io_terminal_get_window_size_response r = {.size = {.rows = 25}};
    EXPECT_OK(jacinth_io_terminal_get_window_size_reply(&s.pending, &r));
    run_idle(&loop);
    EXPECT_EQ(size.count, 1);
    EXPECT_EQ(size.number, 25);
    async_client_end(&client);
    run_idle(&loop);
    EXPECT_STATUS(s.why, ZX_ERR_PEER_CLOSED);
    async_loop_destroy(&loop);
}

CASE(calls_end_with_the_server) {
    struct async_loop loop = new_loop();
    struct server s;
    struct async_client client;
    begin_both(&loop, &s, &client);
    struct answered a, b, cancelled;
    call_size(&client, &a);
    call_size(&client, &b);
    call_size(&client, &cancelled);
    run_idle(&loop);
    async_call_cancel(&cancelled.call);
    async_channel_end(&s.channel);
    run_idle(&loop);
    EXPECT_EQ(a.count, 1);
    EXPECT_STATUS(a.status, ZX_ERR_PEER_CLOSED);
    EXPECT_EQ(b.count, 1);
    EXPECT_EQ(cancelled.count, 0);
    EXPECT_STATUS(client_why, ZX_ERR_PEER_CLOSED);
    async_loop_destroy(&loop);
}

CASE(untaken_handles_are_closed) {
    struct async_loop loop = new_loop();
    struct server s;
    struct async_client client;
    begin_both(&loop, &s, &client);
    struct answered a = {.call = {.handler = on_size_answer}};
    struct utest_pair pair = utest_eventpair();
    struct jacinth_io_terminal_set_controller_request r = {.controller = pair.a};
    EXPECT_OK(async_client_call(&client, &a.call, &jacinth_io_terminal_set_controller_method, &r));
    EXPECT_EQ(r.controller, ZX_HANDLE_INVALID);
    run_idle(&loop);
    EXPECT_EQ(a.count, 1);
    EXPECT_OK(a.status);
    EXPECT_EQ(utest_signals(pair.b, ZX_EVENTPAIR_PEER_CLOSED), ZX_EVENTPAIR_PEER_CLOSED);
    EXPECT_CLOSE(pair.b);
    async_client_end(&client);
    run_idle(&loop);
    async_loop_destroy(&loop);
}

// What a server does with these is end the connection: each is tried on a new one.
CASE(nonsense_ends_the_connection) {
    struct async_loop loop = new_loop();
    for (int kind = 0; kind < 5; kind++) {
        struct server s;
        struct async_client client;
        begin_both(&loop, &s, &client);
        zx_handle_t peer = client.channel.handle;
        struct fidl_header header = {
            .txid = 1, .at_rest_flags = {2}, .magic = 1, .ordinal = 0x1234567};
        uint8_t short_one[3] = {};
        switch (kind) {
        case 0: // unknown in a closed protocol
            header.dynamic_flags = FIDL_FLEXIBLE;
            break;
        case 1: // a call that wants no answer
            header.ordinal = JACINTH_IO_TERMINAL_GET_MODE_ORDINAL;
            header.txid = 0;
            break;
        case 2: // a one-way method that wants one
            header.ordinal = JACINTH_IO_NODE_CLONE_ORDINAL;
            break;
        case 3: // without its body
            header.ordinal = JACINTH_IO_TERMINAL_READ_ORDINAL;
            break;
        default:
            EXPECT_OK(zx_channel_write(peer, 0, short_one, sizeof(short_one), nullptr, 0));
            break;
        }
        zx_handle_t event = utest_event();
        EXPECT_OK(zx_channel_write(peer, 0, &header, sizeof(header), &event, 1));
        run_idle(&loop);
        EXPECT(s.why == ZX_ERR_IO_INVALID || s.why == ZX_ERR_NOT_SUPPORTED);
        EXPECT_STATUS(client_why, ZX_ERR_PEER_CLOSED);
    }
    async_loop_destroy(&loop);
}

CASE(a_client_that_does_not_read_loses_its_connection) {
    struct async_loop loop = new_loop();
    struct utest_pair pair = utest_channel();
    struct server s = {
        .channel = {.handle = pair.a, .message = server_message, .closed = server_closed}};
    EXPECT_OK(async_channel_begin(&loop, &s.channel));
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    zx_status_t status = ZX_OK;
    for (uint32_t i = 0; i < 100000 && status == ZX_OK; i++) {
        struct jacinth_io_terminal_read_request r = {.count = 1};
        status = fidl_request(pair.b, 1, &jacinth_io_terminal_read_method, storage, &r);
        run_idle(&loop);
    }
    EXPECT_STATUS(status, ZX_ERR_PEER_CLOSED);
    EXPECT_STATUS(s.why, ZX_ERR_NO_RESOURCES);
    EXPECT_CLOSE(pair.b);
    async_loop_destroy(&loop);
}
