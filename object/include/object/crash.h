// Crash reports: what a user thread was doing when an exception that nobody handled ended its
// process. Printed to the console and the log: reason, registers, backtrace with module offsets.
#pragma once

#include <arch/upcalls.h>

void crash_report(struct arch_user_frame* frame, const struct arch_exception_report* report);
