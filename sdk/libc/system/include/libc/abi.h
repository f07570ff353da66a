// What musl above and the system layer below agree on: numbers and the layout of structures.
//
// The system layer does not include musl's headers, and its host tests cannot: so all of it has
// names of our own here. The recipe compiles sdk/libc/overlay/check/abi_check.c, which compares
// each number and each member with musl's headers; a line that is wrong here does not compile
// there.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The enumerators' type is wide enough for all and signed, so that -ABI_ENOENT is what it looks
// like.
enum : int64_t {
#define CONSTANT(name, value) ABI_##name = (value),
#include <libc/abi_constants.def>
#undef CONSTANT
};

// A flag of open() that is ours: what is mapped of the file may be executed (musl's dynamic linker
// says it, third_party/musl/dynlink.patch).
constexpr int ABI_O_EXECUTABLE = 0x20000000;

struct abi_timespec {
    int64_t sec;
    int64_t nsec;
};

struct abi_timeval {
    int64_t sec;
    int64_t usec;
};

struct abi_itimerspec {
    struct abi_timespec interval, value;
};

struct abi_itimerval {
    struct abi_timeval interval, value;
};

struct abi_tms {
    int64_t user, system, children_user, children_system; // in ABI_CLOCK_TICKS per second
};
constexpr int64_t ABI_CLOCK_TICKS = 100;

struct abi_iovec {
    void* base;
    size_t len;
};

struct abi_msghdr {
    void* name;
    uint32_t name_len;
    struct abi_iovec* parts;
    int part_count;
    void* control;
    uint32_t control_len, reserved;
    int flags;
};

struct abi_stat {
    uint64_t dev;
    uint64_t ino;
    uint64_t nlink;
    uint32_t mode, uid, gid, reserved0;
    uint64_t rdev;
    int64_t size;
    int64_t blksize;
    int64_t blocks; // of 512 bytes
    struct abi_timespec atim, mtim, ctim;
    int64_t reserved1[3];
};

struct abi_statfs {
    uint64_t type, bsize;
    uint64_t blocks, bfree, bavail;
    uint64_t files, ffree;
    int32_t fsid[2];
    uint64_t namelen, frsize, flags;
    uint64_t reserved[4];
};

// A directory entry; the next one begins `reclen` bytes later, 8-byte aligned.
struct abi_dirent {
    uint64_t ino;
    int64_t off; // where the entry after this one is, for lseek
    uint16_t reclen;
    uint8_t type; // ABI_DT_*
    char name[256];
};

struct abi_pollfd {
    int fd;
    int16_t events, revents;
};

struct [[gnu::packed]] abi_epoll_event {
    uint32_t events;
    uint64_t data;
};

// select's set: bit fd % 64 of word fd / 64.
struct abi_fd_set {
    uint64_t words[ABI_FD_SETSIZE / 64];
};

// What pselect6's last argument points to.
struct abi_sigset_argument {
    const uint64_t* set;
    size_t size;
};

// Signals are one word: bit n-1 is signal n. (musl's sigset_t has more room, which nothing reads.)
typedef uint64_t abi_sigset_t;

struct abi_siginfo {
    int32_t signo, error, code, reserved0;
    union {
        char reserved1[112];
        struct {
            int32_t pid;
            uint32_t uid;
            union {
                int32_t status; // SIGCHLD
                void* value;    // sigqueue
            };
        };
        void* address; // SIGSEGV and the like
    };
};

// What rt_sigaction passes (musl's struct k_sigaction, not struct sigaction).
struct abi_sigaction {
    union {
        void (*handler)(int);
        void (*handler3)(int, struct abi_siginfo*, void*);
    };
    uint64_t flags;
    void (*restorer)(void);
    abi_sigset_t mask;
};

struct abi_sigaltstack {
    void* sp;
    int32_t flags;
    size_t size;
};

// A handler's third argument: what was interrupted. General registers are in musl's order.
enum abi_register : uint32_t {
    ABI_REG_R8,
    ABI_REG_R9,
    ABI_REG_R10,
    ABI_REG_R11,
    ABI_REG_R12,
    ABI_REG_R13,
    ABI_REG_R14,
    ABI_REG_R15,
    ABI_REG_RDI,
    ABI_REG_RSI,
    ABI_REG_RBP,
    ABI_REG_RBX,
    ABI_REG_RDX,
    ABI_REG_RAX,
    ABI_REG_RCX,
    ABI_REG_RSP,
    ABI_REG_RIP,
    ABI_REG_EFL,
    ABI_REG_CSGSFS,
    ABI_REG_ERR,
    ABI_REG_TRAPNO,
    ABI_REG_OLDMASK,
    ABI_REG_CR2,
    ABI_REGISTERS,
};

struct abi_ucontext {
    uint64_t flags;
    struct abi_ucontext* link;
    struct abi_sigaltstack stack;
    uint64_t registers[ABI_REGISTERS];
    void* fp; // as FXSAVE stores it
    uint64_t reserved1[8];
    abi_sigset_t mask;
    uint64_t reserved2[15 + 64]; // the rest of the mask; room for FPU registers
};

// What TCGETS and TCSETS pass: the first four words, the line discipline and 19 of musl's 32
// characters; musl's structure is longer.
struct abi_termios {
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line;
    uint8_t cc[19];
};

struct abi_winsize {
    uint16_t rows, columns, xpixel, ypixel;
};

struct abi_flock {
    int16_t type, whence;
    int64_t start, len;
    int32_t pid;
};

struct abi_rlimit {
    uint64_t current, maximum;
};
constexpr uint64_t ABI_RLIM_INFINITY = UINT64_MAX;

// What getrusage and wait4 fill: musl's structure has 16 reserved words more, which they leave.
struct abi_rusage {
    struct abi_timeval utime, stime;
    int64_t maxrss; // KiB
    int64_t reserved[13];
};

struct abi_utsname {
    char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

struct abi_sysinfo {
    uint64_t uptime, loads[3];
    uint64_t totalram, freeram, sharedram, bufferram, totalswap, freeswap;
    uint16_t procs, reserved0;
    uint64_t totalhigh, freehigh;
    uint32_t mem_unit;
    char reserved1[256];
};

struct abi_sched_param {
    int32_t priority;
};

// The auxiliary vector behind the environment: pairs, up to ABI_AUX_NULL.
enum abi_aux_type : uint64_t {
    ABI_AUX_NULL = 0,
    ABI_AUX_PHDR = 3,
    ABI_AUX_PHENT = 4,
    ABI_AUX_PHNUM = 5,
    ABI_AUX_PAGESZ = 6,
    ABI_AUX_BASE = 7,
    ABI_AUX_ENTRY = 9,
    ABI_AUX_UID = 11,
    ABI_AUX_EUID = 12,
    ABI_AUX_GID = 13,
    ABI_AUX_EGID = 14,
    ABI_AUX_HWCAP = 16,
    ABI_AUX_CLKTCK = 17,
    ABI_AUX_SECURE = 23,
    ABI_AUX_RANDOM = 25,
    ABI_AUX_EXECFN = 31,
    ABI_AUX_SYSINFO_EHDR = 33,
};
