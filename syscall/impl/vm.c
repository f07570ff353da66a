// VMOs and VMARs.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <arch/mmio.h>
#include <lib/align.h>
#include <object/bti.h>
#include <object/resource.h>
#include <object/thread_object.h>
#include <object/vmo_object.h>
#include <vm/vmar.h>
#include <vm/vmo.h>

#include "impl_priv.h"

status_t give_vmo(struct vmo* v, zx_rights_t rights, struct user_out_handle* out) {
    struct object* o;
    status_t status = vmo_object_create(v, &o);
    if (status != STATUS_OK) {
        vmo_unref(v);
        return status;
    }
    out->handle = handle_make(o, rights);
    return STATUS_OK;
}

status_t sys_vmo_create(uint64_t size, uint32_t options, struct user_out_handle* out) {
    struct vmo* v;
    TRY(vmo_create(size, options, &v));
    zx_rights_t rights = ZX_DEFAULT_VMO_RIGHTS;
    rights |= (options & ZX_VMO_RESIZABLE) != 0 ? ZX_RIGHT_RESIZE : 0;
    return give_vmo(v, rights, out);
}

static zx_rights_t child_rights(zx_rights_t parent, uint32_t options) {
    constexpr uint32_t SNAPSHOTS = ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE |
                                   ZX_VMO_CHILD_SNAPSHOT_MODIFIED;
    zx_rights_t rights = parent | ZX_RIGHT_GET_PROPERTY | ZX_RIGHT_SET_PROPERTY;
    if ((options & ZX_VMO_CHILD_NO_WRITE) != 0) {
        rights &= ~ZX_RIGHT_WRITE;
    } else if ((options & SNAPSHOTS) != 0) {
        rights = (rights | ZX_RIGHT_WRITE) & ~ZX_RIGHT_EXECUTE;
    }
    return (options & ZX_VMO_CHILD_RESIZABLE) != 0 ? rights | ZX_RIGHT_RESIZE
                                                   : rights & ~ZX_RIGHT_RESIZE;
}

status_t sys_vmo_create_child(struct vmo* parent, zx_rights_t rights, uint32_t options,
                              uint64_t offset, uint64_t size, struct user_out_handle* out) {
    struct vmo* v;
    TRY(vmo_create_child(parent, options, offset, size, &v));
    return give_vmo(v, child_rights(rights, options), out);
}

status_t sys_vmo_create_physical(struct resource* resource, zx_paddr_t paddr, size_t size,
                                 struct user_out_handle* out) {
    if (size == 0 || !is_page_aligned(paddr) || !is_page_aligned(size)) {
        return STATUS_INVALID_ARGS;
    }
    TRY(resource_check(resource, ZX_RSRC_KIND_MMIO, paddr, size));
    if (arch_memory_claimed(paddr, size)) {
        return STATUS_ACCESS_DENIED;
    }
    struct vmo* v;
    TRY(vmo_create_physical((paddr_t){paddr}, size, &v));
    return give_vmo(v, ZX_DEFAULT_VMO_RIGHTS, out);
}

status_t sys_vmo_create_contiguous(struct bti*, size_t size, uint32_t alignment_log2,
                                   struct user_out_handle* out) {
    struct vmo* v;
    TRY(vmo_create_contiguous(size, alignment_log2, &v));
    return give_vmo(v, ZX_DEFAULT_VMO_RIGHTS, out);
}

status_t sys_vmo_read(struct vmo* v, void __user* buffer, uint64_t offset, size_t buffer_size) {
    return vmo_read_user(v, buffer, offset, buffer_size, nullptr);
}

status_t sys_vmo_write(struct vmo* v, const void __user* buffer, uint64_t offset,
                       size_t buffer_size) {
    return vmo_write_user(v, buffer, offset, buffer_size, nullptr);
}

status_t sys_vmo_get_size(struct vmo* v, uint64_t* size) {
    *size = vmo_size(v);
    return STATUS_OK;
}

// RESIZE is asked for after the object's own answer: one that cannot be resized is UNAVAILABLE
// whoever asks.
status_t sys_vmo_set_size(struct vmo* v, zx_rights_t rights, uint64_t size) {
    if ((rights & ZX_RIGHT_RESIZE) == 0) {
        return (v->flags & VMO_RESIZABLE) != 0 ? STATUS_ACCESS_DENIED : STATUS_UNAVAILABLE;
    }
    return vmo_set_size(v, size);
}

status_t sys_vmo_get_stream_size(struct vmo* v, uint64_t* size) {
    *size = vmo_stream_size(v);
    return STATUS_OK;
}

status_t sys_vmo_transfer_data(struct vmo* dst, uint32_t options, uint64_t offset, uint64_t length,
                               struct vmo* src, uint64_t src_offset) {
    return options == 0 ? vmo_transfer_data(dst, offset, length, src, src_offset)
                        : STATUS_INVALID_ARGS;
}

status_t sys_vmo_op_range(struct vmo* v, uint32_t op, uint64_t offset, uint64_t size,
                          void __user* buffer, size_t buffer_size) {
    if (op != ZX_VMO_OP_LOCK) {
        return (uintptr_t)buffer == 0 && buffer_size == 0 ? vmo_op_range(v, op, offset, size)
                                                          : STATUS_INVALID_ARGS;
    }
    if (buffer_size < sizeof(zx_vmo_lock_state_t)) {
        return STATUS_INVALID_ARGS;
    }
    zx_vmo_lock_state_t state;
    TRY(vmo_lock(v, offset, size, &state));
    if (arch_copy_to_user(buffer, &state, sizeof(state)) != 0) {
        (void)!vmo_op_range(v, ZX_VMO_OP_UNLOCK, offset, size); // nobody knows that it is locked
        return STATUS_INVALID_ARGS;
    }
    return STATUS_OK;
}

status_t sys_vmo_set_cache_policy(struct vmo* v, uint32_t cache_policy) {
    return vmo_set_cache_policy(v, cache_policy);
}

// `vmex` null: the job policy lets its processes mark memory executable without a resource.
status_t sys_vmo_replace_as_executable(struct handle* handle, struct resource* vmex,
                                       struct user_out_handle* out) {
    if (vmex == nullptr) {
        TRY(policy_check(ZX_POL_AMBIENT_MARK_VMO_EXEC));
    }
    out->handle = (struct handle){.object = object_move(&handle->object),
                                  .rights = handle->rights | ZX_RIGHT_EXECUTE};
    return STATUS_OK;
}

// ---- regions ----

status_t sys_vmar_allocate(struct vmar* parent, zx_rights_t rights, zx_vm_option_t options,
                           size_t offset, size_t size, struct user_out_handle* child_vmar,
                           zx_vaddr_t* child_addr) {
    struct vmar* v;
    TRY(vmar_allocate(parent, options, offset, size, perms_of_rights(rights), &v, child_addr));
    struct object* o;
    status_t status = vmar_object_create(v, &o);
    if (status != STATUS_OK) {
        (void)!vmar_destroy(v); // new and empty: nothing can be in the way
        vmar_unref(v);
        return status;
    }
    child_vmar->handle = handle_make(o, vmar_rights_for(vmar_can_map(v)));
    return STATUS_OK;
}

void sys_vmar_allocate_undo(struct vmar*, zx_rights_t, zx_vm_option_t, size_t, size_t,
                            struct user_out_handle* child_vmar, zx_vaddr_t*) {
    if (child_vmar->handle.object != nullptr) {
        (void)!vmar_destroy(vmar_from_object(child_vmar->handle.object));
    }
}

// Mapping by policy: writable and executable at once needs the job's leave.
static status_t check_write_exec(zx_vm_option_t options) {
    constexpr zx_vm_option_t BOTH = ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
    return (options & BOTH) == BOTH ? policy_check(ZX_POL_VMAR_WX) : STATUS_OK;
}

// While the root region is being filled with the vDSO, later threads must find its base.
status_t sys_vmar_map(struct vmar* v, zx_rights_t rights, zx_vm_option_t options,
                      size_t vmar_offset, struct vmo* vmo, zx_rights_t vmo_rights,
                      uint64_t vmo_offset, size_t len, zx_vaddr_t* mapped_addr) {
    TRY(check_write_exec(options));
    return vmar_map(v, options, vmar_offset, perms_of_rights(rights), vmo, vmo_offset,
                    perms_of_rights(vmo_rights), len, mapped_addr);
}

void sys_vmar_map_undo(struct vmar* v, zx_rights_t, zx_vm_option_t, size_t, struct vmo*,
                       zx_rights_t, uint64_t, size_t len, zx_vaddr_t* mapped_addr) {
    (void)!vmar_unmap(v, *mapped_addr, len); // a racing thread may have unmapped it already
}

status_t sys_vmar_unmap(struct vmar* v, zx_vaddr_t addr, size_t len) {
    return vmar_unmap(v, addr, len);
}

status_t sys_vmar_protect(struct vmar* v, zx_rights_t rights, zx_vm_option_t options,
                          zx_vaddr_t addr, size_t len) {
    TRY(check_write_exec(options));
    return vmar_protect(v, options, perms_of_rights(rights), addr, len);
}

status_t sys_vmar_op_range(struct vmar* v, uint32_t op, zx_vaddr_t address, size_t size,
                           void __user* buffer, size_t buffer_size) {
    if ((uintptr_t)buffer != 0 || buffer_size != 0) {
        return STATUS_INVALID_ARGS;
    }
    return vmar_op_range(v, op, address, size);
}

status_t sys_vmar_destroy(struct vmar* v) {
    return vmar_destroy(v);
}

// A detached thread's end: its stack goes first, so nothing after the unmapping may touch user
// memory.
status_t sys_vmar_unmap_handle_close_thread_exit(struct vmar* v, zx_vaddr_t addr, size_t size,
                                                 zx_handle_t close_handle) {
    TRY(vmar_unmap(v, addr, size));
    (void)!handle_close(handle_table_current(), close_handle);
    thread_object_exit_by_call();
    return STATUS_OK;
}
