/*
 * The one question the boot stages ask the command line. The kernel has the real parser; here no
 * more is needed than whole words, the last of a name counting.
 */

#include <early/options.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// If `text` starts with `prefix`, what follows it; else null.
static const char* after_prefix(const char* text, const char* prefix) {
    while (*prefix != '\0') {
        if (*text != *prefix) {
            return nullptr;
        }
        text++;
        prefix++;
    }
    return text;
}

bool option_is(const char* cmdline, const char* name, const char* value) {
    bool result = false;
    const char* at = cmdline;
    while (*at != '\0') {
        while (is_blank(*at)) {
            at++;
        }
        const char* rest = after_prefix(at, name);
        if (rest != nullptr && *rest == '=') {
            const char* end = after_prefix(rest + 1, value);
            result = end != nullptr && (*end == '\0' || is_blank(*end));
        }
        while (*at != '\0' && !is_blank(*at)) {
            at++;
        }
    }
    return result;
}
