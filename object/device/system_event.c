// Memory pressure as events. See <object/system_event.h>.
//
// The allocator tells once when free memory falls below its reclaim mark; from then on a timer
// looks again until it has recovered. Levels lie between the allocator's marks: what is below the
// user floor is refused to programs already.

#include <object/system_event.h>

#include <arch/cpu.h>
#include <debug/init.h>
#include <object/event.h>
#include <sched/deferred.h>
#include <sched/timer.h>
#include <vm/pmm.h>
#include <vm/reclaim.h>

constexpr int64_t LOOK_AGAIN_NS = 500'000'000;
// A level is left upwards only with 1/8 of the reclaim mark more free than it takes to enter it.
// Less than the 1/4 above the mark where eviction stops: memory full of files is no pressure.
constexpr uint64_t HYSTERESIS_SHARE = 8;
constexpr size_t KINDS = ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY + 1;

static struct {
    struct object* event[KINDS];  // immutable after boot
    zx_system_event_type_t level; // of look()'s callers, which run one at a time on one timer
    struct deferred fell;
    struct timer again;
} pressure;

// From the best level to the worst.
static const zx_system_event_type_t order[] = {
    ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL, ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING,
    ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL, ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY,
    ZX_SYSTEM_EVENT_OUT_OF_MEMORY};

static size_t rank_of(zx_system_event_type_t level) {
    size_t rank = 0;
    while (order[rank] != level) {
        rank++;
    }
    return rank;
}

// The level at which fewer than so many pages are free.
static uint64_t mark_of(const struct pmm_stats* s, size_t rank) {
    uint64_t span = s->reclaim_mark - s->user_floor;
    switch (order[rank]) {
    case ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING:
        return s->reclaim_mark;
    case ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL:
        return s->user_floor + span / 2;
    case ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY:
        return s->user_floor + span / 8;
    case ZX_SYSTEM_EVENT_OUT_OF_MEMORY:
        return s->user_floor;
    default:
        return UINT64_MAX;
    }
}

// Compares what the allocator compares with its mark: pages in CPUs' caches do not count. With any
// other figure a fall that it has told of, once, could look like none here.
static zx_system_event_type_t level_now(void) {
    struct pmm_stats s;
    pmm_get_stats(&s);
    uint64_t free = pmm_free_count();
    size_t current = rank_of(pressure.level);
    size_t rank = array_size(order) - 1;
    while (rank > 0) {
        uint64_t slack = rank <= current ? s.reclaim_mark / HYSTERESIS_SHARE : 0;
        if (free < mark_of(&s, rank) + slack) {
            break;
        }
        rank--;
    }
    return order[rank];
}

// Deferred context, from the timer only.
static void look(struct timer*, int64_t now_ns) {
    zx_system_event_type_t level = level_now();
    if (level != pressure.level) {
        object_signal(pressure.event[pressure.level], ZX_EVENT_SIGNALED, 0);
        object_signal(pressure.event[level], 0, ZX_EVENT_SIGNALED);
        pressure.level = level;
    }
    if (level != ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL) {
        reclaim_start(); // it gave up if there was nothing to take then
        timer_set(&pressure.again, now_ns + LOOK_AGAIN_NS, 0, TIMER_SLACK_LATE);
    }
}

static void memory_fell(struct deferred*) {
    reclaim_start();
    timer_set(&pressure.again, clock_monotonic_ns(), 0, TIMER_SLACK_LATE);
}

// In the allocation that crossed the mark.
static void reclaim_mark_crossed(void) {
    deferred_queue(&pressure.fell);
}

static void system_events_init(void) {
    for (size_t i = 0; i < array_size(order); i++) {
        status_t status = event_create(&pressure.event[order[i]]);
        ASSERT(status == STATUS_OK);
    }
    pressure.level = ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL;
    object_signal(pressure.event[pressure.level], 0, ZX_EVENT_SIGNALED);
    pressure.fell.fn = memory_fell;
    timer_init(&pressure.again, look, true);
    pmm_set_reclaim_hook(reclaim_mark_crossed);
}
INIT_HOOK(INIT_OBJECTS, system_events_init);

status_t system_event_get(zx_system_event_type_t kind, struct object** out) {
    if (kind == 0 || kind >= KINDS) {
        return STATUS_INVALID_ARGS;
    }
    *out = object_ref(pressure.event[kind]);
    return STATUS_OK;
}
