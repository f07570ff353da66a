// See <names/namespace.h>.

#include <stdlib.h>
#include <string.h>

#include <fd/directory.h>
#include <fd/server.h>
#include <jacinth/startup.h>
#include <zircon/syscalls.h>

#include "names_priv.h"

constexpr size_t PREFIXES_MAX = ZX_CHANNEL_MAX_MSG_HANDLES;

static struct {
    struct path_prefixes prefixes; // immutable after the start
    const char* text[PREFIXES_MAX];
    struct libc_lock lock;
    struct fd_object* root[PREFIXES_MAX]; // under the lock
} names = {.prefixes = {.text = names.text}};

const struct path_prefixes* names_prefixes(void) {
    return &names.prefixes;
}

// ---- start ----

// A prefix without slashes at its end; the root is "". A name that is so already, as nearly always,
// stays where it is: names of the bootstrap message are there as long as the process.
static const char* prefix_of(const char* name) {
    if (name == nullptr || name[0] != '/') {
        return nullptr;
    }
    if (path_is_normal(name)) {
        return name[1] == 0 ? "" : name;
    }
    char* text = malloc(ABI_PATH_MAX);
    if (text == nullptr || path_normalise(name, text) != 0) {
        free(text);
        return nullptr;
    }
    if (text[1] == 0) {
        text[0] = 0;
    }
    char* fitting = realloc(text, strlen(text) + 1);
    return fitting != nullptr ? fitting : text;
}

long names_add_prefix(const char* path, zx_handle_t connection) {
    size_t i = names.prefixes.count;
    const char* text = i < PREFIXES_MAX ? prefix_of(path) : nullptr;
    if (text == nullptr) {
        (void)zx_handle_close(connection);
        return -ABI_EINVAL;
    }
    long error = fd_directory_new(connection, names_device(i), *text != 0 ? text : "/",
                                  ABI_O_RDONLY | ABI_O_DIRECTORY, &names.root[i]);
    if (error == 0) {
        names.text[i] = text;
        names.prefixes.count++;
    }
    return error;
}

void names_namespace_start(void) {
    uint32_t name;
    zx_handle_t handle;
    while ((handle = zx_take_startup_handle_of_type(PA_NS_DIR, &name)) != ZX_HANDLE_INVALID) {
        (void)names_add_prefix(zx_startup_name(name), handle); // what is no path is somebody else's
    }
}

// ---- connections ----

struct fd_object* names_root_ref(size_t index) {
    libc_lock_acquire(&names.lock);
    struct fd_object* o = names.root[index];
    fd_object_ref(o);
    libc_lock_release(&names.lock);
    return o;
}

static zx_handle_t connection_of(struct fd_object* o) {
    zx_handle_t connection = ZX_HANDLE_INVALID;
    uint64_t device;
    const char* path;
    (void)fd_directory_get(o, &connection, &device, &path);
    return connection;
}

static long index_of_services(void) {
    long svc = -1;
    for (size_t i = 0; i < names.prefixes.count; i++) {
        svc = strcmp(names.text[i], "/svc") == 0 ? (long)i : svc;
    }
    return svc;
}

zx_handle_t names_connect(const char* service) {
    long svc = index_of_services();
    zx_handle_t ours;
    zx_handle_t theirs;
    if (svc < 0 || zx_channel_create(0, &ours, &theirs) != ZX_OK) {
        return ZX_HANDLE_INVALID;
    }
    NAMES_REF o = names_root_ref((size_t)svc);
    if (io_connect(connection_of(o), service, strlen(service), theirs) != ZX_OK) {
        (void)zx_handle_close(ours);
        return ZX_HANDLE_INVALID;
    }
    return ours;
}

// Asks /svc for the directory's server as it is now.
static zx_handle_t ask_for_prefix(size_t index) {
    char name[ABI_NAME_MAX + 4];
    const char* entry = names.text[index][0] != '\0' ? names.text[index] + 1 : "@root";
    size_t len = strlen(entry);
    if (index_of_services() == (long)index || len > ABI_NAME_MAX) {
        return ZX_HANDLE_INVALID;
    }
    memcpy(name, "ns/", 3);
    memcpy(name + 3, entry, len + 1);
    return names_connect(name);
}

bool names_renew(size_t index, struct fd_object* dead) {
    zx_handle_t connection = ask_for_prefix(index);
    struct fd_object* fresh;
    if (connection == ZX_HANDLE_INVALID ||
        fd_directory_new(connection, names_device(index),
                         names.text[index][0] != '\0' ? names.text[index] : "/",
                         ABI_O_RDONLY | ABI_O_DIRECTORY, &fresh) != 0) {
        return false;
    }
    libc_lock_acquire(&names.lock);
    struct fd_object* gone = fresh;
    if (names.root[index] == dead) { // else another thread was faster
        gone = names.root[index];
        names.root[index] = fresh;
    }
    libc_lock_release(&names.lock);
    fd_object_unref(gone);
    return true;
}

long names_prefix_clone(size_t index, zx_handle_t* out) {
    NAMES_REF o = names_root_ref(index);
    zx_status_t status = io_clone(connection_of(o), out);
    if (status == ZX_ERR_PEER_CLOSED && names_renew(index, o)) {
        NAMES_REF fresh = names_root_ref(index);
        status = io_clone(connection_of(fresh), out);
    }
    return fd_server_error(status);
}
