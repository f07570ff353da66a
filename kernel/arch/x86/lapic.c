// The local APIC.
//
// One register file, two ways to reach it: in xAPIC mode memory-mapped at a 16-byte stride, in
// x2APIC mode as MSRs 0x800 + offset / 16. The mode is chosen on the boot CPU (x2APIC where the CPU
// has it) and is the same everywhere. Each CPU touches only its own controller; a command in xAPIC
// mode is two stores, so interrupts are off around them.
#include <arch/cpu.h>
#include <arch/percpu.h>
#include <arch/port_io.h>
#include <arch/window.h>
#include <debug/log.h>

#include "apic.h"
#include "asm_defs.h"
#include "cpuid.h"
#include "regs.h"

enum lapic_register : uint32_t {
    LAPIC_ID = 0x20,
    LAPIC_TPR = 0x80,
    LAPIC_EOI = 0xb0,
    LAPIC_LDR = 0xd0,
    LAPIC_SVR = 0xf0,
    LAPIC_ESR = 0x280,
    LAPIC_ICR_LOW = 0x300,
    LAPIC_ICR_HIGH = 0x310,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_THERMAL = 0x330,
    LAPIC_LVT_PERF = 0x340,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_LVT_LINT1 = 0x360,
    LAPIC_LVT_ERROR = 0x370,
    LAPIC_TIMER_INITIAL = 0x380,
    LAPIC_TIMER_CURRENT = 0x390,
    LAPIC_TIMER_DIVIDE = 0x3e0,
};

constexpr uint64_t APIC_BASE_X2 = 1u << 10;
constexpr uint64_t APIC_BASE_ENABLE = 1u << 11;
constexpr uint32_t SVR_ENABLE = 1u << 8;
constexpr uint32_t LVT_MASKED = 1u << 16;
constexpr uint32_t LVT_NMI = 4u << 8;
constexpr uint32_t LVT_TIMER_DEADLINE = 2u << 17;
constexpr uint32_t TIMER_DIVIDE_BY_1 = 0xb;
constexpr uint32_t ICR_NMI = 4u << 8;
constexpr uint32_t ICR_INIT = 5u << 8;
constexpr uint32_t ICR_STARTUP = 6u << 8;
constexpr uint32_t ICR_PENDING = 1u << 12;
constexpr uint32_t ICR_ASSERT = 1u << 14;
constexpr uint32_t ICR_SELF = 1u << 18;
constexpr uint32_t ICR_WAIT_SPINS = 1'000'000;

static struct {
    volatile uint32_t* registers; // null in x2APIC mode; constant after lapic_init()
    bool x2;
    bool deadline_mode;
} lapic;

static uint32_t lapic_read(enum lapic_register reg) {
    if (lapic.x2) {
        return (uint32_t)msr_read(MSR_X2APIC_FIRST + reg / 16);
    }
    return lapic.registers[reg / 4];
}

static void lapic_write(enum lapic_register reg, uint32_t value) {
    if (lapic.x2) {
        msr_write(MSR_X2APIC_FIRST + reg / 16, value);
    } else {
        lapic.registers[reg / 4] = value;
    }
}

// The two 8259s hold every line back and, should one still fire, use vectors that nobody mistakes
// for exceptions.
static void legacy_pic_quiet(void) {
    arch_ports_claim(0x20, 2);
    arch_ports_claim(0xa0, 2);
    port_out8(0x20, 0x11);
    port_out8(0xa0, 0x11);
    port_out8(0x21, 0x20);
    port_out8(0xa1, 0x28);
    port_out8(0x21, 4);
    port_out8(0xa1, 2);
    port_out8(0x21, 1);
    port_out8(0xa1, 1);
    port_out8(0x21, 0xff);
    port_out8(0xa1, 0xff);
}

bool lapic_init(uint64_t base_from_tables) {
    legacy_pic_quiet();
    const uint64_t base = msr_read(MSR_APIC_BASE);
    lapic.x2 = arch_cpu_features()->x2apic;
    if (!lapic.x2) {
        const uint64_t address =
            base_from_tables != 0 ? base_from_tables : base & 0x000f'ffff'ffff'f000u;
        lapic.registers = arch_window_map((paddr_t){address}, PAGE_SIZE, WINDOW_UNCACHED);
        if (lapic.registers == nullptr) {
            return false;
        }
    }
    lapic_cpu_init();
    return true;
}

MINSIZE void lapic_cpu_init(void) {
    uint64_t base = msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    msr_write(MSR_APIC_BASE, base);
    if (lapic.x2) {
        msr_write(MSR_APIC_BASE, base | APIC_BASE_X2);
    }
    lapic_write(LAPIC_TPR, 0);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | X86_VECTOR_TIMER);
    lapic_write(LAPIC_LVT_PERF, LVT_MASKED);
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
    lapic_write(LAPIC_LVT_LINT1, LVT_NMI);
    lapic_write(LAPIC_LVT_ERROR, X86_VECTOR_ERROR);
    lapic_write(LAPIC_SVR, SVR_ENABLE | X86_VECTOR_SPURIOUS);
    lapic_write(LAPIC_ESR, 0);
    lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    lapic_eoi(); // whatever the firmware left in service
    if (lapic.deadline_mode) {
        lapic_timer_deadline_mode();
    }
}

uint32_t lapic_id(void) {
    return lapic.x2 ? lapic_read(LAPIC_ID) : lapic_read(LAPIC_ID) >> 24;
}

void lapic_eoi(void) {
    lapic_write(LAPIC_EOI, 0);
}

void lapic_error(void) {
    lapic_write(LAPIC_ESR, 0);
    klog(LOG_WARN, "cpu %u: interrupt controller error %x", arch_cpu_index(),
         lapic_read(LAPIC_ESR));
}

static void lapic_command(uint32_t apic_id, uint32_t low) {
    if (lapic.x2) {
        // An MSR write to the controller does not order earlier stores; the receiver must see them.
        __asm__ volatile("mfence" ::: "memory");
        msr_write(MSR_X2APIC_FIRST + LAPIC_ICR_LOW / 16, (uint64_t)apic_id << 32 | low);
        return;
    }
    const irq_state_t state = irq_save();
    for (uint32_t i = 0; i < ICR_WAIT_SPINS && (lapic_read(LAPIC_ICR_LOW) & ICR_PENDING) != 0;
         i++) {
        cpu_relax();
    }
    lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
    lapic_write(LAPIC_ICR_LOW, low);
    irq_restore(state);
}

void lapic_send_fixed(uint32_t apic_id, uint8_t vector) {
    lapic_command(apic_id, ICR_ASSERT | vector);
}
void lapic_send_nmi(uint32_t apic_id) {
    lapic_command(apic_id, ICR_ASSERT | ICR_NMI);
}
// The shorthand leaves the destination word alone, so an NMI between the two stores of
// lapic_command() does no harm.
void lapic_send_self(uint8_t vector) {
    if (lapic.x2) {
        msr_write(MSR_X2APIC_FIRST + LAPIC_ICR_LOW / 16, ICR_SELF | ICR_ASSERT | vector);
    } else if (lapic.registers != nullptr) {
        lapic_write(LAPIC_ICR_LOW, ICR_SELF | ICR_ASSERT | vector);
    }
}
void lapic_send_init(uint32_t apic_id) {
    lapic_command(apic_id, ICR_ASSERT | ICR_INIT);
}
void lapic_send_startup(uint32_t apic_id, uint8_t page) {
    lapic_command(apic_id, ICR_ASSERT | ICR_STARTUP | page);
}

void lapic_timer_start(uint32_t count) {
    lapic_write(LAPIC_LVT_TIMER, X86_VECTOR_TIMER);
    lapic_write(LAPIC_TIMER_INITIAL, count);
}

void lapic_timer_start_masked(uint32_t count) {
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | X86_VECTOR_TIMER);
    lapic_write(LAPIC_TIMER_INITIAL, count);
}

uint32_t lapic_timer_count(void) {
    return lapic_read(LAPIC_TIMER_CURRENT);
}

void lapic_timer_deadline_mode(void) {
    lapic.deadline_mode = true;
    lapic_write(LAPIC_LVT_TIMER, LVT_TIMER_DEADLINE | X86_VECTOR_TIMER);
    // The mode change must be done before the MSR that it gives meaning to is written.
    __asm__ volatile("mfence" ::: "memory");
}
