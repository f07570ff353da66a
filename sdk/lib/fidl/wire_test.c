// Bytes of the published wire format v2, written out by hand, with the section of its specification
// ("FIDL wire format specification") that each follows: encoding gives them, decoding takes them,
// and each way to break a rule has its error.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <fidl/message.h>
#include <fidl/test.other.h>
#include <fidl/test.sample.h>
#include <zircon/rights.h>

#include "fake_handles.h"

static uint8_t bytes[2048] __attribute__((aligned(8)));
static zx_handle_disposition_t dispositions[64];
static zx_handle_info_t infos[64];

static struct fidl_encoder encoder(void) {
    fake_handles_reset();
    return (struct fidl_encoder){bytes, sizeof(bytes), 0, dispositions, 64, 0};
}

static uint8_t nibble(char c) {
    return (uint8_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

// "ff 00 | ..." to bytes.
static size_t from_hex(const char* hex, uint8_t* out) {
    size_t len = 0;
    while (*hex != 0) {
        if (*hex == ' ' || *hex == '|') {
            hex++;
            continue;
        }
        out[len++] = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
        hex += 2;
    }
    return len;
}

static void check_bytes(const struct fidl_encoder* e, const char* hex) {
    uint8_t want[1024];
    size_t len = from_hex(hex, want);
    assert_int_equal(e->len, len);
    assert_memory_equal(e->bytes, want, len);
}

static void* decoded_body;
static bool decoded_unknown;

static fidl_error_t decode_with(const struct fidl_type* type, const char* hex, uint32_t handles) {
    static uint8_t raw[1024];
    size_t len = from_hex(hex, raw);
    static struct fidl_message m;
    free(m.bytes);
    m = (struct fidl_message){
        .bytes = malloc(len), .len = len, .handles = infos, .handle_count = handles};
    memcpy(m.bytes, raw, len);
    fidl_error_t error = fidl_decode(&m, type);
    decoded_body = m.body;
    decoded_unknown = m.has_unknown;
    return error;
}

static fidl_error_t decode(const struct fidl_type* type, const char* hex) {
    fake_handles_reset();
    return decode_with(type, hex, 0);
}

// "Primitives", "Structures": natural alignment, padding between and behind, which is zero.
static void structures(void**) {
    struct test_sample_scalars s = {.flag = true,
                                    .small = -2,
                                    .medium = 0x1234,
                                    .large = 0x0102030405060708,
                                    .single = 1.0f,
                                    .double_ = -2.0,
                                    .tail = 7};
    struct fidl_encoder e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_scalars_type, &s), FIDL_OK);
    static const char good[] = "01 fe 3412 00000000 | 0807060504030201 | 0000803f 00000000 |"
                               "00000000000000c0 | 07 00000000000000";
    check_bytes(&e, good);
    assert_int_equal(decode(&test_sample_scalars_type, good), FIDL_OK);
    assert_int_equal(((struct test_sample_scalars*)decoded_body)->medium, 0x1234);
    assert_int_equal(decode(&test_sample_scalars_type,
                            "02 fe 3412 00000000 | 0807060504030201 | 0000803f 00000000 |"
                            "00000000000000c0 | 07 00000000000000"),
                     FIDL_BAD_VALUE);
    assert_int_equal(decode(&test_sample_scalars_type,
                            "01 fe 3412 00000001 | 0807060504030201 | 0000803f 00000000 |"
                            "00000000000000c0 | 07 00000000000000"),
                     FIDL_BAD_PADDING);
    assert_int_equal(decode(&test_sample_scalars_type,
                            "01 fe 3412 00000000 | 0807060504030201 | 0000803f 00000000 |"
                            "00000000000000c0 | 07 00000000000080"),
                     FIDL_BAD_PADDING);
}

// "Structures": an empty one is a zero byte. "Size and Alignment": objects are padded to eight.
static void empty_structure(void**) {
    struct test_sample_empty object = {};
    struct fidl_encoder e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_empty_type, &object), FIDL_OK);
    check_bytes(&e, "0000000000000000");
    assert_int_equal(decode(&test_sample_empty_type, "0100000000000000"), FIDL_BAD_PADDING);
    assert_int_equal(decode(&test_sample_empty_type, "0000000000000001"), FIDL_BAD_PADDING);
    assert_int_equal(decode(&test_sample_empty_type, "00"), FIDL_TOO_SHORT);
    assert_int_equal(decode(&test_sample_empty_type, "0000000000000000 00"), FIDL_TOO_LONG);
}

// "Structures", boxed: presence in place, content as the next object; "Traversal Order".
static void boxes(void**) {
    struct test_sample_node last = {.value = 2};
    struct test_sample_node first = {.value = 1, .next = &last};
    struct fidl_encoder e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_node_type, &first), FIDL_OK);
    static const char good[] = "01000000 00000000 | ffffffffffffffff |"
                               "02000000 00000000 | 0000000000000000";
    check_bytes(&e, good);
    assert_int_equal(decode(&test_sample_node_type, good), FIDL_OK);
    assert_int_equal(((struct test_sample_node*)decoded_body)->next->value, 2);
    assert_int_equal(decode(&test_sample_node_type, "01000000 00000000 | feffffffffffffff"),
                     FIDL_BAD_PRESENCE);
    assert_int_equal(decode(&test_sample_node_type, "01000000 00000000 | ffffffffffffffff"),
                     FIDL_TOO_SHORT);
}

// "Maximum Recursion Depth": 32 levels, and not 33.
static void depth(void**) {
    static struct test_sample_node nodes[34];
    for (size_t i = 0; i < 33; i++) {
        nodes[i].next = &nodes[i + 1];
    }
    struct fidl_encoder e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_node_type, &nodes[0]), FIDL_TOO_DEEP);
    e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_node_type, &nodes[1]), FIDL_OK);
    struct fidl_message m = {.bytes = bytes, .len = e.len};
    assert_int_equal(fidl_decode(&m, &test_sample_node_type), FIDL_OK);
    e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_node_type, &nodes[1]), FIDL_OK);
    memset(bytes + e.len - 8, 0xff, 8); // the last says that there is one more
    memset(bytes + e.len, 0, 16);
    m = (struct fidl_message){.bytes = bytes, .len = e.len + 16};
    assert_int_equal(fidl_decode(&m, &test_sample_node_type), FIDL_TOO_DEEP);
}

// ---- depth by tables, unions and vectors ----

constexpr size_t LEVELS = 17;

static struct test_sample_tree trees[LEVELS];
static union fidl_envelope tree_storage[LEVELS][TEST_SAMPLE_TREE_MEMBERS];

// A tree of this many tables, one in the other: the last lies at depth 2 * (count - 1).
static struct test_sample_tree* tree_chain(size_t count) {
    memset(tree_storage, 0, sizeof(tree_storage));
    for (size_t i = 0; i < count; i++) {
        trees[i] = (struct test_sample_tree){{TEST_SAMPLE_TREE_MEMBERS, tree_storage[i]}};
        if (i > 0) {
            test_sample_tree_set_child(&trees[i - 1], &trees[i]);
        }
    }
    return trees;
}

static fidl_error_t encode_tree(size_t count) {
    struct fidl_encoder e = encoder();
    return fidl_encode(&e, &test_sample_tree_type, tree_chain(count));
}

// The same on the wire, where only the last level tells how it ends.
static size_t tree_bytes(size_t levels, const char* last) {
    size_t len = 0;
    for (size_t i = 1; i < levels; i++) {
        len += from_hex("0100000000000000 ffffffffffffffff 1000000000000000", bytes + len);
    }
    return len + from_hex(last, bytes + len);
}

static fidl_error_t decode_tree(size_t levels, const char* last) {
    struct fidl_message m = {.bytes = bytes, .len = tree_bytes(levels, last)};
    return fidl_decode(&m, &test_sample_tree_type);
}

static void depth_by_tables(void**) {
    struct fidl_string text = {};
    uint64_t number = 1;
    struct fidl_encoder e = encoder();
    struct test_sample_tree* tree = tree_chain(16);
    test_sample_tree_set_count(&trees[15], &number); // at depth 32
    assert_int_equal(fidl_encode(&e, &test_sample_tree_type, tree), FIDL_OK);
    struct fidl_message m = {.bytes = bytes, .len = e.len};
    assert_int_equal(fidl_decode(&m, &test_sample_tree_type), FIDL_OK);
    tree = tree_chain(16);
    test_sample_tree_set_name(&trees[15], &text); // its bytes are at depth 33
    e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_tree_type, tree), FIDL_TOO_DEEP);
    assert_int_equal(encode_tree(17), FIDL_TOO_DEEP); // its envelopes are
    static const char string[] = "0200000000000000 ffffffffffffffff | 0000000000000000 |"
                                 "1000000000000000 | 0000000000000000 ffffffffffffffff";
    assert_int_equal(decode_tree(16, string), FIDL_TOO_DEEP);
    assert_int_equal(decode_tree(17, "0000000000000000 ffffffffffffffff"), FIDL_TOO_DEEP);
}

// Unions in vectors: the last union, at depth 32, holds something or not.
static void depth_by_unions(void**) {
    for (int full = 0; full < 2; full++) {
        struct fidl_encoder e = encoder();
        struct test_sample_loose unions[17] = {};
        struct test_sample_vector_of_loose vectors[16];
        zx_handle_t handle = fake_handle(ZX_OBJ_TYPE_EVENT, 0).handle;
        for (size_t i = 0; i < 16; i++) {
            vectors[i] = (struct test_sample_vector_of_loose){1, &unions[i + 1]};
            test_sample_loose_set_again(&unions[i], &vectors[i]);
        }
        if (full != 0) {
            test_sample_loose_set_any(&unions[16], handle);
        }
        assert_int_equal(fidl_encode(&e, &test_sample_loose_type, &unions[0]),
                         full != 0 ? FIDL_TOO_DEEP : FIDL_OK);
        if (full == 0) {
            infos[0] = (zx_handle_info_t){.handle = handle, .type = ZX_OBJ_TYPE_EVENT};
            static const char last[] = "0100000000000000 ffffffff 0100 0100";
            size_t len = e.len - 16 + from_hex(last, bytes + e.len - 16);
            struct fidl_message m = {
                .bytes = bytes, .len = len, .handles = infos, .handle_count = 1};
            assert_int_equal(fidl_decode(&m, &test_sample_loose_type), FIDL_TOO_DEEP);
            assert_int_equal(fake_handles_live(), 0);
        }
    }
}

// What cannot be sent is refused before it is.
static void objects_that_cannot_be_encoded(void**) {
    static const struct {
        struct fidl_string name;
        fidl_error_t error;
    } cases[] = {{{8, "12345678"}, FIDL_OK},
                 {{}, FIDL_OK}, // never set: empty
                 {{9, "123456789"}, FIDL_LIMIT},
                 {{2, "\xc3\x28"}, FIDL_BAD_UTF8},
                 {{1, nullptr}, FIDL_ABSENT}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        union fidl_envelope storage[TEST_SAMPLE_OPTIONS_MEMBERS] = {};
        struct test_sample_options t = {.fidl = {TEST_SAMPLE_OPTIONS_MEMBERS, storage}};
        struct fidl_string name = cases[i].name;
        struct fidl_encoder e = encoder();
        test_sample_options_set_name(&t, &name);
        test_sample_options_set_event(&t, fake_handle(ZX_OBJ_TYPE_EVENT, 0).handle);
        assert_int_equal(fidl_encode(&e, &test_sample_options_type, &t), cases[i].error);
        assert_int_equal(fake_handles_live(), cases[i].error == FIDL_OK ? 1 : 0);
    }
    struct fidl_encoder e = encoder();
    struct test_sample_choice choice = {.fidl = {.ordinal = 9}};
    assert_int_equal(fidl_encode(&e, &test_sample_choice_type, &choice), FIDL_UNKNOWN_MEMBER);
    choice.fidl.ordinal = 0;
    assert_int_equal(fidl_encode(&e, &test_sample_choice_type, &choice), FIDL_ABSENT);
    choice.fidl.ordinal = TEST_SAMPLE_CHOICE_POINT;
    assert_int_equal(fidl_encode(&e, &test_sample_choice_type, &choice), FIDL_BAD_ENVELOPE);
}

// "Envelopes": at most four bytes lie in place, flag 1; more is an object of its own. "Tables": as
// many envelopes as the last member's ordinal; absent ones are zero.
static void tables(void**) {
    union fidl_envelope storage[TEST_SAMPLE_OPTIONS_MEMBERS] = {};
    struct test_sample_options t = {.fidl = {TEST_SAMPLE_OPTIONS_MEMBERS, storage}};
    struct fidl_string name = {3, "abc"};
    test_sample_options_set_verbose(&t, true);
    test_sample_options_set_name(&t, &name);
    struct fidl_encoder e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_options_type, &t), FIDL_OK);
    static const char good[] = "0200000000000000 ffffffffffffffff |"
                               "01000000 0000 0100 | 18000000 0000 0000 |"
                               "0300000000000000 ffffffffffffffff | 6162630000000000";
    check_bytes(&e, good);
    assert_int_equal(decode(&test_sample_options_type, good), FIDL_OK);
    struct test_sample_options* back = decoded_body;
    assert_true(*test_sample_options_get_verbose(back));
    assert_int_equal(test_sample_options_get_name(back)->count, 3);
    assert_null(test_sample_options_get_event(back));
    static const char empty[] = "0000000000000000 ffffffffffffffff";
    assert_int_equal(decode(&test_sample_options_type, empty), FIDL_OK);
    assert_null(test_sample_options_get_verbose(decoded_body));
    assert_int_equal(decode(&test_sample_options_type, "0000000000000000 0000000000000000"),
                     FIDL_ABSENT);
}

static void envelopes_that_lie(void**) {
    static const struct {
        const char* hex;
        fidl_error_t error;
    } cases[] = {
        // In place, and yet: other flags, padding, handles.
        {"01000000 0000 0300", FIDL_BAD_ENVELOPE},
        {"01010000 0000 0100", FIDL_BAD_PADDING},
        {"01000000 0100 0100", FIDL_BAD_ENVELOPE},
        {"02000000 0000 0100", FIDL_BAD_VALUE},
        // A bool that is an object of its own.
        {"08000000 0000 0000 | 0100000000000000", FIDL_BAD_ENVELOPE},
        // The table ends with one that is absent.
        {"00000000 0000 0000", FIDL_BAD_ENVELOPE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char hex[256] = "0100000000000000 ffffffffffffffff |";
        strcat(hex, cases[i].hex);
        assert_int_equal(decode(&test_sample_options_type, hex), cases[i].error);
    }
    assert_int_equal(decode(&test_sample_options_type, "ffffffffffffffff ffffffffffffffff"),
                     FIDL_TOO_SHORT);
    assert_int_equal(decode(&test_sample_options_type,
                            "0200000000000000 ffffffffffffffff | 0000000000000000 |"
                            "10000000 0000 0000 | 0300000000000000 ffffffffffffffff |"
                            "6162630000000000"),
                     FIDL_BAD_ENVELOPE);
}

// "Envelopes": sizes and counts are there so that unknown content can be skipped.
static void unknown_table_members(void**) {
    fake_handles_reset();
    infos[0] = fake_handle(ZX_OBJ_TYPE_JOB, 0);
    infos[1] = fake_handle(ZX_OBJ_TYPE_EVENT, 0);
    // Ordinal 3 (unknown): 8 bytes and a job. Ordinal 5: an event.
    static const char hex[] = "0500000000000000 ffffffffffffffff |"
                              "0000000000000000 0000000000000000 08000000 0100 0000 |"
                              "0000000000000000 ffffffff 0100 0100 | 1122334455667788";
    assert_int_equal(decode_with(&test_sample_options_type, hex, 2), FIDL_OK);
    assert_true(decoded_unknown);
    assert_int_equal(fake_handles_live(), 1);
    assert_int_equal(*test_sample_options_get_event(decoded_body), infos[1].handle);
    fidl_close_handles(&test_sample_options_type, decoded_body);
    assert_int_equal(fake_handles_live(), 0);
    // After they were closed, something is wrong: none is closed twice.
    fake_handles_reset();
    infos[0] = fake_handle(ZX_OBJ_TYPE_JOB, 0);
    infos[1] = fake_handle(ZX_OBJ_TYPE_JOB, 0);
    assert_int_equal(decode_with(&test_sample_options_type, hex, 2), FIDL_HANDLE_TYPE);
    assert_int_equal(fake_handles_live(), 0);
    // More than there are.
    fake_handles_reset();
    infos[0] = fake_handle(ZX_OBJ_TYPE_JOB, 0);
    assert_int_equal(decode_with(&test_sample_options_type,
                                 "0300000000000000 ffffffffffffffff | 0000000000000000 |"
                                 "0000000000000000 | 08000000 0300 0000 | 1122334455667788",
                                 1),
                     FIDL_HANDLE_COUNT);
    assert_int_equal(fake_handles_live(), 0);
    // One that is no resource cannot bring any.
    fake_handles_reset();
    infos[0] = fake_handle(ZX_OBJ_TYPE_JOB, 0);
    assert_int_equal(decode_with(&test_sample_plain_type,
                                 "0200000000000000 ffffffffffffffff | 0000000000000000 |"
                                 "ffffffff 0100 0100",
                                 1),
                     FIDL_UNKNOWN_MEMBER);
    assert_int_equal(fake_handles_live(), 0);
    // Its size is no multiple of eight.
    assert_int_equal(decode(&test_sample_plain_type,
                            "0200000000000000 ffffffffffffffff | 0000000000000000 |"
                            "07000000 0000 0000 | 1122334455667788"),
                     FIDL_BAD_ENVELOPE);
}

// "Unions": ordinal and envelope.
static void unions(void**) {
    struct test_sample_choice c = {};
    struct test_sample_point point = {1, -1};
    test_sample_choice_set_point(&c, &point);
    struct fidl_encoder e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_choice_type, &c), FIDL_OK);
    check_bytes(&e, "0300000000000000 08000000 0000 0000 | 01000000 ffffffff");
    test_sample_choice_set_number(&c, 0xdeadbeef);
    e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_choice_type, &c), FIDL_OK);
    check_bytes(&e, "0100000000000000 efbeadde 0000 0100");
    assert_int_equal(decode(&test_sample_choice_type, "0100000000000000 efbeadde 0000 0100"),
                     FIDL_OK);
    assert_int_equal(*test_sample_choice_get_number(decoded_body), 0xdeadbeef);
    assert_null(test_sample_choice_get_point(decoded_body));
    assert_int_equal(decode(&test_sample_choice_type, "0000000000000000 0000000000000000"),
                     FIDL_ABSENT);
    assert_int_equal(decode(&test_sample_choice_type, "0000000000000000 efbeadde 0000 0100"),
                     FIDL_BAD_ENVELOPE);
    assert_int_equal(decode(&test_sample_choice_type, "0100000000000000 0000000000000000"),
                     FIDL_BAD_ENVELOPE);
    // Unknown: refused where strict, skipped where flexible.
    assert_int_equal(decode(&test_sample_choice_type, "0900000000000000 efbeadde 0000 0100"),
                     FIDL_UNKNOWN_MEMBER);
    assert_int_equal(decode(&test_sample_loose_type, "0900000000000000 efbeadde 0000 0100"),
                     FIDL_OK);
    assert_true(decoded_unknown);
    assert_int_equal(((struct test_sample_loose*)decoded_body)->fidl.ordinal, 9);
}

// "Handles": presence words; type and rights are checked, rights beyond those asked for taken away.
static void handles(void**) {
    static const char hex[] = "0400000000000000 ffffffffffffffff |"
                              "0000000000000000 0000000000000000 0000000000000000 |"
                              "10000000 0100 0000 | ffffffff 00000000 0010000000000000";
    constexpr zx_rights_t wanted = ZX_RIGHT_READ | ZX_RIGHT_MAP;
    static const struct {
        zx_obj_type_t type;
        zx_rights_t rights;
        fidl_error_t error;
    } cases[] = {{ZX_OBJ_TYPE_VMO, wanted, FIDL_OK},
                 {ZX_OBJ_TYPE_VMO, wanted | ZX_RIGHT_WRITE, FIDL_OK},
                 {ZX_OBJ_TYPE_VMO, ZX_RIGHT_READ, FIDL_HANDLE_RIGHTS},
                 {ZX_OBJ_TYPE_EVENT, wanted, FIDL_HANDLE_TYPE}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake_handles_reset();
        infos[0] = fake_handle(cases[i].type, cases[i].rights);
        assert_int_equal(decode_with(&test_sample_options_type, hex, 1), cases[i].error);
        assert_int_equal(fake_handles_live(), cases[i].error == FIDL_OK ? 1 : 0);
        if (cases[i].error == FIDL_OK) {
            struct test_sample_target* target = test_sample_options_get_target(decoded_body);
            assert_int_equal(fake_handle_rights(target->vmo), wanted);
            assert_int_equal(target->size, 0x1000);
        }
    }
    fake_handles_reset();
    infos[0] = fake_handle(ZX_OBJ_TYPE_VMO, wanted | ZX_RIGHT_WRITE);
    fake_handles_refuse_replace(true);
    assert_int_equal(decode_with(&test_sample_options_type, hex, 1), FIDL_HANDLE_RIGHTS);
    assert_int_equal(fake_handles_live(), 0);
    assert_int_equal(decode(&test_sample_options_type, hex), FIDL_HANDLE_COUNT);
}

// "Vectors", "Strings": count and presence; limits; UTF-8.
static void strings(void**) {
    static const struct {
        const char* hex; // of the text, eight bytes
        uint8_t len;
        fidl_error_t error;
    } cases[] = {
        {"6162630000000000", 3, FIDL_OK},
        {"f09f988000000000", 4, FIDL_OK},
        {"f48fbfbf00000000", 4, FIDL_OK},
        {"efbfbfed9fbf0000", 6, FIDL_OK},
        {"6162630000000000", 2, FIDL_BAD_PADDING},
        {"c080000000000000", 2, FIDL_BAD_UTF8}, // overlong
        {"e0808000 00000000", 3, FIDL_BAD_UTF8},
        {"f0808080 00000000", 4, FIDL_BAD_UTF8},
        {"eda08000 00000000", 3, FIDL_BAD_UTF8}, // a surrogate
        {"f4908080 00000000", 4, FIDL_BAD_UTF8}, // beyond U+10FFFF
        {"f5808080 00000000", 4, FIDL_BAD_UTF8},
        {"8000000000000000", 1, FIDL_BAD_UTF8}, // begins in the middle
        {"c300000000000000", 1, FIDL_BAD_UTF8}, // ends in the middle
        {"e282410000000000", 3, FIDL_BAD_UTF8},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char hex[256] = "0200000000000000 ffffffffffffffff | 0000000000000000 |"
                        "18000000 0000 0000 | 0000000000000000 ffffffffffffffff |";
        hex[strlen(hex) - strlen("0000000000000000 ffffffffffffffff |") + 1] =
            (char)('0' + cases[i].len);
        strcat(hex, cases[i].hex);
        assert_int_equal(decode(&test_sample_options_type, hex), cases[i].error);
    }
    // Longer than the type allows (8).
    assert_int_equal(decode(&test_sample_options_type,
                            "0200000000000000 ffffffffffffffff | 0000000000000000 |"
                            "20000000 0000 0000 | 0900000000000000 ffffffffffffffff |"
                            "6161616161616161 6100000000000000"),
                     FIDL_LIMIT);
}

// "Transactional Messages": the header, and messages that are nothing else.
static void messages(void**) {
    struct fidl_encoder e = encoder();
    assert_int_equal(test_sample_service_sync_request_encode(&e, 0x01020304), FIDL_OK);
    assert_int_equal(e.len, 16);
    static const uint8_t head[] = {4, 3, 2, 1, 2, 0, 0, 1};
    assert_memory_equal(e.bytes, head, sizeof(head));
    struct fidl_message m = {.bytes = bytes, .len = 16};
    assert_int_equal(test_sample_service_sync_request_decode(&m), FIDL_OK);
    assert_int_equal(test_sample_service_sync_response_decode(&m), FIDL_OK);
    assert_int_equal(test_sample_service_ping_request_decode(&m), FIDL_BAD_ORDINAL);
    m.len = 24;
    assert_int_equal(test_sample_service_sync_request_decode(&m), FIDL_TOO_LONG);
    m.len = 15;
    assert_int_equal(test_sample_service_sync_request_decode(&m), FIDL_BAD_HEADER);
    m.len = 16;
    bytes[7] = 2; // another magic
    assert_int_equal(test_sample_service_sync_request_decode(&m), FIDL_BAD_HEADER);
    bytes[7] = 1;
    bytes[4] = 0; // format v1
    assert_int_equal(test_sample_service_sync_request_decode(&m), FIDL_BAD_HEADER);
    e = encoder();
    assert_int_equal(test_sample_service_ping_request_encode(&e, 1), FIDL_OK);
    assert_int_equal(e.bytes[6], FIDL_FLEXIBLE);
    m = (struct fidl_message){.bytes = bytes + 4, .len = 16};
    memmove(bytes + 4, bytes, 16);
    assert_int_equal(test_sample_service_ping_request_decode(&m), FIDL_NOT_ALIGNED);
}

// Methods that may fail answer with a union: 1 the answer, 2 the error, 3 "unknown method".
static void results(void**) {
    struct test_sample_service_fetch_result failed = {};
    test_sample_service_fetch_result_set_err(&failed, TEST_SAMPLE_COLOR_BLUE);
    struct fidl_encoder e = encoder();
    assert_int_equal(test_sample_service_fetch_response_encode(&e, 9, &failed), FIDL_OK);
    assert_int_equal(e.len, 32);
    struct fidl_message m = {.bytes = bytes, .len = e.len};
    struct test_sample_service_fetch_result* out;
    assert_int_equal(test_sample_service_fetch_response_decode(&m, &out), FIDL_OK);
    assert_int_equal(*test_sample_service_fetch_result_get_err(out), TEST_SAMPLE_COLOR_BLUE);
    assert_null(test_sample_service_fetch_result_get_response(out));
    e = encoder();
    test_sample_service_fetch_result_set_err(&failed, (test_sample_color_t)3);
    assert_int_equal(test_sample_service_fetch_response_encode(&e, 9, &failed), FIDL_BAD_VALUE);

    struct test_sample_service_ping_result unknown = {};
    test_sample_service_ping_result_set_framework_err(&unknown, FIDL_FRAMEWORK_ERR_UNKNOWN_METHOD);
    e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_service_ping_result_type, &unknown), FIDL_OK);
    check_bytes(&e, "0300000000000000 feffffff 0000 0100");
    struct test_sample_service_ping_response nothing = {};
    test_sample_service_ping_result_set_response(&unknown, &nothing);
    e = encoder();
    assert_int_equal(fidl_encode(&e, &test_sample_service_ping_result_type, &unknown), FIDL_OK);
    check_bytes(&e, "0100000000000000 00000000 0000 0100");
}

static void enums_and_bits(void**) {
    assert_int_equal(decode(&test_sample_color_type, "0400000000000000"), FIDL_OK);
    assert_int_equal(decode(&test_sample_color_type, "0300000000000000"), FIDL_BAD_VALUE);
    assert_int_equal(decode(&test_sample_mood_type, "ffffffff00000000"), FIDL_OK);
    assert_int_equal(decode(&test_sample_mood_type, "3333333300000000"), FIDL_OK);
    assert_int_equal(decode(&test_sample_access_type, "0301000000000000"), FIDL_OK);
    assert_int_equal(decode(&test_sample_access_type, "0400000000000000"), FIDL_BAD_VALUE);
}

// Types of another library, by value, behind pointers, and optional where they were not.
static void two_libraries(void**) {
    struct test_sample_choice choices[2] = {};
    test_sample_choice_set_number(&choices[1], 5);
    struct test_sample_point grids[1][2] = {{{1, 2}, {3, 4}}};
    struct test_other_both both = {.point = {7, 8},
                                   .color = TEST_SAMPLE_COLOR_RED,
                                   .choices = {2, choices},
                                   .grids = {1, grids}};
    struct fidl_encoder e = encoder();
    assert_int_equal(fidl_encode(&e, &test_other_both_type, &both), FIDL_OK);
    static const char good[] = "07000000 08000000 | 01 00000000000000 | 0000000000000000 |"
                               "0200000000000000 ffffffffffffffff |"
                               "0100000000000000 ffffffffffffffff |"
                               "0000000000000000 0000000000000000 |"
                               "0100000000000000 05000000 0000 0100 |"
                               "01000000 02000000 03000000 04000000";
    check_bytes(&e, good);
    assert_int_equal(decode(&test_other_both_type, good), FIDL_OK);
    struct test_other_both* back = decoded_body;
    assert_int_equal(back->choices.data[0].fidl.ordinal, 0);
    assert_int_equal(*test_sample_choice_get_number(&back->choices.data[1]), 5);
    assert_int_equal(back->grids.data[0][1].x, 3);
}

static void errors_have_names(void**) {
    for (unsigned i = 0; i <= FIDL_BUFFER_FULL; i++) {
        assert_string_not_equal(fidl_error_name((fidl_error_t)i), "unknown");
    }
    assert_string_equal(fidl_error_name((fidl_error_t)200), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structures),
        cmocka_unit_test(empty_structure),
        cmocka_unit_test(boxes),
        cmocka_unit_test(depth),
        cmocka_unit_test(depth_by_tables),
        cmocka_unit_test(depth_by_unions),
        cmocka_unit_test(objects_that_cannot_be_encoded),
        cmocka_unit_test(tables),
        cmocka_unit_test(envelopes_that_lie),
        cmocka_unit_test(unknown_table_members),
        cmocka_unit_test(unions),
        cmocka_unit_test(handles),
        cmocka_unit_test(strings),
        cmocka_unit_test(messages),
        cmocka_unit_test(results),
        cmocka_unit_test(enums_and_bits),
        cmocka_unit_test(two_libraries),
        cmocka_unit_test(errors_have_names),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
