// A counter of known frequency, to measure others against: HPET, else the ACPI PM timer, else
// channel 2 of the 8254.
#pragma once

#include <stdint.h>

struct ref_timer {
    const char* name;
    uint64_t (*read)(void);
    uint64_t hz;
    uint64_t mask; // the counter's width
};

// What the firmware's tables say; addresses 0 = not there.
struct ref_timer_places {
    uint64_t hpet_base; // physical
    uint16_t pm_timer_port;
    bool pm_timer_32_bit;
};

// Boot CPU. There is always one: the 8254 needs no description.
struct ref_timer ref_timer_find(const struct ref_timer_places* where);

static inline uint64_t ref_timer_elapsed(const struct ref_timer* t, uint64_t from, uint64_t to) {
    return (to - from) & t->mask;
}
