// Fifo calls.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <object/fifo.h>

status_t sys_fifo_create(size_t elem_count, size_t elem_size, uint32_t options,
                         struct user_out_handle* out0, struct user_out_handle* out1) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct fifo* a;
    struct fifo* b;
    TRY(fifo_create(elem_count, elem_size, &a, &b));
    out0->handle = handle_make(fifo_object(a), ZX_DEFAULT_FIFO_RIGHTS);
    out1->handle = handle_make(fifo_object(b), ZX_DEFAULT_FIFO_RIGHTS);
    return STATUS_OK;
}

status_t sys_fifo_write(struct fifo* fifo, size_t elem_size, const void __user* data, size_t count,
                        size_t* actual_count) {
    return fifo_write(fifo, elem_size, data, count, actual_count);
}

status_t sys_fifo_read(struct fifo* fifo, size_t elem_size, void __user* data, size_t count,
                       size_t* actual_count) {
    return fifo_read(fifo, elem_size, data, count, actual_count);
}
