// What a program finds when main() begins: its handles, by the PA_HND word they came under. What
// Zircon's programs know of it is in <zircon/process.h>; the rest is ours.
#pragma once

#include <stdint.h>

#include <zircon/process.h>
#include <zircon/processargs.h>
#include <zircon/types.h>

// Takes the first handle that is left under any word of a type (PA_FD, PA_NS_DIR); *argument is the
// word's argument. ZX_HANDLE_INVALID: there is none left.
zx_handle_t zx_take_startup_handle_of_type(uint32_t type, uint32_t* argument);
// Puts a handle back under the word it came under (which must have been among the startup handles),
// for another part of the program to take.
void zx_put_startup_handle(uint32_t info, zx_handle_t handle);
// The string that a PA_NS_DIR entry's argument refers to; null: there is none.
const char* zx_startup_name(uint32_t index);

// The vDSO's image, for those who start other processes.
zx_handle_t zx_vmo_vdso(void);
