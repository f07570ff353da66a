// What mmap wants of descriptors.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

// The memory of the file behind a descriptor; the handle is the caller's. `access`: ABI_PROT_* bits
// that the handle must allow. 0, or an errno negated: -EBADF, -EACCES, -ENODEV if there is none.
// The fd module defines it where it keeps its table: a program without that has no descriptors.
[[nodiscard]] long fd_get_vmo(int fd, uint32_t access, zx_handle_t* out);
