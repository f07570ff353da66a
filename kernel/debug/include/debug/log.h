// Kernel log: a ring of records that never allocates and may be written from any context, and the serial console behind it.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum log_severity : uint8_t { LOG_TRACE = 0x10, LOG_DEBUG = 0x20, LOG_INFO = 0x30, LOG_WARN = 0x40, LOG_ERROR = 0x50, LOG_FATAL = 0x60 };

__attribute__((format(printf, 2, 3))) void klog(enum log_severity severity, const char* format, ...);
// Formatted straight to the console (kernel commands, test reports, panic); not recorded.
__attribute__((format(printf, 1, 2))) void kprintf(const char* format, ...);
