// Machine checks.
#pragma once

#include <arch/thread.h>

void x86_machine_check_cpu_init(void); // each CPU: reports everything from now on
// The exception, on its own stack; returns if there is nothing that was not corrected.
void x86_machine_check(const struct arch_user_frame* frame);
