// The part of a launch that a dynamic linker needs, too: from a file to mapped segments.
#pragma once

#include <stdint.h>

#include <elf/plan.h>
#include <launcher/launcher.h>

constexpr uint64_t launch_address_end = 0x00007ffffffff000;

// Reads a file's headers, by its VMO or its callback. `error` names whose file it is.
struct launch_result launch_plan(const struct launch_file* file, const struct elf_rules* rules,
                                 launch_error_t error, struct elf_plan* plan);

// A mapped image. The region's handle is the caller's.
struct launch_image {
    zx_handle_t region;
    zx_vaddr_t base; // where plan.base is
    uint64_t bias;   // what to add to link-time addresses
};
// Maps every segment of a file with a VMO in a region of its own. On failure no handle stays open;
// mappings that were made die with the process. Of the request only `vmex` is looked at.
struct launch_result launch_map(zx_handle_t root, const struct launch_request* request,
                                const struct launch_file* file, const struct elf_plan* plan,
                                const char* name, struct launch_image* out);
