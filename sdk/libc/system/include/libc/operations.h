// The functions that carry operations out, one for each line of operations.def: `long sys_NAME`.
//
// musl calls them by words (sdk/libc/overlay/arch/x86_64/syscall_arch.h), the modules of the system
// layer by these prototypes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <libc/abi.h>

#define OPERATION(name, words, ...) long sys_##name(__VA_ARGS__);
#include <libc/operations.def>
#undef OPERATION
