// Clock objects: an affine transformation of a reference clock, kept by whoever may update it.
//
// Argument structures are versioned by ZX_CLOCK_ARGS_VERSION(n) in the top six bits of the options.
#pragma once

#include <zircon/compiler.h>
#include <zircon/time.h>

__BEGIN_CDECLS

#define ZX_CLOCK_ARGS_VERSION_SHIFT ((uint64_t)58u)
#define ZX_CLOCK_ARGS_VERSION_BITS  ((uint64_t)6u)
#define ZX_CLOCK_ARGS_VERSION_MASK  ((uint64_t)0x3f << 58)
#define ZX_CLOCK_ARGS_VERSION(n)    (((uint64_t)(n) << 58) & ZX_CLOCK_ARGS_VERSION_MASK)

// Creation.
#define ZX_CLOCK_OPT_MONOTONIC  ((uint64_t)1u << 0) // never steps back
#define ZX_CLOCK_OPT_CONTINUOUS ((uint64_t)1u << 1) // never steps at all
#define ZX_CLOCK_OPT_AUTO_START ((uint64_t)1u << 2) // starts as a copy of its reference
#define ZX_CLOCK_OPT_BOOT       ((uint64_t)1u << 3) // reference is the boot timeline
#define ZX_CLOCK_OPT_MAPPABLE   ((uint64_t)1u << 4)
#define ZX_CLOCK_OPTS_ALL       ((uint64_t)0x1f)

// Update: which fields count.
#define ZX_CLOCK_UPDATE_OPTION_VALUE_VALID           ((uint64_t)1u << 0)
#define ZX_CLOCK_UPDATE_OPTION_SYNTHETIC_VALUE_VALID ZX_CLOCK_UPDATE_OPTION_VALUE_VALID
#define ZX_CLOCK_UPDATE_OPTION_RATE_ADJUST_VALID     ((uint64_t)1u << 1)
#define ZX_CLOCK_UPDATE_OPTION_ERROR_BOUND_VALID     ((uint64_t)1u << 2)
#define ZX_CLOCK_UPDATE_OPTION_REFERENCE_VALUE_VALID ((uint64_t)1u << 3)
#define ZX_CLOCK_UPDATE_OPTION_BOTH_VALUES_VALID \
    (ZX_CLOCK_UPDATE_OPTION_REFERENCE_VALUE_VALID | ZX_CLOCK_UPDATE_OPTION_SYNTHETIC_VALUE_VALID)
#define ZX_CLOCK_UPDATE_OPTIONS_ALL ((uint64_t)0xf)

// Parts per million.
#define ZX_CLOCK_UPDATE_MIN_RATE_ADJUST ((int32_t)-1000)
#define ZX_CLOCK_UPDATE_MAX_RATE_ADJUST ((int32_t)1000)

#define ZX_CLOCK_UNKNOWN_ERROR ((uint64_t)0xFFFFFFFFFFFFFFFF)

typedef struct zx_clock_create_args_v1 {
    zx_time_t backstop_time; // the earliest time the clock can show
} zx_clock_create_args_v1_t;
ZX_ABI_SIZE(zx_clock_create_args_v1_t, 8);

typedef struct zx_clock_rate {
    uint32_t synthetic_ticks;
    uint32_t reference_ticks;
} zx_clock_rate_t;

// synthetic = (reference - reference_offset) * rate + synthetic_offset
typedef struct zx_clock_transformation {
    int64_t reference_offset;
    int64_t synthetic_offset;
    zx_clock_rate_t rate;
} zx_clock_transformation_t;
ZX_ABI_SIZE(zx_clock_transformation_t, 24);

typedef struct zx_clock_details_v1 {
    uint64_t options;
    zx_time_t backstop_time;
    // The second name of each dates from when the monotonic timeline was the only reference.
    __extension__ union {
        zx_clock_transformation_t reference_ticks_to_synthetic;
        zx_clock_transformation_t ticks_to_synthetic;
    };
    __extension__ union {
        zx_clock_transformation_t reference_to_synthetic;
        zx_clock_transformation_t mono_to_synthetic;
    };
    uint64_t error_bound;
    zx_ticks_t query_ticks;
    zx_ticks_t last_value_update_ticks;
    zx_ticks_t last_rate_adjust_update_ticks;
    zx_ticks_t last_error_bounds_update_ticks;
    uint32_t generation_counter;
    uint8_t padding1[4];
} zx_clock_details_v1_t;
ZX_ABI_SIZE(zx_clock_details_v1_t, 112);
ZX_ABI_OFFSET(zx_clock_details_v1_t, error_bound, 64);

typedef struct zx_clock_update_args_v1 {
    int32_t rate_adjust;
    uint8_t padding1[4];
    int64_t value;
    uint64_t error_bound;
} zx_clock_update_args_v1_t;
ZX_ABI_SIZE(zx_clock_update_args_v1_t, 24);

typedef struct zx_clock_update_args_v2 {
    int32_t rate_adjust;
    uint8_t padding1[4];
    int64_t synthetic_value;
    int64_t reference_value;
    uint64_t error_bound;
} zx_clock_update_args_v2_t;
ZX_ABI_SIZE(zx_clock_update_args_v2_t, 32);

__END_CDECLS
