// Intrusive doubly linked circular list. A node that is in no list has null links, so list_linked()
// is exact and removing twice asserts. Not synchronised: the owner of the list says which lock
// protects it.
#pragma once

#include <lib/assert.h>
#include <lib/compiler.h>

struct list_node {
    struct list_node* prev;
    struct list_node* next;
};

// The head is a node of the ring. A zeroed head is not an empty list: initialise it.
struct list {
    struct list_node head;
};

#define LIST_INIT(name)                \
    {                                  \
        {                              \
            &(name).head, &(name).head \
        }                              \
    }

static inline void list_init(struct list* l) {
    l->head.prev = l->head.next = &l->head;
}
static inline bool list_empty(const struct list* l) {
    return l->head.next == &l->head;
}
static inline bool list_linked(const struct list_node* n) {
    return n->next != nullptr;
}

static inline void list_insert_between_(struct list_node* n, struct list_node* prev,
                                        struct list_node* next) {
    DEBUG_ASSERT(n->next == nullptr);
    n->prev = prev;
    n->next = next;
    prev->next = n;
    next->prev = n;
}

static inline void list_push_front(struct list* l, struct list_node* n) {
    list_insert_between_(n, &l->head, l->head.next);
}

static inline void list_push_back(struct list* l, struct list_node* n) {
    list_insert_between_(n, l->head.prev, &l->head);
}

static inline void list_insert_before(struct list_node* position, struct list_node* n) {
    list_insert_between_(n, position->prev, position);
}

static inline void list_insert_after(struct list_node* position, struct list_node* n) {
    list_insert_between_(n, position, position->next);
}

static inline void list_remove(struct list_node* n) {
    DEBUG_ASSERT(n->next != nullptr && n->next->prev == n && n->prev->next == n);
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->prev = n->next = nullptr;
}

static inline struct list_node* list_first(const struct list* l) {
    return list_empty(l) ? nullptr : l->head.next;
}

static inline struct list_node* list_last(const struct list* l) {
    return list_empty(l) ? nullptr : l->head.prev;
}

static inline struct list_node* list_next(const struct list* l, const struct list_node* n) {
    return n->next == &l->head ? nullptr : n->next;
}

static inline struct list_node* list_prev(const struct list* l, const struct list_node* n) {
    return n->prev == &l->head ? nullptr : n->prev;
}

static inline struct list_node* list_pop_front(struct list* l) {
    struct list_node* n = list_first(l);
    if (n != nullptr) {
        list_remove(n);
    }
    return n;
}

// Moves all of `from` to the end of `to`; `from` is empty afterwards.
static inline void list_splice_back(struct list* to, struct list* from) {
    if (list_empty(from)) {
        return;
    }
    struct list_node* first = from->head.next;
    struct list_node* last = from->head.prev;
    first->prev = to->head.prev;
    to->head.prev->next = first;
    last->next = &to->head;
    to->head.prev = last;
    list_init(from);
}

// `n` may be removed by the body of list_for_each_safe, not by that of list_for_each.
#define list_for_each(n, l) for (struct list_node* n = (l)->head.next; n != &(l)->head; n = n->next)
#define list_for_each_safe(n, l)                                                      \
    for (struct list_node* n = (l)->head.next, *n##_next_ = n->next; n != &(l)->head; \
         n = n##_next_, n##_next_ = n->next)
