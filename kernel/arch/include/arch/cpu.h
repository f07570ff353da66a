// CPU control, interrupts and inter-processor interrupts. Contract; each port supplies the
// definitions.
#pragma once

#include <stdint.h>

#include <lib/types.h>

struct handoff;

constexpr uint32_t CPU_MAX = 64;
typedef uint64_t cpu_mask_t; // bit n = CPU index n

typedef uint64_t irq_state_t;

// Inline in the port's <arch/cpu_access.h>:
//   irq_state_t irq_save(void);              disables interrupts, returns the earlier state
//   void irq_restore(irq_state_t state);
//   void irq_enable(void); void irq_disable(void); bool irq_enabled(void);
//   void cpu_relax(void);                    a spin-wait hint
//   uint64_t cpu_ticks(void);                the raw tick counter (TSC)
#include <arch/cpu_access.h>

// Enables interrupts and halts until one arrives, as one step that no wake-up can slip through.
// Called with interrupts off; returns with them on.
void arch_idle(void);
// Stops this CPU for good, interrupts off.
[[noreturn]] void arch_halt_forever(void);

uint32_t arch_cpu_count(void); // CPUs found, running or not; fixed after boot
cpu_mask_t arch_cpus_online(void);

// Boot CPU, first of all: per-CPU block of CPU 0 (nothing compiled with a stack protector may run
// before: the canary is in it), descriptor tables, exceptions, feature detection. No allocation.
// The record is kept and read again by arch_init().
void arch_init_early(const struct handoff* handoff);
// Boot CPU, after heap and kernel stacks: ACPI data, interrupt controllers, clock, timer.
// Interrupts off.
void arch_init(void);
// Starts all other CPUs, one by one; each calls arch_upcall_secondary_main() on the stack of the
// thread that arch_upcall_secondary_thread() named. A CPU that does not answer is left out.
// Interrupts on.
void arch_start_secondary_cpus(void);

enum ipi : uint32_t {
    IPI_RESCHED, // the target looks at its run queue on the way out of the interrupt
    IPI_CALL,    // the target runs queued cross-calls (arch_call_on)
    IPI_TLB,     // the target serves the TLB gather
    IPI_HALT,    // panic: the target stops (delivered as NMI)
};
void arch_ipi_send(cpu_mask_t targets, enum ipi kind);

// Runs fn(arg) on each CPU in `targets` (this one included, if named) and returns when all have.
// Interrupts on, no spinlock held. fn runs in interrupt context.
void arch_call_on(cpu_mask_t targets, void (*fn)(void* arg), void* arg);

// One-shot timer of this CPU: an interrupt (arch_upcall_timer) at or soon after `deadline_ns`;
// TIME_INFINITE disarms.
void arch_timer_set(int64_t deadline_ns);
// Monotonic nanoseconds since boot. Any context, a few instructions when the TSC is trusted.
int64_t clock_monotonic_ns(void);
// The same, and no load of this CPU before or after it in the program passes it.
int64_t clock_monotonic_ordered_ns(void);

struct cpu_features {
    bool smep, smap, umip, nx, fsgsbase, xsave, xsaveopt, avx, x2apic, pcid, invpcid, tsc_invariant,
        tsc_trusted, tsc_deadline, rdrand, rdseed, page_1g, erms, mce;
    uint32_t phys_bits; // bits of a physical address
    uint32_t xsave_size;
    char brand[52];
    char hypervisor[16];
};
const struct cpu_features* arch_cpu_features(void);
// The first physical address that no page table may name.
static inline uint64_t arch_phys_limit(void) {
    return (uint64_t)1 << arch_cpu_features()->phys_bits;
}
