// Threads and the one blocking primitive.
//
// Parking: a thread that waits puts a `struct waiter` where its waker finds it (under the object's
// own lock), drops that lock and calls waiter_block(). Exactly one party claims the waiter by
// compare-and-swap of `result`: a waker (waiter_claim), the deadline, or a kill/suspend.
//
//     waiter side                                     waker side (object lock held)
//       waiter_init(&w)                                 wake_list_begin(&wl)            before
//       taking the lock lock; list_push_back(&o->waiters, &w.node)      if (wake_list_add(&wl, w,
//       status)) claimed; else w timed out: skip it unlock list_remove(&w->node) either way s =
//       waiter_block(&w, deadline, mode)            unlock lock; if linked, list_remove; unlock
//       wake_list_flush(&wl)            delivers wake-ups, may reschedule
//
// A waiter lives on the waiting thread's stack. The waker may touch it only under the object lock
// and only before a successful claim; the thread itself stays valid until the flush because
// preemption is off from begin to flush and threads are freed through an epoch. Unparks may be
// spurious; waiter_block() loops until the waiter is claimed.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <arch/thread.h>
#include <lib/assert.h>
#include <lib/list.h>
#include <lib/status.h>
#include <lib/types.h>
#include <locking/preempt.h>
#include <sched/thread_sched.h>

struct arch_aspace;
struct process;
struct handle_table;
struct object;
struct thread_object;
struct wait_queue;

enum thread_state : uint8_t {
    THREAD_INITIAL,
    THREAD_READY,
    THREAD_RUNNING,
    THREAD_BLOCKED,
    THREAD_SUSPENDED,
    THREAD_DEAD
};

// Pending bits, tested before sleeping and on every return to user mode. Set atomically by anyone,
// cleared by the thread itself.
enum : uint32_t {
    THREAD_PENDING_KILL = 1u << 0,
    THREAD_PENDING_SUSPEND = 1u << 1,
    THREAD_PENDING_EXCEPTION = 1u << 2,
};

enum wait_mode : uint8_t {
    WAIT_UNINTERRUPTIBLE, // bounded kernel waits only
    WAIT_KILLABLE,        // ends early only by kill: STATUS_INTR_KILLED
    WAIT_INTERRUPTIBLE,   // also by suspend: STATUS_INTR_RETRY; only before any side effect
};

constexpr size_t THREAD_NAME_MAX = 32;

// The kernel half of a thread. Other layers use only what the comments allow.
struct thread {
    struct arch_thread arch; // first: assembly relies on it
    struct arch_aspace*
        arch_aspace; // switched to at switch-in; null = kernel. Changed only by the thread itself.
    struct process* process;      // null for kernel threads; immutable after creation
    struct handle_table* handles; // the current handle table; immutable after start
    struct thread_object* user;   // the object layer's half; null for kernel threads
    _Atomic(uint32_t) pending;    // THREAD_PENDING_*
    _Atomic(uint8_t) state;       // enum thread_state, written under lock
    uint8_t blocked_reason; // ZX_THREAD_STATE_BLOCKED_* >> 8 while blocked; written by the thread
                            // itself
    struct object*
        dying; // object layer: what waits for the destruction under way; the thread's own
    struct object* handleless; // object layer: what lost its last handle meanwhile; likewise
    bool destroying;           // object layer: a destruction is under way; the thread's own
    bool closing;              // object layer: an object without handles is being told; likewise
    bool memory_reserve;       // may use what is reserved for the system; immutable after start
    struct console_capture* capture; // of what it prints (debug/log.h); the thread's own
    uint64_t tid;                    // koid for user threads
    char name[THREAD_NAME_MAX];
    struct thread_sched sched; // the scheduler's
};

static inline struct thread* thread_current(void) {
    return arch_current_thread();
}

// ---- creation ----
// Kernel thread. NO_MEMORY returns null. Runs from thread_start() on. The creator must
// kthread_join() or kthread_detach() it, whether started or not.
[[nodiscard]] struct thread* kthread_create(const char* name, int (*fn)(void* arg), void* arg,
                                            int priority);
void thread_start(struct thread* t);
int kthread_join(struct thread* t);    // waits for the end, gives the memory back; the exit code
void kthread_detach(struct thread* t); // the memory goes when the thread has ended
// A user thread's kernel half: `entry` runs first, in kernel mode with preemption and interrupts on
// (it ends in arch_enter_user()). The memory comes from sched/hooks.h. When the thread has ended
// and is off its CPU, sched_hook_thread_reaped() is told; after that, or if it was never started,
// the owner calls thread_free().
[[nodiscard]] struct thread* thread_create(const char* name, void (*entry)(void));
void thread_free(struct thread* t);
[[noreturn]] void thread_exit_current(int code);

// ---- blocking ----
constexpr int32_t WAITER_PENDING = 1; // any status is <= 0

struct waiter {
    struct list_node node; // for the object's list; under the object's lock
    struct thread* thread;
    _Atomic(int32_t) result; // WAITER_PENDING until claimed
};

// For the current thread.
static inline void waiter_init(struct waiter* w) {
    *w = (struct waiter){.thread = thread_current(), .result = WAITER_PENDING};
}
// True: the caller is the one who decides the outcome and must now wake the thread (wake lists do
// both).
[[nodiscard]] static inline bool waiter_claim(struct waiter* w, status_t status) {
    int32_t pending = WAITER_PENDING;
    return atomic_compare_exchange_strong_explicit(&w->result, &pending, (int32_t)status,
                                                   memory_order_seq_cst, memory_order_relaxed);
}
// Blocks until claimed. Returns the claim's status, or TIMED_OUT, INTR_RETRY, INTR_KILLED (which
// then are the claim).
status_t waiter_block(struct waiter* w, int64_t deadline_ns, enum wait_mode mode, uint8_t reason);
// The same, inlined into the callers that count.
status_t waiter_block_hot(struct waiter* w, int64_t deadline_ns, enum wait_mode mode,
                          uint8_t reason);
struct wake_list;
// Wakes one thread, whose waiter the caller has claimed with preemption off since before (one
// level, which is given up), and blocks, interruptibly. Where it fits (affinity allows this CPU,
// the target is off its CPU, its priority is at least the best ready one's) the CPU goes straight
// to that thread, which inherits the rest of the slice; else it is woken the ordinary way first.
status_t waiter_block_to(struct waiter* w, int64_t deadline_ns, uint8_t reason,
                         struct thread* target);
// The same, inlined into the callers that count.
status_t waiter_block_to_hot(struct waiter* w, int64_t deadline_ns, uint8_t reason,
                             struct thread* target);

// Wake-ups collected under locks and delivered after them, in order. A thread already on some list
// is covered by that list's flush.
struct wake_list {
    struct thread* head;
    struct thread* tail; // null: there is one thread, or none; else see wait.c
};
// Disables preemption: the threads on the list stay valid until the flush.
static inline void wake_list_begin(struct wake_list* wl) {
    preempt_disable();
    wl->head = wl->tail = nullptr;
}
void wake_list_append_more(struct wake_list* wl, struct thread* t);
static inline void wake_list_append(struct wake_list* wl, struct thread* t) {
    if (likely(wl->head == nullptr)) {
        wl->head = t;
    } else {
        wake_list_append_more(wl, t);
    }
}
// Claims and appends; false: it was claimed already.
static inline bool wake_list_add(struct wake_list* wl, struct waiter* w, status_t status) {
    struct thread* t = w->thread; // w is gone once it is claimed
    if (!waiter_claim(w, status)) {
        return false;
    }
    wake_list_append(wl, t);
    return true;
}
void wake_list_flush_slow(struct wake_list* wl);
// Wakes, enables preemption.
static inline void wake_list_flush(struct wake_list* wl) {
    if (wl->head != nullptr) {
        wake_list_flush_slow(wl);
    }
    preempt_enable();
}
// As flush, but if it is one thread it becomes this CPU's `next` and does not preempt (plain
// reply): it runs when the caller blocks.
void wake_list_flush_next(struct wake_list* wl);

// Delivers `wl` and blocks, interruptibly: if it holds exactly one thread as waiter_block_to().
status_t waiter_block_handoff(struct waiter* w, int64_t deadline_ns, uint8_t reason,
                              struct wake_list* wl);
// The same, inlined into the callers that count.
static inline status_t waiter_block_handoff_hot(struct waiter* w, int64_t deadline_ns,
                                                uint8_t reason, struct wake_list* wl) {
    return likely(wl->head != nullptr && wl->tail == nullptr)
               ? waiter_block_to_hot(w, deadline_ns, reason, wl->head)
               : waiter_block_handoff(w, deadline_ns, reason, wl);
}

// Plain sleep until `deadline_ns`: OK when it passed.
status_t thread_sleep_until(int64_t deadline_ns, enum wait_mode mode);
void thread_yield(void);

// ---- kill, suspend ----
// Sets pending bits, wakes the thread if it waits in a mode they end, sends an IPI if it runs
// elsewhere.
void thread_set_pending(struct thread* t, uint32_t bits);
// The current thread's: sets bits for itself, or clears what it has done.
static inline void thread_set_own_pending(uint32_t bits) {
    atomic_fetch_or_explicit(&thread_current()->pending, bits, memory_order_relaxed);
}
static inline void thread_clear_own_pending(uint32_t bits) {
    atomic_fetch_and_explicit(&thread_current()->pending, ~bits, memory_order_relaxed);
}
// Calls fn(t, arg) while `t` is off its CPU, its registers saved, and cannot get back to one (its
// run-queue lock is held, interrupts are off). False: it runs, and nothing was called.
[[nodiscard]] bool thread_call_off_cpu(struct thread* t, void (*fn)(struct thread* t, void* arg),
                                       void* arg);
static inline bool thread_killed(void) {
    return (atomic_load_explicit(&thread_current()->pending, memory_order_relaxed) &
            THREAD_PENDING_KILL) != 0;
}

// ---- properties ----
void thread_set_priority(struct thread* t, int priority); // 0..31
void thread_set_affinity(struct thread* t,
                         cpu_mask_t mask); // takes effect before it returns to user mode
int64_t thread_runtime_ns(struct thread* t);
constexpr int PRIORITY_MAX = 31;
constexpr int PRIORITY_DEFAULT = 16;
constexpr int PRIORITY_FIXED_MIN = 24; // from here up: fixed priority, above everything fair

// ---- for kernel commands and tests ----
typedef void (*print_fn)(const char* format, ...) __attribute__((format(printf, 1, 2)));
void thread_dump_all(print_fn print);      // one line per thread
void thread_print_running(print_fn print); // what each CPU runs; takes no lock (panic)
uint64_t sched_context_switches(void);     // of all CPUs
// Whether all other CPUs idle and nobody waits for this one. A moment's truth; that no thread is
// under way between two CPUs is likely and not certain.
bool sched_is_quiet(void);
struct sched_cpu_info {
    int64_t idle_ns;
    uint64_t switches;
};
struct sched_cpu_info sched_cpu_info(uint32_t cpu); // zeros for a CPU that never started
