#include <backtrace/backtrace.h>

#include <stdlib.h>
#include <string.h>

#include <zircon/syscalls.h>

zx_status_t backtrace_begin(struct backtrace_space* space, zx_handle_t process) {
    size_t avail;
    *space = (struct backtrace_space){.process = process};
    space->maps = malloc(BACKTRACE_REGIONS_MAX * sizeof(space->maps[0]));
    if (space->maps == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    zx_status_t status =
        zx_object_get_info(process, ZX_INFO_PROCESS_MAPS, space->maps,
                           BACKTRACE_REGIONS_MAX * sizeof(space->maps[0]), &space->count, &avail);
    if (status != ZX_OK) {
        backtrace_end(space);
    }
    return status;
}

void backtrace_end(struct backtrace_space* space) {
    free(space->maps);
    *space = (struct backtrace_space){};
}

// What was loaded there: the region below the root that has the address, under the name of the
// first memory mapped in it.
static const char* find_module(const struct backtrace_space* space, uint64_t pc, uint64_t* base) {
    const zx_info_maps_t* module = nullptr;
    for (size_t i = 0; i < space->count; i++) {
        const zx_info_maps_t* m = &space->maps[i];
        if (m->depth == 2) { // below the address space and its root region
            if (module != nullptr) {
                break;
            }
            module = pc - m->base < m->size ? m : nullptr;
        }
        if (module != nullptr && m->type == ZX_INFO_MAPS_TYPE_MAPPING) {
            *base = module->base;
            return m->name[0] != '\0' ? m->name : "?";
        }
    }
    *base = 0;
    return "?";
}

static void report(const struct backtrace_space* space, uint32_t index, uint64_t pc,
                   backtrace_frame_fn frame, void* ctx) {
    uint64_t base;
    char name[ZX_MAX_NAME_LEN] = "";
    const char* module = find_module(space, pc, &base);
    memcpy(name, module, strnlen(module, sizeof(name) - 1));
    for (char* c = name; *c != '\0'; c++) {
        *c = *c > ' ' && *c <= '~' && *c != ':' && *c != '}' ? *c : '?';
    }
    frame(ctx, index, pc - base, name);
}

void backtrace_walk(const struct backtrace_space* space,
                    const zx_x86_64_thread_state_general_regs_t* regs, backtrace_frame_fn frame,
                    void* ctx) {
    report(space, 0, regs->rip, frame, ctx);
    uint64_t at = regs->rbp;
    for (uint32_t i = 1; i < BACKTRACE_FRAMES_MAX; i++) {
        uint64_t words[2]; // the caller's frame, and where it goes on
        size_t got = 0;
        if (at % sizeof(uint64_t) != 0 ||
            zx_process_read_memory(space->process, at, words, sizeof(words), &got) != ZX_OK ||
            got != sizeof(words) || words[1] == 0) {
            return;
        }
        report(space, i, words[1], frame, ctx);
        if (words[0] <= at) {
            return; // stacks grow downwards: not a frame
        }
        at = words[0];
    }
}
