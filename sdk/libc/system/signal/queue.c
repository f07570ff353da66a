// What signals bring that pend more than once: sigqueue()'s values. All of a process share a small
// static pool, because the herald, which posts most of them, allocates nothing.
//
// Whoever takes away a signal's pending bit otherwise (it is ignored from now on, its thread is
// gone) leaves its entries behind; they are dropped when the signal begins to pend again.
#include "signal_priv.h"

constexpr uint32_t room = 64;

struct queued {
    struct queued* next;
    const struct thread_record* thread; // null: the process
    int signal;                         // 0: free
    struct signal_info info;
};

static struct {
    struct queued pool[room];
    struct queued* first; // the oldest
} queue __attribute__((guarded_by(signal_lock)));

static bool is_of(const struct queued* q, const struct thread_record* thread, int signal) {
    return q->thread == thread && q->signal == signal;
}

static void drop_locked(const struct thread_record* thread, int signal)
    __attribute__((exclusive_locks_required(signal_lock))) {
    struct queued** link = &queue.first;
    while (*link != nullptr) {
        if (is_of(*link, thread, signal)) {
            (*link)->signal = 0;
            *link = (*link)->next;
        } else {
            link = &(*link)->next;
        }
    }
}

static struct queued* free_one_locked(void) __attribute__((exclusive_locks_required(signal_lock))) {
    for (uint32_t i = 0; i < room; i++) {
        if (queue.pool[i].signal == 0) {
            return &queue.pool[i];
        }
    }
    return nullptr;
}

bool signal_queue_put_locked(const struct thread_record* thread, int signal, bool pends,
                             const struct signal_info* info) {
    if (!pends) {
        drop_locked(thread, signal);
    }
    struct queued* q = free_one_locked();
    if (q == nullptr) {
        return false;
    }
    *q = (struct queued){.thread = thread, .signal = signal, .info = *info};
    struct queued** link = &queue.first;
    while (*link != nullptr) {
        link = &(*link)->next;
    }
    *link = q;
    return true;
}

bool signal_queue_take_locked(const struct thread_record* thread, int signal,
                              struct signal_info* info, bool* more) {
    struct queued** link = &queue.first;
    while (*link != nullptr && !is_of(*link, thread, signal)) {
        link = &(*link)->next;
    }
    struct queued* q = *link;
    *more = false;
    if (q == nullptr) {
        return false;
    }
    *info = q->info;
    *link = q->next;
    q->signal = 0;
    for (const struct queued* rest = *link; rest != nullptr; rest = rest->next) {
        *more |= is_of(rest, thread, signal);
    }
    return true;
}
