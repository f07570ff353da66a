// scanf, strtol and strtod: what they take, what they leave, what they answer.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <wchar.h>

#include "suite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void integers(void) {
    static const char* const inputs[] = {
        "0",
        "42",
        "-42",
        "+7",
        "  13x",
        "0x1f",
        "0X1F",
        "017",
        "08",
        "0x",
        "0xg",
        "-0x10",
        "",
        "   ",
        "x",
        "2147483647",
        "2147483648",
        "-2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "-1",
        "zz",
        "Zz9",
        "1e5",
        "--1",
        "+-1",
        "1_0",
    };
    static const int bases[] = {0, 2, 8, 10, 16, 36};
    begin_group("strtol");
    for (size_t i = 0; i < COUNT(inputs); i++) {
        for (size_t b = 0; b < COUNT(bases); b++) {
            begin_case();
            char* end;
            errno = 0;
            show(strtol(inputs[i], &end, bases[b]));
            show(end - inputs[i]);
            show(errno == ERANGE);
            errno = 0;
            printf(" %ju", (uintmax_t)strtoull(inputs[i], &end, bases[b]));
            show(end - inputs[i]);
            show(errno == ERANGE);
            end_case();
        }
    }
}

static void floats(void) {
    static const char* const inputs[] = {
        "0",
        "-0",
        "1",
        ".5",
        "5.",
        ".",
        "1e",
        "1e+",
        "1e5",
        "1E-5x",
        "0x1p3",
        "0x.8p1",
        "0x1.fffffffffffffp1023",
        "0x1p-1074",
        "0x1p-1075",
        "0x",
        "0xp1",
        "inf",
        "-INF",
        "infinity",
        "infinit",
        "nan",
        "NaN(12)",
        "nan(",
        "1e308",
        "1e309",
        "-1e309",
        "1e-308",
        "1e-323",
        "1e-324",
        "1e-400",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "0.1000000000000000055511151231257827021181583404541015625",
        "9007199254740993",
        "9007199254740992.5000000000000000000000000001",
        "123456789012345678901234567890",
        "  +3.14abc",
        "1.2.3",
        "00001",
        "1,5",
        "3e00000000000000000005",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "342711559699508093042880",
    };
    begin_group("strtod");
    for (size_t i = 0; i < COUNT(inputs); i++) {
        begin_case();
        char* end;
        errno = 0;
        double d = strtod(inputs[i], &end);
        show_double(d);
        show(end - inputs[i]);
        // Whether a subnormal result that is exact counts is left open by the standard.
        show(errno == ERANGE && (d == 0 || d * 0 != 0));
        float f = strtof(inputs[i], &end);
        show_double((double)f);
        show(end - inputs[i]);
        end_case();
    }
    for (int i = 0; i < 400; i++) {
        char text[64];
        unsigned whole = (unsigned)next_random();
        unsigned part = (unsigned)next_random();
        int exponent = (int)(next_random() % 640) - 330;
        snprintf(text, sizeof(text), "%u.%uE%d", whole, part, exponent);
        begin_case();
        printf(" %s", text);
        show_double(strtod(text, NULL));
        show_double((double)strtof(text, NULL));
        end_case();
    }
}

static void integers_by_format(void) {
    static const struct {
        const char *format, *input;
    } cases[] = {
        {"%d", "42"},      {"%d", " -7x"},    {"%3d", "12345"}, {"%i", "0x1F"}, {"%i", "017"},
        {"%x", "ff"},      {"%x", "0xff"},    {"%o", "778"},    {"%u", "-1"},   {"%d", "x"},
        {"%d", ""},        {"%d", "   "},     {"%*d", "5"},     {"x%d", "x5"},  {"x%d", "y5"},
        {" %d", "  5"},    {"%d%%", "5%"},    {"%2i", "0x1f"},  {"%i", "0x"},   {"%d", "+"},
        {"%d,%*d", "1,2"}, {"%d %n", "12 x"}, {"%hd", "70000"}, {"%d", "- 5"},  {"%x", "-0x1"},
    };
    begin_group("scan_int");
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin_case();
        int a = -99;
        int b = -99;
        show(sscanf(cases[i].input, cases[i].format, &a, &b));
        show((short)a);
        show(b);
        end_case();
    }
}

static void strings_by_format(void) {
    static const struct {
        const char *format, *input;
    } cases[] = {
        {"%s", "two words"},
        {"%3s", "abcdef"},
        {"%s %s", "one two three"},
        {"%[a-c]", "abcabcd"},
        {"%[^,],%s", "left,right"},
        {"%[]x]", "]x]y"},
        {"%[^]]", "ab]c"},
        {"%5[0-9]", "1234567"},
        {"%c%s", " xy"},
        {"%s%c", "ab c"},
        {"%*s %s", "skip take"},
        {"%[a-z]%s", "ABC"},
        {"%s", ""},
        {"%[-a]", "-a-b"},
        {"%*[^\n]%s", "line\nnext"},
    };
    begin_group("scan_text");
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin_case();
        char a[32] = "unset";
        char b[32] = "unset";
        show(sscanf(cases[i].input, cases[i].format, a, b));
        // %c does not terminate.
        show_bytes(a, strnlen(a, sizeof(a)));
        show_bytes(b, strnlen(b, sizeof(b)));
        end_case();
    }
    begin_case();
    float f = 0;
    double d = 0;
    long double l = 0;
    show(sscanf("1.5 -2.25e2 0x1p4", "%f %lf %Lf", &f, &d, &l));
    show_double((double)f);
    show_double(d);
    show_double((double)l);
    show(sscanf("1e", "%lf", &d));
    show(sscanf("infx", "%lf", &d));
    end_case();
    begin_case();
    char* made = NULL;
    show(sscanf("allocated text", "%ms", &made));
    show_text(made);
    free(made);
    end_case();
    begin_case();
    long long ll = 0;
    unsigned char hh = 0;
    size_t z = 0;
    show(sscanf("-9000000000 300 77", "%lld %hhu %zu", &ll, &hh, &z));
    show(ll);
    show(hh);
    show((intmax_t)z);
    end_case();
    begin_case();
    wchar_t w[16] = L"";
    show(swscanf(L"wide 12", L"%ls", w));
    show((intmax_t)wcslen(w));
    end_case();
}

int main(void) {
    integers();
    floats();
    integers_by_format();
    strings_by_format();
    return 0;
}
