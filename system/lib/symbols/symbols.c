// The file of names. See <symbols/symbols.h>, and tools/symbols/symbol_file.py for the layout.
#include <symbols/symbols.h>

constexpr uint32_t HEADER_LEN = 32;
constexpr uint32_t MODULE_LEN = 16;
constexpr uint32_t BLOCK_NAMES = 16;
static const uint8_t magic[8] = "JXSYMS1";

static uint32_t u32_at(const uint8_t* from) {
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint64_t u64_at(const uint8_t* from) {
    return u32_at(from) | (uint64_t)u32_at(from + 4) << 32;
}

// Parts of the file that are read from the front. At the end, `bad` is set and zeros are read.
struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

static uint8_t next_byte(struct cursor* c) {
    if (c->at == c->end) {
        c->bad = true;
        return 0;
    }
    return *c->at++;
}

static uint64_t next_number(struct cursor* c) {
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        uint8_t byte = next_byte(c);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    c->bad = true;
    return 0;
}

// ---- the parts ----

bool symbols_open(struct symbols* s, const void* data, size_t len) {
    const uint8_t* bytes = data;
    if (len < HEADER_LEN) {
        return false;
    }
    for (size_t i = 0; i < sizeof(magic); i++) {
        if (bytes[i] != magic[i]) {
            return false;
        }
    }
    *s = (struct symbols){.data = bytes,
                          .modules = u32_at(bytes + 8),
                          .names = u32_at(bytes + 12),
                          .blocks_at = u32_at(bytes + 16),
                          .text_at = u32_at(bytes + 20),
                          .functions_at = u32_at(bytes + 24),
                          .len = u32_at(bytes + 28)};
    uint64_t blocks = ((uint64_t)s->names + BLOCK_NAMES - 1) / BLOCK_NAMES;
    return s->len <= len && s->functions_at <= s->len && s->text_at <= s->functions_at &&
           s->blocks_at <= s->text_at && blocks * 4 <= s->text_at - s->blocks_at &&
           HEADER_LEN + (uint64_t)s->modules * MODULE_LEN <= s->blocks_at;
}

// The functions of a module; false: it is not there.
static bool find_functions(const struct symbols* s, uint64_t build_id, struct cursor* out) {
    uint32_t low = 0;
    uint32_t high = s->modules;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const uint8_t* module = s->data + HEADER_LEN + (size_t)middle * MODULE_LEN;
        uint64_t id = u64_at(module);
        if (id == build_id) {
            uint32_t room = s->len - s->functions_at;
            uint32_t offset = u32_at(module + 8);
            uint32_t len = u32_at(module + 12);
            if (offset > room || len > room - offset) {
                return false;
            }
            const uint8_t* first = s->data + s->functions_at + offset;
            *out = (struct cursor){.at = first, .end = first + len};
            return true;
        }
        if (id < build_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

// The rest of a name, behind `kept` bytes of the one before it. What does not fit is cut off.
static void next_name(struct cursor* c, char* name) {
    size_t kept = next_byte(c);
    for (size_t i = 0; i < kept && !c->bad; i++) {
        c->bad = name[i] == '\0'; // the name before it is shorter
    }
    size_t at = kept;
    uint8_t byte;
    while ((byte = next_byte(c)) != 0) {
        if (at < SYMBOLS_NAME_MAX - 1) {
            name[at++] = byte >= ' ' && byte <= '~' ? (char)byte : '?';
        }
    }
    name[at < SYMBOLS_NAME_MAX ? at : SYMBOLS_NAME_MAX - 1] = '\0';
}

static bool read_name(const struct symbols* s, uint64_t number, char* name) {
    if (number >= s->names) {
        return false;
    }
    uint32_t start = u32_at(s->data + s->blocks_at + number / BLOCK_NAMES * 4);
    uint32_t text_len = s->functions_at - s->text_at;
    if (start > text_len) {
        return false;
    }
    struct cursor c = {.at = s->data + s->text_at + start, .end = s->data + s->functions_at};
    name[0] = '\0';
    for (uint64_t i = 0; i <= number % BLOCK_NAMES; i++) {
        next_name(&c, name);
    }
    return !c.bad && name[0] != '\0';
}

bool symbols_find(const struct symbols* s, uint64_t build_id, uint64_t offset,
                  struct symbols_place* out) {
    struct cursor c;
    if (!find_functions(s, build_id, &c)) {
        return false;
    }
    uint64_t start = 0;
    uint64_t number = 0; // of the last function that begins at or before the offset
    uint64_t at = 0;
    while (c.at < c.end) {
        uint64_t distance = next_number(&c);
        uint64_t name = next_number(&c);
        at += (distance & 1) != 0 ? distance >> 1 : distance * 8;
        if (c.bad || at > offset) {
            break;
        }
        start = at;
        number = name;
    }
    if (c.bad || number == 0 || !read_name(s, number, out->name)) {
        return false;
    }
    out->offset = offset - start;
    return true;
}
