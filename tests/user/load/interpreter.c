// What a program names as its interpreter: gets the program's file in a message of its own, says
// what it found, maps the program and enters it, with the bootstrap channel in which the program's
// own message still lies.
//
// No crt0, whose start would close that channel: from the first instruction this file is on its
// own, without thread-local storage, and writes to the debug console only. It relocates itself and
// then uses the same libraries as the launcher.
#include <stddef.h>
#include <stdint.h>

#include <elf/plan.h>
#include <elf/relocate.h>
#include <processargs/processargs.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

constexpr uint64_t ADDRESS_END = 0x00007ffffffff000;
constexpr size_t MAPS_MAX = 256;
constexpr int64_t FAILED = 99;

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _DYNAMIC[] __attribute__((visibility("hidden")));

// What the loader's message carries.
struct given {
    zx_handle_t process, root_vmar, image_region, program;
};

static struct {
    alignas(8) char message[ZX_CHANNEL_MAX_MSG_BYTES];
    zx_handle_t handles[ZX_CHANNEL_MAX_MSG_HANDLES];
    zx_info_maps_t maps[MAPS_MAX];
    struct elf_plan plan;
} state;

// ---- words ----

static void say(const char* text) {
    size_t len = 0;
    while (text[len] != '\0') {
        len++;
    }
    (void)zx_debug_write(text, len);
}

static void say_number(uint64_t value) {
    char digits[21];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    say(&digits[at]);
}

static void check(bool ok, const char* what) {
    if (!ok) {
        say("interpreter: ");
        say(what);
        say("\n");
        zx_process_exit(FAILED);
    }
}

// ---- what it was given ----

static zx_handle_t find(const struct processargs* args, uint32_t info) {
    for (uint32_t i = 0; i < args->handle_count; i++) {
        if (args->handle_infos[i] == info) {
            return state.handles[i];
        }
    }
    return ZX_HANDLE_INVALID;
}

static struct given read_message(zx_handle_t bootstrap) {
    uint32_t bytes = 0;
    uint32_t handles = 0;
    struct processargs args;
    check(zx_channel_read(bootstrap, 0, state.message, state.handles, sizeof(state.message),
                          ZX_CHANNEL_MAX_MSG_HANDLES, &bytes, &handles) == ZX_OK,
          "no message");
    check(processargs_parse(state.message, bytes, handles, &args) == PROCESSARGS_OK,
          "a malformed message");
    struct given g = {.process = find(&args, PA_HND(PA_PROC_SELF, 0)),
                      .root_vmar = find(&args, PA_HND(PA_VMAR_ROOT, 0)),
                      .image_region = find(&args, PA_HND(PA_VMAR_LOADED, 0)),
                      .program = find(&args, PA_HND(PA_VMO_EXECUTABLE, 0))};
    check(g.process != ZX_HANDLE_INVALID && g.root_vmar != ZX_HANDLE_INVALID &&
              g.image_region != ZX_HANDLE_INVALID && g.program != ZX_HANDLE_INVALID,
          "a handle is missing");
    return g;
}

// How many mappings of this process show the program's file.
static uint64_t mappings_of_program(const struct given* g) {
    zx_info_handle_basic_t basic;
    size_t count = 0;
    size_t available = 0;
    check(zx_object_get_info(g->program, ZX_INFO_HANDLE_BASIC, &basic, sizeof(basic), nullptr,
                             nullptr) == ZX_OK,
          "the program has no koid");
    check(zx_object_get_info(g->process, ZX_INFO_PROCESS_MAPS, state.maps, sizeof(state.maps),
                             &count, &available) == ZX_OK &&
              count == available,
          "no list of mappings");
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += state.maps[i].type == ZX_INFO_MAPS_TYPE_MAPPING &&
                 state.maps[i].u.mapping.vmo_koid == basic.koid;
    }
    return found;
}

// ---- mapping the program ----

static int32_t read_program(void* ctx, uint64_t offset, void* buffer, size_t len, size_t* out_len) {
    const zx_handle_t* vmo = ctx;
    zx_status_t status = zx_vmo_read(*vmo, buffer, offset, len);
    *out_len = status == ZX_OK ? len : 0;
    return status;
}

static void map_segment(zx_handle_t region, zx_handle_t program, const struct elf_plan* plan,
                        const struct elf_segment* s) {
    zx_vm_option_t options = ZX_VM_SPECIFIC | ZX_VM_PERM_READ;
    options |= (s->permissions & ELF_EXECUTE) != 0 ? ZX_VM_PERM_EXECUTE : 0;
    options |= (s->permissions & ELF_WRITE) != 0 ? ZX_VM_PERM_WRITE : 0;
    uint64_t offset = s->vaddr - plan->base;
    zx_vaddr_t at;
    if (s->file_len != 0 && !s->copy) {
        check(zx_vmar_map(region, options, offset, program, s->file_offset, s->file_len, &at) ==
                  ZX_OK,
              "a segment cannot be mapped");
    } else if (s->file_len != 0) {
        zx_handle_t copy;
        check(zx_vmo_create_child(program, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, s->file_offset,
                                  s->file_len, &copy) == ZX_OK,
              "a segment cannot be copied");
        uint64_t tail = s->file_len - elf_page_len + s->zero_from;
        check(s->zero_from == 0 ||
                  zx_vmo_op_range(copy, ZX_VMO_OP_ZERO, tail, elf_page_len - s->zero_from, nullptr,
                                  0) == ZX_OK,
              "a tail cannot be cleared");
        check(zx_vmar_map(region, options, offset, copy, 0, s->file_len, &at) == ZX_OK,
              "a copy cannot be mapped");
        (void)zx_handle_close(copy);
    }
    if (s->anon_len != 0) {
        zx_handle_t zeros;
        check(zx_vmo_create(s->anon_len, 0, &zeros) == ZX_OK &&
                  zx_vmar_map(region, options, offset + s->file_len, zeros, 0, s->anon_len, &at) ==
                      ZX_OK,
              "zeros cannot be mapped");
        (void)zx_handle_close(zeros);
    }
}

// Its entry point.
static uintptr_t map_program(const struct given* g) {
    struct elf_plan* plan = &state.plan;
    zx_handle_t program = g->program;
    uint64_t len = 0;
    check(zx_vmo_get_size(program, &len) == ZX_OK, "the program has no size");
    say("interpreter: a program of ");
    say_number(len / elf_page_len);
    say(" pages, mapped ");
    say_number(mappings_of_program(g));
    say(" times\n");
    struct elf_file file = {.read = read_program, .ctx = &program, .len = len};
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, ADDRESS_END);
    check(elf_plan_make(&file, &rules, plan) == ELF_OK, "not a program");
    zx_handle_t region;
    zx_vaddr_t base;
    check(zx_vmar_allocate(g->root_vmar,
                           ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE |
                               ZX_VM_CAN_MAP_SPECIFIC,
                           0, plan->span_len, &region, &base) == ZX_OK,
          "no room for the program");
    for (uint32_t i = 0; i < plan->segment_count; i++) {
        map_segment(region, program, plan, &plan->segments[i]);
    }
    check(mappings_of_program(g) != 0, "the program is not mapped");
    zx_handle_t done[] = {region, g->image_region, g->program, g->root_vmar, g->process};
    check(zx_handle_close_many(done, sizeof(done) / sizeof(done[0])) == ZX_OK, "a stale handle");
    return base + (plan->entry - plan->base);
}

// ---- the start ----

[[gnu::used]] uintptr_t interpreter_start(zx_handle_t bootstrap, const void* vdso);
uintptr_t interpreter_start(zx_handle_t bootstrap, const void* vdso) {
    struct elf_symbols provider = elf_symbols_of(vdso);
    struct elf_relocate_result result = elf_relocate((uintptr_t)__ehdr_start, _DYNAMIC, &provider);
    if (result.error != ELF_RELOCATE_OK) {
        __builtin_trap(); // there is nothing to say it with
    }
    struct given given = read_message(bootstrap);
    return map_program(&given);
}

// Keeps what the kernel gave, and enters the program with it.
__asm__(".text\n"
        ".globl _start\n"
        ".hidden _start\n"
        "_start:\n"
        "    xorl %ebp, %ebp\n"
        "    pushq %rdi\n"
        "    pushq %rsi\n"
        "    subq $8, %rsp\n"
        "    call interpreter_start\n"
        "    addq $8, %rsp\n"
        "    popq %rsi\n"
        "    popq %rdi\n"
        "    jmp *%rax\n");
