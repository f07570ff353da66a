// Takes the place of musl's file, which feels its way down the first thread's stack with mremap.
#define _GNU_SOURCE
#include "pthread_impl.h"

hidden long thread_first_stack(void** base, size_t* len);

int pthread_getattr_np(pthread_t thread, pthread_attr_t* attributes) {
    void* base;
    size_t len;
    *attributes = (pthread_attr_t){0};
    attributes->_a_detach = thread->detach_state >= DT_DETACHED;
    attributes->_a_guardsize = thread->guard_size;
    if (thread->stack) {
        attributes->_a_stackaddr = (uintptr_t)thread->stack;
        attributes->_a_stacksize = thread->stack_size;
        return 0;
    }
    long error = thread_first_stack(&base, &len);
    if (error) {
        return -error;
    }
    // The upper end, as in all attributes.
    attributes->_a_stackaddr = (uintptr_t)base + len;
    attributes->_a_stacksize = len;
    return 0;
}
