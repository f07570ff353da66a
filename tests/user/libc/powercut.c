// A load of writes to be interrupted by a power cut: powercut DIR COUNT
//
// Files f1, f2, ... are written one after the other; each is synced before the next is begun, and
// each page says which file it belongs to (tools/powercut/cuts.py knows the same contents). Between
// them other names come and go that nobody promises anything about: the file system must be whole
// whatever was under way.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

constexpr size_t page_len = 4096;

static unsigned page_count(unsigned step) {
    return 1 + step * 7 % 40;
}

static void fill(uint64_t* words, unsigned step, unsigned page) {
    memcpy(words, "JxStepNo", 8);
    words[1] = step;
    uint64_t x = (uint64_t)step << 20 | page;
    for (size_t i = 2; i < page_len / 8; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        words[i] = x;
    }
}

static void fail(const char* what, const char* name) {
    fprintf(stderr, "powercut: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

static void must(int result, const char* what, const char* name) {
    if (result < 0) {
        fail(what, name);
    }
}

static void write_file(const char* name, unsigned step) {
    uint64_t words[page_len / 8];
    const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    must(fd, "open", name);
    for (unsigned page = 0; page < page_count(step); page++) {
        fill(words, step, page);
        if (write(fd, words, page_len) != (ssize_t)page_len) {
            fail("write", name);
        }
    }
    must(fsync(fd), "fsync", name);
    must(close(fd), "close", name);
    // The name, too. Every third time by its directory alone.
    if (step % 3 != 0) {
        sync();
        return;
    }
    const int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(directory, "open", ".");
    must(fsync(directory), "fsync", ".");
    must(close(directory), "close", ".");
}

// Names and lengths that change without being synced.
static void stir(unsigned step) {
    char name[32];
    char other[32];
    char text[3000];
    memset(text, 'a' + (int)(step % 26), sizeof(text));
    const int fd = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    must(fd, "open", "log");
    must((int)write(fd, text, sizeof(text)), "write", "log");
    if (step % 11 == 0) {
        must(ftruncate(fd, step), "truncate", "log");
    }
    must(close(fd), "close", "log");
    (void)snprintf(name, sizeof(name), "d%u", step % 8);
    if (mkdir(name, 0777) != 0) {
        must(rmdir(name), "rmdir", name);
    }
    (void)snprintf(name, sizeof(name), "new%u", step);
    (void)snprintf(other, sizeof(other), "kept%u", step % 5);
    must(symlink("somewhere", name), "symlink", name);
    must(rename(name, other), "rename", other);
    (void)snprintf(name, sizeof(name), "hard%u", step % 3);
    (void)unlink(name);
    must(link("log", name), "link", name);
}

// A directory goes from one to another and back, under names of many lengths; it never has two, nor
// none.
static void move(unsigned step) {
    static char box[256] = "left/box";
    char to[256];
    (void)snprintf(to, sizeof(to), "%s/box%0*u", step % 2 != 0 ? "right" : "left",
                   1 + (int)(step * 37 % 200), step);
    must(rename(box, to), "rename", box);
    (void)snprintf(box, sizeof(box), "%s/box%0*u", step % 2 != 0 ? "right" : "left",
                   1 + (int)(step * 53 % 200), step);
    must(rename(to, box), "rename", to); // within its new one
}

static void make_box(void) {
    must(mkdir("left", 0777), "mkdir", "left");
    must(mkdir("right", 0777), "mkdir", "right");
    must(mkdir("left/box", 0777), "mkdir", "box");
    const int fd = open("left/box/inside", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    must(fd, "open", "inside");
    must((int)write(fd, "inside\n", 7), "write", "inside");
    must(close(fd), "close", "inside");
}

int main(int argc, char** argv) {
    if (argc != 3 || chdir(argv[1]) != 0) {
        fprintf(stderr, "usage: powercut DIR COUNT\n");
        return 2;
    }
    const unsigned count = (unsigned)strtoul(argv[2], nullptr, 10);
    make_box();
    for (unsigned step = 1; step <= count; step++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "f%u", step);
        write_file(name, step);
        stir(step);
        move(step);
    }
    printf("powercut: %u files\n", count);
    return 0;
}
