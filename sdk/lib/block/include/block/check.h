// Whether a request may be carried out at all. Pure.
#pragma once

#include <block/request.h>
#include <fidl/jacinth.block.h>

// A VMO as a request sees it.
struct block_window {
    uint64_t size; // bytes
    zx_rights_t rights;
};

// `window` is null if there is no such VMO. OK: the request lies inside the device and the VMO, no
// sum overflows, and everything that it does not use is 0.
//   INVALID_ARGS   flags, a length of 0, something that must be 0
//   NOT_SUPPORTED  an opcode that does not exist, or not here
//   OUT_OF_RANGE   too long, or beyond the end of the device or of the VMO
//   NOT_FOUND      no such VMO
//   ACCESS_DENIED  the VMO's handle lacks the right, or the device is read-only
zx_status_t block_request_check(const struct jacinth_block_info* info,
                                const struct block_request* request,
                                const struct block_window* window);
