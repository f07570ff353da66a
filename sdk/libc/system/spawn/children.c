#include <spawn/children.h>

#include <stddef.h>

void children_add(struct children* c, struct child* child) {
    child->next = c->first;
    c->first = child;
    if (child->group != nullptr) {
        child->group->members++;
    }
}

// Unlinks `item` from the list at *first.
#define UNLINK(first, item)              \
    do {                                 \
        typeof(first)* link_ = &(first); \
        while (*link_ != (item)) {       \
            link_ = &(*link_)->next;     \
        }                                \
        *link_ = (item)->next;           \
    } while (0)

struct child_group* children_remove(struct children* c, struct child* child) {
    UNLINK(c->first, child);
    struct child_group* group = child->group;
    child->group = nullptr;
    if (group == nullptr || --group->members != 0) {
        return nullptr;
    }
    UNLINK(c->groups, group);
    return group;
}

struct child* children_find(const struct children* c, int pid) {
    struct child_filter filter = {.by = CHILD_PID, .id = pid};
    return children_next(c, nullptr, &filter);
}

struct child_filter child_filter_of(int pid, int own_group) {
    if (pid == -1) {
        return (struct child_filter){.by = CHILD_ANY};
    }
    if (pid > 0) {
        return (struct child_filter){.by = CHILD_PID, .id = pid};
    }
    return (struct child_filter){.by = CHILD_GROUP, .id = pid == 0 ? own_group : -pid};
}

static bool meant(const struct child* child, const struct child_filter* filter) {
    switch (filter->by) {
    case CHILD_PID:
        return child->pid == filter->id;
    case CHILD_GROUP:
        return child->group_id == filter->id;
    default:
        return true;
    }
}

struct child* children_next(const struct children* c, const struct child* after,
                            const struct child_filter* filter) {
    struct child* child = after == nullptr ? c->first : after->next;
    while (child != nullptr && !meant(child, filter)) {
        child = child->next;
    }
    return child;
}

struct child_group* children_group(const struct children* c, int id) {
    struct child_group* group = c->groups;
    while (group != nullptr && group->id != id) {
        group = group->next;
    }
    return group;
}

void children_add_group(struct children* c, struct child_group* group) {
    group->next = c->groups;
    c->groups = group;
}
