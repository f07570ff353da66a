// Panic. See the header for what it prints and why it takes no locks.
#include <debug/panic.h>

#include <stdarg.h>
#include <stdatomic.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <arch/power.h>
#include <arch/thread.h>
#include <debug/log.h>
#include <lib/fmt.h>
#include <lib/parse.h>
#include <sched/thread.h>

#include "debug_priv.h"

constexpr uint32_t FRAME_LIMIT = 48;
constexpr uint64_t STACK_REACH = 64 * 1024; // no kernel stack is larger
constexpr uint64_t KERNEL_ADDRESSES = 0xffff'8000'0000'0000u;

static struct {
    _Atomic(uint32_t) winner; // CPU + 1
    uint64_t bias;            // constant after boot
    uint16_t exit_port;       // constant after boot; 0: none
    struct {
        uint64_t pc, frame_pointer;
    } origin[CPU_MAX]; // by the CPU itself
} last;

void panic_init(uint64_t bias, struct text_span cmdline) {
    last.bias = bias;
    uint64_t port = parse_option_u64(cmdline, "debug.exit", 0);
    last.exit_port = port <= UINT16_MAX ? (uint16_t)port : 0;
}

bool panic_in_progress(void) {
    return atomic_load_explicit(&last.winner, memory_order_relaxed) != 0;
}

void panic_from(uint64_t pc, uint64_t frame_pointer) {
    uint32_t cpu = arch_cpu_index();
    if (last.origin[cpu].pc == 0) { // the first fault is the interesting one
        last.origin[cpu].pc = pc;
        last.origin[cpu].frame_pointer = frame_pointer;
    }
}

void debug_exit(uint32_t value) {
    if (last.exit_port != 0) {
        arch_debug_exit(last.exit_port, value);
    }
}

// Whether two words can be read at fp: on the thread's stack, or near where the walk began (the
// boot or an interrupt stack).
static bool frame_ok(uint64_t fp, uint64_t start) {
    if (fp % 8 != 0 || fp < KERNEL_ADDRESSES) {
        return false;
    }
    const struct thread* t = thread_current();
    uint64_t top = t != nullptr ? t->arch.stack_top : 0;
    bool on_stack = fp < top && top - fp >= 16 && top - fp < STACK_REACH;
    bool near = fp >= start && fp - start < 4096 - 16 &&
                (fp & ~(uint64_t)4095) == (start & ~(uint64_t)4095);
    return on_stack || near;
}

static void backtrace(uint64_t pc, uint64_t fp) {
    uint32_t n = 0;
    uint64_t start = fp;
    if (pc != 0) {
        kprintf("{{{bt:%u:0x%lx}}}\n", n++, pc);
    }
    while (n < FRAME_LIMIT && frame_ok(fp, start)) {
        const uint64_t* frame = (const uint64_t*)fp;
        if (frame[1] < KERNEL_ADDRESSES) {
            break;
        }
        kprintf("{{{bt:%u:0x%lx}}}\n", n++, frame[1]);
        uint64_t next = frame[0];
        if (next <= fp && frame_ok(next, start) && next >= start) {
            break; // does not go up: a loop
        }
        fp = next;
    }
}

[[noreturn]] static void end(void) {
    debug_exit(DEBUG_EXIT_PANIC);
    arch_halt_forever();
}

static void report(const char* reason, va_list args, uint64_t fp) {
    kprintf("\x1e[panic] ");
    kvprintf(reason, args);
    kprintf("\n");
    uint32_t cpu = arch_cpu_index();
    const struct thread* t = thread_current();
    kprintf("panic on cpu %u, thread %lu %s\n", cpu, t != nullptr ? (unsigned long)t->tid : 0ul,
            t != nullptr ? t->name : "(none)");
    kprintf("{{{bias:0x%lx}}}\n", last.bias);
    if (last.origin[cpu].pc != 0) {
        backtrace(last.origin[cpu].pc, last.origin[cpu].frame_pointer);
    } else {
        backtrace((uint64_t)&panic,
                  fp); // frame 0 is a program counter, the others return addresses
    }
    thread_print_running(kprintf);
    kprintf("the last log records:\n");
    log_print_last(16);
}

[[noreturn]] static void vpanic(const char* reason, va_list args, uint64_t fp) {
    irq_disable();
    uint32_t self = arch_cpu_index() + 1;
    uint32_t winner = 0;
    if (!atomic_compare_exchange_strong_explicit(&last.winner, &winner, self, memory_order_seq_cst,
                                                 memory_order_relaxed)) {
        if (winner == self) {
            kprintf("\npanic while panicking: ");
            kvprintf(reason, args);
            kprintf("\n");
            end();
        }
        arch_halt_forever(); // another CPU reports
    }
    arch_ipi_send(arch_cpus_online() & ~((cpu_mask_t)1 << (self - 1)), IPI_HALT);
    for (int i = 0; i < 10'000; i++) {
        cpu_relax(); // let them stop before we print
    }
    report(reason, args, fp);
    end();
}

void panic(const char* format, ...) {
    va_list args;
    va_start(args, format);
    vpanic(format, args, (uint64_t)__builtin_frame_address(0));
}

void assert_failed(const char* expression, const char* file, int line) {
    panic("assertion failed: %s (%s:%d)", expression, file, line);
}

static const void* at(const int32_t* offset) {
    return (const char*)offset + *offset;
}

void assert_trapped(uint64_t pc) {
    extern const struct assert_site __assert_sites_start[], __assert_sites_end[];
    for (const struct assert_site* s = __assert_sites_start; s < __assert_sites_end; s++) {
        if ((uint64_t)at(&s->pc) == pc) {
            assert_failed(at(&s->expression), at(&s->file), s->line);
        }
    }
}

// Called by the code that the compiler puts at the end of protected functions.
[[noreturn]] void __stack_chk_fail(void);
void __stack_chk_fail(void) {
    panic("a kernel stack frame was overwritten");
}

// The compiler's undefined-behaviour traps are `ud1l N(%eax), %eax`, where N says which check
// failed.
const char* ubsan_trap_name(const void* pc) {
    static const char* const names[] = {
        "integer addition overflows",
        "builtin called where it must not be",
        "call through a pointer of the wrong type",
        "division overflows",
        "dynamic type cache miss",
        "float cast overflows",
        "function type mismatch",
        "implicit conversion loses value",
        "invalid builtin argument",
        "invalid Objective-C cast",
        "load of an invalid value",
        "missing return",
        "multiplication overflows",
        "negation overflows",
        "null argument",
        "null return",
        "nullability violation (argument)",
        "nullability violation (return)",
        "array index out of bounds",
        "pointer arithmetic overflows",
        "shift out of bounds",
        "subtraction overflows",
        "access through a null or misaligned pointer",
        "variable-length array size is not positive",
    };
    const uint8_t* code = pc;
    if (code[0] != 0x67 || code[1] != 0x0f || code[2] != 0xb9 || code[3] != 0x40) {
        return nullptr;
    }
    return code[4] < array_size(names) ? names[code[4]] : "undefined behaviour";
}
