// The step from the kernel to user mode.
#pragma once

#include <boot/handoff.h>

// Makes the first process and starts it. The system cannot go on without it: a failure is a panic
// that names what failed (it can only be a want of memory on a machine too small).
void userboot_start(const struct handoff* handoff);
