// Pagers: what is asked, how it is answered, who fails with what. The case is the pager; threads of
// its own are those who need pages.
#include <utest/exceptions.h>

#include <stdio.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls/port.h>

GROUP("pager");

constexpr uint64_t PAGE = 4096;
constexpr uint64_t KEY = 0x7a6e;
constexpr uint64_t PAGES = 64;

// ---- a pager, one VMO of it, and pages to give ----

struct fixture {
    zx_handle_t pager, port, vmo;
};

static struct fixture make(uint64_t size, uint32_t options) {
    struct fixture f = {.port = utest_port()};
    EXPECT_OK(zx_pager_create(0, &f.pager));
    EXPECT_OK(zx_pager_create_vmo(f.pager, options, f.port, KEY, size, &f.vmo));
    return f;
}

static void expect_packet(const struct fixture* f, uint16_t command, uint64_t page,
                          uint64_t count) {
    zx_port_packet_t p;
    EXPECT_OK(zx_port_wait(f->port, utest_after_ms(10000), &p));
    EXPECT_EQ(p.key, KEY);
    EXPECT_EQ(p.type, ZX_PKT_TYPE_PAGE_REQUEST);
    EXPECT_EQ(p.page_request.command, command);
    EXPECT_EQ(p.page_request.offset, page * PAGE);
    EXPECT_EQ(p.page_request.length, count * PAGE);
}

static void expect_read(const struct fixture* f, uint64_t page, uint64_t count) {
    expect_packet(f, ZX_PAGER_VMO_READ, page, count);
}

static void expect_quiet(const struct fixture* f) {
    zx_port_packet_t p;
    EXPECT_STATUS(zx_port_wait(f->port, 0, &p), ZX_ERR_TIMED_OUT);
}

// What page `i` of the file holds, all over.
static uint8_t content_of(uint64_t page) {
    return (uint8_t)(page * 7 + 1);
}

static void supply(const struct fixture* f, uint64_t page, uint64_t count) {
    zx_handle_t aux = utest_vmo(count * PAGE);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t bytes[PAGE];
        memset(bytes, content_of(page + i), sizeof(bytes));
        EXPECT_OK(zx_vmo_write(aux, bytes, i * PAGE, PAGE));
    }
    EXPECT_OK(zx_pager_supply_pages(f->pager, f->vmo, page * PAGE, count * PAGE, aux, 0));
    EXPECT_CLOSE(aux);
}

static void close_fixture(struct fixture* f) {
    EXPECT_CLOSE(f->vmo);
    expect_packet(f, ZX_PAGER_VMO_COMPLETE, 0, 0);
    expect_quiet(f);
    EXPECT_CLOSE(f->pager);
    EXPECT_CLOSE(f->port);
}

// ---- who needs pages ----

struct reader {
    struct utest_thread thread;
    zx_handle_t vmo;
    uint64_t page, count;
    zx_status_t want;
};

static void read_pages(void* arg) {
    struct reader* r = arg;
    uint8_t bytes[8 * PAGE];
    zx_status_t status = zx_vmo_read(r->vmo, bytes, r->page * PAGE, r->count * PAGE);
    EXPECT_STATUS(status, r->want);
    for (uint64_t at = 0; status == ZX_OK && at < r->count * PAGE; at += PAGE / 2) {
        EXPECT_EQ(bytes[at], content_of(r->page + at / PAGE));
    }
}

// Reads up to eight pages, and has stopped for want of them.
static void reader_start(struct reader* r, zx_handle_t vmo, uint64_t page, uint64_t count,
                         zx_status_t want) {
    *r = (struct reader){.vmo = vmo, .page = page, .count = count, .want = want};
    utest_thread_start(&r->thread, read_pages, r);
    utest_thread_reach(r->thread.handle, ZX_THREAD_STATE_BLOCKED_PAGER);
}

static zx_status_t read_byte(zx_handle_t vmo, uint64_t page) {
    uint8_t byte;
    return zx_vmo_read(vmo, &byte, page * PAGE, 1);
}

static void expect_byte(zx_handle_t vmo, uint64_t offset, uint8_t want) {
    uint8_t byte;
    EXPECT_OK(zx_vmo_read(vmo, &byte, offset, 1));
    EXPECT_EQ(byte, want);
}

static uint64_t committed(zx_handle_t vmo) {
    zx_info_vmo_t info;
    EXPECT_OK(zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr));
    return info.committed_bytes / PAGE;
}

// ---- making them ----

CASE(create) {
    zx_handle_t out;
    EXPECT_STATUS(zx_pager_create(1, &out), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(out)) {
        EXPECT_STATUS(zx_pager_create(0, p), ZX_ERR_INVALID_ARGS);
    }
    struct fixture f = make(PAGES * PAGE, 0);
    EXPECT_EQ(utest_basic(f.pager).rights, ZX_DEFAULT_PAGER_RIGHTS);
    EXPECT_EQ(utest_basic(f.pager).type, ZX_OBJ_TYPE_PAGER);
    EXPECT_EQ(utest_basic(f.vmo).rights, ZX_DEFAULT_VMO_RIGHTS);
    zx_info_vmo_t info;
    EXPECT_OK(zx_object_get_info(f.vmo, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr));
    EXPECT_EQ(info.flags & (ZX_INFO_VMO_PAGER_BACKED | ZX_INFO_VMO_RESIZABLE),
              ZX_INFO_VMO_PAGER_BACKED);
    EXPECT_STATUS(zx_pager_create_vmo(f.pager, 1u << 20, f.port, 0, PAGE, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_pager_create_vmo(f.pager, 0, f.port, 0, UINT64_MAX, &out),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_pager_create_vmo(f.port, 0, f.port, 0, PAGE, &out), ZX_ERR_WRONG_TYPE);
    zx_handle_t weak = utest_without(f.port, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_pager_create_vmo(f.pager, 0, weak, 0, PAGE, &out), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    close_fixture(&f);
}

CASE(only_its_own) {
    struct fixture f = make(PAGES * PAGE, 0);
    zx_handle_t other;
    zx_handle_t plain = utest_vmo(PAGE);
    EXPECT_OK(zx_pager_create(0, &other));
    EXPECT_STATUS(zx_pager_supply_pages(other, f.vmo, 0, PAGE, plain, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_pager_supply_pages(f.pager, plain, 0, PAGE, plain, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_pager_detach_vmo(other, f.vmo), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_pager_op_range(other, ZX_PAGER_OP_FAIL, f.vmo, 0, PAGE, (uint64_t)ZX_ERR_IO),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(other);
    EXPECT_CLOSE(plain);
    close_fixture(&f);
}

// ---- asking and supplying ----

CASE(one_request_for_neighbours) {
    struct fixture f = make(PAGES * PAGE, 0);
    struct reader r;
    reader_start(&r, f.vmo, 2, 5, ZX_OK);
    expect_read(&f, 2, 5);
    expect_quiet(&f);
    supply(&f, 0, 10); // more than was asked for
    utest_thread_join(&r.thread);
    EXPECT_EQ(committed(f.vmo), 10);
    expect_byte(f.vmo, 9 * PAGE, content_of(9));
    close_fixture(&f);
}

CASE(no_page_is_asked_for_twice) {
    struct fixture f = make(PAGES * PAGE, 0);
    struct reader a;
    struct reader b;
    struct reader c;
    reader_start(&a, f.vmo, 10, 4, ZX_OK);
    reader_start(&b, f.vmo, 8, 8, ZX_OK); // around it
    reader_start(&c, f.vmo, 12, 2, ZX_OK);
    expect_read(&f, 10, 4);
    expect_read(&f, 8, 2);
    expect_read(&f, 14, 2);
    expect_quiet(&f);
    // Answers in pieces, in another order: what is left is still asked for, once.
    supply(&f, 12, 1);
    supply(&f, 8, 1);
    supply(&f, 13, 3);
    utest_thread_join(&c.thread);
    expect_quiet(&f);
    supply(&f, 9, 3);
    utest_thread_join(&a.thread);
    utest_thread_join(&b.thread);
    expect_quiet(&f);
    close_fixture(&f);
}

CASE(supply_moves_pages) {
    struct fixture f = make(PAGES * PAGE, 0);
    zx_handle_t aux = utest_vmo(4 * PAGE);
    uint8_t byte = 9;
    EXPECT_OK(zx_vmo_write(aux, &byte, 0, 1));
    EXPECT_OK(zx_vmo_write(aux, &byte, PAGE, 1));
    EXPECT_OK(zx_pager_supply_pages(f.pager, f.vmo, 0, PAGE, aux, 0));
    EXPECT_EQ(committed(aux), 1);
    expect_byte(aux, 0, 0);
    // What is there stays; a page that is not committed is supplied as zero.
    byte = 17;
    EXPECT_OK(zx_vmo_write(aux, &byte, 0, 1));
    EXPECT_OK(zx_pager_supply_pages(f.pager, f.vmo, 0, 3 * PAGE, aux, 0));
    expect_byte(f.vmo, 0, 9);
    expect_byte(f.vmo, PAGE, 9);
    expect_byte(f.vmo, 2 * PAGE, 0);
    EXPECT_EQ(committed(aux), 0);
    expect_quiet(&f);

    EXPECT_STATUS(zx_pager_supply_pages(f.pager, f.vmo, 1, PAGE, aux, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_pager_supply_pages(f.pager, f.vmo, 0, PAGE, aux, 1), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_pager_supply_pages(f.pager, f.vmo, PAGES * PAGE, PAGE, aux, 0),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_pager_supply_pages(f.pager, f.vmo, 0, 8 * PAGE, aux, 0), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_pager_supply_pages(f.pager, f.vmo, 0, PAGE, f.vmo, 0), ZX_ERR_NOT_SUPPORTED);
    zx_handle_t weak = utest_without(aux, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_pager_supply_pages(f.pager, f.vmo, 0, PAGE, weak, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_CLOSE(aux);
    close_fixture(&f);
}

CASE(last_page_ends_with_content) {
    struct fixture f = make(2 * PAGE + 100, 0);
    supply(&f, 0, 3);
    expect_byte(f.vmo, 2 * PAGE + 99, content_of(2));
    expect_byte(f.vmo, 2 * PAGE + 100, 0);
    expect_byte(f.vmo, 3 * PAGE - 1, 0);
    uint64_t size;
    EXPECT_OK(zx_vmo_get_size(f.vmo, &size));
    EXPECT_EQ(size, 3 * PAGE);
    EXPECT_OK(zx_vmo_get_stream_size(f.vmo, &size));
    EXPECT_EQ(size, 2 * PAGE + 100);
    close_fixture(&f);
}

// ---- mappings, operations, streams ----

struct toucher {
    struct utest_thread thread;
    zx_vaddr_t at;
    uint8_t value;
};

static void touch(void* arg) {
    struct toucher* t = arg;
    t->value = *(volatile uint8_t*)t->at;
}

static zx_vaddr_t map(zx_handle_t vmo, uint64_t pages) {
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(),
                          ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_ALLOW_FAULTS, 0, vmo, 0,
                          pages * PAGE, &at));
    return at;
}

static void unmap(zx_vaddr_t at, uint64_t pages) {
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, pages * PAGE));
}

static void toucher_start(struct toucher* t, zx_vaddr_t at) {
    *t = (struct toucher){.at = at};
    utest_thread_start(&t->thread, touch, t);
    utest_thread_reach(t->thread.handle, ZX_THREAD_STATE_BLOCKED_PAGER);
}

CASE(mapping_faults) {
    struct fixture f = make(PAGES * PAGE, 0);
    zx_vaddr_t at;
    EXPECT_STATUS(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ, 0, f.vmo, 0, PAGE, &at),
                  ZX_ERR_NOT_SUPPORTED); // without ALLOW_FAULTS
    at = map(f.vmo, PAGES);
    struct toucher t;
    toucher_start(&t, at + 3 * PAGE);
    zx_port_packet_t p;
    EXPECT_OK(zx_port_wait(f.port, utest_after_ms(10000), &p));
    EXPECT_EQ(p.page_request.offset, 3 * PAGE);
    EXPECT(p.page_request.length >= PAGE);
    supply(&f, 3, p.page_request.length / PAGE);
    utest_thread_join(&t.thread);
    EXPECT_EQ(t.value, content_of(3));
    unmap(at, PAGES);
    close_fixture(&f);
}

CASE(failure_is_an_exception) {
    struct fixture f = make(PAGES * PAGE, 0);
    zx_vaddr_t at = map(f.vmo, PAGES);
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct toucher t;
    toucher_start(&t, at + 40 * PAGE);
    EXPECT_OK(zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, 40 * PAGE, PAGE,
                                (uint64_t)ZX_ERR_IO_DATA_INTEGRITY));
    struct utest_exception e = utest_catch(channel, ZX_EXCP_FATAL_PAGE_FAULT);
    zx_exception_report_t report;
    zx_handle_t thread = utest_thread_of(&e);
    EXPECT_OK(zx_object_get_info(thread, ZX_INFO_THREAD_EXCEPTION_REPORT, &report, sizeof(report),
                                 nullptr, nullptr));
    EXPECT_EQ((zx_status_t)report.context.synth_code, ZX_ERR_IO_DATA_INTEGRITY);
    EXPECT_CLOSE(thread);
    // Its handler has the page put in place, and lets it try again.
    supply(&f, 40, 1);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    utest_thread_join(&t.thread);
    EXPECT_EQ(t.value, content_of(40));
    EXPECT_CLOSE(channel);
    unmap(at, PAGES);
    zx_port_packet_t p;
    while (zx_port_wait(f.port, 0, &p) == ZX_OK) {
    }
    close_fixture(&f);
}

CASE(failure_of_calls) {
    struct fixture f = make(PAGES * PAGE, 0);
    struct reader r;
    static const zx_status_t allowed[] = {ZX_ERR_IO, ZX_ERR_IO_DATA_INTEGRITY, ZX_ERR_BAD_STATE,
                                          ZX_ERR_NO_SPACE};
    for (size_t i = 0; i < 4; i++) {
        reader_start(&r, f.vmo, 6, 4, allowed[i]);
        expect_read(&f, 6, 4);
        EXPECT_OK(zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, 6 * PAGE, 4 * PAGE,
                                    (uint64_t)allowed[i]));
        utest_thread_join(&r.thread);
    }
    EXPECT_STATUS(
        zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, 0, PAGE, (uint64_t)ZX_ERR_NO_MEMORY),
        ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, 1, PAGE, (uint64_t)ZX_ERR_IO),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, PAGES * PAGE, PAGE,
                                    (uint64_t)ZX_ERR_IO),
                  ZX_ERR_OUT_OF_RANGE);
    // The beginning is there, the rest fails: the reader comes to it.
    reader_start(&r, f.vmo, 6, 4, ZX_ERR_IO);
    expect_read(&f, 6, 4);
    EXPECT_OK(zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, 8 * PAGE, 2 * PAGE,
                                (uint64_t)ZX_ERR_IO));
    supply(&f, 6, 2);
    expect_read(&f, 8, 2);
    EXPECT_OK(zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, 8 * PAGE, 2 * PAGE,
                                (uint64_t)ZX_ERR_IO));
    utest_thread_join(&r.thread);
    close_fixture(&f);
}

struct operation {
    struct utest_thread thread;
    zx_handle_t object;
    uint32_t op;
    zx_status_t status;
};

static void run_operation(void* arg) {
    struct operation* o = arg;
    o->status = zx_vmo_op_range(o->object, o->op, PAGE, 6 * PAGE, nullptr, 0);
}

CASE(commit_and_prefetch) {
    static const uint32_t ops[] = {ZX_VMO_OP_COMMIT, ZX_VMO_OP_PREFETCH, ZX_VMO_OP_ALWAYS_NEED};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f = make(PAGES * PAGE, 0);
        struct operation o = {.object = f.vmo, .op = ops[i]};
        utest_thread_start(&o.thread, run_operation, &o);
        expect_read(&f, 1, 6);
        supply(&f, 1, 6);
        utest_thread_join(&o.thread);
        EXPECT_STATUS(o.status, ZX_OK);
        expect_quiet(&f);
        close_fixture(&f);
    }
}

struct streamer {
    struct utest_thread thread;
    zx_handle_t stream;
    zx_status_t status;
    size_t actual;
    uint8_t bytes[2 * PAGE];
};

static void read_stream(void* arg) {
    struct streamer* s = arg;
    zx_iovec_t v = {.buffer = s->bytes, .capacity = sizeof(s->bytes)};
    s->status = zx_stream_readv(s->stream, 0, &v, 1, &s->actual);
}

static void write_stream(void* arg) {
    struct streamer* s = arg;
    zx_iovec_t v = {.buffer = s->bytes, .capacity = sizeof(s->bytes)};
    s->status = zx_stream_writev(s->stream, 0, &v, 1, &s->actual);
}

CASE(streams) {
    struct fixture f = make(3 * PAGE + 10, 0);
    struct streamer s = {};
    EXPECT_OK(zx_stream_create(ZX_STREAM_MODE_READ, f.vmo, 0, &s.stream));
    utest_thread_start(&s.thread, read_stream, &s);
    expect_read(&f, 0, 2);
    supply(&f, 0, 2);
    utest_thread_join(&s.thread);
    EXPECT_STATUS(s.status, ZX_OK);
    EXPECT_EQ(s.actual, 2 * PAGE);
    EXPECT_EQ(s.bytes[PAGE], content_of(1));
    // Half of it comes, and counts; the other half is a failure of the next call.
    utest_thread_start(&s.thread, read_stream, &s);
    expect_read(&f, 2, 2);
    EXPECT_OK(
        zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, 3 * PAGE, PAGE, (uint64_t)ZX_ERR_IO));
    supply(&f, 2, 1);
    expect_read(&f, 3, 1);
    EXPECT_OK(
        zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, 3 * PAGE, PAGE, (uint64_t)ZX_ERR_IO));
    utest_thread_join(&s.thread);
    EXPECT_STATUS(s.status, ZX_OK);
    EXPECT_EQ(s.actual, PAGE);
    utest_thread_start(&s.thread, read_stream, &s);
    expect_read(&f, 3, 1);
    EXPECT_OK(
        zx_pager_op_range(f.pager, ZX_PAGER_OP_FAIL, f.vmo, 3 * PAGE, PAGE, (uint64_t)ZX_ERR_IO));
    utest_thread_join(&s.thread);
    EXPECT_STATUS(s.status, ZX_ERR_IO);
    EXPECT_CLOSE(s.stream);
    close_fixture(&f);
}

// ---- endings ----

// A message brings a VMO, and says which pages of it.
static bool told(zx_handle_t channel, uint64_t range[2], zx_handle_t* vmo) {
    uint32_t bytes;
    uint32_t handles;
    (void)zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr);
    return zx_channel_read(channel, 0, range, vmo, 2 * sizeof(range[0]), 1, &bytes, &handles) ==
           ZX_OK;
}

CHILD(read) {
    uint64_t range[2];
    zx_handle_t vmo;
    static uint8_t buffer[8 * PAGE];
    return told(channel, range, &vmo) ? zx_vmo_read(vmo, buffer, range[0] * PAGE, range[1] * PAGE)
                                      : 1;
}

static zx_vaddr_t map_told(zx_handle_t channel) {
    uint64_t range[2];
    zx_handle_t vmo;
    zx_vaddr_t at = 0;
    if (told(channel, range, &vmo)) {
        (void)zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_ALLOW_FAULTS, 0, vmo,
                          range[0] * PAGE, range[1] * PAGE, &at);
    }
    return at;
}

CHILD(touch) {
    return *(const volatile uint8_t*)map_told(channel);
}

static void child_tell(struct utest_child* c, const char* name, zx_handle_t vmo, uint64_t page,
                       uint64_t count) {
    utest_child_start(c, name, ZX_HANDLE_INVALID);
    uint64_t range[2] = {page, count};
    zx_handle_t copy = utest_without(vmo, 0);
    EXPECT_OK(zx_channel_write(c->channel, 0, range, sizeof(range), &copy, 1));
}

// A process whose only thread waits for pages.
static void child_blocked(const struct utest_child* c) {
    zx_koid_t koid;
    size_t actual;
    EXPECT_OK(zx_object_get_info(c->process, ZX_INFO_PROCESS_THREADS, &koid, sizeof(koid), &actual,
                                 nullptr));
    EXPECT_EQ(actual, 1);
    zx_handle_t thread;
    EXPECT_OK(zx_object_get_child(c->process, koid, ZX_RIGHT_SAME_RIGHTS, &thread));
    utest_thread_reach(thread, ZX_THREAD_STATE_BLOCKED_PAGER);
    EXPECT_CLOSE(thread);
}

static void child_start(struct utest_child* c, zx_handle_t vmo, uint64_t page, uint64_t count) {
    child_tell(c, "read", vmo, page, count);
    child_blocked(c);
}

static void child_kill(struct utest_child* c) {
    EXPECT_OK(zx_task_kill(c->process));
    EXPECT_EQ(utest_child_join(c), ZX_TASK_RETCODE_SYSCALL_KILL);
}

CASE(kill_takes_the_request_back) {
    struct fixture f = make(PAGES * PAGE, 0);
    struct utest_child a;
    struct utest_child b;
    child_start(&a, f.vmo, 2, 2);
    child_start(&b, f.vmo, 20, 2);
    // One packet is in the port, the other waits behind it.
    child_kill(&a);
    expect_read(&f, 20, 2);
    expect_quiet(&f);
    child_kill(&b);
    // What was delivered is asked for again, by the next who needs it.
    child_start(&a, f.vmo, 21, 2);
    struct reader r;
    reader_start(&r, f.vmo, 22, 1, ZX_OK);
    expect_read(&f, 21, 2);
    // Somebody else still waits for a part of it.
    child_kill(&a);
    expect_quiet(&f);
    supply(&f, 21, 2);
    utest_thread_join(&r.thread);
    close_fixture(&f);
}

CASE(kill_in_a_fault) {
    struct fixture f = make(PAGES * PAGE, 0);
    struct utest_child c;
    child_tell(&c, "touch", f.vmo, 2, 2);
    child_blocked(&c);
    child_kill(&c);
    expect_quiet(&f);
    close_fixture(&f);
}

CASE(detach) {
    struct fixture f = make(PAGES * PAGE, 0);
    supply(&f, 0, 2);
    struct reader r;
    reader_start(&r, f.vmo, 2, 2, ZX_ERR_BAD_STATE);
    EXPECT_OK(zx_pager_detach_vmo(f.pager, f.vmo)); // the packet was never taken: it is withdrawn
    utest_thread_join(&r.thread);
    expect_packet(&f, ZX_PAGER_VMO_COMPLETE, 0, 0);
    expect_quiet(&f);
    EXPECT_STATUS(read_byte(f.vmo, 9), ZX_ERR_BAD_STATE);
    expect_quiet(&f);
    zx_handle_t aux = utest_vmo(PAGE);
    EXPECT_STATUS(zx_pager_supply_pages(f.pager, f.vmo, 0, PAGE, aux, 0), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(aux);
    EXPECT_OK(zx_pager_detach_vmo(f.pager, f.vmo));
    EXPECT_CLOSE(f.vmo);
    expect_quiet(&f);
    EXPECT_CLOSE(f.pager);
    EXPECT_CLOSE(f.port);
}

CASE(death_of_the_pager) {
    struct fixture f = make(PAGES * PAGE, 0);
    supply(&f, 0, 2);
    struct reader r;
    reader_start(&r, f.vmo, 1, 4, ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(f.pager);
    utest_thread_join(&r.thread);
    expect_byte(f.vmo, 0, content_of(0));
    EXPECT_STATUS(read_byte(f.vmo, 5), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(f.vmo);
    EXPECT_CLOSE(f.port);
}

CASE(death_of_the_port) {
    struct fixture f = make(PAGES * PAGE, 0);
    struct reader r;
    reader_start(&r, f.vmo, 1, 4, ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(f.port); // with the packet in it
    utest_thread_join(&r.thread);
    EXPECT_STATUS(read_byte(f.vmo, 5), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(f.vmo);
    EXPECT_CLOSE(f.pager);
}

CASE(cancelling_a_key_spares_requests) {
    struct fixture f = make(PAGES * PAGE, 0);
    struct reader r;
    reader_start(&r, f.vmo, 1, 4, ZX_OK);
    EXPECT_STATUS(zx_port_cancel_key(f.port, 0, KEY), ZX_ERR_NOT_FOUND);
    expect_read(&f, 1, 4);
    supply(&f, 1, 4);
    utest_thread_join(&r.thread);
    close_fixture(&f);
}

// ---- size ----

CASE(resize) {
    struct fixture f = make(PAGES * PAGE, ZX_VMO_RESIZABLE);
    EXPECT_EQ(utest_basic(f.vmo).rights, ZX_DEFAULT_VMO_RIGHTS | ZX_RIGHT_RESIZE);
    supply(&f, 0, 8);
    struct reader r;
    reader_start(&r, f.vmo, 30, 4, ZX_ERR_OUT_OF_RANGE);
    EXPECT_OK(zx_vmo_set_size(f.vmo, 4 * PAGE + 50));
    utest_thread_join(&r.thread);
    expect_quiet(&f); // withdrawn
    EXPECT_EQ(committed(f.vmo), 5);
    expect_byte(f.vmo, 4 * PAGE + 49, content_of(4));
    // What is new is zero, also in the page that was cut, and nobody is asked.
    EXPECT_OK(zx_vmo_set_size(f.vmo, PAGES * PAGE));
    expect_byte(f.vmo, 4 * PAGE + 50, 0);
    expect_byte(f.vmo, 5 * PAGE, 0);
    expect_byte(f.vmo, (PAGES - 1) * PAGE, 0);
    expect_quiet(&f);
    zx_handle_t fixed;
    EXPECT_OK(zx_pager_create_vmo(f.pager, 0, f.port, KEY, PAGE, &fixed));
    EXPECT_STATUS(zx_vmo_set_size(fixed, 2 * PAGE), ZX_ERR_UNAVAILABLE);
    EXPECT_CLOSE(fixed);
    expect_packet(&f, ZX_PAGER_VMO_COMPLETE, 0, 0);
    close_fixture(&f);
}

// ---- children ----

CASE(clones) {
    struct fixture f = make(PAGES * PAGE, 0);
    zx_handle_t clone;
    zx_handle_t second;
    EXPECT_STATUS(zx_vmo_create_child(f.vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE, &clone),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_OK(zx_vmo_create_child(f.vmo, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, 4 * PAGE,
                                  16 * PAGE, &clone));
    EXPECT_OK(
        zx_vmo_create_child(clone, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, 0, 16 * PAGE, &second));
    zx_vaddr_t at = map(clone, 16);
    struct toucher t;
    toucher_start(&t, at + 2 * PAGE);
    zx_port_packet_t p;
    EXPECT_OK(zx_port_wait(f.port, utest_after_ms(10000), &p));
    EXPECT_EQ(p.page_request.offset, 6 * PAGE);
    supply(&f, 4, 30);
    utest_thread_join(&t.thread);
    EXPECT_EQ(t.value, content_of(6));
    EXPECT_EQ(committed(clone), 0);
    *(volatile uint8_t*)(at + 2 * PAGE) = 200;
    EXPECT_EQ(committed(clone), 1);
    expect_byte(f.vmo, 6 * PAGE, content_of(6));
    expect_byte(second, 2 * PAGE, content_of(6));
    expect_byte(clone, 2 * PAGE, 200);
    expect_quiet(&f);
    unmap(at, 16);
    EXPECT_CLOSE(clone);
    expect_byte(second, 3 * PAGE, content_of(7));
    // The clone keeps the pages' source alive, and sees what becomes of it.
    EXPECT_CLOSE(f.vmo);
    expect_quiet(&f);
    EXPECT_CLOSE(second);
    expect_packet(&f, ZX_PAGER_VMO_COMPLETE, 0, 0);
    EXPECT_CLOSE(f.pager);
    EXPECT_CLOSE(f.port);
}

CASE(windows) {
    struct fixture f = make(PAGES * PAGE, 0);
    zx_handle_t slice;
    zx_handle_t reference;
    EXPECT_OK(zx_vmo_create_child(f.vmo, ZX_VMO_CHILD_SLICE, 4 * PAGE, 4 * PAGE, &slice));
    EXPECT_OK(zx_vmo_create_child(f.vmo, ZX_VMO_CHILD_REFERENCE, 0, 0, &reference));
    struct reader r;
    reader_start(&r, reference, 5, 1, ZX_OK);
    expect_read(&f, 5, 1);
    supply(&f, 4, 4);
    utest_thread_join(&r.thread);
    expect_byte(slice, PAGE, content_of(5));
    uint8_t byte = 77;
    EXPECT_OK(zx_vmo_write(slice, &byte, PAGE, 1));
    expect_byte(f.vmo, 5 * PAGE, 77);
    expect_byte(reference, 5 * PAGE, 77);
    EXPECT_CLOSE(slice);
    EXPECT_CLOSE(reference);
    close_fixture(&f);
}

// ---- dirty pages ----

struct writer {
    struct utest_thread thread;
    zx_handle_t vmo;
    uint64_t page, count;
    zx_status_t want;
};

static void write_pages(void* arg) {
    struct writer* w = arg;
    uint8_t bytes[8 * PAGE];
    memset(bytes, 222, sizeof(bytes));
    EXPECT_STATUS(zx_vmo_write(w->vmo, bytes, w->page * PAGE, w->count * PAGE), w->want);
}

static void writer_start(struct writer* w, zx_handle_t vmo, uint64_t page, uint64_t count,
                         zx_status_t want) {
    *w = (struct writer){.vmo = vmo, .page = page, .count = count, .want = want};
    utest_thread_start(&w->thread, write_pages, w);
    utest_thread_reach(w->thread.handle, ZX_THREAD_STATE_BLOCKED_PAGER);
}

static void expect_dirty(const struct fixture* f, uint64_t page, uint64_t count) {
    expect_packet(f, ZX_PAGER_VMO_DIRTY, page, count);
}

static zx_status_t op(const struct fixture* f, uint32_t what, uint64_t page, uint64_t count,
                      uint64_t data) {
    return zx_pager_op_range(f->pager, what, f->vmo, page * PAGE, count * PAGE, data);
}

static void writeback(const struct fixture* f, uint64_t page, uint64_t count, uint64_t data) {
    EXPECT_OK(op(f, ZX_PAGER_OP_WRITEBACK_BEGIN, page, count, data));
    EXPECT_OK(op(f, ZX_PAGER_OP_WRITEBACK_END, page, count, 0));
}

// What is dirty, as "page+count" and "z" for zeros, in the range.
static void expect_ranges_in(const struct fixture* f, uint64_t page, uint64_t count,
                             const char* want) {
    zx_vmo_dirty_range_t ranges[16];
    size_t actual;
    size_t avail;
    EXPECT_OK(zx_pager_query_dirty_ranges(f->pager, f->vmo, page * PAGE, count * PAGE, ranges,
                                          sizeof(ranges), &actual, &avail));
    EXPECT_EQ(actual, avail);
    char text[256] = "";
    size_t at = 0;
    for (size_t i = 0; i < actual; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%lu+%lu%s", i != 0 ? " " : "",
                               ranges[i].offset / PAGE, ranges[i].length / PAGE,
                               ranges[i].options == ZX_VMO_DIRTY_RANGE_IS_ZERO ? "z" : "");
    }
    if (strcmp(text, want) != 0) {
        FAIL("dirty: %s, not %s", text, want);
    }
}

static void expect_ranges(const struct fixture* f, const char* want) {
    uint64_t size;
    EXPECT_OK(zx_vmo_get_size(f->vmo, &size));
    expect_ranges_in(f, 0, size / PAGE, want);
}

static bool modified(const struct fixture* f, uint32_t options) {
    zx_pager_vmo_stats_t stats = {.modified = 99};
    EXPECT_OK(zx_pager_query_vmo_stats(f->pager, f->vmo, options, &stats, sizeof(stats)));
    EXPECT(stats.modified <= 1);
    return stats.modified == ZX_PAGER_VMO_STATS_MODIFIED;
}

CASE(writes_are_asked_for) {
    struct fixture f = make(PAGES * PAGE, ZX_VMO_TRAP_DIRTY);
    supply(&f, 0, 16);
    expect_ranges(&f, "");
    EXPECT(!modified(&f, 0));
    struct writer w;
    writer_start(&w, f.vmo, 2, 5, ZX_OK);
    expect_dirty(&f, 2, 5); // one request for neighbours
    expect_quiet(&f);
    expect_byte(f.vmo, 2 * PAGE, content_of(2));
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 2, 5, 0));
    utest_thread_join(&w.thread);
    expect_byte(f.vmo, 6 * PAGE, 222);
    expect_ranges(&f, "2+5");
    EXPECT(modified(&f, ZX_PAGER_RESET_VMO_STATS));
    EXPECT(!modified(&f, 0));
    // A page that is missing is asked for first; a dirty one not at all.
    writer_start(&w, f.vmo, 15, 2, ZX_OK);
    expect_dirty(&f, 15, 1);
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 14, 2, 0)); // more than was asked for
    expect_read(&f, 16, 1);
    supply(&f, 16, 1);
    expect_dirty(&f, 16, 1);
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 16, 1, 0));
    utest_thread_join(&w.thread);
    uint8_t byte = 3;
    EXPECT_OK(zx_vmo_write(f.vmo, &byte, 14 * PAGE, 1));
    expect_ranges(&f, "2+5 14+3");
    expect_ranges_in(&f, 3, 2, "3+2");
    EXPECT(modified(&f, 0));
    // No room for it.
    writer_start(&w, f.vmo, 0, 1, ZX_ERR_NO_SPACE);
    expect_dirty(&f, 0, 1);
    EXPECT_OK(op(&f, ZX_PAGER_OP_FAIL, 0, 1, (uint64_t)ZX_ERR_NO_SPACE));
    utest_thread_join(&w.thread);
    expect_byte(f.vmo, 0, content_of(0));
    expect_quiet(&f);
    close_fixture(&f);
}

struct storer {
    struct utest_thread thread;
    zx_vaddr_t at;
};

static void store(void* arg) {
    struct storer* s = arg;
    *(volatile uint8_t*)s->at = 111;
}

static void storer_start(struct storer* s, zx_vaddr_t at) {
    *s = (struct storer){.at = at};
    utest_thread_start(&s->thread, store, s);
    utest_thread_reach(s->thread.handle, ZX_THREAD_STATE_BLOCKED_PAGER);
}

CASE(writeback_of_a_mapping) {
    struct fixture f = make(PAGES * PAGE, ZX_VMO_TRAP_DIRTY);
    supply(&f, 0, PAGES);
    zx_vaddr_t at = map(f.vmo, PAGES);
    volatile uint8_t* bytes = (volatile uint8_t*)at;
    EXPECT_EQ(bytes[3 * PAGE], content_of(3));
    struct storer s;
    storer_start(&s, at + 3 * PAGE);
    expect_dirty(&f, 3, 1);
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 3, 1, 0));
    utest_thread_join(&s.thread);
    bytes[3 * PAGE + 1] = 5; // without a fault, or with one that is not asked about
    expect_quiet(&f);
    expect_ranges(&f, "3+1");
    EXPECT_OK(op(&f, ZX_PAGER_OP_WRITEBACK_BEGIN, 3, 1, 0));
    expect_ranges(&f, "3+1");
    EXPECT_EQ(bytes[3 * PAGE], 111);
    // A write during the writeback makes the page dirty anew, and it stays so.
    storer_start(&s, at + 3 * PAGE + 2);
    expect_dirty(&f, 3, 1);
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 3, 1, 0));
    utest_thread_join(&s.thread);
    EXPECT_OK(op(&f, ZX_PAGER_OP_WRITEBACK_END, 3, 1, 0));
    expect_ranges(&f, "3+1");
    writeback(&f, 0, PAGES, 0);
    expect_ranges(&f, "");
    // Clean: the next write asks.
    storer_start(&s, at + 3 * PAGE);
    expect_dirty(&f, 3, 1);
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 3, 1, 0));
    utest_thread_join(&s.thread);
    // An end without a beginning cleans nothing.
    EXPECT_OK(op(&f, ZX_PAGER_OP_WRITEBACK_END, 0, PAGES, 0));
    expect_ranges(&f, "3+1");
    unmap(at, PAGES);
    close_fixture(&f);
}

CASE(writes_without_trap) {
    struct fixture f = make(PAGES * PAGE, 0);
    supply(&f, 0, PAGES);
    zx_vaddr_t at = map(f.vmo, PAGES);
    volatile uint8_t* bytes = (volatile uint8_t*)at;
    EXPECT_EQ(bytes[0], content_of(0));
    EXPECT(!modified(&f, 0));
    bytes[PAGE] = 1;
    uint8_t byte = 2;
    EXPECT_OK(zx_vmo_write(f.vmo, &byte, 9 * PAGE, 1));
    expect_quiet(&f);
    EXPECT(modified(&f, 0));
    expect_ranges(&f, "1+1 9+1");
    writeback(&f, 0, PAGES, 0);
    expect_ranges(&f, "");
    bytes[PAGE] = 2;
    expect_ranges(&f, "1+1");
    EXPECT_STATUS(op(&f, ZX_PAGER_OP_DIRTY, 0, 1, 0), ZX_ERR_NOT_SUPPORTED);
    unmap(at, PAGES);
    close_fixture(&f);
}

CASE(growth_is_dirty_zeros) {
    struct fixture f = make(4 * PAGE, ZX_VMO_TRAP_DIRTY | ZX_VMO_RESIZABLE);
    supply(&f, 0, 4);
    EXPECT_OK(zx_vmo_set_size(f.vmo, 12 * PAGE));
    expect_ranges(&f, "4+8z");
    expect_byte(f.vmo, 5 * PAGE, 0);
    struct writer w;
    writer_start(&w, f.vmo, 6, 2, ZX_OK);
    expect_dirty(&f, 6, 2);
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 6, 2, 0));
    utest_thread_join(&w.thread);
    expect_ranges(&f, "4+2z 6+2 8+4z");
    // Saving zeros as zeros cleans no page, also one that became dirty after the query.
    writeback(&f, 4, 4, ZX_VMO_DIRTY_RANGE_IS_ZERO);
    expect_ranges(&f, "6+2 8+4z");
    EXPECT_OK(op(&f, ZX_PAGER_OP_WRITEBACK_BEGIN, 0, 12, 0));
    EXPECT_OK(zx_vmo_set_size(f.vmo, 14 * PAGE));
    EXPECT_OK(op(&f, ZX_PAGER_OP_WRITEBACK_END, 0, 14, 0));
    expect_ranges(&f, "12+2z");
    writeback(&f, 0, 14, 0);
    expect_ranges(&f, "");
    EXPECT_OK(zx_vmo_set_size(f.vmo, 7 * PAGE));
    EXPECT_OK(zx_vmo_set_size(f.vmo, 9 * PAGE));
    expect_ranges(&f, "7+2z");
    expect_byte(f.vmo, 7 * PAGE, 0);
    expect_quiet(&f);
    // A file of a tebibyte costs as little.
    EXPECT_OK(zx_vmo_set_size(f.vmo, (uint64_t)1 << 40));
    EXPECT_OK(zx_vmo_op_range(f.vmo, ZX_VMO_OP_ZERO, 10 * PAGE, (uint64_t)1 << 39, nullptr, 0));
    expect_byte(f.vmo, (uint64_t)1 << 39, 0);
    writeback(&f, 0, 20, 0);
    expect_ranges_in(&f, 0, 100, "20+80z");
    close_fixture(&f);
}

CASE(zeros_are_supplied) {
    struct fixture f = make(300 * PAGE, 0);
    zx_handle_t aux = utest_vmo(300 * PAGE);
    EXPECT_OK(zx_pager_supply_pages(f.pager, f.vmo, 0, 300 * PAGE, aux, 0));
    expect_byte(f.vmo, 299 * PAGE, 0);
    EXPECT_EQ(committed(f.vmo), 0);
    uint8_t byte = 7;
    EXPECT_OK(zx_vmo_write(f.vmo, &byte, 64 * PAGE, 1));
    expect_ranges(&f, "64+1");
    EXPECT_CLOSE(aux);
    close_fixture(&f);
}

CASE(zeroing_is_writing) {
    struct fixture f = make(8 * PAGE, 0);
    supply(&f, 0, 8);
    EXPECT_OK(zx_vmo_op_range(f.vmo, ZX_VMO_OP_ZERO, 2 * PAGE, 2 * PAGE + 10, nullptr, 0));
    expect_byte(f.vmo, 3 * PAGE, 0);
    expect_byte(f.vmo, 4 * PAGE + 9, 0);
    expect_byte(f.vmo, 4 * PAGE + 10, content_of(4));
    expect_ranges(&f, "2+3");
    EXPECT_STATUS(zx_vmo_op_range(f.vmo, ZX_VMO_OP_DECOMMIT, 0, PAGE, nullptr, 0),
                  ZX_ERR_NOT_SUPPORTED);
    close_fixture(&f);
}

CASE(stream_grows_the_file) {
    struct fixture f = make(0, ZX_VMO_TRAP_DIRTY | ZX_VMO_RESIZABLE);
    zx_handle_t stream;
    EXPECT_OK(zx_stream_create(ZX_STREAM_MODE_WRITE, f.vmo, 0, &stream));
    struct streamer s = {.stream = stream};
    memset(s.bytes, 44, sizeof(s.bytes));
    utest_thread_start(&s.thread, write_stream, &s);
    expect_dirty(&f, 0, 2);
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 0, 2, 0));
    utest_thread_join(&s.thread);
    EXPECT_STATUS(s.status, ZX_OK);
    EXPECT_EQ(s.actual, sizeof(s.bytes));
    expect_ranges(&f, "0+2");
    uint64_t size;
    EXPECT_OK(zx_vmo_get_stream_size(f.vmo, &size));
    EXPECT_EQ(size, sizeof(s.bytes));
    EXPECT_CLOSE(stream);
    close_fixture(&f);
}

CASE(dirty_arguments) {
    struct fixture f = make(8 * PAGE, ZX_VMO_TRAP_DIRTY);
    supply(&f, 0, 8);
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 1, 1, 0));
    EXPECT_OK(op(&f, ZX_PAGER_OP_DIRTY, 4, 2, 0));
    static const uint32_t ops[] = {ZX_PAGER_OP_DIRTY, ZX_PAGER_OP_WRITEBACK_BEGIN,
                                   ZX_PAGER_OP_WRITEBACK_END};
    for (size_t i = 0; i < 3; i++) {
        EXPECT_STATUS(op(&f, ops[i], 0, 1, 2), ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(op(&f, ops[i], 8, 1, 0), ZX_ERR_OUT_OF_RANGE);
        EXPECT_STATUS(zx_pager_op_range(f.pager, ops[i], f.vmo, 1, PAGE, 0), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_STATUS(op(&f, 5, 0, 1, 0), ZX_ERR_INVALID_ARGS);
    // Fewer than there are.
    zx_vmo_dirty_range_t range[2] = {{}, {.offset = 77}};
    size_t actual;
    size_t avail;
    EXPECT_OK(zx_pager_query_dirty_ranges(f.pager, f.vmo, 0, 8 * PAGE, range, sizeof(range[0]),
                                          &actual, &avail));
    EXPECT_EQ(actual, 1);
    EXPECT_EQ(avail, 2);
    EXPECT_EQ(range[0].offset, PAGE);
    EXPECT_EQ(range[1].offset, 77);
    EXPECT_OK(
        zx_pager_query_dirty_ranges(f.pager, f.vmo, 0, 8 * PAGE, nullptr, 0, nullptr, nullptr));
    EXPECT_STATUS(zx_pager_query_dirty_ranges(f.pager, f.vmo, 0, 9 * PAGE, range, sizeof(range),
                                              &actual, &avail),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(
        zx_pager_query_dirty_ranges(f.pager, f.vmo, 1, PAGE, range, sizeof(range), &actual, &avail),
        ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(range)) {
        EXPECT_STATUS(zx_pager_query_dirty_ranges(f.pager, f.vmo, 0, 8 * PAGE, p, sizeof(range),
                                                  &actual, &avail),
                      ZX_ERR_INVALID_ARGS);
    }
    zx_pager_vmo_stats_t stats;
    EXPECT_STATUS(zx_pager_query_vmo_stats(f.pager, f.vmo, 2, &stats, sizeof(stats)),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_pager_query_vmo_stats(f.pager, f.vmo, 0, &stats, 3), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(stats)) {
        EXPECT_STATUS(zx_pager_query_vmo_stats(f.pager, f.vmo, 0, p, sizeof(stats)),
                      ZX_ERR_INVALID_ARGS);
    }
    close_fixture(&f);
}
