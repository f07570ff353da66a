// Groups and sessions of this process and its children.
#include <libc/operations.h>
#include <spawn/group.h>

#include "spawn_priv.h"

static bool is_self(int pid) {
    return pid == 0 || pid == spawn_identity()->pid;
}

// The group of a child; 0: no such child.
static int group_of_child(int pid) {
    libc_lock_acquire(&spawn_lock);
    struct child* child = children_find(&spawn_children, pid);
    int group = child != nullptr ? child->group_id : 0;
    libc_lock_release(&spawn_lock);
    return group;
}

bool spawn_group_exists(int group) {
    struct spawn_identity* self = spawn_identity();
    if (group == self->group || group == self->pid) {
        return true;
    }
    libc_lock_acquire(&spawn_lock);
    struct child_filter filter = {.by = CHILD_GROUP, .id = group};
    bool exists = children_next(&spawn_children, nullptr, &filter) != nullptr;
    libc_lock_release(&spawn_lock);
    return exists;
}

long sys_getpgid(int pid) {
    if (is_self(pid)) {
        return spawn_identity()->group;
    }
    int group = group_of_child(pid);
    return group != 0 ? group : -ABI_ESRCH;
}

// A process's group decides into which job its launch goes, so it is settled then: a child-to-be
// may change it, and a process its own number; a child that runs has done exec().
long sys_setpgid(int pid, int group) {
    if (pid < 0 || group < 0) {
        return -ABI_EINVAL;
    }
    struct spawn_identity* self = spawn_identity();
    if (!is_self(pid)) {
        int has = group_of_child(pid);
        if (has == 0) {
            return -ABI_ESRCH;
        }
        return has == (group == 0 ? pid : group) ? 0 : -ABI_EACCES;
    }
    if (self->session == self->pid) {
        return group == 0 || group == self->group ? 0 : -ABI_EPERM;
    }
    int wanted = group == 0 ? self->pid : group;
    if (!spawn_group_exists(wanted)) {
        return -ABI_EPERM;
    }
    self->group = wanted;
    return 0;
}

long sys_getsid(int pid) {
    if (is_self(pid)) {
        return spawn_identity()->session;
    }
    return group_of_child(pid) != 0 ? spawn_identity()->session : -ABI_ESRCH;
}

long sys_setsid(void) {
    struct spawn_identity* self = spawn_identity();
    if (self->group == self->pid) {
        return -ABI_EPERM;
    }
    self->session = self->pid;
    self->group = self->pid;
    return self->pid;
}
