// Scheduling profiles: the input of zx_profile_create.
#pragma once

#include <zircon/compiler.h>
#include <zircon/syscalls/scheduler.h>
#include <zircon/types.h>

__BEGIN_CDECLS

#define ZX_PRIORITY_LOWEST  0
#define ZX_PRIORITY_LOW     8
#define ZX_PRIORITY_DEFAULT 16
#define ZX_PRIORITY_HIGH    24
#define ZX_PRIORITY_HIGHEST 31

#define ZX_PROFILE_INFO_FLAG_PRIORITY        (1 << 0)
#define ZX_PROFILE_INFO_FLAG_CPU_MASK        (1 << 1)
#define ZX_PROFILE_INFO_FLAG_DEADLINE        (1 << 2)
#define ZX_PROFILE_INFO_FLAG_NO_INHERIT      (1 << 3)
#define ZX_PROFILE_INFO_FLAG_MEMORY_PRIORITY (1 << 4)
#define ZX_PROFILE_INFO_FLAG_CRITICAL        (1 << 5)

typedef struct zx_profile_info {
    uint32_t flags; // which of the fields below count
    uint8_t padding1[4];
    __extension__ union {
        struct {
            int32_t priority; // PRIORITY or MEMORY_PRIORITY
            uint8_t padding2[20];
        };
        zx_sched_deadline_params_t deadline_params; // DEADLINE
    };
    zx_cpu_set_t cpu_affinity_mask; // CPU_MASK
} zx_profile_info_t;
ZX_ABI_SIZE(zx_profile_info_t, 96);
ZX_ABI_OFFSET(zx_profile_info_t, priority, 8);
ZX_ABI_OFFSET(zx_profile_info_t, cpu_affinity_mask, 32);

__END_CDECLS
