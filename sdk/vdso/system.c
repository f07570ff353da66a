// What the constants block answers, and cache maintenance, which x86-64 does in hardware.
#include "sdk/vdso/vdso_priv.h"

#include <zircon/features.h>

// syscall/defs/channel.def names it by number: the stub sets it when it repeats an interrupted
// call.
ZX_STATIC_ASSERT(ZX_CHANNEL_REPLY_WAIT_SKIP_REPLY == 0x100, "stub of zx_channel_reply_wait");

uint32_t _zx_system_get_num_cpus(void) {
    return vdso_constants.num_cpus;
}
VDSO_FUNCTION(system_get_num_cpus);

uint32_t _zx_system_get_page_size(void) {
    return vdso_constants.page_size;
}
VDSO_FUNCTION(system_get_page_size);

uint32_t _zx_system_get_dcache_line_size(void) {
    return vdso_constants.dcache_line_size;
}
VDSO_FUNCTION(system_get_dcache_line_size);

uint64_t _zx_system_get_physmem(void) {
    return vdso_constants.physmem_bytes;
}
VDSO_FUNCTION(system_get_physmem);

zx_string_view_t _zx_system_get_version_string(void) {
    zx_string_view_t view = {vdso_constants.version, vdso_constants.version_length};
    return view;
}
VDSO_FUNCTION(system_get_version_string);

zx_status_t _zx_system_get_features(uint32_t kind, uint32_t* features) {
    if (kind >= sizeof(vdso_constants.features) / sizeof(vdso_constants.features[0])) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    *features = vdso_constants.features[kind];
    return ZX_OK;
}
VDSO_FUNCTION(system_get_features);

zx_status_t _zx_cache_flush(const void* addr, size_t size, uint32_t options) {
    (void)addr;
    (void)size;
    constexpr uint32_t data = ZX_CACHE_FLUSH_DATA | ZX_CACHE_FLUSH_INVALIDATE;
    if (options == 0 || (options & ~(ZX_CACHE_FLUSH_INSN | data)) != 0 ||
        (options & data) == ZX_CACHE_FLUSH_INVALIDATE) {
        return ZX_ERR_INVALID_ARGS;
    }
    return ZX_OK; // instruction fetch and devices see stores in order
}
VDSO_FUNCTION(cache_flush);

void _zx_cprng_draw(void* buffer, size_t buffer_size) {
    char* at = buffer;
    while (buffer_size > 0) {
        size_t part = buffer_size < ZX_CPRNG_DRAW_MAX_LEN ? buffer_size : ZX_CPRNG_DRAW_MAX_LEN;
        if (unlikely(syscall_cprng_draw_once(at, part) != ZX_OK)) {
            __builtin_trap(); // a bad buffer; a caller that went on would use what is not random
        }
        at += part;
        buffer_size -= part;
    }
}
VDSO_FUNCTION(cprng_draw);
