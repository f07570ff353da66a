// What drivers need: memory for devices, and their interrupts.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/iommu.h>

#include <lib/align.h>
#include <object/bti.h>
#include <object/interrupt.h>
#include <object/port.h>
#include <object/resource.h>
#include <object/vmo_object.h>
#include <vm/page_set.h>
#include <vm/vmo.h>

#include "impl_priv.h"

status_t sys_iommu_create(struct resource*, uint32_t type, const void __user* desc,
                          size_t desc_size, struct user_out_handle* out) {
    if (type != ZX_IOMMU_TYPE_DUMMY) {
        return STATUS_NOT_SUPPORTED;
    }
    zx_iommu_desc_dummy_t dummy;
    if (desc_size != sizeof(dummy) || arch_copy_from_user(&dummy, desc, sizeof(dummy)) != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct object* o;
    TRY(iommu_create(&o));
    out->handle = handle_make(o, ZX_DEFAULT_IOMMU_RIGHTS);
    return STATUS_OK;
}

status_t sys_bti_create(struct object*, uint32_t options, uint64_t bti_id,
                        struct user_out_handle* out) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct bti* b;
    TRY(bti_create(bti_id, &b));
    out->handle = handle_make(bti_object(b), ZX_DEFAULT_BTI_RIGHTS);
    return STATUS_OK;
}

// How many addresses a caller must have room for.
static status_t count_addresses(uint32_t options, const struct vmo* v, uint64_t size,
                                uint64_t* out) {
    constexpr uint32_t PERMS = ZX_BTI_PERM_READ | ZX_BTI_PERM_WRITE | ZX_BTI_PERM_EXECUTE;
    constexpr uint32_t FORMS = ZX_BTI_COMPRESS | ZX_BTI_CONTIGUOUS;
    if ((options & ~(PERMS | FORMS | ZX_BTI_UNCLEARED)) != 0 || (options & PERMS) == 0 ||
        (options & FORMS) == FORMS ||
        (options & (ZX_BTI_UNCLEARED | ZX_BTI_PERM_WRITE)) == ZX_BTI_UNCLEARED) {
        return STATUS_INVALID_ARGS;
    }
    const bool one = (options & ZX_BTI_CONTIGUOUS) != 0;
    if (one && v->set->kind != PAGE_SET_CONTIGUOUS && v->set->kind != PAGE_SET_PHYSICAL) {
        return STATUS_INVALID_ARGS;
    }
    *out = one ? 1 : size >> PAGE_SHIFT;
    return STATUS_OK;
}

static status_t copy_addresses(struct vmo* v, uint64_t offset, zx_paddr_t __user* to,
                               size_t count) {
    constexpr uint32_t AT_ONCE = 64;
    UNINITIALIZED paddr_t pages[AT_ONCE];
    static_assert(sizeof(pages[0]) == sizeof(zx_paddr_t));
    for (size_t done = 0; done < count;) {
        const uint32_t n = vmo_lookup_pinned(v, offset + (done << PAGE_SHIFT),
                                             (uint32_t)min(count - done, (size_t)AT_ONCE), pages);
        if (arch_copy_to_user(to + done, pages, n * sizeof(pages[0])) != 0) {
            return STATUS_INVALID_ARGS;
        }
        if (thread_killed()) {
            return STATUS_INTR_KILLED;
        }
        done += n;
    }
    return STATUS_OK;
}

static enum vmo_pin_mode pin_mode(uint32_t options) {
    return (options & ZX_BTI_UNCLEARED) != 0    ? VMO_PIN_UNCLEARED
           : (options & ZX_BTI_PERM_WRITE) != 0 ? VMO_PIN_WRITE
                                                : VMO_PIN_READ;
}

status_t sys_bti_pin(struct bti* b, uint32_t options, struct vmo* v, uint64_t offset, uint64_t size,
                     zx_paddr_t __user* addrs, size_t num_addrs, struct user_out_handle* pmt) {
    uint64_t count;
    TRY(count_addresses(options, v, size, &count));
    if (count != num_addrs) {
        return STATUS_INVALID_ARGS;
    }
    struct pmt* p;
    TRY(bti_pin(b, v, offset, size, pin_mode(options), &p));
    status_t status = copy_addresses(v, offset, addrs, num_addrs);
    if (status != STATUS_OK) {
        object_unref(pmt_object(p));
        return status;
    }
    pmt->handle = handle_make(pmt_object(p), ZX_DEFAULT_PMT_RIGHTS);
    return STATUS_OK;
}

// Nobody has been told of the pin, so no device uses the pages.
void sys_bti_pin_undo(struct bti*, uint32_t, struct vmo*, uint64_t, uint64_t, zx_paddr_t __user*,
                      size_t, struct user_out_handle* pmt) {
    if (pmt->handle.object != nullptr) {
        pmt_set_unpinned(pmt_from_object(pmt->handle.object));
    }
}

status_t sys_bti_release_quarantine(struct bti* b) {
    bti_release_quarantine(b);
    return STATUS_OK;
}

status_t sys_pmt_unpin(struct handle* handle) {
    pmt_set_unpinned(pmt_from_object(handle->object));
    return STATUS_OK;
}

// ---- interrupts ----

// Gives a new interrupt to the caller.
static void give_interrupt(struct interrupt* i, struct user_out_handle* out) {
    out->handle = handle_make(interrupt_object(i), ZX_DEFAULT_INTERRUPT_RIGHTS);
}

status_t sys_interrupt_create(struct resource* src, uint32_t src_num, uint32_t options,
                              struct user_out_handle* out) {
    if ((options & ZX_INTERRUPT_VIRTUAL) == 0) {
        if (src == nullptr) {
            return STATUS_BAD_HANDLE;
        }
        TRY(resource_check(src, ZX_RSRC_KIND_IRQ, src_num, 1));
    }
    struct interrupt* i;
    TRY(interrupt_create(src_num, options, &i));
    give_interrupt(i, out);
    return STATUS_OK;
}

status_t sys_interrupt_bind(struct interrupt* i, struct port* port, uint64_t key,
                            uint32_t options) {
    if ((port_options(port) & ZX_PORT_BIND_TO_INTERRUPT) == 0) {
        return STATUS_INVALID_ARGS;
    }
    return options == ZX_INTERRUPT_BIND     ? interrupt_bind(i, port, key)
           : options == ZX_INTERRUPT_UNBIND ? interrupt_unbind(i, port)
                                            : STATUS_INVALID_ARGS;
}

status_t sys_interrupt_wait(struct interrupt* i, zx_time_t* out_timestamp) {
    return interrupt_wait(i, out_timestamp);
}

status_t sys_interrupt_ack(struct interrupt* i) {
    return interrupt_ack(i);
}

status_t sys_interrupt_trigger(struct interrupt* i, uint32_t options, zx_time_t timestamp) {
    return options == 0 ? interrupt_trigger(i, timestamp) : STATUS_INVALID_ARGS;
}

status_t sys_interrupt_destroy(struct interrupt* i) {
    return interrupt_destroy(i);
}

status_t sys_msi_allocate(struct resource*, uint32_t count, struct user_out_handle* out) {
    if (count == 0 || count > MSI_MAX || (count & (count - 1)) != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct msi* m;
    TRY(msi_create(count, &m));
    out->handle = handle_make(msi_object(m), ZX_DEFAULT_MSI_RIGHTS);
    return STATUS_OK;
}

status_t sys_msi_create(struct msi* m, uint32_t options, uint32_t msi_id, struct vmo* v,
                        size_t vmo_offset, struct user_out_handle* out) {
    if ((options & ~ZX_MSI_MODE_MSI_X) != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct interrupt* i;
    TRY(msi_interrupt_create(m, msi_id, options != 0, v, vmo_offset, &i));
    give_interrupt(i, out);
    return STATUS_OK;
}
