// The machine: random numbers, power, memory pressure, the debug console.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/system.h>

#include <arch/cpu.h>
#include <arch/power.h>
#include <debug/command.h>
#include <debug/init.h>
#include <debug/log.h>
#include <object/cprng.h>
#include <object/job.h>
#include <platform/uart.h>
#include <sched/deferred.h>

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

// One call's output stays together up to this many bytes: a marker of the tests is shorter.
constexpr size_t CONSOLE_CHUNK = 256;

status_t sys_debug_write(const void __user* buffer, size_t buffer_size) {
    const char __user* from = buffer;
    UNINITIALIZED char chunk[CONSOLE_CHUNK];
    while (buffer_size > 0) {
        size_t n = min(buffer_size, sizeof(chunk));
        if (arch_copy_from_user(chunk, from, n) != 0) {
            return STATUS_INVALID_ARGS;
        }
        console_write(chunk, n);
        from += n;
        buffer_size -= n;
        // The length is the caller's word: a kill must be able to end this.
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
    }
    return STATUS_OK;
}

status_t sys_debug_send_command(struct resource*, const char __user* buffer, size_t buffer_size) {
    UNINITIALIZED char line[CONSOLE_CHUNK];
    if (buffer_size > sizeof(line) || arch_copy_from_user(line, buffer, buffer_size) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return kcommand_run(line, buffer_size);
}

// Threads that wait for console input. The receive interrupt queues deferred work, which wakes them
// all; each looks again.
static struct {
    spinlock_t lock;     // class OBJECT
    struct list waiters; // struct waiter; under lock
    struct deferred arrived;
} input = {.lock = SPINLOCK_INIT(LOCK_CLASS_OBJECT), .waiters = LIST_INIT(input.waiters)};

static void wake_readers(struct deferred*) {
    struct wake_list wl;
    wake_list_begin(&wl);
    spin_acquire(&input.lock);
    struct list_node* n;
    while ((n = list_pop_front(&input.waiters)) != nullptr) {
        (void)wake_list_add(&wl, container_of(n, struct waiter, node), STATUS_OK);
    }
    spin_release(&input.lock);
    wake_list_flush(&wl);
}

static void input_arrived(void) {
    deferred_queue(&input.arrived);
}

static void listen_for_input(void) {
    input.arrived.fn = wake_readers;
    uart_set_receive_hook(input_arrived);
}
INIT_HOOK(INIT_OBJECTS, listen_for_input);

// Reads into `out` or, when there is nothing, waits for the next arrival.
static status_t read_or_wait(char* out, size_t size, size_t* got) {
    UNINITIALIZED struct waiter w;
    waiter_init(&w);
    spin_acquire(&input.lock);
    list_push_back(&input.waiters, &w.node);
    spin_release(&input.lock);
    // After the registration: what arrives from now on wakes us.
    *got = uart_read(out, size);
    status_t status = STATUS_OK;
    if (*got == 0) {
        status = waiter_block(&w, TIME_INFINITE, WAIT_INTERRUPTIBLE, 0);
    } else if (!waiter_claim(&w, STATUS_OK)) {
        // The waker has claimed it: it is unlinked already.
    }
    spin_acquire(&input.lock);
    if (list_linked(&w.node)) {
        list_remove(&w.node);
    }
    spin_release(&input.lock);
    return status;
}

status_t sys_debug_read(struct resource*, void __user* buffer, size_t buffer_size, size_t* actual) {
    UNINITIALIZED char chunk[CONSOLE_CHUNK];
    size_t got = 0;
    while (got == 0 && buffer_size != 0) {
        TRY(read_or_wait(chunk, min(buffer_size, sizeof(chunk)), &got));
    }
    *actual = got;
    return arch_copy_to_user(buffer, chunk, got) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}
