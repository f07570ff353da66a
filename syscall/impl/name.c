#include "impl_priv.h"

#include <arch/user_copy.h>
#include <lib/string.h>

status_t copy_name(char out[ZX_MAX_NAME_LEN], const char __user* name, size_t size) {
    memset(out, 0, ZX_MAX_NAME_LEN);
    size_t n = min(size, (size_t)ZX_MAX_NAME_LEN - 1);
    return arch_copy_from_user(out, name, n) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}
