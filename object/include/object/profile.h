// Profiles: a way to be scheduled, made by who may and handed to whom it may concern.
#pragma once

#include <zircon/syscalls/profile.h>

#include <object/object.h>

struct profile;
struct thread_object;

// INVALID_ARGS: no or unknown flags, or flags that contradict each other; OUT_OF_RANGE: a priority
// or deadline parameters that cannot be; NOT_SUPPORTED: a deadline, or a kind of profile that this
// kernel does not schedule by; NO_MEMORY.
status_t profile_create(const zx_profile_info_t* info, struct profile** out);
[[nodiscard]] struct profile* profile_from_object(struct object* o);
struct object* profile_object(struct profile* p);
// BAD_STATE: the thread has ended. INVALID_ARGS: none of its CPUs exists.
status_t profile_apply(const struct profile* p, struct thread_object* t);
