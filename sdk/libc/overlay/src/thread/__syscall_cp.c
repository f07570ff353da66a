// Takes the place of musl's file: a cancellation point in a program that cancels nothing. Where
// pthread_cancel() is, its functions of these names are.
#include "pthread_impl.h"

hidden void thread_notice(void);

static long begin(long number) {
    (void)number;
    thread_notice();
    return 0;
}
weak_alias(begin, __jx_cp_begin);

static long end(long number, long result) {
    (void)number;
    return result;
}
weak_alias(end, __jx_cp_end);
