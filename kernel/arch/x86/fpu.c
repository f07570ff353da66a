// FPU state.
//
// Saved at every switch away from a user thread (XSAVEOPT leaves out what did not change), loaded
// at the switch to one unless this CPU's registers still are its own: the CPU remembers whose they
// are (fpu_owner), the thread on which CPU they were last loaded (fpu_cpu), and both must agree. A
// new thread has no CPU there, so a recycled address cannot match. CR0.TS is never set: lazy
// switching would cost an exception and leak state on some CPUs.
//
// XCR0 is x87, SSE and AVX at most, so 832 bytes hold everything; without XSAVE it is FXSAVE and
// 512.
#include "fpu.h"

#include <arch/percpu.h>
#include <arch/thread.h>
#include <arch/upcalls.h>
#include <lib/assert.h>
#include <lib/string.h>
#include <sched/thread.h>

#include "cpuid.h"
#include "thread_state.h"

bool x86_fpu_fxrstor(const void* area);

// The beginning of the area in every format.
struct fxsave_header {
    uint16_t control_word;
    uint16_t status_word;
    uint8_t tag_word;
    uint8_t reserved;
    uint16_t opcode;
    uint64_t instruction_pointer;
    uint64_t data_pointer;
    uint32_t mxcsr;
    uint32_t mxcsr_mask;
};
static_assert(offsetof(struct fxsave_header, mxcsr) == 24);

enum x86_fpu_how x86_fpu_how;
uint32_t x86_slow_switch;

void x86_fpu_init(void) {
    const struct cpu_features* f = arch_cpu_features();
    ASSERT(f->xsave_size <= FPU_AREA_BYTES);
    x86_fpu_how = f->xsaveopt ? X86_FPU_XSAVEOPT : f->xsave ? X86_FPU_XSAVE : X86_FPU_FXSAVE;
    x86_slow_switch = f->xsaveopt && f->fsgsbase ? 0 : 1;
}

// What a new thread starts with: all exceptions masked, round to nearest, extended precision, every
// register zero. An XSAVE header of zeros (in the zeroed area) means "initial state" for each
// component; the header's control words count in the FXSAVE format and for MXCSR.
static void area_init(void* area) {
    struct fxsave_header* h = area;
    h->control_word = 0x37f;
    h->mxcsr = 0x1f80;
}

bool arch_thread_alloc_fpu(struct arch_thread* t) {
    t->fpu = arch_upcall_alloc(FPU_AREA_BYTES);
    if (t->fpu == nullptr) {
        return false;
    }
    area_init(t->fpu);
    t->fpu_cpu = FPU_NO_CPU;
    return true;
}

void arch_thread_free(struct arch_thread* t) {
    arch_upcall_free(t->fpu);
    t->fpu = nullptr;
    x86_debug_free(t);
}

void x86_fpu_save_slow(void* area) {
    if (x86_fpu_how == X86_FPU_XSAVE) {
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
    }
}

static bool restore(const void* area) {
    return likely(x86_fpu_how != X86_FPU_FXSAVE) ? x86_fpu_xrstor(area) : x86_fpu_fxrstor(area);
}

void x86_fpu_load_slow(void* area) {
    if (unlikely(!restore(area))) {
        // Somebody wrote a state that the CPU refuses: the thread goes on with the initial one.
        memset(area, 0, FPU_AREA_BYTES);
        area_init(area);
        const bool initial = restore(area);
        ASSERT(initial);
    }
}
