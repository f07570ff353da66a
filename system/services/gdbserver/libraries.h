// What the dynamic linker has loaded into the program, as it tells debuggers: a list in the
// program's memory, to which a property of the process leads. Nothing in it is believed.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "target.h"

// Where the program's image begins, and the linker's; 0: it has not told yet, or there is none.
uint64_t libraries_program(struct target* t);
uint64_t libraries_linker(struct target* t);

// For gdb (qXfer:libraries-svr4:read), with a terminator: all but the program itself, and the vDSO,
// which every program has. The length.
constexpr size_t libraries_xml_max = 16384;
size_t libraries_describe(struct target* t, char out[libraries_xml_max]);
