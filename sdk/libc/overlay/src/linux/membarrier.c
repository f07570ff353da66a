// Takes the place of musl's file, which sends all threads a signal where the kernel cannot help.
#include "syscall.h"

hidden void __membarrier_init(void);
hidden int __membarrier(int command, int flags);

void __membarrier_init(void) {}

int __membarrier(int command, int flags) {
    return syscall(SYS_membarrier, command, flags);
}

weak_alias(__membarrier, membarrier);
