// Any bytes as any of the sample library's messages, with any handles: nothing is read beyond the
// end, no handle is lost, and what decodes without unknown members is its own one encoding.
//
// Input: one byte that chooses the type, one the number of handles, one their type; the message.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fidl/message.h>
#include <fidl/test.sample.h>
#include <zircon/rights.h>

#include "fake_handles.h"

static const struct fidl_type* const types[] = {
    &test_sample_everything_type, &test_sample_options_type, &test_sample_loose_type,
    &test_sample_choice_type,     &test_sample_node_type,    &test_sample_service_fetch_result_type,
};

static void check_again(const struct fidl_type* type, void* object, const uint8_t* want,
                        size_t len) {
    static uint8_t bytes[4096] __attribute__((aligned(8)));
    static zx_handle_disposition_t handles[64];
    struct fidl_encoder e = {bytes, sizeof(bytes), 0, handles, 64, 0};
    if (fidl_encode(&e, type, object) != FIDL_OK || e.len != len || memcmp(bytes, want, len) != 0) {
        abort();
    }
    for (uint32_t i = 0; i < e.handle_count; i++) {
        zx_handle_info_t moved = {.handle = e.handles[i].handle};
        struct fidl_message m = {.handles = &moved, .handle_count = 1};
        fidl_message_discard(&m);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    if (len < 3 || len > 4096) {
        return 0;
    }
    fake_handles_reset();
    const struct fidl_type* type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
    zx_handle_info_t handles[64];
    uint32_t count = data[1] % 64;
    static const zx_obj_type_t objects[] = {ZX_OBJ_TYPE_EVENT, ZX_OBJ_TYPE_VMO, ZX_OBJ_TYPE_JOB,
                                            ZX_OBJ_TYPE_CHANNEL};
    for (uint32_t i = 0; i < count; i++) {
        handles[i] = fake_handle(objects[(data[2] >> 2 * (i % 4)) % 4],
                                 ZX_RIGHT_READ | ZX_RIGHT_MAP | ZX_RIGHT_WAIT);
    }
    data += 3;
    len -= 3;
    struct fidl_message m = {
        .bytes = malloc(len), .len = len, .handles = handles, .handle_count = count};
    memcpy(m.bytes, data, len);
    if (fidl_decode(&m, type) == FIDL_OK) {
        if (m.has_unknown) {
            fidl_close_handles(type, m.body);
        } else {
            check_again(type, m.body, data, len);
        }
    }
    free(m.bytes);
    if (fake_handles_live() != 0) {
        abort();
    }
    return 0;
}
