// Starts a program with exactly what is named, out of what this program has itself. Without options
// it gets nothing but itself and, if it is linked with libraries, who finds those: no files, no
// children, no output but the kernel's console.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fidl/channel.h>
#include <fidl/fuchsia.ldsvc.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <launcher/source.h>
#include <system/grants.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/time.h>

#include "ns.h"
#include "paging.h"
#include "tool.h"
#include "tools.h"

static const char usage[] = "launch [OPTION]... PATH [ARGUMENT]...";
static const char options_help[] =
    "  -n PREFIX[=PATH]  a directory, at PREFIX; PATH: another place in this program's namespace\n"
    "  -f N[=M]          descriptor N: this program's M, a pipe, an event or a log\n"
    "  -e NAME=VALUE     a line of its environment\n"
    "  -j                a job for children; without it, it can have none\n"
    "  -t                the job that ps and kill begin at\n"
    "  --no-loader       no service that finds the libraries which it is linked with\n"
    "  --stats           says at its end what loading it and running it took\n"
    "PATH begins at the working directory, if it does not begin with a slash. A program that is\n"
    "linked with libraries (the SDK's default) gets its interpreter, and a loader service: that\n"
    "hands out what is in /boot/lib, and needs no -n. Libraries elsewhere need one: -n /lib.\n"
    "The exit code is the program's, or 126 if it could not be started.\n";

constexpr uint32_t WORDS_MAX = 24;
constexpr int NOT_STARTED = 126;

struct plan {
    struct launch_handle handles[WORDS_MAX + 8];
    uint32_t handle_count;
    const char* names[WORDS_MAX];
    uint32_t name_count;
    const char* environ[WORDS_MAX];
    uint32_t environ_count;
    bool has_job;
    bool has_no_loader;
    bool wants_stats;
};

// ---- what is given ----

static bool is_full(const struct plan* p) {
    return p->handle_count == sizeof(p->handles) / sizeof(p->handles[0]);
}

static zx_status_t give(struct plan* p, uint32_t info, zx_handle_t handle) {
    if (is_full(p)) {
        (void)zx_handle_close(handle);
        return ZX_ERR_NO_RESOURCES;
    }
    p->handles[p->handle_count++] = (struct launch_handle){info, handle};
    return ZX_OK;
}

static zx_status_t give_copy(struct plan* p, uint32_t info, zx_handle_t handle) {
    zx_handle_t copy;
    zx_status_t status = zx_handle_duplicate(handle, ZX_RIGHT_SAME_RIGHTS, &copy);
    return status == ZX_OK ? give(p, info, copy) : status;
}

// PREFIX or PREFIX=PATH; the text is cut at the sign. A directory is opened with the rights of the
// one through which it is reached: its servers know no way to take some away.
static zx_status_t give_directory(struct plan* p, char* text) {
    char* path = strchr(text, '=');
    if (path != nullptr) {
        *path++ = '\0';
    } else {
        path = text;
    }
    if (text[0] != '/' || p->name_count == WORDS_MAX) {
        return ZX_ERR_INVALID_ARGS;
    }
    struct io_opened opened;
    zx_status_t status = ns_open(path, JACINTH_IO_FLAGS_DIRECTORY | JACINTH_IO_FLAGS_READ, &opened);
    if (status != ZX_OK) {
        return status;
    }
    status = give(p, PA_HND(PA_NS_DIR, p->name_count), opened.connection);
    p->names[p->name_count++] = text;
    return status;
}

// Sockets, streams, events and logs are duplicated. Connections to servers would have to be cloned:
// they are the C library's, whose programs start their children themselves.
static zx_status_t give_descriptor(struct plan* p, char* text) {
    char* equals = strchr(text, '=');
    if (equals != nullptr) {
        *equals++ = '\0';
    } else {
        equals = text;
    }
    uint64_t theirs, ours;
    if (!tool_parse_u64(text, &theirs) || !tool_parse_u64(equals, &ours) || theirs > UINT16_MAX ||
        ours > UINT16_MAX) {
        return ZX_ERR_INVALID_ARGS;
    }
    uint32_t info = PA_HND(PA_FD, (uint32_t)ours);
    zx_handle_t handle = zx_take_startup_handle(info);
    if (handle == ZX_HANDLE_INVALID) {
        return ZX_ERR_NOT_FOUND;
    }
    zx_status_t status = give_copy(p, PA_HND(PA_FD, (uint32_t)theirs), handle);
    zx_put_startup_handle(info, handle);
    return status;
}

static zx_status_t take_option(struct plan* p, char letter, char* value) {
    switch (letter) {
    case 'n':
        return give_directory(p, value);
    case 'f':
        return give_descriptor(p, value);
    case 'e':
        if (strchr(value, '=') == nullptr || p->environ_count == WORDS_MAX) {
            return ZX_ERR_INVALID_ARGS;
        }
        p->environ[p->environ_count++] = value;
        return ZX_OK;
    case 't':
        return give_copy(p, GRANTED_ROOT_JOB, tool_root_job());
    default: // j
        p->has_job = true;
        return ZX_OK;
    }
}

// The index of the program's path, or 0: what is wrong has been said.
static int read_options(struct plan* p, int argc, char** argv) {
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        char letter = argv[i][1];
        if (letter == '-' && argv[i][2] == '\0') {
            i++;
            break;
        }
        if (strcmp(argv[i], "--stats") == 0) {
            p->wants_stats = true;
            continue;
        }
        if (strcmp(argv[i], "--no-loader") == 0) {
            p->has_no_loader = true;
            continue;
        }
        bool takes_value = letter != '\0' && strchr("nfe", letter) != nullptr;
        bool is_known = takes_value || letter == 'j' || letter == 't';
        if (!is_known || argv[i][2] != '\0' || (takes_value && i + 1 >= argc)) {
            (void)tool_bad_usage(usage);
            return 0;
        }
        char* value = takes_value ? argv[++i] : argv[i];
        zx_status_t status = take_option(p, letter, value);
        if (status != ZX_OK) {
            (void)tool_failed("launch", value, status);
            return 0;
        }
    }
    if (i >= argc) {
        (void)tool_bad_usage(usage);
        return 0;
    }
    return i;
}

// ---- the start ----

static zx_status_t make_job(struct plan* p, const char* name, zx_handle_t* job) {
    zx_status_t status = zx_job_create(zx_job_default(), 0, job);
    if (status != ZX_OK) {
        return status;
    }
    (void)zx_object_set_property(*job, ZX_PROP_NAME, name, strlen(name));
    return p->has_job ? give_copy(p, PA_HND(PA_JOB_DEFAULT, 0), *job) : ZX_OK;
}

static zx_status_t open_program(const char* path, struct launch_source* source) {
    struct io_opened opened;
    zx_status_t status = ns_open(path, JACINTH_IO_FLAGS_EXECUTE, &opened);
    if (status == ZX_OK) {
        status = opened.kind == JACINTH_IO_KIND_FILE
                     ? launch_source_open(fidl_take(&opened.connection), ZX_TIME_INFINITE, source)
                     : ZX_ERR_NOT_FILE;
        io_opened_close(&opened);
    }
    return status;
}

// The dots at a path's beginning lead to other prefixes, so they are followed here.
static bool make_full(const char* path, char full[IO_PATH_MAX]) {
    const char* from = path[0] == '/' ? "" : ns_working_directory();
    if (from == nullptr || strlen(from) >= IO_PATH_MAX) {
        return false;
    }
    size_t len = strcmp(from, "/") == 0 ? 0 : strlen(from);
    memcpy(full, from, len);
    while (strncmp(path, "./", 2) == 0 || strncmp(path, "../", 3) == 0) {
        bool is_up = path[1] == '.';
        path += is_up ? 3 : 2;
        while (is_up && len > 0 && full[--len] != '/') {
        }
    }
    int rest = snprintf(full + len, IO_PATH_MAX - len, "%s%s", path[0] == '/' ? "" : "/", path);
    return rest < (int)(IO_PATH_MAX - len);
}

// ---- what it is linked with ----

// The interpreter is ours to find. It finds the libraries: in directories that the program was
// given, and by a loader service, so that it needs none.
struct linking {
    bool has_no_loader;
    struct launch_request* request; // gets the loader
    struct launch_source source;    // of the interpreter
    char name[64];                  // "": the program has none
};

// A loader that does not answer is none: the interpreter would look nowhere else. *out is what it
// has by the name.
static zx_handle_t connect_loader(const char* file, struct launch_source* out) {
    *out = (struct launch_source){};
    struct fuchsia_ldsvc_loader_load_object_request request = {
        .object_name = {.count = strlen(file), .data = (char*)file}};
    alignas(8) char bytes[1024];
    void* response;
    zx_handle_t loader;
    if (tool_connect("fuchsia.ldsvc.Loader", &loader) != ZX_OK) {
        return ZX_HANDLE_INVALID;
    }
    if (fidl_call(loader, zx_deadline_after(ZX_SEC(10)), &fuchsia_ldsvc_loader_load_object_method,
                  &request, (struct fidl_storage){bytes, sizeof(bytes)}, &response) != ZX_OK) {
        (void)zx_handle_close(loader);
        return ZX_HANDLE_INVALID;
    }
    struct fuchsia_ldsvc_loader_load_object_response* answer = response;
    out->vmo = fidl_take(&answer->object);
    if (out->vmo != ZX_HANDLE_INVALID && zx_vmo_get_size(out->vmo, &out->len) != ZX_OK) {
        launch_source_close(out);
        *out = (struct launch_source){};
    }
    return loader;
}

// Where the C library looks when it starts a program: at a full path, or in these folders.
static zx_status_t open_interpreter(const char* name, const char* file, struct launch_source* out) {
    if (name[0] == '/') {
        return open_program(name, out);
    }
    static const char* const folders[] = {"/boot/lib", "/lib"};
    zx_status_t status = ZX_ERR_NOT_FOUND;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && status != ZX_OK; i++) {
        char path[IO_PATH_MAX];
        if (snprintf(path, sizeof(path), "%s/%s", folders[i], file) >= (int)sizeof(path)) {
            return ZX_ERR_BAD_PATH;
        }
        status = open_program(path, out);
    }
    return status;
}

static zx_status_t find_interpreter(void* ctx, const char* name, struct launch_file* out) {
    struct linking* l = ctx;
    const char* slash = strrchr(name, '/');
    const char* file = slash != nullptr ? slash + 1 : name;
    (void)snprintf(l->name, sizeof(l->name), "%s", name);
    struct launch_source offered = {};
    if (!l->has_no_loader) {
        l->request->loader_service = connect_loader(file, &offered);
    }
    zx_status_t status = open_interpreter(name, file, &l->source);
    if (status != ZX_OK && name[0] != '/' && offered.vmo != ZX_HANDLE_INVALID) {
        l->source = offered;
        status = ZX_OK;
    } else {
        launch_source_close(&offered);
    }
    if (status == ZX_OK) {
        *out = launch_source_file(&l->source);
    }
    return status;
}

// ---- what it took ----

// At three moments: before the file is opened, before its first instruction, at its end.
struct stats {
    struct paging before, loaded, ended;
    zx_time_t begin, first_instruction, end;
    uint64_t read_shared;   // of a file that was read: what it shares all the same (the vDSO)
    bool is_read;           // its file was read, into memory that nobody else has
    uint64_t load_private;  // bytes that were its own before it ran
    uint64_t most_private;  // the most that was seen while it ran
    uint64_t most_resident; // that and what it shared with others
};

static void look(zx_handle_t process, struct stats* s) {
    zx_info_task_stats_t info;
    if (zx_object_get_info(process, ZX_INFO_TASK_STATS, &info, sizeof(info), nullptr, nullptr) ==
        ZX_OK) {
        const uint64_t resident = info.mem_private_bytes + info.mem_shared_bytes;
        uint64_t private = info.mem_private_bytes;
        if (s->is_read && resident > s->read_shared) {
            // The kernel calls pages shared of which a process has several mappings.
            private = resident - s->read_shared;
        }
        s->most_private = private > s->most_private ? private : s->most_private;
        s->most_resident = resident > s->most_resident ? resident : s->most_resident;
    }
}

// Memory is looked at every few milliseconds: what comes and goes in between is not seen.
static void watch(zx_handle_t process, struct stats* s) {
    do {
        look(process, s);
    } while (zx_object_wait_one(process, ZX_PROCESS_TERMINATED, zx_deadline_after(ZX_MSEC(5)),
                                nullptr) == ZX_ERR_TIMED_OUT);
    s->end = zx_clock_get_monotonic();
    (void)paging_read(&s->ended);
}

static void print_part(const char* name, const struct paging* from, const struct paging* to,
                       zx_duration_t took) {
    fprintf(stderr,
            "%-5s %6lld us, %llu disk reads, %llu KiB read, %llu requests for %llu pages, "
            "%llu evicted\n",
            name, (long long)(took / ZX_USEC(1)),
            (unsigned long long)(to->disk_reads - from->disk_reads),
            (unsigned long long)((to->disk_bytes - from->disk_bytes) / 1024),
            (unsigned long long)(to->requests - from->requests),
            (unsigned long long)(to->supplied_pages - from->supplied_pages),
            (unsigned long long)(to->evicted_pages - from->evicted_pages));
}

// On the error output, so that the program's own stays what it is. The counters are the system's:
// what others do meanwhile is in them.
static void print_stats(const struct stats* s, const struct launch_source* source,
                        const struct linking* linking) {
    print_part("load", &s->before, &s->loaded, s->first_instruction - s->begin);
    const uint64_t requests = source->requests + linking->source.requests;
    if (requests != 0) {
        fprintf(stderr, "server: %llu KiB read in %llu requests\n",
                (unsigned long long)(source->bytes + linking->source.bytes) / 1024,
                (unsigned long long)requests);
    }
    if (linking->name[0] != '\0') {
        fprintf(stderr, "linked: by %s, at the beginning of the run\n", linking->name);
    }
    print_part("run", &s->loaded, &s->ended, s->end - s->first_instruction);
    fprintf(stderr,
            "memory: %llu KiB its own when loaded, at most %llu KiB, with shared %llu KiB\n",
            (unsigned long long)s->load_private / 1024, (unsigned long long)s->most_private / 1024,
            (unsigned long long)s->most_resident / 1024);
}

static int exit_code(zx_handle_t process) {
    zx_info_process_t info = {};
    (void)zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr);
    zx_status_t status =
        zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr);
    return status == ZX_OK ? (int)info.return_code : NOT_STARTED;
}

static void print_failure(const char* program, const struct linking* linking,
                          struct launch_result result) {
    const char* said = zx_status_get_string(result.status);
    if (result.error == LAUNCH_NO_INTERPRETER) {
        fprintf(stderr, "launch: %s, the interpreter of %s: %s\n", linking->name, program, said);
    } else {
        said = result.elf != ELF_OK ? elf_error_text(result.elf) : said;
        fprintf(stderr, "launch: %s: %s (%s)\n", program, launch_error_text(result.error), said);
    }
}

static int run(struct plan* p, char** argv, uint32_t count) {
    char path[IO_PATH_MAX];
    if (!make_full(argv[0], path)) {
        fprintf(stderr, "launch: %s: a full path is needed\n", argv[0]);
        return NOT_STARTED;
    }
    struct launch_vdso vdso;
    struct launch_source source;
    zx_handle_t job;
    struct stats stats = {};
    zx_status_t status = p->wants_stats ? paging_read(&stats.before) : ZX_OK;
    if (status != ZX_OK) {
        (void)tool_failed("launch", "the kernel's figures", status);
        return NOT_STARTED;
    }
    stats.begin = zx_clock_get_monotonic();
    status = open_program(path, &source);
    if (status == ZX_OK) {
        status = make_job(p, argv[0], &job);
    }
    if (status == ZX_OK) {
        status = launch_vdso_init(&vdso, zx_vmo_vdso()).status;
    }
    if (status != ZX_OK) {
        (void)tool_failed("launch", argv[0], status);
        return NOT_STARTED;
    }
    struct linking linking = {.has_no_loader = p->has_no_loader};
    struct launch_request request = {.job = job,
                                     .name = path,
                                     .file = launch_source_file(&source),
                                     .vdso = &vdso,
                                     .args = (const char* const*)argv,
                                     .arg_count = count,
                                     .environ = p->environ,
                                     .environ_count = p->environ_count,
                                     .names = p->names,
                                     .name_count = p->name_count,
                                     .handles = p->handles,
                                     .handle_count = p->handle_count,
                                     .find_interpreter = find_interpreter,
                                     .find_ctx = &linking};
    linking.request = &request;
    zx_handle_t process;
    struct launched launched;
    stats.read_shared = vdso.code_offset + vdso.code_len;
    (void)fflush(stdout);
    struct launch_result result = launch_prepare(&request, &launched);
    // Of a linked program the interpreter's pages are shared, so the kernel's own word is nearer.
    stats.is_read = source.vmo == ZX_HANDLE_INVALID && linking.name[0] == '\0';
    if (result.error == LAUNCH_OK && p->wants_stats) {
        stats.first_instruction = zx_clock_get_monotonic();
        look(launched.process, &stats);
        stats.load_private = stats.most_private;
        (void)paging_read(&stats.loaded);
    }
    if (result.error == LAUNCH_OK) {
        result = launch_start(&launched, &process);
    }
    if (result.error != LAUNCH_OK) {
        print_failure(argv[0], &linking, result);
        return NOT_STARTED;
    }
    if (p->wants_stats) {
        watch(process, &stats);
        print_stats(&stats, &source, &linking);
    }
    int code = exit_code(process);
    (void)zx_task_kill(job); // nothing of it stays
    return code;
}

int launch_main(int argc, char** argv) {
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        printf("usage: %s\n%s", usage, options_help);
        return 0;
    }
    static struct plan plan;
    int at = read_options(&plan, argc, argv);
    return at == 0 ? 2 : run(&plan, argv + at, (uint32_t)(argc - at));
}
