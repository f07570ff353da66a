// The working directory, and paths without links.
//
// It is an object like any open directory, whose path is kept without symbolic links: so that
// getcwd() says where a program really is, and ".." across the borders of servers is right on the
// text.

#include <stdlib.h>
#include <string.h>

#include <fd/directory.h>
#include <fd/table.h>
#include <fd/terminal.h>
#include <jacinth/startup.h>
#include <spawn/inherit.h>
#include <zircon/syscalls.h>

#include "names_priv.h"

// ---- the place of a view ----

constexpr int OPEN_DIRECTORY = ABI_O_RDONLY | ABI_O_DIRECTORY;

// The reference passes over. `only_if`: what `unopened` must still be; null: whatever it is.
static void put(struct names_place* p, struct fd_object* directory, const char* only_if) {
    libc_lock_acquire(&p->lock);
    struct fd_object* old = directory;
    if (only_if == nullptr || p->unopened == only_if) {
        old = p->directory;
        p->directory = directory;
        p->unopened = nullptr;
    }
    libc_lock_release(&p->lock);
    fd_object_unref(old);
}

static void set_place(struct fd_object* directory) {
    put(process_view()->place, directory, nullptr);
}

// A directory that is gone leaves the program nowhere, which is where it is already. Several
// threads may open it at once; one of them puts it there.
static void open_first(struct names_place* p, const char* path) {
    struct fd_object* o;
    if (names_open(ABI_AT_FDCWD, path, OPEN_DIRECTORY, 0, &o) != 0) {
        libc_lock_acquire(&p->lock);
        o = p->directory;
        fd_object_ref(o);
        libc_lock_release(&p->lock);
    }
    put(p, o, path);
}

struct fd_object* names_place_ref(void) {
    struct names_place* p = process_view()->place;
    for (;;) {
        libc_lock_acquire(&p->lock);
        const char* unopened = p->unopened;
        struct fd_object* o = p->directory;
        if (unopened == nullptr) {
            fd_object_ref(o);
        }
        libc_lock_release(&p->lock);
        if (unopened == nullptr) {
            return o;
        }
        open_first(p, unopened);
    }
}

// ---- without links ----

struct canonical {
    char* out;                   // what is known; "" is the root
    char rest[2 * ABI_PATH_MAX]; // what is left to look at
    unsigned links;
};

// The first component of `rest` moves to `name`; false: none is left.
static bool take_component(struct canonical* c, char name[ABI_NAME_MAX + 1], long* error) {
    size_t at = 0;
    size_t len = 0;
    while (c->rest[at] == '/') {
        at++;
    }
    while (c->rest[at + len] != 0 && c->rest[at + len] != '/') {
        len++;
    }
    *error = len > ABI_NAME_MAX ? -ABI_ENAMETOOLONG : 0;
    if (len == 0 || *error != 0) {
        return false;
    }
    memcpy(name, c->rest + at, len);
    name[len] = 0;
    memmove(c->rest, c->rest + at + len, strlen(c->rest + at + len) + 1);
    return true;
}

static void cut_last(char* path) {
    char* slash = strrchr(path, '/');
    if (slash != nullptr) {
        *slash = 0;
    }
}

// `out` names a link with this text.
static long follow(struct canonical* c, const char* text) {
    constexpr unsigned most = 40;
    char joined[2 * ABI_PATH_MAX];
    if (++c->links > most) {
        return -ABI_ELOOP;
    }
    long error = path_join(text, c->rest, joined, sizeof(joined));
    if (error != 0) {
        return error;
    }
    memcpy(c->rest, joined, strlen(joined) + 1);
    if (text[0] == '/') {
        c->out[0] = 0;
    } else {
        cut_last(c->out);
    }
    return 0;
}

static long add_component(struct canonical* c, const char* name) {
    size_t len = strlen(c->out);
    if (len + 1 + strlen(name) >= ABI_PATH_MAX) {
        return -ABI_ENAMETOOLONG;
    }
    c->out[len] = '/';
    memcpy(c->out + len + 1, name, strlen(name) + 1);
    char text[ABI_PATH_MAX];
    long got = sys_readlinkat(ABI_AT_FDCWD, c->out, text, sizeof(text) - 1);
    if (got == -ABI_EINVAL) {
        return 0; // no link
    }
    if (got < 0) {
        return got;
    }
    text[got] = 0;
    return follow(c, text);
}

static long walk(struct canonical* c) {
    char name[ABI_NAME_MAX + 1];
    long error;
    while (take_component(c, name, &error)) {
        if (strcmp(name, "..") == 0) {
            cut_last(c->out);
        } else if (strcmp(name, ".") != 0) {
            error = add_component(c, name);
        }
        if (error != 0) {
            return error;
        }
    }
    return error;
}

// Where a relative path begins.
static long begin_of(int dir, char* out, size_t size) {
    NAMES_REF o = nullptr;
    if (dir == ABI_AT_FDCWD) {
        o = names_place_ref();
    } else {
        long error = fd_table_get_ref(fd_table(), dir, &o);
        if (error != 0) {
            return error;
        }
    }
    const char* path = names_path_of(o);
    if (path == nullptr || strlen(path) >= size) {
        return path != nullptr ? -ABI_ENAMETOOLONG : -ABI_ENOENT;
    }
    memcpy(out, path, strlen(path) + 1);
    return 0;
}

long names_canonical(int dir, const char* path, char out[ABI_PATH_MAX]) {
    struct canonical c = {.out = out};
    char begin[ABI_PATH_MAX] = "";
    if (path[0] == 0) {
        return -ABI_ENOENT;
    }
    if (strnlen(path, ABI_PATH_MAX) == ABI_PATH_MAX) {
        return -ABI_ENAMETOOLONG;
    }
    long error = path[0] != '/' ? begin_of(dir, begin, sizeof(begin)) : 0;
    if (error == 0) {
        error = path_join(begin, path, c.rest, sizeof(c.rest));
    }
    out[0] = 0;
    if (error == 0) {
        error = walk(&c);
    }
    if (error == 0 && out[0] == 0) {
        memcpy(out, "/", 2);
    }
    return error;
}

// ---- operations ----

// Where the path to here is not known any more (the directory that the parent has left us is gone,
// or was never named), the directory itself leads on.
static long open_place(const char* path, struct fd_object** out) {
    char canonical[ABI_PATH_MAX];
    long error = names_canonical(ABI_AT_FDCWD, path, canonical);
    if (error != 0 && (path[0] == '/' || error != -ABI_ENOENT)) {
        return error;
    }
    return names_open(ABI_AT_FDCWD, error == 0 ? canonical : path, OPEN_DIRECTORY, 0, out);
}

long sys_chdir(const char* path) {
    struct fd_object* o;
    long error = open_place(path, &o);
    if (error == 0) {
        set_place(o);
    }
    return error;
}

// An open description for itself: the working directory has no position that listings move.
long sys_fchdir(int fd) {
    struct fd_object* found;
    long error = fd_table_get_ref(fd_table(), fd, &found);
    if (error != 0) {
        return error;
    }
    if (!names_is_directory(found)) {
        fd_object_unref(found);
        return -ABI_ENOTDIR;
    }
    char canonical[ABI_PATH_MAX];
    const char* path = names_path_of(found);
    struct fd_object* o;
    if (path != nullptr && names_canonical(ABI_AT_FDCWD, path, canonical) == 0 &&
        names_open(ABI_AT_FDCWD, canonical, OPEN_DIRECTORY, 0, &o) == 0) {
        struct abi_stat there;
        struct abi_stat here;
        bool same = o->ops->stat(o, &there) == 0 && found->ops->stat(found, &here) == 0 &&
                    there.ino == here.ino;
        if (same) {
            fd_object_unref(found);
            found = o;
        } else { // it was renamed since
            fd_object_unref(o);
        }
    }
    set_place(found);
    return 0;
}

long sys_getcwd(char* buffer, size_t size) {
    NAMES_REF o = names_place_ref();
    const char* path = names_path_of(o);
    struct abi_stat s;
    // A directory that was removed has no name any more. (Of a server that died nobody can tell.)
    if (path == nullptr || (o->ops->stat(o, &s) == 0 && s.nlink == 0)) {
        return -ABI_ENOENT;
    }
    size_t len = strlen(path) + 1;
    if (len > size) {
        return -ABI_ERANGE;
    }
    memcpy(buffer, path, len);
    return (long)len;
}

// ---- children, and the start ----

static const char* unopened_path(void) {
    struct names_place* p = process_view()->place;
    libc_lock_acquire(&p->lock);
    const char* unopened = p->unopened;
    libc_lock_release(&p->lock);
    return unopened;
}

// Whether the path of a directory leads to it, or may do so when its server answers again.
static bool leads_to(const char* path, struct fd_object* o) {
    struct abi_stat here;
    struct abi_stat there;
    if (names_made_up_path(o) != nullptr || o->ops->stat(o, &here) != 0) {
        return true;
    }
    long error = names_stat(ABI_AT_FDCWD, path, true, &there);
    return error == 0 ? there.ino == here.ino : error != -ABI_ENOENT && error != -ABI_ENOTDIR;
}

long names_cwd_for_child(char* out, size_t size, zx_handle_t* directory) {
    constexpr size_t key = sizeof(NAMES_CWD_KEY) - 1;
    *directory = ZX_HANDLE_INVALID;
    if (size <= key) {
        return -ABI_ENAMETOOLONG;
    }
    memcpy(out, NAMES_CWD_KEY, key + 1);
    const char* path = unopened_path(); // nor need this process open it
    NAMES_REF o = nullptr;
    if (path == nullptr) {
        o = names_place_ref();
        path = names_path_of(o);
        path = path != nullptr && leads_to(path, o) ? path : nullptr;
    }
    if (path == nullptr) { // it was removed or renamed
        struct fd_handles handles = {};
        if (o->ops->clone(o, &handles) == 0 && handles.count == 1) {
            *directory = handles.handle[0];
        }
        return 0;
    }
    size_t len = strlen(path) + 1;
    if (len > size - key) {
        return -ABI_ENAMETOOLONG;
    }
    memcpy(out + key, path, len);
    return 0;
}

// The path, "" of a directory that has none, and the number of the name.
static const char* inherited_path(uint32_t* index) {
    constexpr size_t key = sizeof(NAMES_CWD_KEY) - 1;
    const char* name;
    for (*index = 0; (name = zx_startup_name(*index)) != nullptr; ++*index) {
        if (strncmp(name, NAMES_CWD_KEY, key) == 0 && (name[key] == '/' || name[key] == 0)) {
            return name + key;
        }
    }
    return "/";
}

[[noreturn]] static void fail_start(void) {
    static constexpr char line[] = "start-up failed: no memory for the namespace\n";
    (void)zx_debug_write(line, sizeof(line) - 1);
    zx_process_exit(-126); // as any other failure of a start
    __builtin_trap();
}

// A path is a promise: most programs never ask where they are. Until it is kept, and if it cannot
// be, the place is nowhere: never another directory. (The root is always there.)
// Not analysed: there is one thread yet.
[[clang::no_thread_safety_analysis]] static void set_first(struct names_place* p) {
    uint32_t index;
    const char* path = inherited_path(&index);
    zx_handle_t given = ZX_HANDLE_INVALID;
    if (path[0] == 0) {
        given = zx_take_startup_handle(PA_HND(PA_NS_DIR, index));
    } else {
        p->unopened = path;
    }
    long error = given != ZX_HANDLE_INVALID
                     ? fd_directory_new(given, 0, nullptr, OPEN_DIRECTORY, &p->directory)
                     : names_made_up_new(strcmp(path, "/") == 0 ? "/" : NAMES_NOWHERE,
                                         OPEN_DIRECTORY, &p->directory);
    if (error != 0) {
        fail_start();
    }
}

static zx_status_t reopen_terminal(zx_handle_t* connection, zx_handle_t* events) {
    static const char path[] = "/dev/console";
    struct names_target t;
    if (names_resolve(ABI_AT_FDCWD, path, false, &t) != 0) {
        return ZX_ERR_NOT_FOUND;
    }
    struct io_opened opened;
    zx_status_t status = ZX_ERR_NOT_FOUND;
    if (t.kind == NAMES_SERVER) {
        status = io_open(t.connection, t.path, strlen(t.path),
                         JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE, 0, &opened, nullptr);
    }
    names_target_end(&t);
    if (status != ZX_OK) {
        return status;
    }
    if (opened.kind != JACINTH_IO_KIND_TERMINAL) {
        io_opened_close(&opened);
        return ZX_ERR_WRONG_TYPE;
    }
    *connection = opened.connection;
    *events = opened.events;
    return ZX_OK;
}

static void start(struct process_view* view) {
    static struct names_place first;
    view->umask = spawn_inherited()->umask;
    set_first(&first); // its handle is none of the namespace's
    names_namespace_start();
    fd_terminal_set_reopen(reopen_terminal);
    view->place = &first;
}

static bool copy(const struct process_view* from, struct process_view* to) {
    struct names_place* p = calloc(1, sizeof(*p));
    if (p == nullptr) {
        return false;
    }
    libc_lock_acquire(&from->place->lock);
    p->directory = from->place->directory;
    p->unopened = from->place->unopened;
    fd_object_ref(p->directory);
    libc_lock_release(&from->place->lock);
    to->place = p;
    return true;
}

static void end(struct process_view* view) {
    if (view->place != nullptr) {
        fd_object_unref(view->place->directory);
        free(view->place); // never the first: the process ends with it
    }
}

const struct process_view_part names_view_part = {.start = start, .copy = copy, .end = end};
