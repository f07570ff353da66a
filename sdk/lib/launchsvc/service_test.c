// A connection over the launcher's fake kernel: what the goldens ask for is launched, every byte of
// them changed to every interesting value is refused or understood, and no handle is ever lost. The
// goldens are the protocol's bytes as its published definition has them.
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

#include <fidl/fuchsia.ldsvc.h>
#include <fidl/fuchsia.process.h>
#include <launchsvc/server.h>
#include <processargs/processargs.h>
#include <zircon/rights.h>
#include <zircon/syscalls.h>

#include "sdk/lib/elf/elf_builder.h"
#include "sdk/lib/launcher/fake_kernel.h"

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

// ---- a connection ----

struct world {
    struct launch_vdso vdso;
    struct launchsvc_service service;
    struct launchsvc_connection* connection;
    struct launchsvc_work* works[16]; // taken and not run
    int work_count;
    zx_handle_t channel;
    int before;
};

static zx_status_t take_work(struct launchsvc_service* service, struct launchsvc_work* work) {
    struct world* w = (struct world*)((char*)service - offsetof(struct world, service));
    if (w->work_count == 16) {
        return ZX_ERR_NO_RESOURCES;
    }
    w->works[w->work_count++] = work;
    return ZX_OK;
}

static void world_begin(struct world* w) {
    fake_reset();
    *w = (struct world){.service = {.vdso = &w->vdso, .begin = take_work}};
    struct launch_result result = launch_vdso_init(&w->vdso, fake_vmo(vdso_image, vdso_len));
    assert_int_equal(result.error, LAUNCH_OK);
    w->channel = fake_channel();
    w->before = fake_live_handles();
    w->connection = launchsvc_connection_new(&w->service, w->channel, w);
    assert_non_null(w->connection);
}

static zx_handle_info_t info_of(zx_handle_t handle) {
    return (zx_handle_info_t){
        .handle = handle, .type = fake_type(handle), .rights = ZX_RIGHT_SAME_RIGHTS - 1};
}

static alignas(8) uint8_t answer[1024];

static void finish(struct world* w, zx_status_t want) {
    for (int i = 0; i < w->work_count; i++) {
        void* owner = nullptr;
        launchsvc_work_run(w->works[i]);
        struct fidl_storage storage = {answer, sizeof(answer)};
        assert_int_equal(launchsvc_work_finish(w->works[i], storage, &owner), want);
        assert_true(owner == nullptr || owner == w);
    }
    w->work_count = 0;
}

static zx_status_t send(struct world* w, const uint8_t* bytes, size_t len,
                        zx_handle_info_t* handles, uint32_t count) {
    // In memory of exactly this length: whatever reads beyond it is caught.
    uint8_t* exact = malloc(len);
    memcpy(exact, bytes, len);
    struct fidl_message message = {
        .bytes = exact, .len = len, .handles = handles, .handle_count = count};
    struct fidl_storage storage = {answer, sizeof(answer)};
    zx_status_t status = launchsvc_handle(w->connection, &message, storage);
    free(exact);
    return status;
}

// Sends a golden with the handles that belong to it.
static zx_status_t send_golden(struct world* w, const char* name) {
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
    return send(w, bytes, len, handles, count);
}

// The answer to the launch whose process's bootstrap message was number `index`.
static const struct fake_message* reply_after(uint32_t index, const char* golden) {
    const struct fake_message* m = fake_message(index);
    assert_non_null(m);
    uint8_t bytes[512];
    size_t len = read_golden(golden, bytes, sizeof(bytes));
    assert_int_equal(m->len, len);
    assert_memory_equal(m->bytes, bytes, len);
    return m;
}

static void what_was_collected_arrives(void**) {
    struct world w;
    world_begin(&w);
    static const char* const names[] = {"add_args", "add_environs", "add_names", "add_handles"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(send_golden(&w, names[i]), ZX_OK);
        assert_int_equal(w.work_count, 0);
    }
    assert_int_equal(send_golden(&w, "launch"), ZX_OK);
    assert_int_equal(w.work_count, 1);
    finish(&w, ZX_OK);
    assert_true(fake_started().started);
    const struct fake_message* m = fake_message(0);
    const struct fake_message* reply = reply_after(1, "launch_reply");
    assert_int_equal(reply->handle_count, 1);
    assert_int_equal(fake_type(reply->handles[0]), ZX_OBJ_TYPE_PROCESS);
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
    launchsvc_connection_end(w.connection);
    assert_int_equal(fake_live_handles() - (int)m->handle_count - 1, w.before);
}

static void a_launch_uses_up_what_was_collected(void**) {
    struct world w;
    world_begin(&w);
    assert_int_equal(send_golden(&w, "add_args"), ZX_OK);
    assert_int_equal(send_golden(&w, "launch"), ZX_OK);
    assert_int_equal(send_golden(&w, "launch"), ZX_OK);
    finish(&w, ZX_OK);
    const struct fake_message* m =
        fake_message(2); // bootstrap and answer of the first stand before it
    struct processargs args;
    assert_int_equal(processargs_parse(m->bytes, m->len, m->handle_count, &args), PROCESSARGS_OK);
    assert_int_equal(args.args.count, 0);
    launchsvc_connection_end(w.connection);
}

static void a_failed_launch_is_answered(void**) {
    struct world w;
    world_begin(&w);
    assert_int_equal(send_golden(&w, "add_handles"), ZX_OK);
    uint8_t bytes[512];
    size_t len = read_golden("launch", bytes, sizeof(bytes));
    zx_handle_info_t handles[] = {info_of(fake_vmo("not an ELF file", 16)), info_of(fake_job())};
    assert_int_equal(send(&w, bytes, len, handles, 2), ZX_OK);
    finish(&w, ZX_OK);
    assert_int_equal(reply_after(0, "launch_reply_failed")->handle_count, 0);
    assert_int_equal(fake_live_handles(), w.before); // the collected handles as well
    launchsvc_connection_end(w.connection);
}

static void what_was_collected_dies_with_the_connection(void**) {
    struct world w;
    world_begin(&w);
    assert_int_equal(send_golden(&w, "add_handles"), ZX_OK);
    assert_int_equal(fake_live_handles(), w.before + 2);
    launchsvc_connection_end(w.connection);
    assert_int_equal(fake_live_handles(), w.before);
}

static void handles_of_the_wrong_type_or_number_are_refused(void**) {
    struct world w;
    uint8_t bytes[512];
    size_t len = read_golden("launch", bytes, sizeof(bytes));
    for (uint32_t count = 0; count <= 3; count++) {
        world_begin(&w);
        zx_handle_info_t handles[3];
        for (uint32_t i = 0; i < count; i++) {
            handles[i] = info_of(fake_event());
        }
        assert_int_not_equal(send(&w, bytes, len, handles, count), ZX_OK);
        assert_int_equal(w.work_count, 0);
        launchsvc_connection_end(w.connection);
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
            (void)send(&w, changed, changed_len, handles, two ? 2 : 0);
            launchsvc_connection_end(w.connection);
            finish(&w, ZX_OK); // to nobody
            int in_messages = 0;
            for (uint32_t i = 0; fake_message(i) != nullptr; i++) {
                in_messages += (int)fake_message(i)->handle_count;
            }
            assert_int_equal(fake_live_handles() - in_messages, w.before);
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
    world_begin(&w);
    zx_status_t status = ZX_OK;
    int sent = 0;
    for (; sent < 100 && status == ZX_OK; sent++) {
        status = send_golden(&w, "add_handles");
    }
    assert_int_equal(status, ZX_ERR_OUT_OF_RANGE);
    assert_int_equal(sent, (ZX_CHANNEL_MAX_MSG_HANDLES - launch_own_handles) / 2 + 1);
    launchsvc_connection_end(w.connection);
    assert_int_equal(fake_live_handles(), w.before);
    world_begin(&w);
    status = ZX_OK;
    for (sent = 0; sent < 10'000 && status == ZX_OK; sent++) {
        status = send_golden(&w, "add_args");
    }
    assert_int_equal(status, ZX_ERR_OUT_OF_RANGE);
    launchsvc_connection_end(w.connection);
}

// ---- what goes beyond Launch ----

// A request made by the generated encoder.
static zx_status_t send_request(struct world* w, const struct fidl_method* method, uint32_t txid,
                                void* body) {
    alignas(8) uint8_t bytes[1024];
    zx_handle_disposition_t dispositions[4];
    zx_handle_info_t handles[4];
    struct fidl_encoder e = {bytes, sizeof(bytes), 0, dispositions, 4, 0};
    assert_int_equal(
        fidl_encode_message(&e, txid, method->ordinal, method->flags, method->request, body),
        FIDL_OK);
    for (uint32_t i = 0; i < e.handle_count; i++) {
        handles[i] = info_of(dispositions[i].handle);
    }
    return send(w, bytes, e.len, handles, e.handle_count);
}

static struct fuchsia_process_launch_info info_for(const uint8_t* file, size_t len) {
    return (struct fuchsia_process_launch_info){
        .executable = fake_vmo(file, len), .job = fake_job(), .name = {5, (char*)"hello"}};
}

static void a_process_is_made_and_not_started(void**) {
    struct world w;
    world_begin(&w);
    struct fuchsia_process_launch_info info = info_for(program, program_len);
    assert_int_equal(
        send_request(&w, &fuchsia_process_launcher_create_without_starting_method, 7, &info),
        ZX_OK);
    finish(&w, ZX_OK);
    assert_false(fake_started().started);
    const struct fake_message* reply = fake_message(1);
    assert_non_null(reply);
    static const zx_obj_type_t types[] = {ZX_OBJ_TYPE_PROCESS, ZX_OBJ_TYPE_VMAR, ZX_OBJ_TYPE_THREAD,
                                          ZX_OBJ_TYPE_CHANNEL};
    assert_int_equal(reply->handle_count, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fake_type(reply->handles[i]), types[i]);
    }
    launchsvc_connection_end(w.connection);
    // The message's handles and the answer's are all that is left.
    assert_int_equal(fake_live_handles() - (int)fake_message(0)->handle_count - 4, w.before);
}

static void nobody_left_to_answer(void**) {
    struct world w;
    world_begin(&w);
    struct fuchsia_process_launch_info info = info_for(program, program_len);
    assert_int_equal(
        send_request(&w, &fuchsia_process_launcher_create_without_starting_method, 7, &info),
        ZX_OK);
    launchsvc_connection_end(w.connection);
    finish(&w, ZX_OK);
    assert_null(fake_message(1));
    assert_int_equal(fake_live_processes(), 0);
}

static void too_many_launches_at_once(void**) {
    struct world w;
    world_begin(&w);
    zx_status_t status = ZX_OK;
    int sent = 0;
    for (; sent < 20 && status == ZX_OK; sent++) {
        status = send_golden(&w, "launch");
    }
    assert_int_equal(status, ZX_ERR_NO_RESOURCES);
    assert_int_equal(sent, 9);
    launchsvc_connection_end(w.connection);
    finish(&w, ZX_OK);
}

// A program of one segment that names an interpreter.
static struct elf_image image_with_interpreter(const char* name) {
    struct elf_image image = image_make(4096, 3, 2);
    image_set_entry(&image, 0x100);
    memcpy(image.bytes + 1024, name, strlen(name));
    image_put_phdr(&image, 0,
                   (struct elf_phdr){.type = 3,
                                     .flags = 4,
                                     .offset = 1024,
                                     .vaddr = 1024,
                                     .filesz = strlen(name) + 1,
                                     .memsz = strlen(name) + 1,
                                     .align = 1});
    image_put_phdr(&image, 1,
                   (struct elf_phdr){.type = 1,
                                     .flags = 5,
                                     .offset = 0,
                                     .vaddr = 0,
                                     .filesz = 4096,
                                     .memsz = 4096,
                                     .align = 4096});
    return image;
}

static void a_loader_service_is_asked(void**) {
    struct elf_image image = image_with_interpreter("ld.so.1");
    struct world w;
    for (int has_loader = 0; has_loader < 2; has_loader++) {
        world_begin(&w);
        if (has_loader) {
            struct fuchsia_process_handle_info handle = {fake_channel(),
                                                         PA_HND(PA_LDSVC_LOADER, 0)};
            struct fuchsia_process_launcher_add_handles_request request = {{1, &handle}};
            assert_int_equal(
                send_request(&w, &fuchsia_process_launcher_add_handles_method, 0, &request), ZX_OK);
        }
        struct fuchsia_process_launch_info info = info_for(image.bytes, image.len);
        assert_int_equal(send_request(&w, &fuchsia_process_launcher_launch_method, 7, &info),
                         ZX_OK);
        static alignas(8) uint8_t loaded[64];
        zx_handle_disposition_t disposition;
        struct fidl_encoder e = {loaded, sizeof(loaded), 0, &disposition, 1, 0};
        struct fuchsia_ldsvc_loader_load_object_response response = {
            .rv = ZX_OK, .object = fake_vmo(program, program_len)};
        const struct fidl_method* method = &fuchsia_ldsvc_loader_load_object_method;
        assert_int_equal(
            fidl_encode_message(&e, 1, method->ordinal, 0, method->response, &response), FIDL_OK);
        fake_answer(loaded, (uint32_t)e.len, disposition.handle);
        finish(&w, ZX_OK);
        launchsvc_connection_end(w.connection);
        assert_int_equal(fake_started().started, has_loader);
        if (has_loader) {
            // The loader's message, then the program's: the loader got the service and the file.
            struct processargs args;
            const struct fake_message* m = fake_message(0);
            assert_int_equal(processargs_parse(m->bytes, m->len, m->handle_count, &args),
                             PROCESSARGS_OK);
            assert_int_equal(args.handle_infos[args.handle_count - 1], PA_HND(PA_LDSVC_LOADER, 0));
            assert_non_null(fake_message(1));
        }
    }
    free(image.bytes);
}

static void options_count_once(void**) {
    struct world w;
    world_begin(&w);
    union fidl_envelope members[FUCHSIA_PROCESS_OPTIONS_MEMBERS] = {};
    struct fuchsia_process_launcher_set_options_request options = {
        {.fidl = {FUCHSIA_PROCESS_OPTIONS_MEMBERS, members}}};
    uint64_t stack = 1 << 20;
    fuchsia_process_options_set_stack_size(&options.options, &stack);
    assert_int_equal(send_request(&w, &fuchsia_process_launcher_set_options_method, 0, &options),
                     ZX_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send_golden(&w, "launch"), ZX_OK);
        finish(&w, ZX_OK);
        const struct fake_mapping* top = fake_mapping_at(fake_started().stack);
        assert_non_null(top);
        assert_int_equal(top->len >= stack, i == 0);
    }
    launchsvc_connection_end(w.connection);
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
        cmocka_unit_test(what_was_collected_arrives),
        cmocka_unit_test(a_launch_uses_up_what_was_collected),
        cmocka_unit_test(a_failed_launch_is_answered),
        cmocka_unit_test(what_was_collected_dies_with_the_connection),
        cmocka_unit_test(handles_of_the_wrong_type_or_number_are_refused),
        cmocka_unit_test(damaged_messages_lose_nothing),
        cmocka_unit_test(a_connection_has_limits),
        cmocka_unit_test(a_process_is_made_and_not_started),
        cmocka_unit_test(nobody_left_to_answer),
        cmocka_unit_test(too_many_launches_at_once),
        cmocka_unit_test(a_loader_service_is_asked),
        cmocka_unit_test(options_count_once),
    };
    int failed = cmocka_run_group_tests(tests, nullptr, nullptr);
    fake_reset();
    free(program);
    free(vdso_image);
    return failed;
}
