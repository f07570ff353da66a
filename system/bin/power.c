// Two programs: poweroff and reboot, as POWER_CALL says.
#include <fidl/jacinth.system.h>
#include <zircon/syscalls.h>

#include "tool.h"

int main(int argc, char** argv) {
    if (tool_wants_help(argc, argv, POWER_NAME)) {
        return 0;
    }
    if (argc != 1) {
        return tool_bad_usage(POWER_NAME);
    }
    alignas(8) uint8_t buffer[64];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    zx_handle_t power;
    zx_status_t status = tool_connect("jacinth.system.Power", &power);
    if (status == ZX_OK) {
        status = POWER_CALL(power, ZX_TIME_INFINITE, storage); // comes back only if it fails
    }
    return tool_failed(POWER_NAME, "the machine", status);
}
