// Process, parent, group and session: numbers that a process is told when it starts, and that it
// may change. The kernel knows only the koid, which is the pid unless exec() has handed on an older
// one.
#include <stdlib.h>

#include <jacinth/startup.h>
#include <libc/operations.h>
#include <spawn/group.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "spawn_priv.h"

static int own_koid(void) {
    zx_info_handle_basic_t info;
    bool known = zx_object_get_info(zx_process_self(), ZX_INFO_HANDLE_BASIC, &info, sizeof(info),
                                    nullptr, nullptr) == ZX_OK;
    return known && info.koid <= INT32_MAX ? (int)info.koid : 1;
}

// ---- the view's part ----

static int or_else(int value, int otherwise) {
    return value != 0 ? value : otherwise;
}

static struct spawn_identity first;

struct spawn_identity* spawn_identity(void) {
    return process_view()->identity;
}

struct spawn_identity* spawn_process_identity(void) {
    return &first;
}

static void start(struct process_view* view) {
    const struct record* record = spawn_inherited();
    first.pid = or_else(record->pid, own_koid());
    first.ppid = or_else(record->ppid, 1);
    first.group = or_else(record->pgid, first.pid);
    first.session = or_else(record->sid, first.group);
    view->identity = &first;
}

static bool copy(const struct process_view* from, struct process_view* to) {
    struct spawn_identity* identity = malloc(sizeof(*identity));
    if (identity != nullptr) {
        *identity = (struct spawn_identity){.pid = from->identity->pid,
                                            .ppid = from->identity->ppid,
                                            .group = from->identity->group,
                                            .session = from->identity->session};
    }
    to->identity = identity;
    return identity != nullptr;
}

static void end(struct process_view* view) {
    free(view->identity); // never the first: the process ends with it
}

const struct process_view_part spawn_view_part = {.start = start, .copy = copy, .end = end};

// Those of several threads' children, and of nested ones, must not be the same for a while.
void spawn_identity_become_child(struct spawn_identity* identity) {
    static _Atomic uint32_t counter;
    identity->ppid = identity->pid;
    identity->pid = 2 + (int)(counter++ % (uint32_t)(spawn_first_koid - 2));
}

// ---- operations ----

long sys_getpid(void) {
    return spawn_identity()->pid;
}

long sys_getppid(void) {
    return spawn_identity()->ppid;
}
