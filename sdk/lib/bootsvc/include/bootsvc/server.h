// The server's side of the boot files: the boot image's bootfs, opened, and served as jacinth.io.
#pragma once

#include <bootfs/bootfs.h>
#include <io/server.h>
#include <lib/rbtree.h>
#include <zircon/types.h>

struct bootsvc_node;

struct bootsvc {
    zx_handle_t vmo;            // the bootfs image, with EXECUTE; stays the caller's
    struct bootfs fs;           // over the directory, which is mapped
    struct bootsvc_node* nodes; // the first is the root
    uint32_t node_count;
    struct io_server server;
};

typedef enum [[nodiscard]] bootsvc_error : uint8_t {
    BOOTSVC_OK,
    BOOTSVC_NO_ZBI,    // the boot image is not a ZBI
    BOOTSVC_NO_BOOTFS, // it holds no bootfs
    BOOTSVC_BAD_BOOTFS,
    BOOTSVC_FAILED, // a call failed: *status
} bootsvc_error_t;
const char* bootsvc_error_text(bootsvc_error_t error);

// Finds bootfs in the ZBI `bootdata` (stays the caller's) and makes a VMO of it; `vmex` lets its
// pages be executed.
bootsvc_error_t bootsvc_find(zx_handle_t bootdata, zx_handle_t vmex, zx_handle_t* bootfs,
                             zx_status_t* status);
// Maps the directory of the bootfs image and makes the tree of its files. The structure is large
// and stays where it is.
bootsvc_error_t bootsvc_init(struct bootsvc* svc, zx_handle_t bootfs, zx_status_t* status);

// A file as a VMO of its own: a window on the image.
zx_status_t bootsvc_open_local(const struct bootsvc* svc, const char* path, size_t path_len,
                               zx_handle_t* vmo, uint64_t* size);

// Serves the root directory over a channel, which is gone whatever the outcome, and whatever comes
// of it: at most so many connections.
zx_status_t bootsvc_serve(struct bootsvc* svc, struct async_loop* loop, uint32_t connections_max,
                          zx_handle_t channel);
