// Servers that die under a program: names lead to their successors, what was open is gone.
#include <utest/utest.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <fidl/jacinth.system.h>
#include <io/client.h>
#include <zircon/syscalls.h>

GROUP("libc_renew");

// Of the system layer (<names/namespace.h>), by the names that they have in the archive.
struct path_prefixes {
    const char* const* text;
    size_t count;
};
const struct path_prefixes* __jx_names_prefixes(void);
long __jx_names_prefix_clone(size_t index, zx_handle_t* out);

// A thread's wake event is made at its first wait and kept: it is not a case's.
__attribute__((constructor)) static void make_wake_event(void) {
    (void)nanosleep(&(struct timespec){.tv_nsec = 1}, nullptr);
}

#define FAILS(call, error)       \
    do {                         \
        errno = 0;               \
        EXPECT_EQ((call), -1);   \
        EXPECT_EQ(errno, error); \
    } while (false)

static zx_handle_t service_directory(void) {
    const struct path_prefixes* p = __jx_names_prefixes();
    zx_handle_t directory = ZX_HANDLE_INVALID;
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->text[i], "/svc") == 0) {
            EXPECT_EQ(__jx_names_prefix_clone(i, &directory), 0);
        }
    }
    EXPECT(directory != ZX_HANDLE_INVALID);
    return directory;
}

static void restart(const char* name) {
    static alignas(8) uint8_t bytes[4096];
    static constexpr char services[] = "jacinth.system.Services";
    zx_handle_t ours, theirs;
    zx_handle_t directory = service_directory();
    EXPECT_OK(zx_channel_create(0, &ours, &theirs));
    EXPECT_OK(io_connect(directory, services, sizeof(services) - 1, theirs));
    struct jacinth_system_services_restart_request request = {.name = {strlen(name), (char*)name}};
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    EXPECT_OK(jacinth_system_services_restart_call(ours, ZX_TIME_INFINITE, &request, storage));
    EXPECT_CLOSE(ours);
    EXPECT_CLOSE(directory);
}

CASE_WITHIN(files, 60) {
    struct stat st;
    int fd = open("/tmp/renew", O_RDWR | O_CREAT, 0600);
    EXPECT(fd >= 0);
    int directory = open("/tmp", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(chdir("/tmp"), 0);
    restart("memfs");
    FAILS(stat("/tmp/renew", &st), ENOENT); // another memfs, an empty one
    FAILS(stat("renew", &st), ENOENT);      // the working directory is found again, too
    FAILS(fstat(fd, &st), EIO);
    FAILS(fstat(directory, &st), EIO);
    FAILS(fstatat(directory, "x", &st, 0), EIO);
    int other = open("/tmp/renew", O_RDWR | O_CREAT | O_EXCL, 0600);
    EXPECT(other >= 0);
    EXPECT_EQ(write(other, "new", 3), 3);
    EXPECT_EQ(stat("renew", &st), 0);
    EXPECT_EQ(st.st_size, 3);
    EXPECT_EQ(unlink("renew"), 0);
    EXPECT_EQ(chdir("/"), 0);
    EXPECT_EQ(close(other), 0);
    EXPECT_EQ(close(directory), 0);
    EXPECT_EQ(close(fd), 0);
}

CASE_WITHIN(several_times, 60) {
    struct stat st;
    for (int i = 0; i < 5; i++) {
        restart("memfs");
        FAILS(stat("/tmp/none", &st), ENOENT);
    }
}

CASE_WITHIN(a_terminal_is_opened_again, 60) {
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    EXPECT(fd >= 0);
    struct termios t;
    EXPECT_EQ(tcgetattr(fd, &t), 0);
    restart("console");
    EXPECT_EQ(write(fd, "written after its server's end\n", 31), 31);
    EXPECT_EQ(tcgetattr(fd, &t), 0);
    EXPECT_EQ(close(fd), 0);
}
