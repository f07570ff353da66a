// Time without the kernel: the CPU's counter, scaled by constants that the kernel measured at boot.
//
// The counter is read behind a fence: an earlier load, for instance of a flag that another CPU set
// after it read its own counter, must not see a later time than this. Where user mode must not
// trust the counter, the kernel is asked for ticks and only the scaling happens here.
#include "sdk/vdso/vdso_priv.h"

static inline int64_t ticks(void) {
    if (unlikely((vdso_constants.flags & VDSO_FLAG_TICKS_IN_USER) == 0)) {
        return syscall_ticks_get_via_kernel();
    }
    uint64_t counter;
    __asm__ volatile("lfence\n\trdtsc\n\tshlq $32, %%rdx\n\torq %%rdx, %0"
                     : "=a"(counter)
                     :
                     : "rdx", "cc", "memory");
    return (int64_t)(counter + (uint64_t)vdso_constants.ticks_offset);
}

static inline int64_t ticks_to_ns(int64_t count) {
    unsigned __int128 product = (unsigned __int128)(uint64_t)count * vdso_constants.ns_mult;
    return (int64_t)(product >> (vdso_constants.ns_shift & 63));
}

zx_instant_mono_ticks_t _zx_ticks_get(void) {
    return ticks();
}
VDSO_FUNCTION(ticks_get);

zx_instant_boot_ticks_t _zx_ticks_get_boot(void) {
    return ticks() + vdso_constants.boot_ticks_offset;
}
VDSO_FUNCTION(ticks_get_boot);

zx_ticks_t _zx_ticks_per_second(void) {
    return vdso_constants.ticks_per_second;
}
VDSO_FUNCTION(ticks_per_second);

zx_instant_mono_t _zx_clock_get_monotonic(void) {
    return ticks_to_ns(ticks());
}
VDSO_FUNCTION(clock_get_monotonic);

zx_instant_boot_t _zx_clock_get_boot(void) {
    return ticks_to_ns(ticks() + vdso_constants.boot_ticks_offset);
}
VDSO_FUNCTION(clock_get_boot);

zx_instant_mono_t _zx_deadline_after(zx_duration_mono_t nanoseconds) {
    return zx_time_add_duration(ticks_to_ns(ticks()), nanoseconds);
}
VDSO_FUNCTION(deadline_after);
