// Takes the place of musl's file, which asks the kernel for another kind of futex: here every mutex
// lends the priority of its waiters to its owner.
#include "pthread_impl.h"

int pthread_mutexattr_setprotocol(pthread_mutexattr_t* attributes, int protocol) {
    switch (protocol) {
    case PTHREAD_PRIO_NONE:
        attributes->__attr &= ~8u;
        return 0;
    case PTHREAD_PRIO_INHERIT:
        attributes->__attr |= 8;
        return 0;
    case PTHREAD_PRIO_PROTECT:
        return ENOTSUP;
    default:
        return EINVAL;
    }
}
