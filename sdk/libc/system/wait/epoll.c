// epoll: a set of descriptors that is waited for again and again.
//
// An instance is an object behind a descriptor, with a list of items: an object to watch, what for,
// and a word of the program's. Waiting is what poll() does with all of them (wait_many), so it
// costs what they are; what is gained is that the program need not name them each time, and edges.
//
// An item has no reference to its object, or a pipe's end that only epoll knows would never close:
// an object that is watched says when it goes (watch_object_closed()), and is taken out of all
// instances. Under an instance's lock its items' objects are there, with their handles open.
//
// Edges (EPOLLET). The kernel tells states, so an edge is this: an event is reported, and not again
// until the program has read (EPOLLIN) or written (EPOLLOUT) on the object, or, of an event
// descriptor, until it is written to. That is as often as elsewhere, or oftener: a program that
// leaves something unread hears of it again at its next read. Not told is what comes to an object
// that the program has left alone since (a second message, while the first is unread).
//
// A thread that waits is interrupted (thread_interrupt) when a change may be news to it: items that
// come or change, and events that may be reported again.

#include <stdlib.h>
#include <string.h>

#include <fd/table.h>
#include <fd/watch.h>
#include <libc/lock.h>
#include <libc/operations.h>
#include <libc/thread.h>
#include <wait/wait.h>
#include <zircon/syscalls.h>

#include "masked.h"

constexpr uint32_t ALWAYS = ABI_POLLERR | ABI_POLLHUP;
constexpr uint32_t EDGE = (uint32_t)ABI_EPOLLET, ONCE = (uint32_t)ABI_EPOLLONESHOT;
constexpr uint32_t READS = ABI_POLLIN | ABI_POLLRDNORM | ABI_POLLPRI,
                   WRITES = ABI_POLLOUT | ABI_POLLWRNORM;

struct item {
    struct fd_object* object; // no reference
    int fd;                   // the descriptor it was added by: part of its name
    uint32_t events;          // what the program wants, with EDGE and ONCE
    uint32_t told;            // of an edge: reported, and not to be reported again yet
    bool is_off;              // ONCE: reported; until the program says otherwise
    uint64_t data;
};

struct waiter {
    struct waiter* next;
    int tid;
};

struct epoll {
    struct fd_object base;
    struct libc_lock lock;
    // Under the lock.
    struct item* items;
    size_t count, capacity;
    size_t first; // where the next report begins, so that each item's turn comes
    struct waiter* waiters;
    struct epoll* next; // under all_lock
};

// All instances. Taken before an instance's own lock.
static struct libc_lock all_lock = LIBC_LOCK_INIT;
static struct epoll* all __attribute__((guarded_by(all_lock)));

static struct epoll* epoll_of(struct fd_object* o) {
    return (struct epoll*)o;
}

// ---- who waits ----

static void wake_locked(struct epoll* e) __attribute__((exclusive_locks_required(e -> lock))) {
    for (struct waiter* w = e->waiters; w != nullptr; w = w->next) {
        thread_interrupt(w->tid);
    }
}

static void add_waiter(struct epoll* e, struct waiter* w) {
    w->tid = (int)sys_gettid();
    libc_lock_acquire(&e->lock);
    w->next = e->waiters;
    e->waiters = w;
    libc_lock_release(&e->lock);
}

static void remove_waiter(struct epoll* e, const struct waiter* w) {
    libc_lock_acquire(&e->lock);
    struct waiter** link = &e->waiters;
    while (*link != w) {
        link = &(*link)->next;
    }
    *link = w->next;
    libc_lock_release(&e->lock);
}

// ---- what objects tell ----

static void forget_locked(struct epoll* e, const struct fd_object* o)
    __attribute__((exclusive_locks_required(e -> lock))) {
    size_t kept = 0;
    for (size_t i = 0; i < e->count; i++) {
        if (e->items[i].object != o) {
            e->items[kept++] = e->items[i];
        }
    }
    e->count = kept;
}

// (Declared weak where they are called.)
void watch_object_closed(struct fd_object* o);
void watch_object_moved(struct fd_object* o, uint32_t events);

void watch_object_closed(struct fd_object* o) {
    libc_lock_acquire(&all_lock);
    for (struct epoll* e = all; e != nullptr; e = e->next) {
        libc_lock_acquire(&e->lock);
        forget_locked(e, o);
        libc_lock_release(&e->lock);
    }
    libc_lock_release(&all_lock);
}

static void move_locked(struct epoll* e, const struct fd_object* o, uint32_t events)
    __attribute__((exclusive_locks_required(e -> lock))) {
    bool news = false;
    for (size_t i = 0; i < e->count; i++) {
        if (e->items[i].object == o && (e->items[i].told & events) != 0) {
            e->items[i].told &= ~events;
            news = true;
        }
    }
    if (news) {
        wake_locked(e);
    }
}

void watch_object_moved(struct fd_object* o, uint32_t events) {
    uint32_t of = ((events & READS) != 0 ? READS : 0) | ((events & WRITES) != 0 ? WRITES : 0);
    libc_lock_acquire(&all_lock);
    for (struct epoll* e = all; e != nullptr; e = e->next) {
        libc_lock_acquire(&e->lock);
        move_locked(e, o, of);
        libc_lock_release(&e->lock);
    }
    libc_lock_release(&all_lock);
}

// ---- the object ----

// Its items are this process's; a child gets none.
static long epoll_clone(struct fd_object*, struct fd_handles* out) {
    *out = (struct fd_handles){};
    return 0;
}

static void epoll_close(struct fd_object* o) {
    struct epoll* e = epoll_of(o);
    libc_lock_acquire(&all_lock);
    struct epoll** link = &all;
    while (*link != e) {
        link = &(*link)->next;
    }
    *link = e->next;
    libc_lock_release(&all_lock);
    free(e->items);
    free(e);
}

// There is no handle to wait for: an instance is not watched by another one, nor by poll().
static void epoll_wait_on(struct fd_object*, uint32_t, struct fd_wait* out) {
    *out = (struct fd_wait){.ready = ABI_POLLNVAL};
}

static const struct fd_ops epoll_ops = {
    FD_OPS_NO_FILE,           .read = fd_no_read,      .write = fd_no_write,
    .seek = fd_no_seek,       .stat = fd_no_file_stat, .control = fd_no_control,
    .wait_on = epoll_wait_on, .ready = fd_no_signals,  .clone = epoll_clone,
    .close = epoll_close,
};

static_assert(ABI_EPOLL_CLOEXEC == ABI_O_CLOEXEC);

long sys_epoll_create1(int flags) {
    if ((flags & ~ABI_EPOLL_CLOEXEC) != 0) {
        return -ABI_EINVAL;
    }
    struct epoll* e = calloc(1, sizeof(*e));
    if (e == nullptr) {
        return -ABI_ENOMEM;
    }
    fd_object_init(&e->base, &epoll_ops, ABI_O_RDWR);
    libc_lock_acquire(&all_lock);
    e->next = all;
    all = e;
    libc_lock_release(&all_lock);
    return fd_table_add(fd_table(), &e->base, 0, flags != 0 ? ABI_FD_CLOEXEC : 0);
}

long sys_epoll_create(int size) {
    return size > 0 ? sys_epoll_create1(0) : -ABI_EINVAL;
}

// ---- the list ----

static struct item* find_locked(struct epoll* e, const struct fd_object* o, int fd)
    __attribute__((exclusive_locks_required(e -> lock))) {
    for (size_t i = 0; i < e->count; i++) {
        if (e->items[i].object == o && e->items[i].fd == fd) {
            return &e->items[i];
        }
    }
    return nullptr;
}

static long add_locked(struct epoll* e, const struct item* item)
    __attribute__((exclusive_locks_required(e -> lock))) {
    if (e->count == e->capacity) {
        size_t capacity = e->capacity != 0 ? 2 * e->capacity : 8;
        struct item* items = realloc(e->items, capacity * sizeof(*items));
        if (items == nullptr) {
            return -ABI_ENOMEM;
        }
        e->items = items;
        e->capacity = capacity;
    }
    item->object->is_watched = true;
    e->items[e->count++] = *item;
    return 0;
}

static long control_locked(struct epoll* e, int command, const struct item* item)
    __attribute__((exclusive_locks_required(e -> lock))) {
    struct item* there = find_locked(e, item->object, item->fd);
    switch (command) {
    case ABI_EPOLL_CTL_ADD:
        return there != nullptr ? -ABI_EEXIST : add_locked(e, item);
    case ABI_EPOLL_CTL_MOD:
        if (there != nullptr) {
            *there = *item;
        }
        return there != nullptr ? 0 : -ABI_ENOENT;
    case ABI_EPOLL_CTL_DEL:
        if (there != nullptr) {
            *there = e->items[--e->count];
        }
        return there != nullptr ? 0 : -ABI_ENOENT;
    default:
        return -ABI_EINVAL;
    }
}

// What is always ready, as files are, cannot be waited for.
static bool can_be_watched(struct fd_object* o) {
    struct fd_wait wait;
    o->ops->wait_on(o, ABI_POLLIN | ABI_POLLOUT, &wait);
    return wait.handle != ZX_HANDLE_INVALID;
}

static long find_epoll(int fd, struct fd_object** out) {
    long error = fd_table_get_ref(fd_table(), fd, out);
    if (error == 0 && (*out)->ops != &epoll_ops) {
        fd_object_unref(*out);
        error = -ABI_EINVAL;
    }
    return error;
}

static long control(struct epoll* e, int command, const struct item* item) {
    if (item->object == &e->base) {
        return -ABI_EINVAL;
    }
    if (item->object->ops == &epoll_ops) {
        return -ABI_ELOOP; // none inside another
    }
    if (!can_be_watched(item->object)) {
        return -ABI_EPERM;
    }
    libc_lock_acquire(&e->lock);
    long error = control_locked(e, command, item);
    if (error == 0 && command != ABI_EPOLL_CTL_DEL) {
        wake_locked(e);
    }
    libc_lock_release(&e->lock);
    return error;
}

long sys_epoll_ctl(int epoll, int command, int fd, const struct abi_epoll_event* event) {
    struct item item = {.fd = fd};
    if (command != ABI_EPOLL_CTL_DEL) {
        // These two ask for nothing here: there is no sleeping system, and who wakes first wins.
        item.events = event->events & ~(uint32_t)(ABI_EPOLLWAKEUP | ABI_EPOLLEXCLUSIVE);
        item.data = event->data;
    }
    struct fd_object* e;
    long error = fd_table_get_ref(fd_table(), fd, &item.object);
    if (error != 0) {
        return error;
    }
    error = find_epoll(epoll, &e);
    if (error == 0) {
        error = control(epoll_of(e), command, &item);
        fd_object_unref(e);
    }
    fd_object_unref(item.object);
    return error;
}

// ---- waiting ----

struct waiting {
    struct epoll* epoll;
    struct abi_epoll_event* events;
    size_t max, found;
    zx_wait_item_t* items;
    size_t item_count, item_capacity;
};

static uint32_t wanted(const struct item* item) {
    return item->is_off ? 0 : (item->events & 0xffff) | ALWAYS;
}

static void report(struct waiting* w, struct item* item, uint32_t ready) {
    w->events[w->found++] = (struct abi_epoll_event){.events = ready, .data = item->data};
    if ((item->events & ONCE) != 0) {
        item->is_off = true;
    }
    if ((item->events & EDGE) != 0) {
        item->told |= ready;
    }
}

static zx_signals_t sample(zx_handle_t handle, zx_signals_t signals) {
    zx_signals_t seen = 0;
    return zx_object_wait_one(handle, signals, 0, &seen) == ZX_OK ? seen & signals : 0;
}

// Reports what is there; else adds what to wait for. False: no memory.
static bool look_at(struct waiting* w, struct item* item) {
    uint32_t want = wanted(item) & ~item->told;
    struct fd_wait wait = {};
    if (want == 0) {
        return true;
    }
    struct fd_object* o = item->object;
    o->ops->wait_on(o, want, &wait);
    zx_signals_t there = wait.handle != ZX_HANDLE_INVALID ? sample(wait.handle, wait.signals) : 0;
    uint32_t ready = (wait.ready | o->ops->ready(o, there)) & want;
    if (ready != 0) {
        if (w->found < w->max) {
            report(w, item, ready);
        }
        return true;
    }
    // What is there and was told already is not waited for.
    zx_signals_t signals = wait.signals & ~there;
    if (wait.handle == ZX_HANDLE_INVALID || signals == 0 || w->found != 0) {
        return true;
    }
    if (w->item_count == w->item_capacity) {
        size_t capacity = 2 * w->item_capacity;
        zx_wait_item_t* items = malloc(capacity * sizeof(*items));
        if (items == nullptr) {
            return false;
        }
        memcpy(items, w->items, w->item_count * sizeof(*items));
        if (w->item_capacity > ZX_WAIT_MANY_MAX_ITEMS) {
            free(w->items);
        }
        w->items = items;
        w->item_capacity = capacity;
    }
    w->items[w->item_count++] = (zx_wait_item_t){.handle = wait.handle, .waitfor = signals};
    return true;
}

static long look_at_all(struct waiting* w) {
    struct epoll* e = w->epoll;
    bool good = true;
    w->item_count = 0;
    libc_lock_acquire(&e->lock);
    size_t first = e->count != 0 ? e->first % e->count : 0;
    for (size_t i = 0; good && i < e->count; i++) {
        good = look_at(w, &e->items[(first + i) % e->count]);
    }
    e->first = first + (w->found != 0 ? 1 : 0);
    libc_lock_release(&e->lock);
    return good ? 0 : -ABI_ENOMEM;
}

static long wait_until(struct waiting* w, zx_time_t deadline) {
    for (;;) {
        long error = look_at_all(w);
        if (error != 0 || w->found != 0) {
            return error != 0 ? error : (long)w->found;
        }
        // Handles may be closed meanwhile, by whoever closes the descriptor: then it looks again.
        error = wait_many(w->items, w->item_count, deadline);
        if (error == -ABI_ETIMEDOUT) {
            error = look_at_all(w);
            return error != 0 ? error : (long)w->found;
        }
        if (error == -ABI_EINTR) {
            error = wait_interrupted(false);
        }
        if (error != 0 && error != -ABI_ECANCELED && error != -ABI_EBADF) {
            return error;
        }
    }
}

struct arguments {
    struct epoll* epoll;
    struct abi_epoll_event* events;
    size_t max;
};

static long wait_with(void* ctx, zx_time_t deadline) {
    const struct arguments* a = ctx;
    zx_wait_item_t few[ZX_WAIT_MANY_MAX_ITEMS];
    struct waiting w = {.epoll = a->epoll,
                        .events = a->events,
                        .max = a->max,
                        .items = few,
                        .item_capacity = ZX_WAIT_MANY_MAX_ITEMS};
    struct waiter waiter;
    add_waiter(a->epoll, &waiter);
    long result = wait_until(&w, deadline);
    remove_waiter(a->epoll, &waiter);
    if (w.items != few) {
        free(w.items);
    }
    return result;
}

long sys_epoll_pwait(int epoll, struct abi_epoll_event* events, int count, int timeout_ms,
                     const abi_sigset_t* mask, size_t mask_len) {
    if (count <= 0 || (mask != nullptr && mask_len != sizeof(*mask))) {
        return -ABI_EINVAL;
    }
    struct fd_object* o;
    long error = find_epoll(epoll, &o);
    if (error != 0) {
        return error;
    }
    zx_time_t deadline = timeout_ms < 0    ? ZX_TIME_INFINITE
                         : timeout_ms == 0 ? 0
                                           : zx_deadline_after(timeout_ms * INT64_C(1'000'000));
    struct arguments a = {.epoll = epoll_of(o), .events = events, .max = (size_t)count};
    long result = wait_masked(wait_with, &a, deadline, mask);
    fd_object_unref(o);
    return result;
}

long sys_epoll_wait(int epoll, struct abi_epoll_event* events, int count, int timeout_ms) {
    return sys_epoll_pwait(epoll, events, count, timeout_ms, nullptr, 0);
}
