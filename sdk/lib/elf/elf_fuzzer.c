// Arbitrary bytes as an ELF file, under both sets of rules: whatever is accepted must be executable
// by a mapper that checks nothing.
#include <elf/plan.h>

#include <string.h>

#include "plan_check.h"

struct bytes {
    const uint8_t* data;
    size_t len;
};

static int32_t bytes_read(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    const struct bytes* bytes = ctx;
    size_t left = offset < bytes->len ? bytes->len - (size_t)offset : 0;
    *out_len = len < left ? len : left;
    if (*out_len > 0) {
        memcpy(buffer, bytes->data + offset, *out_len);
    }
    return 0;
}

static void try_rules(struct bytes* bytes, struct elf_rules rules, uint64_t claimed_len) {
    struct elf_file file = {.read = bytes_read, .ctx = bytes, .len = claimed_len};
    struct elf_plan plan;
    elf_error_t error = elf_plan_make(&file, &rules, &plan);
    if (error >= ELF_ERROR_COUNT ||
        (error == ELF_OK && plan_violation(&plan, &rules, claimed_len) != nullptr)) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    constexpr uint64_t address_end = 0x7ffffffff000;
    // Give most inputs a sound start, or the fuzzer would spend its time on the magic.
    uint8_t copy[8192];
    size_t copy_len = len < sizeof(copy) ? len : sizeof(copy);
    memcpy(copy, data, copy_len);
    if (copy_len >= 64 && (data[0] & 3) != 0) {
        static const uint8_t start[8] = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
        memcpy(copy, start, sizeof(start));
        copy[18] = 62;
        copy[19] = 0;
        memcpy(copy + 20, (const uint8_t[4]){1}, 4);
        memcpy(copy + 52, (const uint8_t[4]){64, 0, 56, 0}, 4);
        copy[57] = 0;
    }
    struct bytes bytes = {.data = copy, .len = copy_len};
    try_rules(&bytes, elf_rules_native(ELF_MACHINE_X86_64, address_end), copy_len);
    try_rules(&bytes, elf_rules_linux(ELF_MACHINE_X86_64, 0x10000, address_end), copy_len);
    // A file that is sparse beyond what is here, as big as the headers may wish.
    struct elf_rules library = elf_rules_native(ELF_MACHINE_X86_64, address_end);
    library.require_entry = false;
    try_rules(&bytes, library, UINT64_MAX);
    return 0;
}
