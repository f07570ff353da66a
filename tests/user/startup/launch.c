// The launcher library on the real kernel: what its host test cannot see.
#include <utest/utest.h>

#include <string.h>

#include <bootsvc/client.h>
#include <fidl/fuchsia.ldsvc.h>
#include <fidl/fuchsia.process.h>
#include <io/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <launchsvc/client.h>
#include <zircon/syscalls/object.h>

GROUP("launch");

static struct launch_vdso vdso;

static struct launch_request request_for(zx_handle_t job, zx_handle_t vmo, uint64_t len) {
    static const char* const args[] = {"made", "one"};
    if (vdso.vmo == ZX_HANDLE_INVALID) {
        EXPECT_EQ(launch_vdso_init(&vdso, zx_vmo_vdso()).error, LAUNCH_OK);
    }
    return (struct launch_request){.job = job,
                                   .name = "made",
                                   .file = {.vmo = vmo, .len = len},
                                   .vdso = &vdso,
                                   .args = args,
                                   .arg_count = 2};
}

static zx_handle_t new_job(void) {
    zx_handle_t job;
    EXPECT_OK(zx_job_create(zx_job_default(), 0, &job));
    return job;
}

static void expect_no_processes(zx_handle_t job) {
    EXPECT_OK(zx_object_wait_one(job, ZX_JOB_NO_PROCESSES, ZX_TIME_INFINITE, nullptr));
}

// ---- rights ----

CASE(code_needs_execute) {
    zx_handle_t job = new_job();
    zx_handle_t file;
    zx_handle_t data;
    uint64_t len;
    EXPECT_OK(bootsvc_open(bootsvc_startup(), "bin/exit", &file, &len));
    EXPECT_OK(zx_handle_duplicate(file, ZX_RIGHTS_BASIC | ZX_RIGHT_READ | ZX_RIGHT_MAP, &data));
    struct launch_request request = request_for(job, data, len);
    struct launch_result result = launch(&request, nullptr);
    EXPECT_EQ(result.error, LAUNCH_MAP_SEGMENT);
    EXPECT_STATUS(result.status, ZX_ERR_ACCESS_DENIED);
    expect_no_processes(job);
    EXPECT_CLOSE(data);
    EXPECT_CLOSE(file);
    EXPECT_CLOSE(job);
}

CASE(a_dead_job_takes_nobody) {
    zx_handle_t job = new_job();
    zx_handle_t file;
    uint64_t len;
    EXPECT_OK(bootsvc_open(bootsvc_startup(), "bin/exit", &file, &len));
    EXPECT_OK(zx_task_kill(job));
    struct launch_request request = request_for(job, file, len);
    struct launch_result result = launch(&request, nullptr);
    EXPECT_EQ(result.error, LAUNCH_CREATE_PROCESS);
    EXPECT_STATUS(result.status, ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(file);
    EXPECT_CLOSE(job);
}

// ---- a fixed address, read by a callback ----

constexpr uint64_t BASE = 0x400000;
constexpr uint64_t FILE_LEN = 2 * 4096;

struct elf_head {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
    struct {
        uint32_t type, flags;
        uint64_t offset, vaddr, paddr, filesz, memsz, align;
    } load[2];
};

// One page to read, and one to write with two more behind it.
static void make_file(uint8_t file[FILE_LEN]) {
    struct elf_head head = {.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
                            .type = 2,
                            .machine = 62,
                            .version = 1,
                            .entry = BASE + 1024,
                            .phoff = 64,
                            .ehsize = 64,
                            .phentsize = 56,
                            .phnum = 2};
    head.load[0].type = 1;
    head.load[0].flags = 5;
    head.load[0].vaddr = BASE;
    head.load[0].filesz = head.load[0].memsz = 4096;
    head.load[1].type = 1;
    head.load[1].flags = 6;
    head.load[1].offset = 4096;
    head.load[1].vaddr = BASE + 0x10000;
    head.load[1].filesz = 100;
    head.load[1].memsz = 3 * 4096;
    head.load[0].align = head.load[1].align = 4096;
    memset(file, 0xcc, FILE_LEN); // int3 wherever it runs
    memcpy(file, &head, sizeof(head));
}

static uint64_t word_in(zx_handle_t process, zx_vaddr_t address) {
    uint64_t word;
    size_t got;
    EXPECT_OK(zx_process_read_memory(process, address, &word, sizeof(word), &got));
    EXPECT_EQ(got, sizeof(word));
    return word;
}

static void fixed_program(zx_handle_t job, struct launch_request* request) {
    struct launched launched;
    request->mode = LAUNCH_LINUX;
    EXPECT_EQ(launch_prepare(request, &launched).error, LAUNCH_OK);
    EXPECT_EQ(launched.entry, BASE + 1024);
    EXPECT_EQ(word_in(launched.process, BASE + 0x10000), 0xcccccccccccccccc);
    // After the file's hundred bytes there are zeros, in its page and in those behind.
    EXPECT_EQ(word_in(launched.process, BASE + 0x10000 + 104), 0);
    EXPECT_EQ(word_in(launched.process, BASE + 0x10000 + 2 * 4096), 0);
    EXPECT_EQ(word_in(launched.process, launched.stack), 2);
    zx_vaddr_t first = word_in(launched.process, launched.stack + 8);
    EXPECT_EQ(word_in(launched.process, first) & 0xffffffff, 0x6564616d); // "made"
    zx_handle_t process;
    EXPECT_EQ(launch_start(&launched, &process).error, LAUNCH_OK);
    EXPECT_OK(zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr));
    zx_info_process_t info;
    EXPECT_OK(zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.return_code, ZX_TASK_RETCODE_EXCEPTION_KILL); // int3
    EXPECT_CLOSE(process);
    expect_no_processes(job);
}

static int32_t read_file(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    *out_len = offset >= FILE_LEN ? 0 : len < FILE_LEN - offset ? len : (size_t)(FILE_LEN - offset);
    memcpy(buffer, (const uint8_t*)ctx + offset, *out_len);
    return ZX_OK;
}

CASE(a_fixed_program_read_by_a_callback) {
    static uint8_t file[FILE_LEN];
    make_file(file);
    zx_handle_t job = new_job();
    struct launch_request request = request_for(job, ZX_HANDLE_INVALID, FILE_LEN);
    request.file.read = read_file;
    request.file.ctx = file;
    fixed_program(job, &request);
    EXPECT_CLOSE(job);
}

// The same from a VMO: the file's pages stay as they are, whatever the program does to its own.
CASE(a_fixed_program_from_a_vmo) {
    static uint8_t file[FILE_LEN];
    static uint8_t after[FILE_LEN];
    make_file(file);
    zx_handle_t job = new_job();
    zx_handle_t data;
    zx_handle_t vmo;
    EXPECT_OK(zx_vmo_create(FILE_LEN, 0, &data));
    EXPECT_OK(zx_vmo_write(data, file, 0, FILE_LEN));
    EXPECT_OK(zx_vmo_replace_as_executable(data, ZX_HANDLE_INVALID, &vmo));
    struct launch_request request = request_for(job, vmo, FILE_LEN);
    fixed_program(job, &request);
    EXPECT_OK(zx_vmo_read(vmo, after, 0, FILE_LEN));
    EXPECT(memcmp(file, after, FILE_LEN) == 0);
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(job);
}

// ---- files that change while they are loaded ----

static zx_handle_t resizable_file(void) {
    static uint8_t file[FILE_LEN];
    zx_handle_t data, vmo;
    make_file(file);
    EXPECT_OK(zx_vmo_create(FILE_LEN, ZX_VMO_RESIZABLE, &data));
    EXPECT_OK(zx_vmo_write(data, file, 0, FILE_LEN));
    EXPECT_OK(zx_vmo_replace_as_executable(data, ZX_HANDLE_INVALID, &vmo));
    return vmo;
}

// Cut off between asking for its length and planning, and between planning and mapping (which a
// length that is too large comes to): an error with a name, or a process that dies when it gets to
// where there is nothing.
CASE(a_file_that_is_cut_off) {
    static const struct {
        uint64_t len;
        launch_error_t error;
        elf_error_t elf;
    } rows[] = {
        {0, LAUNCH_BAD_PROGRAM, ELF_TRUNCATED},
        {100, LAUNCH_BAD_PROGRAM, ELF_SEGMENT_FILE_SIZE}, // zeros from there to the page's end
        {4096, LAUNCH_MAP_SEGMENT, ELF_OK},
        {FILE_LEN, LAUNCH_OK, ELF_OK},
    };
    zx_handle_t job = new_job();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        zx_handle_t vmo = resizable_file();
        struct launch_request request = request_for(job, vmo, FILE_LEN);
        request.mode = LAUNCH_LINUX;
        EXPECT_OK(zx_vmo_set_size(vmo, rows[i].len));
        struct launched launched;
        struct launch_result result = launch_prepare(&request, &launched);
        EXPECT_EQ(result.error, rows[i].error);
        EXPECT_EQ(result.elf, rows[i].elf);
        if (result.error == LAUNCH_OK) {
            // And behind its back, when all is mapped and nothing has run.
            EXPECT_OK(zx_vmo_set_size(vmo, 0));
            zx_handle_t process;
            EXPECT_EQ(launch_start(&launched, &process).error, LAUNCH_OK);
            EXPECT_OK(
                zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr));
            EXPECT_CLOSE(process);
        }
        EXPECT_CLOSE(vmo);
        expect_no_processes(job);
    }
    EXPECT_CLOSE(job);
}

// ---- alignments larger than a page ----

CASE(large_alignments_are_kept) {
    static uint8_t file[FILE_LEN];
    static const uint64_t aligns[] = {2u << 20, 16u << 20, 1u << 30};
    zx_handle_t job = new_job();
    for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
        make_file(file);
        struct elf_head* head = (struct elf_head*)file;
        head->type = 3; // may lie anywhere; the second segment not where the alignment is
        head->load[1].align = aligns[i];
        zx_handle_t data, vmo;
        EXPECT_OK(zx_vmo_create(FILE_LEN, 0, &data));
        EXPECT_OK(zx_vmo_write(data, file, 0, FILE_LEN));
        EXPECT_OK(zx_vmo_replace_as_executable(data, ZX_HANDLE_INVALID, &vmo));
        struct launch_request request = request_for(job, vmo, FILE_LEN);
        struct launched launched;
        EXPECT_EQ(launch_prepare(&request, &launched).error, LAUNCH_OK);
        EXPECT_EQ(launched.image_base % aligns[i], 0);
        zx_vaddr_t bias = launched.entry - (BASE + 1024);
        EXPECT_EQ(bias % aligns[i], 0);
        EXPECT_EQ(word_in(launched.process, bias + BASE) & 0xffffffff, 0x464c457f);
        EXPECT_EQ(word_in(launched.process, bias + BASE + 0x10000), 0xcccccccccccccccc);
        launch_abandon(&launched);
        EXPECT_CLOSE(vmo);
        expect_no_processes(job);
    }
    EXPECT_CLOSE(job);
}

// ---- the service: what its manual says of handles, and of what it refuses ----

static zx_handle_t copy_of(zx_handle_t handle, zx_rights_t rights) {
    zx_handle_t copy;
    EXPECT_OK(zx_handle_duplicate(handle, rights, &copy));
    return copy;
}

static void expect_return_code(zx_handle_t process, int64_t code) {
    zx_info_process_t info;
    EXPECT_OK(zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr));
    EXPECT_OK(zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.return_code, code);
    EXPECT_CLOSE(process);
}

CASE(the_service_takes_handles_and_names_errors) {
    static const char* const args[] = {"exit", "7"};
    zx_handle_t service = zx_take_startup_handle(LAUNCHSVC_STARTUP);
    zx_handle_t job = new_job();
    zx_handle_t file, process;
    uint64_t len;
    EXPECT_OK(bootsvc_open(bootsvc_startup(), "bin/exit", &file, &len));

    // A name that is too long is found before anything is sent; what was collected stays.
    zx_handle_t program = copy_of(file, ZX_RIGHT_SAME_RIGHTS);
    zx_handle_t place = copy_of(job, ZX_RIGHT_SAME_RIGHTS);
    EXPECT_OK(launchsvc_add_args(service, args, 2));
    EXPECT_STATUS(
        launchsvc_launch(service, program, place, "a name of thirty-three characters", &process),
        ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_handle_check_valid(program), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_check_valid(place), ZX_ERR_BAD_HANDLE);

    program = copy_of(file, ZX_RIGHT_SAME_RIGHTS);
    place = copy_of(job, ZX_RIGHT_SAME_RIGHTS);
    EXPECT_OK(launchsvc_launch(service, program, place, "exit", &process));
    EXPECT_STATUS(zx_handle_check_valid(program), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_check_valid(place), ZX_ERR_BAD_HANDLE);
    expect_return_code(process, 7);

    // A launch that fails answers with its status, and uses up what was collected, too.
    EXPECT_OK(launchsvc_add_args(service, args, 2));
    EXPECT_STATUS(launchsvc_launch(service,
                                   copy_of(file, ZX_RIGHT_READ | ZX_RIGHT_MAP | ZX_RIGHT_TRANSFER),
                                   copy_of(job, ZX_RIGHT_SAME_RIGHTS), "exit", &process),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(launchsvc_launch(service, copy_of(file, ZX_RIGHT_SAME_RIGHTS),
                               copy_of(job, ZX_RIGHT_SAME_RIGHTS), "exit", &process));
    expect_return_code(process, 0); // no argument is left

    // What is no VMO is refused before anything is sent; both handles are gone.
    EXPECT_STATUS(launchsvc_launch(service, utest_event(), copy_of(job, ZX_RIGHT_SAME_RIGHTS),
                                   "exit", &process),
                  ZX_ERR_WRONG_TYPE);
    expect_no_processes(job);

    // Made, and started by its maker.
    struct launchsvc_created made;
    EXPECT_OK(launchsvc_add_args(service, args, 2));
    EXPECT_OK(launchsvc_create(service, copy_of(file, ZX_RIGHT_SAME_RIGHTS),
                               copy_of(job, ZX_RIGHT_SAME_RIGHTS), "exit", &made));
    EXPECT_OK(zx_process_start(made.process, made.thread, made.entry, made.stack, made.bootstrap,
                               made.vdso_base));
    EXPECT_CLOSE(made.thread);
    EXPECT_CLOSE(made.root_vmar);
    expect_return_code(made.process, 7);
    zx_put_startup_handle(LAUNCHSVC_STARTUP, service); // no handle less than before the case
    EXPECT_CLOSE(file);
    EXPECT_CLOSE(job);
}

// ---- the resolver: programs and libraries by name ----

static zx_handle_t connect_to(const char* name) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), "/svc") == 0) {
            zx_handle_t near, far;
            zx_handle_t svc = zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
            EXPECT_OK(zx_channel_create(0, &near, &far));
            EXPECT_OK(io_connect(svc, name, strlen(name), far));
            zx_put_startup_handle(PA_HND(PA_NS_DIR, i), svc);
            return near;
        }
    }
    FAIL("no /svc");
}

static struct fidl_string text(const char* s) {
    return (struct fidl_string){strlen(s), (char*)s};
}

static zx_status_t load(zx_handle_t loader, const char* name, zx_handle_t* out) {
    alignas(8) char bytes[1024];
    struct fuchsia_ldsvc_loader_load_object_request request = {text(name)};
    void* answer;
    EXPECT_OK(fidl_call(loader, ZX_TIME_INFINITE, &fuchsia_ldsvc_loader_load_object_method,
                        &request, (struct fidl_storage){bytes, sizeof(bytes)}, &answer));
    struct fuchsia_ldsvc_loader_load_object_response* response = answer;
    *out = response->object;
    return response->rv;
}

static zx_status_t resolve(zx_handle_t resolver, const char* name, zx_handle_t* executable,
                           zx_handle_t* loader) {
    alignas(8) char bytes[1024];
    struct fuchsia_process_resolver_resolve_request request = {text(name)};
    void* answer;
    EXPECT_OK(fidl_call(resolver, ZX_TIME_INFINITE, &fuchsia_process_resolver_resolve_method,
                        &request, (struct fidl_storage){bytes, sizeof(bytes)}, &answer));
    struct fuchsia_process_resolver_resolve_response* response = answer;
    *executable = response->executable;
    *loader = response->ldsvc;
    return response->status;
}

CASE(the_resolver_finds_programs) {
    static const char* const args[] = {"exit", "9"};
    static const char* const none[] = {
        "no_such_program", "",        ".", "..", "../bin/exit", "/boot/", "/boot/../bin/exit",
        "/boot/bin//exit", "bin/exit"};
    zx_handle_t resolver = connect_to("fuchsia.process.Resolver");
    zx_handle_t service = zx_take_startup_handle(LAUNCHSVC_STARTUP);
    zx_handle_t job = new_job();
    zx_handle_t file, loader, process, object;
    static const char* const same[] = {"exit", "/boot/bin/exit"};
    for (size_t i = 0; i < 2; i++) {
        EXPECT_OK(resolve(resolver, same[i], &file, &loader));
        EXPECT_OK(launchsvc_add_args(service, args, 2));
        EXPECT_OK(
            launchsvc_launch(service, file, copy_of(job, ZX_RIGHT_SAME_RIGHTS), "exit", &process));
        expect_return_code(process, 9);
        // The loader finds what is in lib/, and nothing by another way.
        EXPECT_STATUS(load(loader, "no_such_library", &object), ZX_ERR_NOT_FOUND);
        EXPECT_STATUS(load(loader, "../bin/exit", &object), ZX_ERR_BAD_PATH);
        EXPECT_CLOSE(loader);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        zx_status_t status = resolve(resolver, none[i], &file, &loader);
        EXPECT(status == ZX_ERR_NOT_FOUND || status == ZX_ERR_BAD_PATH);
        EXPECT_EQ(file, ZX_HANDLE_INVALID);
        EXPECT_EQ(loader, ZX_HANDLE_INVALID);
    }
    zx_put_startup_handle(LAUNCHSVC_STARTUP, service);
    EXPECT_CLOSE(resolver);
    EXPECT_CLOSE(job);
}

CASE(a_loader_can_be_cloned_and_ended) {
    zx_handle_t loader = connect_to("fuchsia.ldsvc.Loader");
    zx_handle_t near, far, object;
    alignas(8) char bytes[256];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    void* answer;
    EXPECT_OK(zx_channel_create(0, &near, &far));
    struct fuchsia_ldsvc_loader_clone_request request = {far};
    EXPECT_OK(fidl_call(loader, ZX_TIME_INFINITE, &fuchsia_ldsvc_loader_clone_method, &request,
                        storage, &answer));
    EXPECT_OK(((struct fuchsia_ldsvc_loader_clone_response*)answer)->rv);
    EXPECT_OK(fidl_send(loader, &fuchsia_ldsvc_loader_done_method, storage, nullptr));
    EXPECT_OK(zx_object_wait_one(loader, ZX_CHANNEL_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
    EXPECT_STATUS(load(near, "no_such_library", &object), ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(loader);
    EXPECT_CLOSE(near);
}
