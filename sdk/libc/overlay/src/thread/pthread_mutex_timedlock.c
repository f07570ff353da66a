// Takes the place of musl's file: see mutex.h.
#include <time.h>
#include "mutex.h"

// The system layer's operation; sdk/libc/system/thread/futex.c.
#define FUTEX_WAIT_OWNED 64
#define SPINS            100

// How long it is until `at`. 0, or what is wrong.
static int time_left(const struct timespec* at, struct timespec* left) {
    if (at->tv_nsec < 0 || at->tv_nsec >= 1000000000L) {
        return EINVAL;
    }
    if (__clock_gettime(CLOCK_REALTIME, left)) {
        return EINVAL;
    }
    left->tv_sec = at->tv_sec - left->tv_sec;
    left->tv_nsec = at->tv_nsec - left->tv_nsec;
    if (left->tv_nsec < 0) {
        left->tv_sec--;
        left->tv_nsec += 1000000000L;
    }
    return left->tv_sec < 0 ? ETIMEDOUT : 0;
}

// Waits while the word is `seen` or that with waiters. 0, or what ends the attempt.
static int wait_for_owner(pthread_mutex_t* mutex, int seen, const struct timespec* at) {
    struct timespec left;
    int problem = at ? time_left(at, &left) : 0;
    if (problem) {
        return problem;
    }
    a_inc(&mutex->_m_waiters);
    int contested = seen | IS_CONTESTED;
    a_cas(&mutex->_m_lock, seen, contested);
    long result = __syscall(SYS_futex, &mutex->_m_lock, FUTEX_WAIT_OWNED | PRIVACY(mutex),
                            contested, at ? &left : 0, 0, seen & OWNER);
    a_dec(&mutex->_m_waiters);
    return result == -ETIMEDOUT ? ETIMEDOUT : 0;
}

int __pthread_mutex_timedlock(pthread_mutex_t* restrict mutex, const struct timespec* restrict at) {
    for (int spins = SPINS; spins && mutex->_m_lock && !mutex->_m_waiters; spins--) {
        if ((mutex->_m_lock & OWNER) == __pthread_self()->tid) {
            break;
        }
        a_spin();
    }
    int result;
    while ((result = __pthread_mutex_trylock(mutex)) == EBUSY) {
        int seen = mutex->_m_lock;
        int owner = seen & OWNER;
        if (!owner && (!seen || IS_ROBUST(mutex))) {
            continue;
        }
        if (TYPE(mutex) == PTHREAD_MUTEX_ERRORCHECK && owner == __pthread_self()->tid) {
            return EDEADLK;
        }
        result = wait_for_owner(mutex, seen, at);
        if (result) {
            return result;
        }
    }
    return result;
}

weak_alias(__pthread_mutex_timedlock, pthread_mutex_timedlock);
