#include <backtrace/backtrace.h>

#include <stdlib.h>
#include <string.h>

#include <symbols/symbols.h>
#include <zircon/syscalls.h>

#include "reader.h"

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
        free(space->maps);
        return status;
    }
    reader_begin(process);
    return ZX_OK;
}

bool backtrace_end(struct backtrace_space* space) {
    free(space->maps);
    *space = (struct backtrace_space){};
    return reader_end();
}

// ---- modules ----

static bool is_mapping(const zx_info_maps_t* m) {
    return m->type == ZX_INFO_MAPS_TYPE_MAPPING;
}

static const char* name_of(const zx_info_maps_t* m) {
    return m->name[0] != '\0' ? m->name : "?";
}

static bool begins_image(uint64_t at) {
    static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};
    uint8_t bytes[4];
    return reader_read(at, bytes, sizeof(bytes)) == sizeof(bytes) &&
           memcmp(bytes, magic, sizeof(magic)) == 0;
}

// What the dynamic linker maps lies in the root region, one mapping behind the other: the image
// begins with the nearest one before that begins as an image does. If there is none among a few,
// the mapping stands for itself.
static uint64_t image_before(const struct backtrace_space* space, size_t index) {
    constexpr size_t pieces_max = 32; // an image has a handful
    const zx_info_maps_t* last = &space->maps[index];
    const zx_info_maps_t* m = last;
    for (size_t i = 0; i < pieces_max; i++, m--) {
        if (begins_image(m->base)) {
            return m->base;
        }
        if (m == space->maps || !is_mapping(m - 1) || m[-1].depth != m->depth ||
            m[-1].base + m[-1].size != m->base) {
            break;
        }
    }
    return last->base;
}

// What the launcher maps has a region below the root, which bears the name of the first memory
// that is mapped in it.
static const char* name_of_region(const struct backtrace_space* space, size_t index) {
    for (index++; index < space->count && space->maps[index].depth > 2; index++) {
        if (is_mapping(&space->maps[index])) {
            return name_of(&space->maps[index]);
        }
    }
    return "?";
}

static const char* find_module(const struct backtrace_space* space, uint64_t pc, uint64_t* base) {
    for (size_t i = 0; i < space->count; i++) {
        const zx_info_maps_t* m = &space->maps[i];
        if (m->depth != 2 || pc - m->base >= m->size) { // below the address space and its root
            continue;
        }
        *base = is_mapping(m) ? image_before(space, i) : m->base;
        return is_mapping(m) ? name_of(m) : name_of_region(space, i);
    }
    *base = 0;
    return "?";
}

static uint64_t read_build_id(uint64_t base) {
    uint8_t bytes[SYMBOLS_HEADERS_MAX];
    struct symbols_range notes;
    size_t got = reader_read(base, bytes, sizeof(bytes));
    if (!symbols_find_notes(bytes, got, &notes)) {
        return 0;
    }
    size_t len = notes.len < SYMBOLS_NOTES_MAX ? (size_t)notes.len : SYMBOLS_NOTES_MAX;
    got = reader_read(base + notes.offset, bytes, len);
    return symbols_build_id(bytes, got);
}

// ---- frames ----

static void report(struct backtrace_space* space, uint32_t index, uint64_t pc,
                   backtrace_frame_fn frame, void* ctx) {
    uint64_t base;
    char name[ZX_MAX_NAME_LEN] = "";
    const char* module = find_module(space, pc, &base);
    memcpy(name, module, strnlen(module, sizeof(name) - 1));
    for (char* c = name; *c != '\0'; c++) {
        *c = *c > ' ' && *c <= '~' && *c != ':' && *c != '}' ? *c : '?';
    }
    if (base != 0 && base != space->base) {
        space->base = base;
        space->build_id = read_build_id(base);
    }
    struct backtrace_frame f = {.index = index,
                                .offset = pc - base,
                                .module = name,
                                .build_id = base != 0 ? space->build_id : 0};
    frame(ctx, &f);
}

void backtrace_walk(struct backtrace_space* space,
                    const zx_x86_64_thread_state_general_regs_t* regs, backtrace_frame_fn frame,
                    void* ctx) {
    report(space, 0, regs->rip, frame, ctx);
    uint64_t at = regs->rbp;
    for (uint32_t i = 1; i < BACKTRACE_FRAMES_MAX; i++) {
        uint64_t words[2]; // the caller's frame, and where it goes on
        if (at % sizeof(uint64_t) != 0 || reader_read(at, words, sizeof(words)) != sizeof(words) ||
            words[1] == 0) {
            return;
        }
        report(space, i, words[1], frame, ctx);
        if (words[0] <= at) {
            return; // stacks grow downwards: not a frame
        }
        at = words[0];
    }
}
