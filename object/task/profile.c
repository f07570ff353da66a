// Profiles. See <object/profile.h>. Immutable once made.

#include <object/profile.h>

#include <arch/cpu.h>
#include <object/thread_object.h>
#include <vm/heap.h>

struct profile {
    struct object base;
    uint32_t flags; // ZX_PROFILE_INFO_FLAG_*
    int32_t priority;
    cpu_mask_t cpus;
};

SLAB_CACHE(profile_cache, struct profile);

constexpr uint32_t SUPPORTED = ZX_PROFILE_INFO_FLAG_PRIORITY | ZX_PROFILE_INFO_FLAG_CPU_MASK;
constexpr uint32_t KNOWN = SUPPORTED | ZX_PROFILE_INFO_FLAG_DEADLINE |
                           ZX_PROFILE_INFO_FLAG_NO_INHERIT | ZX_PROFILE_INFO_FLAG_MEMORY_PRIORITY |
                           ZX_PROFILE_INFO_FLAG_CRITICAL;
static_assert(PRIORITY_MAX == ZX_PRIORITY_HIGHEST && PRIORITY_DEFAULT == ZX_PRIORITY_DEFAULT);

static struct profile* profile_of(struct object* o) {
    return container_of(o, struct profile, base);
}

static void profile_free_memory(struct object* o) {
    slab_free(&profile_cache, profile_of(o));
}

static const struct object_ops profile_ops = {
    .type = ZX_OBJ_TYPE_PROFILE,
    .name = "profile",
    .default_rights = ZX_DEFAULT_PROFILE_RIGHTS,
    .waitable = false,
    .on_zero_handles = op_none,
    .destroy = op_none,
    .free_memory = profile_free_memory,
    .related_koid = op_no_related,
    .peer_ref = op_no_peer,
};
OBJECT_TYPE(profile_ops);

static status_t check_deadline(const zx_sched_deadline_params_t* d) {
    bool sensible =
        d->capacity > 0 && d->capacity <= d->relative_deadline && d->relative_deadline <= d->period;
    return sensible ? STATUS_NOT_SUPPORTED : STATUS_OUT_OF_RANGE;
}

static status_t check(const zx_profile_info_t* info) {
    // These three describe one thing in the same bytes.
    constexpr uint32_t ONE_OF = ZX_PROFILE_INFO_FLAG_PRIORITY | ZX_PROFILE_INFO_FLAG_DEADLINE |
                                ZX_PROFILE_INFO_FLAG_MEMORY_PRIORITY;
    uint32_t flags = info->flags;
    uint32_t kinds = flags & ONE_OF;
    if (flags == 0 || (flags & ~KNOWN) != 0 || (kinds & (kinds - 1)) != 0) {
        return STATUS_INVALID_ARGS;
    }
    if ((flags & ZX_PROFILE_INFO_FLAG_DEADLINE) != 0) {
        return check_deadline(&info->deadline_params);
    }
    if (kinds != 0 && (info->priority < 0 || info->priority > PRIORITY_MAX)) {
        return STATUS_OUT_OF_RANGE;
    }
    return (flags & ~SUPPORTED) == 0 ? STATUS_OK : STATUS_NOT_SUPPORTED;
}

status_t profile_create(const zx_profile_info_t* info, struct profile** out) {
    TRY(check(info));
    struct profile* p = slab_alloc(&profile_cache);
    if (p == nullptr) {
        return STATUS_NO_MEMORY;
    }
    object_init(&p->base, &profile_ops, nullptr, 0);
    p->flags = info->flags;
    p->priority = info->priority;
    p->cpus = info->cpu_affinity_mask.mask[0];
    *out = p;
    return STATUS_OK;
}

struct profile* profile_from_object(struct object* o) {
    return o->ops == &profile_ops ? profile_of(o) : nullptr;
}

struct object* profile_object(struct profile* p) {
    return &p->base;
}

status_t profile_apply(const struct profile* p, struct thread_object* t) {
    if ((p->flags & ZX_PROFILE_INFO_FLAG_CPU_MASK) != 0) {
        cpu_mask_t cpus = p->cpus & arch_cpus_online();
        if (cpus == 0) {
            return STATUS_INVALID_ARGS;
        }
        TRY(thread_object_set_affinity(t, cpus));
    }
    if ((p->flags & ZX_PROFILE_INFO_FLAG_PRIORITY) != 0) {
        TRY(thread_object_set_priority(t, p->priority));
    }
    return STATUS_OK;
}
