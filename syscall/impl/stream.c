// Stream calls.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <object/stream.h>

status_t sys_stream_create(uint32_t options, struct vmo* vmo, zx_rights_t vmo_rights, zx_off_t seek,
                           struct user_out_handle* out_stream) {
    if ((options & ~ZX_STREAM_CREATE_MASK) != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct stream* s;
    TRY(stream_create(vmo, options, (vmo_rights & ZX_RIGHT_RESIZE) != 0, seek, &s));
    zx_rights_t rights = ZX_DEFAULT_STREAM_RIGHTS;
    rights |= (options & ZX_STREAM_MODE_READ) != 0 ? ZX_RIGHT_READ : 0;
    rights |= (options & ZX_STREAM_MODE_WRITE) != 0 ? ZX_RIGHT_WRITE : 0;
    out_stream->handle = handle_make(stream_object(s), rights);
    return STATUS_OK;
}

status_t sys_stream_readv(struct stream* stream, uint32_t options, const zx_iovec_t __user* vectors,
                          size_t num_vectors, size_t* actual) {
    return options == 0 ? stream_readv(stream, vectors, num_vectors, nullptr, actual)
                        : STATUS_INVALID_ARGS;
}

status_t sys_stream_readv_at(struct stream* stream, uint32_t options, zx_off_t offset,
                             const zx_iovec_t __user* vectors, size_t num_vectors, size_t* actual) {
    return options == 0 ? stream_readv(stream, vectors, num_vectors, &offset, actual)
                        : STATUS_INVALID_ARGS;
}

status_t sys_stream_writev(struct stream* stream, uint32_t options,
                           const zx_iovec_t __user* vectors, size_t num_vectors, size_t* actual) {
    if ((options & ~ZX_STREAM_APPEND) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return stream_writev(stream, vectors, num_vectors, nullptr, options != 0, actual);
}

status_t sys_stream_writev_at(struct stream* stream, uint32_t options, zx_off_t offset,
                              const zx_iovec_t __user* vectors, size_t num_vectors,
                              size_t* actual) {
    return options == 0 ? stream_writev(stream, vectors, num_vectors, &offset, false, actual)
                        : STATUS_INVALID_ARGS;
}

status_t sys_stream_seek(struct stream* stream, zx_stream_seek_origin_t whence, int64_t offset,
                         zx_off_t* out_seek) {
    return stream_seek(stream, whence, offset, out_seek);
}
