// Named kernel counters, per CPU, summed on reading (`k counters`).
#pragma once

#include <arch/percpu.h>
#include <lib/compiler.h>

struct counter_desc {
    const char* name;
    uint32_t index;
};
// COUNTER(name): defines a counter; counter_add(name, n) from any context of one CPU (a single add).
#include <debug/counters_impl.h>
