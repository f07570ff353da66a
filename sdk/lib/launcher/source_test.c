// Programs that must be read, over a fake kernel: from a callback, and from a server that answers
// ReadAt and has no pages. What is read, how much memory it takes, and that a server that fails,
// lies or ends at any request leaves nothing behind.
//
//     source_test PROGRAM VDSO: a real program, the real vDSO
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/allocator_interface.h>

#include <fidl/jacinth.io.h>
#include <launcher/source.h>
#include <processargs/processargs.h>
#include <zircon/syscalls.h>

#include "fake_kernel.h"
#include "test_scene.h"

constexpr uint64_t PAGE = 4096;

// ---- the library's memory ----

static struct {
    bool counts;
    size_t now, most;
} heap;

// The fake kernel's own is not the library's.
static void on_malloc(const volatile void*, size_t size) {
    if (heap.counts) {
        heap.now += size;
        size_t own = heap.now - fake_memory();
        heap.most = own > heap.most ? own : heap.most;
    }
}

static void on_free(const volatile void* p) {
    if (heap.counts && p != nullptr) {
        heap.now -= __sanitizer_get_allocated_size(p);
    }
}

// ---- the server ----

typedef enum fault : uint8_t {
    FAULT_NONE,
    FAULT_ERROR,        // answers with an error
    FAULT_DEAD,         // from then on
    FAULT_SILENT,       // does not answer in time
    FAULT_GARBAGE,      // no message of the protocol
    FAULT_SHORT_FRAME,  // a message that ends in its header
    FAULT_OTHER_METHOD, // an answer to something else
    FAULT_NOTHING,      // from then on answers without contents: the file ends here
    FAULT_TOO_MUCH,     // more than was asked for
    FAULT_COUNT,
} fault_t;

static const zx_status_t fault_status[FAULT_COUNT] = {
    [FAULT_ERROR] = ZX_ERR_IO_DATA_LOSS,
    [FAULT_DEAD] = ZX_ERR_PEER_CLOSED,
    [FAULT_SILENT] = ZX_ERR_TIMED_OUT,
    [FAULT_GARBAGE] = ZX_ERR_IO_INVALID,
    [FAULT_SHORT_FRAME] = ZX_ERR_IO_INVALID,
    [FAULT_OTHER_METHOD] = ZX_ERR_IO_INVALID,
    [FAULT_NOTHING] = ZX_ERR_IO,
    [FAULT_TOO_MUCH] = ZX_ERR_IO_INVALID,
};

static struct {
    struct bytes file;
    uint64_t claimed_len;
    jacinth_io_kind_t kind;
    bool has_pages;
    uint32_t at_most; // bytes of one answer
    fault_t fault;
    uint32_t fault_at; // the request that it happens to
    uint32_t requests, reads;
    uint8_t* times_read; // of each byte
} server;

static bool answer(struct fake_reply* reply, const struct fidl_method* method, uint64_t ordinal,
                   void* response, uint32_t size, uint32_t error) {
    struct fidl_union result = {};
    if (response != nullptr) {
        fidl_union_set(&result, 1, response, size);
    } else {
        fidl_union_set(&result, 2, &error, sizeof(error));
    }
    zx_handle_disposition_t handle;
    struct fidl_encoder e = {reply->bytes, reply->capacity, 0, &handle, 1, 0};
    if (fidl_encode_message(&e, 1, ordinal, method->flags, method->response, &result) != FIDL_OK) {
        return false;
    }
    reply->len = (uint32_t)e.len;
    reply->handle = e.handle_count != 0 ? handle.handle : ZX_HANDLE_INVALID;
    return true;
}

static void answer_read(const uint8_t* request, struct fake_reply* reply, uint64_t ordinal,
                        fault_t fault) {
    struct jacinth_io_file_read_at_request r;
    memcpy(&r, request + sizeof(struct fidl_header), sizeof(r));
    assert_true(r.count <= JACINTH_IO_MAX_READ_AT);
    server.reads++;
    uint64_t left = r.offset < server.file.len ? server.file.len - r.offset : 0;
    uint32_t count = r.count < left ? r.count : (uint32_t)left;
    count = count < server.at_most ? count : server.at_most;
    count = fault == FAULT_NOTHING ? 0 : count;
    for (uint32_t i = 0; i < count; i++) {
        server.times_read[r.offset + i]++;
    }
    static uint8_t much[JACINTH_IO_MAX_READ_AT];
    struct jacinth_io_file_read_at_response response = {
        .data = {count, server.file.data + (count != 0 ? r.offset : 0)}};
    if (fault == FAULT_TOO_MUCH) {
        response.data.count = r.count + 1 < sizeof(much) ? r.count + 1 : sizeof(much);
        response.data.data = much;
    }
    assert_true(
        answer(reply, &jacinth_io_file_read_at_method, ordinal, &response, sizeof(response), 0));
}

static void answer_vmo(struct fake_reply* reply, uint64_t ordinal) {
    struct jacinth_io_file_get_vmo_response response = {.size = server.claimed_len};
    if (server.has_pages) {
        response.vmo = fake_vmo(server.file.data, server.file.len);
    }
    assert_true(answer(reply, &jacinth_io_file_get_vmo_method, ordinal,
                       server.has_pages ? &response : nullptr, sizeof(response),
                       (uint32_t)ZX_ERR_NOT_SUPPORTED));
}

static void answer_attributes(struct fake_reply* reply, uint64_t ordinal) {
    struct jacinth_io_node_get_attributes_response response = {
        .attributes = {.kind = server.kind, .size = server.claimed_len}};
    assert_true(answer(reply, &jacinth_io_node_get_attributes_method, ordinal, &response,
                       sizeof(response), 0));
}

static zx_status_t serve(const uint8_t* request, uint32_t len, struct fake_reply* reply) {
    struct fidl_header header;
    assert_true(len >= sizeof(header));
    memcpy(&header, request, sizeof(header));
    bool lasts = server.fault == FAULT_DEAD || server.fault == FAULT_NOTHING;
    bool hit = server.requests == server.fault_at || (lasts && server.requests > server.fault_at);
    server.requests++;
    fault_t fault = hit ? server.fault : FAULT_NONE;
    uint64_t ordinal = header.ordinal + (fault == FAULT_OTHER_METHOD);
    switch (fault) {
    case FAULT_DEAD:
        return ZX_ERR_PEER_CLOSED;
    case FAULT_SILENT:
        return ZX_ERR_TIMED_OUT;
    case FAULT_GARBAGE:
        reply->len = 64;
        memset(reply->bytes, 0xa5, reply->len);
        return ZX_OK;
    case FAULT_SHORT_FRAME:
        reply->len = 12;
        memset(reply->bytes, 0, reply->len);
        return ZX_OK;
    case FAULT_ERROR:
        // All answers that carry a result carry an error in the same way.
        assert_true(answer(reply, &jacinth_io_file_read_at_method, ordinal, nullptr, 0,
                           (uint32_t)ZX_ERR_IO_DATA_LOSS));
        return ZX_OK;
    default:
        break;
    }
    if (header.ordinal == JACINTH_IO_FILE_GET_VMO_ORDINAL) {
        answer_vmo(reply, ordinal);
    } else if (header.ordinal == JACINTH_IO_FILE_READ_AT_ORDINAL) {
        answer_read(request, reply, ordinal, fault);
    } else {
        answer_attributes(reply, ordinal);
    }
    return ZX_OK;
}

static void server_begin(struct bytes file) {
    free(server.times_read);
    memset(&server, 0, sizeof(server));
    server.file = file;
    server.claimed_len = file.len;
    server.kind = JACINTH_IO_KIND_FILE;
    server.at_most = UINT32_MAX;
    server.fault_at = UINT32_MAX;
    server.times_read = calloc(1, file.len);
    fake_serve(serve);
}

// ---- a launch from it ----

struct outcome {
    struct launch_result result;
    zx_status_t open_status;
    uint64_t requests, bytes;
};

// Nothing stays but what the scene had, and what is in messages to the new process.
static struct outcome run(launch_mode_t mode) {
    struct outcome o = {};
    struct scene s;
    struct launch_source source;
    zx_handle_t process = ZX_HANDLE_INVALID;
    scene_begin(&s, (struct launch_file){});
    s.request.mode = mode;
    heap.now = fake_memory();
    heap.most = 0;
    heap.counts = true;
    o.open_status = launch_source_open(fake_channel(), 5, &source);
    if (o.open_status == ZX_OK) {
        s.request.file = launch_source_file(&source);
        o.result = launch(&s.request, &process);
        o.requests = source.requests;
        o.bytes = source.bytes;
        launch_source_close(&source);
        (void)zx_handle_close(process);
    } else {
        (void)zx_handle_close_many((zx_handle_t[]){s.handles[0].handle, s.handles[1].handle}, 2);
    }
    heap.counts = false;
    bool good = o.open_status == ZX_OK && o.result.error == LAUNCH_OK;
    assert_int_equal(fake_live_handles() - sent_handles(), s.handles_before);
    assert_int_equal(fake_live_processes(), good ? 1 : 0);
    assert_int_equal(fake_started().started, good);
    return o;
}

static int before_each(void**) {
    fake_reset();
    return 0;
}

static void check_good(const struct outcome* o, struct bytes file) {
    assert_int_equal(o->open_status, ZX_OK);
    assert_int_equal(o->result.error, LAUNCH_OK);
    const Elf64_Ehdr* eh = (const void*)file.data;
    check_image(file, fake_started().entry - eh->e_entry);
}

// ---- the tests ----

static void pages_are_taken_where_there_are_some(void**) {
    server_begin(test_program);
    server.has_pages = true;
    struct outcome o = run(LAUNCH_NATIVE);
    check_good(&o, test_program);
    assert_int_equal(server.requests, 1);
    assert_int_equal(server.reads, 0);
    assert_int_equal(o.requests, 0);
}

static void a_program_that_is_read(void**) {
    static const uint32_t at_most[] = {UINT32_MAX, 4096, 700, 1};
    for (size_t i = 0; i < sizeof(at_most) / sizeof(at_most[0]); i++) {
        fake_reset();
        server_begin(test_program);
        server.at_most = at_most[i];
        struct outcome o = run(LAUNCH_NATIVE);
        check_good(&o, test_program);
        assert_int_equal(o.requests, server.reads);
    }
}

// A made program with as much behind its segments as they have themselves, and a hole in between.
static struct bytes make_padded(size_t front, size_t behind) {
    struct bytes made = make_elf(0, nullptr, 0);
    struct bytes file = {.data = calloc(1, made.len + front + behind),
                         .len = made.len + front + behind};
    memcpy(file.data, made.data, 2 * PAGE);
    memcpy(file.data + 2 * PAGE + front, made.data + 2 * PAGE, made.len - 2 * PAGE);
    memset(file.data + made.len + front, 0xee, behind);
    ((Elf64_Phdr*)(file.data + sizeof(Elf64_Ehdr)))[2].p_offset += front;
    return file;
}

static void only_pages_of_segments_are_read_and_once(void**) {
    constexpr size_t front = 20 * PAGE;
    constexpr size_t behind = 50 * PAGE;
    struct bytes file = make_padded(front, behind);
    server_begin(file);
    struct outcome o = run(LAUNCH_NATIVE);
    check_good(&o, file);
    for (uint64_t at = 0; at < file.len; at++) {
        // [0, 2 pages) and the data's two pages; the first KiB is looked at for its headers before.
        bool wanted = at < 2 * PAGE || (at >= 2 * PAGE + front && at < 4 * PAGE + front);
        assert_int_equal(server.times_read[at], wanted ? 1 + (at < 1024) : 0);
    }
    assert_int_equal(o.bytes, 1024 + 4 * PAGE);
    free(file.data);
}

// Segments may have the same pages of the file, in any order: each is read once.
static void shared_pages_are_read_once(void**) {
    struct bytes file = make_padded(0, 0);
    Elf64_Phdr* ph = (Elf64_Phdr*)(file.data + sizeof(Elf64_Ehdr));
    ph[2].p_offset = PAGE; // the data's two pages are the code's and what was the data's first
    server_begin(file);
    struct outcome o = run(LAUNCH_NATIVE);
    check_good(&o, file);
    ph[0].p_offset = 2 * PAGE; // and the headers are in no segment
    fake_reset();
    server_begin(file);
    o = run(LAUNCH_NATIVE);
    check_good(&o, file);
    for (uint64_t at = 0; at < 3 * PAGE; at++) {
        assert_int_equal(server.times_read[at], at < 1024 || at >= PAGE);
    }
    free(file.data);
}

static void memory_is_bounded_whatever_the_size(void**) {
    size_t most[2];
    for (int i = 0; i < 2; i++) {
        fake_reset();
        size_t len = i == 0 ? 64 * 1024 : 2 << 20;
        struct bytes file = make_padded(0, len);
        Elf64_Phdr* ph = (Elf64_Phdr*)(file.data + sizeof(Elf64_Ehdr));
        ph[2].p_filesz += len;
        ph[2].p_memsz += len;
        server_begin(file);
        struct outcome o = run(LAUNCH_NATIVE);
        check_good(&o, file);
        assert_true(o.bytes > len);
        assert_true(o.requests <= o.bytes / JACINTH_IO_MAX_READ_AT + 4);
        most[i] = heap.most;
        free(file.data);
    }
    assert_true(most[0] > 2 * 1024); // something was measured
    assert_int_equal(most[0], most[1]);
    assert_true(most[1] <= 64 * 1024);
}

static void a_fault_at_each_request(void**) {
    struct bytes file = make_padded(3 * PAGE, 0);
    for (fault_t fault = FAULT_ERROR; fault < FAULT_COUNT; fault++) {
        for (uint32_t at = 0;; at++) {
            fake_reset();
            server_begin(file);
            server.at_most = 1000;
            server.fault = fault;
            server.fault_at = at;
            struct outcome o = run(LAUNCH_NATIVE);
            if (server.requests <= at) {
                check_good(&o, file);
                assert_true(at > 15);
                break;
            }
            if (fault == FAULT_TOO_MUCH && at < 2) {
                check_good(&o, file); // these have no contents
            } else if (o.open_status != ZX_OK) {
                assert_true(at < 2);
                assert_int_equal(o.open_status, fault_status[fault]);
            } else if (o.result.error == LAUNCH_BAD_PROGRAM) {
                assert_true(at < 4); // the headers: two requests of at most 1,000 bytes
                bool ended = fault == FAULT_NOTHING;
                assert_int_equal(o.result.elf, ended ? ELF_TRUNCATED : ELF_READ_FAILED);
                assert_int_equal(o.result.status,
                                 ended ? ZX_ERR_IO_DATA_INTEGRITY : fault_status[fault]);
            } else {
                assert_int_not_equal(server.reads, 0);
                assert_int_equal(o.result.error, LAUNCH_READ_SEGMENT);
                assert_int_equal(o.result.status, fault_status[fault]);
            }
        }
    }
    free(file.data);
}

static void a_length_that_is_a_lie(void**) {
    static const struct {
        uint64_t len;
        launch_error_t error;
        elf_error_t elf;
    } lies[] = {
        {0, LAUNCH_BAD_PROGRAM, ELF_TRUNCATED},
        {63, LAUNCH_BAD_PROGRAM, ELF_TRUNCATED},
        {100, LAUNCH_BAD_PROGRAM, ELF_HEADERS_OUTSIDE_FILE},
        {2 * PAGE, LAUNCH_BAD_PROGRAM, ELF_SEGMENT_OUTSIDE_FILE},
        {3 * PAGE + 100, LAUNCH_OK, ELF_OK},
        {MADE_LEN + 1, LAUNCH_READ_SEGMENT, ELF_OK}, // the last page has a byte too few
        {1 << 20, LAUNCH_READ_SEGMENT, ELF_OK},
        {UINT64_C(1) << 40, LAUNCH_COPY_FILE, ELF_OK},
        {UINT64_MAX, LAUNCH_COPY_FILE, ELF_OK},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        fake_reset();
        server_begin(make_elf(0, nullptr, 0));
        server.claimed_len = lies[i].len;
        struct outcome o = run(LAUNCH_NATIVE);
        assert_int_equal(o.result.error, lies[i].error);
        assert_int_equal(o.result.elf, lies[i].elf);
    }
    server_begin(make_elf(0, nullptr, 0));
    server.kind = JACINTH_IO_KIND_DIRECTORY;
    assert_int_equal(run(LAUNCH_NATIVE).open_status, ZX_ERR_NOT_FILE);
}

static void every_refused_call_leaves_nothing(void**) {
    for (int call = 0;; call++) {
        fake_reset();
        server_begin(make_elf(0, nullptr, 0));
        struct scene s;
        scene_begin(&s, (struct launch_file){});
        struct launch_source source;
        zx_handle_t connection = fake_channel();
        fake_refuse(call);
        zx_status_t status = launch_source_open(connection, ZX_TIME_INFINITE, &source);
        zx_handle_t process = ZX_HANDLE_INVALID;
        if (status == ZX_OK) {
            s.request.file = launch_source_file(&source);
            struct launch_result result = launch(&s.request, &process);
            launch_source_close(&source);
            status = result.status;
        } else {
            (void)zx_handle_close_many((zx_handle_t[]){s.handles[0].handle, s.handles[1].handle},
                                       2);
        }
        if (!fake_refused()) {
            assert_int_equal(status, ZX_OK);
            assert_true(call > 25);
            return;
        }
        assert_int_not_equal(status, ZX_OK);
        assert_int_equal(process, ZX_HANDLE_INVALID);
        assert_int_equal(fake_live_handles() - sent_handles(), s.handles_before);
        assert_int_equal(fake_live_processes(), 0);
    }
}

static struct launch_file found;

static zx_status_t find(void*, const char*, struct launch_file* out) {
    *out = found;
    return ZX_OK;
}

// The file that the loader gets: it can be planned and mapped like any other.
static void check_loaders_file(struct bytes file) {
    const struct fake_message* m = fake_message(0);
    struct processargs args;
    assert_int_equal(processargs_parse(m->bytes, m->len, m->handle_count, &args), PROCESSARGS_OK);
    zx_handle_t vmo = ZX_HANDLE_INVALID;
    for (uint32_t i = 0; i < args.handle_count; i++) {
        vmo = args.handle_infos[i] == PA_HND(PA_VMO_EXECUTABLE, 0) ? m->handles[i] : vmo;
    }
    assert_int_not_equal(vmo, ZX_HANDLE_INVALID);
    static uint8_t got[3 * PAGE + 100];
    assert_int_equal(zx_vmo_read(vmo, got, 0, sizeof(got)), ZX_OK);
    assert_memory_equal(got, file.data, sizeof(got));
}

static void a_program_with_an_interpreter(void**) {
    for (launch_mode_t mode = LAUNCH_NATIVE; mode <= LAUNCH_LINUX; mode++) {
        fake_reset();
        struct bytes file = make_elf(mode == LAUNCH_LINUX ? MADE_BASE : 0, "ld.so.1", 0);
        server_begin(file);
        struct scene s;
        struct launch_source source;
        scene_begin(&s, (struct launch_file){});
        assert_int_equal(launch_source_open(fake_channel(), 5, &source), ZX_OK);
        s.request.mode = mode;
        s.request.file = launch_source_file(&source);
        s.request.find_interpreter = find;
        found = vmo_file(test_program);
        assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_OK);
        launch_source_close(&source);
        (void)zx_handle_close(found.vmo);
        const Elf64_Ehdr* eh = (const void*)test_program.data;
        check_image(test_program, fake_started().entry - eh->e_entry);
        if (mode == LAUNCH_LINUX) {
            check_image(file, 0);
        } else {
            check_loaders_file(file);
        }
        assert_int_equal(fake_live_handles() - sent_handles(), s.handles_before);
    }
}

// One that is read, for a program that is not; and one that is nothing.
static int32_t read_bytes(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    const struct bytes* b = ctx;
    uint64_t left = offset < b->len ? b->len - offset : 0;
    *out_len = len < left ? len : (size_t)left;
    memcpy(buffer, b->data + (*out_len != 0 ? offset : 0), *out_len);
    return ZX_OK;
}

static void an_interpreter_that_is_read(void**) {
    struct scene s;
    scene_begin(&s, vmo_file(make_elf(0, "ld.so.1", 0)));
    s.request.find_interpreter = find;
    found = (struct launch_file){.read = read_bytes, .ctx = &test_program, .len = test_program.len};
    assert_int_equal(launch(&s.request, nullptr).error, LAUNCH_OK);
    const Elf64_Ehdr* eh = (const void*)test_program.data;
    check_image(test_program, fake_started().entry - eh->e_entry);
    assert_int_equal(fake_live_handles() - sent_handles(), s.handles_before);
    fake_reset();
    scene_begin(&s, vmo_file(make_elf(0, "ld.so.1", 0)));
    s.request.find_interpreter = find;
    found = (struct launch_file){.len = 5};
    struct launch_result result = launch(&s.request, nullptr);
    assert_int_equal(result.error, LAUNCH_NO_INTERPRETER);
    assert_int_equal(result.status, ZX_ERR_NOT_FOUND);
    assert_int_equal(fake_live_handles(), s.handles_before);
}

// What the head of a script is read with.
static void a_source_is_read_like_a_file(void**) {
    static uint8_t text[] = "#!/bin/sh\necho x\n";
    for (int has_pages = 0; has_pages < 2; has_pages++) {
        fake_reset();
        server_begin((struct bytes){.data = text, .len = sizeof(text) - 1});
        server.has_pages = has_pages;
        server.at_most = 3;
        struct launch_source source;
        assert_int_equal(launch_source_open(fake_channel(), ZX_TIME_INFINITE, &source), ZX_OK);
        char got[64];
        size_t actual;
        assert_int_equal(launch_source_read(&source, 0, got, sizeof(got), &actual), ZX_OK);
        assert_int_equal(actual, sizeof(text) - 1);
        assert_memory_equal(got, text, actual);
        assert_int_equal(launch_source_read(&source, 10, got, 4, &actual), ZX_OK);
        assert_int_equal(actual, 4);
        assert_memory_equal(got, "echo", 4);
        assert_int_equal(launch_source_read(&source, 17, got, 4, &actual), ZX_OK);
        assert_int_equal(actual, 0);
        assert_int_equal(launch_source_read(&source, UINT64_MAX, got, 4, &actual), ZX_OK);
        assert_int_equal(actual, 0);
        launch_source_close(&source);
        assert_int_equal(fake_live_handles(), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, before_each)

int main(int argc, char** argv) {
    if (argc != 3 || __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) == 0) {
        fprintf(stderr, "usage: source_test PROGRAM VDSO\n");
        return 2;
    }
    test_program = read_file(argv[1]);
    test_vdso = read_file(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(pages_are_taken_where_there_are_some),
        TEST(a_program_that_is_read),
        TEST(only_pages_of_segments_are_read_and_once),
        TEST(shared_pages_are_read_once),
        TEST(memory_is_bounded_whatever_the_size),
        TEST(a_fault_at_each_request),
        TEST(a_length_that_is_a_lie),
        TEST(every_refused_call_leaves_nothing),
        TEST(a_program_with_an_interpreter),
        TEST(an_interpreter_that_is_read),
        TEST(a_source_is_read_like_a_file),
    };
    int failed = cmocka_run_group_tests(tests, nullptr, nullptr);
    fake_reset();
    free(server.times_read);
    free(test_program.data);
    free(test_vdso.data);
    return failed;
}
