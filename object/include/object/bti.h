// Memory for devices: IOMMUs, bus transaction initiators (a device each) and pinned memory tokens.
//
// There is no unit to program: the only IOMMU is the dummy, and a device's addresses are physical
// ones. What these objects do is keep pages where a device was told they are.
//
// Quarantine: a token whose handle is closed without unpinning keeps its pages pinned, and itself
// alive, in one list of all. It belongs to the device (the BTI's id), not to the BTI: a driver that
// died took its BTI with it, and the next one, which has stopped the device, names it again.
#pragma once

#include <zircon/syscalls/object.h>

#include <object/object.h>
#include <vm/vmo.h>

struct bti;
struct pmt;

status_t iommu_create(struct object** out); // NO_MEMORY

status_t bti_create(uint64_t id, struct bti** out); // NO_MEMORY
[[nodiscard]] struct bti* bti_from_object(struct object* o);
struct object* bti_object(struct bti* b);
void bti_release_quarantine(struct bti* b);
void bti_get_info(struct bti* b, zx_info_bti_t* out);

// Pins a range of pages, as vmo_pin().
status_t bti_pin(struct bti* b, struct vmo* v, uint64_t offset, uint64_t size,
                 enum vmo_pin_mode mode, struct pmt** out);
[[nodiscard]] struct pmt* pmt_from_object(struct object* o);
struct object* pmt_object(struct pmt* p);
// The end of its last handle will unpin, not quarantine. The caller has the only handle in hand.
void pmt_set_unpinned(struct pmt* p);
