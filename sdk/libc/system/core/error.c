#include <libc/error.h>

#include <libc/abi.h>

#include <zircon/errors.h>

static const struct {
    zx_status_t status;
    int32_t error;
} translations[] = {
    {ZX_ERR_INTERNAL, ABI_EIO},
    {ZX_ERR_NOT_SUPPORTED, ABI_EOPNOTSUPP},
    {ZX_ERR_NO_RESOURCES, ABI_ENOMEM},
    {ZX_ERR_NO_MEMORY, ABI_ENOMEM},
    {ZX_ERR_INVALID_ARGS, ABI_EINVAL},
    {ZX_ERR_BAD_HANDLE, ABI_EBADF},
    {ZX_ERR_WRONG_TYPE, ABI_EINVAL},
    {ZX_ERR_BAD_SYSCALL, ABI_ENOSYS},
    {ZX_ERR_OUT_OF_RANGE, ABI_EINVAL},
    {ZX_ERR_BUFFER_TOO_SMALL, ABI_EINVAL},
    {ZX_ERR_BAD_STATE, ABI_EINVAL},
    {ZX_ERR_TIMED_OUT, ABI_ETIMEDOUT},
    {ZX_ERR_SHOULD_WAIT, ABI_EAGAIN},
    {ZX_ERR_CANCELED, ABI_ECANCELED},
    {ZX_ERR_PEER_CLOSED, ABI_EPIPE},
    {ZX_ERR_NOT_FOUND, ABI_ENOENT},
    {ZX_ERR_ALREADY_EXISTS, ABI_EEXIST},
    {ZX_ERR_ALREADY_BOUND, ABI_EBUSY},
    {ZX_ERR_UNAVAILABLE, ABI_ETXTBSY}, // of files that are run, or written to (io/windows.h)
    {ZX_ERR_ACCESS_DENIED, ABI_EACCES},
    {ZX_ERR_IO_NOT_PRESENT, ABI_ENXIO},
    {ZX_ERR_BAD_PATH, ABI_ENAMETOOLONG},
    {ZX_ERR_NOT_DIR, ABI_ENOTDIR},
    {ZX_ERR_NOT_FILE, ABI_EISDIR},
    {ZX_ERR_FILE_BIG, ABI_EFBIG},
    {ZX_ERR_NO_SPACE, ABI_ENOSPC},
    {ZX_ERR_NOT_EMPTY, ABI_ENOTEMPTY},
    {ZX_ERR_PROTOCOL_NOT_SUPPORTED, ABI_EPROTONOSUPPORT},
    {ZX_ERR_NOT_CONNECTED, ABI_ENOTCONN},
    {ZX_ERR_CONNECTION_REFUSED, ABI_ECONNREFUSED},
    {ZX_ERR_CONNECTION_RESET, ABI_ECONNRESET},
    {ZX_ERR_CONNECTION_ABORTED, ABI_ECONNABORTED},
};

long errno_from_status(zx_status_t status) {
    if (status == ZX_OK) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(translations) / sizeof(translations[0]); i++) {
        if (translations[i].status == status) {
            return -translations[i].error;
        }
    }
    return -ABI_EIO;
}
