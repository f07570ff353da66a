// syscall(number, ...): the one caller whose number the compiler does not know. Links everything.
#include <libc/abi.h>

#include "table.h"

// The numbers are musl's; this file is read where musl's headers are.
#include <sys/syscall.h>

#define OPERATION(name, words, ...) long sys_##name(long, long, long, long, long, long);
#include <libc/operations.def>
#undef OPERATION

// Each function reads as many of the words as it has parameters; the others are in registers that
// nobody looks at.
typedef long operation_t(long, long, long, long, long, long);

static operation_t* operation_of(long number) {
    switch (number) {
#define OPERATION(name, words, ...) \
    case SYS_##name:                \
        return sys_##name;
#include <libc/operations.def>
#undef OPERATION
    default:
        return nullptr;
    }
}

// Not checked: the function's own type is another, see above.
[[clang::no_sanitize("function")]] long __jx_syscall(long number, long a, long b, long c, long d,
                                                     long e, long f) {
    operation_t* operation = operation_of(number);
    return operation != nullptr ? operation(a, b, c, d, e, f) : -ABI_ENOSYS;
}
