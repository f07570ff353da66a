// VMOs and VMARs as handles: the objects that stand for vm's struct vmo and struct vmar.
#pragma once

#include <object/object.h>

struct vmar;
struct vmo;
struct vmo_object;
struct vmar_object;

// Takes over the reference to `v` on success. NO_MEMORY. The object is the VMO's owner:
// ZERO_CHILDREN follows the number of its children.
status_t vmo_object_create(struct vmo* v, struct object** out);
struct vmo*
vmo_from_object(struct object* o); // the object's reference keeps it; null: another type

// Takes over the reference to `v` on success.
status_t vmar_object_create(struct vmar* v, struct object** out);
struct vmar* vmar_from_object(struct object* o);

// Rights of a VMAR handle for a region that may be mapped with these ZX_VM_PERM_*.
zx_rights_t vmar_rights_for(uint32_t can_map);
// ZX_VM_PERM_* that a handle with these rights allows.
uint32_t perms_of_rights(zx_rights_t rights);
