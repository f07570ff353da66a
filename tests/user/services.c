// The services as a program meets them: /tmp, /dev and /svc of its namespace, the console's
// terminal, and what a program sees when a service is started again under its hands.
#include <utest/utest.h>

#include <stdlib.h>
#include <string.h>

#include <fidl/jacinth.system.h>
#include <io/client.h>
#include <jacinth/abort.h>
#include <jacinth/startup.h>
#include <zircon/syscalls/object.h>

GROUP("services");

constexpr jacinth_io_flags_t READ = JACINTH_IO_FLAGS_READ;
constexpr jacinth_io_flags_t WRITE = JACINTH_IO_FLAGS_WRITE;
constexpr jacinth_io_flags_t CREATE = JACINTH_IO_FLAGS_CREATE;

static alignas(8) uint8_t buffer[ZX_CHANNEL_MAX_MSG_BYTES];
static const struct fidl_storage storage = {buffer, sizeof(buffer)};

// A connection of the case's own to what the program was given at `prefix`.
static zx_handle_t at(const char* prefix) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), prefix) == 0) {
            zx_handle_t given = zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
            zx_handle_t copy = ZX_HANDLE_INVALID;
            EXPECT_OK(io_clone(given, &copy));
            zx_put_startup_handle(PA_HND(PA_NS_DIR, i), given);
            return copy;
        }
    }
    FAIL("no such prefix");
    return ZX_HANDLE_INVALID;
}

static zx_handle_t connect(zx_handle_t svc, const char* name) {
    zx_handle_t ours, theirs;
    EXPECT_OK(zx_channel_create(0, &ours, &theirs));
    EXPECT_OK(io_connect(svc, name, strlen(name), theirs));
    return ours;
}

static zx_status_t restart(zx_handle_t services, char* name) {
    struct jacinth_system_services_restart_request request = {.name = {strlen(name), name}};
    return jacinth_system_services_restart_call(services, ZX_TIME_INFINITE, &request, storage);
}

static struct jacinth_system_service state_of(zx_handle_t services, const char* name) {
    struct jacinth_system_services_list_response* answer;
    EXPECT_OK(jacinth_system_services_list_call(services, ZX_TIME_INFINITE, storage, &answer));
    for (uint64_t i = 0; i < answer->services.count; i++) {
        const struct jacinth_system_service* s = &answer->services.data[i];
        if (s->name.count == strlen(name) && memcmp(s->name.data, name, s->name.count) == 0) {
            return *s;
        }
    }
    FAIL("not in the list");
    return (struct jacinth_system_service){};
}

static void open_at(zx_handle_t directory, const char* path, jacinth_io_flags_t flags,
                    struct io_opened* out) {
    EXPECT_OK(io_open(directory, path, strlen(path), flags, 0600, out, nullptr));
}

static void expect_closed(zx_handle_t channel) {
    EXPECT_OK(zx_object_wait_one(channel, ZX_CHANNEL_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
}

// ---- the namespace ----

CASE(boot_files_and_programs) {
    zx_handle_t bin = at("/bin");
    struct jacinth_io_attributes attributes;
    EXPECT_OK(io_stat(bin, "hello", 5, 0, &attributes, nullptr, nullptr));
    EXPECT_EQ(attributes.kind, JACINTH_IO_KIND_FILE);
    EXPECT_CLOSE(bin);
}

CASE(devices) {
    static const struct {
        const char* name;
        jacinth_io_device_t device;
    } devices[] = {{"null", JACINTH_IO_DEVICE_NULL_DEVICE},
                   {"zero", JACINTH_IO_DEVICE_ZERO},
                   {"random", JACINTH_IO_DEVICE_RANDOM},
                   {"urandom", JACINTH_IO_DEVICE_RANDOM},
                   {"full", JACINTH_IO_DEVICE_FULL}};
    zx_handle_t dev = at("/dev");
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        struct io_opened opened;
        open_at(dev, devices[i].name, READ | WRITE, &opened);
        EXPECT_EQ(opened.kind, JACINTH_IO_KIND_DEVICE);
        EXPECT_EQ(opened.device, devices[i].device);
        EXPECT_EQ(opened.connection, ZX_HANDLE_INVALID);
    }
    struct io_opened opened;
    EXPECT_STATUS(io_open(dev, "disk", 4, READ, 0, &opened, nullptr), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(io_unlink(dev, "null", 4, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(dev);
}

static bool has_name(const struct jacinth_io_entry* entry, const char* name) {
    return entry->name.count == strlen(name) &&
           memcmp(entry->name.data, name, entry->name.count) == 0;
}

CASE(listings_show_what_the_paragraph_says) {
    static struct io_entries entries;
    zx_handle_t svc = at("/svc");
    bool launcher = false, power = false;
    entries.cookie = 0;
    for (;;) {
        EXPECT_OK(io_read_entries(svc, &entries));
        if (entries.count == 0) {
            break;
        }
        for (uint32_t i = 0; i < entries.count; i++) {
            launcher = launcher || has_name(&entries.entries[i], "fuchsia.process.Launcher");
            power = power || has_name(&entries.entries[i], "jacinth.system.Power");
        }
    }
    EXPECT(launcher);
    EXPECT(!power);
    EXPECT_CLOSE(svc);
}

// The paragraph of test/* does not name it, though init offers it.
CASE(what_the_paragraph_does_not_name_is_not_there) {
    zx_handle_t svc = at("/svc");
    zx_handle_t power = connect(svc, "jacinth.system.Power");
    expect_closed(power);
    EXPECT_CLOSE(power);
    EXPECT_CLOSE(svc);
}

// ---- services end and come back ----

CASE(tmp_comes_back_empty_and_is_asked_for_again) {
    zx_handle_t tmp = at("/tmp");
    zx_handle_t svc = at("/svc");
    zx_handle_t services = connect(svc, "jacinth.system.Services");
    struct io_opened file;
    open_at(tmp, "services_test", READ | WRITE | CREATE, &file);
    EXPECT_EQ(file.kind, JACINTH_IO_KIND_FILE);
    struct jacinth_system_service before = state_of(services, "memfs");
    EXPECT_EQ(before.state, JACINTH_SYSTEM_STATE_RUNNING);

    EXPECT_OK(restart(services, "memfs"));
    expect_closed(file.connection);
    expect_closed(tmp);
    io_opened_close(&file);
    EXPECT_CLOSE(tmp);

    tmp = connect(svc, "ns/tmp"); // waits for the next instance
    open_at(tmp, "services_test", READ | WRITE | CREATE | JACINTH_IO_FLAGS_EXCLUSIVE, &file);
    struct jacinth_system_service after = state_of(services, "memfs");
    EXPECT_EQ(after.restarts, before.restarts + 1);
    EXPECT(after.process != before.process);
    io_opened_close(&file);
    EXPECT_OK(io_unlink(tmp, "services_test", 13, 0));
    EXPECT_CLOSE(tmp);
    EXPECT_CLOSE(services);
    EXPECT_CLOSE(svc);
}

CASE(restart_of_what_is_not_there) {
    zx_handle_t svc = at("/svc");
    zx_handle_t services = connect(svc, "jacinth.system.Services");
    EXPECT_STATUS(restart(services, "nobody"), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(restart(services, ""), ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(services);
    EXPECT_CLOSE(svc);
}

// Init watches connections that nobody has used yet instead of starting a service for them, but
// only so many: what it can watch is for everybody.
CASE(many_unused_connections_start_the_service) {
    constexpr size_t COUNT = 1100;
    static zx_handle_t held[COUNT];
    zx_handle_t svc = at("/svc");
    zx_handle_t services = connect(svc, "jacinth.system.Services");
    for (size_t i = 0; i < COUNT; i++) {
        held[i] = connect(svc, "fuchsia.process.Resolver");
    }
    struct jacinth_io_attributes attributes;
    EXPECT_OK(io_get_attributes(svc, &attributes)); // all have arrived
    EXPECT(state_of(services, "resolver").state != JACINTH_SYSTEM_STATE_IDLE);
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT_CLOSE(held[i]);
    }
    EXPECT_CLOSE(services);
    EXPECT_CLOSE(svc);
}

// ---- the terminal ----

static void open_console(jacinth_io_flags_t flags, struct io_opened* out) {
    zx_handle_t dev = at("/dev");
    open_at(dev, "console", flags, out);
    EXPECT_EQ(out->kind, JACINTH_IO_KIND_TERMINAL);
    EXPECT_CLOSE(dev);
}

CASE(terminal_has_modes_and_a_size) {
    struct io_opened t;
    struct jacinth_io_mode mode, changed;
    struct jacinth_io_window_size size;
    open_console(READ | WRITE, &t);
    EXPECT_OK(io_terminal_get_mode(t.connection, &mode));
    EXPECT_EQ(mode.local & 0xb, 0xb); // ISIG, ICANON, ECHO
    changed = mode;
    changed.local &= ~8u;
    EXPECT_OK(io_terminal_set_mode(t.connection, &changed, JACINTH_IO_WHEN_AFTER_OUTPUT_FLUSH));
    EXPECT_OK(io_terminal_get_mode(t.connection, &changed));
    EXPECT_EQ(changed.local, mode.local & ~8u);
    EXPECT_OK(io_terminal_set_mode(t.connection, &mode, JACINTH_IO_WHEN_NOW));
    EXPECT_OK(io_terminal_get_size(t.connection, &size));
    EXPECT(size.rows > 0 && size.columns > 0);
    io_opened_close(&t);
}

CASE(terminal_events) {
    struct io_opened t;
    size_t count;
    char byte;
    zx_signals_t seen;
    open_console(READ | WRITE, &t);
    EXPECT_STATUS(io_terminal_read(t.connection, &byte, 1, &count), ZX_ERR_SHOULD_WAIT);
    EXPECT_OK(zx_object_wait_one(t.events, JACINTH_IO_EVENT_WRITABLE, 0, &seen));
    EXPECT_EQ(seen & JACINTH_IO_EVENT_READABLE, 0);
    EXPECT_OK(io_terminal_write(t.connection, "", 0, &count));
    EXPECT_EQ(count, 0);
    io_opened_close(&t);
}

CASE(terminal_rights) {
    struct io_opened t;
    size_t count;
    char byte;
    open_console(READ, &t);
    EXPECT_STATUS(io_terminal_write(t.connection, "x", 1, &count), ZX_ERR_BAD_HANDLE);
    io_opened_close(&t);
    open_console(WRITE, &t);
    EXPECT_STATUS(io_terminal_read(t.connection, &byte, 1, &count), ZX_ERR_BAD_HANDLE);
    io_opened_close(&t);
}

CASE(terminal_clones) {
    struct io_opened t;
    zx_handle_t clone;
    size_t count;
    open_console(WRITE, &t);
    EXPECT_OK(io_clone(t.connection, &clone));
    EXPECT_CLOSE(t.connection);
    t.connection = ZX_HANDLE_INVALID;
    EXPECT_OK(io_terminal_write(clone, "", 0, &count));
    EXPECT_CLOSE(clone);
    // The last connection of the open is gone, and its events with it.
    EXPECT_OK(zx_object_wait_one(t.events, ZX_EVENTPAIR_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
    EXPECT_CLOSE(t.events);
}

// Requests whose answers nobody reads, nonsense, and closed ends: the others go on.
CASE(terminal_survives_bad_clients) {
    struct io_opened t, other;
    size_t count;
    open_console(READ | WRITE, &t);
    open_console(READ | WRITE, &other);
    zx_status_t status = ZX_OK;
    for (uint32_t i = 0; i < 100'000 && status == ZX_OK; i++) {
        status =
            fidl_request(t.connection, 1, &jacinth_io_terminal_get_mode_method, storage, nullptr);
    }
    EXPECT(status != ZX_OK); // the queue is full, or the connection was taken away
    EXPECT_OK(zx_channel_write(other.connection, 0, "nonsense", 8, nullptr, 0));
    expect_closed(other.connection);
    io_opened_close(&t);
    io_opened_close(&other);
    open_console(READ | WRITE, &t);
    EXPECT_OK(io_terminal_write(t.connection, "", 0, &count));
    io_opened_close(&t);
}

CASE(console_comes_back) {
    struct io_opened t;
    zx_handle_t svc = at("/svc");
    zx_handle_t services = connect(svc, "jacinth.system.Services");
    open_console(READ | WRITE, &t);
    EXPECT_OK(restart(services, "console"));
    expect_closed(t.connection);
    EXPECT_OK(zx_object_wait_one(t.events, ZX_EVENTPAIR_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
    io_opened_close(&t);
    open_console(READ | WRITE, &t);
    io_opened_close(&t);
    EXPECT_CLOSE(services);
    EXPECT_CLOSE(svc);
}

// ---- a server that dies with questions unanswered ----

constexpr size_t JOBS_MAX = 64;

// The process with this koid in a job of a job of the root's.
static zx_handle_t find_process(zx_handle_t root, zx_koid_t koid) {
    static zx_koid_t outer[JOBS_MAX], inner[JOBS_MAX];
    size_t outer_count, inner_count;
    zx_handle_t found = ZX_HANDLE_INVALID;
    EXPECT_OK(zx_object_get_info(root, ZX_INFO_JOB_CHILDREN, outer, sizeof(outer), &outer_count,
                                 nullptr));
    for (size_t i = 0; i < outer_count; i++) {
        zx_handle_t parent;
        EXPECT_OK(zx_object_get_child(root, outer[i], ZX_RIGHT_SAME_RIGHTS, &parent));
        EXPECT_OK(zx_object_get_info(parent, ZX_INFO_JOB_CHILDREN, inner, sizeof(inner),
                                     &inner_count, nullptr));
        for (size_t n = 0; n < inner_count && found == ZX_HANDLE_INVALID; n++) {
            zx_handle_t job;
            if (zx_object_get_child(parent, inner[n], ZX_RIGHT_SAME_RIGHTS, &job) == ZX_OK) {
                (void)zx_object_get_child(job, koid, ZX_RIGHT_SAME_RIGHTS, &found);
                EXPECT_CLOSE(job);
            }
        }
        EXPECT_CLOSE(parent);
    }
    return found;
}

// Init passes opens of the console on. The one who asks is gone when the console dies, and has left
// another open behind: init meets the dead console in the middle of a request of a connection that
// ends with the first one.
static void die_with_an_open(zx_handle_t console) {
    constexpr size_t BUSY = 200;
    static zx_handle_t busy[BUSY];
    zx_handle_t dev = at("/dev");
    zx_handle_t svc = at("/svc");
    zx_handle_t token;
    struct jacinth_io_directory_open_request open = {.path = {7, (uint8_t*)"console"},
                                                     .flags = READ};
    struct jacinth_io_directory_read_entries_request list = {};
    for (size_t i = 0; i < BUSY; i++) {
        EXPECT_OK(io_clone(svc, &busy[i]));
    }
    EXPECT_OK(zx_task_suspend(console, &token));
    EXPECT_OK(fidl_request(dev, 1, &jacinth_io_directory_open_method, storage, &open));
    struct jacinth_io_attributes attributes;
    EXPECT_OK(io_get_attributes(busy[0], &attributes)); // init has passed it on
    for (size_t i = 0; i < BUSY; i++) {
        EXPECT_OK(
            fidl_request(busy[i], 1, &jacinth_io_directory_read_entries_method, storage, &list));
    }
    EXPECT_OK(fidl_request(dev, 2, &jacinth_io_directory_open_method, storage, &open));
    EXPECT_OK(zx_task_kill(console));
    EXPECT_CLOSE(dev);
    EXPECT_CLOSE(token);
    for (size_t i = 0; i < BUSY; i++) {
        EXPECT_CLOSE(busy[i]);
    }
    EXPECT_CLOSE(svc);
}

// Whoever asks while the console is dying hears of it, and asks again.
static void reach_console(void) {
    zx_handle_t dev = at("/dev");
    struct io_opened t;
    zx_status_t status;
    do {
        status = io_open(dev, "console", 7, READ | WRITE, 0, &t, nullptr);
    } while (status == ZX_ERR_PEER_CLOSED);
    EXPECT_OK(status);
    io_opened_close(&t);
    EXPECT_CLOSE(dev);
}

CASE(console_dies_with_opens_of_one_who_is_gone) {
    zx_handle_t svc = at("/svc");
    zx_handle_t services = connect(svc, "jacinth.system.Services");
    zx_handle_t root = utest_startup_peek(PA_HND(PA_USER0, 0)); // GRANTED_ROOT_JOB
    EXPECT(root != ZX_HANDLE_INVALID);
    for (uint32_t i = 0; i < 3; i++) {
        reach_console();
        zx_handle_t console = find_process(root, state_of(services, "console").process);
        EXPECT(console != ZX_HANDLE_INVALID);
        die_with_an_open(console);
        EXPECT_CLOSE(console);
    }
    reach_console();
    EXPECT_CLOSE(services);
    EXPECT_CLOSE(svc);
}

// ---- what tools ask ----

// One who hoards connections ends his own: everybody else is served, and so is he.
static void hoard(const char* protocol, size_t count, zx_status_t (*ask)(zx_handle_t connection)) {
    zx_handle_t svc = at("/svc");
    zx_handle_t* held = malloc(count * sizeof(*held));
    EXPECT(held != nullptr);
    for (size_t i = 0; i < count; i++) {
        held[i] = connect(svc, protocol);
        EXPECT_OK(ask(held[i]));
    }
    EXPECT_STATUS(ask(held[0]), ZX_ERR_PEER_CLOSED);
    EXPECT_OK(ask(held[count - 1]));
    for (size_t i = 0; i < count; i++) {
        EXPECT_CLOSE(held[i]);
    }
    free(held);
    EXPECT_CLOSE(svc);
}

static zx_status_t ask_services(zx_handle_t services) {
    struct jacinth_system_services_list_response* answer;
    return jacinth_system_services_list_call(services, ZX_TIME_INFINITE, storage, &answer);
}

static zx_status_t ask_tasks(zx_handle_t tasks) {
    struct jacinth_system_tasks_get_root_response* answer;
    zx_status_t status =
        jacinth_system_tasks_get_root_call(tasks, ZX_TIME_INFINITE, storage, &answer);
    if (status == ZX_OK) {
        EXPECT_CLOSE(answer->job);
    }
    return status;
}

CASE(hoarding_connections_shuts_nobody_out) {
    hoard("jacinth.system.Services", 300, ask_services);
    hoard("jacinth.system.Tasks", 100, ask_tasks);
}

// What the job lets its holder do, and what not.
CASE(tasks_are_for_looking_and_ending) {
    zx_handle_t svc = at("/svc");
    zx_handle_t services = connect(svc, "jacinth.system.Services");
    zx_handle_t tasks = connect(svc, "jacinth.system.Tasks");
    struct jacinth_system_tasks_get_root_response* answer;
    EXPECT_OK(jacinth_system_tasks_get_root_call(tasks, ZX_TIME_INFINITE, storage, &answer));
    zx_handle_t root = answer->job;
    zx_info_handle_basic_t info;
    EXPECT_OK(
        zx_object_get_info(root, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.rights & (ZX_RIGHT_WRITE | ZX_RIGHT_MANAGE_JOB | ZX_RIGHT_MANAGE_PROCESS |
                             ZX_RIGHT_MANAGE_THREAD | ZX_RIGHT_SET_POLICY | ZX_RIGHT_SET_PROPERTY),
              0u);
    zx_handle_t made;
    EXPECT_STATUS(zx_job_create(root, 0, &made), ZX_ERR_ACCESS_DENIED);
    zx_handle_t process = find_process(root, state_of(services, "tasks").process);
    EXPECT(process != ZX_HANDLE_INVALID);
    zx_handle_t token;
    EXPECT_STATUS(zx_task_suspend(process, &token), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(process);
    EXPECT_CLOSE(root);
    EXPECT_CLOSE(tasks);
    EXPECT_CLOSE(services);
    EXPECT_CLOSE(svc);
}

// ---- crashes ----

CHILD(crash) {
    __asm__ volatile("ud2");
    return 1;
}

CHILD(abort) {
    __asm__ volatile("int %0" : : "i"(JACINTH_ABORT_TRAP)); // as the C library's abort()
    return 1;
}

// Memory of a pager that does not answer: this process's own. 0: there is none.
static zx_vaddr_t map_mute(void) {
    zx_handle_t pager, vmo;
    zx_vaddr_t at;
    zx_vm_option_t options = ZX_VM_PERM_READ | ZX_VM_ALLOW_FAULTS;
    bool is_mapped = zx_pager_create(0, &pager) == ZX_OK &&
                     zx_pager_create_vmo(pager, 0, utest_port(), 0, 4096, &vmo) == ZX_OK &&
                     zx_vmar_map(zx_vmar_root_self(), options, 0, vmo, 0, 4096, &at) == ZX_OK;
    return is_mapped ? at : 0;
}

CHILD(crash_by_a_mute_pager) {
    zx_vaddr_t at = map_mute();
    if (at != 0) {
        __asm__ volatile("mov %0, %%rbp\n ud2" : : "r"(at)); // where its frames would be
    }
    return 1;
}

CHILD(run_by_a_mute_pager) {
    zx_vaddr_t at = map_mute();
    if (at != 0 && zx_channel_write(channel, 0, nullptr, 0, nullptr, 0) == ZX_OK) {
        __asm__ volatile("mov %0, %%rbp\n 1: pause\n jmp 1b" : : "r"(at));
    }
    return 1;
}

// The text of the report with this name; false: there is none.
static bool read_report(zx_handle_t tmp, const char* path, char* text, size_t capacity) {
    struct io_opened file;
    size_t count = 0;
    if (io_open(tmp, path, strlen(path), READ, 0, &file, nullptr) != ZX_OK) {
        return false;
    }
    zx_iovec_t piece = {.buffer = text, .capacity = capacity - 1};
    EXPECT_OK(zx_stream_readv(file.stream, 0, &piece, 1, &count));
    text[count] = '\0';
    io_opened_close(&file);
    return true;
}

static bool contains(const char* text, const char* part) {
    size_t len = strlen(part);
    for (; *text != '\0'; text++) {
        if (strncmp(text, part, len) == 0) {
            return true;
        }
    }
    return false;
}

static void expect_report(zx_handle_t tmp, const char* path, const char* begin) {
    char text[4096];
    EXPECT(read_report(tmp, path, text, sizeof(text)));
    utest_context(text);
    EXPECT(strncmp(text, begin, strlen(begin)) == 0);
    EXPECT(contains(text, "\n#0  child_"));
    EXPECT(contains(text, " (services+0x"));
    EXPECT(contains(text, "  main+0x"));
    utest_context(nullptr);
}

// Another instance of the reporter, which counts from 0, if there is one that may have counted.
static void restart_reporter(zx_handle_t services) {
    struct jacinth_system_service before = state_of(services, "crash");
    if (before.state != JACINTH_SYSTEM_STATE_RUNNING) {
        return;
    }
    EXPECT_OK(restart(services, "crash"));
    while (state_of(services, "crash").restarts == before.restarts ||
           state_of(services, "crash").state != JACINTH_SYSTEM_STATE_RUNNING) {
        (void)zx_nanosleep(zx_deadline_after(1'000'000));
    }
}

// The reporter is started by the first crash, and again after it has ended.
CASE(crashes_are_kept) {
    static const char undefined[] = "crash: undefined instruction in process ";
    zx_handle_t svc = at("/svc");
    zx_handle_t tmp = connect(svc, "ns/tmp");
    zx_handle_t services = connect(svc, "jacinth.system.Services");
    restart_reporter(services); // other programs have crashed before
    EXPECT_EQ(utest_child_run("crash"), ZX_TASK_RETCODE_EXCEPTION_KILL);
    EXPECT_EQ(utest_child_run("abort"), ZX_TASK_RETCODE_EXCEPTION_KILL);
    expect_report(tmp, "crashes/0.txt", undefined);
    expect_report(tmp, "crashes/1.txt", "crash: abort() in process ");
    EXPECT_EQ(state_of(services, "crash").state, JACINTH_SYSTEM_STATE_RUNNING);
    EXPECT_OK(io_unlink(tmp, "crashes/0.txt", 13, 0));
    restart_reporter(services);
    EXPECT_EQ(utest_child_run("crash"), ZX_TASK_RETCODE_EXCEPTION_KILL);
    expect_report(tmp, "crashes/0.txt", undefined);
    EXPECT_CLOSE(services);
    EXPECT_CLOSE(svc);
    EXPECT_CLOSE(tmp);
}

// Nor do those that crash after it wait for long.
CASE(a_mute_pager_does_not_hold_the_reporter) {
    zx_handle_t svc = at("/svc");
    zx_handle_t tmp = connect(svc, "ns/tmp");
    zx_handle_t services = connect(svc, "jacinth.system.Services");
    char text[4096];
    restart_reporter(services);
    EXPECT_EQ(utest_child_run("crash_by_a_mute_pager"), ZX_TASK_RETCODE_EXCEPTION_KILL);
    struct jacinth_system_service before = state_of(services, "crash");
    EXPECT(read_report(tmp, "crashes/0.txt", text, sizeof(text)));
    utest_context(text);
    EXPECT(contains(text, "\n#0  child_crash_by_a_mute_pager"));
    EXPECT(contains(text, "\nmemory not readable: its pager does not answer\n"));
    utest_context(nullptr);
    EXPECT_EQ(utest_child_run("crash"), ZX_TASK_RETCODE_EXCEPTION_KILL);
    expect_report(tmp, "crashes/1.txt", "crash: undefined instruction in process ");
    EXPECT_EQ(state_of(services, "crash").restarts, before.restarts);
    EXPECT_CLOSE(services);
    EXPECT_CLOSE(svc);
    EXPECT_CLOSE(tmp);
}

// Whoever asks for a stack that nobody can read does not keep the others from looking at tasks.
CASE(a_mute_pager_does_not_hold_who_shows_tasks) {
    zx_handle_t svc = at("/svc");
    zx_handle_t tasks = connect(svc, "jacinth.system.Tasks");
    static alignas(8) uint8_t bytes[65536];
    const struct fidl_storage large = {bytes, sizeof(bytes)};
    struct utest_child c;
    zx_koid_t threads[4];
    size_t count, avail;
    zx_info_handle_basic_t info;
    utest_child_start(&c, "run_by_a_mute_pager", ZX_HANDLE_INVALID);
    EXPECT_OK(zx_object_wait_one(c.channel, ZX_CHANNEL_READABLE, utest_after_ms(20000), nullptr));
    EXPECT_OK(
        zx_object_get_info(c.process, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr, nullptr));
    EXPECT_OK(zx_object_get_info(c.process, ZX_INFO_PROCESS_THREADS, threads, sizeof(threads),
                                 &count, &avail));
    EXPECT_EQ(count, 1);
    struct jacinth_system_tasks_get_stack_request request = {info.koid, threads[0]};
    struct jacinth_system_tasks_get_stack_response* stack;
    EXPECT_OK(
        jacinth_system_tasks_get_stack_call(tasks, ZX_TIME_INFINITE, &request, large, &stack));
    EXPECT(stack->frames.count >= 1);
    struct jacinth_system_tasks_get_root_response* answer;
    EXPECT_OK(jacinth_system_tasks_get_root_call(tasks, ZX_TIME_INFINITE, storage, &answer));
    EXPECT_CLOSE(answer->job);
    EXPECT_OK(zx_task_kill(c.process));
    EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
    EXPECT_CLOSE(tasks);
    EXPECT_CLOSE(svc);
}
