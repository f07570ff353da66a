// The machine: random numbers, power, memory pressure, the debug console.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/object.h>
#include <zircon/syscalls/system.h>

#include <arch/cpu.h>
#include <arch/power.h>
#include <debug/command.h>
#include <debug/init.h>
#include <debug/log.h>
#include <object/cprng.h>
#include <object/job.h>
#include <object/system_event.h>
#include <platform/uart.h>
#include <sched/deferred.h>
#include <sched/wait_queue.h>
#include <vm/heap.h>

// ---- random numbers ----

status_t sys_cprng_draw_once(void __user* buffer, size_t buffer_size) {
    UNINITIALIZED uint8_t random[ZX_CPRNG_DRAW_MAX_LEN];
    if (buffer_size > sizeof(random)) {
        return STATUS_INVALID_ARGS;
    }
    cprng_draw(random, buffer_size);
    size_t left = arch_copy_to_user(buffer, random, buffer_size);
    __builtin_memset(random, 0, sizeof(random));
    return left == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

status_t sys_cprng_add_entropy(const void __user* buffer, size_t buffer_size) {
    UNINITIALIZED uint8_t entropy[ZX_CPRNG_ADD_ENTROPY_MAX_LEN];
    if (buffer_size > sizeof(entropy) || arch_copy_from_user(entropy, buffer, buffer_size) != 0) {
        return STATUS_INVALID_ARGS;
    }
    cprng_add_entropy(entropy, buffer_size);
    __builtin_memset(entropy, 0, sizeof(entropy));
    return STATUS_OK;
}

// ---- memory pressure ----

status_t sys_system_get_event(struct job* root_job, uint32_t kind, struct user_out_handle* event) {
    if (root_job != job_root()) {
        return STATUS_ACCESS_DENIED;
    }
    struct object* o;
    TRY(system_event_get(kind, &o));
    event->handle = handle_make(o, ZX_DEFAULT_SYSTEM_EVENT_LOW_MEMORY_RIGHTS);
    return STATUS_OK;
}

// ---- power ----

status_t sys_system_powerctl(struct resource*, uint32_t cmd, const zx_system_powerctl_arg_t*) {
    switch (cmd) {
    case ZX_SYSTEM_POWERCTL_SHUTDOWN:
        arch_power_off();
        return STATUS_NOT_SUPPORTED; // nothing that the firmware offers worked
    case ZX_SYSTEM_POWERCTL_REBOOT:
    case ZX_SYSTEM_POWERCTL_REBOOT_BOOTLOADER:
    case ZX_SYSTEM_POWERCTL_REBOOT_RECOVERY:
        arch_reboot();
        return STATUS_NOT_SUPPORTED;
    case ZX_SYSTEM_POWERCTL_ENABLE_ALL_CPUS:
        return STATUS_OK; // they always are
    case ZX_SYSTEM_POWERCTL_DISABLE_ALL_CPUS_BUT_PRIMARY:
    case ZX_SYSTEM_POWERCTL_ACPI_TRANSITION_S_STATE:
    case ZX_SYSTEM_POWERCTL_X86_SET_PKG_PL1:
    case ZX_SYSTEM_POWERCTL_ACK_KERNEL_INITIATED_REBOOT:
        return STATUS_NOT_SUPPORTED;
    default:
        return STATUS_INVALID_ARGS;
    }
}

// ---- the debug console ----

// One call's output stays together up to this many bytes: what the markers of the tests need.
constexpr size_t CONSOLE_TOGETHER = 1024;
constexpr size_t CONSOLE_CHUNK = 256; // what fits on the stack
constexpr size_t COMMAND_OUTPUT_MAX = 64 << 10;

static status_t write_chunks(const char __user* from, size_t size, char* chunk, size_t chunk_size) {
    while (size > 0) {
        size_t n = min(size, chunk_size);
        if (arch_copy_from_user(chunk, from, n) != 0) {
            return STATUS_INVALID_ARGS;
        }
        console_write(chunk, n);
        from += n;
        size -= n;
        // The length is the caller's word: a kill must be able to end this.
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    }
    return STATUS_OK;
}

status_t sys_debug_write(const void __user* buffer, size_t buffer_size) {
    UNINITIALIZED char small[CONSOLE_CHUNK];
    char* large = buffer_size > sizeof(small) ? heap_alloc(CONSOLE_TOGETHER) : nullptr;
    status_t status = large != nullptr ? write_chunks(buffer, buffer_size, large, CONSOLE_TOGETHER)
                                       : write_chunks(buffer, buffer_size, small, sizeof(small));
    if (large != nullptr) {
        heap_free(large);
    }
    return status;
}

status_t sys_debug_send_command(struct resource*, const char __user* buffer, size_t buffer_size) {
    UNINITIALIZED char line[CONSOLE_CHUNK];
    if (buffer_size > sizeof(line) || arch_copy_from_user(line, buffer, buffer_size) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return kcommand_run(line, buffer_size);
}

status_t sys_debug_run_command(struct resource*, const char __user* buffer, size_t buffer_size,
                               char __user* output, size_t output_size, size_t* actual) {
    UNINITIALIZED char line[CONSOLE_CHUNK];
    if (buffer_size > sizeof(line) || output_size > COMMAND_OUTPUT_MAX ||
        arch_copy_from_user(line, buffer, buffer_size) != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct console_capture capture = {.text = heap_alloc(max(output_size, (size_t)1)),
                                      .size = output_size};
    if (capture.text == nullptr) {
        return STATUS_NO_MEMORY;
    }
    thread_current()->capture = &capture;
    status_t status = kcommand_run(line, buffer_size);
    thread_current()->capture = nullptr;
    if (arch_copy_to_user(output, capture.text, min(capture.length, output_size)) != 0) {
        status = STATUS_INVALID_ARGS;
    }
    heap_free(capture.text);
    *actual = capture.length;
    return status;
}

// Who waits for input. The UART's interrupt queues `arrived`, which counts and wakes; a reader that
// finds nothing waits only if the count is still what it was before it looked.
static struct {
    struct wait_queue readers;
    _Atomic(uint32_t) arrivals; // changed under the queue's lock
    struct deferred arrived;
} input;

static void input_arrived(struct deferred*) {
    struct wake_list wl;
    wake_list_begin(&wl);
    irq_state_t state = spin_acquire_irq(&input.readers.lock);
    atomic_fetch_add_explicit(&input.arrivals, 1, memory_order_release);
    (void)wait_queue_wake(&input.readers, &wl, UINT32_MAX, STATUS_OK);
    spin_release_irq(&input.readers.lock, state);
    wake_list_flush(&wl);
}

static void input_interrupt(void) {
    deferred_queue(&input.arrived);
}

static void input_init(void) {
    wait_queue_init(&input.readers);
    input.arrived.fn = input_arrived;
    uart_set_receive_hook(input_interrupt);
}
INIT_HOOK(INIT_OBJECTS, input_init);

// Until something may be there. Outside the analysis: the lock passes to wait_block().
static status_t input_wait(uint32_t seen) TA_OFF {
    irq_state_t state = spin_acquire_irq(&input.readers.lock);
    if (atomic_load_explicit(&input.arrivals, memory_order_relaxed) != seen) {
        spin_release_irq(&input.readers.lock, state);
        return STATUS_OK;
    }
    return wait_block(&input.readers, state, TIME_INFINITE, WAIT_INTERRUPTIBLE,
                      ZX_THREAD_STATE_BLOCKED_INTERRUPT >> 8);
}

status_t sys_debug_read(struct resource*, void __user* buffer, size_t buffer_size, size_t* actual) {
    UNINITIALIZED char chunk[CONSOLE_CHUNK];
    size_t want = min(buffer_size, sizeof(chunk));
    size_t got = 0;
    while (want != 0) {
        uint32_t seen = atomic_load_explicit(&input.arrivals, memory_order_acquire);
        got = uart_read(chunk, want);
        if (got != 0) {
            break;
        }
        TRY(input_wait(seen));
    }
    *actual = got;
    return arch_copy_to_user(buffer, chunk, got) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}
