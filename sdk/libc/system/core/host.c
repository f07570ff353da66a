// Host tests: what the thread control block and the layer's lock are on the build machine.
#include <sched.h>
#include <stdatomic.h>

#include <libc/lock.h>
#include <libc/thread_block.h>

static struct process_view first_view = {.refs = 1, .umask = 022};

struct thread_block* thread_block_self(void) {
    static thread_local struct thread_record record;
    static thread_local struct thread_block block;
    if (block.view == nullptr) {
        block.view = process_view_ref(&first_view);
        block.record = &record;
    }
    return &block;
}

// Not analysed: the capability is made here, of a word.
[[clang::no_thread_safety_analysis]] void libc_lock_acquire(struct libc_lock* lock) {
    while (atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) != 0) {
        sched_yield();
    }
}

// Not analysed: as above.
[[clang::no_thread_safety_analysis]] void libc_lock_release(struct libc_lock* lock) {
    atomic_store_explicit(&lock->word, 0, memory_order_release);
}
