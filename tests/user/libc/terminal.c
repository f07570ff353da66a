// The terminal by POSIX calls, on the console that the system offers to tests.
#include <utest/utest.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

GROUP("libc_terminal");

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

static int open_console(void) {
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    EXPECT(fd >= 0);
    return fd;
}

CASE(what_it_is) {
    int fd = open_console();
    struct stat st, by_name;
    EXPECT_EQ(isatty(fd), 1);
    EXPECT_EQ(fstat(fd, &st), 0);
    EXPECT(S_ISCHR(st.st_mode));
    EXPECT_EQ(stat("/dev/console", &by_name), 0);
    EXPECT(st.st_rdev == by_name.st_rdev && st.st_ino == by_name.st_ino &&
           st.st_dev == by_name.st_dev);
    char name[64];
    EXPECT_EQ(ttyname_r(fd, name, sizeof(name)), 0);
    EXPECT(strcmp(name, "/dev/console") == 0);
    FAILS(lseek(fd, 0, SEEK_CUR), ESPIPE);
    FAILS(ftruncate(fd, 0), EINVAL);
    EXPECT_EQ(close(fd), 0);
    fd = open("/dev/null", O_RDWR);
    struct termios t;
    FAILS(tcgetattr(fd, &t), ENOTTY);
    EXPECT_EQ(close(fd), 0);
}

CASE(modes) {
    int fd = open_console();
    struct termios before, raw, now;
    EXPECT_EQ(tcgetattr(fd, &before), 0);
    EXPECT((before.c_lflag & ICANON) != 0);
    raw = before;
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 3;
    EXPECT_EQ(tcsetattr(fd, TCSANOW, &raw), 0);
    int other = open_console(); // the mode is the terminal's, not the descriptor's
    EXPECT_EQ(tcgetattr(other, &now), 0);
    EXPECT_EQ(now.c_lflag & (ICANON | ECHO | ISIG), 0);
    EXPECT_EQ(now.c_cc[VMIN], 3);
    EXPECT_EQ(tcsetattr(other, TCSADRAIN, &before), 0);
    EXPECT_EQ(tcgetattr(fd, &now), 0);
    EXPECT_EQ(now.c_lflag, before.c_lflag);
    EXPECT_EQ(memcmp(now.c_cc, before.c_cc, 19), 0);
    EXPECT_EQ(tcdrain(fd), 0);
    EXPECT_EQ(tcflush(fd, TCIFLUSH), 0);
    FAILS(tcflush(fd, 77), EINVAL);
    FAILS(ioctl(fd, 0x1234, nullptr), ENOTTY);
    EXPECT_EQ(close(other), 0);
    EXPECT_EQ(close(fd), 0);
}

CASE(window_size) {
    int fd = open_console();
    struct winsize before, now;
    EXPECT_EQ(ioctl(fd, TIOCGWINSZ, &before), 0);
    struct winsize changed = {.ws_row = 50, .ws_col = 132};
    EXPECT_EQ(ioctl(fd, TIOCSWINSZ, &changed), 0);
    EXPECT_EQ(ioctl(fd, TIOCGWINSZ, &now), 0);
    EXPECT(now.ws_row == 50 && now.ws_col == 132);
    EXPECT_EQ(ioctl(fd, TIOCSWINSZ, &before), 0);
    EXPECT_EQ(close(fd), 0);
}

CASE(writing_and_waiting) {
    int fd = open_console();
    EXPECT_EQ(write(fd, "a line of the terminal's test\n", 30), 30);
    struct pollfd out = {.fd = fd, .events = POLLOUT};
    EXPECT_EQ(poll(&out, 1, 5000), 1);
    EXPECT_EQ(out.revents, POLLOUT);
    struct pollfd in = {.fd = fd, .events = POLLIN};
    EXPECT_EQ(poll(&in, 1, 5), 0);
    int waiting = -1;
    EXPECT_EQ(ioctl(fd, FIONREAD, &waiting), 0);
    EXPECT_EQ(waiting, 0);
    EXPECT_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    char c;
    FAILS(read(fd, &c, 1), EAGAIN);
    EXPECT_EQ(close(fd), 0);
}
