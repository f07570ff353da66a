// Jobs: the tree, killing, policies, critical processes.
#include <utest/utest.h>

#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls/policy.h>

GROUP("job");

static zx_handle_t make(zx_handle_t parent) {
    zx_handle_t job;
    EXPECT_OK(zx_job_create(parent, 0, &job));
    return job;
}

static zx_handle_t make_own(void) {
    return make(zx_job_default());
}

static zx_info_job_t info_of(zx_handle_t job) {
    zx_info_job_t info;
    EXPECT_OK(zx_object_get_info(job, ZX_INFO_JOB, &info, sizeof(info), nullptr, nullptr));
    return info;
}

static void wait_for_end(zx_handle_t task) {
    EXPECT_OK(zx_object_wait_one(task, ZX_TASK_TERMINATED, utest_after_ms(10000), nullptr));
}

CASE(create) {
    zx_handle_t job = make_own();
    zx_info_handle_basic_t info = utest_basic(job);
    EXPECT_EQ(info.type, ZX_OBJ_TYPE_JOB);
    EXPECT_EQ(info.rights, ZX_DEFAULT_JOB_RIGHTS);
    EXPECT_EQ(info.related_koid, utest_koid(zx_job_default()));
    zx_signals_t all = ZX_JOB_TERMINATED | ZX_JOB_NO_JOBS | ZX_JOB_NO_PROCESSES;
    EXPECT_EQ(utest_signals(job, all), ZX_JOB_NO_JOBS | ZX_JOB_NO_PROCESSES);
    zx_handle_t below = make(job);
    EXPECT_EQ(utest_signals(job, all), ZX_JOB_NO_PROCESSES);
    EXPECT_CLOSE(below);
    EXPECT_EQ(utest_signals(job, all), ZX_JOB_NO_JOBS | ZX_JOB_NO_PROCESSES);
    EXPECT_EQ(info_of(job).exited, false);
    EXPECT_CLOSE(job);
}

CASE(create_errors) {
    zx_handle_t job = make_own();
    zx_handle_t out;
    EXPECT_STATUS(zx_job_create(job, 1, &out), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_job_create(ZX_HANDLE_INVALID, 0, &out), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_job_create(zx_process_self(), 0, &out), ZX_ERR_WRONG_TYPE);
    zx_handle_t weak = utest_without(job, ZX_RIGHT_MANAGE_JOB);
    EXPECT_STATUS(zx_job_create(weak, 0, &out), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(out)) {
        EXPECT_STATUS(zx_job_create(job, 0, p), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_EQ(utest_signals(job, ZX_JOB_NO_JOBS), ZX_JOB_NO_JOBS);
    EXPECT_OK(zx_task_kill(job));
    EXPECT_STATUS(zx_job_create(job, 0, &out), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(job);
}

CASE(height) {
    zx_handle_t jobs[40];
    uint32_t count = 0;
    zx_status_t status = ZX_OK;
    zx_handle_t last = zx_job_default();
    while (count < 40 && (status = zx_job_create(last, 0, &jobs[count])) == ZX_OK) {
        last = jobs[count++];
    }
    EXPECT_STATUS(status, ZX_ERR_OUT_OF_RANGE);
    EXPECT(count < 32);
    EXPECT_OK(zx_handle_close_many(jobs, count));
}

CASE(children) {
    zx_handle_t job = make_own();
    zx_handle_t a = make(job);
    zx_handle_t b = make(job);
    zx_handle_t process;
    zx_handle_t root;
    EXPECT_OK(zx_process_create(job, "p", 1, 0, &process, &root));
    zx_koid_t koids[4] = {};
    size_t actual;
    size_t avail;
    EXPECT_OK(zx_object_get_info(job, ZX_INFO_JOB_CHILDREN, koids, sizeof(koids), &actual, &avail));
    EXPECT_EQ(actual, 2);
    EXPECT_EQ(avail, 2);
    EXPECT(koids[0] == utest_koid(a) || koids[1] == utest_koid(a));
    EXPECT(koids[0] == utest_koid(b) || koids[1] == utest_koid(b));
    EXPECT_OK(zx_object_get_info(job, ZX_INFO_JOB_CHILDREN, koids, 8, &actual, &avail));
    EXPECT_EQ(actual, 1);
    EXPECT_EQ(avail, 2);
    EXPECT_OK(
        zx_object_get_info(job, ZX_INFO_JOB_PROCESSES, koids, sizeof(koids), &actual, &avail));
    EXPECT_EQ(actual, 1);
    EXPECT_EQ(koids[0], utest_koid(process));
    zx_handle_t child;
    EXPECT_OK(zx_object_get_child(job, utest_koid(a), ZX_RIGHT_SAME_RIGHTS, &child));
    EXPECT_EQ(utest_koid(child), utest_koid(a));
    EXPECT_CLOSE(child);
    EXPECT_OK(zx_object_get_child(job, utest_koid(process), ZX_RIGHT_SAME_RIGHTS, &child));
    EXPECT_CLOSE(child);
    EXPECT_STATUS(zx_object_get_child(job, utest_koid(job), ZX_RIGHT_SAME_RIGHTS, &child),
                  ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(zx_object_get_child(job, 0, ZX_RIGHT_SAME_RIGHTS, &child), ZX_ERR_NOT_FOUND);
    // Grandchildren are not children.
    zx_handle_t below = make(a);
    EXPECT_STATUS(zx_object_get_child(job, utest_koid(below), ZX_RIGHT_SAME_RIGHTS, &child),
                  ZX_ERR_NOT_FOUND);
    FOR_BAD_POINTERS(p, UTEST_WRITE, 16) {
        EXPECT_STATUS(zx_object_get_info(job, ZX_INFO_JOB_CHILDREN, p, 16, &actual, &avail),
                      ZX_ERR_INVALID_ARGS);
    }
    zx_handle_t all[] = {below, a, b, process, root, job};
    EXPECT_OK(zx_handle_close_many(all, 6));
}

CHILD(wait_for_ever) {
    zx_nanosleep(ZX_TIME_INFINITE);
    return 1;
}

CHILD(end) {
    return 0;
}

CHILD(fail) {
    return 7;
}

CASE(kill) {
    zx_handle_t job = make_own();
    zx_handle_t below = make(job);
    struct utest_child c[2];
    utest_child_start(&c[0], "wait_for_ever", job);
    utest_child_start(&c[1], "wait_for_ever", below);
    zx_handle_t weak = utest_without(job, ZX_RIGHT_DESTROY);
    EXPECT_STATUS(zx_task_kill(weak), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_OK(zx_task_kill(job));
    wait_for_end(job);
    wait_for_end(below);
    EXPECT_EQ(info_of(job).exited, true);
    EXPECT_EQ(info_of(job).return_code, ZX_TASK_RETCODE_SYSCALL_KILL);
    EXPECT_EQ(info_of(below).return_code, ZX_TASK_RETCODE_SYSCALL_KILL);
    EXPECT_EQ(utest_child_join(&c[0]), ZX_TASK_RETCODE_SYSCALL_KILL);
    EXPECT_EQ(utest_child_join(&c[1]), ZX_TASK_RETCODE_SYSCALL_KILL);
    EXPECT_CLOSE(below);
    EXPECT_CLOSE(job);
}

CASE(no_processes_signal) {
    zx_handle_t job = make_own();
    struct utest_child c;
    utest_child_start(&c, "end", job);
    EXPECT_OK(zx_object_wait_one(job, ZX_JOB_NO_PROCESSES, utest_after_ms(10000), nullptr));
    EXPECT_EQ(utest_child_join(&c), 0);
    EXPECT_EQ(utest_signals(job, ZX_JOB_TERMINATED), 0);
    EXPECT_CLOSE(job);
}

// ---- policy ----

static zx_status_t set(zx_handle_t job, uint32_t options, uint32_t condition, uint32_t action,
                       uint32_t flags) {
    zx_policy_basic_v2_t entry = {.condition = condition, .action = action, .flags = flags};
    return zx_job_set_policy(job, options, ZX_JOB_POL_BASIC_V2, &entry, 1);
}

CHILD(make_event) {
    zx_handle_t h;
    return zx_event_create(0, &h) == ZX_ERR_ACCESS_DENIED ? 40 : 41;
}

CHILD(make_all) {
    zx_handle_t a;
    zx_handle_t b;
    bool denied = zx_event_create(0, &a) == ZX_ERR_ACCESS_DENIED &&
                  zx_eventpair_create(0, &a, &b) == ZX_ERR_ACCESS_DENIED &&
                  zx_channel_create(0, &a, &b) == ZX_ERR_ACCESS_DENIED &&
                  zx_port_create(0, &a) == ZX_ERR_ACCESS_DENIED &&
                  zx_timer_create(0, 0, &a) == ZX_ERR_ACCESS_DENIED &&
                  zx_socket_create(0, &a, &b) == ZX_ERR_ACCESS_DENIED &&
                  zx_fifo_create(1, 1, 0, &a, &b) == ZX_ERR_ACCESS_DENIED &&
                  zx_vmo_create(1, 0, &a) == ZX_ERR_ACCESS_DENIED;
    return denied ? 40 : 41;
}

CHILD(bad_handle) {
    return zx_object_signal(0x12345677, 0, 0) == ZX_ERR_BAD_HANDLE ? 40 : 41;
}

CHILD(ask_bad_handle) {
    zx_status_t status =
        zx_object_get_info(0x12345677, ZX_INFO_HANDLE_VALID, nullptr, 0, nullptr, nullptr);
    return status == ZX_ERR_BAD_HANDLE && zx_handle_check_valid(0x12345677) == ZX_ERR_BAD_HANDLE
               ? 40
               : 41;
}

CHILD(wrong_object) {
    return zx_timer_cancel(zx_process_self()) == ZX_ERR_WRONG_TYPE ? 40 : 41;
}

// Memory that is writable and executable at once, by mapping and by protecting.
CHILD(map_wx) {
    constexpr size_t LEN = 4096;
    constexpr zx_vm_option_t RWX = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
    zx_handle_t data;
    zx_handle_t vmo;
    zx_vaddr_t at;
    EXPECT_OK(zx_vmo_create(LEN, 0, &data));
    EXPECT_OK(zx_vmo_replace_as_executable(data, ZX_HANDLE_INVALID, &vmo));
    zx_status_t mapped = zx_vmar_map(zx_vmar_root_self(), RWX, 0, vmo, 0, LEN, &at);
    EXPECT_OK(
        zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, LEN, &at));
    zx_status_t protected = zx_vmar_protect(zx_vmar_root_self(), RWX, at, LEN);
    // One after the other is what programs that make code do.
    EXPECT_OK(zx_vmar_protect(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE, at, LEN));
    if (mapped == ZX_OK && protected == ZX_OK) {
        return 41;
    }
    return mapped == ZX_ERR_ACCESS_DENIED && protected == ZX_ERR_ACCESS_DENIED ? 40 : 42;
}

static int64_t run_in(zx_handle_t job, const char* child) {
    struct utest_child c;
    utest_child_start(&c, child, job);
    return utest_child_join(&c);
}

static int64_t run_with(uint32_t condition, uint32_t action, const char* child) {
    zx_handle_t job = make_own();
    EXPECT_OK(set(job, ZX_JOB_POL_ABSOLUTE, condition, action, ZX_POL_OVERRIDE_DENY));
    int64_t code = run_in(job, child);
    EXPECT_CLOSE(job);
    return code;
}

CASE_WITHIN(policy_actions, 60) {
    EXPECT_EQ(run_with(ZX_POL_NEW_EVENT, ZX_POL_ACTION_ALLOW, "make_event"), 41);
    EXPECT_EQ(run_with(ZX_POL_NEW_EVENT, ZX_POL_ACTION_DENY, "make_event"), 40);
    EXPECT_EQ(run_with(ZX_POL_NEW_EVENT, ZX_POL_ACTION_KILL, "make_event"),
              ZX_TASK_RETCODE_POLICY_KILL);
    // Nobody handles the exception.
    EXPECT_EQ(run_with(ZX_POL_NEW_EVENT, ZX_POL_ACTION_DENY_EXCEPTION, "make_event"),
              ZX_TASK_RETCODE_EXCEPTION_KILL);
    EXPECT_EQ(run_with(ZX_POL_BAD_HANDLE, ZX_POL_ACTION_DENY, "bad_handle"), 40);
    EXPECT_EQ(run_with(ZX_POL_BAD_HANDLE, ZX_POL_ACTION_KILL, "bad_handle"),
              ZX_TASK_RETCODE_POLICY_KILL);
    // To ask whether it is one is always allowed.
    EXPECT_EQ(run_with(ZX_POL_BAD_HANDLE, ZX_POL_ACTION_KILL, "ask_bad_handle"), 40);
    EXPECT_EQ(run_with(ZX_POL_WRONG_OBJECT, ZX_POL_ACTION_KILL, "wrong_object"),
              ZX_TASK_RETCODE_POLICY_KILL);
    EXPECT_EQ(run_with(ZX_POL_NEW_PORT, ZX_POL_ACTION_KILL, "make_event"), 41);
}

CASE_WITHIN(policy_write_execute, 60) {
    EXPECT_EQ(run_with(ZX_POL_VMAR_WX, ZX_POL_ACTION_ALLOW, "map_wx"), 41);
    EXPECT_EQ(run_with(ZX_POL_VMAR_WX, ZX_POL_ACTION_DENY, "map_wx"), 40);
    EXPECT_EQ(run_with(ZX_POL_VMAR_WX, ZX_POL_ACTION_KILL, "map_wx"), ZX_TASK_RETCODE_POLICY_KILL);
}

CASE_WITHIN(policy_new_any, 60) {
    EXPECT_EQ(run_with(ZX_POL_NEW_ANY, ZX_POL_ACTION_DENY, "make_event"), 40);
}

CASE_WITHIN(policy_inheritance, 60) {
    zx_handle_t job = make_own();
    EXPECT_OK(
        set(job, ZX_JOB_POL_ABSOLUTE, ZX_POL_NEW_EVENT, ZX_POL_ACTION_DENY, ZX_POL_OVERRIDE_DENY));
    zx_handle_t below = make(job);
    // What is set above stands.
    EXPECT_STATUS(set(below, ZX_JOB_POL_ABSOLUTE, ZX_POL_NEW_EVENT, ZX_POL_ACTION_ALLOW,
                      ZX_POL_OVERRIDE_DENY),
                  ZX_ERR_ALREADY_EXISTS);
    EXPECT_OK(set(below, ZX_JOB_POL_RELATIVE, ZX_POL_NEW_EVENT, ZX_POL_ACTION_ALLOW,
                  ZX_POL_OVERRIDE_DENY));
    EXPECT_EQ(run_in(below, "make_event"), 40);
    // Unless it was left open.
    zx_handle_t open = make_own();
    EXPECT_OK(set(open, ZX_JOB_POL_ABSOLUTE, ZX_POL_NEW_EVENT, ZX_POL_ACTION_DENY,
                  ZX_POL_OVERRIDE_ALLOW));
    zx_handle_t allowed = make(open);
    EXPECT_OK(set(allowed, ZX_JOB_POL_ABSOLUTE, ZX_POL_NEW_EVENT, ZX_POL_ACTION_ALLOW,
                  ZX_POL_OVERRIDE_DENY));
    EXPECT_EQ(run_in(allowed, "make_event"), 41);
    zx_handle_t all[] = {below, job, allowed, open};
    EXPECT_OK(zx_handle_close_many(all, 4));
}

CASE(policy_errors) {
    zx_handle_t job = make_own();
    zx_policy_basic_v2_t entry = {.condition = ZX_POL_NEW_EVENT, .action = ZX_POL_ACTION_DENY};
    uint32_t topic = ZX_JOB_POL_BASIC_V2;
    EXPECT_STATUS(zx_job_set_policy(job, 2, topic, &entry, 1), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_job_set_policy(job, 0, 99, &entry, 1), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_job_set_policy(job, 0, topic, &entry, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_job_set_policy(job, 0, topic, &entry, 10000), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(set(job, 0, ZX_POL_MAX, ZX_POL_ACTION_DENY, 0), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(set(job, 0, ZX_POL_NEW_EVENT, 99, 0), ZX_ERR_NOT_SUPPORTED);
    FOR_BAD_POINTERS(p, UTEST_READ, sizeof(entry)) {
        EXPECT_STATUS(zx_job_set_policy(job, 0, topic, p, 1), ZX_ERR_INVALID_ARGS);
    }
    zx_handle_t weak = utest_without(job, ZX_RIGHT_SET_POLICY);
    EXPECT_STATUS(zx_job_set_policy(weak, 0, topic, &entry, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    // Not once it has children.
    zx_handle_t below = make(job);
    EXPECT_STATUS(zx_job_set_policy(job, 0, topic, &entry, 1), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(below);
    EXPECT_OK(zx_job_set_policy(job, 0, topic, &entry, 1));
    zx_policy_basic_v1_t first = {.condition = ZX_POL_NEW_PORT, .policy = ZX_POL_ACTION_DENY};
    EXPECT_OK(zx_job_set_policy(job, 0, ZX_JOB_POL_BASIC_V1, &first, 1));
    EXPECT_CLOSE(job);
}

// A call that fails has changed nothing.
CASE(policy_all_or_nothing) {
    zx_handle_t job = make_own();
    zx_policy_basic_v2_t entries[] = {{.condition = ZX_POL_NEW_EVENT, .action = ZX_POL_ACTION_DENY},
                                      {.condition = 99, .action = ZX_POL_ACTION_DENY}};
    EXPECT_STATUS(zx_job_set_policy(job, 0, ZX_JOB_POL_BASIC_V2, entries, 2), ZX_ERR_OUT_OF_RANGE);
    EXPECT_EQ(run_in(job, "make_event"), 41);
    EXPECT_CLOSE(job);
}

// ---- critical processes ----

CASE_WITHIN(critical, 60) {
    zx_handle_t job = make_own();
    struct utest_child bystander;
    struct utest_child critical;
    utest_child_start(&bystander, "wait_for_ever", job);
    utest_child_start(&critical, "wait_for_ever", job);
    EXPECT_OK(zx_job_set_critical(job, 0, critical.process));
    EXPECT_STATUS(zx_job_set_critical(job, 0, critical.process), ZX_ERR_ALREADY_BOUND);
    EXPECT_OK(zx_task_kill(critical.process));
    wait_for_end(job);
    EXPECT_EQ(info_of(job).return_code, ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL);
    EXPECT_EQ(utest_child_join(&bystander), ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL);
    EXPECT_EQ(utest_child_join(&critical), ZX_TASK_RETCODE_SYSCALL_KILL);
    EXPECT_CLOSE(job);
}

CASE_WITHIN(critical_nonzero, 60) {
    static const char* const ends[] = {"end", "fail"};
    for (uint32_t i = 0; i < 2; i++) {
        zx_handle_t job = make_own();
        struct utest_prepared p;
        utest_child_prepare(&p, ends[i], job);
        EXPECT_OK(zx_job_set_critical(job, ZX_JOB_CRITICAL_PROCESS_RETCODE_NONZERO, p.process));
        EXPECT_OK(
            zx_process_start(p.process, p.thread, p.entry, p.stack, p.bootstrap, p.vdso_base));
        p.bootstrap = ZX_HANDLE_INVALID;
        wait_for_end(p.process);
        if (i == 1) {
            wait_for_end(job);
        } else {
            EXPECT_EQ(utest_signals(job, ZX_JOB_TERMINATED), 0);
        }
        utest_prepared_close(&p);
        EXPECT_CLOSE(job);
    }
}

CASE(critical_errors) {
    zx_handle_t job = make_own();
    zx_handle_t other = make_own();
    zx_handle_t process;
    zx_handle_t root;
    EXPECT_OK(zx_process_create(job, "p", 1, 0, &process, &root));
    EXPECT_STATUS(zx_job_set_critical(job, 2, process), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_job_set_critical(other, 0, process), ZX_ERR_INVALID_ARGS); // not above it
    EXPECT_STATUS(zx_job_set_critical(ZX_HANDLE_INVALID, 0, process), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_job_set_critical(job, 0, ZX_HANDLE_INVALID), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_job_set_critical(process, 0, process), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_job_set_critical(job, 0, job), ZX_ERR_WRONG_TYPE);
    zx_handle_t weak = utest_without(job, ZX_RIGHT_DESTROY);
    EXPECT_STATUS(zx_job_set_critical(weak, 0, process), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    weak = utest_without(process, ZX_RIGHT_WAIT);
    EXPECT_STATUS(zx_job_set_critical(job, 0, weak), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    zx_handle_t all[] = {root, process, other, job};
    EXPECT_OK(zx_handle_close_many(all, 4));
}

// ---- properties ----

CASE(kill_on_oom) {
    zx_handle_t job = make_own();
    size_t value = 1;
    EXPECT_OK(zx_object_set_property(job, ZX_PROP_JOB_KILL_ON_OOM, &value, sizeof(value)));
    EXPECT_EQ(info_of(job).kill_on_oom, true);
    value = 2;
    EXPECT_STATUS(zx_object_set_property(job, ZX_PROP_JOB_KILL_ON_OOM, &value, sizeof(value)),
                  ZX_ERR_INVALID_ARGS);
    value = 0;
    EXPECT_STATUS(zx_object_set_property(job, ZX_PROP_JOB_KILL_ON_OOM, &value, 4),
                  ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_EQ(info_of(job).kill_on_oom, true);
    EXPECT_OK(zx_object_set_property(job, ZX_PROP_JOB_KILL_ON_OOM, &value, sizeof(value)));
    EXPECT_EQ(info_of(job).kill_on_oom, false);
    EXPECT_CLOSE(job);
}

CASE(name) {
    zx_handle_t job = make_own();
    char name[ZX_MAX_NAME_LEN] = "x";
    EXPECT_OK(zx_object_get_property(job, ZX_PROP_NAME, name, sizeof(name)));
    EXPECT_EQ(name[0], 0);
    EXPECT_OK(zx_object_set_property(job, ZX_PROP_NAME, "a job with a very long name indeed", 34));
    EXPECT_OK(zx_object_get_property(job, ZX_PROP_NAME, name, sizeof(name)));
    EXPECT_EQ(strcmp(name, "a job with a very long name ind"), 0);
    EXPECT_STATUS(zx_object_get_property(job, ZX_PROP_NAME, name, sizeof(name) - 1),
                  ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_CLOSE(job);
}
