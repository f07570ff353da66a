// The first stack of a LINUX program (System V ABI for x86-64, 3.4.1), from its top down:
//
//     file name, argument and environment strings, 16 random bytes
//     auxiliary vector, null, environment pointers, null, argument pointers, argument count <- sp
//
// The stack is not mapped here: the block is made in memory of our own and written to the stack's
// VMO in one piece.
#include <stdlib.h>
#include <string.h>

#include <zircon/syscalls.h>

#include "launcher_priv.h"

constexpr uint64_t BLOCK_MAX = 1 << 20;
constexpr uint32_t RANDOM_BYTES = 16;

typedef enum aux_type : uint64_t {
    AUX_NULL = 0,
    AUX_PHDR = 3,
    AUX_PHENT = 4,
    AUX_PHNUM = 5,
    AUX_PAGESZ = 6,
    AUX_BASE = 7,
    AUX_FLAGS = 8,
    AUX_ENTRY = 9,
    AUX_UID = 11,
    AUX_EUID = 12,
    AUX_GID = 13,
    AUX_EGID = 14,
    AUX_CLKTCK = 17,
    AUX_SECURE = 23,
    AUX_RANDOM = 25,
    AUX_EXECFN = 31,
    AUX_SYSINFO_EHDR = 33,
} aux_type_t;
constexpr uint32_t AUX_WORDS = 2 * 17;

// The block while it is filled: words grow upwards from its start, bytes downwards from its end.
struct block {
    char* memory;
    uint64_t len;
    zx_vaddr_t address; // of its first byte in the process
    uint64_t* word;
    uint64_t bytes_at;
};

static void put_word(struct block* b, uint64_t value) {
    *b->word++ = value;
}

static zx_vaddr_t put_bytes(struct block* b, const void* bytes, size_t len) {
    b->bytes_at -= len;
    memcpy(b->memory + b->bytes_at, bytes, len);
    return b->address + b->bytes_at;
}

static void put_strings(struct block* b, const char* const* strings, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        put_word(b, put_bytes(b, strings[i], strlen(strings[i]) + 1));
    }
    put_word(b, 0);
}

static void put_aux(struct block* b, aux_type_t type, uint64_t value) {
    put_word(b, type);
    put_word(b, value);
}

static void put_aux_vector(struct block* b, const struct launch_linux_image* l, zx_vaddr_t name,
                           zx_vaddr_t random) {
    const struct elf_plan* plan = l->plan;
    uint64_t bias = l->image->bias;
    put_aux(b, AUX_SYSINFO_EHDR, l->vdso_base);
    put_aux(b, AUX_PAGESZ, launch_page_len);
    put_aux(b, AUX_CLKTCK, 100);
    put_aux(b, AUX_PHDR, plan->headers_vaddr != 0 ? plan->headers_vaddr + bias : 0);
    put_aux(b, AUX_PHENT, 56);
    put_aux(b, AUX_PHNUM, plan->header_count);
    put_aux(b, AUX_BASE, l->interpreter_base);
    put_aux(b, AUX_FLAGS, 0);
    put_aux(b, AUX_ENTRY, plan->entry + bias);
    put_aux(b, AUX_UID, 0);
    put_aux(b, AUX_EUID, 0);
    put_aux(b, AUX_GID, 0);
    put_aux(b, AUX_EGID, 0);
    put_aux(b, AUX_SECURE, 0);
    put_aux(b, AUX_RANDOM, random);
    put_aux(b, AUX_EXECFN, name);
    put_aux(b, AUX_NULL, 0);
}

static uint64_t strings_len(const char* const* strings, uint32_t count) {
    uint64_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        len += strlen(strings[i]) + 1;
    }
    return len;
}

struct launch_result launch_fill_linux_stack(const struct launch_request* request,
                                             const struct launch_linux_image* linux_image,
                                             const struct launch_stack* stack, zx_vaddr_t* sp) {
    size_t name_size = strlen(request->name) + 1;
    uint64_t words = 1 + (uint64_t)request->arg_count + 1 + request->environ_count + 1 + AUX_WORDS;
    uint64_t bytes = name_size + RANDOM_BYTES + strings_len(request->args, request->arg_count) +
                     strings_len(request->environ, request->environ_count);
    // The stack pointer is a multiple of 16, and so is the top.
    uint64_t len = (words * sizeof(uint64_t) + bytes + 15) & ~(uint64_t)15;
    if (len > BLOCK_MAX || len > stack->len / 2) {
        return launch_failure(LAUNCH_TOO_MANY_STRINGS, ZX_ERR_OUT_OF_RANGE);
    }
    char* memory = calloc(1, len);
    if (memory == nullptr) {
        return launch_failure(LAUNCH_NO_MEMORY, ZX_ERR_NO_MEMORY);
    }
    struct block b = {.memory = memory,
                      .len = len,
                      .address = stack->top - len,
                      .word = (uint64_t*)(void*)memory,
                      .bytes_at = len};
    uint8_t random[RANDOM_BYTES];
    zx_cprng_draw(random, sizeof(random));
    zx_vaddr_t name_at = put_bytes(&b, request->name, name_size);
    zx_vaddr_t random_at = put_bytes(&b, random, sizeof(random));
    put_word(&b, request->arg_count);
    put_strings(&b, request->args, request->arg_count);
    put_strings(&b, request->environ, request->environ_count);
    put_aux_vector(&b, linux_image, name_at, random_at);
    zx_status_t status = zx_vmo_write(stack->vmo, memory, stack->len - len, len);
    free(memory);
    *sp = b.address;
    return launch_step(LAUNCH_MAKE_STACK, status);
}
