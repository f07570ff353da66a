// From a path to whom to ask, and the one loop that asks: it goes on where a link leads out of a
// server, and asks a server that died again through its successor.

#include <string.h>

#include <fd/directory.h>
#include <fd/server.h>
#include <fd/table.h>
#include <zircon/syscalls.h>

#include "names_priv.h"

constexpr unsigned LINKS_MAX = 40;

// ---- from where ----

const char* names_path_of(struct fd_object* o) {
    zx_handle_t connection;
    uint64_t device;
    const char* path;
    return fd_directory_get(o, &connection, &device, &path) ? path : names_made_up_path(o);
}

bool names_is_directory(struct fd_object* o) {
    zx_handle_t connection;
    uint64_t device;
    const char* path;
    return fd_directory_get(o, &connection, &device, &path) || names_made_up_path(o) != nullptr;
}

static long base_ref(int dir, struct fd_object** out) {
    if (dir == ABI_AT_FDCWD) {
        *out = names_place_ref();
        return 0;
    }
    struct fd_object* o;
    long error = fd_table_get_ref(fd_table(), dir, &o);
    if (error == 0 && !names_is_directory(o)) {
        fd_object_unref(o);
        error = -ABI_ENOTDIR;
    }
    if (error == 0) {
        *out = o;
    }
    return error;
}

// ---- targets ----

// The reference passes over.
static void aim_at_server(struct names_target* t, struct fd_object* directory) {
    const char* path;
    t->kind = NAMES_SERVER;
    t->directory = directory;
    (void)fd_directory_get(directory, &t->connection, &t->device, &path);
}

static bool has_prefix_below(const char* path) {
    const struct path_prefixes* p = names_prefixes();
    for (size_t i = 0; i < p->count; i++) {
        if (path_is_within(p->text[i], path) && *path_below(p->text[i], path) != 0) {
            return true;
        }
    }
    return false;
}

// By the connection of the directory from which the path begins. 1; 0: it leaves the directory, or
// there is none; -ABI_ENAMETOOLONG.
static long resolve_within(struct fd_object* base, int dir, const char* path,
                           struct names_target* t) {
    zx_handle_t connection;
    uint64_t device;
    const char* text;
    if (!fd_directory_get(base, &connection, &device, &text)) {
        return 0;
    }
    long within = path_clean(path, t->path);
    if (within == 0 && text == nullptr) { // where it is, nobody knows: the server stops at its root
        memcpy(t->path, path, strlen(path) + 1);
        within = 1;
    }
    if (within != 1 || (text != nullptr && has_prefix_below(text))) {
        return within < 0 ? within : 0;
    }
    fd_object_ref(base);
    aim_at_server(t, base);
    t->is_working = dir == ABI_AT_FDCWD;
    return 1;
}

static long resolve_absolute(const char* path, struct names_target* t) {
    struct path_split split;
    long error = path_normalise(path, split.path);
    if (error == 0) {
        t->special = names_find_special(split.path, &t->number);
    }
    if (t->special != NAMES_NOTHING) {
        t->kind = NAMES_SPECIAL;
        memcpy(t->path, split.path, sizeof(t->path));
        return 0;
    }
    error = path_split(names_prefixes(), path, &split);
    if (error != 0) {
        return error;
    }
    const char* rest = split.path;
    if (split.prefix < 0) {
        t->kind = split.missing == 0 ? NAMES_MADE_UP : NAMES_MISSING;
        rest = *rest != 0 ? rest : "/";
    } else {
        aim_at_server(t, names_root_ref((size_t)split.prefix));
        t->is_prefix = true;
    }
    memcpy(t->path, rest, strlen(rest) + 1);
    return 0;
}

static long resolve_from(struct fd_object* base, int dir, const char* path, bool by_text,
                         struct names_target* t) {
    long found = by_text ? 0 : resolve_within(base, dir, path, t);
    if (found != 0) {
        return found < 0 ? found : 0;
    }
    const char* text = names_path_of(base);
    char joined[2 * ABI_PATH_MAX];
    if (text == nullptr) {
        return -ABI_ENOENT;
    }
    long error = path_join(text, path, joined, sizeof(joined));
    return error != 0 ? error : resolve_absolute(joined, t);
}

long names_resolve(int dir, const char* path, bool by_text, struct names_target* t) {
    *t = (struct names_target){.is_directory = path_asks_for_directory(path)};
    if (path[0] == 0) {
        return -ABI_ENOENT;
    }
    if (strnlen(path, ABI_PATH_MAX) == ABI_PATH_MAX) {
        return -ABI_ENAMETOOLONG;
    }
    if (path[0] == '/') {
        return resolve_absolute(path, t);
    }
    NAMES_REF base = nullptr;
    long error = base_ref(dir, &base);
    return error != 0 ? error : resolve_from(base, dir, path, by_text, t);
}

void names_target_end(struct names_target* t) {
    fd_object_unref(t->directory);
    t->directory = nullptr;
}

void names_target_text(const struct names_target* t, char out[ABI_PATH_MAX]) {
    const char* base = t->directory != nullptr ? names_path_of(t->directory) : "";
    out[0] = 0;
    char joined[2 * ABI_PATH_MAX];
    if (base == nullptr || path_join(base, t->path, joined, sizeof(joined)) != 0 ||
        path_normalise(joined, out) != 0) {
        out[0] = 0;
    }
}

// ---- asking ----

long names_error(zx_status_t status) {
    return status == ZX_ERR_IO_OVERRUN ? -ABI_ELOOP : fd_server_error(status);
}

// As the path is sent: with a slash at the end if it asks for a directory.
static size_t len_to_send(struct names_target* t) {
    size_t len = strlen(t->path);
    if (t->is_directory && len != 0 && len + 1 < sizeof(t->path)) {
        t->path[len++] = '/';
        t->path[len] = 0;
    }
    return len;
}

// A request that does not follow links itself met one that leads out: `rest` gets the path with
// that link replaced.
static zx_status_t find_exit(struct names_request* r, zx_handle_t directory, const char* path,
                             size_t len) {
    size_t parent = len;
    while (!r->follows && parent > 0 && path[parent - 1] == '/') {
        parent--;
    }
    while (!r->follows && parent > 0 && path[parent - 1] != '/') {
        parent--;
    }
    struct jacinth_io_attributes a;
    zx_status_t status = io_stat(directory, path, parent, 0, &a, &r->has_rest, r->rest);
    if (status != ZX_OK || !r->has_rest) {
        return status != ZX_OK ? status : ZX_ERR_NOT_FOUND; // it was changed meanwhile
    }
    size_t left = len - parent;
    if (r->rest->len + 1 + left >= ABI_PATH_MAX) {
        return ZX_ERR_BAD_PATH;
    }
    if (left != 0) {
        r->rest->text[r->rest->len] = '/';
        memcpy(r->rest->text + r->rest->len + 1, path + parent, left);
        r->rest->len += (uint32_t)(1 + left);
    }
    return ZX_OK;
}

static zx_status_t ask(struct names_request* r, struct names_target* t) {
    size_t len = len_to_send(t);
    r->has_rest = false;
    zx_status_t status = r->ask(r, t->connection, t->path, len);
    return status == ZX_ERR_NEXT ? find_exit(r, t->connection, t->path, len) : status;
}

struct asking {
    int dir;
    const char* path;
    bool renewed; // at most once for a request
    bool by_text;
    char followed[ABI_PATH_MAX]; // where a link leads
};

// Whether the server that does not answer has a successor to be asked.
static bool has_successor(struct asking* a, const struct names_target* t) {
    if (a->renewed) {
        return false;
    }
    a->renewed = true;
    if (t->is_prefix) {
        return names_renew(t->device - names_device(0), t->directory);
    }
    a->by_text = t->is_working && names_path_of(t->directory) != nullptr;
    a->renewed = !a->by_text; // its prefix may have to be renewed, too
    return a->by_text;
}

static long go_on_at(struct asking* a, const char* text, size_t len) {
    if (len == 0 || len >= sizeof(a->followed) || text[0] != '/') {
        return len < sizeof(a->followed) ? -ABI_EIO : -ABI_ENAMETOOLONG;
    }
    memcpy(a->followed, text, len);
    a->followed[len] = 0;
    a->path = a->followed;
    a->by_text = false;
    return 0;
}

// 1: *result is the operation's; 0: once more.
static int try_once(struct names_request* r, struct asking* a, struct names_target* t,
                    long* result) {
    if (t->special == NAMES_PROGRAM && !r->sees_program) {
        const char* program = names_program_path();
        *result = program != nullptr ? go_on_at(a, program, strlen(program)) : -ABI_ENOENT;
        return *result != 0;
    }
    if (t->kind != NAMES_SERVER) {
        *result = r->here(r, t);
        return 1;
    }
    if (r->needs_name && t->is_prefix && t->path[0] == 0) {
        *result = -ABI_EBUSY;
        return 1;
    }
    zx_status_t status = ask(r, t);
    if (status == ZX_ERR_PEER_CLOSED && has_successor(a, t)) {
        return 0;
    }
    *result = names_error(status);
    if (*result == 0 && r->has_rest) {
        *result = go_on_at(a, r->rest->text, r->rest->len);
        return *result != 0;
    }
    if (*result == 0 && r->done != nullptr) {
        *result = r->done(r, t);
    }
    return 1;
}

long names_request(int dir, const char* path, struct names_request* r) {
    struct asking a = {.dir = dir, .path = path};
    struct io_path rest;
    r->rest = &rest;
    for (unsigned links = 0; links <= LINKS_MAX; links++) {
        struct names_target t;
        long result = names_resolve(a.dir, a.path, a.by_text, &t);
        if (result != 0) {
            return result;
        }
        int over = try_once(r, &a, &t, &result);
        names_target_end(&t);
        if (over) {
            return result;
        }
    }
    return -ABI_ELOOP;
}

long names_here_no_change(struct names_request*, const struct names_target* t) {
    return t->kind == NAMES_MISSING ? -ABI_ENOENT : -ABI_EROFS;
}

long names_here_no_create(struct names_request*, const struct names_target* t) {
    return t->kind == NAMES_MISSING ? -ABI_EROFS : -ABI_EEXIST;
}
