// The port's clock: calibration, and what bringing up another CPU has to do with it.
#pragma once

#include <stdint.h>

#include "ref_timer.h"

// Boot CPU, with the local APIC up. `khz_override` (0: none) comes from the command line;
// `entry_ticks` is time zero.
void x86_clock_init(const struct ref_timer_places* where, uint64_t khz_override,
                    uint64_t entry_ticks);

// The tick counters of two CPUs are compared by both calling this at the same time, the boot CPU
// with the other one waiting for it. Only where nothing better vouches for the counters.
bool x86_clock_wants_check(void);
void x86_clock_check_pair(bool boot_cpu);
void x86_clock_check_done(void); // boot CPU, all others are up: decides

void x86_delay_us(uint64_t us); // busy
