// Lets gdb, on another machine, debug a program of this one: over the second serial port, in gdb's
// remote protocol.
//
//     gdbserver PROGRAM [ARGUMENT...]    starts it, stopped at its first instruction, with text of
//                                        its own that breakpoints can be written to. If it needs a
//                                        dynamic linker, that has done its work by then, and it is
//                                        the linker's text that can be written to
//     gdbserver --attach KOID|NAME       a program that runs
//
// It ends with the program, or when gdb lets go of it. One thread looks at the line and at the
// program in turn, every millisecond.
#include <stdio.h>
#include <string.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <tasks/tasks.h>
#include <zircon/process.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/time.h>

#include "commands.h"
#include "libraries.h"
#include "serial.h"
#include "tool.h"

static const char usage[] = "usage: gdbserver PROGRAM [ARGUMENT...]\n"
                            "       gdbserver --attach KOID|NAME\n";
constexpr int64_t LOOK_EVERY = ZX_MSEC(1);

static struct session session;

// ---- the line ----

static void send_reply(void) {
    static char wire[rsp_wire_max];
    serial_write(wire, rsp_encode(&session.reply, wire));
}

static void acknowledge(const char* how) {
    if (!session.no_ack) {
        serial_write(how, 1);
    }
}

// A packet while the program goes is nothing gdb sends: it is answered when the program stands.
static void on_packet(const struct rsp_parser* p) {
    acknowledge("+");
    if (session.target.stop.reason == STOP_NONE) {
        target_stand(&session.target, (struct stop){.reason = STOP_SIGNAL, .signal = SIGNAL_INT});
    }
    if (command_run(&session, p->data, p->len) == OUTCOME_REPLY && p->data[0] != 'k') {
        send_reply();
    }
}

static void on_interrupt(void) {
    if (session.target.stop.reason == STOP_NONE) {
        target_stand(&session.target, (struct stop){.reason = STOP_SIGNAL, .signal = SIGNAL_INT});
        command_report_stop(&session);
        send_reply();
    }
}

static void take_byte(uint8_t byte) {
    static struct rsp_parser parser;
    switch (rsp_feed(&parser, byte)) {
    case RSP_PACKET:
        on_packet(&parser);
        break;
    case RSP_BROKEN:
        acknowledge("-");
        break;
    case RSP_NACK:
        send_reply();
        break;
    case RSP_INTERRUPT:
        on_interrupt();
        break;
    default:
        break;
    }
}

static void serve(void) {
    uint8_t byte;
    while (!session.is_over) {
        while (!session.is_over && serial_read(&byte)) {
            take_byte(byte);
        }
        const bool stood = session.target.stop.reason != STOP_NONE;
        if (session.is_over || !target_wait(&session.target, zx_deadline_after(LOOK_EVERY))) {
            continue;
        }
        if (!stood) {
            command_report_stop(&session);
            send_reply();
        } else if (session.target.stop.reason == STOP_ENDED) {
            session.is_over = true; // somebody else killed it while it stood
        }
    }
}

// ---- the program ----

static zx_status_t find_interpreter(void* ctx, const char* path, struct launch_file* out) {
    char place[256];
    (void)snprintf(place, sizeof(place), "lib/%s", path);
    zx_status_t status = bootsvc_open(bootsvc_startup(), place, &out->vmo, &out->len);
    *(zx_handle_t*)ctx = status == ZX_OK ? out->vmo : ZX_HANDLE_INVALID;
    return status;
}

// All threads, until it stands again.
static void go_on(void) {
    struct target* t = &session.target;
    for (size_t i = 0; i < t->thread_count; i++) {
        target_prepare(t, &t->threads[i], ACTION_GO, SIGNAL_NONE);
    }
    target_go(t);
    while (!target_wait(t, ZX_TIME_INFINITE)) {
    }
}

// From the linker's first instruction to the program's. The linker says when the program is there
// (a breakpoint exception of its own). If it fails, the program has ended when gdb comes.
static void run_to_program(void) {
    struct target* t = &session.target;
    go_on();
    const uint64_t image = libraries_program(t);
    uint64_t entry = 0;
    constexpr size_t entry_at = 24; // in the ELF header
    if (t->stop.reason != STOP_SIGNAL || t->stop.signal != SIGNAL_TRAP || image == 0 ||
        target_read(t, image + entry_at, &entry, sizeof(entry)) != sizeof(entry) ||
        target_set_breakpoint(t, BREAKPOINT_SOFTWARE, image + entry, 1) != ZX_OK) {
        return;
    }
    session.image = image;
    go_on();
    (void)target_clear_breakpoint(t, BREAKPOINT_SOFTWARE, image + entry, 1);
    if (t->stop.reason == STOP_BREAKPOINT) {
        t->stop.reason = STOP_SIGNAL; // gdb knows of no breakpoint there
    }
}

static zx_status_t ask_linker_to_stop(zx_handle_t process) {
    const uintptr_t value = ZX_PROCESS_DEBUG_ADDR_BREAK_ON_SET;
    return zx_object_set_property(process, ZX_PROP_PROCESS_DEBUG_ADDR, &value, sizeof(value));
}

static zx_status_t start_stopped(struct launched* l, bool is_dynamic) {
    struct target* t = &session.target;
    zx_handle_t process;
    zx_status_t status = zx_handle_duplicate(l->process, ZX_RIGHT_SAME_RIGHTS, &process);
    if (status == ZX_OK) {
        status = target_attach(t, process);
    }
    if (status == ZX_OK && is_dynamic) {
        status = ask_linker_to_stop(process);
    }
    if (status != ZX_OK) {
        launch_abandon(l);
        return status;
    }
    session.image = l->image_base;
    t->stands_at_start = true;
    status = launch_start(l, nullptr).status;
    while (status == ZX_OK && !target_wait(t, ZX_TIME_INFINITE)) {
    }
    if (status == ZX_OK && is_dynamic) {
        run_to_program();
    }
    return status;
}

static zx_status_t start(int argc, char** argv) {
    static const char* const names[] = {"/boot"};
    char path[256];
    (void)snprintf(path, sizeof(path), "%s%s", strchr(argv[0], '/') == nullptr ? "bin/" : "",
                   argv[0]);
    zx_handle_t boot;
    zx_handle_t interpreter = ZX_HANDLE_INVALID;
    struct launch_vdso vdso;
    struct launch_handle handles[2] = {{PA_HND(PA_JOB_DEFAULT, 0), ZX_HANDLE_INVALID},
                                       {PA_HND(PA_NS_DIR, 0), ZX_HANDLE_INVALID}};
    struct launch_request request = {.job = zx_job_default(),
                                     .name = argv[0],
                                     .vdso = &vdso,
                                     .args = (const char* const*)argv,
                                     .arg_count = (uint32_t)argc,
                                     .names = names,
                                     .name_count = 1,
                                     .handles = handles,
                                     .handle_count = 2,
                                     .private_text = true,
                                     .find_interpreter = find_interpreter,
                                     .find_ctx = &interpreter};
    zx_status_t status =
        bootsvc_open(bootsvc_startup(), path, &request.file.vmo, &request.file.len);
    if (status == ZX_OK) {
        status = bootsvc_clone(bootsvc_startup(), &boot);
    }
    if (status == ZX_OK) {
        handles[1].handle = boot;
        status = zx_handle_duplicate(zx_job_default(), ZX_RIGHT_SAME_RIGHTS, &handles[0].handle);
    }
    if (status == ZX_OK) {
        status = launch_vdso_init(&vdso, zx_vmo_vdso()).status;
    }
    if (status != ZX_OK) {
        return status;
    }
    struct launched launched;
    struct launch_result result = launch_prepare(&request, &launched);
    const bool is_dynamic = interpreter != ZX_HANDLE_INVALID;
    (void)zx_handle_close(interpreter);
    (void)zx_handle_close(request.file.vmo);
    return result.error == LAUNCH_OK ? start_stopped(&launched, is_dynamic) : result.status;
}

struct search {
    const char* name;
    zx_koid_t koid;
};

// The whole name, or what follows the last slash in it.
static bool has_name(void* ctx, const struct task* task) {
    struct search* s = ctx;
    char name[ZX_MAX_NAME_LEN] = {};
    if (!task->is_job &&
        zx_object_get_property(task->handle, ZX_PROP_NAME, name, sizeof(name)) == ZX_OK) {
        const char* slash = strrchr(name, '/');
        const bool is_it =
            strcmp(name, s->name) == 0 || (slash != nullptr && strcmp(slash + 1, s->name) == 0);
        s->koid = is_it ? task->koid : 0;
    }
    return s->koid == 0;
}

static zx_status_t find_process(const char* who, zx_handle_t* out) {
    zx_handle_t root = tool_root_job();
    if (tool_find_process(who, out) == ZX_OK) {
        return ZX_OK;
    }
    struct search s = {.name = who};
    zx_status_t status = tasks_walk(root, has_name, &s);
    bool is_job = false;
    if (status == ZX_OK) {
        status = s.koid != 0 ? tasks_find(root, s.koid, &is_job, out) : ZX_ERR_NOT_FOUND;
    }
    return status;
}

static zx_status_t attach(const char* who) {
    zx_handle_t process;
    zx_status_t status = find_process(who, &process);
    if (status == ZX_OK) {
        status = target_attach(&session.target, process);
    }
    if (status == ZX_OK) {
        session.was_attached = true;
        target_stand(&session.target, (struct stop){.reason = STOP_SIGNAL, .signal = SIGNAL_TRAP});
        session.image = target_find_image(&session.target);
    }
    return status;
}

// Whether the CPU has the upper halves of the vector registers, and the kernel keeps them.
static bool has_avx(void) {
    constexpr uint32_t osxsave = 1u << 27, avx = 1u << 28, kept = 6;
    uint32_t eax = 1, ebx, ecx = 0, edx;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if ((ecx & (osxsave | avx)) != (osxsave | avx)) {
        return false;
    }
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (eax & kept) == kept;
}

int main(int argc, char** argv) {
    const bool attaches = argc > 1 && strcmp(argv[1], "--attach") == 0;
    if (argc < 2 || (attaches ? argc != 3 : argv[1][0] == '-')) {
        fprintf(stderr, "%s", usage);
        return 2;
    }
    zx_status_t status = serial_open(zx_take_startup_handle(PA_HND(PA_IOPORT_RESOURCE, 0)));
    if (status != ZX_OK) {
        fprintf(stderr, "gdbserver: no second serial port: %s\n", zx_status_get_string(status));
        return 1;
    }
    session.register_count = has_avx() ? registers_with_avx : registers_without_avx;
    const char* who = argv[attaches ? 2 : 1];
    status = attaches ? attach(who) : start(argc - 1, argv + 1);
    if (status != ZX_OK) {
        fprintf(stderr, "gdbserver: %s: %s\n", who, zx_status_get_string(status));
        return 1;
    }
    printf("gdbserver: %s stands, its image is at 0x%llx; the line is free for gdb\n", who,
           (unsigned long long)session.image);
    (void)fflush(stdout);
    serve();
    return 0;
}
