// How full the file systems of the namespace are.
#include <stdio.h>
#include <string.h>

#include <zircon/status.h>
#include <zircon/syscalls.h>

#include "ns.h"
#include "tool.h"
#include "tools.h"

constexpr size_t PATH_BYTES = 4096;

struct table {
    bool is_human;
};

static void cell(const struct table* t, uint64_t bytes) {
    static const char units[] = "KMGTPE";
    uint64_t tenths = bytes / 1024 * 10;
    size_t unit = 0;
    for (; t->is_human && tenths >= 10'240 && unit + 2 < sizeof(units); unit++) {
        tenths /= 1024;
    }
    if (unit > 0 && tenths < 100) {
        printf(" %7llu.%llu%c", (unsigned long long)tenths / 10, (unsigned long long)tenths % 10,
               units[unit]);
    } else {
        printf(" %9llu%c", (unsigned long long)tenths / 10, units[unit]);
    }
}

static void row(const struct table* t, const struct ns_entry* entry) {
    struct io_usage u = {};
    zx_status_t status = io_query_usage(entry->directory, &u);
    printf("%-12s", entry->prefix);
    if (status != ZX_OK) {
        printf(" %10s %10s %5s  %s\n", "-", "-", "-",
               status == ZX_ERR_PEER_CLOSED ? "nobody there" : zx_status_get_string(status));
    } else if (u.total_bytes == 0) {
        printf(" %10s %10s %5s\n", "-", "-", "-");
    } else {
        cell(t, u.total_bytes);
        cell(t, u.used_bytes);
        printf(" %4llu%%%s\n", (unsigned long long)(u.used_bytes * 100 / u.total_bytes),
               u.read_only ? "  read-only" : "");
    }
}

// Letters of one argument. False: there is another one.
static bool take_options(struct table* t, const char* letters) {
    for (; *letters == 'h' || *letters == 'k'; letters++) {
        t->is_human = *letters == 'h';
    }
    return *letters == '\0';
}

// What a path goes back over may be a link, which only its server knows.
static bool goes_back(const char* path) {
    for (const char* at = path; at != nullptr; at = strchr(at, '/')) {
        at += *at == '/';
        if (at[0] == '.' && at[1] == '.' && (at[2] == '/' || at[2] == '\0')) {
            return true;
        }
    }
    return false;
}

static zx_status_t find(const char* path, struct ns_entry* out) {
    static char text[PATH_BYTES];
    const char* directory = path[0] == '/' ? nullptr : ns_working_directory();
    int len = snprintf(text, sizeof(text), "%s%s%s", directory == nullptr ? "" : directory,
                       path[0] == '/' ? "" : "/", path);
    if (len < 0 || (size_t)len >= sizeof(text) || goes_back(path)) {
        return ZX_ERR_BAD_PATH;
    }
    const char* rest;
    if (!ns_find(text, out, &rest)) {
        return ZX_ERR_NOT_FOUND;
    }
    struct jacinth_io_attributes attributes;
    return *rest == '\0'
               ? ZX_OK
               : io_stat(out->directory, rest, strlen(rest), 0, &attributes, nullptr, nullptr);
}

int df_main(int argc, char** argv) {
    static const char usage[] = "df [-h] [-k] [PATH]...";
    if (tool_wants_help(argc, argv, usage)) {
        printf(
            "One line for each prefix of the namespace, or for those that the paths belong to. K "
            "is 1024 bytes;\n-h: larger units. What is not asked for has no size: \"-\".\n");
        return 0;
    }
    struct table t = {};
    int first = 1;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (!take_options(&t, argv[first] + 1)) {
            return tool_bad_usage(usage);
        }
    }
    printf("%-12s %10s %10s %5s\n", "PREFIX", "TOTAL", "USED", "USE");
    struct ns_entry entry;
    for (uint32_t i = 0; first == argc && ns_entry(i, &entry); i++) {
        row(&t, &entry);
    }
    int code = 0;
    for (int i = first; i < argc; i++) {
        zx_status_t status = find(argv[i], &entry);
        if (status == ZX_OK) {
            row(&t, &entry);
        } else {
            code = tool_failed("df", argv[i], status);
        }
    }
    return code;
}
