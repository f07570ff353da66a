#include "fake_channel.h"

#include <stdlib.h>
#include <string.h>

#include <zircon/syscalls.h>

#include "fake_handles.h"

struct fake_written fake_written;

static struct {
    zx_status_t refuse;
    void* bytes;
    uint32_t len;
    const zx_handle_info_t* handles;
    uint32_t handle_count;
} next; // one thread

void fake_channel_reset(void) {
    for (uint32_t i = 0; i < fake_written.handle_count; i++) {
        (void)zx_handle_close(fake_written.handles[i].handle);
    }
    fake_written.count = fake_written.len = fake_written.handle_count = 0;
    next.refuse = ZX_OK;
    next.bytes = nullptr;
}

void fake_channel_refuse(zx_status_t status) {
    next.refuse = status;
}

void fake_channel_answer(void* bytes, uint32_t len, const zx_handle_info_t* handles,
                         uint32_t handle_count) {
    next.bytes = bytes;
    next.len = len;
    next.handles = handles;
    next.handle_count = handle_count;
}

zx_status_t zx_channel_write_etc(zx_handle_t, uint32_t, const void* bytes, uint32_t num_bytes,
                                 zx_handle_disposition_t* handles, uint32_t num_handles) {
    if (num_bytes > ZX_CHANNEL_MAX_MSG_BYTES || num_handles > ZX_CHANNEL_MAX_MSG_HANDLES) {
        abort();
    }
    for (uint32_t i = 0; i < fake_written.handle_count; i++) {
        (void)zx_handle_close(fake_written.handles[i].handle);
    }
    fake_written.handle_count = 0;
    for (uint32_t i = 0; i < num_handles; i++) {
        zx_rights_t rights = fake_handle_rights(handles[i].handle); // ends the test if it is none
        (void)zx_handle_close(handles[i].handle);
        if (next.refuse == ZX_OK) {
            fake_written.handles[fake_written.handle_count++] =
                fake_handle(handles[i].type, rights);
        }
    }
    if (next.refuse == ZX_OK) {
        memcpy(fake_written.bytes, bytes, num_bytes);
        fake_written.len = num_bytes;
        fake_written.count++;
    }
    return next.refuse;
}

zx_status_t zx_channel_call_etc(zx_handle_t handle, uint32_t, zx_time_t,
                                const zx_channel_call_etc_args_t* args, uint32_t* actual_bytes,
                                uint32_t* actual_handles) {
    zx_status_t status = zx_channel_write_etc(handle, 0, args->wr_bytes, args->wr_num_bytes,
                                              args->wr_handles, args->wr_num_handles);
    if (status != ZX_OK) {
        return status;
    }
    if (next.bytes == nullptr) {
        return ZX_ERR_PEER_CLOSED;
    }
    if (next.len > args->rd_num_bytes || next.handle_count > args->rd_num_handles) {
        return ZX_ERR_BUFFER_TOO_SMALL;
    }
    memcpy(args->rd_bytes, next.bytes, next.len);
    if (next.len >= 4) {
        memcpy(args->rd_bytes, fake_written.bytes, 4);
    }
    if (next.handle_count != 0) {
        memcpy(args->rd_handles, next.handles, next.handle_count * sizeof(*next.handles));
    }
    *actual_bytes = next.len;
    *actual_handles = next.handle_count;
    return ZX_OK;
}
