// The set of CPUs, inside the port.
#pragma once

struct handoff;

void x86_smp_init(const struct handoff* handoff); // early: one CPU
void x86_smp_count_cpus(void);                    // the platform's tables are known
