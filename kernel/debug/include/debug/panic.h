// The end of the kernel: panic() (declared in <lib/assert.h>), and what leads there.
//
// panic() stops all other CPUs by NMI, prints the reason as a [panic] marker, the backtrace of its
// caller ({{{bias:...}}} and {{{bt:N:0x...}}} lines, which tools turn into functions and lines),
// what each CPU ran and the last log records, and ends the machine. The first CPU wins; one that
// panics again while it reports ends the machine at once. No locks, no allocation.
#pragma once

#include <stdint.h>

#include <lib/assert.h>

struct text_span;

// Boot, once: load address minus link address, and the command line (debug.exit=PORT: the test
// device).
void panic_init(uint64_t bias, struct text_span cmdline);
// For exception handlers, just before panic(): the backtrace begins at this program counter and
// frame instead of panic's caller.
void panic_from(uint64_t pc, uint64_t frame_pointer);
// Ends the machine through the test device, if the command line names one; else returns.
void debug_exit(uint32_t value);
constexpr uint32_t DEBUG_EXIT_OK = 0x10;
constexpr uint32_t DEBUG_EXIT_PANIC = 0x23;

// What an undefined-instruction exception at `pc` (kernel text) means if the compiler's checks
// planted it: a description, or null.
const char* ubsan_trap_name(const void* pc);
// The same, if it is an assertion that failed: panics.
void assert_trapped(uint64_t pc);
