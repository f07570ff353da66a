// Between the parts of names: from a path to whom to ask.
#pragma once

#include <fd/device.h>
#include <fd/object.h>
#include <io/client.h>
#include <libc/lock.h>
#include <libc/operations.h>
#include <libc/process_view.h>
#include <names/namespace.h>

// ---- the namespace ----

// Scoped: the reference ends with the variable.
static inline void names_unref_cleanup(struct fd_object** o) {
    fd_object_unref(*o);
}
#define NAMES_REF [[gnu::cleanup(names_unref_cleanup)]] struct fd_object*

// Takes the startup handles. Once, before main().
void names_namespace_start(void);
// The directory at a prefix, as it is connected now.
struct fd_object* names_root_ref(size_t index);
// Asks for a new connection in place of `dead`; false: there is nobody to ask.
bool names_renew(size_t index, struct fd_object* dead);
// What stat() calls the device: the prefixes count from 2.
static inline uint64_t names_device(size_t index) {
    return index + 2;
}

// ---- the working directory ----

struct names_place {
    struct libc_lock lock;
    struct fd_object* directory; // with a reference; under the lock; never null
    // Where the process was started, until somebody asks: then it is opened. Under the lock; null:
    // `directory` is the place.
    const char* unopened;
};

struct fd_object* names_place_ref(void);
// Of any kind of directory: its absolute path; null: unknown, or no directory.
const char* names_path_of(struct fd_object* o);
bool names_is_directory(struct fd_object* o);

// A directory that exists only because prefixes lie below it; "/" is one. NAMES_NOWHERE: one that
// was removed, with no path.
constexpr char NAMES_NOWHERE[] = "";
long names_made_up_new(const char* path, uint32_t flags, struct fd_object** out);
const char* names_made_up_path(struct fd_object* o); // null: another kind, or nowhere
void names_made_up_stat(const char* path, struct abi_stat* out);

// ---- names that mean something to the library ----

enum names_special : uint32_t {
    NAMES_NOTHING,
    NAMES_DEVICE,     // /dev/null and the like: `number` is enum fd_device
    NAMES_TERMINAL,   // /dev/tty, while a standard descriptor is a terminal: `number`
    NAMES_DESCRIPTOR, // /dev/fd/N, /proc/self/fd/N, /dev/stdin …: `number`
    NAMES_PROGRAM,    // /proc/self/exe
};
enum names_special names_find_special(const char* normalised, int* number);
// Where the running program came from; null: unknown.
const char* names_program_path(void);

// ---- resolving ----

enum names_kind : uint32_t {
    NAMES_SERVER,  // `directory` is asked for `path`
    NAMES_MADE_UP, // a directory that nobody serves: `path` is absolute
    NAMES_MISSING, // below such a directory there is no such name
    NAMES_SPECIAL,
};

struct names_target {
    enum names_kind kind;
    struct fd_object* directory; // with a reference, or null
    zx_handle_t connection;      // the directory's
    uint64_t device;             // of the directory; 0: nobody knows
    bool is_prefix;              // `directory` is the namespace's, so it can be renewed
    bool is_working;             // it is the working directory's
    bool is_directory;           // the path asks for one
    enum names_special special;
    int number;
    char path[ABI_PATH_MAX];
};

// `by_text`: not by the connection of the directory, which is dead.
long names_resolve(int dir, const char* path, bool by_text, struct names_target* out);
void names_target_end(struct names_target* t);
// The absolute path as far as it is known; "": it is not.
void names_target_text(const struct names_target* t, char out[ABI_PATH_MAX]);

// ---- requests ----

// One request about one path. Embedded in what the operation needs.
struct names_request {
    // To a server. OK with `has_rest`: a link leads out, go on with `rest`.
    zx_status_t (*ask)(struct names_request* r, zx_handle_t directory, const char* path,
                       size_t len);
    // For all other targets: the result of the operation.
    long (*here)(struct names_request* r, const struct names_target* t);
    // After `ask` was OK, with the target that was asked; null: nothing to do.
    long (*done)(struct names_request* r, const struct names_target* t);
    bool follows;      // a link at the end of the path
    bool sees_program; // /proc/self/exe is the link, not what it leads to
    bool needs_name;   // the prefix itself is not to be touched: EBUSY
    bool has_rest;
    struct io_path* rest; // where `ask` puts it
};
long names_request(int dir, const char* path, struct names_request* r);

// What requests answer where nobody serves: those that take a name away or change what is there,
// and those that make one.
long names_here_no_change(struct names_request* r, const struct names_target* t);
long names_here_no_create(struct names_request* r, const struct names_target* t);

// Opens what an open() would, into an object.
long names_open(int dir, const char* path, int flags, uint32_t mode, struct fd_object** out);
// stat(), or lstat() without `follow`.
long names_stat(int dir, const char* path, bool follow, struct abi_stat* out);

long names_error(zx_status_t status);
