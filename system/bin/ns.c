#include "ns.h"

#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

constexpr uint32_t ENTRIES_MAX = 32;

static struct {
    struct ns_entry entries[ENTRIES_MAX];
    uint32_t count;
    bool looked; // one thread asks first
} ns;

static void look(void) {
    ns.looked = true;
    const char* name;
    for (uint32_t i = 0; (name = zx_startup_name(i)) != nullptr && ns.count < ENTRIES_MAX; i++) {
        zx_handle_t directory =
            name[0] == '/' ? zx_take_startup_handle(PA_HND(PA_NS_DIR, i)) : ZX_HANDLE_INVALID;
        if (directory != ZX_HANDLE_INVALID) { // else a name of something else
            ns.entries[ns.count++] = (struct ns_entry){name, directory};
        }
    }
}

bool ns_entry(uint32_t index, struct ns_entry* out) {
    if (!ns.looked) {
        look();
    }
    if (index >= ns.count) {
        return false;
    }
    *out = ns.entries[index];
    return true;
}

bool ns_find(const char* path, struct ns_entry* out, const char** rest) {
    struct ns_entry entry;
    bool found = false;
    size_t longest = 0;
    for (uint32_t i = 0; ns_entry(i, &entry); i++) {
        size_t len = strcmp(entry.prefix, "/") == 0 ? 0 : strlen(entry.prefix);
        bool fits =
            strncmp(entry.prefix, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
        if (fits && (!found || len > longest)) {
            found = true;
            longest = len;
            *out = entry;
        }
    }
    *rest = path + longest;
    while (**rest == '/') {
        (*rest)++;
    }
    return found;
}

zx_status_t ns_open(const char* path, jacinth_io_flags_t flags, struct io_opened* out) {
    struct ns_entry entry;
    const char* rest;
    if (!ns_find(path, &entry, &rest)) {
        return ZX_ERR_NOT_FOUND;
    }
    return io_open(entry.directory, rest, strlen(rest), flags, 0, out, nullptr);
}

const char* ns_working_directory(void) {
    static const char key[] = "jacinth.cwd=";
    const char* name;
    for (uint32_t i = 0; (name = zx_startup_name(i)) != nullptr; i++) {
        if (strncmp(name, key, sizeof(key) - 1) == 0) {
            return name + sizeof(key) - 1;
        }
    }
    return nullptr;
}
