// Any messages to the launcher service, over the fake kernel: none is read beyond its end, and no
// handle is lost, whatever came along.
//
// Input: pieces, each two bytes of length, one that says what handles come along, and the message.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <launchsvc/server.h>
#include <zircon/rights.h>
#include <zircon/syscalls.h>

#include "sdk/lib/launcher/fake_kernel.h"

static void send(struct launchsvc_connection* c, const uint8_t* bytes, size_t len,
                 uint8_t handle_bits) {
    zx_handle_info_t handles[3];
    uint32_t count = handle_bits % 4;
    for (uint32_t i = 0; i < count; i++) {
        zx_handle_t handle = (handle_bits >> (2 + i) & 1) != 0 ? fake_job() : fake_vmo(bytes, len);
        handles[i] = (zx_handle_info_t){
            .handle = handle, .type = fake_type(handle), .rights = ZX_RIGHT_SAME_RIGHTS - 1};
    }
    uint8_t* exact = malloc(len);
    memcpy(exact, bytes, len);
    struct fidl_message message = {
        .bytes = exact, .len = len, .handles = handles, .handle_count = count};
    static alignas(8) uint8_t answer[1024];
    (void)launchsvc_handle(c, &message, (struct fidl_storage){answer, sizeof(answer)});
    free(exact);
}

static struct launchsvc_work* works[16];
static size_t work_count;

static zx_status_t take_work(struct launchsvc_service*, struct launchsvc_work* work) {
    if (work_count == sizeof(works) / sizeof(works[0])) {
        return ZX_ERR_NO_RESOURCES;
    }
    works[work_count++] = work;
    return ZX_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    fake_reset();
    static const struct launch_vdso vdso = {}; // no file here gets as far as needing it
    static struct launchsvc_service service = {.vdso = &vdso, .begin = take_work};
    zx_handle_t channel = fake_channel();
    struct launchsvc_connection* c = launchsvc_connection_new(&service, channel, nullptr);
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
    launchsvc_connection_end(c);
    (void)zx_handle_close(channel);
    for (size_t i = 0; i < work_count; i++) {
        static alignas(8) uint8_t answer[1024];
        void* owner;
        launchsvc_work_run(works[i]);
        (void)launchsvc_work_finish(works[i], (struct fidl_storage){answer, sizeof(answer)},
                                    &owner);
    }
    work_count = 0;
    if (fake_live_handles() != 0 || fake_live_processes() != 0) {
        abort();
    }
    return 0;
}
