// Directories that nobody serves: the root, unless it is in the namespace, and whatever lies on the
// way from there to a prefix. They hold the names that lead on.

#include <string.h>

#include <fd/directory.h>
#include <libc/early.h>
#include <zircon/syscalls.h>

#include "names_priv.h"

struct made_up {
    struct fd_object base;
    _Atomic(int64_t) position; // of the entry that a listing gives next
    char path[];               // absolute and normalised, or NAMES_NOWHERE; immutable
};

static struct made_up* made_up_of(struct fd_object* o) {
    return (struct made_up*)o;
}

// ---- what is in it ----

struct name {
    const char* text;
    size_t len;
};

// The name by which prefix i lies in the directory; false: it does not.
static bool child_of_prefix(size_t i, const char* directory, struct name* out) {
    const char* prefix = names_prefixes()->text[i];
    if (!path_is_within(prefix, directory)) {
        return false;
    }
    const char* below = path_below(prefix, directory);
    const char* slash = strchr(below, '/');
    *out = (struct name){below, slash != nullptr ? (size_t)(slash - below) : strlen(below)};
    return out->len != 0;
}

static bool same(struct name a, struct name b) {
    return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

// Several prefixes may lie behind one name.
static bool is_first(size_t i, const char* directory, struct name name) {
    struct name other;
    for (size_t k = 0; k < i; k++) {
        if (child_of_prefix(k, directory, &other) && same(name, other)) {
            return false;
        }
    }
    return true;
}

static uint64_t inode_of(const char* text, size_t len) {
    uint64_t hash = 0xcbf29ce484222325; // FNV-1a, so that a path keeps its number
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3;
    }
    return hash | 1;
}

// Entry `position`; false: there are no more.
static bool entry_at(const char* directory, int64_t position, struct name* out) {
    if (position < 2) {
        *out = (struct name){"..", (size_t)position + 1};
        return true;
    }
    int64_t n = 2;
    for (size_t i = 0; i < names_prefixes()->count; i++) {
        if (child_of_prefix(i, directory, out) && is_first(i, directory, *out) && n++ == position) {
            return true;
        }
    }
    return false;
}

static long made_up_entries(struct fd_object* o, void* buffer, size_t len) {
    struct made_up* m = made_up_of(o);
    size_t done = 0;
    struct name name;
    int64_t at = m->position;
    while (entry_at(m->path, at, &name)) {
        size_t size = fd_put_entry((char*)buffer + done, len - done, inode_of(name.text, name.len),
                                   at + 1, ABI_DT_DIR, name.text, name.len);
        if (size == 0) {
            break;
        }
        done += size;
        at++;
    }
    bool more = done == 0 && entry_at(m->path, at, &name);
    m->position = at;
    return more ? -ABI_EINVAL : (long)done;
}

static long made_up_seek(struct fd_object* o, int64_t offset, int whence) {
    struct made_up* m = made_up_of(o);
    if (whence == ABI_SEEK_CUR && offset == 0) {
        return m->position;
    }
    if (whence != ABI_SEEK_SET || offset < 0) {
        return -ABI_EINVAL;
    }
    m->position = offset;
    return offset;
}

// ---- the rest ----

static long made_up_read(struct fd_object*, const struct fd_io*, uint64_t) {
    return -ABI_EISDIR;
}

void names_made_up_stat(const char* path, struct abi_stat* out) {
    *out = (struct abi_stat){.dev = 1,
                             .ino = inode_of(path, strlen(path)),
                             .nlink = 2,
                             .mode = ABI_S_IFDIR | 0555,
                             .blksize = 4096};
}

static long made_up_stat(struct fd_object* o, struct abi_stat* out) {
    names_made_up_stat(made_up_of(o)->path, out);
    out->nlink = names_made_up_path(o) != nullptr ? out->nlink : 0;
    return 0;
}

static long made_up_change(struct fd_object*, const struct fd_change*) {
    return -ABI_EROFS;
}

static long made_up_sync(struct fd_object*) {
    return 0;
}

// It is made of the namespace, which a child has, too: what travels is an empty hand.
static long made_up_clone(struct fd_object*, struct fd_handles* out) {
    *out = (struct fd_handles){};
    return 0;
}

static void made_up_close(struct fd_object* o) {
    early_free(o);
}

static const struct fd_ops made_up_ops = {
    .read = made_up_read,
    .write = fd_no_write,
    .seek = made_up_seek,
    .stat = made_up_stat,
    .statfs = fd_no_statfs,
    .change = made_up_change,
    .resize = fd_no_resize,
    .sync = made_up_sync,
    .control = fd_no_control,
    .entries = made_up_entries,
    .get_vmo = fd_no_vmo,
    .wait_on = fd_always_ready,
    .ready = fd_no_signals,
    .set_append = fd_append_is_a_flag,
    .clone = made_up_clone,
    .close = made_up_close,
};

long names_made_up_new(const char* path, uint32_t flags, struct fd_object** out) {
    size_t len = strlen(path);
    struct made_up* m = early_alloc(sizeof(*m) + len + 1);
    if (m == nullptr) {
        return -ABI_ENOMEM;
    }
    fd_object_init(&m->base, &made_up_ops, flags);
    memcpy(m->path, path, len + 1);
    *out = &m->base;
    return 0;
}

const char* names_made_up_path(struct fd_object* o) {
    return o->ops == &made_up_ops && made_up_of(o)->path[0] != 0 ? made_up_of(o)->path : nullptr;
}
