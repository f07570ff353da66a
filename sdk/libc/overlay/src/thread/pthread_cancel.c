// Takes the place of musl's file, which needs a signal that looks at the interrupted instruction.
//
// A thread notices that it is cancelled when it enters a cancellation point and when an operation
// that blocks is interrupted: pthread_cancel() sets the mark, then thread_interrupt() ends the wait
// of the thread with EINTR. Asynchronous cancellation acts at the next cancellation point, too.
#define _GNU_SOURCE
#include "pthread_impl.h"
#include "lock.h"

hidden void thread_interrupt(int tid);
hidden void thread_notice(void);

static long cancel(pthread_t self) {
    if (self->canceldisable == PTHREAD_CANCEL_ENABLE || self->cancelasync) {
        pthread_exit(PTHREAD_CANCELED);
    }
    // PTHREAD_CANCEL_MASKED: the caller hears of it once.
    self->canceldisable = PTHREAD_CANCEL_DISABLE;
    return -ECANCELED;
}

static int must_end(pthread_t self) {
    return self->cancel && self->canceldisable != PTHREAD_CANCEL_DISABLE;
}

// For operations that go on waiting after other interruptions.
hidden int __jx_cancel_wanted(void) {
    return must_end(__pthread_self());
}

long __jx_cp_begin(long number) {
    pthread_t self = __pthread_self();
    thread_notice();
    // Whoever asked not to be cancelled but told must still be able to close what it has.
    if (!must_end(self) || (self->canceldisable && number == SYS_close)) {
        return 0;
    }
    return cancel(self);
}

long __jx_cp_end(long number, long result) {
    pthread_t self = __pthread_self();
    if (result == -EINTR && number != SYS_close && must_end(self)) {
        return cancel(self);
    }
    return result;
}

void __testcancel(void) {
    pthread_t self = __pthread_self();
    if (self->cancel && !self->canceldisable) {
        cancel(self);
    }
}

int pthread_cancel(pthread_t thread) {
    a_store(&thread->cancel, 1);
    if (thread == pthread_self()) {
        if (thread->canceldisable == PTHREAD_CANCEL_ENABLE && thread->cancelasync) {
            pthread_exit(PTHREAD_CANCELED);
        }
        return 0;
    }
    // The tid names the thread as long as this lock is held (pthread_exit()).
    LOCK(thread->killlock);
    if (thread->tid) {
        thread_interrupt(thread->tid);
    }
    UNLOCK(thread->killlock);
    return 0;
}
