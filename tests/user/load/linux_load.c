// Loads a program in the launcher's Linux mode, and checks from outside, before its first
// instruction, that its memory is what the files say: linux_load PROGRAM INTERPRETER
//
// The files are read and understood here once more, without the launcher's parser: every page of
// every segment is compared, the gaps between segments must be unmapped, and the stack must be what
// the System V ABI (x86-64, 3.4.1) says. Nothing of the program runs: who answers its system calls
// is still to come.
//
// Value lines say what the load took, before any page was looked at: reads of the disk and their
// bytes, memory of the process's own, growth of the kernel's heap. With a third argument nothing
// else is done: linux_load PROGRAM INTERPRETER load
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fidl/jacinth.block.h>
#include <fidl/jacinth.system.h>
#include <jacinth/namespace.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/process.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

constexpr uint64_t page_len = 4096;
constexpr size_t chunk_len = 64 << 10;
constexpr size_t headers_max = 32;
constexpr size_t maps_max = 256;

struct image {
    const char* path;
    int fd;
    struct launch_file file;
    Elf64_Ehdr header;
    Elf64_Phdr programs[headers_max];
    uint64_t bias;
    size_t gaps, pages;
};

static const char* const args[] = {"first argument", "second"};
static const char* const environment[] = {"HOME=/", "EMPTY="};

static int failures;

// The first few are told; one that goes for every page says enough.
#define CHECK(condition, ...)                               \
    do {                                                    \
        if (!(condition) && failures++ < 20) {              \
            printf("linux_load: not so: %s: ", #condition); \
            printf(__VA_ARGS__);                            \
            printf("\n");                                   \
        }                                                   \
    } while (false)

static void print_value(const char* name, long long value) {
    char line[128];
    const int len = snprintf(line, sizeof(line), "\x1e[value] %s %lld\n", name, value);
    (void)zx_debug_write(line, (size_t)len);
}

static uint64_t page_of(uint64_t address) {
    return address & ~(page_len - 1);
}

static uint64_t page_end(uint64_t address) {
    return page_of(address + page_len - 1);
}

// ---- the files ----

static bool read_all(int fd, void* buffer, size_t len, uint64_t offset) {
    for (size_t at = 0; at < len;) {
        const ssize_t part = pread(fd, (char*)buffer + at, len - at, (off_t)(offset + at));
        if (part <= 0) {
            return false;
        }
        at += (size_t)part;
    }
    return true;
}

static bool image_open(struct image* m, const char* path) {
    *m = (struct image){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (m->fd < 0 || jacinth_open_executable(path, &m->file.vmo, &m->file.len) != 0) {
        perror(path);
        return false;
    }
    if (!read_all(m->fd, &m->header, sizeof(m->header), 0) || m->header.e_phnum > headers_max ||
        !read_all(m->fd, m->programs, m->header.e_phnum * sizeof(m->programs[0]),
                  m->header.e_phoff)) {
        printf("linux_load: %s: its headers cannot be read\n", path);
        return false;
    }
    return true;
}

static const Elf64_Phdr* image_load(const struct image* m, size_t i) {
    return i < m->header.e_phnum && m->programs[i].p_type == PT_LOAD ? &m->programs[i] : nullptr;
}

// Which segment has this address; null: none.
static const Elf64_Phdr* image_segment_at(const struct image* m, zx_vaddr_t address) {
    for (size_t i = 0; i < m->header.e_phnum; i++) {
        const Elf64_Phdr* p = image_load(m, i);
        if (p != nullptr && address >= page_of(p->p_vaddr + m->bias) &&
            address < page_end(p->p_vaddr + p->p_memsz + m->bias)) {
            return p;
        }
    }
    return nullptr;
}

static void image_span(const struct image* m, zx_vaddr_t* start, zx_vaddr_t* end) {
    *start = UINT64_MAX;
    *end = 0;
    for (size_t i = 0; i < m->header.e_phnum; i++) {
        const Elf64_Phdr* p = image_load(m, i);
        if (p != nullptr) {
            *start =
                page_of(p->p_vaddr + m->bias) < *start ? page_of(p->p_vaddr + m->bias) : *start;
            const zx_vaddr_t to = page_end(p->p_vaddr + p->p_memsz + m->bias);
            *end = to > *end ? to : *end;
        }
    }
}

// ---- mappings ----

static zx_vm_option_t permissions_of(const Elf64_Phdr* p) {
    return ((p->p_flags & PF_R) != 0 ? ZX_VM_PERM_READ : 0) |
           ((p->p_flags & PF_W) != 0 ? ZX_VM_PERM_WRITE : 0) |
           ((p->p_flags & PF_X) != 0 ? ZX_VM_PERM_EXECUTE : 0);
}

// Each mapping within the image lies in one segment and has its permissions; each segment is
// mapped whole; nothing else is.
static void check_mappings(zx_handle_t process, struct image* m) {
    static zx_info_maps_t maps[maps_max];
    size_t count = 0;
    size_t available = 0;
    const zx_status_t status =
        zx_object_get_info(process, ZX_INFO_PROCESS_MAPS, maps, sizeof(maps), &count, &available);
    CHECK(status == ZX_OK && count == available, "%d, %zu of %zu", status, count, available);
    zx_vaddr_t start;
    zx_vaddr_t end;
    image_span(m, &start, &end);
    uint64_t mapped = 0;
    for (size_t i = 0; i < count; i++) {
        const zx_info_maps_t* map = &maps[i];
        if (map->type != ZX_INFO_MAPS_TYPE_MAPPING || map->base >= end ||
            map->base + map->size <= start) {
            continue;
        }
        const Elf64_Phdr* p = image_segment_at(m, map->base);
        CHECK(p != nullptr && p == image_segment_at(m, map->base + map->size - 1), "%#lx, %#zx",
              map->base, map->size);
        if (p != nullptr) {
            constexpr zx_vm_option_t all = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
            CHECK((map->u.mapping.mmu_flags & all) == permissions_of(p), "%#lx has %#x", map->base,
                  map->u.mapping.mmu_flags);
        }
        mapped += map->size;
    }
    uint64_t wanted = 0;
    for (size_t i = 0; i < m->header.e_phnum; i++) {
        const Elf64_Phdr* p = image_load(m, i);
        if (p != nullptr) {
            wanted += page_end(p->p_vaddr + p->p_memsz) - page_of(p->p_vaddr);
        }
    }
    CHECK(mapped == wanted, "%s: %#lx of %#lx bytes", m->path, mapped, wanted);
    for (zx_vaddr_t at = start; at < end; at += page_len) {
        uint8_t byte;
        size_t actual = 0;
        if (image_segment_at(m, at) == nullptr) {
            m->gaps++;
            CHECK(zx_process_read_memory(process, at, &byte, 1, &actual) != ZX_OK, "%#lx", at);
        }
    }
}

// ---- contents ----

// What the pages from `at` on hold, `at` counted from the segment's first page.
static bool expected(const struct image* m, const Elf64_Phdr* p, uint64_t at, uint8_t* out,
                     size_t len) {
    const uint64_t lead = p->p_vaddr % page_len;
    const bool has_zeros = p->p_memsz > p->p_filesz;
    const uint64_t file_end = has_zeros ? lead + p->p_filesz : page_end(lead + p->p_filesz);
    const uint64_t from = p->p_offset - lead + at;
    uint64_t part = at < file_end ? file_end - at : 0;
    part = part < len ? part : len;
    const uint64_t left = from < m->file.len ? m->file.len - from : 0;
    part = part < left ? part : left;
    memset(out, 0, len);
    return part == 0 || read_all(m->fd, out, part, from);
}

static void check_segment(zx_handle_t process, struct image* m, const Elf64_Phdr* p) {
    static uint8_t want[chunk_len];
    static uint8_t have[chunk_len];
    const zx_vaddr_t start = page_of(p->p_vaddr + m->bias);
    const uint64_t len = page_end(p->p_vaddr + m->bias + p->p_memsz) - start;
    for (uint64_t at = 0; at < len; at += chunk_len) {
        const size_t part = len - at < chunk_len ? len - at : chunk_len;
        // A read ends with the mapping.
        for (size_t got = 0; got < part;) {
            size_t actual = 0;
            const zx_status_t status =
                zx_process_read_memory(process, start + at + got, have + got, part - got, &actual);
            if (status != ZX_OK || actual == 0) {
                CHECK(status == ZX_OK, "%#lx: %s", start + at + got, zx_status_get_string(status));
                return;
            }
            got += actual;
        }
        if (!expected(m, p, at, want, part)) {
            CHECK(false, "%s cannot be read at %#lx", m->path, p->p_offset + at);
            return;
        }
        for (size_t i = 0; i < part; i += page_len) {
            CHECK(memcmp(have + i, want + i, page_len) == 0, "the page at %#lx", start + at + i);
            m->pages++;
        }
    }
}

static void check_contents(zx_handle_t process, struct image* m) {
    for (size_t i = 0; i < m->header.e_phnum; i++) {
        if (image_load(m, i) != nullptr) {
            check_segment(process, m, &m->programs[i]);
        }
    }
}

// ---- the stack ----

static bool read_process(zx_handle_t process, zx_vaddr_t at, void* out, size_t len) {
    size_t actual = 0;
    return zx_process_read_memory(process, at, out, len, &actual) == ZX_OK && actual == len;
}

static void check_string(zx_handle_t process, zx_vaddr_t at, const char* want) {
    char have[64] = "";
    const size_t len = strlen(want) + 1;
    CHECK(len <= sizeof(have) && read_process(process, at, have, len), "%#lx", at);
    CHECK(memcmp(have, want, len) == 0, "%s is not %s", have, want);
}

static void check_aux(const uint64_t* aux, uint64_t type, uint64_t want) {
    while (aux[0] != AT_NULL && aux[0] != type) {
        aux += 2;
    }
    CHECK(aux[0] == type && aux[1] == want, "%lu is %#lx, not %#lx", type, aux[1], want);
}

static uint64_t aux_value(const uint64_t* aux, uint64_t type) {
    while (aux[0] != AT_NULL && aux[0] != type) {
        aux += 2;
    }
    return aux[0] == type ? aux[1] : 0;
}

static void check_stack(const struct launched* l, const struct image* program,
                        const struct image* interpreter) {
    uint64_t words[64] = {};
    size_t actual = 0;
    CHECK(l->stack % 16 == 0, "%#lx", l->stack);
    // What is left of the stack above it may be less.
    if (zx_process_read_memory(l->process, l->stack, words, sizeof(words), &actual) != ZX_OK) {
        CHECK(false, "no stack at %#lx", l->stack);
        return;
    }
    const uint64_t* word = words;
    CHECK(*word == 2, "%lu", *word);
    word++;
    for (size_t i = 0; i < 2; i++) {
        check_string(l->process, *word++, args[i]);
    }
    CHECK(*word == 0, "%#lx", *word);
    word++;
    for (size_t i = 0; i < 2; i++) {
        check_string(l->process, *word++, environment[i]);
    }
    CHECK(*word == 0, "%#lx", *word);
    word++;
    const uint64_t first =
        program->programs[0].p_type == PT_PHDR ? program->programs[0].p_vaddr : 0;
    check_aux(word, AT_PHDR, first + program->bias);
    check_aux(word, AT_PHNUM, program->header.e_phnum);
    check_aux(word, AT_PHENT, sizeof(Elf64_Phdr));
    check_aux(word, AT_PAGESZ, page_len);
    check_aux(word, AT_ENTRY, program->header.e_entry + program->bias);
    check_aux(word, AT_BASE, interpreter->bias);
    check_aux(word, AT_SYSINFO_EHDR, l->vdso_base);
    check_string(l->process, aux_value(word, AT_EXECFN), program->path);
    uint64_t random[2] = {};
    CHECK(read_process(l->process, aux_value(word, AT_RANDOM), random, sizeof(random)) &&
              (random[0] | random[1]) != 0,
          "%#lx", random[0]);
    CHECK(l->entry == interpreter->header.e_entry + interpreter->bias, "%#lx", l->entry);
}

// ---- what it took ----

struct costs {
    uint64_t disk_reads, disk_bytes, heap_bytes;
};

static alignas(8) uint8_t answer_bytes[8192];
static const struct fidl_storage answers = {answer_bytes, sizeof(answer_bytes)};

static zx_handle_t service(const char* path) {
    zx_handle_t ours = ZX_HANDLE_INVALID;
    zx_handle_t theirs;
    if (zx_channel_create(0, &ours, &theirs) == ZX_OK) {
        (void)jacinth_connect(path, theirs);
    }
    return ours;
}

// What nobody tells is 0.
static struct costs read_costs(void) {
    struct costs c = {};
    struct jacinth_block_statistics_list_response* list;
    struct jacinth_system_memory_get_response* memory;
    zx_handle_t disks = service("/svc/jacinth.block.Statistics");
    zx_handle_t system = service("/svc/jacinth.system.Memory");
    if (jacinth_block_statistics_list_call(disks, ZX_TIME_INFINITE, answers, &list) == ZX_OK) {
        for (uint64_t i = 0; i < list->devices.count; i++) {
            const struct jacinth_block_device_stats* d = &list->devices.data[i];
            c.disk_reads += d->stats.reads.requests;
            c.disk_bytes += d->stats.reads.blocks * d->info.block_size;
        }
    }
    if (jacinth_system_memory_get_call(system, ZX_TIME_INFINITE, answers, &memory) == ZX_OK) {
        c.heap_bytes = memory->kernel_heap - memory->kernel_heap_free;
    }
    (void)zx_handle_close(disks);
    (void)zx_handle_close(system);
    return c;
}

static void print_costs(const struct costs* before, const struct costs* after,
                        zx_handle_t process) {
    zx_info_task_stats_t stats = {};
    (void)zx_object_get_info(process, ZX_INFO_TASK_STATS, &stats, sizeof(stats), nullptr, nullptr);
    print_value("load_reads", (long long)(after->disk_reads - before->disk_reads));
    print_value("load_bytes", (long long)(after->disk_bytes - before->disk_bytes));
    print_value("load_private", (long long)stats.mem_private_bytes);
    print_value("load_heap", (long long)after->heap_bytes - (long long)before->heap_bytes);
}

// ---- the whole ----

static zx_status_t find_interpreter(void* ctx, const char* path, struct launch_file* out) {
    const struct image* interpreter = ctx;
    CHECK(strcmp(path, "/lib64/ld-linux-x86-64.so.2") == 0, "%s", path);
    *out = interpreter->file;
    return ZX_OK;
}

// Where the interpreter was put: AT_BASE would be the launcher's own word for it.
static void find_bias(const struct launched* l, struct image* interpreter) {
    interpreter->bias = l->entry - interpreter->header.e_entry;
}

int main(int argc, char** argv) {
    static struct image program;
    static struct image interpreter;
    struct launch_vdso vdso;
    const struct costs before = read_costs();
    if (argc < 3 || argc > 4 || launch_vdso_init(&vdso, zx_vmo_vdso()).error != LAUNCH_OK ||
        !image_open(&program, argv[1]) || !image_open(&interpreter, argv[2])) {
        fprintf(stderr, "usage: linux_load PROGRAM INTERPRETER [load]\n");
        return 2;
    }
    const struct launch_request request = {.mode = LAUNCH_LINUX,
                                           .job = zx_job_default(),
                                           .name = program.path,
                                           .file = program.file,
                                           .vdso = &vdso,
                                           .args = args,
                                           .arg_count = 2,
                                           .environ = environment,
                                           .environ_count = 2,
                                           .find_interpreter = find_interpreter,
                                           .find_ctx = &interpreter};
    struct launched l;
    const struct launch_result result = launch_prepare(&request, &l);
    if (result.error != LAUNCH_OK) {
        printf("linux_load: %s: %s, %s, %s\n", program.path, launch_error_text(result.error),
               elf_error_name(result.elf), zx_status_get_string(result.status));
        return 1;
    }
    const struct costs after = read_costs();
    print_costs(&before, &after, l.process);
    if (argc == 4) {
        launch_abandon(&l);
        return 0;
    }
    find_bias(&l, &interpreter);
    check_mappings(l.process, &program);
    check_mappings(l.process, &interpreter);
    check_contents(l.process, &program);
    check_contents(l.process, &interpreter);
    check_stack(&l, &program, &interpreter);
    printf("linux_load: %zu pages of the program, %zu of its gaps, %zu pages of the interpreter; "
           "%d differ\n",
           program.pages, program.gaps, interpreter.pages, failures);
    launch_abandon(&l);
    return failures == 0 ? 0 : 1;
}
