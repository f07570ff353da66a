// What interrupt.c and msi.c share.
#pragma once

#include <object/interrupt.h>
#include <object/port.h>
#include <platform/irq.h>
#include <sched/deferred.h>

// Under `mask_lock`: what the handler needs.
struct interrupt_source {
    int64_t fired_ns; // when it fired first, if `pending`
    bool pending;     // has fired and was not delivered
    bool masked;
    bool work_queued; // `work` will run, and has a reference
};

// Under the object's lock.
struct interrupt_state {
    struct port* port; // with a reference; null: not bound
    uint64_t key;      // of the packets there
    struct interrupt_waiter* waiter;
    bool unacked;     // delivered, not acknowledged
    bool packet_busy; // the packet is queued, or being copied out; then with a reference
    bool packet_here; // it was queued to `port`, not to one before
    bool destroyed;
};

// The hardware's side; all null for virtual interrupts.
struct interrupt_ops {
    bool level;
    void (*set_mask)(struct interrupt* i, bool masked); // under mask_lock, any context
    void (*disconnect)(struct interrupt* i);            // masked; sleeps. Not called twice
};

struct interrupt {
    struct object base;
    const struct interrupt_ops* ops; // immutable, as the next four
    uint32_t options;
    struct irq_vector vector;
    uint32_t line;         // of a line
    spinlock_t* mask_lock; // own_lock, or shared by messages whose mask bits share a register
    spinlock_t own_lock;
    struct irq_action action;
    struct deferred work;
    struct port_packet packet; // while `packet_busy` the port's
    struct interrupt_source source_;
    struct interrupt_state state_;
    // Of a message; immutable.
    struct msi* msi; // with a reference
    uint32_t id;
    struct vmo* vmo; // pinned from `vmo_page` on, so it keeps its cache policy
    uint64_t vmo_page, vmo_bytes;
    volatile uint32_t* place; // the table's entry or the capability, mapped
    volatile uint32_t* mask;  // null: it cannot be masked
    uint32_t mask_bit;
};

// A new one, not connected to anything. Null: no memory.
struct interrupt* interrupt_new(const struct interrupt_ops* ops, uint32_t options);
// Opens the source of a connected one, for the first time.
void interrupt_open(struct interrupt* i);
// For one that nobody has a handle of: it was not connected, or is not any more.
void interrupt_drop(struct interrupt* i);
