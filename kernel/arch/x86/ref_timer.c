// The reference timers. See the header for the order of preference; all are read-only counters that
// run by themselves.
#include "ref_timer.h"

#include <arch/port_io.h>
#include <arch/window.h>

constexpr uint32_t HPET_CAPABILITIES = 0x00;
constexpr uint32_t HPET_CONFIGURATION = 0x10;
constexpr uint32_t HPET_COUNTER = 0xf0;
constexpr uint64_t HPET_ENABLE = 1;
constexpr uint64_t HPET_COUNTER_64_BIT = 1u << 13;
constexpr uint64_t HPET_MAX_PERIOD_FS = 100'000'000;
constexpr uint64_t PM_TIMER_HZ = 3'579'545;
constexpr uint64_t PIT_HZ = 1'193'182;
constexpr uint16_t PIT_CHANNEL_2 = 0x42;
constexpr uint16_t PIT_COMMAND = 0x43;
constexpr uint16_t SPEAKER_PORT = 0x61;

static struct {
    volatile uint64_t* hpet; // constant after ref_timer_find(), as is the next
    uint16_t pm_timer_port;
} places;

static uint64_t hpet_read(void) {
    return places.hpet[HPET_COUNTER / 8];
}

static uint64_t pm_timer_read(void) {
    return port_in32(places.pm_timer_port);
}

// Counts down; the latch command freezes a consistent pair of bytes.
static uint64_t pit_read(void) {
    port_out8(PIT_COMMAND, 0x80);
    const uint64_t low = port_in8(PIT_CHANNEL_2);
    const uint64_t high = port_in8(PIT_CHANNEL_2);
    return ~(high << 8 | low);
}

static bool hpet_start(uint64_t base, struct ref_timer* out) {
    places.hpet = arch_window_map((paddr_t){base}, 1024, WINDOW_UNCACHED);
    if (places.hpet == nullptr) {
        return false;
    }
    const uint64_t capabilities = places.hpet[HPET_CAPABILITIES / 8];
    const uint64_t period_fs = capabilities >> 32;
    if (period_fs == 0 || period_fs > HPET_MAX_PERIOD_FS) {
        return false;
    }
    places.hpet[HPET_CONFIGURATION / 8] |= HPET_ENABLE;
    *out = (struct ref_timer){
        .name = "HPET",
        .read = hpet_read,
        .hz = (1'000'000'000'000'000 + period_fs / 2) / period_fs,
        .mask = (capabilities & HPET_COUNTER_64_BIT) != 0 ? UINT64_MAX : UINT32_MAX,
    };
    return true;
}

struct ref_timer ref_timer_find(const struct ref_timer_places* where) {
    struct ref_timer t;
    if (where->hpet_base != 0 && hpet_start(where->hpet_base, &t)) {
        return t;
    }
    if (where->pm_timer_port != 0) {
        places.pm_timer_port = where->pm_timer_port;
        return (struct ref_timer){
            .name = "PM timer",
            .read = pm_timer_read,
            .hz = PM_TIMER_HZ,
            .mask = where->pm_timer_32_bit ? UINT32_MAX : 0xff'ffff,
        };
    }
    // Gate on, speaker off; channel 2, low and high byte, rate generator, full period.
    port_out8(SPEAKER_PORT, (uint8_t)((port_in8(SPEAKER_PORT) & ~2u) | 1));
    port_out8(PIT_COMMAND, 0xb4);
    port_out8(PIT_CHANNEL_2, 0);
    port_out8(PIT_CHANNEL_2, 0);
    return (struct ref_timer){.name = "8254", .read = pit_read, .hz = PIT_HZ, .mask = 0xffff};
}
