// The address space of a process: regions and mappings, with what of them is in memory.
#include <stdio.h>
#include <stdlib.h>

#include <tasks/tasks.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include "tool.h"
#include "tools.h"

static const char* kind_of(zx_info_maps_type_t type) {
    switch (type) {
    case ZX_INFO_MAPS_TYPE_ASPACE:
        return "aspace";
    case ZX_INFO_MAPS_TYPE_VMAR:
        return "region";
    case ZX_INFO_MAPS_TYPE_MAPPING:
        return "mapping";
    default:
        return "?";
    }
}

static void print_node(const zx_info_maps_t* m) {
    int indent = (int)m->depth;
    printf("%012llx-%012llx %*s%-7s", (unsigned long long)m->base,
           (unsigned long long)(m->base + m->size), indent, "", kind_of(m->type));
    if (m->type == ZX_INFO_MAPS_TYPE_MAPPING) {
        const zx_info_maps_mapping_t* map = &m->u.mapping;
        printf(" %c%c%c %7lluK in memory %7lluK  vmo %llu+%llx",
               (map->mmu_flags & ZX_VM_PERM_READ) != 0 ? 'r' : '-',
               (map->mmu_flags & ZX_VM_PERM_WRITE) != 0 ? 'w' : '-',
               (map->mmu_flags & ZX_VM_PERM_EXECUTE) != 0 ? 'x' : '-',
               (unsigned long long)m->size / 1024, (unsigned long long)map->committed_bytes / 1024,
               (unsigned long long)map->vmo_koid, (unsigned long long)map->vmo_offset);
    }
    char name[ZX_MAX_NAME_LEN];
    for (size_t i = 0; i < sizeof(name); i++) {
        char ch = i < sizeof(name) - 1 ? m->name[i] : '\0';
        name[i] = ch == '\0' || (ch >= ' ' && ch <= '~') ? ch : '?';
    }
    printf("  %s\n", name);
}

int vmaps_main(int argc, char** argv) {
    static const char usage[] = "vmaps KOID";
    int code;
    if (!tool_takes(1, argc, argv, usage,
                    "FROM-TO, indented below what it is part of; a mapping's rights, its size and "
                    "how much of it is in\n"
                    "memory, the VMO and the offset that it shows, and the VMO's name.",
                    &code)) {
        return code;
    }
    zx_handle_t process;
    void* list = nullptr;
    size_t count = 0;
    zx_status_t status = tool_find_process(argv[1], &process);
    if (status == ZX_OK) {
        status = tasks_list(process, ZX_INFO_PROCESS_MAPS, sizeof(zx_info_maps_t), &list, &count);
    }
    if (status != ZX_OK) {
        return tool_failed("vmaps", argv[1], status);
    }
    const zx_info_maps_t* maps = list;
    uint64_t mapped = 0;
    uint64_t committed = 0;
    for (size_t i = 0; i < count; i++) {
        print_node(&maps[i]);
        if (maps[i].type == ZX_INFO_MAPS_TYPE_MAPPING) {
            mapped += maps[i].size;
            committed += maps[i].u.mapping.committed_bytes;
        }
    }
    printf("%lluK mapped, %lluK of it in memory\n", (unsigned long long)mapped / 1024,
           (unsigned long long)committed / 1024);
    return 0;
}
