// Children: posix_spawn, vfork, exec, waitpid.
#include "children.h"

#include <limits.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/times.h>
#include <time.h>

#include <zircon/process.h>

GROUP("libc_spawn");

static char exit_word[] = "exit", echo_word[] = "echo", cat_word[] = "cat";
static char descriptors_word[] = "descriptors", raise_word[] = "raise", zero[] = "0";

// ---- posix_spawn ----

CASE(exit_codes) {
    for (int code = 0; code < 256; code += 51) {
        char text[8];
        snprintf(text, sizeof(text), "%d", code);
        EXPECT_EQ(exit_code(start(nullptr, ARGS(exit_word, text))), code);
    }
    EXPECT_EQ(waitpid(-1, nullptr, 0), -1);
    EXPECT_EQ(errno, ECHILD);
}

CASE(arguments_environment_output) {
    int out;
    pid_t pid = start(&out, ARGS(echo_word, (char*)"hello, world"));
    EXPECT_TEXT(slurp(out), "hello, world\n");
    EXPECT_EQ(exit_code(pid), 0);

    char* env[] = {(char*)"A=1", (char*)"KEY=value of it", nullptr};
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    EXPECT_EQ(
        posix_spawn(&pid, PROGRAM, &actions, nullptr, ARGS((char*)"getenv", (char*)"KEY"), env), 0);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    EXPECT_EQ(close(ends[1]), 0);
    EXPECT_TEXT(slurp(ends[0]), "value of it\n");
    EXPECT_EQ(exit_code(pid), 0);
}

CASE(file_actions_happen_in_the_child_only) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    posix_spawn_file_actions_t actions;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_addclose(&actions, 0), 0);
    EXPECT_EQ(posix_spawn_file_actions_addopen(&actions, 7, "/dev/null", O_RDONLY, 0), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, ends[0], 6), 0);
    EXPECT_EQ(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
    EXPECT_EQ(posix_spawn_file_actions_addclose(&actions, ends[1]), 0);
    EXPECT_EQ(posix_spawn_file_actions_addclose(&actions, 5), 0);
    pid_t pid;
    EXPECT_EQ(posix_spawn(&pid, PROGRAM, &actions, nullptr, ARGS(descriptors_word), environ), 0);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    EXPECT_EQ(exit_code(pid) & (1 << 0 | 1 << 5 | 1 << 6 | 1 << 7), 1 << 6 | 1 << 7);
    EXPECT(fcntl(ends[0], F_GETFD) == 0 && fcntl(ends[1], F_GETFD) == 0);
    EXPECT_EQ(fcntl(7, F_GETFD), -1);
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(close(ends[1]), 0);
}

CASE(close_on_exec) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT(ends[0] < 8 && ends[1] < 8);
    int plain = exit_code(start(nullptr, ARGS(descriptors_word)));
    EXPECT_EQ(plain & (1 << ends[0] | 1 << ends[1]), 0);
    EXPECT_EQ(fcntl(ends[0], F_SETFD, 0), 0);
    EXPECT_EQ(exit_code(start(nullptr, ARGS(descriptors_word))), plain | 1 << ends[0]);
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(close(ends[1]), 0);
}

CASE(spawn_errors) {
    pid_t pid = 77;
    EXPECT_EQ(posix_spawn(&pid, "/boot/test/no_such", nullptr, nullptr, ARGS(zero), environ),
              ENOENT);
    EXPECT_EQ(posix_spawn(&pid, "/nowhere/no_such", nullptr, nullptr, ARGS(zero), environ), ENOENT);
    EXPECT_EQ(posix_spawn(&pid, "", nullptr, nullptr, ARGS(zero), environ), ENOENT);
    EXPECT_EQ(posix_spawn(&pid, "/boot/test", nullptr, nullptr, ARGS(zero), environ), EACCES);
    EXPECT_EQ(setenv("PATH", "/boot/bin:/nowhere", 1), 0);
    EXPECT_EQ(posix_spawnp(&pid, "no_such", nullptr, nullptr, ARGS(zero), environ), ENOENT);

    posix_spawn_file_actions_t actions;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, 99, 1), 0);
    EXPECT_EQ(posix_spawn(&pid, PROGRAM, &actions, nullptr, ARGS(exit_word, zero), environ), EBADF);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);

    static char large[80 * 1024];
    memset(large, 'x', sizeof(large) - 1);
    EXPECT_EQ(posix_spawn(&pid, PROGRAM, nullptr, nullptr, ARGS(exit_word, zero, large), environ),
              E2BIG);
    EXPECT_EQ(pid, 77);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1); // no child has been
    EXPECT_EQ(errno, ECHILD);
}

CASE(spawnp_searches) {
    EXPECT_EQ(setenv("PATH", "/nowhere:/boot/bin", 1), 0);
    pid_t pid;
    EXPECT_EQ(
        posix_spawnp(&pid, "libc_child", nullptr, nullptr, ARGS(exit_word, (char*)"5"), environ),
        0);
    EXPECT_EQ(exit_code(pid), 5);
    EXPECT_EQ(unsetenv("PATH"), 0);
}

CASE(who_it_is) {
    int out;
    pid_t pid = start(&out, ARGS((char*)"ids"));
    char want[64];
    snprintf(want, sizeof(want), "%d %d %d %d\n", pid, getpid(), getpgrp(), getsid(0));
    EXPECT_TEXT(slurp(out), want);
    EXPECT_EQ(exit_code(pid), 0);
    pid = start(&out, ARGS((char*)"self"));
    EXPECT_TEXT(slurp(out), PROGRAM);
    EXPECT_EQ(exit_code(pid), 0);
}

CASE(a_program_with_an_interpreter) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    pid_t pid;
    EXPECT_EQ(posix_spawn(&pid, "/boot/measure/libc_hello_dynamic", &actions, nullptr, ARGS(zero),
                          environ),
              0);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    EXPECT_EQ(close(ends[1]), 0);
    EXPECT(strncmp(slurp(ends[0]), "hello, world: 2 arguments", 25) == 0);
    EXPECT_EQ(exit_code(pid), 0);
}

// ---- vfork ----

CASE(vfork_and_exec) {
    volatile int in_child = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        in_child = 1;
        execl(PROGRAM, "child", "exit", "9", (char*)nullptr);
        _exit(1);
    }
    EXPECT(pid >= 1024);
    EXPECT_EQ(in_child, 1);
    EXPECT_EQ(exit_code(pid), 9);
}

CASE(vfork_and_exit) {
    pid_t pid = vfork();
    if (pid == 0) {
        _exit(3);
    }
    EXPECT(pid >= 1024);
    EXPECT_EQ(exit_code(pid), 3);
    pid = vfork();
    if (pid == 0) {
        raise(SIGTERM);
        _exit(1);
    }
    EXPECT_EQ(exit_signal(pid), SIGTERM);
    pid = vfork();
    if (pid == 0) {
        abort();
    }
    EXPECT_EQ(exit_signal(pid), SIGABRT);
}

CASE(vfork_child_changes_nothing) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    char before[PATH_MAX], after[PATH_MAX];
    EXPECT(getcwd(before, sizeof(before)) != nullptr);
    mode_t mask = umask(022);
    pid_t self = getpid();
    volatile pid_t child_self = 0, child_parent = 0;
    volatile int moved = -1, handled = -1;
    pid_t pid = vfork();
    if (pid == 0) {
        child_self = getpid();
        child_parent = getppid();
        close(ends[0]);
        dup2(ends[1], 9);
        moved = chdir("/boot");
        umask(077);
        handled = sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_IGN}, nullptr);
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, nullptr);
        setpgid(0, 0);
        _exit(0);
    }
    EXPECT_EQ(exit_code(pid), 0);
    EXPECT(child_self > 1 && child_self != self);
    EXPECT_EQ(child_parent, self);
    EXPECT_EQ(getpid(), self);
    EXPECT_EQ(moved, 0);
    EXPECT_EQ(handled, 0);
    EXPECT_EQ(fcntl(ends[0], F_GETFD), 0);
    EXPECT_EQ(fcntl(9, F_GETFD), -1);
    EXPECT(getcwd(after, sizeof(after)) != nullptr);
    EXPECT_TEXT(after, before);
    EXPECT_EQ(umask(mask), 022);
    struct sigaction action;
    sigset_t set;
    EXPECT_EQ(sigaction(SIGUSR1, nullptr, &action), 0);
    EXPECT(action.sa_handler == SIG_DFL);
    EXPECT_EQ(sigprocmask(SIG_BLOCK, nullptr, &set), 0);
    EXPECT_EQ(sigismember(&set, SIGTERM), 0);
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(close(ends[1]), 0);
}

CASE(vfork_child_goes_on_after_a_failed_exec) {
    volatile int error = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/boot/test/no_such", "x", (char*)nullptr);
        error = errno;
        execl(PROGRAM, "child", "exit", "4", (char*)nullptr);
        _exit(1);
    }
    EXPECT_EQ(error, ENOENT);
    EXPECT_EQ(exit_code(pid), 4);
}

CASE(vfork_in_vfork) {
    volatile pid_t inner = 0;
    pid_t outer = vfork();
    if (outer == 0) {
        inner = vfork();
        if (inner == 0) {
            execl(PROGRAM, "child", "exit", "21", (char*)nullptr);
            _exit(1);
        }
        _exit(22);
    }
    EXPECT(inner >= 1024 && outer >= 1024 && inner != outer);
    EXPECT_EQ(exit_code(outer), 22);
    EXPECT_EQ(exit_code(inner), 21);
}

CASE(umask_is_inherited) {
    mode_t before = umask(027);
    EXPECT_EQ(exit_code(start(nullptr, ARGS((char*)"umask"))), 027);
    EXPECT_EQ(umask(before), 027);
}

CASE(child_starts_where_it_was_sent) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(ends[1], 1);
        if (chdir("/boot/bin") != 0) {
            _exit(1);
        }
        execl("./libc_child", "child", "cwd", (char*)nullptr);
        _exit(2);
    }
    EXPECT_EQ(close(ends[1]), 0);
    EXPECT_TEXT(slurp(ends[0]), "/boot/bin\n");
    EXPECT_EQ(exit_code(pid), 0);
}

static void make_file(const char* path) {
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    EXPECT(fd >= 0);
    EXPECT_EQ(close(fd), 0);
}

static void twice(char* text) {
    size_t len = strlen(text);
    memcpy(text + len, text, len);
    text[2 * len] = 0;
}

// A child, and its child, see `names` in the working directory, and that it has no path.
static void expect_nowhere(const char* names) {
    char want[256];
    int out;
    snprintf(want, sizeof(want), "cwd=%d none=%d boot=0:%s; ", ENOENT, ENOENT, names);
    twice(want);
    pid_t pid = start(&out, ARGS((char*)"nowhere", (char*)"1"));
    EXPECT_TEXT(slurp(out), want);
    EXPECT_EQ(exit_code(pid), 0);
}

CASE(child_of_a_directory_that_was_removed) {
    EXPECT_EQ(mkdir("/tmp/w", 0700), 0);
    EXPECT_EQ(chdir("/tmp/w"), 0);
    EXPECT_EQ(rmdir("/tmp/w"), 0);
    expect_nowhere("");
    EXPECT_EQ(mkdir("/tmp/w", 0700), 0); // of the same name, but another
    make_file("/tmp/w/other");
    expect_nowhere("");
    EXPECT_EQ(chdir("/"), 0);
    EXPECT_EQ(unlink("/tmp/w/other"), 0);
    EXPECT_EQ(rmdir("/tmp/w"), 0);
}

CASE(child_of_a_directory_that_was_renamed) {
    EXPECT_EQ(mkdir("/tmp/w", 0700), 0);
    EXPECT_EQ(mkdir("/tmp/w/in", 0700), 0);
    EXPECT_EQ(chdir("/tmp/w/in"), 0);
    make_file("mine");
    EXPECT_EQ(rename("/tmp/w", "/tmp/v"), 0);
    expect_nowhere(" mine");
    EXPECT_EQ(mkdir("/tmp/w", 0700), 0);
    EXPECT_EQ(mkdir("/tmp/w/in", 0700), 0);
    make_file("/tmp/w/in/other");
    expect_nowhere(" mine");
    EXPECT_EQ(unlink("mine"), 0);
    EXPECT_EQ(chdir("/"), 0);
    EXPECT_EQ(unlink("/tmp/w/in/other"), 0);
    EXPECT_EQ(rmdir("/tmp/w/in"), 0);
    EXPECT_EQ(rmdir("/tmp/w"), 0);
    EXPECT_EQ(rmdir("/tmp/v/in"), 0);
    EXPECT_EQ(rmdir("/tmp/v"), 0);
}

// It is told the path, and looks when that leads nowhere any more.
CASE(child_that_looks_too_late) {
    int in[2], out;
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(mkdir("/tmp/w", 0700), 0);
    EXPECT_EQ(chdir("/tmp/w"), 0);
    int stdin_before = fcntl(0, F_DUPFD_CLOEXEC, 3);
    EXPECT_EQ(dup2(in[0], 0), 0);
    pid_t pid = start(&out, ARGS((char*)"nowhere_later"));
    EXPECT_EQ(dup2(stdin_before, 0), 0);
    EXPECT_EQ(rmdir("/tmp/w"), 0);
    EXPECT_EQ(close(in[0]), 0);
    EXPECT_EQ(close(in[1]), 0); // now
    char want[128];
    constexpr char format[] = "cwd=%d none=%d boot=0: .=%d; ";
    snprintf(want, sizeof(want), format, ENOENT, ENOENT, ENOENT);
    twice(want);
    EXPECT_TEXT(slurp(out), want);
    EXPECT_EQ(exit_code(pid), 0);
    EXPECT_EQ(close(stdin_before), 0);
    EXPECT_EQ(chdir("/"), 0);
}

// A shell's pipeline: three processes in one group.
static pid_t stage(int in, int out, pid_t group, char* word, char* argument) {
    pid_t pid = vfork();
    if (pid == 0) {
        setpgid(0, group);
        dup2(in, 0);
        dup2(out, 1);
        execl(PROGRAM, "child", word, argument, (char*)nullptr);
        _exit(127);
    }
    return pid;
}

CASE(pipelines) {
    for (int round = 0; round < 5; round++) {
        int first[2], second[2], last[2];
        EXPECT_EQ(pipe2(first, O_CLOEXEC), 0);
        EXPECT_EQ(pipe2(second, O_CLOEXEC), 0);
        EXPECT_EQ(pipe2(last, O_CLOEXEC), 0);
        pid_t a = stage(0, first[1], 0, echo_word, (char*)"through all three");
        pid_t b = stage(first[0], second[1], a, cat_word, nullptr);
        pid_t c = stage(second[0], last[1], a, cat_word, nullptr);
        EXPECT(a > 0 && b > 0 && c > 0);
        EXPECT(getpgid(a) == a && getpgid(b) == a && getpgid(c) == a);
        int mine[] = {first[0], first[1], second[0], second[1], last[1]};
        for (size_t i = 0; i < 5; i++) {
            EXPECT_EQ(close(mine[i]), 0);
        }
        EXPECT_TEXT(slurp(last[0]), "through all three\n");
        EXPECT(exit_code(c) == 0 && exit_code(a) == 0 && exit_code(b) == 0);
    }
}

// ---- exec without vfork ----

CASE(exec_keeps_the_pid) {
    int out;
    pid_t pid = start(&out, ARGS((char*)"pid_exec", (char*)PROGRAM, (char*)"ids"));
    char want[96];
    snprintf(want, sizeof(want), "%d\n%d %d %d %d\n", pid, pid, getpid(), getpgrp(), getsid(0));
    EXPECT_TEXT(slurp(out), want);
    EXPECT_EQ(exit_code(pid), 0);
}

CASE(exec_several_times) {
    char exec_word[] = "exec", path[] = PROGRAM;
    pid_t pid = start(
        nullptr, ARGS(exec_word, path, exec_word, path, exec_word, path, exit_word, (char*)"33"));
    EXPECT_EQ(exit_code(pid), 33);
    pid = start(nullptr, ARGS(exec_word, path, raise_word, (char*)"15"));
    EXPECT_EQ(exit_signal(pid), SIGTERM);
    pid = start(nullptr, ARGS(exec_word, (char*)"/boot/test/no_such"));
    EXPECT_EQ(exit_code(pid), 126);
}

CASE(exec_is_signalled_in_its_new_shape) {
    int out;
    pid_t pid = start(&out, ARGS((char*)"exec", (char*)PROGRAM, (char*)"handle", (char*)"10"));
    (void)line_of(out); // the new program has its handler
    EXPECT_EQ(kill(pid, SIGUSR1), 0);
    EXPECT_EQ(exit_code(pid), 110);
    EXPECT_EQ(close(out), 0);
    pid = start(&out, ARGS((char*)"exec", (char*)PROGRAM, (char*)"handle", (char*)"10"));
    (void)line_of(out);
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_EQ(exit_signal(pid), SIGKILL);
    EXPECT_EQ(close(out), 0);
}

// ---- waitpid ----

CASE(wait_for_whom) {
    EXPECT_EQ(waitpid(getpid(), nullptr, 0), -1);
    EXPECT_EQ(errno, ECHILD);
    pid_t sleeper = start(nullptr, ARGS((char*)"sleep"));
    int status;
    EXPECT_EQ(waitpid(sleeper, &status, WNOHANG), 0);
    EXPECT_EQ(waitpid(-1, &status, WNOHANG), 0);
    pid_t quick = start(nullptr, ARGS(exit_word, (char*)"2"));
    EXPECT_EQ(waitpid(-1, &status, 0), quick);
    EXPECT_EQ(WEXITSTATUS(status), 2);
    EXPECT_EQ(waitpid(quick, &status, 0), -1);
    EXPECT_EQ(errno, ECHILD);
    EXPECT_EQ(waitpid(0, &status, WNOHANG), 0);
    EXPECT_EQ(waitpid(-sleeper, &status, WNOHANG), -1); // it leads no group
    EXPECT_EQ(errno, ECHILD);
    EXPECT_EQ(waitpid(sleeper, &status, 0x40), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(kill(sleeper, SIGKILL), 0);
    EXPECT_EQ(exit_signal(sleeper), SIGKILL);
}

CASE(waitid_and_usage) {
    pid_t pid = start(nullptr, ARGS(exit_word, (char*)"6"));
    siginfo_t info;
    EXPECT_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    EXPECT(info.si_pid == pid && info.si_code == CLD_EXITED && info.si_status == 6);
    EXPECT_EQ(waitid(P_ALL, 0, &info, WEXITED), 0);
    EXPECT(info.si_signo == SIGCHLD && info.si_pid == pid && info.si_status == 6);
    EXPECT_EQ(waitid(P_ALL, 0, &info, WEXITED), -1);
    EXPECT_EQ(errno, ECHILD);
    struct rusage usage;
    EXPECT_EQ(getrusage(RUSAGE_CHILDREN, &usage), 0);
    EXPECT(usage.ru_utime.tv_sec > 0 || usage.ru_utime.tv_usec > 0);
    struct tms times_now;
    EXPECT(times(&times_now) != (clock_t)-1);
}

static int with_signals_of(const char* what, char* argument) {
    return exit_signal(start(nullptr, ARGS((char*)what, argument)));
}

CASE(ends_by_signals) {
    EXPECT_EQ(with_signals_of("raise", (char*)"15"), SIGTERM);
    EXPECT_EQ(with_signals_of("raise", (char*)"9"), SIGKILL);
    EXPECT_EQ(with_signals_of("raise", (char*)"13"), SIGPIPE);
    EXPECT_EQ(with_signals_of("abort", nullptr), SIGABRT);
    EXPECT_EQ(with_signals_of("raise", (char*)"6"), SIGABRT);
    EXPECT_EQ(with_signals_of("alarm", nullptr), SIGALRM);
    EXPECT_EQ(exit_code(start(nullptr, ARGS(raise_word, (char*)"17"))), 77); // SIGCHLD: ignored
}

CASE(ends_by_exceptions) {
    EXPECT_EQ(with_signals_of("fault", (char*)"11"), SIGSEGV);
    EXPECT_EQ(with_signals_of("fault", (char*)"8"), SIGFPE);
    EXPECT_EQ(with_signals_of("fault", (char*)"4"), SIGILL);
    EXPECT_EQ(with_signals_of("fault", (char*)"5"), SIGTRAP);
    EXPECT_EQ(with_signals_of("fault", (char*)"7"), SIGBUS);
    EXPECT_EQ(with_signals_of("fault", (char*)"31"), SIGSYS);
}

CASE_WITHIN(hundred_children, 60) {
    enum { COUNT = 100 };
    static pid_t pids[COUNT];
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    for (int i = 0; i < COUNT; i++) {
        char code[8];
        snprintf(code, sizeof(code), "%d", i);
        pids[i] = start(nullptr, ARGS(exit_word, code));
    }
    bool seen[COUNT] = {};
    for (int i = 0; i < COUNT; i++) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        EXPECT(pid > 0 && WIFEXITED(status));
        int code = WEXITSTATUS(status);
        EXPECT(code < COUNT && pids[code] == pid && !seen[code]);
        seen[code] = true;
    }
    EXPECT_EQ(waitpid(-1, nullptr, 0), -1);
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(close(ends[1]), 0);
}

static uint32_t handles_open(void) {
    zx_info_process_handle_stats_t stats;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_HANDLE_STATS, &stats,
                                 sizeof(stats), nullptr, nullptr));
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof(stats.handle_count) / sizeof(stats.handle_count[0]); i++) {
        count += stats.handle_count[i];
    }
    return count;
}

CASE_WITHIN(five_hundred_in_a_row, 120) {
    uint32_t before = handles_open();
    for (int i = 0; i < 500; i++) {
        pid_t pid = i % 2 == 0 ? start(nullptr, ARGS(exit_word, zero)) : vfork();
        if (pid == 0) {
            if (i % 4 == 1) {
                _exit(0);
            }
            setpgid(0, 0);
            execl(PROGRAM, "child", "exit", "0", (char*)nullptr);
            _exit(1);
        }
        EXPECT_EQ(exit_code(pid), 0);
    }
    EXPECT_EQ(handles_open(), before);
}

// ---- scripts ----

static void write_file(const char* path, const char* text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    EXPECT_EQ(close(fd), 0);
}

static int spawn_error(const char* path) {
    pid_t pid;
    int error = posix_spawn(&pid, path, nullptr, nullptr, ARGS(zero), environ);
    return error != 0 ? error : -exit_code(pid);
}

// ---- who runs a file, and who writes to it ----

static const char copy_path[] = "/tmp/libc_spawn_copy";

static void copy_program(void) {
    static char buffer[64 << 10];
    int from = open(PROGRAM, O_RDONLY | O_CLOEXEC);
    int to = open(copy_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    EXPECT(from >= 0 && to >= 0);
    ssize_t n;
    while ((n = read(from, buffer, sizeof(buffer))) > 0) {
        EXPECT_EQ(write(to, buffer, (size_t)n), n);
    }
    EXPECT_EQ(close(from) + close(to), 0);
}

static int spawn_copy(pid_t* pid, int input, char** argv) {
    posix_spawn_file_actions_t actions;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, input, 0), 0);
    int error = posix_spawn(pid, copy_path, &actions, nullptr, argv, environ);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    return error;
}

static void expect_busy(void) {
    EXPECT_EQ(open(copy_path, O_WRONLY), -1);
    EXPECT_EQ(errno, ETXTBSY);
    EXPECT_EQ(open(copy_path, O_RDWR | O_TRUNC), -1);
    EXPECT_EQ(errno, ETXTBSY);
    EXPECT_EQ(truncate(copy_path, 0), -1);
    EXPECT_EQ(errno, ETXTBSY);
}

// Each end frees the file at once: nobody has to try again.
CASE(a_program_is_not_changed_while_it_runs) {
    copy_program();
    for (int i = 0; i < 20; i++) {
        pid_t pid;
        int ends[2];
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
        EXPECT_EQ(spawn_copy(&pid, ends[0], ARGS(cat_word)), 0);
        expect_busy();
        int reader = open(copy_path, O_RDONLY);
        EXPECT(reader >= 0);
        EXPECT_EQ(close(reader), 0);
        EXPECT_EQ(close(ends[0]) + close(ends[1]), 0);
        EXPECT_EQ(exit_code(pid), 0);

        int writer = open(copy_path, O_WRONLY | O_CLOEXEC);
        EXPECT(writer >= 0);
        EXPECT_EQ(spawn_copy(&pid, 0, ARGS(exit_word, zero)), ETXTBSY);
        EXPECT_EQ(close(writer), 0);
        EXPECT_EQ(spawn_copy(&pid, 0, ARGS(exit_word, zero)), 0);
        EXPECT_EQ(exit_code(pid), 0);
    }
    EXPECT_EQ(unlink(copy_path), 0);
}

CASE(a_program_that_runs_may_lose_its_name) {
    copy_program();
    pid_t pid;
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_EQ(spawn_copy(&pid, ends[0], ARGS(cat_word)), 0);
    EXPECT_EQ(unlink(copy_path), 0);
    copy_program(); // another file
    EXPECT_EQ(unlink(copy_path), 0);
    EXPECT_EQ(close(ends[0]) + close(ends[1]), 0);
    EXPECT_EQ(exit_code(pid), 0);
}

CASE(scripts) {
    // The interpreter gets its argument, the script's path and the rest of the arguments.
    write_file("/tmp/script", "#! " PROGRAM " count  \nnothing of this is read\n", 0755);
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(ends[1], 1);
        execl("/tmp/script", "own name", "one", "two", (char*)nullptr);
        _exit(1);
    }
    EXPECT_EQ(close(ends[1]), 0);
    EXPECT_TEXT(slurp(ends[0]), "5\n"); // interpreter, count, path, one, two
    EXPECT_EQ(exit_code(pid), 0);

    // Scripts of scripts, up to five.
    char path[] = "/tmp/script0", text[64] = "#!" PROGRAM " exit\n";
    for (int i = 0; i < 6; i++) {
        path[sizeof(path) - 2] = (char)('0' + i);
        write_file(path, text, 0755);
        snprintf(text, sizeof(text), "#!%s\n", path);
    }
    EXPECT_EQ(spawn_error("/tmp/script0"), 0); // "exit /tmp/script0": 0
    EXPECT_EQ(spawn_error("/tmp/script4"), 0);
    EXPECT_EQ(spawn_error("/tmp/script5"), ELOOP);
    for (int i = 0; i < 6; i++) {
        path[sizeof(path) - 2] = (char)('0' + i);
        EXPECT_EQ(unlink(path), 0);
    }

    write_file("/tmp/script", "#!/nowhere/interpreter\n", 0755);
    EXPECT_EQ(spawn_error("/tmp/script"), ENOENT);
    EXPECT_EQ(chmod("/tmp/script", 0644), 0);
    EXPECT(spawn_error("/tmp/script") != 0);
    EXPECT_EQ(unlink("/tmp/script"), 0);
}

CASE(exec_of_what_is_no_program) {
    EXPECT_EQ(spawn_error("/boot/etc/services"), ENOEXEC);
    EXPECT_EQ(spawn_error("/dev/null"), EACCES);
}

// ---- threads ----

static void* spawner(void* arg) {
    for (int i = 0; i < 10; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execl(PROGRAM, "child", "exit", "12", (char*)nullptr);
            _exit(1);
        }
        int status;
        if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
            WEXITSTATUS(status) != 12) {
            return arg;
        }
    }
    return nullptr;
}

CASE_WITHIN(four_threads_spawn, 60) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(pthread_create(&threads[i], nullptr, spawner, threads), 0);
    }
    for (int i = 0; i < 4; i++) {
        void* result;
        EXPECT_EQ(pthread_join(threads[i], &result), 0);
        EXPECT(result == nullptr);
    }
}

// One thread waits for any child while another one starts the first.
static void* wait_for_any(void* arg) {
    int status = -1;
    pid_t pid = waitpid(-1, &status, 0);
    *(int*)arg = status;
    return (void*)(intptr_t)pid;
}

CASE(a_waiter_hears_of_new_children) {
    pid_t sleeper = start(nullptr, ARGS((char*)"sleep"));
    int status;
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, wait_for_any, &status), 0);
    utest_sleep_ms(50);
    pid_t quick = start(nullptr, ARGS(exit_word, (char*)"8"));
    void* got;
    EXPECT_EQ(pthread_join(thread, &got), 0);
    EXPECT_EQ((pid_t)(intptr_t)got, quick);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 8);
    EXPECT_EQ(kill(sleeper, SIGTERM), 0);
    EXPECT_EQ(exit_signal(sleeper), SIGTERM);
}

CASE(fork_is_refused) {
    EXPECT_EQ(fork(), -1);
    EXPECT_EQ(errno, ENOSYS);
}
