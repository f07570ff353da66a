// The build id in an image's notes (System V ABI, chapter 5; NT_GNU_BUILD_ID).
#include <symbols/symbols.h>

#include <string.h>

struct header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_at, section_at;
    uint32_t flags;
    uint16_t len, program_len, program_count, section_len, section_count, names;
};
static_assert(sizeof(struct header) == 64);

struct program {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, file_len, memory_len, align;
};
static_assert(sizeof(struct program) == 56);

struct note {
    uint32_t name_len, text_len, type;
};

constexpr uint32_t TYPE_LOAD = 1;
constexpr uint32_t TYPE_NOTE = 4;
constexpr uint32_t NOTE_BUILD_ID = 3;
constexpr uint64_t PAGE_MASK = 4095;

bool symbols_find_notes(const void* headers, size_t len, struct symbols_range* out) {
    static const uint8_t ident[6] = {0x7f, 'E', 'L', 'F', 2, 1};
    struct header h;
    if (len < sizeof(h)) {
        return false;
    }
    memcpy(&h, headers, sizeof(h));
    if (memcmp(h.ident, ident, sizeof(ident)) != 0 || h.program_len != sizeof(struct program) ||
        h.program_at > len) {
        return false;
    }
    uint64_t base = UINT64_MAX; // where the image begins, at link time
    struct program notes = {};
    size_t room = (len - (size_t)h.program_at) / sizeof(struct program);
    for (size_t i = 0; i < h.program_count && i < room; i++) {
        struct program p;
        memcpy(&p, (const uint8_t*)headers + h.program_at + i * sizeof(p), sizeof(p));
        if (p.type == TYPE_LOAD && p.vaddr < base) {
            base = p.vaddr & ~PAGE_MASK;
        }
        if (p.type == TYPE_NOTE && notes.memory_len == 0) {
            notes = p;
        }
    }
    if (notes.memory_len == 0 || notes.vaddr < base) {
        return false;
    }
    *out = (struct symbols_range){.offset = notes.vaddr - base, .len = notes.memory_len};
    return true;
}

uint64_t symbols_build_id(const void* notes, size_t len) {
    const uint8_t* at = notes;
    struct note n;
    while (len >= sizeof(n)) {
        memcpy(&n, at, sizeof(n));
        at += sizeof(n);
        len -= sizeof(n);
        uint64_t name_len = ((uint64_t)n.name_len + 3) & ~(uint64_t)3;
        uint64_t text_len = ((uint64_t)n.text_len + 3) & ~(uint64_t)3;
        if (name_len > len || text_len > len - name_len) {
            return 0;
        }
        uint64_t id;
        if (n.type == NOTE_BUILD_ID && n.name_len == 4 && memcmp(at, "GNU", 4) == 0 &&
            n.text_len >= sizeof(id)) {
            memcpy(&id, at + name_len, sizeof(id));
            return id;
        }
        at += name_len + text_len;
        len -= (size_t)(name_len + text_len);
    }
    return 0;
}
