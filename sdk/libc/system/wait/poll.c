// poll and select.

#include <stdlib.h>
#include <string.h>

#include <fd/object.h>
#include <fd/table.h>
#include <libc/operations.h>
#include <wait/wait.h>
#include <zircon/syscalls.h>

#include "deliver.h"
#include "masked.h"

constexpr uint32_t ALWAYS = ABI_POLLERR | ABI_POLLHUP | ABI_POLLNVAL;

// What is known of one call: as many of each as there are descriptors.
struct polling {
    struct abi_pollfd* fds;
    size_t count;
    struct fd_object** objects; // with references; null: none
    zx_wait_item_t* items;
    size_t* item_of; // the item that belongs to a descriptor; SIZE_MAX: none
    size_t item_count;
};

// Few descriptors, as nearly always, need no memory of malloc's.
constexpr size_t FEW = 16;
struct few {
    struct fd_object* objects[FEW];
    zx_wait_item_t items[FEW];
    size_t item_of[FEW];
};

static bool begin(struct polling* p, struct few* few) {
    if (p->count <= FEW) {
        memset(few->objects, 0, sizeof(few->objects));
        p->objects = few->objects;
        p->items = few->items;
        p->item_of = few->item_of;
        return true;
    }
    p->objects = calloc(p->count, sizeof(p->objects[0]));
    p->items = calloc(p->count, sizeof(p->items[0]));
    p->item_of = calloc(p->count, sizeof(p->item_of[0]));
    return p->objects != nullptr && p->items != nullptr && p->item_of != nullptr;
}

static void end(struct polling* p) {
    for (size_t i = 0; i < p->count && p->objects != nullptr; i++) {
        fd_object_unref(p->objects[i]);
    }
    if (p->count > FEW) {
        free(p->objects);
        free(p->items);
        free(p->item_of);
    }
}

static void look_up_all(struct polling* p) {
    for (size_t i = 0; i < p->count; i++) {
        p->fds[i].revents = 0;
        if (p->fds[i].fd >= 0 && fd_table_get_ref(fd_table(), p->fds[i].fd, &p->objects[i]) != 0) {
            p->fds[i].revents = ABI_POLLNVAL;
        }
    }
}

// Asks the objects what to wait for.
static void collect(struct polling* p) {
    p->item_count = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct abi_pollfd* fd = &p->fds[i];
        p->item_of[i] = SIZE_MAX;
        if (p->objects[i] == nullptr) {
            continue;
        }
        struct fd_wait wait = {};
        p->objects[i]->ops->wait_on(p->objects[i], (uint16_t)fd->events, &wait);
        fd->revents = (int16_t)(wait.ready & ((uint16_t)fd->events | ALWAYS));
        if (wait.ready == 0 && wait.handle != ZX_HANDLE_INVALID) {
            p->item_of[i] = p->item_count;
            p->items[p->item_count++] =
                (zx_wait_item_t){.handle = wait.handle, .waitfor = wait.signals};
        }
    }
}

static long count_ready(const struct polling* p) {
    long n = 0;
    for (size_t i = 0; i < p->count; i++) {
        n += p->fds[i].revents != 0;
    }
    return n;
}

static void take_signals(struct polling* p) {
    for (size_t i = 0; i < p->count; i++) {
        if (p->item_of[i] != SIZE_MAX) {
            uint32_t ready =
                p->objects[i]->ops->ready(p->objects[i], p->items[p->item_of[i]].pending);
            p->fds[i].revents = (int16_t)(ready & ((uint16_t)p->fds[i].events | ALWAYS));
        }
    }
}

static long wait_all(struct polling* p, zx_time_t deadline) {
    look_up_all(p);
    for (;;) {
        collect(p);
        bool any = count_ready(p) != 0;
        long error = wait_many(p->items, p->item_count, any ? 0 : deadline);
        if (error == 0 || error == -ABI_ETIMEDOUT || error == -ABI_EINTR) {
            take_signals(p);
            long ready = count_ready(p);
            if (ready != 0 || error == -ABI_ETIMEDOUT) {
                return ready;
            }
        }
        if (error == -ABI_EINTR) {
            error = wait_interrupted(false);
        }
        if (error != 0 && error != -ABI_ECANCELED && error != -ABI_EBADF) {
            return error; // (a handle that was exchanged is asked for again)
        }
    }
}

static long poll_until(struct abi_pollfd* fds, size_t count, zx_time_t deadline) {
    struct few few;
    struct polling p = {.fds = fds, .count = count};
    if (count > FD_MAX) {
        return -ABI_EINVAL;
    }
    long result = begin(&p, &few) ? wait_all(&p, deadline) : -ABI_ENOMEM;
    end(&p);
    return result;
}

// ---- with a mask ----

// A signal that the mask lets through ends the call, be it pending before or sent during the wait:
// nobody can slip in between, because the mask is only looked at by this thread.
long wait_masked(long (*wait)(void* ctx, zx_time_t deadline), void* ctx, zx_time_t deadline,
                 const abi_sigset_t* mask) {
    if (mask == nullptr || signal_set_mask == nullptr) {
        return wait(ctx, deadline);
    }
    abi_sigset_t before;
    long error = sys_rt_sigprocmask(ABI_SIG_SETMASK, nullptr, &before, sizeof(before));
    if (error != 0) {
        return error;
    }
    signal_set_mask(*mask);
    long result = signal_deliver() == SIGNAL_NOTHING ? wait(ctx, deadline) : -ABI_EINTR;
    signal_set_mask(before);
    (void)signal_deliver();
    return result;
}

struct arguments {
    struct abi_pollfd* fds;
    size_t count;
};

static long poll_with(void* ctx, zx_time_t deadline) {
    const struct arguments* a = ctx;
    return poll_until(a->fds, a->count, deadline);
}

static long poll_masked(struct abi_pollfd* fds, size_t count, zx_time_t deadline,
                        const abi_sigset_t* mask) {
    struct arguments a = {fds, count};
    return wait_masked(poll_with, &a, deadline, mask);
}

static bool is_time(const struct abi_timespec* t) {
    return t == nullptr || (t->sec >= 0 && t->nsec >= 0 && t->nsec < 1'000'000'000);
}

long sys_poll(struct abi_pollfd* fds, size_t count, int timeout_ms) {
    zx_time_t deadline =
        timeout_ms < 0 ? ZX_TIME_INFINITE : zx_deadline_after(timeout_ms * INT64_C(1'000'000));
    return poll_until(fds, count, timeout_ms == 0 ? 0 : deadline);
}

long sys_ppoll(struct abi_pollfd* fds, size_t count, const struct abi_timespec* timeout,
               const abi_sigset_t* mask, size_t mask_len) {
    if (!is_time(timeout) || (mask != nullptr && mask_len != sizeof(*mask))) {
        return -ABI_EINVAL;
    }
    return poll_masked(fds, count, wait_deadline_after(timeout), mask);
}

// ---- select ----

static bool has(const struct abi_fd_set* set, int fd) {
    return set != nullptr && (set->words[fd / 64] >> (fd % 64) & 1) != 0;
}

static int put(struct abi_fd_set* set, int fd, bool value) {
    if (set == nullptr) {
        return 0;
    }
    uint64_t bit = (uint64_t)1 << (fd % 64);
    set->words[fd / 64] = (set->words[fd / 64] & ~bit) | (value ? bit : 0);
    return value;
}

struct sets {
    struct abi_fd_set *read, *write, *except;
};

static size_t fds_of_sets(const struct sets* s, int count, struct abi_pollfd* out) {
    size_t n = 0;
    for (int fd = 0; fd < count; fd++) {
        int events = (has(s->read, fd) ? ABI_POLLIN : 0) | (has(s->write, fd) ? ABI_POLLOUT : 0) |
                     (has(s->except, fd) ? ABI_POLLPRI : 0);
        if (events != 0) {
            out[n++] = (struct abi_pollfd){.fd = fd, .events = (int16_t)events};
        }
    }
    return n;
}

// The number of bits that are set now.
static long sets_of_fds(const struct sets* s, const struct abi_pollfd* fds, size_t n) {
    constexpr int read = ABI_POLLIN | ABI_POLLHUP | ABI_POLLERR;
    constexpr int write = ABI_POLLOUT | ABI_POLLERR;
    long bits = 0;
    for (size_t i = 0; i < n; i++) {
        int fd = fds[i].fd;
        int events = fds[i].events;
        int found = fds[i].revents;
        bits += put(s->read, fd, (events & ABI_POLLIN) != 0 && (found & read) != 0);
        bits += put(s->write, fd, (events & ABI_POLLOUT) != 0 && (found & write) != 0);
        bits += put(s->except, fd, (found & ABI_POLLPRI) != 0);
    }
    return bits;
}

static long check_descriptors(const struct abi_pollfd* fds, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (fd_table_get_flags(fd_table(), fds[i].fd) < 0) {
            return -ABI_EBADF;
        }
    }
    return 0;
}

static long select_until(int count, const struct sets* s, zx_time_t deadline,
                         const abi_sigset_t* mask) {
    if (count < 0) {
        return -ABI_EINVAL;
    }
    count = count < ABI_FD_SETSIZE ? count : (int)ABI_FD_SETSIZE;
    struct abi_pollfd* fds = calloc(count != 0 ? (size_t)count : 1, sizeof(*fds));
    if (fds == nullptr) {
        return -ABI_ENOMEM;
    }
    size_t n = fds_of_sets(s, count, fds);
    long result = check_descriptors(fds, n);
    if (result == 0) {
        result = poll_masked(fds, n, deadline, mask);
    }
    if (result >= 0) {
        result = sets_of_fds(s, fds, n);
    }
    free(fds);
    return result;
}

long sys_pselect6(int count, struct abi_fd_set* read, struct abi_fd_set* write,
                  struct abi_fd_set* except, const struct abi_timespec* timeout,
                  const struct abi_sigset_argument* mask) {
    const struct sets s = {read, write, except};
    const abi_sigset_t* set = mask != nullptr ? mask->set : nullptr;
    if (!is_time(timeout) || (set != nullptr && mask->size != sizeof(*set))) {
        return -ABI_EINVAL;
    }
    return select_until(count, &s, wait_deadline_after(timeout), set);
}

long sys_select(int count, struct abi_fd_set* read, struct abi_fd_set* write,
                struct abi_fd_set* except, struct abi_timeval* timeout) {
    const struct sets s = {read, write, except};
    if (timeout == nullptr) {
        return select_until(count, &s, ZX_TIME_INFINITE, nullptr);
    }
    if (timeout->sec < 0 || timeout->usec < 0) {
        return -ABI_EINVAL;
    }
    struct abi_timespec t = {timeout->sec + timeout->usec / 1'000'000,
                             timeout->usec % 1'000'000 * 1000};
    return select_until(count, &s, wait_deadline_after(&t), nullptr);
}
