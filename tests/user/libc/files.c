// Files, directories and names by POSIX calls, on a memfs of this program's own.
#include <utest/utest.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "own_tmp.h"

GROUP("libc_files");

#define FAILS(call, error)       \
    do {                         \
        errno = 0;               \
        EXPECT_EQ((call), -1);   \
        EXPECT_EQ(errno, error); \
    } while (false)

static void write_file(const char* path, const char* text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    EXPECT_EQ(close(fd), 0);
}

static void expect_file(const char* path, const char* text) {
    char buffer[256];
    int fd = open(path, O_RDONLY);
    EXPECT(fd >= 0);
    ssize_t n = read(fd, buffer, sizeof(buffer));
    EXPECT_EQ(n, (ssize_t)strlen(text));
    EXPECT_EQ(memcmp(buffer, text, strlen(text)), 0);
    EXPECT_EQ(close(fd), 0);
}

static void expect_nothing_left(void) {
    EXPECT_EQ(own_tmp_nodes(), 0);
}

CASE(it_is_this_programs_own) {
    write_file("/tmp/a", "");
    EXPECT_EQ(own_tmp_nodes(), 1);
    EXPECT_EQ(unlink("/tmp/a"), 0);
    expect_nothing_left();
}

CASE(write_and_read) {
    write_file("/tmp/a", "hello");
    expect_file("/tmp/a", "hello");
    int fd = open("/tmp/a", O_RDWR);
    EXPECT(fd >= 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_END), 5);
    EXPECT_EQ(write(fd, " world", 6), 6);
    EXPECT_EQ(lseek(fd, 1, SEEK_SET), 1);
    char buffer[32] = {};
    EXPECT_EQ(read(fd, buffer, 4), 4);
    EXPECT_EQ(memcmp(buffer, "ello", 4), 0);
    EXPECT_EQ(pread(fd, buffer, 5, 6), 5);
    EXPECT_EQ(memcmp(buffer, "world", 5), 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 5); // pread leaves it
    EXPECT_EQ(pwrite(fd, "W", 1, 6), 1);
    struct iovec parts[] = {{buffer, 2}, {buffer + 2, 0}, {buffer + 2, 9}};
    EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
    EXPECT_EQ(readv(fd, parts, 3), 11);
    EXPECT_EQ(memcmp(buffer, "hello World", 11), 0);
    EXPECT_EQ(read(fd, buffer, 1), 0);
    FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
    FAILS(lseek(fd, 0, 99), EINVAL);
    FAILS(pread(fd, buffer, 1, -1), EINVAL);
    EXPECT_EQ(lseek(fd, 100, SEEK_SET), 100);
    EXPECT_EQ(write(fd, "x", 1), 1);
    EXPECT_EQ(pread(fd, buffer, 1, 50), 1); // the gap
    EXPECT_EQ(buffer[0], 0);
    EXPECT_EQ(ftruncate(fd, 5), 0);
    struct stat st;
    EXPECT_EQ(fstat(fd, &st), 0);
    EXPECT_EQ(st.st_size, 5);
    EXPECT(S_ISREG(st.st_mode));
    EXPECT_EQ(st.st_mode & 07777, 0644);
    EXPECT_EQ(truncate("/tmp/a", 7), 0);
    EXPECT_EQ(stat("/tmp/a", &st), 0);
    EXPECT_EQ(st.st_size, 7);
    EXPECT_EQ(fsync(fd), 0);
    EXPECT_EQ(close(fd), 0);
    FAILS(close(fd), EBADF);
    FAILS(read(fd, buffer, 1), EBADF);
    EXPECT_EQ(unlink("/tmp/a"), 0);
    expect_nothing_left();
}

CASE(open_flags) {
    FAILS(open("/tmp/a", O_RDONLY), ENOENT);
    FAILS(open("", O_RDONLY), ENOENT);
    int fd = open("/tmp/a", O_WRONLY | O_CREAT | O_EXCL, 0600);
    EXPECT(fd >= 0);
    char c;
    FAILS(read(fd, &c, 1), EBADF);
    EXPECT_EQ(write(fd, "abc", 3), 3);
    EXPECT_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
    EXPECT_EQ(fcntl(fd, F_GETFD), 0);
    EXPECT_EQ(close(fd), 0);
    FAILS(open("/tmp/a", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    FAILS(open("/tmp/a", O_RDONLY | O_DIRECTORY), ENOTDIR);
    FAILS(open("/tmp/a/", O_RDONLY), ENOTDIR);
    FAILS(open("/tmp/a/b", O_RDONLY), ENOTDIR);
    struct stat st;
    FAILS(stat("/tmp/a/", &st), ENOTDIR);
    FAILS(stat("", &st), ENOENT);
    FAILS(open("/tmp/b/", O_WRONLY | O_CREAT, 0600), EISDIR);
    FAILS(open("/tmp", O_WRONLY), EISDIR);
    FAILS(open("/tmp", O_RDWR | O_CREAT, 0600), EISDIR);
    FAILS(open("/nowhere/a", O_WRONLY | O_CREAT, 0600), EROFS);
    FAILS(open("/", O_RDWR), EISDIR);
    fd = open("/tmp/a", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    FAILS(write(fd, "x", 1), EBADF);
    EXPECT_EQ(fcntl(fd, F_SETFD, 0), 0);
    EXPECT_EQ(fcntl(fd, F_GETFD), 0);
    FAILS(ftruncate(fd, 0), EINVAL);
    EXPECT_EQ(close(fd), 0);
    fd = open("/tmp/a", O_RDWR | O_TRUNC);
    EXPECT_EQ(read(fd, &c, 1), 0);
    EXPECT_EQ(close(fd), 0);
    fd = open("/tmp/a", O_PATH);
    EXPECT(fd >= 0);
    FAILS(read(fd, &c, 1), EBADF);
    EXPECT_EQ(fstat(fd, &st), 0);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(unlink("/tmp/a"), 0);
    expect_nothing_left();
}

CASE(umask_and_modes) {
    mode_t old = umask(027);
    int fd = open("/tmp/a", O_WRONLY | O_CREAT, 0666);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(mkdir("/tmp/d", 0777), 0);
    EXPECT_EQ(umask(old), 027);
    struct stat st;
    EXPECT_EQ(stat("/tmp/a", &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0640);
    EXPECT_EQ(stat("/tmp/d", &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0750);
    EXPECT(S_ISDIR(st.st_mode));
    EXPECT_EQ(chmod("/tmp/a", 0400), 0);
    EXPECT_EQ(access("/tmp/a", R_OK), 0);
    FAILS(access("/tmp/a", W_OK), EACCES);
    FAILS(access("/tmp/a", X_OK), EACCES);
    FAILS(access("/tmp/b", F_OK), ENOENT);
    struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5}, {.tv_sec = 2000, .tv_nsec = 7}};
    EXPECT_EQ(utimensat(AT_FDCWD, "/tmp/a", times, 0), 0);
    EXPECT_EQ(stat("/tmp/a", &st), 0);
    EXPECT_EQ(st.st_atim.tv_sec, 1000);
    EXPECT_EQ(st.st_mtim.tv_sec, 2000);
    EXPECT_EQ(st.st_mtim.tv_nsec, 7);
    times[0].tv_nsec = UTIME_OMIT;
    times[1] = (struct timespec){.tv_sec = 3000};
    EXPECT_EQ(utimensat(AT_FDCWD, "/tmp/a", times, 0), 0);
    EXPECT_EQ(stat("/tmp/a", &st), 0);
    EXPECT_EQ(st.st_atim.tv_sec, 1000);
    EXPECT_EQ(st.st_mtim.tv_sec, 3000);
    EXPECT_EQ(chown("/tmp/a", 0, 0), 0);
    FAILS(chown("/tmp/b", 0, 0), ENOENT);
    EXPECT_EQ(unlink("/tmp/a"), 0);
    EXPECT_EQ(rmdir("/tmp/d"), 0);
    expect_nothing_left();
}

CASE(descriptors_share_an_offset) {
    write_file("/tmp/a", "abcdef");
    int fd = open("/tmp/a", O_RDONLY);
    int copy = dup(fd);
    char c[2];
    EXPECT_EQ(read(fd, c, 2), 2);
    EXPECT_EQ(read(copy, c, 2), 2);
    EXPECT_EQ(memcmp(c, "cd", 2), 0);
    EXPECT_EQ(lseek(copy, 1, SEEK_SET), 1);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 1);
    int other = open("/tmp/a", O_RDONLY); // another description
    EXPECT_EQ(lseek(other, 0, SEEK_CUR), 0);
    EXPECT_EQ(dup2(fd, other), other);
    EXPECT_EQ(lseek(other, 0, SEEK_CUR), 1);
    EXPECT_EQ(dup2(fd, fd), fd);
    FAILS(dup2(99, fd), EBADF);
    FAILS(dup2(fd, -1), EBADF);
    FAILS(dup3(fd, fd, 0), EINVAL);
    EXPECT_EQ(fcntl(fd, F_DUPFD, 40), 40);
    EXPECT_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 40), 41);
    EXPECT_EQ(fcntl(41, F_GETFD), FD_CLOEXEC);
    FAILS(fcntl(fd, F_DUPFD, 100'000), EINVAL);
    const int all[] = {fd, copy, other, 40, 41};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        EXPECT_EQ(close(all[i]), 0);
    }
    EXPECT_EQ(unlink("/tmp/a"), 0);
    expect_nothing_left();
}

CASE(unlinked_while_open) {
    write_file("/tmp/a", "still here");
    int fd = open("/tmp/a", O_RDWR);
    EXPECT_EQ(unlink("/tmp/a"), 0);
    FAILS(open("/tmp/a", O_RDONLY), ENOENT);
    char buffer[16];
    EXPECT_EQ(read(fd, buffer, sizeof(buffer)), 10);
    EXPECT_EQ(pwrite(fd, "S", 1, 0), 1);
    struct stat st;
    EXPECT_EQ(fstat(fd, &st), 0);
    EXPECT_EQ(st.st_nlink, 0);
    EXPECT_EQ(close(fd), 0);
    expect_nothing_left();
}

CASE(names) {
    EXPECT_EQ(mkdir("/tmp/d/", 0755), 0);
    FAILS(mkdir("/tmp/d", 0755), EEXIST);
    FAILS(mkdir("/tmp/x/y", 0755), ENOENT);
    FAILS(mkdir("/tmp", 0755), EEXIST);
    FAILS(mkdir("/", 0755), EEXIST);
    write_file("/tmp/d/f", "f");
    FAILS(rmdir("/tmp/d"), ENOTEMPTY);
    FAILS(rmdir("/tmp/d/f"), ENOTDIR);
    FAILS(unlink("/tmp/d"), EISDIR);
    FAILS(unlink("/tmp/none"), ENOENT);
    FAILS(rmdir("/tmp"), EBUSY);
    FAILS(rmdir("/tmp/d/."), EINVAL);
    EXPECT_EQ(link("/tmp/d/f", "/tmp/g"), 0);
    struct stat a, b;
    EXPECT_EQ(stat("/tmp/d/f", &a), 0);
    EXPECT_EQ(stat("/tmp/g", &b), 0);
    EXPECT_EQ(a.st_ino, b.st_ino);
    EXPECT_EQ(a.st_nlink, 2);
    FAILS(link("/tmp/g", "/tmp/d/f"), EEXIST);
    FAILS(link("/tmp/d", "/tmp/dd"), EPERM);
    EXPECT_EQ(rename("/tmp/g", "/tmp/h"), 0);
    FAILS(stat("/tmp/g", &b), ENOENT);
    FAILS(rename("/tmp/none", "/tmp/h"), ENOENT);
    FAILS(rename("/tmp/d", "/tmp/d/e"), EINVAL);
    FAILS(rename("/tmp/h", "/tmp/d"), EISDIR);
    FAILS(rename("/tmp/d", "/tmp/h"), ENOTDIR);
    FAILS(rename("/tmp/d/.", "/tmp/h"), EBUSY);
    FAILS(rename("/tmp/h", "/boot/h"), EXDEV);
    FAILS(link("/tmp/h", "/boot/h"), EXDEV);
    FAILS(rename("/tmp/none", "/boot/h"), ENOENT);
    write_file("/tmp/i", "i");
    EXPECT_EQ(rename("/tmp/i", "/tmp/h"), 0); // replaces
    expect_file("/tmp/h", "i");
    EXPECT_EQ(unlink("/tmp/h"), 0);
    EXPECT_EQ(unlink("/tmp/d/f"), 0);
    EXPECT_EQ(rmdir("/tmp/d/"), 0);
    expect_nothing_left();
}

CASE(relative_to_a_directory) {
    EXPECT_EQ(mkdir("/tmp/d", 0755), 0);
    EXPECT_EQ(mkdir("/tmp/e", 0755), 0);
    int d = open("/tmp/d", O_RDONLY | O_DIRECTORY);
    int e = open("/tmp/e", O_RDONLY | O_DIRECTORY);
    int fd = openat(d, "f", O_WRONLY | O_CREAT, 0644);
    EXPECT(fd >= 0);
    FAILS(openat(fd, "x", O_RDONLY), ENOTDIR);
    FAILS(openat(77, "x", O_RDONLY), EBADF);
    EXPECT_EQ(close(fd), 0);
    struct stat st;
    EXPECT_EQ(fstatat(d, "f", &st, 0), 0);
    EXPECT_EQ(fstatat(d, "../d/f", &st, 0), 0);
    EXPECT_EQ(fstatat(d, "", &st, AT_EMPTY_PATH), 0);
    EXPECT(S_ISDIR(st.st_mode));
    EXPECT_EQ(renameat(d, "f", e, "g"), 0); // another directory: by its token
    EXPECT_EQ(faccessat(e, "g", F_OK, 0), 0);
    EXPECT_EQ(mkdirat(e, "sub", 0700), 0);
    FAILS(unlinkat(e, "sub", 0), EISDIR);
    EXPECT_EQ(unlinkat(e, "sub", AT_REMOVEDIR), 0);
    EXPECT_EQ(unlinkat(e, "g", 0), 0);
    // A directory that was renamed is still the same one.
    EXPECT_EQ(rename("/tmp/d", "/tmp/dd"), 0);
    fd = openat(d, "h", O_WRONLY | O_CREAT, 0644);
    EXPECT(fd >= 0);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(unlink("/tmp/dd/h"), 0);
    EXPECT_EQ(close(d), 0);
    EXPECT_EQ(close(e), 0);
    EXPECT_EQ(rmdir("/tmp/dd"), 0);
    EXPECT_EQ(rmdir("/tmp/e"), 0);
    expect_nothing_left();
}

CASE(working_directory) {
    char path[PATH_MAX];
    EXPECT(getcwd(path, sizeof(path)) != nullptr);
    EXPECT(strcmp(path, "/") == 0);
    EXPECT_EQ(mkdir("/tmp/d", 0755), 0);
    EXPECT_EQ(mkdir("/tmp/d/e", 0755), 0);
    EXPECT_EQ(symlink("d/e", "/tmp/l"), 0);
    EXPECT_EQ(chdir("tmp"), 0);
    EXPECT(strcmp(getcwd(path, sizeof(path)), "/tmp") == 0);
    EXPECT_EQ(chdir("l"), 0); // where it leads, not its name
    EXPECT(strcmp(getcwd(path, sizeof(path)), "/tmp/d/e") == 0);
    EXPECT(getcwd(path, 4) == nullptr && errno == ERANGE);
    write_file("f", "here");
    expect_file("/tmp/d/e/f", "here");
    EXPECT_EQ(chdir(".."), 0);
    EXPECT(strcmp(getcwd(path, sizeof(path)), "/tmp/d") == 0);
    expect_file("./e/../e/f", "here");
    EXPECT_EQ(chdir("../.."), 0);
    EXPECT(strcmp(getcwd(path, sizeof(path)), "/") == 0);
    expect_file("tmp/d/e/f", "here");
    FAILS(chdir("/tmp/d/e/f"), ENOTDIR);
    FAILS(chdir("/tmp/none"), ENOENT);
    int fd = open("/tmp/d", O_RDONLY);
    EXPECT_EQ(fchdir(fd), 0);
    EXPECT(strcmp(getcwd(path, sizeof(path)), "/tmp/d") == 0);
    EXPECT_EQ(close(fd), 0);
    struct stat st;
    EXPECT_EQ(stat("../../tmp/./d//e", &st), 0);
    EXPECT_EQ(unlink("e/f"), 0);
    EXPECT_EQ(mkdir("gone", 0700), 0);
    EXPECT_EQ(chdir("gone"), 0);
    EXPECT_EQ(rmdir("/tmp/d/gone"), 0);
    EXPECT(getcwd(path, sizeof(path)) == nullptr && errno == ENOENT);
    FAILS(open("x", O_WRONLY | O_CREAT, 0600), ENOENT);
    EXPECT_EQ(chdir("/"), 0);
    EXPECT_EQ(unlink("/tmp/l"), 0);
    EXPECT_EQ(rmdir("/tmp/d/e"), 0);
    EXPECT_EQ(rmdir("/tmp/d"), 0);
    expect_nothing_left();
}

CASE(symbolic_links) {
    char text[64] = {};
    struct stat st;
    write_file("/tmp/f", "target");
    EXPECT_EQ(symlink("f", "/tmp/relative"), 0);
    EXPECT_EQ(symlink("/tmp/f", "/tmp/absolute"), 0);
    EXPECT_EQ(symlink("/tmp", "/tmp/up"), 0);
    EXPECT_EQ(symlink("/tmp/none", "/tmp/dangling"), 0);
    EXPECT_EQ(symlink("/dev/null", "/tmp/null"), 0);
    FAILS(symlink("x", "/tmp/f"), EEXIST);
    EXPECT_EQ(readlink("/tmp/absolute", text, sizeof(text)), 6);
    EXPECT(strcmp(text, "/tmp/f") == 0);
    EXPECT_EQ(readlink("/tmp/absolute", text, 3), 3);
    FAILS(readlink("/tmp/f", text, sizeof(text)), EINVAL);
    FAILS(readlink("/tmp/none", text, sizeof(text)), ENOENT);
    expect_file("/tmp/relative", "target");
    expect_file("/tmp/absolute", "target");
    expect_file("/tmp/up/up/absolute", "target"); // three times out of the server and back
    EXPECT_EQ(lstat("/tmp/absolute", &st), 0);
    EXPECT(S_ISLNK(st.st_mode));
    EXPECT_EQ(lstat("/tmp/up/absolute", &st), 0);
    EXPECT(S_ISLNK(st.st_mode));
    EXPECT_EQ(lstat("/tmp/up/", &st), 0);
    EXPECT(S_ISDIR(st.st_mode));
    EXPECT_EQ(stat("/tmp/null", &st), 0);
    EXPECT(S_ISCHR(st.st_mode));
    FAILS(stat("/tmp/dangling", &st), ENOENT);
    FAILS(open("/tmp/absolute", O_RDONLY | O_NOFOLLOW), ELOOP);
    int fd = open("/tmp/up/f", O_RDONLY | O_NOFOLLOW); // only the last one counts
    EXPECT(fd >= 0);
    EXPECT_EQ(close(fd), 0);
    FAILS(open("/tmp/dangling", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    write_file("/tmp/dangling", "made through the link");
    expect_file("/tmp/none", "made through the link");
    // What changes names does not follow the last link, but those before it.
    EXPECT_EQ(mkdir("/tmp/up/d", 0700), 0);
    EXPECT_EQ(rename("/tmp/up/d", "/tmp/up/e"), 0);
    EXPECT_EQ(link("/tmp/f", "/tmp/up/e/f"), 0);
    EXPECT_EQ(unlink("/tmp/up/e/f"), 0);
    EXPECT_EQ(chmod("/tmp/up/absolute", 0600), 0); // follows
    EXPECT_EQ(stat("/tmp/f", &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600);
    EXPECT_EQ(rmdir("/tmp/up/e"), 0);
    const char* all[] = {"f", "relative", "absolute", "up", "dangling", "none", "null"};
    EXPECT_EQ(chdir("/tmp"), 0);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        EXPECT_EQ(unlink(all[i]), 0);
    }
    EXPECT_EQ(chdir("/"), 0);
    expect_nothing_left();
}

CASE(loops_and_long_names) {
    static char path[2 * PATH_MAX];
    char resolved[PATH_MAX];
    struct stat st;
    EXPECT_EQ(symlink("loop", "/tmp/loop"), 0);
    EXPECT_EQ(symlink("/tmp/b", "/tmp/a"), 0);
    EXPECT_EQ(symlink("/tmp/a", "/tmp/b"), 0);
    FAILS(stat("/tmp/loop", &st), ELOOP);
    FAILS(stat("/tmp/a", &st), ELOOP);
    FAILS(open("/tmp/a/x", O_RDONLY), ELOOP);
    FAILS(mkdir("/tmp/a/x", 0700), ELOOP);
    FAILS(unlink("/tmp/loop/x"), ELOOP);
    FAILS(chdir("/tmp/a"), ELOOP);
    EXPECT(realpath("/tmp/a", resolved) == nullptr && errno == ELOOP);
    EXPECT(realpath("/tmp/../tmp/.", resolved) != nullptr && strcmp(resolved, "/tmp") == 0);
    strcpy(path, "/tmp/");
    memset(path + 5, 'n', NAME_MAX);
    EXPECT_EQ(mkdir(path, 0700), 0);
    EXPECT_EQ(rmdir(path), 0);
    path[5 + NAME_MAX] = 'n';
    FAILS(mkdir(path, 0700), ENAMETOOLONG);
    FAILS(stat(path, &st), ENAMETOOLONG);
    for (size_t i = 4; i + 2 < sizeof(path); i += 2) {
        memcpy(path + i, "/.", 3);
    }
    FAILS(stat(path, &st), ENAMETOOLONG);
    EXPECT_EQ(unlink("/tmp/loop"), 0);
    EXPECT_EQ(unlink("/tmp/a"), 0);
    EXPECT_EQ(unlink("/tmp/b"), 0);
    expect_nothing_left();
}

// ---- directories ----

constexpr int MANY = 3000; // several answers of the server

static void entry_path(char path[64], int i) {
    snprintf(path, 64, "/tmp/many/entry-%d", i);
}

CASE_WITHIN(large_directory, 60) {
    static bool seen[MANY];
    char path[64];
    EXPECT_EQ(mkdir("/tmp/many", 0700), 0);
    for (int i = 0; i < MANY; i++) {
        entry_path(path, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        EXPECT(fd >= 0);
        EXPECT_EQ(close(fd), 0);
    }
    memset(seen, 0, sizeof(seen));
    DIR* dir = opendir("/tmp/many");
    EXPECT(dir != nullptr);
    int files = 0, dots = 0;
    long middle = 0;
    char at_middle[64] = "";
    struct dirent* e;
    while ((e = readdir(dir)) != nullptr) {
        int i;
        if (sscanf(e->d_name, "entry-%d", &i) == 1) {
            EXPECT(i >= 0 && i < MANY && !seen[i]);
            seen[i] = true;
            EXPECT_EQ(e->d_type, DT_REG);
            files++;
        } else {
            dots++;
            EXPECT(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
        }
        if (files == MANY / 2 && middle == 0) {
            middle = telldir(dir);
        } else if (middle != 0 && at_middle[0] == 0) {
            strcpy(at_middle, e->d_name);
        }
    }
    EXPECT_EQ(files, MANY);
    EXPECT_EQ(dots, 2);
    seekdir(dir, middle);
    e = readdir(dir);
    EXPECT(e != nullptr && strcmp(e->d_name, at_middle) == 0);
    rewinddir(dir);
    e = readdir(dir);
    EXPECT(e != nullptr && strcmp(e->d_name, ".") == 0);
    // Taking away what a listing gives, as rm does, misses nothing.
    rewinddir(dir);
    while ((e = readdir(dir)) != nullptr) {
        if (e->d_name[0] != '.') {
            EXPECT_EQ(unlinkat(dirfd(dir), e->d_name, 0), 0);
        }
    }
    EXPECT_EQ(closedir(dir), 0);
    EXPECT_EQ(rmdir("/tmp/many"), 0);
    expect_nothing_left();
}

CASE(made_up_directories) {
    DIR* dir = opendir("/");
    EXPECT(dir != nullptr);
    bool tmp = false;
    struct dirent* e;
    while ((e = readdir(dir)) != nullptr) {
        EXPECT_EQ(e->d_type, DT_DIR);
        tmp |= strcmp(e->d_name, "tmp") == 0;
    }
    EXPECT(tmp);
    EXPECT_EQ(closedir(dir), 0);
    struct stat st, other;
    EXPECT_EQ(stat("/", &st), 0);
    EXPECT(S_ISDIR(st.st_mode));
    EXPECT_EQ(stat("/tmp/..", &other), 0);
    EXPECT_EQ(st.st_ino, other.st_ino);
    FAILS(stat("/none", &st), ENOENT);
    FAILS(mkdir("/none", 0700), EROFS);
    FAILS(unlink("/none"), ENOENT);
    FAILS(rename("/tmp", "/none"), EBUSY);
    char c;
    int fd = open("/", O_RDONLY);
    FAILS(read(fd, &c, 1), EISDIR);
    EXPECT_EQ(close(fd), 0);
}

CASE(errors_of_directories) {
    char c;
    int fd = open("/tmp", O_RDONLY);
    FAILS(read(fd, &c, 1), EISDIR);
    FAILS(write(fd, &c, 1), EBADF);
    EXPECT_EQ(close(fd), 0);
    write_file("/tmp/f", "");
    EXPECT(opendir("/tmp/f") == nullptr && errno == ENOTDIR);
    EXPECT_EQ(unlink("/tmp/f"), 0);
    struct statvfs fs;
    EXPECT_EQ(statvfs("/tmp", &fs), 0);
    EXPECT(fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks && fs.f_namemax == NAME_MAX);
    expect_nothing_left();
}

// ---- many at once ----

constexpr int WRITERS = 4, RECORDS = 300;
constexpr size_t RECORD = 40;

static void* append_records(void* which) {
    char record[RECORD];
    memset(record, 'a' + (int)(intptr_t)which, RECORD);
    int fd = open("/tmp/log", O_WRONLY | O_APPEND);
    for (int i = 0; i < RECORDS; i++) {
        if (write(fd, record, RECORD) != (ssize_t)RECORD) {
            return (void*)1;
        }
    }
    return (void*)(intptr_t)close(fd);
}

CASE_WITHIN(appending_threads, 60) {
    pthread_t threads[WRITERS];
    int counts[WRITERS] = {};
    write_file("/tmp/log", "");
    for (intptr_t i = 0; i < WRITERS; i++) {
        EXPECT_EQ(pthread_create(&threads[i], nullptr, append_records, (void*)i), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        void* result;
        EXPECT_EQ(pthread_join(threads[i], &result), 0);
        EXPECT(result == nullptr);
    }
    int fd = open("/tmp/log", O_RDONLY);
    char record[RECORD];
    ssize_t n;
    while ((n = read(fd, record, RECORD)) > 0) {
        EXPECT_EQ(n, (ssize_t)RECORD);
        for (size_t i = 1; i < RECORD; i++) {
            EXPECT_EQ(record[i], record[0]); // none was cut by another
        }
        counts[record[0] - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++) {
        EXPECT_EQ(counts[i], RECORDS);
    }
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(unlink("/tmp/log"), 0);
    expect_nothing_left();
}

static void* opens(void*) {
    for (int i = 0; i < 500; i++) {
        int fd = open("/tmp/race", O_RDONLY);
        char c;
        if (fd >= 0) {
            // Another thread may have closed it, and opened something else under the number.
            (void)read(fd, &c, 1);
            (void)close(fd);
        }
    }
    return nullptr;
}

static void* closes(void*) {
    for (int i = 0; i < 3000; i++) {
        (void)close(20 + i % 4);
        (void)dup2(19, 20 + (i + 2) % 4);
    }
    return nullptr;
}

CASE_WITHIN(close_races_read, 60) {
    pthread_t threads[3];
    char c;
    write_file("/tmp/race", "x");
    int fd = open("/tmp/race", O_RDONLY);
    EXPECT_EQ(dup2(fd, 19), 19);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(pthread_create(&threads[0], nullptr, closes, nullptr), 0);
    EXPECT_EQ(pthread_create(&threads[1], nullptr, closes, nullptr), 0);
    EXPECT_EQ(pthread_create(&threads[2], nullptr, opens, nullptr), 0);
    for (int i = 0; i < 3000; i++) {
        ssize_t n = pread(20 + i % 4, &c, 1, 0);
        EXPECT(n == 1 || (n == -1 && errno == EBADF));
    }
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(pthread_join(threads[i], nullptr), 0);
    }
    for (int i = 19; i < 24; i++) {
        (void)close(i);
    }
    EXPECT_EQ(unlink("/tmp/race"), 0);
    expect_nothing_left();
}

// ---- the rest ----

CASE(append_mode) {
    write_file("/tmp/a", "abc");
    int fd = open("/tmp/a", O_RDWR | O_APPEND);
    EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
    EXPECT_EQ(write(fd, "d", 1), 1);
    EXPECT_EQ(fcntl(fd, F_GETFL) & O_APPEND, O_APPEND);
    EXPECT_EQ(fcntl(fd, F_SETFL, 0), 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
    EXPECT_EQ(write(fd, "A", 1), 1);
    EXPECT_EQ(fcntl(fd, F_SETFL, O_APPEND), 0);
    EXPECT_EQ(write(fd, "e", 1), 1);
    EXPECT_EQ(close(fd), 0);
    expect_file("/tmp/a", "Abcde");
    EXPECT_EQ(unlink("/tmp/a"), 0);
    expect_nothing_left();
}

CASE(mapped_files) {
    write_file("/tmp/m", "mapped");
    int fd = open("/tmp/m", O_RDWR);
    char* shared = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT(shared != MAP_FAILED);
    char* own = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    EXPECT(own != MAP_FAILED);
    EXPECT_EQ(memcmp(shared, "mapped", 6), 0);
    own[0] = 'X';
    shared[0] = 'M';
    EXPECT_EQ(munmap(own, 4096), 0);
    EXPECT_EQ(munmap(shared, 4096), 0);
    EXPECT_EQ(close(fd), 0);
    expect_file("/tmp/m", "Mapped");
    fd = open("/tmp/m", O_RDONLY);
    EXPECT(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
           errno == EACCES);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(unlink("/tmp/m"), 0);
    expect_nothing_left();
}

CASE(copies) {
    write_file("/tmp/a", "copied text");
    int in = open("/tmp/a", O_RDONLY);
    int out = open("/tmp/b", O_RDWR | O_CREAT, 0600);
    off_t offset = 7;
    EXPECT_EQ(sendfile(out, in, &offset, 100), 4);
    EXPECT_EQ(offset, 11);
    EXPECT_EQ(lseek(in, 0, SEEK_CUR), 0);
    EXPECT_EQ(sendfile(out, in, nullptr, 6), 6);
    EXPECT_EQ(lseek(in, 0, SEEK_CUR), 6);
    EXPECT_EQ(close(in), 0);
    EXPECT_EQ(close(out), 0);
    expect_file("/tmp/b", "textcopied");
    EXPECT_EQ(unlink("/tmp/a"), 0);
    EXPECT_EQ(unlink("/tmp/b"), 0);
    expect_nothing_left();
}

CASE(devices) {
    char buffer[64];
    int fd = open("/dev/null", O_RDWR);
    EXPECT_EQ(write(fd, "gone", 4), 4);
    EXPECT_EQ(read(fd, buffer, 4), 0);
    EXPECT_EQ(lseek(fd, 5, SEEK_SET), 0);
    EXPECT_EQ(isatty(fd), 0);
    EXPECT_EQ(errno, ENOTTY);
    EXPECT_EQ(close(fd), 0);
    fd = open("/dev/zero", O_RDONLY);
    memset(buffer, 1, sizeof(buffer));
    EXPECT_EQ(read(fd, buffer, sizeof(buffer)), (ssize_t)sizeof(buffer));
    EXPECT_EQ(buffer[0] | buffer[63], 0);
    EXPECT_EQ(close(fd), 0);
    fd = open("/dev/full", O_WRONLY);
    FAILS(write(fd, "x", 1), ENOSPC);
    EXPECT_EQ(close(fd), 0);
    fd = open("/dev/urandom", O_RDONLY);
    char other[64];
    EXPECT_EQ(read(fd, buffer, sizeof(buffer)), (ssize_t)sizeof(buffer));
    EXPECT_EQ(read(fd, other, sizeof(other)), (ssize_t)sizeof(other));
    EXPECT(memcmp(buffer, other, sizeof(buffer)) != 0);
    EXPECT_EQ(close(fd), 0);
    FAILS(open("/dev/null", O_RDWR | O_DIRECTORY), ENOTDIR);
    fd = open("/dev/tty", O_RDWR); // whether there is one is the starter's decision
    EXPECT(fd >= 0 ? isatty(fd) == 1 && close(fd) == 0 : errno == ENOENT || errno == ENXIO);
    write_file("/tmp/f", "by number");
    int file = open("/tmp/f", O_RDONLY);
    char path[32];
    snprintf(path, sizeof(path), "/dev/fd/%d", file);
    expect_file(path, "by number");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file + 1);
    FAILS(open(path, O_RDONLY), ENOENT);
    EXPECT_EQ(close(file), 0);
    EXPECT_EQ(unlink("/tmp/f"), 0);
    expect_nothing_left();
}

CASE(streams_of_the_library) {
    FILE* f = fopen("/tmp/s", "w+");
    EXPECT(f != nullptr);
    for (int i = 0; i < 1000; i++) {
        fprintf(f, "line %d\n", i);
    }
    rewind(f);
    char line[32];
    int n = 0;
    while (fgets(line, sizeof(line), f) != nullptr) {
        int i;
        EXPECT(sscanf(line, "line %d", &i) == 1 && i == n);
        n++;
    }
    EXPECT_EQ(n, 1000);
    EXPECT_EQ(fclose(f), 0);
    EXPECT_EQ(remove("/tmp/s"), 0);
    char name[] = "/tmp/tempXXXXXX";
    int fd = mkstemp(name);
    EXPECT(fd >= 0);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(unlink(name), 0);
    expect_nothing_left();
}
