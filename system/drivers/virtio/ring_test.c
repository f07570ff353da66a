// The ring against a device that is made after the same pages of the standard, and against devices
// that keep to nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <virtio/ring.h>

constexpr uint16_t SIZE = 16;
constexpr uint32_t ROW_MAX = 9;
// Where the device sees memory: addresses are offsets from here.
constexpr uint64_t BUS = 0x1000'0000'0000;

static alignas(16) uint8_t ring_memory[4096];
static struct virtq_desc tables[64][ROW_MAX];
static struct virtq q;

// ---- a device ----

struct chain {
    uint32_t head, count, written;
    struct virtq_segment segments[ROW_MAX];
};

static struct {
    uint16_t avail_index, used_index;
    struct chain taken[SIZE]; // not used yet
    uint32_t count;
} device;

static const struct virtq_desc* table_at(uint64_t address) {
    assert_true(address >= BUS && address - BUS < sizeof(tables));
    return (const struct virtq_desc*)(const void*)((const uint8_t*)tables + (address - BUS));
}

// 2.6.5: follows a chain, in the ring or in a table.
static void walk(const struct virtq_desc* desc, uint32_t at, uint32_t size, struct chain* out) {
    bool writes = false;
    for (;;) {
        assert_true(at < size && out->count < ROW_MAX);
        struct virtq_desc d = desc[at];
        assert_true((d.flags & VIRTQ_INDIRECT) == 0);
        bool is_write = (d.flags & VIRTQ_WRITE) != 0;
        assert_true(is_write || !writes); // 2.6.4.2
        writes = is_write;
        out->written += is_write ? d.len : 0;
        out->segments[out->count++] = (struct virtq_segment){d.address, d.len, is_write};
        if ((d.flags & VIRTQ_NEXT) == 0) {
            return;
        }
        at = d.next;
    }
}

static void device_look(void) {
    while (device.avail_index != q.avail->index) {
        uint16_t head = q.avail->ring[device.avail_index++ % SIZE];
        assert_true(head < SIZE && device.count < SIZE);
        struct chain* c = &device.taken[device.count++];
        *c = (struct chain){.head = head};
        struct virtq_desc d = q.desc[head];
        if ((d.flags & VIRTQ_INDIRECT) != 0) {
            assert_int_equal(d.flags, VIRTQ_INDIRECT);
            assert_int_equal(d.len % sizeof(struct virtq_desc), 0);
            walk(table_at(d.address), 0, d.len / sizeof(struct virtq_desc), c);
        } else {
            walk(q.desc, head, SIZE, c);
        }
    }
}

static struct chain device_use(uint32_t i) {
    struct chain c = device.taken[i];
    device.taken[i] = device.taken[--device.count];
    q.used->ring[device.used_index % SIZE] = (struct virtq_used_entry){c.head, c.written};
    q.used->index = ++device.used_index;
    return c;
}

static int reset(void**) {
    memset(ring_memory, 0, sizeof(ring_memory));
    memset(&device, 0, sizeof(device));
    assert_true(virtq_layout(SIZE).size <= sizeof(ring_memory));
    virtq_init(&q, SIZE, ring_memory);
    return 0;
}

static struct virtq_table table_of(uint32_t i) {
    return (struct virtq_table){tables[i], BUS + i * sizeof(tables[0])};
}

// ---- layout ----

static void test_layout(void**) {
    struct virtq_layout l = virtq_layout(256);
    assert_int_equal(l.avail, 4096);
    assert_true(l.used >= 4096 + 6 + 512 && l.used % 4 == 0);
    assert_int_equal(l.size, l.used + 6 + 8 * 256);
    assert_int_equal(sizeof(struct virtq_desc), 16);
    assert_int_equal(offsetof(struct virtq_used, ring), 4);
}

// ---- sound devices ----

static struct {
    bool is_under_way;
    uint32_t count, written;
    struct virtq_segment segments[ROW_MAX];
} requests[64];

static uint64_t next_random(uint64_t* state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static bool start_request(uint32_t i, bool in_table, uint64_t* random) {
    uint32_t count = (uint32_t)(next_random(random) % ROW_MAX) + 1;
    uint32_t reads = (uint32_t)(next_random(random) % (count + 1)), written = 0;
    for (uint32_t j = 0; j < count; j++) {
        requests[i].segments[j] = (struct virtq_segment){
            next_random(random) << 12, (uint32_t)(next_random(random) % 8192) + 1, j >= reads};
        written += j >= reads ? requests[i].segments[j].len : 0;
    }
    struct virtq_table table = table_of(i);
    if (!virtq_add(&q, requests[i].segments, (uint16_t)count, in_table ? &table : nullptr,
                   &requests[i])) {
        assert_true((in_table ? 1 : count) > q.free_count);
        return false;
    }
    requests[i].count = count;
    requests[i].written = written;
    requests[i].is_under_way = true;
    return true;
}

static void end_one(uint64_t* random) {
    void* token;
    uint32_t written;
    struct chain c = device_use((uint32_t)(next_random(random) % device.count));
    assert_int_equal(virtq_take(&q, &token, &written), VIRTQ_TAKEN);
    uint64_t i = ((uint8_t*)token - (uint8_t*)requests) / sizeof(requests[0]);
    assert_true(i < 64 && requests[i].is_under_way);
    requests[i].is_under_way = false;
    assert_int_equal(written, requests[i].written);
    assert_int_equal(c.count, requests[i].count);
    for (uint32_t j = 0; j < c.count; j++) {
        assert_int_equal(c.segments[j].address, requests[i].segments[j].address);
        assert_int_equal(c.segments[j].len, requests[i].segments[j].len);
        assert_int_equal(c.segments[j].device_writes, requests[i].segments[j].device_writes);
    }
}

// Requests of all shapes, ended in any order, for longer than indices count.
static void run(bool tables_too, bool rows_too) {
    uint64_t random = 42;
    uint32_t ended = 0;
    memset(requests, 0, sizeof(requests));
    while (ended < 70'000) {
        for (uint32_t i = 0; i < 64; i++) {
            bool in_table = tables_too && (!rows_too || next_random(&random) % 2 == 0);
            if (!requests[i].is_under_way && next_random(&random) % 3 == 0 &&
                !start_request(i, in_table, &random)) {
                break;
            }
        }
        (void)virtq_publish(&q);
        device_look();
        while (device.count > 0 && next_random(&random) % 8 != 0) {
            end_one(&random);
            ended++;
        }
    }
    while (device.count > 0) {
        end_one(&random);
    }
    assert_int_equal(q.free_count, SIZE);
}

static void test_tables(void**) {
    run(true, false);
}

static void test_rows(void**) {
    run(false, true);
}

static void test_both(void**) {
    run(true, true);
}

// ---- notifications ----

static void test_the_device_is_told_if_it_wants(void**) {
    struct virtq_segment s = {BUS, 512, false};
    struct virtq_table table = table_of(0);
    assert_false(virtq_publish(&q)); // nothing is new
    assert_true(virtq_add(&q, &s, 1, &table, nullptr));
    device_look();
    assert_int_equal(device.count, 0); // not seen yet
    assert_true(virtq_publish(&q));
    assert_false(virtq_publish(&q));
    device_look();
    assert_int_equal(device.count, 1);
    q.used->flags = VIRTQ_NO_NOTIFY;
    assert_true(virtq_add(&q, &s, 1, &table, nullptr));
    assert_false(virtq_publish(&q));
    device_look();
    assert_int_equal(device.count, 2);
}

static void test_a_full_ring(void**) {
    struct virtq_segment s[ROW_MAX] = {};
    struct virtq_table table = table_of(0);
    for (uint32_t i = 0; i < ROW_MAX; i++) {
        s[i].len = 1;
    }
    assert_false(virtq_add(&q, s, 0, &table, nullptr));
    for (uint32_t i = 0; i < SIZE - 3; i++) {
        assert_true(virtq_add(&q, s, ROW_MAX, &table, nullptr));
    }
    assert_false(virtq_add(&q, s, 4, nullptr, nullptr));
    assert_true(virtq_add(&q, s, 3, nullptr, nullptr));
    assert_false(virtq_add(&q, s, 1, &table, nullptr));
}

// ---- devices that keep to nothing ----

static virtq_taken_t say(uint16_t index, uint32_t id) {
    void* token;
    uint32_t written;
    q.used->ring[q.used_index % SIZE] = (struct virtq_used_entry){id, 0};
    q.used->index = index;
    return virtq_take(&q, &token, &written);
}

static void test_what_was_not_given_cannot_be_used(void**) {
    struct virtq_segment s[3] = {{BUS, 1, false}, {BUS, 1, false}, {BUS, 1, true}};
    assert_int_equal(say(1, 0), VIRTQ_BROKEN);
    assert_true(virtq_add(&q, s, 3, nullptr, nullptr)); // 0, 1, 2
    (void)virtq_publish(&q);
    assert_int_equal(say(1, 1), VIRTQ_BROKEN); // not its head
    assert_int_equal(say(1, SIZE), VIRTQ_BROKEN);
    assert_int_equal(say(1, UINT32_MAX), VIRTQ_BROKEN);
    assert_int_equal(say(1, 0), VIRTQ_TAKEN);
    assert_int_equal(say(2, 0), VIRTQ_BROKEN); // twice
    assert_int_equal(q.free_count, SIZE);
}

// Memory that the device may write to is not what the ring is kept by.
static void test_a_device_that_writes_into_the_ring(void**) {
    struct virtq_segment s = {BUS, 1, false};
    for (uint32_t round = 0; round < 100; round++) {
        void* token;
        uint32_t written;
        assert_true(virtq_add(&q, &s, 1, nullptr, &requests[round % 64]));
        (void)virtq_publish(&q);
        device_look();
        (void)device_use(0);
        memset(q.desc, 0xff, SIZE * sizeof(*q.desc));
        memset(q.avail->ring, 0xff, SIZE * 2);
        assert_int_equal(virtq_take(&q, &token, &written), VIRTQ_TAKEN);
        assert_ptr_equal(token, &requests[round % 64]);
        assert_int_equal(q.free_count, SIZE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_layout, reset),
        cmocka_unit_test_setup(test_tables, reset),
        cmocka_unit_test_setup(test_rows, reset),
        cmocka_unit_test_setup(test_both, reset),
        cmocka_unit_test_setup(test_the_device_is_told_if_it_wants, reset),
        cmocka_unit_test_setup(test_a_full_ring, reset),
        cmocka_unit_test_setup(test_what_was_not_given_cannot_be_used, reset),
        cmocka_unit_test_setup(test_a_device_that_writes_into_the_ring, reset),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
