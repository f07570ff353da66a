// Two programs: poweroff and reboot.
#include <fidl/jacinth.system.h>
#include <zircon/syscalls.h>

#include "tool.h"
#include "tools.h"

typedef zx_status_t (*power_call_t)(zx_handle_t power, zx_time_t deadline,
                                    struct fidl_storage storage);

static int end(const char* name, power_call_t call, int argc, char** argv) {
    int code;
    if (!tool_takes(0, argc, argv, name, "At once, after the file systems were saved.", &code)) {
        return code;
    }
    alignas(8) uint8_t buffer[64];
    const struct fidl_storage storage = {buffer, sizeof(buffer)};
    zx_handle_t power;
    zx_status_t status = tool_connect("jacinth.system.Power", &power);
    if (status == ZX_OK) {
        status = call(power, ZX_TIME_INFINITE, storage); // comes back only if it fails
    }
    return tool_failed(name, "the machine", status);
}

int poweroff_main(int argc, char** argv) {
    return end("poweroff", jacinth_system_power_power_off_call, argc, argv);
}

int reboot_main(int argc, char** argv) {
    return end("reboot", jacinth_system_power_reboot_call, argc, argv);
}
