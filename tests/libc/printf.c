// printf: every flag with every conversion over values at the edges.
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

#include "suite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char* const flags[] = {"", "-", "+", " ", "#", "0", "+0", "-#", " 0", "#0", "+-"};
static const char* const widths[] = {"", "1", "7", "14"};
static const char* const precisions[] = {"", ".", ".0", ".1", ".5", ".12"};

static void integers(void) {
    static const char conversions[] = "diuoxX";
    static const int values[] = {0, 1, -1, 42, 123456, INT_MAX, INT_MIN};
    begin_group("int");
    for (size_t f = 0; f < COUNT(flags); f++) {
        for (size_t w = 0; w < COUNT(widths); w++) {
            for (size_t p = 0; p < COUNT(precisions); p++) {
                for (const char* c = conversions; *c != '\0'; c++) {
                    char format[32];
                    snprintf(format, sizeof(format), "%%%s%s%s%c", flags[f], widths[w],
                             precisions[p], *c);
                    begin_case();
                    printf(" %s", format);
                    for (size_t v = 0; v < COUNT(values); v++) {
                        char text[64];
                        int len = snprintf(text, sizeof(text), format, values[v]);
                        show(len);
                        show_text(text);
                    }
                    end_case();
                }
            }
        }
    }
}

static void floats(void) {
    static const char conversions[] = "feEgGaF";
    const double values[] = {0.0,       -0.0,      1.0,        0.1,      -2.5,     0.5,
                             1.5,       1e10,      123456.789, 99999.95, 1e-5,     0.00001234,
                             1e100,     9.9999995, DBL_MAX,    DBL_MIN,  4.9e-324, INFINITY,
                             -INFINITY, 1.0 / 3.0, 2.0 / 3.0};
    begin_group("float");
    for (size_t f = 0; f < COUNT(flags); f++) {
        for (size_t p = 0; p < COUNT(precisions); p++) {
            for (const char* c = conversions; *c != '\0'; c++) {
                char format[32];
                snprintf(format, sizeof(format), "%%%s14%s%c", flags[f], precisions[p], *c);
                begin_case();
                printf(" %s", format);
                for (size_t v = 0; v < COUNT(values); v++) {
                    if (*c == 'a' && fabs(values[v]) < DBL_MIN && values[v] != 0) {
                        continue; // which digit stands before the point is left open
                    }
                    static char text[512];
                    int len = snprintf(text, sizeof(text), format, values[v]);
                    show(len);
                    show_text(text);
                }
                end_case();
            }
        }
    }
    // All digits there are, and rounding half to even at every place.
    for (int precision = 0; precision < 60; precision += 3) {
        begin_case();
        for (int i = 0; i < 6; i++) {
            static char text[512];
            snprintf(text, sizeof(text), "%.*f", precision, values[3 + i * 3]);
            show_text(text);
            snprintf(text, sizeof(text), "%.*e", precision, values[3 + i * 3]);
            show_text(text);
        }
        end_case();
    }
    begin_case();
    static char text[6000];
    snprintf(text, sizeof(text), "%.1074f", 4.9e-324);
    show_text(text);
    snprintf(text, sizeof(text), "%.3Lf %Le %Lg", 1.5L, 1e300L * 10, 0.1L);
    show_text(text);
    end_case();
    for (int i = 0; i < 300; i++) {
        uint64_t bits = next_random();
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (!isnormal(value)) {
            continue;
        }
        begin_case();
        snprintf(text, sizeof(text), "%.17g %a %.3e %.0f", value, value, value, fmod(value, 1e15));
        show_text(text);
        end_case();
    }
}

static void lengths(void) {
    begin_group("length");
    char text[128];
    begin_case();
    snprintf(text, sizeof(text), "%hhd %hd %ld %lld %jd %zd %td", (signed char)-3, (short)-300,
             LONG_MIN, LLONG_MAX, INTMAX_MIN, (size_t)7, (ptrdiff_t)-7);
    show_text(text);
    end_case();
    begin_case();
    snprintf(text, sizeof(text), "%hhu %hu %lu %llu %ju %zu", 511, 131071, ULONG_MAX, ULLONG_MAX,
             UINTMAX_MAX, SIZE_MAX);
    show_text(text);
    end_case();
    begin_case();
    snprintf(text, sizeof(text), "%hhx %ho %lx %#llo %#jx", 0x1234, 0177777, 0xdeadbeeful,
             01234567llu, (uintmax_t)0);
    show_text(text);
    end_case();
}

static void strings(void) {
    begin_group("string");
    char text[64];
    static const char* const formats[] = {"%s", "%10s|", "%-10s|", "%.3s", "%10.2s|", "%-8.0s|"};
    for (size_t i = 0; i < COUNT(formats); i++) {
        begin_case();
        show(snprintf(text, sizeof(text), formats[i], "jacinth"));
        show_text(text);
        show(snprintf(text, sizeof(text), formats[i], ""));
        show_text(text);
        end_case();
    }
    begin_case();
    show(snprintf(text, sizeof(text), "%c%5c|%-5c|%%", 'a', 'b', 'c'));
    show_text(text);
    end_case();
    begin_case();
    // Cut: the length is what it would have been.
    show(snprintf(text, 5, "%s", "jacinth"));
    show_text(text);
    show(snprintf(NULL, 0, "%d-%s", 12345, "xyz"));
    end_case();
    begin_case();
    int n1 = -1;
    long n2 = -1;
    show(snprintf(text, sizeof(text), "abc%ndef%ln", &n1, &n2));
    show(n1);
    show(n2);
    end_case();
    begin_case();
    show(snprintf(text, sizeof(text), "%*d|%-*d|%.*f|%*.*e", 6, 42, 6, 42, 2, 3.14159, 12, 3, 2.5));
    show_text(text);
    show(snprintf(text, sizeof(text), "%*d|%.*d", -6, 42, -1, 42));
    show_text(text);
    end_case();
    begin_case();
    show(snprintf(text, sizeof(text), "%2$s %1$d %2$s", 7, "x"));
    show_text(text);
    show(snprintf(text, sizeof(text), "%1$*2$d|", 7, 5));
    show_text(text);
    end_case();
    begin_case();
    show(snprintf(text, sizeof(text), "%ls|%.2ls|%lc", L"wide", L"wide", (wint_t)L'w'));
    show_text(text);
    end_case();
}

int main(void) {
    integers();
    floats();
    lengths();
    strings();
    return 0;
}
