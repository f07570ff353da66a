// Shared by the files of kernel/debug.
#pragma once

#include <stdarg.h>
#include <stdint.h>

#include <debug/log.h>

bool panic_in_progress(void);
__attribute__((format(printf, 1, 0))) void kvprintf(const char* format, va_list args);
void log_print_last(uint32_t count); // takes no lock: panic only
