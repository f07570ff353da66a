// What tools ask about the system, and what they may do to it: jacinth.system.Tasks, Log, Memory
// and Kernel.
//
// What it can do is what its paragraph of the services file gives it (a root job, parts of the
// system resource), and who may ask for it says the same file: the program runs once for each
// paragraph that names it. Without what a protocol needs, its calls answer BAD_HANDLE.
//
// A request may take its time (a command of the kernel, a thread that has to be suspended first):
// others of the same instance wait.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <async/guests.h>
#include <async/loop.h>
#include <backtrace/backtrace.h>
#include <fidl/jacinth.system.h>
#include <io/offers.h>
#include <jacinth/startup.h>
#include <lib/compiler.h>
#include <system/grants.h>
#include <tasks/tasks.h>
#include <zircon/rights.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/debug.h>
#include <zircon/syscalls/log.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>
#include <zircon/time.h>

constexpr uint32_t CLIENTS_MAX = 64;
constexpr zx_duration_t SUSPENDED_WITHIN = ZX_SEC(1);
// Looking at tasks and ending them. Not WRITE: whoever may write to another's memory has all that
// this other one has.
constexpr zx_rights_t ROOT_RIGHTS = ZX_RIGHT_DUPLICATE | ZX_RIGHT_TRANSFER | ZX_RIGHT_WAIT |
                                    ZX_RIGHT_READ | ZX_RIGHT_INSPECT | ZX_RIGHT_ENUMERATE |
                                    ZX_RIGHT_GET_PROPERTY | ZX_RIGHT_DESTROY;
constexpr zx_rights_t LOG_RIGHTS =
    ZX_RIGHT_TRANSFER | ZX_RIGHT_WAIT | ZX_RIGHT_READ | ZX_RIGHT_INSPECT;

struct client {
    struct async_guest guest;
    zx_status_t (*message)(struct async_channel*, struct fidl_message*); // of its protocol
};

static struct async_loop loop;
static struct {
    zx_handle_t root_job;
    zx_handle_t debug, info, log; // resources
    zx_koid_t own_koid;
} held;
static struct async_guests clients;

// ---- Tasks ----

static zx_status_t do_get_root(void*, struct fidl_txn* txn) {
    struct jacinth_system_tasks_get_root_response response = {};
    zx_status_t status = zx_handle_duplicate(held.root_job, ROOT_RIGHTS, &response.job);
    return status == ZX_OK ? jacinth_system_tasks_get_root_reply(txn, &response)
                           : jacinth_system_tasks_get_root_reply_error(txn, status);
}

struct stack {
    struct jacinth_system_frame frames[BACKTRACE_FRAMES_MAX];
    char names[BACKTRACE_FRAMES_MAX][ZX_MAX_NAME_LEN];
    uint64_t count;
};
static_assert(BACKTRACE_FRAMES_MAX <= JACINTH_SYSTEM_MAX_FRAMES);

static void add_frame(void* ctx, const struct backtrace_frame* frame) {
    struct stack* s = ctx;
    uint32_t index = frame->index;
    size_t len = strnlen(frame->module, ZX_MAX_NAME_LEN);
    memcpy(s->names[index], frame->module, len);
    s->frames[index] = (struct jacinth_system_frame){
        .offset = frame->offset, .module = {len, s->names[index]}, .build_id = frame->build_id};
    s->count = index + 1;
}

// The thread stands still until the token is closed.
static zx_status_t read_frames(zx_handle_t process, zx_handle_t thread, struct stack* s) {
    struct backtrace_space space;
    zx_signals_t seen = 0;
    zx_x86_64_thread_state_general_regs_t regs;
    zx_status_t status = zx_object_wait_one(thread, ZX_THREAD_SUSPENDED | ZX_THREAD_TERMINATED,
                                            zx_deadline_after(SUSPENDED_WITHIN), &seen);
    if (status == ZX_OK) {
        status = zx_thread_read_state(thread, ZX_THREAD_STATE_GENERAL_REGS, &regs, sizeof(regs));
    }
    if (status == ZX_OK) {
        status = backtrace_begin(&space, process);
    }
    if (status == ZX_OK) {
        backtrace_walk(&space, &regs, add_frame, s);
        (void)backtrace_end(&space);
    }
    return status;
}

static zx_status_t get_stack(zx_koid_t process_koid, zx_koid_t thread_koid, struct stack* s) {
    zx_handle_t process;
    zx_handle_t thread = ZX_HANDLE_INVALID;
    zx_handle_t token = ZX_HANDLE_INVALID;
    if (process_koid == held.own_koid) {
        return ZX_ERR_ACCESS_DENIED; // nobody would let this thread go on
    }
    zx_status_t status = tasks_find_process(held.root_job, process_koid, &process);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_object_get_child(process, thread_koid, ZX_RIGHT_SAME_RIGHTS, &thread);
    if (status == ZX_OK) {
        status = zx_task_suspend(thread, &token);
    }
    if (status == ZX_OK) {
        status = read_frames(process, thread, s);
    }
    (void)zx_handle_close(token);
    (void)zx_handle_close(thread);
    (void)zx_handle_close(process);
    return status;
}

static zx_status_t do_get_stack(void*, struct jacinth_system_tasks_get_stack_request* request,
                                struct fidl_txn* txn) {
    static struct stack stack;
    stack.count = 0;
    zx_status_t status = get_stack(request->process, request->thread, &stack);
    struct jacinth_system_tasks_get_stack_response response = {
        .frames = {stack.count, stack.frames}};
    return status == ZX_OK ? jacinth_system_tasks_get_stack_reply(txn, &response)
                           : jacinth_system_tasks_get_stack_reply_error(txn, status);
}

static zx_status_t get_handles(zx_koid_t koid, zx_info_handle_extended_t** list, size_t* count) {
    zx_handle_t process;
    zx_status_t status = tasks_find_process(held.root_job, koid, &process);
    if (status == ZX_OK) {
        status = tasks_list(process, ZX_INFO_HANDLE_TABLE, sizeof(**list), (void**)list, count);
        (void)zx_handle_close(process);
    }
    return status;
}

static zx_status_t do_get_handles(void*, struct jacinth_system_tasks_get_handles_request* request,
                                  struct fidl_txn* txn) {
    static struct jacinth_system_handle_record records[JACINTH_SYSTEM_MAX_HANDLES];
    zx_info_handle_extended_t* list = nullptr;
    size_t count = 0;
    zx_status_t status = get_handles(request->process, &list, &count);
    if (status != ZX_OK) {
        return jacinth_system_tasks_get_handles_reply_error(txn, status);
    }
    uint64_t filled = 0;
    for (uint64_t i = request->first; i < count && filled < JACINTH_SYSTEM_MAX_HANDLES; i++) {
        records[filled++] = (struct jacinth_system_handle_record){.type = list[i].type,
                                                                  .value = list[i].handle_value,
                                                                  .rights = list[i].rights,
                                                                  .koid = list[i].koid,
                                                                  .related = list[i].related_koid};
    }
    free(list);
    struct jacinth_system_tasks_get_handles_response response = {.handles = {filled, records}};
    return jacinth_system_tasks_get_handles_reply(txn, &response);
}

// ---- Log, Memory, Kernel ----

static zx_status_t do_open_log(void*, struct fidl_txn* txn) {
    zx_handle_t log;
    struct jacinth_system_log_open_response response = {};
    zx_status_t status = zx_debuglog_create(held.log, ZX_LOG_FLAG_READABLE, &log);
    if (status == ZX_OK) {
        status = zx_handle_replace(log, LOG_RIGHTS, &response.log);
    }
    return status == ZX_OK ? jacinth_system_log_open_reply(txn, &response)
                           : jacinth_system_log_open_reply_error(txn, status);
}

static zx_status_t do_get_memory(void*, struct fidl_txn* txn) {
    zx_info_kmem_stats_t m;
    zx_status_t status =
        zx_object_get_info(held.info, ZX_INFO_KMEM_STATS, &m, sizeof(m), nullptr, nullptr);
    zx_info_paging_t p;
    if (status == ZX_OK) {
        status = zx_object_get_info(held.info, ZX_INFO_PAGING, &p, sizeof(p), nullptr, nullptr);
    }
    if (status != ZX_OK) {
        return jacinth_system_memory_get_reply_error(txn, status);
    }
    struct jacinth_system_memory_get_response response = {.total = m.total_bytes,
                                                          .free = m.free_bytes,
                                                          .programs = m.vmo_bytes,
                                                          .kernel_fixed = m.wired_bytes,
                                                          .kernel_heap = m.total_heap_bytes,
                                                          .kernel_heap_free = m.free_heap_bytes,
                                                          .page_tables = m.mmu_overhead_bytes,
                                                          .messages = m.ipc_bytes,
                                                          .other = m.other_bytes,
                                                          .supplied_pages = p.supplied_pages,
                                                          .evicted_pages = p.evicted_pages,
                                                          .refaulted_pages = p.refaulted_pages};
    return jacinth_system_memory_get_reply(txn, &response);
}

static zx_status_t do_get_paging(void*, struct fidl_txn* txn) {
    zx_info_paging_t p;
    const zx_status_t status =
        zx_object_get_info(held.info, ZX_INFO_PAGING, &p, sizeof(p), nullptr, nullptr);
    if (status != ZX_OK) {
        return jacinth_system_memory_get_paging_reply_error(txn, status);
    }
    struct jacinth_system_memory_get_paging_response response = {.requests = p.requests,
                                                                 .supplied_pages = p.supplied_pages,
                                                                 .evicted_pages = p.evicted_pages,
                                                                 .refaulted_pages =
                                                                     p.refaulted_pages,
                                                                 .memory_waits = p.memory_waits,
                                                                 .overtime = p.overtime};
    return jacinth_system_memory_get_paging_reply(txn, &response);
}

static zx_status_t do_command(void*, struct jacinth_system_kernel_command_request* request,
                              struct fidl_txn* txn) {
    static uint8_t output[JACINTH_SYSTEM_MAX_COMMAND_OUTPUT];
    const char* text = request->text.data;
    size_t len = request->text.count;
    size_t said = 0;
    if (held.debug == ZX_HANDLE_INVALID) {
        return jacinth_system_kernel_command_reply_error(txn, ZX_ERR_BAD_HANDLE);
    }
    zx_status_t status =
        request->to_console
            ? zx_debug_send_command(held.debug, text, len)
            : zx_debug_run_command(held.debug, text, len, (char*)output, sizeof(output), &said);
    struct jacinth_system_kernel_command_response response = {
        .result = status,
        .length = said,
        .output = {said < sizeof(output) ? said : sizeof(output), output}};
    return jacinth_system_kernel_command_reply(txn, &response);
}

// ---- clients ----

static const struct jacinth_system_tasks_ops tasks_ops = {
    .get_root = do_get_root, .get_stack = do_get_stack, .get_handles = do_get_handles};
static const struct jacinth_system_log_ops log_ops = {.open = do_open_log};
static const struct jacinth_system_memory_ops memory_ops = {.get = do_get_memory,
                                                            .get_paging = do_get_paging};
static const struct jacinth_system_kernel_ops kernel_ops = {.command = do_command};

static zx_status_t tasks_message(struct async_channel* c, struct fidl_message* message) {
    return jacinth_system_tasks_dispatch(&tasks_ops, nullptr, c->handle, message,
                                         async_loop_storage(&loop));
}

static zx_status_t log_message(struct async_channel* c, struct fidl_message* message) {
    return jacinth_system_log_dispatch(&log_ops, nullptr, c->handle, message,
                                       async_loop_storage(&loop));
}

static zx_status_t memory_message(struct async_channel* c, struct fidl_message* message) {
    return jacinth_system_memory_dispatch(&memory_ops, nullptr, c->handle, message,
                                          async_loop_storage(&loop));
}

static zx_status_t kernel_message(struct async_channel* c, struct fidl_message* message) {
    return jacinth_system_kernel_dispatch(&kernel_ops, nullptr, c->handle, message,
                                          async_loop_storage(&loop));
}

static struct client* client_of(struct async_channel* channel) {
    return container_of(channel, struct client, guest.channel);
}

static zx_status_t client_message(struct async_channel* channel, struct fidl_message* message) {
    struct client* c = client_of(channel);
    async_guest_spoke(&clients, &c->guest);
    return c->message(channel, message);
}

static void client_closed(struct async_channel* channel, zx_status_t) {
    struct client* c = client_of(channel);
    async_guest_gone(&clients, &c->guest);
    free(c);
}

static void begin(zx_handle_t channel,
                  zx_status_t (*message)(struct async_channel*, struct fidl_message*)) {
    struct client* c = calloc(1, sizeof(*c));
    if (c == nullptr) {
        (void)zx_handle_close(channel);
        return;
    }
    c->message = message;
    c->guest.channel = (struct async_channel){
        .handle = channel, .message = client_message, .closed = client_closed};
    if (async_guest_begin(&loop, &clients, &c->guest) != ZX_OK) {
        free(c);
    }
}

static void begin_tasks(void*, zx_handle_t channel) {
    begin(channel, tasks_message);
}

static void begin_log(void*, zx_handle_t channel) {
    begin(channel, log_message);
}

static void begin_memory(void*, zx_handle_t channel) {
    begin(channel, memory_message);
}

static void begin_kernel(void*, zx_handle_t channel) {
    begin(channel, kernel_message);
}

// ---- the beginning ----

static zx_handle_t part(uint64_t base) {
    return zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, (uint32_t)base));
}

static void take_startup(void) {
    zx_info_handle_basic_t info = {};
    held.root_job = zx_take_startup_handle(GRANTED_ROOT_JOB);
    held.debug = part(ZX_RSRC_SYSTEM_DEBUG_BASE);
    held.info = part(ZX_RSRC_SYSTEM_INFO_BASE);
    held.log = part(ZX_RSRC_SYSTEM_DEBUGLOG_BASE);
    (void)zx_object_get_info(zx_process_self(), ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr,
                             nullptr);
    held.own_koid = info.koid;
}

// Whoever started us is gone: nobody can connect any more.
static void abandoned(void*) {
    async_loop_quit(&loop);
}

int main(int, char**) {
    static struct io_offer offer[] = {
        {.name = "jacinth.system.Tasks", .connect = begin_tasks},
        {.name = "jacinth.system.Log", .connect = begin_log},
        {.name = "jacinth.system.Memory", .connect = begin_memory},
        {.name = "jacinth.system.Kernel", .connect = begin_kernel},
    };
    static struct io_offers offers = {.loop = &loop,
                                      .offers = offer,
                                      .count = sizeof(offer) / sizeof(offer[0]),
                                      .abandoned = abandoned};
    take_startup();
    async_guests_init(&clients, CLIENTS_MAX);
    zx_status_t status = async_loop_init(&loop);
    if (status == ZX_OK) {
        status = io_offers_begin(&offers, zx_take_startup_handle(PA_HND(PA_DIRECTORY_REQUEST, 0)));
    }
    if (status == ZX_OK) {
        status = async_loop_run(&loop);
    }
    if (status != ZX_OK) {
        fprintf(stderr, "monitor: %s\n", zx_status_get_string(status));
    }
    return status == ZX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
