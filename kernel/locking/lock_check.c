// The lock-order checker; see the header for the rules. Debug builds only: in release nothing calls
// it.
//
// Lists: a CPU's list of spinlocks is touched by that CPU with preemption off; an interrupt in the
// middle pushes and pops in pairs, so it leaves the list as it found it. A thread's list of mutexes
// is the thread's own.
#include <locking/lock_check.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <lib/assert.h>
#include <locking/preempt.h>

static struct {
    struct lock_held_list cpu[CPU_MAX]; // by the CPU itself
    _Atomic(bool) started;
    _Atomic(struct thread*) recorder; // violations of this thread are recorded
    enum lock_violation recorded;     // by that thread
} check;

// Set while a violation is reported, so that the report's own locks are not checked.
static _Atomic(bool) reporting;

static const char* const violation_names[] = {
    [LOCK_VIOLATION_NONE] = "nothing",
    [LOCK_VIOLATION_ORDER] = "taken against the lock order",
    [LOCK_VIOLATION_RECURSION] = "taken twice",
    [LOCK_VIOLATION_CONTEXT] = "taken in the wrong context",
    [LOCK_VIOLATION_NOT_HELD] = "released but not held",
    [LOCK_VIOLATION_TOO_MANY] = "one lock too many held",
};

static void violation(enum lock_violation what, uint32_t class, const struct lock_held* other,
                      const void* pc) {
    if (atomic_load_explicit(&check.recorder, memory_order_relaxed) == arch_current_thread() &&
        arch_current_thread() != nullptr) {
        check.recorded = what;
        return;
    }
    if (atomic_exchange_explicit(&reporting, true, memory_order_relaxed)) {
        return;
    }
    const char* held = other != nullptr ? lock_class_table[other->class].name : "none";
    panic("lock %s %s at %p (other lock: %s at %p)", lock_class_table[class].name,
          violation_names[what], pc, held, other != nullptr ? other->pc : nullptr);
}

static bool order_ok(const struct lock_held* held, const void* lock, uint32_t class,
                     enum lock_how how) {
    if (held->class != class) {
        return held->class < class;
    }
    switch (lock_class_table[class].same) {
    case LOCK_SAME_ADDRESS:
        return (uintptr_t)held->lock < (uintptr_t)lock;
    case LOCK_SAME_PARENT:
        return how == LOCK_HOW_NESTED;
    case LOCK_SAME_NONE:
        return false;
    }
    return false;
}

static void check_against(const struct lock_held_list* list, uint32_t depth, const void* lock,
                          uint32_t class, enum lock_how how, const void* pc) {
    for (uint32_t i = 0; i < list->count; i++) {
        const struct lock_held* held = &list->held[i];
        if (held->lock == lock) {
            violation(LOCK_VIOLATION_RECURSION, class, held, pc);
        } else if (how != LOCK_HOW_TRY && held->irq_depth == depth &&
                   !order_ok(held, lock, class, how)) {
            violation(LOCK_VIOLATION_ORDER, class, held, pc);
        }
    }
}

static void push(struct lock_held_list* list, const void* lock, uint32_t class, const void* pc) {
    if (list->count >= LOCK_HELD_MAX) {
        violation(LOCK_VIOLATION_TOO_MANY, class, nullptr, pc);
        return;
    }
    list->held[list->count] =
        (struct lock_held){.lock = lock, .pc = pc, .class = class, .irq_depth = arch_irq_depth()};
    list->count++;
}

static bool drop(struct lock_held_list* list, const void* lock) {
    for (uint32_t i = list->count; i-- > 0;) {
        if (list->held[i].lock == lock) {
            for (uint32_t j = i + 1; j < list->count; j++) {
                list->held[j - 1] = list->held[j];
            }
            list->count--;
            return true;
        }
    }
    return false;
}

static void check_spin_context(uint32_t class, const void* pc) {
    if (!atomic_load_explicit(&check.started, memory_order_relaxed)) {
        return;
    }
    bool irqs_on = irq_enabled();
    if (lock_class_table[class].kind == LOCK_KIND_IRQ ? irqs_on : !irqs_on) {
        violation(LOCK_VIOLATION_CONTEXT, class, nullptr, pc);
    }
}

void lock_check_spin_acquire(const void* lock, uint32_t class, enum lock_how how, const void* pc) {
    if (atomic_load_explicit(&reporting, memory_order_relaxed)) {
        return;
    }
    struct lock_held_list* list = &check.cpu[arch_cpu_index()];
    uint32_t depth = arch_irq_depth();
    check_spin_context(class, pc);
    check_against(list, depth, lock, class, how, pc);
    const struct lock_held_list* mutexes = depth == 0 ? lock_check_thread_list() : nullptr;
    if (mutexes != nullptr) {
        check_against(mutexes, depth, lock, class, how, pc);
    }
    push(list, lock, class, pc);
}

void lock_check_spin_release(const void* lock) {
    if (atomic_load_explicit(&reporting, memory_order_relaxed)) {
        return;
    }
    if (!drop(&check.cpu[arch_cpu_index()], lock)) {
        violation(LOCK_VIOLATION_NOT_HELD, 0, nullptr, __builtin_return_address(0));
    }
}

void lock_check_mutex_acquire(const void* lock, uint32_t class, enum lock_how how, const void* pc) {
    struct lock_held_list* list = lock_check_thread_list();
    if (list == nullptr || atomic_load_explicit(&reporting, memory_order_relaxed)) {
        return;
    }
    bool started = atomic_load_explicit(&check.started, memory_order_relaxed);
    if (started && how != LOCK_HOW_TRY && (preempt_disabled() || !irq_enabled())) {
        violation(LOCK_VIOLATION_CONTEXT, class, nullptr, pc);
    }
    check_against(list, 0, lock, class, how, pc);
    push(list, lock, class, pc);
}

void lock_check_mutex_release(const void* lock) {
    struct lock_held_list* list = lock_check_thread_list();
    if (list == nullptr || atomic_load_explicit(&reporting, memory_order_relaxed)) {
        return;
    }
    if (!drop(list, lock)) {
        violation(LOCK_VIOLATION_NOT_HELD, 0, nullptr, __builtin_return_address(0));
    }
}

void lock_check_none_held(void) {
    const struct lock_held_list* list = lock_check_thread_list();
    if (list != nullptr && list->count != 0) {
        violation(LOCK_VIOLATION_CONTEXT, list->held[0].class, &list->held[0],
                  __builtin_return_address(0));
    }
}

void lock_check_start(void) {
    atomic_store_explicit(&check.started, true, memory_order_relaxed);
}

enum lock_violation lock_check_record(bool on) {
    enum lock_violation last = check.recorded;
    check.recorded = LOCK_VIOLATION_NONE;
    atomic_store_explicit(&check.recorder, on ? arch_current_thread() : nullptr,
                          memory_order_relaxed);
    return last;
}
