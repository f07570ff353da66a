#include "test_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zircon/syscalls.h>

#include "fake_kernel.h"

constexpr uint64_t PAGE = 4096;

struct bytes test_program, test_vdso;
const char* const test_args[] = {"bin/test", "one", "", "a b"};
const char* const test_environ[] = {"A=1", "B=2"};
const char* const test_names[] = {"/boot"};

struct bytes read_file(const char* path) {
    FILE* f = fopen(path, "rb");
    if (f == nullptr) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        exit(2);
    }
    struct bytes b = {.data = malloc(1 << 24)};
    b.len = fread(b.data, 1, 1 << 24, f);
    fclose(f);
    return b;
}

struct launch_file vmo_file(struct bytes b) {
    return (struct launch_file){.vmo = fake_vmo(b.data, b.len), .len = b.len};
}

void scene_begin(struct scene* s, struct launch_file file) {
    zx_handle_t job = fake_job();
    struct launch_result result =
        launch_vdso_init(&s->vdso, fake_vmo(test_vdso.data, test_vdso.len));
    assert_int_equal(result.error, LAUNCH_OK);
    s->handles_before = fake_live_handles();
    s->handles[0] = (struct launch_handle){PA_HND(PA_FD, 1), fake_event()};
    s->handles[1] = (struct launch_handle){PA_HND(PA_USER0, 7), fake_event()};
    s->request = (struct launch_request){.job = job,
                                         .name = "bin/test",
                                         .file = file,
                                         .vdso = &s->vdso,
                                         .args = test_args,
                                         .arg_count = 4,
                                         .environ = test_environ,
                                         .environ_count = 2,
                                         .names = test_names,
                                         .name_count = 1,
                                         .handles = s->handles,
                                         .handle_count = 2};
}

void check_image(struct bytes file, uint64_t bias) {
    const Elf64_Ehdr* eh = (const void*)file.data;
    const Elf64_Phdr* ph = (const void*)(file.data + eh->e_phoff);
    for (uint32_t i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type != PT_LOAD) {
            continue;
        }
        uint64_t begin = bias + ph[i].p_vaddr;
        uint64_t end = (begin + ph[i].p_memsz + PAGE - 1) / PAGE * PAGE;
        for (uint64_t at = begin; at < end; at += at == begin ? PAGE - begin % PAGE : PAGE) {
            uint8_t got[4096];
            size_t len = (size_t)(PAGE - at % PAGE);
            assert_true(fake_read(at, got, len));
            for (size_t j = 0; j < len; j++) {
                uint64_t offset = at + j - begin;
                bool writable = (ph[i].p_flags & PF_W) != 0;
                if (offset < ph[i].p_filesz) {
                    assert_int_equal(got[j], file.data[ph[i].p_offset + offset]);
                } else if (writable || offset < ph[i].p_memsz) {
                    assert_int_equal(got[j], 0);
                }
            }
            const struct fake_mapping* m = fake_mapping_at(at);
            zx_vm_option_t want = ZX_VM_PERM_READ;
            want |= (ph[i].p_flags & PF_W) != 0 ? ZX_VM_PERM_WRITE : 0;
            want |= (ph[i].p_flags & PF_X) != 0 ? ZX_VM_PERM_EXECUTE : 0;
            assert_int_equal(m->permissions, want);
        }
    }
}

int sent_handles(void) {
    int count = 0;
    for (uint32_t i = 0; fake_message(i) != nullptr; i++) {
        count += (int)fake_message(i)->handle_count;
    }
    return count;
}

// ---- programs made for a test ----

static uint8_t made[MADE_LEN];

struct bytes make_elf(uint64_t base, const char* interp, uint64_t stack_len) {
    memset(made, 0, sizeof(made));
    Elf64_Ehdr* eh = (void*)made;
    memcpy(eh->e_ident, ELFMAG "\x02\x01\x01", 7);
    *eh = (Elf64_Ehdr){.e_type = base != 0 ? ET_EXEC : ET_DYN,
                       .e_machine = EM_X86_64,
                       .e_version = 1,
                       .e_entry = base + PAGE + 16,
                       .e_phoff = sizeof(*eh),
                       .e_ehsize = sizeof(*eh),
                       .e_phentsize = sizeof(Elf64_Phdr),
                       .e_phnum = interp != nullptr ? 5 : 4};
    memcpy(eh->e_ident, ELFMAG "\x02\x01\x01", 7);
    Elf64_Phdr* ph = (void*)(made + sizeof(*eh));
    ph[0] = (Elf64_Phdr){PT_LOAD, PF_R, 0, base, base, PAGE, PAGE, PAGE};
    ph[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, PAGE, base + PAGE, base + PAGE, PAGE, PAGE, PAGE};
    ph[2] = (Elf64_Phdr){PT_LOAD,         PF_R | PF_W, 2 * PAGE,     base + 2 * PAGE,
                         base + 2 * PAGE, PAGE + 100,  5 * PAGE + 1, PAGE};
    ph[3] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_memsz = stack_len};
    if (interp != nullptr) {
        size_t len = strlen(interp) + 1;
        memcpy(made + 1024, interp, len);
        ph[4] = (Elf64_Phdr){PT_INTERP, PF_R, 1024, base + 1024, base + 1024, len, len, 1};
    }
    for (uint64_t i = 2048; i < MADE_LEN; i++) {
        made[i] = (uint8_t)(i * 7 + 1);
    }
    return (struct bytes){.data = made, .len = MADE_LEN};
}
