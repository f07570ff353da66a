// What a program finds when main() begins: its handles, by the PA_HND word they came under.
#pragma once

#include <stdint.h>

#include <zircon/processargs.h>
#include <zircon/types.h>

// Takes the handle that came under this word (PA_HND(type, arg)): the caller owns it from now on.
// ZX_HANDLE_INVALID: there is none, or it was taken.
zx_handle_t zx_take_startup_handle(uint32_t info);
// Puts a handle back under the word it came under (which must have been among the startup handles),
// for another part of the program to take.
void zx_put_startup_handle(uint32_t info, zx_handle_t handle);
// The string that a PA_NS_DIR entry's argument refers to; null: there is none.
const char* zx_startup_name(uint32_t index);

// The process's own handles; they stay the runtime's.
zx_handle_t zx_process_self(void);
zx_handle_t zx_thread_self(void);
zx_handle_t zx_vmar_root_self(void);
zx_handle_t zx_job_default(void);
// The vDSO's image, for those who start other processes.
zx_handle_t zx_vmo_vdso(void);
