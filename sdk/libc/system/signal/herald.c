// See herald.h. All it waits for comes through a port.
#include "herald.h"

#include <jacinth/startup.h>
#include <libc/error.h>
#include <spawn/children_watch.h>
#include <spawn/inherit.h>
#include <zircon/processargs.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
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
    uint64_t heard;         // messages that were read of it
    bool hears;             // one is being read, and posted
    bool is_held;           // none is to be read
    zx_handle_t controller;
    struct herald_alarm alarms[HERALD_ALARMS];
    zx_time_t run_at;   // when to look how long the process has run, for the last two
    zx_handle_t faults; // the process's exceptions
    // When to look for threads that have signals to act on, and how long to wait after that.
    zx_time_t look_at;
    zx_duration_t look_after;
} herald __attribute__((guarded_by(signal_lock))) = {
    .alarms = {{.at = ZX_TIME_INFINITE}, {.at = ZX_TIME_INFINITE}, {.at = ZX_TIME_INFINITE}},
    .run_at = ZX_TIME_INFINITE,
    .look_at = ZX_TIME_INFINITE};

// ---- what it hears ----

// False: somebody holds the channel.
static bool begin_hearing(void) {
    libc_lock_acquire(&signal_lock);
    herald.hears = !herald.is_held;
    bool may = herald.hears;
    libc_lock_release(&signal_lock);
    return may;
}

static void end_hearing(bool one) {
    libc_lock_acquire(&signal_lock);
    herald.hears = false;
    herald.heard += one;
    libc_lock_release(&signal_lock);
}

// One message. False: there is none.
static bool hear_one(zx_handle_t channel) {
    struct signal_message m = {};
    uint32_t bytes;
    uint32_t handles;
    zx_status_t status = zx_channel_read(channel, ZX_CHANNEL_READ_MAY_DISCARD, &m, nullptr,
                                         sizeof(m), 0, &bytes, &handles);
    if (status != ZX_OK) {
        return status == ZX_ERR_BUFFER_TOO_SMALL; // thrown away
    }
    bool plain = bytes == sizeof(m.signal);
    if ((plain || bytes == sizeof(m)) && signal_valid((int)m.signal)) {
        signal_post((int)m.signal, &(struct signal_info){.code = plain ? (int)ABI_SI_USER : m.code,
                                                         .pid = spawn_inherited()->ppid,
                                                         .value = (void*)m.value});
    }
    return true;
}

// False: nobody is to listen.
static bool hear_channel(zx_handle_t channel) {
    bool one = true;
    while (one) {
        if (!begin_hearing()) {
            return false;
        }
        one = hear_one(channel);
        end_hearing(one);
    }
    return true;
}

static zx_time_t earlier(zx_time_t a, zx_time_t b) {
    return a < b ? a : b;
}

static zx_time_t next_deadline(void) {
    libc_lock_acquire(&signal_lock);
    zx_time_t at = earlier(earlier(herald.alarms[HERALD_REAL].at, herald.run_at), herald.look_at);
    libc_lock_release(&signal_lock);
    return at;
}

zx_time_t herald_alarm_now(int which) {
    if (which == HERALD_REAL) {
        return zx_clock_get_monotonic();
    }
    zx_info_task_runtime_t run = {};
    (void)zx_object_get_info(zx_process_self(), ZX_INFO_TASK_RUNTIME, &run, sizeof(run), nullptr,
                             nullptr);
    return run.cpu_time;
}

// The process cannot have run so long before all processors have worked for it until then.
static void plan_run_locked(zx_time_t run) __attribute__((exclusive_locks_required(signal_lock))) {
    constexpr zx_duration_t least = 500'000;
    zx_time_t at = earlier(herald.alarms[HERALD_VIRTUAL].at, herald.alarms[HERALD_PROF].at);
    herald.run_at = ZX_TIME_INFINITE;
    if (at != ZX_TIME_INFINITE) {
        zx_duration_t left = at > run ? (at - run) / zx_system_get_num_cpus() : 0;
        herald.run_at = zx_deadline_after(left > least ? left : least);
    }
}

static void hear_alarm(int which, zx_time_t now) {
    static const uint8_t signals[HERALD_ALARMS] = {ABI_SIGALRM, ABI_SIGVTALRM, ABI_SIGPROF};
    libc_lock_acquire(&signal_lock);
    struct herald_alarm* alarm = &herald.alarms[which];
    bool rings = alarm->at <= now;
    if (rings) {
        // Rings that were missed are not made up for.
        alarm->at = alarm->interval_ns != 0 ? now + alarm->interval_ns : ZX_TIME_INFINITE;
    }
    libc_lock_release(&signal_lock);
    if (rings) {
        (void)signal_post(signals[which], &(struct signal_info){.code = ABI_SI_USER});
    }
}

static void hear_alarms(void) {
    zx_time_t now = zx_clock_get_monotonic();
    hear_alarm(HERALD_REAL, now);
    libc_lock_acquire(&signal_lock);
    bool due = herald.run_at <= now;
    libc_lock_release(&signal_lock);
    if (!due) {
        return;
    }
    zx_time_t run = herald_alarm_now(HERALD_PROF);
    hear_alarm(HERALD_VIRTUAL, run);
    hear_alarm(HERALD_PROF, run);
    libc_lock_acquire(&signal_lock);
    plan_run_locked(run);
    libc_lock_release(&signal_lock);
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
        if (hear_channel(channel) && (seen & ZX_CHANNEL_READABLE) != 0) {
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
        hear_alarms();
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
    // (Also what was announced until now may have come.)
    bool outside = herald.channel != ZX_HANDLE_INVALID && (takes != 0 || herald.announced != 0);
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

void herald_listen(void) {
    libc_lock_acquire(&signal_lock);
    if (herald.channel != ZX_HANDLE_INVALID && herald.announced != 0) {
        (void)start_locked(); // without it the program hears nothing from outside
    }
    libc_lock_release(&signal_lock);
}

long herald_set_alarm(int which, const struct herald_alarm* alarm, struct herald_alarm* old) {
    zx_time_t run = which != HERALD_REAL ? herald_alarm_now(which) : 0;
    libc_lock_acquire(&signal_lock);
    zx_status_t status = alarm->at != ZX_TIME_INFINITE ? start_locked() : ZX_OK;
    if (status == ZX_OK) {
        *old = herald.alarms[which];
        herald.alarms[which] = *alarm;
        if (which != HERALD_REAL) {
            plan_run_locked(run);
        }
        if (alarm->at != ZX_TIME_INFINITE) {
            poke_locked();
        }
    }
    libc_lock_release(&signal_lock);
    return errno_from_status(status);
}

struct herald_alarm herald_alarm(int which) {
    libc_lock_acquire(&signal_lock);
    struct herald_alarm alarm = herald.alarms[which];
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

void herald_hold_channel(void) {
    constexpr zx_duration_t moment = 50'000;
    libc_lock_acquire(&signal_lock);
    herald.is_held = true;
    while (herald.hears) { // it has no more to do than to post one signal
        libc_lock_release(&signal_lock);
        (void)zx_nanosleep(zx_deadline_after(moment));
        libc_lock_acquire(&signal_lock);
    }
    libc_lock_release(&signal_lock);
}

void herald_release_channel(void) {
    libc_lock_acquire(&signal_lock);
    herald.is_held = false;
    if (port != ZX_HANDLE_INVALID && herald.channel != ZX_HANDLE_INVALID) {
        (void)zx_port_cancel(port, herald.channel, KEY_CHANNEL);
        listen_to(herald.channel, KEY_CHANNEL, ZX_CHANNEL_READABLE);
    }
    libc_lock_release(&signal_lock);
}

uint64_t herald_heard(void) {
    libc_lock_acquire(&signal_lock);
    uint64_t heard = herald.heard;
    libc_lock_release(&signal_lock);
    return heard;
}
