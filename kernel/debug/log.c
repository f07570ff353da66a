// The log ring and the console.
//
// Records have one size, so a record's slot is its sequence number modulo the ring's, and a reader
// that lags simply finds that its record is gone. `printed` is the console's own reading position.
// Whoever advances it holds the CONSOLE lock; a writer that finds the lock taken leaves its record
// to the holder, who looks again after releasing.
//
// A panicking CPU takes no lock: it may have interrupted the holder.
#include <debug/log.h>

#include <stdarg.h>
#include <stdatomic.h>

#include <arch/cpu.h>
#include <arch/percpu.h>
#include <debug/log_start.h>
#include <lib/fmt.h>
#include <lib/string.h>
#include <locking/spinlock.h>
#include <platform/early_console.h>
#include <sched/deferred.h>
#include <sched/thread.h>
#include <sched/timer.h>

#include "debug_priv.h"

constexpr size_t RING_RECORDS = 512;
// Deferred work prints so many records, then lets the CPU's threads run: programs may write faster
// than a serial port takes it.
constexpr uint32_t FLUSH_RECORDS = 32;
constexpr int64_t FLUSH_PAUSE_NS = 1'000'000;

static void flush_deferred(struct deferred* d);
static void notify_deferred(struct deferred* d);

static struct {
    spinlock_t lock;        // class DEBUG_LOG; guards the ring
    _Atomic(uint64_t) next; // sequence of the next record; written under lock
    spinlock_t console;     // class CONSOLE; guards the serial port and `printed`
    _Atomic(uint64_t) printed;
    _Atomic(bool) off_serial; // log.serial=0
    _Atomic(bool) running;    // deferred work is served
    void (*_Atomic listener)(void);
    void (*output)(const char* text, size_t length); // constant after boot
    struct deferred flush;
    struct timer flush_again; // queues `flush`
    struct deferred notify;
    struct log_record ring[RING_RECORDS];
} klogger = {
    .lock = SPINLOCK_INIT(LOCK_CLASS_DEBUG_LOG),
    .output = early_console_write,
    .console = SPINLOCK_INIT(LOCK_CLASS_CONSOLE),
    .flush = DEFERRED_INIT(flush_deferred),
    .notify = DEFERRED_INIT(notify_deferred),
};

// ---- the console ----

// False: nothing was locked, because this CPU must not wait. Outside the analysis: conditional.
static bool console_lock(irq_state_t* state) TA_OFF {
    *state = irq_save();
    if (panic_in_progress() || spin_held(&klogger.console)) {
        return false; // a fault inside the console's own code, or the end
    }
    preempt_disable();
    spin_acquire_raw(&klogger.console);
    return true;
}

// See console_lock().
static void console_unlock(irq_state_t state, bool locked) TA_OFF {
    if (locked) {
        spin_release_raw(&klogger.console);
    }
    irq_restore(state);
    if (locked) {
        preempt_enable();
    }
}

void console_write(const char* text, size_t length) {
    irq_state_t state;
    bool locked = console_lock(&state);
    klogger.output(text, length);
    console_unlock(state, locked);
}

static void console_sink(void*, const char* text, size_t length) {
    klogger.output(text, length);
}

void console_set_output(void (*write)(const char* text, size_t length)) {
    klogger.output = write;
}

static void capture_sink(void* ctx, const char* text, size_t length) {
    struct console_capture* c = ctx;
    if (c->length < c->size) {
        memcpy(c->text + c->length, text, min(length, c->size - c->length));
    }
    c->length += length;
}

void kvprintf(const char* format, va_list args) {
    irq_state_t state;
    bool locked = console_lock(&state);
    const struct thread* t = thread_current();
    struct console_capture* c = locked && t != nullptr ? t->capture : nullptr;
    fmt_vwrite(c != nullptr ? capture_sink : console_sink, c, format, args);
    console_unlock(state, locked);
}

void kprintf(const char* format, ...) {
    va_list args;
    va_start(args, format);
    kvprintf(format, args);
    va_end(args);
}

// ---- the ring ----

static void append(const struct log_record* r) {
    irq_state_t state = spin_acquire_irq(&klogger.lock);
    uint64_t sequence = atomic_load_explicit(&klogger.next, memory_order_relaxed);
    struct log_record* slot = &klogger.ring[sequence % RING_RECORDS];
    memcpy(slot, r, offsetof(struct log_record, data) + r->length);
    slot->sequence = sequence;
    atomic_store_explicit(&klogger.next, sequence + 1, memory_order_release);
    spin_release_irq(&klogger.lock, state);
}

bool log_read(uint64_t from, struct log_record* out) {
    SPIN_IRQ_GUARD(&klogger.lock);
    uint64_t next = atomic_load_explicit(&klogger.next, memory_order_relaxed);
    uint64_t oldest = next > RING_RECORDS ? next - RING_RECORDS : 0;
    if (from < oldest) {
        from = oldest;
    }
    if (from >= next) {
        return false;
    }
    const struct log_record* r = &klogger.ring[from % RING_RECORDS];
    memcpy(out, r, offsetof(struct log_record, data) + r->length);
    return true;
}

uint64_t log_next_sequence(void) {
    return atomic_load_explicit(&klogger.next, memory_order_acquire);
}

// ---- from the ring to the console ----

static const char* severity_tag(uint8_t severity) {
    if (severity >= LOG_FATAL) {
        return "fatal: ";
    }
    if (severity >= LOG_ERROR) {
        return "error: ";
    }
    return severity >= LOG_WARN ? "warning: " : "";
}

static void debug_sink(void*, const char* text, size_t length) {
    early_console_write_debug(text, length);
}

// What came from programs must not forge lines or steer the terminal; the ring keeps it as it is.
static void put_printable(fmt_sink_fn sink, const char* text, size_t length) {
    char part[64];
    while (length > 0) {
        size_t n = min(length, sizeof(part));
        for (size_t i = 0; i < n; i++) {
            part[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
        }
        sink(nullptr, part, n);
        text += n;
        length -= n;
    }
}

static void print_record(const struct log_record* r, fmt_sink_fn sink) {
    const unsigned long us = (unsigned long)(r->time_ns / 1000);
    irq_state_t state;
    bool locked = console_lock(&state);
    fmt_write(sink, nullptr, "[%5lu.%06lu] %s", us / 1'000'000, us % 1'000'000,
              severity_tag(r->severity));
    put_printable(sink, r->data, r->length);
    sink(nullptr, "\n", 1);
    console_unlock(state, locked);
}

// One record at a time; who comes second leaves the rest to the first. True: `limit` records have
// been printed, and there may be more.
static bool flush(uint32_t limit) {
    static _Atomic(bool) busy;
    struct log_record r;
    do {
        if (atomic_exchange_explicit(&busy, true, memory_order_acquire)) {
            return false;
        }
        uint64_t from;
        while (limit > 0 &&
               log_read(from = atomic_load_explicit(&klogger.printed, memory_order_relaxed), &r)) {
            if (r.sequence != from) {
                kprintf("(%lu log records lost)\n", (unsigned long)(r.sequence - from));
            }
            atomic_store_explicit(&klogger.printed, r.sequence + 1, memory_order_relaxed);
            if (r.severity < LOG_INFO) {
                continue; // in the ring only
            }
            bool debug_only = atomic_load_explicit(&klogger.off_serial, memory_order_relaxed);
            print_record(&r, debug_only ? debug_sink : console_sink);
            limit--;
        }
        atomic_store_explicit(&busy, false, memory_order_release);
        // A record that came after the last look, whose writer found us busy, is ours.
    } while (limit > 0 &&
             atomic_load_explicit(&klogger.printed, memory_order_relaxed) != log_next_sequence());
    return limit == 0;
}

static void flush_deferred(struct deferred*) {
    if (flush(FLUSH_RECORDS)) {
        timer_set(&klogger.flush_again, clock_monotonic_ns() + FLUSH_PAUSE_NS, 0, TIMER_SLACK_LATE);
    }
}

static void flush_again(struct timer*, int64_t) {
    deferred_queue(&klogger.flush);
}

static void notify_deferred(struct deferred*) {
    void (*listener)(void) = atomic_load_explicit(&klogger.listener, memory_order_acquire);
    if (listener != nullptr) {
        listener();
    }
}

void log_set_listener(void (*fn)(void)) {
    atomic_store_explicit(&klogger.listener, fn, memory_order_release);
}

static void deliver(void) {
    if (!atomic_load_explicit(&klogger.running, memory_order_acquire)) {
        (void)flush(UINT32_MAX);
        return;
    }
    deferred_queue(&klogger.flush);
    if (atomic_load_explicit(&klogger.listener, memory_order_relaxed) != nullptr) {
        deferred_queue(&klogger.notify);
    }
}

void log_set_serial(bool to_serial) {
    atomic_store_explicit(&klogger.off_serial, !to_serial, memory_order_relaxed);
}

void log_start(void) {
    timer_init(&klogger.flush_again, flush_again, false);
    atomic_store_explicit(&klogger.running, true, memory_order_release);
}

void log_write(enum log_severity severity, uint8_t flags, uint64_t process_koid,
               uint64_t thread_koid, const char* data, size_t length) {
    struct log_record r;
    if (length > LOG_DATA_MAX) {
        length = LOG_DATA_MAX;
    }
    r.time_ns = clock_monotonic_ns();
    r.process_koid = process_koid;
    r.thread_koid = thread_koid;
    r.severity = severity;
    r.flags = flags;
    r.length = (uint16_t)length;
    memcpy(r.data, data, length);
    if (panic_in_progress()) {
        print_record(&r, console_sink);
        return;
    }
    append(&r);
    deliver();
}

void klog(enum log_severity severity, const char* format, ...) {
    char text[LOG_DATA_MAX];
    va_list args;
    va_start(args, format);
    size_t length = fmt_vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const struct thread* t = thread_current();
    log_write(severity, 0, 0, t != nullptr ? t->tid : 0, text,
              length < sizeof(text) ? length : sizeof(text) - 1);
}

void log_print_last(uint32_t count) {
    uint64_t next = log_next_sequence();
    uint64_t from = next > count ? next - count : 0;
    for (; from < next; from++) {
        print_record(&klogger.ring[from % RING_RECORDS], console_sink);
    }
}
