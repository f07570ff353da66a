// Paths from anywhere: whatever the text, what is sent to a server is clean and stays below it.
#include <names/path.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char* const usual[] = {"/boot", "/tmp", "/mnt/a", "/mnt/a/b", ""};

static void must(bool holds) {
    if (!holds) {
        abort();
    }
}

// No slash at either end, no empty component, no ".", and ".." never leads out.
static void check_rest(const char* rest) {
    size_t depth = 0;
    must(strlen(rest) < ABI_PATH_MAX);
    while (*rest != 0) {
        size_t len = strcspn(rest, "/");
        must(len != 0 && len <= ABI_NAME_MAX);
        must(!(len == 1 && rest[0] == '.'));
        if (len == 2 && rest[0] == '.' && rest[1] == '.') {
            must(depth-- != 0);
        } else {
            depth++;
        }
        rest += len;
        if (*rest == '/') {
            must(*++rest != 0);
        }
    }
}

static void check_split(const struct path_prefixes* prefixes, const char* path) {
    static struct path_split s;
    long error = path_split(prefixes, path, &s);
    if (error != 0) {
        must(error == -ABI_ENAMETOOLONG);
        return;
    }
    must(s.prefix >= -1 && s.prefix < (long)prefixes->count);
    if (s.prefix >= 0) {
        check_rest(s.path);
    } else {
        must(s.path[0] == 0 || s.path[0] == '/');
        check_rest(s.path[0] == '/' ? s.path + 1 : s.path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static char path[2 * ABI_PATH_MAX];
    static char out[ABI_PATH_MAX];
    size = size < sizeof(path) - 2 ? size : sizeof(path) - 2;
    path[0] = '/';
    memcpy(path + 1, data, size);
    path[1 + size] = 0;
    for (size_t count = 0; count <= sizeof(usual) / sizeof(usual[0]); count++) {
        const struct path_prefixes prefixes = {usual, count};
        check_split(&prefixes, path);
    }
    if (path_clean(path + 1, out) == 1) {
        check_rest(out);
    }
    if (path_normalise(path, out) == 0) {
        must(out[0] == '/');
        must(strstr(out, "/../") == nullptr && strstr(out, "//") == nullptr);
        check_rest(out + 1);
    }
    return 0;
}
