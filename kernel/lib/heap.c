// Intrusive binary heap with links instead of an array.
//
// The shape is that of an array heap: positions are numbered 1..count from the top, level by level,
// and the binary digits of a position below its leading one spell the way from the top (0 left,
// 1 right). So the last position is found in O(log n) without an array. Order is restored by
// exchanging a node with its parent in place: links change, nodes do not move in memory.
#include <lib/heap.h>

// The link that holds (or will hold) the node at `position` >= 1; *parent is the node it lies in.
static struct heap_node** position_link(struct heap* heap, size_t position,
                                        struct heap_node** parent) {
    struct heap_node** link = &heap->top;
    *parent = nullptr;
    unsigned level = (unsigned)(sizeof(unsigned long long) * 8 - 1) -
                     (unsigned)__builtin_clzll((unsigned long long)position);
    while (level-- > 0) {
        *parent = *link;
        link = (position >> level & 1) != 0 ? &(*link)->right : &(*link)->left;
    }
    return link;
}

static struct heap_node** incoming_link(struct heap* heap, struct heap_node* node) {
    if (node->parent == nullptr) {
        return &heap->top;
    }
    return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

static void adopt(struct heap_node* child, struct heap_node* parent) {
    if (child != nullptr) {
        child->parent = parent;
    }
}

// Puts `fresh` exactly where `node` is.
static void take_place(struct heap* heap, struct heap_node* node, struct heap_node* fresh) {
    *incoming_link(heap, node) = fresh;
    *fresh = *node;
    adopt(fresh->left, fresh);
    adopt(fresh->right, fresh);
}

// Exchanges `child` with its parent.
static void lift(struct heap* heap, struct heap_node* child) {
    struct heap_node* parent = child->parent;
    struct heap_node old_child = *child;
    bool was_left = parent->left == child;
    struct heap_node* sibling = was_left ? parent->right : parent->left;

    *incoming_link(heap, parent) = child;
    child->parent = parent->parent;
    child->left = was_left ? parent : sibling;
    child->right = was_left ? sibling : parent;
    adopt(sibling, child);

    parent->parent = child;
    parent->left = old_child.left;
    parent->right = old_child.right;
    adopt(parent->left, parent);
    adopt(parent->right, parent);
}

void heap_node_changed(struct heap* heap, struct heap_node* node) {
    while (node->parent != nullptr && heap->before(node, node->parent)) {
        lift(heap, node);
    }
    for (;;) {
        struct heap_node* first = node->left;
        if (first == nullptr) {
            return;
        }
        if (node->right != nullptr && heap->before(node->right, first)) {
            first = node->right;
        }
        if (!heap->before(first, node)) {
            return;
        }
        lift(heap, first);
    }
}

void heap_insert(struct heap* heap, struct heap_node* node) {
    struct heap_node* parent;
    struct heap_node** link = position_link(heap, heap->count + 1, &parent);
    *node = (struct heap_node){.parent = parent};
    *link = node;
    heap->count++;
    heap_node_changed(heap, node);
}

void heap_remove(struct heap* heap, struct heap_node* node) {
    struct heap_node* parent;
    struct heap_node** link = position_link(heap, heap->count, &parent);
    struct heap_node* last = *link;
    *link = nullptr;
    heap->count--;
    if (last != node) {
        take_place(heap, node, last);
        heap_node_changed(heap, last);
    }
    *node = (struct heap_node){};
}

struct heap_node* heap_pop(struct heap* heap) {
    struct heap_node* top = heap->top;
    if (top != nullptr) {
        heap_remove(heap, top);
    }
    return top;
}

bool heap_verify(const struct heap* heap) {
    if (heap->count == 0) {
        return heap->top == nullptr;
    }
    for (size_t position = 1; position <= heap->count; position++) {
        // Only reads: the cast drops const because the link helper serves writers too.
        struct heap_node* parent;
        struct heap_node* node = *position_link((struct heap*)heap, position, &parent);
        if (node == nullptr || node->parent != parent ||
            (parent != nullptr && heap->before(node, parent))) {
            return false;
        }
        bool has_left = position * 2 <= heap->count;
        bool has_right = position * 2 + 1 <= heap->count;
        if ((node->left != nullptr) != has_left || (node->right != nullptr) != has_right) {
            return false;
        }
    }
    return true;
}
