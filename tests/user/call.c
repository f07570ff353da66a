// Channel calls, and our reply-and-wait.
#include <utest/utest.h>

#include <string.h>

GROUP("call");

struct message {
    zx_txid_t txid;
    uint32_t value;
};

static bool gone(zx_handle_t handle) {
    return zx_handle_check_valid(handle) == ZX_ERR_BAD_HANDLE;
}

// Serves `turns` messages: answers value + 1 and sends received handles back.
struct server {
    zx_handle_t end;
    uint32_t turns;
    zx_txid_t last_txid;
};

static void serve(void* arg) {
    struct server* s = arg;
    for (uint32_t i = 0; i < s->turns; i++) {
        EXPECT_OK(zx_object_wait_one(s->end, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
        struct message m;
        zx_handle_t handles[4];
        uint32_t bytes;
        uint32_t count;
        EXPECT_OK(zx_channel_read(s->end, 0, &m, handles, sizeof(m), 4, &bytes, &count));
        EXPECT_EQ(bytes, sizeof(m));
        s->last_txid = m.txid;
        m.value++;
        EXPECT_OK(zx_channel_write(s->end, 0, &m, sizeof(m), handles, count));
    }
}

static zx_channel_call_args_t args_for(struct message* out, struct message* in) {
    return (zx_channel_call_args_t){
        .wr_bytes = out, .wr_num_bytes = sizeof(*out), .rd_bytes = in, .rd_num_bytes = sizeof(*in)};
}

CASE(round_trip) {
    struct utest_pair pair = utest_channel();
    struct server s = {.end = pair.b, .turns = 10};
    struct utest_thread t;
    utest_thread_start(&t, serve, &s);
    zx_txid_t last = 0;
    for (uint32_t i = 0; i < 10; i++) {
        struct message out = {.txid = 5, .value = i};
        struct message in = {};
        zx_channel_call_args_t args = args_for(&out, &in);
        uint32_t bytes = 0;
        uint32_t handles = 77;
        EXPECT_OK(zx_channel_call(pair.a, 0, utest_after_ms(10000), &args, &bytes, &handles));
        EXPECT_EQ(bytes, sizeof(in));
        EXPECT_EQ(handles, 0);
        EXPECT_EQ(in.value, i + 1);
        // The kernel's id, not ours; the message in our memory is not touched.
        EXPECT(in.txid >= 0x80000000);
        EXPECT(in.txid != last);
        EXPECT_EQ(out.txid, 5);
        last = in.txid;
    }
    utest_thread_join(&t);
    EXPECT_EQ(utest_signals(pair.a, ZX_CHANNEL_READABLE), 0);
    utest_close_pair(pair);
}

CASE(handles_both_ways) {
    struct utest_pair pair = utest_channel();
    struct server s = {.end = pair.b, .turns = 1};
    struct utest_thread t;
    utest_thread_start(&t, serve, &s);
    zx_handle_t sent[] = {utest_event(), utest_event()};
    zx_koid_t koid = utest_koid(sent[1]);
    zx_handle_t received[4];
    struct message out = {.value = 1};
    struct message in;
    zx_channel_call_args_t args = args_for(&out, &in);
    args.wr_handles = sent;
    args.wr_num_handles = 2;
    args.rd_handles = received;
    args.rd_num_handles = 4;
    uint32_t bytes;
    uint32_t handles;
    EXPECT_OK(zx_channel_call(pair.a, 0, utest_after_ms(10000), &args, &bytes, &handles));
    EXPECT_EQ(handles, 2);
    EXPECT(gone(sent[0]) && gone(sent[1]));
    EXPECT_EQ(utest_koid(received[1]), koid);
    EXPECT_OK(zx_handle_close_many(received, 2));
    utest_thread_join(&t);
    utest_close_pair(pair);
}

CASE(etc) {
    struct utest_pair pair = utest_channel();
    struct server s = {.end = pair.b, .turns = 1};
    struct utest_thread t;
    utest_thread_start(&t, serve, &s);
    zx_handle_t kept = utest_event();
    zx_handle_disposition_t d[] = {{.operation = ZX_HANDLE_OP_DUPLICATE,
                                    .handle = kept,
                                    .type = ZX_OBJ_TYPE_EVENT,
                                    .rights = ZX_RIGHT_TRANSFER | ZX_RIGHT_WAIT,
                                    .result = 77}};
    zx_handle_info_t infos[2];
    struct message out = {.value = 1};
    struct message in;
    zx_channel_call_etc_args_t args = {.wr_bytes = &out,
                                       .wr_handles = d,
                                       .rd_bytes = &in,
                                       .rd_handles = infos,
                                       .wr_num_bytes = sizeof(out),
                                       .wr_num_handles = 1,
                                       .rd_num_bytes = sizeof(in),
                                       .rd_num_handles = 2};
    uint32_t bytes;
    uint32_t handles;
    EXPECT_OK(zx_channel_call_etc(pair.a, 0, utest_after_ms(10000), &args, &bytes, &handles));
    EXPECT_STATUS(d[0].result, ZX_OK);
    EXPECT_EQ(handles, 1);
    EXPECT_EQ(infos[0].type, ZX_OBJ_TYPE_EVENT);
    EXPECT_EQ(infos[0].rights, ZX_RIGHT_TRANSFER | ZX_RIGHT_WAIT);
    EXPECT_EQ(utest_koid(infos[0].handle), utest_koid(kept));
    EXPECT_CLOSE(infos[0].handle);
    EXPECT_CLOSE(kept);
    utest_thread_join(&t);
    utest_close_pair(pair);
}

CASE(errors) {
    struct utest_pair pair = utest_channel();
    struct message out = {};
    struct message in;
    zx_channel_call_args_t args = args_for(&out, &in);
    uint32_t n;
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_channel_call(ZX_HANDLE_INVALID, 0, 0, &args, &n, &n), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_channel_call(event, 0, 0, &args, &n, &n), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_channel_call(pair.a, 1, 0, &args, &n, &n), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_READ, sizeof(args)) {
        EXPECT_STATUS(zx_channel_call(pair.a, 0, 0, p, &n, &n), ZX_ERR_INVALID_ARGS);
    }
    for (uint32_t size = 0; size < 4; size++) {
        args.wr_num_bytes = size;
        EXPECT_STATUS(zx_channel_call(pair.a, 0, 0, &args, &n, &n), ZX_ERR_INVALID_ARGS);
    }
    args.wr_num_bytes = ZX_CHANNEL_MAX_MSG_BYTES + 1;
    EXPECT_STATUS(zx_channel_call(pair.a, 0, 0, &args, &n, &n), ZX_ERR_OUT_OF_RANGE);
    EXPECT_EQ(utest_signals(pair.b, ZX_CHANNEL_READABLE), 0);
    // Handles are consumed all the same.
    args.wr_handles = &event;
    args.wr_num_handles = 1;
    EXPECT_STATUS(zx_channel_call(pair.a, 0, 0, &args, &n, &n), ZX_ERR_OUT_OF_RANGE);
    EXPECT(gone(event));
    event = utest_event();
    args.wr_num_bytes = 3;
    EXPECT_STATUS(zx_channel_call(pair.a, 0, 0, &args, &n, &n), ZX_ERR_INVALID_ARGS);
    EXPECT(gone(event));
    args.wr_num_bytes = sizeof(out);
    args.wr_handles = &pair.a;
    EXPECT_STATUS(zx_channel_call(pair.a, 0, 0, &args, &n, &n), ZX_ERR_NOT_SUPPORTED);
    EXPECT(gone(pair.a));
    EXPECT_CLOSE(pair.b);
}

CASE(rights) {
    static const zx_rights_t missing[] = {ZX_RIGHT_READ, ZX_RIGHT_WRITE};
    for (uint32_t i = 0; i < 2; i++) {
        struct utest_pair pair = utest_channel();
        zx_handle_t weak;
        EXPECT_OK(zx_handle_replace(pair.a, ZX_DEFAULT_CHANNEL_RIGHTS & ~missing[i], &weak));
        struct message out = {};
        struct message in;
        zx_channel_call_args_t args = args_for(&out, &in);
        EXPECT_STATUS(zx_channel_call(weak, 0, 0, &args, nullptr, nullptr), ZX_ERR_ACCESS_DENIED);
        EXPECT_CLOSE(weak);
        EXPECT_CLOSE(pair.b);
    }
}

CASE(peer_closed) {
    struct utest_pair pair = utest_channel();
    EXPECT_CLOSE(pair.b);
    struct message out = {};
    struct message in;
    zx_channel_call_args_t args = args_for(&out, &in);
    zx_handle_t event = utest_event();
    args.wr_handles = &event;
    args.wr_num_handles = 1;
    EXPECT_STATUS(zx_channel_call(pair.a, 0, ZX_TIME_INFINITE, &args, nullptr, nullptr),
                  ZX_ERR_PEER_CLOSED);
    EXPECT(gone(event));
    EXPECT_CLOSE(pair.a);
}

// The message is sent; its late answer is queued like any other.
CASE(timed_out) {
    struct utest_pair pair = utest_channel();
    struct message out = {.value = 9};
    struct message in = {};
    zx_channel_call_args_t args = args_for(&out, &in);
    uint32_t n;
    EXPECT_STATUS(zx_channel_call(pair.a, 0, utest_after_ms(5), &args, &n, &n), ZX_ERR_TIMED_OUT);
    EXPECT_STATUS(zx_channel_call(pair.a, 0, 0, &args, &n, &n), ZX_ERR_TIMED_OUT);
    struct message got[2];
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT_OK(zx_channel_read(pair.b, 0, &got[i], nullptr, sizeof(got[i]), 0, &n, nullptr));
        EXPECT_EQ(got[i].value, 9);
    }
    EXPECT(got[0].txid != got[1].txid);
    EXPECT_OK(zx_channel_write(pair.b, 0, &got[0], sizeof(got[0]), nullptr, 0));
    EXPECT_EQ(utest_signals(pair.a, ZX_CHANNEL_READABLE), ZX_CHANNEL_READABLE);
    EXPECT_OK(zx_channel_read(pair.a, 0, &in, nullptr, sizeof(in), 0, &n, nullptr));
    EXPECT_EQ(in.txid, got[0].txid);
    utest_close_pair(pair);
}

struct caller {
    zx_handle_t end;
    zx_status_t status;
    struct message in;
    uint32_t room, bytes;
};

static void call_forever(void* arg) {
    struct caller* c = arg;
    struct message out = {.value = 1};
    zx_channel_call_args_t args = args_for(&out, &c->in);
    args.rd_num_bytes = c->room;
    c->status = zx_channel_call(c->end, 0, ZX_TIME_INFINITE, &args, &c->bytes, nullptr);
}

static void start_caller(struct utest_thread* t, struct caller* c, zx_handle_t end) {
    *c = (struct caller){.end = end, .room = sizeof(c->in)};
    utest_thread_start(t, call_forever, c);
    utest_thread_reach(t->handle, ZX_THREAD_STATE_BLOCKED_CHANNEL);
}

CASE(peer_closes_meanwhile) {
    struct utest_pair pair = utest_channel();
    struct caller c;
    struct utest_thread t;
    start_caller(&t, &c, pair.a);
    EXPECT_CLOSE(pair.b);
    utest_thread_join(&t);
    EXPECT_STATUS(c.status, ZX_ERR_PEER_CLOSED);
    EXPECT_CLOSE(pair.a);
}

CASE(own_handle_closed_meanwhile) {
    struct utest_pair pair = utest_channel();
    struct caller c;
    struct utest_thread t;
    start_caller(&t, &c, pair.a);
    EXPECT_CLOSE(pair.a);
    utest_thread_join(&t);
    EXPECT_STATUS(c.status, ZX_ERR_CANCELED);
    EXPECT_CLOSE(pair.b);
}

// Messages with other first words go into the queue; the answer goes to the caller.
CASE(routing) {
    struct utest_pair pair = utest_channel();
    struct caller c;
    struct utest_thread t;
    start_caller(&t, &c, pair.a);
    struct message m;
    uint32_t n;
    EXPECT_OK(zx_channel_read(pair.b, 0, &m, nullptr, sizeof(m), 0, &n, nullptr));
    struct message other = {.txid = m.txid + 1, .value = 3};
    EXPECT_OK(zx_channel_write(pair.b, 0, &other, sizeof(other), nullptr, 0));
    other.txid = m.txid & 0x7fffffff;
    EXPECT_OK(zx_channel_write(pair.b, 0, &other, sizeof(other), nullptr, 0));
    EXPECT_OK(zx_channel_write(pair.b, 0, &other, 3, nullptr, 0));
    utest_sleep_ms(5);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_CHANNEL);
    m.value = 44;
    EXPECT_OK(zx_channel_write(pair.b, 0, &m, sizeof(m), nullptr, 0));
    utest_thread_join(&t);
    EXPECT_STATUS(c.status, ZX_OK);
    EXPECT_EQ(c.in.value, 44);
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT_OK(zx_channel_read(pair.a, 0, &m, nullptr, sizeof(m), 0, &n, nullptr));
    }
    EXPECT_EQ(utest_signals(pair.a, ZX_CHANNEL_READABLE), 0);
    utest_close_pair(pair);
}

// An answer that does not fit is gone, its handles with it.
// Two calls, one after the other.
static void call_twice(void* arg) {
    zx_handle_t* end = arg;
    for (uint32_t i = 0; i < 2; i++) {
        struct message out = {.value = i};
        struct message in = {};
        zx_channel_call_args_t args = args_for(&out, &in);
        uint32_t bytes = 0;
        uint32_t handles;
        EXPECT_OK(zx_channel_call(*end, 0, utest_after_ms(10000), &args, &bytes, &handles));
        EXPECT_EQ(bytes, sizeof(in));
        EXPECT_EQ(in.value, i);
    }
}

// Fewer bytes than a transaction id answer no call, whatever they are: the last answer, whose id
// begins where theirs would, does not complete them.
CASE(shorter_than_an_id) {
    struct utest_pair pair = utest_channel();
    struct utest_thread t;
    utest_thread_start(&t, call_twice, &pair.a);
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT_OK(zx_object_wait_one(pair.b, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
        struct message m;
        EXPECT_OK(zx_channel_read(pair.b, 0, &m, nullptr, sizeof(m), 0, nullptr, nullptr));
        for (uint32_t n = 0; n < sizeof(m.txid); n++) {
            EXPECT_OK(zx_channel_write(pair.b, 0, &m.txid, n, nullptr, 0));
        }
        EXPECT_OK(zx_channel_write(pair.b, 0, &m, sizeof(m), nullptr, 0));
    }
    utest_thread_join(&t);
    for (uint32_t i = 0; i < 2 * sizeof(zx_txid_t); i++) {
        uint8_t in[4];
        uint32_t bytes = 77;
        EXPECT_OK(zx_channel_read(pair.a, 0, in, nullptr, sizeof(in), 0, &bytes, nullptr));
        EXPECT_EQ(bytes, i % sizeof(zx_txid_t));
    }
    utest_close_pair(pair);
}

CASE(answer_too_large) {
    struct utest_pair pair = utest_channel();
    struct caller c = {.end = pair.a, .room = 6};
    struct utest_thread t;
    utest_thread_start(&t, call_forever, &c);
    EXPECT_OK(zx_object_wait_one(pair.b, ZX_CHANNEL_READABLE, utest_after_ms(5000), nullptr));
    struct message m;
    uint32_t n;
    EXPECT_OK(zx_channel_read(pair.b, 0, &m, nullptr, sizeof(m), 0, &n, nullptr));
    struct utest_pair sent = utest_eventpair();
    EXPECT_OK(zx_channel_write(pair.b, 0, &m, sizeof(m), &sent.b, 1));
    utest_thread_join(&t);
    EXPECT_STATUS(c.status, ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_EQ(c.bytes, sizeof(m));
    EXPECT_EQ(utest_signals(sent.a, ZX_EVENTPAIR_PEER_CLOSED), ZX_EVENTPAIR_PEER_CLOSED);
    EXPECT_EQ(utest_signals(pair.a, ZX_CHANNEL_READABLE), 0);
    EXPECT_CLOSE(sent.a);
    utest_close_pair(pair);
}

CASE_WITHIN(several_callers, 60) {
    struct utest_pair pair = utest_channel();
    struct server s = {.end = pair.b, .turns = 6};
    struct utest_thread server;
    struct utest_thread t[6];
    struct caller c[6];
    for (uint32_t i = 0; i < 6; i++) {
        start_caller(&t[i], &c[i], pair.a);
    }
    utest_thread_start(&server, serve, &s);
    for (uint32_t i = 0; i < 6; i++) {
        utest_thread_join(&t[i]);
        EXPECT_STATUS(c[i].status, ZX_OK);
        EXPECT_EQ(c[i].in.value, 2);
        for (uint32_t j = 0; j < i; j++) {
            EXPECT(c[i].in.txid != c[j].in.txid);
        }
    }
    utest_thread_join(&server);
    utest_close_pair(pair);
}

// A caller that is killed leaves nothing behind; its answer is queued.
CHILD(call_and_die) {
    struct message out = {.value = 1};
    struct message in;
    zx_channel_call_args_t args = args_for(&out, &in);
    return zx_channel_call(channel, 0, ZX_TIME_INFINITE, &args, nullptr, nullptr);
}

CASE(killed_caller) {
    struct utest_child c;
    utest_child_start(&c, "call_and_die", ZX_HANDLE_INVALID);
    EXPECT_OK(zx_object_wait_one(c.channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    EXPECT_OK(zx_task_kill(c.process));
    EXPECT_OK(
        zx_object_wait_one(c.channel, ZX_CHANNEL_PEER_CLOSED, utest_after_ms(10000), nullptr));
    EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
}

// ---- reply and wait ----

static void serve_combined(void* arg) {
    struct server* s = arg;
    struct message m = {};
    zx_handle_t handle = ZX_HANDLE_INVALID;
    uint32_t bytes;
    uint32_t handles = 0;
    uint32_t options = ZX_CHANNEL_REPLY_WAIT_SKIP_REPLY;
    for (uint32_t i = 0; i <= s->turns; i++) {
        zx_channel_call_args_t args = args_for(&m, &m);
        args.wr_handles = &handle;
        args.wr_num_handles = handles;
        args.rd_handles = &handle;
        args.rd_num_handles = 1;
        zx_status_t status =
            zx_channel_reply_wait(s->end, options, utest_after_ms(10000), &args, &bytes, &handles);
        if (i == s->turns) {
            EXPECT_STATUS(status, ZX_ERR_PEER_CLOSED);
            return;
        }
        EXPECT_STATUS(status, ZX_OK);
        EXPECT_EQ(bytes, sizeof(m));
        m.value++;
        options = 0;
    }
}

CASE_WITHIN(combined, 60) {
    struct utest_pair pair = utest_channel();
    struct server s = {.end = pair.b, .turns = 500};
    struct utest_thread t;
    utest_thread_start(&t, serve_combined, &s);
    for (uint32_t i = 0; i < s.turns; i++) {
        struct message out = {.value = i};
        struct message in = {};
        zx_channel_call_args_t args = args_for(&out, &in);
        zx_handle_t handle = ZX_HANDLE_INVALID;
        if (i % 10 == 0) {
            handle = utest_event();
            args.wr_handles = &handle;
            args.wr_num_handles = 1;
            args.rd_handles = &handle;
            args.rd_num_handles = 1;
        }
        uint32_t bytes;
        uint32_t handles;
        EXPECT_OK(zx_channel_call(pair.a, 0, utest_after_ms(10000), &args, &bytes, &handles));
        EXPECT_EQ(in.value, i + 1);
        EXPECT_EQ(handles, i % 10 == 0);
        if (handles == 1) {
            EXPECT_CLOSE(handle);
        }
    }
    EXPECT_CLOSE(pair.a);
    utest_thread_join(&t);
    EXPECT_CLOSE(pair.b);
}

CASE(combined_errors) {
    struct utest_pair pair = utest_channel();
    struct message out = {.value = 3};
    struct message in = {};
    zx_channel_call_args_t args = args_for(&out, &in);
    uint32_t n = 0;
    EXPECT_STATUS(zx_channel_reply_wait(pair.a, 1u << 20, 0, &args, &n, nullptr),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_EQ(utest_signals(pair.b, ZX_CHANNEL_READABLE), 0);
    // Timed out: the reply is on its way.
    EXPECT_STATUS(zx_channel_reply_wait(pair.a, 0, utest_after_ms(5), &args, &n, nullptr),
                  ZX_ERR_TIMED_OUT);
    EXPECT_OK(zx_channel_read(pair.b, 0, &in, nullptr, sizeof(in), 0, &n, nullptr));
    EXPECT_EQ(in.value, 3);
    EXPECT_STATUS(zx_channel_read(pair.b, 0, &in, nullptr, sizeof(in), 0, &n, nullptr),
                  ZX_ERR_SHOULD_WAIT);
    // A message that does not fit stays.
    EXPECT_OK(zx_channel_write(pair.b, 0, "123456789abc", 12, nullptr, 0));
    uint32_t skip = ZX_CHANNEL_REPLY_WAIT_SKIP_REPLY;
    EXPECT_STATUS(zx_channel_reply_wait(pair.a, skip, 0, &args, &n, nullptr),
                  ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_EQ(n, 12);
    char text[12];
    EXPECT_OK(zx_channel_read(pair.a, 0, text, nullptr, sizeof(text), 0, &n, nullptr));
    // A handle is consumed whatever happens.
    zx_handle_t event = utest_event();
    args.wr_handles = &event;
    args.wr_num_handles = 1;
    EXPECT_STATUS(zx_channel_reply_wait(pair.a, 1u << 20, 0, &args, &n, nullptr),
                  ZX_ERR_INVALID_ARGS);
    EXPECT(gone(event));
    args.wr_num_handles = 0;
    EXPECT_CLOSE(pair.b);
    EXPECT_STATUS(zx_channel_reply_wait(pair.a, 0, 0, &args, &n, nullptr), ZX_ERR_PEER_CLOSED);
    EXPECT_CLOSE(pair.a);
}
