// Want of memory: every allocation site of every creation is refused once. The result is NO_MEMORY
// and nothing is left behind, which the runner's leak check sees.
#include <debug/ktest.h>
#include <object/bti.h>
#include <object/channel.h>
#include <object/clock_object.h>
#include <object/counter_object.h>
#include <object/debuglog.h>
#include <object/event.h>
#include <object/exception.h>
#include <object/fifo.h>
#include <object/handle_table.h>
#include <object/interrupt.h>
#include <object/job.h>
#include <object/message.h>
#include <object/port.h>
#include <object/process.h>
#include <object/profile.h>
#include <object/resource.h>
#include <object/socket.h>
#include <object/stream.h>
#include <object/suspend.h>
#include <object/thread_object.h>
#include <object/timer_object.h>
#include <object/vmo_object.h>
#include <object/wait.h>
#include <vm/heap.h>
#include <vm/vmar.h>
#include <vm/vmo.h>

#include "../testing/ktest_user.h"

// What a creation made, in the form in which everything can be thrown away.
struct made {
    struct handle handle[3];
};

static status_t keep(struct made* out, size_t i, struct object* o) {
    out->handle[i] = test_handle(o);
    return STATUS_OK;
}

static status_t make_event(struct made* out) {
    struct object* o;
    TRY(event_create(&o));
    return keep(out, 0, o);
}

static status_t make_eventpair(struct made* out) {
    struct object* a;
    struct object* b;
    TRY(eventpair_create(&a, &b));
    (void)!keep(out, 0, a);
    return keep(out, 1, b);
}

static status_t make_channel(struct made* out) {
    struct channel* a;
    struct channel* b;
    TRY(channel_create(&a, &b));
    (void)!keep(out, 0, channel_object(a));
    return keep(out, 1, channel_object(b));
}

static status_t make_message(struct made*) {
    struct message* m = message_new(30'000, 12); // several parts
    message_free(m);
    return m != nullptr ? STATUS_OK : STATUS_NO_MEMORY;
}

static status_t make_fifo(struct made* out) {
    struct fifo* a;
    struct fifo* b;
    TRY(fifo_create(10, 100, &a, &b));
    (void)!keep(out, 0, fifo_object(a));
    return keep(out, 1, fifo_object(b));
}

static status_t make_socket(struct made* out) {
    struct socket* a;
    struct socket* b;
    TRY(socket_create(ZX_SOCKET_STREAM, &a, &b));
    (void)!keep(out, 0, socket_object(a));
    return keep(out, 1, socket_object(b));
}

static status_t make_port(struct made* out) {
    struct port* p;
    TRY(port_create(0, &p));
    (void)!keep(out, 0, port_object(p));
    return port_queue_user(p, &(zx_port_packet_t){});
}

static status_t make_timer(struct made* out) {
    struct timer_object* t;
    TRY(timer_object_create(TIMER_SLACK_LATE, ZX_CLOCK_MONOTONIC, &t));
    return keep(out, 0, timer_object_base(t));
}

static status_t make_clock(struct made* out) {
    struct clock_object* c;
    TRY(clock_object_create(0, 0, &c));
    return keep(out, 0, clock_object_base(c));
}

static status_t make_counter(struct made* out) {
    struct counter* c;
    TRY(counter_object_create(&c));
    return keep(out, 0, counter_object_base(c));
}

static status_t make_debuglog(struct made* out) {
    struct debuglog* d;
    TRY(debuglog_create(true, &d));
    return keep(out, 0, debuglog_object(d));
}

static status_t make_profile(struct made* out) {
    struct profile* p;
    zx_profile_info_t info = {.flags = ZX_PROFILE_INFO_FLAG_PRIORITY, .priority = 3};
    TRY(profile_create(&info, &p));
    return keep(out, 0, profile_object(p));
}

static status_t make_vmo_and_stream(struct made* out) {
    struct vmo* v;
    TRY(vmo_create(PAGE_SIZE, 0, &v));
    struct object* o;
    status_t status = vmo_object_create(v, &o);
    if (status != STATUS_OK) {
        vmo_unref(v);
        return status;
    }
    (void)!keep(out, 0, o);
    struct stream* s;
    TRY(stream_create(v, ZX_STREAM_MODE_READ, false, 0, &s));
    return keep(out, 1, stream_object(s));
}

static status_t make_job_process_thread(struct made* out) {
    struct job* j;
    TRY(job_create(job_root(), &j));
    (void)!keep(out, 0, job_object(j));
    struct process* p;
    struct vmar* root;
    TRY(process_create(j, "ktest", 5, &p, &root));
    vmar_unref(root);
    (void)!keep(out, 1, process_object(p));
    struct thread_object* th;
    TRY(thread_object_create(p, "ktest", 5, &th));
    return keep(out, 2, thread_object_base(th));
}

// A job with a listener and a debugger.
static status_t make_exception_channels(struct made* out) {
    struct job* j;
    TRY(job_create(job_root(), &j));
    (void)!keep(out, 0, job_object(j));
    TRY(exception_channel_create(job_object(j), 0, false, &out->handle[1]));
    return exception_channel_create(job_object(j), 0, true, &out->handle[2]);
}

static status_t make_suspend_token(struct made* out) {
    struct process* p;
    struct vmar* root;
    TRY(process_create(job_root(), "ktest", 5, &p, &root));
    vmar_unref(root);
    (void)!keep(out, 0, process_object(p));
    struct object* token;
    TRY(suspend_token_create(process_object(p), &token));
    return keep(out, 1, token);
}

static status_t make_resource(struct made* out) {
    struct resource* r;
    TRY(resource_create_root(ZX_RSRC_KIND_SMC, 0, 1, "ktest", &r));
    return keep(out, 0, resource_object(r));
}

// A table of its own, a handle in it, and a wait through it.
static status_t make_handle_and_wait(struct made* out) {
    TRY(make_event(out));
    struct port* p;
    TRY(port_create(0, &p));
    (void)!keep(out, 1, port_object(p));
    struct handle_table* table = handle_table_create(1);
    if (table == nullptr) {
        return STATUS_NO_MEMORY;
    }
    struct handle_slot slot;
    status_t status = handle_reserve(table, &slot);
    if (status == STATUS_OK) {
        zx_handle_t value = slot.value;
        struct handle h = test_handle(object_ref(out->handle[0].object));
        handle_publish(table, &slot, &h);
        struct wait_target w;
        status = wait_target_get(table, value, ZX_EVENT_SIGNALED, &w);
        if (status == STATUS_OK) {
            status = port_wait_async(p, &w, 1, 0);
            object_unref(w.object);
        }
    }
    handle_table_close_all(table);
    handle_table_destroy(table);
    return status;
}

static status_t make_pin(struct made* out) {
    struct bti* b;
    struct pmt* p;
    TRY(bti_create(UINT64_MAX, &b));
    (void)!keep(out, 0, bti_object(b));
    VMO_REF v = nullptr;
    TRY(vmo_create_physical((paddr_t){0}, 2 * PAGE_SIZE, &v));
    TRY(bti_pin(b, v, 0, 2 * PAGE_SIZE, VMO_PIN_WRITE, &p));
    pmt_set_unpinned(p);
    return keep(out, 1, pmt_object(p));
}

static status_t make_interrupts(struct made* out) {
    struct interrupt* i;
    struct msi* m;
    TRY(interrupt_create(0, ZX_INTERRUPT_VIRTUAL, &i));
    (void)!keep(out, 0, interrupt_object(i));
    TRY(msi_create(2, &m));
    return keep(out, 1, msi_object(m));
}

struct creation {
    const char* what;
    status_t (*make)(struct made* out);
};

static const struct creation creations[] = {
    {"event", make_event},
    {"eventpair", make_eventpair},
    {"channel", make_channel},
    {"message", make_message},
    {"fifo", make_fifo},
    {"socket", make_socket},
    {"port", make_port},
    {"timer", make_timer},
    {"clock", make_clock},
    {"counter", make_counter},
    {"debuglog", make_debuglog},
    {"profile", make_profile},
    {"vmo, stream", make_vmo_and_stream},
    {"job, process, thread", make_job_process_thread},
    {"exception channels", make_exception_channels},
    {"suspend token", make_suspend_token},
    {"resource", make_resource},
    {"handle, wait", make_handle_and_wait},
    {"bti, pmt", make_pin},
    {"interrupts, msi", make_interrupts},
};

static void throw_away(struct made* m) {
    for (size_t i = array_size(m->handle); i-- > 0;) {
        handle_cleanup(&m->handle[i]);
    }
}

static void every_site_refuses_once(struct ktest* t) {
    for (size_t i = 0; i < array_size(creations); i++) {
        bool fired = true;
        uint64_t sites = 0;
        for (uint64_t nth = 1; fired && nth < 100; nth++) {
            struct made m = {};
            alloc_injection_arm(nth);
            status_t status = creations[i].make(&m);
            uint64_t counted = alloc_injection_disarm(&fired);
            if (status != (fired ? STATUS_NO_MEMORY : STATUS_OK)) {
                ktest_fail(t, __FILE_NAME__, __LINE__, creations[i].what, nth, (uint64_t)status);
            }
            sites = counted;
            throw_away(&m);
        }
        KEXPECT(t, !fired && sites > 0);
    }
}
KTEST(refusal, every_site_refuses_once);
