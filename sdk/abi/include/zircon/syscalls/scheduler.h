// Parameters of a deadline profile: 0 < capacity <= relative_deadline <= period.
#pragma once

#include <zircon/compiler.h>
#include <zircon/time.h>

__BEGIN_CDECLS

typedef struct zx_sched_deadline_params {
    zx_duration_t capacity;          // CPU time needed in each period, at worst
    zx_duration_t relative_deadline; // by when, from the start of the period
    zx_duration_t period;
} zx_sched_deadline_params_t;
ZX_ABI_SIZE(zx_sched_deadline_params_t, 24);

__END_CDECLS
