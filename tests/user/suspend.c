// Suspension: threads and processes that stand still while a token exists, wherever they are.
#include <utest/exceptions.h>

#include <stdatomic.h>

#include <jacinth/startup.h>

GROUP("suspend");

// ---- threads that do things ----

struct spinner {
    struct utest_thread thread;
    _Atomic(bool) stop;
    _Atomic(uint64_t) count;
};

static void spin(void* arg) {
    struct spinner* s = arg;
    while (!atomic_load(&s->stop)) {
        atomic_fetch_add(&s->count, 1);
    }
}

static void spinner_start(struct spinner* s) {
    *s = (struct spinner){};
    utest_thread_start(&s->thread, spin, s);
    while (atomic_load(&s->count) == 0) {
        zx_thread_legacy_yield(0);
    }
}

static void spinner_join(struct spinner* s) {
    atomic_store(&s->stop, true);
    utest_thread_join(&s->thread);
}

static zx_handle_t suspend(zx_handle_t task) {
    zx_handle_t token;
    EXPECT_OK(zx_task_suspend(task, &token));
    return token;
}

static void reach_signal(zx_handle_t thread, zx_signals_t signal) {
    EXPECT_OK(zx_object_wait_one(thread, signal, utest_after_ms(10000), nullptr));
}

static zx_signals_t running_or_suspended(zx_handle_t thread) {
    return utest_signals(thread, ZX_THREAD_RUNNING | ZX_THREAD_SUSPENDED);
}

// ---- errors ----

CASE(errors) {
    zx_handle_t token;
    EXPECT_STATUS(zx_task_suspend(ZX_HANDLE_INVALID, &token), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_task_suspend(zx_job_default(), &token), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_task_suspend(zx_thread_self(), &token), ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(zx_task_suspend(zx_process_self(), &token), ZX_ERR_NOT_SUPPORTED);
    zx_handle_t thread;
    EXPECT_OK(zx_thread_create(zx_process_self(), "x", 1, 0, &thread));
    zx_handle_t weak = utest_without(thread, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_task_suspend(weak, &token), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(token)) {
        EXPECT_STATUS(zx_task_suspend(thread, p), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_OK(zx_task_suspend_token(thread, &token));
    EXPECT_CLOSE(token);
    EXPECT_CLOSE(thread);
}

CASE(token) {
    struct spinner s;
    spinner_start(&s);
    zx_handle_t token = suspend(s.thread.handle);
    zx_info_handle_basic_t info = utest_basic(token);
    EXPECT_EQ(info.type, ZX_OBJ_TYPE_SUSPEND_TOKEN);
    EXPECT_EQ(info.rights, ZX_DEFAULT_SUSPEND_TOKEN_RIGHTS);
    EXPECT_EQ(info.related_koid, utest_koid(s.thread.handle));
    EXPECT_CLOSE(token);
    spinner_join(&s);
}

CASE(dead_thread) {
    struct utest_thread t;
    zx_handle_t other;
    utest_thread_start(&t, (void (*)(void*))zx_thread_exit, nullptr);
    EXPECT_OK(zx_handle_duplicate(t.handle, ZX_RIGHT_SAME_RIGHTS, &other));
    utest_thread_join(&t);
    zx_handle_t token;
    EXPECT_STATUS(zx_task_suspend(other, &token), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(other);
}

// ---- where a thread may be ----

CASE(in_user_mode) {
    struct spinner s;
    spinner_start(&s);
    EXPECT_EQ(running_or_suspended(s.thread.handle), ZX_THREAD_RUNNING);
    zx_handle_t token = suspend(s.thread.handle);
    reach_signal(s.thread.handle, ZX_THREAD_SUSPENDED);
    EXPECT_EQ(running_or_suspended(s.thread.handle), ZX_THREAD_SUSPENDED);
    EXPECT_EQ(utest_thread_info(s.thread.handle).state, ZX_THREAD_STATE_SUSPENDED);
    uint64_t count = atomic_load(&s.count);
    utest_sleep_ms(20);
    EXPECT_EQ(atomic_load(&s.count), count);
    EXPECT_CLOSE(token);
    reach_signal(s.thread.handle, ZX_THREAD_RUNNING);
    while (atomic_load(&s.count) == count) {
        zx_thread_legacy_yield(0);
    }
    spinner_join(&s);
}

CASE(tokens_add_up) {
    struct spinner s;
    spinner_start(&s);
    zx_handle_t first = suspend(s.thread.handle);
    zx_handle_t second = suspend(s.thread.handle);
    reach_signal(s.thread.handle, ZX_THREAD_SUSPENDED);
    zx_handle_t third = suspend(s.thread.handle);
    EXPECT_CLOSE(first);
    EXPECT_CLOSE(third);
    utest_sleep_ms(10);
    EXPECT_EQ(running_or_suspended(s.thread.handle), ZX_THREAD_SUSPENDED);
    EXPECT_CLOSE(second);
    reach_signal(s.thread.handle, ZX_THREAD_RUNNING);
    spinner_join(&s);
}

// A token that travels keeps the thread where it is; it may go with its channel.
CASE(token_is_sent) {
    struct spinner s;
    spinner_start(&s);
    zx_handle_t token = suspend(s.thread.handle);
    reach_signal(s.thread.handle, ZX_THREAD_SUSPENDED);
    struct utest_pair pair = utest_channel();
    EXPECT_OK(zx_channel_write(pair.a, 0, nullptr, 0, &token, 1));
    utest_sleep_ms(10);
    EXPECT_EQ(running_or_suspended(s.thread.handle), ZX_THREAD_SUSPENDED);
    utest_close_pair(pair);
    reach_signal(s.thread.handle, ZX_THREAD_RUNNING);
    spinner_join(&s);
}

struct waiting {
    zx_handle_t object;
    zx_time_t deadline;
    zx_status_t status;
};

static void wait_for_event(void* arg) {
    struct waiting* w = arg;
    w->status = zx_object_wait_one(w->object, ZX_EVENT_SIGNALED, w->deadline, nullptr);
}

// Signalled while it is suspended: the wait goes on, and sees it.
CASE(in_a_wait) {
    struct waiting w = {.object = utest_event(), .deadline = ZX_TIME_INFINITE};
    struct utest_thread t;
    utest_thread_start(&t, wait_for_event, &w);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    zx_handle_t token = suspend(t.handle);
    reach_signal(t.handle, ZX_THREAD_SUSPENDED);
    EXPECT_OK(zx_object_signal(w.object, 0, ZX_EVENT_SIGNALED));
    utest_sleep_ms(10);
    EXPECT_EQ(running_or_suspended(t.handle), ZX_THREAD_SUSPENDED);
    EXPECT_CLOSE(token);
    utest_thread_join(&t);
    EXPECT_OK(w.status);
    EXPECT_CLOSE(w.object);
}

// A deadline that passes meanwhile counts.
CASE(deadline_meanwhile) {
    struct waiting w = {.object = utest_event(), .deadline = utest_after_ms(60)};
    struct utest_thread t;
    utest_thread_start(&t, wait_for_event, &w);
    zx_handle_t token = suspend(t.handle);
    reach_signal(t.handle, ZX_THREAD_SUSPENDED);
    utest_sleep_ms(80);
    EXPECT_CLOSE(token);
    utest_thread_join(&t);
    EXPECT_STATUS(w.status, ZX_ERR_TIMED_OUT);
    EXPECT_CLOSE(w.object);
}

struct calling {
    zx_handle_t channel;
    zx_status_t status;
    uint32_t answer[2];
};

static void call(void* arg) {
    struct calling* c = arg;
    uint32_t request[2] = {0, 17};
    zx_channel_call_args_t args = {.wr_bytes = request,
                                   .wr_num_bytes = sizeof(request),
                                   .rd_bytes = c->answer,
                                   .rd_num_bytes = sizeof(c->answer)};
    uint32_t bytes;
    uint32_t handles;
    c->status = zx_channel_call(c->channel, 0, ZX_TIME_INFINITE, &args, &bytes, &handles);
}

// The request is sent once, and the answer that comes meanwhile is not lost.
CASE(in_a_call) {
    struct utest_pair pair = utest_channel();
    struct calling c = {.channel = pair.a};
    struct utest_thread t;
    utest_thread_start(&t, call, &c);
    uint32_t request[2];
    uint32_t bytes;
    EXPECT_OK(zx_object_wait_one(pair.b, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    EXPECT_OK(zx_channel_read(pair.b, 0, request, nullptr, sizeof(request), 0, &bytes, nullptr));
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_CHANNEL);
    zx_handle_t token = suspend(t.handle);
    reach_signal(t.handle, ZX_THREAD_SUSPENDED);
    request[1]++;
    EXPECT_OK(zx_channel_write(pair.b, 0, request, sizeof(request), nullptr, 0));
    EXPECT_CLOSE(token);
    utest_thread_join(&t);
    EXPECT_OK(c.status);
    EXPECT_EQ(c.answer[1], 18);
    EXPECT_EQ(utest_signals(pair.b, ZX_CHANNEL_READABLE), 0);
    utest_close_pair(pair);
}

CASE(before_the_start) {
    zx_handle_t thread;
    alignas(16) static char stack[8192];
    EXPECT_OK(zx_thread_create(zx_process_self(), "x", 1, 0, &thread));
    zx_handle_t token = suspend(thread);
    EXPECT_EQ(utest_thread_info(thread).state, ZX_THREAD_STATE_NEW);
    uintptr_t entry = (uintptr_t)zx_thread_exit;
    EXPECT_OK(zx_thread_start(thread, entry, (uintptr_t)stack + sizeof(stack) - 8, 3, 4));
    reach_signal(thread, ZX_THREAD_SUSPENDED);
    zx_thread_state_general_regs_t r = utest_registers(thread);
    EXPECT_EQ(r.rip, entry);
    EXPECT_EQ(r.rdi, 3);
    EXPECT_EQ(r.rsi, 4);
    EXPECT_CLOSE(token);
    reach_signal(thread, ZX_THREAD_TERMINATED);
    EXPECT_EQ(running_or_suspended(thread), 0);
    EXPECT_CLOSE(thread);
}

// ---- processes ----

// Says a byte every millisecond, from two threads.
static void say(void* arg) {
    zx_handle_t channel = *(zx_handle_t*)arg;
    while (zx_channel_write(channel, 0, "x", 1, nullptr, 0) == ZX_OK) {
        utest_sleep_ms(1);
    }
}

CHILD(two_who_talk) {
    struct utest_thread t;
    utest_thread_start(&t, say, &channel);
    say(&channel);
    utest_thread_join(&t);
    return 6;
}

static void drain(zx_handle_t channel) {
    char byte;
    uint32_t bytes;
    while (zx_channel_read(channel, 0, &byte, nullptr, 1, 0, &bytes, nullptr) == ZX_OK) {
    }
}

CASE_WITHIN(whole_process, 60) {
    struct utest_child c;
    utest_child_start(&c, "two_who_talk", ZX_HANDLE_INVALID);
    EXPECT_OK(zx_object_wait_one(c.channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    zx_handle_t token = suspend(c.process);
    zx_koid_t koids[2];
    size_t count;
    EXPECT_OK(zx_object_get_info(c.process, ZX_INFO_PROCESS_THREADS, koids, sizeof(koids), &count,
                                 nullptr));
    for (size_t i = 0; i < count; i++) {
        zx_handle_t thread;
        EXPECT_OK(zx_object_get_child(c.process, koids[i], ZX_RIGHT_SAME_RIGHTS, &thread));
        reach_signal(thread, ZX_THREAD_SUSPENDED);
        // Its own token does not end the process's.
        EXPECT_CLOSE(suspend(thread));
        EXPECT_EQ(running_or_suspended(thread), ZX_THREAD_SUSPENDED);
        EXPECT_CLOSE(thread);
    }
    drain(c.channel);
    utest_sleep_ms(20);
    EXPECT_EQ(utest_signals(c.channel, ZX_CHANNEL_READABLE), 0);
    EXPECT_CLOSE(token);
    EXPECT_OK(zx_object_wait_one(c.channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    EXPECT_CLOSE(c.channel);
    c.channel = ZX_HANDLE_INVALID;
    EXPECT_EQ(utest_child_join(&c), 6);
}

// One that is suspended before it is started.
CASE_WITHIN(process_before_its_start, 60) {
    struct utest_prepared p;
    utest_child_prepare(&p, "two_who_talk", ZX_HANDLE_INVALID);
    zx_handle_t token = suspend(p.process);
    zx_handle_t bootstrap = p.bootstrap;
    p.bootstrap = ZX_HANDLE_INVALID;
    EXPECT_OK(zx_process_start(p.process, p.thread, p.entry, p.stack, bootstrap, p.vdso_base));
    reach_signal(p.thread, ZX_THREAD_SUSPENDED);
    EXPECT_EQ(utest_registers(p.thread).rip, p.entry);
    EXPECT_EQ(utest_signals(p.channel, ZX_CHANNEL_READABLE), 0);
    EXPECT_CLOSE(token);
    EXPECT_OK(zx_object_wait_one(p.channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    EXPECT_OK(zx_task_kill(p.process));
    utest_prepared_close(&p);
}

CASE_WITHIN(killed_while_suspended, 60) {
    for (uint32_t of_process = 0; of_process < 2; of_process++) {
        struct utest_prepared p;
        utest_child_prepare(&p, "two_who_talk", ZX_HANDLE_INVALID);
        zx_handle_t bootstrap = p.bootstrap;
        p.bootstrap = ZX_HANDLE_INVALID;
        EXPECT_OK(zx_process_start(p.process, p.thread, p.entry, p.stack, bootstrap, p.vdso_base));
        zx_handle_t token = suspend(of_process ? p.process : p.thread);
        reach_signal(p.thread, ZX_THREAD_SUSPENDED);
        EXPECT_OK(zx_task_kill(p.process));
        EXPECT_OK(
            zx_object_wait_one(p.process, ZX_PROCESS_TERMINATED, utest_after_ms(10000), nullptr));
        EXPECT_EQ(running_or_suspended(p.thread), 0);
        zx_handle_t out;
        EXPECT_STATUS(zx_task_suspend(p.thread, &out), ZX_ERR_BAD_STATE);
        EXPECT_STATUS(zx_task_suspend(p.process, &out), ZX_ERR_BAD_STATE);
        EXPECT_CLOSE(token);
        utest_prepared_close(&p);
    }
}

// ---- suspension and exceptions ----

static void fault(void*) {
    __asm__ volatile("ud2" ::: "memory");
}

// In an exception a thread stands already; the suspension counts when it is let go.
CASE(in_an_exception) {
    struct utest_thread t;
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    utest_thread_start(&t, fault, nullptr);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
    zx_handle_t token = suspend(t.handle);
    utest_sleep_ms(10);
    EXPECT_EQ(running_or_suspended(t.handle), ZX_THREAD_RUNNING);
    EXPECT_EQ(utest_thread_info(t.handle).state, ZX_THREAD_STATE_BLOCKED_EXCEPTION);
    utest_skip_instruction(&e, 2);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    reach_signal(t.handle, ZX_THREAD_SUSPENDED);
    EXPECT_EQ(utest_thread_info(t.handle).state, ZX_THREAD_STATE_SUSPENDED);
    EXPECT_CLOSE(token);
    utest_thread_join(&t);
    EXPECT_CLOSE(channel);
}

// A fault that happens while a suspension is on its way is not lost.
CASE(exception_of_a_suspended_thread) {
    struct utest_thread t;
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct spinner s;
    spinner_start(&s);
    for (uint32_t i = 0; i < 20; i++) {
        utest_thread_start(&t, fault, nullptr);
        zx_handle_t token = suspend(t.handle);
        if (i % 2 == 0) {
            EXPECT_CLOSE(token);
        } else {
            zx_signals_t seen;
            // It stands at one of the two.
            while (zx_object_wait_one(t.handle, ZX_THREAD_SUSPENDED, utest_after_ms(1), &seen) !=
                       ZX_OK &&
                   utest_signals(channel, ZX_CHANNEL_READABLE) == 0) {
            }
            EXPECT_CLOSE(token);
        }
        struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
        utest_skip_instruction(&e, 2);
        utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
        utest_thread_join(&t);
    }
    spinner_join(&s);
    EXPECT_CLOSE(channel);
}

// ---- many at once ----

// Tokens come and go from two threads while the third works; then everything goes on.
struct storm {
    zx_handle_t target;
    _Atomic(bool) stop;
};

static void suspend_and_resume(void* arg) {
    struct storm* s = arg;
    for (uint32_t i = 0; !atomic_load(&s->stop); i++) {
        zx_handle_t token;
        if (zx_task_suspend(s->target, &token) == ZX_OK) {
            if (i % 4 == 0) {
                (void)zx_object_wait_one(s->target, ZX_THREAD_SUSPENDED | ZX_THREAD_TERMINATED,
                                         utest_after_ms(1000), nullptr);
            }
            (void)zx_handle_close(token);
        }
    }
}

// Waits, calls and computes; its result says that nothing was lost or done twice.
struct worker {
    zx_handle_t near, far;
    uint64_t sum;
};

constexpr uint32_t WORK_ROUNDS = 600;

static void work(void* arg) {
    struct worker* w = arg;
    for (uint32_t i = 1; i <= WORK_ROUNDS; i++) {
        uint32_t value = i;
        uint32_t got = 0;
        uint32_t bytes;
        if (zx_channel_write(w->near, 0, &value, sizeof(value), nullptr, 0) != ZX_OK ||
            zx_object_wait_one(w->far, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr) !=
                ZX_OK ||
            zx_channel_read(w->far, 0, &got, nullptr, sizeof(got), 0, &bytes, nullptr) != ZX_OK) {
            return;
        }
        w->sum += got;
        if (i % 64 == 0) {
            utest_sleep_ms(1);
        }
    }
}

CASE_WITHIN(storm_of_tokens, 120) {
    struct utest_pair pair = utest_channel();
    struct worker w = {.near = pair.a, .far = pair.b};
    struct utest_thread worker;
    utest_thread_start(&worker, work, &w);
    struct storm s = {.target = worker.handle};
    struct utest_thread tormentors[2];
    for (size_t i = 0; i < 2; i++) {
        utest_thread_start(&tormentors[i], suspend_and_resume, &s);
    }
    EXPECT_OK(
        zx_object_wait_one(worker.handle, ZX_THREAD_TERMINATED, utest_after_ms(100000), nullptr));
    atomic_store(&s.stop, true);
    for (size_t i = 0; i < 2; i++) {
        utest_thread_join(&tormentors[i]);
    }
    utest_thread_join(&worker);
    EXPECT_EQ(w.sum, (uint64_t)WORK_ROUNDS * (WORK_ROUNDS + 1) / 2);
    utest_close_pair(pair);
}

// Who has a token and has seen the thread stand finds it standing until the token is closed, though
// others' tokens come and go.
CASE_WITHIN(token_keeps_it_still, 120) {
    struct spinner spinner;
    spinner_start(&spinner);
    zx_handle_t thread = spinner.thread.handle;
    struct storm s = {.target = thread};
    struct utest_thread tormentors[2];
    for (size_t i = 0; i < 2; i++) {
        utest_thread_start(&tormentors[i], suspend_and_resume, &s);
    }
    for (uint32_t i = 0; i < 150; i++) {
        zx_handle_t token = suspend(thread);
        reach_signal(thread, ZX_THREAD_SUSPENDED);
        uint64_t count = atomic_load(&spinner.count);
        for (uint32_t n = 0; n < 10; n++) {
            EXPECT_EQ(running_or_suspended(thread), ZX_THREAD_SUSPENDED);
            (void)utest_registers(thread);
        }
        EXPECT_EQ(atomic_load(&spinner.count), count);
        EXPECT_CLOSE(token);
    }
    atomic_store(&s.stop, true);
    for (size_t i = 0; i < 2; i++) {
        utest_thread_join(&tormentors[i]);
    }
    spinner_join(&spinner);
}

// Threads that end while they are suspended and resumed.
CASE_WITHIN(suspend_and_end, 120) {
    for (uint32_t i = 0; i < 60; i++) {
        struct utest_thread t;
        utest_thread_start(&t, (void (*)(void*))zx_thread_exit, nullptr);
        zx_handle_t token;
        zx_status_t status = zx_task_suspend(t.handle, &token);
        EXPECT(status == ZX_OK || status == ZX_ERR_BAD_STATE);
        if (status == ZX_OK) {
            EXPECT_CLOSE(token);
        }
        utest_thread_join(&t);
    }
}

// Processes that are killed while all kinds of tokens for them exist.
CASE_WITHIN(suspend_and_kill, 120) {
    for (uint32_t i = 0; i < 8; i++) {
        struct utest_child c;
        utest_child_start(&c, "two_who_talk", ZX_HANDLE_INVALID);
        zx_handle_t tokens[8];
        for (size_t n = 0; n < 8; n++) {
            tokens[n] = suspend(c.process);
            if (n % 2 == 1) {
                EXPECT_CLOSE(tokens[n]);
                tokens[n] = ZX_HANDLE_INVALID;
            }
        }
        EXPECT_OK(zx_task_kill(c.process));
        EXPECT_OK(zx_handle_close_many(tokens, 8));
        EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
    }
}
