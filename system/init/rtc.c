#include <init/rtc.h>

constexpr uint8_t HOUR_PM = 0x80;
constexpr unsigned CENTURY_DEFAULT = 20;

// False: not a number in that notation.
static bool number_of(const struct rtc_registers* r, uint8_t raw, unsigned* out) {
    if ((r->modes & RTC_B_BINARY) != 0) {
        *out = raw;
        return true;
    }
    *out = (raw >> 4) * 10u + (raw & 15u);
    return raw >> 4 <= 9 && (raw & 15) <= 9;
}

static bool hour_of(const struct rtc_registers* r, unsigned* out) {
    if ((r->modes & RTC_B_24_HOURS) != 0) {
        return number_of(r, r->hour, out) && *out < 24;
    }
    unsigned hour;
    if (!number_of(r, (uint8_t)(r->hour & ~HOUR_PM), &hour) || hour < 1 || hour > 12) {
        return false;
    }
    *out = hour % 12 + ((r->hour & HOUR_PM) != 0 ? 12 : 0);
    return true;
}

static bool year_of(const struct rtc_registers* r, unsigned* out) {
    unsigned year, century;
    if (!number_of(r, r->year, &year) || year > 99) {
        return false;
    }
    bool has_century = number_of(r, r->century, &century) && century >= 19 && century <= 21;
    *out = (has_century ? century : CENTURY_DEFAULT) * 100 + year;
    return *out >= 1970;
}

static bool is_leap(unsigned year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned leap_years_before(unsigned year) {
    year--;
    return year / 4 - year / 100 + year / 400;
}

// From 1970-01-01; `month` and `day` begin with 1. False: there is no such day.
static bool days_since_1970(unsigned year, unsigned month, unsigned day, unsigned* out) {
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12) {
        return false;
    }
    unsigned days = (year - 1970) * 365 + leap_years_before(year) - leap_years_before(1970);
    for (unsigned m = 1; m < month; m++) {
        days += lengths[m - 1] + (m == 2 && is_leap(year));
    }
    *out = days + day - 1;
    return day >= 1 && day <= lengths[month - 1] + (month == 2 && is_leap(year) ? 1u : 0);
}

bool rtc_seconds(const struct rtc_registers* r, int64_t* out) {
    unsigned second, minute, hour, day, month, year, days;
    bool is_sound = number_of(r, r->second, &second) && second < 60 &&
                    number_of(r, r->minute, &minute) && minute < 60 && hour_of(r, &hour) &&
                    number_of(r, r->day, &day) && number_of(r, r->month, &month) &&
                    year_of(r, &year) && days_since_1970(year, month, day, &days);
    if (is_sound) {
        *out = (((int64_t)days * 24 + hour) * 60 + minute) * 60 + second;
    }
    return is_sound;
}
