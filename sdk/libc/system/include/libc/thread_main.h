// For the code that starts the process.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

struct thread_record;

// The first thread's record, before there is a thread control block. `frame`: an address in its
// stack.
struct thread_record* thread_main_record(zx_handle_t thread, uintptr_t frame);
