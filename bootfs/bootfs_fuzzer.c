// Feeds arbitrary bytes to the bootfs reader; whatever it accepts must be consistent.
#include <bootfs/bootfs.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    struct bootfs fs;
    // The last byte decides how much of the image is in memory: all of it or half.
    size_t in_memory = len > 0 && (data[len - 1] & 1) != 0 ? len / 2 : len;
    if (bootfs_open(&fs, data, in_memory, len) != BOOTFS_OK) {
        return 0;
    }
    uint32_t cursor = 0;
    struct bootfs_file file;
    while (bootfs_next(&fs, &cursor, &file)) {
        struct bootfs_file found;
        if (strlen(file.name) != file.name_len || file.data_offset % bootfs_page_len != 0 ||
            ((uint64_t)file.data_offset + file.data_len + 4095) / 4096 * 4096 > len ||
            bootfs_find(&fs, file.name, file.name_len, &found) != BOOTFS_OK) {
            __builtin_trap();
        }
    }
    if (cursor != fs.dir_len) {
        __builtin_trap();
    }
    return 0;
}
