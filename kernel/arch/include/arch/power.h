// Ending or restarting the machine. Contract. Each tries what the firmware describes first; a call
// returns only when nothing worked.
#pragma once

#include <stdint.h>

void arch_power_off(void);
void arch_reboot(void);
// The test device at I/O port `port` (QEMU isa-debug-exit): ends the emulator with exit code (value
// << 1) | 1.
void arch_debug_exit(uint16_t port, uint32_t value);
