// Handle tables and the life of objects: values, reuse, growth, races of look-up and close.
#include <object/handle.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <debug/ktest.h>
#include <lib/bits.h>
#include <lib/random.h>
#include <object/channel.h>
#include <object/event.h>
#include <object/handle_table.h>
#include <object/message.h>
#include <sched/thread.h>
#include <vm/heap.h>

#include "../testing/ktest_user.h"

static void close_table(struct handle_table* table) {
    handle_table_close_all(table);
    handle_table_destroy(table);
}

static status_t insert(struct handle_table* table, struct object* o, zx_rights_t rights,
                       zx_handle_t* value) {
    struct handle_slot slot;
    TRY(handle_reserve(table, &slot));
    struct handle h = handle_make(object_ref(o), rights);
    *value = slot.value;
    handle_publish(table, &slot, &h);
    return STATUS_OK;
}

static void values_are_checked(struct ktest* t) {
    struct handle_table* mine = handle_table_create(0x1234567);
    struct handle_table* other = handle_table_create(0x3afe);
    KASSERT(t, mine != nullptr && other != nullptr);
    struct object* o;
    KASSERT(t, event_create(&o) == STATUS_OK);
    zx_handle_t value;
    KASSERT(t, insert(mine, o, ZX_RIGHT_WAIT, &value) == STATUS_OK);
    KEXPECT_EQ(t, value & ZX_HANDLE_FIXED_BITS_MASK, ZX_HANDLE_FIXED_BITS_MASK);
    KEXPECT_EQ(t, handle_table_count(mine), 1u);
    struct object* got;
    // In this order: the handle, its type, its rights.
    KEXPECT_EQ(t, handle_get(other, value, ZX_OBJ_TYPE_EVENT, 0, &got), STATUS_BAD_HANDLE);
    KEXPECT_EQ(t, handle_get(mine, value ^ 1, ZX_OBJ_TYPE_EVENT, 0, &got), STATUS_BAD_HANDLE);
    KEXPECT_EQ(t, handle_get(mine, 0, OBJECT_ANY, 0, &got), STATUS_BAD_HANDLE);
    KEXPECT_EQ(t, handle_get(mine, value, ZX_OBJ_TYPE_PORT, ZX_RIGHT_READ, &got),
               STATUS_WRONG_TYPE);
    KEXPECT_EQ(t, handle_get(mine, value, ZX_OBJ_TYPE_EVENT, ZX_RIGHT_READ, &got),
               STATUS_ACCESS_DENIED);
    for (uint32_t bit_index = 2; bit_index < 32; bit_index++) {
        KEXPECT(t, !handle_valid(mine, value ^ (1u << bit_index)));
    }
    KEXPECT_EQ(t, handle_get(mine, value, ZX_OBJ_TYPE_EVENT, ZX_RIGHT_WAIT, &got), STATUS_OK);
    object_unref(got);
    KEXPECT_EQ(t, handle_close(mine, value), STATUS_OK);
    KEXPECT_EQ(t, handle_close(mine, value), STATUS_BAD_HANDLE);
    KEXPECT_EQ(t, handle_close(mine, ZX_HANDLE_INVALID), STATUS_OK);
    object_unref(o);
    close_table(mine);
    close_table(other);
}
KTEST(handle, values_are_checked);

static void stale_values_stay_dead(struct ktest* t) {
    struct handle_table* table = handle_table_create(99);
    struct object* o;
    KASSERT(t, table != nullptr && event_create(&o) == STATUS_OK);
    zx_handle_t first;
    KASSERT(t, insert(table, o, 0, &first) == STATUS_OK);
    KEXPECT_EQ(t, handle_close(table, first), STATUS_OK);
    uint32_t reused = 0;
    for (uint32_t i = 0; i < 60'000; i++) {
        zx_handle_t value;
        KASSERT(t, insert(table, o, 0, &value) == STATUS_OK);
        KASSERT(t, value != first && !handle_valid(table, first));
        // The same place again, which the secret does not hide from this test: not before 4,096
        // others have been through it.
        bool same_place = ((value ^ first) >> 2 & ((1u << 20) - 1)) == 0;
        KEXPECT(t, !same_place || i >= 4096);
        reused += same_place;
        KASSERT(t, handle_close(table, value) == STATUS_OK);
    }
    KEXPECT(t, reused > 5); // or this proves nothing
    object_unref(o);
    close_table(table);
}
KTEST(handle, stale_values_stay_dead);

static void a_million_handles(struct ktest* t) {
    constexpr uint32_t COUNT = 1'000'000;
    struct handle_table* table = handle_table_create(7);
    struct object* o;
    zx_handle_t* values = heap_alloc(COUNT * sizeof(*values));
    KASSERT(t, table != nullptr && values != nullptr && event_create(&o) == STATUS_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        KASSERT(t, insert(table, o, ZX_RIGHT_WAIT, &values[i]) == STATUS_OK);
    }
    KEXPECT_EQ(t, handle_table_count(table), COUNT);
    for (uint32_t i = 0; i < COUNT; i += 999) {
        struct object* got;
        KASSERT(t,
                handle_get(table, values[i], ZX_OBJ_TYPE_EVENT, ZX_RIGHT_WAIT, &got) == STATUS_OK);
        object_unref(got);
    }
    zx_handle_t value;
    uint32_t more = 0;
    while (insert(table, o, 0, &value) == STATUS_OK) {
        more++;
    }
    KEXPECT_EQ(t, more, HANDLE_TABLE_MAX - COUNT);
    KEXPECT_EQ(t, handle_close(table, values[5]), STATUS_OK);
    KEXPECT_EQ(t, insert(table, o, 0, &value), STATUS_OK); // full: the one free place, at once
    KEXPECT(t, !handle_valid(table, values[5]));
    close_table(table);
    object_unref(o);
    heap_free(values);
}
KTEST_WITH(handle, a_million_handles, 0, 30'000);

// ---- look-up against close and reuse ----

constexpr uint32_t SHARED = 16;

struct crowd {
    struct handle_table* table;
    struct object* event[2];
    _Atomic(zx_handle_t) value[SHARED];
    _Atomic(bool) stop;
};

struct crowd_thread {
    struct crowd* c;
    uint32_t seed;
    uint64_t found, wrong;
};

// The two events are told apart by the rights of every handle to them.
static zx_rights_t rights_for(uint32_t which) {
    return which == 0 ? ZX_RIGHT_READ : ZX_RIGHT_WRITE;
}

static int look_up(void* arg) {
    struct crowd_thread* w = arg;
    struct random rng = random_init(w->seed);
    while (!atomic_load(&w->c->stop)) {
        zx_handle_t value = atomic_load(&w->c->value[random_below(&rng, SHARED)]);
        struct object* o;
        zx_rights_t rights;
        if (handle_get_rights(w->c->table, value, OBJECT_ANY, 0, &o, &rights) == STATUS_OK) {
            w->found++;
            w->wrong += rights != rights_for(o == w->c->event[1]);
            object_unref(o);
        }
    }
    return 0;
}

static int churn(void* arg) {
    struct crowd_thread* w = arg;
    struct random rng = random_init(w->seed);
    for (uint32_t i = 0; i < 60'000; i++) {
        uint32_t which = random_below(&rng, 2);
        zx_handle_t value;
        if (insert(w->c->table, w->c->event[which], rights_for(which), &value) != STATUS_OK) {
            w->wrong++;
            continue;
        }
        zx_handle_t old = atomic_exchange(&w->c->value[random_below(&rng, SHARED)], value);
        // Closed while others look it up; two closers of one value: one wins.
        w->wrong += handle_close(w->c->table, old) != STATUS_OK;
    }
    return 0;
}

static void look_up_races_with_close(struct ktest* t) {
    struct crowd c = {.table = handle_table_create(0x2aaaaaaa)};
    KASSERT(t, c.table != nullptr);
    KASSERT(t, event_create(&c.event[0]) == STATUS_OK && event_create(&c.event[1]) == STATUS_OK);
    struct crowd_thread w[4];
    struct thread* threads[4];
    for (uint32_t i = 0; i < 4; i++) {
        w[i] = (struct crowd_thread){.c = &c, .seed = i};
        threads[i] = kthread_create("crowd", i < 2 ? churn : look_up, &w[i], PRIORITY_DEFAULT);
        KASSERT(t, threads[i] != nullptr);
        if (i < arch_cpu_count()) {
            thread_set_affinity(threads[i], bit(i));
        }
        thread_start(threads[i]);
    }
    kthread_join(threads[0]);
    kthread_join(threads[1]);
    atomic_store(&c.stop, true);
    kthread_join(threads[2]);
    kthread_join(threads[3]);
    for (uint32_t i = 0; i < 4; i++) {
        KEXPECT_EQ(t, w[i].wrong, 0u);
    }
    KEXPECT(t, w[2].found + w[3].found > 0);
    KEXPECT_EQ(t, handle_table_count(c.table), SHARED);
    close_table(c.table);
    // Every reference that a look-up took was given back.
    for (uint32_t i = 0; i < 2; i++) {
        KEXPECT_EQ(t, atomic_load(&c.event[i]->refs), 1u);
        KEXPECT_EQ(t, atomic_load(&c.event[i]->handles), 0u);
        object_unref(c.event[i]);
    }
}
KTEST_WITH(handle, look_up_races_with_close, 0, 30'000);

// ---- long chains of objects ----

// Each channel holds the only handle to the next one in a message.
static void a_chain_of_channels_goes_without_nesting(struct ktest* t) {
    constexpr uint32_t LENGTH = 100'000;
    struct handle last = {};
    for (uint32_t i = 0; i < LENGTH; i++) {
        struct channel* a;
        struct channel* b;
        struct message* m = message_new(0, last.object != nullptr ? 1 : 0);
        KASSERT(t, m != nullptr && channel_create(&a, &b) == STATUS_OK);
        if (last.object != nullptr) {
            m->handle[0] = last;
        }
        struct handle ha = test_handle(channel_object(a));
        last = test_handle(channel_object(b));
        KASSERT(t, channel_write(a, m) == STATUS_OK);
        handle_discard(&ha);
    }
    handle_discard(&last); // the leak check sees whether all went
}
KTEST_WITH(object, a_chain_of_channels_goes_without_nesting, 0, 30'000);
