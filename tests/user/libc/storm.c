// storm PROCESSES PIPES: starts so many processes, all alive at once, that write into so many
// pipes; reads all of it, and counts who has ended how. tests/system/load_test.py runs it beside a
// hundred services.
//
// Nobody goes on before everybody is there: children wait for the end of the `go` pipe.
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPES_MAX = 400, PROCESSES_MAX = 4000 };

struct pipe {
    int read, write;
};

static struct pipe pipes[PIPES_MAX];
static long long sums[PIPES_MAX];

static int child(const char* number) {
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return dprintf(STDOUT_FILENO, "%s\n", number) > 0 ? atoi(number) % 7 : 99;
}

static _Noreturn void fail(const char* what, int error) {
    fprintf(stderr, "storm: %s: %s\n", what, strerror(error));
    exit(1);
}

static struct pipe make_pipe(void) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        fail("pipe", errno);
    }
    return (struct pipe){fds[0], fds[1]};
}

static pid_t start(const char* path, int number, struct pipe go, struct pipe out) {
    posix_spawn_file_actions_t actions;
    char text[16];
    snprintf(text, sizeof(text), "%d", number);
    char* const argv[] = {(char*)path, "child", text, NULL};
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, go.read, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out.write, STDOUT_FILENO);
    int error = posix_spawn(&pid, path, &actions, NULL, argv, NULL);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        fail("spawn", error);
    }
    return pid;
}

// Everything that was written into a pipe, number by number.
static long long sum_of(int fd) {
    FILE* f = fdopen(fd, "r");
    char line[32];
    long long sum = 0;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        sum += atoi(line);
    }
    if (f != NULL) {
        fclose(f);
    }
    return sum;
}

static int parent(int processes, int pipe_count) {
    static pid_t pids[PROCESSES_MAX];
    struct pipe go = make_pipe();
    for (int i = 0; i < pipe_count; i++) {
        pipes[i] = make_pipe();
    }
    for (int i = 0; i < processes; i++) {
        pids[i] = start("/proc/self/exe", i, go, pipes[i % pipe_count]);
        sums[i % pipe_count] += i;
    }
    printf("%d processes and %d pipes\n", processes, pipe_count);
    fflush(stdout);
    close(go.read);
    close(go.write);
    int wrong = 0;
    for (int i = 0; i < pipe_count; i++) {
        close(pipes[i].write);
    }
    for (int i = 0; i < pipe_count; i++) {
        wrong += sum_of(pipes[i].read) != sums[i];
    }
    for (int i = 0; i < processes; i++) {
        int status;
        if (waitpid(pids[i], &status, 0) != pids[i] || !WIFEXITED(status) ||
            WEXITSTATUS(status) != i % 7) {
            wrong++;
        }
    }
    int status;
    wrong += waitpid(-1, &status, 0) != -1 || errno != ECHILD;
    printf("%d wrong\n", wrong);
    return wrong != 0;
}

int main(int argc, char** argv) {
    if (argc == 3 && strcmp(argv[1], "child") == 0) {
        return child(argv[2]);
    }
    int processes = argc > 1 ? atoi(argv[1]) : 0;
    int pipe_count = argc > 2 ? atoi(argv[2]) : 0;
    if (argc != 3 || processes < 1 || processes > PROCESSES_MAX || pipe_count < 1 ||
        pipe_count > PIPES_MAX) {
        fprintf(stderr, "usage: storm PROCESSES PIPES\n");
        return 2;
    }
    return parent(processes, pipe_count);
}
