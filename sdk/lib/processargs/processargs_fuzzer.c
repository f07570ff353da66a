// Any bytes as a bootstrap message: what is accepted can be walked to its end.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <processargs/processargs.h>

static size_t walk(const struct processargs_strings* strings) {
    const char** pointers = malloc(((size_t)strings->count + 1) * sizeof(*pointers));
    processargs_string_pointers(strings, pointers);
    size_t total = 0;
    for (uint32_t i = 0; i < strings->count; i++) {
        total += strlen(pointers[i]);
    }
    free(pointers);
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    // The first byte: how many handles came along. The message lies in memory of its own length.
    if (len == 0) {
        return 0;
    }
    uint32_t handle_count = data[0] % 65;
    void* message = malloc(len - 1);
    memcpy(message, data + 1, len - 1);
    struct processargs args;
    if (processargs_parse(message, len - 1, handle_count, &args) == PROCESSARGS_OK) {
        size_t total = walk(&args.args) + walk(&args.environ) + walk(&args.names);
        for (uint32_t i = 0; i < args.handle_count; i++) {
            total += args.handle_infos[i];
        }
        // Keeps the compiler from leaving the reads out.
        __asm__ volatile("" ::"r"(total));
    }
    free(message);
    return 0;
}
