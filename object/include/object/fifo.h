// Fifos: two ends, each with a small ring of fixed-size elements that arrived for it.
#pragma once

#include <stddef.h>

#include <lib/compiler.h>
#include <object/object.h>

struct fifo;

// OUT_OF_RANGE unless 0 < elem_count * elem_size <= ZX_FIFO_MAX_SIZE_BYTES. NO_MEMORY.
status_t fifo_create(size_t elem_count, size_t elem_size, struct fifo** a, struct fifo** b);
[[nodiscard]] struct fifo* fifo_from_object(struct object* o);
struct object* fifo_object(struct fifo* f);

// As many of `count` elements as fit, or are there; at least one on success. What could not be
// copied has not moved. OUT_OF_RANGE: another element size, or no element asked for. INVALID_ARGS:
// bad pointer. PEER_CLOSED (reading: once it is empty), SHOULD_WAIT.
status_t fifo_write(struct fifo* f, size_t elem_size, const void __user* data, size_t count,
                    size_t* actual);
status_t fifo_read(struct fifo* f, size_t elem_size, void __user* data, size_t count,
                   size_t* actual);
