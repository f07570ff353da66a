// Carries out a plan: collects what the program gets, and has the launcher library make a process.
//
// The order is: everything that can fail without a trace, then the process (which does not run
// yet), then the table of children, then the start. So a child is known before it can end.
#include <stdlib.h>
#include <string.h>

#include <elf/error.h>
#include <fd/table.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <libc/error.h>
#include <libc/operations.h>
#include <libc/utc_clock.h>
#include <names/namespace.h>
#include <signal/children.h>
#include <signal/exec.h>
#include <signal/signal_set.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "exec.h"
#include "image.h"
#include "replaced.h"
#include "spawn_priv.h"
#include "wait_priv.h"

constexpr uint32_t handles_max = ZX_CHANNEL_MAX_MSG_HANDLES - launch_own_handles;
constexpr uint32_t names_max = 34; // prefixes, the record, the directory

// What a launch is made of. Handles that are not invalid are its own.
struct work {
    const struct spawn_plan* plan;
    struct image image;
    struct launch_source interpreter;
    long interpreter_error;
    zx_handle_t job; // borrowed
    int group_id;
    struct child_group* group; // if it is not that of this process: with a handle of its job
    struct child* child;       // to be filled
    zx_handle_t signals;       // our end of the child's channel
    struct launch_handle handles[handles_max];
    uint32_t handle_count;
    const char* names[names_max];
    uint32_t name_count;
    char *record, *directory, *program; // texts; freed with the work
};

static void work_end(struct work* w) {
    image_close(&w->image);
    (void)zx_handle_close(w->signals);
    for (uint32_t i = 0; i < w->handle_count; i++) {
        (void)zx_handle_close(w->handles[i].handle);
    }
    if (w->group != nullptr) {
        (void)zx_handle_close(w->group->job);
        free(w->group);
    }
    free(w->child);
    free(w->record);
    free(w->directory);
    free(w->program);
}

// Takes the handle.
static long add_handle(struct work* w, uint32_t info, zx_handle_t handle) {
    if (w->handle_count == handles_max) {
        (void)zx_handle_close(handle);
        return -ABI_EMFILE;
    }
    w->handles[w->handle_count++] = (struct launch_handle){.info = info, .handle = handle};
    return 0;
}

// ---- what a program gets ----

static long add_object(struct work* w, struct fd_object* object, int fd) {
    struct fd_handles handles = {};
    long error = object->ops->clone(object, &handles);
    if (error != 0) {
        return error;
    }
    for (uint32_t i = 0; i < handles.count; i++) {
        long added = add_handle(w, PA_HND(PA_FD, fd), handles.handle[i]);
        error = error != 0 ? error : added;
    }
    return error;
}

static long add_descriptors(struct work* w) {
    long error = 0;
    struct fd_object* object;
    int flags;
    for (int fd = 0; error == 0 && (fd = fd_table_next_ref(fd_table(), fd, &object, &flags)) >= 0;
         fd++) {
        if ((flags & ABI_FD_CLOEXEC) == 0) {
            error = add_object(w, object, fd);
        }
        fd_object_unref(object);
    }
    return error;
}

// A directory whose server is gone is one to the child, too: it asks for it again when it needs it.
static zx_handle_t gone_directory(void) {
    zx_handle_t near, far;
    if (zx_channel_create(0, &near, &far) != ZX_OK) {
        return ZX_HANDLE_INVALID;
    }
    (void)zx_handle_close(far);
    return near;
}

static long add_namespace(struct work* w) {
    const struct path_prefixes* prefixes = names_prefixes();
    for (size_t i = 0; i < prefixes->count; i++) {
        if (w->name_count == names_max - 2) {
            return -ABI_EMFILE;
        }
        zx_handle_t directory;
        if (names_prefix_clone(i, &directory) != 0) {
            directory = gone_directory();
        }
        if (directory == ZX_HANDLE_INVALID) {
            return -ABI_ENOMEM;
        }
        long error = add_handle(w, PA_HND(PA_NS_DIR, w->name_count), directory);
        if (error != 0) {
            return error;
        }
        const char* text = prefixes->text[i];
        w->names[w->name_count++] = *text != '\0' ? text : "/";
    }
    return 0;
}

static long add_directory(struct work* w) {
    constexpr size_t max = sizeof(NAMES_CWD_KEY) + ABI_PATH_MAX;
    w->directory = malloc(max);
    if (w->directory == nullptr) {
        return -ABI_ENOMEM;
    }
    zx_handle_t directory;
    long error = names_cwd_for_child(w->directory, max, &directory);
    if (error == 0 && directory != ZX_HANDLE_INVALID) {
        error = add_handle(w, PA_HND(PA_NS_DIR, w->name_count), directory);
    }
    if (error == 0) {
        w->names[w->name_count++] = w->directory;
    }
    return error;
}

// What /proc/self/exe will say. Absolute, so that it holds wherever the child goes.
static const char* program_path(struct work* w) {
    const char* path = w->image.path;
    if (path[0] != '/') {
        w->program = malloc(ABI_PATH_MAX);
        if (w->program != nullptr && names_canonical(ABI_AT_FDCWD, path, w->program) == 0) {
            return w->program;
        }
    } else if (strcmp(path, "/proc/self/exe") == 0) {
        return spawn_program_path();
    }
    return path;
}

// A group that does not exist yet has the number of the child, which is not known yet: 0.
static long add_record(struct work* w) {
    const struct spawn_identity* identity = spawn_identity();
    struct record record = {
        // (Of a child-to-be's child, who its parent will be is not known yet.)
        .ppid =
            spawn_is_provisional(identity->ppid) ? spawn_process_identity()->pid : identity->ppid,
        .pgid = spawn_is_provisional(identity->group) ? 0 : identity->group,
        .sid = spawn_is_provisional(identity->session) ? 0 : identity->session,
        .umask = process_view()->umask,
        .blocked = w->plan->blocked,
        .ignored = w->plan->ignored,
        .pending = w->plan->pending,
        .exe = program_path(w),
    };
    if (w->plan->replaces) {
        record.pid = identity->pid;
    }
    size_t len = record_fixed_max + (record.exe != nullptr ? strlen(record.exe) : 0);
    w->record = malloc(len);
    if (w->record == nullptr || !record_write(&record, w->record, len)) {
        return -ABI_ENOMEM;
    }
    w->names[w->name_count++] = w->record;
    return 0;
}

static long add_job(struct work* w) {
    zx_handle_t job;
    zx_status_t status = zx_handle_duplicate(w->job, ZX_RIGHT_SAME_RIGHTS, &job);
    return status == ZX_OK ? add_handle(w, PA_HND(PA_JOB_DEFAULT, 0), job)
                           : errno_from_status(status);
}

static long add_clock(struct work* w) {
    zx_handle_t clock = libc_utc_clock();
    zx_handle_t copy;
    if (clock == ZX_HANDLE_INVALID) {
        return 0;
    }
    zx_status_t status = zx_handle_duplicate(clock, ZX_RIGHT_SAME_RIGHTS, &copy);
    return status == ZX_OK ? add_handle(w, PA_HND(PA_CLOCK_UTC, 0), copy)
                           : errno_from_status(status);
}

// The channel of signals. What the child ignores or blocks from its start is announced for it.
static long add_signals(struct work* w) {
    zx_handle_t theirs;
    zx_status_t status = zx_channel_create(0, &w->signals, &theirs);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    (void)zx_object_signal(w->signals, 0, signal_classes(w->plan->ignored | w->plan->blocked));
    return add_handle(w, PA_HND(PA_LIFECYCLE, 0), theirs);
}

// ---- the group's job ----

static bool is_dead(zx_handle_t job) {
    zx_signals_t seen = 0;
    return job == ZX_HANDLE_INVALID ||
           zx_object_wait_one(job, ZX_JOB_TERMINATED, 0, &seen) == ZX_OK;
}

// The tree of jobs has a limit: shells in shells in shells.
static long new_job(zx_handle_t* out) {
    zx_status_t status = zx_job_create(zx_job_default(), 0, out);
    return status == ZX_ERR_OUT_OF_RANGE ? -ABI_EAGAIN : errno_from_status(status);
}

// That of a group which exists. One that was killed as a whole takes members again, in a new job.
static long existing_job_locked(struct child_group* group, zx_handle_t* out)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    if (is_dead(group->job)) {
        zx_handle_t job;
        long error = new_job(&job);
        if (error != 0) {
            return error;
        }
        (void)zx_handle_close(group->job);
        group->job = job;
    }
    return errno_from_status(zx_handle_duplicate(group->job, ZX_RIGHT_SAME_RIGHTS, out));
}

static long choose_job(struct work* w) {
    w->job = zx_job_default();
    if (w->job == ZX_HANDLE_INVALID) {
        return -ABI_EPERM; // whoever started this process did not want it to have children
    }
    w->group_id = spawn_identity()->group;
    if (w->plan->replaces || w->group_id == spawn_process_identity()->group) {
        return 0;
    }
    w->group = calloc(1, sizeof(*w->group));
    if (w->group == nullptr) {
        return -ABI_ENOMEM;
    }
    libc_lock_acquire(&spawn_lock);
    struct child_group* group = children_group(&spawn_children, w->group_id);
    long error =
        group != nullptr ? existing_job_locked(group, &w->group->job) : new_job(&w->group->job);
    libc_lock_release(&spawn_lock);
    w->job = w->group->job;
    return error;
}

// ---- the launch ----

static zx_status_t find_interpreter(void* ctx, const char* path, struct launch_file* out) {
    struct work* w = ctx;
    w->interpreter_error = image_open_interpreter(path, &w->interpreter);
    *out = launch_source_file(&w->interpreter);
    return w->interpreter_error == 0 ? ZX_OK : ZX_ERR_NOT_FOUND;
}

static long error_of(const struct work* w, struct launch_result result) {
    switch (result.error) {
    case LAUNCH_OK:
        return 0;
    case LAUNCH_NO_INTERPRETER:
        return w->interpreter_error;
    case LAUNCH_BAD_PROGRAM:
    case LAUNCH_BAD_INTERPRETER:
    case LAUNCH_NESTED_INTERPRETER:
        return result.elf == ELF_READ_FAILED ? errno_from_status(result.status) : -ABI_ENOEXEC;
    case LAUNCH_TOO_MANY_STRINGS:
        return -ABI_E2BIG;
    case LAUNCH_TOO_MANY_HANDLES:
        return -ABI_EMFILE;
    case LAUNCH_CREATE_PROCESS:
        // A dead or forbidden job.
        return result.status == ZX_ERR_NO_MEMORY ? -ABI_ENOMEM : -ABI_EAGAIN;
    default:
        return errno_from_status(result.status);
    }
}

static const char* name_of(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash != nullptr ? slash + 1 : path;
}

static uint32_t count_of(char* const* strings) {
    uint32_t count = 0;
    while (strings != nullptr && strings[count] != nullptr) {
        count++;
    }
    return count;
}

static long prepare(struct work* w, struct launched* out) {
    struct launch_vdso vdso;
    struct launch_result result = launch_vdso_init(&vdso, zx_vmo_vdso());
    if (result.error != LAUNCH_OK) {
        return errno_from_status(result.status);
    }
    struct launch_request request = {
        .mode = LAUNCH_NATIVE,
        .job = w->job,
        .name = name_of(w->image.path),
        .file = launch_source_file(&w->image.source),
        .vdso = &vdso,
        .args = (const char* const*)w->image.argv,
        .arg_count = count_of(w->image.argv),
        .environ = (const char* const*)w->plan->environ,
        .environ_count = count_of(w->plan->environ),
        .names = w->names,
        .name_count = w->name_count,
        .handles = w->handles,
        .handle_count = w->handle_count,
        .find_interpreter = find_interpreter,
        .find_ctx = w,
    };
    result = launch_prepare(&request, out);
    w->handle_count = 0; // gone, whatever happened
    launch_source_close(&w->interpreter);
    return error_of(w, result);
}

static long collect(struct work* w) {
    long (*const steps[])(struct work*) = {choose_job,    add_descriptors, add_namespace,
                                           add_directory, add_record,      add_job,
                                           add_signals,   add_clock};
    long error = image_open(w->plan->path, w->plan->argv, &w->image);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && error == 0; i++) {
        error = steps[i](w);
    }
    return error;
}

static int pid_of(zx_handle_t process) {
    zx_info_handle_basic_t info;
    bool known = zx_object_get_info(process, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr,
                                    nullptr) == ZX_OK;
    return known && info.koid <= INT32_MAX ? (int)info.koid : 0;
}

// ---- as a child ----

static void enter_group_locked(struct work* w, struct child* child)
    __attribute__((exclusive_locks_required(spawn_lock))) {
    bool is_new = spawn_is_provisional(w->group_id);
    child->group_id = is_new ? child->pid : w->group_id;
    if (w->group == nullptr) {
        return;
    }
    child->group = is_new ? nullptr : children_group(&spawn_children, w->group_id);
    if (child->group == nullptr) {
        w->group->id = child->group_id;
        children_add_group(&spawn_children, w->group);
        child->group = w->group;
        w->group = nullptr;
    }
}

// Nothing is between the start and the entry in the table: the lock is held.
static long commit(struct work* w, struct launched* launched, int* pid) {
    struct child* child = w->child;
    child->pid = pid_of(launched->process);
    if (child->pid == 0) {
        launch_abandon(launched);
        return -ABI_EAGAIN;
    }
    libc_lock_acquire(&spawn_lock);
    long error = error_of(w, launch_start(launched, &child->process));
    if (error == 0) {
        child->signals = w->signals;
        w->signals = ZX_HANDLE_INVALID;
        enter_group_locked(w, child);
        child_add_locked(child);
        *pid = child->pid;
        w->child = nullptr;
    }
    libc_lock_release(&spawn_lock);
    return error;
}

static struct work* work_begin(const struct spawn_plan* plan) {
    struct work* w = calloc(1, sizeof(*w));
    if (w != nullptr) {
        w->plan = plan;
        w->child = calloc(1, sizeof(*w->child));
        if (w->child == nullptr) {
            free(w);
            w = nullptr;
        }
    }
    return w;
}

long spawn_start(const struct spawn_plan* plan, int* pid) {
    wait_discard_unwanted();
    struct work* w = work_begin(plan);
    if (w == nullptr) {
        return -ABI_ENOMEM;
    }
    struct launched launched;
    long error = collect(w);
    if (error == 0) {
        error = prepare(w, &launched);
    }
    if (error == 0) {
        error = commit(w, &launched, pid);
    }
    if (error == 0) {
        signal_foreground_rename(spawn_identity()->pid, *pid); // if it had put itself in front
    }
    work_end(w);
    free(w);
    return error;
}

// ---- in place of this process ----

// The parent takes the new process for this one, before it runs. What it has written and this
// process has not heard (the herald has stopped listening: signal_for_exec()) it writes to the new
// one. From then on there is no way back: if the new one cannot start it is killed.
static long hand_over(struct work* w, struct launched* launched) {
    zx_handle_t process = ZX_HANDLE_INVALID, sent = ZX_HANDLE_INVALID;
    zx_status_t status = zx_handle_duplicate(launched->process, ZX_RIGHT_SAME_RIGHTS, &process);
    if (status == ZX_OK) {
        status = zx_handle_duplicate(process, ZX_RIGHT_SAME_RIGHTS, &sent);
    }
    if (status != ZX_OK) {
        (void)zx_handle_close(process);
        launch_abandon(launched);
        return errno_from_status(status);
    }
    replaced_send(w->plan->channel, sent, w->signals, signal_heard());
    if (launch_start(launched, nullptr).status != ZX_OK) {
        (void)zx_task_kill(process);
    }
    zx_process_exit(spawn_retcode_replaced);
    __builtin_trap();
}

long spawn_replace(const struct spawn_plan* plan) {
    struct work* w = work_begin(plan);
    if (w == nullptr) {
        return -ABI_ENOMEM;
    }
    struct launched launched;
    long error = collect(w);
    if (error == 0) {
        error = prepare(w, &launched);
    }
    if (error == 0 && plan->channel != ZX_HANDLE_INVALID) {
        error = hand_over(w, &launched);
    } else if (error == 0) {
        int pid;
        error = commit(w, &launched, &pid);
        if (error == 0) {
            exec_stand_in(pid);
        }
    }
    work_end(w);
    free(w);
    return error;
}

// ---- no process at all ----

long spawn_phantom(int status) {
    struct child* child = calloc(1, sizeof(*child));
    if (child == nullptr) {
        return -ABI_ENOMEM;
    }
    // Numbers of processes only grow, so one that a process had for a moment is nobody else's.
    zx_handle_t event;
    zx_status_t created = zx_event_create(0, &event);
    child->pid = created == ZX_OK ? pid_of(event) : 0;
    (void)zx_handle_close(event);
    if (child->pid == 0) {
        free(child);
        return -ABI_EAGAIN;
    }
    child->status = status;
    child->ended = true;
    int pid = child->pid;
    int group = spawn_identity()->group;
    child->group_id = spawn_is_provisional(group) ? pid : group;
    libc_lock_acquire(&spawn_lock);
    child_add_locked(child);
    libc_lock_release(&spawn_lock);
    signal_foreground_rename(spawn_identity()->pid, pid);
    if (signal_child_ended != nullptr) {
        signal_child_ended(pid, status);
    }
    return pid;
}
