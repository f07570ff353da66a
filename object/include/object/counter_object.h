// Counters: a shared integer; POSITIVE and NON_POSITIVE say which it is, exactly one at any time.
#pragma once

#include <object/object.h>

struct counter;

status_t counter_object_create(struct counter** out); // value 0; NO_MEMORY
[[nodiscard]] struct counter* counter_from_object(struct object* o);
struct object* counter_object_base(struct counter* c);

status_t counter_object_add(struct counter* c,
                            int64_t value); // OUT_OF_RANGE: overflow, nothing changed
int64_t counter_object_read(struct counter* c);
void counter_object_write(struct counter* c, int64_t value);
