// The architecture's part of a thread: kernel context, user register state, FPU state. Contract.
#pragma once

#include <stdint.h>

#include <lib/types.h>

struct thread;

struct arch_thread {
    uint64_t sp;        // kernel stack pointer while off the CPU
    uint64_t stack_top; // top (highest address) of the kernel stack; the user frame lies directly
                        // below it
    uint64_t canary;    // stack protector value of this thread's kernel stack
    uint64_t fs_base;   // user TLS base (saved at switch-out)
    uint64_t gs_base;   // user GS base
    void* fpu;          // 64-byte aligned save area; null for kernel threads
    uint32_t fpu_cpu;   // the CPU whose registers may still hold this thread's state
    uint32_t mode;      // per-thread entry mode word: 0 = native (vDSO only)
    uint32_t nofault;   // > 0: user copies do not resolve faults; the thread's own
    uint32_t debug_status; // what its last debug exception was; the thread's own
    uint64_t fault_va;     // the address at which the last user copy failed; the thread's own
    uint64_t vdso_base;    // SYSCALL is legal only from here; VDSO_BASE_NONE: every call takes the
                           // slow path (see mode). Set before start
    void* debug;           // debug registers, once some were written; null: none
};

// Farther from any user address than any return offset: the entry path's comparison never matches.
constexpr uint64_t VDSO_BASE_NONE = (uint64_t)1 << 63;

// The register frame that every entry from user mode leaves at the top of the kernel stack. Inside
// a system call rbx, rbp, r11 and r12..r15 are not stored yet: they are valid in
// arch_upcall_user_return() and arch_upcall_user_exception(), which is where frames are read and
// written. What is written is confined to what user mode may have (selectors, flags) before it is
// loaded.
struct arch_user_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

// The context that is running now becomes `t`: boot CPU only, for the thread that initialises the
// kernel.
void arch_thread_adopt(struct thread* t, vaddr_t stack_top);

// A new kernel thread: its first switch-in calls entry() on the given stack, with interrupts off
// and preemption disabled once (as after any switch); `prev` is the thread that ran before. entry()
// does not return.
void arch_thread_init(struct arch_thread* t, vaddr_t stack_top, void (*entry)(struct thread* prev));

// Switches kernel stacks, GS-relative current/kernel_sp/canary, FS/GS bases, FPU. Interrupts off.
// The address space is switched by the scheduler's hook before. Returns in `next`'s context; the
// return value there is the thread that ran before it.
struct thread* arch_context_switch(struct thread* prev, struct thread* next);

// First entry to user mode of the current thread: all other registers zero, FPU state initial. What
// is pending by then is done with this frame in place.
[[noreturn]] void arch_enter_user(uint64_t pc, uint64_t sp, uint64_t arg1, uint64_t arg2);

// FPU save area for user threads. NO_MEMORY is the caller's to report.
[[nodiscard]] bool arch_thread_alloc_fpu(struct arch_thread* t);
void arch_thread_free(struct arch_thread* t);

// Thread-local storage bases, of the current thread or of one that is off its CPU. Not canonical,
// or not a user address: false.
[[nodiscard]] bool arch_thread_set_fs_base(struct thread* t, uint64_t value);
[[nodiscard]] bool arch_thread_set_gs_base(struct thread* t, uint64_t value);
uint64_t arch_thread_fs_base(struct thread* t);
uint64_t arch_thread_gs_base(struct thread* t);

// The frame of a thread that is in the kernel (or the current one); valid while it cannot return to
// user mode.
struct arch_user_frame* arch_thread_user_frame(struct arch_thread* t);
