// I/O ports of processes. See <object/io_ports.h>.

#include <object/io_ports.h>

#include <arch/port_io.h>
#include <arch/upcalls.h>
#include <lib/bits.h>
#include <object/process.h>
#include <vm/heap.h>

constexpr uint32_t WORD_BITS = 64;
constexpr size_t SET_BYTES = PORT_COUNT / 8;

void io_ports_init(struct io_ports* p) {
    spinlock_init(&p->lock, LOCK_CLASS_IO_PORTS);
}

void io_ports_destroy(struct io_ports* p) {
    heap_free(p->granted);
}

// Ports at a time that share a word.
static void set_range(uint64_t* set, uint32_t first, uint32_t count, bool to) {
    while (count > 0) {
        const uint32_t at = first % WORD_BITS;
        const uint32_t n = min(count, WORD_BITS - at);
        const uint64_t mask = (n == WORD_BITS ? UINT64_MAX : bit(n) - 1) << at;
        uint64_t* word = &set[first / WORD_BITS];
        *word = to ? *word | mask : *word & ~mask;
        first += n;
        count -= n;
    }
}

static bool has_range(const uint64_t* set, uint32_t first, uint32_t count) {
    if (set == nullptr || count > PORT_COUNT - first) {
        return false;
    }
    for (uint32_t i = first; i < first + count; i++) {
        if ((set[i / WORD_BITS] >> i % WORD_BITS & 1) == 0) {
            return false;
        }
    }
    return true;
}

// False: there is no set yet, and none was brought.
static bool grant(struct io_ports* p, uint64_t** fresh, uint16_t first, uint32_t count) {
    SPIN_GUARD(&p->lock);
    if (p->granted == nullptr) {
        p->granted = *fresh;
        *fresh = nullptr;
    }
    if (p->granted == nullptr) {
        return false;
    }
    set_range(p->granted, first, count, true);
    return true;
}

status_t io_ports_grant(struct io_ports* p, uint16_t first, uint32_t count) {
    uint64_t* fresh = nullptr;
    if (grant(p, &fresh, first, count)) {
        return STATUS_OK;
    }
    fresh = heap_alloc_zero(SET_BYTES);
    const bool done = grant(p, &fresh, first, count);
    heap_free(fresh); // another thread was faster
    return done ? STATUS_OK : STATUS_NO_MEMORY;
}

void io_ports_revoke(struct io_ports* p, uint16_t first, uint32_t count) {
    SPIN_GUARD(&p->lock);
    if (p->granted != nullptr) {
        set_range(p->granted, first, count, false);
    }
}

static uint32_t port_in(uint16_t port, uint8_t size) {
    switch (size) {
    case 1:
        return port_in8(port);
    case 2:
        return port_in16(port);
    default:
        return port_in32(port);
    }
}

static void port_out(uint16_t port, uint8_t size, uint32_t value) {
    switch (size) {
    case 1:
        port_out8(port, (uint8_t)value);
        break;
    case 2:
        port_out16(port, (uint16_t)value);
        break;
    default:
        port_out32(port, value);
        break;
    }
}

bool io_ports_access(struct io_ports* p, struct arch_port_access* access) {
    SPIN_GUARD(&p->lock);
    if (!has_range(p->granted, access->port, access->size)) {
        return false;
    }
    if (access->out) {
        port_out(access->port, access->size, access->value);
    } else {
        access->value = port_in(access->port, access->size);
    }
    return true;
}

bool arch_upcall_port_access(struct arch_port_access* access) {
    return io_ports_access(process_io_ports(process_current()), access);
}
