// The events that tell how short memory is. Exactly one of them is signalled at any time.
#pragma once

#include <zircon/types.h>

#include <object/object.h>

// With a reference. INVALID_ARGS: no such kind.
status_t system_event_get(zx_system_event_type_t kind, struct object** out);
