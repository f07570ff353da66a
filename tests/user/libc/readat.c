// Programs from a server whose files have no pages: they are read, and run like any other.
#include "children.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <jacinth/namespace.h>
#include <jacinth/startup.h>
#include <launcher/source.h>
#include <launchsvc/client.h>
#include <zircon/process.h>

#include "served.h"

GROUP("libc_readat");

static char exit_word[] = "exit", echo_word[] = "echo", code[] = "7";

__attribute__((constructor)) static void fill(void) {
    served_add_file("child", PROGRAM);
    served_add_file("dynamic", "/boot/measure/libc_hello_dynamic");
    served_add_file("sh", "/boot/bin/sh");
}

// A program of /served, with a pipe for its output.
static int spawn(const char* path, char** argv, int* out, pid_t* pid) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    int error = posix_spawn(pid, path, &actions, nullptr, argv, environ);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    EXPECT_EQ(close(ends[1]), 0);
    *out = ends[0];
    return error;
}

static void expect_run(const char* path, char** argv, const char* text, int want) {
    int out;
    pid_t pid;
    served_fail(UINT32_MAX, ZX_OK);
    EXPECT_EQ(spawn(path, argv, &out, &pid), 0);
    const char* got = slurp(out);
    EXPECT_EQ(exit_code(pid), want);
    EXPECT_TEXT(got, text);
    EXPECT(served_reads() > 0);
    served_settle();
}

// Nothing is left of it: no child, and (the harness looks) no handle.
static void expect_refused(const char* path, int want) {
    int out;
    pid_t pid;
    EXPECT_EQ(spawn(path, ARGS(exit_word, code), &out, &pid), want);
    EXPECT_TEXT(slurp(out), "");
    EXPECT_EQ(waitpid(-1, nullptr, 0), -1);
    EXPECT_EQ(errno, ECHILD);
    served_fail(UINT32_MAX, ZX_OK);
    served_settle();
}

CASE(static_programs) {
    expect_run("/served/child", ARGS(exit_word, code), "", 7);
    expect_run("/served/child", ARGS(echo_word, (char*)"read, not mapped"), "read, not mapped\n",
               0);
}

CASE(a_program_with_an_interpreter) {
    int out;
    pid_t pid;
    served_fail(UINT32_MAX, ZX_OK);
    EXPECT_EQ(spawn("/served/dynamic", ARGS((char*)"one"), &out, &pid), 0);
    static const char want[] = "hello, world: 2 arguments, child";
    const char* got = slurp(out);
    EXPECT_EQ(exit_code(pid), 0);
    EXPECT(strncmp(got, want, sizeof(want) - 1) == 0);
    EXPECT(served_reads() > 2);
    served_settle();
}

CASE(scripts) {
    static const char text[] = "#!/served/child echo\n";
    served_add("script", text, sizeof(text) - 1);
    expect_run("/served/script", ARGS(nullptr), "/served/script\n", 0);
}

CASE(a_shell_and_what_it_starts) {
    char line[] = "/served/child echo a | cat; test -x /served/child && /served/child exit 7";
    expect_run("/served/sh", (char*[]){(char*)"sh", (char*)"-c", line, nullptr}, "a\n", 7);
}

// exec: in a child that was made by vfork, and (by a shell's exec) in place of a program.
CASE(in_place_of_a_program) {
    pid_t pid = vfork();
    if (pid == 0) {
        execv("/served/child", ARGS(exit_word, code));
        _exit(1);
    }
    EXPECT_EQ(exit_code(pid), 7);
    char line[] = "exec /served/child exit 7";
    expect_run("/boot/bin/sh", (char*[]){(char*)"sh", (char*)"-c", line, nullptr}, "", 7);
}

CASE(servers_that_fail) {
    served_fail(0, ZX_ERR_IO_DATA_LOSS);
    expect_refused("/served/child", EIO);
    served_fail(2, ZX_ERR_IO);
    expect_refused("/served/child", EIO);
    served_fail(2, ZX_OK); // an end in the middle
    expect_refused("/served/child", EIO);
    served_fail(1, ZX_OK);
    expect_refused("/served/child", ENOEXEC); // and among the headers
    served_fail(3, ZX_ERR_ACCESS_DENIED);
    expect_refused("/served/child", EACCES);
}

CASE(lengths_that_are_lies) {
    static const uint8_t nothing[1];
    struct stat s;
    EXPECT_EQ(stat("/served/child", &s), 0);
    served_add("empty", nothing, 0);
    expect_refused("/served/empty", ENOEXEC);
    static const uint64_t shorter[] = {3, 63, 200, 4096};
    for (size_t i = 0; i < sizeof(shorter) / sizeof(shorter[0]); i++) {
        served_claim("child", shorter[i]);
        expect_refused("/served/child", ENOEXEC);
    }
    served_claim("child", UINT64_MAX); // larger than any memory object
    int out;
    pid_t pid;
    EXPECT(spawn("/served/child", ARGS(exit_word, code), &out, &pid) != 0);
    EXPECT_EQ(close(out), 0);
    served_claim("child", UINT64_C(1) << 50); // the end of a segment's last page is not there
    expect_refused("/served/child", EIO);
    served_claim("child", (uint64_t)s.st_size);
}

// ---- as files ----

static const char poem[] = "0123456789abcdefghijklmnopqrstuvwxyz";

CASE(descriptors) {
    served_add("poem", poem, sizeof(poem) - 1);
    char got[64] = {};
    int fd = open("/served/poem", O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0);
    EXPECT_EQ(read(fd, got, 10), 10);
    EXPECT(memcmp(got, poem, 10) == 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 10);
    EXPECT_EQ(pread(fd, got, 4, 20), 4);
    EXPECT(memcmp(got, poem + 20, 4) == 0);
    EXPECT_EQ(lseek(fd, -6, SEEK_END), 30);
    EXPECT_EQ(read(fd, got, sizeof(got)), 6);
    EXPECT_EQ(read(fd, got, sizeof(got)), 0);
    EXPECT_EQ(pread(fd, got, 1, 1000), 0);
    EXPECT_EQ(lseek(fd, -1, SEEK_SET), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(lseek(fd, INT64_MAX, SEEK_END), -1);
    EXPECT_EQ(errno, EOVERFLOW);
    struct stat s;
    EXPECT_EQ(fstat(fd, &s), 0);
    EXPECT_EQ(s.st_size, 36);
    EXPECT_EQ(write(fd, "x", 1), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
    EXPECT_EQ(errno, ENODEV);
    EXPECT_EQ(open("/served/poem", O_RDWR), -1);
    EXPECT_EQ(errno, EACCES);
    served_fail(0, ZX_ERR_IO_DATA_LOSS);
    EXPECT_EQ(pread(fd, got, 1, 0), -1);
    EXPECT_EQ(errno, EIO);
    served_fail(UINT32_MAX, ZX_OK);
    EXPECT_EQ(close(fd), 0);
    served_settle();
}

// A child reads on where its parent has stopped, and the parent where the child has.
CASE(descriptors_of_children) {
    char line[] =
        "read -n 5 a; read -n 3 b; echo $a $b; wc -c < /served/child | tr -d ' '; . /served/lines";
    static const char lines[] = "echo from a file\n";
    served_add("lines", lines, sizeof(lines) - 1);
    struct stat s;
    EXPECT_EQ(stat("/served/child", &s), 0);
    int fd = open("/served/poem", O_RDONLY);
    EXPECT(fd >= 0);
    char got[4];
    EXPECT_EQ(read(fd, got, 2), 2);
    int ends[2];
    pid_t pid;
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    EXPECT_EQ(posix_spawn_file_actions_init(&actions), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    EXPECT_EQ(posix_spawn_file_actions_adddup2(&actions, fd, 0), 0);
    EXPECT_EQ(posix_spawn(&pid, "/boot/bin/sh", &actions, nullptr,
                          (char*[]){(char*)"sh", (char*)"-c", line, nullptr}, environ),
              0);
    EXPECT_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    EXPECT_EQ(close(ends[1]), 0);
    const char* said = slurp(ends[0]);
    EXPECT_EQ(exit_code(pid), 0);
    char want[64];
    snprintf(want, sizeof(want), "23456 789\n%lld\nfrom a file\n", (long long)s.st_size);
    EXPECT_TEXT(said, want);
    EXPECT_EQ(read(fd, got, 2), 2);
    EXPECT(memcmp(got, "ab", 2) == 0);
    EXPECT_EQ(close(fd), 0);
    served_settle();
}

// ---- the library ----

static struct launch_result prepare(zx_handle_t connection, zx_time_t deadline,
                                    struct launched* made, struct launch_source* source) {
    static const char* const args[] = {"child", "exit", "7"};
    static struct launch_vdso vdso;
    EXPECT_EQ(launch_vdso_init(&vdso, zx_vmo_vdso()).error, LAUNCH_OK);
    EXPECT_OK(launch_source_open(connection, deadline, source));
    struct launch_request request = {.job = zx_job_default(),
                                     .name = "child",
                                     .file = launch_source_file(source),
                                     .vdso = &vdso,
                                     .args = args,
                                     .arg_count = 3};
    struct launch_result result = launch_prepare(&request, made);
    launch_source_close(source);
    return result;
}

CASE(the_library_names_what_happened) {
    static const struct {
        uint32_t read;
        zx_status_t with;
        launch_error_t error;
        elf_error_t elf;
        zx_status_t status;
    } rows[] = {
        {0, ZX_ERR_IO_DATA_LOSS, LAUNCH_BAD_PROGRAM, ELF_READ_FAILED, ZX_ERR_IO_DATA_LOSS},
        {0, ZX_OK, LAUNCH_BAD_PROGRAM, ELF_TRUNCATED, ZX_ERR_IO_DATA_INTEGRITY},
        {1, ZX_ERR_NO_MEMORY, LAUNCH_READ_SEGMENT, ELF_OK, ZX_ERR_NO_MEMORY},
        {2, ZX_ERR_NOT_SUPPORTED, LAUNCH_READ_SEGMENT, ELF_OK, ZX_ERR_NOT_SUPPORTED},
        {3, ZX_OK, LAUNCH_READ_SEGMENT, ELF_OK, ZX_ERR_IO},
    };
    struct launched made;
    struct launch_source source;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        served_fail(rows[i].read, rows[i].with);
        struct launch_result result =
            prepare(served_open("child"), ZX_TIME_INFINITE, &made, &source);
        EXPECT_EQ(result.error, rows[i].error);
        EXPECT_EQ(result.elf, rows[i].elf);
        EXPECT_STATUS(result.status, rows[i].status);
    }
    served_fail(UINT32_MAX, ZX_OK);
    served_settle();
}

CASE(a_server_that_is_dead_or_silent) {
    struct launch_source source;
    zx_handle_t near, far;
    EXPECT_OK(zx_channel_create(0, &near, &far));
    EXPECT_STATUS(launch_source_open(near, utest_after_ms(50), &source), ZX_ERR_TIMED_OUT);
    EXPECT_STATUS(zx_handle_check_valid(near), ZX_ERR_BAD_HANDLE);
    EXPECT_CLOSE(far);
    EXPECT_OK(zx_channel_create(0, &near, &far));
    EXPECT_CLOSE(far);
    EXPECT_STATUS(launch_source_open(near, ZX_TIME_INFINITE, &source), ZX_ERR_PEER_CLOSED);
    EXPECT_STATUS(launch_source_open(utest_event(), ZX_TIME_INFINITE, &source), ZX_ERR_WRONG_TYPE);
}

static uint64_t own_bytes(void) {
    zx_info_task_stats_t info;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_TASK_STATS, &info, sizeof(info),
                                 nullptr, nullptr));
    return info.mem_private_bytes;
}

// A program of half a megabyte, after a small one has made the heap and the stacks what they
// are (the server's are this process's, too, and it serves from memory that it has already).
CASE(a_large_program_takes_no_memory_here) {
    struct launched made;
    struct launch_source source;
    EXPECT_EQ(prepare(served_open("dynamic"), ZX_TIME_INFINITE, &made, &source).error,
              LAUNCH_NO_INTERPRETER); // nobody here could find it
    const uint64_t before = own_bytes();
    served_fail(UINT32_MAX, ZX_OK);
    EXPECT_EQ(prepare(served_open("sh"), ZX_TIME_INFINITE, &made, &source).error, LAUNCH_OK);
    EXPECT(served_reads() > 25);
    EXPECT(own_bytes() - before <= 64 * 1024);
    launch_abandon(&made);
    served_settle();
}

// ---- the service ----

static zx_handle_t own_job(void) {
    zx_handle_t job;
    EXPECT_OK(zx_handle_duplicate(zx_job_default(), ZX_RIGHT_SAME_RIGHTS, &job));
    return job;
}

static zx_status_t launch_by(zx_handle_t service, zx_handle_t file, zx_handle_t* process) {
    static const char* const args[] = {"child", "exit", "7"};
    EXPECT_OK(launchsvc_add_args(service, args, 3));
    return launchsvc_launch(service, file, own_job(), "child", process);
}

CASE(the_service_takes_a_connection) {
    zx_handle_t service, far, process;
    EXPECT_OK(zx_channel_create(0, &service, &far));
    EXPECT_EQ(jacinth_connect("/svc/fuchsia.process.Launcher", far), 0);
    EXPECT_OK(launch_by(service, served_open("child"), &process));
    zx_info_process_t info;
    EXPECT_OK(zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr));
    EXPECT_OK(zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.return_code, 7);
    EXPECT_CLOSE(process);

    // What is wrong with it is answered, and the connection serves on.
    served_fail(2, ZX_ERR_IO_DATA_LOSS);
    EXPECT_STATUS(launch_by(service, served_open("child"), &process), ZX_ERR_IO_DATA_LOSS);
    served_fail(UINT32_MAX, ZX_OK);
    EXPECT_STATUS(launch_by(service, utest_event(), &process), ZX_ERR_WRONG_TYPE);
    zx_handle_t near;
    EXPECT_OK(zx_channel_create(0, &near, &far));
    EXPECT_CLOSE(far);
    EXPECT_STATUS(launch_by(service, near, &process), ZX_ERR_PEER_CLOSED);
    EXPECT_OK(launch_by(service, served_open("child"), &process));
    EXPECT_OK(zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr));
    EXPECT_CLOSE(process);
    EXPECT_CLOSE(service);
    served_settle();
}
