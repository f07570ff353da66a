// The program's own image: relocating it, and finding its thread-local part.
//
// Runs before any relocation is applied: everything is reached relative to the instruction pointer. __ehdr_start and _DYNAMIC are hidden symbols that
// the linker defines; a static PIE is linked at address 0.

#include <elf/relocate.h>

#include "crt0_priv.h"

extern const uint8_t __ehdr_start[] __attribute__((visibility("hidden")));
extern const uint8_t _DYNAMIC[] __attribute__((visibility("hidden")));

const char* crt0_relocate(const void* vdso) {
    struct elf_symbols provider = elf_symbols_of(vdso);
    struct elf_relocate_result result =
        elf_relocate((uintptr_t)__ehdr_start, _DYNAMIC, &provider);
    if (result.error == ELF_RELOCATE_OK) {
        return nullptr;
    }
    return result.error == ELF_RELOCATE_UNRESOLVED ? result.symbol : "(relocation of unknown type)";
}

void* crt0_vdso_symbol(const void* vdso, const char* name) {
    struct elf_symbols symbols = elf_symbols_of(vdso);
    return (void*)elf_symbols_find(&symbols, name);
}

// ELF64 file and program header fields (System V ABI, chapters 4 and 5).
struct file_header {
    uint8_t before_phoff[32];
    uint64_t phoff;
    uint8_t before_phnum[16];
    uint16_t phnum;
};
static_assert(offsetof(struct file_header, phnum) == 56);

struct program_header {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
static_assert(sizeof(struct program_header) == 56);
constexpr uint32_t PROGRAM_HEADER_TLS = 7;

struct crt0_tls crt0_find_tls(void) {
    const struct file_header* file = (const void*)__ehdr_start;
    const struct program_header* ph = (const void*)(__ehdr_start + file->phoff);
    for (uint32_t i = 0; i < file->phnum; i++) {
        if (ph[i].type == PROGRAM_HEADER_TLS) {
            return (struct crt0_tls){.image = __ehdr_start + ph[i].vaddr,
                                     .image_len = ph[i].filesz,
                                     .len = ph[i].memsz,
                                     .align = ph[i].align != 0 ? ph[i].align : 1};
        }
    }
    return (struct crt0_tls){.align = 1};
}
