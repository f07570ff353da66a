// See herald.h. All it waits for comes through a port.
#include "herald.h"

#include <jacinth/startup.h>
#include <libc/error.h>
#include <spawn/children_watch.h>
#include <spawn/inherit.h>
#include <zircon/processargs.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/port.h>

#include "foreground.h"
#include "inject.h"
#include "signal_priv.h"

constexpr uint64_t KEY_CHANNEL = 1, KEY_CONTROLLER = 2, KEY_POKE = 3, KEY_FAULTS = 4;
constexpr uint64_t KEY_THREADS = (uint64_t)1 << 32; // and above, by index; pids lie between

// How long a thread has to notice by itself, as it does in any operation, until it is looked at;
// and at most from one look to the next.
constexpr zx_duration_t LOOK_FIRST = 500'000, LOOK_LAST = 100'000'000; // ns

// ZX_HANDLE_INVALID: there is no herald yet. Written under signal_lock, before the herald runs.
static zx_handle_t port;

static struct {
    zx_handle_t channel;    // from the parent; ZX_HANDLE_INVALID: there is none. Never changes
    zx_signals_t announced; // what is raised on the channel's other end
    zx_handle_t controller;
    struct herald_alarm alarm;
    zx_handle_t faults; // the process's exceptions
    // When to look for threads that have signals to act on, and how long to wait after that.
    zx_time_t look_at;
    zx_duration_t look_after;
} herald __attribute__((guarded_by(signal_lock))) = {.alarm = {.at = ZX_TIME_INFINITE},
                                                     .look_at = ZX_TIME_INFINITE};

// ---- what it hears ----

static void hear_channel(zx_handle_t channel) {
    uint32_t signal;
    uint32_t bytes;
    uint32_t handles;
    for (;;) {
        zx_status_t status = zx_channel_read(channel, ZX_CHANNEL_READ_MAY_DISCARD, &signal, nullptr,
                                             sizeof(signal), 0, &bytes, &handles);
        if (status == ZX_OK && bytes == sizeof(signal) && signal_valid((int)signal)) {
            signal_post((int)signal,
                        &(struct signal_info){.code = ABI_SI_USER, .pid = spawn_inherited()->ppid});
        } else if (status != ZX_OK && status != ZX_ERR_BUFFER_TOO_SMALL) {
            return;
        }
    }
}

static zx_time_t next_deadline(void) {
    libc_lock_acquire(&signal_lock);
    zx_time_t at = herald.alarm.at < herald.look_at ? herald.alarm.at : herald.look_at;
    libc_lock_release(&signal_lock);
    return at;
}

static void hear_alarm(void) {
    libc_lock_acquire(&signal_lock);
    struct herald_alarm* alarm = &herald.alarm;
    bool rings = alarm->at <= zx_clock_get_monotonic();
    if (rings) {
        // Rings that were missed are not made up for.
        alarm->at =
            alarm->interval_ns != 0 ? zx_deadline_after(alarm->interval_ns) : ZX_TIME_INFINITE;
    }
    libc_lock_release(&signal_lock);
    if (rings) {
        signal_post(ABI_SIGALRM, &(struct signal_info){.code = ABI_SI_USER});
    }
}

static void hear_child(int pid) {
    struct signal_info info = {};
    if (spawn_child_changed != nullptr && spawn_child_changed(pid, &info)) {
        signal_post(ABI_SIGCHLD, &info);
    }
}

static void look_after_threads(void) {
    libc_lock_acquire(&signal_lock);
    bool due = herald.look_at <= zx_clock_get_monotonic();
    if (due) {
        bool more = inject_look_locked(port, KEY_THREADS);
        herald.look_at = more ? zx_deadline_after(herald.look_after) : ZX_TIME_INFINITE;
        herald.look_after *= 2;
        herald.look_after = herald.look_after < LOOK_LAST ? herald.look_after : LOOK_LAST;
    }
    libc_lock_release(&signal_lock);
}

// ---- its life ----

static void listen_to(zx_handle_t handle, uint64_t key, zx_signals_t signals) {
    (void)zx_object_wait_async(handle, port, key, signals, 0);
}

static void hear(const zx_port_packet_t* packet) {
    zx_signals_t seen = packet->type == ZX_PKT_TYPE_SIGNAL_ONE ? packet->signal.observed : 0;
    libc_lock_acquire(&signal_lock);
    zx_handle_t channel = herald.channel;
    zx_handle_t controller = herald.controller;
    zx_handle_t faults = herald.faults;
    libc_lock_release(&signal_lock);
    if (packet->key >= KEY_THREADS) {
        inject_halted((uint32_t)(packet->key - KEY_THREADS));
        return;
    }
    switch (packet->key) {
    case KEY_CHANNEL:
        hear_channel(channel);
        if ((seen & ZX_CHANNEL_READABLE) != 0) {
            listen_to(channel, KEY_CHANNEL, ZX_CHANNEL_READABLE);
        }
        break;
    case KEY_CONTROLLER:
        // (An earlier controller's packet finds nothing there.)
        if (foreground_hear != nullptr && foreground_hear(controller)) {
            listen_to(controller, KEY_CONTROLLER, foreground_events);
        }
        break;
    case KEY_FAULTS:
        if (inject_faults(faults)) {
            listen_to(faults, KEY_FAULTS, ZX_CHANNEL_READABLE);
        }
        break;
    case KEY_POKE:
        break;
    default:
        hear_child((int)packet->key);
    }
}

[[noreturn]] static void run(void) {
    for (;;) {
        zx_port_packet_t packet;
        zx_status_t status = zx_port_wait(port, next_deadline(), &packet);
        if (status == ZX_OK) {
            hear(&packet);
        }
        hear_alarm();
        look_after_threads();
    }
}

// ---- its birth ----

constexpr size_t stack_len = 16 * 1024;
constexpr size_t guard_len = 4096;

static zx_status_t make_stack(uintptr_t* top) {
    zx_handle_t vmo;
    zx_status_t status = zx_vmo_create(stack_len, 0, &vmo);
    if (status != ZX_OK) {
        return status;
    }
    zx_handle_t region = ZX_HANDLE_INVALID;
    zx_vaddr_t base;
    zx_vaddr_t at = 0;
    status = zx_vmar_allocate(zx_vmar_root_self(),
                              ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC, 0,
                              stack_len + guard_len, &region, &base);
    if (status == ZX_OK) {
        status = zx_vmar_map(region, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_SPECIFIC, guard_len,
                             vmo, 0, stack_len, &at);
        if (status != ZX_OK) {
            (void)zx_vmar_destroy(region);
        }
    }
    (void)zx_handle_close(region);
    (void)zx_handle_close(vmo);
    *top = at + stack_len;
    return status;
}

// What the layer's locks and the canary's checks need; of musl's there is nothing.
static struct thread_block block;
static struct thread_record herald_record;

static zx_status_t start_thread_locked(void)
    __attribute__((exclusive_locks_required(signal_lock))) {
    uintptr_t top;
    zx_status_t status = make_stack(&top);
    if (status != ZX_OK) {
        return status;
    }
    static const char name[] = "signals";
    zx_handle_t thread;
    status = zx_thread_create(zx_process_self(), name, sizeof(name) - 1, 0, &thread);
    if (status != ZX_OK) {
        return status; // (the stack stays mapped: nobody is short of address space)
    }
    block = *thread_block_self(); // the canary
    block.self = &block;
    block.view = signal_own_view;
    herald_record.handle = thread;
    herald_record.block = &block;
    herald_record.signals_blocked = UINT64_MAX;
    block.record = &herald_record;
    // As after a call.
    return zx_thread_start_regs(thread, (uintptr_t)run, top - 8, 0, 0, (uintptr_t)&block, 0);
}

static zx_status_t start_locked(void) __attribute__((exclusive_locks_required(signal_lock))) {
    if (port != ZX_HANDLE_INVALID) {
        return ZX_OK;
    }
    zx_status_t status = zx_port_create(0, &port);
    if (status == ZX_OK) {
        status = start_thread_locked();
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(port);
        port = ZX_HANDLE_INVALID;
    } else if (herald.channel != ZX_HANDLE_INVALID) {
        listen_to(herald.channel, KEY_CHANNEL, ZX_CHANNEL_READABLE);
    }
    return status;
}

// ---- what it is asked ----

void herald_init(void) {
    const struct record* record = spawn_inherited();
    libc_lock_acquire(&signal_lock);
    herald.channel = zx_take_startup_handle(PA_HND(PA_LIFECYCLE, 0));
    herald.announced = signal_classes(record->ignored | record->blocked); // the parent did that
    libc_lock_release(&signal_lock);
}

static void poke_locked(void) __attribute__((exclusive_locks_required(signal_lock))) {
    zx_port_packet_t packet = {.key = KEY_POKE, .type = ZX_PKT_TYPE_USER};
    (void)zx_port_queue(port, &packet);
}

static abi_sigset_t takes_locked(void) __attribute__((exclusive_locks_required(signal_lock))) {
    if (signal_is_diverted()) {
        return ~signal_immutable;
    }
    abi_sigset_t takes = signal_process.blocked;
    for (int signal = 1; signal <= signal_max; signal++) {
        if (signal_handler(&signal_own.actions[signal - 1]) != SIGNAL_DFL) {
            takes |= signal_bit(signal);
        }
    }
    return takes & ~signal_immutable;
}

static void announce_locked(zx_signals_t classes)
    __attribute__((exclusive_locks_required(signal_lock))) {
    zx_signals_t gone = herald.announced & ~classes;
    zx_signals_t come = classes & ~herald.announced;
    if (herald.channel != ZX_HANDLE_INVALID && (gone | come) != 0) {
        (void)zx_object_signal_peer(herald.channel, gone, come);
    }
    herald.announced = classes;
}

long herald_update(void) {
    libc_lock_acquire(&signal_lock);
    abi_sigset_t takes = takes_locked();
    bool outside = herald.channel != ZX_HANDLE_INVALID && takes != 0;
    bool children = (takes & signal_bit(ABI_SIGCHLD)) != 0 && spawn_watch_children != nullptr;
    zx_status_t status = outside || children ? start_locked() : ZX_OK;
    if (status == ZX_OK) {
        announce_locked(signal_classes(takes));
    }
    zx_handle_t its_port = port;
    libc_lock_release(&signal_lock);
    if (children && status == ZX_OK) {
        spawn_watch_children(its_port);
    }
    return errno_from_status(status);
}

long herald_set_alarm(const struct herald_alarm* alarm, struct herald_alarm* old) {
    libc_lock_acquire(&signal_lock);
    zx_status_t status = alarm->at != ZX_TIME_INFINITE ? start_locked() : ZX_OK;
    if (status == ZX_OK) {
        *old = herald.alarm;
        herald.alarm = *alarm;
        if (alarm->at != ZX_TIME_INFINITE) {
            poke_locked();
        }
    }
    libc_lock_release(&signal_lock);
    return errno_from_status(status);
}

struct herald_alarm herald_alarm(void) {
    libc_lock_acquire(&signal_lock);
    struct herald_alarm alarm = herald.alarm;
    libc_lock_release(&signal_lock);
    return alarm;
}

long herald_set_controller(zx_handle_t pair) {
    libc_lock_acquire(&signal_lock);
    zx_status_t status = start_locked();
    if (status == ZX_OK) {
        (void)zx_handle_close(herald.controller);
        herald.controller = pair;
        listen_to(pair, KEY_CONTROLLER, foreground_events);
    } else {
        (void)zx_handle_close(pair);
    }
    libc_lock_release(&signal_lock);
    return errno_from_status(status);
}

bool herald_has_controller(void) {
    libc_lock_acquire(&signal_lock);
    zx_handle_t pair = herald.controller;
    zx_signals_t seen = 0;
    bool has = pair != ZX_HANDLE_INVALID &&
               zx_object_wait_one(pair, ZX_EVENTPAIR_PEER_CLOSED, 0, &seen) == ZX_ERR_TIMED_OUT;
    libc_lock_release(&signal_lock);
    return has;
}

zx_handle_t herald_channel(void) {
    libc_lock_acquire(&signal_lock);
    zx_handle_t channel = herald.channel;
    libc_lock_release(&signal_lock);
    return channel;
}

bool herald_is_self(void) {
    return thread_block_self() == &block;
}

void herald_chase(void) {
    libc_lock_acquire(&signal_lock);
    if (start_locked() == ZX_OK) {
        zx_time_t at = zx_deadline_after(LOOK_FIRST);
        herald.look_at = at < herald.look_at ? at : herald.look_at;
        herald.look_after = LOOK_FIRST;
        if (!herald_is_self()) {
            poke_locked();
        }
    }
    libc_lock_release(&signal_lock);
}

static zx_status_t hear_faults_locked(void) __attribute__((exclusive_locks_required(signal_lock))) {
    zx_status_t status = start_locked();
    if (status == ZX_OK && herald.faults == ZX_HANDLE_INVALID) {
        status = zx_task_create_exception_channel(zx_process_self(), 0, &herald.faults);
        if (status == ZX_OK) {
            listen_to(herald.faults, KEY_FAULTS, ZX_CHANNEL_READABLE);
        }
    }
    return status;
}

long herald_hear_faults(void) {
    libc_lock_acquire(&signal_lock);
    zx_status_t status = hear_faults_locked();
    libc_lock_release(&signal_lock);
    // (Somebody else handles them already: who starts programs, or this one by itself.)
    return status == ZX_ERR_ALREADY_BOUND ? -ABI_EBUSY : errno_from_status(status);
}
