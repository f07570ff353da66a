// Channel calls.
//
// Handles named in a write are consumed whatever becomes of the call. Two stages: until
// take_handles() runs, a failure closes them by their values (SYSCALL_CONSUMED); from then on they
// are in the message, and freeing the message closes them.
//
// A message that was taken from its queue and whose bytes or handle values cannot be stored (bad
// pointers) is lost, its handles closed: the caller named the buffers. Want of memory for the
// handle table puts it back instead.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/exception.h>

#include <object/channel.h>
#include <object/thread_object.h>

// ---- writing ----

static status_t check_sizes(uint32_t num_bytes, uint32_t num_handles) {
    return num_bytes <= MESSAGE_MAX_BYTES && num_handles <= MESSAGE_MAX_HANDLES
               ? STATUS_OK
               : STATUS_OUT_OF_RANGE;
}

// A message with its bytes, and room for handles.
static status_t make_message(bool gather, const void __user* bytes, uint32_t num_bytes,
                             uint32_t num_handles, struct message** out) {
    uint32_t size = num_bytes;
    if (unlikely(gather)) {
        TRY(message_gather_size(bytes, num_bytes, &size));
    }
    TRY(check_sizes(size, num_handles));
    struct message* m = message_new(size, num_handles);
    if (unlikely(m == nullptr)) {
        return STATUS_NO_MEMORY;
    }
    status_t status =
        unlikely(gather) ? message_gather(m, bytes, num_bytes) : message_fill(m, bytes);
    if (unlikely(status != STATUS_OK)) {
        message_free(m);
        return status;
    }
    *out = m;
    return STATUS_OK;
}

// Neither end of a channel travels through that channel: the one that would be read from could then
// never be read again, and would keep itself. (Longer rings are not looked for.)
static bool is_end_of(const struct object* o, const struct channel* c) {
    struct object* end = channel_object((struct channel*)c);
    return o == end || (o->ops == end->ops && o->koid == end->ops->related_koid(end));
}

static status_t may_travel(const struct handle* h, const struct channel* through) {
    if (is_end_of(h->object, through)) {
        return STATUS_NOT_SUPPORTED;
    }
    return (h->rights & ZX_RIGHT_TRANSFER) != 0 ? STATUS_OK : STATUS_ACCESS_DENIED;
}

// Every handle leaves the table; the first that cannot travel is the result.
static NOINLINE status_t take_handles(struct channel* c, struct message* m,
                                      const zx_handle_t __user* handles) {
    UNINITIALIZED zx_handle_t values[MESSAGE_MAX_HANDLES];
    if (arch_copy_from_user(values, handles, m->handles * sizeof(values[0])) != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct handle_table* t = handle_table_current();
    status_t result = STATUS_OK;
    for (uint32_t i = 0; i < m->handles; i++) {
        status_t status = handle_remove(t, values[i], &m->handle[i]);
        status = likely(status == STATUS_OK) ? may_travel(&m->handle[i], c)
                                             : syscall_lookup_failed(status);
        result = likely(result == STATUS_OK) ? status : result;
    }
    return result;
}

// The status of a write that the channel refused; the message is still ours.
static status_t refused(struct message* m, status_t status, uint32_t options) {
    message_free(m);
    if (status != STATUS_NO_RESOURCES) {
        return status;
    }
    return (options & ZX_CHANNEL_WRITE_MAY_REFUSE) != 0
               ? STATUS_SHOULD_WAIT
               : policy_exception(ZX_EXCP_POLICY_CODE_CHANNEL_FULL_WRITE, STATUS_SHOULD_WAIT);
}

static_assert(CHANNEL_SMALL_BYTES <= USER_ANSWER_MAX);

constexpr uint32_t WRITE_OPTIONS = ZX_CHANNEL_WRITE_USE_IOVEC | ZX_CHANNEL_WRITE_MAY_REFUSE;

// A message with handles, or one that is gathered.
static NOINLINE status_t prepare_write_any(struct channel* c, uint32_t options,
                                           const void __user* bytes, uint32_t num_bytes,
                                           const zx_handle_t __user* handles, uint32_t num_handles,
                                           struct message** out) {
    SYSCALL_CONSUMED consumed = {.handles = handles, .count = num_handles};
    if ((options & ~WRITE_OPTIONS) != 0) {
        return STATUS_INVALID_ARGS;
    }
    // Before the size of the array decides how much is read.
    TRY(check_sizes(0, num_handles));
    struct message* m;
    TRY(make_message((options & ZX_CHANNEL_WRITE_USE_IOVEC) != 0, bytes, num_bytes, num_handles,
                     &m));
    consumed.count = 0;
    if (num_handles != 0) {
        status_t status = take_handles(c, m, handles);
        if (status != STATUS_OK) {
            message_free(m);
            return status;
        }
    }
    *out = m;
    return STATUS_OK;
}

ALWAYS_INLINE status_t prepare_write(struct channel* c, uint32_t options, const void __user* bytes,
                                     uint32_t num_bytes, const zx_handle_t __user* handles,
                                     uint32_t num_handles, struct message** out) {
    if (unlikely((options | num_handles) != 0)) {
        return prepare_write_any(c, options, bytes, num_bytes, handles, num_handles, out);
    }
    TRY(check_sizes(num_bytes, 0));
    struct message* m = message_new_plain(num_bytes);
    if (unlikely(m == nullptr)) {
        return STATUS_NO_MEMORY;
    }
    if (unlikely(message_fill(m, bytes) != STATUS_OK)) {
        message_free(m);
        return STATUS_INVALID_ARGS;
    }
    *out = m;
    return STATUS_OK;
}

// Bytes that may go straight to who waits for them. Fewer than a transaction id do not: they answer
// no call, and who waits first may be one.
ALWAYS_INLINE bool is_small(uint32_t options, uint32_t bytes, uint32_t handles) {
    constexpr uint32_t LEAST = sizeof(zx_txid_t);
    return (options | handles) == 0 && bytes - LEAST <= CHANNEL_SMALL_BYTES - LEAST;
}

status_t sys_channel_write(struct channel* c, uint32_t options, const void __user* bytes,
                           uint32_t num_bytes, const zx_handle_t __user* handles,
                           uint32_t num_handles) {
    if (is_small(options, num_bytes, num_handles) &&
        likely(channel_write_small(c, bytes, num_bytes) == STATUS_OK)) {
        return STATUS_OK;
    }
    struct message* m;
    TRY(prepare_write(c, options, bytes, num_bytes, handles, num_handles, &m));
    status_t status = channel_write(c, m);
    return likely(status == STATUS_OK) ? status : refused(m, status, options);
}

// ---- writing with dispositions ----

// What the entry says about a handle that exists: its type, what it must allow, its new rights.
static status_t check_disposition(const struct channel* c, const zx_handle_disposition_t* d,
                                  zx_rights_t need, struct handle* h) {
    if (d->type != ZX_OBJ_TYPE_NONE && h->object->ops->type != d->type) {
        return STATUS_WRONG_TYPE;
    }
    TRY(may_travel(h, c));
    if ((h->rights & need) != need) {
        return STATUS_ACCESS_DENIED;
    }
    if (d->rights == ZX_RIGHT_SAME_RIGHTS) {
        return STATUS_OK;
    }
    if ((d->rights & ~h->rights) != 0) {
        return STATUS_INVALID_ARGS;
    }
    h->rights = d->rights;
    return STATUS_OK;
}

static status_t duplicate_into(zx_handle_t value, struct handle* out) {
    zx_rights_t rights;
    struct object* o = syscall_handle_get_rights(value, OBJECT_ANY, ZX_RIGHT_NONE, &rights);
    if (unlikely(o == nullptr)) {
        return syscall_handle_failed(value, OBJECT_ANY, ZX_RIGHT_NONE);
    }
    *out = handle_make(o, rights);
    return STATUS_OK;
}

static status_t take_disposition(struct channel* c, const zx_handle_disposition_t* d,
                                 struct handle* out) {
    if (d->operation == ZX_HANDLE_OP_MOVE) {
        TRY(syscall_take(d->handle, false, out));
        return check_disposition(c, d, ZX_RIGHT_NONE, out);
    }
    if (d->operation == ZX_HANDLE_OP_DUPLICATE) {
        TRY(duplicate_into(d->handle, out));
        return check_disposition(c, d, ZX_RIGHT_DUPLICATE, out);
    }
    return STATUS_INVALID_ARGS;
}

// Each entry is read once, carried out, and answered in its `result`.
static NOINLINE status_t take_dispositions(struct channel* c, struct message* m,
                                           zx_handle_disposition_t __user* handles) {
    status_t result = STATUS_OK;
    for (uint32_t i = 0; i < m->handles; i++) {
        UNINITIALIZED zx_handle_disposition_t d;
        if (copy_from_user(&d, &handles[i]) != STATUS_OK) {
            return STATUS_INVALID_ARGS;
        }
        status_t status = take_disposition(c, &d, &m->handle[i]);
        zx_status_t answer = status;
        if (copy_to_user(&handles[i].result, &answer) != STATUS_OK) {
            status = STATUS_INVALID_ARGS;
        }
        result = result == STATUS_OK ? status : result;
    }
    return result;
}

static status_t prepare_write_etc(struct channel* c, uint32_t options, const void __user* bytes,
                                  uint32_t num_bytes, zx_handle_disposition_t __user* handles,
                                  uint32_t num_handles, struct message** out) {
    SYSCALL_CONSUMED consumed = {.dispositions = handles, .count = num_handles};
    if ((options & ~WRITE_OPTIONS) != 0) {
        return STATUS_INVALID_ARGS;
    }
    TRY(check_sizes(0, num_handles));
    struct message* m;
    TRY(make_message((options & ZX_CHANNEL_WRITE_USE_IOVEC) != 0, bytes, num_bytes, num_handles,
                     &m));
    consumed.count = 0;
    status_t status = take_dispositions(c, m, handles);
    if (status != STATUS_OK) {
        message_free(m);
        return status;
    }
    *out = m;
    return STATUS_OK;
}

status_t sys_channel_write_etc(struct channel* c, uint32_t options, const void __user* bytes,
                               uint32_t num_bytes, zx_handle_disposition_t __user* handles,
                               uint32_t num_handles) {
    struct message* m;
    TRY(prepare_write_etc(c, options, bytes, num_bytes, handles, num_handles, &m));
    status_t status = channel_write(c, m);
    return likely(status == STATUS_OK) ? status : refused(m, status, options);
}

// ---- reading ----

static status_t store(uint32_t __user* where, uint32_t value) {
    // The null test in its own words: a user pointer does not compare with kernel ones.
    if ((uintptr_t)where == 0) {
        return STATUS_OK;
    }
    return likely(arch_put_user_u32(where, value)) ? STATUS_OK : STATUS_INVALID_ARGS;
}

static status_t store_sizes(uint32_t __user* actual_bytes, uint32_t __user* actual_handles,
                            uint32_t bytes, uint32_t handles) {
    TRY(store(actual_bytes, bytes));
    return store(actual_handles, handles);
}

struct read_buffers {
    void __user* bytes;
    zx_handle_t __user* values; // one of the two
    zx_handle_info_t __user* infos;
    uint32_t __user* actual_bytes;
    uint32_t __user* actual_handles;
};

static status_t store_handle(const struct read_buffers* b, uint32_t i, const struct handle* h,
                             zx_handle_t value) {
    if ((uintptr_t)b->infos == 0) {
        return likely(arch_put_user_u32(&b->values[i], value)) ? STATUS_OK : STATUS_INVALID_ARGS;
    }
    zx_handle_info_t info = {.handle = value, .type = h->object->ops->type, .rights = h->rights};
    return copy_to_user(&b->infos[i], &info);
}

struct slots {
    struct handle_slot slot[MESSAGE_MAX_HANDLES];
    uint32_t count;
};

static status_t reserve(struct handle_table* t, struct slots* s, uint32_t count) {
    for (s->count = 0; s->count < count; s->count++) {
        status_t status = handle_reserve(t, &s->slot[s->count]);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static void unreserve(struct handle_table* t, struct slots* s) {
    for (uint32_t i = 0; i < s->count; i++) {
        handle_unreserve(t, &s->slot[i]);
    }
}

ALWAYS_INLINE status_t deliver_bytes(struct message* m, const struct read_buffers* b) {
    if (likely(m->rest == nullptr)) {
        return likely(arch_copy_message_to_user(b->bytes, m->data, m->bytes, b->actual_bytes,
                                                m->bytes, b->actual_handles, m->handles))
                   ? STATUS_OK
                   : STATUS_INVALID_ARGS;
    }
    TRY(message_drain(m, b->bytes));
    return store_sizes(b->actual_bytes, b->actual_handles, m->bytes, m->handles);
}

// NO_MEMORY: nothing has happened, the message is the caller's. Anything else: it is freed.
// By value, so that messages without handles keep none of it in memory.
static NOINLINE status_t deliver_with_handles(struct message* m, struct read_buffers b) {
    struct handle_table* t = handle_table_current();
    UNINITIALIZED struct slots s;
    status_t status = reserve(t, &s, m->handles);
    if (status != STATUS_OK) {
        unreserve(t, &s);
        return STATUS_NO_MEMORY;
    }
    status = deliver_bytes(m, &b);
    for (uint32_t i = 0; i < m->handles && status == STATUS_OK; i++) {
        status = store_handle(&b, i, &m->handle[i], s.slot[i].value);
    }
    if (status != STATUS_OK) {
        unreserve(t, &s);
    } else {
        for (uint32_t i = 0; i < m->handles; i++) {
            handle_publish(t, &s.slot[i], &m->handle[i]);
        }
        m->handles = 0;
    }
    message_free_plain(m);
    return status;
}

ALWAYS_INLINE status_t deliver(struct message* m, const struct read_buffers* b) {
    if (unlikely(m->handles != 0)) {
        return deliver_with_handles(m, *b);
    }
    status_t status = deliver_bytes(m, b);
    message_free_plain(m);
    return status;
}

ALWAYS_INLINE status_t read(struct channel* c, uint32_t options, uint32_t num_bytes,
                            uint32_t num_handles, const struct read_buffers* b) {
    if (unlikely((options & ~ZX_CHANNEL_READ_MAY_DISCARD) != 0)) {
        return STATUS_INVALID_ARGS;
    }
    struct message* m;
    uint32_t bytes;
    uint32_t handles;
    status_t status =
        channel_read(c, num_bytes, num_handles, (options & ZX_CHANNEL_READ_MAY_DISCARD) != 0, &m,
                     &bytes, &handles);
    if (unlikely(status != STATUS_OK)) {
        if (status == STATUS_BUFFER_TOO_SMALL) {
            TRY(store_sizes(b->actual_bytes, b->actual_handles, bytes, handles));
        }
        return status;
    }
    status = deliver(m, b);
    if (unlikely(status == STATUS_NO_MEMORY)) {
        channel_unread(c, m);
    }
    return status;
}

status_t sys_channel_read(struct channel* c, uint32_t options, void __user* bytes,
                          zx_handle_t __user* handles, uint32_t num_bytes, uint32_t num_handles,
                          uint32_t __user* actual_bytes, uint32_t __user* actual_handles) {
    struct read_buffers b = {.bytes = bytes,
                             .values = handles,
                             .actual_bytes = actual_bytes,
                             .actual_handles = actual_handles};
    return read(c, options, num_bytes, num_handles, &b);
}

status_t sys_channel_read_etc(struct channel* c, uint32_t options, void __user* bytes,
                              zx_handle_info_t __user* handles, uint32_t num_bytes,
                              uint32_t num_handles, uint32_t __user* actual_bytes,
                              uint32_t __user* actual_handles) {
    struct read_buffers b = {.bytes = bytes,
                             .infos = handles,
                             .actual_bytes = actual_bytes,
                             .actual_handles = actual_handles};
    return read(c, options, num_bytes, num_handles, &b);
}

// ---- calling ----

// The answer to a call: one that does not fit, or cannot be taken, is discarded.
static status_t deliver_reply(struct message* m, uint32_t max_bytes, uint32_t max_handles,
                              const struct read_buffers* b) {
    if (unlikely(m->bytes > max_bytes || m->handles > max_handles)) {
        status_t status = store_sizes(b->actual_bytes, b->actual_handles, m->bytes, m->handles);
        message_free(m);
        return status == STATUS_OK ? STATUS_BUFFER_TOO_SMALL : status;
    }
    status_t status = deliver(m, b);
    if (unlikely(status == STATUS_NO_MEMORY)) {
        message_free(m);
    }
    return status;
}

static struct read_buffers call_buffers(const zx_channel_call_args_t* args,
                                        uint32_t __user* actual_bytes,
                                        uint32_t __user* actual_handles) {
    return (struct read_buffers){.bytes = (void __user*)args->rd_bytes,
                                 .values = (zx_handle_t __user*)args->rd_handles,
                                 .actual_bytes = actual_bytes,
                                 .actual_handles = actual_handles};
}

static struct read_buffers call_etc_buffers(const zx_channel_call_etc_args_t* args,
                                            uint32_t __user* actual_bytes,
                                            uint32_t __user* actual_handles) {
    return (struct read_buffers){.bytes = (void __user*)args->rd_bytes,
                                 .infos = (zx_handle_info_t __user*)args->rd_handles,
                                 .actual_bytes = actual_bytes,
                                 .actual_handles = actual_handles};
}

// A small message that came in a waiter.
ALWAYS_INLINE status_t deliver_small(const struct channel_waiter* w, void __user* bytes,
                                     uint32_t __user* actual_bytes,
                                     uint32_t __user* actual_handles) {
    return likely(arch_copy_answer_to_user(bytes, w->small, w->small_bytes, actual_bytes,
                                           w->small_bytes, actual_handles, 0))
               ? STATUS_OK
               : STATUS_INVALID_ARGS;
}

// Whether there is one, by who has given the waiter its room in this call: then it fits.
ALWAYS_INLINE bool is_answered_small(status_t status, const struct channel_waiter* w) {
    return likely(status == STATUS_OK) && likely(w->small_bytes <= CHANNEL_SMALL_BYTES);
}

// Whatever became of a call that returned `status`.
static status_t deliver_answer(status_t status, const struct channel_waiter* w, uint32_t max_bytes,
                               uint32_t max_handles, const struct read_buffers* b) {
    if (unlikely(status != STATUS_OK)) {
        return status;
    }
    struct message* m = channel_waiter_message(w);
    if (m != nullptr) {
        return deliver_reply(m, max_bytes, max_handles, b);
    }
    if (unlikely(w->small_bytes > max_bytes)) { // a resumed call may have another buffer
        status = store_sizes(b->actual_bytes, b->actual_handles, w->small_bytes, 0);
        return status == STATUS_OK ? STATUS_BUFFER_TOO_SMALL : status;
    }
    return deliver_small(w, b->bytes, b->actual_bytes, b->actual_handles);
}

// The thread's waiter for its calls, ready for a new one.
ALWAYS_INLINE struct channel_waiter* new_call(uint32_t max_bytes) {
    struct channel_waiter* w = thread_object_call(thread_object_current());
    if (unlikely(w->channel != nullptr)) {
        channel_call_abandon(w); // a program that never resumed its interrupted call
    }
    channel_waiter_init(w, max_bytes);
    return w;
}

ALWAYS_INLINE status_t call(struct channel* c, struct message* m, uint32_t options,
                            zx_time_t deadline, uint32_t max_bytes, uint32_t max_handles,
                            const struct read_buffers* b) {
    if (unlikely(m->bytes < sizeof(zx_txid_t))) {
        message_free(m);
        return STATUS_INVALID_ARGS;
    }
    struct channel_waiter* w = new_call(max_bytes);
    bool sent;
    status_t status = channel_call(c, m, deadline, w, &sent);
    if (unlikely(!sent)) {
        return refused(m, status, options);
    }
    return deliver_answer(status, w, max_bytes, max_handles, b);
}

status_t sys_channel_call(struct channel* c, uint32_t options, zx_time_t deadline,
                          const zx_channel_call_args_t* args, uint32_t __user* actual_bytes,
                          uint32_t __user* actual_handles) {
    if (likely(is_small(options, args->wr_num_bytes, args->wr_num_handles))) {
        struct channel_waiter* w = new_call(args->rd_num_bytes);
        status_t status = channel_call_small(c, (const void __user*)args->wr_bytes,
                                             args->wr_num_bytes, deadline, w);
        if (is_answered_small(status, w)) {
            return deliver_small(w, (void __user*)args->rd_bytes, actual_bytes, actual_handles);
        }
        if (status != STATUS_NEXT) {
            struct read_buffers b = call_buffers(args, actual_bytes, actual_handles);
            return deliver_answer(status, w, args->rd_num_bytes, args->rd_num_handles, &b);
        }
    }
    struct message* m;
    TRY(prepare_write(c, options, (const void __user*)args->wr_bytes, args->wr_num_bytes,
                      (const zx_handle_t __user*)args->wr_handles, args->wr_num_handles, &m));
    struct read_buffers b = call_buffers(args, actual_bytes, actual_handles);
    return call(c, m, options, deadline, args->rd_num_bytes, args->rd_num_handles, &b);
}

status_t sys_channel_call_etc(struct channel* c, uint32_t options, zx_time_t deadline,
                              const zx_channel_call_etc_args_t* args, uint32_t __user* actual_bytes,
                              uint32_t __user* actual_handles) {
    struct message* m;
    TRY(prepare_write_etc(c, options, (const void __user*)args->wr_bytes, args->wr_num_bytes,
                          (zx_handle_disposition_t __user*)args->wr_handles, args->wr_num_handles,
                          &m));
    struct read_buffers b = call_etc_buffers(args, actual_bytes, actual_handles);
    return call(c, m, options, deadline, args->rd_num_bytes, args->rd_num_handles, &b);
}

static status_t resume(zx_time_t deadline, uint32_t max_bytes, uint32_t max_handles,
                       const struct read_buffers* b) {
    struct channel_waiter* w = thread_object_call(thread_object_current());
    return deliver_answer(channel_call_resume(w, deadline), w, max_bytes, max_handles, b);
}

status_t sys_channel_call_finish(zx_time_t deadline, const zx_channel_call_args_t* args,
                                 uint32_t __user* actual_bytes, uint32_t __user* actual_handles) {
    struct read_buffers b = call_buffers(args, actual_bytes, actual_handles);
    return resume(deadline, args->rd_num_bytes, args->rd_num_handles, &b);
}

status_t sys_channel_call_etc_finish(zx_time_t deadline, const zx_channel_call_etc_args_t* args,
                                     uint32_t __user* actual_bytes,
                                     uint32_t __user* actual_handles) {
    struct read_buffers b = call_etc_buffers(args, actual_bytes, actual_handles);
    return resume(deadline, args->rd_num_bytes, args->rd_num_handles, &b);
}

// ---- reply and wait ----

// The next message, which the channel delivered or had queued.
static status_t deliver_next(struct channel* c, struct message* next, bool discard,
                             const zx_channel_call_args_t* args, const struct read_buffers* b) {
    status_t status;
    if (unlikely(next->bytes > args->rd_num_bytes || next->handles > args->rd_num_handles)) {
        status = store_sizes(b->actual_bytes, b->actual_handles, next->bytes, next->handles);
        if (discard) {
            message_free(next);
        } else {
            channel_unread(c, next);
        }
        return status == STATUS_OK ? STATUS_BUFFER_TOO_SMALL : status;
    }
    status = deliver(next, b);
    if (unlikely(status == STATUS_NO_MEMORY)) {
        channel_unread(c, next);
    }
    return status;
}

static NOINLINE status_t reply_wait_any(struct channel* c, uint32_t write_options, bool skip,
                                        zx_time_t deadline, const zx_channel_call_args_t* args,
                                        struct channel_waiter* w) {
    struct message* answer = nullptr;
    if (!skip) {
        TRY(prepare_write(c, write_options, (const void __user*)args->wr_bytes, args->wr_num_bytes,
                          (const zx_handle_t __user*)args->wr_handles, args->wr_num_handles,
                          &answer));
    }
    bool sent;
    status_t status = channel_reply_wait(c, answer, deadline, w, &sent);
    return likely(sent) ? status : refused(answer, status, write_options);
}

status_t sys_channel_reply_wait(struct channel* c, const void*, zx_handle_t, uint32_t options,
                                zx_time_t deadline, const zx_channel_call_args_t* args,
                                uint32_t __user* actual_bytes, uint32_t __user* actual_handles) {
    constexpr uint32_t READ_OPTIONS = ZX_CHANNEL_READ_MAY_DISCARD;
    bool skip = (options & ZX_CHANNEL_REPLY_WAIT_SKIP_REPLY) != 0;
    uint32_t write_options = options & ~(READ_OPTIONS | ZX_CHANNEL_REPLY_WAIT_SKIP_REPLY);
    UNINITIALIZED struct channel_waiter w;
    channel_waiter_init(&w, args->rd_num_bytes);
    status_t status = STATUS_NEXT;
    if (likely(!skip && is_small(write_options, args->wr_num_bytes, args->wr_num_handles))) {
        status = channel_reply_wait_small(c, (const void __user*)args->wr_bytes, args->wr_num_bytes,
                                          deadline, &w);
    }
    if (unlikely(status == STATUS_NEXT)) {
        status = reply_wait_any(c, write_options, skip, deadline, args, &w);
    }
    if (is_answered_small(status, &w)) {
        return deliver_small(&w, (void __user*)args->rd_bytes, actual_bytes, actual_handles);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct read_buffers b = call_buffers(args, actual_bytes, actual_handles);
    return deliver_next(c, w.message, (options & READ_OPTIONS) != 0, args, &b);
}

status_t sys_channel_create(uint32_t options, struct user_out_handle* out0,
                            struct user_out_handle* out1) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct channel* a;
    struct channel* b;
    TRY(channel_create(&a, &b));
    out0->handle = handle_make(channel_object(a), ZX_DEFAULT_CHANNEL_RIGHTS);
    out1->handle = handle_make(channel_object(b), ZX_DEFAULT_CHANNEL_RIGHTS);
    return STATUS_OK;
}
