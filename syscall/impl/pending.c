// Calls whose object types are still to come: they refuse, as docs/status.md lists.

#include <syscall/impl.h>

#include <object/thread_object.h>

#include "impl_priv.h"

#define NOT_YET(name, ...)             \
    status_t sys_##name(__VA_ARGS__) { \
        return STATUS_NOT_SUPPORTED;   \
    }

NOT_YET(clock_create, uint64_t, const void __user*, struct user_out_handle*)
NOT_YET(clock_read, struct clock_object*, zx_time_t*)
NOT_YET(clock_get_details, struct clock_object*, uint64_t, void __user*)
NOT_YET(clock_update, struct clock_object*, uint64_t, const void __user*)
NOT_YET(counter_create, uint32_t, struct user_out_handle*)
NOT_YET(counter_add, struct counter*, int64_t)
NOT_YET(counter_read, struct counter*, int64_t*)
NOT_YET(counter_write, struct counter*, int64_t)
NOT_YET(debuglog_create, struct resource*, uint32_t, struct user_out_handle*)
NOT_YET(debuglog_write, struct debuglog*, uint32_t, const void __user*, size_t)
NOT_YET(debuglog_read, struct debuglog*, uint32_t, void __user*, size_t)
NOT_YET(object_set_profile, struct thread_object*, struct profile*, uint32_t)
NOT_YET(profile_create, struct resource*, uint32_t, const zx_profile_info_t*,
        struct user_out_handle*)
NOT_YET(system_get_event, struct job*, uint32_t, struct user_out_handle*)

struct clock_object* clock_from_object(struct object* o);
struct counter* counter_from_object(struct object* o);
struct debuglog* debuglog_from_object(struct object* o);
struct profile* profile_from_object(struct object* o);
struct clock_object* clock_from_object(struct object*) {
    return nullptr;
}
struct counter* counter_from_object(struct object*) {
    return nullptr;
}
struct debuglog* debuglog_from_object(struct object*) {
    return nullptr;
}
struct profile* profile_from_object(struct object*) {
    return nullptr;
}
