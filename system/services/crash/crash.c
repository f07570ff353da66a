// The crash reporter: keeps a report of the last crashes below /tmp/crashes.
//
// It is given the exception channel of the job in which commands run. It looks at the thread,
// writes the report, and passes the exception on: nobody else wants it, so the kernel prints its
// own report and ends the process. If this service hangs, crashed programs wait for it; if it ends,
// they go on to their end. So it waits for nobody that a program could have chosen (backtrace.h).

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <backtrace/backtrace.h>
#include <bootsvc/client.h>
#include <io/client.h>
#include <jacinth/abort.h>
#include <jacinth/startup.h>
#include <symbols/boot.h>
#include <system/grants.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/exception.h>

constexpr uint64_t REPORTS_KEPT = 8;
constexpr char folder[] = "crashes";

struct report {
    char text[8192];
    size_t len;
    char chain[200]; // the functions, the innermost first, as many as a line holds
    size_t chain_len;
};

[[gnu::format(printf, 2, 3)]] static void put(struct report* r, const char* format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(r->text + r->len, sizeof(r->text) - r->len, format, args);
    va_end(args);
    size_t room = sizeof(r->text) - r->len - 1;
    r->len += (size_t)len < room ? (size_t)len : room;
}

// ---- what happened ----

static const char* type_name(zx_excp_type_t type) {
    switch (type) {
    case ZX_EXCP_GENERAL:
        return "general protection or other hardware exception";
    case ZX_EXCP_FATAL_PAGE_FAULT:
        return "page fault";
    case ZX_EXCP_UNDEFINED_INSTRUCTION:
        return "undefined instruction";
    case ZX_EXCP_SW_BREAKPOINT:
        return "breakpoint instruction";
    case ZX_EXCP_HW_BREAKPOINT:
        return "debug exception";
    case ZX_EXCP_UNALIGNED_ACCESS:
        return "unaligned access";
    case ZX_EXCP_POLICY_ERROR:
        return "policy error";
    default:
        return "unknown exception";
    }
}

// What was given by the program itself is shown as far as it can be printed.
static void put_name(struct report* r, zx_handle_t object) {
    char name[ZX_MAX_NAME_LEN] = "";
    (void)zx_object_get_property(object, ZX_PROP_NAME, name, sizeof(name));
    name[sizeof(name) - 1] = '\0';
    for (char* c = name; *c != '\0'; c++) {
        *c = *c >= ' ' && *c <= '~' ? *c : '?';
    }
    put(r, "%s", name);
}

static void put_registers(struct report* r, const zx_x86_64_thread_state_general_regs_t* g) {
    const struct {
        const char* name;
        uint64_t value;
    } list[] = {{"rip", g->rip}, {"rsp", g->rsp}, {"rbp", g->rbp}, {"rflags", g->rflags},
                {"rax", g->rax}, {"rbx", g->rbx}, {"rcx", g->rcx}, {"rdx", g->rdx},
                {"rsi", g->rsi}, {"rdi", g->rdi}, {"r8", g->r8},   {"r9", g->r9},
                {"r10", g->r10}, {"r11", g->r11}, {"r12", g->r12}, {"r13", g->r13},
                {"r14", g->r14}, {"r15", g->r15}};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        put(r, "%6s %016llx%s", list[i].name, (unsigned long long)list[i].value,
            i % 4 == 3 ? "\n" : " ");
    }
    put(r, "\n");
}

struct frames {
    struct report* report;
    struct symbols_boot names;
};

// What does not fit whole is left out, with all that follows.
static void put_link(struct report* r, const char* name) {
    size_t room = sizeof(r->chain) - r->chain_len;
    int len = snprintf(r->chain + r->chain_len, room, "%s%s", r->chain_len > 0 ? " < " : "", name);
    if (len > 0 && (size_t)len < room) {
        r->chain_len += (size_t)len;
    } else {
        r->chain[r->chain_len] = '\0';
        r->chain_len = sizeof(r->chain) - 1;
    }
}

static void put_frame(void* ctx, const struct backtrace_frame* frame) {
    struct frames* f = ctx;
    char line[SYMBOLS_LINE_MAX];
    symbols_frame_line(&f->names, frame, line);
    put(f->report, "%s", line);
    struct symbols_place place;
    put_link(f->report, symbols_frame_place(&f->names, frame, &place) ? place.name : "?");
}

// The names are mapped for as long as they are needed.
static void put_backtrace(struct report* r, zx_handle_t process,
                          const zx_x86_64_thread_state_general_regs_t* registers) {
    struct backtrace_space space;
    struct frames f = {.report = r};
    if (backtrace_begin(&space, process) == ZX_OK) {
        symbols_boot_open(&f.names, bootsvc_startup());
        backtrace_walk(&space, registers, put_frame, &f);
        symbols_boot_close(&f.names);
        if (!backtrace_end(&space)) {
            put(r, "memory not readable: its pager does not answer\n");
        }
    }
}

// A failed page fault's status, or the number of a policy.
static const char* synth_name(uint32_t code, char number[16]) {
    if ((int32_t)code < 0) {
        return zx_status_get_string((zx_status_t)code);
    }
    (void)snprintf(number, 16, "code %u", code);
    return number;
}

static void put_thread(struct report* r, zx_handle_t process, zx_handle_t thread) {
    zx_exception_report_t report = {};
    zx_x86_64_thread_state_general_regs_t registers;
    if (zx_object_get_info(thread, ZX_INFO_THREAD_EXCEPTION_REPORT, &report, sizeof(report),
                           nullptr, nullptr) == ZX_OK) {
        char number[16];
        put(r, "vector %llu, error %#llx, address %#llx, %s\n",
            (unsigned long long)report.context.arch.u.x86_64.vector,
            (unsigned long long)report.context.arch.u.x86_64.err_code,
            (unsigned long long)report.context.arch.u.x86_64.cr2,
            synth_name(report.context.synth_code, number));
    }
    if (zx_thread_read_state(thread, ZX_THREAD_STATE_GENERAL_REGS, &registers, sizeof(registers)) !=
        ZX_OK) {
        return; // killed meanwhile
    }
    put_registers(r, &registers);
    put_backtrace(r, process, &registers);
}

static bool is_abort(zx_handle_t thread) {
    zx_exception_report_t report = {};
    return zx_object_get_info(thread, ZX_INFO_THREAD_EXCEPTION_REPORT, &report, sizeof(report),
                              nullptr, nullptr) == ZX_OK &&
           report.header.type == ZX_EXCP_GENERAL &&
           JACINTH_IS_ABORT(report.context.arch.u.x86_64.vector,
                            report.context.arch.u.x86_64.err_code);
}

static void describe(struct report* r, const zx_exception_info_t* info, zx_handle_t exception) {
    zx_handle_t process = ZX_HANDLE_INVALID;
    zx_handle_t thread = ZX_HANDLE_INVALID;
    (void)zx_exception_get_process(exception, &process);
    (void)zx_exception_get_thread(exception, &thread);
    *r = (struct report){};
    put(r, "crash: %s in process %llu '", is_abort(thread) ? "abort()" : type_name(info->type),
        (unsigned long long)info->pid);
    put_name(r, process);
    put(r, "', thread %llu '", (unsigned long long)info->tid);
    put_name(r, thread);
    put(r, "', %lld ms after the start of the machine\n",
        (long long)(zx_clock_get_monotonic() / 1'000'000));
    put_thread(r, process, thread);
    (void)zx_handle_close(process);
    (void)zx_handle_close(thread);
}

// ---- keeping it ----

static zx_handle_t directory_at(const char* prefix) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), prefix) == 0) {
            return zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
        }
    }
    return ZX_HANDLE_INVALID;
}

static struct {
    zx_handle_t tmp, svc;
    uint64_t count;
} kept;

// /tmp's server may have been started again.
static void renew_tmp(void) {
    zx_handle_t ours, theirs;
    if (zx_channel_create(0, &ours, &theirs) == ZX_OK) {
        (void)zx_handle_close(kept.tmp);
        kept.tmp = ours;
        (void)io_connect(kept.svc, "ns/tmp", 6, theirs);
    }
}

static zx_status_t open_file(const char* name, struct io_opened* out) {
    struct io_opened directory;
    zx_status_t status =
        io_open(kept.tmp, folder, sizeof(folder) - 1,
                JACINTH_IO_FLAGS_DIRECTORY | JACINTH_IO_FLAGS_CREATE, 0755, &directory, nullptr);
    if (status == ZX_OK) {
        status =
            io_open(directory.connection, name, strlen(name),
                    JACINTH_IO_FLAGS_WRITE | JACINTH_IO_FLAGS_CREATE | JACINTH_IO_FLAGS_TRUNCATE,
                    0644, out, nullptr);
        io_opened_close(&directory);
    }
    return status;
}

static zx_status_t keep(const struct report* r) {
    char name[16];
    struct io_opened file;
    (void)snprintf(name, sizeof(name), "%llu.txt", (unsigned long long)(kept.count % REPORTS_KEPT));
    zx_status_t status = open_file(name, &file);
    if (status == ZX_ERR_PEER_CLOSED) {
        renew_tmp();
        status = open_file(name, &file);
    }
    if (status != ZX_OK) {
        return status;
    }
    size_t written;
    zx_iovec_t piece = {.buffer = (void*)r->text, .capacity = r->len};
    status = zx_stream_writev(file.stream, 0, &piece, 1, &written);
    io_opened_close(&file);
    kept.count++;
    return status;
}

// ---- exceptions ----

// One line for whoever looks at the console, before the kernel's report.
static void announce(const struct report* r, zx_koid_t pid, zx_status_t status) {
    char line[sizeof(r->chain) + 80];
    const char* chain = r->chain[0] != '\0' ? r->chain : "?"; // killed meanwhile
    int len = status == ZX_OK
                  ? snprintf(line, sizeof(line), "crash: %llu in %s (/tmp/%s/%llu.txt)\n",
                             (unsigned long long)pid, chain, folder,
                             (unsigned long long)((kept.count - 1) % REPORTS_KEPT))
                  : snprintf(line, sizeof(line), "crash: %llu in %s, no report kept: %s\n",
                             (unsigned long long)pid, chain, zx_status_get_string(status));
    if (len > 0) { // in one piece
        (void)zx_debug_write(line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
    }
}

static zx_status_t handle_next(zx_handle_t channel) {
    static struct report report;
    zx_exception_info_t info;
    zx_handle_t exception = ZX_HANDLE_INVALID;
    uint32_t len, count;
    zx_status_t status =
        zx_channel_read(channel, 0, &info, &exception, sizeof(info), 1, &len, &count);
    if (status != ZX_OK) {
        return status;
    }
    describe(&report, &info, exception);
    announce(&report, info.pid, keep(&report));
    (void)zx_handle_close(exception); // goes on to the next, which is the kernel
    return ZX_OK;
}

int main(int, char**) {
    zx_handle_t channel = zx_take_startup_handle(GRANTED_EXCEPTIONS);
    kept.tmp = directory_at("/tmp");
    kept.svc = directory_at("/svc");
    zx_status_t status = channel != ZX_HANDLE_INVALID ? ZX_OK : ZX_ERR_BAD_HANDLE;
    while (status == ZX_OK) {
        zx_signals_t seen;
        status = zx_object_wait_one(channel, ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                                    ZX_TIME_INFINITE, &seen);
        if (status == ZX_OK) {
            status = handle_next(channel);
        }
        if (status == ZX_ERR_SHOULD_WAIT) {
            status = ZX_OK;
        }
    }
    fprintf(stderr, "crash: no exceptions any more: %s\n", zx_status_get_string(status));
    return EXIT_FAILURE;
}
