// Registers of threads that stand still; and two programs in small: a debugger that steps its child
// over a breakpoint, and a supervisor that starts a child again whenever it crashes.
#include <utest/exceptions.h>

#include <stdatomic.h>
#include <string.h>

#include <jacinth/startup.h>

GROUP("debugger");

constexpr uint64_t TRAP_FLAG = 1u << 8;
constexpr uint32_t DR6_STEP = 1u << 14;
constexpr uint64_t KERNEL_ADDRESS = 0xffff800000000000;
constexpr size_t PAGE = 4096;

// ---- a thread whose registers are known ----

// Counts rbx up until somebody sets r12; then stores what it has in registers[].
void debugger_loop(void);
static uint64_t registers[20] __attribute__((used));
static _Atomic(uint32_t) loop_runs __attribute__((used));

__asm__(".text\n"
        ".globl debugger_loop\n"
        ".hidden debugger_loop\n"
        "debugger_loop:\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %rbp\n"
        "    xorl %r12d, %r12d\n"
        "    movl $0x1234, %r13d\n"
        "    movl $1, loop_runs(%rip)\n"
        "1:  incq %rbx\n"
        "    testq %r12, %r12\n"
        "    jz 1b\n"
        "    leaq registers(%rip), %rax\n"
        "    movq %rbx, 0(%rax)\n"
        "    movq %r12, 8(%rax)\n"
        "    movq %r13, 16(%rax)\n"
        "    movq %r15, 24(%rax)\n"
        "    movq %rcx, 32(%rax)\n"
        "    movq %r11, 40(%rax)\n"
        "    movq %xmm5, 48(%rax)\n"
        "    stmxcsr 56(%rax)\n"
        "    fnstcw 64(%rax)\n"
        "    movq %fs:0, %rdx\n"
        "    movq %rdx, 72(%rax)\n"
        "    movq %gs:0, %rdx\n"
        "    movq %rdx, 80(%rax)\n"
        "    popq %rbp\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    ret\n");

static void run_loop(void*) {
    debugger_loop();
}

struct stopped {
    struct utest_thread thread;
    zx_handle_t token;
};

static void stop_loop(struct stopped* s) {
    atomic_store(&loop_runs, 0);
    utest_thread_start(&s->thread, run_loop, nullptr);
    while (atomic_load(&loop_runs) == 0) {
        zx_thread_legacy_yield(0);
    }
    EXPECT_OK(zx_task_suspend(s->thread.handle, &s->token));
    EXPECT_OK(
        zx_object_wait_one(s->thread.handle, ZX_THREAD_SUSPENDED, utest_after_ms(10000), nullptr));
}

static void go_on(struct stopped* s) {
    EXPECT_CLOSE(s->token);
    utest_thread_join(&s->thread);
}

// So that it leaves its loop, and finds something where its segment bases point.
static void leave_loop(zx_handle_t thread) {
    zx_thread_state_general_regs_t r = utest_registers(thread);
    r.r12 = 1;
    r.fs_base = r.gs_base = (uint64_t)registers;
    utest_set_registers(thread, &r);
}

static void end_loop(struct stopped* s) {
    leave_loop(s->thread.handle);
    go_on(s);
}

static zx_status_t read_state(zx_handle_t thread, uint32_t kind, void* state, size_t size) {
    return zx_thread_read_state(thread, kind, state, size);
}

static void set_step(zx_handle_t thread, zx_thread_state_single_step_t step) {
    EXPECT_OK(zx_thread_write_state(thread, ZX_THREAD_STATE_SINGLE_STEP, &step, sizeof(step)));
}

// ---- registers ----

CASE(errors) {
    zx_thread_state_general_regs_t r;
    zx_handle_t self = zx_thread_self();
    EXPECT_STATUS(read_state(self, 0, &r, sizeof(r)), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_thread_write_state(self, 0, &r, sizeof(r)), ZX_ERR_BAD_STATE);
    zx_handle_t fresh;
    EXPECT_OK(zx_thread_create(zx_process_self(), "x", 1, 0, &fresh));
    EXPECT_STATUS(read_state(fresh, 0, &r, sizeof(r)), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(fresh);
    struct stopped s;
    stop_loop(&s);
    zx_handle_t t = s.thread.handle;
    EXPECT_STATUS(read_state(t, 3, &r, sizeof(r)), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_thread_write_state(t, 6, &r, sizeof(r)), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(read_state(t, 0, &r, sizeof(r) - 1), ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_STATUS(zx_thread_write_state(t, 0, &r, sizeof(r) - 1), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_thread_write_state(t, 0, &r, sizeof(r) + 1), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_thread_write_state(t, 0, &r, 0), ZX_ERR_INVALID_ARGS);
    zx_handle_t weak = utest_without(t, ZX_RIGHT_READ);
    EXPECT_STATUS(read_state(weak, 0, &r, sizeof(r)), ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_handle_replace(weak, ZX_RIGHT_NONE, &weak));
    EXPECT_STATUS(zx_thread_write_state(weak, 0, &r, sizeof(r)), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(r)) {
        EXPECT_STATUS(read_state(t, 0, p, sizeof(r)), ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_READ, sizeof(r)) {
        EXPECT_STATUS(zx_thread_write_state(t, 0, p, sizeof(r)), ZX_ERR_INVALID_ARGS);
    }
    end_loop(&s);
    EXPECT_STATUS(zx_thread_read_state(zx_process_self(), 0, &r, sizeof(r)), ZX_ERR_WRONG_TYPE);
}

CASE(general_registers) {
    struct stopped s;
    stop_loop(&s);
    zx_thread_state_general_regs_t r = utest_registers(s.thread.handle);
    EXPECT_EQ(r.r13, 0x1234);
    EXPECT_EQ(r.r12, 0);
    uintptr_t loop = (uintptr_t)debugger_loop;
    EXPECT(r.rip > loop && r.rip < loop + 64);
    EXPECT(r.rsp > s.thread.stack && r.rsp < s.thread.stack + 65536);
    // Where the segment bases point is read through them.
    static const uint64_t there[2] = {0x77, 0x88};
    r.rbx = 1000;
    r.r12 = 5;
    r.r13 = 6;
    r.r15 = 7;
    r.rcx = 8;
    r.r11 = 9;
    r.fs_base = (uint64_t)&there[0];
    r.gs_base = (uint64_t)&there[1];
    r.rflags |= 3u << 12 | 1u << 17; // IOPL, VM: not the program's to set
    r.rflags &= ~(uint64_t)0x200;    // nor interrupts to switch off
    utest_set_registers(s.thread.handle, &r);
    zx_thread_state_general_regs_t again = utest_registers(s.thread.handle);
    EXPECT_EQ(again.rflags & (3u << 12 | 1u << 17 | 0x200), 0x200);
    EXPECT_EQ(again.fs_base, r.fs_base);
    go_on(&s);
    EXPECT(registers[0] == 1000 || registers[0] == 1001);
    EXPECT_EQ(registers[1], 5);
    EXPECT_EQ(registers[2], 6);
    EXPECT_EQ(registers[3], 7);
    EXPECT_EQ(registers[4], 8);
    EXPECT_EQ(registers[5], 9);
    EXPECT_EQ(registers[9], 0x77);
    EXPECT_EQ(registers[10], 0x88);
}

// What would stop the kernel's return to user mode, or let user mode at what is not its own.
CASE(addresses_of_the_kernel) {
    struct stopped s;
    stop_loop(&s);
    static const uint64_t bad[] = {0x0000800000000000, 1ul << 63, KERNEL_ADDRESS, UINT64_MAX};
    const zx_thread_state_general_regs_t good = utest_registers(s.thread.handle);
    for (size_t i = 0; i < 4; i++) {
        zx_thread_state_general_regs_t r = good;
        r.rip = bad[i];
        EXPECT_STATUS(zx_thread_write_state(s.thread.handle, 0, &r, sizeof(r)),
                      ZX_ERR_INVALID_ARGS);
        // A base may be what user mode can set by itself: any canonical address.
        zx_status_t base = i < 2 ? ZX_ERR_INVALID_ARGS : ZX_OK;
        r = good;
        r.fs_base = bad[i];
        EXPECT_STATUS(zx_thread_write_state(s.thread.handle, 0, &r, sizeof(r)), base);
        r = good;
        r.gs_base = bad[i];
        EXPECT_STATUS(zx_thread_write_state(s.thread.handle, 0, &r, sizeof(r)), base);
        EXPECT_OK(zx_thread_write_state(s.thread.handle, 0, &good, sizeof(good)));
        for (size_t n = 0; n < 4; n++) {
            zx_thread_state_debug_regs_t d = {};
            d.dr[n] = bad[i];
            EXPECT_STATUS(
                zx_thread_write_state(s.thread.handle, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d)),
                ZX_ERR_INVALID_ARGS);
        }
    }
    // A refused write has changed nothing.
    zx_thread_state_general_regs_t r = utest_registers(s.thread.handle);
    EXPECT_EQ(memcmp(&r, &good, sizeof(r)), 0);
    end_loop(&s);
}

CASE(vector_and_fp_registers) {
    struct stopped s;
    stop_loop(&s);
    static zx_thread_state_vector_regs_t v;
    zx_thread_state_fp_regs_t f;
    EXPECT_OK(read_state(s.thread.handle, ZX_THREAD_STATE_VECTOR_REGS, &v, sizeof(v)));
    EXPECT_EQ(v.mxcsr, 0x1f80);
    v.zmm[5].v[0] = 0xabcdef;
    v.mxcsr = 0x7f80;
    EXPECT_OK(zx_thread_write_state(s.thread.handle, ZX_THREAD_STATE_VECTOR_REGS, &v, sizeof(v)));
    v.mxcsr = 0xffffffff;
    EXPECT_STATUS(
        zx_thread_write_state(s.thread.handle, ZX_THREAD_STATE_VECTOR_REGS, &v, sizeof(v)),
        ZX_ERR_INVALID_ARGS);
    EXPECT_OK(read_state(s.thread.handle, ZX_THREAD_STATE_FP_REGS, &f, sizeof(f)));
    EXPECT_EQ(f.fcw, 0x37f);
    f.fcw = 0xf7f; // rounds towards zero
    f.st[3].low = 1;
    f.st[3].high = UINT64_MAX; // 16 bits of it are there
    EXPECT_OK(zx_thread_write_state(s.thread.handle, ZX_THREAD_STATE_FP_REGS, &f, sizeof(f)));
    EXPECT_OK(read_state(s.thread.handle, ZX_THREAD_STATE_FP_REGS, &f, sizeof(f)));
    EXPECT_EQ(f.st[3].high, 0xffff);
    end_loop(&s);
    EXPECT_EQ(registers[6], 0xabcdef);
    EXPECT_EQ(registers[7] & UINT32_MAX, 0x7f80);
    EXPECT_EQ(registers[8] & UINT16_MAX, 0xf7f);
}

// ---- single steps, breakpoints, watchpoints ----

// Steps of one instruction each, through the loop.
CASE(single_step) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct stopped s;
    stop_loop(&s);
    zx_thread_state_single_step_t step;
    EXPECT_OK(read_state(s.thread.handle, ZX_THREAD_STATE_SINGLE_STEP, &step, sizeof(step)));
    EXPECT_EQ(step, 0);
    step = 2;
    EXPECT_STATUS(
        zx_thread_write_state(s.thread.handle, ZX_THREAD_STATE_SINGLE_STEP, &step, sizeof(step)),
        ZX_ERR_INVALID_ARGS);
    step = 1;
    EXPECT_OK(
        zx_thread_write_state(s.thread.handle, ZX_THREAD_STATE_SINGLE_STEP, &step, sizeof(step)));
    EXPECT_EQ(utest_registers(s.thread.handle).rflags & TRAP_FLAG, TRAP_FLAG);
    EXPECT_CLOSE(s.token);
    uint64_t at = 0;
    for (uint32_t i = 0; i < 12; i++) {
        struct utest_exception e = utest_catch(channel, ZX_EXCP_HW_BREAKPOINT);
        zx_thread_state_debug_regs_t d;
        EXPECT_OK(read_state(s.thread.handle, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d)));
        EXPECT_EQ(d.dr6 & DR6_STEP, DR6_STEP);
        uint64_t rip = utest_registers(s.thread.handle).rip;
        EXPECT(rip != at); // the loop has three instructions
        at = rip;
        if (i == 11) {
            step = 0;
            EXPECT_OK(zx_thread_write_state(s.thread.handle, ZX_THREAD_STATE_SINGLE_STEP, &step,
                                            sizeof(step)));
            leave_loop(s.thread.handle);
        }
        utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    }
    utest_thread_join(&s.thread);
    EXPECT_CLOSE(channel);
}

static _Atomic(uint64_t) watched;

__attribute__((noinline)) static void target(void) {
    atomic_fetch_add(&watched, 1);
}

struct gate {
    zx_handle_t event;
};

static void call_target_twice(void* arg) {
    struct gate* g = arg;
    (void)zx_object_wait_one(g->event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr);
    target();
    target();
}

// A thread that waits before it calls target() twice, with these debug registers.
static void start_with_debug_registers(struct utest_thread* t, struct gate* g,
                                       const zx_thread_state_debug_regs_t* d) {
    g->event = utest_event();
    atomic_store(&watched, 0);
    utest_thread_start(t, call_target_twice, g);
    utest_thread_reach(t->handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    zx_handle_t token;
    EXPECT_OK(zx_task_suspend(t->handle, &token));
    EXPECT_OK(zx_object_wait_one(t->handle, ZX_THREAD_SUSPENDED, utest_after_ms(10000), nullptr));
    EXPECT_OK(zx_thread_write_state(t->handle, ZX_THREAD_STATE_DEBUG_REGS, d, sizeof(*d)));
    EXPECT_CLOSE(token);
    EXPECT_OK(zx_object_signal(g->event, 0, ZX_EVENT_SIGNALED));
}

static zx_thread_state_debug_regs_t debug_registers(zx_handle_t thread) {
    zx_thread_state_debug_regs_t d;
    EXPECT_OK(read_state(thread, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d)));
    return d;
}

// Before the instruction; when the thread goes on it is executed.
CASE(hardware_breakpoint) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct utest_thread t;
    struct gate g;
    zx_thread_state_debug_regs_t d = {.dr = {0, (uint64_t)target}, .dr7 = 1u << 2};
    start_with_debug_registers(&t, &g, &d);
    for (uint32_t i = 0; i < 2; i++) {
        struct utest_exception e = utest_catch(channel, ZX_EXCP_HW_BREAKPOINT);
        EXPECT_EQ(utest_registers(t.handle).rip, (uint64_t)target);
        EXPECT_EQ(debug_registers(t.handle).dr6 & 15, 2);
        EXPECT_EQ(atomic_load(&watched), i);
        target(); // this thread has none
        atomic_fetch_sub(&watched, 1);
        utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    }
    utest_thread_join(&t);
    EXPECT_CLOSE(g.event);
    EXPECT_CLOSE(channel);
}

// After the write.
CASE(watchpoint) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct utest_thread t;
    struct gate g;
    // Eight bytes, writes.
    zx_thread_state_debug_regs_t d = {.dr = {(uint64_t)&watched}, .dr7 = 1 | 9u << 16};
    start_with_debug_registers(&t, &g, &d);
    for (uint32_t i = 1; i <= 2; i++) {
        struct utest_exception e = utest_catch(channel, ZX_EXCP_HW_BREAKPOINT);
        EXPECT_EQ(atomic_load(&watched), i);
        EXPECT_EQ(debug_registers(t.handle).dr6 & 15, 1);
        EXPECT_EQ(debug_registers(t.handle).dr7, 1 | 9u << 16 | 0x400);
        utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    }
    utest_thread_join(&t);
    EXPECT_CLOSE(g.event);
    EXPECT_CLOSE(channel);
}

// The kernel writes to the watched memory on the thread's behalf: nobody is disturbed.
struct kernel_write {
    zx_handle_t gate, event;
    zx_signals_t observed;
    zx_status_t status;
};

static void let_kernel_write(void* arg) {
    struct kernel_write* k = arg;
    (void)zx_object_wait_one(k->gate, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr);
    for (uint32_t i = 0; i < 100; i++) {
        k->status = zx_object_wait_one(k->event, ZX_EVENT_SIGNALED, 0, &k->observed);
    }
}

CASE(watchpoint_and_kernel) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct kernel_write k = {.gate = utest_event(), .event = utest_event()};
    struct utest_thread t;
    utest_thread_start(&t, let_kernel_write, &k);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    zx_handle_t token;
    EXPECT_OK(zx_task_suspend(t.handle, &token));
    EXPECT_OK(zx_object_wait_one(t.handle, ZX_THREAD_SUSPENDED, utest_after_ms(10000), nullptr));
    zx_thread_state_debug_regs_t d = {.dr = {0, 0, 0, (uint64_t)&k.observed},
                                      .dr7 = 1u << 6 | 0xfu << 28};
    EXPECT_OK(zx_thread_write_state(t.handle, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d)));
    EXPECT_CLOSE(token);
    EXPECT_OK(zx_object_signal(k.gate, 0, ZX_EVENT_SIGNALED));
    EXPECT_OK(zx_object_wait_one(t.handle, ZX_THREAD_TERMINATED, utest_after_ms(10000), nullptr));
    EXPECT_STATUS(k.status, ZX_ERR_TIMED_OUT);
    EXPECT_EQ(utest_signals(channel, ZX_CHANNEL_READABLE), 0);
    utest_thread_join(&t);
    EXPECT_CLOSE(k.gate);
    EXPECT_CLOSE(k.event);
    EXPECT_CLOSE(channel);
}

// Undefined kinds are refused; what is not for user mode to set is left out.
CASE(kinds_of_breakpoints) {
    struct stopped s;
    stop_loop(&s);
    static const uint64_t undefined[] = {1 | 2u << 16, 1 | 4u << 16, 1u << 6 | 2u << 28};
    zx_thread_state_debug_regs_t d = {};
    for (size_t i = 0; i < 3; i++) {
        d.dr7 = undefined[i];
        EXPECT_STATUS(
            zx_thread_write_state(s.thread.handle, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d)),
            ZX_ERR_INVALID_ARGS);
    }
    d.dr7 = 1u << 13 | 1ul << 40; // general detect, and a bit that is not there
    d.dr6 = UINT64_MAX;
    EXPECT_OK(zx_thread_write_state(s.thread.handle, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d)));
    EXPECT_EQ(debug_registers(s.thread.handle).dr7, 0x400);
    EXPECT_EQ(debug_registers(s.thread.handle).dr6, 0xffff0ff0 | 0xc00f);
    end_loop(&s);
}

// A system call that is stepped over: the trap comes at its end, in user mode.
static void step_over_a_call(void* arg) {
    struct gate* g = arg;
    (void)zx_object_wait_one(g->event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr);
}

CASE(step_out_of_a_call) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct gate g = {.event = utest_event()};
    struct utest_thread t;
    utest_thread_start(&t, step_over_a_call, &g);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    zx_handle_t token;
    EXPECT_OK(zx_task_suspend(t.handle, &token));
    EXPECT_OK(zx_object_wait_one(t.handle, ZX_THREAD_SUSPENDED, utest_after_ms(10000), nullptr));
    zx_thread_state_single_step_t step = 1;
    EXPECT_OK(zx_thread_write_state(t.handle, ZX_THREAD_STATE_SINGLE_STEP, &step, sizeof(step)));
    EXPECT_OK(zx_object_signal(g.event, 0, ZX_EVENT_SIGNALED));
    EXPECT_CLOSE(token);
    for (uint32_t i = 0; i < 12; i++) {
        struct utest_exception e = utest_catch(channel, ZX_EXCP_HW_BREAKPOINT);
        step = i < 11;
        EXPECT_OK(
            zx_thread_write_state(t.handle, ZX_THREAD_STATE_SINGLE_STEP, &step, sizeof(step)));
        utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    }
    utest_thread_join(&t);
    EXPECT_CLOSE(g.event);
    EXPECT_CLOSE(channel);
}

// ---- registers of those that come and go ----

CHILD(spin_in_three_threads) {
    struct utest_thread threads[2];
    for (size_t i = 0; i < 2; i++) {
        utest_thread_start(&threads[i], run_loop, nullptr);
    }
    debugger_loop();
    return 1;
}

// Whatever the threads are doing: either the call is refused, or what it gives is a thread's.
static uint32_t look_at(zx_handle_t thread) {
    zx_thread_state_general_regs_t r;
    zx_handle_t token;
    uint32_t seen = 0;
    if (zx_task_suspend(thread, &token) != ZX_OK) {
        return 0;
    }
    for (uint32_t tries = 0; tries < 50; tries++) {
        zx_status_t status = read_state(thread, ZX_THREAD_STATE_GENERAL_REGS, &r, sizeof(r));
        EXPECT(status == ZX_OK || status == ZX_ERR_BAD_STATE);
        if (status == ZX_OK) {
            status = zx_thread_write_state(thread, ZX_THREAD_STATE_GENERAL_REGS, &r, sizeof(r));
            EXPECT(status == ZX_OK || status == ZX_ERR_BAD_STATE);
            zx_thread_state_debug_regs_t d = {.dr = {r.rsp}, .dr7 = 1 | 0xdu << 16};
            (void)zx_thread_write_state(thread, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d));
            d.dr7 = 0;
            (void)zx_thread_write_state(thread, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d));
            seen++;
        }
    }
    EXPECT_CLOSE(token);
    return seen;
}

struct looker {
    zx_handle_t process;
    _Atomic(uint32_t) seen;
};

static void look_around(void* arg) {
    struct looker* l = arg;
    zx_koid_t koids[8];
    size_t count;
    zx_info_process_t info;
    do {
        EXPECT_OK(zx_object_get_info(l->process, ZX_INFO_PROCESS_THREADS, koids, sizeof(koids),
                                     &count, nullptr));
        for (size_t i = 0; i < count; i++) {
            zx_handle_t thread;
            if (zx_object_get_child(l->process, koids[i], ZX_RIGHT_SAME_RIGHTS, &thread) == ZX_OK) {
                atomic_fetch_add(&l->seen, look_at(thread));
                EXPECT_CLOSE(thread);
            }
        }
        EXPECT_OK(
            zx_object_get_info(l->process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr));
    } while ((info.flags & ZX_INFO_PROCESS_FLAG_EXITED) == 0);
}

// Two debuggers look at the same threads, until the process is killed under their hands.
CASE_WITHIN(storm_of_looks, 120) {
    uint32_t seen = 0;
    for (uint32_t round = 0; round < 5; round++) {
        struct utest_child c;
        utest_child_start(&c, "spin_in_three_threads", ZX_HANDLE_INVALID);
        struct looker l = {.process = c.process};
        struct utest_thread lookers[2];
        for (size_t i = 0; i < 2; i++) {
            utest_thread_start(&lookers[i], look_around, &l);
        }
        utest_sleep_ms(60);
        EXPECT_OK(zx_task_kill(c.process));
        for (size_t i = 0; i < 2; i++) {
            utest_thread_join(&lookers[i]);
        }
        seen += atomic_load(&l.seen);
        EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
    }
    EXPECT(seen > 0);
}

// Step after step through calls that return by the short way: each ends behind its SYSCALL.
static void yield_until_told(void* arg) {
    _Atomic(bool)* stop = arg;
    while (!atomic_load(stop)) {
        zx_thread_legacy_yield(0);
    }
}

static bool is_syscall(zx_vaddr_t at) {
    const uint8_t* code = (const uint8_t*)at;
    return code[0] == 0x0f && code[1] == 0x05;
}

CASE_WITHIN(steps_through_system_calls, 60) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    _Atomic(bool) stop = false;
    struct stopped s;
    utest_thread_start(&s.thread, yield_until_told, &stop);
    EXPECT_OK(zx_task_suspend(s.thread.handle, &s.token));
    EXPECT_OK(
        zx_object_wait_one(s.thread.handle, ZX_THREAD_SUSPENDED, utest_after_ms(10000), nullptr));
    set_step(s.thread.handle, 1);
    EXPECT_CLOSE(s.token);
    uint32_t calls = 0;
    zx_vaddr_t before = 0;
    for (uint32_t i = 0; i < 400; i++) {
        struct utest_exception e = utest_catch(channel, ZX_EXCP_HW_BREAKPOINT);
        zx_vaddr_t at = utest_registers(s.thread.handle).rip;
        if (before != 0 && is_syscall(before)) {
            // Emulators and CPUs may take the trap one instruction later.
            EXPECT(at >= before + 2 && at <= before + 16);
            calls++;
        }
        before = at;
        set_step(s.thread.handle, i < 399);
        utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    }
    EXPECT(calls > 3);
    atomic_store(&stop, true);
    utest_thread_join(&s.thread);
    EXPECT_CLOSE(channel);
}

// A load of the stack segment puts a debug exception off by one instruction: if that is SYSCALL, it
// arrives in the kernel, at its first instruction.
void debugger_deferred(void);
static uint64_t stack_selector __attribute__((used));
static _Atomic(uint32_t) deferred_runs __attribute__((used));

__asm__(".text\n"
        ".globl debugger_deferred\n"
        ".hidden debugger_deferred\n"
        "debugger_deferred:\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %rbp\n"
        "    movl $60000, %eax\n" // no such call
        "    movw stack_selector(%rip), %ss\n"
        "    syscall\n"
        "    pushfq\n"
        "    orq $0x100, (%rsp)\n" // the trap flag, by itself
        "    movl $60000, %eax\n"
        "    popfq\n"
        "    movw stack_selector(%rip), %ss\n"
        "    syscall\n"
        "    pushfq\n"
        "    andq $~0x100, (%rsp)\n"
        "    popfq\n"
        "    movl $60000, %eax\n"
        "    movw stack_selector(%rip), %ss\n"
        "    int3\n"
        "    popq %rbp\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    incl deferred_runs(%rip)\n"
        "    ret\n");

static void run_deferred(void* arg) {
    struct gate* g = arg;
    (void)zx_object_wait_one(g->event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, nullptr);
    debugger_deferred();
}

CASE_WITHIN(traps_that_arrive_in_the_kernel, 60) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct gate g = {.event = utest_event()};
    struct utest_thread t;
    __asm__ volatile("movq %%ss, %0" : "=r"(stack_selector));
    atomic_store(&deferred_runs, 0);
    utest_thread_start(&t, run_deferred, &g);
    utest_thread_reach(t.handle, ZX_THREAD_STATE_BLOCKED_WAIT_ONE);
    zx_handle_t token;
    EXPECT_OK(zx_task_suspend(t.handle, &token));
    EXPECT_OK(zx_object_wait_one(t.handle, ZX_THREAD_SUSPENDED, utest_after_ms(10000), nullptr));
    // Reads and writes of two bytes.
    zx_thread_state_debug_regs_t d = {.dr = {(uint64_t)&stack_selector}, .dr7 = 1 | 7u << 16};
    EXPECT_OK(zx_thread_write_state(t.handle, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d)));
    EXPECT_CLOSE(token);
    EXPECT_OK(zx_object_signal(g.event, 0, ZX_EVENT_SIGNALED));
    // What is reported, and how often, is the CPU's affair.
    uint32_t seen = 0;
    while (utest_signals(t.handle, ZX_THREAD_TERMINATED) == 0) {
        zx_exception_info_t info;
        zx_handle_t exception;
        uint32_t bytes;
        uint32_t handles;
        (void)zx_object_wait_one(channel, ZX_CHANNEL_READABLE, utest_after_ms(5), nullptr);
        if (zx_channel_read(channel, 0, &info, &exception, sizeof(info), 1, &bytes, &handles) ==
            ZX_OK) {
            struct utest_exception e = {.handle = exception, .info = info};
            utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
            seen++;
        }
    }
    utest_thread_join(&t);
    EXPECT(seen >= 3);
    EXPECT_EQ(atomic_load(&deferred_runs), 1);
    EXPECT_CLOSE(g.event);
    EXPECT_CLOSE(channel);
}

// ---- properties that go with debugging ----

CASE(thread_pointers) {
    uint64_t fs;
    uint64_t direct;
    EXPECT_OK(zx_object_get_property(zx_thread_self(), ZX_PROP_REGISTER_FS, &fs, sizeof(fs)));
    __asm__ volatile("movq %%fs:0, %0" : "=r"(direct));
    EXPECT_EQ(fs, direct); // the thread block begins with its own address
    zx_handle_t other;
    EXPECT_OK(zx_thread_create(zx_process_self(), "x", 1, 0, &other));
    EXPECT_STATUS(zx_object_get_property(other, ZX_PROP_REGISTER_FS, &fs, sizeof(fs)),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(other);
}

CASE_WITHIN(addresses_for_debuggers, 60) {
    struct utest_prepared p;
    utest_child_prepare(&p, "debuggee", ZX_HANDLE_INVALID);
    uintptr_t value = 1;
    EXPECT_OK(zx_object_get_property(p.process, ZX_PROP_PROCESS_DEBUG_ADDR, &value, sizeof(value)));
    EXPECT_EQ(value, 0);
    value = ZX_PROCESS_DEBUG_ADDR_BREAK_ON_SET;
    EXPECT_OK(zx_object_set_property(p.process, ZX_PROP_PROCESS_DEBUG_ADDR, &value, sizeof(value)));
    value = 0x1000;
    EXPECT_OK(
        zx_object_set_property(p.process, ZX_PROP_PROCESS_BREAK_ON_LOAD, &value, sizeof(value)));
    value = 0;
    EXPECT_OK(
        zx_object_get_property(p.process, ZX_PROP_PROCESS_BREAK_ON_LOAD, &value, sizeof(value)));
    EXPECT_EQ(value, 0x1000);
    EXPECT_OK(zx_object_get_property(p.process, ZX_PROP_PROCESS_DEBUG_ADDR, &value, sizeof(value)));
    EXPECT_EQ(value, ZX_PROCESS_DEBUG_ADDR_BREAK_ON_SET);
    utest_prepared_close(&p);
}

// ---- a debugger in small ----

// Three times `inc rax`, in memory of the program's own.
static const uint8_t THREE_INCREMENTS[] = {0x31, 0xc0, 0x48, 0xff, 0xc0, 0x48,
                                           0xff, 0xc0, 0x48, 0xff, 0xc0, 0xc3};
constexpr uint64_t SECOND = 5;
constexpr uint64_t THIRD = 8;

// Says where its code is, waits for a word, runs it, and ends with what it has counted.
CHILD(debuggee) {
    zx_handle_t plain;
    zx_handle_t vmo;
    zx_vaddr_t at;
    if (zx_vmo_create(PAGE, 0, &plain) != ZX_OK ||
        zx_vmo_write(plain, THREE_INCREMENTS, PAGE / 2, sizeof(THREE_INCREMENTS)) != ZX_OK ||
        zx_vmo_replace_as_executable(plain, ZX_HANDLE_INVALID, &vmo) != ZX_OK ||
        zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE, 0, vmo, 0, PAGE,
                    &at) != ZX_OK) {
        return -1;
    }
    at += PAGE / 2; // checked builds look at what is before a function
    if (zx_channel_write(channel, 0, &at, sizeof(at), nullptr, 0) != ZX_OK ||
        zx_object_wait_one(channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr) != ZX_OK) {
        return -2;
    }
    return ((int64_t (*)(void))at)();
}

static void poke(zx_handle_t process, uint64_t at, uint8_t byte) {
    size_t actual;
    EXPECT_OK(zx_process_write_memory(process, at, &byte, 1, &actual));
    EXPECT_EQ(actual, 1);
}

static uint8_t peek(zx_handle_t process, uint64_t at) {
    uint8_t byte;
    size_t actual;
    EXPECT_OK(zx_process_read_memory(process, at, &byte, 1, &actual));
    return byte;
}

CASE_WITHIN(steps_over_a_breakpoint, 60) {
    // Attach before the child runs.
    struct utest_prepared p;
    utest_child_prepare(&p, "debuggee", ZX_HANDLE_INVALID);
    zx_handle_t channel = utest_listen(p.process, ZX_EXCEPTION_CHANNEL_DEBUGGER);
    zx_handle_t bootstrap = p.bootstrap;
    p.bootstrap = ZX_HANDLE_INVALID;
    EXPECT_OK(zx_process_start(p.process, p.thread, p.entry, p.stack, bootstrap, p.vdso_base));
    struct utest_exception e = utest_catch(channel, ZX_EXCP_THREAD_STARTING);
    EXPECT_CLOSE(e.handle);
    uint64_t code;
    uint32_t bytes;
    EXPECT_OK(zx_object_wait_one(p.channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    EXPECT_OK(zx_channel_read(p.channel, 0, &code, nullptr, sizeof(code), 0, &bytes, nullptr));

    // Plant a breakpoint in its code, which it can only read, and let it run there.
    uint8_t original = peek(p.process, code + SECOND);
    EXPECT_EQ(original, THREE_INCREMENTS[SECOND]);
    poke(p.process, code + SECOND, 0xcc);
    EXPECT_OK(zx_channel_write(p.channel, 0, "x", 1, nullptr, 0));
    e = utest_catch(channel, ZX_EXCP_SW_BREAKPOINT);
    zx_handle_t thread;
    EXPECT_OK(zx_object_get_child(p.process, e.info.tid, ZX_RIGHT_SAME_RIGHTS, &thread));
    zx_thread_state_general_regs_t r = utest_registers(thread);
    EXPECT_EQ(r.rip, code + SECOND + 1);
    EXPECT_EQ(r.rax, 1);

    // Step over what was there, and put the breakpoint back.
    poke(p.process, code + SECOND, original);
    r.rip--;
    utest_set_registers(thread, &r);
    set_step(thread, 1);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    e = utest_catch(channel, ZX_EXCP_HW_BREAKPOINT);
    r = utest_registers(thread);
    EXPECT_EQ(r.rip, code + THIRD);
    EXPECT_EQ(r.rax, 2);
    poke(p.process, code + SECOND, 0xcc);
    set_step(thread, 0);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);

    // It ends with the sum as if nobody had been there.
    struct utest_child c = {.process = p.process, .channel = p.channel};
    p.process = p.channel = ZX_HANDLE_INVALID;
    EXPECT_EQ(utest_child_join(&c), 3);
    EXPECT_CLOSE(thread);
    EXPECT_CLOSE(channel);
    utest_prepared_close(&p);
}

// ---- a supervisor in small ----

// Crashes as often as it is told to.
CHILD(unreliable) {
    uint32_t crashes_left;
    uint32_t bytes;
    if (zx_object_wait_one(channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr) != ZX_OK ||
        zx_channel_read(channel, 0, &crashes_left, nullptr, sizeof(crashes_left), 0, &bytes,
                        nullptr) != ZX_OK) {
        return -1;
    }
    if (crashes_left != 0) {
        *(volatile uint32_t*)16 = 1;
    }
    return 21;
}

static void start_again(struct utest_child* c, zx_handle_t job, uint32_t crashes_left) {
    utest_child_start(c, "unreliable", job);
    EXPECT_OK(zx_channel_write(c->channel, 0, &crashes_left, sizeof(crashes_left), nullptr, 0));
}

// The job's channel says which process crashed and why. The supervisor ends it itself, so that
// there is no report on the console, and starts the next.
CASE_WITHIN(restarts_what_crashes, 100) {
    zx_handle_t job;
    EXPECT_OK(zx_job_create(zx_job_default(), 0, &job));
    zx_handle_t channel = utest_listen(job, 0);
    uint32_t crashes = 3;
    struct utest_child c;
    start_again(&c, job, crashes);
    while (crashes > 0) {
        struct utest_exception e = utest_catch(channel, ZX_EXCP_FATAL_PAGE_FAULT);
        EXPECT_EQ(e.info.pid, utest_koid(c.process));
        zx_handle_t thread = utest_thread_of(&e);
        zx_exception_report_t report;
        EXPECT_OK(zx_object_get_info(thread, ZX_INFO_THREAD_EXCEPTION_REPORT, &report,
                                     sizeof(report), nullptr, nullptr));
        EXPECT_EQ(report.context.arch.u.x86_64.cr2, 16);
        EXPECT_CLOSE(thread);
        zx_handle_t process;
        EXPECT_OK(zx_exception_get_process(e.handle, &process));
        EXPECT_OK(zx_task_kill(process)); // without a report
        EXPECT_CLOSE(process);
        EXPECT_CLOSE(e.handle);
        EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
        start_again(&c, job, --crashes);
    }
    EXPECT_EQ(utest_child_join(&c), 21);
    EXPECT_CLOSE(channel);
    EXPECT_OK(zx_task_kill(job));
    EXPECT_CLOSE(job);
}
