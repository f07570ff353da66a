// Runs a program of a server whose files have no pages: the boot image's files are at /served,
// read over their connections, and the program's children find them there, too
// (tests/system/launch_test.py).
//
//     served [NAME=PATH]... -- COMMAND [ARGUMENT]...
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "served.h"

extern char** environ;

int main(int argc, char** argv) {
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        char* path = strchr(argv[i], '=');
        if (path == nullptr) {
            break;
        }
        *path++ = '\0';
        served_add_file(argv[i], path);
    }
    if (i + 1 >= argc || strcmp(argv[i], "--") != 0) {
        fputs("usage: served [NAME=PATH]... -- COMMAND [ARGUMENT]...\n", stderr);
        return 2;
    }
    pid_t pid;
    int status;
    int error = posix_spawnp(&pid, argv[i + 1], nullptr, nullptr, argv + i + 1, environ);
    if (error != 0) {
        fprintf(stderr, "served: %s: %s\n", argv[i + 1], strerror(error));
        return 126;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return 126;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
