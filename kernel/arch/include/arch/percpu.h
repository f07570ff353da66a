// The architecture's part of the per-CPU block, and the way to it.
//
// x86-64: GS base points to the running CPU's block while in the kernel. Assembly and the compiler
// (stack protector) know these offsets, so they are fixed here and asserted. All members are
// touched by their own CPU only, with the exception marked [a] (atomic).
#pragma once

#include <stddef.h>
#include <stdint.h>

struct arch_aspace;
struct cpu_sched;
struct thread;

// Set in arch_percpu.pending by the CPU itself (from an interrupt, an IPI or a wake-up).
enum : uint32_t {
    CPU_PENDING_RESCHED = 1u << 0,  // a better thread is ready here
    CPU_PENDING_DEFERRED = 1u << 1, // deferred work is queued here
};

// preempt_count: bits 0..30 are the nesting depth of "no preemption"; bit 31 is SET while nothing
// is pending. So preemption is enabled and something is pending exactly when the word is 0, and
// preempt_enable() is one decrement and one branch.
constexpr uint32_t PREEMPT_NOTHING_PENDING = 1u << 31;

struct arch_percpu {
    struct arch_percpu* self;   // 0
    uint64_t canary;            // 8: stack protector, loaded from the thread at each switch
    struct thread* current;     // 16
    uint64_t kernel_sp;         // 24: top of the current thread's kernel stack (SYSCALL entry)
    uint64_t user_sp;           // 32: scratch of the SYSCALL entry
    uint32_t preempt_count;     // 40
    uint32_t pending;           // 44
    uint32_t cpu;               // 48: index 0..cpu_count-1, not the APIC id
    uint32_t irq_depth;         // 52: > 0 inside a hard interrupt
    uint64_t syscall_count;     // 56
    struct thread* fpu_owner;   // 64: whose FPU state the registers hold; null = nobody's
    uint64_t iret_fallbacks;    // 72: returns to user mode that SYSRET could not make safely
    struct cpu_sched* sched;    // 80: the scheduler's block of this CPU, set by the scheduler
    struct arch_aspace* aspace; // 88: whose page tables are loaded; null: nobody's
    uint64_t cpu_bit;           // 96: 1 << cpu
    uint64_t reserved[3];       // room for the port
};
static_assert(offsetof(struct arch_percpu, canary) == 8);
static_assert(offsetof(struct arch_percpu, current) == 16);
static_assert(offsetof(struct arch_percpu, kernel_sp) == 24);
static_assert(offsetof(struct arch_percpu, user_sp) == 32);
static_assert(offsetof(struct arch_percpu, preempt_count) == 40);
static_assert(offsetof(struct arch_percpu, pending) == 44);
static_assert(offsetof(struct arch_percpu, sched) == 80);
static_assert(sizeof(struct arch_percpu) == 128);

// Defined by the port as GS-relative accesses of one instruction each: correct even when the thread
// migrates right afterwards.
#include <arch/percpu_access.h>
// static inline struct arch_percpu* arch_percpu_self(void);      valid only while preemption is
// disabled static inline struct thread* arch_current_thread(void);        always valid static
// inline uint32_t arch_cpu_index(void);                   valid only while preemption is disabled
// static inline struct cpu_sched* arch_cpu_sched(void);           likewise
// static inline uint32_t arch_preempt_count(void);
// static inline void arch_preempt_inc(void);
// static inline bool arch_preempt_dec_is_zero(void);
// static inline uint32_t arch_irq_depth(void);
// static inline uint32_t arch_pending(void);
// static inline void arch_pending_set(uint32_t bits);            sets bits, clears
// PREEMPT_NOTHING_PENDING; preemption or interrupts off static inline uint32_t
// arch_pending_take(void);                clears and returns all, sets PREEMPT_NOTHING_PENDING;
// interrupts off
