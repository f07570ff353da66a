// <regex.h>: POSIX regular expressions, basic and extended; where a match is and what its parts
// are.
#include <regex.h>

#include "suite.h"

static const struct {
    const char *pattern, *text;
    int flags;
} cases[] = {
    {"abc", "xabcy", 0},
    {"a.c", "abc", 0},
    {"^abc$", "abc", 0},
    {"^abc$", "abcd", 0},
    {"a*", "aaa", 0},
    {"a*", "", 0},
    {"\\(a\\)\\(b\\)*", "abb", 0},
    {"a\\{2,3\\}", "aaaa", 0},
    {"a\\{2\\}", "a", 0},
    {"[abc]*", "cab!", 0},
    {"[^abc]", "abcd", 0},
    {"[[:alpha:]]*", "abc123", 0},
    {"[a-f0-9]*", "beef42z", 0},
    {"\\(.\\)\\1", "abccd", 0},
    {"a+b", "a+b", 0},
    {"a|b", "a|b", 0},
    {"a+", "caaat", REG_EXTENDED},
    {"a?b", "b", REG_EXTENDED},
    {"(a|b)+", "abba", REG_EXTENDED},
    {"(a)(b)?(c)", "ac", REG_EXTENDED},
    {"^(.*)/([^/]*)$", "/usr/lib/file", REG_EXTENDED},
    {"a{2,}", "aaa", REG_EXTENDED},
    {"(ab){2}", "ababab", REG_EXTENDED},
    {"()", "x", REG_EXTENDED},
    {"x*y", "xxy", REG_EXTENDED},
    {"(foo|foobar)(bar)?", "foobar", REG_EXTENDED},
    {"[]a]+", "]a]", REG_EXTENDED},
    {"[a-]+", "a-a", REG_EXTENDED},
    {"\\.", "a.b", REG_EXTENDED},
    {"ABC", "abc", REG_ICASE},
    {"[A-C]+", "abc", REG_EXTENDED | REG_ICASE},
    {"b.", "a\nb\nc", REG_EXTENDED | REG_NEWLINE},
    {"^c$", "a\nc\nd", REG_NEWLINE},
    {"(", "x", REG_EXTENDED},
    {"[a", "x", 0},
    {"a{2", "x", REG_EXTENDED},
    {"\\(", "x", 0},
    {"*a", "*a", 0},
    {"(a*)(a|b)(b*)", "aabb", REG_EXTENDED},
    {"(a|ab)(c|bcd)(d*)", "abcd", REG_EXTENDED},
    {"[[:space:]]+$", "x  \t", REG_EXTENDED},
    {"[0-9]{1,3}(\\.[0-9]{1,3}){3}", "at 192.168.0.1!", REG_EXTENDED},
    {"x{0}y", "y", REG_EXTENDED},
    {"[[:foo:]]", "x", 0},
    {"a\\{1", "x", 0},
    {"\\<w", "two words", 0},
    {"(^a)b", "ab", REG_EXTENDED},
    {"a$b", "a$b", 0},
    {"[[.hyphen.]]", "-", 0},
    {"[z-a]", "x", 0},
};

int main(void) {
    begin_group("regex");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        regex_t r;
        begin_case();
        show_text(cases[i].pattern);
        int error = regcomp(&r, cases[i].pattern, cases[i].flags);
        show(error != 0);
        if (error == 0) {
            regmatch_t m[5];
            int no = regexec(&r, cases[i].text, 5, m, 0);
            show((intmax_t)r.re_nsub);
            show(no != 0);
            for (int k = 0; no == 0 && k < 5; k++) {
                show(m[k].rm_so);
                show(m[k].rm_eo);
            }
            show(regexec(&r, cases[i].text, 0, NULL, REG_NOTBOL | REG_NOTEOL) != 0);
            regfree(&r);
        }
        end_case();
    }
    return 0;
}
