// Services that are killed under a shell: hush reads its commands from a pipe of ours, and while a
// pipeline of it runs, each service is ended in turn. The shell goes on, the next command works.
#include <utest/utest.h>

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fidl/jacinth.system.h>
#include <jacinth/namespace.h>
#include <zircon/syscalls.h>

GROUP("libc_survive");

extern char** environ;

// What the library makes at the first wait and the first child, and keeps, is not a case's.
__attribute__((constructor)) static void make_what_stays(void) {
    pid_t pid;
    char* const argv[] = {(char*)"true", nullptr};
    (void)zx_nanosleep(zx_deadline_after(1));
    if (posix_spawn(&pid, "/bin/true", nullptr, nullptr, argv, environ) == 0) {
        (void)waitpid(pid, nullptr, 0);
    }
}

struct shell {
    pid_t pid;
    FILE *in, *out;
};

static void shell_start(struct shell* s) {
    int in[2], out[2];
    char* const argv[] = {(char*)"sh", nullptr};
    posix_spawn_file_actions_t actions;
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, in[0], 0), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, out[1], 1), 0);
    EXPECT_EQ(posix_spawn(&s->pid, "/bin/sh", &actions, nullptr, argv, environ), 0);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    close(in[0]);
    close(out[1]);
    s->in = fdopen(in[1], "w");
    s->out = fdopen(out[0], "r");
    EXPECT(s->in != nullptr && s->out != nullptr);
}

static void say(struct shell* s, const char* command) {
    EXPECT(fputs(command, s->in) >= 0);
    EXPECT_EQ(fflush(s->in), 0);
}

static void expect_line(struct shell* s, const char* want) {
    char line[256];
    EXPECT(fgets(line, sizeof(line), s->out) != nullptr);
    EXPECT_EQ(strcmp(line, want), 0);
}

static void shell_end(struct shell* s) {
    int status;
    EXPECT_EQ(fclose(s->in), 0);
    EXPECT_EQ(waitpid(s->pid, &status, 0), s->pid);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_EQ(fclose(s->out), 0);
}

static void kill_service(const char* name) {
    static alignas(8) uint8_t bytes[4096];
    zx_handle_t ours, theirs;
    EXPECT_OK(zx_channel_create(0, &ours, &theirs));
    EXPECT_EQ(jacinth_connect("/svc/jacinth.system.Services", theirs), 0);
    struct jacinth_system_services_restart_request request = {.name = {strlen(name), (char*)name}};
    EXPECT_OK(jacinth_system_services_restart_call(ours, ZX_TIME_INFINITE, &request,
                                                   (struct fidl_storage){bytes, sizeof(bytes)}));
    EXPECT_CLOSE(ours);
}

// What the pipeline gives is not asked for when its files may be gone: only that it ends, and what
// comes after it.
static void survives(const char* service, int rounds) {
    struct shell s;
    shell_start(&s);
    for (int i = 0; i < rounds; i++) {
        say(&s, "echo begun; for i in 1 2 3 4 5 6 7 8; do echo $i | tee /tmp/survive.$i | cat; "
                "done 2>/dev/null "
                "| sort -n | wc -l >/dev/null; echo done\n");
        expect_line(&s, "begun\n");
        // Somewhere in the pipeline, elsewhere each time.
        EXPECT_OK(zx_nanosleep(zx_deadline_after(ZX_MSEC(7) * i)));
        kill_service(service);
        expect_line(&s, "done\n");
        say(&s, "echo after > /tmp/survive; cat /tmp/survive; ls /bin/sh; rm -f /tmp/survive*\n");
        expect_line(&s, "after\n");
        expect_line(&s, "/bin/sh\n");
    }
    shell_end(&s);
}

CASE_WITHIN(memfs, 60) {
    survives("memfs", 6);
}

CASE_WITHIN(console, 60) {
    survives("console", 4);
}

CASE_WITHIN(launcher, 60) {
    survives("launcher", 2);
}

CASE_WITHIN(resolver, 60) {
    survives("resolver", 2);
}

CASE_WITHIN(crash, 60) {
    survives("crash", 2);
}

CASE_WITHIN(tasks, 60) {
    survives("tasks", 2);
}

CASE_WITHIN(kernel, 60) {
    survives("kernel", 2);
}

CASE_WITHIN(pci, 60) {
    survives("pci", 2);
}

CASE_WITHIN(virtio_blk, 60) {
    survives("virtio_blk", 2);
}

CASE_WITHIN(data, 60) {
    survives("data", 2);
}
