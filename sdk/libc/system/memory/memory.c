// mmap and its relatives.
//
// Each anonymous mapping has a memory object of its own, which the mapping keeps: handles are
// closed at once.
//
// A mapping is changed through the region that it lies in, never through one around that. All that
// mmap makes lies in the root; images that were mapped as a whole have a region each, whose handle
// is kept for this: the launcher's (this image), and the dynamic linker's (the program). A range
// that reaches over several regions is changed piece by piece, as elsewhere in Unix.
//
// No lock: what state there is does not change once there is a second thread, and the kernel's own
// order of maps and unmaps is what a program sees.
#include <stdckdint.h>

#include <zircon/limits.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include <crt0/message.h>
#include <jacinth/startup.h>
#include <libc/error.h>
#include <libc/fd_memory.h>
#include <libc/operations.h>
#include <libc/regions.h>

// Only there if something else in the program uses descriptors. (Weak here, not in the header,
// where the definition would become weak as well.)
[[gnu::weak]] long fd_get_vmo(int fd, uint32_t access, zx_handle_t* out);

constexpr size_t PAGE = ZX_MIN_PAGE_SIZE;

// Rounded up to pages; false: too long, or nothing.
static bool round_up(size_t len, size_t* out) {
    size_t most;
    if (len == 0 || ckd_add(&most, len, PAGE - 1)) {
        return false;
    }
    *out = most & ~(PAGE - 1);
    return true;
}

// As errno_from_status, but for what mapping means by it.
static long map_error(zx_status_t status) {
    switch (status) {
    case ZX_ERR_NO_RESOURCES:
    case ZX_ERR_NOT_FOUND: // a part of the range is not mapped
    case ZX_ERR_BAD_STATE:
    case ZX_ERR_OUT_OF_RANGE:
        return -ABI_ENOMEM;
    case ZX_ERR_ALREADY_EXISTS:
        return -ABI_EEXIST;
    default:
        return errno_from_status(status);
    }
}

// The kernel has no memory that can be written or executed and not read.
static zx_vm_option_t permissions(int prot) {
    zx_vm_option_t options = 0;
    if ((prot & (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC)) != 0) {
        options |= ZX_VM_PERM_READ;
    }
    if ((prot & ABI_PROT_WRITE) != 0) {
        options |= ZX_VM_PERM_WRITE;
    }
    if ((prot & ABI_PROT_EXEC) != 0) {
        options |= ZX_VM_PERM_EXECUTE;
    }
    return options;
}

// Where the root region begins; it ends at the address space's end.
static uintptr_t root_base(void) {
    static _Atomic uintptr_t base; // never changes once it is known
    if (base == 0) {
        zx_info_vmar_t info;
        zx_status_t status = zx_object_get_info(zx_vmar_root_self(), ZX_INFO_VMAR, &info,
                                                sizeof(info), nullptr, nullptr);
        base = status == ZX_OK ? info.base : 1;
    }
    return base;
}

// ---- regions ----

struct region {
    zx_handle_t handle;
    uintptr_t base, end;
};

// The linker's words for where this image begins and ends.
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

static struct region program; // empty in a static program, which is this image

void memory_set_program_region(zx_handle_t region, uintptr_t base, uintptr_t end) {
    program = (struct region){.handle = region, .base = base, .end = end};
}

// The region that an address lies in, from there to where another one begins.
static struct region region_at(uintptr_t address) {
    const struct region images[] = {
        {.handle = crt0_vmar_loaded(),
         .base = (uintptr_t)__ehdr_start,
         .end = ((uintptr_t)_end + PAGE - 1) & ~(PAGE - 1)},
        program,
    };
    uintptr_t limit = UINTPTR_MAX;
    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        if (images[i].base <= address && address < images[i].end) {
            return images[i];
        }
        if (images[i].base > address && images[i].base < limit) {
            limit = images[i].base;
        }
    }
    return (struct region){.handle = zx_vmar_root_self(), .base = root_base(), .end = limit};
}

typedef zx_status_t change_fn(zx_handle_t region, zx_vm_option_t options, uintptr_t at, size_t len);

static zx_status_t change_range(change_fn* change, zx_vm_option_t options, uintptr_t address,
                                size_t len) {
    uintptr_t end;
    if (ckd_add(&end, address, len)) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    zx_status_t status = ZX_OK;
    while (address < end && status == ZX_OK) {
        struct region region = region_at(address);
        uintptr_t stop = end < region.end ? end : region.end;
        status = region.handle != ZX_HANDLE_INVALID
                     ? change(region.handle, options, address, stop - address)
                     : ZX_ERR_ACCESS_DENIED; // the program has taken it
        address = stop;
    }
    return status;
}

// ---- mmap ----

// The object replaces *vmo.
static zx_status_t make_executable(zx_handle_t* vmo) {
    zx_handle_t executable;
    zx_status_t status = zx_vmo_replace_as_executable(*vmo, ZX_HANDLE_INVALID, &executable);
    // The old handle is gone in either case.
    *vmo = status == ZX_OK ? executable : ZX_HANDLE_INVALID;
    return status;
}

static long anonymous_memory(size_t len, int prot, zx_handle_t* out) {
    zx_handle_t vmo;
    zx_status_t status = zx_vmo_create(len, 0, &vmo);
    if (status == ZX_OK && (prot & ABI_PROT_EXEC) != 0) {
        status = make_executable(&vmo);
    }
    *out = vmo;
    return map_error(status);
}

// Whether a mapping of a file is one of a snapshot. What is executed is the file itself, which
// everybody shares: the kernel has no code that can be written and executed.
static bool is_snapshot(int prot, int flags) {
    bool is_private = (flags & ABI_MAP_TYPE) == ABI_MAP_PRIVATE;
    return is_private && ((prot & ABI_PROT_EXEC) == 0 || (prot & ABI_PROT_WRITE) != 0);
}

static long file_memory(int fd, uint64_t offset, size_t len, int prot, int flags,
                        zx_handle_t* out) {
    if (fd_get_vmo == nullptr) {
        return -ABI_EBADF;
    }
    // What is written to a snapshot stays there: the file need not allow it.
    bool takes_snapshot = is_snapshot(prot, flags);
    uint32_t access = (uint32_t)(takes_snapshot ? prot & ~ABI_PROT_WRITE : prot) | ABI_PROT_READ;
    zx_handle_t vmo;
    long error = fd_get_vmo(fd, access, &vmo);
    if (error != 0 || !takes_snapshot) {
        *out = vmo;
        return error;
    }
    zx_status_t status =
        zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, offset, len, out);
    (void)zx_handle_close(vmo);
    return map_error(status);
}

static long map(zx_handle_t vmo, uint64_t offset, uintptr_t address, size_t len, int prot,
                int flags) {
    zx_vm_option_t options = permissions(prot);
    // A shared mapping of a file may be longer than the file is or will be.
    if ((flags & ABI_MAP_ANONYMOUS) == 0) {
        options |= ZX_VM_ALLOW_FAULTS;
    }
    size_t place = 0;
    zx_handle_t region = zx_vmar_root_self();
    if ((flags & (ABI_MAP_FIXED | ABI_MAP_FIXED_NOREPLACE)) != 0) {
        if (address < root_base()) {
            return -ABI_ENOMEM;
        }
        struct region around = region_at(address);
        region = around.handle;
        place = address - around.base;
        options |=
            (flags & ABI_MAP_FIXED_NOREPLACE) != 0 ? ZX_VM_SPECIFIC : ZX_VM_SPECIFIC_OVERWRITE;
    }
    zx_vaddr_t mapped;
    zx_status_t status = zx_vmar_map(region, options, place, vmo, offset, len, &mapped);
    return status == ZX_OK ? (long)mapped : map_error(status);
}

long sys_mmap(uintptr_t address, size_t len, int prot, int flags, int fd, uint64_t offset) {
    int type = flags & (int)ABI_MAP_TYPE;
    bool is_shared = type == ABI_MAP_SHARED || type == 3; // MAP_SHARED_VALIDATE
    if (offset % PAGE != 0 || (type != ABI_MAP_PRIVATE && !is_shared)) {
        return -ABI_EINVAL;
    }
    bool is_fixed = (flags & (ABI_MAP_FIXED | ABI_MAP_FIXED_NOREPLACE)) != 0;
    if (len == 0 || (is_fixed && address % PAGE != 0)) {
        return -ABI_EINVAL;
    }
    if (!round_up(len, &len)) {
        return -ABI_ENOMEM;
    }
    bool is_anonymous = (flags & ABI_MAP_ANONYMOUS) != 0;
    zx_handle_t vmo;
    long error = is_anonymous ? anonymous_memory(len, prot, &vmo)
                              : file_memory(fd, offset, len, prot, flags, &vmo);
    if (error != 0) {
        return error;
    }
    // A snapshot begins where the file's range does.
    uint64_t from = is_anonymous || is_snapshot(prot, flags) ? 0 : offset;
    long result = map(vmo, from, address, len, prot, flags);
    (void)zx_handle_close(vmo);
    return result;
}

// ---- what changes mappings ----

static zx_status_t unmap(zx_handle_t region, zx_vm_option_t, uintptr_t at, size_t len) {
    zx_status_t status = zx_vmar_unmap(region, at, len);
    // Nothing is mapped there: that is what was wanted.
    return status == ZX_ERR_NOT_FOUND ? ZX_OK : status;
}

long sys_munmap(uintptr_t address, size_t len) {
    if (address % PAGE != 0 || !round_up(len, &len)) {
        return -ABI_EINVAL;
    }
    zx_status_t status = change_range(unmap, 0, address, len);
    return status == ZX_ERR_OUT_OF_RANGE ? -ABI_EINVAL : errno_from_status(status);
}

long sys_mprotect(uintptr_t address, size_t len, int prot) {
    if (address % PAGE != 0) {
        return -ABI_EINVAL;
    }
    if (len == 0) {
        return 0;
    }
    if (!round_up(len, &len)) {
        return -ABI_ENOMEM;
    }
    return map_error(change_range(zx_vmar_protect, permissions(prot), address, len));
}

// Shrinks; does not grow. No handle of the memory is kept, so what lies at `address` could only be
// copied, and whoever asks (realloc) does that itself when it hears ENOMEM.
long sys_mremap(uintptr_t address, size_t old_len, size_t new_len, int flags, uintptr_t) {
    if (address % PAGE != 0 || (flags & ABI_MREMAP_FIXED) != 0 || !round_up(old_len, &old_len) ||
        !round_up(new_len, &new_len)) {
        return -ABI_EINVAL;
    }
    if (new_len > old_len) {
        return -ABI_ENOMEM;
    }
    if (new_len < old_len) {
        long error = sys_munmap(address + new_len, old_len - new_len);
        if (error != 0) {
            return error;
        }
    }
    return (long)address;
}

long sys_madvise(uintptr_t address, size_t len, int advice) {
    if (address % PAGE != 0) {
        return -ABI_EINVAL;
    }
    if (len == 0) {
        return 0;
    }
    if (!round_up(len, &len)) {
        return -ABI_EINVAL;
    }
    switch (advice) {
    case ABI_MADV_DONTNEED:
        return map_error(
            zx_vmar_op_range(zx_vmar_root_self(), ZX_VMAR_OP_DECOMMIT, address, len, nullptr, 0));
    case ABI_MADV_NORMAL:
    case ABI_MADV_RANDOM:
    case ABI_MADV_SEQUENTIAL:
    case ABI_MADV_WILLNEED:
    case ABI_MADV_FREE:
    case ABI_MADV_DONTFORK:
    case ABI_MADV_HUGEPAGE:
    case ABI_MADV_NOHUGEPAGE:
    case ABI_MADV_DONTDUMP:
        return 0; // may be ignored
    default:
        return -ABI_EINVAL;
    }
}

// There is no heap that grows at an end; malloc maps instead.
long sys_brk(uintptr_t) {
    return -ABI_ENOMEM;
}

// A shared mapping is the file's own memory: there is nothing to write back here.
long sys_msync(uintptr_t address, size_t len, int flags) {
    (void)len;
    bool is_valid = (flags & ~(ABI_MS_ASYNC | ABI_MS_INVALIDATE | ABI_MS_SYNC)) == 0;
    return address % PAGE == 0 && is_valid ? 0 : -ABI_EINVAL;
}

// Memory is never taken away again, so to lock it is to have it now.
long sys_mlock(uintptr_t address, size_t len) {
    uintptr_t start = address & ~(PAGE - 1);
    if (len == 0) {
        return 0;
    }
    if (ckd_add(&len, len, address - start) || !round_up(len, &len)) {
        return -ABI_ENOMEM;
    }
    return map_error(
        zx_vmar_op_range(zx_vmar_root_self(), ZX_VMAR_OP_COMMIT, start, len, nullptr, 0));
}

long sys_munlock(uintptr_t, size_t) {
    return 0;
}
