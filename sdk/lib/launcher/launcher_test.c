// Launches over a fake kernel: what ends up in the process's memory, what it is told, and that a
// launch that fails, at whatever call, leaves nothing behind.
//
//     launcher_test PROGRAM VDSO CORPUS: a real program, the real vDSO, a folder of malformed files
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <launcher/launcher.h>
#include <processargs/processargs.h>
#include <zircon/syscalls.h>

#include "fake_kernel.h"
#include "test_scene.h"

constexpr uint64_t PAGE = 4096;

static const char* corpus;

// ---- what must be there ----

static void check_stack(uint64_t stack, uint64_t len) {
    const struct fake_mapping* m = fake_mapping_at(stack);
    assert_non_null(m);
    assert_int_equal(m->len, len);
    assert_int_equal(m->permissions, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE);
    assert_null(fake_mapping_at(m->address - 1)); // the guard
}

static void check_vdso(uint64_t base) {
    for (uint64_t at = 0; at < test_vdso.len; at += PAGE) {
        uint8_t got[4096];
        assert_true(fake_read(base + at, got, sizeof(got)));
        assert_memory_equal(got, test_vdso.data + at, sizeof(got));
        assert_int_equal(fake_mapping_at(base + at)->permissions & ZX_VM_PERM_WRITE, 0);
    }
}

static void parse(const struct fake_message* m, struct processargs* out) {
    assert_non_null(m);
    assert_int_equal(processargs_parse(m->bytes, m->len, m->handle_count, out), PROCESSARGS_OK);
}

static zx_handle_t handle_in(const struct fake_message* m, uint32_t info) {
    struct processargs args;
    parse(m, &args);
    for (uint32_t i = 0; i < args.handle_count; i++) {
        if (args.handle_infos[i] == info) {
            return m->handles[i];
        }
    }
    return ZX_HANDLE_INVALID;
}

static void check_strings(const struct fake_message* m) {
    struct processargs args;
    parse(m, &args);
    const char* pointers[8];
    assert_int_equal(args.args.count, 4);
    processargs_string_pointers(&args.args, pointers);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(pointers[i], test_args[i]);
    }
    assert_int_equal(args.environ.count, 2);
    assert_string_equal(args.environ.first, "A=1");
    assert_int_equal(args.names.count, 1);
    assert_string_equal(args.names.first, "/boot");
}

static void check_program_message(const struct fake_message* m) {
    check_strings(m);
    static const struct {
        uint32_t info;
        zx_obj_type_t type;
    } want[] = {{PA_HND(PA_PROC_SELF, 0), ZX_OBJ_TYPE_PROCESS},
                {PA_HND(PA_THREAD_SELF, 0), ZX_OBJ_TYPE_THREAD},
                {PA_HND(PA_VMAR_ROOT, 0), ZX_OBJ_TYPE_VMAR},
                {PA_HND(PA_VMAR_LOADED, 0), ZX_OBJ_TYPE_VMAR},
                {PA_HND(PA_VMO_VDSO, 0), ZX_OBJ_TYPE_VMO},
                {PA_HND(PA_VMO_STACK, 0), ZX_OBJ_TYPE_VMO},
                {PA_HND(PA_FD, 1), ZX_OBJ_TYPE_EVENT},
                {PA_HND(PA_USER0, 7), ZX_OBJ_TYPE_EVENT}};
    assert_int_equal(m->handle_count, sizeof(want) / sizeof(want[0]));
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_int_equal(fake_type(handle_in(m, want[i].info)), want[i].type);
    }
}

// ---- the tests ----

static int before_each(void**) {
    fake_reset();
    return 0;
}

static void check_native(struct scene* s) {
    zx_handle_t process;
    struct launch_result result = launch(&s->request, &process);
    assert_int_equal(result.error, LAUNCH_OK);
    struct fake_start start = fake_started();
    assert_true(start.started);
    const Elf64_Ehdr* eh = (const void*)test_program.data;
    check_image(test_program, start.entry - eh->e_entry);
    assert_int_equal(start.stack % 16, 8);
    check_stack(start.stack, launch_stack_default);
    check_vdso(start.arg2);
    check_program_message(fake_message(0));
    assert_null(fake_message(1));
    (void)zx_handle_close(process);
    assert_int_equal(fake_live_handles() - sent_handles(), s->handles_before);
}

static void a_program_from_a_vmo(void**) {
    struct scene s;
    scene_begin(&s, vmo_file(test_program));
    check_native(&s);
}

static int32_t read_program(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    const struct bytes* b = ctx;
    uint64_t left = offset < b->len ? b->len - offset : 0;
    *out_len = len < left ? len : (size_t)left;
    *out_len = *out_len > 700 ? 700 : *out_len; // a server that answers in pieces
    memcpy(buffer, b->data + offset, *out_len);
    return ZX_OK;
}

// Short reads of headers are the end of the file, so only segments come in pieces.
static int32_t read_pieces(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    if (offset < PAGE) {
        const struct bytes* b = ctx;
        *out_len = len;
        memcpy(buffer, b->data + offset, len);
        return ZX_OK;
    }
    return read_program(ctx, offset, buffer, len, out_len);
}

static void a_program_from_a_callback(void**) {
    struct scene s;
    scene_begin(&s, (struct launch_file){
                        .read = read_pieces, .ctx = &test_program, .len = test_program.len});
    check_native(&s);
}

static int32_t read_nothing(void*, uint64_t, void*, size_t, size_t*) {
    return ZX_ERR_IO_DATA_LOSS;
}

static void a_callback_that_fails(void**) {
    struct scene s;
    scene_begin(&s, (struct launch_file){.read = read_nothing, .len = test_program.len});
    struct launch_result result = launch(&s.request, nullptr);
    assert_int_equal(result.error, LAUNCH_BAD_PROGRAM);
    assert_int_equal(result.elf, ELF_READ_FAILED);
    assert_int_equal(result.status, ZX_ERR_IO_DATA_LOSS);
    assert_int_equal(fake_live_handles(), s.handles_before);
}

// It was longer when somebody asked for its length.
static void a_file_that_was_cut_off(void**) {
    struct scene s;
    scene_begin(&s, (struct launch_file){.vmo = fake_vmo(nullptr, 0), .len = test_program.len});
    struct launch_result result = launch(&s.request, nullptr);
    assert_int_equal(result.error, LAUNCH_BAD_PROGRAM);
    assert_int_equal(result.elf, ELF_TRUNCATED);
    assert_int_equal(result.status, ZX_ERR_IO_DATA_INTEGRITY);
    assert_int_equal(fake_live_handles(), s.handles_before);
}

// Each call that a launch makes is refused once.
static void refuse_every_call(struct launch_file (*make_file)(void), launch_mode_t mode) {
    for (int call = 0;; call++) {
        fake_reset();
        struct scene s;
        scene_begin(&s, make_file());
        s.request.mode = mode;
        fake_refuse(call);
        zx_handle_t process = ZX_HANDLE_INVALID;
        struct launch_result result = launch(&s.request, &process);
        if (!fake_refused()) {
            assert_int_equal(result.error, LAUNCH_OK);
            assert_true(call > 15); // the test has looked at something
            return;
        }
        assert_int_not_equal(result.error, LAUNCH_OK);
        assert_int_not_equal(result.status, ZX_OK);
        assert_int_equal(process, ZX_HANDLE_INVALID);
        assert_int_equal(fake_live_handles() - sent_handles(), s.handles_before);
        assert_int_equal(fake_live_processes(), 0);
        assert_false(fake_started().started);
    }
}

static struct launch_file program_in_vmo(void) {
    return vmo_file(test_program);
}

static struct launch_file program_by_callback(void) {
    return (struct launch_file){.read = read_pieces, .ctx = &test_program, .len = test_program.len};
}

static void every_refused_call_leaves_nothing(void**) {
    refuse_every_call(program_in_vmo, LAUNCH_NATIVE);
    refuse_every_call(program_by_callback, LAUNCH_NATIVE);
    refuse_every_call(program_in_vmo, LAUNCH_LINUX);
}

// ---- the stack ----

static void the_stack_is_as_long_as_asked_for(void**) {
    struct scene s;
    scene_begin(&s, vmo_file(make_elf(0, nullptr, 1'000'000)));
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_OK);
    check_stack(fake_started().stack, (1'000'000 + PAGE - 1) / PAGE * PAGE);
    fake_reset();
    scene_begin(&s, vmo_file(make_elf(0, nullptr, 1'000'000)));
    s.request.stack_len = 5000;
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_OK);
    check_stack(fake_started().stack, 2 * PAGE);
}

// ---- interpreters ----

static struct launch_file found;
static const char* asked_for;

static zx_status_t find(void*, const char* path, struct launch_file* out) {
    asked_for = strdup(path);
    *out = found;
    return found.vmo != ZX_HANDLE_INVALID ? ZX_OK : ZX_ERR_NOT_FOUND;
}

static void only_the_interpreter_is_mapped(void**) {
    struct scene s;
    scene_begin(&s, vmo_file(make_elf(0, "ld.so.1", 0)));
    found = vmo_file(test_program);
    s.handles_before += 1;
    s.request.find_interpreter = find;
    s.request.loader_service = fake_event();
    struct launch_result result = launch(&s.request, nullptr);
    assert_int_equal(result.error, LAUNCH_OK);
    assert_string_equal(asked_for, "ld.so.1");
    const Elf64_Ehdr* eh = (const void*)test_program.data;
    check_image(test_program, fake_started().entry - eh->e_entry);
    const struct fake_message* loader = fake_message(0);
    check_strings(loader);
    assert_int_equal(loader->handle_count, 5);
    assert_int_equal(fake_type(handle_in(loader, PA_HND(PA_VMO_EXECUTABLE, 0))), ZX_OBJ_TYPE_VMO);
    assert_int_equal(fake_type(handle_in(loader, PA_HND(PA_LDSVC_LOADER, 0))), ZX_OBJ_TYPE_EVENT);
    check_program_message(fake_message(1));
    assert_int_equal(fake_live_handles() - sent_handles(), s.handles_before);
    free((void*)asked_for);
}

static void a_missing_interpreter_has_a_name(void**) {
    struct scene s;
    scene_begin(&s, vmo_file(make_elf(0, "ld.so.1", 0)));
    s.request.loader_service = fake_event();
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_NO_INTERPRETER);
    assert_int_equal(fake_live_handles(), s.handles_before);
    fake_reset();
    scene_begin(&s, vmo_file(make_elf(0, "ld.so.1", 0)));
    s.request.find_interpreter = find;
    found = (struct launch_file){};
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_NO_INTERPRETER);
    free((void*)asked_for);
    fake_reset();
    scene_begin(&s, vmo_file(make_elf(0, "ld.so.1", 0)));
    s.request.find_interpreter = find;
    found = s.request.file;
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_NESTED_INTERPRETER);
    assert_int_equal(fake_live_handles(), s.handles_before);
    free((void*)asked_for);
}

// ---- LINUX ----

static uint64_t word_at(uint64_t address) {
    uint64_t word;
    assert_true(fake_read(address, &word, sizeof(word)));
    return word;
}

static void check_text_at(uint64_t address, const char* want) {
    char got[64];
    assert_true(fake_read(address, got, strlen(want) + 1));
    assert_string_equal(got, want);
}

static uint64_t aux(uint64_t at, uint64_t type) {
    for (; word_at(at) != AT_NULL; at += 16) {
        if (word_at(at) == type) {
            return word_at(at + 8);
        }
    }
    fail_msg("no auxiliary entry %lu", type);
    return 0;
}

static void check_linux_stack(uint64_t sp, uint64_t bias, uint64_t interpreter) {
    assert_int_equal(sp % 16, 0);
    assert_int_equal(word_at(sp), 4);
    for (uint64_t i = 0; i < 4; i++) {
        check_text_at(word_at(sp + 8 + 8 * i), test_args[i]);
    }
    assert_int_equal(word_at(sp + 40), 0);
    check_text_at(word_at(sp + 48), "A=1");
    check_text_at(word_at(sp + 56), "B=2");
    assert_int_equal(word_at(sp + 64), 0);
    uint64_t vector = sp + 72;
    assert_int_equal(aux(vector, AT_ENTRY), bias + PAGE + 16);
    assert_int_equal(aux(vector, AT_PHDR), bias + sizeof(Elf64_Ehdr));
    assert_int_equal(aux(vector, AT_PHENT), sizeof(Elf64_Phdr));
    assert_int_equal(aux(vector, AT_BASE), interpreter);
    assert_int_equal(aux(vector, AT_PAGESZ), PAGE);
    assert_int_equal(aux(vector, AT_SYSINFO_EHDR), fake_started().arg2);
    check_text_at(aux(vector, AT_EXECFN), "bin/test");
    assert_int_equal(word_at(aux(vector, AT_RANDOM)), 0x5a5a5a5a5a5a5a5a);
}

static void a_fixed_program_lies_where_it_asks_to(void**) {
    struct scene s;
    struct bytes file = make_elf(MADE_BASE, nullptr, 0);
    scene_begin(&s, vmo_file(file));
    assert_int_equal(launch(&s.request, nullptr).elf, ELF_FIXED_ADDRESS); // NATIVE
    fake_reset();
    scene_begin(&s, vmo_file(file));
    s.request.mode = LAUNCH_LINUX;
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_OK);
    assert_int_equal(fake_started().entry, MADE_BASE + PAGE + 16);
    check_image(file, 0);
    check_linux_stack(fake_started().stack, MADE_BASE, 0);
}

static void program_and_interpreter_are_both_mapped(void**) {
    struct scene s;
    struct bytes file = make_elf(MADE_BASE, "ld.so.1", 0);
    scene_begin(&s, vmo_file(file));
    found = vmo_file(test_program);
    s.request.mode = LAUNCH_LINUX;
    s.request.find_interpreter = find;
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_OK);
    const Elf64_Ehdr* eh = (const void*)test_program.data;
    uint64_t base = fake_started().entry - eh->e_entry;
    check_image(file, 0);
    check_image(test_program, base);
    check_linux_stack(fake_started().stack, MADE_BASE, base);
    free((void*)asked_for);
}

// ---- limits and malformed files ----

static void what_does_not_fit_the_message_is_refused(void**) {
    struct scene s;
    static char long_text[70'000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    const char* args[] = {long_text};
    scene_begin(&s, vmo_file(test_program));
    s.request.args = args;
    s.request.arg_count = 1;
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_TOO_MANY_STRINGS);
    assert_int_equal(fake_live_handles(), s.handles_before);
    assert_int_equal(fake_live_processes(), 0);
    long_text[40'000] = '\0'; // fits, but not the small buffer
    fake_reset();
    scene_begin(&s, vmo_file(test_program));
    s.request.args = args;
    s.request.arg_count = 1;
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_OK);
    fake_reset();
    struct launch_handle many[ZX_CHANNEL_MAX_MSG_HANDLES];
    scene_begin(&s, vmo_file(test_program));
    for (uint32_t i = 0; i < ZX_CHANNEL_MAX_MSG_HANDLES; i++) {
        many[i] = (struct launch_handle){PA_HND(PA_USER1, i), fake_event()};
    }
    s.request.handles = many;
    s.request.handle_count = ZX_CHANNEL_MAX_MSG_HANDLES;
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_TOO_MANY_HANDLES);
    assert_int_equal(fake_live_handles(), s.handles_before + 2); // the scene's own two
}

static void malformed_files_have_names_and_leave_nothing(void**) {
    char path[512];
    snprintf(path, sizeof(path), "%s/index.txt", corpus);
    FILE* index = fopen(path, "r");
    assert_non_null(index);
    char name[256];
    char error[64];
    uint32_t cases = 0;
    while (fscanf(index, "%255s %63s", name, error) == 2) {
        fake_reset();
        snprintf(path, sizeof(path), "%s/%s", corpus, name);
        struct bytes file = read_file(path);
        struct scene s;
        scene_begin(&s, vmo_file(file));
        struct launch_result result = launch(&s.request, nullptr);
        bool sound = strcmp(error, "OK") == 0;
        assert_int_equal(result.error, sound ? LAUNCH_OK : LAUNCH_BAD_PROGRAM);
        assert_string_equal(elf_error_name(result.elf), error);
        assert_int_equal(fake_live_handles() - sent_handles(), s.handles_before);
        assert_int_equal(fake_live_processes(), sound ? 1 : 0);
        free(file.data);
        cases++;
    }
    fclose(index);
    assert_true(cases > 20);
}

static void every_error_has_a_name(void**) {
    for (uint32_t i = 0; i < LAUNCH_ERROR_COUNT; i++) {
        assert_true(strlen(launch_error_name((launch_error_t)i)) > 0);
        assert_true(strlen(launch_error_text((launch_error_t)i)) > 0);
    }
    assert_string_equal(launch_error_name(LAUNCH_ERROR_COUNT), "UNKNOWN");
}

#define TEST(name) cmocka_unit_test_setup(name, before_each)

int main(int argc, char** argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: launcher_test PROGRAM VDSO CORPUS\n");
        return 2;
    }
    test_program = read_file(argv[1]);
    test_vdso = read_file(argv[2]);
    corpus = argv[3];
    const struct CMUnitTest tests[] = {
        TEST(a_program_from_a_vmo),
        TEST(a_program_from_a_callback),
        TEST(a_callback_that_fails),
        TEST(a_file_that_was_cut_off),
        TEST(every_refused_call_leaves_nothing),
        TEST(the_stack_is_as_long_as_asked_for),
        TEST(only_the_interpreter_is_mapped),
        TEST(a_missing_interpreter_has_a_name),
        TEST(a_fixed_program_lies_where_it_asks_to),
        TEST(program_and_interpreter_are_both_mapped),
        TEST(what_does_not_fit_the_message_is_refused),
        TEST(malformed_files_have_names_and_leave_nothing),
        TEST(every_error_has_a_name),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
