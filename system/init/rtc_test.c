// Registers of a machine's clock as seconds, against the host's calendar.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include <init/rtc.h>

static uint8_t as(uint8_t modes, int number) {
    return (uint8_t)((modes & RTC_B_BINARY) != 0 ? number : number / 10 * 16 + number % 10);
}

static struct rtc_registers registers_at(time_t at, uint8_t modes) {
    struct tm t;
    gmtime_r(&at, &t);
    int year = t.tm_year + 1900;
    int hour = t.tm_hour % 12 == 0 ? 12 : t.tm_hour % 12;
    uint8_t pm = t.tm_hour >= 12 ? 0x80 : 0;
    return (struct rtc_registers){.second = as(modes, t.tm_sec),
                                  .minute = as(modes, t.tm_min),
                                  .hour = (modes & RTC_B_24_HOURS) != 0
                                              ? as(modes, t.tm_hour)
                                              : (uint8_t)(as(modes, hour) | pm),
                                  .day = as(modes, t.tm_mday),
                                  .month = as(modes, t.tm_mon + 1),
                                  .year = as(modes, year % 100),
                                  .century = as(modes, year / 100),
                                  .modes = modes};
}

// Steps of 11 h and some, from 1970 to 2170, in each notation.
static void test_all_dates(void**) {
    static const uint8_t modes[] = {0, RTC_B_BINARY, RTC_B_24_HOURS, RTC_B_BINARY | RTC_B_24_HOURS};
    for (int64_t at = 0; at < 200ll * 366 * 86400; at += 39'877) {
        for (unsigned i = 0; i < 4; i++) {
            struct rtc_registers r = registers_at(at, modes[i]);
            int64_t seconds = -1;
            assert_true(rtc_seconds(&r, &seconds));
            assert_int_equal(seconds, at);
        }
    }
}

static void test_a_machine_without_a_century(void**) {
    struct rtc_registers r = registers_at(1'793'000'000, RTC_B_24_HOURS);
    static const uint8_t none[] = {0x00, 0xff, 0x18, 0x22, 0x1a};
    for (unsigned i = 0; i < sizeof(none); i++) {
        int64_t seconds;
        r.century = none[i];
        assert_true(rtc_seconds(&r, &seconds));
        assert_int_equal(seconds, 1'793'000'000);
    }
}

static void test_what_is_no_time(void**) {
    int64_t seconds;
    struct rtc_registers nobody;
    for (unsigned i = 0; i < sizeof(nobody); i++) {
        ((uint8_t*)&nobody)[i] = 0xff; // no such device
    }
    assert_false(rtc_seconds(&nobody, &seconds));
    assert_false(rtc_seconds(&(struct rtc_registers){}, &seconds)); // no day 0
    struct rtc_registers good = registers_at(1'793'000'000, RTC_B_24_HOURS);
#define WITH(field, value)                       \
    do {                                         \
        struct rtc_registers r = good;           \
        r.field = (value);                       \
        assert_false(rtc_seconds(&r, &seconds)); \
    } while (0)
    WITH(second, 0x60);
    WITH(second, 0x5a);
    WITH(minute, 0x60);
    WITH(hour, 0x24);
    WITH(hour, 0x80);
    WITH(day, 0x00);
    WITH(day, 0x32);
    WITH(month, 0x00);
    WITH(month, 0x13);
    WITH(year, 0xa0);
#undef WITH
    // February of a year that is a leap year, and of one that is none.
    struct rtc_registers february = {
        .day = 0x29, .month = 0x02, .year = 0x28, .century = 0x20, .modes = RTC_B_24_HOURS};
    assert_true(rtc_seconds(&february, &seconds));
    february.year = 0x27;
    assert_false(rtc_seconds(&february, &seconds));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_dates),
        cmocka_unit_test(test_a_machine_without_a_century),
        cmocka_unit_test(test_what_is_no_time),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
