// From a plan to mappings.
#include <string.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "launcher_priv.h"

void launch_set_name(zx_handle_t handle, const char* name) {
    // A name is for people: a process without one works as well.
    (void)zx_object_set_property(handle, ZX_PROP_NAME, name, strnlen(name, ZX_MAX_NAME_LEN - 1));
}

// ---- the file's headers ----

static int32_t read_vmo(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    const struct launch_file* file = ctx;
    *out_len = 0;
    if (offset >= file->len) {
        return ZX_OK;
    }
    uint64_t left = file->len - offset;
    size_t part = len < left ? len : (size_t)left;
    zx_status_t status = zx_vmo_read(file->vmo, buffer, offset, part);
    *out_len = status == ZX_OK ? part : 0;
    // Somebody has cut the file off since its length was asked for: it ends here.
    return status == ZX_ERR_OUT_OF_RANGE ? ZX_OK : status;
}

struct launch_result launch_plan(const struct launch_file* file, const struct elf_rules* rules,
                                 launch_error_t error, struct elf_plan* plan) {
    bool from_vmo = file->vmo != ZX_HANDLE_INVALID;
    struct elf_file elf = {.read = from_vmo ? read_vmo : file->read,
                           .ctx = from_vmo ? (void*)file : file->ctx,
                           .len = file->len};
    elf_error_t problem = elf_plan_make(&elf, rules, plan);
    if (problem == ELF_OK) {
        return LAUNCH_GOOD;
    }
    zx_status_t status = problem == ELF_READ_FAILED ? plan->io_status : ZX_ERR_IO_DATA_INTEGRITY;
    return (struct launch_result){.error = error, .elf = problem, .status = status};
}

// ---- segments ----

struct mapper {
    const struct launch_request* request;
    const struct launch_file* file;
    const char* name;
    zx_handle_t region;
    zx_vaddr_t base; // of the region, link-time
};

static zx_vm_option_t permissions_of(const struct elf_segment* segment) {
    zx_vm_option_t options = 0;
    options |= (segment->permissions & ELF_EXECUTE) != 0 ? ZX_VM_PERM_EXECUTE : 0;
    options |= (segment->permissions & ELF_WRITE) != 0 ? ZX_VM_PERM_WRITE : 0;
    // Memory that can be written or executed and not read exists in no file that means it.
    return options | ZX_VM_PERM_READ;
}

static zx_status_t map_pages(const struct mapper* m, zx_vm_option_t permissions, uint64_t vaddr,
                             zx_handle_t vmo, uint64_t offset, uint64_t len) {
    zx_vaddr_t address;
    return zx_vmar_map(m->region, permissions | ZX_VM_SPECIFIC | ZX_VM_ALLOW_FAULTS,
                       vaddr - m->base, vmo, offset, len, &address);
}

// Gives a VMO of ours EXECUTE. Takes the handle.
static zx_status_t make_executable(const struct mapper* m, zx_handle_t* vmo) {
    zx_handle_t executable = ZX_HANDLE_INVALID;
    zx_status_t status = zx_vmo_replace_as_executable(*vmo, m->request->vmex, &executable);
    *vmo = status == ZX_OK ? executable : ZX_HANDLE_INVALID;
    return status;
}

// Memory with a segment's file pages that nobody else sees.
static zx_status_t private_pages(const struct mapper* m, const struct elf_segment* s,
                                 zx_handle_t* out) {
    zx_handle_t vmo = ZX_HANDLE_INVALID;
    zx_status_t status = zx_vmo_create_child(m->file->vmo, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE,
                                             s->file_offset, s->file_len, &vmo);
    if (status == ZX_OK && s->zero_from != 0) {
        uint64_t last_page = s->file_len - elf_page_len;
        status = zx_vmo_op_range(vmo, ZX_VMO_OP_ZERO, last_page + s->zero_from,
                                 elf_page_len - s->zero_from, nullptr, 0);
    }
    if (status == ZX_OK) {
        launch_set_name(vmo, m->name);
        if ((s->permissions & ELF_EXECUTE) != 0) {
            status = make_executable(m, &vmo);
        }
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(vmo);
        return status;
    }
    *out = vmo;
    return ZX_OK;
}

static zx_status_t map_file_pages(const struct mapper* m, const struct elf_segment* s) {
    zx_vm_option_t permissions = permissions_of(s);
    const bool own = s->copy || (m->request->private_text && (s->permissions & ELF_EXECUTE) != 0);
    if (!own) {
        return map_pages(m, permissions, s->vaddr, m->file->vmo, s->file_offset, s->file_len);
    }
    zx_handle_t vmo;
    zx_status_t status = private_pages(m, s, &vmo);
    if (status == ZX_OK) {
        status = map_pages(m, permissions, s->vaddr, vmo, 0, s->file_len);
        (void)zx_handle_close(vmo);
    }
    return status;
}

static zx_status_t map_zero_pages(const struct mapper* m, const struct elf_segment* s) {
    zx_handle_t vmo;
    zx_status_t status = zx_vmo_create(s->anon_len, 0, &vmo);
    if (status != ZX_OK) {
        return status;
    }
    launch_set_name(vmo, "bss");
    if ((s->permissions & ELF_EXECUTE) != 0) {
        status = make_executable(m, &vmo);
    }
    if (status == ZX_OK) {
        status = map_pages(m, permissions_of(s), s->vaddr + s->file_len, vmo, 0, s->anon_len);
    }
    (void)zx_handle_close(vmo);
    return status;
}

static zx_status_t map_segments(const struct mapper* m, const struct elf_plan* plan) {
    zx_status_t status = ZX_OK;
    for (uint32_t i = 0; i < plan->segment_count && status == ZX_OK; i++) {
        const struct elf_segment* s = &plan->segments[i];
        status = s->file_len != 0 ? map_file_pages(m, s) : ZX_OK;
        if (status == ZX_OK && s->anon_len != 0) {
            status = map_zero_pages(m, s);
        }
    }
    return status;
}

// A child of pages that were cut off before it was made is zeros, and a program that runs with
// them.
static zx_status_t check_not_cut_off(const struct mapper* m, const struct elf_plan* plan) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < plan->segment_count; i++) {
        const struct elf_segment* s = &plan->segments[i];
        uint64_t segment_end = s->copy ? s->file_offset + s->file_len : 0;
        end = segment_end > end ? segment_end : end;
    }
    uint64_t size = 0; // whole pages
    zx_status_t status = end != 0 ? zx_vmo_get_size(m->file->vmo, &size) : ZX_OK;
    return status == ZX_OK && size < end ? ZX_ERR_OUT_OF_RANGE : status;
}

// ---- images ----

// The whole span of an image, gaps included, so that nothing else gets in between.
static zx_status_t reserve(zx_handle_t root, const struct elf_plan* plan, zx_handle_t* region,
                           zx_vaddr_t* base) {
    zx_vm_option_t options =
        ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE | ZX_VM_CAN_MAP_SPECIFIC;
    uint64_t offset = 0;
    if (plan->fixed) {
        zx_info_vmar_t info;
        zx_status_t status =
            zx_object_get_info(root, ZX_INFO_VMAR, &info, sizeof(info), nullptr, nullptr);
        if (status != ZX_OK) {
            return status;
        }
        if (plan->base < info.base) {
            return ZX_ERR_OUT_OF_RANGE;
        }
        options |= ZX_VM_SPECIFIC;
        offset = plan->base - info.base;
    } else if (plan->align > launch_page_len) {
        options |= (zx_vm_option_t)__builtin_ctzll(plan->align) << ZX_VM_ALIGN_BASE;
    }
    return zx_vmar_allocate(root, options, offset, plan->span_len, region, base);
}

struct launch_result launch_map(zx_handle_t root, const struct launch_request* request,
                                const struct launch_file* file, const struct elf_plan* plan,
                                const char* name, struct launch_image* out) {
    zx_handle_t region;
    zx_vaddr_t base;
    zx_status_t status = reserve(root, plan, &region, &base);
    if (status != ZX_OK) {
        return launch_failure(LAUNCH_MAP_SEGMENT, status);
    }
    struct mapper m = {
        .request = request, .file = file, .name = name, .region = region, .base = plan->base};
    status = map_segments(&m, plan);
    if (status == ZX_OK) {
        status = check_not_cut_off(&m, plan);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(region);
        return launch_failure(LAUNCH_MAP_SEGMENT, status);
    }
    *out = (struct launch_image){.region = region, .base = base, .bias = base - plan->base};
    return LAUNCH_GOOD;
}

// ---- the vDSO ----

struct launch_result launch_vdso_init(struct launch_vdso* vdso, zx_handle_t vmo) {
    struct launch_file file = {.vmo = vmo};
    zx_status_t status = zx_vmo_get_size(vmo, &file.len);
    if (status != ZX_OK) {
        return launch_failure(LAUNCH_BAD_VDSO, status);
    }
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, launch_address_end);
    rules.require_entry = false;
    struct elf_plan plan;
    struct launch_result result = launch_plan(&file, &rules, LAUNCH_BAD_VDSO, &plan);
    if (result.error != LAUNCH_OK) {
        return result;
    }
    const struct elf_segment* code = &plan.segments[1];
    if (plan.segment_count != 2 || plan.segments[0].permissions != ELF_READ ||
        code->permissions != (ELF_READ | ELF_EXECUTE) || code->vaddr != code->file_offset ||
        plan.segments[0].vaddr != 0) {
        return launch_failure(LAUNCH_BAD_VDSO, ZX_ERR_IO_DATA_INTEGRITY);
    }
    *vdso = (struct launch_vdso){
        .vmo = vmo, .code_offset = code->file_offset, .code_len = code->file_len};
    return LAUNCH_GOOD;
}

struct launch_result launch_map_vdso(zx_handle_t root, const struct launch_vdso* vdso,
                                     zx_vaddr_t* base) {
    zx_handle_t region;
    zx_status_t status =
        zx_vmar_allocate(root, ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_EXECUTE | ZX_VM_CAN_MAP_SPECIFIC,
                         0, vdso->code_offset + vdso->code_len, &region, base);
    if (status != ZX_OK) {
        return launch_failure(LAUNCH_MAP_VDSO, status);
    }
    zx_vaddr_t address;
    status = zx_vmar_map(region, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 0, vdso->vmo, 0,
                         vdso->code_offset, &address);
    if (status == ZX_OK) {
        status =
            zx_vmar_map(region, ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE | ZX_VM_SPECIFIC,
                        vdso->code_offset, vdso->vmo, vdso->code_offset, vdso->code_len, &address);
    }
    (void)zx_handle_close(region);
    return launch_step(LAUNCH_MAP_VDSO, status);
}

// ---- the stack ----

struct launch_result launch_make_stack(zx_handle_t root, uint64_t len, struct launch_stack* out) {
    zx_handle_t vmo;
    zx_status_t status = zx_vmo_create(len, 0, &vmo);
    if (status != ZX_OK) {
        return launch_failure(LAUNCH_MAKE_STACK, status);
    }
    launch_set_name(vmo, "stack");
    // One page more than the stack: the lowest stays unmapped.
    zx_handle_t region = ZX_HANDLE_INVALID;
    zx_vaddr_t base;
    zx_vaddr_t address = 0;
    status =
        zx_vmar_allocate(root, ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC, 0,
                         len + launch_page_len, &region, &base);
    if (status == ZX_OK) {
        status = zx_vmar_map(region, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_SPECIFIC,
                             launch_page_len, vmo, 0, len, &address);
    }
    (void)zx_handle_close(region);
    if (status != ZX_OK) {
        (void)zx_handle_close(vmo);
        return launch_failure(LAUNCH_MAKE_STACK, status);
    }
    *out = (struct launch_stack){.vmo = vmo, .len = len, .top = address + len};
    return LAUNCH_GOOD;
}
