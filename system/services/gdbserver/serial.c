// A 16550. The line's other end paces what comes: the chip's 16 bytes overflow only if nobody looks
// for more than a millisecond and the sender ignores that, which QEMU does not.
#include "serial.h"

#include <zircon/syscalls.h>

constexpr uint16_t COM2 = 0x2f8;
enum port : uint16_t {
    DATA = COM2,
    INTERRUPT_ENABLE = COM2 + 1,
    FIFO_CONTROL = COM2 + 2,
    LINE_CONTROL = COM2 + 3,
    MODEM_CONTROL = COM2 + 4,
    LINE_STATUS = COM2 + 5,
    SCRATCH = COM2 + 7,
};
constexpr uint8_t DIVISOR_ACCESS = 0x80;
constexpr uint8_t EIGHT_BITS = 0x03;
constexpr uint8_t FIFO_ON_AND_CLEAR = 0x07;
constexpr uint8_t DTR_RTS = 0x03;
constexpr uint8_t DATA_READY = 0x01;
constexpr uint8_t SEND_EMPTY = 0x20;
constexpr size_t SEND_FIFO = 16;

static void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

zx_status_t serial_open(zx_handle_t ioport) {
    zx_status_t status = zx_ioports_request(ioport, COM2, 8);
    if (status != ZX_OK) {
        return status;
    }
    out8(SCRATCH, 0x5a);
    if (in8(SCRATCH) != 0x5a) {
        return ZX_ERR_NOT_FOUND;
    }
    out8(INTERRUPT_ENABLE, 0);
    out8(LINE_CONTROL, DIVISOR_ACCESS | EIGHT_BITS);
    out8(DATA, 1);
    out8(INTERRUPT_ENABLE, 0); // the divisor's upper half, now
    out8(LINE_CONTROL, EIGHT_BITS);
    out8(FIFO_CONTROL, FIFO_ON_AND_CLEAR);
    out8(MODEM_CONTROL, DTR_RTS);
    return ZX_OK;
}

bool serial_read(uint8_t* byte) {
    if ((in8(LINE_STATUS) & DATA_READY) == 0) {
        return false;
    }
    *byte = in8(DATA);
    return true;
}

void serial_write(const void* data, size_t len) {
    const uint8_t* bytes = data;
    for (size_t i = 0; i < len; i++) {
        while (i % SEND_FIFO == 0 && (in8(LINE_STATUS) & SEND_EMPTY) == 0) {
            zx_thread_legacy_yield(0);
        }
        out8(DATA, bytes[i]);
    }
}
