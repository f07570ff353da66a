#include <spawn/inherit.h>

#include <string.h>

#include <jacinth/startup.h>
#include <libc/operations.h>
#include <libc/process_view_start.h>

// Written once, before there is a second thread (by signal's or spawn's part of the view).
static struct record inherited;
static bool known, found;

const struct record* spawn_inherited(void) {
    if (!known) {
        known = true;
        inherited = record_none;
        const char* name;
        for (uint32_t i = 0; !found && (name = zx_startup_name(i)) != nullptr; i++) {
            found = record_read(name, &inherited);
        }
    }
    return &inherited;
}

bool spawn_has_parent(void) {
    (void)spawn_inherited();
    return found;
}

// ---- the program's path ----

static bool is_there(const char* path) {
    return sys_access(path, ABI_X_OK) == 0;
}

// A starter that gives no record gives a name all the same: a path, or one within the boot image,
// or one of a command.
static const char* guess(void) {
    static char path[ABI_PATH_MAX];
    static const char* const folders[] = {"", "/boot/", "/bin/", "/boot/bin/"};
    const char* name = libc_start_name();
    size_t len = name != nullptr ? strlen(name) : 0;
    for (size_t i = 0; len != 0 && i < sizeof(folders) / sizeof(folders[0]); i++) {
        size_t folder_len = strlen(folders[i]);
        if (folder_len + len < sizeof(path)) {
            memcpy(path, folders[i], folder_len);
            memcpy(path + folder_len, name, len + 1);
        }
        if (path[0] == '/' && is_there(path)) {
            return path;
        }
    }
    return nullptr;
}

const char* spawn_program_path(void) {
    // Threads that guess at the same time guess the same.
    static _Atomic(const char*) path;
    if (path == nullptr) {
        path = spawn_inherited()->exe != nullptr ? spawn_inherited()->exe : guess();
    }
    return path;
}
