// Identity, limits, entropy, clocks, and operations that are not there.
#include <utest/utest.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <zircon/process.h>

GROUP("libc_base");

__attribute__((constructor)) static void make_wake_event(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1}, nullptr);
}

CASE(identity) {
    struct utsname name;
    EXPECT_EQ(uname(&name), 0);
    EXPECT(strcmp(name.sysname, "Jacinth") == 0);
    EXPECT(strcmp(name.machine, "x86_64") == 0);
    EXPECT(name.release[0] != '\0' && name.version[0] != '\0');
    EXPECT_EQ(getpid(), utest_koid(zx_process_self()));
    EXPECT_EQ(getuid(), 0);
    EXPECT_EQ(setuid(0), 0);
    EXPECT(setuid(5) == -1 && errno == EPERM);
    EXPECT_EQ(setgid(0), 0);
    EXPECT(setregid(0, 7) == -1 && errno == EPERM);
}

CASE(limits) {
    EXPECT_EQ(sysconf(_SC_PAGESIZE), 4096);
    EXPECT_EQ(sysconf(_SC_NPROCESSORS_ONLN), zx_system_get_num_cpus());
    EXPECT_EQ((uint64_t)sysconf(_SC_PHYS_PAGES), zx_system_get_physmem() / 4096);
    cpu_set_t cpus;
    EXPECT_EQ(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    EXPECT_EQ(CPU_COUNT(&cpus), zx_system_get_num_cpus());
    struct rlimit limit;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT(limit.rlim_cur >= 256);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_max++;
    EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == -1 && errno == EPERM);
    EXPECT(getrlimit(99, &limit) == -1 && errno == EINVAL);
    struct rusage usage;
    EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    EXPECT(usage.ru_maxrss > 0);
}

CASE(entropy) {
    unsigned char a[64] = {};
    unsigned char b[64] = {};
    EXPECT_EQ(getrandom(a, sizeof(a), 0), sizeof(a));
    EXPECT_EQ(getentropy(b, sizeof(b)), 0);
    EXPECT(memcmp(a, b, sizeof(a)) != 0);
    EXPECT(getrandom(a, sizeof(a), 0x80) == -1 && errno == EINVAL);
}

CASE(operations_that_are_not_there) {
    EXPECT(fork() == -1 && errno == ENOSYS);
    EXPECT(syscall(SYS_mount, 0, 0, 0, 0, 0) == -1 && errno == ENOSYS);
    EXPECT(syscall(9999) == -1 && errno == ENOSYS);
    // One that is, by its number.
    EXPECT_EQ(syscall(SYS_getpid), getpid());
    EXPECT_EQ(syscall(SYS_gettid), gettid());
}

// ---- clocks ----

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    EXPECT_EQ(clock_gettime(clock, &t), 0);
    return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

CASE(clocks) {
    zx_time_t before = zx_clock_get_monotonic();
    int64_t now = now_ns(CLOCK_MONOTONIC);
    EXPECT(before <= now && now <= zx_clock_get_monotonic());
    EXPECT(now_ns(CLOCK_REALTIME) > 1'700'000'000ll * 1'000'000'000);
    struct timeval day;
    EXPECT_EQ(gettimeofday(&day, nullptr), 0);
    EXPECT(time(nullptr) - day.tv_sec <= 1);
    EXPECT(now_ns(CLOCK_PROCESS_CPUTIME_ID) >= 0);
    EXPECT(now_ns(CLOCK_THREAD_CPUTIME_ID) >= 0);
    EXPECT(clock() != (clock_t)-1);
    struct tms tms;
    EXPECT(times(&tms) != (clock_t)-1);
    struct timespec t;
    EXPECT(clock_gettime(77, &t) == -1 && errno == EINVAL);
    EXPECT(clock_settime(CLOCK_REALTIME, &t) == -1 && errno == EPERM);
    EXPECT_EQ(clock_getres(CLOCK_MONOTONIC, &t), 0);
    EXPECT(t.tv_sec == 0 && t.tv_nsec > 0);
}

CASE(cpu_time_is_of_work) {
    int64_t process = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    int64_t thread = now_ns(CLOCK_THREAD_CPUTIME_ID);
    zx_time_t end = zx_deadline_after(50'000'000);
    while (zx_clock_get_monotonic() < end) {
    }
    EXPECT(now_ns(CLOCK_PROCESS_CPUTIME_ID) > process);
    EXPECT(now_ns(CLOCK_THREAD_CPUTIME_ID) > thread);
}

CASE(sleeping) {
    zx_time_t start = zx_clock_get_monotonic();
    EXPECT_EQ(usleep(20'000), 0);
    EXPECT(zx_clock_get_monotonic() - start >= 20'000'000);
    struct timespec past = {};
    EXPECT_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, nullptr), 0);
    struct timespec bad = {.tv_nsec = 1'000'000'000};
    EXPECT(nanosleep(&bad, nullptr) == -1 && errno == EINVAL);
    struct timespec until;
    EXPECT_EQ(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += 1;
    start = zx_clock_get_monotonic();
    EXPECT_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr), 0);
    EXPECT(zx_clock_get_monotonic() - start >= 900'000'000);
}

CASE(calendar) {
    time_t t = 1767225600 + 86400 * 45 + 3661;
    struct tm tm;
    char text[64];
    EXPECT(gmtime_r(&t, &tm) != nullptr);
    EXPECT(strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) > 0);
    EXPECT(strcmp(text, "2026-02-15 01:01:01") == 0);
    EXPECT_EQ(timegm(&tm), t);
}
