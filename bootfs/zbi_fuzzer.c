// Feeds arbitrary bytes to the container reader; whatever it accepts must be consistent.
#include <bootfs/zbi.h>

#include <lib/crc32.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    struct zbi zbi;
    if (zbi_open(&zbi, data, len) != ZBI_OK) {
        return 0;
    }
    uint64_t cursor = 0;
    struct zbi_item item;
    while (zbi_next(&zbi, &cursor, &item)) {
        if (item.payload != data + item.payload_offset ||
            item.payload_offset + item.payload_len > zbi.len || zbi.len > len) {
            __builtin_trap();
        }
        (void)!zbi_item_check(&item, crc32_update);
    }
    if (cursor != zbi.len - zbi_header_len) {
        __builtin_trap();
    }
    return 0;
}
