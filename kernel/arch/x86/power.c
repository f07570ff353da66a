// Ending and restarting the machine: what the ACPI tables describe, then what PCs have always had.
#include <arch/power.h>

#include <arch/cpu.h>
#include <arch/port_io.h>
#include <arch/window.h>

#include "clock_priv.h"
#include "platform_info.h"

constexpr uint16_t SLEEP_ENABLE = 1u << 13;
constexpr uint16_t KEYBOARD_STATUS = 0x64;
constexpr uint8_t KEYBOARD_INPUT_FULL = 1u << 1;
constexpr uint8_t KEYBOARD_PULSE_RESET = 0xfe;
constexpr uint64_t SETTLE_US = 50'000;

void arch_power_off(void) {
    const struct x86_platform* p = x86_platform();
    if (!p->has_s5 || p->pm1a_control_port == 0) {
        return;
    }
    const irq_state_t state = irq_save();
    port_out16(p->pm1a_control_port, (uint16_t)(p->s5_type_a << 10 | SLEEP_ENABLE));
    if (p->pm1b_control_port != 0) {
        port_out16(p->pm1b_control_port, (uint16_t)(p->s5_type_b << 10 | SLEEP_ENABLE));
    }
    x86_delay_us(SETTLE_US);
    irq_restore(state);
}

static void reset_register(const struct x86_port_value* r) {
    if (!r->memory) {
        port_out8((uint16_t)r->address, r->value);
    }
}

static void reset_keyboard_controller(void) {
    for (uint32_t i = 0; i < 1000 && (port_in8(KEYBOARD_STATUS) & KEYBOARD_INPUT_FULL) != 0; i++) {
        x86_delay_us(10);
    }
    port_out8(KEYBOARD_STATUS, KEYBOARD_PULSE_RESET);
}

// With an empty interrupt table an exception cannot be delivered, nor the double fault that
// follows: the CPU shuts down, which resets.
static void reset_triple_fault(void) {
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) empty = {0, 0};
    __asm__ volatile("lidt %0\n\tint3" ::"m"(empty));
}

void arch_reboot(void) {
    const irq_state_t state = irq_save();
    if (x86_platform()->has_reset) {
        reset_register(&x86_platform()->reset);
        x86_delay_us(SETTLE_US);
    }
    reset_keyboard_controller();
    x86_delay_us(SETTLE_US);
    reset_triple_fault();
    irq_restore(state);
}

void arch_debug_exit(uint16_t port, uint32_t value) {
    port_out32(port, value);
}
