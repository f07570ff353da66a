// Timer objects over kernel timers.
//
// The kernel timer's callback runs as deferred work and takes the object's lock, so arming and
// disarming happen outside it, and may come in another order than the changes of the state that
// they follow. So whoever has armed looks at the state again, and goes on until the kernel timer
// has its deadline; a timer that fires after a cancel finds that out from the state.

#include <object/timer_object.h>

#include <arch/cpu.h>
#include <vm/heap.h>

// What the object's lock protects.
struct timer_object_state {
    int64_t deadline_ns, slack_ns;
    bool armed;
};

struct timer_object {
    struct object base;
    struct timer timer;
    enum timer_slack mode; // immutable
    zx_clock_t clock;      // immutable
    struct timer_object_state guarded_;
};

SLAB_CACHE(timer_cache, struct timer_object);

static inline struct timer_object_state* timer_object_state(struct timer_object* t)
    TA_REQ(t->base.lock) {
    return &t->guarded_;
}

static struct timer_object_state state_now(struct timer_object* t) {
    spin_acquire(object_lock(&t->base));
    struct timer_object_state s = *timer_object_state(t);
    spin_release(object_lock(&t->base));
    return s;
}

// Gives the kernel timer the state's deadline, whoever else does so at the same time.
static inline void arm(struct timer_object* t, struct timer_object_state s) {
    struct timer_object_state armed;
    do {
        armed = s;
        timer_set(&t->timer, s.deadline_ns, s.slack_ns, t->mode);
        s = state_now(t);
    } while (s.armed && (s.deadline_ns != armed.deadline_ns || s.slack_ns != armed.slack_ns));
}

static void timer_fired(struct timer* timer, int64_t now_ns) {
    struct timer_object* t = container_of(timer, struct timer_object, timer);
    struct timer_object_state again = {};
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&t->base));
    struct timer_object_state* s = timer_object_state(t);
    if (s->armed) {
        // With slack the kernel timer may fire up to slack_ns early.
        if (now_ns >= s->deadline_ns - s->slack_ns) {
            s->armed = false;
            s->deadline_ns = 0;
            object_signal_locked(&t->base, 0, ZX_TIMER_SIGNALED, &wl);
        } else {
            again = *s; // armed by one for an earlier deadline that another has replaced
        }
    }
    spin_release(object_lock(&t->base));
    wake_list_flush(&wl);
    if (again.armed) {
        arm(t, again);
    }
}

static void timer_on_zero_handles(struct object* o) {
    timer_object_cancel(container_of(o, struct timer_object, base));
}

static void timer_destroy(struct object* o) {
    timer_cancel(&container_of(o, struct timer_object, base)->timer);
}

static void timer_free_memory(struct object* o) {
    slab_free(&timer_cache, container_of(o, struct timer_object, base));
}

static const struct object_ops timer_ops = {
    .type = ZX_OBJ_TYPE_TIMER,
    .name = "timer",
    .default_rights = ZX_DEFAULT_TIMER_RIGHTS,
    .waitable = true,
    .on_zero_handles = timer_on_zero_handles,
    .destroy = timer_destroy,
    .free_memory = timer_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(timer_ops);

status_t timer_object_create(enum timer_slack mode, zx_clock_t clock, struct timer_object** out) {
    struct timer_object* t = slab_alloc_zero(&timer_cache);
    if (t == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&t->base, &timer_ops, nullptr, 0);
    timer_init(&t->timer, timer_fired, true);
    t->mode = mode;
    t->clock = clock;
    *out = t;
    return STATUS_OK;
}

struct timer_object* timer_from_object(struct object* o) {
    return o->ops == &timer_ops ? container_of(o, struct timer_object, base) : nullptr;
}

struct object* timer_object_base(struct timer_object* t) {
    return &t->base;
}

void timer_object_set(struct timer_object* t, int64_t deadline_ns, int64_t slack_ns) {
    bool now = deadline_ns <= 0 || deadline_ns <= clock_monotonic_ns();
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&t->base));
    object_signal_locked(&t->base, ZX_TIMER_SIGNALED, 0, &wl);
    struct timer_object_state s = {
        .deadline_ns = now ? 0 : deadline_ns, .slack_ns = slack_ns, .armed = !now};
    *timer_object_state(t) = s;
    if (now) {
        object_signal_locked(&t->base, 0, ZX_TIMER_SIGNALED, &wl);
    }
    spin_release(object_lock(&t->base));
    wake_list_flush(&wl);
    if (!now) {
        arm(t, s);
    }
}

void timer_object_cancel(struct timer_object* t) {
    spin_acquire(object_lock(&t->base));
    *timer_object_state(t) = (struct timer_object_state){};
    object_signal_locked(&t->base, ZX_TIMER_SIGNALED, 0, nullptr); // clearing wakes nobody
    spin_release(object_lock(&t->base));
    timer_cancel(&t->timer);
}

void timer_object_info(struct timer_object* t, zx_info_timer_t* out) {
    struct timer_object_state s = state_now(t);
    *out = (zx_info_timer_t){.options = t->mode,
                             .clock_id = t->clock,
                             .deadline = s.armed ? s.deadline_ns : 0,
                             .slack = s.armed ? s.slack_ns : 0};
}
