// Compiled, not linked: musl's thread control block begins as the system layer's does.
#include "pthread_impl.h"

#include <libc/thread_block.h>

#define SAME(member)                                                                          \
    static_assert(offsetof(struct pthread, member) == offsetof(struct thread_block, member)); \
    static_assert(sizeof(((struct pthread*)0)->member) == sizeof(((struct thread_block*)0)->member))

SAME(self);
SAME(dtv);
SAME(canary);
SAME(unsafe_stack);
SAME(view);
SAME(canary_copy);
SAME(record);
static_assert(offsetof(struct pthread, record) == 0x30); // arch/x86_64/syscall_arch.h
