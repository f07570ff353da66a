// Two programs: poweroff and reboot, as POWER_COMMAND says.
#include <zircon/syscalls.h>
#include <zircon/syscalls/resource.h>
#include <zircon/syscalls/system.h>

#include "tool.h"

int main(int argc, char** argv) {
    if (tool_wants_help(argc, argv, POWER_NAME)) {
        return 0;
    }
    if (argc != 1) {
        return tool_bad_usage(POWER_NAME);
    }
    // Comes back only if it fails.
    zx_status_t status =
        zx_system_powerctl(tool_system_resource(ZX_RSRC_SYSTEM_POWER_BASE), POWER_COMMAND, nullptr);
    return tool_failed(POWER_NAME, "the machine", status);
}
