// membarrier: a fence for all threads of the process, made by the one who rarely needs it.
//
// Taking the right to write away from a page that is there makes the kernel tell every CPU that
// runs this address space, and wait until it has taken notice: an interruption, which orders all
// its accesses before with all after. A CPU that does not run the process has switched to another,
// which is such an order, too. (Others' processes are not reached, so the commands that mean them
// are not there.)
#include <zircon/syscalls.h>

#include <jacinth/startup.h>
#include <libc/error.h>
#include <libc/lock.h>
#include <libc/operations.h>

constexpr int QUERY = 0, PRIVATE_EXPEDITED = 1 << 3, REGISTER_PRIVATE_EXPEDITED = 1 << 4;
constexpr size_t PAGE = 4096;

// The page; made at the first barrier, and kept.
static struct libc_lock lock = LIBC_LOCK_INIT;
static uintptr_t page __attribute__((guarded_by(lock)));

static zx_status_t make_page_locked(void) __attribute__((exclusive_locks_required(lock))) {
    zx_handle_t vmo;
    zx_status_t status = page == 0 ? zx_vmo_create(PAGE, 0, &vmo) : ZX_OK;
    if (page != 0 || status != ZX_OK) {
        return status;
    }
    zx_vaddr_t at;
    status =
        zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, PAGE, &at);
    (void)zx_handle_close(vmo);
    page = status == ZX_OK ? at : 0;
    return status;
}

static zx_status_t fence_locked(void) __attribute__((exclusive_locks_required(lock))) {
    zx_handle_t root = zx_vmar_root_self();
    zx_status_t status = make_page_locked();
    if (status == ZX_OK) {
        status = zx_vmar_protect(root, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, page, PAGE);
    }
    if (status == ZX_OK) {
        *(volatile char*)page = 1; // there, and writable in this CPU's translations
        status = zx_vmar_protect(root, ZX_VM_PERM_READ, page, PAGE);
    }
    return status;
}

long sys_membarrier(int command, int flags) {
    if (flags != 0) {
        return -ABI_EINVAL;
    }
    switch (command) {
    case QUERY:
        return PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED;
    case REGISTER_PRIVATE_EXPEDITED:
        return 0; // nothing to prepare
    case PRIVATE_EXPEDITED: {
        libc_lock_acquire(&lock);
        zx_status_t status = fence_locked();
        libc_lock_release(&lock);
        return errno_from_status(status);
    }
    default:
        return -ABI_EINVAL;
    }
}
