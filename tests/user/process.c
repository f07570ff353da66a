// Processes: making, starting, ending, and reaching into them.
#include <utest/utest.h>

#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls/exception.h>

GROUP("process");

constexpr size_t PAGE = 4096;

static zx_info_process_t info_of(zx_handle_t process) {
    zx_info_process_t info;
    EXPECT_OK(zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr));
    return info;
}

static void wait_for_end(zx_handle_t process) {
    EXPECT_OK(zx_object_wait_one(process, ZX_PROCESS_TERMINATED, utest_after_ms(10000), nullptr));
}

// Without threads and without memory.
static zx_handle_t empty(zx_handle_t* root) {
    zx_handle_t process;
    EXPECT_OK(zx_process_create(zx_job_default(), "empty", 5, 0, &process, root));
    return process;
}

CASE(create) {
    zx_handle_t root;
    zx_handle_t process = empty(&root);
    zx_info_handle_basic_t info = utest_basic(process);
    EXPECT_EQ(info.type, ZX_OBJ_TYPE_PROCESS);
    EXPECT_EQ(info.rights, ZX_DEFAULT_PROCESS_RIGHTS);
    EXPECT_EQ(info.related_koid, utest_koid(zx_job_default()));
    EXPECT_EQ(utest_basic(root).type, ZX_OBJ_TYPE_VMAR);
    EXPECT_EQ(utest_basic(root).rights,
              ZX_DEFAULT_VMAR_RIGHTS | ZX_RIGHT_READ | ZX_RIGHT_WRITE | ZX_RIGHT_EXECUTE);
    EXPECT_EQ(info_of(process).flags, 0);
    EXPECT_EQ(utest_signals(process, ZX_PROCESS_TERMINATED), 0);
    char name[ZX_MAX_NAME_LEN];
    EXPECT_OK(zx_object_get_property(process, ZX_PROP_NAME, name, sizeof(name)));
    EXPECT_EQ(strcmp(name, "empty"), 0);
    EXPECT_CLOSE(root);
    EXPECT_CLOSE(process);
}

CASE(create_errors) {
    zx_handle_t job = zx_job_default();
    zx_handle_t process;
    zx_handle_t root;
    EXPECT_STATUS(zx_process_create(job, "x", 1, 1u << 31, &process, &root), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_process_create(ZX_HANDLE_INVALID, "x", 1, 0, &process, &root),
                  ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_process_create(zx_process_self(), "x", 1, 0, &process, &root),
                  ZX_ERR_WRONG_TYPE);
    zx_handle_t weak = utest_without(job, ZX_RIGHT_MANAGE_PROCESS);
    EXPECT_STATUS(zx_process_create(weak, "x", 1, 0, &process, &root), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    FOR_BAD_POINTERS(p, UTEST_READ, 8) {
        EXPECT_STATUS(zx_process_create(job, p, 8, 0, &process, &root), ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(process)) {
        EXPECT_STATUS(zx_process_create(job, "x", 1, 0, p, &root), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(zx_process_create(job, "x", 1, 0, &process, p), ZX_ERR_INVALID_ARGS);
    }
    zx_handle_t dead;
    EXPECT_OK(zx_job_create(job, 0, &dead));
    EXPECT_OK(zx_task_kill(dead));
    EXPECT_STATUS(zx_process_create(dead, "x", 1, 0, &process, &root), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(dead);
}

// One that never started ends with its last handle.
CASE(ends_with_its_last_handle) {
    zx_handle_t root;
    zx_handle_t process = empty(&root);
    zx_koid_t koid = utest_koid(process);
    zx_handle_t child;
    EXPECT_OK(zx_object_get_child(zx_job_default(), koid, ZX_RIGHT_SAME_RIGHTS, &child));
    EXPECT_CLOSE(process);
    EXPECT_EQ(utest_signals(child, ZX_PROCESS_TERMINATED), 0);
    EXPECT_CLOSE(child);
    EXPECT_STATUS(zx_object_get_child(zx_job_default(), koid, ZX_RIGHT_SAME_RIGHTS, &child),
                  ZX_ERR_NOT_FOUND);
    // Its region is still there, and of no use.
    zx_vaddr_t at;
    zx_handle_t vmo = utest_vmo(PAGE);
    EXPECT_STATUS(zx_vmar_map(root, ZX_VM_PERM_READ, 0, vmo, 0, PAGE, &at), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(root);
}

CHILD(exit_with_9) {
    zx_process_exit(9);
}

CHILD(return_3) {
    return 3;
}

CHILD(thread_exit) {
    zx_thread_exit();
}

CHILD(wait_for_ever) {
    zx_nanosleep(ZX_TIME_INFINITE);
    return 1;
}

CASE(return_codes) {
    EXPECT_EQ(utest_child_run("exit_with_9"), 9);
    EXPECT_EQ(utest_child_run("return_3"), 3);
    EXPECT_EQ(utest_child_run("thread_exit"), 0); // the last thread's end is the process's
}

CASE(information) {
    struct utest_child c;
    zx_time_t before = zx_clock_get_monotonic();
    utest_child_start(&c, "wait_for_ever", ZX_HANDLE_INVALID);
    zx_info_process_t info = info_of(c.process);
    EXPECT_EQ(info.flags, ZX_INFO_PROCESS_FLAG_STARTED);
    EXPECT(info.start_time >= before && info.start_time <= zx_clock_get_monotonic());
    EXPECT_OK(zx_task_kill(c.process));
    wait_for_end(c.process);
    info = info_of(c.process);
    EXPECT_EQ(info.flags, ZX_INFO_PROCESS_FLAG_STARTED | ZX_INFO_PROCESS_FLAG_EXITED);
    EXPECT_EQ(info.return_code, ZX_TASK_RETCODE_SYSCALL_KILL);
    // A second kill changes nothing.
    EXPECT_OK(zx_task_kill(c.process));
    EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
}

CASE(kill_unstarted) {
    zx_handle_t root;
    zx_handle_t process = empty(&root);
    EXPECT_OK(zx_task_kill(process));
    wait_for_end(process);
    EXPECT_EQ(info_of(process).return_code, ZX_TASK_RETCODE_SYSCALL_KILL);
    EXPECT_CLOSE(root);
    EXPECT_CLOSE(process);
}

// Names with a marker of the tests in them: as the crash report shows them they are none.
CHILD(forged_name) {
    static const char name[] = "\n\x1e[test] user a.b fail x\n";
    EXPECT_OK(zx_object_set_property(zx_process_self(), ZX_PROP_NAME, name, sizeof(name) - 1));
    EXPECT_OK(zx_object_set_property(zx_thread_self(), ZX_PROP_NAME, name, sizeof(name) - 1));
    __builtin_trap();
}

CASE(forged_name) {
    EXPECT_EQ(utest_child_run("forged_name"), ZX_TASK_RETCODE_EXCEPTION_KILL);
}

CASE(kill_rights) {
    zx_handle_t root;
    zx_handle_t process = empty(&root);
    zx_handle_t weak = utest_without(process, ZX_RIGHT_DESTROY);
    EXPECT_STATUS(zx_task_kill(weak), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_STATUS(zx_task_kill(ZX_HANDLE_INVALID), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_task_kill(root), ZX_ERR_WRONG_TYPE);
    EXPECT_EQ(utest_signals(process, ZX_PROCESS_TERMINATED), 0);
    EXPECT_CLOSE(root);
    EXPECT_CLOSE(process);
}

CHILD(kill_self) {
    zx_task_kill(zx_process_self());
    return 5; // not reached
}

CASE(kill_self) {
    EXPECT_EQ(utest_child_run("kill_self"), ZX_TASK_RETCODE_SYSCALL_KILL);
}

static void spin(void*) {
    for (;;) {
    }
}

CHILD(exit_with_busy_threads) {
    struct utest_thread t[3];
    for (uint32_t i = 0; i < 3; i++) {
        utest_thread_start(&t[i], spin, nullptr);
    }
    return 6;
}

CASE(exit_ends_all_threads) {
    EXPECT_EQ(utest_child_run("exit_with_busy_threads"), 6);
}

CASE(handles_are_closed_at_the_end) {
    struct utest_child c;
    utest_child_start(&c, "wait_for_ever", ZX_HANDLE_INVALID);
    EXPECT_EQ(utest_signals(c.channel, ZX_CHANNEL_PEER_CLOSED), 0);
    EXPECT_OK(zx_task_kill(c.process));
    wait_for_end(c.process);
    EXPECT_EQ(utest_signals(c.channel, ZX_CHANNEL_PEER_CLOSED), ZX_CHANNEL_PEER_CLOSED);
    (void)utest_child_join(&c);
}

// ---- starting ----

CASE(start_errors) {
    struct utest_prepared p;
    struct utest_prepared other;
    utest_child_prepare(&p, "return_3", ZX_HANDLE_INVALID);
    utest_child_prepare(&other, "return_3", ZX_HANDLE_INVALID);
    zx_handle_t event;
#define GIVE() (event = utest_event())
#define GONE() EXPECT_STATUS(zx_handle_check_valid(event), ZX_ERR_BAD_HANDLE)
    // Whatever fails, the handle given is gone.
    GIVE();
    EXPECT_STATUS(zx_process_start(ZX_HANDLE_INVALID, p.thread, p.entry, p.stack, event, 0),
                  ZX_ERR_BAD_HANDLE);
    GONE();
    GIVE();
    EXPECT_STATUS(zx_process_start(p.process, ZX_HANDLE_INVALID, p.entry, p.stack, event, 0),
                  ZX_ERR_BAD_HANDLE);
    GONE();
    GIVE();
    EXPECT_STATUS(zx_process_start(p.thread, p.thread, p.entry, p.stack, event, 0),
                  ZX_ERR_WRONG_TYPE);
    GONE();
    GIVE();
    EXPECT_STATUS(zx_process_start(p.process, p.process, p.entry, p.stack, event, 0),
                  ZX_ERR_WRONG_TYPE);
    GONE();
    GIVE();
    EXPECT_STATUS(zx_process_start(p.process, other.thread, p.entry, p.stack, event, 0),
                  ZX_ERR_ACCESS_DENIED);
    GONE();
    GIVE();
    EXPECT_STATUS(zx_process_start(p.process, p.thread, 0x0000800000000000, p.stack, event, 0),
                  ZX_ERR_INVALID_ARGS);
    GONE();
    GIVE();
    EXPECT_STATUS(zx_process_start(p.process, p.thread, UINTPTR_MAX, p.stack, event, 0),
                  ZX_ERR_INVALID_ARGS);
    GONE();
    EXPECT_STATUS(zx_process_start(p.process, p.thread, p.entry, p.stack, utest_stale_handle(), 0),
                  ZX_ERR_BAD_HANDLE);
    zx_handle_t weak = utest_without(p.process, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_process_start(weak, p.thread, p.entry, p.stack, 0, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    weak = utest_without(p.thread, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_process_start(p.process, weak, p.entry, p.stack, 0, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    GIVE();
    zx_handle_t fixed;
    EXPECT_OK(zx_handle_replace(event, ZX_RIGHT_WAIT, &fixed));
    event = fixed;
    EXPECT_STATUS(zx_process_start(p.process, p.thread, p.entry, p.stack, event, 0),
                  ZX_ERR_ACCESS_DENIED);
    GONE();
    // After all that it starts, once.
    EXPECT_EQ(info_of(p.process).flags, 0);
    EXPECT_OK(zx_process_start(p.process, p.thread, p.entry, p.stack, p.bootstrap, p.vdso_base));
    p.bootstrap = ZX_HANDLE_INVALID;
    GIVE();
    EXPECT_STATUS(zx_process_start(p.process, p.thread, p.entry, p.stack, event, 0),
                  ZX_ERR_BAD_STATE);
    GONE();
    wait_for_end(p.process);
    EXPECT_EQ(info_of(p.process).return_code, 3);
    zx_exception_report_t report;
    EXPECT_STATUS(zx_object_get_info(p.process, ZX_INFO_THREAD_EXCEPTION_REPORT, &report,
                                     sizeof(report), nullptr, nullptr),
                  ZX_ERR_BAD_STATE); // ended otherwise
    utest_prepared_close(&p);
    utest_prepared_close(&other);
}

static zx_status_t report_of(zx_handle_t process, zx_exception_report_t* out) {
    return zx_object_get_info(process, ZX_INFO_THREAD_EXCEPTION_REPORT, out, sizeof(*out), nullptr,
                              nullptr);
}

// Nothing is mapped where it starts: it ends by its first exception, and only it.
CASE(start_without_memory) {
    zx_handle_t root;
    zx_handle_t process = empty(&root);
    zx_handle_t thread;
    EXPECT_OK(zx_thread_create(process, "first", 5, 0, &thread));
    zx_exception_report_t report;
    EXPECT_STATUS(report_of(process, &report), ZX_ERR_BAD_STATE); // lives
    EXPECT_OK(zx_process_start(process, thread, 0x10000000, 0x20000000, ZX_HANDLE_INVALID, 0));
    wait_for_end(process);
    EXPECT_EQ(info_of(process).return_code, ZX_TASK_RETCODE_EXCEPTION_KILL);
    EXPECT_OK(report_of(process, &report));
    EXPECT(report.header.type == ZX_EXCP_FATAL_PAGE_FAULT && report.header.size == sizeof(report));
    EXPECT(report.context.arch.u.x86_64.cr2 == 0x10000000);
    EXPECT_EQ((zx_status_t)report.context.synth_code, ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(thread);
    EXPECT_CLOSE(root);
    EXPECT_CLOSE(process);
}

// ---- memory of others ----

CASE(read_and_write_memory) {
    zx_handle_t root;
    zx_handle_t process = empty(&root);
    zx_handle_t vmo = utest_vmo(4 * PAGE);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(root, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, 4 * PAGE, &at));
    static uint8_t out[3 * 4096];
    static uint8_t in[3 * 4096];
    for (size_t i = 0; i < sizeof(out); i++) {
        out[i] = (uint8_t)(i % 253);
    }
    size_t actual = 0;
    EXPECT_OK(zx_process_write_memory(process, at + 100, out, sizeof(out), &actual));
    EXPECT_EQ(actual, sizeof(out));
    EXPECT_OK(zx_process_read_memory(process, at + 100, in, sizeof(in), &actual));
    EXPECT_EQ(actual, sizeof(in));
    EXPECT_EQ(memcmp(in, out, sizeof(in)), 0);
    // It may stop short at the end of the mapping.
    EXPECT_OK(zx_process_read_memory(process, at + 3 * PAGE, in, 2 * PAGE, &actual));
    EXPECT_EQ(actual, PAGE);
    EXPECT_STATUS(zx_process_read_memory(process, at + 4 * PAGE, in, 1, &actual), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(zx_process_read_memory(process, at, in, 0, &actual), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_process_read_memory(process, at, in, (64 << 20) + 1, &actual),
                  ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_WRITE, 64) {
        EXPECT_STATUS(zx_process_read_memory(process, at, p, 64, &actual), ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_READ, 64) {
        EXPECT_STATUS(zx_process_write_memory(process, at, p, 64, &actual), ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(size_t)) {
        EXPECT_STATUS(zx_process_read_memory(process, at, in, 1, p), ZX_ERR_INVALID_ARGS);
    }
    static const uintptr_t wild[] = {0, 0xffff800000000000, 0xffffffff80000000, 0x0000800000000000,
                                     UINTPTR_MAX};
    for (uint32_t i = 0; i < 5; i++) {
        EXPECT_STATUS(zx_process_read_memory(process, wild[i], in, 8, &actual), ZX_ERR_NOT_FOUND);
        EXPECT_STATUS(zx_process_write_memory(process, wild[i], in, 8, &actual), ZX_ERR_NOT_FOUND);
    }
    zx_handle_t weak = utest_without(process, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_process_read_memory(weak, at, in, 1, &actual), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_process_write_memory(weak, at, in, 1, &actual), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_OK(zx_task_kill(process));
    wait_for_end(process);
    EXPECT_STATUS(zx_process_read_memory(process, at, in, 1, &actual), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(root);
    EXPECT_CLOSE(process);
}

// A read-only mapping is written only if it could be made writable: programs share what they run.
CASE(write_memory_needs_leave) {
    zx_handle_t root;
    zx_handle_t process = empty(&root);
    zx_handle_t vmo = utest_vmo(2 * PAGE);
    zx_handle_t shown = utest_without(vmo, ZX_RIGHT_WRITE);
    zx_vaddr_t may;
    zx_vaddr_t never;
    EXPECT_OK(zx_vmar_map(root, ZX_VM_PERM_READ, 0, vmo, 0, PAGE, &may));
    EXPECT_OK(zx_vmar_map(root, ZX_VM_PERM_READ, 0, shown, PAGE, PAGE, &never));
    size_t actual = 0;
    EXPECT_OK(zx_process_write_memory(process, may, "abc", 3, &actual));
    EXPECT_EQ(actual, 3);
    EXPECT_STATUS(zx_process_write_memory(process, never, "abc", 3, &actual), ZX_ERR_ACCESS_DENIED);
    char back[3] = "xyz";
    EXPECT_OK(zx_vmo_read(vmo, back, PAGE, 3));
    EXPECT_EQ(memcmp(back, "\0\0\0", 3), 0);
    EXPECT_OK(zx_process_read_memory(process, never, back, 3, &actual));
    EXPECT_CLOSE(shown);
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(root);
    EXPECT_CLOSE(process);
    // This program's own code, read-only data and vDSO: with the bytes that are there already.
    const uintptr_t places[] = {(uintptr_t)wait_for_end, (uintptr_t)utest_group,
                                (uintptr_t)zx_clock_get_monotonic};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        EXPECT_STATUS(zx_process_write_memory(zx_process_self(), places[i], (const void*)places[i],
                                              1, &actual),
                      ZX_ERR_ACCESS_DENIED);
    }
}

// ---- lists ----

CASE(threads) {
    struct utest_child c;
    utest_child_start(&c, "wait_for_ever", ZX_HANDLE_INVALID);
    zx_koid_t koids[4];
    size_t actual = 0;
    size_t avail = 0;
    EXPECT_OK(zx_object_get_info(c.process, ZX_INFO_PROCESS_THREADS, koids, sizeof(koids), &actual,
                                 &avail));
    EXPECT_EQ(actual, 1);
    EXPECT_EQ(avail, 1);
    zx_handle_t thread;
    EXPECT_OK(zx_object_get_child(c.process, koids[0], ZX_RIGHT_SAME_RIGHTS, &thread));
    EXPECT_EQ(utest_basic(thread).type, ZX_OBJ_TYPE_THREAD);
    utest_thread_reach(thread, ZX_THREAD_STATE_BLOCKED_SLEEPING);
    EXPECT_CLOSE(thread);
    // No room: the number is told all the same.
    EXPECT_OK(zx_object_get_info(c.process, ZX_INFO_PROCESS_THREADS, nullptr, 0, &actual, &avail));
    EXPECT_EQ(actual, 0);
    EXPECT_EQ(avail, 1);
    zx_handle_t weak = utest_without(c.process, ZX_RIGHT_ENUMERATE);
    EXPECT_STATUS(
        zx_object_get_info(weak, ZX_INFO_PROCESS_THREADS, koids, sizeof(koids), nullptr, nullptr),
        ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_object_get_child(weak, koids[0], ZX_RIGHT_SAME_RIGHTS, &thread),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    weak = utest_with_rights(c.process, ZX_RIGHT_ENUMERATE | ZX_RIGHT_WAIT);
    EXPECT_STATUS(zx_object_get_child(weak, koids[0], ZX_RIGHT_READ, &thread),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_object_get_child(weak, koids[0], ZX_RIGHT_WAIT, &thread));
    EXPECT_EQ(utest_basic(thread).rights, ZX_RIGHT_WAIT);
    EXPECT_CLOSE(thread);
    EXPECT_CLOSE(weak);
    EXPECT_OK(zx_task_kill(c.process));
    (void)utest_child_join(&c);
}

CASE_WITHIN(many, 90) {
    for (uint32_t i = 0; i < 20; i++) {
        EXPECT_EQ(utest_child_run("return_3"), 3);
    }
}

// Ends that come together: the process's own, a kill, and the last handle's.
CASE_WITHIN(racing_ends, 90) {
    for (uint32_t i = 0; i < 20; i++) {
        struct utest_child c;
        utest_child_start(&c, i % 2 == 0 ? "exit_with_9" : "exit_with_busy_threads",
                          ZX_HANDLE_INVALID);
        utest_sleep_ms(i % 7);
        EXPECT_OK(zx_task_kill(c.process));
        int64_t code = utest_child_join(&c);
        EXPECT(code == 9 || code == 6 || code == ZX_TASK_RETCODE_SYSCALL_KILL);
    }
}
