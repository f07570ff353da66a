#include "fake_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zircon/rights.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

constexpr int OBJECTS_MAX = 512;
constexpr int HANDLES_MAX = 1024;
constexpr int MAPPINGS_MAX = 128;
constexpr int MESSAGES_MAX = 8;
constexpr uint64_t PAGE = 4096;
constexpr uint64_t VMO_MAX = (uint64_t)1 << 26;
constexpr uint64_t ROOT_BASE = 0x200000;
constexpr uint64_t ROOT_END = 0x00007ffffffff000;

struct object {
    zx_obj_type_t type; // NONE: free
    int handles;
    bool killed;
    uint8_t* bytes; // VMO
    uint64_t size;
    uint64_t base; // VMAR: [base, base + size)
};

static struct {
    struct object objects[OBJECTS_MAX];
    int handles[HANDLES_MAX]; // object, or -1
    struct fake_mapping mappings[MAPPINGS_MAX];
    size_t mapping_count;
    struct fake_message messages[MESSAGES_MAX];
    uint32_t message_count;
    struct fake_start start;
    uint64_t next_region; // grows: regions never overlap by chance
    int refuse, calls;
    void* answer; // of the next call
    uint32_t answer_len;
    zx_handle_t answer_handle;
    fake_server_fn server;
    size_t memory;
} k;

// A broken rule is the test's failure, whatever the code under test returns.
[[noreturn]] static void broken(const char* rule) {
    fprintf(stderr, "fake kernel: %s\n", rule);
    abort();
}

// Counted before it is there, so that a hook of malloc() can tell it from other memory.
static uint8_t* memory(size_t len) {
    k.memory += len;
    uint8_t* bytes = calloc(1, len);
    if (bytes == nullptr) {
        broken("out of memory");
    }
    return bytes;
}

size_t fake_memory(void) {
    return k.memory;
}

static bool refused(void) {
    return k.calls++ == k.refuse;
}

// ---- objects and handles ----

static int object_new(zx_obj_type_t type) {
    for (int i = 0; i < OBJECTS_MAX; i++) {
        if (k.objects[i].type == ZX_OBJ_TYPE_NONE) {
            k.objects[i] = (struct object){.type = type};
            return i;
        }
    }
    broken("out of objects");
}

static zx_handle_t handle_new(int object) {
    for (int i = 1; i < HANDLES_MAX; i++) {
        if (k.handles[i] < 0) {
            k.handles[i] = object;
            k.objects[object].handles++;
            return (zx_handle_t)i << 2 | 3;
        }
    }
    broken("out of handles");
}

static int index_of(zx_handle_t handle) {
    uint32_t index = handle >> 2;
    if ((handle & 3) != 3 || index >= HANDLES_MAX || k.handles[index] < 0) {
        broken("a bad handle");
    }
    return (int)index;
}

static struct object* get(zx_handle_t handle, zx_obj_type_t type) {
    struct object* o = &k.objects[k.handles[index_of(handle)]];
    if (o->type != type) {
        broken("a handle of the wrong type");
    }
    return o;
}

void fake_reset(void) {
    for (int i = 0; i < OBJECTS_MAX; i++) {
        free(k.objects[i].bytes);
    }
    for (uint32_t i = 0; i < k.message_count; i++) {
        free(k.messages[i].bytes);
    }
    memset(&k, 0, sizeof(k));
    for (int i = 0; i < HANDLES_MAX; i++) {
        k.handles[i] = -1;
    }
    k.refuse = -1;
    k.next_region = (uint64_t)1 << 40;
}

void fake_refuse(int call) {
    k.refuse = call;
    k.calls = 0;
}

bool fake_refused(void) {
    return k.refuse >= 0 && k.calls > k.refuse;
}

int fake_live_handles(void) {
    int count = 0;
    for (int i = 0; i < HANDLES_MAX; i++) {
        count += k.handles[i] >= 0;
    }
    return count;
}

int fake_live_processes(void) {
    int count = 0;
    for (int i = 0; i < OBJECTS_MAX; i++) {
        const struct object* o = &k.objects[i];
        count += o->type == ZX_OBJ_TYPE_PROCESS && !o->killed;
    }
    return count;
}

zx_handle_t fake_vmo(const void* bytes, size_t len) {
    zx_handle_t handle;
    if (zx_vmo_create(len, 0, &handle) != ZX_OK) {
        broken("a refused call in the test itself");
    }
    if (len != 0) {
        memcpy(get(handle, ZX_OBJ_TYPE_VMO)->bytes, bytes, len);
    }
    return handle;
}

zx_handle_t fake_job(void) {
    return handle_new(object_new(ZX_OBJ_TYPE_JOB));
}

zx_handle_t fake_event(void) {
    return handle_new(object_new(ZX_OBJ_TYPE_EVENT));
}

zx_handle_t fake_channel(void) {
    return handle_new(object_new(ZX_OBJ_TYPE_CHANNEL));
}

zx_obj_type_t fake_type(zx_handle_t handle) {
    return k.objects[k.handles[index_of(handle)]].type;
}

zx_status_t zx_handle_close(zx_handle_t handle) {
    if (handle == ZX_HANDLE_INVALID) {
        return ZX_OK;
    }
    int index = index_of(handle);
    k.objects[k.handles[index]].handles--;
    k.handles[index] = -1;
    return ZX_OK;
}

// Rights are not kept here.
zx_status_t zx_handle_replace(zx_handle_t handle, zx_rights_t, zx_handle_t* out) {
    *out = handle_new(k.handles[index_of(handle)]);
    return zx_handle_close(handle);
}

zx_status_t zx_handle_close_many(const zx_handle_t* handles, size_t num_handles) {
    for (size_t i = 0; i < num_handles; i++) {
        (void)zx_handle_close(handles[i]);
    }
    return ZX_OK;
}

// ---- memory objects ----

zx_status_t zx_vmo_create(uint64_t size, uint32_t, zx_handle_t* out) {
    if (size > VMO_MAX) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    if (refused()) {
        return ZX_ERR_NO_MEMORY;
    }
    int o = object_new(ZX_OBJ_TYPE_VMO);
    k.objects[o].size = (size + PAGE - 1) / PAGE * PAGE;
    k.objects[o].bytes = memory(k.objects[o].size);
    *out = handle_new(o);
    return ZX_OK;
}

static void check_range(const struct object* vmo, uint64_t offset, uint64_t len) {
    if (offset > vmo->size || len > vmo->size - offset) {
        broken("beyond the end of a VMO");
    }
}

zx_status_t zx_vmo_create_child(zx_handle_t handle, uint32_t options, uint64_t offset,
                                uint64_t size, zx_handle_t* out) {
    struct object* parent = get(handle, ZX_OBJ_TYPE_VMO);
    if (options != ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE || offset % PAGE != 0 || size == 0) {
        broken("an odd child");
    }
    check_range(parent, offset, size);
    if (refused()) {
        return ZX_ERR_NO_MEMORY;
    }
    int o = object_new(ZX_OBJ_TYPE_VMO);
    k.objects[o].size = size;
    k.objects[o].bytes = memory(size);
    memcpy(k.objects[o].bytes, parent->bytes + offset, size);
    *out = handle_new(o);
    return ZX_OK;
}

zx_status_t zx_vmo_replace_as_executable(zx_handle_t handle, zx_handle_t, zx_handle_t* out) {
    int object = k.handles[index_of(handle)];
    bool no = refused();
    *out = no ? ZX_HANDLE_INVALID : handle_new(object);
    (void)zx_handle_close(handle);
    return no ? ZX_ERR_ACCESS_DENIED : ZX_OK;
}

zx_status_t zx_vmo_read(zx_handle_t handle, void* buffer, uint64_t offset, size_t buffer_size) {
    struct object* vmo = get(handle, ZX_OBJ_TYPE_VMO);
    if (offset > vmo->size || buffer_size > vmo->size - offset) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    memcpy(buffer, vmo->bytes + offset, buffer_size);
    return refused() ? ZX_ERR_IO : ZX_OK;
}

zx_status_t zx_vmo_write(zx_handle_t handle, const void* buffer, uint64_t offset,
                         size_t buffer_size) {
    struct object* vmo = get(handle, ZX_OBJ_TYPE_VMO);
    check_range(vmo, offset, buffer_size);
    memcpy(vmo->bytes + offset, buffer, buffer_size);
    return refused() ? ZX_ERR_NO_MEMORY : ZX_OK;
}

zx_status_t zx_vmo_op_range(zx_handle_t handle, uint32_t op, uint64_t offset, uint64_t size, void*,
                            size_t) {
    struct object* vmo = get(handle, ZX_OBJ_TYPE_VMO);
    check_range(vmo, offset, size);
    if (op != ZX_VMO_OP_ZERO) {
        broken("an odd operation");
    }
    memset(vmo->bytes + offset, 0, size);
    return refused() ? ZX_ERR_NO_MEMORY : ZX_OK;
}

zx_status_t zx_vmo_get_size(zx_handle_t handle, uint64_t* size) {
    if (fake_type(handle) != ZX_OBJ_TYPE_VMO) {
        return ZX_ERR_WRONG_TYPE;
    }
    *size = get(handle, ZX_OBJ_TYPE_VMO)->size;
    return refused() ? ZX_ERR_ACCESS_DENIED : ZX_OK;
}

// ---- address space ----

static zx_handle_t region_new(uint64_t base, uint64_t size) {
    int o = object_new(ZX_OBJ_TYPE_VMAR);
    k.objects[o].base = base;
    k.objects[o].size = size;
    return handle_new(o);
}

zx_status_t zx_vmar_allocate(zx_handle_t parent_vmar, zx_vm_option_t options, size_t offset,
                             size_t size, zx_handle_t* child_vmar, zx_vaddr_t* child_addr) {
    struct object* parent = get(parent_vmar, ZX_OBJ_TYPE_VMAR);
    if (refused()) {
        return ZX_ERR_NO_RESOURCES;
    }
    uint64_t base;
    if ((options & ZX_VM_SPECIFIC) != 0) {
        base = parent->base + offset;
    } else {
        uint32_t shift = options >> ZX_VM_ALIGN_BASE;
        uint64_t align = (uint64_t)1 << (shift != 0 ? shift : 12);
        base = (k.next_region + align - 1) / align * align;
        k.next_region = base + size + PAGE;
    }
    if (base % PAGE != 0 || size % PAGE != 0 || size > parent->base + parent->size - base) {
        broken("a region outside its parent");
    }
    *child_vmar = region_new(base, size);
    *child_addr = base;
    return ZX_OK;
}

zx_status_t zx_vmar_map(zx_handle_t handle, zx_vm_option_t options, size_t vmar_offset,
                        zx_handle_t vmo, uint64_t vmo_offset, size_t len, zx_vaddr_t* mapped_addr) {
    struct object* region = get(handle, ZX_OBJ_TYPE_VMAR);
    check_range(get(vmo, ZX_OBJ_TYPE_VMO), vmo_offset, len);
    uint64_t address = region->base + vmar_offset;
    if ((options & ZX_VM_SPECIFIC) == 0 || (vmar_offset | len | vmo_offset) % PAGE != 0 ||
        len == 0 || vmar_offset > region->size || len > region->size - vmar_offset) {
        broken("an odd mapping");
    }
    if (refused()) {
        return ZX_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < k.mapping_count; i++) {
        const struct fake_mapping* m = &k.mappings[i];
        if (address < m->address + m->len && m->address < address + len) {
            broken("mappings overlap");
        }
    }
    k.mappings[k.mapping_count++] = (struct fake_mapping){
        .address = address,
        .len = len,
        .vmo_offset = vmo_offset,
        .permissions = options & (ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE),
        .vmo = k.handles[index_of(vmo)]};
    *mapped_addr = address;
    return ZX_OK;
}

size_t fake_mappings(const struct fake_mapping** out) {
    *out = k.mappings;
    return k.mapping_count;
}

const struct fake_mapping* fake_mapping_at(uint64_t address) {
    for (size_t i = 0; i < k.mapping_count; i++) {
        const struct fake_mapping* m = &k.mappings[i];
        if (address >= m->address && address - m->address < m->len) {
            return m;
        }
    }
    return nullptr;
}

bool fake_read(uint64_t address, void* out, size_t len) {
    uint8_t* to = out;
    while (len > 0) {
        const struct fake_mapping* m = fake_mapping_at(address);
        if (m == nullptr) {
            return false;
        }
        uint64_t at = address - m->address;
        size_t part = len < m->len - at ? len : (size_t)(m->len - at);
        memcpy(to, k.objects[m->vmo].bytes + m->vmo_offset + at, part);
        to += part;
        address += part;
        len -= part;
    }
    return true;
}

// ---- processes ----

zx_status_t zx_process_create(zx_handle_t job, const char*, size_t, uint32_t,
                              zx_handle_t* proc_handle, zx_handle_t* vmar_handle) {
    (void)get(job, ZX_OBJ_TYPE_JOB);
    if (refused()) {
        return ZX_ERR_NO_MEMORY;
    }
    *proc_handle = handle_new(object_new(ZX_OBJ_TYPE_PROCESS));
    *vmar_handle = region_new(ROOT_BASE, ROOT_END - ROOT_BASE);
    return ZX_OK;
}

zx_status_t zx_thread_create(zx_handle_t process, const char*, size_t, uint32_t, zx_handle_t* out) {
    (void)get(process, ZX_OBJ_TYPE_PROCESS);
    if (refused()) {
        return ZX_ERR_NO_MEMORY;
    }
    *out = handle_new(object_new(ZX_OBJ_TYPE_THREAD));
    return ZX_OK;
}

zx_status_t zx_process_start(zx_handle_t handle, zx_handle_t thread, zx_vaddr_t entry,
                             zx_vaddr_t stack, zx_handle_t arg1, uintptr_t arg2) {
    (void)get(handle, ZX_OBJ_TYPE_PROCESS);
    (void)get(thread, ZX_OBJ_TYPE_THREAD);
    (void)get(arg1, ZX_OBJ_TYPE_CHANNEL);
    (void)zx_handle_close(arg1);
    if (refused()) {
        return ZX_ERR_BAD_STATE;
    }
    k.start = (struct fake_start){.started = true, .entry = entry, .stack = stack, .arg2 = arg2};
    return ZX_OK;
}

zx_status_t zx_task_kill(zx_handle_t handle) {
    get(handle, ZX_OBJ_TYPE_PROCESS)->killed = true;
    return ZX_OK;
}

struct fake_start fake_started(void) {
    return k.start;
}

// ---- messages ----

zx_status_t zx_channel_create(uint32_t, zx_handle_t* out0, zx_handle_t* out1) {
    if (refused()) {
        return ZX_ERR_NO_MEMORY;
    }
    *out0 = handle_new(object_new(ZX_OBJ_TYPE_CHANNEL));
    *out1 = handle_new(object_new(ZX_OBJ_TYPE_CHANNEL));
    return ZX_OK;
}

zx_status_t zx_channel_write_etc(zx_handle_t handle, uint32_t, const void* bytes,
                                 uint32_t num_bytes, zx_handle_disposition_t* handles,
                                 uint32_t num_handles) {
    (void)get(handle, ZX_OBJ_TYPE_CHANNEL);
    if (num_bytes > ZX_CHANNEL_MAX_MSG_BYTES || num_handles > ZX_CHANNEL_MAX_MSG_HANDLES ||
        k.message_count == MESSAGES_MAX) {
        broken("an odd message");
    }
    bool no = refused();
    struct fake_message* m = &k.messages[k.message_count];
    for (uint32_t i = 0; i < num_handles; i++) {
        int object = k.handles[index_of(handles[i].handle)];
        if (!no) {
            m->handles[i] = handle_new(object);
        }
        if (handles[i].operation == ZX_HANDLE_OP_MOVE) {
            (void)zx_handle_close(handles[i].handle);
        }
    }
    if (no) {
        return ZX_ERR_NO_MEMORY;
    }
    m->bytes = memory(num_bytes);
    memcpy(m->bytes, bytes, num_bytes);
    m->len = num_bytes;
    m->handle_count = num_handles;
    k.message_count++;
    return ZX_OK;
}

// For code that is linked in and not run: nobody waits at the other end of these channels.
zx_status_t zx_channel_write(zx_handle_t, uint32_t, const void*, uint32_t, const zx_handle_t*,
                             uint32_t) {
    broken("a write without dispositions");
}

zx_status_t zx_channel_read_etc(zx_handle_t, uint32_t, void*, zx_handle_info_t*, uint32_t, uint32_t,
                                uint32_t*, uint32_t*) {
    broken("a read");
}

void fake_answer(void* bytes, uint32_t len, zx_handle_t handle) {
    k.answer = bytes;
    k.answer_len = len;
    k.answer_handle = handle;
}

void fake_serve(fake_server_fn server) {
    k.server = server;
}

static zx_handle_info_t info_of(zx_handle_t handle) {
    return (zx_handle_info_t){
        .handle = handle, .type = fake_type(handle), .rights = ZX_DEFAULT_VMO_RIGHTS};
}

// The server reads a copy: request and answer may share their memory.
static zx_status_t call_server(const zx_channel_call_etc_args_t* args, uint32_t* actual_bytes,
                               uint32_t* actual_handles) {
    struct fake_reply reply = {.bytes = args->rd_bytes, .capacity = args->rd_num_bytes};
    uint8_t request[512];
    if (args->wr_num_bytes > sizeof(request)) {
        broken("a long request");
    }
    memcpy(request, args->wr_bytes, args->wr_num_bytes);
    zx_status_t status =
        refused() ? ZX_ERR_PEER_CLOSED : k.server(request, args->wr_num_bytes, &reply);
    if (status != ZX_OK) {
        return status;
    }
    if (reply.len >= sizeof(zx_txid_t)) {
        memcpy(args->rd_bytes, request, sizeof(zx_txid_t));
    }
    *actual_bytes = reply.len;
    *actual_handles = reply.handle != ZX_HANDLE_INVALID;
    if (*actual_handles != 0) {
        args->rd_handles[0] = info_of(reply.handle);
    }
    return ZX_OK;
}

zx_status_t zx_channel_call_etc(zx_handle_t handle, uint32_t, zx_time_t,
                                const zx_channel_call_etc_args_t* args, uint32_t* actual_bytes,
                                uint32_t* actual_handles) {
    if (fake_type(handle) != ZX_OBJ_TYPE_CHANNEL) {
        return ZX_ERR_WRONG_TYPE;
    }
    if (k.server != nullptr && args->wr_num_handles == 0) {
        return call_server(args, actual_bytes, actual_handles);
    }
    if (args->wr_num_handles != 0 || args->rd_num_bytes < k.answer_len) {
        broken("an odd call");
    }
    if (k.answer == nullptr || refused()) {
        return ZX_ERR_PEER_CLOSED;
    }
    memcpy(args->rd_bytes, k.answer, k.answer_len);
    memcpy(args->rd_bytes, args->wr_bytes, sizeof(zx_txid_t));
    *actual_bytes = k.answer_len;
    *actual_handles = k.answer_handle != ZX_HANDLE_INVALID;
    if (*actual_handles != 0) {
        args->rd_handles[0] = info_of(k.answer_handle);
    }
    k.answer = nullptr;
    return ZX_OK;
}

zx_time_t zx_deadline_after(zx_duration_t nanoseconds) {
    return nanoseconds;
}

const struct fake_message* fake_message(uint32_t index) {
    return index < k.message_count ? &k.messages[index] : nullptr;
}

// ---- the rest ----

zx_status_t zx_object_set_property(zx_handle_t handle, uint32_t, const void*, size_t) {
    (void)index_of(handle);
    return ZX_OK;
}

zx_status_t zx_object_get_info(zx_handle_t handle, uint32_t topic, void* buffer, size_t buffer_size,
                               size_t*, size_t*) {
    struct object* region = get(handle, ZX_OBJ_TYPE_VMAR);
    if (topic != ZX_INFO_VMAR || buffer_size != sizeof(zx_info_vmar_t)) {
        broken("an odd question");
    }
    *(zx_info_vmar_t*)buffer = (zx_info_vmar_t){.base = region->base, .len = region->size};
    return refused() ? ZX_ERR_ACCESS_DENIED : ZX_OK;
}

void zx_cprng_draw(void* buffer, size_t buffer_size) {
    memset(buffer, 0x5a, buffer_size);
}
