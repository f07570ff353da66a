// The I/O ports that a process may use: a set, empty at first.
//
// They belong to the process, as in Zircon, where the bitmap is the address space's: a driver's
// threads share its device. Locks: `lock` (IO_PORTS) guards the set, and is held while an access is
// made, so that a port is not touched any more once it is revoked.
#pragma once

#include <lib/status.h>
#include <locking/spinlock.h>

struct arch_port_access;

struct io_ports {
    spinlock_t lock;
    uint64_t* granted; // a bit per port; null: none was ever granted
};

void io_ports_init(struct io_ports* p);
void io_ports_destroy(struct io_ports* p); // nobody uses it any more

// `[first, first + count)` are ports, at least one.
status_t io_ports_grant(struct io_ports* p, uint16_t first, uint32_t count); // NO_MEMORY
void io_ports_revoke(struct io_ports* p, uint16_t first, uint32_t count);
// Makes the access, if all its ports are granted.
[[nodiscard]] bool io_ports_access(struct io_ports* p, struct arch_port_access* access);
