// x86-64's registers as gdb numbers them: their sizes, values, and description. Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <gdbserver/rsp.h>
#include <zircon/syscalls/debug.h>

// What the kernel tells of a thread.
struct registers {
    zx_x86_64_thread_state_general_regs_t general;
    zx_x86_64_thread_state_fp_regs_t fp;
    zx_x86_64_thread_state_vector_regs_t vector;
};

// How many there are: the upper halves of the vector registers come last, where the CPU has them.
constexpr uint32_t registers_without_avx = 60;
constexpr uint32_t registers_with_avx = registers_without_avx + 16;
constexpr size_t register_max = 16; // bytes

size_t register_size(uint32_t n);
// False: the kernel does not show it (the selectors, parts of the x87's environment).
[[nodiscard]] bool register_get(const struct registers* r, uint32_t n, uint8_t out[register_max]);
// One that is not shown stays as it is.
void register_set(struct registers* r, uint32_t n, const uint8_t in[register_max]);

// The packets `g` and `G`, `p` and `P`. x stands for digits of what is not shown.
void registers_print(const struct registers* r, uint32_t count, struct rsp_reply* out);
void register_print(const struct registers* r, uint32_t n, struct rsp_reply* out);
// False: too few digits, or none. Registers behind the end stay.
[[nodiscard]] bool registers_parse(struct registers* r, uint32_t count, struct rsp_text* text);
[[nodiscard]] bool register_parse(struct registers* r, uint32_t n, struct rsp_text* text);

// The target description, an XML document with a terminator. The length, or what it would need.
constexpr size_t registers_xml_max = 8192;
size_t registers_describe(uint32_t count, char out[registers_xml_max]);
