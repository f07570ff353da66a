#include "supervisor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <fidl/jacinth.io.h>
#include <lib/compiler.h>
#include <system/grants.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/port.h>
#include <zircon/time.h>

#include "commands.h"
#include "marker.h"
#include "root.h"
#include "views.h"

constexpr zx_duration_t BACK_OFF_FIRST = ZX_MSEC(100);
constexpr zx_duration_t BACK_OFF_MOST = ZX_SEC(5);
constexpr zx_duration_t HEALTHY_AFTER = ZX_SEC(10);
constexpr zx_duration_t HOPELESS_BACK_OFF = ZX_MSEC(1600); // the fifth such end
constexpr zx_duration_t SYNC_WAIT = ZX_SEC(10);
constexpr zx_duration_t STOP_WAIT = ZX_SEC(10);
constexpr uint32_t SYNC_CALLERS_MAX = 64;
constexpr uint32_t ARGS_MAX = 32;

static_assert(SERVICES_PARAGRAPHS_MAX <= JACINTH_SYSTEM_MAX_SERVICES);
static_assert(SERVICES_NAME_MAX <= JACINTH_SYSTEM_MAX_NAME);

struct service {
    const struct services_paragraph* paragraph;
    uint32_t index;
    jacinth_system_state_t state;
    // Of the instance that runs. It has ended when the process has and its directory is closed:
    // only then has nothing that was sent to it another taker.
    bool fell_back; // init's prompt is in its place
    bool was_ready; // a prompt that has been announced
    zx_handle_t job, process;
    zx_koid_t koid;
    struct async_wait process_wait;
    bool process_ended, directory_closed;
    bool is_stopping; // its directory was closed by us; until it ends, or stop_task ends it
    struct async_task stop_task;
    // If it handles exceptions: the channel for the next instance.
    zx_handle_t exceptions; // ZX_HANDLE_INVALID: an instance has it
    struct async_wait exceptions_wait;
    // Before the instance starts, if it wants a terminal: the open of one.
    struct async_call terminal_call;
    zx_handle_t terminal, terminal_events;
    // Our end of the outgoing directory, and the other one for the next instance.
    struct async_client directory;
    zx_handle_t directory_request; // ZX_HANDLE_INVALID: an instance has it

    struct async_task restart_task;
    bool restart_wanted; // by a user: at once, whatever the policy says
    zx_time_t started;
    zx_duration_t back_off; // before the next start; 0: at once
    uint32_t restarts;
    int64_t return_code;
};

static struct {
    const struct authority* a;
    struct async_loop* loop;
    zx_handle_t jobs; // of services
    struct service services[SERVICES_PARAGRAPHS_MAX];
    uint32_t order[SERVICES_PARAGRAPHS_MAX]; // indexes of those, as they are started
    uint32_t count;
    struct async_receiver attachments, settlements;
    // Calls whose server was found dead while something else was under way: they are told later.
    struct list lost_calls;
    struct async_task lost_task;
    uint32_t unused_count; // of struct unused
} sup;

static const char* program_of(const struct service* s) {
    return s->paragraph->words[SERVICES_PROGRAM]->text;
}

static bool is_program(const struct service* s) {
    return !s->fell_back && strcmp(program_of(s), SERVICES_OWN_PROMPT) != 0;
}

[[gnu::format(printf, 2, 3)]] static void say(const struct service* s, const char* format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    char line[320];
    int len = snprintf(line, sizeof(line), "init: service %s: %s\n", s->paragraph->name, text);
    (void)zx_debug_write(line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

// ---- what is saved before the power goes: state ----

// Of a service with a file system that runs. To mount it may need what the loop brings it, so the
// loop goes on meanwhile.
struct sync {
    struct async_client client;
    struct async_call call;
    bool is_open; // the client
    bool is_end;  // the service is stopping: its end is the answer
};

static struct {
    struct sync of[SERVICES_PARAGRAPHS_MAX];
    uint32_t pending; // that have not answered
    struct async_task end;
    struct {
        void (*done)(uint32_t arg);
        uint32_t arg;
    } callers[SYNC_CALLERS_MAX];
    uint32_t caller_count; // 0: none is under way
} syncs;                   // the loop only

// ---- starting ----

static void process_gone(struct async_wait* wait, const zx_packet_signal_t*);

static zx_status_t start_process(struct service* s, const struct launch_file* file) {
    static struct given given; // the loop's alone
    const struct authority* a = sup.a;
    const char* args[ARGS_MAX];
    uint32_t arg_count = 0;
    const struct services_word* w = s->paragraph->words[SERVICES_PROGRAM];
    for (; w != nullptr && arg_count < ARGS_MAX; w = w->next) {
        args[arg_count++] = w->text;
    }
    authority_give(a, s->index, s->job, &given);
    given_add(&given, PA_HND(PA_DIRECTORY_REQUEST, 0), fidl_take(&s->directory_request));
    async_wait_cancel(&s->exceptions_wait);
    given_add(&given, GRANTED_EXCEPTIONS, fidl_take(&s->exceptions));
    if (s->terminal != ZX_HANDLE_INVALID) {
        given_add_terminal(&given, s->terminal, s->terminal_events);
    }
    struct launch_request request = {.job = s->job,
                                     .name = s->paragraph->name,
                                     .file = *file,
                                     .vdso = &a->vdso,
                                     .args = args,
                                     .arg_count = arg_count,
                                     .environ = given.environ,
                                     .environ_count = given.environ_count,
                                     .names = given.names,
                                     .name_count = given.name_count,
                                     .handles = given.handles,
                                     .handle_count = given.handle_count};
    struct launch_result result = launch(&request, &s->process);
    if (result.error != LAUNCH_OK) {
        say(s, "%s (%s)", launch_error_text(result.error), zx_status_get_string(result.status));
        return result.status != ZX_OK ? result.status : ZX_ERR_INTERNAL;
    }
    return ZX_OK;
}

static zx_status_t start_instance(struct service* s) {
    struct launch_file file = {};
    zx_status_t status = bootsvc_open(sup.a->boot_files, program_of(s), &file.vmo, &file.len);
    if (status != ZX_OK) {
        say(s, "%s: %s", program_of(s), zx_status_get_string(status));
        return status;
    }
    // What is started at a prompt are programs, as those of a run list are.
    zx_handle_t parent = services_is_prompt(s->paragraph) ? sup.a->programs : sup.jobs;
    status = authority_make_job(sup.a, s->index, parent, s->paragraph->name, &s->job);
    if (status == ZX_OK) {
        status = start_process(s, &file);
    } else {
        say(s, "no job: %s", zx_status_get_string(status));
    }
    (void)zx_handle_close(file.vmo);
    return status;
}

static void watch_process(struct service* s) {
    zx_info_handle_basic_t info;
    if (zx_object_get_info(s->process, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr,
                           nullptr) == ZX_OK) {
        s->koid = info.koid;
    }
    s->process_wait = (struct async_wait){
        .object = s->process, .trigger = ZX_PROCESS_TERMINATED, .handler = process_gone};
    if (async_wait_begin(sup.loop, &s->process_wait) != ZX_OK) {
        say(s, "cannot be watched: not started");
        (void)zx_task_kill(s->job);
        s->process_ended = true; // its directory closes, and ends the instance
    }
}

// The prompt that is a part of init takes the place of the program.
static void fall_back(struct service* s) {
    zx_status_t status = commands_start(sup.a, nullptr, s->index);
    s->fell_back = status == ZX_OK;
    if (status == ZX_OK) {
        s->state = JACINTH_SYSTEM_STATE_RUNNING;
    } else {
        say(s, "no prompt of init's: %s", zx_status_get_string(status));
    }
}

static void start_now(struct service* s) {
    s->started = zx_clock_get_monotonic();
    s->process_ended = false;
    s->directory_closed = false;
    zx_status_t status = start_instance(s);
    (void)zx_handle_close(fidl_take(&s->terminal));
    (void)zx_handle_close(fidl_take(&s->terminal_events));
    if (status == ZX_OK) {
        watch_process(s);
        if (services_is_prompt(s->paragraph) && !s->was_ready) {
            s->was_ready = true;
            mark("[ready]");
        }
        return;
    }
    // What was sent to the directory is lost: those who sent it see their channels closed.
    if (s->job != ZX_HANDLE_INVALID) {
        (void)zx_task_kill(s->job);
    }
    (void)zx_handle_close(fidl_take(&s->directory_request));
    s->process_ended = true;
    if (s->paragraph->words[SERVICES_FALLBACK] != nullptr) {
        fall_back(s);
    }
}

static void restart_now(struct async_task* task);
static void want(struct service* s);
static bool directory_is_usable(struct service* s);
static void renew_exceptions(struct service* s);

static void start_later(struct service* s, zx_duration_t delay) {
    s->state = JACINTH_SYSTEM_STATE_WAITING;
    s->restart_task.handler = restart_now;
    async_task_post(sup.loop, &s->restart_task, zx_clock_get_monotonic() + delay);
}

static void terminal_opened(struct async_call* call, zx_status_t status, void* response) {
    struct service* s = container_of(call, struct service, terminal_call);
    void* body = nullptr;
    if (status == ZX_OK) {
        status = fidl_result(response, &body);
    }
    if (status != ZX_OK) {
        start_later(s, BACK_OFF_MOST); // its server has just died, or is about to
        return;
    }
    struct jacinth_io_directory_open_response* r = body;
    s->terminal = fidl_take(&r->opened.connection);
    s->terminal_events = fidl_take(&r->opened.events);
    fidl_close_handles(&jacinth_io_opened_type, &r->opened);
    start_now(s);
}

static zx_status_t open_device(const char* name, jacinth_io_flags_t flags,
                               struct async_call* call) {
    uint32_t server = services_server(&sup.a->services, SERVICES_DEVICES, name);
    struct service* s = server != SERVICES_NONE ? &sup.services[server] : nullptr;
    if (s == nullptr || !directory_is_usable(s) || s->state == JACINTH_SYSTEM_STATE_ENDED) {
        return ZX_ERR_NOT_FOUND;
    }
    struct jacinth_io_directory_open_request request = {.path = {strlen(name), (uint8_t*)name},
                                                        .flags = flags};
    zx_status_t status =
        async_client_call(&s->directory, call, &jacinth_io_directory_open_method, &request);
    if (status == ZX_OK) {
        want(s);
    }
    return status;
}

static void start(struct service* s) {
    const struct services_word* terminal = s->paragraph->words[SERVICES_TERMINAL];
    async_task_cancel(&s->restart_task);
    s->state = JACINTH_SYSTEM_STATE_RUNNING;
    if (terminal == nullptr) {
        start_now(s);
        return;
    }
    s->terminal_call.handler = terminal_opened;
    if (open_device(terminal->text, JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE,
                    &s->terminal_call) != ZX_OK) {
        start_later(s, BACK_OFF_MOST);
    }
}

// Somebody wants it.
static void want(struct service* s) {
    if (s->state == JACINTH_SYSTEM_STATE_IDLE && is_program(s)) {
        start(s);
    }
}

// ---- ending ----

static void directory_closed(struct async_client* client, zx_status_t);

static void renew_directory(struct service* s) {
    zx_handle_t ours;
    zx_status_t status = zx_channel_create(0, &ours, &s->directory_request);
    if (status == ZX_OK) {
        s->directory.closed = directory_closed;
        status = async_client_begin(sup.loop, &s->directory, ours);
        if (status != ZX_OK) {
            (void)zx_handle_close(fidl_take(&s->directory_request));
        }
    }
    if (status != ZX_OK) {
        s->directory.channel.handle = ZX_HANDLE_INVALID;
        say(s, "cannot be reached any more: %s", zx_status_get_string(status));
    }
}

static const char* reason_of(int64_t code) {
    switch (code) {
    case ZX_TASK_RETCODE_SYSCALL_KILL:
        return "killed";
    case ZX_TASK_RETCODE_OOM_KILL:
        return "killed: out of memory";
    case ZX_TASK_RETCODE_POLICY_KILL:
        return "killed by its job's policy";
    case ZX_TASK_RETCODE_VDSO_KILL:
        return "killed by the vDSO's checks";
    case ZX_TASK_RETCODE_EXCEPTION_KILL:
        return "killed by an exception";
    default:
        return nullptr;
    }
}

static void report_end(const struct service* s, const char* then) {
    const char* reason = reason_of(s->return_code);
    if (reason != nullptr) {
        say(s, "%s; %s", reason, then);
    } else if (s->process == ZX_HANDLE_INVALID) {
        say(s, "did not start; %s", then);
    } else {
        say(s, "ended with code %lld; %s", (long long)s->return_code, then);
    }
}

static bool starts_again(const struct service* s) {
    switch (services_restart(s->paragraph)) {
    case SERVICES_RESTART_NEVER:
        return false;
    case SERVICES_RESTART_ON_FAILURE:
        return s->return_code != 0 || s->process == ZX_HANDLE_INVALID;
    default:
        return true;
    }
}

static void restart_now(struct async_task* task) {
    struct service* s = container_of(task, struct service, restart_task);
    s->restarts++;
    start(s);
}

// The first end after a healthy time costs no wait; each one after it twice that of the last.
static zx_duration_t next_back_off(struct service* s) {
    zx_duration_t now = s->back_off;
    if (s->restart_wanted || zx_clock_get_monotonic() - s->started >= HEALTHY_AFTER) {
        now = 0;
    }
    zx_duration_t twice = now == 0 ? BACK_OFF_FIRST : now * 2;
    s->back_off = twice < BACK_OFF_MOST ? twice : BACK_OFF_MOST;
    return now;
}

static void at_end(const struct service* s) {
    if (s->return_code == 0 && services_has(s->paragraph, SERVICES_AT_END, "power-off")) {
        views_power_off();
    }
}

// It crashed at once, and at once again.
static bool is_hopeless(const struct service* s) {
    return s->return_code == ZX_TASK_RETCODE_EXCEPTION_KILL && s->back_off >= HOPELESS_BACK_OFF;
}

static void sync_answered(struct async_call*, zx_status_t, void*);

static void instance_ended(struct service* s) {
    if (syncs.of[s->index].is_end) {
        syncs.of[s->index].is_end = false;
        sync_answered(nullptr, ZX_OK, nullptr);
    }
    bool again = s->restart_wanted || starts_again(s);
    zx_duration_t delay = next_back_off(s);
    if (again && !s->fell_back && s->paragraph->words[SERVICES_FALLBACK] != nullptr &&
        is_hopeless(s)) {
        fall_back(s);
    }
    again = again && !s->fell_back;
    char then[64] = "not started again";
    if (s->fell_back) {
        (void)snprintf(then, sizeof(then), "init's prompt is in its place");
    } else if (again && delay == 0) {
        (void)snprintf(then, sizeof(then), "started again now");
    } else if (again) {
        (void)snprintf(then, sizeof(then), "started again in %lld ms",
                       (long long)(delay / ZX_MSEC(1)));
    }
    if (!s->restart_wanted) {
        report_end(s, then);
    }
    at_end(s);
    (void)zx_handle_close(fidl_take(&s->process));
    (void)zx_handle_close(fidl_take(&s->job));
    s->koid = 0;
    s->restart_wanted = false;
    s->is_stopping = false;
    async_task_cancel(&s->stop_task);
    s->state = s->fell_back ? JACINTH_SYSTEM_STATE_RUNNING : JACINTH_SYSTEM_STATE_ENDED;
    if (again) {
        renew_exceptions(s);
        start_later(s, delay);
    }
}

// What the process has started goes with it.
static void end_if_over(struct service* s) {
    if (s->is_stopping && !s->process_ended) {
        return; // it may still have something to save
    }
    if (s->job != ZX_HANDLE_INVALID) {
        (void)zx_task_kill(s->job);
    }
    if (s->process_ended && s->directory_closed) {
        instance_ended(s);
    }
}

static void process_gone(struct async_wait* wait, const zx_packet_signal_t*) {
    struct service* s = container_of(wait, struct service, process_wait);
    zx_info_process_t info = {};
    (void)zx_object_get_info(s->process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr);
    s->return_code = info.return_code;
    s->process_ended = true;
    end_if_over(s);
}

// A service that has closed its directory cannot be reached any more: it is ended. What comes from
// now on is for the next instance.
static void directory_closed(struct async_client* client, zx_status_t) {
    struct service* s = container_of(client, struct service, directory);
    s->directory_closed = true;
    renew_directory(s);
    end_if_over(s);
}

static void tell_lost(struct async_task*) {
    for (struct list_node* n; (n = list_first(&sup.lost_calls)) != nullptr;) {
        struct async_call* call = container_of(n, struct async_call, node);
        async_call_cancel(call);
        call->handler(call, ZX_ERR_PEER_CLOSED, nullptr);
    }
}

// What comes from now on is for the next instance. The calls that are lost with this one are told
// by a task of their own: the caller may be in the middle of a request of the very connection that
// such a call would answer, and end.
static void give_up_directory(struct service* s) {
    struct async_client* d = &s->directory;
    for (struct list_node* n; (n = list_first(&d->calls)) != nullptr;) {
        list_remove(n);
        list_push_back(&sup.lost_calls, n);
        async_task_post(sup.loop, &sup.lost_task, 0);
    }
    async_client_end(d);
    directory_closed(d, ZX_ERR_PEER_CLOSED);
}

// Nothing may be sent to an instance that is known to be dead, though the loop has not come to its
// end yet. False: the service cannot be reached at all.
static bool directory_is_usable(struct service* s) {
    const zx_handle_t* d = &s->directory.channel.handle;
    if (*d != ZX_HANDLE_INVALID &&
        zx_object_wait_one(*d, ZX_CHANNEL_PEER_CLOSED, 0, nullptr) == ZX_OK) {
        give_up_directory(s);
    }
    return *d != ZX_HANDLE_INVALID;
}

// ---- exceptions ----

static void exception_came(struct async_wait* wait, const zx_packet_signal_t*) {
    want(container_of(wait, struct service, exceptions_wait));
}

// While no instance has the channel, those that crash wait: until the next instance has started.
static void renew_exceptions(struct service* s) {
    if (s->paragraph->words[SERVICES_EXCEPTIONS] == nullptr || s->exceptions != ZX_HANDLE_INVALID) {
        return;
    }
    zx_status_t status = zx_task_create_exception_channel(sup.a->programs, 0, &s->exceptions);
    if (status == ZX_OK) {
        s->exceptions_wait = (struct async_wait){
            .object = s->exceptions, .trigger = ZX_CHANNEL_READABLE, .handler = exception_came};
        status = async_wait_begin(sup.loop, &s->exceptions_wait);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(fidl_take(&s->exceptions));
        say(s, "gets no exceptions: %s", zx_status_get_string(status));
    }
}

// ---- requests ----

static void send_connect(struct service* s, const char* name, zx_handle_t channel) {
    if (!directory_is_usable(s) || s->state == JACINTH_SYSTEM_STATE_ENDED) {
        (void)zx_handle_close(channel); // there is no next instance to wait for
        return;
    }
    struct jacinth_io_directory_connect_request request = {.path = {strlen(name), (uint8_t*)name},
                                                           .request = channel};
    // Whoever waits at the other end sees the channel close if this fails.
    (void)jacinth_io_directory_connect_send(s->directory.channel.handle,
                                            async_loop_storage(sup.loop), &request);
    want(s);
}

// A channel to a service that nobody has used yet. Beyond UNUSED_MAX the service is started: its
// share of what the loop can watch is no client's to use up.
constexpr uint32_t UNUSED_MAX = 1024;

struct unused {
    struct async_wait wait;
    zx_handle_t channel;
    struct service* service;
    const char* name;
};

static void first_use(struct async_wait* wait, const zx_packet_signal_t* signal) {
    struct unused* u = container_of(wait, struct unused, wait);
    if ((signal->observed & ZX_CHANNEL_READABLE) != 0) {
        send_connect(u->service, u->name, u->channel);
    } else {
        (void)zx_handle_close(u->channel);
    }
    sup.unused_count--;
    free(u);
}

static void connect_when_used(struct service* s, const char* name, zx_handle_t channel) {
    bool may_wait = s->state == JACINTH_SYSTEM_STATE_IDLE && sup.unused_count < UNUSED_MAX;
    struct unused* u = may_wait ? malloc(sizeof(*u)) : nullptr;
    if (u == nullptr) {
        send_connect(s, name, channel);
        return;
    }
    *u = (struct unused){.wait = {.object = channel,
                                  .trigger = ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                                  .handler = first_use},
                         .channel = channel,
                         .service = s,
                         .name = name};
    if (async_wait_begin(sup.loop, &u->wait) != ZX_OK) {
        free(u);
        send_connect(s, name, channel);
        return;
    }
    sup.unused_count++;
}

void supervisor_attach_now(supervisor_attach_t what, uint32_t paragraph, const char* name,
                           zx_handle_t channel) {
    services_key_t key = what == SUPERVISOR_PREFIX ? SERVICES_MOUNTS : SERVICES_OFFERS;
    bool is_replaced = what == SUPERVISOR_PREFIX && strcmp(name, "/") == 0 && root_is_boot_image();
    uint32_t server = is_replaced ? SERVICES_NONE : services_server(&sup.a->services, key, name);
    if (server == SERVICES_NONE) {
        views_attach(what, paragraph, name, channel);
        return;
    }
    connect_when_used(&sup.services[server],
                      what == SUPERVISOR_PREFIX ? services_entry_of(name) : name, channel);
}

// ---- devices ----

struct device_open {
    struct async_call call;
    struct io_answer answer;
};

static void device_opened(struct async_call* call, zx_status_t status, void* response) {
    struct device_open* d = container_of(call, struct device_open, call);
    void* body = nullptr;
    if (status == ZX_OK) {
        status = fidl_result(response, &body);
    }
    struct jacinth_io_directory_open_response* r = body;
    io_answer_send(&d->answer, status, status == ZX_OK ? &r->opened : nullptr);
    free(d);
}

zx_status_t supervisor_open_device(const char* name, jacinth_io_flags_t flags,
                                   struct io_connection* connection, struct fidl_txn* txn) {
    struct device_open* d = malloc(sizeof(*d));
    if (d == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    d->call.handler = device_opened;
    zx_status_t status = open_device(name, flags, &d->call);
    if (status != ZX_OK) {
        free(d);
        return status;
    }
    io_answer_keep(connection, txn, &d->answer);
    return ZX_ERR_ASYNC;
}

// ---- other threads ----

void supervisor_attach(supervisor_attach_t what, uint32_t paragraph, const char* name,
                       zx_handle_t channel) {
    zx_port_packet_t packet = {.key = async_receiver_key(&sup.attachments),
                               .type = ZX_PKT_TYPE_USER};
    packet.user.u32[0] = what;
    packet.user.u32[1] = paragraph;
    packet.user.u32[2] = channel;
    packet.user.u64[2] = (uint64_t)(uintptr_t)name;
    if (zx_port_queue(sup.loop->port, &packet) != ZX_OK) {
        (void)zx_handle_close(channel);
    }
}

static void take_attachment(struct async_receiver*, const zx_port_packet_t* packet) {
    supervisor_attach_now((supervisor_attach_t)packet->user.u32[0], packet->user.u32[1],
                          (const char*)(uintptr_t)packet->user.u64[2], packet->user.u32[2]);
}

static void settle(bool sync) {
    zx_handle_t event;
    if (zx_event_create(0, &event) != ZX_OK) {
        return;
    }
    zx_port_packet_t packet = {.key = async_receiver_key(&sup.settlements),
                               .type = ZX_PKT_TYPE_USER};
    packet.user.u32[0] = event;
    packet.user.u32[1] = sync;
    if (zx_port_queue(sup.loop->port, &packet) == ZX_OK) {
        (void)zx_object_wait_one(event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr);
    }
    (void)zx_handle_close(event);
}

void supervisor_settle(void) {
    settle(false);
}

void supervisor_sync(void) {
    settle(true);
}

// ---- before the power goes ----

static void sync_ends(struct async_task*) {
    for (uint32_t i = 0; i < SERVICES_PARAGRAPHS_MAX; i++) {
        if (syncs.of[i].is_open) {
            syncs.of[i].is_open = false;
            async_client_end(&syncs.of[i].client);
        }
        syncs.of[i].is_end = false;
    }
    // One may ask for the next: that is another one.
    static typeof(syncs.callers) callers;
    uint32_t count = syncs.caller_count;
    memcpy(callers, syncs.callers, sizeof(callers));
    syncs.caller_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        callers[i].done(callers[i].arg);
    }
}

static void sync_answered(struct async_call*, zx_status_t, void*) {
    if (--syncs.pending == 0) {
        async_task_post(sup.loop, &syncs.end, 0);
    }
}

static void sync_closed(struct async_client* client, zx_status_t) {
    container_of(client, struct sync, client)->is_open = false;
}

static void sync_begin(struct sync* y, struct service* s, const char* prefix) {
    zx_handle_t near;
    zx_handle_t far;
    if (zx_channel_create(0, &near, &far) != ZX_OK) {
        return;
    }
    send_connect(s, services_entry_of(prefix), far);
    *y = (struct sync){.client = {.closed = sync_closed}, .call = {.handler = sync_answered}};
    y->is_open = async_client_begin(sup.loop, &y->client, near) == ZX_OK;
    if (y->is_open &&
        async_client_call(&y->client, &y->call, &jacinth_io_node_sync_method, nullptr) == ZX_OK) {
        syncs.pending++;
    }
}

void supervisor_sync_then(void (*done)(uint32_t arg), uint32_t arg) {
    bool is_under_way = syncs.caller_count != 0;
    if (syncs.caller_count == SYNC_CALLERS_MAX) {
        done(arg); // who asks so often is told too early
        return;
    }
    syncs.callers[syncs.caller_count].done = done;
    syncs.callers[syncs.caller_count++].arg = arg;
    if (is_under_way) {
        return;
    }
    syncs.pending = 0;
    syncs.end.handler = sync_ends;
    for (uint32_t i = 0; i < sup.a->services.paragraph_count; i++) {
        struct service* s = &sup.services[i];
        const struct services_word* mount =
            s->paragraph != nullptr ? s->paragraph->words[SERVICES_MOUNTS] : nullptr;
        if (mount == nullptr || s->state != JACINTH_SYSTEM_STATE_RUNNING) {
            continue;
        }
        if (s->is_stopping) {
            syncs.of[i].is_end = true;
            syncs.pending++;
        } else {
            sync_begin(&syncs.of[i], s, mount->text);
        }
    }
    async_task_post(sup.loop, &syncs.end, syncs.pending > 0 ? zx_deadline_after(SYNC_WAIT) : 0);
}

static void tell_settled(uint32_t event) {
    (void)zx_object_signal(event, 0, ZX_EVENT_SIGNALED);
}

static void take_settlement(struct async_receiver*, const zx_port_packet_t* packet) {
    if (packet->user.u32[1] != 0) {
        supervisor_sync_then(tell_settled, packet->user.u32[0]);
    } else {
        tell_settled(packet->user.u32[0]);
    }
}

// ---- for jacinth.system.Services ----

uint32_t supervisor_list(struct jacinth_system_service out[SERVICES_PARAGRAPHS_MAX]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < sup.a->services.paragraph_count; i++) {
        const struct service* s = &sup.services[i];
        if (s->paragraph == nullptr) {
            continue;
        }
        out[count++] = (struct jacinth_system_service){
            .name = {strlen(s->paragraph->name), (char*)s->paragraph->name},
            .state = s->state,
            .restarts = s->restarts,
            .return_code = s->return_code,
            .process = s->koid,
            .started = s->koid != 0 ? s->started : 0};
    }
    return count;
}

static void stop_in_vain(struct async_task* task) {
    struct service* s = container_of(task, struct service, stop_task);
    say(s, "has not ended in %lld s: killed", (long long)(STOP_WAIT / ZX_SEC(1)));
    (void)zx_task_kill(s->job);
}

// A file system is told, by the end of its directory, that nobody wants it any more: it saves what
// it has and ends. Others have nothing that would be lost.
static zx_status_t stop(struct service* s) {
    if (s->is_stopping || s->job == ZX_HANDLE_INVALID) {
        return ZX_OK;
    }
    if (s->paragraph->words[SERVICES_MOUNTS] == nullptr) {
        return zx_task_kill(s->job);
    }
    s->is_stopping = true;
    s->stop_task.handler = stop_in_vain;
    async_task_post(sup.loop, &s->stop_task, zx_clock_get_monotonic() + STOP_WAIT);
    // (Asking whether it is usable notices an end that has not been delivered yet.)
    if (!s->directory_closed && directory_is_usable(s) && !s->directory_closed) {
        give_up_directory(s);
    }
    return ZX_OK;
}

zx_status_t supervisor_restart(const char* name, size_t len) {
    for (uint32_t i = 0; i < sup.a->services.paragraph_count; i++) {
        struct service* s = &sup.services[i];
        if (s->paragraph == nullptr || strlen(s->paragraph->name) != len ||
            memcmp(s->paragraph->name, name, len) != 0) {
            continue;
        }
        if (!is_program(s)) {
            return ZX_ERR_NOT_SUPPORTED;
        }
        s->back_off = 0;
        if (s->state == JACINTH_SYSTEM_STATE_RUNNING) {
            s->restart_wanted = s->job != ZX_HANDLE_INVALID; // else it is about to start
            return stop(s);
        }
        s->restarts += s->state != JACINTH_SYSTEM_STATE_IDLE;
        renew_exceptions(s);
        start(s);
        return ZX_OK;
    }
    return ZX_ERR_NOT_FOUND;
}

// ---- the beginning ----

static void start_prompt(struct service* s) {
    bool wants_fallback = s->paragraph->words[SERVICES_FALLBACK] != nullptr &&
                          authority_has_word(sup.a, "init.rescue=1");
    if (wants_fallback || !is_program(s)) {
        fall_back(s);
    } else {
        want(s);
    }
}

static void add_service(uint32_t index) {
    struct service* s = &sup.services[index];
    s->paragraph = &sup.a->services.paragraphs[index];
    s->index = index;
    s->state = JACINTH_SYSTEM_STATE_IDLE;
    renew_directory(s);
    renew_exceptions(s);
}

zx_status_t supervisor_start(const struct authority* a, struct async_loop* loop) {
    sup.a = a;
    sup.loop = loop;
    zx_status_t status = zx_job_create(a->root_job, 0, &sup.jobs);
    if (status != ZX_OK) {
        return status;
    }
    (void)zx_object_set_property(sup.jobs, ZX_PROP_NAME, "services", 8);
    list_init(&sup.lost_calls);
    sup.lost_task.handler = tell_lost;
    sup.attachments.handler = take_attachment;
    async_receiver_begin(loop, &sup.attachments);
    sup.settlements.handler = take_settlement;
    async_receiver_begin(loop, &sup.settlements);
    sup.count = services_order(&a->services, sup.order);
    for (uint32_t i = 0; i < sup.count; i++) {
        add_service(sup.order[i]);
    }
    for (uint32_t i = 0; i < sup.count; i++) {
        struct service* s = &sup.services[sup.order[i]];
        if (services_starts_at_boot(s->paragraph) && !services_is_prompt(s->paragraph)) {
            want(s);
        }
    }
    return ZX_OK;
}

void supervisor_start_prompts(void) {
    for (uint32_t i = 0; i < sup.count; i++) {
        struct service* s = &sup.services[sup.order[i]];
        if (services_starts_at_boot(s->paragraph) && services_is_prompt(s->paragraph)) {
            start_prompt(s);
        }
    }
}
