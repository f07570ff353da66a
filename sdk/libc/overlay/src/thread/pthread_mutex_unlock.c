// Takes the place of musl's file: see mutex.h.
#include "mutex.h"

static void unlink_owned(pthread_t self, pthread_mutex_t* mutex) {
    volatile void* before = mutex->_m_prev;
    volatile void* next = mutex->_m_next;
    *(volatile void* volatile*)before = next;
    if (next != &self->robust_list.head) {
        *(volatile void* volatile*)((char*)next - sizeof(void*)) = before;
    }
}

int __pthread_mutex_unlock(pthread_mutex_t* mutex) {
    pthread_t self = __pthread_self();
    // From the store on the memory may be somebody else's: everything is read before.
    int waiters = mutex->_m_waiters;
    int privacy = PRIVACY(mutex);
    int is_owned = !IS_PLAIN_NORMAL(mutex);
    int is_shared = IS_SHARED(mutex);
    int next = 0;
    if (is_owned) {
        int old = mutex->_m_lock;
        if ((old & OWNER) != self->tid) {
            return EPERM;
        }
        if (TYPE(mutex) == PTHREAD_MUTEX_RECURSIVE && mutex->_m_count) {
            mutex->_m_count--;
            return 0;
        }
        if (IS_ROBUST(mutex) && (old & DIED)) {
            next = OWNER | DIED; // given up without having been made consistent
        }
        if (is_shared) {
            self->robust_list.pending = &mutex->_m_next;
            __vm_lock();
        }
        unlink_owned(self, mutex);
    }
    int old = a_swap(&mutex->_m_lock, next);
    if (is_owned && is_shared) {
        self->robust_list.pending = 0;
        __vm_unlock();
    }
    if (waiters || old < 0) {
        __wake(&mutex->_m_lock, 1, privacy);
    }
    return 0;
}

weak_alias(__pthread_mutex_unlock, pthread_mutex_unlock);
