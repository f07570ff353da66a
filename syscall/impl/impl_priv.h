// Shared by the implementations.
#pragma once

#include <stddef.h>

#include <zircon/types.h>

#include <lib/compiler.h>
#include <lib/status.h>

struct user_out_handle;
struct vmo;

// Gives a new VMO (its reference is taken over, whatever happens) to the caller.
status_t give_vmo(struct vmo* v, zx_rights_t rights, struct user_out_handle* out);

// A name from user memory, cut to 31 bytes and terminated. INVALID_ARGS: bad pointer.
status_t copy_name(char out[ZX_MAX_NAME_LEN], const char __user* name, size_t size);
