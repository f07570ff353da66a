// The I/O APICs: where an interrupt line goes.
//
// Each controller owns a range of lines and has an index/data register pair, so every access is
// under one lock. Lines start masked. A line's entry is two words; the one with the mask bit is
// written last when it opens and first when it closes.
#include <arch/irq.h>

#include <arch/window.h>
#include <debug/log.h>
#include <locking/spinlock.h>

#include "apic.h"
#include "platform_info.h"
#include "x86_cpu.h"

constexpr uint32_t IOAPIC_VERSION = 1;
constexpr uint32_t IOAPIC_ENTRY_FIRST = 0x10;
constexpr uint32_t ENTRY_ACTIVE_LOW = 1u << 13;
constexpr uint32_t ENTRY_LEVEL = 1u << 15;
constexpr uint32_t ENTRY_MASKED = 1u << 16;
constexpr uint32_t INDEX_REGISTER = 0;
constexpr uint32_t DATA_REGISTER = 0x10 / 4;

struct ioapic {
    volatile uint32_t* registers; // constant after x86_ioapic_init(), as are the next two
    uint32_t first_line;
    uint32_t line_count;
};

static struct {
    spinlock_t lock; // every index/data pair
    struct ioapic controllers[X86_IOAPIC_MAX];
    uint32_t count;
} io = {.lock = SPINLOCK_INIT(LOCK_CLASS_IRQ_LINES)};

static uint32_t ioapic_read(const struct ioapic* c, uint32_t index) TA_REQ(io.lock) {
    c->registers[INDEX_REGISTER] = index;
    return c->registers[DATA_REGISTER];
}

static void ioapic_write(const struct ioapic* c, uint32_t index, uint32_t value) TA_REQ(io.lock) {
    c->registers[INDEX_REGISTER] = index;
    c->registers[DATA_REGISTER] = value;
}

static uint32_t entry_index(const struct ioapic* c, uint32_t line) {
    return IOAPIC_ENTRY_FIRST + 2 * (line - c->first_line);
}

static const struct ioapic* ioapic_of(uint32_t line) {
    for (uint32_t i = 0; i < io.count; i++) {
        const struct ioapic* c = &io.controllers[i];
        if (line >= c->first_line && line - c->first_line < c->line_count) {
            return c;
        }
    }
    return nullptr;
}

static void ioapic_add(const struct x86_ioapic_place* place) {
    struct ioapic* c = &io.controllers[io.count];
    c->registers = arch_window_map((paddr_t){place->base}, 0x20, WINDOW_UNCACHED);
    if (c->registers == nullptr) {
        klog(LOG_WARN, "interrupt controller at %lx: no room to map it", place->base);
        return;
    }
    SPIN_IRQ_GUARD(&io.lock);
    c->first_line = place->first_line;
    c->line_count = (ioapic_read(c, IOAPIC_VERSION) >> 16 & 0xff) + 1;
    io.count++;
    for (uint32_t i = 0; i < c->line_count; i++) {
        ioapic_write(c, entry_index(c, c->first_line + i), ENTRY_MASKED);
        ioapic_write(c, entry_index(c, c->first_line + i) + 1, 0);
    }
}

void x86_ioapic_init(void) {
    const struct x86_platform* p = x86_platform();
    for (uint32_t i = 0; i < p->ioapic_count; i++) {
        ioapic_add(&p->ioapics[i]);
    }
}

uint32_t arch_irq_line_count(void) {
    uint32_t end = 0;
    for (uint32_t i = 0; i < io.count; i++) {
        const uint32_t e = io.controllers[i].first_line + io.controllers[i].line_count;
        end = e > end ? e : end;
    }
    return end;
}

uint32_t arch_irq_from_isa(uint32_t isa_irq, enum irq_mode* mode) {
    if (isa_irq >= X86_ISA_IRQ_COUNT) {
        *mode = IRQ_EDGE;
        return isa_irq;
    }
    const struct x86_isa_line* l = &x86_platform()->isa[isa_irq];
    *mode = l->mode;
    return l->line;
}

status_t arch_irq_route(uint32_t line, uint32_t vector, uint32_t cpu, enum irq_mode mode) {
    const struct x86_cpu* target = x86_cpu_get(cpu);
    if (vector < IRQ_VECTOR_FIRST || vector > IRQ_VECTOR_LAST || target == nullptr ||
        target->apic_id > 0xff) {
        return STATUS_OUT_OF_RANGE;
    }
    const struct ioapic* c = ioapic_of(line);
    if (c == nullptr) {
        return STATUS_NOT_FOUND;
    }
    const uint32_t low = vector | ENTRY_MASKED |
                         ((mode & IRQ_ACTIVE_LOW) != 0 ? ENTRY_ACTIVE_LOW : 0) |
                         ((mode & IRQ_LEVEL) != 0 ? ENTRY_LEVEL : 0);
    SPIN_IRQ_GUARD(&io.lock);
    // Edge-triggered first: the controller then forgets an interrupt of the line's owner before
    // that some CPU has not acknowledged yet. The acknowledgement will name that owner's vector, so
    // it would not be found, and a level-triggered line would wait for it for ever.
    ioapic_write(c, entry_index(c, line), ENTRY_MASKED);
    ioapic_write(c, entry_index(c, line), low);
    ioapic_write(c, entry_index(c, line) + 1, target->apic_id << 24);
    return STATUS_OK;
}

static status_t line_set_mask(uint32_t line, uint32_t mask) {
    const struct ioapic* c = ioapic_of(line);
    if (c == nullptr) {
        return STATUS_NOT_FOUND;
    }
    SPIN_IRQ_GUARD(&io.lock);
    ioapic_write(c, entry_index(c, line),
                 (ioapic_read(c, entry_index(c, line)) & ~ENTRY_MASKED) | mask);
    return STATUS_OK;
}

status_t arch_irq_mask(uint32_t line) {
    return line_set_mask(line, ENTRY_MASKED);
}
status_t arch_irq_unmask(uint32_t line) {
    return line_set_mask(line, 0);
}

void arch_irq_msi_target(uint32_t cpu, uint32_t vector, uint64_t* address, uint32_t* data) {
    *address = 0xfee0'0000u | (uint64_t)(x86_cpu_get(cpu)->apic_id & 0xff) << 12;
    *data = vector;
}
