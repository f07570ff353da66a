// From return codes to what waitpid() answers.
#include <spawn/status.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/wait.h>

#include <cmocka.h>

#include <jacinth/abort.h>
#include <libc/abi.h>
#include <signal/signal_set.h>
#include <zircon/errors.h>
#include <zircon/syscalls/exception.h>
#include <zircon/syscalls/object.h>

static void expect_exit(int64_t retcode, int sent, int code) {
    int status = spawn_status(retcode, nullptr, sent);
    assert_true(WIFEXITED(status) && !WIFSIGNALED(status) && !WIFSTOPPED(status));
    assert_int_equal(WEXITSTATUS(status), code);
    assert_int_equal(spawn_status_code(status), code);
    assert_int_equal(spawn_status_signal(status), 0);
}

static void expect_signal(int64_t retcode, int sent, int signal) {
    int status = spawn_status(retcode, nullptr, sent);
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

static void expect_exception(uint32_t type, uint64_t vector, uint64_t error, zx_status_t why,
                             int signal, int code) {
    zx_exception_report_t report = {
        .header.type = type,
        .context = {.arch.u.x86_64 = {.vector = vector, .err_code = error},
                    .synth_code = (uint32_t)why}};
    int got_code = 0;
    assert_int_equal(signal_of_exception(&report, &got_code), signal);
    assert_int_equal(got_code, code);
    assert_int_equal(WTERMSIG(spawn_status(ZX_TASK_RETCODE_EXCEPTION_KILL, &report, 0)), signal);
    // Not believed of one that ended otherwise.
    assert_int_equal(WTERMSIG(spawn_status(ZX_TASK_RETCODE_SYSCALL_KILL, &report, 0)), ABI_SIGKILL);
}

static void exceptions(void**) {
    const struct {
        uint32_t type;
        uint64_t vector, error;
        zx_status_t why;
        int64_t signal, code;
    } rows[] = {
        {ZX_EXCP_FATAL_PAGE_FAULT, 14, 4, ZX_ERR_NOT_FOUND, ABI_SIGSEGV, ABI_SEGV_MAPERR},
        {ZX_EXCP_FATAL_PAGE_FAULT, 14, 7, ZX_ERR_ACCESS_DENIED, ABI_SIGSEGV, ABI_SEGV_ACCERR},
        {ZX_EXCP_FATAL_PAGE_FAULT, 14, 4, ZX_ERR_OUT_OF_RANGE, ABI_SIGBUS, ABI_BUS_ADRERR},
        {ZX_EXCP_FATAL_PAGE_FAULT, 14, 4, ZX_ERR_IO, ABI_SIGBUS, ABI_BUS_ADRERR},
        {ZX_EXCP_GENERAL, 0, 0, 0, ABI_SIGFPE, ABI_FPE_INTDIV},
        {ZX_EXCP_GENERAL, 16, 0, 0, ABI_SIGFPE, ABI_FPE_FLTINV},
        {ZX_EXCP_GENERAL, 19, 0, 0, ABI_SIGFPE, ABI_FPE_FLTINV},
        {ZX_EXCP_GENERAL, 13, 0, 0, ABI_SIGSEGV, ABI_SI_KERNEL},
        {ZX_EXCP_GENERAL, 13, JACINTH_ABORT_ERROR, 0, ABI_SIGABRT, ABI_SI_TKILL},
        {ZX_EXCP_GENERAL, 13, JACINTH_ABORT_ERROR_WIDE, 0, ABI_SIGABRT, ABI_SI_TKILL},
        {ZX_EXCP_GENERAL, 0, JACINTH_ABORT_ERROR, 0, ABI_SIGFPE, ABI_FPE_INTDIV},
        {ZX_EXCP_UNDEFINED_INSTRUCTION, 6, 0, 0, ABI_SIGILL, ABI_ILL_ILLOPN},
        {ZX_EXCP_SW_BREAKPOINT, 3, 0, 0, ABI_SIGTRAP, ABI_TRAP_BRKPT},
        {ZX_EXCP_HW_BREAKPOINT, 1, 0, 0, ABI_SIGTRAP, ABI_TRAP_TRACE},
        {ZX_EXCP_UNALIGNED_ACCESS, 17, 0, 0, ABI_SIGBUS, ABI_BUS_ADRALN},
        {ZX_EXCP_POLICY_ERROR, 0, 0, 18, ABI_SIGSYS, ABI_SI_KERNEL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_exception(rows[i].type, rows[i].vector, rows[i].error, rows[i].why,
                         (int)rows[i].signal, (int)rows[i].code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(exits), cmocka_unit_test(signals),
                                       cmocka_unit_test(exceptions)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
