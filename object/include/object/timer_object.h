// Timer objects: SIGNALED at a deadline.
#pragma once

#include <zircon/syscalls/object.h>

#include <object/object.h>
#include <sched/timer.h>

struct timer_object;

// `mode` is the slack mode all later deadlines use. NO_MEMORY.
status_t timer_object_create(enum timer_slack mode, zx_clock_t clock, struct timer_object** out);
[[nodiscard]] struct timer_object* timer_from_object(struct object* o);
struct object* timer_object_base(struct timer_object* t);
// Clears SIGNALED and arms; a deadline that has passed fires at once.
void timer_object_set(struct timer_object* t, int64_t deadline_ns, int64_t slack_ns);
// Disarms and clears SIGNALED.
void timer_object_cancel(struct timer_object* t);
void timer_object_info(struct timer_object* t, zx_info_timer_t* out);
