// Memory of another process, read by threads that may be left behind: what a pager does not give is
// not waited for longer than READER_WAIT between begin and end. One process at a time, of one
// thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/time.h>
#include <zircon/types.h>

constexpr zx_duration_t READER_WAIT = ZX_SEC(3);

void reader_begin(zx_handle_t process); // stays the caller's
// As much as there is, from the beginning. After a pager that did not answer: nothing.
size_t reader_read(uint64_t at, void* to, size_t len);
// False: a pager did not answer.
bool reader_end(void);
