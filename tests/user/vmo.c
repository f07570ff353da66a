// VMOs: size, content, children of every kind, commit and zero, rights.
#include <utest/utest.h>

#include <string.h>

#include <jacinth/startup.h>

GROUP("vmo");

constexpr uint64_t PAGE = 4096;

static zx_info_vmo_t info_of(zx_handle_t vmo) {
    zx_info_vmo_t info;
    EXPECT_OK(zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof(info), nullptr, nullptr));
    return info;
}

static uint64_t size_of(zx_handle_t vmo) {
    uint64_t size;
    EXPECT_OK(zx_vmo_get_size(vmo, &size));
    return size;
}

static void put(zx_handle_t vmo, uint64_t offset, uint8_t value) {
    EXPECT_OK(zx_vmo_write(vmo, &value, offset, 1));
}

static uint8_t get(zx_handle_t vmo, uint64_t offset) {
    uint8_t value;
    EXPECT_OK(zx_vmo_read(vmo, &value, offset, 1));
    return value;
}

static zx_handle_t resizable(uint64_t size) {
    zx_handle_t vmo;
    EXPECT_OK(zx_vmo_create(size, ZX_VMO_RESIZABLE, &vmo));
    return vmo;
}

static zx_handle_t child(zx_handle_t parent, uint32_t options, uint64_t offset, uint64_t size) {
    zx_handle_t vmo;
    EXPECT_OK(zx_vmo_create_child(parent, options, offset, size, &vmo));
    return vmo;
}

CASE(create) {
    static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, 1 << 20, 1ull << 40};
    for (uint32_t i = 0; i < 7; i++) {
        zx_handle_t vmo = utest_vmo(sizes[i]);
        EXPECT_EQ(utest_basic(vmo).type, ZX_OBJ_TYPE_VMO);
        EXPECT_EQ(utest_basic(vmo).rights, ZX_DEFAULT_VMO_RIGHTS);
        EXPECT_EQ(size_of(vmo), (sizes[i] + PAGE - 1) & ~(PAGE - 1));
        uint64_t content;
        EXPECT_OK(zx_vmo_get_stream_size(vmo, &content));
        EXPECT_EQ(content, sizes[i]);
        EXPECT_EQ(info_of(vmo).committed_bytes, 0);
        EXPECT_EQ(utest_signals(vmo, ZX_VMO_ZERO_CHILDREN), ZX_VMO_ZERO_CHILDREN);
        EXPECT_CLOSE(vmo);
    }
    zx_handle_t vmo = resizable(PAGE);
    EXPECT_EQ(utest_basic(vmo).rights, ZX_DEFAULT_VMO_RIGHTS | ZX_RIGHT_RESIZE);
    EXPECT((info_of(vmo).flags & ZX_INFO_VMO_RESIZABLE) != 0);
    EXPECT_CLOSE(vmo);
}

CASE(create_errors) {
    zx_handle_t vmo;
    EXPECT_STATUS(zx_vmo_create(PAGE, 1, &vmo), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create(PAGE, 1u << 20, &vmo), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create(UINT64_MAX, 0, &vmo), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_create(UINT64_MAX - PAGE, 0, &vmo), ZX_ERR_OUT_OF_RANGE);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(vmo)) {
        EXPECT_STATUS(zx_vmo_create(PAGE, 0, p), ZX_ERR_INVALID_ARGS);
    }
}

CASE(read_and_write) {
    static uint8_t out[3 * 4096];
    static uint8_t in[3 * 4096];
    for (uint32_t i = 0; i < sizeof(out); i++) {
        out[i] = (uint8_t)(i % 251 + 1);
    }
    zx_handle_t vmo = utest_vmo(4 * PAGE);
    EXPECT_OK(zx_vmo_read(vmo, in, 0, sizeof(in)));
    for (uint32_t i = 0; i < sizeof(in); i++) {
        EXPECT_EQ(in[i], 0);
    }
    EXPECT_EQ(info_of(vmo).committed_bytes, 0); // reading commits nothing
    EXPECT_OK(zx_vmo_write(vmo, out, 100, sizeof(out)));
    EXPECT_OK(zx_vmo_read(vmo, in, 100, sizeof(in)));
    EXPECT_EQ(memcmp(in, out, sizeof(in)), 0);
    EXPECT_EQ(get(vmo, 99), 0);
    EXPECT_EQ(get(vmo, 100 + sizeof(out)), 0);
    EXPECT_EQ(info_of(vmo).committed_bytes, 4 * PAGE);
    EXPECT_OK(zx_vmo_read(vmo, nullptr, 0, 0));
    EXPECT_OK(zx_vmo_write(vmo, nullptr, 4 * PAGE, 0));
    EXPECT_CLOSE(vmo);
}

CASE(read_and_write_errors) {
    zx_handle_t vmo = utest_vmo(2 * PAGE);
    static uint8_t buffer[3 * 4096];
    EXPECT_STATUS(zx_vmo_read(vmo, buffer, 2 * PAGE, 1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_read(vmo, buffer, 0, 2 * PAGE + 1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_write(vmo, buffer, 2 * PAGE - 1, 2), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_write(vmo, buffer, UINT64_MAX, 2), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_read(vmo, buffer, UINT64_MAX - 1, 4), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_read(vmo, buffer, 0, SIZE_MAX), ZX_ERR_OUT_OF_RANGE);
    zx_handle_t reader = utest_without(vmo, ZX_RIGHT_WRITE);
    zx_handle_t writer = utest_without(vmo, ZX_RIGHT_READ);
    EXPECT_STATUS(zx_vmo_write(reader, buffer, 0, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_vmo_read(writer, buffer, 0, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(reader);
    EXPECT_CLOSE(writer);
    EXPECT_STATUS(zx_vmo_read(ZX_HANDLE_INVALID, buffer, 0, 1), ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_vmo_read(event, buffer, 0, 1), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_vmo_write(event, buffer, 0, 1), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
    EXPECT_CLOSE(vmo);
}

// A buffer that is not there is NOT_FOUND (not mapped at all) or INVALID_ARGS (not user memory).
CASE(bad_buffers) {
    zx_handle_t vmo = utest_vmo(2 * PAGE);
    FOR_BAD_POINTERS(p, UTEST_WRITE, 64) {
        zx_status_t status = zx_vmo_read(vmo, p, 0, 64);
        EXPECT(status == ZX_ERR_NOT_FOUND || status == ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_READ, 64) {
        zx_status_t status = zx_vmo_write(vmo, p, 0, 64);
        EXPECT(status == ZX_ERR_NOT_FOUND || status == ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(vmo);
}

// From a mapping of the object into the object itself.
CASE(own_mapping_as_buffer) {
    zx_handle_t vmo = utest_vmo(8 * PAGE);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0,
                          8 * PAGE, &at));
    volatile uint8_t* memory = (uint8_t*)at;
    memory[0] = 11;
    memory[PAGE] = 22;
    EXPECT_OK(zx_vmo_write(vmo, (void*)at, 4 * PAGE, 2 * PAGE));
    EXPECT_EQ(memory[4 * PAGE], 11);
    EXPECT_EQ(memory[5 * PAGE], 22);
    EXPECT_OK(zx_vmo_read(vmo, (void*)(at + 6 * PAGE), 4 * PAGE, 2 * PAGE));
    EXPECT_EQ(memory[6 * PAGE], 11);
    EXPECT_EQ(memory[7 * PAGE], 22);
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, 8 * PAGE));
    EXPECT_CLOSE(vmo);
}

// ---- size ----

CASE(resize) {
    zx_handle_t vmo = resizable(2 * PAGE);
    put(vmo, 0, 1);
    put(vmo, 2 * PAGE - 1, 2);
    EXPECT_OK(zx_vmo_set_size(vmo, PAGE));
    EXPECT_EQ(size_of(vmo), PAGE);
    uint8_t byte;
    EXPECT_STATUS(zx_vmo_read(vmo, &byte, PAGE, 1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_OK(zx_vmo_set_size(vmo, 100 * PAGE));
    EXPECT_EQ(get(vmo, 0), 1);
    EXPECT_EQ(get(vmo, 2 * PAGE - 1), 0); // cut off, then grown: zeros
    EXPECT_OK(zx_vmo_set_size(vmo, 0));
    EXPECT_EQ(info_of(vmo).committed_bytes, 0);
    EXPECT_OK(zx_vmo_set_size(vmo, PAGE));
    EXPECT_EQ(get(vmo, 0), 0);
    EXPECT_CLOSE(vmo);
}

CASE(resize_errors) {
    zx_handle_t fixed = utest_vmo(PAGE);
    EXPECT_STATUS(zx_vmo_set_size(fixed, 2 * PAGE), ZX_ERR_UNAVAILABLE);
    EXPECT_CLOSE(fixed);
    zx_handle_t vmo = resizable(PAGE);
    EXPECT_STATUS(zx_vmo_set_size(vmo, UINT64_MAX), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_set_size(vmo, UINT64_MAX - 2 * PAGE), ZX_ERR_OUT_OF_RANGE);
    zx_handle_t weak = utest_without(vmo, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_vmo_set_size(weak, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    weak = utest_without(vmo, ZX_RIGHT_RESIZE);
    EXPECT_STATUS(zx_vmo_set_size(weak, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_EQ(size_of(vmo), PAGE);
    EXPECT_CLOSE(vmo);
}

CASE(content_size) {
    zx_handle_t vmo = utest_vmo(2 * PAGE);
    uint64_t content = 5000;
    EXPECT_OK(zx_object_set_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, &content, sizeof(content)));
    content = 0;
    EXPECT_OK(zx_object_get_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, &content, sizeof(content)));
    EXPECT_EQ(content, 5000);
    EXPECT_OK(zx_vmo_get_stream_size(vmo, &content));
    EXPECT_EQ(content, 5000);
    EXPECT_EQ(size_of(vmo), 2 * PAGE);
    EXPECT_CLOSE(vmo);
}

// ---- children ----

CASE(snapshot) {
    zx_handle_t parent = utest_vmo(4 * PAGE);
    put(parent, 0, 1);
    put(parent, PAGE, 2);
    zx_handle_t copy = child(parent, ZX_VMO_CHILD_SNAPSHOT, 0, 4 * PAGE);
    EXPECT_EQ(utest_signals(parent, ZX_VMO_ZERO_CHILDREN), 0);
    EXPECT_EQ(info_of(copy).parent_koid, utest_koid(parent));
    EXPECT_EQ(info_of(parent).num_children, 1);
    EXPECT((info_of(copy).flags & ZX_INFO_VMO_IS_COW_CLONE) != 0);
    // Isolated in both directions.
    put(parent, 0, 11);
    put(copy, PAGE, 22);
    put(parent, 2 * PAGE, 33);
    EXPECT_EQ(get(copy, 0), 1);
    EXPECT_EQ(get(parent, PAGE), 2);
    EXPECT_EQ(get(copy, 2 * PAGE), 0);
    EXPECT_EQ(get(parent, 0), 11);
    EXPECT_EQ(get(copy, PAGE), 22);
    // A copy of the copy.
    zx_handle_t second = child(copy, ZX_VMO_CHILD_SNAPSHOT, PAGE, PAGE);
    put(copy, PAGE, 44);
    EXPECT_EQ(get(second, 0), 22);
    EXPECT_CLOSE(copy);
    EXPECT_EQ(get(second, 0), 22);
    EXPECT_CLOSE(second);
    EXPECT_OK(zx_object_wait_one(parent, ZX_VMO_ZERO_CHILDREN, utest_after_ms(5000), nullptr));
    EXPECT_CLOSE(parent);
}

CASE(snapshot_of_mapped_memory) {
    zx_handle_t parent = utest_vmo(64 * PAGE);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, parent, 0,
                          64 * PAGE, &at));
    volatile uint8_t* memory = (uint8_t*)at;
    for (uint32_t i = 0; i < 64; i++) {
        memory[i * PAGE] = (uint8_t)(i + 1);
    }
    zx_handle_t copy = child(parent, ZX_VMO_CHILD_SNAPSHOT, 0, 64 * PAGE);
    for (uint32_t i = 0; i < 64; i += 2) {
        memory[i * PAGE] = 200;
    }
    for (uint32_t i = 0; i < 64; i++) {
        EXPECT_EQ(get(copy, i * PAGE), i + 1);
        EXPECT_EQ(memory[i * PAGE], i % 2 == 0 ? 200 : i + 1);
    }
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, 64 * PAGE));
    EXPECT_CLOSE(copy);
    EXPECT_CLOSE(parent);
}

CASE(snapshot_rights) {
    zx_handle_t parent = utest_vmo(PAGE);
    zx_handle_t reader = utest_without(parent, ZX_RIGHT_WRITE);
    zx_handle_t copy = child(reader, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE);
    EXPECT((utest_basic(copy).rights & ZX_RIGHT_WRITE) != 0);
    EXPECT_CLOSE(copy);
    copy = child(reader, ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_NO_WRITE, 0, PAGE);
    EXPECT((utest_basic(copy).rights & ZX_RIGHT_WRITE) == 0);
    EXPECT_CLOSE(copy);
    copy = child(parent, ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_RESIZABLE, 0, PAGE);
    EXPECT((utest_basic(copy).rights & ZX_RIGHT_RESIZE) != 0);
    EXPECT_OK(zx_vmo_set_size(copy, 3 * PAGE));
    EXPECT_EQ(get(copy, 2 * PAGE), 0);
    EXPECT_CLOSE(copy);
    EXPECT_CLOSE(reader);
    EXPECT_CLOSE(parent);
}

// A child may reach beyond its parent's end: zeros there.
CASE(snapshot_beyond_the_end) {
    zx_handle_t parent = utest_vmo(PAGE);
    put(parent, 0, 7);
    zx_handle_t copy = child(parent, ZX_VMO_CHILD_SNAPSHOT, 0, 4 * PAGE);
    EXPECT_EQ(get(copy, 0), 7);
    EXPECT_EQ(get(copy, 3 * PAGE), 0);
    put(copy, 3 * PAGE, 9);
    EXPECT_EQ(get(copy, 3 * PAGE), 9);
    EXPECT_CLOSE(copy);
    EXPECT_CLOSE(parent);
}

CASE(slice) {
    zx_handle_t parent = utest_vmo(4 * PAGE);
    zx_handle_t window = child(parent, ZX_VMO_CHILD_SLICE, PAGE, 2 * PAGE);
    put(window, 0, 5);
    EXPECT_EQ(get(parent, PAGE), 5);
    put(parent, 2 * PAGE, 6);
    EXPECT_EQ(get(window, PAGE), 6);
    EXPECT_EQ(size_of(window), 2 * PAGE);
    zx_handle_t inner = child(window, ZX_VMO_CHILD_SLICE, PAGE, PAGE);
    EXPECT_EQ(get(inner, 0), 6);
    EXPECT_CLOSE(inner);
    zx_handle_t out;
    EXPECT_STATUS(zx_vmo_create_child(parent, ZX_VMO_CHILD_SLICE, PAGE, 4 * PAGE, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(
        zx_vmo_create_child(parent, ZX_VMO_CHILD_SLICE | ZX_VMO_CHILD_RESIZABLE, 0, PAGE, &out),
        ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(window);
    EXPECT_CLOSE(parent);
    parent = resizable(4 * PAGE);
    EXPECT_STATUS(zx_vmo_create_child(parent, ZX_VMO_CHILD_SLICE, 0, PAGE, &out),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_CLOSE(parent);
}

CASE(reference) {
    zx_handle_t parent = utest_vmo(2 * PAGE);
    zx_handle_t other = child(parent, ZX_VMO_CHILD_REFERENCE, 0, 0);
    put(other, PAGE, 5);
    EXPECT_EQ(get(parent, PAGE), 5);
    EXPECT_EQ(size_of(other), 2 * PAGE);
    EXPECT(utest_koid(other) != utest_koid(parent));
    EXPECT_CLOSE(parent);
    EXPECT_EQ(get(other, PAGE), 5);
    EXPECT_CLOSE(other);
}

CASE(child_errors) {
    zx_handle_t vmo = utest_vmo(2 * PAGE);
    zx_handle_t out;
    uint32_t snapshot = ZX_VMO_CHILD_SNAPSHOT;
    EXPECT_STATUS(zx_vmo_create_child(vmo, 0, 0, PAGE, &out), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create_child(vmo, snapshot | ZX_VMO_CHILD_SLICE, 0, PAGE, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create_child(vmo, snapshot | 1u << 20, 0, PAGE, &out),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create_child(vmo, snapshot, 1, PAGE, &out), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_create_child(vmo, snapshot, 0, UINT64_MAX, &out), ZX_ERR_OUT_OF_RANGE);
    zx_status_t status = zx_vmo_create_child(vmo, snapshot, UINT64_MAX & ~(PAGE - 1), PAGE, &out);
    EXPECT(status == ZX_ERR_OUT_OF_RANGE || status == ZX_ERR_INVALID_ARGS);
    static const zx_rights_t needed[] = {ZX_RIGHT_READ, ZX_RIGHT_DUPLICATE};
    for (uint32_t i = 0; i < 2; i++) {
        zx_handle_t weak = utest_without(vmo, needed[i]);
        EXPECT_STATUS(zx_vmo_create_child(weak, snapshot, 0, PAGE, &out), ZX_ERR_ACCESS_DENIED);
        EXPECT_CLOSE(weak);
    }
    EXPECT_EQ(info_of(vmo).num_children, 0);
    EXPECT_EQ(utest_signals(vmo, ZX_VMO_ZERO_CHILDREN), ZX_VMO_ZERO_CHILDREN);
    EXPECT_CLOSE(vmo);
}

// A mapping keeps a child alive after its last handle.
CASE(zero_children_and_mappings) {
    zx_handle_t parent = utest_vmo(PAGE);
    zx_handle_t window = child(parent, ZX_VMO_CHILD_SLICE, 0, PAGE);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ, 0, window, 0, PAGE, &at));
    EXPECT_CLOSE(window);
    utest_sleep_ms(2);
    EXPECT_EQ(utest_signals(parent, ZX_VMO_ZERO_CHILDREN), 0);
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, PAGE));
    EXPECT_OK(zx_object_wait_one(parent, ZX_VMO_ZERO_CHILDREN, utest_after_ms(5000), nullptr));
    EXPECT_CLOSE(parent);
}

CASE_WITHIN(generations, 60) {
    zx_handle_t vmo = utest_vmo(16 * PAGE);
    for (uint32_t i = 0; i < 300; i++) {
        put(vmo, i % 16 * PAGE, (uint8_t)i);
        zx_handle_t next = child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, 16 * PAGE);
        EXPECT_EQ(get(next, i % 16 * PAGE), (uint8_t)i);
        EXPECT_CLOSE(vmo);
        vmo = next;
    }
    EXPECT_EQ(get(vmo, 299 % 16 * PAGE), (uint8_t)299);
    EXPECT_CLOSE(vmo);
}

// ---- ranges ----

CASE(commit_decommit_zero) {
    zx_handle_t vmo = utest_vmo(8 * PAGE);
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, 4 * PAGE, nullptr, 0));
    EXPECT_EQ(info_of(vmo).committed_bytes, 4 * PAGE);
    put(vmo, 0, 1);
    put(vmo, PAGE, 2);
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 0, PAGE, nullptr, 0));
    EXPECT_EQ(info_of(vmo).committed_bytes, 3 * PAGE);
    EXPECT_EQ(get(vmo, 0), 0);
    EXPECT_EQ(get(vmo, PAGE), 2);
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_ZERO, PAGE, 1, nullptr, 0));
    EXPECT_EQ(get(vmo, PAGE), 0);
    put(vmo, 2 * PAGE + 10, 3);
    put(vmo, 2 * PAGE + 20, 4);
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_ZERO, 2 * PAGE, 15, nullptr, 0));
    EXPECT_EQ(get(vmo, 2 * PAGE + 10), 0);
    EXPECT_EQ(get(vmo, 2 * PAGE + 20), 4);
    EXPECT_CLOSE(vmo);
}

// In a snapshot, zeros stay zeros: the parent's content does not come back.
CASE(zero_in_a_snapshot) {
    zx_handle_t parent = utest_vmo(2 * PAGE);
    put(parent, 0, 1);
    put(parent, PAGE, 2);
    zx_handle_t copy = child(parent, ZX_VMO_CHILD_SNAPSHOT, 0, 2 * PAGE);
    EXPECT_OK(zx_vmo_op_range(copy, ZX_VMO_OP_ZERO, 0, PAGE, nullptr, 0));
    EXPECT_EQ(get(copy, 0), 0);
    EXPECT_EQ(get(copy, PAGE), 2);
    EXPECT_EQ(get(parent, 0), 1);
    EXPECT_CLOSE(copy);
    EXPECT_CLOSE(parent);
}

CASE(op_range_errors) {
    zx_handle_t vmo = utest_vmo(4 * PAGE);
    EXPECT_STATUS(zx_vmo_op_range(vmo, 99, 0, PAGE, nullptr, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, 5 * PAGE, nullptr, 0),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, UINT64_MAX, 2, nullptr, 0),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_ZERO, 4 * PAGE, 1, nullptr, 0),
                  ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 1, PAGE, nullptr, 0),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_CACHE_SYNC, 0, 0, nullptr, 0),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_CACHE_SYNC, 0, PAGE, nullptr, 0));
    zx_vmo_lock_state_t lock;
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, 4 * PAGE, &lock, sizeof(lock)),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, PAGE, &lock, sizeof(lock)),
                  ZX_ERR_INVALID_ARGS);
    zx_handle_t weak = utest_without(vmo, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_vmo_op_range(weak, ZX_VMO_OP_COMMIT, 0, PAGE, nullptr, 0),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_vmo_op_range(weak, ZX_VMO_OP_DECOMMIT, 0, PAGE, nullptr, 0),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_vmo_op_range(weak, ZX_VMO_OP_ZERO, 0, PAGE, nullptr, 0), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    EXPECT_CLOSE(vmo);
}

CASE(discardable) {
    zx_handle_t vmo;
    EXPECT_OK(zx_vmo_create(2 * PAGE, ZX_VMO_DISCARDABLE, &vmo));
    zx_vmo_lock_state_t lock = {.discarded_size = 77};
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_UNLOCK, 0, 2 * PAGE, nullptr, 0),
                  ZX_ERR_BAD_STATE);
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, 2 * PAGE, &lock, sizeof(lock)));
    EXPECT_EQ(lock.offset, 0);
    EXPECT_EQ(lock.size, 2 * PAGE);
    EXPECT_EQ(lock.discarded_size, 0);
    put(vmo, 0, 1);
    EXPECT_OK(zx_vmo_op_range(vmo, ZX_VMO_OP_UNLOCK, 0, 2 * PAGE, nullptr, 0));
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(lock)) {
        EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, 2 * PAGE, p, sizeof(lock)),
                      ZX_ERR_INVALID_ARGS);
    }
    // A lock that nobody learnt of is no lock.
    EXPECT_STATUS(zx_vmo_op_range(vmo, ZX_VMO_OP_UNLOCK, 0, 2 * PAGE, nullptr, 0),
                  ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(vmo);
}

// ---- the rest ----

static char first_byte(zx_handle_t vmo, uint64_t page) {
    char byte;
    EXPECT_OK(zx_vmo_read(vmo, &byte, page * PAGE, 1));
    return byte;
}

CASE(transfer_data) {
    zx_handle_t from = utest_vmo(100 * PAGE), to = utest_vmo(100 * PAGE), copy, slice;
    for (uint64_t i = 0; i < 80; i++) {
        EXPECT_OK(zx_vmo_write(from, &(char){(char)(i + 1)}, i * PAGE, 1));
    }
    EXPECT_OK(zx_vmo_write(to, "x", 50 * PAGE, 1));
    EXPECT_OK(zx_vmo_write(to, "y", 95 * PAGE, 1));
    EXPECT_OK(zx_vmo_create_child(from, ZX_VMO_CHILD_SNAPSHOT, 0, 2 * PAGE, &copy));
    EXPECT_OK(zx_vmo_transfer_data(to, 0, 10 * PAGE, 90 * PAGE, from, 0));
    for (uint64_t i = 0; i < 90; i++) {
        EXPECT_EQ(first_byte(to, 10 + i), i < 80 ? (char)(i + 1) : 0);
        EXPECT_EQ(first_byte(from, i), 0);
    }
    EXPECT_EQ(first_byte(copy, 1), 2); // it keeps what it showed
    EXPECT_OK(zx_vmo_transfer_data(to, 0, 12 * PAGE, 20 * PAGE, to, 10 * PAGE));
    EXPECT_EQ(first_byte(to, 10), 0);
    EXPECT_EQ(first_byte(to, 31), 20);
    EXPECT_OK(zx_vmo_transfer_data(to, 0, 0, 0, from, 0));
    EXPECT_STATUS(zx_vmo_transfer_data(to, 1, 0, PAGE, from, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_transfer_data(to, 0, 1, PAGE, from, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_transfer_data(to, 0, 0, PAGE, from, 1), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_transfer_data(to, 0, 0, PAGE + 1, from, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_transfer_data(to, 0, 99 * PAGE, 2 * PAGE, from, 0), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_transfer_data(to, 0, 0, 2 * PAGE, from, 99 * PAGE), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_vmo_transfer_data(to, 0, 0ull - PAGE, PAGE, from, 0), ZX_ERR_OUT_OF_RANGE);
    EXPECT_OK(zx_vmo_create_child(to, ZX_VMO_CHILD_SLICE, 10 * PAGE, PAGE, &slice));
    EXPECT_OK(zx_vmo_transfer_data(from, 0, 0, PAGE, slice, 0)); // as the object that it is of
    zx_handle_t pager, port = utest_port(), paged;
    EXPECT_OK(zx_pager_create(0, &pager));
    EXPECT_OK(zx_pager_create_vmo(pager, 0, port, 1, PAGE, &paged));
    EXPECT_STATUS(zx_vmo_transfer_data(paged, 0, 0, PAGE, from, 0), ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(zx_vmo_transfer_data(from, 0, 0, PAGE, paged, 0), ZX_ERR_NOT_SUPPORTED);
    EXPECT_CLOSE(pager);
    EXPECT_CLOSE(port);
    EXPECT_CLOSE(paged);
    EXPECT_CLOSE(slice);
    EXPECT_CLOSE(copy);
    EXPECT_CLOSE(from);
    EXPECT_CLOSE(to);
}

CASE(executable) {
    zx_handle_t vmo = utest_vmo(PAGE);
    zx_handle_t out;
    EXPECT((utest_basic(vmo).rights & ZX_RIGHT_EXECUTE) == 0);
    EXPECT_OK(zx_vmo_replace_as_executable(vmo, ZX_HANDLE_INVALID, &out));
    EXPECT_STATUS(zx_handle_check_valid(vmo), ZX_ERR_BAD_HANDLE);
    EXPECT_EQ(utest_basic(out).rights, ZX_DEFAULT_VMO_RIGHTS | ZX_RIGHT_EXECUTE);
    // Consumed, whatever is wrong.
    EXPECT_STATUS(zx_vmo_replace_as_executable(out, utest_stale_handle(), &vmo), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_handle_check_valid(out), ZX_ERR_BAD_HANDLE);
    zx_handle_t event = utest_event();
    EXPECT_STATUS(zx_vmo_replace_as_executable(event, ZX_HANDLE_INVALID, &out), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_handle_check_valid(event), ZX_ERR_BAD_HANDLE);
    vmo = utest_vmo(PAGE);
    event = utest_event();
    EXPECT_STATUS(zx_vmo_replace_as_executable(vmo, event, &out), ZX_ERR_WRONG_TYPE);
    EXPECT_CLOSE(event);
}

CASE(cache_policy) {
    zx_handle_t vmo = utest_vmo(PAGE);
    EXPECT_STATUS(zx_vmo_set_cache_policy(vmo, 4), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_vmo_set_cache_policy(vmo, UINT32_MAX), ZX_ERR_INVALID_ARGS);
    zx_handle_t weak = utest_without(vmo, ZX_RIGHT_MAP);
    EXPECT_STATUS(zx_vmo_set_cache_policy(weak, ZX_CACHE_POLICY_CACHED), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    zx_vaddr_t at;
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ, 0, vmo, 0, PAGE, &at));
    EXPECT_STATUS(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED), ZX_ERR_BAD_STATE);
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), at, PAGE));
    zx_handle_t window = child(vmo, ZX_VMO_CHILD_SLICE, 0, PAGE);
    EXPECT_STATUS(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED), ZX_ERR_BAD_STATE);
    EXPECT_STATUS(zx_vmo_set_cache_policy(window, ZX_CACHE_POLICY_UNCACHED), ZX_ERR_BAD_STATE);
    EXPECT_CLOSE(window);
    EXPECT_CLOSE(vmo);
}

CASE(name) {
    zx_handle_t vmo = utest_vmo(PAGE);
    EXPECT_OK(zx_object_set_property(vmo, ZX_PROP_NAME, "a name", 6));
    EXPECT_EQ(strcmp(info_of(vmo).name, "a name"), 0);
    EXPECT_CLOSE(vmo);
}

struct race {
    zx_handle_t vmo;
    atomic_bool stop;
};

static void resize_often(void* arg) {
    struct race* r = arg;
    for (uint64_t i = 0; !atomic_load(&r->stop); i++) {
        EXPECT_OK(zx_vmo_set_size(r->vmo, (i % 2 == 0 ? 1 : 32) * PAGE));
    }
}

// Reads see old bytes, zeros, or the end.
CASE_WITHIN(racing_resize, 60) {
    struct race r = {.vmo = resizable(32 * PAGE)};
    struct utest_thread t;
    utest_thread_start(&t, resize_often, &r);
    static uint8_t buffer[4 * 4096];
    for (uint32_t i = 0; i < 500; i++) {
        zx_status_t status = i % 2 == 0 ? zx_vmo_read(r.vmo, buffer, 20 * PAGE, sizeof(buffer))
                                        : zx_vmo_write(r.vmo, buffer, 20 * PAGE, sizeof(buffer));
        EXPECT(status == ZX_OK || status == ZX_ERR_OUT_OF_RANGE);
        zx_handle_t copy = child(r.vmo, ZX_VMO_CHILD_SNAPSHOT, 0, 32 * PAGE);
        EXPECT_CLOSE(copy);
    }
    atomic_store(&r.stop, true);
    utest_thread_join(&t);
    EXPECT_CLOSE(r.vmo);
}
