// Handles that know whether they were closed, in the place of the kernel's: closing one twice, or
// one that was never given out, ends the test.
#pragma once

#include <stdint.h>

#include <zircon/types.h>

void fake_handles_reset(void);
zx_handle_info_t fake_handle(zx_obj_type_t type, zx_rights_t rights);
uint32_t fake_handles_live(void);
zx_rights_t fake_handle_rights(zx_handle_t handle);
// The next calls of zx_handle_replace fail, the handle being gone as the kernel has it.
void fake_handles_refuse_replace(bool refuse);
