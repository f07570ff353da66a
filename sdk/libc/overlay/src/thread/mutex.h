// Between the functions of mutexes. Every mutex names its owner in its lock word, the normal ones
// too (musl stores EBUSY in those), so that who waits lends its priority to who holds it.
//
// The word: the owner's tid in OWNER; DIED if an owner ended with it (robust mutexes); the sign bit
// if somebody may wait. _m_waiters counts those who do. All but normal mutexes hang in their
// owner's robust list, by which musl finds them when the thread ends.
#include "pthread_impl.h"

#define OWNER        0x3fffffff // all of it: nobody can make the data consistent again
#define DIED         0x40000000
#define IS_CONTESTED ((int)0x80000000)

#define TYPE(mutex)            ((mutex)->_m_type & 3)
#define IS_ROBUST(mutex)       ((mutex)->_m_type & 4)
#define IS_SHARED(mutex)       ((mutex)->_m_type & 128)
#define IS_PLAIN_NORMAL(mutex) (((mutex)->_m_type & 15) == PTHREAD_MUTEX_NORMAL)

// musl's flag for futexes of one process.
#define PRIVACY(mutex) (IS_SHARED(mutex) ^ 128)

static inline int mutex_try_normal(pthread_mutex_t* mutex) {
    return a_cas(&mutex->_m_lock, 0, __pthread_self()->tid) ? EBUSY : 0;
}
