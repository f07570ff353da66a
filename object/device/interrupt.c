// Interrupt objects: virtual ones and lines. See <object/interrupt.h>.
//
// Locks: the object's for what threads do, then mask_lock (interrupts off) for what the handler
// touches. The port's lock comes in between.

#include "interrupt.h"

#include <zircon/syscalls/object.h>
#include <zircon/syscalls/port.h>

#include <arch/cpu.h>
#include <locking/spin_guard.h>
#include <vm/heap.h>

struct interrupt_waiter {
    struct waiter waiter;
    int64_t fired_ns; // set by whoever claims with OK
};

SLAB_CACHE(interrupt_cache, struct interrupt);

static inline struct interrupt_source* source(struct interrupt* i) TA_REQ(i->mask_lock) {
    return &i->source_;
}

static inline struct interrupt_state* state(struct interrupt* i) TA_REQ(i->base.lock) {
    return &i->state_;
}

static bool is_virtual(const struct interrupt* i) {
    return i->ops->set_mask == nullptr;
}

// ---- the source ----

static NOINLINE void set_mask_locked(struct interrupt* i, bool masked) TA_REQ(i->mask_lock) {
    struct interrupt_source* s = source(i);
    if (s->masked != masked && !is_virtual(i)) {
        s->masked = masked;
        i->ops->set_mask(i, masked);
    }
}

static void note(struct interrupt* i, int64_t when) TA_REQ(i->mask_lock) {
    struct interrupt_source* s = source(i);
    if (s->pending || i->ops->level) {
        set_mask_locked(i, true);
    }
    if (!s->pending) {
        s->pending = true;
        s->fired_ns = when;
    }
}

// Interrupt context. The object is alive: its end waits for this.
static void fired(struct irq_action* a) {
    struct interrupt* i = container_of(a, struct interrupt, action);
    SPIN_IRQ_GUARD(i->mask_lock);
    struct interrupt_source* s = source(i);
    note(i, clock_monotonic_ns());
    if (!s->work_queued) {
        s->work_queued = true;
        (void)object_ref(&i->base);
        deferred_queue(&i->work);
    }
}

static NOINLINE bool take_pending(struct interrupt* i, int64_t* when) {
    SPIN_IRQ_GUARD(i->mask_lock);
    struct interrupt_source* s = source(i);
    const bool pending = s->pending;
    *when = s->fired_ns;
    s->pending = false;
    return pending;
}

// Not delivered after all: unless it has fired again since, it is as if it had not been taken.
static NOINLINE void put_back(struct interrupt* i, int64_t when) {
    SPIN_IRQ_GUARD(i->mask_lock);
    source(i)->pending = true;
    source(i)->fired_ns = when;
}

void interrupt_open(struct interrupt* i) {
    SPIN_IRQ_GUARD(i->mask_lock);
    set_mask_locked(i, false);
}

// ---- delivery ----

static bool queue_packet_locked(struct interrupt* i, int64_t when, struct wake_list* wl)
    TA_REQ(i->base.lock) {
    struct interrupt_state* s = state(i);
    i->packet.packet.key = s->key;
    i->packet.packet.interrupt.timestamp = when;
    s->packet_busy = s->packet_here = true;
    (void)object_ref(&i->base);
    if (port_queue_packet(s->port, &i->packet, wl) == STATUS_OK) {
        return true;
    }
    s->packet_busy = s->packet_here = false;
    object_unref(&i->base); // not the last: the caller has one
    return false;
}

static bool wake_waiter_locked(struct interrupt* i, int64_t when, struct wake_list* wl)
    TA_REQ(i->base.lock) {
    struct interrupt_waiter* w = state(i)->waiter;
    state(i)->waiter = nullptr;
    w->fired_ns = when;
    return wake_list_add(wl, &w->waiter, STATUS_OK);
}

// The first step that can be made, if there is one. Called after every change.
static void deliver_locked(struct interrupt* i, struct wake_list* wl) TA_REQ(i->base.lock) {
    struct interrupt_state* s = state(i);
    const bool can_send = s->port != nullptr && !s->packet_busy;
    int64_t when;
    if (s->destroyed || s->unacked || (!can_send && s->waiter == nullptr) ||
        !take_pending(i, &when)) {
        return;
    }
    s->unacked = can_send ? queue_packet_locked(i, when, wl) : wake_waiter_locked(i, when, wl);
    if (!s->unacked) {
        put_back(i, when); // the port is closed, or the thread was on its way out
    }
}

static void ack_locked(struct interrupt* i) TA_REQ(i->base.lock) {
    if (state(i)->unacked) {
        state(i)->unacked = false;
        interrupt_open(i);
    }
}

// The signal of virtual interrupts follows their state.
static void update_signal_locked(struct interrupt* i, struct wake_list* wl) TA_REQ(i->base.lock) {
    if (!is_virtual(i)) {
        return;
    }
    bool triggered = state(i)->unacked;
    {
        SPIN_IRQ_GUARD(i->mask_lock);
        triggered |= source(i)->pending;
    }
    object_signal_locked(&i->base, triggered ? ZX_VIRTUAL_INTERRUPT_UNTRIGGERED : 0,
                         triggered ? 0 : ZX_VIRTUAL_INTERRUPT_UNTRIGGERED, wl);
}

// Out of line, as the other steps: no path here is hot enough for copies of them.
static NOINLINE void begin(struct interrupt* i, struct wake_list* wl) TA_ACQ(i->base.lock) {
    wake_list_begin(wl);
    spin_acquire(object_lock(&i->base));
}

// Delivers what can be, and lets go.
static void end(struct interrupt* i, struct wake_list* wl) TA_REL(i->base.lock) {
    deliver_locked(i, wl);
    update_signal_locked(i, wl);
    spin_release(object_lock(&i->base));
    wake_list_flush(wl);
}

static void deliver_deferred(struct deferred* d) {
    struct interrupt* i = container_of(d, struct interrupt, work);
    {
        SPIN_IRQ_GUARD(i->mask_lock);
        source(i)->work_queued = false;
    }
    struct wake_list wl;
    begin(i, &wl);
    end(i, &wl);
    object_unref(&i->base);
}

// The port is done with the packet: delivered or dropped.
static void packet_released(struct port_packet* p) {
    struct interrupt* i = container_of(p, struct interrupt, packet);
    struct wake_list wl;
    begin(i, &wl);
    state(i)->packet_busy = state(i)->packet_here = false;
    end(i, &wl);
    object_unref(&i->base);
}

// ---- life ----

static void interrupt_end(struct object* o) {
    (void)interrupt_destroy(container_of(o, struct interrupt, base)); // whatever its state was
}

// Not before: the mask lock may be the block's.
static void interrupt_release(struct object* o) {
    struct interrupt* i = container_of(o, struct interrupt, base);
    if (i->msi != nullptr) {
        object_unref(msi_object(i->msi));
    }
}

static void interrupt_free_memory(struct object* o) {
    slab_free(&interrupt_cache, container_of(o, struct interrupt, base));
}

static const struct object_ops object_ops = {
    .type = ZX_OBJ_TYPE_INTERRUPT,
    .name = "interrupt",
    .default_rights = ZX_DEFAULT_INTERRUPT_RIGHTS,
    .waitable = true,
    .on_zero_handles = interrupt_end,
    .destroy = interrupt_release,
    .free_memory = interrupt_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(object_ops);

struct interrupt* interrupt_new(const struct interrupt_ops* ops, uint32_t options) {
    struct interrupt* i = slab_alloc_zero(&interrupt_cache);
    if (i == nullptr) {
        return nullptr;
    }
    object_init(&i->base, &object_ops, nullptr,
                ops->set_mask == nullptr ? ZX_VIRTUAL_INTERRUPT_UNTRIGGERED : 0);
    i->ops = ops;
    i->options = options;
    spinlock_init(&i->own_lock, LOCK_CLASS_INTERRUPT);
    i->mask_lock = &i->own_lock;
    i->action.fn = fired;
    i->work.fn = deliver_deferred;
    i->packet.release = packet_released;
    i->packet.packet.type = ZX_PKT_TYPE_INTERRUPT;
    return i;
}

void interrupt_drop(struct interrupt* i) {
    object_unref(&i->base);
}

struct interrupt* interrupt_from_object(struct object* o) {
    return o->ops == &object_ops ? container_of(o, struct interrupt, base) : nullptr;
}

struct object* interrupt_object(struct interrupt* i) {
    return &i->base;
}

void interrupt_get_info(struct interrupt* i, zx_info_interrupt_t* out) {
    out->options = i->options;
}

// ---- lines ----

static void line_set_mask(struct interrupt* i, bool masked) {
    (void)!(masked ? arch_irq_mask(i->line) : arch_irq_unmask(i->line)); // it exists
}

static void line_disconnect(struct interrupt* i) {
    irq_line_detach(i->line, i->vector);
}

static const struct interrupt_ops virtual_ops = {};
static const struct interrupt_ops edge_ops = {.set_mask = line_set_mask,
                                              .disconnect = line_disconnect};
static const struct interrupt_ops level_ops = {
    .level = true, .set_mask = line_set_mask, .disconnect = line_disconnect};

// `mode`: what the firmware says, and then what the options say.
static status_t mode_of(uint32_t options, enum irq_mode* mode) {
    static const enum irq_mode modes[] = {
        [ZX_INTERRUPT_MODE_EDGE_LOW >> 1] = IRQ_EDGE | IRQ_ACTIVE_LOW,
        [ZX_INTERRUPT_MODE_EDGE_HIGH >> 1] = IRQ_EDGE,
        [ZX_INTERRUPT_MODE_LEVEL_LOW >> 1] = IRQ_LEVEL | IRQ_ACTIVE_LOW,
        [ZX_INTERRUPT_MODE_LEVEL_HIGH >> 1] = IRQ_LEVEL,
    };
    const uint32_t wanted = options & ZX_INTERRUPT_MODE_MASK;
    if (wanted >> 1 >= array_size(modes)) {
        return wanted == ZX_INTERRUPT_MODE_EDGE_BOTH ? STATUS_NOT_SUPPORTED : STATUS_INVALID_ARGS;
    }
    if (wanted != ZX_INTERRUPT_MODE_DEFAULT) {
        *mode = modes[wanted >> 1];
    }
    return STATUS_OK;
}

static status_t create_line(uint32_t number, uint32_t options, struct interrupt** out) {
    enum irq_mode mode = IRQ_EDGE;
    uint32_t line = number;
    if ((options & ZX_INTERRUPT_REMAP_IRQ) != 0) {
        line = arch_irq_from_isa(number, &mode);
    }
    TRY(mode_of(options, &mode));
    struct interrupt* i = interrupt_new((mode & IRQ_LEVEL) != 0 ? &level_ops : &edge_ops, options);
    if (i == nullptr) {
        return STATUS_NO_MEMORY;
    }
    i->line = line;
    i->source_.masked = true;
    status_t status = irq_line_attach(line, mode, &i->action, &i->vector);
    if (status != STATUS_OK) {
        interrupt_drop(i);
        return status == STATUS_NOT_FOUND ? STATUS_INVALID_ARGS : status;
    }
    interrupt_open(i);
    *out = i;
    return STATUS_OK;
}

status_t interrupt_create(uint32_t number, uint32_t options, struct interrupt** out) {
    constexpr uint32_t KNOWN =
        ZX_INTERRUPT_REMAP_IRQ | ZX_INTERRUPT_MODE_MASK | ZX_INTERRUPT_TIMESTAMP_MONO;
    if ((options & ~ZX_INTERRUPT_TIMESTAMP_MONO) == ZX_INTERRUPT_VIRTUAL) {
        *out = interrupt_new(&virtual_ops, options);
        return *out != nullptr ? STATUS_OK : STATUS_NO_MEMORY;
    }
    return (options & ~KNOWN) == 0 ? create_line(number, options, out) : STATUS_INVALID_ARGS;
}

// ---- calls ----

status_t interrupt_bind(struct interrupt* i, struct port* p, uint64_t key) {
    struct wake_list wl;
    begin(i, &wl);
    struct interrupt_state* s = state(i);
    status_t status = s->destroyed           ? STATUS_CANCELED
                      : s->port != nullptr   ? STATUS_ALREADY_BOUND
                      : s->waiter != nullptr ? STATUS_BAD_STATE
                                             : STATUS_OK;
    if (status == STATUS_OK) {
        (void)object_ref(port_object(p));
        s->port = p;
        s->key = key; // a thread may be just taking the packet out of the port before
    }
    end(i, &wl);
    return status;
}

// Takes the port away, and the packet out of it if it lies there: then nobody has seen it.
static struct port* leave_port_locked(struct interrupt* i, bool* unseen) TA_REQ(i->base.lock) {
    struct interrupt_state* s = state(i);
    struct port* p = s->port;
    *unseen = s->packet_here && port_unqueue_packet(p, &i->packet);
    s->packet_busy &= !*unseen;
    s->packet_here = false;
    s->port = nullptr;
    return p;
}

// After leave_port_locked(): gives up what the port and the packet held.
static void left_port(struct interrupt* i, struct port* p, bool unseen) {
    if (p != nullptr) {
        object_unref(port_object(p));
    }
    if (unseen) {
        object_unref(&i->base); // not the last: the caller has one
    }
}

status_t interrupt_unbind(struct interrupt* i, struct port* p) {
    struct wake_list wl;
    bool unseen = false;
    begin(i, &wl);
    struct interrupt_state* s = state(i);
    status_t status = s->destroyed ? STATUS_CANCELED : s->port != p ? STATUS_NOT_FOUND : STATUS_OK;
    if (status == STATUS_OK) {
        (void)leave_port_locked(i, &unseen);
        if (unseen) {
            s->unacked = false;
            put_back(i, i->packet.packet.interrupt.timestamp);
        }
    }
    end(i, &wl);
    left_port(i, status == STATUS_OK ? p : nullptr, unseen);
    return status;
}

// Acknowledges, and enters `w` if there is nothing to take: SHOULD_WAIT.
static status_t wait_begin(struct interrupt* i, struct interrupt_waiter* w) {
    struct wake_list wl;
    begin(i, &wl);
    struct interrupt_state* s = state(i);
    status_t status = s->destroyed                                 ? STATUS_CANCELED
                      : s->port != nullptr || s->waiter != nullptr ? STATUS_BAD_STATE
                                                                   : STATUS_SHOULD_WAIT;
    if (status == STATUS_SHOULD_WAIT) {
        ack_locked(i);
        if (take_pending(i, &w->fired_ns)) {
            s->unacked = true;
            status = STATUS_OK;
        } else {
            waiter_init(&w->waiter);
            s->waiter = w;
        }
    }
    end(i, &wl);
    return status;
}

status_t interrupt_wait(struct interrupt* i, int64_t* timestamp) {
    UNINITIALIZED struct interrupt_waiter w;
    status_t status = wait_begin(i, &w);
    if (status == STATUS_SHOULD_WAIT) {
        status = waiter_block(&w.waiter, TIME_INFINITE, WAIT_INTERRUPTIBLE,
                              ZX_THREAD_STATE_BLOCKED_INTERRUPT >> 8);
        if (status != STATUS_OK) {
            spin_acquire(object_lock(&i->base));
            if (state(i)->waiter == &w) {
                state(i)->waiter = nullptr;
            }
            spin_release(object_lock(&i->base));
            return status;
        }
    }
    *timestamp = w.fired_ns;
    return status;
}

status_t interrupt_ack(struct interrupt* i) {
    struct wake_list wl;
    begin(i, &wl);
    status_t status = state(i)->destroyed         ? STATUS_CANCELED
                      : state(i)->port == nullptr ? STATUS_BAD_STATE
                                                  : STATUS_OK;
    if (status == STATUS_OK) {
        ack_locked(i);
    }
    end(i, &wl);
    return status;
}

status_t interrupt_trigger(struct interrupt* i, int64_t timestamp) {
    if (!is_virtual(i)) {
        return STATUS_BAD_STATE;
    }
    struct wake_list wl;
    begin(i, &wl);
    status_t status = state(i)->destroyed ? STATUS_CANCELED : STATUS_OK;
    if (status == STATUS_OK) {
        SPIN_IRQ_GUARD(i->mask_lock);
        note(i, timestamp);
    }
    end(i, &wl);
    return status;
}

status_t interrupt_destroy(struct interrupt* i) {
    struct wake_list wl;
    bool unseen = false;
    begin(i, &wl);
    struct interrupt_state* s = state(i);
    const bool first = !s->destroyed;
    const bool was_bound = s->port != nullptr;
    struct port* p = leave_port_locked(i, &unseen);
    const bool in_hand = was_bound && s->unacked && !unseen;
    s->destroyed = true;
    s->unacked = false;
    if (s->waiter != nullptr) {
        (void)wake_list_add(&wl, &s->waiter->waiter, STATUS_CANCELED);
        s->waiter = nullptr;
    }
    end(i, &wl);
    left_port(i, p, unseen);
    if (first && !is_virtual(i)) {
        {
            SPIN_IRQ_GUARD(i->mask_lock);
            set_mask_locked(i, true);
        }
        i->ops->disconnect(i);
    }
    return in_hand ? STATUS_NOT_FOUND : STATUS_OK;
}
