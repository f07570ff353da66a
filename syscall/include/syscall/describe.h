// A system call as one line of text: `channel_write(handle=0x8b3, options=0, bytes=0x2040[12],
// ...)`.
//
// For tracing and for reports about calls that went wrong. Works on values only: nothing that a
// pointer points to is read.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Writes at most `cap` - 1 characters and a terminator; returns the length of the whole text. A
// number that is no call gives `syscall_N(...)`.
size_t syscall_describe(char* text, size_t cap, uint64_t number, const uint64_t args[8]);

// The result: `-> 0`, `-> ZX_ERR_BAD_HANDLE`, `-> 0x12`.
size_t syscall_describe_result(char* text, size_t cap, uint64_t number, int64_t result);
