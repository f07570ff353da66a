#pragma once

// Output of the boot stages: COM1 and port 0xE9, polled, bounded (an absent port never blocks).
void say(const char* text);

// Says "jacinth boot: <why>" and ends QEMU through isa-debug-exit if present; otherwise stops the
// CPU.
[[noreturn]] void boot_fail(const char* why);
