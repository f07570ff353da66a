// Bounded text formatting: the printf of code that has no C library.
//
// Conversions: %d %i %u %x %X %o %c %s %p %%, lengths hh h l ll z t j, flags - 0 + space #, width
// and precision as digits or *. There is no %n and there are no floats. An unknown conversion is
// copied to the output as it stands, so a mistake is visible and harmless; the format attribute
// lets the compiler find it earlier. %p prints 0x and lower-case hexadecimal, always; a null %s
// prints "(null)".
//
// Output goes to a sink in runs of characters. Nothing is allocated, no lock is taken (a sink may
// take its own), the stack use is below 200 bytes, and width and precision are capped at 1,024, so
// that the output of one conversion other than %s is bounded.
#pragma once

#include <stdarg.h>
#include <stddef.h>

// Receives the next len characters, which are not terminated. Called with len > 0 only.
typedef void (*fmt_sink_fn)(void* ctx, const char* text, size_t len);

#define FMT_CHECKED(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

// Return the number of characters handed to the sink.
size_t fmt_vwrite(fmt_sink_fn sink, void* ctx, const char* format, va_list args) FMT_CHECKED(3, 0);
size_t fmt_write(fmt_sink_fn sink, void* ctx, const char* format, ...) FMT_CHECKED(3, 4);

// Write at most cap - 1 characters and a terminator (nothing when cap is 0). Return the length the
// whole text would have had, so that result >= cap means truncation.
size_t fmt_vsnprintf(char* buf, size_t cap, const char* format, va_list args) FMT_CHECKED(3, 0);
size_t fmt_snprintf(char* buf, size_t cap, const char* format, ...) FMT_CHECKED(3, 4);
