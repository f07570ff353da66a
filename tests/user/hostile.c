// What hostile programs, and debuggers that die, can do with exceptions, suspension and registers:
// the kernel goes on, nobody waits for ever, and who is killed ends.
#include <utest/exceptions.h>

#include <stdatomic.h>
#include <string.h>

#include <jacinth/startup.h>

GROUP("hostile");

constexpr uint32_t DEBUGGER = ZX_EXCEPTION_CHANNEL_DEBUGGER;
constexpr uint32_t UD2_BYTES = 2;

// ---- chance ----

static uint64_t random_next(uint64_t* seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t random_seed(void) {
    uint64_t seed;
    zx_cprng_draw(&seed, sizeof(seed));
    return seed | 1;
}

// ---- common ----

static zx_status_t take(zx_handle_t channel, struct utest_exception* e) {
    uint32_t bytes;
    uint32_t handles;
    return zx_channel_read(channel, 0, &e->info, &e->handle, sizeof(e->info), 1, &bytes, &handles);
}

static void end_job(zx_handle_t job) {
    EXPECT_OK(zx_task_kill(job));
    EXPECT_OK(zx_object_wait_one(job, ZX_JOB_TERMINATED, utest_after_ms(20000), nullptr));
    EXPECT_CLOSE(job);
}

static void reach_stop(zx_handle_t thread) {
    EXPECT_OK(zx_object_wait_one(thread, ZX_THREAD_SUSPENDED, utest_after_ms(10000), nullptr));
}

// ---- registers full of nonsense ----

// Four threads that compute, fault and make calls.
static _Atomic(uint64_t) computed;

static void compute(void*) {
    for (;;) {
        atomic_fetch_add(&computed, 1);
        zx_thread_legacy_yield(0);
        __asm__ volatile("ud2" ::: "memory");
    }
}

CHILD(compute_in_four_threads) {
    struct utest_thread threads[3];
    for (size_t i = 0; i < 3; i++) {
        utest_thread_start(&threads[i], compute, nullptr);
    }
    compute(nullptr);
    return 1;
}

static uint64_t some_address(uint64_t* seed, uint64_t near) {
    static const uint64_t edges[] = {0,          0x00007fffffffffff, 0x0000800000000000,
                                     UINT64_MAX, 0xffff800000000000, 0x00007ffffffffff0};
    uint64_t r = random_next(seed);
    switch (r % 4) {
    case 0:
        return edges[(r >> 8) % 6];
    case 1:
        return r >> 17;
    default:
        return near + (r >> 8) % 16;
    }
}

static zx_status_t write_nonsense(zx_handle_t thread, uint64_t* seed) {
    union {
        zx_thread_state_general_regs_t general;
        zx_thread_state_fp_regs_t fp;
        zx_thread_state_vector_regs_t vector;
        zx_thread_state_debug_regs_t debug;
        zx_thread_state_single_step_t step;
        uint64_t words[2120 / 8];
    } s;
    static const size_t sizes[] = {sizeof(s.general), sizeof(s.fp),  sizeof(s.vector), 0,
                                   sizeof(s.debug),   sizeof(s.step)};
    zx_thread_state_general_regs_t now;
    zx_status_t status = zx_thread_read_state(thread, 0, &now, sizeof(now));
    if (status != ZX_OK) {
        return status;
    }
    uint64_t r = random_next(seed);
    uint32_t kind = (uint32_t)(r % 6);
    for (size_t i = 0; i < 2120 / 8; i++) {
        s.words[i] = random_next(seed);
    }
    switch (kind) {
    case 0:
        s.general.rip = some_address(seed, now.rip);
        s.general.rsp = some_address(seed, now.rsp);
        s.general.fs_base = some_address(seed, now.fs_base);
        s.general.gs_base = some_address(seed, now.gs_base);
        break;
    case 2:
        s.vector.mxcsr &= r % 2 == 0 ? 0xffff : UINT32_MAX;
        break;
    case 4:
        for (size_t i = 0; i < 4; i++) {
            s.debug.dr[i] = some_address(seed, i % 2 == 0 ? now.rip : now.rsp);
        }
        s.debug.dr7 &= r % 2 == 0 ? 0x00ff : UINT64_MAX; // execution of one byte is always allowed
        break;
    case 5:
        s.step &= 1;
        break;
    default:
        break;
    }
    status = zx_thread_write_state(thread, kind, &s, sizes[kind]);
    EXPECT(status == ZX_OK || status == ZX_ERR_INVALID_ARGS || status == ZX_ERR_BAD_STATE);
    return status;
}

// Handles what comes with nonsense; sometimes suspends the thread, too.
static void answer_with_nonsense(struct utest_exception* e, uint64_t* seed) {
    zx_handle_t token = ZX_HANDLE_INVALID;
    zx_handle_t thread = utest_thread_of(e);
    if (e->info.type != ZX_EXCP_THREAD_STARTING) {
        for (uint32_t i = 0; i < 3; i++) {
            (void)write_nonsense(thread, seed);
        }
    }
    if (random_next(seed) % 4 == 0) {
        (void)zx_task_suspend(thread, &token);
    }
    uint32_t state = ZX_EXCEPTION_STATE_HANDLED;
    EXPECT_OK(zx_object_set_property(e->handle, ZX_PROP_EXCEPTION_STATE, &state, sizeof(state)));
    EXPECT_CLOSE(e->handle);
    if (token != ZX_HANDLE_INVALID) {
        zx_signals_t seen;
        if (zx_object_wait_one(thread, ZX_THREAD_SUSPENDED | ZX_THREAD_TERMINATED,
                               utest_after_ms(20), &seen) == ZX_OK &&
            (seen & ZX_THREAD_SUSPENDED) != 0) {
            (void)write_nonsense(thread, seed);
        }
        EXPECT_CLOSE(token);
    }
    EXPECT_CLOSE(thread);
}

// What was written is what the threads run with: they fault somewhere, step, hit breakpoints, make
// calls with whatever is in their registers; and always come back as an exception or end.
CASE_WITHIN(nonsense_in_registers, 240) {
    uint64_t seed = random_seed();
    uint32_t answered = 0;
    for (uint32_t round = 0; round < 12; round++) {
        zx_handle_t job;
        EXPECT_OK(zx_job_create(zx_job_default(), 0, &job));
        struct utest_child c;
        utest_child_start(&c, "compute_in_four_threads", job);
        zx_handle_t channel = ZX_HANDLE_INVALID;
        (void)zx_task_create_exception_channel(c.process, DEBUGGER, &channel);
        for (uint32_t i = 0; i < 200; i++) {
            struct utest_exception e;
            if (zx_object_wait_one(channel, ZX_CHANNEL_READABLE, utest_after_ms(100), nullptr) !=
                    ZX_OK ||
                take(channel, &e) != ZX_OK) {
                break; // they spin somewhere, or have ended
            }
            answer_with_nonsense(&e, &seed);
            answered++;
        }
        EXPECT_OK(zx_task_kill(job));
        (void)utest_child_join(&c);
        EXPECT_OK(zx_handle_close(channel));
        end_job(job);
    }
    EXPECT(answered > 100);
}

// A program that keeps its debugger from writing registers back, as far as it can.
static _Atomic(uint32_t) base_is_set;

static void point_into_the_kernel(void*) {
    __asm__ volatile("wrgsbase %0" ::"r"(0xffff800000001000) : "memory");
    atomic_store(&base_is_set, 1);
    __asm__ volatile("ud2" ::: "memory");
}

CASE(bases_in_the_kernel) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct utest_thread t;
    atomic_store(&base_is_set, 0);
    utest_thread_start(&t, point_into_the_kernel, nullptr);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
    bool possible = atomic_load(&base_is_set) != 0;
    if (possible) {
        utest_skip_instruction(&e, UD2_BYTES);
        EXPECT_EQ(utest_registers(t.handle).gs_base, 0xffff800000001000);
    }
    utest_let_go(&e, possible ? ZX_EXCEPTION_STATE_HANDLED : ZX_EXCEPTION_STATE_THREAD_EXIT);
    utest_thread_join(&t);
    EXPECT_CLOSE(channel);
    if (!possible) {
        utest_skip("no FSGSBASE");
    }
}

// ---- debuggers that come, go and die ----

// Listens wherever there is room, and does the worst with what comes.
struct tormentor {
    zx_handle_t job, process;
    uint64_t seed;
    _Atomic(bool)* stop;
};

static void torment_one(zx_handle_t channel, uint64_t* seed) {
    struct utest_exception e;
    (void)zx_object_wait_one(channel, ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                             utest_after_ms(2), nullptr);
    uint64_t r = random_next(seed);
    if (r % 4 == 0 || take(channel, &e) != ZX_OK) {
        return; // what is in the channel goes with it
    }
    if (r % 4 == 1) {
        uint32_t strategy = ZX_EXCEPTION_STRATEGY_SECOND_CHANCE;
        (void)zx_object_set_property(e.handle, ZX_PROP_EXCEPTION_STRATEGY, &strategy,
                                     sizeof(strategy));
    }
    if (r % 4 == 2) { // into a channel that nobody reads
        struct utest_pair pair = utest_channel();
        EXPECT_OK(zx_channel_write(pair.a, 0, nullptr, 0, &e.handle, 1));
        utest_close_pair(pair);
        return;
    }
    zx_handle_t token = ZX_HANDLE_INVALID;
    zx_handle_t thread = utest_thread_of(&e);
    (void)zx_task_suspend(thread, &token);
    EXPECT_CLOSE(e.handle);
    EXPECT_CLOSE(token);
    EXPECT_CLOSE(thread);
}

static void torment(void* arg) {
    struct tormentor* t = arg;
    while (!atomic_load(t->stop)) {
        uint64_t r = random_next(&t->seed);
        zx_handle_t task = r % 3 == 0 ? t->job : t->process;
        zx_handle_t token = ZX_HANDLE_INVALID;
        zx_handle_t channel;
        if (r % 5 == 0) {
            (void)zx_task_suspend(t->process, &token);
        }
        if (zx_task_create_exception_channel(task, r % 2 == 0 ? DEBUGGER : 0, &channel) == ZX_OK) {
            torment_one(channel, &t->seed);
            EXPECT_CLOSE(channel);
        }
        if (token != ZX_HANDLE_INVALID) {
            EXPECT_CLOSE(token);
        }
    }
}

// Threads that fault, and start and end all the time.
static void short_life(void*) {
    __asm__ volatile("ud2" ::: "memory");
}

CHILD(short_lives) {
    struct utest_thread threads[3];
    for (;;) {
        for (size_t i = 0; i < 3; i++) {
            utest_thread_start(&threads[i], short_life, nullptr);
        }
        for (size_t i = 0; i < 3; i++) {
            if (zx_object_wait_one(threads[i].handle, ZX_THREAD_TERMINATED, ZX_TIME_INFINITE,
                                   nullptr) != ZX_OK) {
                return 1;
            }
            utest_thread_join(&threads[i]);
        }
    }
    return 0;
}

// The last one to be asked skips the instruction.
static void rescue(zx_handle_t channel, uint32_t ms, uint32_t* rescued) {
    zx_time_t end = utest_after_ms(ms);
    struct utest_exception e;
    while (zx_object_wait_one(channel, ZX_CHANNEL_READABLE, end, nullptr) == ZX_OK &&
           take(channel, &e) == ZX_OK) {
        zx_handle_t thread = utest_thread_of(&e);
        zx_thread_state_general_regs_t r;
        if (e.info.type == ZX_EXCP_UNDEFINED_INSTRUCTION &&
            zx_thread_read_state(thread, 0, &r, sizeof(r)) == ZX_OK) {
            r.rip += UD2_BYTES;
            EXPECT_OK(zx_thread_write_state(thread, 0, &r, sizeof(r)));
            utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
            (*rescued)++;
        } else {
            EXPECT_CLOSE(e.handle);
        }
        EXPECT_CLOSE(thread);
    }
}

CASE_WITHIN(debuggers_come_and_go, 240) {
    uint32_t rescued = 0;
    for (uint32_t round = 0; round < 4; round++) {
        zx_handle_t above;
        zx_handle_t job;
        EXPECT_OK(zx_job_create(zx_job_default(), 0, &above));
        EXPECT_OK(zx_job_create(above, 0, &job));
        zx_handle_t channel = utest_listen(above, 0);
        struct utest_child c;
        utest_child_start(&c, "short_lives", job);
        _Atomic(bool) stop = false;
        struct tormentor tormentors[4];
        struct utest_thread threads[4];
        for (size_t i = 0; i < 4; i++) {
            tormentors[i] = (struct tormentor){
                .job = job, .process = c.process, .seed = random_seed(), .stop = &stop};
            utest_thread_start(&threads[i], torment, &tormentors[i]);
        }
        rescue(channel, 1500, &rescued);
        // In the middle of everything.
        if (round % 2 == 0) {
            EXPECT_OK(zx_task_kill(c.process));
        } else {
            EXPECT_OK(zx_task_kill(above));
        }
        EXPECT_OK(
            zx_object_wait_one(c.process, ZX_PROCESS_TERMINATED, utest_after_ms(20000), nullptr));
        utest_sleep_ms(20);
        atomic_store(&stop, true);
        for (size_t i = 0; i < 4; i++) {
            utest_thread_join(&threads[i]);
        }
        EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
        EXPECT_CLOSE(channel);
        EXPECT_CLOSE(job);
        end_job(above);
    }
    EXPECT(rescued > 10);
}

// ---- who waits for himself ----

// Its own debugger, and its own handler: a thread of it handles another's fault, then faults
// itself, and there is nobody left to handle that.
CHILD(debugs_itself) {
    zx_handle_t own = utest_listen(zx_process_self(), DEBUGGER);
    zx_handle_t events = utest_listen(zx_process_self(), 0);
    struct utest_thread t;
    utest_thread_start(&t, short_life, nullptr);
    for (uint32_t i = 0; i < 2; i++) { // its start, then the fault, which goes on to `events`
        (void)zx_object_wait_one(own, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr);
        struct utest_exception e;
        EXPECT_OK(take(own, &e));
        EXPECT_CLOSE(e.handle);
    }
    struct utest_exception e = utest_catch(events, ZX_EXCP_UNDEFINED_INSTRUCTION);
    utest_skip_instruction(&e, UD2_BYTES);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    (void)zx_channel_write(channel, 0, "x", 1, nullptr, 0);
    __asm__ volatile("ud2" ::: "memory");
    return 1;
}

CASE_WITHIN(debugs_itself, 60) {
    struct utest_child c;
    utest_child_start(&c, "debugs_itself", ZX_HANDLE_INVALID);
    EXPECT_OK(zx_object_wait_one(c.channel, ZX_CHANNEL_READABLE, utest_after_ms(20000), nullptr));
    utest_sleep_ms(20);
    EXPECT_EQ(utest_signals(c.process, ZX_PROCESS_TERMINATED), 0);
    EXPECT_OK(zx_task_kill(c.process));
    EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
}

// Two threads that suspend each other, for ever; and a token that is in its own process's table.
static zx_handle_t two[2];

static void suspend_the_other(void* arg) {
    zx_handle_t token;
    size_t me = (size_t)(uintptr_t)arg;
    for (;;) {
        (void)zx_task_suspend(two[!me], &token);
    }
}

CHILD(suspend_each_other) {
    struct utest_thread threads[2];
    for (size_t i = 0; i < 2; i++) {
        utest_thread_start(&threads[i], suspend_the_other, (void*)i);
        two[i] = threads[i].handle;
    }
    (void)zx_channel_write(channel, 0, "x", 1, nullptr, 0);
    zx_nanosleep(ZX_TIME_INFINITE);
    return 1;
}

CASE_WITHIN(suspend_each_other, 60) {
    for (uint32_t i = 0; i < 4; i++) {
        struct utest_child c;
        utest_child_start(&c, "suspend_each_other", ZX_HANDLE_INVALID);
        EXPECT_OK(
            zx_object_wait_one(c.channel, ZX_CHANNEL_READABLE, utest_after_ms(20000), nullptr));
        utest_sleep_ms(5 * i);
        EXPECT_OK(zx_task_kill(c.process));
        EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
    }
}

// ---- calls that nobody goes on with ----

// A thread that was interrupted in a call is sent elsewhere, where it makes another.
struct caller {
    zx_handle_t channel;
    zx_status_t status;
    uint32_t answer[2];
};

static struct caller second_call;

static void make_call(void* arg) {
    struct caller* c = arg;
    uint32_t request[2] = {0, 5};
    zx_channel_call_args_t args = {.wr_bytes = request,
                                   .wr_num_bytes = sizeof(request),
                                   .rd_bytes = c->answer,
                                   .rd_num_bytes = sizeof(c->answer)};
    uint32_t bytes;
    uint32_t handles;
    c->status = zx_channel_call(c->channel, 0, ZX_TIME_INFINITE, &args, &bytes, &handles);
}

static void call_again(void) {
    make_call(&second_call);
    zx_thread_exit();
}

static void answer(zx_handle_t channel, uint32_t txid, uint32_t value) {
    uint32_t message[2] = {txid, value};
    EXPECT_OK(zx_channel_write(channel, 0, message, sizeof(message), nullptr, 0));
}

static uint32_t next_request(zx_handle_t channel) {
    uint32_t request[2];
    uint32_t bytes;
    EXPECT_OK(zx_object_wait_one(channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    EXPECT_OK(zx_channel_read(channel, 0, request, nullptr, sizeof(request), 0, &bytes, nullptr));
    return request[0];
}

// `when`: 0: the first answer comes after the second call; 1: while the thread stands; 2: never,
// because the channel is closed while it stands.
static void leave_a_call(uint32_t when) {
    struct utest_pair first = utest_channel();
    struct utest_pair second = utest_channel();
    struct caller c = {.channel = first.a};
    second_call = (struct caller){.channel = second.a};
    struct utest_thread t;
    utest_thread_start(&t, make_call, &c);
    uint32_t txid = next_request(first.b);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_CHANNEL);
    zx_handle_t token;
    EXPECT_OK(zx_task_suspend(t.handle, &token));
    reach_stop(t.handle);
    if (when == 1) {
        answer(first.b, txid, 77);
    } else if (when == 2) {
        EXPECT_CLOSE(first.b);
    }
    zx_thread_state_general_regs_t r = utest_registers(t.handle);
    r.rip = (uint64_t)call_again;
    r.rsp = ((r.rsp - 1024) & ~(uint64_t)15) - 8;
    utest_set_registers(t.handle, &r);
    EXPECT_CLOSE(token);
    uint32_t other = next_request(second.b);
    if (when == 0) {
        answer(first.b, txid, 77);
    }
    answer(second.b, other, 6);
    utest_thread_join(&t);
    EXPECT_OK(second_call.status);
    EXPECT_EQ(second_call.answer[1], 6);
    // Nobody waits for the first answer any more: it is a message like others.
    if (when == 0) {
        EXPECT_EQ(next_request(first.a), txid);
    }
    if (when != 2) {
        EXPECT_CLOSE(first.b);
    }
    EXPECT_CLOSE(first.a);
    utest_close_pair(second);
}

CASE_WITHIN(calls_that_are_left, 60) {
    for (uint32_t i = 0; i < 12; i++) {
        leave_a_call(i % 3);
    }
}
