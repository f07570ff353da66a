// Descriptors that stand for events, time and memory, and epoll, which waits for many.
#include "children.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

GROUP("libc_events");

static int64_t now_ns(void) {
    struct timespec t;
    EXPECT_EQ(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

static void expect_error(long result, int error) {
    EXPECT_EQ(result, -1);
    EXPECT_EQ(errno, error);
}

static short polled(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    EXPECT(poll(&p, 1, 0) >= 0);
    return p.revents;
}

// ---- eventfd ----

CASE(numbers) {
    uint64_t value = 0;
    int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
    EXPECT(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    EXPECT_EQ(polled(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
    EXPECT_EQ(read(fd, &value, sizeof(value)), 8);
    EXPECT_EQ(value, 3);
    expect_error(read(fd, &value, sizeof(value)), EAGAIN);
    EXPECT_EQ(polled(fd, POLLIN | POLLOUT), POLLOUT);
    for (uint64_t i = 1; i <= 4; i++) {
        EXPECT_EQ(write(fd, &i, sizeof(i)), 8);
    }
    EXPECT_EQ(read(fd, &value, sizeof(value)), 8);
    EXPECT_EQ(value, 10);
    value = INT64_MAX;
    EXPECT_EQ(write(fd, &value, sizeof(value)), 8);
    expect_error(write(fd, &value, sizeof(value)), EAGAIN);
    value = UINT64_MAX;
    expect_error(write(fd, &value, sizeof(value)), EINVAL);
    expect_error(read(fd, &value, 7), EINVAL);
    expect_error(lseek(fd, 0, SEEK_CUR), ESPIPE);
    EXPECT_EQ(close(fd), 0);
    expect_error(eventfd(0, 0x1234), EINVAL);

    fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(read(fd, &value, sizeof(value)), 8);
        EXPECT_EQ(value, 1);
    }
    expect_error(read(fd, &value, sizeof(value)), EAGAIN);
    EXPECT_EQ(close(fd), 0);
}

static void* take_all(void* arg) {
    uint64_t sum = 0;
    uint64_t value;
    do {
        EXPECT_EQ(read(*(int*)arg, &value, sizeof(value)), 8);
        sum += value;
    } while (value < 1 << 20); // the last word
    return (void*)(uintptr_t)(sum & ((1 << 20) - 1));
}

// What several take is what was given, neither more nor less. (And it waits.)
CASE(numbers_among_threads) {
    int fd = eventfd(0, 0);
    pthread_t readers[3];
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(pthread_create(&readers[i], nullptr, take_all, &fd), 0);
    }
    uint64_t sum = 0;
    for (uint64_t i = 1; i <= 500; i++) {
        EXPECT_EQ(write(fd, &i, sizeof(i)), 8);
        sum += i;
    }
    uint64_t got = 0;
    for (int i = 0; i < 3; i++) {
        // One of those left takes it, perhaps with numbers from before.
        uint64_t last = 1 << 20;
        EXPECT_EQ(write(fd, &last, sizeof(last)), 8);
        while (polled(fd, POLLIN) != 0) {
            sched_yield();
        }
    }
    for (int i = 0; i < 3; i++) {
        void* part;
        EXPECT_EQ(pthread_join(readers[i], &part), 0);
        got += (uintptr_t)part;
    }
    EXPECT_EQ(got, sum);
    EXPECT_EQ(close(fd), 0);
}

CASE(a_child_adds) {
    uint64_t value = 0;
    int fd = eventfd(0, EFD_SEMAPHORE);
    char number[8];
    snprintf(number, sizeof(number), "%d", fd);
    EXPECT_EQ(exit_code(start(nullptr, ARGS((char*)"event", number))), 0);
    for (int i = 0; i < 6; i++) { // seven were added, one taken: a semaphore there, too
        EXPECT_EQ(read(fd, &value, sizeof(value)), 8);
        EXPECT_EQ(value, 1);
    }
    EXPECT_EQ(polled(fd, POLLIN), 0);
    EXPECT_EQ(close(fd), 0);
}

// ---- timerfd ----

CASE(timers) {
    uint64_t rings = 0;
    struct itimerspec left;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    EXPECT(fd >= 0);
    expect_error(read(fd, &rings, sizeof(rings)), EAGAIN);
    EXPECT_EQ(timerfd_gettime(fd, &left), 0);
    EXPECT(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);

    // Once.
    struct itimerspec once = {.it_value.tv_nsec = 20'000'000};
    int64_t begin = now_ns();
    EXPECT_EQ(timerfd_settime(fd, 0, &once, nullptr), 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    EXPECT_EQ(poll(&p, 1, -1), 1);
    EXPECT(now_ns() - begin >= 20'000'000);
    EXPECT_EQ(read(fd, &rings, sizeof(rings)), 8);
    EXPECT_EQ(rings, 1);
    expect_error(read(fd, &rings, sizeof(rings)), EAGAIN);

    // Again and again; what was missed is counted.
    struct itimerspec often = {.it_value.tv_nsec = 1'000'000, .it_interval.tv_nsec = 1'000'000};
    begin = now_ns();
    EXPECT_EQ(timerfd_settime(fd, 0, &often, nullptr), 0);
    utest_sleep_ms(30);
    EXPECT_EQ(read(fd, &rings, sizeof(rings)), 8);
    EXPECT(rings >= 29 && (int64_t)rings <= (now_ns() - begin) / 1'000'000);
    EXPECT_EQ(poll(&p, 1, -1), 1);
    EXPECT_EQ(timerfd_settime(fd, 0, &(struct itimerspec){}, &left), 0);
    EXPECT(left.it_interval.tv_nsec == 1'000'000 && left.it_value.tv_nsec <= 1'000'000);
    EXPECT_EQ(polled(fd, POLLIN), 0);
    EXPECT_EQ(close(fd), 0);

    // Blocking, to a time of the wall clock, which may be past.
    fd = timerfd_create(CLOCK_REALTIME, 0);
    struct itimerspec at = {};
    EXPECT_EQ(clock_gettime(CLOCK_REALTIME, &at.it_value), 0);
    EXPECT_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, nullptr), 0);
    EXPECT_EQ(read(fd, &rings, sizeof(rings)), 8);
    EXPECT_EQ(rings, 1);
    at.it_value.tv_sec += 1000;
    EXPECT_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, nullptr), 0);
    EXPECT_EQ(timerfd_gettime(fd, &left), 0);
    EXPECT(left.it_value.tv_sec >= 900 && left.it_value.tv_sec <= 1000);

    at.it_value.tv_nsec = 1'000'000'000;
    expect_error(timerfd_settime(fd, 0, &at, nullptr), EINVAL);
    at.it_value.tv_nsec = 0;
    expect_error(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, nullptr),
                 EINVAL);
    expect_error(timerfd_settime(0, 0, &at, nullptr), EINVAL);
    expect_error(timerfd_gettime(999, &left), EBADF);
    expect_error(timerfd_create(CLOCK_THREAD_CPUTIME_ID, 0), EINVAL);
    expect_error(write(fd, &rings, sizeof(rings)), EINVAL);
    EXPECT_EQ(close(fd), 0);
}

// ---- memory ----

CASE(files_of_memory) {
    char text[16] = "";
    int waiting = 0;
    int fd = memfd_create("scratch", 0);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, "0123456789", 10), 10);
    EXPECT_EQ(pread(fd, text, 4, 3), 4);
    EXPECT_EQ(memcmp(text, "3456", 4), 0);
    EXPECT_EQ(lseek(fd, 4, SEEK_SET), 4);
    EXPECT_EQ(ioctl(fd, FIONREAD, &waiting), 0);
    EXPECT_EQ(waiting, 6);
    struct stat s;
    EXPECT_EQ(fstat(fd, &s), 0);
    EXPECT(s.st_size == 10 && S_ISREG(s.st_mode));
    EXPECT_EQ(ftruncate(fd, 8192), 0);
    char* memory = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT(memory != MAP_FAILED);
    EXPECT_EQ(memcmp(memory, "0123456789", 11), 0);
    memory[5000] = 'x';
    EXPECT_EQ(pread(fd, text, 1, 5000), 1);
    EXPECT_EQ(text[0], 'x');

    // A child has the same memory.
    char number[8];
    snprintf(number, sizeof(number), "%d", fd);
    EXPECT_EQ(exit_code(start(nullptr, ARGS((char*)"memory", number))), 'x');
    EXPECT_EQ(memory[5001], 'y');
    EXPECT_EQ(munmap(memory, 8192), 0);
    EXPECT_EQ(ftruncate(fd, 3), 0);
    EXPECT_EQ(pread(fd, text, 8, 0), 3);
    EXPECT_EQ(close(fd), 0);
    expect_error(memfd_create("x", 0x8000), EINVAL);
    static char long_name[300];
    memset(long_name, 'n', sizeof(long_name) - 1);
    expect_error(memfd_create(long_name, 0), EINVAL);
}

// ---- epoll ----

static void control(int epoll, int command, int fd, uint32_t events, uint64_t word) {
    struct epoll_event event = {.events = events, .data.u64 = word};
    EXPECT_EQ(epoll_ctl(epoll, command, fd, &event), 0);
}

// The events of the one that is ready, 0 if none is.
static uint32_t ready(int epoll, uint64_t word) {
    struct epoll_event events[4];
    int count = epoll_wait(epoll, events, 4, 0);
    EXPECT(count == 0 || (count == 1 && events[0].data.u64 == word));
    return count == 0 ? 0 : events[0].events;
}

CASE(levels) {
    int ends[2], pair[2];
    char byte;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    EXPECT(epoll >= 0 && fcntl(epoll, F_GETFD) == FD_CLOEXEC);
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN, 11);
    EXPECT_EQ(ready(epoll, 11), 0);
    EXPECT_EQ(write(ends[1], "ab", 2), 2);
    EXPECT_EQ(ready(epoll, 11), EPOLLIN);
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    EXPECT_EQ(ready(epoll, 11), EPOLLIN); // there is more
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    EXPECT_EQ(ready(epoll, 11), 0);

    control(epoll, EPOLL_CTL_ADD, pair[0], EPOLLIN | EPOLLOUT, 22);
    EXPECT_EQ(ready(epoll, 22), EPOLLOUT);
    EXPECT_EQ(write(pair[1], "x", 1), 1);
    EXPECT_EQ(ready(epoll, 22), EPOLLIN | EPOLLOUT);
    control(epoll, EPOLL_CTL_MOD, pair[0], EPOLLIN, 23);
    EXPECT_EQ(ready(epoll, 23), EPOLLIN);

    // Both, one at a time, in turns.
    EXPECT_EQ(write(ends[1], "a", 1), 1);
    struct epoll_event events[2];
    uint64_t seen = 0;
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(epoll_wait(epoll, events, 1, -1), 1);
        seen |= events[0].data.u64 == 11 ? 1 : 2;
    }
    EXPECT_EQ(seen, 3);
    EXPECT_EQ(epoll_wait(epoll, events, 2, -1), 2);
    EXPECT_EQ(epoll_ctl(epoll, EPOLL_CTL_DEL, pair[0], nullptr), 0);
    EXPECT_EQ(ready(epoll, 11), EPOLLIN);

    // The other end goes: told without being asked for.
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    EXPECT_EQ(close(ends[1]), 0);
    EXPECT((ready(epoll, 11) & EPOLLHUP) != 0);
    // This end goes: nothing is left of it, though it was not taken out.
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(ready(epoll, 11), 0);
    EXPECT_EQ(close(pair[0]), 0);
    EXPECT_EQ(close(pair[1]), 0);
    EXPECT_EQ(close(epoll), 0);
}

// A pipe whose one end only epoll knows is closed.
CASE(epoll_keeps_nothing_open) {
    int ends[2];
    char byte;
    int epoll = epoll_create(1);
    EXPECT_EQ(pipe(ends), 0);
    control(epoll, EPOLL_CTL_ADD, ends[1], EPOLLOUT, 1);
    EXPECT_EQ(close(ends[1]), 0);
    EXPECT_EQ(read(ends[0], &byte, 1), 0);
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(close(epoll), 0);
}

CASE(edges) {
    int ends[2];
    char byte;
    int epoll = epoll_create1(0);
    EXPECT_EQ(pipe2(ends, O_NONBLOCK), 0);
    control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET, 1);
    EXPECT_EQ(write(ends[1], "a", 1), 1);
    EXPECT_EQ(ready(epoll, 1), EPOLLIN);
    EXPECT_EQ(ready(epoll, 1), 0); // told
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    expect_error(read(ends[0], &byte, 1), EAGAIN);
    EXPECT_EQ(ready(epoll, 1), 0);
    EXPECT_EQ(write(ends[1], "b", 1), 1);
    EXPECT_EQ(ready(epoll, 1), EPOLLIN);
    EXPECT_EQ(ready(epoll, 1), 0);
    control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 1); // anew
    EXPECT_EQ(ready(epoll, 1), EPOLLIN);
    EXPECT_EQ(close(ends[1]), 0); // another event
    EXPECT((ready(epoll, 1) & EPOLLHUP) != 0);
    EXPECT_EQ(ready(epoll, 1), 0);
    EXPECT_EQ(close(ends[0]), 0);

    // An event descriptor that is never read: each write is an edge.
    uint64_t one = 1;
    int fd = eventfd(0, 0);
    control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, 2);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(ready(epoll, 2), 0);
        EXPECT_EQ(write(fd, &one, sizeof(one)), 8);
        EXPECT_EQ(ready(epoll, 2), EPOLLIN);
    }
    // Once, until it is wanted again.
    control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 3);
    EXPECT_EQ(ready(epoll, 3), EPOLLIN);
    EXPECT_EQ(ready(epoll, 3), 0);
    control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 4);
    EXPECT_EQ(ready(epoll, 4), EPOLLIN);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(close(epoll), 0);
}

static int watched[3];

static void* act_later(void*) {
    uint64_t one = 1;
    utest_sleep_ms(20);
    control(watched[0], EPOLL_CTL_ADD, watched[1], EPOLLIN, 1); // news to who waits already
    utest_sleep_ms(20);
    EXPECT_EQ(write(watched[1], &one, sizeof(one)), 8);
    return nullptr;
}

static _Atomic int alarms;

static void on_alarm(int) {
    alarms++;
}

CASE(waits) {
    struct epoll_event event;
    int epoll = epoll_create1(0);
    int64_t begin = now_ns();
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 20), 0); // of nothing
    EXPECT(now_ns() - begin >= 19'000'000);
    watched[0] = epoll;
    watched[1] = eventfd(0, 0);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, act_later, nullptr), 0);
    EXPECT_EQ(epoll_wait(epoll, &event, 1, -1), 1);
    EXPECT(event.events == EPOLLIN && event.data.u64 == 1);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);

    // A timer wakes it, and a signal ends it.
    EXPECT_EQ(epoll_ctl(epoll, EPOLL_CTL_DEL, watched[1], nullptr), 0);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec soon = {.it_value.tv_nsec = 10'000'000};
    control(epoll, EPOLL_CTL_ADD, timer, EPOLLIN, 2);
    EXPECT_EQ(timerfd_settime(timer, 0, &soon, nullptr), 0);
    EXPECT_EQ(epoll_wait(epoll, &event, 1, -1), 1);
    EXPECT_EQ(event.data.u64, 2);
    EXPECT_EQ(timerfd_settime(timer, 0, &(struct itimerspec){}, nullptr), 0);

    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    EXPECT_EQ(sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, nullptr), 0);
    EXPECT_EQ(sigprocmask(SIG_BLOCK, &set, &old), 0);
    EXPECT_EQ(kill(getpid(), SIGALRM), 0);
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    EXPECT_EQ(alarms, 0);
    expect_error(epoll_pwait(epoll, &event, 1, -1, &old), EINTR);
    EXPECT_EQ(alarms, 1);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &old, nullptr), 0);
    EXPECT(signal(SIGALRM, SIG_DFL) != SIG_ERR);
    EXPECT_EQ(close(timer), 0);
    EXPECT_EQ(close(watched[1]), 0);
    EXPECT_EQ(close(epoll), 0);
}

// More than fit into one wait, one of which has something.
CASE(lots) {
    enum { COUNT = 150 };
    static int fds[COUNT];
    struct epoll_event event;
    uint64_t one = 1;
    int epoll = epoll_create1(0);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = eventfd(0, 0);
        EXPECT(fds[i] >= 0);
        control(epoll, EPOLL_CTL_ADD, fds[i], EPOLLIN, (uint64_t)i);
    }
    watched[0] = epoll_create1(0); // act_later() adds its own there
    watched[1] = fds[COUNT - 1];
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, act_later, nullptr), 0);
    EXPECT_EQ(epoll_wait(epoll, &event, 1, -1), 1);
    EXPECT_EQ(event.data.u64, COUNT - 1);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    EXPECT_EQ(read(fds[COUNT - 1], &one, sizeof(one)), 8);
    for (int i = 0; i < COUNT; i++) {
        EXPECT_EQ(close(fds[i]), 0);
    }
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    EXPECT_EQ(close(watched[0]), 0);
    EXPECT_EQ(close(epoll), 0);
}

CASE(what_epoll_refuses) {
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(0), other = epoll_create1(0);
    int file = open("/boot/bin/libc_child", O_RDONLY), fd = eventfd(0, 0);
    expect_error(epoll_create1(0x77), EINVAL);
    expect_error(epoll_create(0), EINVAL);
    expect_error(epoll_ctl(epoll, EPOLL_CTL_ADD, 999, &event), EBADF);
    expect_error(epoll_ctl(999, EPOLL_CTL_ADD, fd, &event), EBADF);
    expect_error(epoll_ctl(fd, EPOLL_CTL_ADD, epoll, &event), EINVAL);
    expect_error(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event), EINVAL);
    expect_error(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &event), ELOOP);
    expect_error(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event), EPERM);
    expect_error(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event), ENOENT);
    expect_error(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr), ENOENT);
    expect_error(epoll_ctl(epoll, 77, fd, &event), EINVAL);
    EXPECT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    expect_error(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), EEXIST);
    int again = dup(fd); // the same under another number
    EXPECT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, again, &event), 0);
    expect_error(epoll_wait(epoll, &event, 0, 0), EINVAL);
    expect_error(epoll_wait(fd, &event, 1, 0), EINVAL);
    expect_error(read(epoll, &event, sizeof(event)), EINVAL);
    EXPECT_EQ(close(again), 0);
    EXPECT_EQ(close(file), 0);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(close(other), 0);
    EXPECT_EQ(close(epoll), 0);
}

// ---- a few more ----

static _Atomic int flag_a, flag_b;
static int plain_a, plain_b;

// Dekker's algorithm with the fence on one side only: the other side's is the call's.
static void* light_side(void* rounds) {
    for (int i = 1; i <= *(int*)rounds; i++) {
        while (flag_a != i) {
        }
        __atomic_store_n(&plain_a, i, __ATOMIC_RELAXED);
        __asm__ volatile("" : : : "memory");
        flag_b = __atomic_load_n(&plain_b, __ATOMIC_RELAXED) == i ? i : -i;
    }
    return nullptr;
}

CASE(barriers) {
    enum { QUERY = 0, PRIVATE = 1 << 3, REGISTER = 1 << 4 };
    long commands = syscall(SYS_membarrier, QUERY, 0);
    EXPECT_EQ(commands, PRIVATE | REGISTER);
    EXPECT_EQ(syscall(SYS_membarrier, REGISTER, 0), 0);
    expect_error(syscall(SYS_membarrier, 1 << 20, 0), EINVAL);
    expect_error(syscall(SYS_membarrier, QUERY, 1), EINVAL);
    int rounds = 300;
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, light_side, &rounds), 0);
    for (int i = 1; i <= rounds; i++) {
        flag_a = i;
        __atomic_store_n(&plain_b, i, __ATOMIC_RELAXED);
        EXPECT_EQ(syscall(SYS_membarrier, PRIVATE, 0), 0);
        int seen = __atomic_load_n(&plain_a, __ATOMIC_RELAXED);
        while (flag_b != i && flag_b != -i) {
        }
        EXPECT(seen == i || flag_b == i); // one of both has seen the other
    }
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
}

CASE(processors) {
    cpu_set_t set;
    CPU_ZERO(&set);
    EXPECT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    EXPECT_EQ(sched_setaffinity(0, sizeof(set), &set), 0); // all of them
    EXPECT(CPU_COUNT(&set) == sysconf(_SC_NPROCESSORS_ONLN));
    if (CPU_COUNT(&set) > 1) {
        CPU_CLR(0, &set);
        expect_error(sched_setaffinity(0, sizeof(set), &set), EPERM);
    }
    CPU_ZERO(&set);
    expect_error(sched_setaffinity(0, sizeof(set), &set), EINVAL);
    expect_error(sched_setaffinity(12345, sizeof(set), &set), ESRCH);
}

static void* idle_thread(void* out) {
    struct rusage* usage = out;
    EXPECT_EQ(getrusage(RUSAGE_THREAD, &usage[0]), 0);
    EXPECT_EQ(getrusage(RUSAGE_SELF, &usage[1]), 0);
    return nullptr;
}

static int64_t us_of(const struct rusage* u) {
    return u->ru_utime.tv_sec * 1'000'000 + u->ru_utime.tv_usec;
}

CASE(usage) {
    static struct rusage usage[2];
    int64_t begin = now_ns();
    while (now_ns() - begin < 20'000'000) { // this thread's work
    }
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, idle_thread, usage), 0);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    EXPECT(us_of(&usage[0]) < us_of(&usage[1]));
    EXPECT(usage[1].ru_maxrss > 0);
    expect_error(getrusage(77, &usage[0]), EINVAL);
}
