// Points in time, durations and ticks, with arithmetic that saturates instead of overflowing: a sum
// past the end of time is ZX_TIME_INFINITE, one before its beginning ZX_TIME_INFINITE_PAST.
#pragma once

#include <stdint.h>
#include <zircon/compiler.h>

#if __has_include(<time.h>)
#include <time.h>
// Strict C99 knows no struct timespec; some C libraries then hide it.
#if defined(__cplusplus) || !defined(__STRICT_ANSI__) || __STDC_VERSION__ >= 201112L
#define ZX_HAS_TIMESPEC_ 1
#endif
#endif

__BEGIN_CDECLS

typedef int64_t zx_time_t;     // nanoseconds on a clock's timeline
typedef int64_t zx_duration_t; // nanoseconds
typedef int64_t zx_ticks_t;    // units of zx_ticks_per_second

// The same, naming the timeline meant: monotonic stands still in suspend, boot does not.
typedef zx_time_t zx_instant_mono_t;
typedef zx_time_t zx_instant_boot_t;
typedef zx_ticks_t zx_instant_mono_ticks_t;
typedef zx_ticks_t zx_instant_boot_ticks_t;
typedef zx_duration_t zx_duration_mono_t;
typedef zx_duration_t zx_duration_boot_t;
typedef zx_ticks_t zx_duration_mono_ticks_t;
typedef zx_ticks_t zx_duration_boot_ticks_t;

#define ZX_TIME_INFINITE      INT64_MAX
#define ZX_TIME_INFINITE_PAST INT64_MIN

static inline int64_t zx_time_saturated_add_(int64_t a, int64_t b) {
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return b > 0 ? ZX_TIME_INFINITE : ZX_TIME_INFINITE_PAST;
    }
    return sum;
}
static inline int64_t zx_time_saturated_sub_(int64_t a, int64_t b) {
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference)) {
        return b < 0 ? ZX_TIME_INFINITE : ZX_TIME_INFINITE_PAST;
    }
    return difference;
}
static inline int64_t zx_time_saturated_mul_(int64_t a, int64_t b) {
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return (a < 0) == (b < 0) ? ZX_TIME_INFINITE : ZX_TIME_INFINITE_PAST;
    }
    return product;
}

static inline zx_time_t zx_time_add_duration(zx_time_t time, zx_duration_t duration) {
    return zx_time_saturated_add_(time, duration);
}
static inline zx_time_t zx_time_sub_duration(zx_time_t time, zx_duration_t duration) {
    return zx_time_saturated_sub_(time, duration);
}
static inline zx_duration_t zx_time_sub_time(zx_time_t later, zx_time_t earlier) {
    return zx_time_saturated_sub_(later, earlier);
}
static inline zx_duration_t zx_duration_add_duration(zx_duration_t a, zx_duration_t b) {
    return zx_time_saturated_add_(a, b);
}
static inline zx_duration_t zx_duration_sub_duration(zx_duration_t a, zx_duration_t b) {
    return zx_time_saturated_sub_(a, b);
}
static inline zx_duration_t zx_duration_mul_int64(zx_duration_t duration, int64_t factor) {
    return zx_time_saturated_mul_(duration, factor);
}
static inline zx_ticks_t zx_ticks_add_ticks(zx_ticks_t a, zx_ticks_t b) {
    return zx_time_saturated_add_(a, b);
}
static inline zx_ticks_t zx_ticks_sub_ticks(zx_ticks_t a, zx_ticks_t b) {
    return zx_time_saturated_sub_(a, b);
}
static inline zx_ticks_t zx_ticks_mul_int64(zx_ticks_t ticks, int64_t factor) {
    return zx_time_saturated_mul_(ticks, factor);
}

static inline int64_t zx_nsec_from_duration(zx_duration_t duration) {
    return duration;
}
static inline zx_duration_t zx_duration_from_nsec(int64_t n) {
    return n;
}
static inline zx_duration_t zx_duration_from_usec(int64_t n) {
    return zx_time_saturated_mul_(n, 1000);
}
static inline zx_duration_t zx_duration_from_msec(int64_t n) {
    return zx_time_saturated_mul_(n, 1000000);
}
static inline zx_duration_t zx_duration_from_sec(int64_t n) {
    return zx_time_saturated_mul_(n, 1000000000);
}
static inline zx_duration_t zx_duration_from_min(int64_t n) {
    return zx_time_saturated_mul_(n, 60000000000);
}
static inline zx_duration_t zx_duration_from_hour(int64_t n) {
    return zx_time_saturated_mul_(n, 3600000000000);
}

#ifdef ZX_HAS_TIMESPEC_
static inline zx_duration_t zx_duration_from_timespec(struct timespec ts) {
    return zx_time_saturated_add_(zx_duration_from_sec(ts.tv_sec), ts.tv_nsec);
}
static inline struct timespec zx_timespec_from_duration(zx_duration_t duration) {
    struct timespec ts;
    ts.tv_sec = (time_t)(duration / 1000000000);
    ts.tv_nsec = (long)(duration % 1000000000);
    return ts;
}
static inline zx_time_t zx_time_from_timespec(struct timespec ts) {
    return zx_duration_from_timespec(ts);
}
static inline struct timespec zx_timespec_from_time(zx_time_t time) {
    return zx_timespec_from_duration(time);
}
#endif

// Constant expressions where the argument is one, saturating functions otherwise.
#define ZX_UNIT_(n, unit, function) \
    (__builtin_constant_p(n) ? (zx_duration_t)((unit) * (n)) : function(n))
#define ZX_NSEC(n) ZX_UNIT_(n, 1LL, zx_duration_from_nsec)
#define ZX_USEC(n) ZX_UNIT_(n, 1000LL, zx_duration_from_usec)
#define ZX_MSEC(n) ZX_UNIT_(n, 1000000LL, zx_duration_from_msec)
#define ZX_SEC(n)  ZX_UNIT_(n, 1000000000LL, zx_duration_from_sec)
#define ZX_MIN(n)  ZX_UNIT_(n, 60000000000LL, zx_duration_from_min)
#define ZX_HOUR(n) ZX_UNIT_(n, 3600000000000LL, zx_duration_from_hour)

__END_CDECLS
