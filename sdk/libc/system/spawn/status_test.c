// From return codes to what waitpid() answers.
#include <spawn/status.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/wait.h>

#include <cmocka.h>

#include <libc/abi.h>
#include <zircon/syscalls/object.h>

static void expect_exit(int64_t retcode, int sent, int code) {
    int status = spawn_status(retcode, sent);
    assert_true(WIFEXITED(status) && !WIFSIGNALED(status) && !WIFSTOPPED(status));
    assert_int_equal(WEXITSTATUS(status), code);
    assert_int_equal(spawn_status_code(status), code);
    assert_int_equal(spawn_status_signal(status), 0);
}

static void expect_signal(int64_t retcode, int sent, int signal) {
    int status = spawn_status(retcode, sent);
    assert_true(WIFSIGNALED(status) && !WIFEXITED(status) && !WIFSTOPPED(status));
    assert_int_equal(WTERMSIG(status), signal);
    assert_int_equal(spawn_status_signal(status), signal);
}

static void exits(void**) {
    expect_exit(0, 0, 0);
    expect_exit(3, 0, 3);
    expect_exit(255, 0, 255);
    expect_exit(256 + 7, 0, 7);
    expect_exit(-1, 0, 255);        // a program without this library that returned an error
    expect_exit(5, ABI_SIGTERM, 5); // it was faster than the signal
    expect_exit(spawn_retcode_signal, 0, (int)(spawn_retcode_signal & 0xff));
    expect_exit(spawn_retcode_signal - 65, 0, (int)((spawn_retcode_signal - 65) & 0xff));
    expect_exit(INT64_MIN, 0, 0);
}

static void signals(void**) {
    expect_signal(ZX_TASK_RETCODE_SYSCALL_KILL, 0, ABI_SIGKILL);
    expect_signal(ZX_TASK_RETCODE_SYSCALL_KILL, ABI_SIGTERM, ABI_SIGTERM);
    expect_signal(ZX_TASK_RETCODE_OOM_KILL, 0, ABI_SIGKILL);
    expect_signal(ZX_TASK_RETCODE_EXCEPTION_KILL, 0, ABI_SIGSEGV);
    expect_signal(ZX_TASK_RETCODE_EXCEPTION_KILL, ABI_SIGTERM, ABI_SIGSEGV);
    expect_signal(ZX_TASK_RETCODE_POLICY_KILL, 0, ABI_SIGSYS);
    expect_signal(ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL, 0, ABI_SIGKILL);
    for (int signal = 1; signal <= 64; signal++) {
        expect_signal(spawn_retcode_of_signal(signal), 0, signal);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(exits), cmocka_unit_test(signals)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
