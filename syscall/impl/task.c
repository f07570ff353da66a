// Jobs, processes, threads.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/object.h>
#include <zircon/syscalls/policy.h>

#include <arch/cpu.h>
#include <lib/string.h>
#include <object/job.h>
#include <object/process.h>
#include <object/suspend.h>
#include <object/thread_object.h>
#include <object/vmo_object.h>
#include <vm/aspace.h>
#include <vm/heap.h>
#include <vm/vmar.h>
#include <vm/vmo.h>

#include "impl_priv.h"

// ---- jobs ----

status_t sys_job_create(struct job* parent_job, uint32_t options, struct user_out_handle* out) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct job* j;
    TRY(job_create(parent_job, &j));
    out->handle = handle_make(job_object(j), ZX_DEFAULT_JOB_RIGHTS);
    return STATUS_OK;
}

constexpr uint32_t POLICY_ENTRIES_MAX = 2 * ZX_POL_MAX;

static status_t set_basic_policy(struct job* job, bool absolute, uint32_t topic,
                                 const void __user* policy, uint32_t count) {
    zx_policy_basic_v2_t entries[POLICY_ENTRIES_MAX];
    if (topic == ZX_JOB_POL_BASIC_V2) {
        if (arch_copy_from_user(entries, policy, count * sizeof(entries[0])) != 0) {
            return STATUS_INVALID_ARGS;
        }
    } else {
        // The first version: what it sets, descendants cannot change.
        const zx_policy_basic_v1_t __user* old = policy;
        for (uint32_t i = 0; i < count; i++) {
            UNINITIALIZED zx_policy_basic_v1_t e;
            TRY(copy_from_user(&e, &old[i]));
            entries[i] = (zx_policy_basic_v2_t){
                .condition = e.condition, .action = e.policy, .flags = ZX_POL_OVERRIDE_DENY};
        }
    }
    return job_set_policy(job, absolute, entries, count);
}

status_t sys_job_set_policy(struct job* job, uint32_t options, uint32_t topic,
                            const void __user* policy, uint32_t policy_size) {
    if (options != ZX_JOB_POL_RELATIVE && options != ZX_JOB_POL_ABSOLUTE) {
        return STATUS_INVALID_ARGS;
    }
    if (topic != ZX_JOB_POL_BASIC_V1 && topic != ZX_JOB_POL_BASIC_V2) {
        return STATUS_INVALID_ARGS;
    }
    if (policy_size == 0) {
        return STATUS_INVALID_ARGS;
    }
    if (policy_size > POLICY_ENTRIES_MAX) {
        return STATUS_OUT_OF_RANGE;
    }
    return set_basic_policy(job, options == ZX_JOB_POL_ABSOLUTE, topic, policy, policy_size);
}

status_t sys_job_allow_reserve(struct job* job, struct resource*) {
    return job_allow_reserve(job);
}

status_t sys_job_set_critical(struct job* job, uint32_t options, struct process* process) {
    if ((options & ~ZX_JOB_CRITICAL_PROCESS_RETCODE_NONZERO) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return job_set_critical(job, process, (options & ZX_JOB_CRITICAL_PROCESS_RETCODE_NONZERO) != 0);
}

status_t sys_task_kill(struct object* o) {
    struct job* job = job_from_object(o);
    struct process* process = process_from_object(o);
    if (job != nullptr) {
        job_kill(job, ZX_TASK_RETCODE_SYSCALL_KILL);
        return STATUS_OK;
    }
    if (process != nullptr) {
        process_kill(process, ZX_TASK_RETCODE_SYSCALL_KILL);
        return STATUS_OK;
    }
    return STATUS_WRONG_TYPE;
}

// ---- processes ----

status_t sys_process_create(struct job* job, const char __user* name, size_t name_size,
                            uint32_t options, struct user_out_handle* proc_handle,
                            struct user_out_handle* vmar_handle) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    char text[ZX_MAX_NAME_LEN];
    TRY(copy_name(text, name, name_size));
    struct process* p;
    struct vmar* root;
    TRY(process_create(job, text, strlen(text), &p, &root));
    proc_handle->handle = handle_make(process_object(p), ZX_DEFAULT_PROCESS_RIGHTS);
    struct object* region;
    status_t status = vmar_object_create(root, &region);
    if (status != STATUS_OK) {
        vmar_unref(root);
        return status; // the wrapper closes the process's handle, which ends it
    }
    vmar_handle->handle = handle_make(region, vmar_rights_for(vmar_can_map(root)));
    return STATUS_OK;
}

status_t sys_process_start(struct process* process, struct thread_object* thread, zx_vaddr_t entry,
                           zx_vaddr_t stack, struct handle* arg1, uintptr_t arg2) {
    return process_start(process, thread, entry, stack, arg1, arg2);
}

void sys_process_exit(int64_t retcode) {
    process_exit_current(retcode);
}

// ---- other processes' memory ----

constexpr size_t TRANSFER_MAX = 64 * 1024 * 1024;
constexpr size_t TRANSFER_CHUNK = PAGE_SIZE;

typedef status_t (*chunk_fn)(struct vmo* vmo, uint64_t offset, void* bounce, size_t at, size_t size,
                             const void* arg);

// One chunk, whose place is found anew: the other process may change its mappings at any time.
static status_t one_chunk(struct process* p, vaddr_t va, size_t want, uint32_t need, chunk_fn fn,
                          void* bounce, size_t at, const void* arg, size_t* moved) {
    struct aspace_place place;
    TRY(aspace_find_vmo(process_aspace(p), va, want, &place));
    VMO_REF vmo = place.vmo;
    if ((place.max_perms & need) != need) {
        return STATUS_ACCESS_DENIED;
    }
    TRY(fn(vmo, place.offset, bounce, at, place.size, arg));
    *moved = place.size;
    return STATUS_OK;
}

// `need`: what a mapping must permit in the end (ZX_VM_PERM_*).
static status_t each_chunk(struct process* p, vaddr_t va, size_t size, uint32_t need, chunk_fn fn,
                           const void* arg, size_t* actual) {
    void* bounce = heap_alloc(TRANSFER_CHUNK);
    if (bounce == nullptr) {
        return STATUS_NO_MEMORY;
    }
    status_t status = STATUS_OK;
    size_t done = 0;
    while (done < size && status == STATUS_OK) {
        size_t n = 0;
        status = one_chunk(p, va + done, min(size - done, TRANSFER_CHUNK), need, fn, bounce, done,
                           arg, &n);
        done += n;
        if (thread_killed()) {
            status = STATUS_INTR_KILLED;
        }
    }
    heap_free(bounce);
    *actual = done;
    // Short at the end of what is mapped, or of what may be written.
    bool end = status == STATUS_NOT_FOUND || status == STATUS_ACCESS_DENIED;
    return done > 0 && end ? STATUS_OK : status;
}

static status_t read_chunk(struct vmo* vmo, uint64_t offset, void* bounce, size_t at, size_t size,
                           const void* arg) {
    uint8_t __user* buffer = (uint8_t __user*)arg;
    TRY(vmo_read(vmo, bounce, offset, size));
    return arch_copy_to_user(buffer + at, bounce, size) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

static status_t write_chunk(struct vmo* vmo, uint64_t offset, void* bounce, size_t at, size_t size,
                            const void* arg) {
    const uint8_t __user* buffer = (const uint8_t __user*)arg;
    if (arch_copy_from_user(bounce, buffer + at, size) != 0) {
        return STATUS_INVALID_ARGS;
    }
    return vmo_write(vmo, bounce, offset, size);
}

static status_t check_transfer(struct process* p, size_t size) {
    zx_info_process_t info;
    process_get_info(p, &info);
    if (size == 0 || size > TRANSFER_MAX) {
        return STATUS_INVALID_ARGS;
    }
    return (info.flags & ZX_INFO_PROCESS_FLAG_EXITED) != 0 ? STATUS_BAD_STATE : STATUS_OK;
}

status_t sys_process_read_memory(struct process* p, zx_vaddr_t vaddr, void __user* buffer,
                                 size_t buffer_size, size_t* actual) {
    TRY(check_transfer(p, buffer_size));
    return each_chunk(p, vaddr, buffer_size, 0, read_chunk, (const void*)(uintptr_t)buffer, actual);
}

status_t sys_process_write_memory(struct process* p, zx_vaddr_t vaddr, const void __user* buffer,
                                  size_t buffer_size, size_t* actual) {
    TRY(check_transfer(p, buffer_size));
    return each_chunk(p, vaddr, buffer_size, ZX_VM_PERM_WRITE, write_chunk,
                      (const void*)(uintptr_t)buffer, actual);
}

// ---- threads ----

status_t sys_thread_create(struct process* process, const char __user* name, size_t name_size,
                           uint32_t options, struct user_out_handle* out) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    char text[ZX_MAX_NAME_LEN];
    TRY(copy_name(text, name, name_size));
    struct thread_object* t;
    TRY(thread_object_create(process, text, strlen(text), &t));
    out->handle = handle_make(thread_object_base(t), ZX_DEFAULT_THREAD_RIGHTS);
    return STATUS_OK;
}

status_t sys_thread_start(struct thread_object* thread, zx_vaddr_t entry, zx_vaddr_t stack,
                          uintptr_t arg1, uintptr_t arg2) {
    return thread_object_start(thread, entry, stack, arg1, arg2);
}

status_t sys_thread_start_regs(struct thread_object* thread, uint64_t pc, uint64_t sp,
                               uint64_t arg1, uint64_t arg2, uint64_t tp, uint64_t abi_reg) {
    return thread_object_start_regs(thread, pc, sp, arg1, arg2, tp, abi_reg);
}

void sys_thread_exit(void) {
    thread_object_exit_by_call();
}

status_t sys_thread_read_state(struct thread_object* thread, uint32_t kind, void __user* buffer,
                               size_t buffer_size) {
    return thread_object_read_state(thread, kind, buffer, buffer_size);
}

status_t sys_thread_write_state(struct thread_object* thread, uint32_t kind,
                                const void __user* buffer, size_t buffer_size) {
    return thread_object_write_state(thread, kind, buffer, buffer_size);
}

status_t sys_task_suspend(struct object* task, struct user_out_handle* token) {
    struct object* o;
    TRY(suspend_token_create(task, &o));
    token->handle = handle_make(o, ZX_DEFAULT_SUSPEND_TOKEN_RIGHTS);
    return STATUS_OK;
}

status_t sys_task_suspend_token(struct object* task, struct user_out_handle* token) {
    return sys_task_suspend(task, token);
}

status_t sys_thread_legacy_yield(uint32_t options) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    thread_yield();
    return STATUS_OK;
}

status_t sys_nanosleep(zx_time_t deadline) {
    if (deadline <= 0) {
        thread_yield();
        return STATUS_OK;
    }
    // Nobody claims it: the deadline does, or the end of the thread.
    UNINITIALIZED struct waiter w;
    waiter_init(&w);
    status_t status =
        waiter_block(&w, deadline, WAIT_INTERRUPTIBLE, ZX_THREAD_STATE_BLOCKED_SLEEPING >> 8);
    return status == STATUS_TIMED_OUT ? STATUS_OK : status;
}
