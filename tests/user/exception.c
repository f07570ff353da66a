// Exception channels and exceptions: who is asked in which order, what an answer does, and what
// becomes of a thread whose handler, or whose process, goes away.
#include <utest/exceptions.h>

#include <stdatomic.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls/policy.h>

GROUP("exception");

constexpr uint32_t UD2_BYTES = 2;
constexpr zx_rights_t CHANNEL_RIGHTS = ZX_RIGHT_TRANSFER | ZX_RIGHT_WAIT | ZX_RIGHT_READ;
constexpr uint32_t DEBUGGER = ZX_EXCEPTION_CHANNEL_DEBUGGER;

// ---- what raises ----

static void ud2(void) {
    __asm__ volatile("ud2" ::: "memory");
}

// A thread that waits until it is told to fault, faults, and says that it went on.
struct faulter {
    struct utest_thread thread;
    zx_handle_t go;
    _Atomic(bool) went_on;
};

static void fault_when_told(void* arg) {
    struct faulter* f = arg;
    if (zx_object_wait_one(f->go, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr) == ZX_OK) {
        ud2();
        atomic_store(&f->went_on, true);
    }
}

static void faulter_start(struct faulter* f) {
    *f = (struct faulter){.go = utest_event()};
    utest_thread_start(&f->thread, fault_when_told, f);
}

static void faulter_go(struct faulter* f) {
    EXPECT_OK(zx_object_signal(f->go, 0, ZX_EVENT_SIGNALED));
}

static void faulter_join(struct faulter* f, bool went_on) {
    utest_thread_join(&f->thread);
    EXPECT_CLOSE(f->go);
    EXPECT_EQ(atomic_load(&f->went_on), went_on);
}

// The faulter's thread handles its fault and ends well.
static void faulter_finish(struct faulter* f, struct utest_exception* e) {
    utest_skip_instruction(e, UD2_BYTES);
    utest_let_go(e, ZX_EXCEPTION_STATE_HANDLED);
    faulter_join(f, true);
}

CHILD(crash) {
    ud2();
    return 1;
}

// Says that it runs, and faults when its channel becomes readable.
CHILD(crash_when_told) {
    (void)zx_channel_write(channel, 0, "x", 1, nullptr, 0);
    (void)zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr);
    ud2();
    return 7;
}

CHILD(wait_for_ever) {
    (void)zx_object_wait_one(channel, ZX_CHANNEL_PEER_CLOSED, ZX_TIME_INFINITE, nullptr);
    return 5;
}

static void tell(const struct utest_child* c) {
    EXPECT_OK(zx_channel_write(c->channel, 0, "x", 1, nullptr, 0));
}

static zx_handle_t make_job(zx_handle_t parent) {
    zx_handle_t job;
    EXPECT_OK(zx_job_create(parent, 0, &job));
    return job;
}

static void end_job(zx_handle_t job) {
    EXPECT_OK(zx_task_kill(job));
    EXPECT_OK(zx_object_wait_one(job, ZX_JOB_TERMINATED, utest_after_ms(10000), nullptr));
    EXPECT_CLOSE(job);
}

static zx_koid_t first_thread_koid(zx_handle_t process) {
    zx_koid_t koid;
    size_t actual;
    EXPECT_OK(zx_object_get_info(process, ZX_INFO_PROCESS_THREADS, &koid, sizeof(koid), &actual,
                                 nullptr));
    EXPECT_EQ(actual, 1);
    return koid;
}

static zx_handle_t first_thread(zx_handle_t process) {
    zx_handle_t thread;
    EXPECT_OK(
        zx_object_get_child(process, first_thread_koid(process), ZX_RIGHT_SAME_RIGHTS, &thread));
    return thread;
}

static zx_status_t report_of(zx_handle_t thread, zx_exception_report_t* out) {
    return zx_object_get_info(thread, ZX_INFO_THREAD_EXCEPTION_REPORT, out, sizeof(*out), nullptr,
                              nullptr);
}

// ---- making channels ----

CASE(create) {
    zx_handle_t tasks[] = {zx_job_default(), zx_process_self(), zx_thread_self()};
    for (size_t i = 0; i < 3; i++) {
        zx_handle_t channel = utest_listen(tasks[i], 0);
        zx_info_handle_basic_t info = utest_basic(channel);
        EXPECT_EQ(info.type, ZX_OBJ_TYPE_CHANNEL);
        EXPECT_EQ(info.rights, CHANNEL_RIGHTS);
        EXPECT_STATUS(zx_channel_write(channel, 0, "x", 1, nullptr, 0), ZX_ERR_ACCESS_DENIED);
        // One at a time, until its end is closed.
        zx_handle_t second;
        EXPECT_STATUS(zx_task_create_exception_channel(tasks[i], 0, &second), ZX_ERR_ALREADY_BOUND);
        EXPECT_CLOSE(channel);
        EXPECT_CLOSE(utest_listen(tasks[i], 0));
    }
}

CASE(create_errors) {
    zx_handle_t out;
    EXPECT_STATUS(zx_task_create_exception_channel(zx_process_self(), 2, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_task_create_exception_channel(zx_thread_self(), DEBUGGER, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_task_create_exception_channel(ZX_HANDLE_INVALID, 0, &out), ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_task_create_exception_channel(event, 0, &out), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    static const zx_rights_t needed[] = {ZX_RIGHT_INSPECT, ZX_RIGHT_DUPLICATE, ZX_RIGHT_TRANSFER,
                                         ZX_RIGHT_MANAGE_THREAD, ZX_RIGHT_ENUMERATE};
    zx_handle_t tasks[] = {zx_job_default(), zx_process_self(), zx_thread_self()};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 5; j++) {
            if (tasks[i] == zx_thread_self() && needed[j] == ZX_RIGHT_ENUMERATE) {
                continue; // threads have none
            }
            zx_handle_t weak = utest_without(tasks[i], needed[j]);
            EXPECT_STATUS(zx_task_create_exception_channel(weak, 0, &out), ZX_ERR_ACCESS_DENIED);
            EXPECT_CLOSE(weak);
        }
        FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(out)) {
            EXPECT_STATUS(zx_task_create_exception_channel(tasks[i], 0, p), ZX_ERR_INVALID_ARGS);
        }
    }
    // What failed is not bound.
    EXPECT_CLOSE(utest_listen(zx_process_self(), 0));
}

CASE(debuggers_of_jobs) {
    zx_handle_t job = make_job(zx_job_default());
    zx_handle_t all[ZX_EXCEPTION_CHANNEL_JOB_DEBUGGER_MAX_COUNT];
    for (size_t i = 0; i < ZX_EXCEPTION_CHANNEL_JOB_DEBUGGER_MAX_COUNT; i++) {
        all[i] = utest_listen(job, DEBUGGER);
    }
    zx_handle_t out;
    EXPECT_STATUS(zx_task_create_exception_channel(job, DEBUGGER, &out), ZX_ERR_ALREADY_BOUND);
    EXPECT_CLOSE(all[7]);
    all[7] = utest_listen(job, DEBUGGER);
    EXPECT_STATUS(zx_task_create_exception_channel(job, DEBUGGER, &out), ZX_ERR_ALREADY_BOUND);
    zx_info_job_t info;
    EXPECT_OK(zx_object_get_info(job, ZX_INFO_JOB, &info, sizeof(info), nullptr, nullptr));
    EXPECT(info.debugger_attached);
    end_job(job);
    for (size_t i = 0; i < ZX_EXCEPTION_CHANNEL_JOB_DEBUGGER_MAX_COUNT; i++) {
        EXPECT_EQ(utest_signals(all[i], ZX_CHANNEL_PEER_CLOSED), ZX_CHANNEL_PEER_CLOSED);
    }
    EXPECT_OK(zx_handle_close_many(all, ZX_EXCEPTION_CHANNEL_JOB_DEBUGGER_MAX_COUNT));
}

// The channel closes with its task, and none can be made afterwards.
CASE_WITHIN(task_ends, 60) {
    zx_handle_t job = make_job(zx_job_default());
    struct utest_child c;
    utest_child_start(&c, "wait_for_ever", job);
    zx_handle_t thread = first_thread(c.process);
    zx_handle_t tasks[] = {thread, c.process, c.process, job, job};
    uint32_t options[] = {0, 0, DEBUGGER, 0, DEBUGGER};
    zx_handle_t channels[5];
    for (size_t i = 0; i < 5; i++) {
        channels[i] = utest_listen(tasks[i], options[i]);
    }
    zx_info_process_t info;
    EXPECT_OK(
        zx_object_get_info(c.process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.flags, ZX_INFO_PROCESS_FLAG_STARTED | ZX_INFO_PROCESS_FLAG_DEBUGGER_ATTACHED);
    EXPECT_OK(zx_task_kill(job));
    for (size_t i = 0; i < 5; i++) {
        EXPECT_OK(zx_object_wait_one(channels[i], ZX_CHANNEL_PEER_CLOSED, utest_after_ms(10000),
                                     nullptr));
        zx_handle_t out;
        EXPECT_STATUS(zx_task_create_exception_channel(tasks[i], options[i], &out),
                      ZX_ERR_BAD_STATE);
    }
    EXPECT_OK(zx_handle_close_many(channels, 5));
    EXPECT_CLOSE(thread);
    (void)utest_child_join(&c);
    EXPECT_CLOSE(job);
}

// One that never ran goes as well.
CASE(unstarted_thread) {
    zx_handle_t thread;
    EXPECT_OK(zx_thread_create(zx_process_self(), "x", 1, 0, &thread));
    zx_handle_t channel = utest_listen(thread, 0);
    EXPECT_CLOSE(thread);
    EXPECT_OK(zx_object_wait_one(channel, ZX_CHANNEL_PEER_CLOSED, utest_after_ms(10000), nullptr));
    EXPECT_CLOSE(channel);
}

// ---- one exception ----

CASE(what_a_handler_sees) {
    struct faulter f;
    faulter_start(&f);
    zx_handle_t channel = utest_listen(f.thread.handle, 0);
    faulter_go(&f);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
    EXPECT_EQ(e.info.pid, utest_koid(zx_process_self()));
    EXPECT_EQ(e.info.tid, utest_koid(f.thread.handle));
    zx_info_handle_basic_t basic = utest_basic(e.handle);
    EXPECT_EQ(basic.type, ZX_OBJ_TYPE_EXCEPTION);
    EXPECT_EQ(basic.rights, ZX_DEFAULT_EXCEPTION_RIGHTS);
    EXPECT_EQ(basic.related_koid, e.info.tid);
    zx_handle_t thread = utest_thread_of(&e);
    EXPECT_EQ(utest_koid(thread), e.info.tid);
    EXPECT_EQ(utest_basic(thread).rights, ZX_DEFAULT_THREAD_RIGHTS);
    EXPECT_CLOSE(thread);
    zx_handle_t out;
    EXPECT_STATUS(zx_exception_get_process(e.handle, &out), ZX_ERR_ACCESS_DENIED);
    zx_info_thread_t info = utest_thread_info(f.thread.handle);
    EXPECT_EQ(info.state, ZX_THREAD_STATE_BLOCKED_EXCEPTION);
    EXPECT_EQ(info.wait_exception_channel_type, ZX_EXCEPTION_CHANNEL_TYPE_THREAD);
    zx_exception_report_t report;
    EXPECT_OK(report_of(f.thread.handle, &report));
    EXPECT_EQ(report.header.size, sizeof(report));
    EXPECT_EQ(report.header.type, ZX_EXCP_UNDEFINED_INSTRUCTION);
    EXPECT_EQ(report.context.arch.u.x86_64.vector, 6);
    faulter_finish(&f, &e);
    EXPECT_CLOSE(channel);
}

static char* volatile nowhere = (char*)8;

static void touch(void*) {
    *nowhere = 1;
}

CASE(page_fault_report) {
    struct utest_thread t;
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    utest_thread_start(&t, touch, nullptr);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_FATAL_PAGE_FAULT);
    zx_exception_report_t report;
    EXPECT_OK(report_of(t.handle, &report));
    EXPECT_EQ(report.context.arch.u.x86_64.vector, 14);
    EXPECT_EQ(report.context.arch.u.x86_64.cr2, 8);
    EXPECT_EQ(report.context.arch.u.x86_64.err_code, 6); // a write from user mode
    EXPECT_EQ(report.context.synth_code, (uint32_t)ZX_ERR_NOT_FOUND);
    EXPECT_EQ(utest_thread_info(t.handle).wait_exception_channel_type,
              ZX_EXCEPTION_CHANNEL_TYPE_PROCESS);
    zx_handle_t process;
    EXPECT_OK(zx_exception_get_process(e.handle, &process));
    EXPECT_EQ(utest_koid(process), e.info.pid);
    EXPECT_CLOSE(process);
    utest_let_go(&e, ZX_EXCEPTION_STATE_THREAD_EXIT);
    utest_thread_join(&t);
    EXPECT_CLOSE(channel);
}

// Memory that only the kernel may touch looks the same whether there is some or not.
static char* volatile in_the_kernel;

static void touch_the_kernel(void*) {
    *in_the_kernel = 1;
}

CASE(addresses_of_the_kernel_look_alike) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    // The direct map begins where the kernel's half does, with memory of any machine; behind it
    // and before the kernel itself there is nothing.
    for (uint64_t i = 0; i < 16; i++) {
        struct utest_thread t;
        in_the_kernel = (char*)(i < 15 ? 0xffff800000000000 + (i << 22) : 0xfffff00000000000);
        utest_thread_start(&t, touch_the_kernel, nullptr);
        struct utest_exception e = utest_catch(channel, ZX_EXCP_FATAL_PAGE_FAULT);
        zx_exception_report_t report;
        EXPECT_OK(report_of(t.handle, &report));
        EXPECT_EQ(report.context.arch.u.x86_64.cr2, (uint64_t)in_the_kernel);
        EXPECT_EQ(report.context.arch.u.x86_64.err_code, 6);
        EXPECT_EQ(report.context.synth_code, (uint32_t)ZX_ERR_NOT_FOUND);
        utest_let_go(&e, ZX_EXCEPTION_STATE_THREAD_EXIT);
        utest_thread_join(&t);
    }
    EXPECT_CLOSE(channel);
}

CASE(no_report_without_exception) {
    zx_exception_report_t report;
    EXPECT_STATUS(report_of(zx_thread_self(), &report), ZX_ERR_BAD_STATE);
}

// The exception's handles to thread and process have the rights of the task's.
CASE_WITHIN(rights_of_tasks, 60) {
    zx_handle_t weak = utest_without(zx_process_self(), ZX_RIGHT_WRITE | ZX_RIGHT_DESTROY);
    zx_handle_t channel = utest_listen(weak, 0);
    EXPECT_CLOSE(weak);
    struct faulter f;
    faulter_start(&f);
    faulter_go(&f);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
    zx_handle_t thread = utest_thread_of(&e);
    EXPECT_EQ(utest_basic(thread).rights,
              ZX_DEFAULT_THREAD_RIGHTS & ~(ZX_RIGHT_WRITE | ZX_RIGHT_DESTROY));
    zx_thread_state_general_regs_t r = utest_registers(thread);
    EXPECT_STATUS(zx_thread_write_state(thread, ZX_THREAD_STATE_GENERAL_REGS, &r, sizeof(r)),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(thread);
    zx_handle_t process;
    EXPECT_OK(zx_exception_get_process(e.handle, &process));
    EXPECT_EQ(utest_basic(process).rights,
              ZX_DEFAULT_PROCESS_RIGHTS & ~(ZX_RIGHT_WRITE | ZX_RIGHT_DESTROY));
    EXPECT_CLOSE(process);
    utest_let_go(&e, ZX_EXCEPTION_STATE_THREAD_EXIT);
    faulter_join(&f, false);
    EXPECT_CLOSE(channel);
}

CASE(properties) {
    struct faulter f;
    faulter_start(&f);
    zx_handle_t channel = utest_listen(f.thread.handle, 0);
    faulter_go(&f);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
    uint32_t value = 77;
    EXPECT_OK(zx_object_get_property(e.handle, ZX_PROP_EXCEPTION_STATE, &value, sizeof(value)));
    EXPECT_EQ(value, ZX_EXCEPTION_STATE_TRY_NEXT);
    EXPECT_OK(zx_object_get_property(e.handle, ZX_PROP_EXCEPTION_STRATEGY, &value, sizeof(value)));
    EXPECT_EQ(value, ZX_EXCEPTION_STRATEGY_FIRST_CHANCE);
    value = 3;
    EXPECT_STATUS(zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STATE, &value, sizeof(value)),
                  ZX_ERR_INVALID_ARGS);
    value = 2;
    EXPECT_STATUS(
        zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STRATEGY, &value, sizeof(value)),
        ZX_ERR_INVALID_ARGS);
    value = ZX_EXCEPTION_STRATEGY_SECOND_CHANCE;
    EXPECT_STATUS(
        zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STRATEGY, &value, sizeof(value)),
        ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STATE, &value, 3),
                  ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_STATUS(zx_object_get_property(e.handle, ZX_PROP_EXCEPTION_STATE, &value, 3),
                  ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_STATUS(zx_object_set_property(channel, ZX_PROP_EXCEPTION_STATE, &value, sizeof(value)),
                  ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_object_wait_one(e.handle, ZX_USER_SIGNAL_0, 0, nullptr), ZX_ERR_ACCESS_DENIED);
    zx_handle_t out;
    EXPECT_STATUS(zx_handle_duplicate(e.handle, ZX_RIGHT_SAME_RIGHTS, &out), ZX_ERR_ACCESS_DENIED);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(out)) {
        EXPECT_STATUS(zx_exception_get_thread(e.handle, p), ZX_ERR_INVALID_ARGS);
    }
    faulter_finish(&f, &e);
    EXPECT_CLOSE(channel);
}

CASE(missing_rights) {
    struct faulter f;
    faulter_start(&f);
    zx_handle_t channel = utest_listen(f.thread.handle, 0);
    faulter_go(&f);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
    utest_skip_instruction(&e, UD2_BYTES);
    uint32_t value = ZX_EXCEPTION_STATE_HANDLED;
    EXPECT_OK(zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STATE, &value, sizeof(value)));
    EXPECT_OK(zx_handle_replace(e.handle, ZX_RIGHT_TRANSFER | ZX_RIGHT_GET_PROPERTY, &e.handle));
    EXPECT_STATUS(zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STATE, &value, sizeof(value)),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_object_get_property(e.handle, ZX_PROP_EXCEPTION_STATE, &value, sizeof(value)));
    EXPECT_OK(zx_handle_replace(e.handle, ZX_RIGHT_NONE, &e.handle));
    EXPECT_STATUS(zx_object_get_property(e.handle, ZX_PROP_EXCEPTION_STATE, &value, sizeof(value)),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(e.handle);
    faulter_join(&f, true);
    EXPECT_CLOSE(channel);
}

// ---- the order ----

// A child with all kinds of listeners: its own, its job's, the job's parent's.
struct family {
    zx_handle_t upper, job;
    struct utest_child child;
    zx_handle_t thread;
    zx_handle_t of_debugger, of_thread, of_process, of_job, of_upper;
};

static void family_start(struct family* f) {
    f->upper = make_job(zx_job_default());
    f->job = make_job(f->upper);
    utest_child_start(&f->child, "crash_when_told", f->job);
    // Else the debugger might still see it start.
    EXPECT_OK(
        zx_object_wait_one(f->child.channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    f->thread = first_thread(f->child.process);
    f->of_debugger = utest_listen(f->child.process, DEBUGGER);
    f->of_thread = utest_listen(f->thread, 0);
    f->of_process = utest_listen(f->child.process, 0);
    f->of_job = utest_listen(f->job, 0);
    f->of_upper = utest_listen(f->upper, 0);
    tell(&f->child);
}

static void family_end(struct family* f, int64_t code) {
    EXPECT_EQ(utest_child_join(&f->child), code);
    zx_handle_t all[] = {f->thread,     f->of_debugger, f->of_thread,
                         f->of_process, f->of_job,      f->of_upper};
    EXPECT_OK(zx_handle_close_many(all, 6));
    EXPECT_CLOSE(f->job);
    end_job(f->upper);
}

// Catches there, is what it should be, and lets it go.
static void pass(const struct family* f, zx_handle_t channel, uint32_t kind, uint32_t state) {
    struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
    zx_info_thread_t info = utest_thread_info(f->thread);
    EXPECT_EQ(info.state, ZX_THREAD_STATE_BLOCKED_EXCEPTION);
    EXPECT_EQ(info.wait_exception_channel_type, kind);
    utest_let_go(&e, state);
}

CASE_WITHIN(order, 60) {
    struct family f;
    family_start(&f);
    pass(&f, f.of_debugger, ZX_EXCEPTION_CHANNEL_TYPE_DEBUGGER, ZX_EXCEPTION_STATE_TRY_NEXT);
    pass(&f, f.of_thread, ZX_EXCEPTION_CHANNEL_TYPE_THREAD, ZX_EXCEPTION_STATE_TRY_NEXT);
    pass(&f, f.of_process, ZX_EXCEPTION_CHANNEL_TYPE_PROCESS, ZX_EXCEPTION_STATE_TRY_NEXT);
    pass(&f, f.of_job, ZX_EXCEPTION_CHANNEL_TYPE_JOB, ZX_EXCEPTION_STATE_TRY_NEXT);
    EXPECT_EQ(utest_signals(f.of_debugger, ZX_CHANNEL_READABLE), 0);
    pass(&f, f.of_upper, ZX_EXCEPTION_CHANNEL_TYPE_JOB, ZX_EXCEPTION_STATE_TRY_NEXT);
    family_end(&f, ZX_TASK_RETCODE_EXCEPTION_KILL);
}

CASE_WITHIN(second_chance, 60) {
    struct family f;
    family_start(&f);
    struct utest_exception e = utest_catch(f.of_debugger, ZX_EXCP_UNDEFINED_INSTRUCTION);
    uint32_t strategy = ZX_EXCEPTION_STRATEGY_SECOND_CHANCE;
    EXPECT_OK(
        zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STRATEGY, &strategy, sizeof(strategy)));
    EXPECT_CLOSE(e.handle);
    pass(&f, f.of_thread, ZX_EXCEPTION_CHANNEL_TYPE_THREAD, ZX_EXCEPTION_STATE_TRY_NEXT);
    pass(&f, f.of_process, ZX_EXCEPTION_CHANNEL_TYPE_PROCESS, ZX_EXCEPTION_STATE_TRY_NEXT);
    // The last one: it cannot be put off again.
    e = utest_catch(f.of_debugger, ZX_EXCP_UNDEFINED_INSTRUCTION);
    EXPECT_STATUS(
        zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STRATEGY, &strategy, sizeof(strategy)),
        ZX_ERR_BAD_STATE);
    utest_skip_instruction(&e, UD2_BYTES);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    EXPECT_EQ(utest_signals(f.of_job, ZX_CHANNEL_READABLE), 0);
    // The debugger sees the thread only if it ends alone: here the whole process does.
    family_end(&f, 7);
}

// Whoever handles it ends the search.
CASE_WITHIN(handled_on_the_way, 60) {
    struct family f;
    family_start(&f);
    pass(&f, f.of_debugger, ZX_EXCEPTION_CHANNEL_TYPE_DEBUGGER, ZX_EXCEPTION_STATE_TRY_NEXT);
    struct utest_exception e = utest_catch(f.of_thread, ZX_EXCP_UNDEFINED_INSTRUCTION);
    // Handled without any change: it happens again.
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    pass(&f, f.of_debugger, ZX_EXCEPTION_CHANNEL_TYPE_DEBUGGER, ZX_EXCEPTION_STATE_TRY_NEXT);
    e = utest_catch(f.of_thread, ZX_EXCP_UNDEFINED_INSTRUCTION);
    utest_skip_instruction(&e, UD2_BYTES);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    EXPECT_EQ(utest_signals(f.of_process, ZX_CHANNEL_READABLE), 0);
    family_end(&f, 7);
}

// Channels whose other end is closed are passed over, before the exception and while it waits
// there.
CASE_WITHIN(closed_channels, 60) {
    struct family f;
    family_start(&f);
    (void)zx_object_wait_one(f.of_debugger, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr);
    EXPECT_CLOSE(f.of_process);  // not asked yet
    EXPECT_CLOSE(f.of_debugger); // with the message in it
    struct utest_exception e = utest_catch(f.of_thread, ZX_EXCP_UNDEFINED_INSTRUCTION);
    EXPECT_CLOSE(f.of_thread); // the exception is out already
    EXPECT_EQ(utest_thread_info(f.thread).state, ZX_THREAD_STATE_BLOCKED_EXCEPTION);
    EXPECT_CLOSE(e.handle);
    pass(&f, f.of_job, ZX_EXCEPTION_CHANNEL_TYPE_JOB, ZX_EXCEPTION_STATE_TRY_NEXT);
    pass(&f, f.of_upper, ZX_EXCEPTION_CHANNEL_TYPE_JOB, ZX_EXCEPTION_STATE_TRY_NEXT);
    f.of_debugger = f.of_thread = f.of_process = ZX_HANDLE_INVALID;
    family_end(&f, ZX_TASK_RETCODE_EXCEPTION_KILL);
}

// ---- handlers that go away ----

// Takes a channel, reads an exception from it, and ends with it.
CHILD(die_with_exception) {
    zx_handle_t exceptions;
    zx_exception_info_t info;
    zx_handle_t exception;
    uint32_t bytes;
    uint32_t handles;
    if (zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr) != ZX_OK ||
        zx_channel_read(channel, 0, nullptr, &exceptions, 0, 1, &bytes, &handles) != ZX_OK ||
        zx_object_wait_one(exceptions, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr) != ZX_OK ||
        zx_channel_read(exceptions, 0, &info, &exception, sizeof(info), 1, &bytes, &handles) !=
            ZX_OK) {
        return 1;
    }
    ud2();
    return 2;
}

CASE_WITHIN(handler_dies, 60) {
    struct family f;
    family_start(&f);
    struct utest_child handler;
    utest_child_start(&handler, "die_with_exception", ZX_HANDLE_INVALID);
    EXPECT_OK(zx_channel_write(handler.channel, 0, nullptr, 0, &f.of_debugger, 1));
    f.of_debugger = ZX_HANDLE_INVALID;
    EXPECT_EQ(utest_child_join(&handler), ZX_TASK_RETCODE_EXCEPTION_KILL);
    struct utest_exception e = utest_catch(f.of_thread, ZX_EXCP_UNDEFINED_INSTRUCTION);
    utest_skip_instruction(&e, UD2_BYTES);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    family_end(&f, 7);
}

// The handle may travel: the thread waits as long as there is one.
CASE_WITHIN(exception_is_sent, 60) {
    struct faulter f;
    faulter_start(&f);
    zx_handle_t channel = utest_listen(f.thread.handle, 0);
    faulter_go(&f);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
    utest_skip_instruction(&e, UD2_BYTES);
    uint32_t state = ZX_EXCEPTION_STATE_HANDLED;
    EXPECT_OK(zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STATE, &state, sizeof(state)));
    struct utest_pair pair = utest_channel();
    EXPECT_OK(zx_channel_write(pair.a, 0, nullptr, 0, &e.handle, 1));
    utest_sleep_ms(20);
    EXPECT_EQ(utest_thread_info(f.thread.handle).state, ZX_THREAD_STATE_BLOCKED_EXCEPTION);
    utest_close_pair(pair); // with the handle in it
    faulter_join(&f, true);
    EXPECT_CLOSE(channel);
}

// The process is killed while its thread waits: nobody keeps it.
CASE_WITHIN(killed_in_exception, 60) {
    struct family f;
    family_start(&f);
    struct utest_exception e = utest_catch(f.of_debugger, ZX_EXCP_UNDEFINED_INSTRUCTION);
    EXPECT_OK(zx_task_kill(f.child.process));
    EXPECT_OK(zx_object_wait_one(f.thread, ZX_THREAD_TERMINATED, utest_after_ms(10000), nullptr));
    zx_exception_report_t report;
    EXPECT_STATUS(report_of(f.thread, &report), ZX_ERR_BAD_STATE);
    zx_thread_state_general_regs_t r;
    EXPECT_STATUS(zx_thread_read_state(f.thread, ZX_THREAD_STATE_GENERAL_REGS, &r, sizeof(r)),
                  ZX_ERR_BAD_STATE);
    zx_handle_t thread = utest_thread_of(&e); // of a dead one
    EXPECT_EQ(utest_thread_info(thread).state, ZX_THREAD_STATE_DEAD);
    EXPECT_CLOSE(thread);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    EXPECT_EQ(utest_signals(f.of_thread, ZX_CHANNEL_READABLE), 0);
    family_end(&f, ZX_TASK_RETCODE_SYSCALL_KILL);
}

// ---- what the kernel raises ----

static void catch_and_go(zx_handle_t channel, zx_excp_type_t type) {
    struct utest_exception e = utest_catch(channel, type);
    EXPECT_CLOSE(e.handle); // no answer: it goes on all the same
}

// Ends as detached threads do: in one call that touches nothing of the thread's afterwards.
static void end_detached(void*) {
    static zx_futex_t word;
    zx_futex_wake_handle_close_thread_exit(&word, 1, 1, ZX_HANDLE_INVALID);
}

// The same with the unmapping of memory.
static void end_unmapping(void* address) {
    (void)zx_vmar_unmap_handle_close_thread_exit(zx_vmar_root_self(), (zx_vaddr_t)address, 4096,
                                                 ZX_HANDLE_INVALID);
}

CHILD(four_threads) {
    zx_handle_t vmo = utest_vmo(4096);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ, 0, vmo, 0, 4096, &at));
    void (*const ends[])(void*) = {(void (*)(void*))zx_thread_exit, end_detached, end_unmapping};
    for (size_t i = 0; i < 3; i++) {
        struct utest_thread t;
        utest_thread_start(&t, ends[i], (void*)at);
        utest_thread_join(&t);
    }
    return 3;
}

static void child_start_prepared(struct utest_prepared* p, struct utest_child* c) {
    zx_handle_t bootstrap = p->bootstrap;
    p->bootstrap = ZX_HANDLE_INVALID;
    EXPECT_OK(zx_process_start(p->process, p->thread, p->entry, p->stack, bootstrap, p->vdso_base));
    *c = (struct utest_child){.process = p->process, .channel = p->channel};
    p->process = p->channel = ZX_HANDLE_INVALID;
    utest_prepared_close(p);
}

CASE_WITHIN(starts_and_ends_of_threads, 60) {
    struct utest_prepared p;
    utest_child_prepare(&p, "four_threads", ZX_HANDLE_INVALID);
    zx_handle_t channel = utest_listen(p.process, DEBUGGER);
    zx_vaddr_t entry = p.entry;
    zx_koid_t tid = utest_koid(p.thread);
    struct utest_child c;
    child_start_prepared(&p, &c);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_THREAD_STARTING);
    EXPECT_EQ(e.info.tid, tid);
    zx_handle_t thread = utest_thread_of(&e);
    EXPECT_EQ(utest_registers(thread).rip, entry); // nothing was executed
    EXPECT_CLOSE(thread);
    EXPECT_CLOSE(e.handle);
    for (uint32_t i = 0; i < 3; i++) {
        e = utest_catch(channel, ZX_EXCP_THREAD_STARTING);
        EXPECT(e.info.tid != tid);
        tid = e.info.tid;
        EXPECT_CLOSE(e.handle);
        e = utest_catch(channel, ZX_EXCP_THREAD_EXITING);
        EXPECT_EQ(e.info.tid, tid);
        thread = utest_thread_of(&e);
        EXPECT_EQ(utest_thread_info(thread).state, ZX_THREAD_STATE_BLOCKED_EXCEPTION);
        EXPECT(utest_registers(thread).rip != 0);
        EXPECT_CLOSE(thread);
        EXPECT_CLOSE(e.handle);
    }
    EXPECT_EQ(utest_child_join(&c), 3);
    EXPECT_CLOSE(channel);
}

CASE_WITHIN(starts_of_processes, 60) {
    zx_handle_t upper = make_job(zx_job_default());
    zx_handle_t job = make_job(upper);
    // The nearest job with a debugger; there, all of them.
    zx_handle_t of_upper = utest_listen(upper, DEBUGGER);
    zx_handle_t first = utest_listen(job, DEBUGGER);
    zx_handle_t second = utest_listen(job, DEBUGGER);
    struct utest_child c;
    utest_child_start(&c, "wait_for_ever", job);
    struct utest_exception e = utest_catch(first, ZX_EXCP_PROCESS_STARTING);
    EXPECT_EQ(e.info.pid, utest_koid(c.process));
    // A debugger that attaches now sees the first thread, too.
    zx_handle_t process;
    EXPECT_OK(zx_exception_get_process(e.handle, &process));
    zx_handle_t debugger = utest_listen(process, DEBUGGER);
    EXPECT_CLOSE(process);
    EXPECT_EQ(utest_signals(second, ZX_CHANNEL_READABLE), 0); // one after the other
    EXPECT_CLOSE(e.handle);
    catch_and_go(second, ZX_EXCP_PROCESS_STARTING);
    catch_and_go(debugger, ZX_EXCP_THREAD_STARTING);
    EXPECT_EQ(utest_signals(of_upper, ZX_CHANNEL_READABLE), 0);
    EXPECT_CLOSE(c.channel);
    c.channel = ZX_HANDLE_INVALID;
    EXPECT_EQ(utest_child_join(&c), 5);
    // Without them, the one above.
    EXPECT_CLOSE(first);
    EXPECT_CLOSE(second);
    EXPECT_CLOSE(debugger);
    utest_child_start(&c, "wait_for_ever", job);
    e = utest_catch(of_upper, ZX_EXCP_PROCESS_STARTING);
    utest_let_go(&e, ZX_EXCEPTION_STATE_THREAD_EXIT);
    EXPECT_EQ(utest_child_join(&c), 0); // its only thread ended before its first instruction
    EXPECT_CLOSE(of_upper);
    EXPECT_CLOSE(job);
    end_job(upper);
}

CHILD(raise_user) {
    zx_exception_context_t context = {.synth_code = ZX_EXCP_USER_CODE_USER0, .synth_data = 99};
    return zx_thread_raise_exception(ZX_EXCEPTION_TARGET_JOB_DEBUGGER, ZX_EXCP_USER, &context) ==
                   ZX_OK
               ? 8
               : 9;
}

CASE_WITHIN(user_exceptions, 60) {
    zx_exception_context_t context = {};
    uint32_t target = ZX_EXCEPTION_TARGET_JOB_DEBUGGER;
    EXPECT_STATUS(zx_thread_raise_exception(0, ZX_EXCP_USER, &context), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_thread_raise_exception(target, ZX_EXCP_GENERAL, &context),
                  ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(bad, UTEST_READ, sizeof(context)) {
        EXPECT_STATUS(zx_thread_raise_exception(target, ZX_EXCP_USER, bad), ZX_ERR_INVALID_ARGS);
    }
    // Nobody listens: nothing happens.
    EXPECT_EQ(utest_child_run("raise_user"), 8);
    zx_handle_t job = make_job(zx_job_default());
    zx_handle_t channel = utest_listen(job, DEBUGGER);
    zx_handle_t not_asked = utest_listen(job, 0);
    struct utest_child c;
    utest_child_start(&c, "raise_user", job);
    catch_and_go(channel, ZX_EXCP_PROCESS_STARTING);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_USER);
    zx_handle_t thread = utest_thread_of(&e);
    zx_exception_report_t report;
    EXPECT_OK(report_of(thread, &report));
    EXPECT_EQ(report.header.type, ZX_EXCP_USER);
    EXPECT_EQ(report.context.synth_code, ZX_EXCP_USER_CODE_USER0);
    EXPECT_EQ(report.context.synth_data, 99);
    // It stands at the end of the call, its registers complete.
    EXPECT_EQ(utest_registers(thread).rax, (uint64_t)ZX_OK);
    EXPECT_CLOSE(thread);
    EXPECT_CLOSE(e.handle);
    EXPECT_EQ(utest_child_join(&c), 8);
    EXPECT_EQ(utest_signals(not_asked, ZX_CHANNEL_READABLE), 0);
    EXPECT_CLOSE(not_asked);
    EXPECT_CLOSE(channel);
    end_job(job);
}

// ---- policy ----

CHILD(make_event) {
    zx_handle_t event;
    zx_status_t status = zx_event_create(0, &event);
    return status == ZX_OK ? 41 : status == ZX_ERR_ACCESS_DENIED ? 40 : 1;
}

static zx_handle_t job_with_policy(uint32_t action) {
    zx_handle_t job = make_job(zx_job_default());
    zx_policy_basic_v2_t entry = {.condition = ZX_POL_NEW_EVENT, .action = action};
    EXPECT_OK(zx_job_set_policy(job, ZX_JOB_POL_ABSOLUTE, ZX_JOB_POL_BASIC_V2, &entry, 1));
    return job;
}

// Handled, the call does what the action says; not handled, the process ends.
static int64_t run_with_policy(uint32_t action, uint32_t state) {
    zx_handle_t job = job_with_policy(action);
    zx_handle_t channel = utest_listen(job, 0);
    struct utest_child c;
    utest_child_start(&c, "make_event", job);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_POLICY_ERROR);
    zx_handle_t thread = utest_thread_of(&e);
    zx_exception_report_t report;
    EXPECT_OK(report_of(thread, &report));
    EXPECT_EQ(report.context.synth_code, ZX_EXCP_POLICY_CODE_NEW_EVENT);
    EXPECT_CLOSE(thread);
    utest_let_go(&e, state);
    int64_t code = utest_child_join(&c);
    EXPECT_CLOSE(channel);
    end_job(job);
    return code;
}

CASE_WITHIN(policy_exceptions, 60) {
    EXPECT_EQ(run_with_policy(ZX_POL_ACTION_ALLOW_EXCEPTION, ZX_EXCEPTION_STATE_HANDLED), 41);
    EXPECT_EQ(run_with_policy(ZX_POL_ACTION_DENY_EXCEPTION, ZX_EXCEPTION_STATE_HANDLED), 40);
    EXPECT_EQ(run_with_policy(ZX_POL_ACTION_ALLOW_EXCEPTION, ZX_EXCEPTION_STATE_TRY_NEXT),
              ZX_TASK_RETCODE_EXCEPTION_KILL);
    EXPECT_EQ(run_with_policy(ZX_POL_ACTION_DENY_EXCEPTION, ZX_EXCEPTION_STATE_THREAD_EXIT), 0);
}

CHILD(no_such_call) {
    uint64_t result;
    __asm__ volatile("movl $60000, %%eax\n syscall" : "=a"(result)::"rcx", "r11", "memory");
    return (zx_status_t)result == ZX_ERR_BAD_SYSCALL ? 12 : 1;
}

CASE_WITHIN(bad_system_call, 60) {
    zx_handle_t job = make_job(zx_job_default());
    zx_handle_t channel = utest_listen(job, 0);
    struct utest_child c;
    utest_child_start(&c, "no_such_call", job);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_POLICY_ERROR);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    EXPECT_EQ(utest_child_join(&c), 12);
    EXPECT_CLOSE(channel);
    end_job(job);
}

// ---- many at once ----

// Four threads that fault until they are told to stop; each fault is skipped by whoever handles it.
static _Atomic(bool) stop_faulting;

static void fault_all_the_time(void* arg) {
    _Atomic(uint32_t)* count = arg;
    while (!atomic_load(&stop_faulting)) {
        ud2();
        atomic_fetch_add(count, 1);
    }
}

CHILD(fault_in_four_threads) {
    struct utest_thread threads[4];
    static _Atomic(uint32_t) count;
    for (size_t i = 0; i < 4; i++) {
        utest_thread_start(&threads[i], fault_all_the_time, &count);
    }
    (void)zx_object_wait_one(channel, ZX_CHANNEL_PEER_CLOSED, ZX_TIME_INFINITE, nullptr);
    return 1; // its parent kills it
}

static bool handle_one(zx_handle_t channel, uint32_t round) {
    struct utest_exception e;
    uint32_t bytes;
    uint32_t handles;
    if (zx_object_wait_one(channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr) != ZX_OK ||
        zx_channel_read(channel, 0, &e.info, &e.handle, sizeof(e.info), 1, &bytes, &handles) !=
            ZX_OK) {
        return false;
    }
    if (e.info.type == ZX_EXCP_UNDEFINED_INSTRUCTION) {
        zx_handle_t thread = utest_thread_of(&e);
        zx_handle_t token = ZX_HANDLE_INVALID;
        if (round % 3 == 0) {
            (void)zx_task_suspend(thread, &token);
        }
        zx_thread_state_general_regs_t r = utest_registers(thread);
        r.rip += UD2_BYTES;
        utest_set_registers(thread, &r);
        utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
        EXPECT_CLOSE(token);
        EXPECT_CLOSE(thread);
    } else {
        EXPECT_CLOSE(e.handle);
    }
    return true;
}

CASE_WITHIN(storm_of_faults, 120) {
    for (uint32_t round = 0; round < 4; round++) {
        zx_handle_t job = make_job(zx_job_default());
        zx_handle_t channel = utest_listen(job, 0);
        struct utest_child c;
        utest_child_start(&c, "fault_in_four_threads", job);
        for (uint32_t i = 0; i < 150; i++) {
            EXPECT(handle_one(channel, i));
        }
        // Some of them stand in an exception when it ends, one way or the other.
        if (round % 2 == 0) {
            EXPECT_OK(zx_task_kill(job));
        } else {
            EXPECT_CLOSE(channel);
        }
        int64_t code = utest_child_join(&c);
        EXPECT(code == ZX_TASK_RETCODE_SYSCALL_KILL || code == ZX_TASK_RETCODE_EXCEPTION_KILL);
        if (round % 2 == 0) {
            EXPECT_CLOSE(channel);
        }
        end_job(job);
    }
}
