// Interrupts of devices as objects, and blocks of message-signalled ones.
//
// An interrupt is delivered to a waiting thread, or as a packet to the port that it is bound to,
// once; what comes after is one more delivery, after the first was acknowledged. A device's
// interrupt that comes while the one before has not been taken is masked, as is any level-triggered
// one, until the acknowledgement: no device and no driver can keep a CPU in its handler. Lines
// are masked at the I/O controller, messages in the device's MSI-X table or MSI capability (which
// may have no mask bits: then such a device interrupts as often as it likes).
//
//            fires              delivered              acknowledged
//   [idle] --------> [pending] ----------> [unacked] ----------------> [idle], or [pending]
//
// The handler runs in interrupt context, where no object's lock may be taken: it notes the time and
// leaves the rest to deferred work. The end (destroy, or the last handle) masks the source and
// waits for the handler; nothing fires afterwards.
#pragma once

#include <zircon/syscalls/object.h>

#include <object/object.h>

struct interrupt;
struct msi;
struct port;
struct vmo;

// VIRTUAL: `number` does not count. INVALID_ARGS: options, or no such line; NOT_SUPPORTED: the
// controllers do not know the mode; ALREADY_BOUND: the line is somebody's; NO_RESOURCES: vectors.
status_t interrupt_create(uint32_t number, uint32_t options, struct interrupt** out);
[[nodiscard]] struct interrupt* interrupt_from_object(struct object* o);
struct object* interrupt_object(struct interrupt* i);

// As the system calls of these names.
status_t interrupt_bind(struct interrupt* i, struct port* p, uint64_t key);
status_t interrupt_unbind(struct interrupt* i, struct port* p);
status_t interrupt_wait(struct interrupt* i, int64_t* timestamp);
status_t interrupt_ack(struct interrupt* i);
status_t interrupt_trigger(struct interrupt* i, int64_t timestamp);
status_t interrupt_destroy(struct interrupt* i);
void interrupt_get_info(struct interrupt* i, zx_info_interrupt_t* out);

// `count` a power of two, at most MSI_MAX. NO_RESOURCES: no such run of vectors is free.
constexpr uint32_t MSI_MAX = 32;
status_t msi_create(uint32_t count, struct msi** out);
[[nodiscard]] struct msi* msi_from_object(struct object* o);
struct object* msi_object(struct msi* m);
void msi_get_info(struct msi* m, zx_info_msi_t* out);
// Message `id` of the block. `v`, device registers in one piece, has at `offset` the MSI-X table
// (`msi_x`: entry `id` is set up and opened) or the MSI capability. INVALID_ARGS, ALREADY_BOUND.
status_t msi_interrupt_create(struct msi* m, uint32_t id, bool msi_x, struct vmo* v,
                              uint64_t offset, struct interrupt** out);
