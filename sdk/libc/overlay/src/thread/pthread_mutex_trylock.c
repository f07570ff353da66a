// Takes the place of musl's file: see mutex.h.
#include "mutex.h"

static void push_owned(pthread_t self, pthread_mutex_t* mutex) {
    volatile void* next = self->robust_list.head;
    mutex->_m_next = (void*)next;
    mutex->_m_prev = (void*)&self->robust_list.head;
    if (next != &self->robust_list.head) {
        // The word before the link of a mutex is its link backwards.
        *(volatile void* volatile*)((char*)next - sizeof(void*)) = &mutex->_m_next;
    }
    self->robust_list.head = &mutex->_m_next;
}

static int lock_again(pthread_mutex_t* mutex) {
    if ((unsigned)mutex->_m_count >= INT_MAX) {
        return EAGAIN;
    }
    mutex->_m_count++;
    return 0;
}

int __pthread_mutex_trylock_owner(pthread_mutex_t* mutex) {
    pthread_t self = __pthread_self();
    int old = mutex->_m_lock;
    int owner = old & OWNER;
    if (owner == self->tid && TYPE(mutex) == PTHREAD_MUTEX_RECURSIVE) {
        return lock_again(mutex);
    }
    if (owner == OWNER) {
        return ENOTRECOVERABLE;
    }
    if (owner || (old && !IS_ROBUST(mutex))) {
        return EBUSY;
    }
    int mine = self->tid | (old & DIED);
    if (mutex->_m_waiters) {
        mine |= IS_CONTESTED;
    }
    // Should the thread end in between, the list must not be believed.
    self->robust_list.pending = &mutex->_m_next;
    if (a_cas(&mutex->_m_lock, old, mine) != old) {
        self->robust_list.pending = 0;
        return EBUSY;
    }
    push_owned(self, mutex);
    self->robust_list.pending = 0;
    if (old & DIED) {
        mutex->_m_count = 0;
        return EOWNERDEAD;
    }
    return 0;
}

int __pthread_mutex_trylock(pthread_mutex_t* mutex) {
    return IS_PLAIN_NORMAL(mutex) ? mutex_try_normal(mutex) : __pthread_mutex_trylock_owner(mutex);
}

weak_alias(__pthread_mutex_trylock, pthread_mutex_trylock);
