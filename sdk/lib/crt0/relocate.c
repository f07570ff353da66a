// Self-relocation of a static PIE, and binding to the vDSO.
//
// Runs before any relocation is applied and while %fs is 0: no stack protector, no thread-local
// variable, no call through a table, no address in initialised data. Everything is reached relative
// to the instruction pointer: __ehdr_start and _DYNAMIC are hidden symbols of the linker.

#include "elf64.h"

#include "crt0_priv.h"

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));
extern const Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));

// What the dynamic section says, as addresses.
struct dynamic {
    uintptr_t base;
    const Elf64_Rela* rela;
    size_t rela_size;
    const Elf64_Rel* rel;
    size_t rel_size;
    const uint64_t* relr;
    size_t relr_size;
    const void* jmprel; // DT_PLTREL says of which kind
    size_t jmprel_size;
    bool jmprel_is_rela;
    const Elf64_Sym* symbols;
    const char* strings;
    const uint32_t* gnu_hash;
};

static struct dynamic read_dynamic(uintptr_t base, const Elf64_Dyn* dyn) {
    struct dynamic d = {.base = base};
    for (; dyn->d_tag != DT_NULL; dyn++) {
        const void* address = (const void*)(base + dyn->d_un.d_ptr);
        size_t value = dyn->d_un.d_val;
        // An if chain: a switch could become a table of addresses.
        if (dyn->d_tag == DT_RELA) {
            d.rela = address;
        } else if (dyn->d_tag == DT_RELASZ) {
            d.rela_size = value;
        } else if (dyn->d_tag == DT_REL) {
            d.rel = address;
        } else if (dyn->d_tag == DT_RELSZ) {
            d.rel_size = value;
        } else if (dyn->d_tag == DT_RELR) {
            d.relr = address;
        } else if (dyn->d_tag == DT_RELRSZ) {
            d.relr_size = value;
        } else if (dyn->d_tag == DT_JMPREL) {
            d.jmprel = address;
        } else if (dyn->d_tag == DT_PLTRELSZ) {
            d.jmprel_size = value;
        } else if (dyn->d_tag == DT_PLTREL) {
            d.jmprel_is_rela = value == DT_RELA;
        } else if (dyn->d_tag == DT_SYMTAB) {
            d.symbols = address;
        } else if (dyn->d_tag == DT_STRTAB) {
            d.strings = address;
        } else if (dyn->d_tag == DT_GNU_HASH) {
            d.gnu_hash = address;
        }
    }
    return d;
}

// ---- symbols of the vDSO ----

static struct dynamic vdso_dynamic(const void* vdso) {
    const Elf64_Ehdr* header = vdso;
    const Elf64_Phdr* ph = (const void*)((const char*)vdso + header->e_phoff);
    for (uint32_t i = 0; i < header->e_phnum; i++) {
        if (ph[i].p_type == PT_DYNAMIC) {
            return read_dynamic((uintptr_t)vdso, (const void*)((const char*)vdso + ph[i].p_vaddr));
        }
    }
    return (struct dynamic){};
}

static bool same(const char* a, const char* b) {
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

// The GNU hash table: a Bloom filter, which is skipped, buckets, and chains whose last entry has
// bit 0 set.
static void* find_symbol(const struct dynamic* d, const char* name) {
    if (d->gnu_hash == nullptr) {
        return nullptr;
    }
    uint32_t hash = 5381;
    for (const char* c = name; *c != '\0'; c++) {
        hash = hash * 33 + (uint8_t)*c;
    }
    uint32_t bucket_count = d->gnu_hash[0];
    uint32_t first_symbol = d->gnu_hash[1];
    uint32_t bloom_words = d->gnu_hash[2];
    const uint32_t* buckets = d->gnu_hash + 4 + 2 * (size_t)bloom_words;
    const uint32_t* chain = buckets + bucket_count;
    uint32_t i = bucket_count == 0 ? 0 : buckets[hash % bucket_count];
    while (i >= first_symbol && i != 0) {
        uint32_t entry = chain[i - first_symbol];
        const Elf64_Sym* symbol = &d->symbols[i];
        if ((entry | 1) == (hash | 1) && same(d->strings + symbol->st_name, name)) {
            return (void*)(d->base + symbol->st_value);
        }
        i = (entry & 1) != 0 ? 0 : i + 1;
    }
    return nullptr;
}

void* crt0_vdso_symbol(const void* vdso, const char* name) {
    struct dynamic d = vdso_dynamic(vdso);
    return find_symbol(&d, name);
}

// ---- relocations ----

// Bit 0 clear: an address to relocate; set: a bitmap of the 63 words that follow the last one.
static void apply_relr(const struct dynamic* d) {
    uint64_t* next = nullptr;
    for (size_t i = 0; i < d->relr_size / sizeof(uint64_t); i++) {
        uint64_t entry = d->relr[i];
        if ((entry & 1) == 0) {
            next = (uint64_t*)(d->base + entry);
            *next++ += d->base;
            continue;
        }
        for (uint32_t bit = 1; bit < 64; bit++) {
            if ((entry >> bit & 1) != 0) {
                next[bit - 1] += d->base;
            }
        }
        next += 63;
    }
}

struct binder {
    struct dynamic program, vdso;
    const char* problem;
};

static void apply_one(struct binder* b, uint64_t offset, uint64_t info, int64_t addend) {
    uint64_t* where = (uint64_t*)(b->program.base + offset);
    uint32_t type = ELF64_R_TYPE(info);
    if (type == R_X86_64_NONE) {
        return;
    }
    if (type == R_X86_64_RELATIVE) {
        *where = b->program.base + (uint64_t)addend;
        return;
    }
    if (type != R_X86_64_64 && type != R_X86_64_GLOB_DAT && type != R_X86_64_JUMP_SLOT) {
        b->problem = "(relocation of unknown type)";
        return;
    }
    const Elf64_Sym* symbol = &b->program.symbols[ELF64_R_SYM(info)];
    const char* name = b->program.strings + symbol->st_name;
    uint64_t value = 0;
    if (symbol->st_shndx != SHN_UNDEF) {
        value = b->program.base + symbol->st_value;
    } else {
        value = (uint64_t)find_symbol(&b->vdso, name);
        if (value == 0 && ELF64_ST_BIND(symbol->st_info) != STB_WEAK) {
            b->problem = name;
            return;
        }
    }
    *where = value + (uint64_t)(type == R_X86_64_64 ? addend : 0);
}

static void apply_rela(struct binder* b, const Elf64_Rela* r, size_t size) {
    for (size_t i = 0; i < size / sizeof(*r); i++) {
        apply_one(b, r[i].r_offset, r[i].r_info, r[i].r_addend);
    }
}

// The addend stands in the word itself.
static void apply_rel(struct binder* b, const Elf64_Rel* r, size_t size) {
    for (size_t i = 0; i < size / sizeof(*r); i++) {
        int64_t addend = *(int64_t*)(b->program.base + r[i].r_offset);
        apply_one(b, r[i].r_offset, r[i].r_info, addend);
    }
}

const char* crt0_relocate(const void* vdso) {
    struct binder b = {.program = read_dynamic((uintptr_t)&__ehdr_start, _DYNAMIC),
                       .vdso = vdso_dynamic(vdso)};
    const struct dynamic* d = &b.program;
    apply_relr(d);
    apply_rela(&b, d->rela, d->rela_size);
    apply_rel(&b, d->rel, d->rel_size);
    if (d->jmprel_is_rela) {
        apply_rela(&b, d->jmprel, d->jmprel_size);
    } else {
        apply_rel(&b, d->jmprel, d->jmprel_size);
    }
    return b.problem;
}

struct crt0_tls crt0_find_tls(void) {
    const char* base = (const char*)&__ehdr_start;
    const Elf64_Phdr* ph = (const void*)(base + __ehdr_start.e_phoff);
    for (uint32_t i = 0; i < __ehdr_start.e_phnum; i++) {
        if (ph[i].p_type == PT_TLS) {
            return (struct crt0_tls){.image = base + ph[i].p_vaddr,
                                     .image_len = ph[i].p_filesz,
                                     .len = ph[i].p_memsz,
                                     .align = ph[i].p_align};
        }
    }
    return (struct crt0_tls){.align = 1};
}
