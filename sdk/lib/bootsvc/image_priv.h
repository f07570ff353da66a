// Between image.c and server.c.
#pragma once

#include <bootsvc/server.h>

static inline uint64_t bootsvc_round_up(uint64_t len) {
    return (len + bootfs_page_len - 1) & ~(uint64_t)(bootfs_page_len - 1);
}
// A window on the image, of whole pages.
zx_status_t bootsvc_window(const struct bootsvc* svc, uint64_t offset, uint64_t len,
                           const char* name, size_t name_len, zx_handle_t* out);
// False: no memory.
bool bootsvc_make_tree(struct bootsvc* svc);
