// <string.h> and <ctype.h>: every alignment and length where it could matter, against a plain loop
// or the host.
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "suite.h"

enum { AREA = 192 };

static unsigned char area[AREA], other[AREA];

static void fill(unsigned char* to) {
    for (int i = 0; i < AREA; i++) {
        to[i] = (unsigned char)(next_random() % 255 + 1);
    }
}

static uint64_t digest(const void* bytes, size_t len) {
    const unsigned char* b = bytes;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ b[i]) * 0x100000001b3u;
    }
    return h;
}

// One line for all lengths at one pair of alignments.
static void copies(void) {
    begin_group("copy");
    for (int to = 0; to < 9; to++) {
        for (int from = 0; from < 9; from++) {
            uint64_t seen = 0;
            for (size_t len = 0; len < 160; len++) {
                fill(area);
                memcpy(other, area, AREA);
                memcpy(other + to, area + from, len);
                seen = seen * 31 + digest(other, AREA);
                memmove(area + to, area + from, len);
                seen = seen * 31 + digest(area, AREA);
                memset(area + from, to * 37, len);
                seen = seen * 31 + digest(area, AREA);
            }
            begin_case();
            printf(" %" PRIx64, seen);
            end_case();
        }
    }
}

static void searches(void) {
    begin_group("search");
    for (int at = 0; at < 17; at++) {
        uint64_t seen = 0;
        for (size_t len = 0; len < 120; len++) {
            fill(area);
            area[at + len] = '\0';
            const char* s = (char*)area + at;
            int c = area[at + len / 2];
            seen = seen * 31 + strlen(s);
            seen = seen * 31 + strnlen(s, len / 2);
            seen = seen * 31 + (size_t)(strchr(s, c) - s + 1);
            seen = seen * 31 + (size_t)(strrchr(s, c) - s + 1);
            const char* m = memchr(s, c, len);
            seen = seen * 31 + (m != NULL ? (size_t)(m - s) : 999);
            memcpy(other, area, AREA);
            other[at + len / 3] ^= 1;
            seen = seen * 31 + (size_t)sign(memcmp(area + at, other + at, len + 1));
            seen = seen * 31 + (size_t)sign(strcmp(s, (char*)other + at));
            seen = seen * 31 + (size_t)sign(strncmp(s, (char*)other + at, len / 3));
            seen = seen * 31 + (size_t)sign(strcasecmp(s, (char*)other + at));
        }
        begin_case();
        printf(" %" PRIx64, seen);
        end_case();
    }
}

static void spans(void) {
    static const char* const texts[] = {
        "", "a", "abcabc", "hello, world", "aaaaaaaaab", ",,,x,,", "needle in a haystack"};
    static const char* const sets[] = {"",       "a",  "abc",   ", ",  "xyz",
                                       "needle", "ab", "stack", "aab", "lo,"};
    begin_group("span");
    for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
        for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++) {
            begin_case();
            const char* found;
            show((intmax_t)strspn(texts[t], sets[s]));
            show((intmax_t)strcspn(texts[t], sets[s]));
            found = strpbrk(texts[t], sets[s]);
            show(found != NULL ? found - texts[t] : -1);
            found = strstr(texts[t], sets[s]);
            show(found != NULL ? found - texts[t] : -1);
            found = memmem(texts[t], strlen(texts[t]), sets[s], strlen(sets[s]));
            show(found != NULL ? found - texts[t] : -1);
            end_case();
        }
    }
    // Needles of every length, in a text of two letters.
    for (size_t len = 1; len < 60; len++) {
        char hay[400];
        char needle[64];
        for (size_t i = 0; i < sizeof(hay) - 1; i++) {
            hay[i] = next_random() % 8 == 0 ? 'b' : 'a';
        }
        hay[sizeof(hay) - 1] = '\0';
        size_t at = next_random() % (sizeof(hay) - 1 - len);
        memcpy(needle, hay + at, len);
        needle[len] = '\0';
        begin_case();
        show(strstr(hay, needle) - hay);
        end_case();
    }
}

static void tokens(void) {
    begin_group("token");
    char text[] = ",one,,two three;,";
    char* state = NULL;
    for (char* t = strtok_r(text, ",;", &state); t != NULL; t = strtok_r(NULL, ",;", &state)) {
        begin_case();
        show_text(t);
        end_case();
    }
    char again[] = "a::b:";
    char* rest = again;
    for (char* t = strsep(&rest, ":"); t != NULL; t = strsep(&rest, ":")) {
        begin_case();
        show_text(t);
        end_case();
    }
    begin_case();
    char to[16];
    memset(to, 'x', sizeof(to));
    strncpy(to, "abc", 6);
    show_bytes(to, 8);
    strcpy(to, "abc");
    strncat(to, "defgh", 3);
    show_text(to);
    show(stpcpy(to, "xy") - to);
    show(stpncpy(to, "pqrst", 3) - to);
    char* copy = strndup("duplicate", 3);
    show_text(copy);
    free(copy);
    end_case();
}

static void classes(void) {
    begin_group("ctype");
    for (int c = -1; c < 256; c += 1) {
        begin_case();
        show(c);
        show(!!isalnum(c) | !!isalpha(c) << 1 | !!isblank(c) << 2 | !!iscntrl(c) << 3 |
             !!isdigit(c) << 4 | !!isgraph(c) << 5 | !!islower(c) << 6 | !!isprint(c) << 7 |
             !!ispunct(c) << 8 | !!isspace(c) << 9 | !!isupper(c) << 10 | !!isxdigit(c) << 11);
        show(tolower(c));
        show(toupper(c));
        end_case();
    }
}

int main(void) {
    copies();
    searches();
    spans();
    tokens();
    classes();
    return 0;
}
