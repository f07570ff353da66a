// Debug log objects: a writer's and, if so made, a reader's place in the kernel's log.
#pragma once

#include <stddef.h>

#include <debug/log.h>
#include <lib/compiler.h>
#include <object/object.h>

struct debuglog;

// A readable one starts at the oldest record there is. NO_MEMORY.
status_t debuglog_create(bool readable, struct debuglog** out);
[[nodiscard]] struct debuglog* debuglog_from_object(struct object* o);
struct object* debuglog_object(struct debuglog* d);

// The next record that is still there; each is delivered once, whoever asks. SHOULD_WAIT: none.
// BUFFER_TOO_SMALL: it has more than `max_data` bytes of text, and stays.
status_t debuglog_read(struct debuglog* d, size_t max_data, struct log_record* out);
// Goes back to a record that was read and could not be delivered.
void debuglog_unread(struct debuglog* d, uint64_t sequence);
