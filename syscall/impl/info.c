// zx_object_get_info: one table of topics. The wrapper has checked type and rights
// (syscall/defs/object.def).
//
// A topic of one record fills a block that the kernel copies out once; a list copies record by
// record or in one array, and counts what there is beyond the buffer.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <zircon/syscalls/exception.h>
#include <zircon/syscalls/object.h>

#include <lib/bits.h>
#include <lib/string.h>
#include <object/bti.h>
#include <object/handle_table.h>
#include <object/interrupt.h>
#include <object/job.h>
#include <object/process.h>
#include <object/resource.h>
#include <object/socket.h>
#include <object/stream.h>
#include <object/thread_object.h>
#include <object/timer_object.h>
#include <object/vmo_object.h>
#include <vm/aspace.h>
#include <vm/heap.h>
#include <vm/pmm.h>
#include <vm/reclaim.h>
#include <vm/vmar.h>
#include <vm/vmo.h>

// ---- single records ----

union record {
    zx_info_handle_count_t handle_count;
    zx_info_process_t process;
    zx_info_job_t job;
    zx_info_thread_t thread;
    zx_info_thread_stats_t thread_stats;
    zx_exception_report_t exception_report;
    zx_info_task_stats_t task_stats;
    zx_info_task_runtime_t task_runtime;
    zx_info_vmar_t vmar;
    zx_info_vmo_t vmo;
    zx_info_paging_t paging;
    zx_info_timer_t timer;
    zx_info_resource_t resource;
    zx_info_bti_t bti;
    zx_info_msi_t msi;
    zx_info_interrupt_t interrupt;
    zx_info_kmem_stats_t kmem;
    zx_info_process_handle_stats_t handle_stats;
    zx_info_socket_t socket;
    zx_info_stream_t stream;
};

static status_t fill_handle_count(struct object* o, zx_rights_t, union record* r) {
    r->handle_count.handle_count = atomic_load_explicit(&o->handles, memory_order_relaxed);
    return STATUS_OK;
}

static status_t fill_process(struct object* o, zx_rights_t, union record* r) {
    process_get_info(process_from_object(o), &r->process);
    return STATUS_OK;
}

static status_t fill_job(struct object* o, zx_rights_t, union record* r) {
    job_get_info(job_from_object(o), &r->job);
    return STATUS_OK;
}

static status_t fill_thread(struct object* o, zx_rights_t, union record* r) {
    thread_object_get_info(thread_from_object(o), &r->thread);
    return STATUS_OK;
}

static status_t fill_thread_stats(struct object* o, zx_rights_t, union record* r) {
    struct thread_object* t = thread_from_object(o);
    r->thread_stats = (zx_info_thread_stats_t){.total_runtime = thread_object_runtime_ns(t),
                                               .last_scheduled_cpu = thread_object_last_cpu(t)};
    return STATUS_OK;
}

static status_t fill_exception_report(struct object* o, zx_rights_t, union record* r) {
    struct process* p = process_from_object(o);
    return p != nullptr
               ? process_fatal_exception(p, &r->exception_report)
               : thread_object_exception_report(thread_from_object(o), &r->exception_report);
}

static status_t fill_task_stats(struct object* o, zx_rights_t, union record* r) {
    struct aspace_usage usage;
    aspace_get_usage(process_aspace(process_from_object(o)), &usage);
    r->task_stats = (zx_info_task_stats_t){.mem_mapped_bytes = usage.mapped,
                                           .mem_private_bytes = usage.private,
                                           .mem_shared_bytes = usage.shared,
                                           .mem_scaled_shared_bytes = usage.scaled_shared};
    return STATUS_OK;
}

static status_t fill_task_runtime(struct object* o, zx_rights_t, union record* r) {
    struct job* job = job_from_object(o);
    struct process* process = process_from_object(o);
    int64_t ns = job != nullptr       ? job_runtime_ns(job)
                 : process != nullptr ? process_runtime_ns(process)
                                      : thread_object_runtime_ns(thread_from_object(o));
    r->task_runtime = (zx_info_task_runtime_t){.cpu_time = ns};
    return STATUS_OK;
}

static status_t fill_vmar(struct object* o, zx_rights_t, union record* r) {
    struct vmar* v = vmar_from_object(o);
    r->vmar = (zx_info_vmar_t){.base = vmar_base(v), .len = vmar_size(v)};
    return STATUS_OK;
}

static void describe_vmo(struct vmo* v, uint32_t via, zx_rights_t rights, zx_info_vmo_t* out) {
    UNINITIALIZED struct vmo_info info;
    vmo_get_info(v, &info);
    *out = (zx_info_vmo_t){.koid = info.koid,
                           .size_bytes = info.size,
                           .parent_koid = info.parent_koid,
                           .num_children = info.child_count,
                           .num_mappings = info.mapping_count,
                           .share_count = info.share_count,
                           .flags = info.flags | via,
                           .committed_bytes = info.committed,
                           .handle_rights = rights,
                           .cache_policy = info.cache_policy,
                           .populated_bytes = info.populated,
                           .committed_private_bytes = info.private,
                           .populated_private_bytes = info.private,
                           .committed_scaled_bytes = info.scaled,
                           .populated_scaled_bytes = info.scaled};
    memcpy(out->name, info.name, sizeof(out->name));
}

static status_t fill_vmo(struct object* o, zx_rights_t rights, union record* r) {
    describe_vmo(vmo_from_object(o), ZX_INFO_VMO_VIA_HANDLE, rights, &r->vmo);
    return STATUS_OK;
}

static status_t fill_timer(struct object* o, zx_rights_t, union record* r) {
    timer_object_info(timer_from_object(o), &r->timer);
    return STATUS_OK;
}

static status_t fill_socket(struct object* o, zx_rights_t, union record* r) {
    socket_get_info(socket_from_object(o), &r->socket);
    return STATUS_OK;
}

static status_t fill_stream(struct object* o, zx_rights_t, union record* r) {
    stream_get_info(stream_from_object(o), &r->stream);
    return STATUS_OK;
}

static status_t fill_resource(struct object* o, zx_rights_t, union record* r) {
    resource_get_info(resource_from_object(o), &r->resource);
    return STATUS_OK;
}

static status_t fill_bti(struct object* o, zx_rights_t, union record* r) {
    bti_get_info(bti_from_object(o), &r->bti);
    return STATUS_OK;
}

static status_t fill_msi(struct object* o, zx_rights_t, union record* r) {
    msi_get_info(msi_from_object(o), &r->msi);
    return STATUS_OK;
}

static status_t fill_interrupt(struct object* o, zx_rights_t, union record* r) {
    interrupt_get_info(interrupt_from_object(o), &r->interrupt);
    return STATUS_OK;
}

static status_t fill_paging(struct object* o, zx_rights_t, union record* r) {
    TRY(resource_check(resource_from_object(o), ZX_RSRC_KIND_SYSTEM, ZX_RSRC_SYSTEM_INFO_BASE, 1));
    struct reclaim_stats s;
    reclaim_get_stats(&s);
    r->paging = (zx_info_paging_t){.requests = s.asked,
                                   .supplied_pages = s.supplied,
                                   .evicted_pages = s.evicted,
                                   .refaulted_pages = s.refaulted,
                                   .memory_waits = s.waits,
                                   .overtime = s.overtime};
    return STATUS_OK;
}

static status_t fill_kmem(struct object* o, zx_rights_t, union record* r) {
    TRY(resource_check(resource_from_object(o), ZX_RSRC_KIND_SYSTEM, ZX_RSRC_SYSTEM_INFO_BASE, 1));
    struct pmm_stats pmm;
    struct heap_stats heap;
    pmm_get_stats(&pmm);
    heap_get_stats(&heap);
    r->kmem =
        (zx_info_kmem_stats_t){.total_bytes = pmm.total_pages << PAGE_SHIFT,
                               .free_bytes = pmm.free_pages << PAGE_SHIFT,
                               .wired_bytes = pmm.wired_pages << PAGE_SHIFT,
                               .total_heap_bytes = heap.pages << PAGE_SHIFT,
                               .free_heap_bytes = (heap.pages << PAGE_SHIFT) - heap.bytes_in_use,
                               .vmo_bytes = pmm.vmo_pages << PAGE_SHIFT,
                               .mmu_overhead_bytes = pmm.table_pages << PAGE_SHIFT,
                               .slab_bytes = pmm.slab_pages << PAGE_SHIFT,
                               .other_bytes = (pmm.other_pages + pmm.stack_pages) << PAGE_SHIFT};
    return STATUS_OK;
}

static status_t fill_handle_stats(struct object* o, zx_rights_t, union record* r) {
    r->handle_stats = (zx_info_process_handle_stats_t){};
    uint32_t cursor = 0;
    struct handle_info h;
    while (handle_table_next(process_handles(process_from_object(o)), &cursor, &h)) {
        // As many as memory holds: a kill must be able to end this.
        if (thread_killed()) {
            object_unref(h.object);
            return STATUS_INTR_KILLED;
        }
        r->handle_stats.handle_count[h.object->ops->type]++;
        object_unref(h.object);
    }
    return STATUS_OK;
}

// ---- lists ----

struct list_out {
    uint8_t __user* buffer;
    size_t capacity; // records
    size_t record_size;
    size_t copied, available;
};

static status_t list_add(struct list_out* out, const void* record) {
    // A list is as long as some program made it: a kill must be able to end this.
    if (thread_killed()) {
        return STATUS_INTR_KILLED;
    }
    if (out->available++ >= out->capacity) {
        return STATUS_OK;
    }
    uint8_t __user* to = out->buffer + out->copied * out->record_size;
    if (arch_copy_to_user(to, record, out->record_size) != 0) {
        return STATUS_INVALID_ARGS;
    }
    out->copied++;
    return STATUS_OK;
}

typedef size_t (*koids_fn)(struct object* o, uint32_t topic, zx_koid_t* out, size_t max,
                           size_t* avail);

static size_t koids_of(struct object* o, uint32_t topic, zx_koid_t* out, size_t max,
                       size_t* avail) {
    return topic == ZX_INFO_PROCESS_THREADS
               ? process_thread_koids(process_from_object(o), out, max, avail)
               : job_child_koids(job_from_object(o), topic == ZX_INFO_JOB_CHILDREN, out, max,
                                 avail);
}

static status_t list_koids(struct object* o, uint32_t topic, struct list_out* out) {
    size_t avail;
    koids_of(o, topic, nullptr, 0, &avail);
    size_t want = min(avail, out->capacity);
    zx_koid_t* koids = heap_alloc(max(want, (size_t)1) * sizeof(*koids));
    if (koids == nullptr) {
        return STATUS_NO_MEMORY;
    }
    out->copied = koids_of(o, topic, koids, want, &out->available);
    size_t left = arch_copy_to_user(out->buffer, koids, out->copied * sizeof(*koids));
    heap_free(koids);
    return left == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

static void describe_region(const struct region_info* in, uint32_t depth, zx_info_maps_t* out) {
    *out = (zx_info_maps_t){.base = in->base,
                            .size = in->size,
                            .depth = depth + in->depth,
                            .type = in->is_mapping ? ZX_INFO_MAPS_TYPE_MAPPING
                                                   : ZX_INFO_MAPS_TYPE_VMAR};
    memcpy(out->name, in->name, sizeof(out->name));
    if (in->is_mapping) {
        out->u.mapping = (zx_info_maps_mapping_t){.mmu_flags = in->perms,
                                                  .vmo_koid = in->vmo_koid,
                                                  .vmo_offset = in->vmo_offset,
                                                  .committed_bytes = in->committed,
                                                  .populated_bytes = in->populated,
                                                  .committed_private_bytes = in->private,
                                                  .populated_private_bytes = in->private,
                                                  .committed_scaled_bytes = in->scaled,
                                                  .populated_scaled_bytes = in->scaled};
    }
}

static status_t list_regions(struct vmar* v, uint32_t depth, struct list_out* out) {
    struct region_cursor cursor = {};
    UNINITIALIZED struct region_info region;
    while (vmar_report(v, &cursor, &region, 1) == 1) {
        zx_info_maps_t record;
        describe_region(&region, depth, &record);
        TRY(list_add(out, &record));
    }
    return STATUS_OK;
}

static status_t list_process_maps(struct object* o, uint32_t, struct list_out* out) {
    struct aspace* as = process_aspace(process_from_object(o));
    VMAR_REF root = aspace_root(as);
    if (root == nullptr) {
        return STATUS_BAD_STATE;
    }
    zx_info_maps_t whole = {.name = "aspace",
                            .base = vmar_base(root),
                            .size = vmar_size(root),
                            .type = ZX_INFO_MAPS_TYPE_ASPACE};
    TRY(list_add(out, &whole));
    return list_regions(root, 1, out);
}

static status_t list_vmar_maps(struct object* o, uint32_t, struct list_out* out) {
    return list_regions(vmar_from_object(o), 0, out);
}

static status_t list_mapped_vmos(struct aspace* as, struct vmar* root, struct list_out* out) {
    struct region_cursor cursor = {};
    UNINITIALIZED struct region_info region;
    while (vmar_report(root, &cursor, &region, 1) == 1) {
        struct aspace_place place;
        if (!region.is_mapping ||
            aspace_find_vmo(as, region.base, region.size, &place) != STATUS_OK) {
            if (thread_killed()) {
                return STATUS_INTR_KILLED;
            }
            continue;
        }
        VMO_REF v = place.vmo;
        zx_info_vmo_t record;
        describe_vmo(v, ZX_INFO_VMO_VIA_MAPPING, 0, &record);
        TRY(list_add(out, &record));
    }
    return STATUS_OK;
}

static status_t list_vmos(struct object* o, uint32_t, struct list_out* out) {
    struct process* p = process_from_object(o);
    uint32_t cursor = 0;
    struct handle_info h;
    while (handle_table_next(process_handles(p), &cursor, &h)) {
        OBJECT_REF held = h.object;
        struct vmo* v = vmo_from_object(held);
        if (v == nullptr) {
            continue;
        }
        zx_info_vmo_t record;
        describe_vmo(v, ZX_INFO_VMO_VIA_HANDLE, h.rights, &record);
        TRY(list_add(out, &record));
    }
    VMAR_REF root = aspace_root(process_aspace(p));
    return root != nullptr ? list_mapped_vmos(process_aspace(p), root, out) : STATUS_BAD_STATE;
}

static status_t list_handles(struct object* o, uint32_t, struct list_out* out) {
    uint32_t cursor = 0;
    struct handle_info h;
    while (handle_table_next(process_handles(process_from_object(o)), &cursor, &h)) {
        OBJECT_REF held = h.object;
        zx_info_handle_extended_t record = {.type = held->ops->type,
                                            .handle_value = h.value,
                                            .rights = h.rights,
                                            .koid = held->koid,
                                            .related_koid = held->ops->related_koid(held)};
        TRY(list_add(out, &record));
    }
    return STATUS_OK;
}

static status_t list_cpus(struct object* o, uint32_t, struct list_out* out) {
    TRY(resource_check(resource_from_object(o), ZX_RSRC_KIND_SYSTEM, ZX_RSRC_SYSTEM_INFO_BASE, 1));
    for (uint32_t cpu = 0; cpu < arch_cpu_count(); cpu++) {
        struct sched_cpu_info info = sched_cpu_info(cpu);
        bool online = (arch_cpus_online() & bit(cpu)) != 0;
        zx_info_cpu_stats_t record = {.cpu_number = cpu,
                                      .flags = online ? ZX_INFO_CPU_STATS_FLAG_ONLINE : 0,
                                      .idle_time = info.idle_ns,
                                      .context_switches = info.switches};
        TRY(list_add(out, &record));
    }
    return STATUS_OK;
}

// ---- the table ----

struct topic {
    uint32_t topic;
    uint32_t record_size;
    status_t (*fill)(struct object* o, zx_rights_t rights, union record* r); // one record
    status_t (*list)(struct object* o, uint32_t topic, struct list_out* out);
};

static const struct topic topics[] = {
    {ZX_INFO_PROCESS, sizeof(zx_info_process_t), fill_process, nullptr},
    {ZX_INFO_PROCESS_THREADS, sizeof(zx_koid_t), nullptr, list_koids},
    {ZX_INFO_VMAR, sizeof(zx_info_vmar_t), fill_vmar, nullptr},
    {ZX_INFO_JOB_CHILDREN, sizeof(zx_koid_t), nullptr, list_koids},
    {ZX_INFO_JOB_PROCESSES, sizeof(zx_koid_t), nullptr, list_koids},
    {ZX_INFO_THREAD, sizeof(zx_info_thread_t), fill_thread, nullptr},
    {ZX_INFO_THREAD_EXCEPTION_REPORT, sizeof(zx_exception_report_t), fill_exception_report,
     nullptr},
    {ZX_INFO_TASK_STATS, sizeof(zx_info_task_stats_t), fill_task_stats, nullptr},
    {ZX_INFO_PROCESS_MAPS, sizeof(zx_info_maps_t), nullptr, list_process_maps},
    {ZX_INFO_PROCESS_VMOS, sizeof(zx_info_vmo_t), nullptr, list_vmos},
    {ZX_INFO_THREAD_STATS, sizeof(zx_info_thread_stats_t), fill_thread_stats, nullptr},
    {ZX_INFO_CPU_STATS, sizeof(zx_info_cpu_stats_t), nullptr, list_cpus},
    {ZX_INFO_KMEM_STATS, sizeof(zx_info_kmem_stats_t), fill_kmem, nullptr},
    {ZX_INFO_PAGING, sizeof(zx_info_paging_t), fill_paging, nullptr},
    {ZX_INFO_RESOURCE, sizeof(zx_info_resource_t), fill_resource, nullptr},
    {ZX_INFO_BTI, sizeof(zx_info_bti_t), fill_bti, nullptr},
    {ZX_INFO_MSI, sizeof(zx_info_msi_t), fill_msi, nullptr},
    {ZX_INFO_INTERRUPT, sizeof(zx_info_interrupt_t), fill_interrupt, nullptr},
    {ZX_INFO_HANDLE_COUNT, sizeof(zx_info_handle_count_t), fill_handle_count, nullptr},
    {ZX_INFO_PROCESS_HANDLE_STATS, sizeof(zx_info_process_handle_stats_t), fill_handle_stats,
     nullptr},
    {ZX_INFO_SOCKET, sizeof(zx_info_socket_t), fill_socket, nullptr},
    {ZX_INFO_VMO, sizeof(zx_info_vmo_t), fill_vmo, nullptr},
    {ZX_INFO_JOB, sizeof(zx_info_job_t), fill_job, nullptr},
    {ZX_INFO_TIMER, sizeof(zx_info_timer_t), fill_timer, nullptr},
    {ZX_INFO_STREAM, sizeof(zx_info_stream_t), fill_stream, nullptr},
    {ZX_INFO_HANDLE_TABLE, sizeof(zx_info_handle_extended_t), nullptr, list_handles},
    {ZX_INFO_TASK_RUNTIME, sizeof(zx_info_task_runtime_t), fill_task_runtime, nullptr},
    {ZX_INFO_VMAR_MAPS, sizeof(zx_info_maps_t), nullptr, list_vmar_maps},
};

static const struct topic* find_topic(uint32_t topic) {
    for (size_t i = 0; i < array_size(topics); i++) {
        if (topics[i].topic == topic) {
            return &topics[i];
        }
    }
    return nullptr;
}

// `actual` and `avail` are the wrapper's variables: it copies them out for OK and BUFFER_TOO_SMALL.
static status_t get_one(const struct topic* t, struct object* o, zx_rights_t rights,
                        void __user* buffer, size_t size, size_t* actual, size_t* avail) {
    *actual = 0;
    *avail = 1;
    if (size < t->record_size) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    // Only what is copied out is cleared: the short topics are asked often.
    UNINITIALIZED union record record;
    memset(&record, 0, t->record_size);
    TRY(t->fill(o, rights, &record));
    if (arch_copy_to_user(buffer, &record, t->record_size) != 0) {
        return STATUS_INVALID_ARGS;
    }
    *actual = 1;
    return STATUS_OK;
}

// What everybody asks of everything, without a way through the table.
static status_t get_handle_basic(struct object* o, zx_rights_t rights, void __user* buffer,
                                 size_t size, size_t* actual, size_t* avail) {
    *actual = 0;
    *avail = 1;
    if (size < sizeof(zx_info_handle_basic_t)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    *actual = 1; // written only if the call succeeds
    const zx_info_handle_basic_t basic = {.koid = o->koid,
                                          .rights = rights,
                                          .type = o->ops->type,
                                          .related_koid = o->ops->related_koid(o)};
    return arch_copy_to_user(buffer, &basic, sizeof(basic)) == 0 ? STATUS_OK : STATUS_INVALID_ARGS;
}

static NOINLINE status_t get_topic(struct object* o, zx_rights_t rights, uint32_t topic,
                                   void __user* buffer, size_t buffer_size, size_t* actual,
                                   size_t* avail) {
    const struct topic* t = find_topic(topic);
    if (t == nullptr) {
        return STATUS_NOT_SUPPORTED;
    }
    if (t->fill != nullptr) {
        return get_one(t, o, rights, buffer, buffer_size, actual, avail);
    }
    struct list_out out = {
        .buffer = buffer, .capacity = buffer_size / t->record_size, .record_size = t->record_size};
    status_t status = t->list(o, topic, &out);
    *actual = out.copied;
    *avail = out.available;
    return status;
}

status_t sys_object_get_info(struct object* o, zx_rights_t rights, uint32_t topic,
                             void __user* buffer, size_t buffer_size, size_t* actual,
                             size_t* avail) {
    if (likely(topic == ZX_INFO_HANDLE_BASIC)) {
        return get_handle_basic(o, rights, buffer, buffer_size, actual, avail);
    }
    if (topic == ZX_INFO_HANDLE_VALID) {
        *actual = *avail = 0;
        return STATUS_OK;
    }
    return get_topic(o, rights, topic, buffer, buffer_size, actual, avail);
}
