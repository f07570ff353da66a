// The monotonic clock and the one-shot timer of each CPU.
//
// The time-stamp counter is the clock. Its rate and the local timer's are measured together against
// a counter of known rate, once, over half a millisecond: longer costs more of the boot than it
// gains. Each sample reads the reference between two reads of the TSC and the tightest of a few is
// taken, so that an interruption of the virtual CPU does not count.
//
// Trust: the counter is taken as one clock for all CPUs if the CPU calls it invariant, if the
// emulator is one whose counter is virtual time, or if comparing the CPUs pairwise at start-up
// finds none running behind. Otherwise the kernel reads the reference counter if that is a 64-bit
// HPET, or else forces the TSC to be monotonic through one shared word, and the vDSO is told to ask
// the kernel.
#include <arch/clock.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <debug/log.h>
#include <lib/assert.h>
#include <lib/types.h>

#include "apic.h"
#include "clock_math.h"
#include "clock_priv.h"
#include "cpuid.h"
#include "regs.h"

constexpr uint64_t CALIBRATION_US = 500;
constexpr uint64_t CALIBRATION_TICKS_MAX = 1ull << 33; // a second at least, on any CPU
constexpr int SAMPLE_TRIES = 8;
constexpr int CHECK_ROUNDS = 2000;

static struct {
    // Constant after x86_clock_init(); `scale.trusted` and `use_ref` after x86_clock_check_done().
    struct clock_scale scale;
    struct clock_ratio ratio;
    struct clock_ratio ref_ratio;
    struct ref_timer ref;
    uint64_t ref_base;
    uint64_t lapic_hz;
    bool deadline_timer;
    bool use_ref;
    _Atomic(uint64_t) last_ns; // only when not trusted: the latest time given out
    // The pairwise check.
    _Atomic(uint64_t) check_last;
    _Atomic(uint32_t) check_present;
    _Atomic(bool) check_failed;
} clk;

const struct clock_scale* arch_clock_scale(void) {
    return &clk.scale;
}

static NOINLINE int64_t clock_untrusted_ns(void) {
    uint64_t ns;
    if (clk.use_ref) {
        ns = clock_ticks_to_ns(clk.ref.read() - clk.ref_base, clk.ref_ratio);
    } else {
        ns = clock_ticks_to_ns(cpu_ticks() - clk.scale.base_ticks, clk.ratio);
    }
    uint64_t last = atomic_load_explicit(&clk.last_ns, memory_order_relaxed);
    while (ns > last) {
        if (atomic_compare_exchange_weak_explicit(&clk.last_ns, &last, ns, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return (int64_t)ns;
        }
    }
    return (int64_t)last;
}

int64_t clock_monotonic_ns(void) {
    if (likely(clk.scale.trusted)) {
        return (int64_t)clock_ticks_to_ns(cpu_ticks() - clk.scale.base_ticks, clk.ratio);
    }
    return clock_untrusted_ns();
}

int64_t clock_monotonic_ordered_ns(void) {
    __asm__ volatile("lfence" ::: "memory");
    const int64_t now = clock_monotonic_ns();
    __asm__ volatile("lfence" ::: "memory");
    return now;
}

uint64_t clock_ns_to_ticks(int64_t ns) {
    if (ns <= 0) {
        return clk.scale.base_ticks;
    }
    const uint64_t ticks = clock_ticks_from_ns((uint64_t)ns, clk.ratio);
    const uint64_t room = UINT64_MAX - clk.scale.base_ticks;
    return clk.scale.base_ticks + (ticks < room ? ticks : room);
}

// ---- calibration ----
struct sample {
    uint64_t tsc;
    uint64_t ref;
    uint32_t lapic;
};

static MINSIZE struct sample sample_take(void) {
    struct sample best = {0};
    uint64_t best_width = UINT64_MAX;
    for (int i = 0; i < SAMPLE_TRIES; i++) {
        const uint64_t before = cpu_ticks();
        const uint64_t ref = clk.ref.read();
        const uint32_t lapic = lapic_timer_count();
        const uint64_t after = cpu_ticks();
        if (after - before < best_width) {
            best_width = after - before;
            best = (struct sample){.tsc = before + best_width / 2, .ref = ref, .lapic = lapic};
        }
    }
    return best;
}

// Both 0 if the reference stands still.
static MINSIZE void calibrate(uint64_t* tsc_hz, uint64_t* lapic_hz) {
    *tsc_hz = *lapic_hz = 0;
    const uint64_t wait = clk.ref.hz * CALIBRATION_US / 1'000'000;
    lapic_timer_start_masked(UINT32_MAX);
    (void)sample_take(); // the first reads are slow: cold caches, code not translated yet
    const struct sample from = sample_take();
    while (ref_timer_elapsed(&clk.ref, from.ref, clk.ref.read()) < wait) {
        if (cpu_ticks() - from.tsc > CALIBRATION_TICKS_MAX) {
            return;
        }
        cpu_relax();
    }
    const struct sample to = sample_take();
    lapic_timer_start_masked(0);
    const uint64_t ref_ticks = ref_timer_elapsed(&clk.ref, from.ref, to.ref);
    *tsc_hz = clock_hz_measured(to.tsc - from.tsc, ref_ticks, clk.ref.hz);
    *lapic_hz = clock_hz_measured(from.lapic - to.lapic, ref_ticks, clk.ref.hz);
}

MINSIZE void x86_clock_init(const struct ref_timer_places* where, uint64_t khz_override,
                            uint64_t entry_ticks) {
    clk.ref = ref_timer_find(where);
    uint64_t tsc_hz;
    calibrate(&tsc_hz, &clk.lapic_hz);
    const uint64_t measured_hz = tsc_hz;
    const uint64_t cpuid_khz = x86_tsc_khz_from_cpuid();
    if (khz_override != 0) {
        tsc_hz = khz_override * 1000;
    } else if (cpuid_khz * 1000 > measured_hz / 100 * 99 &&
               cpuid_khz * 1000 < measured_hz / 100 * 101) {
        tsc_hz = cpuid_khz * 1000; // plausible, and exact
    }
    if (tsc_hz == 0 || clk.lapic_hz == 0) {
        panic("the clock cannot be calibrated (%s: tsc %lu Hz, local timer %lu Hz)", clk.ref.name,
              tsc_hz, clk.lapic_hz);
    }
    clk.ratio = clock_ratio_from_hz(tsc_hz);
    clk.scale = (struct clock_scale){
        .base_ticks = entry_ticks,
        .ticks_per_second = tsc_hz,
        .mult = clk.ratio.mult,
        .shift = clk.ratio.shift,
        .trusted = arch_cpu_features()->tsc_trusted,
    };
    clk.deadline_timer = arch_cpu_features()->tsc_deadline && clk.scale.trusted;
    if (clk.deadline_timer) {
        lapic_timer_deadline_mode();
    }
    klog(LOG_INFO, "clock: tsc %lu kHz%s, local timer %lu kHz%s, against %s", tsc_hz / 1000,
         clk.scale.trusted ? "" : " (not trusted yet)", clk.lapic_hz / 1000,
         clk.deadline_timer ? " (deadline mode)" : "", clk.ref.name);
}

void x86_delay_us(uint64_t us) {
    const uint64_t until = cpu_ticks() + clk.scale.ticks_per_second / 1'000'000 * us;
    while ((int64_t)(cpu_ticks() - until) < 0) {
        cpu_relax();
    }
}

// ---- trust ----
bool x86_clock_wants_check(void) {
    return !clk.scale.trusted;
}

// Both CPUs read their counter in turns of a compare-and-swap: a reading below the one that the
// other published before is a counter that runs behind.
void x86_clock_check_pair(bool boot_cpu) {
    if (boot_cpu) {
        atomic_store(&clk.check_last, 0);
    }
    atomic_fetch_add(&clk.check_present, 1);
    while (atomic_load(&clk.check_present) < 2) {
        cpu_relax();
    }
    for (int i = 0; i < CHECK_ROUNDS; i++) {
        uint64_t last = atomic_load(&clk.check_last);
        const uint64_t now = cpu_ticks();
        if (now < last) {
            atomic_store(&clk.check_failed, true);
        }
        atomic_compare_exchange_strong(&clk.check_last, &last, now);
    }
    atomic_fetch_add(&clk.check_present, 1);
    if (boot_cpu) {
        while (atomic_load(&clk.check_present) < 4) {
            cpu_relax();
        }
        atomic_store(&clk.check_present, 0);
    }
}

void x86_clock_check_done(void) {
    if (clk.scale.trusted) {
        return;
    }
    if (!atomic_load(&clk.check_failed)) {
        clk.scale.trusted = true;
        return;
    }
    klog(LOG_WARN, "clock: the CPUs' tick counters disagree");
    if (clk.ref.mask == UINT64_MAX) {
        // Time goes on from where the tick counter has brought it.
        const uint64_t now_ns = (uint64_t)clock_monotonic_ns();
        clk.ref_ratio = clock_ratio_from_hz(clk.ref.hz);
        clk.ref_base = clk.ref.read() - clock_ticks_from_ns(now_ns, clk.ref_ratio);
        clk.use_ref = true;
    }
}

// ---- the one-shot timer ----
void arch_timer_set(int64_t deadline_ns) {
    if (deadline_ns == TIME_INFINITE) {
        if (clk.deadline_timer) {
            msr_write(MSR_TSC_DEADLINE, 0);
        } else {
            lapic_timer_start(0);
        }
        return;
    }
    if (clk.deadline_timer) {
        msr_write(MSR_TSC_DEADLINE, clock_ns_to_ticks(deadline_ns));
        return;
    }
    const int64_t delta_ns = deadline_ns - clock_monotonic_ns();
    // The interrupt comes at the latest when the counter ends; whoever set the timer then finds
    // that it is early and sets it again.
    const uint64_t limit_ns = UINT32_MAX / 2 * (uint64_t)1'000'000'000 / clk.lapic_hz;
    uint64_t count = 1;
    if (delta_ns > 0) {
        const uint64_t ns = min((uint64_t)delta_ns, limit_ns);
        count += ns * clk.lapic_hz / 1'000'000'000;
    }
    lapic_timer_start((uint32_t)count);
}
