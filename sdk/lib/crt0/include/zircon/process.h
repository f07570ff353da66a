// The process that runs: its own handles, and those that it was started with.
#pragma once

#include <stdint.h>
#include <zircon/compiler.h>
#include <zircon/types.h>

__BEGIN_CDECLS

// Takes the handle that came under this word (PA_HND(type, arg)): the caller owns it from now on.
// ZX_HANDLE_INVALID: there is none, or it was taken.
zx_handle_t zx_take_startup_handle(uint32_t info);

// The process's own handles; they stay the runtime's.
zx_handle_t zx_process_self(void);
zx_handle_t zx_thread_self(void); // of the first thread
zx_handle_t zx_vmar_root_self(void);
zx_handle_t zx_job_default(void);

__END_CDECLS
