// Takes the place of musl's file: see mutex.h.
#include <threads.h>
#include "pthread_impl.h"

int mtx_trylock(mtx_t* mutex) {
    switch (__pthread_mutex_trylock((pthread_mutex_t*)mutex)) {
    case 0:
        return thrd_success;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}
