// Any messages to the launcher service, over the fake kernel: none is read beyond its end, and no
// handle is lost, whatever came along.
//
// Input: pieces, each two bytes of length, one that says what handles come along, and the message.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <launchsvc/server.h>
#include <zircon/syscalls.h>

#include "sdk/lib/launcher/fake_kernel.h"

static void send(struct launchsvc_connection* c, const uint8_t* bytes, size_t len,
                 uint8_t handle_bits) {
    zx_handle_info_t handles[3];
    uint32_t count = handle_bits % 4;
    for (uint32_t i = 0; i < count; i++) {
        zx_handle_t handle = (handle_bits >> (2 + i) & 1) != 0 ? fake_job() : fake_vmo(bytes, len);
        handles[i] = (zx_handle_info_t){.handle = handle, .type = fake_type(handle)};
    }
    uint8_t* exact = malloc(len);
    memcpy(exact, bytes, len);
    struct launchsvc_reply reply;
    (void)launchsvc_handle(c, exact, len, handles, count, &reply);
    (void)zx_handle_close(reply.process);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    fake_reset();
    static const struct launch_vdso vdso = {}; // no file here gets as far as needing it
    struct launchsvc_connection* c = launchsvc_connection_new(&vdso);
    for (int messages = 0; len > 3 && messages < 16; messages++) {
        size_t part = data[0] | (size_t)data[1] << 8;
        uint8_t handle_bits = data[2];
        data += 3;
        len -= 3;
        part = part < len ? part : len;
        send(c, data, part, handle_bits);
        data += part;
        len -= part;
    }
    launchsvc_connection_free(c);
    if (fake_live_handles() != 0 || fake_live_processes() != 0) {
        abort();
    }
    return 0;
}
