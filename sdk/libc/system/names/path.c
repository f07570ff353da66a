// See <names/path.h>.

#include <names/path.h>

#include <string.h>

struct component {
    const char* at;
    size_t len;
};

// The next one, if any; *path moves behind it.
static bool next_component(const char** path, struct component* out) {
    const char* p = *path;
    while (*p == '/') {
        p++;
    }
    *out = (struct component){.at = p};
    while (p[out->len] != 0 && p[out->len] != '/') {
        out->len++;
    }
    *path = p + out->len;
    return out->len != 0;
}

static bool is_dot(struct component c) {
    return c.len == 1 && c.at[0] == '.';
}

static bool is_dot_dot(struct component c) {
    return c.len == 2 && c.at[0] == '.' && c.at[1] == '.';
}

// ---- building ----

struct builder {
    char* text;
    size_t size; // of the buffer
    size_t len;
};

// Adds a slash, unless it is the first component of a relative path, and the component.
static bool push(struct builder* b, struct component c, bool slash) {
    if (c.len > ABI_NAME_MAX || b->len + slash + c.len >= b->size) {
        return false;
    }
    if (slash) {
        b->text[b->len++] = '/';
    }
    memcpy(b->text + b->len, c.at, c.len);
    b->len += c.len;
    b->text[b->len] = 0;
    return true;
}

// The root stays the root.
static void pop(struct builder* b) {
    while (b->len > 0 && b->text[b->len - 1] != '/') {
        b->len--;
    }
    b->len -= b->len > 0; // the slash
    b->text[b->len] = 0;
}

// What is left for a server. 1; 0: it leaves by the ".." before *path; -ABI_ENAMETOOLONG.
static long copy_rest(const char** path, struct builder* b) {
    size_t depth = 0;
    struct component c;
    while (next_component(path, &c)) {
        if (is_dot(c)) {
            continue;
        }
        if (is_dot_dot(c) && depth == 0) {
            return 0;
        }
        depth = is_dot_dot(c) ? depth - 1 : depth + 1;
        if (!push(b, c, b->len != 0)) {
            return -ABI_ENAMETOOLONG;
        }
    }
    return 1;
}

long path_clean(const char* relative, char out[ABI_PATH_MAX]) {
    out[0] = 0;
    struct builder b = {.text = out, .size = ABI_PATH_MAX};
    return copy_rest(&relative, &b);
}

bool path_asks_for_directory(const char* path) {
    size_t len = strlen(path);
    struct component last = {.at = path + len};
    while (last.at > path && last.at[-1] != '/') {
        last.at--;
        last.len++;
    }
    return len != 0 && (last.len == 0 || is_dot(last) || is_dot_dot(last));
}

bool path_is_normal(const char* absolute) {
    if (absolute[0] != '/') {
        return false;
    }
    const char* c = absolute;
    for (; *c != 0; c++) {
        // No component is empty or begins with a dot. (Others than "." and ".." may; they are
        // rare.)
        if (*c == '/' && (c[1] == '/' || c[1] == '.' || (c[1] == 0 && c != absolute))) {
            return false;
        }
    }
    return c - absolute < ABI_PATH_MAX;
}

long path_normalise(const char* absolute, char out[ABI_PATH_MAX]) {
    out[0] = 0;
    struct builder b = {.text = out, .size = ABI_PATH_MAX};
    struct component c;
    while (next_component(&absolute, &c)) {
        if (is_dot_dot(c)) {
            pop(&b);
        } else if (!is_dot(c) && !push(&b, c, true)) {
            return -ABI_ENAMETOOLONG;
        }
    }
    if (b.len == 0) {
        memcpy(out, "/", 2);
    }
    return 0;
}

long path_join(const char* directory, const char* relative, char* out, size_t size) {
    size_t front = strlen(directory);
    size_t back = strlen(relative);
    if (front + 1 + back >= size) {
        return -ABI_ENAMETOOLONG;
    }
    memcpy(out, directory, front);
    out[front] = '/';
    memcpy(out + front + 1, relative, back + 1);
    return 0;
}

bool path_is_within(const char* path, const char* directory) {
    size_t len = strlen(directory);
    len -= len == 1; // the root is in all
    return strncmp(path, directory, len) == 0 && (path[len] == 0 || path[len] == '/');
}

const char* path_below(const char* path, const char* directory) {
    path += strlen(directory);
    while (*path == '/') {
        path++;
    }
    return path;
}

// ---- the namespace ----

static bool leads_to_a_prefix(const struct path_prefixes* p, const char* directory) {
    for (size_t i = 0; i < p->count; i++) {
        if (path_is_within(p->text[i], directory)) {
            return true;
        }
    }
    return false;
}

// Of two equal ones the later, which a program has added.
static long longest_prefix(const struct path_prefixes* p, const char* path) {
    long best = -1;
    for (size_t i = 0; i < p->count; i++) {
        if (path_is_within(path, p->text[i]) &&
            (best < 0 || strlen(p->text[i]) >= strlen(p->text[best]))) {
            best = (long)i;
        }
    }
    return best;
}

static unsigned count_components(const char* path) {
    unsigned n = 0;
    struct component c;
    while (next_component(&path, &c)) {
        n++;
    }
    return n;
}

// Follows the path while it stays on the way to prefixes; *path is then before the component that
// leaves it, or at the end.
static long walk(const struct path_prefixes* prefixes, const char** path, struct builder* at) {
    struct component c;
    for (;;) {
        const char* before = *path;
        if (!next_component(path, &c)) {
            return 0;
        }
        if (is_dot(c)) {
            continue;
        }
        if (is_dot_dot(c)) {
            pop(at);
            continue;
        }
        if (!push(at, c, true)) {
            return -ABI_ENAMETOOLONG;
        }
        if (!leads_to_a_prefix(prefixes, at->text)) {
            pop(at);
            *path = before;
            return 0;
        }
    }
}

long path_split(const struct path_prefixes* prefixes, const char* absolute,
                struct path_split* out) {
    char text[ABI_PATH_MAX] = ""; // where the walk is
    struct builder at = {.text = text, .size = sizeof(text)};
    const char* path = absolute;
    out->is_directory = path_asks_for_directory(absolute);
    for (;;) {
        long error = walk(prefixes, &path, &at);
        if (error != 0) {
            return error;
        }
        out->prefix = longest_prefix(prefixes, text);
        out->missing = 0;
        if (out->prefix < 0) {
            out->missing = count_components(path);
            memcpy(out->path, text, at.len + 1);
            return 0;
        }
        const char* prefix = prefixes->text[out->prefix];
        const char* below = path_below(text, prefix);
        struct builder rest = {.text = out->path, .size = sizeof(out->path)};
        out->path[0] = 0;
        (void)copy_rest(&below, &rest); // has fitted into `text`
        long stays = copy_rest(&path, &rest);
        if (stays != 0) {
            return stays < 0 ? stays : 0;
        }
        // Left by "..": go on beside the prefix.
        at.len = strlen(prefix);
        text[at.len] = 0;
        pop(&at);
    }
}
