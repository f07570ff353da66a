// Changing names and attributes.

#include <string.h>

#include <fd/server.h>
#include <fd/table.h>
#include <zircon/syscalls.h>

#include "names_priv.h"

// ---- making and taking away ----

struct name_request {
    struct names_request base;
    jacinth_io_flags_t flags;
    uint32_t mode;
    const char* target; // of a link
};

static zx_status_t ask_mkdir(struct names_request* base, zx_handle_t directory, const char* path,
                             size_t len) {
    constexpr jacinth_io_flags_t flags =
        JACINTH_IO_FLAGS_CREATE | JACINTH_IO_FLAGS_EXCLUSIVE | JACINTH_IO_FLAGS_DIRECTORY;
    struct io_opened opened;
    zx_status_t status = io_open(directory, path, len, flags, ((struct name_request*)base)->mode,
                                 &opened, base->rest);
    if (status == ZX_OK) {
        base->has_rest = opened.has_rest;
        io_opened_close(&opened);
    }
    return status;
}

long sys_mkdirat(int dir, const char* path, unsigned mode) {
    uint32_t mask = atomic_load_explicit(&process_view()->umask, memory_order_relaxed);
    struct name_request r = {.base = {.ask = ask_mkdir, .here = names_here_no_create},
                             .mode = mode & 01777 & ~mask};
    return names_request(dir, path, &r.base);
}

long sys_mkdir(const char* path, unsigned mode) {
    return sys_mkdirat(ABI_AT_FDCWD, path, mode);
}

static zx_status_t ask_unlink(struct names_request* base, zx_handle_t directory, const char* path,
                              size_t len) {
    return io_unlink(directory, path, len, ((struct name_request*)base)->flags);
}

// Whether the path ends in the component.
static bool ends_in(const char* path, const char* component) {
    size_t len = strlen(path);
    size_t tail = strlen(component);
    while (len > 0 && path[len - 1] == '/') {
        len--;
    }
    return len >= tail && memcmp(path + len - tail, component, tail) == 0 &&
           (len == tail || path[len - tail - 1] == '/');
}

static long unlink_at(int dir, const char* path) {
    struct name_request r = {
        .base = {.ask = ask_unlink, .here = names_here_no_change, .needs_name = true}};
    if (ends_in(path, ".") || ends_in(path, "..")) {
        return -ABI_EISDIR;
    }
    return names_request(dir, path, &r.base);
}

static long remove_directory_at(int dir, const char* path) {
    struct name_request r = {
        .base = {.ask = ask_unlink, .here = names_here_no_change, .needs_name = true},
        .flags = JACINTH_IO_FLAGS_DIRECTORY};
    if (ends_in(path, ".")) {
        return -ABI_EINVAL;
    }
    return ends_in(path, "..") ? -ABI_ENOTEMPTY : names_request(dir, path, &r.base);
}

long sys_unlinkat(int dir, const char* path, int flags) {
    if ((flags & ~ABI_AT_REMOVEDIR) != 0) {
        return -ABI_EINVAL;
    }
    return flags != 0 ? remove_directory_at(dir, path) : unlink_at(dir, path);
}

long sys_unlink(const char* path) {
    return unlink_at(ABI_AT_FDCWD, path);
}

long sys_rmdir(const char* path) {
    return remove_directory_at(ABI_AT_FDCWD, path);
}

static zx_status_t ask_symlink(struct names_request* base, zx_handle_t directory, const char* path,
                               size_t len) {
    const char* target = ((struct name_request*)base)->target;
    return len == 0 ? ZX_ERR_ALREADY_EXISTS
                    : io_symlink(directory, target, strlen(target), path, len);
}

long sys_symlinkat(const char* target, int dir, const char* path) {
    if (target[0] == 0) {
        return -ABI_ENOENT;
    }
    struct name_request r = {.base = {.ask = ask_symlink, .here = names_here_no_create},
                             .target = target};
    return names_request(dir, path, &r.base);
}

long sys_symlink(const char* target, const char* path) {
    return sys_symlinkat(target, ABI_AT_FDCWD, path);
}

// ---- two names ----

typedef zx_status_t (*two_names_fn)(zx_handle_t directory, const char* path, size_t len,
                                    zx_handle_t token, const char* to, size_t to_len);

// The second name's request: made by the first's, with a token that stands for the second's
// directory.
struct second_request {
    struct names_request base;
    struct first_request* first;
};

struct first_request {
    struct names_request base;
    two_names_fn act;
    int to_dir;
    const char* to;
    // While the second is resolved:
    zx_handle_t directory;
    uint64_t device;
    const char* path;
    size_t len;
    long result; // of the second: an errno, negated
    bool first_must_go_on;
};

// Only names of one server can be exchanged. Where one of them is not known, the server looks.
static bool are_apart(uint64_t a, uint64_t b) {
    return a != b && a >= names_device(0) && b >= names_device(0);
}

static zx_status_t ask_second(struct names_request* base, zx_handle_t directory, const char* path,
                              size_t len) {
    struct first_request* f = ((struct second_request*)base)->first;
    zx_handle_t token = ZX_HANDLE_INVALID;
    if (directory != f->directory) {
        zx_status_t status = io_get_token(directory, &token);
        if (status != ZX_OK) {
            return status;
        }
    }
    zx_status_t status = f->act(f->directory, f->path, f->len, token, path, len);
    if (status != ZX_ERR_NEXT) {
        return status;
    }
    // One of the two leads out: this one if a look at its parent says so.
    size_t parent = len;
    while (parent > 0 && path[parent - 1] == '/') {
        parent--;
    }
    while (parent > 0 && path[parent - 1] != '/') {
        parent--;
    }
    struct jacinth_io_attributes a;
    bool leads_out = false;
    if (io_stat(directory, path, parent, 0, &a, &leads_out, base->rest) == ZX_OK && leads_out) {
        return ZX_ERR_NEXT;
    }
    f->first_must_go_on = true;
    return ZX_ERR_STOP;
}

// A look at the target before it is asked: it may be another server's.
static long second_is_elsewhere(struct first_request* f, bool* elsewhere) {
    struct names_target t;
    long error = names_resolve(f->to_dir, f->to, false, &t);
    if (error == 0) {
        *elsewhere = t.kind == NAMES_SERVER && are_apart(t.device, f->device);
        names_target_end(&t);
    }
    return error;
}

static long second_here(struct names_request*, const struct names_target* t) {
    return t->kind == NAMES_MISSING ? -ABI_ENOENT : -ABI_EXDEV;
}

static zx_status_t ask_first(struct names_request* base, zx_handle_t directory, const char* path,
                             size_t len) {
    struct first_request* f = (struct first_request*)base;
    f->directory = directory;
    f->path = path;
    f->len = len;
    bool elsewhere = false;
    f->result = second_is_elsewhere(f, &elsewhere);
    if (f->result == 0 && elsewhere) {
        // What is not there cannot be moved: that comes first.
        struct jacinth_io_attributes a;
        bool leads_out;
        zx_status_t status =
            io_stat(directory, path, len, JACINTH_IO_FLAGS_NO_FOLLOW, &a, &leads_out, base->rest);
        if (status == ZX_OK && leads_out) {
            return ZX_ERR_NEXT;
        }
        f->result = status == ZX_OK ? -ABI_EXDEV : names_error(status);
    }
    if (f->result == 0) {
        struct second_request second = {
            .base = {.ask = ask_second, .here = second_here, .needs_name = true}, .first = f};
        f->first_must_go_on = false;
        f->result = names_request(f->to_dir, f->to, &second.base);
        if (f->first_must_go_on) {
            return ZX_ERR_NEXT;
        }
    }
    return ZX_OK;
}

static long first_result(struct names_request* base, const struct names_target*) {
    return ((struct first_request*)base)->result;
}

static long two_names(int from_dir, const char* from, int to_dir, const char* to,
                      two_names_fn act) {
    if (ends_in(from, ".") || ends_in(from, "..") || ends_in(to, ".") || ends_in(to, "..")) {
        return -ABI_EBUSY;
    }
    struct names_target t;
    long error = names_resolve(from_dir, from, false, &t);
    if (error != 0) {
        return error;
    }
    uint64_t device = t.device;
    names_target_end(&t);
    struct first_request r = {.base = {.ask = ask_first,
                                       .here = names_here_no_change,
                                       .done = first_result,
                                       .needs_name = true},
                              .act = act,
                              .to_dir = to_dir,
                              .to = to,
                              .device = device};
    return names_request(from_dir, from, &r.base);
}

long sys_renameat(int from_dir, const char* from, int to_dir, const char* to) {
    // Where the server can do it in no way, its caller can: by a copy.
    long result = two_names(from_dir, from, to_dir, to, io_rename);
    return result == -ABI_EOPNOTSUPP ? -ABI_EXDEV : result;
}

long sys_rename(const char* from, const char* to) {
    return sys_renameat(ABI_AT_FDCWD, from, ABI_AT_FDCWD, to);
}

long sys_linkat(int from_dir, const char* from, int to_dir, const char* to, int flags) {
    constexpr int known = ABI_AT_SYMLINK_FOLLOW;
    char followed[ABI_PATH_MAX];
    if ((flags & ~known) != 0) {
        return -ABI_EINVAL;
    }
    if ((flags & ABI_AT_SYMLINK_FOLLOW) != 0) {
        long error = names_canonical(from_dir, from, followed);
        if (error != 0) {
            return error;
        }
        from = followed;
    }
    long result = two_names(from_dir, from, to_dir, to, io_link);
    return result == -ABI_EISDIR ? -ABI_EPERM : result; // directories have one name
}

long sys_link(const char* from, const char* to) {
    return sys_linkat(ABI_AT_FDCWD, from, ABI_AT_FDCWD, to, 0);
}

// ---- attributes ----

struct change_request {
    struct names_request base;
    jacinth_io_flags_t flags;
    struct fd_change change;
};

static zx_status_t ask_change(struct names_request* base, zx_handle_t directory, const char* path,
                              size_t len) {
    struct change_request* r = (struct change_request*)base;
    const struct fd_change* c = &r->change;
    struct io_changes changes = {.mode = c->has_mode ? &c->mode : nullptr,
                                 .access_time = c->has_access ? &c->access_ns : nullptr,
                                 .modification_time =
                                     c->has_modification ? &c->modification_ns : nullptr};
    return io_change(directory, path, len, r->flags, &changes);
}

static long change_here(struct names_request* base, const struct names_target* t) {
    struct change_request* r = (struct change_request*)base;
    if (t->special == NAMES_DESCRIPTOR) {
        struct fd_object* found;
        if (fd_table_get_ref(fd_table(), t->number, &found) != 0) {
            return -ABI_ENOENT;
        }
        NAMES_REF o = found;
        return o->ops->change(o, &r->change);
    }
    // Devices have nobody to keep it.
    return t->kind == NAMES_SPECIAL ? 0 : names_here_no_change(base, t);
}

static long change_at(int dir, const char* path, const struct fd_change* change, bool follow) {
    struct change_request r = {.base = {.ask = ask_change, .here = change_here, .follows = follow},
                               .flags = follow ? 0 : JACINTH_IO_FLAGS_NO_FOLLOW,
                               .change = *change};
    return names_request(dir, path, &r.base);
}

long sys_fchmodat2(int dir, const char* path, unsigned mode, int flags) {
    constexpr int known = ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH;
    if ((flags & ~known) != 0) {
        return -ABI_EINVAL;
    }
    struct fd_change change = {.has_mode = true, .mode = mode & 07777};
    if ((flags & ABI_AT_EMPTY_PATH) != 0 && path[0] == 0) {
        return sys_fchmod(dir, mode);
    }
    return change_at(dir, path, &change, (flags & ABI_AT_SYMLINK_NOFOLLOW) == 0);
}

long sys_fchmodat(int dir, const char* path, unsigned mode) {
    return sys_fchmodat2(dir, path, mode, 0);
}

long sys_chmod(const char* path, unsigned mode) {
    return sys_fchmodat2(ABI_AT_FDCWD, path, mode, 0);
}

// There are no owners: every file is its user's, and stays so. It must be there.
long sys_fchownat(int dir, const char* path, unsigned, unsigned, int flags) {
    struct abi_stat s;
    return sys_newfstatat(dir, path, &s, flags);
}

long sys_chown(const char* path, unsigned uid, unsigned gid) {
    return sys_fchownat(ABI_AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(const char* path, unsigned uid, unsigned gid) {
    return sys_fchownat(ABI_AT_FDCWD, path, uid, gid, ABI_AT_SYMLINK_NOFOLLOW);
}

// ---- times ----

static int64_t ns_of(const struct abi_timespec* t) {
    constexpr int64_t second = 1'000'000'000;
    int64_t ns;
    bool over =
        __builtin_mul_overflow(t->sec, second, &ns) || __builtin_add_overflow(ns, t->nsec, &ns);
    return over ? (t->sec < 0 ? INT64_MIN : INT64_MAX) : ns;
}

// False: it is no time.
static bool read_time(const struct abi_timespec* t, const struct abi_timespec* now, bool* has,
                      int64_t* ns) {
    *has = t->nsec != ABI_UTIME_OMIT;
    bool is_now = t->nsec == ABI_UTIME_NOW;
    *ns = ns_of(is_now ? now : t);
    return !*has || is_now || (t->nsec >= 0 && t->nsec < 1'000'000'000);
}

long sys_utimensat(int dir, const char* path, const struct abi_timespec* times, int flags) {
    constexpr int known = ABI_AT_SYMLINK_NOFOLLOW | ABI_AT_EMPTY_PATH;
    struct abi_timespec now = {};
    struct fd_change change = {};
    (void)sys_clock_gettime(ABI_CLOCK_REALTIME, &now);
    const struct abi_timespec both[2] = {now, now};
    times = times != nullptr ? times : both;
    if ((flags & ~known) != 0 ||
        !read_time(&times[0], &now, &change.has_access, &change.access_ns) ||
        !read_time(&times[1], &now, &change.has_modification, &change.modification_ns)) {
        return -ABI_EINVAL;
    }
    if (path != nullptr && (path[0] != 0 || (flags & ABI_AT_EMPTY_PATH) == 0)) {
        return change_at(dir, path, &change, (flags & ABI_AT_SYMLINK_NOFOLLOW) == 0);
    }
    struct fd_object* found;
    long error = fd_table_get_ref(fd_table(), dir, &found);
    if (error != 0) {
        return error;
    }
    NAMES_REF o = found;
    return o->ops->change(o, &change);
}
