// The generated wrappers, made from tools/syscallgen/testdata/sample.def, over a handle table,
// objects and user memory that are arrays here.
//
// Checked for every kind of argument: what the implementation receives, the order of the checks,
// that each reference is given back on every path, that consumed handles are gone whatever fails,
// and that a new handle is in the table exactly when its value is in user memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <asm/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <arch/upcalls.h>
#include <object/handle_lookup.h>
#include <object/policy.h>
#include <object/resource.h>
#include <syscall/impl.h>
#include <syscall/runtime.h>
#include <zircon/syscall_numbers.h>

// ---- the world below the wrappers --------------------------------------------------------------

constexpr size_t SLOTS = 8;
constexpr zx_handle_t FIRST = 0x103; // slot n has the value FIRST + 4 n

struct fake_entry {
    struct handle handle;
    bool reserved;
};
static struct {
    struct fake_entry entries[SLOTS];
    uint32_t discarded; // handles closed outside the table
    bool no_slots;
    status_t policy;       // what policy_check answers
    uint32_t policy_asked; // the last condition, + 1
    uint32_t bad_handle_policy;
    status_t result; // what the implementation returns
    uint32_t calls;  // of implementations
    uint32_t undone;
} world;

static struct arch_percpu percpu;
static struct thread current_thread;

// The table as look-ups see it: every change of the world writes it (mirror()).
static struct handle_entry chunk[HANDLE_CHUNK_ENTRIES];
alignas(struct handle_directory) static char directory[sizeof(struct handle_directory) +
                                                       sizeof(struct handle_entry*)];
static struct handle_table table;

static void mirror(void) {
    for (uint32_t i = 0; i < SLOTS; i++) {
        zx_handle_t value = FIRST + 4 * i;
        struct handle_entry* e = &chunk[handle_index(&table, value)];
        atomic_store(&e->object, world.entries[i].handle.object);
        atomic_store(&e->rights, world.entries[i].handle.rights);
        atomic_store(&e->value, value);
    }
    struct handle_directory* d = (struct handle_directory*)(void*)directory;
    d->chunks[0] = chunk;
    atomic_store(&table.directory, d);
    atomic_store(&table.fresh, HANDLE_CHUNK_ENTRIES);
}

static const struct object_ops channel_ops = {.type = ZX_OBJ_TYPE_CHANNEL};
static const struct object_ops event_ops = {.type = ZX_OBJ_TYPE_EVENT};
static const struct object_ops process_ops = {.type = ZX_OBJ_TYPE_PROCESS};
static const struct object_ops thread_ops = {.type = ZX_OBJ_TYPE_THREAD};
static const struct object_ops vmar_ops = {.type = ZX_OBJ_TYPE_VMAR};
static const struct object_ops vmo_ops = {.type = ZX_OBJ_TYPE_VMO};
static const struct object_ops resource_ops = {.type = ZX_OBJ_TYPE_RESOURCE};
static struct object channel = {.ops = &channel_ops}, event = {.ops = &event_ops},
                     process = {.ops = &process_ops}, thread = {.ops = &thread_ops},
                     vmar = {.ops = &vmar_ops}, vmo = {.ops = &vmo_ops},
                     resource = {.ops = &resource_ops};

static zx_handle_t give(size_t slot, struct object* object, zx_rights_t rights) {
    world.entries[slot].handle = (struct handle){object, rights};
    mirror();
    return FIRST + 4 * (zx_handle_t)slot;
}

static bool has(size_t slot) {
    return world.entries[slot].handle.object != nullptr;
}

static struct handle* find(zx_handle_t value) {
    size_t slot = (value - FIRST) / 4;
    bool known = value >= FIRST && (value & 3) == 3 && slot < SLOTS && has(slot);
    return known ? &world.entries[slot].handle : nullptr;
}

status_t handle_lookup_status(struct handle_table*, zx_handle_t value, zx_obj_type_t type,
                              zx_rights_t need) {
    const struct handle* h = find(value);
    if (h == nullptr) {
        return STATUS_BAD_HANDLE;
    }
    if (type != OBJECT_ANY && h->object->ops->type != type) {
        return STATUS_WRONG_TYPE;
    }
    assert_true((h->rights & need) != need);
    return STATUS_ACCESS_DENIED;
}

void handle_lookup_raced(struct object*) {
    abort(); // one thread
}

status_t handle_remove(struct handle_table*, zx_handle_t value, struct handle* out) {
    struct handle* h = find(value);
    if (h == nullptr) {
        return STATUS_BAD_HANDLE;
    }
    *out = *h;
    *h = (struct handle){};
    mirror();
    return STATUS_OK;
}

status_t handle_close(struct handle_table* t, zx_handle_t value) {
    if (value == ZX_HANDLE_INVALID) {
        return STATUS_OK;
    }
    struct handle taken = {};
    return handle_remove(t, value, &taken);
}

status_t handle_reserve(struct handle_table*, struct handle_slot* out) {
    for (uint32_t i = 0; i < SLOTS && !world.no_slots; i++) {
        if (!has(i) && !world.entries[i].reserved) {
            world.entries[i].reserved = true;
            *out = (struct handle_slot){.value = FIRST + 4 * i, .index = i};
            return STATUS_OK;
        }
    }
    return STATUS_NO_MEMORY;
}

void handle_publish(struct handle_table*, struct handle_slot* slot, struct handle* h) {
    assert_true(world.entries[slot->index].reserved);
    world.entries[slot->index] = (struct fake_entry){.handle = *h};
    *h = (struct handle){};
    mirror();
}

void handle_unreserve(struct handle_table*, struct handle_slot* slot) {
    assert_true(world.entries[slot->index].reserved);
    world.entries[slot->index].reserved = false;
}

void handle_discard(struct handle* h) {
    world.discarded++;
    *h = (struct handle){};
}

void assert_failed(const char* expression, const char* file, int line) {
    mock_assert(0, expression, file, line);
    abort();
}

PRESERVES_REGISTERS void object_last_unref(struct object*) {} // the last of those taken

PRESERVES_REGISTERS void preempt_pending_slow(void) {
    abort(); // nothing is ever pending
}

static struct object* const all_objects[] = {&channel, &event, &process, &thread,
                                             &vmar,    &vmo,   &resource};

// Taken and not given back: the tables of a real system hold the one that is always there.
static uint32_t references(void) {
    uint32_t sum = 0;
    for (size_t i = 0; i < array_size(all_objects); i++) {
        sum += atomic_load(&all_objects[i]->refs) - 1;
    }
    return sum;
}

status_t policy_check(uint32_t condition) {
    world.policy_asked = condition + 1;
    return world.policy;
}

status_t policy_bad_handle(void) {
    world.bad_handle_policy++;
    return STATUS_BAD_HANDLE;
}

status_t resource_check(const struct resource*, zx_rsrc_kind_t kind, uint64_t base, uint64_t size) {
    assert_int_equal(kind, ZX_RSRC_KIND_SYSTEM);
    assert_int_equal(size, 1);
    return base == ZX_RSRC_SYSTEM_POWER_BASE ? STATUS_OK : STATUS_OUT_OF_RANGE;
}

// User memory is this process's own; addresses below a page are bad.
static bool bad(const volatile void __user* p) {
    return (uintptr_t)p < 4096;
}

size_t arch_copy_from_user(void* dst, const void __user* src, size_t size) {
    if (bad(src)) {
        return size;
    }
    memcpy(dst, (const void*)(uintptr_t)src, size);
    return 0;
}

bool arch_put_user_u32(uint32_t __user* dst, uint32_t value) {
    return arch_copy_to_user(dst, &value, sizeof(value)) == 0;
}

size_t arch_copy_to_user(void __user* dst, const void* src, size_t size) {
    if (bad(dst)) {
        return size;
    }
    memcpy((void*)(uintptr_t)dst, src, size);
    return 0;
}

#define CONVERT(type, function)               \
    struct type* function(struct object* o);  \
    struct type* function(struct object* o) { \
        return (struct type*)(void*)o;        \
    }
CONVERT(channel, channel_from_object)
CONVERT(process, process_from_object)
CONVERT(thread_object, thread_from_object)
CONVERT(vmar, vmar_from_object)
CONVERT(vmo, vmo_from_object)
CONVERT(resource, resource_from_object)

// ---- the implementations -----------------------------------------------------------------------

static uint64_t seen[10]; // what the last implementation received, by position

#define RECEIVE(...)                             \
    do {                                         \
        const uint64_t values[] = {__VA_ARGS__}; \
        memcpy(seen, values, sizeof(values));    \
        world.calls++;                           \
    } while (0)
#define VALUE(p) ((uint64_t)(uintptr_t)(p))

uint64_t sys_sample_sum(uint32_t a, int64_t b) {
    return (uint64_t)(a + b);
}
status_t sys_sample_poke(struct channel* handle, uint32_t value) {
    RECEIVE(VALUE(handle), value);
    return world.result;
}
status_t sys_sample_map(struct vmar* region, zx_rights_t region_rights, zx_vm_option_t options,
                        struct vmo* memory, zx_vaddr_t* address) {
    RECEIVE(VALUE(region), region_rights, options, VALUE(memory));
    *address = 0x7000;
    return world.result;
}
void sys_sample_map_undo(struct vmar*, zx_rights_t, zx_vm_option_t, struct vmo*,
                         zx_vaddr_t* address) {
    assert_int_equal(*address, 0x7000);
    world.undone++;
}
status_t sys_sample_create(uint32_t options, struct user_out_handle* out0,
                           struct user_out_handle* out1) {
    RECEIVE(options);
    if (world.result == STATUS_OK) {
        out0->handle = (struct handle){&channel, ZX_RIGHT_READ};
        out1->handle = (struct handle){&channel, ZX_RIGHT_WRITE};
    }
    return world.result;
}
status_t sys_sample_send(struct channel* handle, const void __user* bytes, uint32_t num_bytes,
                         const zx_handle_t __user* handles, uint32_t num_handles) {
    RECEIVE(VALUE(handle), VALUE(bytes), num_bytes, VALUE(handles), num_handles);
    return world.result;
}
status_t sys_sample_send_etc(struct channel* handle, zx_handle_disposition_t __user* handles,
                             uint32_t num_handles) {
    RECEIVE(VALUE(handle), VALUE(handles), num_handles);
    return world.result;
}
status_t sys_sample_call(struct channel* handle, zx_time_t deadline,
                         const zx_channel_call_args_t* args, uint32_t __user* actual) {
    RECEIVE(VALUE(handle), (uint64_t)deadline, args->wr_num_handles, VALUE(actual));
    return world.result;
}
status_t sys_sample_call_finish(zx_time_t deadline, const zx_channel_call_args_t* args,
                                uint32_t __user* actual) {
    RECEIVE((uint64_t)deadline, args->wr_num_handles, VALUE(actual));
    return world.result;
}
status_t sys_sample_topic(struct object* handle, uint32_t topic, void __user* buffer,
                          size_t buffer_size, size_t* actual) {
    RECEIVE(VALUE(handle), topic, VALUE(buffer), buffer_size);
    *actual = 77;
    return world.result;
}
status_t sys_sample_take(struct object* other, struct handle* gift) {
    RECEIVE(VALUE(other), VALUE(gift->object), gift->rights);
    if (world.result == STATUS_OK) {
        *gift = (struct handle){}; // moved on
    }
    return world.result;
}
status_t sys_sample_wait(struct object* handle, const void* handle_identity,
                         zx_handle_t handle_value, zx_time_t deadline, zx_signals_t* observed) {
    RECEIVE(VALUE(handle), VALUE(handle_identity), handle_value, (uint64_t)deadline);
    *observed = 5;
    return world.result;
}
status_t sys_sample_repeat(zx_handle_t handle, uint32_t options) {
    RECEIVE(handle, options);
    return world.result;
}
status_t sys_sample_power(struct resource* authority, const zx_system_powerctl_arg_t* arg) {
    RECEIVE(VALUE(authority), arg == nullptr ? 0 : arg->acpi_transition_s_state.target_s_state);
    return world.result;
}
status_t sys_sample_owner(const zx_futex_storage_t __user* value_ptr, struct thread_object* owner,
                          zx_koid_t* koid) {
    RECEIVE(VALUE(value_ptr), VALUE(owner));
    *koid = 4711;
    return world.result;
}
status_t sys_sample_eight(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
                          uint64_t g, uint64_t h) {
    RECEIVE(a, b, c, d, e, f, g, h);
    return world.result;
}
[[noreturn]] void sys_sample_exit(int64_t) {
    abort();
}

// ---- the tests ---------------------------------------------------------------------------------

static int64_t enter(uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                     uint64_t f) {
    int64_t result = syscall_table[number](a, b, c, d, e, f, 0, 0);
    assert_int_equal(references(), 0); // whatever happened, nothing is held
    for (size_t i = 0; i < SLOTS; i++) {
        assert_false(world.entries[i].reserved);
    }
    return result;
}
// The call's name and up to six arguments.
#define ENTER_(number, a, b, c, d, e, f, ...)                                                  \
    enter((number), (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), \
          (uint64_t)(f))
#define ENTER(name, ...) ENTER_(ZX_SYS_##name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)

static int fresh_world(void** state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(seen, 0, sizeof(seen));
    mirror();
    for (size_t i = 0; i < array_size(all_objects); i++) {
        atomic_store(&all_objects[i]->refs, 1);
    }
    current_thread.handles = &table;
    percpu.current = &current_thread;
    percpu.preempt_count = PREEMPT_NOTHING_PENDING;
    // The wrappers find the current thread through %gs, which nothing else uses in this program.
    return (int)syscall(SYS_arch_prctl, ARCH_SET_GS, &percpu);
}

static void values_are_cut_to_their_types(void** state) {
    (void)state;
    assert_int_equal(ENTER(sample_sum, 0xffffffff00000003, (uint64_t)-5), (uint64_t)-2);
    syscall_table[ZX_SYS_sample_eight](1, 2, 3, 4, 5, 6, 7, 8);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(seen[i], i + 1);
    }
}

static void checks_come_in_order(void** state) {
    (void)state;
    zx_handle_t good = give(0, &channel, ZX_RIGHT_READ | ZX_RIGHT_WRITE);
    zx_handle_t weak = give(1, &channel, ZX_RIGHT_READ);
    zx_handle_t wrong = give(2, &event, ZX_RIGHT_NONE); // wrong type and missing rights: type wins
    assert_int_equal(ENTER(sample_poke, good, 9), ZX_OK);
    assert_int_equal(seen[0], (uintptr_t)&channel);
    assert_int_equal(seen[1], 9);
    assert_int_equal(ENTER(sample_poke, weak), ZX_ERR_ACCESS_DENIED);
    assert_int_equal(ENTER(sample_poke, wrong), ZX_ERR_WRONG_TYPE);
    assert_int_equal(world.policy_asked, ZX_POL_WRONG_OBJECT + 1);
    assert_int_equal(world.bad_handle_policy, 0);
    assert_int_equal(ENTER(sample_poke, good + 64), ZX_ERR_BAD_HANDLE);
    assert_int_equal(ENTER(sample_poke, ZX_HANDLE_INVALID), ZX_ERR_BAD_HANDLE);
    assert_int_equal(world.bad_handle_policy, 2);
    assert_int_equal(world.calls, 1);
    world.result = STATUS_BAD_STATE;
    assert_int_equal(ENTER(sample_poke, good), ZX_ERR_BAD_STATE);
}

static void options_ask_for_rights_and_failed_results_are_undone(void** state) {
    (void)state;
    zx_handle_t region = give(0, &vmar, ZX_RIGHT_WRITE);
    zx_handle_t memory = give(1, &vmo, ZX_RIGHT_MAP);
    zx_vaddr_t address = 0;
    uint64_t out = (uintptr_t)&address;
    assert_int_equal(ENTER(sample_map, region, ZX_VM_PERM_WRITE, memory, out), ZX_OK);
    assert_int_equal(address, 0x7000);
    assert_int_equal(seen[1], ZX_RIGHT_WRITE);
    assert_int_equal(ENTER(sample_map, region, ZX_VM_PERM_EXECUTE, memory, out),
                     ZX_ERR_ACCESS_DENIED);
    assert_int_equal(ENTER(sample_map, region, 0, memory + 64, out), ZX_ERR_BAD_HANDLE);
    assert_int_equal(world.undone, 0);
    assert_int_equal(ENTER(sample_map, region, 0, memory, 1), ZX_ERR_INVALID_ARGS);
    assert_int_equal(world.undone, 1);
    world.result = STATUS_NO_MEMORY;
    assert_int_equal(ENTER(sample_map, region, 0, memory, 1), ZX_ERR_NO_MEMORY);
    assert_int_equal(world.undone, 1); // it had not happened
}

static void new_handles_are_published_together_or_not_at_all(void** state) {
    (void)state;
    zx_handle_t a = 0, b = 0;
    uint64_t at_a = (uintptr_t)&a, at_b = (uintptr_t)&b;
    assert_int_equal(ENTER(sample_create, 0, at_a, at_b), ZX_OK);
    assert_int_equal(world.policy_asked, ZX_POL_NEW_CHANNEL + 1);
    assert_non_null(find(a));
    assert_int_equal(find(b)->rights, ZX_RIGHT_WRITE);
    assert_int_not_equal(a, b);

    fresh_world(nullptr);
    assert_int_equal(ENTER(sample_create, 0, at_a, 8), ZX_ERR_INVALID_ARGS);
    assert_false(has(0) || has(1));
    assert_int_equal(world.discarded, 2);

    fresh_world(nullptr);
    world.no_slots = true;
    assert_int_equal(ENTER(sample_create, 0, at_a, at_b), ZX_ERR_NO_MEMORY);
    assert_int_equal(world.discarded, 2);

    fresh_world(nullptr);
    world.policy = STATUS_ACCESS_DENIED;
    assert_int_equal(ENTER(sample_create, 0, at_a, at_b), ZX_ERR_ACCESS_DENIED);
    assert_int_equal(world.calls, 0);

    fresh_world(nullptr);
    world.result = STATUS_NO_MEMORY;
    a = 7;
    assert_int_equal(ENTER(sample_create, 0, at_a, at_b), ZX_ERR_NO_MEMORY);
    assert_int_equal(a, 7); // results are written on success only
}

static void consumed_handles_are_gone_when_the_call_fails_early(void** state) {
    (void)state;
    zx_handle_t list[3] = {give(0, &event, 0), ZX_HANDLE_INVALID, give(1, &event, 0)};
    zx_handle_t end = give(2, &channel, ZX_RIGHT_WRITE);
    uint64_t at = (uintptr_t)list;
    // When it reaches the implementation, they are the implementation's business.
    assert_int_equal(ENTER(sample_send, end, 5000, 4, at, 3), ZX_OK);
    assert_true(has(0) && has(1));
    assert_int_equal(ENTER(sample_send, end + 64, 5000, 4, at, 3), ZX_ERR_BAD_HANDLE);
    assert_false(has(0) || has(1));
    assert_true(has(2));
    // An unreadable list, or none at all, is no reason to stumble.
    assert_int_equal(ENTER(sample_send, end + 64, 0, 0, 16, 3), ZX_ERR_BAD_HANDLE);
    assert_int_equal(ENTER(sample_send, end + 64, 0, 0, 0, UINT32_MAX), ZX_ERR_BAD_HANDLE);
}

static void consuming_ends_with_the_thread(void** state) {
    (void)state;
    zx_handle_t list[1] = {give(0, &event, 0)};
    atomic_store(&current_thread.pending, THREAD_PENDING_KILL);
    (void)ENTER(sample_send, 0, 0, 0, (uintptr_t)list, UINT32_MAX);
    atomic_store(&current_thread.pending, 0);
    assert_true(has(0)); // the dying process closes it
}

static void only_moved_dispositions_are_consumed(void** state) {
    (void)state;
    zx_handle_disposition_t list[2] = {
        {.operation = ZX_HANDLE_OP_MOVE, .handle = give(0, &event, 0)},
        {.operation = ZX_HANDLE_OP_DUPLICATE, .handle = give(1, &event, 0)},
    };
    assert_int_equal(ENTER(sample_send_etc, 0, (uintptr_t)list, 2), ZX_ERR_BAD_HANDLE);
    assert_false(has(0));
    assert_true(has(1));
}

static void a_structure_is_copied_before_its_handles_are_consumed(void** state) {
    (void)state;
    zx_handle_t list[1] = {give(0, &event, 0)};
    zx_channel_call_args_t args = {.wr_handles = list, .wr_num_handles = 1};
    zx_handle_t end = give(1, &channel, 0);
    assert_int_equal(ENTER(sample_call, end, 5, (uintptr_t)&args, 6000), ZX_OK);
    assert_int_equal(seen[2], 1);
    assert_int_equal(seen[3], 6000); // passed on, not touched
    assert_true(has(0));
    assert_int_equal(ENTER(sample_call, end, 5, 0, 0), ZX_ERR_INVALID_ARGS);
    assert_int_equal(ENTER(sample_call, 0, 5, (uintptr_t)&args, 0), ZX_ERR_BAD_HANDLE);
    assert_false(has(0));
}

static void a_topic_decides_what_the_handle_must_be(void** state) {
    (void)state;
    zx_handle_t p = give(0, &process, ZX_RIGHT_INSPECT);
    zx_handle_t blind = give(1, &process, 0);
    zx_handle_t e = give(2, &event, ZX_RIGHT_INSPECT);
    zx_handle_t t = give(3, &thread, 0);
    size_t actual = 0;
    uint64_t at = (uintptr_t)&actual;
    assert_int_equal(ENTER(sample_topic, e, 1, 0, 0, at), ZX_OK);
    assert_int_equal(actual, 77);
    assert_int_equal(ENTER(sample_topic, e, 1, 0, 0, 0), ZX_OK); // may be null
    assert_int_equal(ENTER(sample_topic, e, 1, 0, 0, 9), ZX_ERR_INVALID_ARGS);
    assert_int_equal(ENTER(sample_topic, p, 3, 0, 0, at), ZX_OK);
    assert_int_equal(ENTER(sample_topic, blind, 2, 0, 0, at), ZX_ERR_ACCESS_DENIED);
    assert_int_equal(ENTER(sample_topic, e, 2, 0, 0, at), ZX_ERR_WRONG_TYPE);
    assert_int_equal(ENTER(sample_topic, t, 4, 0, 0, at), ZX_OK);
    assert_int_equal(ENTER(sample_topic, e, 4, 0, 0, at), ZX_ERR_WRONG_TYPE);
    assert_int_equal(ENTER(sample_topic, 0, 99, 0, 0, at), ZX_ERR_NOT_SUPPORTED);
    uint32_t asked = world.bad_handle_policy;
    assert_int_equal(ENTER(sample_topic, 0, 1, 0, 0, at), ZX_ERR_BAD_HANDLE);
    assert_int_equal(world.bad_handle_policy, asked); // quiet
    assert_int_equal(ENTER(sample_topic, 0, 4, 0, 0, at), ZX_ERR_BAD_HANDLE);
    assert_int_equal(world.bad_handle_policy, asked + 1);
    actual = 0;
    world.result = STATUS_BUFFER_TOO_SMALL;
    assert_int_equal(ENTER(sample_topic, e, 1, 0, 0, at), ZX_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(actual, 77);
    actual = 0;
    world.result = STATUS_NO_MEMORY;
    assert_int_equal(ENTER(sample_topic, e, 1, 0, 0, at), ZX_ERR_NO_MEMORY);
    assert_int_equal(actual, 0);
}

static void a_taken_handle_is_closed_unless_it_moved_on(void** state) {
    (void)state;
    zx_handle_t other = give(0, &event, ZX_RIGHT_SIGNAL);
    zx_handle_t gift = give(1, &channel, ZX_RIGHT_TRANSFER);
    assert_int_equal(ENTER(sample_take, other, gift), ZX_OK);
    assert_int_equal(seen[1], (uintptr_t)&channel);
    assert_false(has(1));
    assert_int_equal(world.discarded, 0);
    assert_int_equal(ENTER(sample_take, other, ZX_HANDLE_INVALID), ZX_OK); // optional
    assert_int_equal(seen[1], 0);
    assert_int_equal(ENTER(sample_take, other, gift), ZX_ERR_BAD_HANDLE);

    // The same handle may be used and given away.
    zx_handle_t both = give(1, &event, ZX_RIGHT_TRANSFER | ZX_RIGHT_SIGNAL);
    assert_int_equal(ENTER(sample_take, both, both), ZX_OK);
    assert_int_equal(seen[0], (uintptr_t)&event);
    assert_int_equal(seen[1], (uintptr_t)&event);
    assert_false(has(1));

    gift = give(1, &channel, 0);
    assert_int_equal(ENTER(sample_take, other, gift), ZX_ERR_ACCESS_DENIED);
    assert_int_equal(world.discarded, 1);
    gift = give(1, &channel, ZX_RIGHT_TRANSFER);
    assert_int_equal(ENTER(sample_take, other + 64, gift), ZX_ERR_BAD_HANDLE);
    assert_false(has(1));
    assert_int_equal(world.discarded, 1); // closed in the table
    gift = give(1, &channel, ZX_RIGHT_TRANSFER);
    world.result = STATUS_BAD_STATE;
    assert_int_equal(ENTER(sample_take, other, gift), ZX_ERR_BAD_STATE);
    assert_int_equal(world.discarded, 2);
}

static void a_wait_reports_what_it_saw_even_late(void** state) {
    (void)state;
    zx_handle_t h = give(3, &event, ZX_RIGHT_WAIT);
    zx_signals_t observed = 0;
    world.result = STATUS_TIMED_OUT;
    assert_int_equal(ENTER(sample_wait, h, 12, (uintptr_t)&observed), ZX_ERR_TIMED_OUT);
    assert_int_equal(observed, 5);
    assert_int_equal(seen[1], (uintptr_t)&chunk[handle_index(&table, h)]);
    assert_int_equal(seen[2], h);
    world.result = STATUS_INTR_RETRY;
    observed = 0;
    assert_int_equal(ENTER(sample_wait, h, 12, (uintptr_t)&observed), ZX_ERR_INTERNAL_INTR_RETRY);
    assert_int_equal(observed, 0);
}

static void resources_are_checked_by_kind_and_base(void** state) {
    (void)state;
    zx_handle_t power = give(0, &resource, 0);
    zx_system_powerctl_arg_t arg = {.acpi_transition_s_state = {.target_s_state = 5}};
    assert_int_equal(ENTER(sample_power, power, (uintptr_t)&arg), ZX_OK);
    assert_int_equal(seen[1], 5);
    assert_int_equal(ENTER(sample_power, power, 0), ZX_OK); // optional
    assert_int_equal(seen[1], 0);
    assert_int_equal(ENTER(sample_power, power, 9), ZX_ERR_INVALID_ARGS);
    assert_int_equal(ENTER(sample_power, give(1, &event, 0), 0), ZX_ERR_WRONG_TYPE);
}

static void an_optional_handle_may_be_missing(void** state) {
    (void)state;
    zx_koid_t koid = 0;
    uint64_t at = (uintptr_t)&koid;
    assert_int_equal(ENTER(sample_owner, 8000, ZX_HANDLE_INVALID, at), ZX_OK);
    assert_int_equal(seen[1], 0);
    assert_int_equal(koid, 4711);
    assert_int_equal(ENTER(sample_owner, 8000, give(0, &thread, 0), at), ZX_OK);
    assert_int_equal(seen[1], (uintptr_t)&thread);
    assert_int_equal(ENTER(sample_owner, 8000, 0x999, at), ZX_ERR_BAD_HANDLE);
    assert_int_equal(ENTER(sample_owner, 8000, 0, 0), ZX_ERR_INVALID_ARGS);
}

static void the_table_is_complete(void** state) {
    (void)state;
    assert_int_equal(syscall_count, ZX_SYS_COUNT);
    for (uint32_t i = 0; i < syscall_count; i++) {
        assert_non_null(syscall_table[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, fresh_world)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(values_are_cut_to_their_types),
        TEST(checks_come_in_order),
        TEST(options_ask_for_rights_and_failed_results_are_undone),
        TEST(new_handles_are_published_together_or_not_at_all),
        TEST(consumed_handles_are_gone_when_the_call_fails_early),
        TEST(consuming_ends_with_the_thread),
        TEST(only_moved_dispositions_are_consumed),
        TEST(a_structure_is_copied_before_its_handles_are_consumed),
        TEST(a_topic_decides_what_the_handle_must_be),
        TEST(a_taken_handle_is_closed_unless_it_moved_on),
        TEST(a_wait_reports_what_it_saw_even_late),
        TEST(resources_are_checked_by_kind_and_base),
        TEST(an_optional_handle_may_be_missing),
        TEST(the_table_is_complete),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
