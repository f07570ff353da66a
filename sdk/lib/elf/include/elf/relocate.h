// A program's own start: apply its dynamic relocations and bind its imports to the vDSO.
//
// For code that runs first in a static PIE, before any relocation is applied: nothing here reads a
// relocated pointer, calls through a table, uses thread-local storage or a stack protector. The
// image is the program itself, which the loader has mapped and the linker has made, so it is
// trusted; what is checked is what a good toolchain may still produce: a relocation type that only
// a dynamic linker could handle, or a symbol that nobody provides. RELR, RELA and REL tables are
// applied, in this order, then those of the PLT.
//
// The functions are hidden, so that calls of them are direct: through the global offset table they
// would need a relocation.
//
// Thread-local relocations are refused: in a static PIE the linker resolves them.
#pragma once

#include <stdint.h>

// The exported symbols of a loaded shared object, by its GNU hash table.
struct elf_symbols {
    uint64_t bias;
    const uint8_t* symbols; // dynamic symbol table
    const char* strings;
    const uint32_t* hash; // GNU hash table; null: nothing can be found
};

// `base` is where the object's first page lies (its ELF header must be in it).
[[gnu::visibility("hidden")]] struct elf_symbols elf_symbols_of(const void* base);

// The address of a defined global or weak symbol; 0 if there is none.
[[gnu::visibility("hidden")]] uint64_t elf_symbols_find(const struct elf_symbols* symbols,
                                                        const char* name);

typedef enum [[nodiscard]] elf_relocate_error : uint8_t {
    ELF_RELOCATE_OK,
    ELF_RELOCATE_UNRESOLVED,   // `symbol` is not provided
    ELF_RELOCATE_UNKNOWN_TYPE, // `type` needs a dynamic linker
} elf_relocate_error_t;

struct elf_relocate_result {
    elf_relocate_error_t error;
    uint32_t type;
    const char* symbol; // for UNRESOLVED
};

// `bias` is the load address minus the link-time address, `dynamic` the dynamic section in memory.
// Imports are looked up in `provider`; an undefined weak symbol that it lacks becomes null.
[[gnu::visibility("hidden")]] struct elf_relocate_result
elf_relocate(uint64_t bias, const void* dynamic, const struct elf_symbols* provider);
