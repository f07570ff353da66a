// Terminals. See <fd/terminal.h>.
//
// A terminal outlives its server: when the connection closes, it is opened again, once for each
// call that meets it. The connection in use is a counted link, so that a thread that is in a call
// when another one renews it keeps what it is using.

#include <fd/terminal.h>

#include <string.h>

#include <fd/server.h>
#include <io/client.h>
#include <libc/early.h>
#include <libc/lock.h>
#include <libc/operations.h>
#include <signal/terminal.h>
#include <zircon/syscalls.h>

struct link {
    _Atomic(uint32_t) refs;
    zx_handle_t connection, events; // immutable
};

struct terminal {
    struct fd_object base;
    uint64_t device; // immutable
    struct libc_lock lock;
    struct link* current; // under the lock
};

static _Atomic(fd_reopen_fn) reopen_terminal;

static struct terminal* terminal_of(struct fd_object* o) {
    return (struct terminal*)o;
}

void fd_terminal_set_reopen(fd_reopen_fn reopen) {
    atomic_store_explicit(&reopen_terminal, reopen, memory_order_relaxed);
}

// ---- links ----

// Consumes the handles. Null: no memory.
static struct link* link_new(zx_handle_t connection, zx_handle_t events) {
    struct link* l = early_alloc(sizeof(*l));
    if (l == nullptr) {
        (void)zx_handle_close(connection);
        (void)zx_handle_close(events);
        return nullptr;
    }
    atomic_init(&l->refs, 1);
    l->connection = connection;
    l->events = events;
    return l;
}

static void link_unref(struct link* l) {
    if (l != nullptr && atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1) {
        (void)zx_handle_close(l->connection);
        (void)zx_handle_close(l->events);
        early_free(l);
    }
}

static struct link* current_ref(struct terminal* t) {
    libc_lock_acquire(&t->lock);
    struct link* l = t->current;
    (void)atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    libc_lock_release(&t->lock);
    return l;
}

// Opens the terminal again, unless somebody else has since `dead` was the current link.
static bool renew(struct terminal* t, struct link* dead) {
    fd_reopen_fn reopen = atomic_load_explicit(&reopen_terminal, memory_order_relaxed);
    zx_handle_t connection;
    zx_handle_t events;
    if (reopen == nullptr || reopen(&connection, &events) != ZX_OK) {
        return false;
    }
    struct link* fresh = link_new(connection, events);
    libc_lock_acquire(&t->lock);
    struct link* gone = fresh;
    if (fresh != nullptr && t->current == dead) {
        gone = t->current;
        t->current = fresh;
    }
    libc_lock_release(&t->lock);
    link_unref(gone);
    return fresh != nullptr;
}

// ---- calls ----

// One call of the protocol, in a shape that can be made twice.
struct request {
    zx_status_t (*call)(zx_handle_t terminal, struct request* r);
    union {
        void* bytes;
        const void* data;
        struct jacinth_io_attributes* attributes;
        const struct io_changes* changes;
    };
    size_t len;
    size_t actual;
    struct jacinth_io_mode mode;
    jacinth_io_when_t when;
    struct jacinth_io_window_size size;
    bool input, output;
    zx_handle_t handle; // out
};

static zx_status_t ask_status(struct fd_object* o, struct request* r) {
    struct terminal* t = terminal_of(o);
    struct link* l = current_ref(t);
    zx_status_t status = r->call(l->connection, r);
    if (status == ZX_ERR_PEER_CLOSED && renew(t, l)) {
        link_unref(l);
        l = current_ref(t);
        status = r->call(l->connection, r);
    }
    link_unref(l);
    return status;
}

static long ask(struct fd_object* o, struct request* r) {
    return fd_server_error(ask_status(o, r));
}

static zx_status_t call_read(zx_handle_t terminal, struct request* r) {
    return io_terminal_read(terminal, r->bytes, r->len, &r->actual);
}

static zx_status_t call_write(zx_handle_t terminal, struct request* r) {
    return io_terminal_write(terminal, r->data, r->len, &r->actual);
}

static zx_status_t call_get_mode(zx_handle_t terminal, struct request* r) {
    return io_terminal_get_mode(terminal, &r->mode);
}

static zx_status_t call_set_mode(zx_handle_t terminal, struct request* r) {
    return io_terminal_set_mode(terminal, &r->mode, r->when);
}

static zx_status_t call_get_size(zx_handle_t terminal, struct request* r) {
    return io_terminal_get_size(terminal, &r->size);
}

static zx_status_t call_set_size(zx_handle_t terminal, struct request* r) {
    return io_terminal_set_size(terminal, &r->size);
}

static zx_status_t call_flush(zx_handle_t terminal, struct request* r) {
    return io_terminal_flush(terminal, r->input, r->output);
}

static zx_status_t call_attributes(zx_handle_t terminal, struct request* r) {
    return io_get_attributes(terminal, r->attributes);
}

static zx_status_t call_clone(zx_handle_t terminal, struct request* r) {
    return io_clone(terminal, &r->handle);
}

// ---- reading and writing ----

// A read of a terminal is one line, or what is there.
static long terminal_read(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    struct request r = {.call = call_read};
    if (offset != FD_OFFSET_CURRENT) {
        return -ABI_ESPIPE;
    }
    if (!fd_io_next(io, &r.bytes, &r.len)) {
        return 0;
    }
    long error = ask(o, &r);
    return error == 0 ? (long)r.actual : error;
}

static long terminal_write(struct fd_object* o, const struct fd_io* io, uint64_t offset) {
    char together[1024]; // pieces of one line should be shown in one piece
    struct request r = {.call = call_write};
    if (offset != FD_OFFSET_CURRENT) {
        return -ABI_ESPIPE;
    }
    if (!fd_io_next(io, &r.bytes, &r.len)) {
        return 0;
    }
    if (r.len < io->len - io->skip && r.len < sizeof(together)) {
        r.len = fd_io_gather(io, together, sizeof(together));
        r.data = together;
    }
    long error = ask(o, &r);
    return error == 0 ? (long)r.actual : error;
}

static void terminal_wait_on(struct fd_object* o, uint32_t events, struct fd_wait* out) {
    zx_signals_t signals = JACINTH_IO_EVENT_HANG_UP;
    if ((events & (ABI_POLLIN | ABI_POLLRDNORM)) != 0) {
        signals |= JACINTH_IO_EVENT_READABLE | ZX_EVENTPAIR_PEER_CLOSED;
    }
    if ((events & (ABI_POLLOUT | ABI_POLLWRNORM)) != 0) {
        signals |= JACINTH_IO_EVENT_WRITABLE | ZX_EVENTPAIR_PEER_CLOSED;
    }
    // A link that is replaced during the wait has its events closed, and the wait ends with that.
    struct link* l = current_ref(terminal_of(o));
    *out = (struct fd_wait){.handle = l->events, .signals = signals};
    link_unref(l);
}

static uint32_t terminal_ready(struct fd_object*, zx_signals_t seen) {
    constexpr uint32_t in = ABI_POLLIN | ABI_POLLRDNORM;
    constexpr uint32_t out = ABI_POLLOUT | ABI_POLLWRNORM;
    if ((seen & JACINTH_IO_EVENT_HANG_UP) != 0) {
        return in | out | ABI_POLLHUP;
    }
    if ((seen & ZX_EVENTPAIR_PEER_CLOSED) != 0) {
        return in | out; // the server died: a call will open the terminal again
    }
    return ((seen & JACINTH_IO_EVENT_READABLE) != 0 ? in : 0) |
           ((seen & JACINTH_IO_EVENT_WRITABLE) != 0 ? out : 0);
}

// ---- modes ----

static void termios_from_mode(const struct jacinth_io_mode* m, struct abi_termios* out) {
    *out = (struct abi_termios){
        .iflag = m->input, .oflag = m->output, .cflag = m->control, .lflag = m->local};
    memcpy(out->cc, m->characters, sizeof(out->cc));
}

// What the structure of the request does not have stays as it is.
static long set_mode(struct fd_object* o, const struct abi_termios* t, jacinth_io_when_t when) {
    struct request r = {.call = call_get_mode};
    long error = ask(o, &r);
    if (error != 0) {
        return error;
    }
    r.mode.input = t->iflag;
    r.mode.output = t->oflag;
    r.mode.control = t->cflag;
    r.mode.local = t->lflag;
    memcpy(r.mode.characters, t->cc, sizeof(t->cc));
    r.when = when;
    r.call = call_set_mode;
    return ask(o, &r);
}

static long get_mode(struct fd_object* o, struct abi_termios* out) {
    struct request r = {.call = call_get_mode};
    long error = ask(o, &r);
    if (error == 0) {
        termios_from_mode(&r.mode, out);
    }
    return error;
}

static long get_size(struct fd_object* o, struct abi_winsize* out) {
    struct request r = {.call = call_get_size};
    long error = ask(o, &r);
    if (error == 0) {
        *out = (struct abi_winsize){r.size.rows, r.size.columns, r.size.width, r.size.height};
    }
    return error;
}

static long set_size(struct fd_object* o, const struct abi_winsize* s) {
    struct request r = {
        .call = call_set_size,
        .size = {.rows = s->rows, .columns = s->columns, .width = s->xpixel, .height = s->ypixel}};
    return ask(o, &r);
}

// As tcflush: 0 is input, 1 output, 2 both.
static long flush(struct fd_object* o, uintptr_t which) {
    if (which > 2) {
        return -ABI_EINVAL;
    }
    struct request r = {.call = call_flush, .input = which != 1, .output = which != 0};
    return ask(o, &r);
}

static long bytes_waiting(struct fd_object* o, int* out) {
    // How many only a read can tell.
    struct link* l = current_ref(terminal_of(o));
    zx_signals_t seen = 0;
    (void)zx_object_wait_one(l->events, JACINTH_IO_EVENT_READABLE, 0, &seen);
    link_unref(l);
    *out = (seen & JACINTH_IO_EVENT_READABLE) != 0;
    return 0;
}

// ---- what ioctl() asks ----

// Sessions and groups are the signal module's. Without it each group is in front.
static long control_groups(struct fd_object* o, uint64_t request, void* argument) {
    if (signal_terminal_control != nullptr) {
        struct link* l = current_ref(terminal_of(o));
        long result = signal_terminal_control(l->connection, request, argument);
        link_unref(l);
        return result;
    }
    if (request == ABI_TIOCGPGRP || request == ABI_TIOCGSID) {
        *(int*)argument = (int)sys_getpid();
    }
    return 0;
}

static long terminal_control(struct fd_object* o, uint64_t request, void* argument) {
    switch (request) {
    case ABI_TCGETS:
        return get_mode(o, argument);
    case ABI_TCSETS:
        return set_mode(o, argument, JACINTH_IO_WHEN_NOW);
    case ABI_TCSETSW:
        return set_mode(o, argument, JACINTH_IO_WHEN_AFTER_OUTPUT);
    case ABI_TCSETSF:
        return set_mode(o, argument, JACINTH_IO_WHEN_AFTER_OUTPUT_FLUSH);
    case ABI_TIOCGWINSZ:
        return get_size(o, argument);
    case ABI_TIOCSWINSZ:
        return set_size(o, argument);
    case ABI_TCFLSH:
        return flush(o, (uintptr_t)argument);
    case ABI_FIONREAD:
        return bytes_waiting(o, argument);
    case ABI_TIOCGPGRP:
    case ABI_TIOCSPGRP:
    case ABI_TIOCGSID:
    case ABI_TIOCSCTTY:
    case ABI_TIOCNOTTY:
        return control_groups(o, request, argument);
    case ABI_TCSBRK: // what was written is the server's: it shows it in order
    case ABI_TCXONC:
        return 0;
    default:
        return -ABI_ENOTTY;
    }
}

// ---- the rest ----

static long terminal_stat(struct fd_object* o, struct abi_stat* out) {
    struct jacinth_io_attributes a;
    struct request r = {.call = call_attributes, .attributes = &a};
    long error = ask(o, &r);
    if (error == 0) {
        fd_stat_from_attributes(&a, terminal_of(o)->device, out);
    }
    return error;
}

static long terminal_clone(struct fd_object* o, struct fd_handles* out) {
    *out = (struct fd_handles){};
    struct request r = {.call = call_clone};
    long error = ask(o, &r);
    if (error != 0) {
        return error;
    }
    out->handle[out->count++] = r.handle;
    struct link* l = current_ref(terminal_of(o));
    error = fd_server_error(
        zx_handle_duplicate(l->events, ZX_RIGHT_SAME_RIGHTS, &out->handle[out->count]));
    link_unref(l);
    out->count += error == 0;
    if (error != 0) {
        fd_handles_close(out);
    }
    return error;
}

static void terminal_close(struct fd_object* o) {
    link_unref(terminal_of(o)->current);
    early_free(o);
}

static const struct fd_ops terminal_ops = {
    .read = terminal_read,
    .write = terminal_write,
    .seek = fd_no_seek,
    .stat = terminal_stat,
    FD_OPS_NO_FILE,
    .control = terminal_control,
    .wait_on = terminal_wait_on,
    .ready = terminal_ready,
    .clone = terminal_clone,
    .close = terminal_close,
};

long fd_terminal_new(zx_handle_t connection, zx_handle_t events, uint32_t flags, uint64_t device,
                     struct fd_object** out) {
    struct link* l = link_new(connection, events);
    struct terminal* t = early_alloc(sizeof(*t));
    if (l == nullptr || t == nullptr) {
        link_unref(l);
        early_free(t);
        return -ABI_ENOMEM;
    }
    fd_object_init(&t->base, &terminal_ops, flags);
    t->device = device;
    t->current = l;
    *out = &t->base;
    return 0;
}

bool fd_is_terminal(const struct fd_object* o) {
    return o->ops == &terminal_ops;
}
