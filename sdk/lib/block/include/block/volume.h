// Where a device keeps a file system.
#pragma once

#include <zircon/types.h>

// A connection to what of a device is for file systems: the first partition of that type
// (gpt_type_filesystem) in its partition table, or all of a device without one. `device`, a channel
// to jacinth.block/Block, is gone whatever happens; *volume is one, too, and the caller's. Waits.
//   NOT_FOUND          a table without such a partition
//   IO_DATA_INTEGRITY  a broken one
// and what the device answers; PEER_CLOSED: nobody is there.
zx_status_t block_volume_open(zx_handle_t device, zx_handle_t* volume);
