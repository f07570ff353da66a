// Ports: a queue of packets from user code, from signal observers (object_wait_async) and from the
// kernel's own sources.
#pragma once

#include <zircon/syscalls/port.h>

#include <object/handle.h>
#include <object/object.h>

struct port;

// A packet in a port's queue. Who allocates it embeds it; `release` is called, with no lock of the
// port held, once it was delivered or dropped.
struct port_packet {
    struct list_node node; // under the port's lock
    zx_port_packet_t packet;
    const void* source; // handle identity of a signal packet, for port_cancel; null: none
    void (*release)(struct port_packet* p);
};

// User packets one port may hold.
constexpr uint32_t PORT_USER_PACKETS_MAX = 2048;
// Asynchronous waits one port may have, from the call until their packet is taken.
constexpr uint32_t PORT_WAITS_MAX = 16'384;
// Asynchronous waits one object may have pending, of all ports: a signal walks them under its lock.
constexpr uint16_t OBJECT_ASYNC_WAITS_MAX = 4096;

status_t port_create(uint32_t options, struct port** out);
[[nodiscard]] struct port* port_from_object(struct object* o);
struct object* port_object(struct port* p);
uint32_t port_options(const struct port* p);

// Queues a copy. NO_MEMORY; NO_RESOURCES: too many user packets.
status_t port_queue_user(struct port* p, const zx_port_packet_t* packet);
// Queues the caller's own packet: cannot fail for want of memory. BAD_STATE: the port has no handle
// any more; the packet stays the caller's.
status_t port_queue_packet(struct port* p, struct port_packet* packet, struct wake_list* wl);
// Takes a queued packet back. False: it is not queued (any more), or about to be released.
bool port_unqueue_packet(struct port* p, struct port_packet* packet);
// Whether the port has no handle any more.
bool port_closed(struct port* p);

// The oldest packet; blocks until there is one. TIMED_OUT, INTR_RETRY, INTR_KILLED.
status_t port_wait(struct port* p, int64_t deadline_ns, zx_port_packet_t* out);

// Registers an asynchronous wait. NO_MEMORY. BAD_HANDLE: the handle was closed meanwhile.
// NO_RESOURCES: the port has PORT_WAITS_MAX of them. UNAVAILABLE: the object has its maximum.
struct wait_target;
status_t port_wait_async(struct port* p, struct wait_target* target, uint64_t key,
                         uint32_t options);
// Removes pending waits and queued signal packets made through this handle with this key.
// NOT_FOUND: none.
status_t port_cancel(struct port* p, struct object* source, const void* identity, uint64_t key);
// Removes every pending wait and queued packet with this key, but for page requests, which somebody
// waits for. NOT_FOUND: none.
status_t port_cancel_key(struct port* p, uint64_t key);
