// 16550 driver. The receive ring and the registers' read side belong to the interrupt handler and
// uart_read(), under one lock; the transmit side to whoever holds the console lock (see the
// header).
#include <platform/uart.h>

#include <stdatomic.h>

#include <arch/irq.h>
#include <arch/port_io.h>
#include <boot/handoff.h>
#include <debug/log.h>
#include <lib/ring.h>
#include <locking/spinlock.h>
#include <platform/early_console.h>
#include <platform/irq.h>

enum uart_register : uint16_t {
    UART_DATA = 0,
    UART_INTERRUPT_ENABLE = 1,
    UART_FIFO_CONTROL = 2,
    UART_MODEM_CONTROL = 4,
    UART_LINE_STATUS = 5,
};
constexpr uint8_t INTERRUPT_RECEIVE = 0x01;
constexpr uint8_t FIFO_ON_TRIGGER_8 = 0x81;
constexpr uint8_t MODEM_DTR_RTS_OUT2 = 0x0b; // OUT2 lets the interrupt out of the chip
constexpr uint8_t STATUS_DATA_READY = 0x01;
constexpr uint8_t STATUS_TX_EMPTY = 0x20;
constexpr uint32_t TX_FIFO_BYTES = 16;
// A dead UART must not stop the kernel for good; a missing one reads as ready. An emulated one may
// take whole seconds when its host is busy, and what is given up on is lost.
constexpr uint32_t TX_WAIT_SPINS = 50'000'000;
constexpr uint16_t DEBUG_CONSOLE_PORT = 0xe9;
constexpr size_t RECEIVE_BYTES = 4096;
constexpr uint32_t DRAIN_MAX =
    256; // bytes per interrupt: a line that never falls silent must not hold the CPU

static struct {
    uint16_t port; // 0: none; constant after uart_init()
    _Atomic(void (*)(void)) receive_hook;
    spinlock_t lock; // the ring, and reading from the chip
    struct ring ring;
    uint64_t dropped;
    unsigned char buffer[RECEIVE_BYTES];
} uart = {.lock = SPINLOCK_INIT(LOCK_CLASS_UART_INPUT)};

// ---- output ----
static void wait_tx_empty(void) {
    for (uint32_t i = 0; i < TX_WAIT_SPINS; i++) {
        if ((port_in8(uart.port + UART_LINE_STATUS) & STATUS_TX_EMPTY) != 0) {
            return;
        }
    }
}

// The status says "FIFO empty", so one look is good for 16 bytes.
static void put(char c, uint32_t* room) {
    if (*room == 0) {
        wait_tx_empty();
        *room = TX_FIFO_BYTES;
    }
    port_out8(uart.port + UART_DATA, (uint8_t)c);
    (*room)--;
}

void uart_write(const char* text, size_t len) {
    if (uart.port == 0) {
        early_console_write(text, len);
        return;
    }
    uint32_t room = 0;
    for (size_t i = 0; i < len; i++) {
        port_out8(DEBUG_CONSOLE_PORT, (uint8_t)text[i]);
        if (text[i] == '\n') {
            put('\r', &room);
        }
        put(text[i], &room);
    }
}

// ---- input ----
// The line is edge-triggered: whatever is left in the chip when this returns must cause another
// edge, so after the limit the interrupt is taken down and raised again.
static bool receive(void) {
    SPIN_IRQ_GUARD(&uart.lock);
    bool any = false;
    for (uint32_t i = 0; (port_in8(uart.port + UART_LINE_STATUS) & STATUS_DATA_READY) != 0; i++) {
        if (i == DRAIN_MAX) {
            port_out8(uart.port + UART_INTERRUPT_ENABLE, 0);
            port_out8(uart.port + UART_INTERRUPT_ENABLE, INTERRUPT_RECEIVE);
            break;
        }
        const uint8_t byte = port_in8(uart.port + UART_DATA);
        if (ring_write(&uart.ring, &byte, 1) == 1) {
            any = true;
        } else {
            uart.dropped++;
        }
    }
    return any;
}

static void uart_interrupt(struct irq_action*) {
    if (receive()) {
        void (*hook)(void) = atomic_load_explicit(&uart.receive_hook, memory_order_acquire);
        if (hook != nullptr) {
            hook();
        }
    }
}

size_t uart_read(char* buffer, size_t len) {
    SPIN_IRQ_GUARD(&uart.lock);
    return ring_read(&uart.ring, buffer, len);
}

void uart_set_receive_hook(void (*hook)(void)) {
    atomic_store_explicit(&uart.receive_hook, hook, memory_order_release);
}

void uart_init(const struct handoff_uart* where) {
    ring_init(&uart.ring, uart.buffer, sizeof(uart.buffer));
    if (where->kind != HANDOFF_UART_PC_PORT || where->base == 0 || where->base > 0xffff - 7) {
        return;
    }
    uart.port = (uint16_t)where->base; // 8N1 and the rate were set by the early console
    arch_ports_claim(uart.port, 8);
    port_out8(uart.port + UART_FIFO_CONTROL, FIFO_ON_TRIGGER_8);
    enum irq_mode mode;
    const uint32_t line = arch_irq_from_isa(where->irq, &mode);
    static struct irq_action action = {.fn = uart_interrupt};
    struct irq_vector vector;
    if (irq_line_attach(line, mode, &action, &vector) != STATUS_OK) {
        klog(LOG_WARN, "console: no interrupt, no input");
        return;
    }
    port_out8(uart.port + UART_MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
    port_out8(uart.port + UART_INTERRUPT_ENABLE, INTERRUPT_RECEIVE);
    (void)receive(); // what came before; an edge that is already past would never be seen
    if (arch_irq_unmask(line) != STATUS_OK) {
        klog(LOG_WARN, "console: interrupt line %u cannot be opened", line);
    }
    (void)receive();
}
