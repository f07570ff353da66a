// The boot files, for programs that want no more of them than a VMO or a list: a few calls over
// those of <io/client.h>.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

// The connection that this program was started with as "/boot"; it stays the runtime's. Without one
// ZX_HANDLE_INVALID.
zx_handle_t bootsvc_startup(void);

// `path`: "bin/hello", or "/boot/bin/hello". The VMO is the caller's.
zx_status_t bootsvc_open(zx_handle_t service, const char* path, zx_handle_t* vmo, uint64_t* size);

// Another connection to the same service.
zx_status_t bootsvc_clone(zx_handle_t service, zx_handle_t* out);

// Calls `found` for everything directly in a directory: files with their size, directories once.
// Stops when it returns false. NOT_FOUND, NOT_DIR: it is no directory.
struct bootsvc_item {
    const char* name;
    uint32_t name_len;
    bool is_directory;
    uint32_t size;
};
typedef bool (*bootsvc_found_fn)(void* ctx, const struct bootsvc_item* item);
zx_status_t bootsvc_list(zx_handle_t service, const char* directory, bootsvc_found_fn found,
                         void* ctx);
