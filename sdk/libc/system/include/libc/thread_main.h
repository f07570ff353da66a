// For the code that starts the process.
#pragma once

#include <zircon/types.h>

struct thread_record;

// The first thread's record, before there is a thread control block.
struct thread_record* thread_main_record(zx_handle_t thread);
