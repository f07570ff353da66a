// The contended path of the spinlock.
#include <locking/spinlock.h>

// Test before test-and-set: waiters read a shared cache line until it looks free.
NOINLINE PRESERVES_REGISTERS void spin_wait_(spinlock_t* l) {
    do {
        do {
            cpu_relax();
        } while (atomic_load_explicit(&l->word, memory_order_relaxed) != 0);
    } while (!spin_word_take_(l));
}
