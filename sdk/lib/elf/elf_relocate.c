// Self-relocation. Everything is reached by address arithmetic from `bias`; the only calls are
// direct ones within this file.
#include <elf/relocate.h>

#include "reloc_types.h"

typedef enum dynamic_tag : uint64_t {
    TAG_END = 0,
    TAG_PLT_LEN = 2,
    TAG_STRINGS = 5,
    TAG_SYMBOLS = 6,
    TAG_RELA = 7,
    TAG_RELA_LEN = 8,
    TAG_REL = 17,
    TAG_REL_LEN = 18,
    TAG_PLT_KIND = 20,
    TAG_PLT = 23,
    TAG_RELR_LEN = 35,
    TAG_RELR = 36,
    TAG_COUNT = 37,
    TAG_GNU_HASH = 0x6ffffef5,
} dynamic_tag_t;

struct dynamic_entry {
    uint64_t tag;
    uint64_t value;
};

struct symbol { // Elf64_Sym
    uint32_t name;
    uint8_t info;
    uint8_t other;
    uint16_t section;
    uint64_t value;
    uint64_t size;
};
static_assert(sizeof(struct symbol) == 24);

struct relocation { // Elf64_Rel, and the start of Elf64_Rela
    uint64_t offset;
    uint64_t info;
};

constexpr uint64_t rel_len = 16;
constexpr uint64_t rela_len = 24;
constexpr uint8_t binding_weak = 2;

// A place to relocate: any alignment, any declared type.
typedef uint64_t __attribute__((aligned(1), may_alias)) place_t;

struct dynamic { // the values of the tags that matter, 0 if absent
    uint64_t value[TAG_COUNT];
    uint64_t gnu_hash;
};

static void dynamic_read(const void* from, struct dynamic* dynamic) {
    for (uint32_t i = 0; i < TAG_COUNT; i++) {
        dynamic->value[i] = 0;
    }
    dynamic->gnu_hash = 0;
    for (const struct dynamic_entry* entry = from; entry->tag != TAG_END; entry++) {
        if (entry->tag < TAG_COUNT) {
            dynamic->value[entry->tag] = entry->value;
        } else if (entry->tag == TAG_GNU_HASH) {
            dynamic->gnu_hash = entry->value;
        }
    }
}

static inline const void* at_address(uint64_t address) {
    return (const void*)(uintptr_t)address;
}

static bool text_equal(const char* a, const char* b) {
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return *a == *b;
}

// ---- Look-up ------------------------------------------------------------------------------------

constexpr uint32_t phdr_load = 1;
constexpr uint32_t phdr_dynamic = 2;

static uint64_t load_u64_at(const uint8_t* from) {
    return *(const place_t*)from;
}

static uint16_t load_u16_at(const uint8_t* from) {
    return (uint16_t)(from[0] | from[1] << 8);
}

struct elf_symbols elf_symbols_of(const void* base) {
    const uint8_t* header = base;
    const uint8_t* phdr = header + load_u64_at(header + 32);
    uint16_t count = load_u16_at(header + 56);
    uint64_t dynamic_vaddr = 0;
    uint64_t first_vaddr = 0;
    bool seen_load = false;
    for (uint16_t i = 0; i < count; i++, phdr += 56) {
        uint32_t type = (uint32_t)load_u64_at(phdr);
        if (type == phdr_dynamic) {
            dynamic_vaddr = load_u64_at(phdr + 16);
        } else if (type == phdr_load && !seen_load) {
            seen_load = true;
            first_vaddr = load_u64_at(phdr + 16) & ~(uint64_t)4095;
        }
    }
    struct elf_symbols symbols = {.bias = (uint64_t)(uintptr_t)base - first_vaddr};
    if (dynamic_vaddr == 0) {
        return symbols;
    }
    // Filled below; the automatic zeroing would be a call of memset through the global offset
    // table.
    __attribute__((uninitialized)) struct dynamic dynamic;
    dynamic_read(at_address(symbols.bias + dynamic_vaddr), &dynamic);
    if (dynamic.gnu_hash != 0) {
        symbols.symbols = at_address(symbols.bias + dynamic.value[TAG_SYMBOLS]);
        symbols.strings = at_address(symbols.bias + dynamic.value[TAG_STRINGS]);
        symbols.hash = at_address(symbols.bias + dynamic.gnu_hash);
    }
    return symbols;
}

static uint32_t gnu_hash(const char* name) {
    uint32_t hash = 5381;
    for (; *name != '\0'; name++) {
        hash = hash * 33 + (uint8_t)*name;
    }
    return hash;
}

// The table: {bucket count, first hashed symbol, filter words, filter shift}, filter, buckets,
// chains. A chain entry is a symbol's hash with bit 0 telling the end of the bucket. The filter
// only saves time for absent names and is passed over.
uint64_t elf_symbols_find(const struct elf_symbols* symbols, const char* name) {
    const uint32_t* table = symbols->hash;
    if (table == nullptr || table[0] == 0) {
        return 0;
    }
    uint32_t first_hashed = table[1];
    const uint32_t* buckets = table + 4 + 2 * (uint64_t)table[2];
    const uint32_t* chains = buckets + table[0];
    uint32_t hash = gnu_hash(name);
    uint32_t index = buckets[hash % table[0]];
    if (index < first_hashed) {
        return 0; // empty bucket
    }
    for (;; index++) {
        uint32_t entry = chains[index - first_hashed];
        const struct symbol* symbol = (const struct symbol*)(const void*)symbols->symbols + index;
        if ((entry | 1) == (hash | 1) && symbol->section != 0 &&
            text_equal(symbols->strings + symbol->name, name)) {
            return symbols->bias + symbol->value;
        }
        if ((entry & 1) != 0) {
            return 0;
        }
    }
}

// ---- Relocation ---------------------------------------------------------------------------------

struct relocator {
    uint64_t bias;
    const struct symbol* symbols;
    const char* strings;
    const struct elf_symbols* provider;
    struct elf_relocate_result result;
};

// An even entry is the address of a word to relocate; an odd one is a bitmap of the 63 words after
// the last address, bit 1 for the first of them.
static void relr_apply(uint64_t bias, const uint64_t* table, uint64_t len) {
    place_t* place = nullptr;
    for (const uint64_t* entry = table; entry < table + len / sizeof(*table); entry++) {
        if ((*entry & 1) == 0) {
            place = (place_t*)(uintptr_t)(bias + *entry);
            *place++ += bias;
            continue;
        }
        uint64_t bitmap = *entry >> 1;
        for (uint32_t i = 0; bitmap != 0; i++, bitmap >>= 1) {
            if ((bitmap & 1) != 0) {
                place[i] += bias;
            }
        }
        place += 63;
    }
}

static bool symbol_resolve(struct relocator* r, uint32_t index, uint64_t* out) {
    *out = 0;
    const struct symbol* symbol = &r->symbols[index];
    if (index == 0) {
        return true;
    }
    if (symbol->section != 0) {
        *out = r->bias + symbol->value;
        return true;
    }
    const char* name = r->strings + symbol->name;
    *out = elf_symbols_find(r->provider, name);
    if (*out == 0 && symbol->info >> 4 != binding_weak) {
        r->result = (struct elf_relocate_result){.error = ELF_RELOCATE_UNRESOLVED, .symbol = name};
        return false;
    }
    return true;
}

static bool entry_apply(struct relocator* r, const struct relocation* entry, uint64_t addend,
                        place_t* place) {
    uint32_t type = (uint32_t)entry->info;
    uint64_t symbol;
    switch (type) {
    case ELF_RELOC_NONE:
        return true;
    case ELF_RELOC_RELATIVE:
        *place = r->bias + addend;
        return true;
    case ELF_RELOC_ABSOLUTE:
    case ELF_RELOC_GLOB_DAT:
    case ELF_RELOC_JUMP_SLOT:
        if (!symbol_resolve(r, (uint32_t)(entry->info >> 32), &symbol)) {
            return false;
        }
        *place = type == ELF_RELOC_ABSOLUTE ? symbol + addend : symbol;
        return true;
    default:
        r->result = (struct elf_relocate_result){.error = ELF_RELOCATE_UNKNOWN_TYPE, .type = type};
        return false;
    }
}

// `entry_len` tells REL (addend in place) from RELA (addend behind the entry).
static bool table_apply(struct relocator* r, uint64_t vaddr, uint64_t len, uint64_t entry_len) {
    uint64_t at = r->bias + vaddr;
    for (uint64_t end = at + len; at < end; at += entry_len) {
        const struct relocation* entry = at_address(at);
        place_t* place = (place_t*)(uintptr_t)(r->bias + entry->offset);
        bool explicit_addend = entry_len == rela_len;
        uint64_t addend =
            explicit_addend ? *(const uint64_t*)at_address(at + sizeof(*entry)) : *place;
        if (!entry_apply(r, entry, addend, place)) {
            return false;
        }
    }
    return true;
}

struct elf_relocate_result elf_relocate(uint64_t bias, const void* dynamic_section,
                                        const struct elf_symbols* provider) {
    // Filled below; the automatic zeroing would be a call of memset through the global offset
    // table.
    __attribute__((uninitialized)) struct dynamic dynamic;
    dynamic_read(dynamic_section, &dynamic);
    const uint64_t* tag = dynamic.value;
    struct relocator r = {
        .bias = bias,
        .symbols = at_address(bias + tag[TAG_SYMBOLS]),
        .strings = at_address(bias + tag[TAG_STRINGS]),
        .provider = provider,
    };
    relr_apply(bias, at_address(bias + tag[TAG_RELR]), tag[TAG_RELR_LEN]);
    uint64_t plt_entry_len = tag[TAG_PLT_KIND] == TAG_REL ? rel_len : rela_len;
    bool done = table_apply(&r, tag[TAG_RELA], tag[TAG_RELA_LEN], rela_len) &&
                table_apply(&r, tag[TAG_REL], tag[TAG_REL_LEN], rel_len) &&
                table_apply(&r, tag[TAG_PLT], tag[TAG_PLT_LEN], plt_entry_len);
    (void)done; // the result says it
    return r.result;
}
