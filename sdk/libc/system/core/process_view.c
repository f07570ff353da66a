#include <libc/process_view.h>

#include <stdlib.h>

#include <libc/thread_block.h>

#include <libc/process_view_start.h>

// Weak: a part whose module is not in the program is null. (Declared again here and not in the
// header, where the modules' own definitions would become weak as well.)
[[gnu::weak]] extern const struct process_view_part fd_view_part, names_view_part, signal_view_part,
    spawn_view_part;

// In the order in which they start; they end in the opposite one.
static const struct process_view_part* part(uint32_t index) {
    switch (index) {
    case 0:
        return &fd_view_part;
    case 1:
        return &names_view_part;
    case 2:
        return &signal_view_part;
    default:
        return &spawn_view_part;
    }
}
constexpr uint32_t PARTS = 4;

void process_view_start(struct process_view* view) {
    for (uint32_t i = 0; i < PARTS; i++) {
        if (part(i) != nullptr && part(i)->start != nullptr) {
            part(i)->start(view);
        }
    }
}

struct process_view* process_view_ref(struct process_view* view) {
    atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
    return view;
}

struct process_view* process_view(void) {
    return thread_block_self()->view;
}

struct process_view* process_view_exchange(struct process_view* view) {
    struct process_view* old = thread_block_self()->view;
    thread_block_self()->view = view;
    return old;
}

static void end_parts(struct process_view* view, uint32_t count) {
    for (uint32_t i = count; i > 0; i--) {
        if (part(i - 1) != nullptr && part(i - 1)->end != nullptr) {
            part(i - 1)->end(view);
        }
    }
}

void process_view_unref(struct process_view* view) {
    if (atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) == 1) {
        end_parts(view, PARTS);
        free(view);
    }
}

struct process_view* process_view_copy(struct process_view* from) {
    struct process_view* to = calloc(1, sizeof(*to));
    if (to == nullptr) {
        return nullptr;
    }
    atomic_init(&to->refs, 1);
    atomic_init(&to->umask, atomic_load_explicit(&from->umask, memory_order_relaxed));
    for (uint32_t i = 0; i < PARTS; i++) {
        if (part(i) != nullptr && part(i)->copy != nullptr && !part(i)->copy(from, to)) {
            end_parts(to, i);
            free(to);
            return nullptr;
        }
    }
    return to;
}
