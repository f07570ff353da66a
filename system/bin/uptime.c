// How long the machine has been up.
#include <stdio.h>

#include <zircon/syscalls.h>
#include <zircon/time.h>

#include "tool.h"
#include "tools.h"

int uptime_main(int argc, char** argv) {
    int code;
    if (!tool_takes(0, argc, argv, "uptime", "[DAYS days,] HOURS:MINUTES:SECONDS since the boot.",
                    &code)) {
        return code;
    }
    uint64_t s = (uint64_t)zx_clock_get_monotonic() / ZX_SEC(1);
    printf("up ");
    if (s >= 86'400) {
        printf("%llu days, ", (unsigned long long)(s / 86'400));
    }
    printf("%llu:%02llu:%02llu, %u CPU%s\n", (unsigned long long)(s / 3'600 % 24),
           (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60),
           zx_system_get_num_cpus(), zx_system_get_num_cpus() == 1 ? "" : "s");
    return 0;
}
