// Clock objects: an affine transformation of the monotonic timeline that programs keep, for
// instance UTC.
#pragma once

#include <zircon/syscalls/clock.h>

#include <object/object.h>

struct clock_object;

// `options`: ZX_CLOCK_OPT_*. INVALID_ARGS: options that contradict each other, a backstop below 0,
// or, for a clock that starts at once, above the present. NO_MEMORY.
status_t clock_object_create(uint64_t options, int64_t backstop, struct clock_object** out);
[[nodiscard]] struct clock_object* clock_from_object(struct object* o);
struct object* clock_object_base(struct clock_object* c);

// The backstop until it is started. Takes no lock.
int64_t clock_object_read(struct clock_object* c);

struct clock_update {
    uint64_t valid; // ZX_CLOCK_UPDATE_OPTION_*: which of the fields below count
    int32_t rate_ppm;
    int64_t value;     // of the clock, at `reference` or now
    int64_t reference; // on the reference timeline
    uint64_t error_bound;
};
// The first update must have a value and starts the clock (BAD_STATE). INVALID_ARGS: what the
// clock's options forbid, a time below the backstop, a rate out of range.
status_t clock_object_update(struct clock_object* c, const struct clock_update* u);
void clock_object_get_details(struct clock_object* c, zx_clock_details_v1_t* out);

// The counter behind the monotonic clock as user mode sees it.
int64_t clock_user_ticks(void);
