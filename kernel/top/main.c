// Where everything comes together: from the boot stages' jump to a running system.
//
//     boot stack, interrupts off            idle thread of CPU 0 from the second line on
//       arch_init_early, sched_init_boot
//       EARLY, PMM, HEAP, VM                memory
//       arch_init, PLATFORM                 interrupt controllers, clock
//     thread "main", interrupts on
//       THREADS, other CPUs, SMP
//       OBJECTS, LAST
//       kernel.ut=... and the end, or USER  the first program
//
// Init hooks of one level run in no particular order; what needs an order stands here.
#include <arch/boot_entry.h>

#include <arch/clock.h>
#include <arch/cpu.h>
#include <arch/power.h>
#include <boot/handoff.h>
#include <debug/boot.h>
#include <debug/cmdline.h>
#include <debug/command.h>
#include <debug/init.h>
#include <debug/ktest.h>
#include <debug/log.h>
#include <debug/log_start.h>
#include <debug/panic.h>
#include <lib/bits.h>
#include <object/cprng.h>
#include <platform/uart.h>
#include <sched/init.h>
#include <sched/thread.h>
#include <syscall/vdso_image.h>
#include <vm/pmm.h>

extern const char __boot_stack_top[];

// The tests that the command line asks for; then the machine ends.
[[noreturn]] static void run_tests(struct text_span patterns) {
    bool ok = ktest_run(patterns);
    debug_exit(ok ? DEBUG_EXIT_OK : DEBUG_EXIT_OK + 1);
    arch_power_off();
    arch_halt_forever();
}

// What the boot stages and the CPU's own generator have gathered. The hand-off record's copy is not
// used again.
static void seed_random_pool(void) {
    const struct handoff* handoff = boot_handoff();
    cprng_seed(handoff->entropy, sizeof(handoff->entropy));
}
INIT_HOOK(INIT_PLATFORM, seed_random_pool);

// For the programs that read it in the vDSO.
static void describe_machine(void) {
    struct pmm_stats memory;
    pmm_get_stats(&memory);
    struct vdso_machine machine = {.clock = arch_clock_scale(),
                                   .num_cpus = bit_count(arch_cpus_online()),
                                   .dcache_line_size = 64, // every x86-64 CPU's
                                   .physmem_bytes = memory.total_pages << PAGE_SHIFT,
                                   .hw_breakpoints = 4, // DR0-DR3
                                   .hw_watchpoints = 4,
                                   .version = "jacinth"};
    vdso_fill(&machine);
}

static int main_thread(void*) {
    log_start();
    init_run_level(INIT_THREADS);
    arch_start_secondary_cpus();
    init_run_level(INIT_SMP);
    init_run_level(INIT_OBJECTS);
    init_run_level(INIT_LAST);
    klog(LOG_INFO, "kernel up on %u CPUs", bit_count(arch_cpus_online()));
    struct text_span value;
    if (parse_option(cmdline(), "kernel.k", &value)) { // a kernel command: kernel.k="crash stack"
        (void)!kcommand_run(value.data, value.len);    // it has said what went wrong
    }
    if (parse_option(cmdline(), "kernel.ut", &value)) {
        run_tests(value);
    }
    describe_machine();
    init_run_level(INIT_USER);
    return 0;
}

void kernel_main(const struct handoff* handoff) {
    arch_init_early(handoff);
    sched_init_boot((vaddr_t)__boot_stack_top);
    boot_handoff_set(handoff);
    cmdline_init(handoff->cmdline, handoff->cmdline_len);
    log_set_serial(parse_option_bool(cmdline(), "log.serial", true));
    panic_init(handoff->kernel_bias, cmdline());
    init_run_level(INIT_EARLY);
    pmm_init(handoff);
    init_run_level(INIT_PMM);
    init_run_level(INIT_HEAP);
    init_run_level(INIT_VM);
    arch_init();
    uart_init(&handoff->uart);
    console_set_output(uart_write);
    init_run_level(INIT_PLATFORM);
    sched_start_boot(main_thread);
}
