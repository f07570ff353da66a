// Where crt0 meets the ELF library: the program's own relocations, its imports from the vDSO, and
// its thread-local image.
//
// Runs before any relocation is applied and while %fs is 0. __ehdr_start and _DYNAMIC are hidden
// symbols of the linker, reached relative to the instruction pointer; the program is linked at
// address 0, so the address of its header is its bias.

#include <elf/relocate.h>

#include <crt0/crt0.h>
#include <crt0/elf64.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));
extern const char _DYNAMIC[] __attribute__((visibility("hidden")));

void* crt0_vdso_symbol(const void* vdso, const char* name) {
    struct elf_symbols symbols = elf_symbols_of(vdso);
    return (void*)elf_symbols_find(&symbols, name);
}

const char* crt0_relocate(const void* vdso) {
    struct elf_symbols provider = elf_symbols_of(vdso);
    struct elf_relocate_result result = elf_relocate((uintptr_t)&__ehdr_start, _DYNAMIC, &provider);
    // An if chain: a switch could become a table of addresses.
    if (result.error == ELF_RELOCATE_OK) {
        return nullptr;
    }
    return result.error == ELF_RELOCATE_UNRESOLVED ? result.symbol : "(relocation of unknown type)";
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
