// A child for the tests of spawn and signal: its arguments say what it does.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zircon/process.h>
#include <zircon/syscalls.h>

static volatile sig_atomic_t got;

static void note(int signal) {
    got = signal;
}

static int say(int value) {
    return dprintf(1, "%d\n", value) > 0 ? 0 : 1;
}

static int copy(void) {
    char buffer[512];
    ssize_t n;
    while ((n = read(0, buffer, sizeof(buffer))) > 0) {
        for (ssize_t at = 0; at < n;) {
            ssize_t put = write(1, buffer + at, (size_t)(n - at));
            if (put < 0) {
                return 1;
            }
            at += put;
        }
    }
    return n < 0;
}

// Takes a signal, says so, and exits with 100 + its number.
static int handle(int signal) {
    struct sigaction action = {.sa_handler = note};
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, signal);
    if (sigaction(signal, &action, nullptr) != 0 ||
        sigprocmask(SIG_BLOCK, &blocked, &before) != 0 || say(getpid()) != 0) {
        return 1;
    }
    while (got == 0) {
        sigsuspend(&before);
    }
    return 100 + got;
}

static int dispositions(int signal) {
    struct sigaction action;
    sigset_t mask;
    if (sigaction(signal, nullptr, &action) != 0 || sigprocmask(SIG_BLOCK, nullptr, &mask) != 0) {
        return 99;
    }
    return (action.sa_handler == SIG_IGN ? 1 : 0) + (sigismember(&mask, signal) ? 2 : 0) +
           (action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL ? 4 : 0);
}

// Dies of an exception that stands for the signal.
static void fault(int signal) {
    volatile int zero = 0;
    int quotient = 1, remainder = 0;
    switch (signal) {
    case SIGFPE: // not in C: a debug build traps before it divides
        __asm__ volatile("idivl %2" : "+a"(quotient), "+d"(remainder) : "m"(zero));
        break;
    case SIGILL:
        __asm__ volatile("ud2");
        break;
    case SIGTRAP:
        __asm__ volatile("int3");
        break;
    case SIGSYS: // a system call outside of the vDSO, inside a constant: no program has one openly
        __asm__ volatile("jmp 1f + 1\n1: mov $0x050f, %%eax"
                         :
                         : "a"(12345)
                         : "rcx", "r11", "memory");
        break;
    case SIGBUS: { // behind the end of what is mapped
        zx_handle_t vmo;
        uintptr_t at;
        if (zx_vmo_create(4096, ZX_VMO_RESIZABLE, &vmo) == ZX_OK &&
            zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_ALLOW_FAULTS, 0, vmo, 0, 4096,
                        &at) == ZX_OK &&
            zx_vmo_set_size(vmo, 0) == ZX_OK) {
            zero = *(volatile int*)at;
        }
        break;
    }
    default:
        *(volatile int*)16 = 1;
    }
}

// Adds seven to an event descriptor that it has inherited, and takes what a read gives.
static int add_event(int fd) {
    uint64_t value = 7;
    if (write(fd, &value, sizeof(value)) != sizeof(value) ||
        read(fd, &value, sizeof(value)) != sizeof(value)) {
        return 1;
    }
    return value == 1 ? 0 : 2;
}

// What lies at 5000 in inherited memory; leaves something behind it.
static int look_at_memory(int fd) {
    char* memory = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        return 1;
    }
    memory[5001] = 'y';
    return memory[5000];
}

static void return_at_once(int) {}

static void fault_again(int) {
    fault(SIGSEGV);
}

// A fault with a handler that ends the program all the same.
static int fatal(const char* how) {
    struct sigaction action = {.sa_handler = return_at_once};
    sigset_t all;
    sigfillset(&all);
    if (strcmp(how, "blocked") == 0) {
        sigaction(SIGSEGV, &action, nullptr);
        sigprocmask(SIG_BLOCK, &all, nullptr);
    } else if (strcmp(how, "ignored") == 0) {
        signal(SIGSEGV, SIG_IGN);
    } else if (strcmp(how, "once") == 0) {
        action.sa_flags = (int)SA_RESETHAND;
        sigaction(SIGFPE, &action, nullptr);
        fault(SIGFPE);
    } else if (strcmp(how, "nested") == 0) {
        action.sa_handler = fault_again;
        sigaction(SIGSEGV, &action, nullptr);
    } else if (strcmp(how, "stack") == 0) {
        sigaction(SIGSEGV, &action, nullptr);
        __asm__ volatile("mov $64, %%rsp\n\tpush %%rax" : : : "memory");
    } else if (strcmp(how, "layer") == 0) {
        sigaction(SIGSEGV, &action, nullptr);
        char* path = (char*)16;
        return open(path, O_RDONLY);
    } else if (strcmp(how, "abort") == 0) {
        sigaction(SIGABRT, &action, nullptr);
        sigaction(SIGSEGV, &action, nullptr);
        abort();
    }
    fault(SIGSEGV);
    return 76;
}

static sigset_t only(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

// Takes three queued values, and exits with them in octal.
static int values(void) {
    sigset_t set = only(SIGRTMIN);
    siginfo_t info;
    int code = 0;
    if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0 || say(getpid()) != 0) {
        return 255;
    }
    for (int i = 0; i < 3; i++) {
        if (sigwaitinfo(&set, &info) != SIGRTMIN || info.si_code != SI_QUEUE) {
            return 254;
        }
        code = code * 8 + info.si_value.sival_int;
    }
    return code;
}

// Execs itself so often, then waits for the signal (which its starter has blocked).
static int exec_and_wait(char** argv, int depth) {
    char next[8];
    if (depth > 0) {
        snprintf(next, sizeof(next), "%d", depth - 1);
        execl("/boot/bin/libc_child", argv[0], argv[1], next, (char*)nullptr);
        return 1;
    }
    sigset_t set = only(SIGUSR1);
    int signal = 0;
    return sigwait(&set, &signal) == 0 && signal == SIGUSR1 ? 10 : 2;
}

// As handle(), without a call in which the signal could be noticed.
static int spin_handle(int signal) {
    struct sigaction action = {.sa_handler = note};
    if (sigaction(signal, &action, nullptr) != 0 || say(getpid()) != 0) {
        return 1;
    }
    while (got == 0) {
    }
    return 100 + got;
}

// A child of its own that sleeps; says both pids.
static int with_child(char* self) {
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/boot/bin/libc_child", self, "sleep", (char*)nullptr);
        _exit(1);
    }
    dprintf(1, "%d %d\n", getpid(), pid);
    for (;;) {
        pause();
    }
}

// A shell with job control, of one command: it leads the terminal that is its descriptor 0, puts a
// child in front, and says what became of it and of itself.
static int lead(char* self) {
    struct sigaction action = {.sa_handler = note};
    if (sigaction(SIGINT, &action, nullptr) != 0 || tcsetpgrp(0, getpgrp()) != 0) {
        return 1;
    }
    pid_t pid = vfork();
    if (pid == 0) {
        setpgid(0, 0);
        tcsetpgrp(0, getpid());
        execl("/boot/bin/libc_child", self, "sleep", (char*)nullptr);
        _exit(1);
    }
    dprintf(1, "in front: %s\n", tcgetpgrp(0) == pid ? "the child" : "somebody else");
    int status = 0;
    while (waitpid(pid, &status, 0) != pid) {
        dprintf(1, "interrupted instead of the child\n");
    }
    dprintf(1, "ended by signal %d\n", WTERMSIG(status));
    if (tcsetpgrp(0, getpgrp()) != 0) {
        return 1;
    }
    dprintf(1, "in front myself\n");
    while (got == 0) {
        pause();
    }
    dprintf(1, "took signal %d\n", (int)got);
    return 0;
}

static int open_descriptors(void) {
    int bits = 0;
    for (int fd = 0; fd < 8; fd++) {
        bits |= fcntl(fd, F_GETFD) >= 0 ? 1 << fd : 0;
    }
    return bits;
}

static int error_of_open(const char* path, int flags) {
    int fd = open(path, flags, 0600);
    return fd < 0 ? errno : close(fd);
}

static int say_names(void) {
    DIR* directory = opendir(".");
    if (directory == nullptr) {
        return dprintf(1, " .=%d", errno);
    }
    for (const struct dirent* e; (e = readdir(directory)) != nullptr;) {
        if (e->d_name[0] != '.') {
            dprintf(1, " %s", e->d_name);
        }
    }
    return closedir(directory);
}

// Started in a directory that no path leads to: what is there, for this process and for `depth`
// generations of children; then it goes to one that has a path.
static int nowhere(char* self, int depth) {
    char path[128];
    dprintf(1, "cwd=%d none=%d boot=%d:", getcwd(path, sizeof(path)) != nullptr ? 0 : errno,
            error_of_open("none", O_RDONLY), error_of_open("/boot", O_RDONLY));
    say_names();
    dprintf(1, "; ");
    if (depth > 0) {
        char next[12];
        snprintf(next, sizeof(next), "%d", depth - 1);
        pid_t pid = vfork();
        if (pid == 0) {
            execl("/boot/bin/libc_child", self, "nowhere", next, (char*)nullptr);
            _exit(1);
        }
        int status = 0;
        if (waitpid(pid, &status, 0) != pid || status != 0) {
            return 1;
        }
    }
    bool repaired = chdir("/") == 0 && getcwd(path, sizeof(path)) != nullptr &&
                    strcmp(path, "/") == 0 && error_of_open("boot", O_RDONLY) == 0;
    return repaired ? 0 : 2;
}

int main(int argc, char** argv) {
    const char* what = argc > 1 ? argv[1] : "";
    const char* word = argc > 2 ? argv[2] : "";
    int number = atoi(word);
    if (strcmp(what, "exit") == 0) {
        return number;
    } else if (strcmp(what, "echo") == 0) {
        return dprintf(1, "%s\n", word) > 0 ? 0 : 1;
    } else if (strcmp(what, "cat") == 0) {
        return copy();
    } else if (strcmp(what, "count") == 0) {
        return say(argc);
    } else if (strcmp(what, "getenv") == 0) {
        const char* value = getenv(word);
        return dprintf(1, "%s\n", value != nullptr ? value : "(none)") > 0 ? 0 : 1;
    } else if (strcmp(what, "sleep") == 0) {
        for (;;) {
            pause();
        }
    } else if (strcmp(what, "spin") == 0) {
        for (volatile int i = 0;;) {
            (void)i;
        }
    } else if (strcmp(what, "raise") == 0) {
        raise(number);
        return 77;
    } else if (strcmp(what, "abort") == 0) {
        abort();
    } else if (strcmp(what, "fault") == 0) {
        fault(number);
    } else if (strcmp(what, "values") == 0) {
        return values();
    } else if (strcmp(what, "exec_and_wait") == 0) {
        return exec_and_wait(argv, number);
    } else if (strcmp(what, "event") == 0) {
        return add_event(number);
    } else if (strcmp(what, "memory") == 0) {
        return look_at_memory(number);
    } else if (strcmp(what, "fatal") == 0) {
        return fatal(word);
    } else if (strcmp(what, "spin_handle") == 0) {
        return spin_handle(number);
    } else if (strcmp(what, "ids") == 0) {
        dprintf(1, "%d %d %d %d\n", getpid(), getppid(), getpgrp(), getsid(0));
        return 0;
    } else if (strcmp(what, "handle") == 0) {
        return handle(number);
    } else if (strcmp(what, "dispositions") == 0) {
        return dispositions(number);
    } else if (strcmp(what, "descriptors") == 0) {
        return open_descriptors();
    } else if (strcmp(what, "exec") == 0) {
        execv(argv[2], argv + 2);
        return 126;
    } else if (strcmp(what, "pid_exec") == 0) {
        say(getpid());
        execv(argv[2], argv + 2);
        return 126;
    } else if (strcmp(what, "with_child") == 0) {
        return with_child(argv[0]);
    } else if (strcmp(what, "umask") == 0) {
        return (int)umask(0);
    } else if (strcmp(what, "self") == 0) {
        char path[128];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        return n > 0 && write(1, path, (size_t)n) == n ? 0 : 1;
    } else if (strcmp(what, "cwd") == 0) {
        char path[128];
        return getcwd(path, sizeof(path)) != nullptr && puts(path) >= 0 ? 0 : 1;
    } else if (strcmp(what, "nowhere") == 0) {
        return nowhere(argv[0], number);
    } else if (strcmp(what, "nowhere_later") == 0) {
        return copy() == 0 ? nowhere(argv[0], 1) : 3; // when the input ends
    } else if (strcmp(what, "lead") == 0) {
        return lead(argv[0]);
    } else if (strcmp(what, "alarm") == 0) {
        alarm(1);
        for (volatile int i = 0;;) { // in no call at all
            (void)i;
        }
    }
    return 98;
}
