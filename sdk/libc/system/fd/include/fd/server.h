// What objects of servers (jacinth.io) share.
#pragma once

#include <fd/object.h>
#include <fidl/jacinth.io.h>

// As errno_from_status(), but a server that is gone is -ABI_EIO.
long fd_server_error(zx_status_t status);

// `device`: what tells apart files of different servers (st_dev).
void fd_stat_from_attributes(const struct jacinth_io_attributes* a, uint64_t device,
                             struct abi_stat* out);
uint8_t fd_entry_type(jacinth_io_kind_t kind); // ABI_DT_*

// The operations of an object that is a connection.
long fd_server_stat(zx_handle_t node, uint64_t device, struct abi_stat* out);
long fd_server_change(zx_handle_t node, const struct fd_change* change);
long fd_server_sync(zx_handle_t node);
