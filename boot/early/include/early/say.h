#pragma once

struct handoff_uart;

// Output of the boot stages: COM1 and port 0xE9, polled, bounded (an absent port never blocks).
void say(const char* text);

// Says "jacinth boot: <why>" and ends QEMU through isa-debug-exit if present; otherwise stops the
// CPU.
[[noreturn]] void boot_fail(const char* why);

// COM1 if it is there; otherwise leaves *out as it is (none).
void find_uart(struct handoff_uart* out);
