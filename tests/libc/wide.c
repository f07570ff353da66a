// Wide characters and multibyte text in UTF-8.
#define _GNU_SOURCE
#include <errno.h>
#include <iconv.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <wchar.h>
#include <wctype.h>

#include "suite.h"

static void conversions(void) {
    static const char* const texts[] = {
        "",
        "a",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "\xf0\x9f\x98\x80",
        "\xc0\x80",
        "\xed\xa0\x80",
        "\xff",
        "\x80",
        "ab\xc3\xa9x",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc3",
        "\xe2\x28\xa1",
        "\xef\xbf\xbf",
        "\xc2\x7f",
    };
    begin_group("mbrtowc");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        wchar_t w = 0x7777;
        mbstate_t state = {0};
        begin_case();
        show((intmax_t)(ssize_t)mbrtowc(&w, texts[i], strlen(texts[i]), &state));
        show(w);
        show(!!mbsinit(&state));
        wchar_t many[16];
        show((intmax_t)(ssize_t)mbstowcs(many, texts[i], 16));
        show(mblen(texts[i], strlen(texts[i]) + 1));
        end_case();
        // Byte by byte.
        mbstate_t slowly = {0};
        begin_case();
        for (const char* s = texts[i]; *s != '\0'; s++) {
            size_t n = mbrtowc(&w, s, 1, &slowly);
            show((intmax_t)(ssize_t)n);
            if (n == (size_t)-1) {
                break;
            }
        }
        end_case();
    }
    static const wchar_t chars[] = {0,      1,      0x7f,   0x80,   0x7ff,   0x800,   0xd7ff,
                                    0xd800, 0xdfff, 0xe000, 0xffff, 0x10000, 0x10ffff};
    begin_group("wcrtomb");
    for (size_t i = 0; i < sizeof(chars) / sizeof(chars[0]); i++) {
        char bytes[MB_LEN_MAX];
        mbstate_t state = {0};
        begin_case();
        size_t n = wcrtomb(bytes, chars[i], &state);
        show((intmax_t)(ssize_t)n);
        if (n != (size_t)-1) {
            show_bytes(bytes, n);
        }
        end_case();
    }
}

static void strings(void) {
    begin_group("wcs");
    static const wchar_t text[] = L"wide characters are wide";
    begin_case();
    show((intmax_t)wcslen(text));
    show(wcschr(text, L'c') - text);
    show(wcsrchr(text, L'w') - text);
    show(wcsstr(text, L"are") - text);
    show((intmax_t)wcsspn(text, L"wide "));
    show(sign(wcscmp(text, L"wide")));
    show(sign(wcsncmp(text, L"widf", 4)));
    show(sign(wmemcmp(text, text, 5)));
    show(wcstol(L" -42x", NULL, 10));
    printf(" %a", wcstod(L"1.5e3", NULL));
    wchar_t to[32];
    wcscpy(to, text);
    wcscat(wcsncpy(to, L"ab", 3), L"cd");
    show((intmax_t)wcslen(to));
    show(swprintf(to, 32, L"%d %ls %5.2f", 7, L"x", 3.14159));
    char narrow[64];
    wcstombs(narrow, to, sizeof(narrow));
    show_text(narrow);
    show(swprintf(to, 3, L"%d", 12345));
    end_case();
    begin_case();
    wchar_t tokens[] = L"a,b,,c";
    wchar_t* state = NULL;
    for (wchar_t* t = wcstok(tokens, L",", &state); t != NULL; t = wcstok(NULL, L",", &state)) {
        show(t[0]);
    }
    end_case();
}

static void classes(void) {
    begin_group("wctype");
    // Where no version of Unicode differs.
    static const wint_t chars[] = {L'a',  L'Z',  L'5',  L' ',   L'\t', L'!', 0xe9,   0xc9, 0x3b1,
                                   0x391, 0x416, 0x436, 0x4e2d, 0x660, 0xa0, 0x2028, 0xad};
    for (size_t i = 0; i < sizeof(chars) / sizeof(chars[0]); i++) {
        begin_case();
        show((intmax_t)chars[i]);
        show(towlower(chars[i]));
        show(towupper(chars[i]));
        show(!!iswalpha(chars[i]));
        show(!!iswupper(chars[i]));
        show(!!iswlower(chars[i]));
        show(!!iswcntrl(chars[i]));
        show(wcwidth((wchar_t)chars[i]) == 2);
        end_case();
    }
}

static void iconv_cases(void) {
    begin_group("iconv");
    static const struct {
        const char *to, *from, *text;
        size_t len;
    } cases[] = {
        {"UTF-8", "ISO-8859-1", "caf\xe9", 4},
        {"ISO-8859-1", "UTF-8", "caf\xc3\xa9", 5},
        {"UTF-16LE", "UTF-8", "a\xf0\x9f\x98\x80", 5},
        {"UTF-8", "UTF-16BE", "\x00h\x00i\x20\xac", 6},
        {"UTF-32LE", "UTF-8", "\xe2\x82\xac", 3},
        {"UTF-8", "KOI8-R", "\xf0\xd2", 2},
        {"UTF-8", "SHIFT_JIS", "\x93\xfa", 2},
        {"UTF-8", "CP1252", "\x80", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin_case();
        iconv_t cd = iconv_open(cases[i].to, cases[i].from);
        show(cd != (iconv_t)-1);
        char out[64];
        char* in_at = (char*)cases[i].text;
        char* out_at = out;
        size_t in_left = cases[i].len;
        size_t out_left = sizeof(out);
        show((intmax_t)(ssize_t)iconv(cd, &in_at, &in_left, &out_at, &out_left));
        show_bytes(out, sizeof(out) - out_left);
        show(iconv_close(cd));
        end_case();
    }
}

int main(void) {
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        printf("no UTF-8\n");
        return 1;
    }
    conversions();
    strings();
    classes();
    iconv_cases();
    return 0;
}
