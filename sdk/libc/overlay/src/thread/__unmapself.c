// Takes the place of musl's assembly: a detached thread ends and takes its stack with it.
#include "pthread_impl.h"

hidden _Noreturn void thread_exit_unmap(void* base, size_t len);

void __unmapself(void* base, size_t len) {
    // The kernel that musl was written for does this once the thread is gone. The thread is
    // out of the list, and nobody will free its stack: who takes the lock now finds all in order.
    __tl_unlock();
    thread_exit_unmap(base, len);
}
