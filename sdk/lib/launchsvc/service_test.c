// The wire against its goldens, and a connection over the launcher's fake kernel: sound requests
// launch, every byte of them changed to every interesting value is refused or understood, and no
// handle is ever lost.
//
//     service_test GOLDENS PROGRAM VDSO
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <launchsvc/server.h>
#include <processargs/processargs.h>
#include <zircon/syscalls.h>

#include "sdk/lib/launcher/fake_kernel.h"
#include "wire.h"

static const char* goldens;
static uint8_t *program, *vdso_image;
static size_t program_len, vdso_len;

static uint8_t* read_file(const char* path, size_t* len) {
    FILE* f = fopen(path, "rb");
    if (f == nullptr) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        exit(2);
    }
    uint8_t* data = malloc(1 << 22);
    *len = fread(data, 1, 1 << 22, f);
    fclose(f);
    return data;
}

// ---- goldens ----

static size_t read_golden(const char* name, uint8_t* out, size_t capacity) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.hex", goldens, name);
    FILE* f = fopen(path, "r");
    assert_non_null(f);
    unsigned byte;
    size_t len = 0;
    while (len < capacity && fscanf(f, "%x", &byte) == 1) {
        out[len++] = (uint8_t)byte;
    }
    fclose(f);
    assert_true(len >= 16);
    return len;
}

static void check_golden(const char* name, const struct wire_writer* w) {
    uint8_t golden[512];
    size_t len = read_golden(name, golden, sizeof(golden));
    assert_false(w->full);
    assert_int_equal(w->at, len);
    assert_memory_equal(w->bytes, golden, len);
}

static struct wire_writer writer(void) {
    static uint8_t bytes[512];
    return (struct wire_writer){.bytes = bytes, .capacity = sizeof(bytes)};
}

static void requests_are_the_goldens(void**) {
    static const char* const args[] = {"bin/hello", "", "12345678"};
    static const char* const environ_strings[] = {"A=1"};
    static const uint32_t ids[] = {PA_HND(PA_FD, 1), PA_HND(PA_USER0, 0)};
    static const char* const names[] = {"/boot", "/svc"};
    struct wire_writer w = writer();
    wire_encode_strings(&w, LAUNCHSVC_ADD_ARGS, args, 3);
    check_golden("add_args", &w);
    w = writer();
    wire_encode_strings(&w, LAUNCHSVC_ADD_ENVIRONS, environ_strings, 1);
    check_golden("add_environs", &w);
    w = writer();
    wire_encode_handles(&w, ids, 2);
    check_golden("add_handles", &w);
    w = writer();
    wire_encode_names(&w, names, 2);
    check_golden("add_names", &w);
    w = writer();
    wire_encode_launch(&w, 0x11223344, "hello");
    check_golden("launch", &w);
    w = writer();
    wire_encode_launch_reply(&w, 0x11223344, ZX_OK, true);
    check_golden("launch_reply", &w);
    w = writer();
    wire_encode_launch_reply(&w, 0x11223344, ZX_ERR_IO_DATA_INTEGRITY, false);
    check_golden("launch_reply_failed", &w);
}

static void a_full_writer_says_so(void**) {
    uint8_t small[20];
    struct wire_writer w = {.bytes = small, .capacity = sizeof(small)};
    wire_encode_launch(&w, 1, "hello");
    assert_true(w.full);
}

// ---- a connection ----

struct world {
    struct launch_vdso vdso;
    struct launchsvc_connection* connection;
    int before;
};

static void world_begin(struct world* w) {
    fake_reset();
    struct launch_result result = launch_vdso_init(&w->vdso, fake_vmo(vdso_image, vdso_len));
    assert_int_equal(result.error, LAUNCH_OK);
    w->before = fake_live_handles();
    w->connection = launchsvc_connection_new(&w->vdso);
    assert_non_null(w->connection);
}

static zx_handle_info_t info_of(zx_handle_t handle) {
    return (zx_handle_info_t){.handle = handle, .type = fake_type(handle)};
}

static zx_status_t send(struct world* w, const uint8_t* bytes, size_t len,
                        zx_handle_info_t* handles, uint32_t count, struct launchsvc_reply* reply) {
    // In memory of exactly this length: whatever reads beyond it is caught.
    uint8_t* exact = malloc(len);
    memcpy(exact, bytes, len);
    zx_status_t status = launchsvc_handle(w->connection, exact, len, handles, count, reply);
    free(exact);
    return status;
}

// Sends a golden with the handles that belong to it.
static zx_status_t send_golden(struct world* w, const char* name, struct launchsvc_reply* reply) {
    uint8_t bytes[512];
    size_t len = read_golden(name, bytes, sizeof(bytes));
    zx_handle_info_t handles[2];
    uint32_t count = 0;
    if (strcmp(name, "launch") == 0) {
        handles[count++] = info_of(fake_vmo(program, program_len));
        handles[count++] = info_of(fake_job());
    } else if (strcmp(name, "add_handles") == 0 || strcmp(name, "add_names") == 0) {
        handles[count++] = info_of(fake_event());
        handles[count++] = info_of(fake_event());
    }
    return send(w, bytes, len, handles, count, reply);
}

static void what_was_collected_arrives(void**) {
    struct world w;
    struct launchsvc_reply reply;
    world_begin(&w);
    static const char* const names[] = {"add_args", "add_environs", "add_names", "add_handles"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(send_golden(&w, names[i], &reply), ZX_OK);
        assert_int_equal(reply.len, 0);
    }
    assert_int_equal(send_golden(&w, "launch", &reply), ZX_OK);
    assert_int_equal(reply.len, 24);
    assert_int_equal(wire_u32(reply.bytes), 0x11223344);
    assert_int_equal((int32_t)wire_u32(reply.bytes + 16), ZX_OK);
    assert_int_equal(fake_type(reply.process), ZX_OBJ_TYPE_PROCESS);
    assert_true(fake_started().started);
    const struct fake_message* m = fake_message(0);
    struct processargs args;
    assert_int_equal(processargs_parse(m->bytes, m->len, m->handle_count, &args), PROCESSARGS_OK);
    assert_int_equal(args.args.count, 3);
    assert_string_equal(args.args.first, "bin/hello");
    assert_string_equal(args.environ.first, "A=1");
    assert_string_equal(args.names.first, "/boot");
    static const uint32_t want[] = {PA_HND(PA_NS_DIR, 0), PA_HND(PA_NS_DIR, 1), PA_HND(PA_FD, 1),
                                    PA_HND(PA_USER0, 0)};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(args.handle_infos[launch_own_handles + i], want[i]);
    }
    launchsvc_connection_free(w.connection);
    assert_int_equal(fake_live_handles() - (int)m->handle_count - 1, w.before);
}

static void a_launch_uses_up_what_was_collected(void**) {
    struct world w;
    struct launchsvc_reply reply;
    world_begin(&w);
    assert_int_equal(send_golden(&w, "add_args", &reply), ZX_OK);
    assert_int_equal(send_golden(&w, "launch", &reply), ZX_OK);
    assert_int_equal(send_golden(&w, "launch", &reply), ZX_OK);
    const struct fake_message* m = fake_message(1);
    struct processargs args;
    assert_int_equal(processargs_parse(m->bytes, m->len, m->handle_count, &args), PROCESSARGS_OK);
    assert_int_equal(args.args.count, 0);
    launchsvc_connection_free(w.connection);
}

static void a_failed_launch_is_answered(void**) {
    struct world w;
    struct launchsvc_reply reply;
    world_begin(&w);
    assert_int_equal(send_golden(&w, "add_handles", &reply), ZX_OK);
    uint8_t bytes[512];
    size_t len = read_golden("launch", bytes, sizeof(bytes));
    zx_handle_info_t handles[] = {info_of(fake_vmo("not an ELF file", 16)), info_of(fake_job())};
    assert_int_equal(send(&w, bytes, len, handles, 2, &reply), ZX_OK);
    assert_int_equal((int32_t)wire_u32(reply.bytes + 16), ZX_ERR_IO_DATA_INTEGRITY);
    assert_int_equal(wire_u32(reply.bytes + 20), 0);
    assert_int_equal(reply.process, ZX_HANDLE_INVALID);
    assert_int_equal(fake_live_handles(), w.before); // the collected handles as well
    launchsvc_connection_free(w.connection);
}

static void what_was_collected_dies_with_the_connection(void**) {
    struct world w;
    struct launchsvc_reply reply;
    world_begin(&w);
    assert_int_equal(send_golden(&w, "add_handles", &reply), ZX_OK);
    assert_int_equal(fake_live_handles(), w.before + 2);
    launchsvc_connection_free(w.connection);
    assert_int_equal(fake_live_handles(), w.before);
}

static void handles_of_the_wrong_type_or_number_are_refused(void**) {
    struct world w;
    struct launchsvc_reply reply;
    uint8_t bytes[512];
    size_t len = read_golden("launch", bytes, sizeof(bytes));
    for (uint32_t count = 0; count <= 3; count++) {
        world_begin(&w);
        zx_handle_info_t handles[3];
        for (uint32_t i = 0; i < count; i++) {
            handles[i] = info_of(fake_event());
        }
        assert_int_equal(send(&w, bytes, len, handles, count, &reply),
                         count == 2 ? ZX_ERR_WRONG_TYPE : ZX_ERR_IO_INVALID);
        launchsvc_connection_free(w.connection);
        assert_int_equal(fake_live_handles(), w.before);
    }
}

// ---- damage ----

static void damaged(const char* name) {
    static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff};
    uint8_t bytes[512];
    size_t len = read_golden(name, bytes, sizeof(bytes));
    bool two = strncmp(name, "launch", 6) == 0 || strcmp(name, "add_handles") == 0 ||
               strcmp(name, "add_names") == 0;
    for (size_t at = 0; at <= len; at++) { // at == len: nothing changed, but cut short
        for (size_t v = 0; v < sizeof(values); v++) {
            struct world w;
            struct launchsvc_reply reply;
            world_begin(&w);
            uint8_t changed[512];
            memcpy(changed, bytes, len);
            size_t changed_len = at == len ? len * v / sizeof(values) : len;
            if (at < len) {
                changed[at] = values[v];
            }
            zx_handle_info_t handles[2];
            for (uint32_t i = 0; two && i < 2; i++) {
                handles[i] = info_of(i == 0 ? fake_vmo(program, 4096) : fake_job());
            }
            (void)send(&w, changed, changed_len, handles, two ? 2 : 0, &reply);
            (void)zx_handle_close(reply.process);
            launchsvc_connection_free(w.connection);
            assert_int_equal(fake_live_handles(), w.before);
        }
    }
}

static void damaged_messages_lose_nothing(void**) {
    damaged("add_args");
    damaged("add_environs");
    damaged("add_names");
    damaged("add_handles");
    damaged("launch");
}

static void a_connection_has_limits(void**) {
    struct world w;
    struct launchsvc_reply reply;
    world_begin(&w);
    zx_status_t status = ZX_OK;
    int sent = 0;
    for (; sent < 100 && status == ZX_OK; sent++) {
        status = send_golden(&w, "add_handles", &reply);
    }
    assert_int_equal(status, ZX_ERR_OUT_OF_RANGE);
    assert_int_equal(sent, (ZX_CHANNEL_MAX_MSG_HANDLES - launch_own_handles) / 2 + 1);
    launchsvc_connection_free(w.connection);
    assert_int_equal(fake_live_handles(), w.before);
    world_begin(&w);
    status = ZX_OK;
    for (sent = 0; sent < 10'000 && status == ZX_OK; sent++) {
        status = send_golden(&w, "add_args", &reply);
    }
    assert_int_equal(status, ZX_ERR_OUT_OF_RANGE);
    launchsvc_connection_free(w.connection);
}

int main(int argc, char** argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: service_test GOLDENS PROGRAM VDSO\n");
        return 2;
    }
    goldens = argv[1];
    program = read_file(argv[2], &program_len);
    vdso_image = read_file(argv[3], &vdso_len);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_the_goldens),
        cmocka_unit_test(a_full_writer_says_so),
        cmocka_unit_test(what_was_collected_arrives),
        cmocka_unit_test(a_launch_uses_up_what_was_collected),
        cmocka_unit_test(a_failed_launch_is_answered),
        cmocka_unit_test(what_was_collected_dies_with_the_connection),
        cmocka_unit_test(handles_of_the_wrong_type_or_number_are_refused),
        cmocka_unit_test(damaged_messages_lose_nothing),
        cmocka_unit_test(a_connection_has_limits),
    };
    int failed = cmocka_run_group_tests(tests, nullptr, nullptr);
    fake_reset();
    free(program);
    free(vdso_image);
    return failed;
}
