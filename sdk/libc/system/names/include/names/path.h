// Paths as text: which directory of the namespace a path belongs to, and what is left of it. No
// system call, no allocation.
//
// "." and doubled slashes disappear. ".." stays in what is left for a server, which alone knows
// where its symbolic links lead, unless it leaves the server's tree: then it is taken on the text.
#pragma once

#include <stddef.h>

#include <libc/abi.h>

// Absolute paths of directories that are somebody's: no slash at the end; the root is "".
struct path_prefixes {
    const char* const* text;
    size_t count;
};

struct path_split {
    // Of the prefix that takes the path; -1: none does.
    long prefix;
    // With a prefix: what is left, "" for the prefix itself. Without: the directory that exists
    // only because prefixes lie below it, "" for the root.
    char path[ABI_PATH_MAX];
    // Without a prefix: how many components there are behind that directory (which has no such
    // names).
    unsigned missing;
    // It must be a directory: a slash, "." or ".." is at the end.
    bool is_directory;
};

// `absolute` begins with a slash. 0, or -ABI_ENAMETOOLONG.
long path_split(const struct path_prefixes* prefixes, const char* absolute, struct path_split* out);

// Cleans a relative path for a server. 1: it is in `out`; 0: it leaves the directory by "..", so
// only the text of the directory can tell; -ABI_ENAMETOOLONG.
long path_clean(const char* relative, char out[ABI_PATH_MAX]);
bool path_asks_for_directory(const char* path);

// Whether path_normalise() would leave it as it is. (It may say no of one that it would.)
bool path_is_normal(const char* absolute);
// Takes "." and ".." on the text alone; the result begins with a slash and has none at its end but
// in "/". 0, or -ABI_ENAMETOOLONG.
long path_normalise(const char* absolute, char out[ABI_PATH_MAX]);

// directory + "/" + relative. 0, or -ABI_ENAMETOOLONG.
long path_join(const char* directory, const char* relative, char* out, size_t size);

// Whether a path lies in a directory, or is it. Both are absolute and normalised.
bool path_is_within(const char* path, const char* directory);
// What lies behind the directory, without slashes at its begin: a pointer into `path`.
const char* path_below(const char* path, const char* directory);
