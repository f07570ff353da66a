// Initialisation by named levels: each module registers its function; kernel_main runs level after
// level. Order within a level is unspecified.
#pragma once

#include <stdint.h>

#include <lib/compiler.h>

enum init_level : uint32_t {
    INIT_EARLY,    // no memory allocation, one CPU, interrupts off
    INIT_PMM,      // physical memory
    INIT_HEAP,     // slab caches
    INIT_VM,       // kernel address space, kernel stacks
    INIT_PLATFORM, // ACPI, interrupt controllers, clocks
    INIT_THREADS,  // scheduler on the boot CPU, interrupts on
    INIT_SMP,      // other CPUs running
    INIT_OBJECTS,  // object types, root job
    INIT_LAST,     // everything but user mode
    INIT_USER,     // the first program; not when kernel tests were asked for
    INIT_LEVEL_COUNT,
};

struct init_hook {
    enum init_level level;
    const char* name;
    void (*fn)(void);
};

#define INIT_HOOK(level_, fn_)                         \
    static const struct init_hook CAT(init_hook_, fn_) \
        __attribute__((used, section(".init_hooks"), aligned(8))) = {level_, #fn_, fn_}

void init_run_level(enum init_level level);
