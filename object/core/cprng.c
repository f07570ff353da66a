// The random pool: one generator behind one lock.

#include <object/cprng.h>

#include <lib/assert.h>
#include <lib/chacha20.h>
#include <locking/spinlock.h>

static struct {
    spinlock_t lock; // class CPRNG
    struct chacha20_drbg drbg;
    bool seeded;
} pool = {.lock = SPINLOCK_INIT(LOCK_CLASS_CPRNG)};

void cprng_seed(const void* entropy, size_t len) {
    ASSERT(len >= chacha20_key_len);
    irq_state_t state = spin_acquire_irq(&pool.lock);
    chacha20_drbg_init(&pool.drbg, entropy, len);
    pool.seeded = true;
    spin_release_irq(&pool.lock, state);
}

void cprng_add_entropy(const void* entropy, size_t len) {
    irq_state_t state = spin_acquire_irq(&pool.lock);
    chacha20_drbg_mix(&pool.drbg, entropy, len);
    spin_release_irq(&pool.lock, state);
}

void cprng_draw(void* out, size_t len) {
    irq_state_t state = spin_acquire_irq(&pool.lock);
    ASSERT(pool.seeded);
    chacha20_drbg_fill(&pool.drbg, out, len);
    spin_release_irq(&pool.lock, state);
}
