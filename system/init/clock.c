// The machine's clock is read once, before any other program runs; that it runs in UTC is what
// QEMU and most systems agree on. Nothing else has its ports.
#include "clock.h"

#include <stdio.h>
#include <string.h>

#include <init/rtc.h>
#include <zircon/processargs.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/clock.h>
#include <zircon/time.h>

constexpr uint16_t PORT_INDEX = 0x70, PORT_DATA = 0x71; // bit 7 of the index, clear: NMIs are on
constexpr zx_duration_t UPDATE_MAX = ZX_MSEC(20);       // about 2 are usual
constexpr unsigned ATTEMPTS = 8;

static uint8_t read_register(uint8_t index) {
    uint8_t value;
    __asm__ volatile("outb %0, %1" : : "a"(index), "Nd"(PORT_INDEX));
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(PORT_DATA));
    return value;
}

// While the clock counts on, its registers are not to be read. One that is never done is none.
static bool wait_for_update(void) {
    zx_time_t end = zx_deadline_after(UPDATE_MAX);
    while ((read_register(RTC_A) & RTC_A_UPDATING) != 0) {
        if (zx_clock_get_monotonic() > end) {
            return false;
        }
    }
    return true;
}

static struct rtc_registers read_all(void) {
    return (struct rtc_registers){.second = read_register(RTC_SECOND),
                                  .minute = read_register(RTC_MINUTE),
                                  .hour = read_register(RTC_HOUR),
                                  .day = read_register(RTC_DAY),
                                  .month = read_register(RTC_MONTH),
                                  .year = read_register(RTC_YEAR),
                                  .century = read_register(RTC_CENTURY),
                                  .modes = read_register(RTC_B)};
}

// An update may begin between two registers: what was read is what was read twice.
static bool read_steady(struct rtc_registers* out) {
    struct rtc_registers before = {};
    for (unsigned i = 0; i < ATTEMPTS && wait_for_update(); i++) {
        *out = read_all();
        if (i != 0 && memcmp(&before, out, sizeof(before)) == 0) {
            return true;
        }
        before = *out;
    }
    return false;
}

static bool machine_seconds(zx_handle_t ioport, int64_t* out) {
    struct rtc_registers registers;
    if (zx_ioports_request(ioport, PORT_INDEX, 2) != ZX_OK) {
        return false;
    }
    bool is_steady = read_steady(&registers);
    (void)zx_ioports_release(ioport, PORT_INDEX, 2);
    return is_steady && rtc_seconds(&registers, out);
}

zx_handle_t clock_make(zx_handle_t ioport) {
    zx_handle_t clock;
    int64_t seconds;
    zx_time_t now = ZX_SEC(PA_CLOCK_UTC_AT_BOOT) + zx_clock_get_monotonic();
    if (machine_seconds(ioport, &seconds)) {
        now = ZX_SEC(seconds);
    } else {
        printf("init: the machine has no clock: it is 2026-01-01\n");
    }
    zx_clock_update_args_v1_t update = {.value = now};
    if (zx_clock_create(0, nullptr, &clock) != ZX_OK) {
        return ZX_HANDLE_INVALID;
    }
    (void)zx_clock_update(clock, ZX_CLOCK_ARGS_VERSION(1) | ZX_CLOCK_UPDATE_OPTION_VALUE_VALID,
                          &update);
    return clock;
}
