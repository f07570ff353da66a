// From a path to what can be launched: through "#!" lines, to a file with code in it.
#pragma once

#include <launcher/source.h>

#include "script.h"

struct image {
    struct launch_source source;
    char* const* argv; // as given; for a script what its interpreter gets
    const char* path;  // of what runs; for a script the interpreter
    // What the two above may point into: one piece for each "#!" line that was followed.
    void* memory[script_depth_max];
    int depth;
};

// 0, or an errno negated: ENOENT, EACCES, ENOEXEC, ELOOP, ENOMEM …, and there is nothing to close.
long image_open(const char* path, char* const* argv, struct image* out);
void image_close(struct image* image);

// For a program that names an interpreter: an absolute path, or the file of that name in /boot/lib
// or /lib (lib/ld.so.1).
long image_open_interpreter(const char* name, struct launch_source* out);
