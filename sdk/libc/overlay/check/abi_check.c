// Compiled, not linked: <libc/abi.h> says what musl's headers say.
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "ksigaction.h"

#include <libc/abi.h>

// Flags of both signs: compared as the 32 bits that they are.
#define CONSTANT(name, value) static_assert((uint32_t)(value) == (uint32_t)(name), #name);
#include <libc/abi_constants.def>
#undef CONSTANT

#define SIZE(theirs, ours) static_assert(sizeof(theirs) == sizeof(struct ours))
#define SAME(theirs, their, ours, our)                                    \
    static_assert(offsetof(theirs, their) == offsetof(struct ours, our)); \
    static_assert(sizeof(((theirs*)0)->their) == sizeof(((struct ours*)0)->our))

SIZE(struct timespec, abi_timespec);
SAME(struct timespec, tv_sec, abi_timespec, sec);
SAME(struct timespec, tv_nsec, abi_timespec, nsec);
SIZE(struct timeval, abi_timeval);
SAME(struct timeval, tv_usec, abi_timeval, usec);
SIZE(struct itimerspec, abi_itimerspec);
SAME(struct itimerspec, it_value, abi_itimerspec, value);
SIZE(struct itimerval, abi_itimerval);
SAME(struct itimerval, it_value, abi_itimerval, value);
SIZE(struct tms, abi_tms);
SAME(struct tms, tms_stime, abi_tms, system);
SAME(struct tms, tms_cstime, abi_tms, children_system);

SIZE(struct iovec, abi_iovec);
SAME(struct iovec, iov_base, abi_iovec, base);
SAME(struct iovec, iov_len, abi_iovec, len);

SIZE(struct stat, abi_stat);
SAME(struct stat, st_dev, abi_stat, dev);
SAME(struct stat, st_ino, abi_stat, ino);
SAME(struct stat, st_nlink, abi_stat, nlink);
SAME(struct stat, st_mode, abi_stat, mode);
SAME(struct stat, st_uid, abi_stat, uid);
SAME(struct stat, st_gid, abi_stat, gid);
SAME(struct stat, st_rdev, abi_stat, rdev);
SAME(struct stat, st_size, abi_stat, size);
SAME(struct stat, st_blksize, abi_stat, blksize);
SAME(struct stat, st_blocks, abi_stat, blocks);
SAME(struct stat, st_atim, abi_stat, atim);
SAME(struct stat, st_mtim, abi_stat, mtim);
SAME(struct stat, st_ctim, abi_stat, ctim);

SIZE(struct statfs, abi_statfs);
SAME(struct statfs, f_bavail, abi_statfs, bavail);
SAME(struct statfs, f_fsid, abi_statfs, fsid);
SAME(struct statfs, f_namelen, abi_statfs, namelen);
SAME(struct statfs, f_flags, abi_statfs, flags);

SIZE(struct dirent, abi_dirent);
SAME(struct dirent, d_ino, abi_dirent, ino);
SAME(struct dirent, d_off, abi_dirent, off);
SAME(struct dirent, d_reclen, abi_dirent, reclen);
SAME(struct dirent, d_type, abi_dirent, type);
SAME(struct dirent, d_name, abi_dirent, name);

SIZE(struct pollfd, abi_pollfd);
SAME(struct pollfd, fd, abi_pollfd, fd);
SAME(struct pollfd, events, abi_pollfd, events);
SAME(struct pollfd, revents, abi_pollfd, revents);
SIZE(struct epoll_event, abi_epoll_event);
SAME(struct epoll_event, events, abi_epoll_event, events);
SAME(struct epoll_event, data, abi_epoll_event, data);
SIZE(fd_set, abi_fd_set);

// musl's sigset_t is longer; operations get its first word (and its length, 8).
static_assert(_NSIG / 8 == sizeof(abi_sigset_t));
SIZE(siginfo_t, abi_siginfo);
SAME(siginfo_t, si_signo, abi_siginfo, signo);
SAME(siginfo_t, si_errno, abi_siginfo, error);
SAME(siginfo_t, si_code, abi_siginfo, code);
SAME(siginfo_t, si_pid, abi_siginfo, pid);
SAME(siginfo_t, si_uid, abi_siginfo, uid);
SAME(siginfo_t, si_status, abi_siginfo, status);
SAME(siginfo_t, si_value, abi_siginfo, value);
SAME(siginfo_t, si_addr, abi_siginfo, address);
SIZE(struct k_sigaction, abi_sigaction);
SAME(struct k_sigaction, handler, abi_sigaction, handler);
SAME(struct k_sigaction, flags, abi_sigaction, flags);
SAME(struct k_sigaction, restorer, abi_sigaction, restorer);
SAME(struct k_sigaction, mask, abi_sigaction, mask);
SIZE(stack_t, abi_sigaltstack);
SAME(stack_t, ss_sp, abi_sigaltstack, sp);
SAME(stack_t, ss_flags, abi_sigaltstack, flags);
SAME(stack_t, ss_size, abi_sigaltstack, size);

SIZE(ucontext_t, abi_ucontext);
SAME(ucontext_t, uc_stack, abi_ucontext, stack);
SAME(ucontext_t, uc_mcontext.gregs, abi_ucontext, registers);
SAME(ucontext_t, uc_mcontext.fpregs, abi_ucontext, fp);
static_assert(offsetof(ucontext_t, uc_sigmask) == offsetof(struct abi_ucontext, mask));
static_assert((int)REG_R15 == (int)ABI_REG_R15 && (int)REG_RDI == (int)ABI_REG_RDI &&
              (int)REG_RAX == (int)ABI_REG_RAX && (int)REG_RSP == (int)ABI_REG_RSP &&
              (int)REG_RIP == (int)ABI_REG_RIP && (int)REG_EFL == (int)ABI_REG_EFL &&
              (int)REG_CR2 == (int)ABI_REG_CR2);

static_assert(sizeof(struct termios) >= sizeof(struct abi_termios));
SAME(struct termios, c_iflag, abi_termios, iflag);
SAME(struct termios, c_oflag, abi_termios, oflag);
SAME(struct termios, c_cflag, abi_termios, cflag);
SAME(struct termios, c_lflag, abi_termios, lflag);
SAME(struct termios, c_line, abi_termios, line);
static_assert(offsetof(struct termios, c_cc) == offsetof(struct abi_termios, cc));
SIZE(struct winsize, abi_winsize);
SAME(struct winsize, ws_row, abi_winsize, rows);
SAME(struct winsize, ws_col, abi_winsize, columns);
SIZE(struct flock, abi_flock);
SAME(struct flock, l_type, abi_flock, type);
SAME(struct flock, l_start, abi_flock, start);
SAME(struct flock, l_pid, abi_flock, pid);

SIZE(struct rlimit, abi_rlimit);
SAME(struct rlimit, rlim_max, abi_rlimit, maximum);
static_assert(RLIM_INFINITY == ABI_RLIM_INFINITY);
static_assert(offsetof(struct rusage, __reserved) == sizeof(struct abi_rusage));
SAME(struct rusage, ru_stime, abi_rusage, stime);
SAME(struct rusage, ru_maxrss, abi_rusage, maxrss);
SIZE(struct msghdr, abi_msghdr);
SAME(struct msghdr, msg_iovlen, abi_msghdr, part_count);
SAME(struct msghdr, msg_controllen, abi_msghdr, control_len);
SAME(struct msghdr, msg_flags, abi_msghdr, flags);
SIZE(struct utsname, abi_utsname);
SAME(struct utsname, release, abi_utsname, release);
SAME(struct utsname, machine, abi_utsname, machine);
SIZE(struct sysinfo, abi_sysinfo);
SAME(struct sysinfo, totalram, abi_sysinfo, totalram);
SAME(struct sysinfo, procs, abi_sysinfo, procs);
SAME(struct sysinfo, mem_unit, abi_sysinfo, mem_unit);
static_assert(offsetof(struct sched_param, sched_priority) ==
              offsetof(struct abi_sched_param, priority));

#define AUX(name) static_assert((uint64_t)ABI_AUX_##name == AT_##name)
AUX(NULL);
AUX(PHDR);
AUX(PHENT);
AUX(PHNUM);
AUX(PAGESZ);
AUX(BASE);
AUX(ENTRY);
AUX(UID);
AUX(EUID);
AUX(GID);
AUX(EGID);
AUX(HWCAP);
AUX(CLKTCK);
AUX(SECURE);
AUX(RANDOM);
AUX(EXECFN);
AUX(SYSINFO_EHDR);
