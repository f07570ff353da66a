// Threads: creation, start, end, what they begin with, and what they leave.
#include <utest/utest.h>

#include <string.h>

#include <jacinth/startup.h>

GROUP("thread");

constexpr size_t STACK = 16384;
alignas(16) static char stack[STACK];

static zx_handle_t make(void) {
    zx_handle_t thread;
    EXPECT_OK(zx_thread_create(zx_process_self(), "probe", 5, 0, &thread));
    return thread;
}

static uintptr_t stack_top(void) {
    return (uintptr_t)stack + STACK - 8; // as after a call
}

static zx_info_thread_t info_of(zx_handle_t thread) {
    zx_info_thread_t info;
    EXPECT_OK(zx_object_get_info(thread, ZX_INFO_THREAD, &info, sizeof(info), nullptr, nullptr));
    return info;
}

static void join(zx_handle_t thread) {
    EXPECT_OK(zx_object_wait_one(thread, ZX_THREAD_TERMINATED, utest_after_ms(5000), nullptr));
    EXPECT_CLOSE(thread);
}

static void exit_at_once(uintptr_t, uintptr_t) {
    zx_thread_exit();
}

CASE(create) {
    zx_handle_t thread = make();
    zx_info_handle_basic_t info = utest_basic(thread);
    EXPECT_EQ(info.type, ZX_OBJ_TYPE_THREAD);
    EXPECT_EQ(info.rights, ZX_DEFAULT_THREAD_RIGHTS);
    EXPECT_EQ(info.related_koid, utest_koid(zx_process_self()));
    EXPECT_EQ(info_of(thread).state, ZX_THREAD_STATE_NEW);
    EXPECT_EQ(utest_signals(thread, ZX_THREAD_RUNNING | ZX_THREAD_TERMINATED), 0);
    char name[ZX_MAX_NAME_LEN];
    EXPECT_OK(zx_object_get_property(thread, ZX_PROP_NAME, name, sizeof(name)));
    EXPECT_EQ(strcmp(name, "probe"), 0);
    EXPECT_CLOSE(thread); // one that never ran
}

CASE(create_errors) {
    zx_handle_t out;
    zx_handle_t self = zx_process_self();
    EXPECT_STATUS(zx_thread_create(self, "x", 1, 1, &out), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_thread_create(ZX_HANDLE_INVALID, "x", 1, 0, &out), ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_thread_create(event, "x", 1, 0, &out), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    zx_handle_t weak = utest_without(self, ZX_RIGHT_MANAGE_THREAD);
    EXPECT_STATUS(zx_thread_create(weak, "x", 1, 0, &out), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    FOR_BAD_POINTERS(p, UTEST_READ, 8) {
        EXPECT_STATUS(zx_thread_create(self, p, 8, 0, &out), ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(out)) {
        EXPECT_STATUS(zx_thread_create(self, "x", 1, 0, p), ZX_ERR_INVALID_ARGS);
    }
}

CASE(long_name) {
    zx_handle_t out;
    char name[ZX_MAX_NAME_LEN];
    EXPECT_OK(zx_thread_create(zx_process_self(), "0123456789012345678901234567890123456789", 40, 0,
                               &out));
    EXPECT_OK(zx_object_get_property(out, ZX_PROP_NAME, name, sizeof(name)));
    EXPECT_EQ(strcmp(name, "0123456789012345678901234567890"), 0);
    EXPECT_CLOSE(out);
    EXPECT_OK(zx_thread_create(zx_process_self(), nullptr, 0, 0, &out));
    EXPECT_OK(zx_object_get_property(out, ZX_PROP_NAME, name, sizeof(name)));
    EXPECT_EQ(name[0], 0);
    EXPECT_CLOSE(out);
}

CASE(run_and_end) {
    zx_handle_t thread = make();
    EXPECT_OK(zx_thread_start(thread, (uintptr_t)exit_at_once, stack_top(), 0, 0));
    EXPECT_OK(zx_object_wait_one(thread, ZX_THREAD_TERMINATED, utest_after_ms(5000), nullptr));
    EXPECT_EQ(utest_signals(thread, ZX_THREAD_RUNNING | ZX_THREAD_TERMINATED),
              ZX_THREAD_TERMINATED);
    EXPECT_EQ(info_of(thread).state, ZX_THREAD_STATE_DEAD);
    EXPECT_STATUS(zx_thread_start(thread, (uintptr_t)exit_at_once, stack_top(), 0, 0),
                  ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(thread);
}

// What a thread's registers are at its first instruction.
struct registers {
    uint64_t value[17]; // rax rbx rcx rdx rsi rdi rbp rsp r8..r15 rflags
};
void thread_record_entry(void);
static struct registers recorded __attribute__((used)) = {};

__asm__(".text\n"
        ".globl thread_record_entry\n"
        ".hidden thread_record_entry\n"
        "thread_record_entry:\n"
        "    pushq %rax\n" // the stack pointer must be usable
        "    leaq recorded(%rip), %rax\n"
        "    movq %rbx, 8(%rax)\n"
        "    movq %rcx, 16(%rax)\n"
        "    movq %rdx, 24(%rax)\n"
        "    movq %rsi, 32(%rax)\n"
        "    movq %rdi, 40(%rax)\n"
        "    movq %rbp, 48(%rax)\n"
        "    leaq 8(%rsp), %rbx\n"
        "    movq %rbx, 56(%rax)\n"
        "    movq %r8, 64(%rax)\n"
        "    movq %r9, 72(%rax)\n"
        "    movq %r10, 80(%rax)\n"
        "    movq %r11, 88(%rax)\n"
        "    movq %r12, 96(%rax)\n"
        "    movq %r13, 104(%rax)\n"
        "    movq %r14, 112(%rax)\n"
        "    movq %r15, 120(%rax)\n"
        "    pushfq\n"
        "    popq %rbx\n"
        "    movq %rbx, 128(%rax)\n"
        "    popq %rbx\n"
        "    movq %rbx, 0(%rax)\n"
        "    pushq $0\n"
        "    call zx_thread_exit@PLT\n"
        "    ud2\n");

CASE(entry_state) {
    zx_handle_t thread = make();
    EXPECT_OK(zx_thread_start(thread, (uintptr_t)thread_record_entry, stack_top(), 0x1234, 0x5678));
    join(thread);
    for (uint32_t i = 0; i < 16; i++) {
        uint64_t want = i == 5 ? 0x1234 : i == 4 ? 0x5678 : i == 7 ? stack_top() : 0;
        EXPECT_EQ(recorded.value[i], want);
    }
    // CF PF AF ZF SF TF DF OF IOPL NT AC
    EXPECT_EQ(recorded.value[16] & 0x47dd5, 0);
}

CASE(start_errors) {
    zx_handle_t thread = make();
    static const uintptr_t bad[] = {
        0, 0x1000, 0x0000800000000000, 0x8000000000000000, 0xffff800000000000, UINTPTR_MAX};
    for (uint32_t i = 0; i < 6; i++) {
        EXPECT_STATUS(zx_thread_start(thread, bad[i], stack_top(), 0, 0), ZX_ERR_INVALID_ARGS);
    }
    zx_handle_t weak = utest_without(thread, ZX_RIGHT_MANAGE_THREAD);
    EXPECT_STATUS(zx_thread_start(weak, (uintptr_t)exit_at_once, stack_top(), 0, 0),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_STATUS(zx_thread_start(ZX_HANDLE_INVALID, (uintptr_t)exit_at_once, 0, 0, 0),
                  ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_thread_start(event, (uintptr_t)exit_at_once, 0, 0, 0), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    // None of that has used it up.
    EXPECT_OK(zx_thread_start(thread, (uintptr_t)exit_at_once, stack_top(), 0, 0));
    join(thread);
}

static atomic_uint_least64_t seen_fs;
static atomic_uint_least64_t seen_gs;

static void read_bases(uintptr_t, uintptr_t) {
    uint64_t fs;
    uint64_t gs;
    __asm__ volatile("movq %%fs:0, %0" : "=r"(fs));
    __asm__ volatile("movq %%gs:8, %0" : "=r"(gs));
    atomic_store(&seen_fs, fs);
    atomic_store(&seen_gs, gs);
    zx_thread_exit();
}

CASE(start_regs) {
    static const uint64_t block[] = {0x1122334455667788, 0x99aabbccddeeff00};
    constexpr uint64_t BAD = 0x8000000000000000;
    zx_handle_t thread = make();
    uintptr_t entry = (uintptr_t)read_bases;
    uintptr_t base = (uintptr_t)block;
    EXPECT_STATUS(zx_thread_start_regs(thread, entry, stack_top(), 0, 0, BAD, 0),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_thread_start_regs(thread, entry, stack_top(), 0, 0, base, BAD),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_thread_start_regs(thread, entry, stack_top(), 0, 0, base, base));
    join(thread);
    EXPECT_EQ(atomic_load(&seen_fs), block[0]);
    EXPECT_EQ(atomic_load(&seen_gs), block[1]);
}

// A thread keeps running without handles to it.
static atomic_bool may_end;
static atomic_bool has_ended;

static void wait_to_end(uintptr_t, uintptr_t) {
    while (!atomic_load(&may_end)) {
        zx_nanosleep(zx_deadline_after(1000000));
    }
    atomic_store(&has_ended, true);
    zx_thread_exit();
}

CASE(runs_without_handles) {
    zx_handle_t thread = make();
    zx_koid_t koid = utest_koid(thread);
    EXPECT_OK(zx_thread_start(thread, (uintptr_t)wait_to_end, stack_top(), 0, 0));
    EXPECT_CLOSE(thread);
    utest_sleep_ms(5);
    // It is found by its koid.
    EXPECT_OK(
        zx_object_get_child(zx_process_self(), koid, ZX_RIGHT_WAIT | ZX_RIGHT_INSPECT, &thread));
    EXPECT_EQ(utest_koid(thread), koid);
    atomic_store(&may_end, true);
    join(thread);
    EXPECT(atomic_load(&has_ended));
    EXPECT_STATUS(zx_object_get_child(zx_process_self(), koid, ZX_RIGHT_WAIT, &thread),
                  ZX_ERR_NOT_FOUND);
}

CASE(not_killable) {
    zx_handle_t thread = make();
    EXPECT_STATUS(zx_task_kill(thread), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(thread);
}

CASE(runtime) {
    zx_info_thread_stats_t stats;
    zx_info_task_runtime_t runtime;
    zx_handle_t self = zx_thread_self();
    EXPECT_OK(
        zx_object_get_info(self, ZX_INFO_THREAD_STATS, &stats, sizeof(stats), nullptr, nullptr));
    EXPECT(stats.total_runtime > 0);
    EXPECT(stats.last_scheduled_cpu < zx_system_get_num_cpus());
    for (volatile uint32_t i = 0; i < 1000000; i++) {
    }
    EXPECT_OK(zx_object_get_info(self, ZX_INFO_TASK_RUNTIME, &runtime, sizeof(runtime), nullptr,
                                 nullptr));
    EXPECT(runtime.cpu_time > stats.total_runtime);
}

// ---- profiles ----

static zx_handle_t profile(uint32_t flags, int32_t priority, uint64_t cpus) {
    zx_handle_t system = utest_startup_peek(PA_HND(PA_SYSTEM_RESOURCE, 0));
    if (system == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    zx_handle_t maker;
    zx_handle_t out;
    EXPECT_OK(zx_resource_create(system, ZX_RSRC_KIND_SYSTEM, ZX_RSRC_SYSTEM_PROFILE_BASE, 1, "", 0,
                                 &maker));
    zx_profile_info_t info = {
        .flags = flags, .priority = priority, .cpu_affinity_mask.mask[0] = cpus};
    EXPECT_OK(zx_profile_create(maker, 0, &info, &out));
    EXPECT_CLOSE(maker);
    return out;
}

static _Atomic(bool) stop;

static void until_told(void*) {
    while (!stop) {
        zx_thread_legacy_yield(0);
    }
}

static uint64_t cpus_of(zx_handle_t thread) {
    zx_info_thread_t info;
    EXPECT_OK(zx_object_get_info(thread, ZX_INFO_THREAD, &info, sizeof(info), nullptr, nullptr));
    return info.cpu_affinity_mask.mask[0];
}

// Of a thread that runs: it moves to the CPU it is told to.
CASE(profile_of_a_running_thread) {
    uint32_t last = zx_system_get_num_cpus() - 1;
    zx_handle_t pinned = profile(ZX_PROFILE_INFO_FLAG_CPU_MASK, 0, 1ul << last);
    zx_handle_t both = profile(ZX_PROFILE_INFO_FLAG_CPU_MASK | ZX_PROFILE_INFO_FLAG_PRIORITY,
                               ZX_PRIORITY_LOW, UINT64_MAX);
    zx_handle_t nowhere = profile(ZX_PROFILE_INFO_FLAG_CPU_MASK, 0, 1ul << 63);
    stop = false;
    struct utest_thread t;
    utest_thread_start(&t, until_told, nullptr);
    EXPECT_OK(zx_object_set_profile(t.handle, pinned, 0));
    EXPECT_EQ(cpus_of(t.handle), 1ul << last);
    zx_info_thread_stats_t stats = {};
    for (uint32_t i = 0; i < 1000 && (i == 0 || stats.last_scheduled_cpu != last); i++) {
        utest_sleep_ms(1);
        EXPECT_OK(zx_object_get_info(t.handle, ZX_INFO_THREAD_STATS, &stats, sizeof(stats), nullptr,
                                     nullptr));
    }
    EXPECT_EQ(stats.last_scheduled_cpu, last);
    EXPECT_STATUS(zx_object_set_profile(t.handle, nowhere, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_object_set_profile(t.handle, pinned, 1), ZX_ERR_INVALID_ARGS);
    EXPECT_EQ(cpus_of(t.handle), 1ul << last);
    EXPECT_OK(zx_object_set_profile(t.handle, both, 0));
    EXPECT_EQ(cpus_of(t.handle) & 1, 1);
    zx_handle_t weak = utest_without(pinned, ZX_RIGHT_APPLY_PROFILE);
    EXPECT_STATUS(zx_object_set_profile(t.handle, weak, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    weak = utest_without(t.handle, ZX_RIGHT_MANAGE_THREAD);
    EXPECT_STATUS(zx_object_set_profile(weak, pinned, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_STATUS(zx_object_set_profile(pinned, pinned, 0), ZX_ERR_WRONG_TYPE);
    stop = true;
    EXPECT_OK(zx_object_wait_one(t.handle, ZX_THREAD_TERMINATED, utest_after_ms(10000), nullptr));
    EXPECT_STATUS(zx_object_set_profile(t.handle, both, 0), ZX_ERR_BAD_STATE);
    utest_thread_join(&t);
    EXPECT_CLOSE(pinned);
    EXPECT_CLOSE(both);
    EXPECT_CLOSE(nowhere);
}

CASE(dead_process) {
    struct utest_prepared p;
    utest_child_prepare(&p, "nothing", ZX_HANDLE_INVALID);
    EXPECT_OK(zx_task_kill(p.process));
    EXPECT_OK(zx_object_wait_one(p.process, ZX_PROCESS_TERMINATED, utest_after_ms(5000), nullptr));
    zx_handle_t thread;
    EXPECT_STATUS(zx_thread_create(p.process, "x", 1, 0, &thread), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_thread_start(p.thread, p.entry, p.stack, 0, 0), ZX_ERR_BAD_STATE);
    utest_prepared_close(&p);
}

// Only process_start starts a process's first thread.
CASE(unstarted_process) {
    struct utest_prepared p;
    utest_child_prepare(&p, "nothing", ZX_HANDLE_INVALID);
    EXPECT_STATUS(zx_thread_start(p.thread, p.entry, p.stack, 0, 0), ZX_ERR_BAD_STATE);
    utest_prepared_close(&p);
}

CHILD(nothing) {
    return 0;
}

static void yield_often(void*) {
    for (uint32_t i = 0; i < 200; i++) {
        zx_thread_legacy_yield(0);
    }
}

CASE_WITHIN(many_at_once, 60) {
    struct utest_thread t[40];
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 40; i++) {
            utest_thread_start(&t[i], yield_often, nullptr);
        }
        for (uint32_t i = 0; i < 40; i++) {
            utest_thread_join(&t[i]);
        }
    }
}

// In assembly: from the unmapping on there is no stack.
void thread_unmap_exit(void);

// The end that unmaps its own stack and closes a handle.
CASE(unmap_close_exit) {
    zx_handle_t vmo = utest_vmo(STACK);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, STACK,
                          &at));
    EXPECT_CLOSE(vmo);
    struct utest_pair pair = utest_eventpair();
    zx_handle_t thread = make();
    static struct {
        zx_handle_t root, close;
        uintptr_t at;
    } work;
    work.root = zx_vmar_root_self();
    work.close = pair.b;
    work.at = at;
    EXPECT_OK(
        zx_thread_start(thread, (uintptr_t)thread_unmap_exit, at + STACK - 8, (uintptr_t)&work, 0));
    join(thread);
    EXPECT_EQ(utest_signals(pair.a, ZX_EVENTPAIR_PEER_CLOSED), ZX_EVENTPAIR_PEER_CLOSED);
    EXPECT_CLOSE(pair.a);
    // The range is free again.
    EXPECT_STATUS(zx_vmar_unmap(zx_vmar_root_self(), at, STACK), ZX_ERR_NOT_FOUND);
}

__asm__(".text\n"
        ".globl thread_unmap_exit\n"
        ".hidden thread_unmap_exit\n"
        "thread_unmap_exit:\n"
        "    movl 4(%rdi), %ecx\n"
        "    movq 8(%rdi), %rsi\n"
        "    movl 0(%rdi), %edi\n"
        "    movl $16384, %edx\n"
        "    call zx_vmar_unmap_handle_close_thread_exit@PLT\n"
        "    ud2\n");
