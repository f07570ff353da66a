// The kernel's serial console: a 16550 at the I/O port that the hand-off record names, or nothing.
//
// Output is polled and goes through the transmit FIFO; input comes by interrupt into a ring. Until
// uart_init() has run, and for good if there is no such UART, output goes where
// <platform/early_console.h> sends it and there is no input.
#pragma once

#include <stddef.h>

struct handoff_uart;

// After arch_init(): takes the UART over from the early console and opens its interrupt line.
void uart_init(const struct handoff_uart* uart);

// Writes to the UART and to port 0xE9, a line feed as CR LF on the UART. The caller holds the
// console lock, or is the last one alive (panic). Every wait is bounded.
void uart_write(const char* text, size_t len);

// Takes what has been received, at most `len` bytes; 0 if nothing has. Any context.
size_t uart_read(char* buffer, size_t len);

// Called in interrupt context after input has arrived; null to remove. Set once, by whoever lets
// threads wait for input.
void uart_set_receive_hook(void (*hook)(void));
