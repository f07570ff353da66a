// The machine's clock, as it lies in its registers. Pure.
#pragma once

#include <stdint.h>

// Registers of the MC146818 and what PCs made of it.
struct rtc_registers {
    uint8_t second, minute, hour, day, month, year;
    uint8_t century; // of ACPI's machines; garbage on others
    uint8_t modes;   // register B
};

enum : uint8_t {
    RTC_SECOND = 0x00,
    RTC_MINUTE = 0x02,
    RTC_HOUR = 0x04,
    RTC_DAY = 0x07,
    RTC_MONTH = 0x08,
    RTC_YEAR = 0x09,
    RTC_A = 0x0a,
    RTC_B = 0x0b,
    RTC_CENTURY = 0x32,
};
enum : uint8_t { RTC_A_UPDATING = 0x80, RTC_B_24_HOURS = 0x02, RTC_B_BINARY = 0x04 };

// Seconds since 1970 in UTC. False: that is no time.
bool rtc_seconds(const struct rtc_registers* r, int64_t* out);
