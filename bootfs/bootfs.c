// Bounds-checked bootfs reader. One function, decode_entry, looks at bytes of an entry; everything
// else goes through it.
#include <bootfs/bootfs.h>

static uint32_t load_u32(const uint8_t* from) {
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static bool bytes_equal(const char* a, const char* b, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

static bool component_is_clean(const char* name, size_t len) {
    bool dots = len > 0 && len <= 2 && name[0] == '.' && name[len - 1] == '.';
    return len > 0 && !dots;
}

// `name` has len characters; a NUL among them is not clean either.
static bool name_is_clean(const char* name, size_t len) {
    size_t start = 0;
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '\0') {
            return false;
        }
        if (name[i] == '/') {
            if (!component_is_clean(name + start, i - start)) {
                return false;
            }
            start = i + 1;
        }
    }
    return component_is_clean(name + start, len - start);
}

// The pieces of an entry as found; *next is the cursor behind it. The cursor counts from the start
// of the directory.
static bootfs_error_t decode_entry(const struct bootfs* fs, uint32_t cursor,
                                   struct bootfs_file* file, uint32_t* next) {
    uint32_t left = fs->dir_len - cursor;
    if (left < bootfs_entry_head_len) {
        return BOOTFS_BAD_DIRECTORY;
    }
    const uint8_t* entry = fs->data + bootfs_header_len + cursor;
    uint32_t name_len = load_u32(entry);
    if (name_len < 2 || name_len > bootfs_name_len_max + 1) {
        return BOOTFS_BAD_NAME;
    }
    uint32_t entry_len = (bootfs_entry_head_len + name_len + 3) & ~3u;
    if (entry_len > left) {
        return BOOTFS_BAD_DIRECTORY;
    }
    *file = (struct bootfs_file){
        .name = (const char*)entry + bootfs_entry_head_len,
        .name_len = name_len - 1,
        .data_offset = load_u32(entry + 8),
        .data_len = load_u32(entry + 4),
    };
    *next = cursor + entry_len;
    if (file->name[file->name_len] != '\0' || !name_is_clean(file->name, file->name_len)) {
        return BOOTFS_BAD_NAME;
    }
    // The padding counts: whoever maps the last page of a file must not see what follows the image.
    uint64_t padded_len =
        ((uint64_t)file->data_len + bootfs_page_len - 1) & ~(bootfs_page_len - 1ull);
    if (file->data_offset % bootfs_page_len != 0 ||
        file->data_offset < bootfs_header_len + fs->dir_len ||
        file->data_offset + padded_len > fs->image_len) {
        return BOOTFS_BAD_RANGE;
    }
    return BOOTFS_OK;
}

bootfs_error_t bootfs_head_len(const void* header, size_t header_len, uint64_t* out_len) {
    if (header_len < bootfs_header_len) {
        return BOOTFS_TOO_SHORT;
    }
    const uint8_t* bytes = header;
    if (load_u32(bytes) != bootfs_magic) {
        return BOOTFS_BAD_MAGIC;
    }
    uint32_t dir_len = load_u32(bytes + 4);
    if (dir_len > bootfs_dir_len_max) {
        return BOOTFS_BAD_DIRECTORY;
    }
    *out_len = (uint64_t)bootfs_header_len + dir_len;
    return BOOTFS_OK;
}

bootfs_error_t bootfs_open(struct bootfs* fs, const void* data, size_t data_len,
                           uint64_t image_len) {
    uint64_t head_len;
    bootfs_error_t error = bootfs_head_len(data, data_len, &head_len);
    if (error != BOOTFS_OK) {
        return error;
    }
    if (head_len > data_len || head_len > image_len) {
        return BOOTFS_TOO_SHORT;
    }
    struct bootfs opened = {
        .data = data,
        .image_len = image_len,
        .dir_len = (uint32_t)(head_len - bootfs_header_len),
    };
    uint32_t cursor = 0;
    while (cursor < opened.dir_len) {
        struct bootfs_file file;
        error = decode_entry(&opened, cursor, &file, &cursor);
        if (error != BOOTFS_OK) {
            return error;
        }
    }
    *fs = opened;
    return BOOTFS_OK;
}

bool bootfs_next(const struct bootfs* fs, uint32_t* cursor, struct bootfs_file* out_file) {
    struct bootfs_file file;
    uint32_t next;
    if (*cursor >= fs->dir_len || decode_entry(fs, *cursor, &file, &next) != BOOTFS_OK) {
        return false;
    }
    *cursor = next;
    *out_file = file;
    return true;
}

bootfs_error_t bootfs_find(const struct bootfs* fs, const char* name, size_t name_len,
                           struct bootfs_file* out_file) {
    uint32_t cursor = 0;
    struct bootfs_file file;
    while (bootfs_next(fs, &cursor, &file)) {
        if (file.name_len == name_len && bytes_equal(file.name, name, name_len)) {
            *out_file = file;
            return BOOTFS_OK;
        }
    }
    return BOOTFS_NOT_FOUND;
}

const char* bootfs_error_text(bootfs_error_t error) {
    switch (error) {
    case BOOTFS_OK:
        return "no error";
    case BOOTFS_TOO_SHORT:
        return "bootfs image is too short";
    case BOOTFS_BAD_MAGIC:
        return "not a bootfs image";
    case BOOTFS_BAD_DIRECTORY:
        return "bootfs directory is malformed";
    case BOOTFS_BAD_NAME:
        return "bootfs file name is malformed";
    case BOOTFS_BAD_RANGE:
        return "bootfs file lies outside the image";
    case BOOTFS_NOT_FOUND:
        return "no such file in bootfs";
    }
    return "unknown bootfs error";
}
