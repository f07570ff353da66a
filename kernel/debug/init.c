// Init levels and the command line.
#include <debug/init.h>

#include <debug/boot.h>
#include <debug/cmdline.h>

extern const struct init_hook __init_hooks_start[], __init_hooks_end[];

void init_run_level(enum init_level level) {
    for (const struct init_hook* h = __init_hooks_start; h < __init_hooks_end; h++) {
        if (h->level == level) {
            h->fn();
        }
    }
}

static struct text_span line; // constant after boot

void cmdline_init(const char* text, size_t length) {
    line = (struct text_span){text, length};
}

struct text_span cmdline(void) {
    return line;
}

static const struct handoff* handoff; // constant after boot

void boot_handoff_set(const struct handoff* record) {
    handoff = record;
}

const struct handoff* boot_handoff(void) {
    return handoff;
}
