// What /proc/self/exe leads to.

#include "names_priv.h"

// Weak: a program that neither starts others nor knows who started it has no record of itself.
[[gnu::weak]] const char* spawn_program_path(void);

const char* names_program_path(void) {
    return spawn_program_path != nullptr ? spawn_program_path() : nullptr;
}
