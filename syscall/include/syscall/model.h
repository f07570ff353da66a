// The arguments of every system call as data: for decoding calls (`k strace`) and for making them
// up (the argument fuzzer). The tables are generated; this header is for the kernel and for
// programs.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

enum syscall_arg_kind : uint8_t {
    SYSCALL_ARG_SCALAR,
    SYSCALL_ARG_HANDLE,
    SYSCALL_ARG_OUT_HANDLE, // pointer to where a new handle's value goes
    SYSCALL_ARG_FUTEX,      // pointer to a futex
    SYSCALL_ARG_IN,         // pointer to what is read,
    SYSCALL_ARG_OUT,        // written,
    SYSCALL_ARG_INOUT,      // or both
};

enum syscall_model_flags : uint8_t {
    SYSCALL_FLAG_VDSO = 1u << 0,     // never enters the kernel under this name
    SYSCALL_FLAG_INTERNAL = 1u << 1, // made by the vDSO only
    SYSCALL_FLAG_BLOCKING = 1u << 2,
    SYSCALL_FLAG_NORETURN = 1u << 3,
};

struct syscall_arg_model {
    const char* name;
    enum syscall_arg_kind kind;
    uint8_t count[2]; // arrays: arguments (position + 1) whose product counts the elements; 0: none
    bool is_array;
    bool is_optional; // a null pointer or ZX_HANDLE_INVALID is fine
    bool is_consumed; // the handles are gone after the call
    bool is_signed;
    bool is_time;  // an absolute time: what makes a blocking call end
    uint16_t size; // of the value, or of one element
    zx_rights_t rights;
    uint64_t types; // handles: bit n for object type n
};

struct syscall_model {
    const char* name;
    int32_t number; // -1: none
    uint8_t flags;
    uint8_t result_size;
    uint8_t arg_count;
    struct syscall_arg_model args[8];
};

// Calls with a number first, each at its number; then those that live in the vDSO.
extern const struct syscall_model syscall_models[];
extern const size_t syscall_model_count;

// Programs only: the function of each public call, in the same order; null for internal ones.
extern void (*const syscall_entry_points[])(void);
