// Profile calls.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <object/profile.h>

status_t sys_profile_create(struct resource*, uint32_t options, const zx_profile_info_t* info,
                            struct user_out_handle* out) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct profile* p;
    TRY(profile_create(info, &p));
    out->handle = handle_make(profile_object(p), ZX_DEFAULT_PROFILE_RIGHTS);
    return STATUS_OK;
}

status_t sys_object_set_profile(struct thread_object* thread, struct profile* profile,
                                uint32_t options) {
    return options == 0 ? profile_apply(profile, thread) : STATUS_INVALID_ARGS;
}
