// Crash reports: what a user thread was doing when an exception ended its process. Printed to the
// console and the log: reason, registers, backtrace with module offsets.
#pragma once

#include <arch/upcalls.h>

void crash_report(struct arch_user_frame* frame, const struct arch_exception_report* report);
// A policy error (a limit, a forbidden action) of the current thread, in a system call.
void crash_report_policy(uint32_t code, uint32_t data);
