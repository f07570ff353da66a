// From what the kernel found out at boot to the constants block of the vDSO.
#include <syscall/vdso_image.h>

#include <arch/clock.h>
#include <vdso/constants.h>
#include <zircon/features.h>

constexpr int64_t NS_PER_SECOND = 1'000'000'000;

static void clock_make(struct vdso_constants* out, const struct clock_scale* clock) {
    if (!clock->trusted) {
        out->ticks_per_second = NS_PER_SECOND;
        out->ns_mult = 1;
        return;
    }
    out->flags |= VDSO_FLAG_TICKS_IN_USER;
    out->ticks_offset = (int64_t)-clock->base_ticks;
    out->ticks_per_second = (int64_t)clock->ticks_per_second;
    out->ns_mult = clock->mult;
    out->ns_shift = clock->shift;
}

void vdso_constants_make(struct vdso_constants* out, const struct vdso_machine* machine) {
    *out = (struct vdso_constants){
        .magic = VDSO_CONSTANTS_MAGIC,
        .num_cpus = machine->num_cpus,
        .page_size = 4096,
        .dcache_line_size = machine->dcache_line_size,
        .physmem_bytes = machine->physmem_bytes,
        .features = {[ZX_FEATURE_KIND_CPU] = ZX_HAS_CPU_FEATURES,
                     [ZX_FEATURE_KIND_HW_BREAKPOINT_COUNT] = machine->hw_breakpoints,
                     [ZX_FEATURE_KIND_HW_WATCHPOINT_COUNT] = machine->hw_watchpoints},
    };
    clock_make(out, machine->clock);
    uint32_t length = 0;
    while (length < VDSO_VERSION_MAX - 1 && machine->version[length] != '\0') {
        out->version[length] = machine->version[length];
        length++;
    }
    out->version_length = length;
}
