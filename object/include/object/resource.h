// Resources: authority over a range of something the kernel hands out by number: physical
// addresses, interrupt lines, I/O ports, system services.
//
// The kernel makes one root resource per kind at boot and gives them to userboot; everything else
// is cut out of those. An EXCLUSIVE resource overlaps no other resource of its kind but the roots.
#pragma once

#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>

#include <object/object.h>

struct resource;

// The whole range of a kind. Boot only.
status_t resource_create_root(zx_rsrc_kind_t kind, uint64_t base, uint64_t size, const char* name,
                              struct resource** out);
// ACCESS_DENIED: another kind or not inside the parent; NOT_FOUND: EXCLUSIVE is in the way;
// INVALID_ARGS: the range wraps or is empty; NO_RESOURCES: a part of a part, 32 times; NO_MEMORY.
status_t resource_create(struct resource* parent, uint32_t options, uint64_t base, uint64_t size,
                         const char* name, size_t name_len, struct resource** out);
[[nodiscard]] struct resource* resource_from_object(struct object* o);
struct object* resource_object(struct resource* r);

// Whether it grants [base, base + size) of `kind`: WRONG_TYPE for another kind, OUT_OF_RANGE
// outside its range.
status_t resource_check(const struct resource* r, zx_rsrc_kind_t kind, uint64_t base,
                        uint64_t size);
void resource_get_info(const struct resource* r, zx_info_resource_t* out);
