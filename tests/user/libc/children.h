// What the tests of spawn and signal share: starting bin/libc_child, and asking how it ended.
#pragma once

#include <utest/utest.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "/boot/bin/libc_child"
#define ARGS(...)                            \
    (char*[]) {                              \
        (char*)"child", __VA_ARGS__, nullptr \
    }

extern char** environ;

// With a pipe for its output, if `out` is not null.
static inline pid_t start(int* out, char** argv) {
    int ends[2] = {-1, -1};
    if (out != nullptr) {
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    }
    posix_spawn_file_actions_t actions;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    if (out != nullptr) {
        EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    }
    pid_t pid = 0;
    EXPECT_EQ(posix_spawn(&pid, PROGRAM, &actions, nullptr, argv, environ), 0);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    if (out != nullptr) {
        EXPECT_EQ(close(ends[1]), 0);
        *out = ends[0];
    }
    EXPECT(pid >= 1024);
    return pid;
}

static inline int status_of(pid_t pid) {
    int status = -1;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static inline int exit_code(pid_t pid) {
    int status = status_of(pid);
    EXPECT(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline int exit_signal(pid_t pid) {
    int status = status_of(pid);
    EXPECT(WIFSIGNALED(status));
    return WTERMSIG(status);
}

// All that comes until the other end is closed; closes the descriptor.
static inline const char* slurp(int fd) {
    static char text[1024];
    size_t len = 0;
    ssize_t n;
    while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    EXPECT_EQ(close(fd), 0);
    return text;
}

// A line, as the child says that it is ready.
static inline const char* line_of(int fd) {
    static char text[128];
    size_t len = 0;
    while (len < sizeof(text) - 1 && read(fd, text + len, 1) == 1 && text[len] != '\n') {
        len++;
    }
    text[len] = '\0';
    return text;
}

#define EXPECT_TEXT(got, want)                                                      \
    do {                                                                            \
        const char* got_ = (got);                                                   \
        if (strcmp(got_, (want)) != 0) {                                            \
            utest_fail(__FILE__, __LINE__, "got \"%s\", not \"%s\"", got_, (want)); \
        }                                                                           \
    } while (0)

// What the library makes once and keeps (events, the thread for signals) is made before any case.
__attribute__((constructor)) static void warm_up(void) {
    pid_t pid = 0;
    posix_spawn(&pid, PROGRAM, nullptr, nullptr, ARGS((char*)"exit", (char*)"0"), environ);
    waitpid(pid, nullptr, 0);
    alarm(100);
    alarm(0);
    usleep(1);
}
