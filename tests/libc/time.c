// <time.h>: calendars, forward and back; formatting. In UTC and in zones that are written out
// (POSIX TZ).
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

#include "suite.h"

static void show_tm(const struct tm* t) {
    printf(" %d-%d-%d %d:%d:%d %d %d %d", t->tm_year, t->tm_mon, t->tm_mday, t->tm_hour, t->tm_min,
           t->tm_sec, t->tm_wday, t->tm_yday, t->tm_isdst);
}

static const time_t times[] = {
    0,          1,          -1,          86399,      86400,        951782399,   951782400,
    951868800,  1078012800, 1000000000,  1234567890, 1582934400,   1709164800,  2147483647,
    2147483648, 4102444800, -2208988800, -86401,     253402300799, 32503680000, 68169600};

static void calendars(void) {
    begin_group("calendar");
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct tm t;
        begin_case();
        gmtime_r(&times[i], &t);
        show_tm(&t);
        show(timegm(&t));
        char text[32];
        show_text(asctime_r(&t, text));
        end_case();
    }
    for (int i = 0; i < 200; i++) {
        time_t when = (time_t)(next_random() % 8000000000u) - 2000000000;
        struct tm t;
        begin_case();
        gmtime_r(&when, &t);
        show_tm(&t);
        show(timegm(&t) == when);
        end_case();
    }
}

static void zones(void) {
    static const char* const names[] = {"UTC0", "CET-1CEST,M3.5.0,M10.5.0/3",
                                        "EST5EDT,M3.2.0,M11.1.0", "<+0530>-5:30",
                                        "NZST-12NZDT,M9.5.0,M4.1.0/3"};
    begin_group("zone");
    for (size_t z = 0; z < sizeof(names) / sizeof(names[0]); z++) {
        setenv("TZ", names[z], 1);
        tzset();
        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
            if (times[i] < 0 || times[i] > 2147483647) {
                continue; // before and after rules were agreed on
            }
            struct tm t;
            begin_case();
            localtime_r(&times[i], &t);
            show_tm(&t);
            show(t.tm_gmtoff);
            show(mktime(&t));
            end_case();
        }
        for (int month = 0; month < 24; month++) {
            struct tm t = {.tm_year = 124,
                           .tm_mon = month,
                           .tm_mday = 31,
                           .tm_hour = 2,
                           .tm_min = 90,
                           .tm_isdst = -1};
            begin_case();
            time_t when = mktime(&t);
            show(when);
            show_tm(&t);
            end_case();
        }
    }
    setenv("TZ", "UTC0", 1);
    tzset();
}

static void formats(void) {
    static const char conversions[] = "aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYz%";
    begin_group("strftime");
    for (const char* c = conversions; *c != '\0'; c++) {
        char format[] = {'%', *c, '\0'};
        begin_case();
        printf(" %c", *c);
        for (size_t i = 5; i < 16; i++) {
            struct tm t;
            char text[100];
            gmtime_r(&times[i], &t);
            size_t len = strftime(text, sizeof(text), format, &t);
            show((intmax_t)len);
            show_bytes(text, len);
        }
        end_case();
    }
    static const struct {
        const char *text, *format;
    } cases[] = {
        {"2024-02-29 12:34:56", "%Y-%m-%d %H:%M:%S"},
        {"29 Feb 2024", "%d %b %Y"},
        {"Thu, 01 Jan 1970", "%a, %d %b %Y"},
        {"12:30 PM", "%I:%M %p"},
        {"99", "%y"},
        {"13", "%m"},
        {"23:59", "%R"},
        {"03/04/05", "%D"},
    };
    begin_group("strptime");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tm t = {0};
        begin_case();
        const char* end = strptime(cases[i].text, cases[i].format, &t);
        show(end != NULL ? end - cases[i].text : -1);
        if (end != NULL) {
            printf(" %d %d %d %d %d %d", t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min,
                   t.tm_sec);
        }
        end_case();
    }
}

static void clocks(void) {
    begin_group("clock");
    struct timespec a;
    struct timespec b;
    begin_case();
    show(clock_gettime(CLOCK_MONOTONIC, &a));
    const struct timespec pause = {0, 3000000};
    show(nanosleep(&pause, NULL));
    show(clock_gettime(CLOCK_MONOTONIC, &b));
    int64_t passed = (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec;
    show(passed >= 3000000);
    show(clock_gettime(CLOCK_REALTIME, &a) == 0 && a.tv_nsec >= 0 && a.tv_nsec < 1000000000);
    show(clock_getres(CLOCK_MONOTONIC, &b) == 0 && b.tv_sec == 0);
    show(clock_gettime((clockid_t)99, &a));
    const struct timespec bad = {0, 1000000000};
    show(nanosleep(&bad, NULL));
    show(clock() >= 0);
    printf(" %.1f", difftime(100, 40));
    end_case();
}

int main(void) {
    calendars();
    zones();
    formats();
    clocks();
    return 0;
}
