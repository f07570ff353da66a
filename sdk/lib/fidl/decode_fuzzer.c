// Any bytes as any of the sample library's messages, with any handles: nothing is read beyond the
// end, no handle is lost, and what decodes without unknown members is its own one encoding.
//
// Input: one byte that chooses the type and, by its top bit, how the rest is read:
//   0  one byte for the number of handles, one for their types; the message
//   1  four bytes of seed for a sound message, then its changes: two bytes of offset, one of value
// (From nothing, a fuzzer finds no sound message of the larger types; the changes start at one.)
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fidl/message.h>
#include <fidl/test.sample.h>
#include <zircon/rights.h>

#include "fake_handles.h"
#include "random_object.h"

constexpr size_t MESSAGE_MAX = 1 << 17;
constexpr uint32_t HANDLES_MAX = 4096;

static const struct fidl_type* const types[] = {
    &test_sample_everything_type, &test_sample_options_type, &test_sample_loose_type,
    &test_sample_choice_type,     &test_sample_node_type,    &test_sample_service_fetch_result_type,
};

static uint8_t wire[MESSAGE_MAX] __attribute__((aligned(8)));
static zx_handle_info_t infos[HANDLES_MAX];

static struct fidl_encoder encoder(uint8_t* bytes) {
    static zx_handle_disposition_t dispositions[HANDLES_MAX];
    return (struct fidl_encoder){bytes, MESSAGE_MAX, 0, dispositions, HANDLES_MAX, 0};
}

static void check_again(const struct fidl_type* type, void* object, const uint8_t* want,
                        size_t len) {
    static uint8_t bytes[MESSAGE_MAX] __attribute__((aligned(8)));
    struct fidl_encoder e = encoder(bytes);
    if (fidl_encode(&e, type, object) != FIDL_OK || e.len != len || memcmp(bytes, want, len) != 0) {
        abort();
    }
    struct fidl_message m = {.handles = infos, .handle_count = random_transfer(&e, infos)};
    fidl_message_discard(&m);
}

static void decode(const struct fidl_type* type, const uint8_t* bytes, size_t len,
                   uint32_t handle_count) {
    struct fidl_message m = {
        .bytes = malloc(len), .len = len, .handles = infos, .handle_count = handle_count};
    memcpy(m.bytes, bytes, len);
    if (fidl_decode(&m, type) == FIDL_OK) {
        if (m.has_unknown) {
            fidl_close_handles(type, m.body);
        } else {
            check_again(type, m.body, bytes, len);
        }
    }
    free(m.bytes);
    if (fake_handles_live() != 0) {
        abort();
    }
}

static void raw(const struct fidl_type* type, const uint8_t* data, size_t len) {
    static const zx_obj_type_t objects[] = {ZX_OBJ_TYPE_EVENT, ZX_OBJ_TYPE_VMO, ZX_OBJ_TYPE_JOB,
                                            ZX_OBJ_TYPE_CHANNEL};
    uint32_t count = data[0] % 64;
    for (uint32_t i = 0; i < count; i++) {
        infos[i] = fake_handle(objects[(data[1] >> 2 * (i % 4)) % 4],
                               ZX_RIGHT_READ | ZX_RIGHT_MAP | ZX_RIGHT_WAIT);
    }
    decode(type, data + 2, len - 2, count);
}

static void changed(const struct fidl_type* type, const uint8_t* data, size_t len) {
    static uint8_t memory[1 << 20] __attribute__((aligned(8)));
    struct random_maker r = {.memory = memory, .capacity = sizeof(memory)};
    memcpy(&r.state, data, 4);
    struct fidl_encoder e = encoder(wire);
    if (fidl_encode(&e, type, random_object(&r, type)) != FIDL_OK) {
        abort();
    }
    for (size_t at = 4; at + 3 <= len; at += 3) {
        wire[(data[at] | (size_t)data[at + 1] << 8) % e.len] = data[at + 2];
    }
    decode(type, wire, e.len, random_transfer(&e, infos));
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    if (len < 5) {
        return 0;
    }
    fake_handles_reset();
    const struct fidl_type* type = types[(data[0] & 0x7f) % (sizeof(types) / sizeof(types[0]))];
    if ((data[0] & 0x80) == 0) {
        raw(type, data + 1, len - 1);
    } else {
        changed(type, data + 1, len - 1);
    }
    return 0;
}
