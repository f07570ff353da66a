// Clock calls.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <object/clock_object.h>

static uint64_t version_of(uint64_t options) {
    return (options & ZX_CLOCK_ARGS_VERSION_MASK) >> ZX_CLOCK_ARGS_VERSION_SHIFT;
}

// Only where user mode cannot read the counter itself. In the unit of zx_ticks_per_second(): the
// vDSO scales it as it would scale the counter.
zx_ticks_t sys_ticks_get_via_kernel(void) {
    return clock_user_ticks();
}

status_t sys_clock_create(uint64_t options, const void __user* args, struct user_out_handle* out) {
    uint64_t wanted = options & ~ZX_CLOCK_ARGS_VERSION_MASK;
    uint64_t version = version_of(options);
    if ((wanted & ~ZX_CLOCK_OPTS_ALL) != 0 || version > 1 || (version == 0) != (args == nullptr)) {
        return STATUS_INVALID_ARGS;
    }
    if ((wanted & ZX_CLOCK_OPT_MAPPABLE) != 0) {
        return STATUS_NOT_SUPPORTED;
    }
    zx_clock_create_args_v1_t a = {};
    if (version == 1) {
        TRY(copy_from_user(&a, (const zx_clock_create_args_v1_t __user*)args));
    }
    struct clock_object* c;
    TRY(clock_object_create(wanted, a.backstop_time, &c));
    out->handle = handle_make(clock_object_base(c), ZX_DEFAULT_CLOCK_RIGHTS);
    return STATUS_OK;
}

status_t sys_clock_read(struct clock_object* clock, zx_time_t* now) {
    *now = clock_object_read(clock);
    return STATUS_OK;
}

status_t sys_clock_get_details(struct clock_object* clock, uint64_t options, void __user* details) {
    if (options != ZX_CLOCK_ARGS_VERSION(1)) {
        return STATUS_INVALID_ARGS;
    }
    zx_clock_details_v1_t d;
    clock_object_get_details(clock, &d);
    return copy_to_user((zx_clock_details_v1_t __user*)details, &d);
}

static status_t get_update_v1(const void __user* args, struct clock_update* u) {
    zx_clock_update_args_v1_t a;
    TRY(copy_from_user(&a, (const zx_clock_update_args_v1_t __user*)args));
    if ((u->valid & ZX_CLOCK_UPDATE_OPTION_REFERENCE_VALUE_VALID) != 0) {
        return STATUS_INVALID_ARGS; // a field this version does not have
    }
    u->rate_ppm = a.rate_adjust;
    u->value = a.value;
    u->error_bound = a.error_bound;
    return STATUS_OK;
}

static status_t get_update_v2(const void __user* args, struct clock_update* u) {
    zx_clock_update_args_v2_t a;
    TRY(copy_from_user(&a, (const zx_clock_update_args_v2_t __user*)args));
    u->rate_ppm = a.rate_adjust;
    u->value = a.synthetic_value;
    u->reference = a.reference_value;
    u->error_bound = a.error_bound;
    return STATUS_OK;
}

status_t sys_clock_update(struct clock_object* clock, uint64_t options, const void __user* args) {
    struct clock_update u = {.valid = options & ~ZX_CLOCK_ARGS_VERSION_MASK};
    switch (version_of(options)) {
    case 1:
        TRY(get_update_v1(args, &u));
        break;
    case 2:
        TRY(get_update_v2(args, &u));
        break;
    default:
        return STATUS_INVALID_ARGS;
    }
    return clock_object_update(clock, &u);
}
