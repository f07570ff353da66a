/*
 * The jump. The kernel's own tables have no lower half, so the code that leaves identity-mapped
 * memory cannot load them; the tables in use borrow their upper half instead, and the kernel's
 * first instructions (kernel/arch/x86/boot_start.S) load the root from there. Register protocol:
 * rdi = the record's address, rsi = physical address of the root.
 */

#include <early/enter.h>

#include <early/cpu.h>

void enter_kernel(uint64_t* tables_in_use, const struct kernel_start* start) {
    const uint64_t* root = (const uint64_t*)(uintptr_t)start->root_table;
    for (uint32_t i = 256; i < 512; i++) {
        tables_in_use[i] = root[i];
    }
    cpu_write_cr3(cpu_read_cr3()); // the CPU may have cached upper-half entries of the old tables
    __asm__ volatile("jmp *%0" ::"r"(start->entry), "D"(start->record), "S"(start->root_table)
                     : "memory");
    __builtin_unreachable();
}
