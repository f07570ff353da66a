// Bounds-checked reader of the boot image container.
#include <bootfs/zbi.h>

enum header_field : uint8_t { // offsets in a header
    FIELD_TYPE = 0,
    FIELD_LENGTH = 4,
    FIELD_EXTRA = 8,
    FIELD_FLAGS = 12,
    FIELD_MAGIC = 24,
    FIELD_CRC32 = 28,
};

static uint32_t load_field(const uint8_t* header, enum header_field field) {
    const uint8_t* from = header + field;
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static bool header_is_sound(const uint8_t* header) {
    uint32_t flags = load_field(header, FIELD_FLAGS);
    bool crc_field_right =
        (flags & zbi_flag_crc32) != 0 || load_field(header, FIELD_CRC32) == zbi_no_crc32;
    return load_field(header, FIELD_MAGIC) == zbi_item_magic && (flags & zbi_flag_version) != 0 &&
           crc_field_right;
}

// The cursor counts from the first item's header; *next is the cursor behind the item.
static zbi_error_t decode_item(const struct zbi* zbi, uint64_t cursor, struct zbi_item* item,
                               uint64_t* next) {
    uint64_t left = zbi->len - zbi_header_len - cursor;
    if (left < zbi_header_len) {
        return ZBI_BAD_LENGTH;
    }
    const uint8_t* header = zbi->data + zbi_header_len + cursor;
    if (!header_is_sound(header)) {
        return ZBI_BAD_ITEM;
    }
    uint32_t payload_len = load_field(header, FIELD_LENGTH);
    uint64_t padded_len = ((uint64_t)payload_len + 7) & ~(uint64_t)7;
    if (padded_len > left - zbi_header_len) {
        return ZBI_BAD_LENGTH;
    }
    *item = (struct zbi_item){
        .type = load_field(header, FIELD_TYPE),
        .extra = load_field(header, FIELD_EXTRA),
        .flags = load_field(header, FIELD_FLAGS),
        .crc32 = load_field(header, FIELD_CRC32),
        .payload = header + zbi_header_len,
        .payload_offset = zbi_header_len + cursor + zbi_header_len,
        .payload_len = payload_len,
    };
    *next = cursor + zbi_header_len + padded_len;
    return ZBI_OK;
}

zbi_error_t zbi_total_len(const void* header, size_t header_len, uint64_t* out_len) {
    if (header_len < zbi_header_len) {
        return ZBI_TOO_SHORT;
    }
    const uint8_t* bytes = header;
    uint32_t len = load_field(bytes, FIELD_LENGTH);
    if (!header_is_sound(bytes) || load_field(bytes, FIELD_TYPE) != zbi_type_container ||
        load_field(bytes, FIELD_EXTRA) != zbi_container_magic || len % 8 != 0) {
        return ZBI_BAD_CONTAINER;
    }
    *out_len = (uint64_t)zbi_header_len + len;
    return ZBI_OK;
}

zbi_error_t zbi_open(struct zbi* zbi, const void* data, size_t data_len) {
    uint64_t total_len;
    zbi_error_t error = zbi_total_len(data, data_len, &total_len);
    if (error != ZBI_OK) {
        return error;
    }
    if (total_len > data_len) {
        return ZBI_TOO_SHORT;
    }
    struct zbi opened = {.data = data, .len = total_len};
    uint64_t cursor = 0;
    while (cursor < total_len - zbi_header_len) {
        struct zbi_item item;
        error = decode_item(&opened, cursor, &item, &cursor);
        if (error != ZBI_OK) {
            return error;
        }
    }
    *zbi = opened;
    return ZBI_OK;
}

bool zbi_next(const struct zbi* zbi, uint64_t* cursor, struct zbi_item* out_item) {
    struct zbi_item item;
    uint64_t next;
    if (*cursor >= zbi->len - zbi_header_len || decode_item(zbi, *cursor, &item, &next) != ZBI_OK) {
        return false;
    }
    *cursor = next;
    *out_item = item;
    return true;
}

zbi_error_t zbi_find(const struct zbi* zbi, uint32_t type, struct zbi_item* out_item) {
    uint64_t cursor = 0;
    struct zbi_item item;
    while (zbi_next(zbi, &cursor, &item)) {
        if (item.type == type) {
            *out_item = item;
            return ZBI_OK;
        }
    }
    return ZBI_NOT_FOUND;
}

zbi_error_t zbi_item_check(const struct zbi_item* item, zbi_crc32_fn crc32) {
    if ((item->flags & zbi_flag_crc32) == 0) {
        return ZBI_OK;
    }
    static constexpr uint8_t zero_field[4] = {};
    uint32_t crc = crc32(0, item->payload - zbi_header_len, FIELD_CRC32);
    crc = crc32(crc, zero_field, sizeof(zero_field));
    crc = crc32(crc, item->payload, item->payload_len);
    return crc == item->crc32 ? ZBI_OK : ZBI_BAD_CRC;
}

const char* zbi_error_text(zbi_error_t error) {
    switch (error) {
    case ZBI_OK:
        return "no error";
    case ZBI_TOO_SHORT:
        return "boot image is truncated";
    case ZBI_BAD_CONTAINER:
        return "not a boot image";
    case ZBI_BAD_ITEM:
        return "boot image item has a malformed header";
    case ZBI_BAD_LENGTH:
        return "boot image item reaches beyond the image";
    case ZBI_BAD_CRC:
        return "boot image item has a wrong checksum";
    case ZBI_NOT_FOUND:
        return "no such item in the boot image";
    }
    return "unknown boot image error";
}
