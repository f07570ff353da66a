// The protocol compiled from launcher.fidl against the messages written by hand (wire.h) and their
// goldens: the same ordinals, the same bytes in both directions.
//
//     agreement_test GOLDENS
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <fidl/fuchsia.process.h>
#include <zircon/processargs.h>
#include <zircon/rights.h>

#include "sdk/lib/fidl/fake_handles.h"
#include "wire.h"

static const char* goldens;
static uint8_t ours[512] __attribute__((aligned(8)));
static uint8_t by_hand[512] __attribute__((aligned(8)));
static zx_handle_disposition_t dispositions[4];
static zx_handle_info_t infos[4];

static struct fidl_encoder encoder(void) {
    return (struct fidl_encoder){ours, sizeof(ours), 0, dispositions, 4, 0};
}

static struct wire_writer writer(void) {
    return (struct wire_writer){.bytes = by_hand, .capacity = sizeof(by_hand)};
}

static void check_golden(const char* name, const uint8_t* bytes, size_t len) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.hex", goldens, name);
    FILE* f = fopen(path, "r");
    assert_non_null(f);
    size_t at = 0;
    for (unsigned byte; fscanf(f, "%x", &byte) == 1; at++) {
        assert_true(at < len);
        assert_int_equal(bytes[at], byte);
    }
    fclose(f);
    assert_int_equal(at, len);
}

// What both have written, and the golden, are one.
static void check_same(const char* name, const struct fidl_encoder* e,
                       const struct wire_writer* w) {
    assert_false(w->full);
    assert_int_equal(e->len, w->at);
    assert_memory_equal(e->bytes, w->bytes, e->len);
    check_golden(name, e->bytes, e->len);
}

static struct fidl_message received(const struct wire_writer* w, uint32_t handles) {
    return (struct fidl_message){
        .bytes = w->bytes, .len = w->at, .handles = infos, .handle_count = handles};
}

static struct fidl_vector_of_uint8 bytes_of(const char* text) {
    return (struct fidl_vector_of_uint8){strlen(text), (uint8_t*)(uintptr_t)text};
}

static void ordinals(void**) {
    assert_int_equal(FUCHSIA_PROCESS_LAUNCHER_LAUNCH_ORDINAL, LAUNCHSVC_LAUNCH);
    assert_int_equal(FUCHSIA_PROCESS_LAUNCHER_ADD_ARGS_ORDINAL, LAUNCHSVC_ADD_ARGS);
    assert_int_equal(FUCHSIA_PROCESS_LAUNCHER_ADD_ENVIRONS_ORDINAL, LAUNCHSVC_ADD_ENVIRONS);
    assert_int_equal(FUCHSIA_PROCESS_LAUNCHER_ADD_NAMES_ORDINAL, LAUNCHSVC_ADD_NAMES);
    assert_int_equal(FUCHSIA_PROCESS_LAUNCHER_ADD_HANDLES_ORDINAL, LAUNCHSVC_ADD_HANDLES);
}

static void strings(void**) {
    static const char* const args[] = {"bin/hello", "", "12345678"};
    static const char* const environ_strings[] = {"A=1"};
    struct fidl_vector_of_uint8 elements[] = {bytes_of(args[0]), bytes_of(args[1]),
                                              bytes_of(args[2])};
    struct fuchsia_process_launcher_add_args_request request = {.args = {3, elements}};
    struct fidl_encoder e = encoder();
    assert_int_equal(fuchsia_process_launcher_add_args_request_encode(&e, &request), FIDL_OK);
    struct wire_writer w = writer();
    wire_encode_strings(&w, LAUNCHSVC_ADD_ARGS, args, 3);
    check_same("add_args", &e, &w);
    struct fidl_message m = received(&w, 0);
    struct fuchsia_process_launcher_add_args_request* out;
    assert_int_equal(fuchsia_process_launcher_add_args_request_decode(&m, &out), FIDL_OK);
    assert_int_equal(out->args.count, 3);
    assert_int_equal(out->args.data[1].count, 0);
    assert_memory_equal(out->args.data[2].data, "12345678", 8);

    elements[0] = bytes_of(environ_strings[0]);
    struct fuchsia_process_launcher_add_environs_request environs = {.environ = {1, elements}};
    e = encoder();
    assert_int_equal(fuchsia_process_launcher_add_environs_request_encode(&e, &environs), FIDL_OK);
    w = writer();
    wire_encode_strings(&w, LAUNCHSVC_ADD_ENVIRONS, environ_strings, 1);
    check_same("add_environs", &e, &w);
}

static zx_handle_t event(void) {
    return fake_handle(ZX_OBJ_TYPE_EVENT, ZX_RIGHT_WAIT).handle;
}

static void handles(void**) {
    fake_handles_reset();
    static const uint32_t ids[] = {PA_HND(PA_FD, 1), PA_HND(PA_USER0, 0)};
    struct fuchsia_process_handle_info elements[] = {{event(), ids[0]}, {event(), ids[1]}};
    struct fuchsia_process_launcher_add_handles_request request = {.handles = {2, elements}};
    struct fidl_encoder e = encoder();
    assert_int_equal(fuchsia_process_launcher_add_handles_request_encode(&e, &request), FIDL_OK);
    assert_int_equal(e.handle_count, 2);
    assert_int_equal(elements[0].handle, ZX_HANDLE_INVALID); // moved
    struct wire_writer w = writer();
    wire_encode_handles(&w, ids, 2);
    check_same("add_handles", &e, &w);
}

static void names(void**) {
    fake_handles_reset();
    static const char* const paths[] = {"/boot", "/svc"};
    struct fuchsia_process_name_info elements[] = {{{5, paths[0]}, event()},
                                                   {{4, paths[1]}, event()}};
    struct fuchsia_process_launcher_add_names_request request = {.names = {2, elements}};
    struct fidl_encoder e = encoder();
    assert_int_equal(fuchsia_process_launcher_add_names_request_encode(&e, &request), FIDL_OK);
    struct wire_writer w = writer();
    wire_encode_names(&w, paths, 2);
    check_same("add_names", &e, &w);
    infos[0] = fake_handle(ZX_OBJ_TYPE_CHANNEL, 0);
    infos[1] = fake_handle(ZX_OBJ_TYPE_CHANNEL, 0);
    struct fidl_message m = received(&w, 2);
    struct fuchsia_process_launcher_add_names_request* out;
    assert_int_equal(fuchsia_process_launcher_add_names_request_decode(&m, &out), FIDL_OK);
    assert_memory_equal(out->names.data[1].path.data, "/svc", 4);
    assert_int_equal(out->names.data[1].directory, infos[1].handle);
}

static void launch(void**) {
    fake_handles_reset();
    struct fuchsia_process_launcher_launch_request request = {
        .info = {.executable = fake_handle(ZX_OBJ_TYPE_VMO, 0).handle,
                 .job = fake_handle(ZX_OBJ_TYPE_JOB, 0).handle,
                 .name = {5, "hello"}}};
    struct fidl_encoder e = encoder();
    assert_int_equal(fuchsia_process_launcher_launch_request_encode(&e, 0x11223344, &request),
                     FIDL_OK);
    assert_int_equal(e.handles[0].type, ZX_OBJ_TYPE_VMO);
    assert_int_equal(e.handles[1].type, ZX_OBJ_TYPE_JOB);
    struct wire_writer w = writer();
    wire_encode_launch(&w, 0x11223344, "hello");
    check_same("launch", &e, &w);
    // The two handles in the wrong order.
    fake_handles_reset();
    infos[0] = fake_handle(ZX_OBJ_TYPE_JOB, 0);
    infos[1] = fake_handle(ZX_OBJ_TYPE_VMO, 0);
    struct fidl_message m = received(&w, 2);
    struct fuchsia_process_launcher_launch_request* out;
    assert_int_equal(fuchsia_process_launcher_launch_request_decode(&m, &out), FIDL_HANDLE_TYPE);
    assert_null(out);
    assert_int_equal(fake_handles_live(), 0);
}

static void answers(void**) {
    fake_handles_reset();
    struct fuchsia_process_launcher_launch_response response = {
        .status = ZX_OK, .process = fake_handle(ZX_OBJ_TYPE_PROCESS, 0).handle};
    struct fidl_encoder e = encoder();
    assert_int_equal(fuchsia_process_launcher_launch_response_encode(&e, 0x11223344, &response),
                     FIDL_OK);
    struct wire_writer w = writer();
    wire_encode_launch_reply(&w, 0x11223344, ZX_OK, true);
    check_same("launch_reply", &e, &w);
    response =
        (struct fuchsia_process_launcher_launch_response){.status = ZX_ERR_IO_DATA_INTEGRITY};
    e = encoder();
    assert_int_equal(fuchsia_process_launcher_launch_response_encode(&e, 0x11223344, &response),
                     FIDL_OK);
    w = writer();
    wire_encode_launch_reply(&w, 0x11223344, ZX_ERR_IO_DATA_INTEGRITY, false);
    check_same("launch_reply_failed", &e, &w);
    struct fidl_message m = received(&w, 0);
    struct fuchsia_process_launcher_launch_response* out;
    assert_int_equal(fuchsia_process_launcher_launch_response_decode(&m, &out), FIDL_OK);
    assert_int_equal(out->status, ZX_ERR_IO_DATA_INTEGRITY);
    assert_int_equal(out->process, ZX_HANDLE_INVALID);
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s GOLDENS\n", argv[0]);
        return 2;
    }
    goldens = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinals), cmocka_unit_test(strings), cmocka_unit_test(handles),
        cmocka_unit_test(names),    cmocka_unit_test(launch),  cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
