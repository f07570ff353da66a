// Address regions of a process besides its root: mappings in them can be changed only through them.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

// The region of the program that the dynamic linker has mapped, [base, end). The handle stays open
// as long as the process lives. Called once, before there is a second thread.
void memory_set_program_region(zx_handle_t region, uintptr_t base, uintptr_t end);
