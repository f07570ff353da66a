// See <fd/table.h>. A slot is the object's address, with FD_CLOEXEC as its lowest bit: the whole
// table is 8 KiB of zeros, of which a program with few descriptors touches a page.

#include <fd/table.h>

#include <stdlib.h>

#include <libc/lock.h>

struct fd_table {
    struct libc_lock lock;
    uintptr_t slot[FD_MAX]; // under the lock
};

constexpr uintptr_t CLOEXEC_BIT = 1;
static_assert(alignof(struct fd_object) > CLOEXEC_BIT);

static struct fd_object* object_of(uintptr_t slot) {
    return (struct fd_object*)(slot & ~CLOEXEC_BIT);
}

static uintptr_t slot_of(struct fd_object* o, int flags) {
    return (uintptr_t)o | ((flags & ABI_FD_CLOEXEC) != 0 ? CLOEXEC_BIT : 0);
}

static bool in_range(int fd) {
    return fd >= 0 && fd < FD_MAX;
}

long fd_table_get_ref(struct fd_table* t, int fd, struct fd_object** out) {
    if (!in_range(fd)) {
        return -ABI_EBADF;
    }
    libc_lock_acquire(&t->lock);
    struct fd_object* o = object_of(t->slot[fd]);
    if (o != nullptr) {
        fd_object_ref(o);
    }
    libc_lock_release(&t->lock);
    if (o == nullptr) {
        return -ABI_EBADF;
    }
    *out = o;
    return 0;
}

long fd_table_add(struct fd_table* t, struct fd_object* o, int from, int flags) {
    if (!in_range(from)) {
        fd_object_unref(o);
        return -ABI_EINVAL;
    }
    libc_lock_acquire(&t->lock);
    int fd = from;
    while (fd < FD_MAX && t->slot[fd] != 0) {
        fd++;
    }
    if (fd < FD_MAX) {
        t->slot[fd] = slot_of(o, flags);
    }
    libc_lock_release(&t->lock);
    if (fd == FD_MAX) {
        fd_object_unref(o);
        return -ABI_EMFILE;
    }
    return fd;
}

// Returns what was there.
static struct fd_object* exchange(struct fd_table* t, int fd, uintptr_t slot) {
    libc_lock_acquire(&t->lock);
    struct fd_object* old = object_of(t->slot[fd]);
    t->slot[fd] = slot;
    libc_lock_release(&t->lock);
    return old;
}

long fd_table_put(struct fd_table* t, struct fd_object* o, int fd, int flags) {
    if (!in_range(fd)) {
        fd_object_unref(o);
        return -ABI_EBADF;
    }
    fd_object_unref(exchange(t, fd, slot_of(o, flags)));
    return fd;
}

long fd_table_close(struct fd_table* t, int fd) {
    struct fd_object* old = in_range(fd) ? exchange(t, fd, 0) : nullptr;
    fd_object_unref(old);
    return old != nullptr ? 0 : -ABI_EBADF;
}

long fd_table_get_flags(struct fd_table* t, int fd) {
    if (!in_range(fd)) {
        return -ABI_EBADF;
    }
    libc_lock_acquire(&t->lock);
    uintptr_t slot = t->slot[fd];
    libc_lock_release(&t->lock);
    if (slot == 0) {
        return -ABI_EBADF;
    }
    return (slot & CLOEXEC_BIT) != 0 ? ABI_FD_CLOEXEC : 0;
}

long fd_table_set_flags(struct fd_table* t, int fd, int flags) {
    if (!in_range(fd)) {
        return -ABI_EBADF;
    }
    libc_lock_acquire(&t->lock);
    struct fd_object* o = object_of(t->slot[fd]);
    if (o != nullptr) {
        t->slot[fd] = slot_of(o, flags);
    }
    libc_lock_release(&t->lock);
    return o != nullptr ? 0 : -ABI_EBADF;
}

int fd_table_next_ref(struct fd_table* t, int fd, struct fd_object** out, int* flags) {
    libc_lock_acquire(&t->lock);
    while (fd < FD_MAX && t->slot[fd] == 0) {
        fd++;
    }
    if (fd < FD_MAX) {
        *out = object_of(t->slot[fd]);
        *flags = (t->slot[fd] & CLOEXEC_BIT) != 0 ? ABI_FD_CLOEXEC : 0;
        fd_object_ref(*out);
    }
    libc_lock_release(&t->lock);
    return fd < FD_MAX ? fd : -1;
}

// ---- whole tables ----

// Not of malloc's: see <libc/early.h>.
static struct fd_table first;

struct fd_table* fd_table_first(void) {
    return &first;
}

struct fd_table* fd_table_new(void) {
    return calloc(1, sizeof(struct fd_table));
}

struct fd_table* fd_table_copy(struct fd_table* from) {
    struct fd_table* t = fd_table_new();
    if (t == nullptr) {
        return nullptr;
    }
    libc_lock_acquire(&from->lock);
    for (int fd = 0; fd < FD_MAX; fd++) {
        t->slot[fd] = from->slot[fd];
        if (t->slot[fd] != 0) {
            fd_object_ref(object_of(t->slot[fd]));
        }
    }
    libc_lock_release(&from->lock);
    return t;
}

void fd_table_delete(struct fd_table* t) {
    if (t == nullptr) {
        return;
    }
    for (int fd = 0; fd < FD_MAX; fd++) {
        fd_object_unref(object_of(t->slot[fd]));
    }
    if (t != &first) {
        free(t);
    }
}
