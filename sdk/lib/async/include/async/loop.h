// One thread's loop: waits, tasks and packets, delivered one after the other over a port.
//
// Everything belongs to the thread that runs the loop, and nothing here is locked; what other
// threads may do is queue packets to a receiver (async_receiver_key). A server is callbacks on one
// loop: between two callbacks its state is consistent, and no callback waits.
//
// Lifetimes. The structures are the user's, usually members of larger ones; the loop keeps pointers
// to those that are armed and allocates nothing for them. Each is armed by one call, disarmed
// before its handler runs (a receiver stays armed), and can be disarmed by *_cancel at any time,
// armed or not. A structure that is not armed is not known to the loop: it may be freed. So in a
// handler, everything is allowed: to arm the same structure again, to free it, to cancel and free
// any other; what was cancelled is never delivered, even if its packet was in the port already.
// Handlers find what they are a member of by container_of.
//
// Work is bounded: a turn of the loop runs the tasks that were due when it began, each once, and
// delivers one packet. Tasks that post tasks and clients that never pause do not starve the rest.
#pragma once

#include <stdint.h>

#include <lib/heap.h>
#include <zircon/syscalls/port.h>
#include <zircon/types.h>

struct async_loop {
    zx_handle_t port;
    struct heap tasks;
    uint64_t next_sequence;
    uint32_t armed_waits;
    zx_time_t now; // when the turn began
    bool quit;
    struct async_buffers* buffers; // of channels; null until there is one (async/channel.h)
};

zx_status_t async_loop_init(struct async_loop* loop);
// Whatever is still armed is forgotten; handles are not closed.
void async_loop_destroy(struct async_loop* loop);

// Turns until async_loop_quit. Any status but ZX_OK: the port failed.
zx_status_t async_loop_run(struct async_loop* loop);
// From a handler: run() returns after this turn.
void async_loop_quit(struct async_loop* loop);
// One turn. TIMED_OUT: the deadline came and there was nothing to do.
zx_status_t async_loop_turn(struct async_loop* loop, zx_time_t deadline);

// ---- waits for signals ----

struct async_source { // what the key of a packet points to
    void (*deliver)(struct async_source* source, const zx_port_packet_t* packet);
};

struct async_wait {
    zx_handle_t object; // stays the user's; to be closed only after async_wait_cancel
    zx_signals_t trigger;
    void (*handler)(struct async_wait* wait, const zx_packet_signal_t* signal);
    struct async_loop* loop; // null: not armed
    struct async_source source;
};

// The kernel ends a program whose port has more.
constexpr uint32_t ASYNC_WAITS_MAX = 16'384;

// Once: the handler arms it again if it wants more. It must not be armed. NO_RESOURCES: as many are
// as there may be.
zx_status_t async_wait_begin(struct async_loop* loop, struct async_wait* wait);
void async_wait_cancel(struct async_wait* wait);

// ---- tasks ----

struct async_task {
    void (*handler)(struct async_task* task);
    struct async_loop* loop; // null: not armed
    struct heap_node node;
    zx_time_t deadline;
    uint64_t sequence;
};

// Runs the handler in a later turn, when the deadline has come (0: in the next). Tasks of one
// deadline run in the order in which they were posted. A task that was armed is moved.
void async_task_post(struct async_loop* loop, struct async_task* task, zx_time_t deadline);
void async_task_cancel(struct async_task* task);

// ---- packets: of other threads, of interrupts ----

struct async_receiver {
    void (*handler)(struct async_receiver* receiver, const zx_port_packet_t* packet);
    struct async_loop* loop; // null: not armed
    struct async_source source;
};

void async_receiver_begin(struct async_loop* loop, struct async_receiver* receiver);
// Whoever still queues packets with its key must have stopped.
void async_receiver_cancel(struct async_receiver* receiver);
// For zx_port_queue and zx_interrupt_bind on the loop's port.
static inline uint64_t async_receiver_key(const struct async_receiver* receiver) {
    return (uint64_t)(uintptr_t)&receiver->source;
}
