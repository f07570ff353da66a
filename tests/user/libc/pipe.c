// Pipes, and waiting for descriptors.
#include <utest/utest.h>

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

GROUP("libc_pipe");

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

struct ends {
    int read, write;
};

static struct ends make(int flags) {
    int fds[2];
    EXPECT_EQ(pipe2(fds, flags), 0);
    return (struct ends){fds[0], fds[1]};
}

static void ignore_broken_pipes(void) {
    (void)signal(SIGPIPE, SIG_IGN);
}

CASE(bytes) {
    struct ends p = make(0);
    char buffer[16] = {};
    EXPECT_EQ(write(p.write, "hello", 5), 5);
    int waiting = 0;
    EXPECT_EQ(ioctl(p.read, FIONREAD, &waiting), 0);
    EXPECT_EQ(waiting, 5);
    EXPECT_EQ(read(p.read, buffer, 3), 3);
    EXPECT_EQ(read(p.read, buffer + 3, 10), 2);
    EXPECT_EQ(memcmp(buffer, "hello", 5), 0);
    FAILS(write(p.read, "x", 1), EBADF);
    FAILS(read(p.write, buffer, 1), EBADF);
    FAILS(lseek(p.read, 0, SEEK_SET), ESPIPE);
    FAILS(pread(p.read, buffer, 1, 0), ESPIPE);
    struct stat a, b;
    EXPECT_EQ(fstat(p.read, &a), 0);
    EXPECT_EQ(fstat(p.write, &b), 0);
    EXPECT(S_ISFIFO(a.st_mode) && a.st_ino == b.st_ino);
    EXPECT_EQ(write(p.write, "last", 4), 4);
    EXPECT_EQ(close(p.write), 0);
    EXPECT_EQ(read(p.read, buffer, 16), 4);
    EXPECT_EQ(read(p.read, buffer, 16), 0); // the end
    EXPECT_EQ(read(p.read, buffer, 16), 0);
    EXPECT_EQ(close(p.read), 0);
}

CASE(end_only_with_the_last_writer) {
    struct ends p = make(0);
    int copy = dup(p.write);
    char c;
    EXPECT_EQ(close(p.write), 0);
    EXPECT_EQ(fcntl(p.read, F_SETFL, O_NONBLOCK), 0);
    FAILS(read(p.read, &c, 1), EAGAIN);
    EXPECT_EQ(close(copy), 0);
    EXPECT_EQ(read(p.read, &c, 1), 0);
    EXPECT_EQ(close(p.read), 0);
}

CASE(broken) {
    ignore_broken_pipes();
    struct ends p = make(0);
    EXPECT_EQ(close(p.read), 0);
    FAILS(write(p.write, "x", 1), EPIPE);
    static char large[100'000];
    FAILS(write(p.write, large, sizeof(large)), EPIPE);
    struct pollfd fd = {.fd = p.write, .events = POLLOUT};
    EXPECT_EQ(poll(&fd, 1, 0), 1);
    EXPECT((fd.revents & POLLERR) != 0);
    EXPECT_EQ(close(p.write), 0);
}

CASE(not_blocking) {
    struct ends p = make(O_NONBLOCK | O_CLOEXEC);
    static char block[PIPE_BUF];
    char c;
    EXPECT_EQ(fcntl(p.read, F_GETFD), FD_CLOEXEC);
    EXPECT((fcntl(p.write, F_GETFL) & O_NONBLOCK) != 0);
    FAILS(read(p.read, &c, 1), EAGAIN);
    size_t total = 0;
    while (write(p.write, block, sizeof(block)) == (ssize_t)sizeof(block)) {
        total += sizeof(block);
    }
    EXPECT_EQ(errno, EAGAIN);
    EXPECT(total >= 65536);
    struct pollfd fd = {.fd = p.write, .events = POLLOUT};
    EXPECT_EQ(poll(&fd, 1, 0), 0);
    EXPECT_EQ(read(p.read, block, sizeof(block)), (ssize_t)sizeof(block));
    EXPECT_EQ(poll(&fd, 1, 0), 1);
    EXPECT_EQ(fd.revents, POLLOUT);
    EXPECT_EQ(close(p.read), 0);
    EXPECT_EQ(close(p.write), 0);
}

// ---- ten writers ----

constexpr int WRITERS = 10, MESSAGES = 200;

static int shared_end;

// Messages of up to PIPE_BUF, each of one byte's value, its length in front.
static void* write_messages(void* which) {
    static _Thread_local unsigned char message[PIPE_BUF];
    for (int i = 0; i < MESSAGES; i++) {
        unsigned len = 3 + ((unsigned)i * 977 + (unsigned)(intptr_t)which * 131) % (PIPE_BUF - 3);
        memset(message, (int)(intptr_t)which, len);
        message[0] = (unsigned char)(len & 0xff);
        message[1] = (unsigned char)(len >> 8);
        struct iovec parts[] = {{message, 2}, {message + 2, len - 2}};
        ssize_t n = i % 2 == 0 ? write(shared_end, message, len) : writev(shared_end, parts, 2);
        if (n != (ssize_t)len) {
            return (void*)1;
        }
    }
    return nullptr;
}

static void read_all(int fd, unsigned char* buffer, size_t len) {
    size_t done = 0;
    while (done < len) {
        ssize_t n = read(fd, buffer + done, len - done);
        EXPECT(n > 0);
        done += n > 0 ? (size_t)n : len;
    }
}

CASE_WITHIN(ten_writers, 60) {
    struct ends p = make(0);
    pthread_t threads[WRITERS];
    int counts[WRITERS + 1] = {};
    shared_end = p.write;
    for (intptr_t i = 0; i < WRITERS; i++) {
        EXPECT_EQ(pthread_create(&threads[i], nullptr, write_messages, (void*)(i + 1)), 0);
    }
    static unsigned char message[PIPE_BUF];
    for (int i = 0; i < WRITERS * MESSAGES; i++) {
        read_all(p.read, message, 2);
        size_t len = message[0] | (size_t)message[1] << 8;
        EXPECT(len >= 3 && len <= PIPE_BUF);
        read_all(p.read, message, len - 2);
        EXPECT(message[0] >= 1 && message[0] <= WRITERS);
        for (size_t k = 1; k < len - 2; k++) {
            EXPECT_EQ(message[k], message[0]);
        }
        counts[message[0]]++;
    }
    for (int i = 0; i < WRITERS; i++) {
        void* result;
        EXPECT_EQ(pthread_join(threads[i], &result), 0);
        EXPECT(result == nullptr);
        EXPECT_EQ(counts[i + 1], MESSAGES);
    }
    EXPECT_EQ(close(p.read), 0);
    EXPECT_EQ(close(p.write), 0);
}

constexpr size_t LARGE = 1 << 20;
static unsigned char sent[LARGE], received[LARGE];

static void* write_large(void* fd) {
    ssize_t n = write((int)(intptr_t)fd, sent, LARGE);
    (void)close((int)(intptr_t)fd);
    return (void*)n;
}

CASE_WITHIN(a_write_larger_than_the_pipe, 60) {
    struct ends p = make(0);
    pthread_t thread;
    for (size_t i = 0; i < LARGE; i++) {
        sent[i] = (unsigned char)(i * 31 + i / 1000);
    }
    EXPECT_EQ(pthread_create(&thread, nullptr, write_large, (void*)(intptr_t)p.write), 0);
    read_all(p.read, received, LARGE);
    EXPECT_EQ(memcmp(sent, received, LARGE), 0);
    void* written;
    EXPECT_EQ(pthread_join(thread, &written), 0);
    EXPECT_EQ((ssize_t)written, (ssize_t)LARGE);
    char c;
    EXPECT_EQ(read(p.read, &c, 1), 0);
    EXPECT_EQ(close(p.read), 0);
}

// ---- waiting ----

static void* write_later(void* fd) {
    (void)nanosleep(&(struct timespec){.tv_nsec = 20'000'000}, nullptr);
    return (void*)write((int)(intptr_t)fd, "x", 1);
}

static void write_from_a_thread(int fd, pthread_t* thread) {
    EXPECT_EQ(pthread_create(thread, nullptr, write_later, (void*)(intptr_t)fd), 0);
}

CASE(blocking_read) {
    struct ends p = make(0);
    pthread_t thread;
    char c;
    write_from_a_thread(p.write, &thread);
    EXPECT_EQ(read(p.read, &c, 1), 1);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    EXPECT_EQ(close(p.read), 0);
    EXPECT_EQ(close(p.write), 0);
}

CASE(polling) {
    struct ends a = make(0), b = make(0);
    pthread_t thread;
    struct pollfd fds[] = {{.fd = a.read, .events = POLLIN},
                           {.fd = b.read, .events = POLLIN},
                           {.fd = -1, .events = POLLIN},
                           {.fd = 200, .events = POLLIN}};
    EXPECT_EQ(poll(fds, 3, 0), 0);
    EXPECT_EQ(poll(fds, 3, 5), 0);
    EXPECT_EQ(poll(fds, 4, 1000), 1); // at once
    EXPECT_EQ(fds[3].revents, POLLNVAL);
    write_from_a_thread(b.write, &thread);
    EXPECT_EQ(poll(fds, 3, -1), 1);
    EXPECT_EQ(fds[0].revents, 0);
    EXPECT_EQ(fds[1].revents, POLLIN);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    EXPECT_EQ(close(a.write), 0);
    EXPECT_EQ(poll(fds, 3, -1), 2);
    EXPECT_EQ(fds[0].revents, POLLHUP);
    EXPECT_EQ(poll(nullptr, 0, 1), 0);
    EXPECT_EQ(close(a.read), 0);
    EXPECT_EQ(close(b.read), 0);
    EXPECT_EQ(close(b.write), 0);
}

CASE(selecting) {
    struct ends p = make(0);
    pthread_t thread;
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(p.read, &in);
    FD_SET(p.write, &out);
    EXPECT_EQ(select(p.write + 1, &in, &out, nullptr, nullptr), 1);
    EXPECT(!FD_ISSET(p.read, &in) && FD_ISSET(p.write, &out));
    FD_SET(p.read, &in);
    EXPECT_EQ(select(p.write + 1, &in, nullptr, nullptr, &(struct timeval){.tv_usec = 1000}), 0);
    EXPECT(!FD_ISSET(p.read, &in));
    FD_SET(p.read, &in);
    write_from_a_thread(p.write, &thread);
    EXPECT_EQ(select(p.write + 1, &in, nullptr, nullptr, nullptr), 1);
    EXPECT(FD_ISSET(p.read, &in));
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    FD_SET(300, &in);
    FAILS(select(301, &in, nullptr, nullptr, nullptr), EBADF);
    EXPECT_EQ(close(p.read), 0);
    EXPECT_EQ(close(p.write), 0);
}

static volatile sig_atomic_t handled;

static void handle(int) {
    handled++;
}

CASE(masks_of_waits) {
    struct ends p = make(0);
    struct pollfd fd = {.fd = p.read, .events = POLLIN};
    sigset_t none, usr1, before, now;
    sigemptyset(&none);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    EXPECT_EQ(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handle}, nullptr), 0);
    EXPECT_EQ(sigprocmask(SIG_BLOCK, &usr1, &before), 0);
    handled = 0;
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(poll(&fd, 1, 5), 0);
    EXPECT_EQ(handled, 0);
    FAILS(ppoll(&fd, 1, nullptr, &none), EINTR); // it was pending: no wait at all
    EXPECT_EQ(handled, 1);
    EXPECT_EQ(ppoll(&fd, 1, &(struct timespec){.tv_nsec = 1000}, &none), 0);
    EXPECT_EQ(raise(SIGUSR1), 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(p.read, &set);
    FAILS(pselect(p.read + 1, &set, nullptr, nullptr, nullptr, &none), EINTR);
    EXPECT_EQ(handled, 2);
    EXPECT_EQ(sigprocmask(SIG_BLOCK, nullptr, &now), 0);
    EXPECT_EQ(sigismember(&now, SIGUSR1), 1); // as before
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &before, nullptr), 0);
    EXPECT_EQ(close(p.read), 0);
    EXPECT_EQ(close(p.write), 0);
}

constexpr int LOTS = 150; // more than one wait of the kernel's takes

CASE_WITHIN(polling_lots, 60) {
    static struct pollfd fds[LOTS];
    static struct ends pipes[LOTS];
    pthread_t thread;
    for (int i = 0; i < LOTS; i++) {
        pipes[i] = make(0);
        fds[i] = (struct pollfd){.fd = pipes[i].read, .events = POLLIN};
    }
    EXPECT_EQ(poll(fds, LOTS, 5), 0);
    write_from_a_thread(pipes[LOTS - 1].write, &thread);
    EXPECT_EQ(poll(fds, LOTS, -1), 1);
    EXPECT_EQ(fds[LOTS - 1].revents, POLLIN);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    for (int i = 0; i < LOTS; i++) {
        EXPECT_EQ(close(pipes[i].read), 0);
        EXPECT_EQ(close(pipes[i].write), 0);
    }
}

static void* read_forever(void* fd) {
    char c;
    (void)read((int)(intptr_t)fd, &c, 1);
    return nullptr;
}

CASE(cancelled_read) {
    struct ends p = make(0);
    pthread_t thread;
    void* result;
    EXPECT_EQ(pthread_create(&thread, nullptr, read_forever, (void*)(intptr_t)p.read), 0);
    (void)nanosleep(&(struct timespec){.tv_nsec = 10'000'000}, nullptr);
    EXPECT_EQ(pthread_cancel(thread), 0);
    EXPECT_EQ(pthread_join(thread, &result), 0);
    EXPECT(result == PTHREAD_CANCELED);
    EXPECT_EQ(close(p.read), 0);
    EXPECT_EQ(close(p.write), 0);
}

CASE(socket_pairs) {
    ignore_broken_pipes();
    int fds[2];
    char c[8];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    EXPECT_EQ(write(fds[0], "to", 2), 2);
    EXPECT_EQ(send(fds[1], "fro", 3, MSG_NOSIGNAL), 3);
    EXPECT_EQ(read(fds[1], c, 8), 2);
    EXPECT_EQ(recv(fds[0], c, 8, 0), 3);
    FAILS(recv(fds[0], c, 8, MSG_DONTWAIT), EAGAIN);
    EXPECT_EQ(shutdown(fds[0], SHUT_WR), 0);
    EXPECT_EQ(read(fds[1], c, 8), 0);
    FAILS(send(fds[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT_EQ(write(fds[1], "x", 1), 1);
    EXPECT_EQ(read(fds[0], c, 8), 1);
    FAILS(socketpair(AF_INET, SOCK_STREAM, 0, fds), EAFNOSUPPORT);
    EXPECT_EQ(close(fds[0]), 0);
    FAILS(write(fds[1], "x", 1), EPIPE);
    EXPECT_EQ(close(fds[1]), 0);
    struct ends p = make(0);
    FAILS(shutdown(p.read, SHUT_RD), ENOTSOCK);
    FAILS(listen(p.read, 1), ENOTSOCK);
    EXPECT_EQ(close(p.read), 0);
    EXPECT_EQ(close(p.write), 0);
}

CASE(sockets_that_are_not_there) {
    struct addrinfo* found;
    struct ifaddrs* interfaces;
    FAILS(socket(AF_INET, SOCK_STREAM, 0), EAFNOSUPPORT);
    FAILS(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), EAFNOSUPPORT);
    FAILS(listen(-1, 1), EBADF);
    EXPECT(getaddrinfo("nowhere.example", nullptr, nullptr, &found) != 0);
    FAILS(getifaddrs(&interfaces), EAFNOSUPPORT);
}

CASE(ends_of_a_pair_as_sockets) {
    int fds[2];
    int value = -1;
    socklen_t len = sizeof(value);
    struct sockaddr_un address;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    EXPECT_EQ(getsockopt(fds[0], SOL_SOCKET, SO_TYPE, &value, &len), 0);
    EXPECT(value == SOCK_STREAM && len == sizeof(value));
    EXPECT_EQ(getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &value, &len), 0);
    EXPECT_EQ(value, 0);
    FAILS(getsockopt(fds[0], SOL_SOCKET, SO_LINGER, &value, &len), ENOPROTOOPT);
    FAILS(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &value, sizeof(value)), ENOPROTOOPT);
    len = sizeof(address);
    EXPECT_EQ(getpeername(fds[1], (struct sockaddr*)&address, &len), 0);
    EXPECT(address.sun_family == AF_UNIX && len == sizeof(address.sun_family));
    FAILS(connect(fds[0], (struct sockaddr*)&address, len), EISCONN);
    FAILS(accept(fds[0], nullptr, nullptr), EINVAL);
    EXPECT_EQ(close(fds[0]), 0);
    EXPECT_EQ(close(fds[1]), 0);
}

CASE(messages_in_pieces) {
    int fds[2];
    char c[8];
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    struct iovec parts[] = {{"ab", 2}, {"cd", 2}};
    struct iovec into[] = {{c, 3}, {c + 4, 4}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    struct msghdr got = {.msg_iov = into, .msg_iovlen = 2};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    got.msg_control = control;
    got.msg_controllen = sizeof(control);
    EXPECT_EQ(sendmsg(fds[0], &message, MSG_NOSIGNAL), 4);
    EXPECT_EQ(recvmsg(fds[1], &got, MSG_CMSG_CLOEXEC), 4);
    EXPECT(memcmp(c, "abc", 3) == 0 && c[4] == 'd' && got.msg_controllen == 0);
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    *CMSG_FIRSTHDR(&message) = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    FAILS(sendmsg(fds[0], &message, 0), EOPNOTSUPP);
    message.msg_iovlen = -1;
    FAILS(recvmsg(fds[1], &message, 0), EINVAL);
    EXPECT_EQ(close(fds[0]), 0);
    EXPECT_EQ(close(fds[1]), 0);
}
