// What the first instruction of the dynamic linker calls.
#pragma once

#include <zircon/types.h>

[[noreturn]] void __jx_dl_start(zx_handle_t bootstrap, const void* vdso);
