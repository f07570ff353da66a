// Methods over channels: what a client sends and makes of answers, and what a server does with each
// kind of message, sound, unknown and wrong. In no case is a handle lost (the fakes count).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <fidl/channel.h>
#include <fidl/test.sample.h>
#include <zircon/rights.h>
#include <zircon/syscalls.h>

#include "fake_channel.h"
#include "fake_handles.h"
#include "random_object.h"

static uint8_t in[ZX_CHANNEL_MAX_MSG_BYTES] __attribute__((aligned(8)));
static uint8_t out[ZX_CHANNEL_MAX_MSG_BYTES] __attribute__((aligned(8)));
static uint8_t object_memory[1 << 20] __attribute__((aligned(8)));
static zx_handle_info_t infos[ZX_CHANNEL_MAX_MSG_HANDLES];

static const struct fidl_storage storage = {out, sizeof(out)};

static int begin(void**) {
    fake_channel_reset();
    fake_handles_reset();
    return 0;
}

static int end(void**) {
    fake_channel_reset();
    assert_int_equal(fake_handles_live(), 0);
    return 0;
}

// ---- the server ----

static struct {
    int stored, fetched, pinged, synced, hinted;
    zx_status_t result; // of all
    zx_handle_t taken;
    bool takes;
} seen;

static zx_status_t on_store(void*, struct test_sample_service_store_request* r) {
    seen.stored++;
    if (seen.takes) {
        seen.taken = fidl_take(&r->what.job);
    }
    return seen.result;
}
static zx_status_t on_fetch(void*, struct test_sample_service_fetch_request* r,
                            struct fidl_txn* txn) {
    seen.fetched++;
    assert_int_equal(r->key, 7);
    return test_sample_service_fetch_reply_error(txn, TEST_SAMPLE_COLOR_BLUE);
}
static zx_status_t on_ping(void*, struct fidl_txn* txn) {
    seen.pinged++;
    return test_sample_service_ping_reply(txn);
}
static zx_status_t on_sync(void*, struct fidl_txn* txn) {
    seen.synced++;
    zx_status_t status = test_sample_service_sync_reply(txn);
    assert_int_equal(txn->txid, 0);
    return status;
}
static zx_status_t on_hint(void*, struct test_sample_plain*) {
    seen.hinted++;
    return seen.result;
}

static const struct test_sample_service_ops ops = {
    .store = on_store, .fetch = on_fetch, .ping = on_ping, .sync = on_sync, .hint = on_hint};

static zx_status_t dispatch(const void* bytes, size_t len, uint32_t handle_count) {
    memcpy(in, bytes, len);
    struct fidl_message m = {
        .bytes = in, .len = len, .handles = infos, .handle_count = handle_count};
    return test_sample_service_dispatch(&ops, nullptr, 1, &m, storage);
}

// A message that is its header.
static zx_status_t dispatch_header(uint64_t ordinal, uint32_t txid, uint8_t flags,
                                   uint32_t handle_count) {
    struct fidl_header header = {
        .txid = txid, .at_rest_flags = {2}, .dynamic_flags = flags, .magic = 1, .ordinal = ordinal};
    for (uint32_t i = 0; i < handle_count; i++) {
        infos[i] = fake_handle(ZX_OBJ_TYPE_EVENT, ZX_RIGHTS_BASIC);
    }
    return dispatch(&header, sizeof(header), handle_count);
}

// What was sent, with its handles, on to the server.
static zx_status_t forward(void) {
    uint32_t count = fake_written.handle_count;
    memcpy(infos, fake_written.handles, sizeof(infos));
    fake_written.handle_count = 0;
    return dispatch(fake_written.bytes, fake_written.len, count);
}

static void one_way_and_its_handles(void**) {
    uint32_t taken = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct random_maker r = {seed, object_memory, sizeof(object_memory), 0};
        struct test_sample_service_store_request* request =
            random_object(&r, &test_sample_service_store_request_type);
        seen.takes = seed % 2 == 0;
        seen.taken = ZX_HANDLE_INVALID;
        seen.result = seed % 3 == 0 ? ZX_ERR_BAD_STATE : ZX_OK;
        zx_status_t sent = test_sample_service_store_send(1, storage, request);
        if (sent != ZX_OK) { // larger than a message may be
            assert_true(sent == ZX_ERR_BUFFER_TOO_SMALL);
            continue;
        }
        int before = seen.stored;
        assert_int_equal(forward(), seen.result);
        assert_int_equal(seen.stored, before + 1);
        taken += seen.taken != ZX_HANDLE_INVALID;
        assert_int_equal(zx_handle_close(seen.taken), ZX_OK);
        assert_int_equal(fake_handles_live(), 0);
    }
    assert_true(taken > 0);
    seen.result = ZX_OK;
}

static void two_way(void**) {
    assert_int_equal(dispatch_header(TEST_SAMPLE_SERVICE_SYNC_ORDINAL, 5, 0, 0), ZX_OK);
    struct fidl_header header;
    memcpy(&header, fake_written.bytes, sizeof(header));
    assert_int_equal(fake_written.len, sizeof(header));
    assert_int_equal(header.txid, 5);
    assert_int_equal(header.ordinal, TEST_SAMPLE_SERVICE_SYNC_ORDINAL);
    // A flexible one answers with a union.
    assert_int_equal(dispatch_header(TEST_SAMPLE_SERVICE_PING_ORDINAL, 6, FIDL_FLEXIBLE, 0), ZX_OK);
    struct fidl_message m = {.bytes = fake_written.bytes, .len = fake_written.len};
    struct test_sample_service_ping_result* result;
    assert_int_equal(test_sample_service_ping_response_decode(&m, &result), FIDL_OK);
    assert_int_equal(result->fidl.ordinal, 1);
}

static void a_client_that_does_not_read(void**) {
    fake_channel_refuse(ZX_ERR_SHOULD_WAIT);
    assert_int_equal(dispatch_header(TEST_SAMPLE_SERVICE_SYNC_ORDINAL, 5, 0, 0),
                     ZX_ERR_NO_RESOURCES);
    assert_int_equal(dispatch_header(0x1234, 5, FIDL_FLEXIBLE, 0), ZX_ERR_NO_RESOURCES);
}

static void wrong_messages(void**) {
    uint8_t nothing[24] = {};
    int before = seen.synced + seen.stored + seen.fetched;
    infos[0] = fake_handle(ZX_OBJ_TYPE_EVENT, ZX_RIGHTS_BASIC);
    assert_int_equal(dispatch(nothing, 3, 1), ZX_ERR_IO_INVALID);
    assert_int_equal(dispatch(nothing, sizeof(nothing), 0), ZX_ERR_IO_INVALID);
    // Answers that nobody waits for, and waits for what is not answered.
    assert_int_equal(dispatch_header(TEST_SAMPLE_SERVICE_SYNC_ORDINAL, 0, 0, 2), ZX_ERR_IO_INVALID);
    assert_int_equal(dispatch_header(TEST_SAMPLE_SERVICE_STORE_ORDINAL, 9, 0, 2),
                     ZX_ERR_IO_INVALID);
    // A body too few, handles too many, an event.
    assert_int_equal(dispatch_header(TEST_SAMPLE_SERVICE_FETCH_ORDINAL, 9, 0, 0),
                     ZX_ERR_IO_INVALID);
    assert_int_equal(dispatch_header(TEST_SAMPLE_SERVICE_SYNC_ORDINAL, 9, 0, 1), ZX_ERR_IO_INVALID);
    assert_int_equal(dispatch_header(TEST_SAMPLE_SERVICE_ON_CHANGE_ORDINAL, 0, 0, 1),
                     ZX_ERR_NOT_SUPPORTED);
    assert_int_equal(seen.synced + seen.stored + seen.fetched, before);
    assert_int_equal(fake_written.count, 0);
}

static zx_status_t begin_unknown(enum fidl_openness openness, uint32_t txid, uint8_t flags) {
    const struct fidl_protocol protocol = {.openness = openness};
    struct fidl_header header = {
        .txid = txid, .at_rest_flags = {2}, .dynamic_flags = flags, .magic = 1, .ordinal = 0x1234};
    memcpy(in, &header, sizeof(header));
    infos[0] = fake_handle(ZX_OBJ_TYPE_EVENT, ZX_RIGHTS_BASIC);
    struct fidl_message m = {
        .bytes = in, .len = sizeof(header), .handles = infos, .handle_count = 1};
    struct fidl_txn txn = {.channel = 1, .storage = storage};
    uint32_t index;
    return fidl_dispatch_begin(&protocol, &m, &txn, &index);
}

// Ignored (SHOULD_WAIT): only what is flexible, and allowed by the protocol.
static void unknown_methods(void**) {
    static const struct {
        enum fidl_openness openness;
        uint32_t txid;
        uint8_t flags;
        zx_status_t want;
    } rows[] = {
        {FIDL_CLOSED, 0, FIDL_FLEXIBLE, ZX_ERR_NOT_SUPPORTED},
        {FIDL_CLOSED, 1, FIDL_FLEXIBLE, ZX_ERR_NOT_SUPPORTED},
        {FIDL_AJAR, 0, 0, ZX_ERR_NOT_SUPPORTED},
        {FIDL_AJAR, 0, FIDL_FLEXIBLE, ZX_ERR_SHOULD_WAIT},
        {FIDL_AJAR, 1, FIDL_FLEXIBLE, ZX_ERR_NOT_SUPPORTED},
        {FIDL_OPEN, 0, 0, ZX_ERR_NOT_SUPPORTED},
        {FIDL_OPEN, 1, 0, ZX_ERR_NOT_SUPPORTED},
        {FIDL_OPEN, 0, FIDL_FLEXIBLE, ZX_ERR_SHOULD_WAIT},
        {FIDL_OPEN, 1, FIDL_FLEXIBLE, ZX_ERR_SHOULD_WAIT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t written = fake_written.count;
        assert_int_equal(begin_unknown(rows[i].openness, rows[i].txid, rows[i].flags),
                         rows[i].want);
        bool answered = rows[i].txid != 0 && rows[i].want == ZX_ERR_SHOULD_WAIT;
        assert_int_equal(fake_written.count, written + answered);
    }
    // The answer: the union's third member, -2, in place.
    static const uint8_t body[] = {3, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0, 0, 1, 0};
    assert_int_equal(fake_written.len, 16 + sizeof(body));
    assert_memory_equal(fake_written.bytes + 16, body, sizeof(body));
}

// ---- the client ----

// Lets the server answer the request that the call below will send.
static uint32_t answer_with(zx_status_t (*reply)(struct fidl_txn*), const struct fidl_method* m) {
    struct fidl_txn txn = {.channel = 1, .txid = 1, .method = m, .storage = storage};
    assert_int_equal(reply(&txn), ZX_OK);
    memcpy(in, fake_written.bytes, fake_written.len);
    fake_channel_answer(in, fake_written.len, nullptr, 0);
    return fake_written.len;
}

static zx_status_t reply_blue(struct fidl_txn* txn) {
    return test_sample_service_fetch_reply_error(txn, TEST_SAMPLE_COLOR_BLUE);
}

static void calls(void**) {
    // Not answered.
    assert_int_equal(test_sample_service_sync_call(1, 0, storage), ZX_ERR_PEER_CLOSED);
    answer_with(test_sample_service_sync_reply, &test_sample_service_sync_method);
    assert_int_equal(test_sample_service_sync_call(1, 0, storage), ZX_OK);
    answer_with(test_sample_service_ping_reply, &test_sample_service_ping_method);
    assert_int_equal(test_sample_service_ping_call(1, 0, storage), ZX_OK);
    // Unknown there.
    in[16] = 3;
    static const uint8_t unknown[] = {0xfe, 0xff, 0xff, 0xff, 0, 0, 1, 0};
    memcpy(in + 24, unknown, sizeof(unknown));
    assert_int_equal(test_sample_service_ping_call(1, 0, storage), ZX_ERR_NOT_SUPPORTED);
    // Errors that are no statuses come as the union.
    answer_with(reply_blue, &test_sample_service_fetch_method);
    struct test_sample_service_fetch_request request = {.key = 7};
    struct test_sample_service_fetch_result* result = nullptr;
    assert_int_equal(test_sample_service_fetch_call(1, 0, &request, storage, &result), ZX_OK);
    assert_int_equal(*test_sample_service_fetch_result_get_err(result), TEST_SAMPLE_COLOR_BLUE);
    // An answer to something else, and half an answer.
    result = nullptr;
    answer_with(test_sample_service_sync_reply, &test_sample_service_sync_method);
    assert_int_equal(test_sample_service_fetch_call(1, 0, &request, storage, &result),
                     ZX_ERR_IO_INVALID);
    uint32_t len = answer_with(reply_blue, &test_sample_service_fetch_method);
    infos[0] = fake_handle(ZX_OBJ_TYPE_EVENT, ZX_RIGHTS_BASIC); // a handle too many
    fake_channel_answer(in, len, infos, 1);
    assert_int_equal(test_sample_service_fetch_call(1, 0, &request, storage, &result),
                     ZX_ERR_IO_INVALID);
    fake_channel_answer(in, len - 8, nullptr, 0);
    assert_int_equal(test_sample_service_fetch_call(1, 0, &request, storage, &result),
                     ZX_ERR_IO_INVALID);
    assert_null(result);
}

static void results(void**) {
    struct fidl_union u = {};
    void* body = nullptr;
    uint8_t empty = 0;
    fidl_union_set(&u, 1, &empty, 1);
    assert_int_equal(fidl_result(&u, &body), ZX_OK);
    assert_ptr_equal(body, u.envelope.inline_value);
    uint64_t large = 0;
    fidl_union_set(&u, 1, &large, 8);
    assert_int_equal(fidl_result(&u, &body), ZX_OK);
    assert_ptr_equal(body, &large);
    zx_status_t error = ZX_ERR_NOT_DIR;
    fidl_union_set(&u, 2, &error, 4);
    assert_int_equal(fidl_result(&u, &body), ZX_ERR_NOT_DIR);
    error = ZX_OK; // an error that is none
    fidl_union_set(&u, 2, &error, 4);
    assert_int_equal(fidl_result(&u, &body), ZX_ERR_IO_INVALID);
}

static void what_does_not_fit_is_not_sent(void**) {
    uint8_t small[24] __attribute__((aligned(8)));
    const struct fidl_storage little = {small, sizeof(small)};
    struct test_sample_service_fetch_request request = {.key = 7};
    struct test_sample_service_fetch_result* result;
    assert_int_equal(test_sample_service_fetch_call(1, 0, &request, little, &result),
                     ZX_ERR_PEER_CLOSED); // fits
    const struct fidl_storage less = {small, 16};
    assert_int_equal(test_sample_service_fetch_call(1, 0, &request, less, &result),
                     ZX_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(fake_written.count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_way_and_its_handles, begin, end),
        cmocka_unit_test_setup_teardown(two_way, begin, end),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_read, begin, end),
        cmocka_unit_test_setup_teardown(wrong_messages, begin, end),
        cmocka_unit_test_setup_teardown(unknown_methods, begin, end),
        cmocka_unit_test_setup_teardown(calls, begin, end),
        cmocka_unit_test_setup_teardown(results, begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_not_sent, begin, end),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
