// Counter calls.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <object/counter_object.h>

status_t sys_counter_create(uint32_t options, struct user_out_handle* out) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct counter* c;
    TRY(counter_object_create(&c));
    out->handle = handle_make(counter_object_base(c), ZX_DEFAULT_COUNTER_RIGHTS);
    return STATUS_OK;
}

status_t sys_counter_add(struct counter* counter, int64_t value) {
    return counter_object_add(counter, value);
}

status_t sys_counter_read(struct counter* counter, int64_t* value) {
    *value = counter_object_read(counter);
    return STATUS_OK;
}

status_t sys_counter_write(struct counter* counter, int64_t value) {
    counter_object_write(counter, value);
    return STATUS_OK;
}
