// Kernel log: a ring of records that never allocates and may be written from any context, and the
// serial console behind it.
//
// klog() puts a record into the ring; it reaches the console at once where printing is allowed,
// else by deferred work. Old records are overwritten: readers go by sequence number and see how
// many they missed. Locks: DEBUG_LOG (the ring), CONSOLE (one writer's text stays together).
#pragma once

#include <stddef.h>
#include <stdint.h>

enum log_severity : uint8_t {
    LOG_TRACE = 0x10,
    LOG_DEBUG = 0x20,
    LOG_INFO = 0x30,
    LOG_WARN = 0x40,
    LOG_ERROR = 0x50,
    LOG_FATAL = 0x60
};

constexpr size_t LOG_DATA_MAX = 216;

struct log_record {
    uint64_t sequence; // from 0, without gaps
    int64_t time_ns;
    uint64_t process_koid;
    uint64_t thread_koid;
    uint16_t length; // of data
    uint8_t severity;
    uint8_t flags;
    char data[LOG_DATA_MAX];
};
static_assert(sizeof(struct log_record) == 256);

__attribute__((format(printf, 2, 3))) void klog(enum log_severity severity, const char* format,
                                                ...);
// A record on behalf of user code. Longer data is cut. Any context.
void log_write(enum log_severity severity, uint8_t flags, uint64_t process_koid,
               uint64_t thread_koid, const char* data, size_t length);
// Copies the oldest record with a sequence of at least `from`; false: there is none yet.
[[nodiscard]] bool log_read(uint64_t from, struct log_record* out);
uint64_t log_next_sequence(void);
// Called after each write, in deferred context (preemption off, no lock held): for readers that
// wait. Set once.
void log_set_listener(void (*fn)(void));

// Formatted straight to the console (kernel commands, test reports, panic); not recorded. One
// call's output stays together.
__attribute__((format(printf, 1, 2))) void kprintf(const char* format, ...);
// While a thread's `capture` is set, what it prints by kprintf goes there (a panic apart): to the
// end of `text`, as far as it fits. The thread's own.
struct console_capture {
    char* text;
    size_t size;
    size_t length; // of all of it
};
// Text to the console as it is; one call's output stays together. Any context.
void console_write(const char* text, size_t length);
// Where the console's text goes: the early console until a driver takes over. Boot, once.
void console_set_output(void (*write)(const char* text, size_t length));
