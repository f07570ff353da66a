// What tests of the launcher over the fake kernel share: a request, and what must become of it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <launcher/launcher.h>

struct bytes {
    uint8_t* data;
    size_t len;
};
extern struct bytes test_program, test_vdso;
extern const char* const test_args[4];
extern const char* const test_environ[2];
extern const char* const test_names[1];

struct bytes read_file(const char* path); // or the end of the test

struct scene {
    struct launch_request request;
    struct launch_vdso vdso;
    struct launch_handle handles[2];
    int handles_before; // what stays the test's
};
struct launch_file vmo_file(struct bytes b);
void scene_begin(struct scene* s, struct launch_file file);

// Every segment, byte for byte, and zeros from the file's part to the end of the page.
void check_image(struct bytes file, uint64_t bias);

// Handles in messages: the receiver's do not count.
int sent_handles(void);

// A file with a read-only, a code and a data segment, the last with more than a page of zeros
// behind it, and 100 bytes of nothing at its end. `base` 0: ET_DYN. `interp`: its path or null.
constexpr uint64_t MADE_LEN = 3 * 4096 + 200;
constexpr uint64_t MADE_BASE = 0x400000;
struct bytes make_elf(uint64_t base, const char* interp, uint64_t stack_len);
