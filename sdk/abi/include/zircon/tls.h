// Where generated code looks for the stack guard and the unsafe stack, relative to the thread
// pointer.
#pragma once

#if defined(__x86_64__)
#define ZX_TLS_STACK_GUARD_OFFSET 0x10
#define ZX_TLS_UNSAFE_SP_OFFSET   0x18
#elif defined(__aarch64__) || defined(__riscv)
#define ZX_TLS_STACK_GUARD_OFFSET (-0x10)
#define ZX_TLS_UNSAFE_SP_OFFSET   (-0x8)
#else
#error "unknown architecture"
#endif
