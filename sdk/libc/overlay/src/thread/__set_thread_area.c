// Takes the place of musl's assembly: makes a thread control block the calling thread's.
#include "pthread_impl.h"

hidden int thread_block_adopt(void* block);

int __set_thread_area(void* block) {
    return thread_block_adopt(block);
}
