// A string as pointer and length; not necessarily terminated.
#pragma once

#include <stddef.h>
#include <zircon/compiler.h>

__BEGIN_CDECLS

typedef struct zx_string_view {
    const char* c_str;
    size_t length;
} zx_string_view_t;
ZX_ABI_SIZE(zx_string_view_t, 16);

__END_CDECLS
