// A channel's other side, for tests: what was written last, and what will be answered.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

struct fake_written {
    uint32_t count; // of messages so far
    uint32_t len;
    uint32_t handle_count;
    alignas(8) uint8_t bytes[ZX_CHANNEL_MAX_MSG_BYTES];
    zx_handle_info_t handles[ZX_CHANNEL_MAX_MSG_HANDLES]; // of the last; the test's to close
};
extern struct fake_written fake_written;

// Forgets what was written; its handles are closed.
void fake_channel_reset(void);
// The result of the next writes and calls; not ZX_OK: nothing is written.
void fake_channel_refuse(zx_status_t status);
// What the next call is answered with: kept, not copied. The transaction id is put in.
void fake_channel_answer(void* bytes, uint32_t len, const zx_handle_info_t* handles,
                         uint32_t handle_count);
