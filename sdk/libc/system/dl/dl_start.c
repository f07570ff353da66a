// From the first instruction of `ld.so.1`, which is the shared C library, to musl's dynamic linker.
//
// The launcher has mapped this library and put two messages into the bootstrap channel: one for us,
// with the program's file, and the program's own, which every program gets. Here the library
// relocates itself, maps the program, lays out what musl expects of a kernel that has mapped both,
// and goes on in musl (ldso/dynlink.c), which finds libraries, relocates, and enters the program.
//
// Compiled without stack protector: %fs is 0 until start_set_thread_pointer().
#include "dl_start.h"
#include "loader.h"

#include <zircon/syscalls.h>

#include <crt0/crt0.h>
#include <crt0/elf64.h>
#include <crt0/message.h>
#include <elf/plan.h>
#include <jacinth/startup.h>
#include <launcher/map.h>
#include <libc/regions.h>
#include <libc/start.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

// musl's: the linker itself is relocated; goes on with the program and does not return.
void __dls2(unsigned char* base, size_t* words);

static zx_status_t file_len(zx_handle_t vmo, uint64_t* out) {
    // A file's own length, if it knows one; else whole pages.
    zx_status_t status = zx_vmo_get_stream_size(vmo, out);
    return status == ZX_OK ? ZX_OK : zx_vmo_get_size(vmo, out);
}

static const char* map_program(zx_handle_t vmo, struct start_program* out) {
    static struct elf_plan plan;
    struct launch_file file = {.vmo = vmo};
    struct elf_rules rules = elf_rules_native(ELF_MACHINE_X86_64, launch_address_end);
    if (file_len(vmo, &file.len) != ZX_OK) {
        return "cannot read the program";
    }
    struct launch_result result = launch_plan(&file, &rules, LAUNCH_BAD_PROGRAM, &plan);
    if (result.error != LAUNCH_OK || plan.headers_vaddr == 0) {
        return "the program cannot be linked";
    }
    struct launch_request request = {}; // no resource for code that would have to be copied
    struct launch_image image;
    result = launch_map(zx_vmar_root_self(), &request, &file, &plan, "program", &image);
    if (result.error != LAUNCH_OK) {
        return "cannot map the program";
    }
    memory_set_program_region(image.region, image.base, image.base + plan.span_len);
    *out = (struct start_program){.headers = image.bias + plan.headers_vaddr,
                                  .header_count = plan.header_count,
                                  .entry = image.bias + plan.entry,
                                  .linker = (uintptr_t)&__ehdr_start};
    return nullptr;
}

// Not inlined into __jx_dl_start: everything here may rely on applied relocations.
[[noreturn, gnu::noinline]] static void run(zx_handle_t bootstrap, const void* vdso) {
    struct crt0_loader_message loader = {};
    const char* problem = crt0_loader_message_read(bootstrap, &loader);
    const struct processargs* message =
        problem == nullptr ? crt0_message_read(bootstrap, &problem) : nullptr;
    if (problem == nullptr) {
        problem = start_set_thread_pointer();
    }
    struct start_program program;
    if (problem == nullptr) {
        problem = map_program(loader.program, &program);
        (void)zx_handle_close(loader.program);
        dl_set_loader(loader.loader);
    }
    size_t* words = nullptr;
    if (problem == nullptr) {
        words = start_lay_out(message, &program, vdso, &problem);
    }
    if (problem != nullptr) {
        start_fail(vdso, problem, "");
    }
    __dls2((unsigned char*)&__ehdr_start, words);
    __builtin_trap();
}

void __jx_dl_start(zx_handle_t bootstrap, const void* vdso) {
    const char* unresolved = crt0_relocate(vdso);
    if (unresolved != nullptr) {
        start_fail(vdso, "unresolved symbol ", unresolved);
    }
    run(bootstrap, vdso);
}
