// Exceptions.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/exception.h>

#include <object/exception.h>
#include <object/thread_object.h>

status_t sys_task_create_exception_channel(struct object* task, zx_rights_t rights,
                                           uint32_t options, struct user_out_handle* out) {
    if ((options & ~ZX_EXCEPTION_CHANNEL_DEBUGGER) != 0) {
        return STATUS_INVALID_ARGS;
    }
    // It leads to threads and processes that the handle does not name.
    if (task->ops->type != ZX_OBJ_TYPE_THREAD && (rights & ZX_RIGHT_ENUMERATE) == 0) {
        return STATUS_ACCESS_DENIED;
    }
    return exception_channel_create(task, rights, (options & ZX_EXCEPTION_CHANNEL_DEBUGGER) != 0,
                                    &out->handle);
}

status_t sys_exception_get_thread(struct exception* exception, struct user_out_handle* out) {
    exception_get_thread(exception, &out->handle);
    return STATUS_OK;
}

status_t sys_exception_get_process(struct exception* exception, struct user_out_handle* out) {
    return exception_get_process(exception, &out->handle);
}

status_t sys_thread_raise_exception(uint32_t options, uint32_t type,
                                    const zx_exception_context_t* context) {
    if (options != ZX_EXCEPTION_TARGET_JOB_DEBUGGER || type != ZX_EXCP_USER) {
        return STATUS_INVALID_ARGS;
    }
    thread_object_raise_later(&(struct arch_exception_report){
        .type = type, .synth_code = context->synth_code, .synth_data = context->synth_data});
    return STATUS_OK;
}
