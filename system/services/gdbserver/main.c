// Lets gdb, on another machine, debug a program of this one: over the second serial port, in gdb's
// remote protocol.
//
//     gdbserver PROGRAM [ARGUMENT...]    starts it, stopped at its first instruction, with text of
//                                        its own that breakpoints can be written to
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

static zx_status_t start_stopped(struct launched* l) {
    struct target* t = &session.target;
    zx_handle_t process;
    zx_status_t status = zx_handle_duplicate(l->process, ZX_RIGHT_SAME_RIGHTS, &process);
    if (status == ZX_OK) {
        status = target_attach(t, process);
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
    return status;
}

static zx_status_t start(int argc, char** argv) {
    static const char* const names[] = {"/boot"};
    char path[256];
    (void)snprintf(path, sizeof(path), "%s%s", strchr(argv[0], '/') == nullptr ? "bin/" : "",
                   argv[0]);
    zx_handle_t boot;
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
                                     .private_text = true};
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
    (void)zx_handle_close(request.file.vmo);
    return result.error == LAUNCH_OK ? start_stopped(&launched) : result.status;
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
