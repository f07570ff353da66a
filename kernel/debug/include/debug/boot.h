// The hand-off record of the boot stages, for init hooks.
#pragma once

struct handoff;

void boot_handoff_set(const struct handoff* record); // kernel/top, first thing
const struct handoff* boot_handoff(void);
