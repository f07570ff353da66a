// Random bytes are the kernel's; there is no time before they are good.
#include <zircon/syscalls.h>

#include <libc/operations.h>

long sys_getrandom(void* buffer, size_t len, unsigned flags) {
    if ((flags & ~(unsigned)(ABI_GRND_NONBLOCK | ABI_GRND_RANDOM)) != 0) {
        return -ABI_EINVAL;
    }
    len = len < INT32_MAX ? len : INT32_MAX;
    zx_cprng_draw(buffer, len);
    return (long)len;
}
