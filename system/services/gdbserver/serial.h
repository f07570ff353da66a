// The second serial port of a PC, polled.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// Asks for the ports and sets the line to 115200 8N1. NOT_FOUND: there is no such device.
zx_status_t serial_open(zx_handle_t ioport);
// One byte that has come; false: none has.
bool serial_read(uint8_t* byte);
void serial_write(const void* data, size_t len);
