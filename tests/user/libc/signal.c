// Signals: actions, masks, delivery, kill, groups, the alarm clock.
#include "children.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>

GROUP("libc_signal");

static _Atomic int count;
static _Atomic int last;
static _Atomic int last_pid, last_status, last_code;

static void on_signal(int signal) {
    last = signal;
    count++;
}

static void on_signal_info(int signal, siginfo_t* info, void* context) {
    last = signal;
    last_pid = info->si_pid;
    last_status = info->si_status;
    last_code = info->si_code;
    count += context != nullptr;
}

// Resets the count. The action before is lost: each case ends with leave().
static void handle(int signal, int flags) {
    count = 0;
    last = 0;
    struct sigaction action = {.sa_flags = flags};
    if ((flags & SA_SIGINFO) != 0) {
        action.sa_sigaction = on_signal_info;
    } else {
        action.sa_handler = on_signal;
    }
    EXPECT_EQ(sigaction(signal, &action, nullptr), 0);
}

static void leave(int sig) {
    EXPECT(signal(sig, SIG_DFL) != SIG_ERR);
}

static sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

static int64_t now_ms(void) {
    struct timespec t;
    EXPECT_EQ(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

// ---- to oneself ----

CASE(raise_runs_the_handler) {
    handle(SIGUSR1, 0);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(count, 1);
    EXPECT_EQ(kill(getpid(), SIGUSR1), 0);
    EXPECT_EQ(count, 2);
    EXPECT_EQ(pthread_kill(pthread_self(), SIGUSR1), 0);
    EXPECT(count == 3 && last == SIGUSR1);
    leave(SIGUSR1);
    EXPECT_EQ(raise(SIGCHLD), 0); // ignored
    EXPECT_EQ(raise(SIGWINCH), 0);
    EXPECT_EQ(kill(getpid(), 0), 0);
    EXPECT_EQ(kill(getpid(), 65), -1);
    EXPECT_EQ(errno, EINVAL);
}

CASE(actions) {
    EXPECT_EQ(sigaction(SIGKILL, &(struct sigaction){.sa_handler = SIG_IGN}, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    handle(SIGUSR2, SA_RESTART);
    struct sigaction got;
    EXPECT_EQ(sigaction(SIGUSR2, &(struct sigaction){.sa_handler = SIG_IGN}, &got), 0);
    EXPECT(got.sa_handler == on_signal && (got.sa_flags & SA_RESTART) != 0);
    EXPECT_EQ(raise(SIGUSR2), 0);
    EXPECT_EQ(count, 0);
    handle(SIGUSR2, (int)SA_RESETHAND);
    EXPECT_EQ(raise(SIGUSR2), 0);
    EXPECT_EQ(count, 1);
    EXPECT_EQ(sigaction(SIGUSR2, nullptr, &got), 0);
    EXPECT(got.sa_handler == SIG_DFL);
}

CASE(blocked_signals_wait) {
    handle(SIGUSR1, 0);
    sigset_t set = set_of(SIGUSR1), old, pending;
    EXPECT_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(kill(getpid(), SIGUSR1), 0);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(sigpending(&pending), 0);
    EXPECT_EQ(sigismember(&pending, SIGUSR1), 1);
    EXPECT_EQ(sigismember(&pending, SIGUSR2), 0);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &old, nullptr), 0);
    EXPECT_EQ(count, 2); // the thread's and the process's, each once
    EXPECT_EQ(sigpending(&pending), 0);
    EXPECT_EQ(sigismember(&pending, SIGUSR1), 0);
    leave(SIGUSR1);
}

static void nested_handler(int signal) {
    int depth = count++;
    if (depth == 0) {
        raise(signal); // blocked while its handler runs
        EXPECT_EQ(count, 1);
    }
}

CASE(a_handler_is_not_interrupted_by_its_own) {
    count = 0;
    struct sigaction action = {.sa_handler = nested_handler};
    EXPECT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(count, 2); // the second one after the first
    leave(SIGUSR1);
}

static sigjmp_buf back;

static void jump(int signal) {
    siglongjmp(back, signal);
}

CASE(a_handler_may_jump_out) {
    sigset_t mask;
    struct sigaction action = {.sa_handler = jump};
    EXPECT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
    int got = sigsetjmp(back, 1);
    if (got == 0) {
        raise(SIGUSR1);
        FAIL("it came back");
    }
    EXPECT_EQ(got, SIGUSR1);
    EXPECT_EQ(sigprocmask(SIG_BLOCK, nullptr, &mask), 0);
    EXPECT_EQ(sigismember(&mask, SIGUSR1), 0);
    leave(SIGUSR1);
}

CASE(waiting_for_a_signal) {
    sigset_t set = set_of(SIGUSR2), old;
    EXPECT_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
    siginfo_t info;
    EXPECT_EQ(sigtimedwait(&set, &info, &(struct timespec){.tv_nsec = 20'000'000}), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(kill(getpid(), SIGUSR2), 0);
    EXPECT_EQ(sigwaitinfo(&set, &info), SIGUSR2);
    EXPECT(info.si_signo == SIGUSR2 && info.si_code == SI_USER && info.si_pid == getpid());
    EXPECT_EQ(sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 4711}), 0);
    EXPECT_EQ(sigwaitinfo(&set, &info), SIGUSR2);
    EXPECT(info.si_code == SI_QUEUE && info.si_value.sival_int == 4711);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &old, nullptr), 0);
}

static int values[8];

static void on_value(int signal, siginfo_t* info, void*) {
    EXPECT_EQ(signal, SIGRTMIN);
    values[count++ % 8] = info->si_code == SI_QUEUE ? info->si_value.sival_int : -1;
}

CASE(values_are_queued) {
    sigset_t set = set_of(SIGRTMIN), old;
    struct sigaction action = {.sa_sigaction = on_value, .sa_flags = SA_SIGINFO};
    EXPECT_EQ(sigaction(SIGRTMIN, &action, nullptr), 0);
    EXPECT_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
    count = 0;
    for (int i = 1; i <= 3; i++) {
        EXPECT_EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}), 0);
    }
    EXPECT_EQ(kill(getpid(), SIGRTMIN), 0);
    EXPECT_EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5}), 0);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &old, nullptr), 0);
    EXPECT_EQ(count, 5);
    EXPECT(values[0] == 1 && values[1] == 2 && values[2] == 3 && values[3] == -1 && values[4] == 5);

    // There is an end to it; what is ignored in the meantime is gone.
    EXPECT_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
    int n = 0;
    while (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 7}) == 0) {
        n++;
    }
    EXPECT(errno == EAGAIN && n >= 32);
    EXPECT(signal(SIGRTMIN, SIG_IGN) != SIG_ERR);
    EXPECT_EQ(sigaction(SIGRTMIN, &action, nullptr), 0);
    count = 0;
    EXPECT_EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 8}), 0);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &old, nullptr), 0);
    EXPECT(count == 1 && values[0] == 8);
    EXPECT_EQ(sigqueue(getpid(), 0, (union sigval){}), 0);
    EXPECT_EQ(sigqueue(getpid(), 65, (union sigval){}), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(sigqueue(1, SIGRTMIN, (union sigval){}), -1);
    EXPECT_EQ(errno, ESRCH);
    leave(SIGRTMIN);
}

CASE(broken_pipe) {
    handle(SIGPIPE, 0);
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(write(ends[1], "x", 1), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(count, 1);
    EXPECT(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    EXPECT_EQ(write(ends[1], "x", 1), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(count, 1);
    EXPECT_EQ(close(ends[1]), 0);
    leave(SIGPIPE);
}

// ---- the alarm clock ----

CASE(alarms) {
    handle(SIGALRM, 0);
    sigset_t set = set_of(SIGALRM), old;
    EXPECT_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
    int64_t begin = now_ms();
    struct itimerval soon = {.it_value = {.tv_usec = 30'000}}, left;
    EXPECT_EQ(setitimer(ITIMER_REAL, &soon, nullptr), 0);
    EXPECT_EQ(sigsuspend(&old), -1);
    EXPECT_EQ(errno, EINTR);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &old, nullptr), 0);
    EXPECT(count == 1 && last == SIGALRM && now_ms() - begin >= 29);
    EXPECT_EQ(getitimer(ITIMER_REAL, &left), 0);
    EXPECT(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);

    struct itimerval often = {.it_value = {.tv_usec = 5'000}, .it_interval = {.tv_usec = 5'000}};
    EXPECT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
    while (count < 6) {
        pause();
    }
    EXPECT_EQ(setitimer(ITIMER_REAL, &(struct itimerval){}, &left), 0);
    EXPECT_EQ(left.it_interval.tv_usec, 5'000);
    EXPECT_EQ(alarm(100), 0);
    EXPECT_EQ(getitimer(ITIMER_REAL, &left), 0);
    EXPECT(left.it_value.tv_sec <= 100 && left.it_value.tv_sec > 50);
    EXPECT(alarm(0) > 50);
    leave(SIGALRM);
}

static void expect_rings(int which, int sig) {
    handle(sig, 0);
    struct itimerval often = {.it_value.tv_usec = 4000, .it_interval.tv_usec = 4000}, left;
    EXPECT_EQ(setitimer(which, &often, nullptr), 0);
    while (count < 4) { // it runs only while we do
    }
    EXPECT_EQ(setitimer(which, &(struct itimerval){.it_value.tv_sec = 500}, &left), 0);
    EXPECT_EQ(left.it_interval.tv_usec, 4000);
    int before = count;
    EXPECT_EQ(getitimer(which, &left), 0);
    EXPECT(left.it_value.tv_sec > 250 && left.it_value.tv_sec <= 500);
    EXPECT_EQ(setitimer(which, &(struct itimerval){}, nullptr), 0);
    EXPECT_EQ(count, before);
    leave(sig);
}

CASE(alarms_of_what_has_run) {
    expect_rings(ITIMER_PROF, SIGPROF);
    expect_rings(ITIMER_VIRTUAL, SIGVTALRM);
    EXPECT_EQ(setitimer(7, &(struct itimerval){}, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(getitimer(-1, &(struct itimerval){}), -1);
    EXPECT_EQ(errno, EINVAL);
}

// ---- what a signal does to what waits ----

// Again and again: on a slow machine the first one may come before the wait begins.
static void alarm_every_ms(int ms) {
    struct timeval t = {.tv_usec = (suseconds_t)ms * 1000};
    EXPECT_EQ(setitimer(ITIMER_REAL, &(struct itimerval){.it_value = t, .it_interval = t}, nullptr),
              0);
}

CASE(waits_end_by_signals) {
    handle(SIGALRM, 0);
    int ends[2];
    char byte;
    EXPECT_EQ(pipe(ends), 0);
    alarm_every_ms(20);
    EXPECT_EQ(read(ends[0], &byte, 1), -1);
    EXPECT_EQ(errno, EINTR);

    struct timespec rest = {};
    EXPECT_EQ(nanosleep(&(struct timespec){.tv_sec = 100}, &rest), -1);
    EXPECT_EQ(errno, EINTR);
    EXPECT(rest.tv_sec > 50 && rest.tv_sec < 100);

    pid_t pid = start(nullptr, ARGS((char*)"sleep"));
    EXPECT_EQ(waitpid(pid, nullptr, 0), -1);
    EXPECT_EQ(errno, EINTR);

    sem_t never;
    EXPECT_EQ(sem_init(&never, 0, 0), 0);
    EXPECT_EQ(sem_wait(&never), -1);
    EXPECT_EQ(errno, EINTR);
    EXPECT(count >= 4);

    // Ignored signals end nothing.
    EXPECT(signal(SIGALRM, SIG_IGN) != SIG_ERR);
    EXPECT_EQ(nanosleep(&(struct timespec){.tv_nsec = 100'000'000}, nullptr), 0);
    alarm(0);
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_EQ(exit_signal(pid), SIGKILL);
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(close(ends[1]), 0);
    leave(SIGALRM);
}

static int feed;

static void on_alarm_feed(int signal) {
    on_signal(signal);
    EXPECT_EQ(write(feed, "x", 1), 1);
}

CASE(waits_are_restarted) {
    int ends[2];
    char byte = 0;
    EXPECT_EQ(pipe(ends), 0);
    feed = ends[1];
    count = 0;
    struct sigaction action = {.sa_handler = on_alarm_feed, .sa_flags = SA_RESTART};
    EXPECT_EQ(sigaction(SIGALRM, &action, nullptr), 0);
    alarm_every_ms(20);
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    EXPECT(byte == 'x' && count >= 1);
    alarm(0);
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(close(ends[1]), 0);
    leave(SIGALRM);
}

// ---- children ----

CASE(sigchld) {
    handle(SIGCHLD, SA_SIGINFO);
    pid_t pid = start(nullptr, ARGS((char*)"exit", (char*)"3"));
    int64_t begin = now_ms();
    while (count == 0 && now_ms() - begin < 10'000) {
        nanosleep(&(struct timespec){.tv_nsec = 1'000'000}, nullptr);
    }
    EXPECT(count == 1 && last == SIGCHLD && last_pid == pid);
    EXPECT(last_code == CLD_EXITED && last_status == 3);
    EXPECT_EQ(exit_code(pid), 3);

    // It ends a sleep; and a child that never was has one, too.
    handle(SIGCHLD, 0);
    pid = vfork();
    if (pid == 0) {
        _exit(1);
    }
    EXPECT_EQ(count, 1);
    EXPECT_EQ(exit_code(pid), 1);
    sigset_t set = set_of(SIGCHLD), old;
    EXPECT_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
    pid = start(nullptr, ARGS((char*)"raise", (char*)"15"));
    EXPECT_EQ(sigsuspend(&old), -1);
    EXPECT_EQ(errno, EINTR);
    EXPECT_EQ(count, 2);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &old, nullptr), 0);
    EXPECT_EQ(exit_signal(pid), SIGTERM);
    leave(SIGCHLD);
}

CASE(sigchld_of_stops) {
    pid_t pid = start(nullptr, ARGS((char*)"sleep"));
    handle(SIGCHLD, SA_SIGINFO);
    EXPECT_EQ(kill(pid, SIGSTOP), 0);
    EXPECT_EQ(count, 1);
    EXPECT(last_pid == pid && last_code == CLD_STOPPED && last_status == SIGSTOP);
    EXPECT_EQ(kill(pid, SIGCONT), 0);
    EXPECT_EQ(count, 2);
    EXPECT(last_pid == pid && last_code == CLD_CONTINUED && last_status == SIGCONT);
    handle(SIGCHLD, SA_SIGINFO | SA_NOCLDSTOP);
    EXPECT_EQ(kill(pid, SIGTSTP), 0);
    EXPECT_EQ(kill(pid, SIGCONT), 0);
    EXPECT_EQ(count, 0);
    leave(SIGCHLD);
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_EQ(exit_signal(pid), SIGKILL);
}

CASE(values_for_a_child) {
    int out;
    pid_t pid = start(&out, ARGS((char*)"values"));
    (void)line_of(out);
    for (int i = 1; i <= 3; i++) {
        EXPECT_EQ(sigqueue(pid, SIGRTMIN, (union sigval){.sival_int = i}), 0);
    }
    EXPECT_EQ(exit_code(pid), 0123);
    EXPECT_EQ(close(out), 0);
}

// Whenever it comes, in the old program, in the new one, or between: it is not lost.
CASE_WITHIN(exec_loses_no_signal, 90) {
    posix_spawnattr_t attr;
    sigset_t mask = set_of(SIGUSR1);
    EXPECT_EQ(posix_spawnattr_init(&attr), 0);
    EXPECT_EQ(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK), 0);
    EXPECT_EQ(posix_spawnattr_setsigmask(&attr, &mask), 0);
    for (int i = 0; i < 25; i++) {
        pid_t pid;
        EXPECT_EQ(posix_spawn(&pid, PROGRAM, nullptr, &attr,
                              ARGS((char*)"exec_and_wait", (char*)"3"), environ),
                  0);
        int64_t begin = now_ms();
        while (now_ms() - begin < i) {
        }
        EXPECT_EQ(kill(pid, SIGUSR1), 0);
        EXPECT_EQ(exit_code(pid), 10);
    }
    EXPECT_EQ(posix_spawnattr_destroy(&attr), 0);
}

CASE(children_that_nobody_wants) {
    EXPECT(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    for (int i = 0; i < 5; i++) {
        (void)start(nullptr, ARGS((char*)"exit", (char*)"0"));
    }
    EXPECT_EQ(waitpid(-1, nullptr, 0), -1);
    EXPECT_EQ(errno, ECHILD);
    leave(SIGCHLD);
}

CASE(kill_a_child) {
    const int ends_it[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGKILL, SIGQUIT};
    for (size_t i = 0; i < sizeof(ends_it) / sizeof(ends_it[0]); i++) {
        pid_t pid = start(nullptr, ARGS((char*)"sleep"));
        EXPECT_EQ(kill(pid, 0), 0);
        EXPECT_EQ(kill(pid, SIGWINCH), 0);
        EXPECT_EQ(kill(pid, SIGCONT), 0);
        EXPECT_EQ(kill(pid, ends_it[i]), 0);
        EXPECT_EQ(exit_signal(pid), ends_it[i]);
        EXPECT_EQ(kill(pid, 0), -1);
        EXPECT_EQ(errno, ESRCH);
    }
    pid_t spinner = start(nullptr, ARGS((char*)"spin")); // never in the library
    EXPECT_EQ(kill(spinner, SIGINT), 0);
    EXPECT_EQ(exit_signal(spinner), SIGINT);
    EXPECT_EQ(kill(1, 0), -1);
    EXPECT_EQ(errno, ESRCH);
}

CASE(a_child_handles) {
    const int handled[] = {SIGTERM, SIGINT, SIGUSR2, SIGALRM, SIGWINCH, SIGPIPE};
    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++) {
        char number[8];
        snprintf(number, sizeof(number), "%d", handled[i]);
        int out;
        pid_t pid = start(&out, ARGS((char*)"handle", number));
        (void)line_of(out);
        EXPECT_EQ(kill(pid, handled[i]), 0);
        EXPECT_EQ(exit_code(pid), 100 + handled[i]);
        EXPECT_EQ(close(out), 0);
    }
}

// Bit 0: ignored, 1: blocked, 2: handled.
static int dispositions(int signal, const posix_spawnattr_t* attr) {
    char number[8];
    snprintf(number, sizeof(number), "%d", signal);
    pid_t pid;
    EXPECT_EQ(
        posix_spawn(&pid, PROGRAM, nullptr, attr, ARGS((char*)"dispositions", number), environ), 0);
    return exit_code(pid);
}

CASE(what_survives_exec) {
    EXPECT_EQ(dispositions(SIGINT, nullptr), 0);
    EXPECT(signal(SIGINT, SIG_IGN) != SIG_ERR);
    handle(SIGUSR1, 0);
    sigset_t set = set_of(SIGUSR2), old;
    EXPECT_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
    EXPECT_EQ(dispositions(SIGINT, nullptr), 1);
    EXPECT_EQ(dispositions(SIGUSR1, nullptr), 0);
    EXPECT_EQ(dispositions(SIGUSR2, nullptr), 2);

    // An ignored signal does not end it.
    pid_t pid = start(nullptr, ARGS((char*)"sleep"));
    EXPECT_EQ(kill(pid, SIGINT), 0);
    utest_sleep_ms(30);
    EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), 0);
    EXPECT_EQ(kill(pid, SIGTERM), 0);
    EXPECT_EQ(exit_signal(pid), SIGTERM);

    posix_spawnattr_t attr;
    sigset_t defaults = set_of(SIGINT), mask = set_of(SIGHUP);
    EXPECT_EQ(posix_spawnattr_init(&attr), 0);
    EXPECT_EQ(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK), 0);
    EXPECT_EQ(posix_spawnattr_setsigdefault(&attr, &defaults), 0);
    EXPECT_EQ(posix_spawnattr_setsigmask(&attr, &mask), 0);
    EXPECT_EQ(dispositions(SIGINT, &attr), 0);
    EXPECT_EQ(dispositions(SIGUSR2, &attr), 0);
    EXPECT_EQ(dispositions(SIGHUP, &attr), 2);
    EXPECT_EQ(posix_spawnattr_destroy(&attr), 0);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &old, nullptr), 0);
    leave(SIGINT);
    leave(SIGUSR1);
}

// ---- groups ----

static pid_t start_in_group(int* out, pid_t group, char** argv) {
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    EXPECT_EQ(posix_spawnattr_init(&attr), 0);
    EXPECT_EQ(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP), 0);
    EXPECT_EQ(posix_spawnattr_setpgroup(&attr, group), 0);
    pid_t pid;
    EXPECT_EQ(posix_spawn(&pid, PROGRAM, &actions, &attr, argv, environ), 0);
    EXPECT_EQ(posix_spawnattr_destroy(&attr), 0);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    EXPECT_EQ(close(ends[1]), 0);
    if (out != nullptr) {
        *out = ends[0];
    } else {
        EXPECT_EQ(close(ends[0]), 0);
    }
    return pid;
}

CASE(a_group_is_killed_at_once) {
    int out;
    pid_t leader = start_in_group(&out, 0, ARGS((char*)"with_child"));
    int leader_said = 0, grandchild = 0;
    EXPECT_EQ(sscanf(line_of(out), "%d %d", &leader_said, &grandchild), 2);
    EXPECT(leader_said == leader && grandchild > 0);
    pid_t second = start_in_group(nullptr, leader, ARGS((char*)"sleep"));
    EXPECT_EQ(getpgid(leader), leader);
    EXPECT_EQ(getpgid(second), leader);
    EXPECT_EQ(setpgid(second, leader), 0);
    EXPECT_EQ(setpgid(second, 0), -1);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(kill(grandchild, 0), 0); // below our job
    EXPECT_EQ(waitpid(-leader, nullptr, WNOHANG), 0);
    EXPECT_EQ(kill(-leader, SIGTERM), 0);
    EXPECT_EQ(exit_signal(leader), SIGTERM);
    EXPECT_EQ(exit_signal(second), SIGTERM);
    // The grandchild is gone with them: its end of the pipe is closed.
    EXPECT_TEXT(slurp(out), "");
    EXPECT_EQ(kill(-leader, SIGTERM), -1);
    EXPECT_EQ(errno, ESRCH);
}

CASE(a_group_that_was_killed_takes_members) {
    pid_t leader = start_in_group(nullptr, 0, ARGS((char*)"sleep"));
    EXPECT_EQ(kill(-leader, SIGKILL), 0);
    pid_t late = start_in_group(nullptr, leader, ARGS((char*)"exit", (char*)"5"));
    EXPECT_EQ(exit_signal(leader), SIGKILL);
    EXPECT_EQ(waitpid(-leader, nullptr, 0), late);
    EXPECT_EQ(waitpid(-leader, nullptr, 0), -1);
}

CASE(a_group_with_a_member_that_handles) {
    int out, other;
    pid_t leader = start_in_group(&out, 0, ARGS((char*)"handle", (char*)"2"));
    (void)line_of(out);
    pid_t second = start_in_group(&other, leader, ARGS((char*)"sleep"));
    EXPECT_EQ(killpg(leader, SIGINT), 0);
    EXPECT_EQ(exit_code(leader), 102);
    EXPECT_EQ(exit_signal(second), SIGINT);
    EXPECT_EQ(close(out), 0);
    EXPECT_EQ(close(other), 0);
}

CASE(a_child_stops_and_goes_on) {
    int status = 0;
    pid_t pid = start(nullptr, ARGS((char*)"sleep"));
    EXPECT_EQ(waitpid(pid, nullptr, WNOHANG | WUNTRACED | WCONTINUED), 0);
    EXPECT_EQ(kill(pid, SIGSTOP), 0);
    EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), 0); // who does not ask is not told
    EXPECT_EQ(waitpid(pid, &status, WUNTRACED), pid);
    EXPECT(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    EXPECT_EQ(waitpid(pid, nullptr, WNOHANG | WUNTRACED), 0); // once
    EXPECT_EQ(kill(pid, SIGTSTP), 0);                         // it stands still already
    EXPECT_EQ(waitpid(pid, nullptr, WNOHANG | WUNTRACED), 0);
    EXPECT_EQ(kill(pid, SIGCONT), 0);
    siginfo_t info;
    EXPECT_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WCONTINUED), 0);
    EXPECT(info.si_pid == pid && info.si_code == CLD_CONTINUED);
    EXPECT_EQ(kill(pid, SIGTSTP), 0);
    EXPECT_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED), 0);
    EXPECT(info.si_code == CLD_STOPPED && info.si_status == SIGTSTP);
    EXPECT_EQ(kill(pid, SIGKILL), 0); // one that stands still ends, too
    EXPECT_EQ(exit_signal(pid), SIGKILL);
}

CASE(no_such_group) {
    pid_t pid;
    posix_spawnattr_t attr;
    EXPECT_EQ(posix_spawnattr_init(&attr), 0);
    EXPECT_EQ(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP), 0);
    EXPECT_EQ(posix_spawnattr_setpgroup(&attr, 5), 0);
    EXPECT_EQ(posix_spawn(&pid, PROGRAM, nullptr, &attr, ARGS((char*)"exit"), environ), EPERM);
    EXPECT_EQ(posix_spawnattr_destroy(&attr), 0);
    EXPECT_EQ(killpg(5, SIGTERM), -1);
    EXPECT_EQ(errno, ESRCH);
}

// ---- threads ----

static sem_t ready;

static void* wait_for_child(void* arg) {
    pid_t pid = *(pid_t*)arg;
    EXPECT_EQ(sem_post(&ready), 0);
    pid_t got = waitpid(pid, nullptr, 0);
    return (void*)(intptr_t)(got == -1 ? errno : 0);
}

CASE(a_thread_in_waitpid_is_woken) {
    handle(SIGUSR1, 0);
    EXPECT_EQ(sem_init(&ready, 0, 0), 0);
    pid_t pid = start(nullptr, ARGS((char*)"sleep"));
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, wait_for_child, &pid), 0);
    EXPECT_EQ(sem_wait(&ready), 0);
    utest_sleep_ms(20);
    EXPECT_EQ(pthread_kill(thread, SIGUSR1), 0);
    void* result;
    EXPECT_EQ(pthread_join(thread, &result), 0);
    EXPECT_EQ((intptr_t)result, EINTR);
    EXPECT(count == 1 && last == SIGUSR1);
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_EQ(exit_signal(pid), SIGKILL);
    leave(SIGUSR1);
}

static void* take_one(void* arg) {
    sigset_t* set = arg;
    int signal = 0;
    EXPECT_EQ(sem_post(&ready), 0);
    EXPECT_EQ(sigwait(set, &signal), 0);
    return (void*)(intptr_t)signal;
}

CASE(a_thread_takes_the_process_signals) {
    sigset_t set = set_of(SIGUSR2), old;
    EXPECT_EQ(sem_init(&ready, 0, 0), 0);
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, take_one, &set), 0);
    EXPECT_EQ(sem_wait(&ready), 0);
    utest_sleep_ms(20);
    EXPECT_EQ(kill(getpid(), SIGUSR2), 0);
    void* result;
    EXPECT_EQ(pthread_join(thread, &result), 0);
    EXPECT_EQ((intptr_t)result, SIGUSR2);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &old, nullptr), 0);
}
