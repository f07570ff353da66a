// The step from the kernel to user mode.
#pragma once

#include <boot/handoff.h>

// Makes the first process, starts it and waits for its end, which is the machine's: without it
// there is nobody to give orders to. Its return code tells how (0: all is well). The system cannot
// go on without it either: a failure to make it is a panic that names what failed (it can only be a
// want of memory on a machine too small).
[[noreturn]] void userboot_run(const struct handoff* handoff);
