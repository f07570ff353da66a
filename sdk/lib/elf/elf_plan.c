// The layout planner.
//
// One pass over the program headers: PT_LOADs become segments at once, the single ones (PT_INTERP
// and so on) are remembered. Then, with all segments known, the single ones are checked against
// them. Exact byte ranges of the PT_LOADs are kept beside the page-rounded segments, because "in a
// segment" means the bytes that the file or its bss provides, not the padding of a page.
#include <elf/plan.h>

#include <stdckdint.h>

#include "elf_format.h"
#include "elf_headers.h"

// What only one header of a file may say.
typedef enum single : uint8_t {
    SINGLE_DYNAMIC,
    SINGLE_INTERP,
    SINGLE_PHDR,
    SINGLE_TLS,
    SINGLE_STACK,
    SINGLE_RELRO,
    SINGLE_COUNT,
} single_t;

struct load { // a PT_LOAD in bytes
    uint64_t vaddr;
    uint64_t offset;
    uint64_t file_len;
    uint64_t mem_len;
    uint8_t permissions;
};

struct planner {
    struct elf_headers headers;
    const struct elf_rules* rules;
    struct elf_plan* plan;
    bool seen[SINGLE_COUNT];
    uint32_t header_index[SINGLE_COUNT];
    struct elf_phdr singles[SINGLE_COUNT];
    struct load loads[elf_segment_count_max];
};

static inline uint64_t page_down(uint64_t value) {
    return value & ~(elf_page_len - 1);
}

static inline bool page_up(uint64_t value, uint64_t* out) {
    uint64_t sum;
    if (ckd_add(&sum, value, elf_page_len - 1)) {
        return false;
    }
    *out = page_down(sum);
    return true;
}

// Whether [vaddr, vaddr + len) lies in the limit bytes from start; nothing here can overflow.
static inline bool range_in(uint64_t vaddr, uint64_t len, uint64_t start, uint64_t limit) {
    return vaddr >= start && vaddr - start <= limit && len <= limit - (vaddr - start);
}

struct elf_rules elf_rules_native(elf_machine_t machine, uint64_t address_end) {
    return (struct elf_rules){
        .machine = machine,
        .require_entry = true,
        .address_end = page_down(address_end),
    };
}

struct elf_rules elf_rules_linux(elf_machine_t machine, uint64_t address_min,
                                 uint64_t address_end) {
    return (struct elf_rules){
        .machine = machine,
        .allow_fixed = true,
        .allow_write_exec = true,
        .allow_exec_stack = true,
        .require_entry = true,
        .address_min = address_min,
        .address_end = page_down(address_end),
    };
}

static bool align_ok(uint64_t align) {
    return (align & (align - 1)) == 0 && align <= elf_align_max; // 0 and 1: none
}

// Everything a PT_LOAD must satisfy by itself. *end is the page-rounded end of its memory.
static elf_error_t load_check(const struct planner* planner, const struct elf_phdr* phdr,
                              uint64_t* end) {
    const struct elf_rules* rules = planner->rules;
    if (!align_ok(phdr->align)) {
        return ELF_SEGMENT_ALIGNMENT;
    }
    if (phdr->filesz > phdr->memsz) {
        return ELF_SEGMENT_FILE_SIZE;
    }
    if (phdr->filesz > 0) {
        uint64_t file_end;
        uint64_t pages_end; // what is mapped must have an end that can be told, too
        if (ckd_add(&file_end, phdr->offset, phdr->filesz) ||
            file_end > planner->headers.file->len || !page_up(file_end, &pages_end)) {
            return ELF_SEGMENT_OUTSIDE_FILE;
        }
        if ((phdr->vaddr - phdr->offset) % elf_page_len != 0) {
            return ELF_SEGMENT_MISALIGNED;
        }
    }
    uint64_t mem_end;
    if (ckd_add(&mem_end, phdr->vaddr, phdr->memsz) || !page_up(mem_end, end) ||
        *end > rules->address_end) {
        return ELF_SEGMENT_ADDRESS;
    }
    if (planner->plan->fixed && phdr->vaddr < rules->address_min) {
        return ELF_SEGMENT_ADDRESS;
    }
    uint32_t write_exec = ELF_WRITE | ELF_EXECUTE;
    if ((phdr->flags & write_exec) == write_exec && !rules->allow_write_exec) {
        return ELF_SEGMENT_WRITE_EXEC;
    }
    return ELF_OK;
}

static elf_error_t order_check(const struct planner* planner, const struct elf_phdr* phdr) {
    uint32_t count = planner->plan->segment_count;
    if (count == 0) {
        return ELF_OK;
    }
    const struct load* previous = &planner->loads[count - 1];
    if (phdr->vaddr < previous->vaddr) {
        return ELF_SEGMENT_ORDER;
    }
    uint64_t previous_end = previous->vaddr + previous->mem_len;
    if (phdr->vaddr < previous_end) {
        return ELF_SEGMENT_OVERLAP;
    }
    uint64_t previous_last_page = page_down(previous_end - 1);
    return page_down(phdr->vaddr) <= previous_last_page ? ELF_SEGMENT_SHARED_PAGE : ELF_OK;
}

// The pages of a checked PT_LOAD; `end` is the page-rounded end of its memory.
static struct elf_segment segment_make(const struct elf_phdr* phdr, uint64_t end) {
    struct elf_segment segment = {
        .vaddr = page_down(phdr->vaddr),
        .permissions = phdr->flags & (ELF_READ | ELF_WRITE | ELF_EXECUTE),
    };
    uint64_t anon_start = segment.vaddr;
    if (phdr->filesz > 0) {
        uint64_t file_end = phdr->vaddr + phdr->filesz;
        anon_start = page_down(file_end + elf_page_len - 1);
        segment.file_offset = page_down(phdr->offset);
        segment.file_len = anon_start - segment.vaddr;
        if (phdr->memsz > phdr->filesz) {
            segment.zero_from = (uint32_t)(file_end % elf_page_len);
        }
        segment.copy = (phdr->flags & ELF_WRITE) != 0 || segment.zero_from != 0;
    }
    segment.anon_len = end - anon_start;
    return segment;
}

static elf_error_t load_add(struct planner* planner, const struct elf_phdr* phdr) {
    struct elf_plan* plan = planner->plan;
    uint64_t end;
    elf_error_t error = load_check(planner, phdr, &end);
    if (error != ELF_OK || phdr->memsz == 0) {
        return error; // an empty segment is no segment
    }
    error = order_check(planner, phdr);
    if (error != ELF_OK) {
        return error;
    }
    if (plan->segment_count == elf_segment_count_max) {
        return ELF_TOO_MANY_SEGMENTS;
    }
    uint32_t index = plan->segment_count++;
    plan->segments[index] = segment_make(phdr, end);
    planner->loads[index] = (struct load){
        .vaddr = phdr->vaddr,
        .offset = phdr->offset,
        .file_len = phdr->filesz,
        .mem_len = phdr->memsz,
        .permissions = plan->segments[index].permissions,
    };
    plan->align = phdr->align > plan->align ? phdr->align : plan->align;
    plan->write_exec |= (phdr->flags & ELF_WRITE) != 0 && (phdr->flags & ELF_EXECUTE) != 0;
    return ELF_OK;
}

// Which single header this type is; SINGLE_COUNT if it is none that matters.
static single_t single_of_type(uint32_t type) {
    switch (type) {
    case PHDR_DYNAMIC:
        return SINGLE_DYNAMIC;
    case PHDR_INTERP:
        return SINGLE_INTERP;
    case PHDR_PHDR:
        return SINGLE_PHDR;
    case PHDR_TLS:
        return SINGLE_TLS;
    case PHDR_GNU_STACK:
        return SINGLE_STACK;
    case PHDR_GNU_RELRO:
        return SINGLE_RELRO;
    default:
        return SINGLE_COUNT;
    }
}

static elf_error_t headers_collect(struct planner* planner) {
    for (uint32_t i = 0; i < planner->headers.ehdr.phnum; i++) {
        planner->plan->error_header = i;
        struct elf_phdr phdr;
        elf_error_t error = elf_headers_get(&planner->headers, i, &phdr);
        if (error == ELF_OK && phdr.type == PHDR_LOAD) {
            error = load_add(planner, &phdr);
        }
        if (error != ELF_OK) {
            return error;
        }
        single_t single = single_of_type(phdr.type);
        if (single == SINGLE_COUNT) {
            continue;
        }
        if (planner->seen[single]) {
            return ELF_DUPLICATE_HEADER;
        }
        planner->seen[single] = true;
        planner->header_index[single] = i;
        planner->singles[single] = phdr;
    }
    return planner->plan->segment_count > 0 ? ELF_OK : ELF_NO_SEGMENTS;
}

// The PT_LOAD whose memory holds the range; null if none does.
static const struct load* load_holding(const struct planner* planner, uint64_t vaddr,
                                       uint64_t len) {
    for (uint32_t i = 0; i < planner->plan->segment_count; i++) {
        const struct load* load = &planner->loads[i];
        if (range_in(vaddr, len, load->vaddr, load->mem_len)) {
            return load;
        }
    }
    return nullptr;
}

// The same for the part of its memory that comes from the file.
static bool file_part_holds(const struct planner* planner, uint64_t vaddr, uint64_t len) {
    const struct load* load = load_holding(planner, vaddr, len);
    return load != nullptr && range_in(vaddr, len, load->vaddr, load->file_len);
}

static void span_set(struct planner* planner) {
    struct elf_plan* plan = planner->plan;
    const struct elf_segment* last = &plan->segments[plan->segment_count - 1];
    plan->base = plan->segments[0].vaddr & ~(plan->align - 1);
    if (plan->fixed) {
        // Nothing moves, so nothing needs aligning: do not claim addresses below the first page.
        plan->base = plan->segments[0].vaddr;
        plan->align = elf_page_len;
    }
    plan->span_len = last->vaddr + last->file_len + last->anon_len - plan->base;
}

static elf_error_t entry_set(struct planner* planner) {
    struct elf_plan* plan = planner->plan;
    plan->entry = planner->headers.ehdr.entry;
    if (plan->entry == 0 && !planner->rules->require_entry) {
        return ELF_OK;
    }
    const struct load* load = load_holding(planner, plan->entry, 1);
    return load != nullptr && (load->permissions & ELF_EXECUTE) != 0 ? ELF_OK : ELF_ENTRY_OUTSIDE;
}

static elf_error_t interp_set(struct planner* planner, const struct elf_phdr* phdr) {
    struct elf_plan* plan = planner->plan;
    uint64_t len = phdr->filesz;
    uint64_t end;
    if (len < 2 || len > sizeof(plan->interp) || ckd_add(&end, phdr->offset, len) ||
        end > planner->headers.file->len) {
        return ELF_BAD_INTERP;
    }
    elf_error_t error = elf_read_exact(planner->headers.file, phdr->offset, plan->interp,
                                       (size_t)len, &planner->headers.io_status);
    if (error != ELF_OK) {
        return error;
    }
    for (uint64_t i = 0; i < len; i++) {
        if ((plan->interp[i] == '\0') != (i == len - 1)) {
            return ELF_BAD_INTERP;
        }
    }
    plan->interp_len = (uint32_t)len - 1;
    return ELF_OK;
}

static elf_error_t dynamic_set(struct planner* planner, const struct elf_phdr* phdr) {
    if (phdr->vaddr % 8 != 0 || phdr->memsz < 16 || phdr->memsz % 16 != 0 ||
        !file_part_holds(planner, phdr->vaddr, phdr->memsz)) {
        return ELF_BAD_DYNAMIC;
    }
    planner->plan->dynamic = (struct elf_range){.vaddr = phdr->vaddr, .len = phdr->memsz};
    return ELF_OK;
}

static elf_error_t tls_set(struct planner* planner, const struct elf_phdr* phdr) {
    struct elf_plan* plan = planner->plan;
    // The zero part may lie outside every segment: it exists only in the threads' copies.
    if (!align_ok(phdr->align) || phdr->filesz > phdr->memsz ||
        phdr->memsz > planner->rules->address_end ||
        (phdr->filesz > 0 && !file_part_holds(planner, phdr->vaddr, phdr->filesz))) {
        return ELF_BAD_TLS;
    }
    plan->has_tls = true;
    plan->tls = (struct elf_range){.vaddr = phdr->vaddr, .len = phdr->filesz};
    plan->tls_len = phdr->memsz;
    plan->tls_align = phdr->align > 1 ? phdr->align : 1;
    return ELF_OK;
}

static elf_error_t relro_set(struct planner* planner, const struct elf_phdr* phdr) {
    // Linkers round the end up to a page, which may be past the segment's bytes but not its pages.
    for (uint32_t i = 0; i < planner->plan->segment_count; i++) {
        const struct elf_segment* segment = &planner->plan->segments[i];
        uint64_t len = segment->file_len + segment->anon_len;
        if (!range_in(phdr->vaddr, phdr->memsz, segment->vaddr, len) || phdr->memsz == 0) {
            continue;
        }
        if ((segment->permissions & ELF_WRITE) == 0) {
            return ELF_BAD_RELRO;
        }
        uint64_t start = page_down(phdr->vaddr);
        uint64_t end = page_down(phdr->vaddr + phdr->memsz);
        planner->plan->relro = (struct elf_range){.vaddr = start, .len = end - start};
        return ELF_OK;
    }
    return phdr->memsz == 0 ? ELF_OK : ELF_BAD_RELRO;
}

static elf_error_t stack_set(struct planner* planner, const struct elf_phdr* phdr) {
    planner->plan->stack_len = phdr->memsz;
    planner->plan->exec_stack = (phdr->flags & ELF_EXECUTE) != 0;
    return planner->plan->exec_stack && !planner->rules->allow_exec_stack ? ELF_EXEC_STACK : ELF_OK;
}

static elf_error_t phdr_check(struct planner* planner, const struct elf_phdr* phdr) {
    return phdr->vaddr == planner->plan->headers_vaddr && phdr->vaddr != 0 ? ELF_OK : ELF_BAD_PHDR;
}

// Where the table is in memory, if a segment maps all of it.
static void headers_locate(struct planner* planner) {
    const struct elf_ehdr* ehdr = &planner->headers.ehdr;
    uint64_t len = (uint64_t)ehdr->phnum * elf_phdr_len;
    for (uint32_t i = 0; i < planner->plan->segment_count; i++) {
        const struct load* load = &planner->loads[i];
        if (range_in(ehdr->phoff, len, load->offset, load->file_len)) {
            planner->plan->headers_vaddr = load->vaddr + (ehdr->phoff - load->offset);
            return;
        }
    }
}

static elf_error_t single_set(struct planner* planner, single_t single) {
    const struct elf_phdr* phdr = &planner->singles[single];
    switch (single) {
    case SINGLE_DYNAMIC:
        return dynamic_set(planner, phdr);
    case SINGLE_INTERP:
        return interp_set(planner, phdr);
    case SINGLE_PHDR:
        return phdr_check(planner, phdr);
    case SINGLE_TLS:
        return tls_set(planner, phdr);
    case SINGLE_STACK:
        return stack_set(planner, phdr);
    case SINGLE_RELRO:
        return relro_set(planner, phdr);
    case SINGLE_COUNT:
        break;
    }
    return ELF_OK;
}

static elf_error_t singles_set(struct planner* planner) {
    for (uint32_t i = 0; i < SINGLE_COUNT; i++) {
        if (!planner->seen[i]) {
            continue;
        }
        planner->plan->error_header = planner->header_index[i];
        elf_error_t error = single_set(planner, (single_t)i);
        if (error != ELF_OK) {
            return error;
        }
    }
    return ELF_OK;
}

static elf_error_t plan_fill(struct planner* planner) {
    elf_error_t error = headers_collect(planner);
    if (error != ELF_OK) {
        return error;
    }
    span_set(planner);
    headers_locate(planner);
    error = singles_set(planner);
    return error != ELF_OK ? error : entry_set(planner);
}

elf_error_t elf_plan_make(const struct elf_file* file, const struct elf_rules* rules,
                          struct elf_plan* plan) {
    // Kilobytes of which a file uses little: what is not set here is written before it is read.
    __builtin_memset(plan, 0, offsetof(struct elf_plan, interp));
    plan->align = elf_page_len;
    plan->interp[0] = '\0';
    __attribute__((uninitialized)) struct planner planner;
    planner.rules = rules;
    planner.plan = plan;
    for (uint32_t i = 0; i < SINGLE_COUNT; i++) {
        planner.seen[i] = false;
    }
    elf_error_t error = elf_headers_open(&planner.headers, file, rules);
    if (error == ELF_OK) {
        plan->fixed = planner.headers.ehdr.type == ELF_TYPE_EXEC;
        plan->header_count = planner.headers.ehdr.phnum;
        error = plan_fill(&planner);
    }
    plan->io_status = planner.headers.io_status;
    return error;
}
