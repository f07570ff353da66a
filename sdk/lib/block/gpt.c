#include <block/gpt.h>

#include <string.h>

const uint8_t gpt_type_filesystem[16] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
                                         0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4};

// Places in a header (5.3.2) and in an entry (5.3.3).
enum header_field : uint32_t {
    HEADER_SIZE = 12,
    HEADER_SUM = 16,
    HEADER_OWN = 24,
    HEADER_FIRST_USABLE = 40,
    HEADER_LAST_USABLE = 48,
    HEADER_TABLE = 72,
    HEADER_COUNT = 80,
    HEADER_ENTRY_SIZE = 84,
    HEADER_TABLE_SUM = 88,
};
enum entry_field : uint32_t {
    ENTRY_ID = 16,
    ENTRY_FIRST = 32,
    ENTRY_LAST = 40,
    ENTRY_NAME = 56,
};
constexpr uint32_t HEADER_MIN = 92;
constexpr uint32_t ENTRY_MIN = 128;
constexpr uint32_t NAME_UNITS = 36;
constexpr uint32_t ENTRIES_MAX = 1024;

struct header {
    uint64_t first_usable, last_usable;
    uint64_t table;
    uint32_t count, entry_size, table_sum;
};

static uint32_t get32(const uint8_t* p) {
    uint32_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

static uint64_t get64(const uint8_t* p) {
    uint64_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

// CRC-32 of ISO 3309, as the specification has it everywhere: `sum` of nothing is 0.
static uint32_t crc32(uint32_t sum, const uint8_t* bytes, size_t len) {
    sum = ~sum;
    for (size_t i = 0; i < len; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            sum = sum >> 1 ^ (0xedb88320u & -(sum & 1));
        }
    }
    return ~sum;
}

// ---- the header ----

static bool header_sum_is_right(uint8_t* block, uint32_t size) {
    const uint32_t sum = get32(block + HEADER_SUM);
    memset(block + HEADER_SUM, 0, sizeof(sum)); // as it was when the sum was made
    return crc32(0, block, size) == sum;
}

static bool header_is_sound(const struct gpt_disk* d, const struct header* h) {
    if (h->entry_size < ENTRY_MIN || h->entry_size > d->block_size ||
        (h->entry_size & (h->entry_size - 1)) != 0 || h->count == 0 || h->count > ENTRIES_MAX) {
        return false;
    }
    const uint64_t blocks =
        ((uint64_t)h->count * h->entry_size + d->block_size - 1) / d->block_size;
    return h->table < d->block_count && blocks <= d->block_count - h->table &&
           h->first_usable <= h->last_usable && h->last_usable < d->block_count;
}

// NOT_FOUND: it is none.
static zx_status_t read_header(const struct gpt_disk* d, uint64_t at, uint8_t* block,
                               struct header* out) {
    const zx_status_t status = d->read(d->ctx, at, block);
    if (status != ZX_OK) {
        return status;
    }
    if (memcmp(block, "EFI PART", 8) != 0) {
        return ZX_ERR_NOT_FOUND;
    }
    const uint32_t size = get32(block + HEADER_SIZE);
    if (size < HEADER_MIN || size > d->block_size || !header_sum_is_right(block, size) ||
        get64(block + HEADER_OWN) != at) {
        return ZX_ERR_IO_DATA_INTEGRITY;
    }
    *out = (struct header){.first_usable = get64(block + HEADER_FIRST_USABLE),
                           .last_usable = get64(block + HEADER_LAST_USABLE),
                           .table = get64(block + HEADER_TABLE),
                           .count = get32(block + HEADER_COUNT),
                           .entry_size = get32(block + HEADER_ENTRY_SIZE),
                           .table_sum = get32(block + HEADER_TABLE_SUM)};
    return header_is_sound(d, out) ? ZX_OK : ZX_ERR_IO_DATA_INTEGRITY;
}

// ---- entries ----

static void read_name(const uint8_t* units, char* out) {
    for (uint32_t i = 0; i < NAME_UNITS; i++) {
        const uint32_t unit = units[2 * i] | (uint32_t)units[2 * i + 1] << 8;
        if (unit == 0) {
            break;
        }
        if (unit >= 0xd800 && unit < 0xe000) {
            *out++ = '?';
        } else if (unit < 0x80) {
            *out++ = (char)unit;
        } else if (unit < 0x800) {
            *out++ = (char)(0xc0 | unit >> 6);
            *out++ = (char)(0x80 | (unit & 0x3f));
        } else {
            *out++ = (char)(0xe0 | unit >> 12);
            *out++ = (char)(0x80 | (unit >> 6 & 0x3f));
            *out++ = (char)(0x80 | (unit & 0x3f));
        }
    }
    *out = '\0';
}

static bool overlaps(const struct gpt_partition* p, size_t count, uint64_t first, uint64_t last) {
    for (size_t i = 0; i < count; i++) {
        if (first < p[i].first + p[i].count && p[i].first <= last) {
            return true;
        }
    }
    return false;
}

// False: it lies where none may.
static bool take_entry(const struct header* h, const uint8_t* entry, struct gpt_partition* out,
                       size_t max, size_t* count) {
    static const uint8_t unused[16];
    if (memcmp(entry, unused, sizeof(unused)) == 0) {
        return true;
    }
    const uint64_t first = get64(entry + ENTRY_FIRST);
    const uint64_t last = get64(entry + ENTRY_LAST);
    if (first > last || first < h->first_usable || last > h->last_usable ||
        overlaps(out, *count, first, last)) {
        return false;
    }
    if (*count < max) {
        struct gpt_partition* p = &out[(*count)++];
        *p = (struct gpt_partition){.first = first, .count = last - first + 1};
        memcpy(p->type, entry, sizeof(p->type));
        memcpy(p->id, entry + ENTRY_ID, sizeof(p->id));
        read_name(entry + ENTRY_NAME, p->name);
    }
    return true;
}

static zx_status_t read_table(const struct gpt_disk* d, const struct header* h, uint8_t* block,
                              struct gpt_partition* out, size_t max, size_t* count) {
    const uint64_t len = (uint64_t)h->count * h->entry_size;
    uint32_t sum = 0;
    bool is_sound = true;
    *count = 0;
    for (uint64_t at = 0; at < len; at += d->block_size) {
        const zx_status_t status = d->read(d->ctx, h->table + at / d->block_size, block);
        if (status != ZX_OK) {
            return status;
        }
        const uint32_t part = len - at < d->block_size ? (uint32_t)(len - at) : d->block_size;
        sum = crc32(sum, block, part);
        for (uint32_t i = 0; i < part; i += h->entry_size) {
            is_sound = is_sound && take_entry(h, block + i, out, max, count);
        }
    }
    return is_sound && sum == h->table_sum ? ZX_OK : ZX_ERR_IO_DATA_INTEGRITY;
}

static zx_status_t read_copy(const struct gpt_disk* d, uint64_t at, struct gpt_partition* out,
                             size_t max, size_t* count) {
    uint8_t block[GPT_BLOCK_MAX];
    struct header h;
    const zx_status_t status = read_header(d, at, block, &h);
    return status == ZX_OK ? read_table(d, &h, block, out, max, count) : status;
}

zx_status_t gpt_read(const struct gpt_disk* d, struct gpt_partition* out, size_t max,
                     size_t* count) {
    *count = 0;
    if (d->block_size < 512 || d->block_size > GPT_BLOCK_MAX ||
        (d->block_size & (d->block_size - 1)) != 0) {
        return ZX_ERR_INVALID_ARGS;
    }
    if (d->block_count < 3) {
        return ZX_ERR_NOT_FOUND;
    }
    const zx_status_t first = read_copy(d, 1, out, max, count);
    if (first == ZX_OK) {
        return first;
    }
    const zx_status_t second = read_copy(d, d->block_count - 1, out, max, count);
    if (second == ZX_OK) {
        return second;
    }
    *count = 0;
    // A table that is there and broken says more than one that is not there.
    return first != ZX_ERR_NOT_FOUND ? first : second;
}
