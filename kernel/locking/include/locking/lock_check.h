// The run-time lock-order checker, on in debug builds.
//
// It holds a list of held spinlocks per CPU and of held mutexes per thread, and checks on every
// acquisition:
//   rank      every lock held in this context has a smaller rank (order in lock_order.def), or the
//   same class and the class's rule holds:
//             `address` = the new lock has the higher address; `parent` = the caller used the
//             _nested form, parent first
//   context   a mutex is never taken with a spinlock held, preemption off or in an interrupt; a
//   `spin` class never with interrupts off or
//             under an `irq` class; an `irq` class only with interrupts off
// An interrupt handler's locks are compared among themselves only: what it interrupted held no
// `irq` lock, and by the context rule no `spin` lock is ever taken inside an `irq` one, so the two
// sets cannot form a cycle.
//
// A violation panics, or, while a test has set a hook for its own thread, is recorded.
#pragma once

#include <stdint.h>

#include <lib/assert.h>
#include <lib/compiler.h>
#include <locking/lock_class.h>

enum lock_kind : uint8_t { LOCK_KIND_MUTEX, LOCK_KIND_SPIN, LOCK_KIND_IRQ };
enum lock_same_rule : uint8_t { LOCK_SAME_NONE, LOCK_SAME_ADDRESS, LOCK_SAME_PARENT };

struct lock_class_info {
    const char* name;
    enum lock_kind kind;
    enum lock_same_rule same;
};
extern const struct lock_class_info lock_class_table[LOCK_CLASS_COUNT];

constexpr uint32_t LOCK_HELD_MAX = kernel_debug ? 12 : 1; // release keeps no lists

struct lock_held {
    const void* lock;
    const void* pc; // who took it
    uint32_t class;
    uint32_t irq_depth;
};

struct lock_held_list {
    uint32_t count;
    struct lock_held held[LOCK_HELD_MAX];
};

enum lock_violation : uint32_t {
    LOCK_VIOLATION_NONE,
    LOCK_VIOLATION_ORDER,
    LOCK_VIOLATION_RECURSION,
    LOCK_VIOLATION_CONTEXT,
    LOCK_VIOLATION_NOT_HELD,
    LOCK_VIOLATION_TOO_MANY,
};

// How a lock is taken. TRY is recorded without the order rule: it cannot wait.
enum lock_how : uint32_t { LOCK_HOW_PLAIN, LOCK_HOW_NESTED, LOCK_HOW_TRY };

// Called by the lock functions with preemption off (spinlocks) or in thread context (mutexes).
void lock_check_spin_acquire(const void* lock, uint32_t class, enum lock_how how, const void* pc);
void lock_check_spin_release(const void* lock);
void lock_check_mutex_acquire(const void* lock, uint32_t class, enum lock_how how, const void* pc);
void lock_check_mutex_release(const void* lock);
// No lock may be held where a thread is about to block or to return to user mode.
void lock_check_none_held(void);

// Interrupts are on and threads run: context rules apply from here on.
void lock_check_start(void);

// The list of the current thread; defined by the scheduler. Null before the first thread exists.
struct lock_held_list* lock_check_thread_list(void);

// For the checker's own test: until it is called with false, violations of the current thread are
// recorded and not fatal. Returns the last one recorded and forgets it.
enum lock_violation lock_check_record(bool on);
