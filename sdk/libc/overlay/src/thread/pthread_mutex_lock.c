// Takes the place of musl's file: see mutex.h.
#include "mutex.h"

int __pthread_mutex_lock(pthread_mutex_t* mutex) {
    if (IS_PLAIN_NORMAL(mutex) && !mutex_try_normal(mutex)) {
        return 0;
    }
    return __pthread_mutex_timedlock(mutex, 0);
}

weak_alias(__pthread_mutex_lock, pthread_mutex_lock);
