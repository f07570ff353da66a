// Clock objects. See <object/clock_object.h>.
//
// What a reader needs (the line and whether the clock runs) is published under a sequence number:
// odd while an update is under way, and different afterwards. Updates hold the object's lock, so
// they come one at a time and are not preempted; a reader that meets one tries again.
//
// Both sides take the time inside their section. An update makes the number odd before it takes the
// time from which its line goes on, and a reader takes its time before it looks at the number
// again: so no reader applies the old line to a time after that, and a monotonic clock whose rate
// falls does not go back.

#include <object/clock_object.h>

#include <arch/clock.h>
#include <arch/cpu.h>
#include <vm/heap.h>

#include "clock_line.h"

// Written under the object's lock, read by anyone under the sequence number.
struct clock_published {
    _Atomic(int64_t) reference;
    _Atomic(int64_t) value;
    _Atomic(int32_t) ppm;
    _Atomic(bool) started;
};

// What the object's lock protects.
struct clock_state {
    uint64_t error_bound;
    int64_t value_update, rate_update, error_update; // ticks
    uint32_t generation;
};

struct clock_object {
    struct object base;
    uint64_t options; // immutable
    int64_t backstop; // immutable
    _Atomic(uint32_t) sequence;
    struct clock_published published;
    struct clock_state guarded_;
};

SLAB_CACHE(clock_cache, struct clock_object);

static inline struct clock_state* clock_state(struct clock_object* c) TA_REQ(c->base.lock) {
    return &c->guarded_;
}

static struct clock_object* clock_of(struct object* o) {
    return container_of(o, struct clock_object, base);
}

static void clock_free_memory(struct object* o) {
    slab_free(&clock_cache, clock_of(o));
}

static const struct object_ops clock_ops = {
    .type = ZX_OBJ_TYPE_CLOCK,
    .name = "clock",
    .default_rights = ZX_DEFAULT_CLOCK_RIGHTS,
    .user_settable = ZX_CLOCK_UPDATED, // so that a watcher can rearm it
    .waitable = true,
    .on_zero_handles = op_none,
    .destroy = op_none,
    .free_memory = clock_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(clock_ops);

int64_t clock_user_ticks(void) {
    return (int64_t)(clock_ns_to_ticks(clock_monotonic_ns()) - arch_clock_scale()->base_ticks);
}

// ---- the published line ----

// The present time, from which an update goes on; publish_end() must follow.
static int64_t publish_begin(struct clock_object* c) TA_REQ(c->base.lock) {
    uint32_t sequence = atomic_load_explicit(&c->sequence, memory_order_relaxed);
    atomic_store_explicit(&c->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); // others see it before the time is taken
    return clock_monotonic_ordered_ns();
}

static void publish_end(struct clock_object* c) TA_REQ(c->base.lock) {
    uint32_t sequence = atomic_load_explicit(&c->sequence, memory_order_relaxed);
    atomic_store_explicit(&c->sequence, sequence + 1, memory_order_release);
}

// Between begin and end.
static void publish(struct clock_object* c, const struct clock_line* l) TA_REQ(c->base.lock) {
    atomic_store_explicit(&c->published.reference, l->reference, memory_order_relaxed);
    atomic_store_explicit(&c->published.value, l->value, memory_order_relaxed);
    atomic_store_explicit(&c->published.ppm, l->ppm, memory_order_relaxed);
    atomic_store_explicit(&c->published.started, true, memory_order_relaxed);
}

// False: not started. Consistent if the lock is held, or the sequence number did not change.
static bool line_now(struct clock_object* c, struct clock_line* out) {
    out->reference = atomic_load_explicit(&c->published.reference, memory_order_relaxed);
    out->value = atomic_load_explicit(&c->published.value, memory_order_relaxed);
    out->ppm = atomic_load_explicit(&c->published.ppm, memory_order_relaxed);
    return atomic_load_explicit(&c->published.started, memory_order_relaxed);
}

int64_t clock_object_read(struct clock_object* c) {
    for (;;) {
        uint32_t before = atomic_load_explicit(&c->sequence, memory_order_acquire);
        struct clock_line l;
        bool started = line_now(c, &l);
        int64_t now = clock_monotonic_ordered_ns();
        atomic_thread_fence(memory_order_acquire);
        if (likely((before & 1) == 0 &&
                   atomic_load_explicit(&c->sequence, memory_order_relaxed) == before)) {
            return started ? clock_line_at(&l, now) : c->backstop;
        }
        cpu_relax();
    }
}

// ---- creation ----

status_t clock_object_create(uint64_t options, int64_t backstop, struct clock_object** out) {
    bool continuous = (options & ZX_CLOCK_OPT_CONTINUOUS) != 0;
    bool auto_start = (options & ZX_CLOCK_OPT_AUTO_START) != 0;
    int64_t now = clock_monotonic_ns();
    if ((continuous && (options & ZX_CLOCK_OPT_MONOTONIC) == 0) || backstop < 0 ||
        (auto_start && backstop > now)) {
        return STATUS_INVALID_ARGS;
    }
    struct clock_object* c = slab_alloc_zero(&clock_cache);
    if (c == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&c->base, &clock_ops, nullptr, auto_start ? ZX_CLOCK_STARTED : 0);
    c->options = options;
    c->backstop = backstop;
    spin_acquire(object_lock(&c->base));
    clock_state(c)->error_bound = ZX_CLOCK_UNKNOWN_ERROR;
    if (auto_start) {
        (void)publish_begin(c);
        publish(c, &(struct clock_line){}); // the reference's own time
        publish_end(c);
        clock_state(c)->value_update = clock_state(c)->rate_update = clock_user_ticks();
    }
    spin_release(object_lock(&c->base));
    *out = c;
    return STATUS_OK;
}

struct clock_object* clock_from_object(struct object* o) {
    return o->ops == &clock_ops ? clock_of(o) : nullptr;
}

struct object* clock_object_base(struct clock_object* c) {
    return &c->base;
}

// ---- updates ----

static bool has(const struct clock_update* u, uint64_t option) {
    return (u->valid & option) != 0;
}

static status_t check_fields(const struct clock_update* u) {
    bool value = has(u, ZX_CLOCK_UPDATE_OPTION_SYNTHETIC_VALUE_VALID);
    bool rate = has(u, ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID);
    if (u->valid == 0 || (u->valid & ~ZX_CLOCK_UPDATE_OPTIONS_ALL) != 0 ||
        (has(u, ZX_CLOCK_UPDATE_OPTION_REFERENCE_VALUE_VALID) && !value && !rate)) {
        return STATUS_INVALID_ARGS;
    }
    if (rate && (u->rate_ppm < ZX_CLOCK_UPDATE_MIN_RATE_ADJUST ||
                 u->rate_ppm > ZX_CLOCK_UPDATE_MAX_RATE_ADJUST)) {
        return STATUS_INVALID_ARGS;
    }
    return STATUS_OK;
}

// The line after the update, if the clock's options allow it.
static status_t next_line(const struct clock_object* c, const struct clock_update* u, bool started,
                          const struct clock_line* old, int64_t now, struct clock_line* out) {
    bool value = has(u, ZX_CLOCK_UPDATE_OPTION_SYNTHETIC_VALUE_VALID);
    out->reference = has(u, ZX_CLOCK_UPDATE_OPTION_REFERENCE_VALUE_VALID) ? u->reference : now;
    out->value = value ? u->value : clock_line_at(old, out->reference);
    out->ppm = has(u, ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID) ? u->rate_ppm : old->ppm;
    int64_t shows = clock_line_at(out, now);
    if ((value && u->value < c->backstop) || shows < c->backstop) {
        return STATUS_INVALID_ARGS;
    }
    if (!started) {
        return STATUS_OK;
    }
    int64_t showed = clock_line_at(old, now);
    bool steps = (c->options & ZX_CLOCK_OPT_CONTINUOUS) != 0 && (value || shows != showed);
    bool back = (c->options & ZX_CLOCK_OPT_MONOTONIC) != 0 && shows < showed;
    return steps || back ? STATUS_INVALID_ARGS : STATUS_OK;
}

static status_t update_locked(struct clock_object* c, const struct clock_update* u,
                              struct wake_list* wl) TA_REQ(c->base.lock) {
    constexpr uint64_t LINE_FIELDS =
        ZX_CLOCK_UPDATE_OPTION_SYNTHETIC_VALUE_VALID | ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID;
    struct clock_line old;
    bool started = line_now(c, &old);
    bool value = has(u, ZX_CLOCK_UPDATE_OPTION_SYNTHETIC_VALUE_VALID);
    if (!started && !value) {
        return STATUS_BAD_STATE;
    }
    struct clock_state* s = clock_state(c);
    int64_t ticks = clock_user_ticks();
    if (has(u, LINE_FIELDS)) {
        struct clock_line line;
        status_t status = next_line(c, u, started, &old, publish_begin(c), &line);
        if (status == STATUS_OK) {
            publish(c, &line);
        }
        publish_end(c);
        TRY(status);
        s->value_update = value ? ticks : s->value_update;
        s->rate_update =
            !started || has(u, ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID) ? ticks : s->rate_update;
    }
    if (has(u, ZX_CLOCK_UPDATE_OPTION_ERROR_BOUND_VALID)) {
        s->error_bound = u->error_bound;
        s->error_update = ticks;
    }
    s->generation++;
    object_signal_locked(&c->base, 0, ZX_CLOCK_UPDATED | (started ? 0 : ZX_CLOCK_STARTED), wl);
    return STATUS_OK;
}

status_t clock_object_update(struct clock_object* c, const struct clock_update* u) {
    TRY(check_fields(u));
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(object_lock(&c->base));
    status_t status = update_locked(c, u, &wl);
    spin_release(object_lock(&c->base));
    wake_list_flush(&wl);
    return status;
}

// ---- details ----

static int64_t ns_to_user_ticks(int64_t ns) {
    uint64_t base = arch_clock_scale()->base_ticks;
    if (ns >= 0) {
        return (int64_t)(clock_ns_to_ticks(ns) - base);
    }
    // Turned round while unsigned: programs choose `ns`, and one of them meets INT64_MIN here.
    return (int64_t)(base - clock_ns_to_ticks(ns == INT64_MIN ? INT64_MAX : -ns));
}

static void describe_line(const struct clock_line* l, zx_clock_details_v1_t* out) {
    out->reference_to_synthetic = (zx_clock_transformation_t){
        .reference_offset = l->reference, .synthetic_offset = l->value, .rate = clock_line_rate(l)};
    out->reference_ticks_to_synthetic = (zx_clock_transformation_t){
        .reference_offset = ns_to_user_ticks(l->reference),
        .synthetic_offset = l->value,
        .rate = clock_line_tick_rate(l, arch_clock_scale()->ticks_per_second)};
}

// Before the start the clock stands at its backstop: a rate of 0.
static void describe_stopped(int64_t backstop, zx_clock_details_v1_t* out) {
    const zx_clock_transformation_t still = {.synthetic_offset = backstop,
                                             .rate = {.synthetic_ticks = 0, .reference_ticks = 1}};
    out->reference_to_synthetic = still;
    out->reference_ticks_to_synthetic = still;
}

void clock_object_get_details(struct clock_object* c, zx_clock_details_v1_t* out) {
    struct clock_line l;
    spin_acquire(object_lock(&c->base));
    bool started = line_now(c, &l);
    struct clock_state s = *clock_state(c);
    int64_t now = clock_user_ticks();
    spin_release(object_lock(&c->base));
    *out = (zx_clock_details_v1_t){.options = c->options,
                                   .backstop_time = c->backstop,
                                   .error_bound = s.error_bound,
                                   .query_ticks = now,
                                   .last_value_update_ticks = s.value_update,
                                   .last_rate_adjust_update_ticks = s.rate_update,
                                   .last_error_bounds_update_ticks = s.error_update,
                                   .generation_counter = s.generation};
    if (started) {
        describe_line(&l, out);
    } else {
        describe_stopped(c->backstop, out);
    }
}
