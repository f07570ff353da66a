// Takes the place of musl's file, which stops all threads because ids are a thread's there. Here a
// process has ids that never change.
#include <unistd.h>
#include "libc.h"
#include "syscall.h"

static long set(int number, int id, int effective, int saved) {
    switch (number) {
    case SYS_setuid:
        return __syscall(SYS_setuid, id);
    case SYS_setgid:
        return __syscall(SYS_setgid, id);
    case SYS_setreuid:
        return __syscall(SYS_setreuid, id, effective);
    case SYS_setregid:
        return __syscall(SYS_setregid, id, effective);
    case SYS_setresuid:
        return __syscall(SYS_setresuid, id, effective, saved);
    case SYS_setresgid:
        return __syscall(SYS_setresgid, id, effective, saved);
    default:
        return -ENOSYS;
    }
}

int __setxid(int number, int id, int effective, int saved) {
    return __syscall_ret(set(number, id, effective, saved));
}
