// Threads that wait for children are told when there is one more.
#pragma once

#include <zircon/types.h>

#include "spawn_priv.h"

struct waiter {
    struct waiter* next;
    zx_handle_t event; // signaled: the children are not the ones that were looked at
};

void waiters_wake_locked(void) __attribute__((exclusive_locks_required(spawn_lock)));
// SIGCHLD is ignored: children that have ended go without anybody waiting for them.
void wait_discard_unwanted(void);
