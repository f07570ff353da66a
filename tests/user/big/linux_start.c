// Runs the self-check as a program of the build machine's Linux, without a C library: the same
// image and the same self-relocation, a different kernel under it. For the generator's own test.
#include <elf/relocate.h>

#include <stddef.h>

#include "big_layout.h"
#include "big_sum.h"

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _DYNAMIC[] __attribute__((visibility("hidden")));

constexpr long linux_write = 1;
constexpr long linux_exit = 60;

static long linux_call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static void print_sum(uint64_t sum) {
    char line[] = "big: sum 0000000000000000\n";
    for (int i = 0; i < 16; i++) {
        line[9 + i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15];
    }
    (void)linux_call(linux_write, 1, (long)line, sizeof(line) - 1);
}

[[noreturn]] void linux_start(void);
[[noreturn]] void linux_start(void) {
    struct elf_symbols nobody = {};
    struct elf_relocate_result result =
        elf_relocate((uint64_t)(uintptr_t)__ehdr_start, _DYNAMIC, &nobody);
    long code = 100 + result.error;
    if (result.error == ELF_RELOCATE_OK) {
        uint64_t sum = big_sum();
        print_sum(sum);
        code = sum != BIG_EXPECTED_SUM ? 1 : big_write_check() ? 0 : 2;
    }
    for (;;) {
        (void)linux_call(linux_exit, code, 0, 0);
    }
}

__asm__(".globl _start\n"
        "_start:\n"
        "    xorl %ebp, %ebp\n"
        "    andq $-16, %rsp\n"
        "    call linux_start\n"
        "    ud2\n");
