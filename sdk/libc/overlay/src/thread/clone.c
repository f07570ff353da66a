// Takes the place of musl's assembly. Only threads are made this way (pthread_create.c); clone()
// and what would make processes of it are refused.
#define _GNU_SOURCE
#include <sched.h>
#include <stdarg.h>
#include "pthread_impl.h"

hidden int thread_start(int (*entry)(void*), void* stack, void* arg, void* block, int* tid,
                        int* clear_at_exit);

int __clone(int (*entry)(void*), void* stack, int flags, void* arg, ...) {
    if (!(flags & CLONE_THREAD) || !(flags & CLONE_SETTLS)) {
        return -ENOSYS;
    }
    va_list list;
    va_start(list, arg);
    int* tid = va_arg(list, int*);
    void* block = va_arg(list, void*);
    int* clear_at_exit = va_arg(list, int*);
    va_end(list);
    return thread_start(entry, stack, arg, block, tid, clear_at_exit);
}
