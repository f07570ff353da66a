// Between the parts of the launcher.
#pragma once

#include <elf/plan.h>
#include <launcher/launcher.h>
#include <launcher/map.h>

constexpr zx_vaddr_t launch_address_min = 0x200000; // lowest of the root region
constexpr uint64_t launch_page_len = 4096;

#define LAUNCH_GOOD ((struct launch_result){})

static inline struct launch_result launch_failure(launch_error_t error, zx_status_t status) {
    return (struct launch_result){.error = error, .status = status};
}

// `status` as the result of a step that `error` names.
static inline struct launch_result launch_step(launch_error_t error, zx_status_t status) {
    return status == ZX_OK ? LAUNCH_GOOD : launch_failure(error, status);
}

// How much of a file that is read is in memory of our own at a time.
constexpr size_t launch_chunk_len = 16 * 1024;

// Plans a file that has a callback and no VMO, and makes it one (copy.c). *out is the caller's.
struct launch_result launch_copy(const struct launch_request* request,
                                 const struct launch_file* from, const struct elf_rules* rules,
                                 launch_error_t error, struct elf_plan* plan, zx_handle_t* out);

struct launch_result launch_map_vdso(zx_handle_t root, const struct launch_vdso* vdso,
                                     zx_vaddr_t* base);

struct launch_stack {
    zx_handle_t vmo;
    uint64_t len;
    zx_vaddr_t top;
};
struct launch_result launch_make_stack(zx_handle_t root, uint64_t len, struct launch_stack* out);

// What a LINUX program finds on its stack.
struct launch_linux_image {
    const struct elf_plan* plan;
    const struct launch_image* image;
    zx_vaddr_t interpreter_base; // 0: none
    zx_vaddr_t vdso_base;
};
struct launch_result launch_fill_linux_stack(const struct launch_request* request,
                                             const struct launch_linux_image* linux_image,
                                             const struct launch_stack* stack, zx_vaddr_t* sp);

// The bootstrap messages. `own` handles are duplicated into the message, those of the request move.
struct launch_message {
    const struct launch_handle* own;
    uint32_t own_count;
    struct launch_handle* moved;
    uint32_t moved_count;
    const struct launch_request* strings; // args, environ, names
};
struct launch_result launch_send(zx_handle_t channel, const struct launch_message* message);

void launch_set_name(zx_handle_t handle, const char* name);
void launch_close_handles(struct launch_handle* handles, uint32_t count);
