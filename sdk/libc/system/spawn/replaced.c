#include "replaced.h"

#include <stdint.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

constexpr uint64_t tag = 0x6465'6361'6c70'6572; // "replaced"

struct replaced_message {
    uint64_t tag, heard;
};

bool replaced_send(zx_handle_t channel, zx_handle_t process, zx_handle_t signals, uint64_t heard) {
    const struct replaced_message message = {tag, heard};
    zx_handle_t handles[] = {process, signals};
    return zx_channel_write(channel, ZX_CHANNEL_WRITE_MAY_REFUSE, &message, sizeof(message),
                            handles, 2) == ZX_OK;
}

static bool is_good(zx_handle_t handle, zx_obj_type_t type, zx_rights_t needed) {
    zx_info_handle_basic_t info;
    return zx_object_get_info(handle, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr,
                              nullptr) == ZX_OK &&
           info.type == type && (info.rights & needed) == needed;
}

// A child may write what it likes: other messages go, with what is in them.
bool replaced_receive(zx_handle_t channel, zx_handle_t* process, zx_handle_t* signals,
                      uint64_t* heard) {
    for (;;) {
        struct replaced_message got = {};
        zx_handle_t handles[2] = {};
        uint32_t bytes = 0;
        uint32_t count = 0;
        zx_status_t status = zx_channel_read(channel, ZX_CHANNEL_READ_MAY_DISCARD, &got, handles,
                                             sizeof(got), 2, &bytes, &count);
        if (status != ZX_OK && status != ZX_ERR_BUFFER_TOO_SMALL) {
            return false;
        }
        if (status == ZX_OK && bytes == sizeof(got) && got.tag == tag && count == 2 &&
            is_good(handles[0], ZX_OBJ_TYPE_PROCESS,
                    ZX_RIGHT_WAIT | ZX_RIGHT_INSPECT | ZX_RIGHT_DUPLICATE | ZX_RIGHT_DESTROY) &&
            is_good(handles[1], ZX_OBJ_TYPE_CHANNEL,
                    ZX_RIGHT_WAIT | ZX_RIGHT_READ | ZX_RIGHT_WRITE)) {
            *process = handles[0];
            *signals = handles[1];
            *heard = got.heard;
            return true;
        }
        (void)zx_handle_close_many(handles, status == ZX_OK ? count : 0);
    }
}
