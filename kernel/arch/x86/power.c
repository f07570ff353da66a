// Ending and restarting the machine: what the ACPI tables describe, then what PCs have always had.
#include <arch/power.h>

#include <acpi/acpi.h>
#include <arch/cpu.h>
#include <arch/port_io.h>

#include "clock_priv.h"
#include "platform_info.h"

constexpr uint16_t SCI_ENABLED = 1u << 0;
constexpr uint8_t SLEEP_CONTROL_ENABLE = 1u << 5; // with the sleep type in bits 2 to 4
constexpr uint16_t KEYBOARD_STATUS = 0x64;
constexpr uint8_t KEYBOARD_INPUT_FULL = 1u << 1;
constexpr uint8_t KEYBOARD_PULSE_RESET = 0xfe;
constexpr uint64_t SETTLE_US = 1'000'000; // an emulator whose host is busy takes a while

// On machines that start in legacy mode the firmware owns the power registers until it is told
// otherwise.
static void acpi_mode_enter(const struct x86_platform* p) {
    if (p->smi_command_port == 0 || p->acpi_enable_value == 0) {
        return;
    }
    if ((port_in16(p->pm1a_control_port) & SCI_ENABLED) != 0) {
        return;
    }
    port_out8(p->smi_command_port, p->acpi_enable_value);
    for (uint32_t i = 0; i < 1000 && (port_in16(p->pm1a_control_port) & SCI_ENABLED) == 0; i++) {
        x86_delay_us(100);
    }
}

static void sleep_register_write(uint16_t port, uint8_t type) {
    if (port != 0) {
        port_out16(
            port, (uint16_t)((port_in16(port) & ~acpi_pm1_sleep_mask) | acpi_pm1_sleep_bits(type)));
    }
}

// False: the machine has none.
static bool byte_register_write(const struct x86_byte_register* r, uint8_t value) {
    if (r->port != 0) {
        port_out8(r->port, value);
    } else if (r->memory != nullptr) {
        *r->memory = value;
    }
    return r->port != 0 || r->memory != nullptr;
}

void arch_power_off(void) {
    const struct x86_platform* p = x86_platform();
    if (!p->has_s5) {
        return;
    }
    const irq_state_t state = irq_save();
    if (p->pm1a_control_port != 0) {
        acpi_mode_enter(p);
        sleep_register_write(p->pm1a_control_port, p->s5_type_a);
        sleep_register_write(p->pm1b_control_port, p->s5_type_b);
        x86_delay_us(SETTLE_US);
    }
    const uint8_t type = (uint8_t)((p->s5_type_a & 7u) << 2);
    if (byte_register_write(&p->sleep_control, type | SLEEP_CONTROL_ENABLE)) {
        x86_delay_us(SETTLE_US);
    }
    irq_restore(state);
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
    if (byte_register_write(&x86_platform()->reset, x86_platform()->reset_value)) {
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
