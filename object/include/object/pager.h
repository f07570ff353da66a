// Pagers: programs that give VMOs their pages. The requests themselves are <vm/page_source.h>'s.
#pragma once

#include <zircon/types.h>

#include <object/object.h>

struct pager;
struct port;
struct vmo;

status_t pager_create(struct pager** out);
[[nodiscard]] struct pager* pager_from_object(struct object* o);
struct object* pager_object(struct pager* p);

// A VMO whose pages are asked for by packets with `key` to the port. RESIZABLE, TRAP_DIRTY.
status_t pager_create_vmo(struct pager* p, uint32_t options, struct port* port, uint64_t key,
                          uint64_t size, struct vmo** out);
// Whether a VMO's pages are this pager's to give.
bool pager_owns(const struct pager* p, const struct vmo* v);
