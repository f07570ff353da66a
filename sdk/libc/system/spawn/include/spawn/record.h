// What a child inherits besides handles: a text among the names of the bootstrap message, to which
// no PA_NS_DIR refers. Programs of other libraries do not notice it, and a program that got none
// (started by init, say) has the values of record_none.
//
// "jacinth.process ppid=1077 pgid=1077 sid=1077 pid=0 umask=12 blocked=0 ignored=1000 pending=0
// exe=/bin/ls" Octal for the mask of permissions, hexadecimal for signals, the path last. Unknown
// words are skipped. The reader trusts nothing: a number that is none leaves the value as it was.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct record {
    int pid; // 0: the process's koid. Else it replaced one by exec() and goes on under its number
    int ppid, pgid, sid; // 0: unknown
    uint32_t umask;
    uint64_t blocked, ignored, pending; // sets of signals
    const char* exe;                    // the program's path; null: unknown
};

constexpr struct record record_none = {.umask = 022};
constexpr size_t record_fixed_max = 256; // longest text without the path

// Writes the text; false: it does not fit.
bool record_write(const struct record* record, char* buffer, size_t len);
// True: `text` is one, *out has what it says. out->exe points into the text.
bool record_read(const char* text, struct record* out);
