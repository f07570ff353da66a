// Memory of a crashed program, read by threads that may be left behind: what a pager does not give
// is not waited for longer than READER_WAIT in one report. One report at a time, of one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/time.h>
#include <zircon/types.h>

constexpr zx_duration_t READER_WAIT = ZX_SEC(3);

void reader_begin(zx_handle_t process); // stays the caller's
// A backtrace_read_fn. TIMED_OUT: the pager has not answered, and nothing more is read in this
// report. `to` is written before it returns, or not at all.
zx_status_t reader_read(void* ctx, uint64_t at, void* to, size_t len, size_t* got);
// False: something could not be read because of a pager.
bool reader_end(void);
