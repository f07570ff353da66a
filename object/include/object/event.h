// Events and eventpairs: nothing but signals. SIGNALED and the user signals are set by user code;
// an eventpair's end also tells when its peer is gone.
#pragma once

#include <object/object.h>

status_t event_create(struct object** out);
status_t eventpair_create(struct object** a, struct object** b);
