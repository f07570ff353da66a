// Arbitrary bytes as a disk: whatever is listed lies on it. Most inputs are given right sums, or
// the fuzzer would never see an entry.
#include <block/gpt.h>

#include <string.h>

#include "gpt_for_tests.h"

struct bytes {
    const uint8_t* data;
    size_t len;
};

static zx_status_t read_block(void* ctx, uint64_t block, void* buffer) {
    const struct bytes* b = ctx;
    const uint64_t at = block * 512;
    memset(buffer, 0, 512);
    if (at < b->len) {
        memcpy(buffer, b->data + at, b->len - at < 512 ? b->len - at : 512);
    }
    return ZX_OK;
}

// A header of 92 bytes in block 1 with `count` entries in block 2.
static void seal(uint8_t* disk) {
    uint8_t* h = disk + 512;
    memcpy(h, "EFI PART", 8);
    gpt_test_put32(h + 12, 92);
    memcpy(h + 24, (const uint8_t[8]){1}, 8);
    memcpy(h + 72, (const uint8_t[8]){2}, 8);
    const uint32_t count = h[80] % 8 + 1u;
    gpt_test_put32(h + 80, count);
    gpt_test_put32(h + 84, 128);
    gpt_test_put32(h + 88, gpt_test_crc(disk + 1024, (size_t)count * 128));
    gpt_test_put32(h + 16, 0);
    gpt_test_put32(h + 16, gpt_test_crc(h, 92));
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    constexpr uint64_t blocks = 1000;
    uint8_t copy[4096];
    len = len < sizeof(copy) ? len : sizeof(copy);
    memcpy(copy, data, len);
    if (len >= 2048 + 512 && (data[0] & 3) != 0) {
        seal(copy);
    }
    struct bytes bytes = {copy, len};
    const struct gpt_disk disk = {read_block, &bytes, 512, blocks};
    struct gpt_partition p[8];
    size_t count;
    if (gpt_read(&disk, p, 8, &count) != ZX_OK) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (p[i].count == 0 || p[i].first + p[i].count > blocks || strlen(p[i].name) > 108) {
            __builtin_trap();
        }
    }
    return 0;
}
