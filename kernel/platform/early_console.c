/*
 * The first output of the kernel: bytes to the UART that the hand-off record names, and to QEMU's
 * debug console port, which needs no set-up and costs one instruction.
 *
 * A line feed becomes CR LF on the UART only. The UART is put into 8N1 without interrupts here; the
 * real driver (kernel/platform) takes over later and this stays as the path of last resort for
 * panics. The state is written once, before other CPUs run, and constant afterwards.
 */

#include <platform/early_console.h>

#include <stdint.h>

#include <arch/port_io.h>
#include <boot/handoff.h>

constexpr uint16_t DEBUG_CONSOLE_PORT = 0xe9;

enum uart_register : uint16_t {
    UART_DATA = 0,
    UART_INTERRUPT_ENABLE = 1,
    UART_FIFO_CONTROL = 2,
    UART_LINE_CONTROL = 3,
    UART_MODEM_CONTROL = 4,
    UART_LINE_STATUS = 5,
};
constexpr uint8_t LINE_STATUS_TX_EMPTY = 0x20;
constexpr uint8_t LINE_CONTROL_8N1 = 0x03;
constexpr uint8_t LINE_CONTROL_DIVISOR = 0x80;
constexpr uint8_t FIFO_ON_AND_CLEAR = 0x07;
constexpr uint8_t MODEM_DTR_RTS = 0x03;
constexpr uint32_t MAX_SPINS = 100'000; // an unplugged UART must not stop the kernel

static struct {
    uint16_t port; // 0: no UART
} early_console;

void early_console_init(const struct handoff_uart* uart) {
    if (uart->kind != HANDOFF_UART_PC_PORT || uart->base == 0 || uart->base > 0xffff - 7) {
        return;
    }
    uint16_t port = (uint16_t)uart->base;
    port_out8(port + UART_INTERRUPT_ENABLE, 0);
    port_out8(port + UART_LINE_CONTROL, LINE_CONTROL_DIVISOR);
    port_out8(port + UART_DATA, 1); // 115200 baud
    port_out8(port + UART_INTERRUPT_ENABLE, 0);
    port_out8(port + UART_LINE_CONTROL, LINE_CONTROL_8N1);
    port_out8(port + UART_FIFO_CONTROL, FIFO_ON_AND_CLEAR);
    port_out8(port + UART_MODEM_CONTROL, MODEM_DTR_RTS);
    early_console.port = port;
}

static void uart_put(uint16_t port, char c) {
    for (uint32_t spins = 0; spins < MAX_SPINS; spins++) {
        if ((port_in8(port + UART_LINE_STATUS) & LINE_STATUS_TX_EMPTY) != 0) {
            break;
        }
    }
    port_out8(port + UART_DATA, (uint8_t)c);
}

void early_console_write(const char* text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        port_out8(DEBUG_CONSOLE_PORT, (uint8_t)text[i]);
        if (early_console.port == 0) {
            continue;
        }
        if (text[i] == '\n') {
            uart_put(early_console.port, '\r');
        }
        uart_put(early_console.port, text[i]);
    }
}

void early_console_write_debug(const char* text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        port_out8(DEBUG_CONSOLE_PORT, (uint8_t)text[i]);
    }
}

void early_console_puts(const char* text) {
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    early_console_write(text, length);
}
