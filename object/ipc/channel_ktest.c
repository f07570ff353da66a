// Channels: order, sizes, handles on the way, calls and their answers, closing, limits, a stress.
#include <object/channel.h>

#include <stdatomic.h>

#include <zircon/syscalls/object.h>

#include <arch/cpu.h>
#include <debug/ktest.h>
#include <lib/random.h>
#include <lib/string.h>
#include <object/event.h>
#include <sched/thread.h>

#include "../testing/ktest_user.h"

constexpr int64_t MS = 1'000'000;

struct pair {
    struct channel* a;
    struct channel* b;
    struct handle ha, hb;
};

static bool pair_open(struct pair* p) {
    if (channel_create(&p->a, &p->b) != STATUS_OK) {
        return false;
    }
    p->ha = test_handle(channel_object(p->a));
    p->hb = test_handle(channel_object(p->b));
    return true;
}

static void pair_close(struct pair* p) {
    handle_cleanup(&p->ha);
    handle_cleanup(&p->hb);
}

static struct message* message_of(uint32_t txid, uint32_t bytes) {
    struct message* m = message_new(bytes, 0);
    if (m != nullptr) {
        uint8_t zeros[256] = {};
        if (bytes <= sizeof(zeros)) {
            message_fill_kernel(m, zeros);
        }
        if (bytes >= sizeof(txid)) {
            message_set_txid(m, txid);
        }
    }
    return m;
}

static status_t send(struct channel* c, uint32_t txid, uint32_t bytes) {
    struct message* m = message_of(txid, bytes);
    if (m == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = channel_write(c, m);
    if (status != STATUS_OK) {
        message_free(m);
    }
    return status;
}

// The transaction id of the next message.
static status_t receive(struct channel* c, uint32_t* txid) {
    struct message* m;
    uint32_t bytes;
    uint32_t handles;
    TRY(channel_read(c, UINT32_MAX, UINT32_MAX, false, &m, &bytes, &handles));
    *txid = message_txid(m);
    message_free(m);
    return STATUS_OK;
}

static void messages_keep_order_and_size(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p));
    uint32_t txid;
    KEXPECT_EQ(t, receive(p.b, &txid), STATUS_SHOULD_WAIT);
    for (uint32_t i = 0; i < 50; i++) {
        KEXPECT_EQ(t, send(p.a, i, 4 + i), STATUS_OK);
    }
    KEXPECT_EQ(t, object_signals(channel_object(p.b)), ZX_CHANNEL_READABLE | ZX_CHANNEL_WRITABLE);
    struct message* m;
    uint32_t bytes;
    uint32_t handles;
    KEXPECT_EQ(t, channel_read(p.b, 3, 0, false, &m, &bytes, &handles), STATUS_BUFFER_TOO_SMALL);
    KEXPECT_EQ(t, bytes, 4u);
    KEXPECT_EQ(t, channel_read(p.b, 3, 0, true, &m, &bytes, &handles), STATUS_BUFFER_TOO_SMALL);
    for (uint32_t i = 1; i < 50; i++) { // the first one was discarded
        KEXPECT_EQ(t, receive(p.b, &txid), STATUS_OK);
        KEXPECT_EQ(t, txid, i);
    }
    KEXPECT_EQ(t, object_signals(channel_object(p.b)), ZX_CHANNEL_WRITABLE);
    pair_close(&p);
}
KTEST(channel, messages_keep_order_and_size);

static void large_messages_arrive_whole(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p));
    struct user_area m;
    KASSERT(t, user_area_open(&m, 40 * PAGE_SIZE));
    for (size_t i = 0; i < MESSAGE_MAX_BYTES / 8; i++) {
        uint64_t word = i * 0x9e3779b97f4a7c15;
        KASSERT(t, user_put(&m, 3 + i * 8, &word, 8));
    }
    struct message* out = message_new(MESSAGE_MAX_BYTES, 0);
    KASSERT(t, out != nullptr);
    KEXPECT_EQ(t, message_fill(out, user_at(&m, 3)), STATUS_OK);
    KEXPECT_EQ(t, channel_write(p.a, out), STATUS_OK);
    struct message* in;
    uint32_t bytes;
    uint32_t handles;
    KASSERT(t, channel_read(p.b, MESSAGE_MAX_BYTES, 0, false, &in, &bytes, &handles) == STATUS_OK);
    KEXPECT_EQ(t, bytes, MESSAGE_MAX_BYTES);
    KEXPECT_EQ(t, message_drain(in, user_at(&m, 18 * PAGE_SIZE)), STATUS_OK);
    for (size_t i = 0; i < MESSAGE_MAX_BYTES / 8; i++) {
        uint64_t word;
        KASSERT(t, user_get(&m, 18 * PAGE_SIZE + i * 8, &word, 8));
        KASSERT(t, word == i * 0x9e3779b97f4a7c15);
    }
    KEXPECT_EQ(t, message_drain(in, user_at(&m, 39 * PAGE_SIZE)), STATUS_INVALID_ARGS);
    message_free(in);
    user_area_close(&m);
    pair_close(&p);
}
KTEST(channel, large_messages_arrive_whole);

static void handles_travel_once(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p));
    struct object* e;
    KASSERT(t, event_create(&e) == STATUS_OK);
    (void)object_ref(e); // the test's own
    struct message* m = message_new(0, 2);
    KASSERT(t, m != nullptr);
    m->handle[1] = test_handle(e);
    KEXPECT_EQ(t, channel_write(p.a, m), STATUS_OK);
    KEXPECT_EQ(t, atomic_load(&e->handles), 1u);
    uint32_t bytes;
    uint32_t handles;
    KEXPECT_EQ(t, channel_read(p.b, 0, 1, false, &m, &bytes, &handles), STATUS_BUFFER_TOO_SMALL);
    KEXPECT_EQ(t, handles, 2u);
    KEXPECT_EQ(t, channel_read(p.b, 0, 2, false, &m, &bytes, &handles), STATUS_OK);
    KEXPECT(t, m->handle[0].object == nullptr && m->handle[1].object == e);
    KEXPECT_EQ(t, channel_write(p.b, m), STATUS_OK); // and back, where nobody reads it
    handle_discard(&p.ha);
    KEXPECT_EQ(t, atomic_load(&e->handles), 0u);
    object_unref(e);
    pair_close(&p);
}
KTEST(channel, handles_travel_once);

static void closing_lets_the_peer_drain(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p));
    uint32_t txid;
    KEXPECT_EQ(t, send(p.a, 1, 4), STATUS_OK);
    handle_discard(&p.ha);
    KEXPECT_EQ(t, object_signals(channel_object(p.b)),
               ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED);
    KEXPECT_EQ(t, send(p.b, 2, 4), STATUS_PEER_CLOSED);
    KEXPECT_EQ(t, receive(p.b, &txid), STATUS_OK);
    KEXPECT_EQ(t, receive(p.b, &txid), STATUS_PEER_CLOSED);
    KEXPECT_EQ(t, object_signals(channel_object(p.b)), ZX_CHANNEL_PEER_CLOSED);
    KEXPECT(t, channel_object(p.b)->ops->peer_ref(channel_object(p.b)) == nullptr);
    pair_close(&p);
}
KTEST(channel, closing_lets_the_peer_drain);

static void the_queue_is_limited(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p));
    uint32_t n = 0;
    status_t status;
    while ((status = send(p.a, n, 4)) == STATUS_OK && n < 100'000) {
        n++;
    }
    KEXPECT_EQ(t, status, STATUS_NO_RESOURCES);
    uint32_t txid;
    KEXPECT_EQ(t, receive(p.b, &txid), STATUS_OK);
    KEXPECT_EQ(t, send(p.a, n, 4), STATUS_OK);
    KEXPECT_EQ(t, send(p.b, 0, 4), STATUS_OK); // the other way is its own
    pair_close(&p);
}
KTEST(channel, the_queue_is_limited);

// ---- calls ----

struct caller {
    struct channel* channel;
    int64_t deadline_ns;
    uint32_t answer_bytes;
    bool sent;
    _Atomic(int32_t) result;
    struct thread* thread;
};

static int call_main(void* arg) {
    struct caller* c = arg;
    struct channel_waiter w = {};
    channel_waiter_init(&w, 0);
    struct message* m = message_of(0, 16);
    status_t status = STATUS_NO_MEMORY;
    if (m != nullptr) {
        status = channel_call(c->channel, m, c->deadline_ns, &w, &c->sent);
        if (!c->sent) {
            message_free(m);
        }
    }
    if (status == STATUS_OK) {
        c->answer_bytes = channel_waiter_message(&w)->bytes;
        message_free(channel_waiter_message(&w));
    }
    atomic_store(&c->result, (int32_t)status);
    return 0;
}

static bool start_call(struct caller* c, struct channel* channel, int64_t deadline_ns) {
    *c = (struct caller){.channel = channel, .deadline_ns = deadline_ns};
    atomic_store(&c->result, 1);
    c->thread = kthread_create("call", call_main, c, PRIORITY_DEFAULT);
    if (c->thread != nullptr) {
        thread_start(c->thread);
    }
    return c->thread != nullptr;
}

static status_t await_request(struct channel* c, uint32_t* txid) {
    status_t status;
    while ((status = receive(c, txid)) == STATUS_SHOULD_WAIT) {
        thread_yield();
    }
    return status;
}

static void answers_find_their_calls(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p));
    constexpr uint32_t CALLS = 6;
    struct caller c[CALLS];
    uint32_t txid[CALLS];
    for (uint32_t i = 0; i < CALLS; i++) {
        KASSERT(t, start_call(&c[i], p.a, TIME_INFINITE));
        KEXPECT_EQ(t, await_request(p.b, &txid[i]), STATUS_OK);
        KEXPECT(t, txid[i] >= 0x80000000u);
    }
    for (uint32_t i = CALLS; i-- > 0;) { // in the other order
        KEXPECT_EQ(t, send(p.b, txid[i], 20 + i), STATUS_OK);
    }
    KEXPECT_EQ(t, send(p.b, 5, 4), STATUS_OK);       // no transaction id: queued
    KEXPECT_EQ(t, send(p.b, txid[0], 4), STATUS_OK); // its call is over: queued
    for (uint32_t i = 0; i < CALLS; i++) {
        kthread_join(c[i].thread);
        KEXPECT_EQ(t, atomic_load(&c[i].result), STATUS_OK);
        KEXPECT_EQ(t, c[i].answer_bytes, 20 + i);
    }
    uint32_t got;
    KEXPECT_EQ(t, receive(p.a, &got), STATUS_OK);
    KEXPECT_EQ(t, got, 5u);
    KEXPECT_EQ(t, receive(p.a, &got), STATUS_OK);
    KEXPECT_EQ(t, got, txid[0]);
    pair_close(&p);
}
KTEST(channel, answers_find_their_calls);

static void late_answers_are_queued(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p));
    struct caller c;
    KASSERT(t, start_call(&c, p.a, clock_monotonic_ns() + 3 * MS));
    uint32_t txid;
    KEXPECT_EQ(t, await_request(p.b, &txid), STATUS_OK);
    kthread_join(c.thread);
    KEXPECT_EQ(t, atomic_load(&c.result), STATUS_TIMED_OUT);
    KEXPECT_EQ(t, send(p.b, txid, 4), STATUS_OK);
    uint32_t got;
    KEXPECT_EQ(t, receive(p.a, &got), STATUS_OK);
    KEXPECT_EQ(t, got, txid);
    pair_close(&p);
}
KTEST(channel, late_answers_are_queued);

static void calls_end_when_an_end_closes(struct ktest* t) {
    for (int own = 0; own < 2; own++) {
        struct pair p;
        KASSERT(t, pair_open(&p));
        struct caller c;
        uint32_t txid;
        OBJECT_REF a = object_ref(channel_object(p.a)); // the call's, as a system call holds one
        KASSERT(t, start_call(&c, p.a, TIME_INFINITE));
        KEXPECT_EQ(t, await_request(p.b, &txid), STATUS_OK);
        handle_discard(own == 1 ? &p.ha : &p.hb);
        kthread_join(c.thread);
        KEXPECT_EQ(t, atomic_load(&c.result), own == 1 ? STATUS_CANCELED : STATUS_PEER_CLOSED);
        KEXPECT(t, c.sent);
        pair_close(&p);
    }
    struct pair p;
    KASSERT(t, pair_open(&p));
    handle_discard(&p.hb);
    struct caller c;
    KASSERT(t, start_call(&c, p.a, TIME_INFINITE));
    kthread_join(c.thread);
    KEXPECT_EQ(t, atomic_load(&c.result), STATUS_PEER_CLOSED);
    KEXPECT(t, !c.sent);
    pair_close(&p);
}
KTEST(channel, calls_end_when_an_end_closes);

// ---- several threads at each end ----

struct echo {
    struct channel* channel;
    uint32_t served, errors;
};

static int server_main(void* arg) {
    struct echo* s = arg;
    struct message* answer = nullptr;
    for (;;) {
        struct channel_waiter w = {};
        channel_waiter_init(&w, 0);
        bool sent = false;
        status_t status = channel_reply_wait(s->channel, answer, TIME_INFINITE, &w, &sent);
        if (answer != nullptr && !sent) {
            message_free(answer);
        }
        if (status != STATUS_OK) {
            s->errors += status != STATUS_PEER_CLOSED;
            return 0;
        }
        answer = channel_waiter_message(&w); // the request goes back as it is
        s->served++;
    }
}

struct client {
    struct channel* channel;
    uint32_t seed, errors, timeouts;
};

static int client_main(void* arg) {
    struct client* c = arg;
    struct random rng = random_init(c->seed);
    for (uint32_t i = 0; i < 1500; i++) {
        struct channel_waiter w = {};
        channel_waiter_init(&w, 0);
        uint32_t bytes = 8 + random_below(&rng, 200);
        struct message* m = message_of(0, bytes);
        bool sent = false;
        bool hurry = random_below(&rng, 8) == 0;
        int64_t deadline =
            hurry ? clock_monotonic_ns() + random_below(&rng, 50'000) : TIME_INFINITE;
        status_t status = channel_call(c->channel, m, deadline, &w, &sent);
        if (status == STATUS_OK) {
            c->errors += channel_waiter_message(&w)->bytes != bytes ||
                         message_txid(channel_waiter_message(&w)) < 0x80000000u;
            message_free(channel_waiter_message(&w));
        } else {
            c->errors += status != STATUS_TIMED_OUT || !hurry || !sent;
            c->timeouts++;
        }
    }
    return 0;
}

static void calls_from_many_to_many(struct ktest* t) {
    struct pair p;
    KASSERT(t, pair_open(&p));
    OBJECT_REF a = object_ref(channel_object(p.a));
    OBJECT_REF b = object_ref(channel_object(p.b));
    struct echo s[4];
    struct client c[4];
    struct thread* servers[4];
    struct thread* clients[4];
    for (uint32_t i = 0; i < 4; i++) {
        s[i] = (struct echo){.channel = p.b};
        c[i] = (struct client){.channel = p.a, .seed = i};
        servers[i] = kthread_create("server", server_main, &s[i], PRIORITY_DEFAULT);
        clients[i] = kthread_create("client", client_main, &c[i], PRIORITY_DEFAULT);
        KASSERT(t, servers[i] != nullptr && clients[i] != nullptr);
        thread_start(servers[i]);
        thread_start(clients[i]);
    }
    for (uint32_t i = 0; i < 4; i++) {
        kthread_join(clients[i]);
        KEXPECT_EQ(t, c[i].errors, 0u);
        KEXPECT(t, c[i].timeouts < 1500);
    }
    handle_discard(&p.ha);
    uint32_t served = 0;
    for (uint32_t i = 0; i < 4; i++) {
        kthread_join(servers[i]);
        KEXPECT_EQ(t, s[i].errors, 0u);
        served += s[i].served;
    }
    KEXPECT_EQ(t, served, 4u * 1500);
    pair_close(&p);
}
KTEST_WITH(channel, calls_from_many_to_many, 0, 30'000);
