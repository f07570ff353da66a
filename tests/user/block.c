// jacinth.block, from a client's side: what any block device owes its clients, tried on a disk in
// memory in a thread of this program, where nothing that it holds can hide. Raw fifos say what the
// client library never would.
#include <utest/utest.h>

#include <stdlib.h>
#include <string.h>

#include <block/client.h>
#include <lib/compiler.h>
#include <ramdisk/ramdisk.h>
#include <zircon/syscalls/object.h>

GROUP("block");

constexpr uint32_t BLOCK_SIZE = 512;
constexpr uint64_t BLOCKS = 8192;
constexpr uint64_t DISK_BYTES = BLOCKS * BLOCK_SIZE;
constexpr jacinth_ramdisk_kinds_t ALL =
    JACINTH_RAMDISK_KINDS_READ | JACINTH_RAMDISK_KINDS_WRITE | JACINTH_RAMDISK_KINDS_FLUSH;

// ---- the server ----

static struct {
    struct async_loop loop;
    struct ramdisk disk;
    struct async_receiver receiver; // a packet: quit
    struct utest_thread thread;
    zx_handle_t control;
    zx_status_t result;
} server;

static void on_quit(struct async_receiver*, const zx_port_packet_t*) {
    async_loop_quit(&server.loop);
}

static void serve(void*) {
    server.result = async_loop_run(&server.loop);
}

static zx_handle_t connect(void);

// A client of the disk, and a control of it.
static void begin_with(jacinth_block_flags_t flags, struct block_client* client) {
    memset(&server, 0, sizeof(server));
    EXPECT_OK(async_loop_init(&server.loop));
    server.receiver.handler = on_quit;
    async_receiver_begin(&server.loop, &server.receiver);
    EXPECT_OK(ramdisk_init(&server.disk, &server.loop, utest_vmo(DISK_BYTES), BLOCK_SIZE, flags));
    struct utest_pair control = utest_channel(), device = utest_channel();
    server.control = control.a;
    EXPECT_OK(ramdisk_control(&server.disk, control.b));
    EXPECT_OK(block_device_serve(&server.disk.device, device.b));
    utest_thread_start(&server.thread, serve, nullptr);
    EXPECT_OK(block_client_open(client, device.a));
}

static void begin(struct block_client* client) {
    begin_with(JACINTH_BLOCK_FLAGS_VOLATILE_CACHE | JACINTH_BLOCK_FLAGS_DISCARD, client);
}

static void stop_server(void) {
    zx_port_packet_t packet = {.key = async_receiver_key(&server.receiver),
                               .type = ZX_PKT_TYPE_USER};
    EXPECT_OK(zx_port_queue(server.loop.port, &packet));
    utest_thread_join(&server.thread);
    EXPECT_OK(server.result);
}

// Another connection, for which the server's thread must not run: it is made by the server itself.
static zx_handle_t connect(void) {
    stop_server();
    struct utest_pair device = utest_channel();
    EXPECT_OK(block_device_serve(&server.disk.device, device.b));
    utest_thread_start(&server.thread, serve, nullptr);
    return device.a;
}

static void destroy_server(void) {
    ramdisk_destroy(&server.disk);
    async_receiver_cancel(&server.receiver);
    // Controls that are still there find their end.
    EXPECT_CLOSE(server.control);
    while (async_loop_turn(&server.loop, 0) == ZX_OK) {
    }
    async_loop_destroy(&server.loop);
}

static void end(struct block_client* client) {
    block_client_close(client);
    stop_server();
    EXPECT_EQ(server.disk.device.stats.in_flight, 0);
    destroy_server();
}

// ---- short forms ----

static alignas(8) uint8_t bytes[1024];
static const struct fidl_storage storage = {bytes, sizeof(bytes)};

static struct jacinth_block_stats stats(const struct block_client* c) {
    struct jacinth_block_block_get_stats_response* r;
    EXPECT_OK(jacinth_block_block_get_stats_call(c->device, ZX_TIME_INFINITE, storage, &r));
    return r->stats;
}

static void hold(bool holds) {
    struct jacinth_ramdisk_control_hold_request r = {.hold = holds};
    EXPECT_OK(jacinth_ramdisk_control_hold_call(server.control, ZX_TIME_INFINITE, &r, storage));
}

static void fail_nth(jacinth_ramdisk_kinds_t kinds, uint64_t skip, uint64_t count) {
    struct jacinth_ramdisk_control_fail_nth_request r = {
        .kinds = kinds, .skip = skip, .count = count, .status = ZX_ERR_IO_REFUSED};
    EXPECT_OK(jacinth_ramdisk_control_fail_nth_call(server.control, ZX_TIME_INFINITE, &r, storage));
}

static void fail_range(jacinth_ramdisk_kinds_t kinds, uint64_t first, uint64_t count) {
    struct jacinth_ramdisk_control_fail_range_request r = {
        .kinds = kinds, .first = first, .count = count, .status = ZX_ERR_IO_DATA_LOSS};
    EXPECT_OK(
        jacinth_ramdisk_control_fail_range_call(server.control, ZX_TIME_INFINITE, &r, storage));
}

static void cut_power(uint64_t writes, uint64_t seed) {
    struct jacinth_ramdisk_control_cut_power_request r = {.writes = writes, .seed = seed};
    EXPECT_OK(
        jacinth_ramdisk_control_cut_power_call(server.control, ZX_TIME_INFINITE, &r, storage));
}

static void restore(void) {
    EXPECT_OK(jacinth_ramdisk_control_restore_call(server.control, ZX_TIME_INFINITE, storage));
}

static uint16_t attach(struct block_client* c, zx_handle_t vmo) {
    uint16_t id = 0;
    EXPECT_OK(block_client_attach(c, vmo, &id));
    EXPECT(id != 0);
    return id;
}

static zx_status_t try_attach(struct block_client* c, zx_handle_t vmo) {
    uint16_t id;
    zx_status_t status = block_client_attach(c, vmo, &id);
    (void)zx_handle_close(vmo);
    return status;
}

// Blocks of a VMO, each filled with a number.
static void fill(zx_handle_t vmo, uint64_t first, uint64_t count, uint32_t number) {
    uint32_t block[BLOCK_SIZE / 4];
    for (uint64_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < BLOCK_SIZE / 4; j++) {
            block[j] = number + (uint32_t)i;
        }
        EXPECT_OK(zx_vmo_write(vmo, block, (first + i) * BLOCK_SIZE, BLOCK_SIZE));
    }
}

// The number that fills a block.
static uint32_t number_at(zx_handle_t vmo, uint64_t at) {
    uint32_t block[BLOCK_SIZE / 4];
    EXPECT_OK(zx_vmo_read(vmo, block, at * BLOCK_SIZE, BLOCK_SIZE));
    for (uint32_t j = 1; j < BLOCK_SIZE / 4; j++) {
        EXPECT_EQ(block[j], block[0]);
    }
    return block[0];
}

static void raw_send(const struct block_client* c, struct block_request r) {
    size_t sent;
    EXPECT_OK(zx_fifo_write(c->fifo, BLOCK_ENTRY_SIZE, &r, 1, &sent));
}

static struct block_response raw_receive(const struct block_client* c) {
    struct block_response r;
    size_t count;
    EXPECT_OK(zx_object_wait_one(c->fifo, ZX_FIFO_READABLE, ZX_TIME_INFINITE, nullptr));
    EXPECT_OK(zx_fifo_read(c->fifo, BLOCK_ENTRY_SIZE, &r, 1, &count));
    return r;
}

static zx_status_t raw(const struct block_client* c, struct block_request request) {
    raw_send(c, request);
    struct block_response r = raw_receive(c);
    EXPECT_EQ(r.reqid, request.reqid);
    EXPECT_EQ(r.blocks, r.status == ZX_OK ? request.length : 0);
    return r.status;
}

// ---- transfers ----

CASE(what_is_written_is_read) {
    struct block_client c;
    begin(&c);
    EXPECT_EQ(c.info.block_size, BLOCK_SIZE);
    EXPECT_EQ(c.info.block_count, BLOCKS);
    zx_handle_t from = utest_vmo(DISK_BYTES), to = utest_vmo(DISK_BYTES);
    uint16_t from_id = attach(&c, from), to_id = attach(&c, to);
    // All of the disk: many requests of the longest kind.
    EXPECT(BLOCKS > 2 * c.info.max_transfer);
    fill(from, 0, BLOCKS, 1000);
    EXPECT_OK(block_run(&c, BLOCK_WRITE, from_id, 0, 0, BLOCKS));
    EXPECT_OK(block_run(&c, BLOCK_READ, to_id, 0, 0, BLOCKS));
    for (uint64_t i = 0; i < BLOCKS; i += 97) {
        EXPECT_EQ(number_at(to, i), 1000 + i);
    }
    // A piece, from a place to another, and nothing beside it.
    EXPECT_OK(block_run(&c, BLOCK_READ, to_id, 7, 4000, 3));
    EXPECT_EQ(number_at(to, 6), 1006);
    EXPECT_EQ(number_at(to, 7), 5000);
    EXPECT_EQ(number_at(to, 9), 5002);
    EXPECT_EQ(number_at(to, 10), 1010);
    EXPECT_OK(block_run(&c, BLOCK_READ, to_id, 0, 0, 0));
    struct jacinth_block_stats s = stats(&c);
    EXPECT_EQ(s.writes.blocks, BLOCKS);
    EXPECT_EQ(s.writes.requests, BLOCKS / c.info.max_transfer);
    EXPECT_EQ(s.reads.blocks, BLOCKS + 3);
    EXPECT_EQ(s.reads.errors, 0);
    EXPECT_CLOSE(from);
    EXPECT_CLOSE(to);
    end(&c);
}

CASE(a_call_beyond_the_end_fails_and_the_next_works) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(1 << 20);
    uint16_t id = attach(&c, vmo);
    EXPECT_STATUS(block_run(&c, BLOCK_READ, id, 0, BLOCKS - 1, 2), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(block_run(&c, BLOCK_READ, id, 2047, 0, 2), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(block_run(&c, BLOCK_WRITE, id, UINT64_MAX, 0, 1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(block_run(&c, BLOCK_WRITE, id, 0, UINT64_MAX, 1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(block_run(&c, BLOCK_READ, id + 1, 0, 0, 1), ZX_ERR_NOT_FOUND);
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 2047, BLOCKS - 1, 1));
    EXPECT_CLOSE(vmo);
    end(&c);
}

static zx_handle_t open_range(zx_handle_t device, uint64_t first, uint64_t count,
                              zx_status_t expected) {
    struct utest_pair pair = utest_channel();
    struct jacinth_block_block_open_range_request request = {
        .first = first, .count = count, .block = pair.b};
    EXPECT_STATUS(jacinth_block_block_open_range_call(device, ZX_TIME_INFINITE, &request, storage),
                  expected);
    return pair.a;
}

CASE(a_range_is_a_device) {
    struct block_client c, part, part_of_part;
    begin(&c);
    EXPECT_OK(block_client_open(&part, open_range(c.device, 1000, 500, ZX_OK)));
    EXPECT_OK(block_client_open(&part_of_part, open_range(part.device, 100, 50, ZX_OK)));
    EXPECT_EQ(part.info.block_count, 500);
    EXPECT_EQ(part_of_part.info.block_count, 50);
    zx_handle_t vmo = utest_vmo(64 << 10);
    uint16_t id = attach(&c, vmo), part_id = attach(&part_of_part, vmo);
    fill(vmo, 0, 50, 3000);
    EXPECT_OK(block_run(&part_of_part, BLOCK_WRITE, part_id, 0, 0, 50));
    EXPECT_OK(block_run(&part_of_part, BLOCK_FLUSH, 0, 0, 0, 0));
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 50, 1099, 52));
    EXPECT(number_at(vmo, 50) != 2999);
    EXPECT_EQ(number_at(vmo, 51), 3000);
    EXPECT_EQ(number_at(vmo, 100), 3049);
    EXPECT(number_at(vmo, 101) != 3050);
    EXPECT_STATUS(block_run(&part_of_part, BLOCK_WRITE, part_id, 0, 49, 2), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(block_run(&part_of_part, BLOCK_READ, part_id, 0, UINT64_MAX - 1100, 1),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(block_run(&part_of_part, BLOCK_DISCARD, 0, 0, 50, 1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_CLOSE(open_range(part.device, 400, 101, ZX_ERR_OUT_OF_RANGE));
    EXPECT_CLOSE(open_range(part.device, UINT64_MAX, 1, ZX_ERR_OUT_OF_RANGE));
    EXPECT_CLOSE(open_range(part.device, 1, UINT64_MAX, ZX_ERR_OUT_OF_RANGE));
    EXPECT_CLOSE(vmo);
    block_client_close(&part);
    // The part goes on without the whole.
    EXPECT_OK(block_run(&part_of_part, BLOCK_READ, part_id, 0, 0, 1));
    block_client_close(&part_of_part);
    end(&c);
}

CASE(requests_that_are_none_are_answered) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(4096);
    uint16_t id = attach(&c, vmo);
    struct block_request good = {.reqid = 77, .opcode = BLOCK_READ, .vmoid = id, .length = 1};
    EXPECT_OK(raw(&c, good));
    struct block_request r = good;
    r.opcode = 200;
    EXPECT_STATUS(raw(&c, r), ZX_ERR_NOT_SUPPORTED);
    r = good;
    r.flags = 0x80;
    EXPECT_STATUS(raw(&c, r), ZX_ERR_INVALID_ARGS);
    r = good;
    r.flags = BLOCK_IN_GROUP;
    r.group = UINT32_MAX;
    EXPECT_STATUS(raw(&c, r), ZX_ERR_INVALID_ARGS);
    static const uint16_t strangers[] = {0, 2, JACINTH_BLOCK_MAX_VMOS, JACINTH_BLOCK_MAX_VMOS + 1,
                                         UINT16_MAX};
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        r = good;
        r.vmoid = strangers[i];
        EXPECT_STATUS(raw(&c, r), ZX_ERR_NOT_FOUND);
    }
    r = good;
    r.length = c.info.max_transfer + 1;
    EXPECT_STATUS(raw(&c, r), ZX_ERR_OUT_OF_RANGE);
    EXPECT_OK(raw(&c, good));
    EXPECT_CLOSE(vmo);
    end(&c);
}

static uint64_t next_random(uint64_t* state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

// Fields that are mostly what may be, in all combinations.
static struct block_request random_request(uint64_t* random, uint32_t reqid) {
    static const uint64_t offsets[] = {0, 1, 7, 8, BLOCKS - 1, BLOCKS, UINT32_MAX, UINT64_MAX};
    return (struct block_request){.reqid = reqid,
                                  .opcode = (uint8_t)(next_random(random) % 6),
                                  .vmoid = (uint16_t)(next_random(random) % 4),
                                  .flags = (uint8_t)(next_random(random) % 5),
                                  .group = (uint32_t)(next_random(random) % 10),
                                  .length = (uint32_t)(next_random(random) % 10),
                                  .vmo_offset = offsets[next_random(random) % 8],
                                  .device_offset = offsets[next_random(random) % 8]};
}

// Every request is answered, by itself or by its group; the device serves others all the while.
CASE(random_requests) {
    struct block_client c, other;
    begin(&c);
    EXPECT_OK(block_client_open(&other, connect()));
    zx_handle_t vmo = utest_vmo(4096);
    (void)attach(&other, vmo);
    uint16_t mine = attach(&c, vmo);
    uint64_t random = 99;
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 40; i++) {
            raw_send(&other, random_request(&random, i));
        }
        EXPECT_OK(block_run(&c, BLOCK_READ, mine, 0, 0, 8));
        struct block_response answers[BLOCK_FIFO_DEPTH];
        size_t count = 0;
        (void)zx_fifo_read(other.fifo, BLOCK_ENTRY_SIZE, answers, BLOCK_FIFO_DEPTH, &count);
        for (size_t i = 0; i < count; i++) {
            EXPECT(answers[i].reqid < 40);
        }
    }
    block_client_close(&other);
    EXPECT_CLOSE(vmo);
    end(&c);
}

CASE(a_read_only_device_stays_as_it_is) {
    struct block_client c;
    begin_with(JACINTH_BLOCK_FLAGS_READ_ONLY, &c);
    zx_handle_t vmo = utest_vmo(4096);
    uint16_t id = attach(&c, vmo);
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 0, 0, 1));
    EXPECT_STATUS(block_run(&c, BLOCK_WRITE, id, 0, 0, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(block_run(&c, BLOCK_FLUSH, 0, 0, 0, 0));
    EXPECT_CLOSE(vmo);
    end(&c);
}

// ---- groups ----

CASE(a_group_is_answered_once) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(64 << 10);
    uint16_t id = attach(&c, vmo);
    struct block_request r = {
        .opcode = BLOCK_READ, .vmoid = id, .length = 2, .flags = BLOCK_IN_GROUP, .group = 3};
    for (uint32_t i = 0; i < 10; i++) {
        r.reqid = i;
        r.flags = i < 9 ? BLOCK_IN_GROUP : BLOCK_IN_GROUP | BLOCK_GROUP_END;
        raw_send(&c, r);
    }
    struct block_response answer = raw_receive(&c);
    EXPECT_EQ(answer.reqid, 9);
    EXPECT_EQ(answer.group, 3);
    EXPECT_EQ(answer.blocks, 20);
    EXPECT_STATUS(answer.status, ZX_OK);
    // The first failure is the group's, and what went well is counted.
    fail_range(JACINTH_RAMDISK_KINDS_READ, 100, 1);
    r.flags = BLOCK_IN_GROUP;
    raw_send(&c, r);
    r.device_offset = 100;
    raw_send(&c, r);
    r.device_offset = BLOCKS;
    raw_send(&c, r);
    r.device_offset = 200;
    r.flags |= BLOCK_GROUP_END;
    raw_send(&c, r);
    answer = raw_receive(&c);
    EXPECT(answer.status == ZX_ERR_IO_DATA_LOSS || answer.status == ZX_ERR_OUT_OF_RANGE);
    EXPECT_EQ(answer.blocks, 4);
    EXPECT_EQ(utest_signals(c.fifo, ZX_FIFO_READABLE), 0);
    EXPECT_CLOSE(vmo);
    end(&c);
}

CASE(a_group_that_ends_takes_no_more) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(4096);
    hold(true);
    struct block_request r = {.reqid = 1,
                              .opcode = BLOCK_READ,
                              .vmoid = attach(&c, vmo),
                              .length = 1,
                              .flags = BLOCK_IN_GROUP | BLOCK_GROUP_END};
    raw_send(&c, r);
    r.reqid = 2;
    raw_send(&c, r);
    struct block_response answer = raw_receive(&c);
    EXPECT_EQ(answer.reqid, 2);
    EXPECT_STATUS(answer.status, ZX_ERR_BAD_STATE);
    hold(false);
    EXPECT_EQ(raw_receive(&c).reqid, 1);
    EXPECT_CLOSE(vmo);
    end(&c);
}

// ---- VMOs ----

CASE(vmos_that_are_refused) {
    struct block_client c;
    begin(&c);
    EXPECT_STATUS(try_attach(&c, utest_vmo(JACINTH_BLOCK_MAX_VMO_BYTES + 4096)),
                  ZX_ERR_NO_RESOURCES);
    zx_handle_t vmo = utest_vmo(4096);
    EXPECT_STATUS(try_attach(&c, utest_without(vmo, ZX_RIGHT_MAP)), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(try_attach(&c, utest_without(vmo, ZX_RIGHT_READ | ZX_RIGHT_WRITE)),
                  ZX_ERR_ACCESS_DENIED);
    uint16_t id;
    zx_handle_t half = utest_without(vmo, ZX_RIGHT_WRITE);
    EXPECT_OK(block_client_attach(&c, half, &id));
    EXPECT_CLOSE(half);
    EXPECT_OK(block_run(&c, BLOCK_WRITE, id, 0, 0, 1));
    EXPECT_STATUS(block_run(&c, BLOCK_READ, id, 0, 0, 1), ZX_ERR_ACCESS_DENIED);
    for (uint32_t i = 1; i < JACINTH_BLOCK_MAX_VMOS; i++) {
        (void)attach(&c, vmo);
    }
    EXPECT_STATUS(block_client_attach(&c, vmo, &id), ZX_ERR_NO_RESOURCES);
    EXPECT_OK(block_client_detach(&c, 5));
    EXPECT_STATUS(block_client_detach(&c, 5), ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(block_client_detach(&c, 0), ZX_ERR_NOT_FOUND);
    EXPECT_EQ(attach(&c, vmo), 5);
    EXPECT_CLOSE(vmo);
    end(&c);
}

// Whose pages come from somebody who need not answer.
CASE(vmos_of_pagers_are_refused) {
    struct block_client c;
    begin(&c);
    zx_handle_t pager, port = utest_port(), vmo;
    EXPECT_OK(zx_pager_create(0, &pager));
    EXPECT_OK(zx_pager_create_vmo(pager, 0, port, 1, 16384, &vmo));
    static const uint32_t kinds[] = {ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, ZX_VMO_CHILD_SLICE,
                                     ZX_VMO_CHILD_REFERENCE};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        zx_handle_t child, grandchild;
        uint64_t size = kinds[i] == ZX_VMO_CHILD_REFERENCE ? 0 : 16384;
        EXPECT_OK(zx_vmo_create_child(vmo, kinds[i], 0, size, &child));
        if (zx_vmo_create_child(child, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, 0, 16384,
                                &grandchild) == ZX_OK) {
            EXPECT_STATUS(try_attach(&c, grandchild), ZX_ERR_NOT_SUPPORTED);
        }
        EXPECT_STATUS(try_attach(&c, child), ZX_ERR_NOT_SUPPORTED);
    }
    EXPECT_STATUS(try_attach(&c, vmo), ZX_ERR_NOT_SUPPORTED);
    EXPECT_CLOSE(pager);
    EXPECT_CLOSE(port);
    end(&c);
}

// Its pages are the client's whenever no request uses them.
CASE(a_vmo_that_is_not_pinned) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(64 << 10), other = utest_vmo(64 << 10);
    uint16_t id;
    EXPECT_OK(block_client_attach_as(&c, vmo, JACINTH_BLOCK_VMO_OPTIONS_UNPINNED, &id));
    fill(vmo, 0, 128, 500);
    EXPECT_OK(block_run(&c, BLOCK_WRITE, id, 0, 0, 128));
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 0, 64 << 10, nullptr, 0));
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 8, 0, 16)); // whole pages, and not
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 33, 100, 3));
    EXPECT_OK(zx_vmo_transfer_data(other, 0, 0, 64 << 10, vmo, 0));
    for (uint64_t i = 0; i < 128; i++) {
        uint32_t want = i >= 8 && i < 24    ? 500 + (uint32_t)i - 8
                        : i >= 33 && i < 36 ? 567 + (uint32_t)i
                                            : 0;
        EXPECT_EQ(number_at(other, i), want);
        EXPECT_EQ(number_at(vmo, i), 0);
    }
    EXPECT_STATUS(block_client_attach_as(&c, other, 2, &id), ZX_ERR_INVALID_ARGS); // no option
    EXPECT_CLOSE(vmo);
    EXPECT_CLOSE(other);
    end(&c);
}

CASE(detaching_waits_for_requests) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(4096);
    uint16_t id = attach(&c, vmo);
    hold(true);
    raw_send(&c, (struct block_request){.opcode = BLOCK_READ, .vmoid = id, .length = 1});
    while (stats(&c).in_flight == 0) {
    }
    struct jacinth_block_session_detach_vmo_request request = {.id = id};
    EXPECT_OK(
        fidl_request(c.session, 9, &jacinth_block_session_detach_vmo_method, storage, &request));
    // Whatever was sent before this has been looked at when it is answered.
    EXPECT_EQ(stats(&c).in_flight, 1);
    EXPECT_EQ(utest_signals(c.session, ZX_CHANNEL_READABLE), 0);
    raw_send(&c, (struct block_request){.opcode = BLOCK_READ, .vmoid = id, .length = 1});
    EXPECT_STATUS(raw_receive(&c).status, ZX_ERR_NOT_FOUND);
    hold(false);
    EXPECT_STATUS(raw_receive(&c).status, ZX_OK);
    EXPECT_OK(zx_object_wait_one(c.session, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr));
    EXPECT_CLOSE(vmo);
    end(&c);
}

// ---- ends ----

CASE(a_client_that_dies_takes_nothing_with_it) {
    struct block_client c, other;
    begin(&c);
    EXPECT_OK(block_client_open(&other, connect()));
    zx_handle_t vmo = utest_vmo(4096);
    uint16_t id = attach(&other, vmo);
    hold(true);
    for (uint32_t i = 0; i < BLOCK_FIFO_DEPTH; i++) {
        raw_send(&other, (struct block_request){.opcode = BLOCK_WRITE, .vmoid = id, .length = 1});
    }
    while (stats(&c).in_flight < server.disk.device.depth) {
    }
    block_client_close(&other);
    while (stats(&c).sessions > 1) {
    }
    EXPECT_EQ(stats(&c).in_flight, server.disk.device.depth);
    hold(false);
    EXPECT_EQ(stats(&c).in_flight, 0);
    EXPECT_OK(block_run(&c, BLOCK_READ, attach(&c, vmo), 0, 0, 1));
    EXPECT_CLOSE(vmo);
    end(&c);
}

CASE(a_session_ends_with_its_channel_or_its_fifo) {
    struct block_client c, other;
    begin(&c);
    EXPECT_OK(block_client_open(&other, connect()));
    EXPECT_CLOSE(other.session);
    other.session = ZX_HANDLE_INVALID;
    EXPECT_OK(zx_object_wait_one(other.fifo, ZX_FIFO_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
    block_client_close(&other);
    EXPECT_OK(block_client_open(&other, connect()));
    EXPECT_CLOSE(other.fifo);
    other.fifo = ZX_HANDLE_INVALID;
    EXPECT_OK(zx_object_wait_one(other.session, ZX_CHANNEL_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
    block_client_close(&other);
    end(&c);
}

CASE(nonsense_on_the_channel_ends_it) {
    struct block_client c, other;
    begin(&c);
    EXPECT_OK(block_client_open(&other, connect()));
    zx_handle_t extra = utest_event();
    EXPECT_OK(zx_channel_write(other.session, 0, "nonsense", 8, &extra, 1));
    EXPECT_OK(zx_object_wait_one(other.fifo, ZX_FIFO_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
    EXPECT_OK(zx_channel_write(other.device, 0, "nonsense", 8, nullptr, 0));
    EXPECT_OK(zx_object_wait_one(other.device, ZX_CHANNEL_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
    block_client_close(&other);
    EXPECT_EQ(stats(&c).sessions, 1);
    end(&c);
}

CASE(sessions_have_a_limit) {
    struct block_client c;
    static zx_handle_t fifos[64], sessions[64];
    uint32_t count = 0;
    begin(&c);
    for (zx_status_t status = ZX_OK; status == ZX_OK;) {
        struct jacinth_block_block_open_session_request request;
        struct jacinth_block_block_open_session_response* r;
        EXPECT(count < 64);
        EXPECT_OK(zx_channel_create(0, &sessions[count], &request.session));
        status = jacinth_block_block_open_session_call(c.device, ZX_TIME_INFINITE, &request,
                                                       storage, &r);
        if (status == ZX_OK) {
            fifos[count++] = r->fifo;
        } else {
            EXPECT_STATUS(status, ZX_ERR_NO_RESOURCES);
            EXPECT_CLOSE(sessions[count]);
        }
    }
    EXPECT_EQ(stats(&c).sessions, count + 1);
    while (count > 0) {
        EXPECT_CLOSE(fifos[--count]);
        EXPECT_CLOSE(sessions[count]);
    }
    end(&c);
}

CASE(answers_that_nobody_reads_hold_up_nobody_else) {
    struct block_client c, other;
    begin(&c);
    EXPECT_OK(block_client_open(&other, connect()));
    zx_handle_t vmo = utest_vmo(4096);
    uint16_t id = attach(&other, vmo), mine = attach(&c, vmo);
    uint32_t sent = 0;
    // Its requests, its answers, and what the server holds of it: three times as many go in.
    for (uint32_t i = 0; i < 3 * BLOCK_FIFO_DEPTH; i++) {
        struct block_request r = {.reqid = i, .opcode = BLOCK_READ, .vmoid = id, .length = 1};
        EXPECT_OK(zx_object_wait_one(other.fifo, ZX_FIFO_WRITABLE, ZX_TIME_INFINITE, nullptr));
        size_t one;
        EXPECT_OK(zx_fifo_write(other.fifo, BLOCK_ENTRY_SIZE, &r, 1, &one));
        sent++;
    }
    EXPECT_OK(block_run(&c, BLOCK_READ, mine, 0, 0, 8));
    for (uint32_t i = 0; i < sent; i++) {
        struct block_response r = raw_receive(&other);
        EXPECT_EQ(r.reqid, i);
        EXPECT_STATUS(r.status, ZX_OK);
    }
    block_client_close(&other);
    EXPECT_CLOSE(vmo);
    end(&c);
}

// One floods the device, another has one request. That one is a write at which the power fails, so
// that what was served after it is known.
CASE(sessions_take_turns) {
    struct block_client c, other;
    begin(&c);
    EXPECT_OK(block_client_open(&other, connect()));
    zx_handle_t vmo = utest_vmo(4096);
    uint16_t id = attach(&other, vmo);
    struct block_call call = {.opcode = BLOCK_WRITE, .vmoid = attach(&c, vmo), .length = 1};
    hold(true);
    for (uint32_t i = 0; i < BLOCK_FIFO_DEPTH; i++) {
        raw_send(&other, (struct block_request){.opcode = BLOCK_READ, .vmoid = id, .length = 1});
    }
    uint32_t depth = server.disk.device.depth, served = 0;
    while (stats(&c).in_flight < depth) {
    }
    block_start(&c, &call);
    block_kick(&c);
    (void)stats(&c); // it has been seen
    cut_power(1, 0);
    hold(false);
    EXPECT_STATUS(block_wait(&c, &call), ZX_ERR_IO);
    for (uint32_t i = 0; i < BLOCK_FIFO_DEPTH; i++) {
        served += raw_receive(&other).status == ZX_OK;
    }
    EXPECT(served >= depth && served <= depth + 2);
    block_client_close(&other);
    EXPECT_CLOSE(vmo);
    end(&c);
}

// A server that is none: this side of its fifo is ours.
static zx_handle_t take_over(struct block_client* c) {
    zx_handle_t ours;
    EXPECT_CLOSE(c->fifo);
    EXPECT_OK(zx_fifo_create(BLOCK_FIFO_DEPTH, BLOCK_ENTRY_SIZE, 0, &c->fifo, &ours));
    return ours;
}

static void answer(zx_handle_t fifo, uint32_t reqid) {
    struct block_response r = {.reqid = reqid};
    EXPECT_OK(zx_fifo_write(fifo, BLOCK_ENTRY_SIZE, &r, 1, nullptr));
}

CASE(answers_that_make_no_sense) {
    static const uint32_t strangers[] = {0, BLOCK_FIFO_DEPTH, UINT32_MAX};
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        struct block_client c;
        struct block_request r;
        begin(&c);
        zx_handle_t fifo = take_over(&c);
        struct block_call call = {.opcode = BLOCK_FLUSH};
        block_start(&c, &call);
        block_kick(&c);
        EXPECT_OK(zx_fifo_read(fifo, BLOCK_ENTRY_SIZE, &r, 1, nullptr));
        EXPECT_EQ(r.opcode, BLOCK_FLUSH);
        EXPECT(r.reqid != strangers[i]);
        answer(fifo, strangers[i]);
        EXPECT_STATUS(block_wait(&c, &call), ZX_ERR_IO_INVALID);
        EXPECT_STATUS(block_run(&c, BLOCK_FLUSH, 0, 0, 0, 0), ZX_ERR_IO_INVALID);
        EXPECT_CLOSE(fifo);
        end(&c);
    }
}

CASE(an_answer_that_comes_twice) {
    struct block_client c;
    struct block_request r;
    begin(&c);
    zx_handle_t fifo = take_over(&c);
    struct block_call call = {.opcode = BLOCK_FLUSH};
    block_start(&c, &call);
    block_kick(&c);
    EXPECT_OK(zx_fifo_read(fifo, BLOCK_ENTRY_SIZE, &r, 1, nullptr));
    answer(fifo, r.reqid);
    EXPECT_OK(block_wait(&c, &call));
    answer(fifo, r.reqid);
    // Its number may have been given away again: the next call ends one way or the other.
    zx_status_t status = block_run(&c, BLOCK_FLUSH, 0, 0, 0, 0);
    EXPECT(status == ZX_OK || status == ZX_ERR_IO_INVALID);
    EXPECT_CLOSE(fifo);
    end(&c);
}

CASE(calls_end_with_their_server) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(4096);
    struct block_call call = {.opcode = BLOCK_READ, .vmoid = attach(&c, vmo), .length = 1};
    hold(true);
    block_start(&c, &call);
    block_kick(&c);
    while (stats(&c).in_flight == 0) {
    }
    stop_server();
    // As the kernel does with the handles of a server that dies.
    struct async_loop dead = server.loop;
    struct ramdisk* d = &server.disk;
    while (!list_empty(&d->held)) {
        struct list_node* n = list_pop_front(&d->held);
        block_device_end(&d->device);
        block_op_done(container_of(n, struct block_op, node), ZX_ERR_CANCELED);
    }
    EXPECT_STATUS(block_wait(&c, &call), ZX_ERR_PEER_CLOSED);
    EXPECT_STATUS(block_run(&c, BLOCK_FLUSH, 0, 0, 0, 0), ZX_ERR_PEER_CLOSED);
    block_client_close(&c);
    EXPECT_EQ(dead.port, server.loop.port);
    destroy_server();
    EXPECT_CLOSE(vmo);
}

// ---- on a loop ----

constexpr uint32_t CALLS = 400;
static struct {
    struct async_loop loop;
    struct block_client client;
    struct block_call calls[CALLS];
    uint32_t ended, failed;
} many;

static void one_ended(struct block_call* call, zx_status_t status) {
    many.failed += status != ZX_OK;
    many.ended++;
    if (many.ended == 10) {
        // From a handler: a call that is waited for, while the others are under way.
        EXPECT_OK(block_run(&many.client, BLOCK_FLUSH, 0, 0, 0, 0));
    }
    if (many.ended == CALLS) {
        async_loop_quit(&many.loop);
    }
    call->vmoid = 0; // ours again
}

static void begin_many(zx_handle_t vmo) {
    memset(&many, 0, sizeof(many));
    begin(&many.client);
    EXPECT_OK(async_loop_init(&many.loop));
    EXPECT_OK(block_client_watch(&many.client, &many.loop));
    uint16_t id = attach(&many.client, vmo);
    for (uint32_t i = 0; i < CALLS; i++) {
        many.calls[i] = (struct block_call){.opcode = BLOCK_WRITE,
                                            .vmoid = id,
                                            .vmo_offset = i,
                                            .device_offset = 2 * i,
                                            .length = 1,
                                            .handler = one_ended};
        block_start(&many.client, &many.calls[i]);
    }
}

CASE(calls_on_a_loop) {
    zx_handle_t vmo = utest_vmo(CALLS * BLOCK_SIZE * 2);
    fill(vmo, 0, CALLS, 5);
    begin_many(vmo);
    block_kick(&many.client);
    EXPECT_OK(async_loop_run(&many.loop));
    EXPECT_EQ(many.ended, CALLS);
    EXPECT_EQ(many.failed, 0);
    EXPECT_OK(block_run(&many.client, BLOCK_READ, attach(&many.client, vmo), 0, 0, 2 * CALLS));
    EXPECT_EQ(number_at(vmo, 2 * 123), 5 + 123);
    end(&many.client);
    async_loop_destroy(&many.loop);
    EXPECT_CLOSE(vmo);
}

static void close_at_once(struct block_call*, zx_status_t) {
    many.ended++;
    block_client_close(&many.client);
    async_loop_quit(&many.loop);
}

CASE(a_handler_may_close_the_client) {
    zx_handle_t vmo = utest_vmo(CALLS * BLOCK_SIZE * 2);
    begin_many(vmo);
    for (uint32_t i = 0; i < CALLS; i++) {
        many.calls[i].handler = close_at_once;
    }
    block_kick(&many.client);
    EXPECT_OK(async_loop_run(&many.loop));
    EXPECT_EQ(many.ended, 1);
    end(&many.client);
    async_loop_destroy(&many.loop);
    EXPECT_CLOSE(vmo);
}

// ---- faults ----

CASE(faults_come_where_they_were_put) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(64 << 10);
    uint16_t id = attach(&c, vmo);
    fail_nth(JACINTH_RAMDISK_KINDS_WRITE, 1, 2);
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 0, 0, 1));
    EXPECT_OK(block_run(&c, BLOCK_WRITE, id, 0, 0, 1));
    EXPECT_STATUS(block_run(&c, BLOCK_WRITE, id, 0, 0, 1), ZX_ERR_IO_REFUSED);
    EXPECT_STATUS(block_run(&c, BLOCK_WRITE, id, 0, 0, 1), ZX_ERR_IO_REFUSED);
    EXPECT_OK(block_run(&c, BLOCK_WRITE, id, 0, 0, 1));
    fail_range(ALL, 10, 5);
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 0, 9, 1));
    EXPECT_STATUS(block_run(&c, BLOCK_READ, id, 0, 9, 2), ZX_ERR_IO_DATA_LOSS);
    EXPECT_STATUS(block_run(&c, BLOCK_WRITE, id, 0, 14, 1), ZX_ERR_IO_DATA_LOSS);
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 0, 15, 1));
    EXPECT_EQ(stats(&c).reads.errors, 1);
    EXPECT_EQ(stats(&c).writes.errors, 3);
    restore();
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 0, 9, 2));
    EXPECT_CLOSE(vmo);
    end(&c);
}

CASE(late_answers_come) {
    struct block_client c;
    begin(&c);
    struct jacinth_ramdisk_control_delay_request r = {.duration = 20'000'000};
    EXPECT_OK(jacinth_ramdisk_control_delay_call(server.control, ZX_TIME_INFINITE, &r, storage));
    zx_time_t before = zx_clock_get_monotonic();
    EXPECT_OK(block_run(&c, BLOCK_FLUSH, 0, 0, 0, 0));
    EXPECT(zx_clock_get_monotonic() - before >= r.duration);
    EXPECT(stats(&c).flushes.max_time >= r.duration);
    end(&c);
}

// What the disk holds after a cut: per block the old or the new content.
static uint32_t count_new(zx_handle_t vmo, uint64_t count, uint32_t old, uint32_t new) {
    uint32_t changed = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t number = number_at(vmo, i);
        EXPECT(number == old + i || number == new + i);
        changed += number == new + i;
    }
    return changed;
}

static uint32_t cut_with(struct block_client* c, zx_handle_t vmo, uint16_t id, uint64_t after,
                         uint64_t seed) {
    fill(vmo, 0, 100, 1000);
    EXPECT_OK(block_run(c, BLOCK_WRITE, id, 0, 0, 100));
    EXPECT_OK(block_run(c, BLOCK_FLUSH, 0, 0, 0, 0));
    fill(vmo, 0, 100, 2000);
    cut_power(after, seed);
    EXPECT_STATUS(block_run(c, BLOCK_WRITE, id, 0, 0, 100), ZX_ERR_IO);
    EXPECT_STATUS(block_run(c, BLOCK_READ, id, 0, 0, 1), ZX_ERR_IO);
    EXPECT_STATUS(block_run(c, BLOCK_FLUSH, 0, 0, 0, 0), ZX_ERR_IO);
    restore();
    EXPECT_OK(block_run(c, BLOCK_READ, id, 0, 0, 100));
    return count_new(vmo, 100, 1000, 2000);
}

CASE(a_power_cut_loses_what_was_not_flushed) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(64 << 10);
    uint16_t id = attach(&c, vmo);
    EXPECT_EQ(cut_with(&c, vmo, id, 50, 0), 0);
    EXPECT_EQ(cut_with(&c, vmo, id, 0, 0), 0);
    uint32_t some = cut_with(&c, vmo, id, 100, 12345);
    EXPECT(some > 10 && some < 90);
    EXPECT_EQ(cut_with(&c, vmo, id, 100, 12345), some);
    EXPECT(cut_with(&c, vmo, id, 20, 12345) <= 20);
    EXPECT_CLOSE(vmo);
    end(&c);
}

CASE(a_disk_that_ignores_flushes) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(4096);
    uint16_t id = attach(&c, vmo);
    struct jacinth_ramdisk_control_ignore_flushes_request ignore = {.ignore = true};
    fill(vmo, 0, 1, 5);
    EXPECT_OK(jacinth_ramdisk_control_ignore_flushes_call(server.control, ZX_TIME_INFINITE, &ignore,
                                                          storage));
    EXPECT_OK(block_run(&c, BLOCK_WRITE, id, 0, 0, 1));
    EXPECT_OK(block_run(&c, BLOCK_FLUSH, 0, 0, 0, 0));
    cut_power(0, 0);
    restore();
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 0, 0, 1));
    EXPECT_EQ(number_at(vmo, 0), 0);
    EXPECT_CLOSE(vmo);
    end(&c);
}

CASE(discarded_blocks_hold_anything) {
    struct block_client c;
    begin(&c);
    zx_handle_t vmo = utest_vmo(64 << 10);
    uint16_t id = attach(&c, vmo);
    fill(vmo, 0, 100, 1000);
    EXPECT_OK(block_run(&c, BLOCK_WRITE, id, 0, 0, 100));
    EXPECT_OK(block_run(&c, BLOCK_DISCARD, 0, 0, 10, 20));
    EXPECT_OK(block_run(&c, BLOCK_READ, id, 0, 0, 100));
    EXPECT_EQ(number_at(vmo, 9), 1009);
    EXPECT(number_at(vmo, 10) != 1010);
    EXPECT_EQ(number_at(vmo, 30), 1030);
    EXPECT_CLOSE(vmo);
    end(&c);
}
