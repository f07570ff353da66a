// Takes the place of musl's file. The canary is in the thread control block before any protected
// function runs (sdk/libc/system/start), and each new thread gets a copy: nothing is left to set.
#include "pthread_impl.h"

void __init_ssp(void* entropy) {
    (void)entropy;
}

void __stack_chk_fail(void) {
    a_crash();
}

hidden void __stack_chk_fail_local(void);

weak_alias(__stack_chk_fail, __stack_chk_fail_local);
