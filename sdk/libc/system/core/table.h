// The gate for numbers that no compiler knows (sdk/libc/overlay/arch/x86_64/syscall_arch.h).
#pragma once

long __jx_syscall(long number, long a, long b, long c, long d, long e, long f);
