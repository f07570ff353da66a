/*
 * The voice of the boot stages. No state and no formatting: a boot that fails has to say one line
 * and leave an exit code, never silence. An absent UART reads as all ones, which looks ready.
 */

#include <early/say.h>

#include <boot/handoff.h>
#include <early/cpu.h>

constexpr uint16_t COM1 = 0x3f8;
constexpr uint16_t DEBUG_CONSOLE = 0xe9;
constexpr uint16_t DEBUG_EXIT = 0xf4;
constexpr uint8_t DEBUG_EXIT_FAILED = 0x23; // as a kernel panic: QEMU ends with 71

static void say_byte(char c) {
    cpu_out8(DEBUG_CONSOLE, (uint8_t)c);
    for (uint32_t spins = 0; spins < 100'000; spins++) {
        if ((cpu_in8(COM1 + 5) & 0x20) != 0) {
            break;
        }
    }
    cpu_out8(COM1, (uint8_t)c);
}

void say(const char* text) {
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            say_byte('\r');
        }
        say_byte(*text);
    }
}

void boot_fail(const char* why) {
    say("\njacinth boot: ");
    say(why);
    say("\n");
    cpu_out8(DEBUG_EXIT, DEBUG_EXIT_FAILED);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

void find_uart(struct handoff_uart* out) {
    constexpr uint16_t scratch = COM1 + 7;
    constexpr uint8_t pattern = 0x5a;
    cpu_out8(scratch, pattern);
    if (cpu_in8(scratch) == pattern) {
        *out = (struct handoff_uart){.base = COM1, .kind = HANDOFF_UART_PC_PORT, .irq = 4};
    }
}
