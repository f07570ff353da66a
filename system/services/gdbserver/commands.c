// A packet that is not known gets an empty answer, one that makes no sense an error; neither
// touches the program.
#include "commands.h"

#include <string.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "libraries.h"

static void ok(struct session* s) {
    rsp_text(&s->reply, "OK");
}

static void error(struct session* s) {
    rsp_clear(&s->reply);
    rsp_text(&s->reply, "E01");
}

static void answer(struct session* s, zx_status_t status) {
    if (status == ZX_OK) {
        ok(s);
    } else {
        error(s);
    }
}

static struct target_thread* chosen_thread(struct session* s) {
    struct target_thread* thread = target_find(&s->target, s->thread);
    return thread != nullptr ? thread : target_find(&s->target, s->target.stop.thread);
}

// ---- why it stands ----

static void report_signal(struct session* s, const struct stop* stop) {
    rsp_text(&s->reply, "T");
    rsp_bytes(&s->reply, &stop->signal, 1);
    if (stop->thread != 0) {
        rsp_text(&s->reply, "thread:");
        rsp_number(&s->reply, stop->thread);
        rsp_text(&s->reply, ";");
    }
    switch (stop->reason) {
    case STOP_BREAKPOINT:
        rsp_text(&s->reply, "swbreak:;");
        break;
    case STOP_HARDWARE:
        rsp_text(&s->reply, "hwbreak:;");
        break;
    case STOP_WATCH:
        rsp_text(&s->reply, stop->watch->kind == BREAKPOINT_WRITE  ? "watch:"
                            : stop->watch->kind == BREAKPOINT_READ ? "rwatch:"
                                                                   : "awatch:");
        rsp_number(&s->reply, stop->watch->address);
        rsp_text(&s->reply, ";");
        break;
    default:
        break;
    }
}

void command_report_stop(struct session* s) {
    const struct stop* stop = &s->target.stop;
    rsp_clear(&s->reply);
    s->thread = 0;
    if (stop->reason != STOP_ENDED) {
        report_signal(s, stop);
        return;
    }
    if (stop->code == ZX_TASK_RETCODE_EXCEPTION_KILL) {
        rsp_text(&s->reply, "X0b");
    } else if (stop->code <= ZX_TASK_RETCODE_SYSCALL_KILL &&
               stop->code >= ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL) {
        rsp_text(&s->reply, "X09");
    } else {
        rsp_text(&s->reply, "W");
        rsp_number(&s->reply, (uint32_t)stop->code);
    }
    s->is_over = true;
}

// ---- registers and memory ----

static void read_registers(struct session* s, struct rsp_text* t, bool one) {
    struct target_thread* thread = chosen_thread(s);
    static struct registers r;
    uint64_t n = 0;
    if (thread == nullptr || (one && (!rsp_take_number(t, &n) || n >= s->register_count)) ||
        target_read_registers(thread, &r) != ZX_OK) {
        error(s);
    } else if (one) {
        register_print(&r, (uint32_t)n, &s->reply);
    } else {
        registers_print(&r, s->register_count, &s->reply);
    }
}

static void write_registers(struct session* s, struct rsp_text* t, bool one) {
    struct target_thread* thread = chosen_thread(s);
    static struct registers r;
    uint64_t n = 0;
    if (thread == nullptr || target_read_registers(thread, &r) != ZX_OK) {
        error(s);
        return;
    }
    const bool good = one ? rsp_take_number(t, &n) && n < s->register_count && rsp_take(t, "=") &&
                                register_parse(&r, (uint32_t)n, t)
                          : registers_parse(&r, s->register_count, t);
    answer(s, good && rsp_at_end(t) ? target_write_registers(thread, &r) : ZX_ERR_INVALID_ARGS);
}

static bool take_range(struct rsp_text* t, uint64_t* address, uint64_t* len) {
    return rsp_take_number(t, address) && rsp_take(t, ",") && rsp_take_number(t, len);
}

static void read_memory(struct session* s, struct rsp_text* t) {
    static uint8_t data[rsp_packet_max / 2];
    uint64_t address, len;
    if (!take_range(t, &address, &len)) {
        error(s);
        return;
    }
    const size_t want = len < sizeof(data) ? (size_t)len : sizeof(data);
    const size_t got = target_read(&s->target, address, data, want);
    if (got == 0 && want > 0) {
        error(s);
    } else {
        rsp_bytes(&s->reply, data, got);
    }
}

// M has digits, X the bytes themselves.
static void write_memory(struct session* s, struct rsp_text* t, bool is_binary) {
    static uint8_t data[rsp_packet_max];
    uint64_t address, len;
    bool good = take_range(t, &address, &len) && rsp_take(t, ":") && len <= sizeof(data);
    if (good && is_binary) {
        good = (uint64_t)(t->end - t->at) == len;
        if (good) {
            memcpy(data, t->at, (size_t)len);
        }
    } else if (good) {
        good = rsp_take_bytes(t, data, (size_t)len) && rsp_at_end(t);
    }
    answer(s, good ? target_write(&s->target, address, data, (size_t)len) : ZX_ERR_INVALID_ARGS);
}

static void breakpoint(struct session* s, struct rsp_text* t, bool set) {
    uint64_t kind, address, len;
    if (!rsp_take_number(t, &kind) || !rsp_take(t, ",") || !take_range(t, &address, &len) ||
        !rsp_at_end(t)) { // conditions are gdb's own affair
        error(s);
    } else if (kind < BREAKPOINT_KINDS) {
        answer(s,
               set ? target_set_breakpoint(&s->target, (enum breakpoint_kind)kind, address, len)
                   : target_clear_breakpoint(&s->target, (enum breakpoint_kind)kind, address, len));
    }
}

// ---- going on ----

struct order {
    enum action action;
    uint8_t signal;
    uint64_t thread;
};

static bool take_order(struct rsp_text* t, struct order* o) {
    *o = (struct order){.thread = rsp_all_threads};
    const bool has_signal = rsp_take(t, "C") || rsp_take(t, "S");
    if (has_signal) {
        o->action = t->at[-1] == 'S' ? ACTION_STEP : ACTION_GO;
        if (!rsp_take_bytes(t, &o->signal, 1)) {
            return false;
        }
    } else if (rsp_take(t, "c")) {
        o->action = ACTION_GO;
    } else if (rsp_take(t, "s")) {
        o->action = ACTION_STEP;
    } else {
        return false;
    }
    return !rsp_take(t, ":") || rsp_take_thread(t, &o->thread);
}

// For each thread the first order that is meant for it; threads without one stand.
static enum outcome go(struct session* s, const struct order* orders, size_t count) {
    struct target* t = &s->target;
    for (size_t i = 0; i < t->thread_count; i++) {
        struct target_thread* thread = &t->threads[i];
        struct order mine = {.action = ACTION_STAND};
        for (size_t k = count; k-- > 0;) {
            if (orders[k].thread == rsp_all_threads || orders[k].thread == 0 ||
                orders[k].thread == thread->koid) {
                mine = orders[k];
            }
        }
        target_prepare(t, thread, mine.action, mine.signal);
    }
    target_go(t);
    return OUTCOME_GOES;
}

static enum outcome v_continue(struct session* s, struct rsp_text* t) {
    constexpr size_t orders_max = 32;
    struct order orders[orders_max];
    size_t count = 0;
    while (rsp_take(t, ";")) {
        if (count == orders_max || !take_order(t, &orders[count])) {
            error(s);
            return OUTCOME_REPLY;
        }
        count++;
    }
    if (count == 0 || !rsp_at_end(t)) {
        error(s);
        return OUTCOME_REPLY;
    }
    return go(s, orders, count);
}

// c, s, C and S: the old forms. A step is the chosen thread's, the others go.
static enum outcome old_continue(struct session* s, struct rsp_text* t) {
    struct target_thread* thread = chosen_thread(s);
    struct order order;
    if (thread == nullptr || !take_order(t, &order) || !rsp_at_end(t)) {
        error(s);
        return OUTCOME_REPLY;
    }
    order.thread = thread->koid;
    const struct order orders[] = {order, {.action = ACTION_GO, .thread = rsp_all_threads}};
    return go(s, orders, 2);
}

// ---- threads ----

static void choose_thread(struct session* s, struct rsp_text* t) {
    const bool for_registers = rsp_take(t, "g");
    uint64_t koid;
    if (!(for_registers || rsp_take(t, "c")) || !rsp_take_thread(t, &koid) || !rsp_at_end(t)) {
        error(s);
        return;
    }
    const bool any = koid == 0 || koid == rsp_all_threads;
    if (!any && target_find(&s->target, koid) == nullptr) {
        error(s);
        return;
    }
    if (for_registers) {
        s->thread = any ? 0 : koid;
    }
    ok(s);
}

static void list_threads(struct session* s, bool from_start) {
    constexpr size_t per_packet = 64;
    const struct target* t = &s->target;
    s->list_at = from_start ? 0 : s->list_at;
    if (s->list_at >= t->thread_count) {
        rsp_text(&s->reply, "l");
        return;
    }
    for (size_t i = 0; i < per_packet && s->list_at < t->thread_count; i++, s->list_at++) {
        rsp_text(&s->reply, i == 0 ? "m" : ",");
        rsp_number(&s->reply, t->threads[s->list_at].koid);
    }
}

static struct target_thread* take_known_thread(struct session* s, struct rsp_text* t) {
    uint64_t koid;
    return rsp_take_thread(t, &koid) && rsp_at_end(t) ? target_find(&s->target, koid) : nullptr;
}

static void thread_name(struct session* s, struct rsp_text* t) {
    const struct target_thread* thread = take_known_thread(s, t);
    char name[ZX_MAX_NAME_LEN] = {};
    if (thread == nullptr ||
        zx_object_get_property(thread->handle, ZX_PROP_NAME, name, sizeof(name)) != ZX_OK) {
        error(s);
        return;
    }
    rsp_bytes(&s->reply, name, strnlen(name, sizeof(name)));
}

// ---- documents ----

// The System V ABI's auxiliary vector, of which the program has none, for debuggers that look there
// for where the image is.
static size_t auxiliary_vector(struct session* s, uint64_t out[14]) {
    enum : uint64_t { END = 0, PHDR = 3, PHENT = 4, PHNUM = 5, PAGE_SIZE = 6, BASE = 7, ENTRY = 9 };
    struct {
        uint8_t ident[16];
        uint16_t type, machine;
        uint32_t version;
        uint64_t entry, phoff, shoff;
        uint32_t flags;
        uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
    } elf;
    static_assert(sizeof(elf) == 64);
    if (s->image == 0 || target_read(&s->target, s->image, &elf, sizeof(elf)) != sizeof(elf)) {
        return 0;
    }
    const uint64_t vector[14] = {PHDR,      s->image + elf.phoff,
                                 PHENT,     elf.phentsize,
                                 PHNUM,     elf.phnum,
                                 PAGE_SIZE, 4096,
                                 BASE,      libraries_linker(&s->target),
                                 ENTRY,     s->image + elf.entry,
                                 END,       0};
    memcpy(out, vector, sizeof(vector));
    return sizeof(vector);
}

static void transfer(struct session* s, struct rsp_text* t) {
    static char xml[registers_xml_max > libraries_xml_max ? registers_xml_max : libraries_xml_max];
    uint64_t vector[14];
    uint64_t offset, len;
    const void* document = xml;
    size_t size;
    if (rsp_take(t, "features:read:target.xml:")) {
        size = registers_describe(s->register_count, xml);
    } else if (rsp_take(t, "auxv:read::")) {
        document = vector;
        size = auxiliary_vector(s, vector);
    } else if (rsp_take(t, "libraries-svr4:read::")) {
        size = libraries_describe(&s->target, xml);
    } else {
        if (rsp_take(t, "features:") || rsp_take(t, "auxv:") || rsp_take(t, "libraries-svr4:")) {
            rsp_text(&s->reply, "E00");
        }
        return;
    }
    if (take_range(t, &offset, &len) && rsp_at_end(t)) {
        rsp_part(&s->reply, document, size, offset, len);
    } else {
        error(s);
    }
}

// ---- questions ----

static void say_supported(struct session* s) {
    rsp_text(&s->reply, "PacketSize=");
    rsp_number(&s->reply, rsp_packet_max);
    rsp_text(&s->reply, ";QStartNoAckMode+;qXfer:features:read+;qXfer:auxv:read+;"
                        "qXfer:libraries-svr4:read+;swbreak+;hwbreak+;vContSupported+");
}

static void question(struct session* s, struct rsp_text* t) {
    if (rsp_take(t, "Supported")) {
        say_supported(s);
    } else if (rsp_take(t, "Xfer:")) {
        transfer(s, t);
    } else if (rsp_take(t, "fThreadInfo")) {
        list_threads(s, true);
    } else if (rsp_take(t, "sThreadInfo")) {
        list_threads(s, false);
    } else if (rsp_take(t, "ThreadExtraInfo,")) {
        thread_name(s, t);
    } else if (rsp_take(t, "Offsets")) {
        // All segments lie as far apart as in the file.
        if (s->image != 0) {
            rsp_text(&s->reply, "TextSeg=");
            rsp_number(&s->reply, s->image);
        }
    } else if (rsp_take(t, "Attached")) {
        rsp_text(&s->reply, s->was_attached ? "1" : "0");
    } else if (rsp_take(t, "C") && rsp_at_end(t)) {
        const struct target_thread* thread = chosen_thread(s);
        rsp_text(&s->reply, "QC");
        rsp_number(&s->reply, thread != nullptr ? thread->koid : 0);
    }
}

// ---- the end ----

static void kill_program(struct session* s) {
    (void)zx_task_kill(s->target.process);
    s->is_over = true;
}

static enum outcome v_command(struct session* s, struct rsp_text* t) {
    if (rsp_take(t, "Cont?")) {
        rsp_text(&s->reply, "vCont;c;C;s;S");
    } else if (rsp_take(t, "Cont")) {
        return v_continue(s, t);
    } else if (rsp_take(t, "Kill")) {
        kill_program(s);
        ok(s);
    }
    return OUTCOME_REPLY;
}

enum outcome command_run(struct session* s, const char* packet, size_t len) {
    rsp_clear(&s->reply);
    if (len == 0) {
        return OUTCOME_REPLY;
    }
    struct rsp_text t = {packet + 1, packet + len};
    switch (packet[0]) {
    case '?':
        command_report_stop(s);
        break;
    case 'g':
    case 'p':
        read_registers(s, &t, packet[0] == 'p');
        break;
    case 'G':
    case 'P':
        write_registers(s, &t, packet[0] == 'P');
        break;
    case 'm':
        read_memory(s, &t);
        break;
    case 'M':
    case 'X':
        write_memory(s, &t, packet[0] == 'X');
        break;
    case 'Z':
    case 'z':
        breakpoint(s, &t, packet[0] == 'Z');
        break;
    case 'H':
        choose_thread(s, &t);
        break;
    case 'T':
        answer(s, take_known_thread(s, &t) != nullptr ? ZX_OK : ZX_ERR_NOT_FOUND);
        break;
    case 'q':
        question(s, &t);
        break;
    case 'Q':
        if (rsp_take(&t, "StartNoAckMode") && rsp_at_end(&t)) {
            s->no_ack = true;
            ok(s);
        }
        break;
    case 'v':
        return v_command(s, &t);
    case 'c':
    case 'C':
    case 's':
    case 'S':
        t.at = packet;
        return old_continue(s, &t);
    case 'D':
        target_detach(&s->target);
        s->is_over = true;
        ok(s);
        break;
    case 'k':
        kill_program(s);
        break;
    default:
        break;
    }
    return OUTCOME_REPLY;
}
