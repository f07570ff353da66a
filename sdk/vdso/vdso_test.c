// The vDSO as the kernel will map it, on the build machine: the image's two segments are mapped as
// they are, constants are filled in as the kernel does it, and this program plays the kernel. A
// seccomp filter turns every `syscall` instruction inside the image into SIGSYS, whose handler
// checks the return address against the kernel's table, records the arguments, and answers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <arch/clock.h>
#include <arch/upcalls.h>
#include <syscall/model.h>
#include <syscall/vdso_image.h>
#include <vdso/constants.h>
#include <zircon/features.h>
#include <zircon/string_view.h>
#include <zircon/syscall_numbers.h>

static const char* image_path;
static uint8_t* image;

// ---- the image ---------------------------------------------------------------------------------

static int map_image(void** state) {
    (void)state;
    int fd = open(image_path, O_RDONLY);
    if (fd < 0) {
        return -1;
    }
    image = mmap(nullptr, vdso_layout.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (image == MAP_FAILED) {
        return -1;
    }
    return mprotect(image + vdso_layout.code_offset, vdso_layout.code_size, PROT_READ | PROT_EXEC);
}

// Through the dynamic symbols, as crt0 does; the image's addresses are its file offsets.
static void* symbol(const char* name) {
    const Elf64_Ehdr* header = (const Elf64_Ehdr*)image;
    const Elf64_Phdr* segments = (const Elf64_Phdr*)(image + header->e_phoff);
    const Elf64_Dyn* dynamic = nullptr;
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_DYNAMIC) {
            dynamic = (const Elf64_Dyn*)(image + segments[i].p_vaddr);
        }
    }
    const Elf64_Sym* symbols = nullptr;
    const char* strings = nullptr;
    for (; dynamic != nullptr && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_SYMTAB) {
            symbols = (const Elf64_Sym*)(image + dynamic->d_un.d_ptr);
        } else if (dynamic->d_tag == DT_STRTAB) {
            strings = (const char*)(image + dynamic->d_un.d_ptr);
        }
    }
    assert_true(symbols != nullptr && strings != nullptr);
    // The string table follows the hash, which follows the symbols: it bounds the search.
    for (const Elf64_Sym* s = symbols + 1; (const char*)s < strings; s++) {
        if (s->st_name < 65536 && strcmp(strings + s->st_name, name) == 0) {
            return image + s->st_value;
        }
    }
    fail_msg("no symbol %s", name);
    return nullptr;
}

// ---- time and constants ------------------------------------------------------------------------

static struct vdso_constants* fill(const struct clock_scale* clock) {
    struct vdso_machine machine = {.clock = clock,
                                   .num_cpus = 3,
                                   .dcache_line_size = 64,
                                   .physmem_bytes = 1ull << 33,
                                   .hw_breakpoints = 4,
                                   .version = "jacinth-test 1.0"};
    struct vdso_constants* constants = (void*)(image + vdso_layout.constants_offset);
    vdso_constants_make(constants, &machine);
    return constants;
}

static void constants_reach_the_functions(void** state) {
    (void)state;
    fill(&(struct clock_scale){.ticks_per_second = 123, .mult = 1, .trusted = true});
    assert_int_equal(((uint32_t (*)(void))symbol("zx_system_get_num_cpus"))(), 3);
    assert_int_equal(((uint32_t (*)(void))symbol("zx_system_get_page_size"))(), 4096);
    assert_int_equal(((uint32_t (*)(void))symbol("_zx_system_get_dcache_line_size"))(), 64);
    assert_int_equal(((uint64_t (*)(void))symbol("zx_system_get_physmem"))(), 1ull << 33);
    assert_int_equal(((int64_t (*)(void))symbol("zx_ticks_per_second"))(), 123);
    zx_string_view_t version =
        ((zx_string_view_t(*)(void))symbol("zx_system_get_version_string"))();
    assert_int_equal(version.length, strlen("jacinth-test 1.0"));
    assert_memory_equal(version.c_str, "jacinth-test 1.0", version.length);

    zx_status_t (*features)(uint32_t, uint32_t*) = symbol("zx_system_get_features");
    uint32_t bits = 0;
    assert_int_equal(features(ZX_FEATURE_KIND_HW_BREAKPOINT_COUNT, &bits), ZX_OK);
    assert_int_equal(bits, 4);
    assert_int_equal(features(ZX_FEATURE_KIND_VM, &bits), ZX_OK);
    assert_int_equal(bits, 0);
    assert_int_equal(features(5, &bits), ZX_ERR_NOT_SUPPORTED);

    zx_status_t (*flush)(const void*, size_t, uint32_t) = symbol("zx_cache_flush");
    assert_int_equal(flush(image, 64, ZX_CACHE_FLUSH_INSN), ZX_OK);
    assert_int_equal(flush(image, 64, ZX_CACHE_FLUSH_DATA | ZX_CACHE_FLUSH_INVALIDATE), ZX_OK);
    assert_int_equal(flush(image, 64, 0), ZX_ERR_INVALID_ARGS);
    assert_int_equal(flush(image, 64, ZX_CACHE_FLUSH_INVALIDATE), ZX_ERR_INVALID_ARGS);
    assert_int_equal(flush(image, 64, 8), ZX_ERR_INVALID_ARGS);
}

static void a_long_version_is_cut(void** state) {
    (void)state;
    char text[200];
    memset(text, 'v', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    struct clock_scale clock = {.trusted = true};
    struct vdso_constants constants;
    vdso_constants_make(&constants, &(struct vdso_machine){.clock = &clock, .version = text});
    assert_int_equal(constants.version_length, VDSO_VERSION_MAX - 1);
    assert_int_equal(constants.version[VDSO_VERSION_MAX - 1], '\0');
}

static void clocks_scale_the_counter(void** state) {
    (void)state;
    uint64_t base = __builtin_ia32_rdtsc();
    struct clock_scale clock = {.base_ticks = base,
                                .ticks_per_second = 3000000000,
                                .mult = 2863311531,
                                .shift = 33,
                                .trusted = true};
    struct vdso_constants* constants = fill(&clock);
    int64_t (*ticks)(void) = symbol("zx_ticks_get");
    int64_t (*boot_ticks)(void) = symbol("zx_ticks_get_boot");
    int64_t (*monotonic)(void) = symbol("zx_clock_get_monotonic");
    int64_t (*boot)(void) = symbol("zx_clock_get_boot");
    for (int i = 0; i < 1000; i++) {
        int64_t before = ticks();
        int64_t now = monotonic();
        int64_t after = ticks();
        assert_true(before >= 0 && before <= after);
        assert_true(now >= (int64_t)(((__int128)before * clock.mult) >> clock.shift));
        assert_true(now <= (int64_t)(((__int128)after * clock.mult) >> clock.shift));
    }
    constants->boot_ticks_offset = 3000000000000;
    int64_t awake = monotonic();
    assert_in_range(boot() - awake, 999000000000, 1060000000000);
    assert_in_range(boot_ticks() - ticks(), 2999000000000, 3100000000000);
}

static void deadlines_saturate(void** state) {
    (void)state;
    fill(&(struct clock_scale){.base_ticks = __builtin_ia32_rdtsc(), .mult = 1, .trusted = true});
    int64_t (*after)(int64_t) = symbol("zx_deadline_after");
    assert_int_equal(after(INT64_MAX), ZX_TIME_INFINITE);
    assert_true(after(0) >= 0);
    assert_true(after(-1000000000000000) < 0);
    assert_in_range(after(1000000000000000), 1000000000000000, 1010000000000000);
}

// ---- playing the kernel ------------------------------------------------------------------------

constexpr size_t ENTRIES_MAX = 8;
static struct {
    uint64_t number[ENTRIES_MAX];
    uint64_t args[ENTRIES_MAX][8];
    bool legal[ENTRIES_MAX]; // the return address is the one of this number
    size_t count;
    int64_t answers[ENTRIES_MAX];
} entries;

static void on_sigsys(int signal_number, siginfo_t* info, void* raw) {
    (void)signal_number;
    (void)info;
    greg_t* r = ((ucontext_t*)raw)->uc_mcontext.gregs;
    uint64_t number = (uint64_t)r[REG_RAX];
    size_t at = entries.count < ENTRIES_MAX ? entries.count++ : ENTRIES_MAX - 1;
    const greg_t args[8] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10],
                            r[REG_R8],  r[REG_R9],  r[REG_R12], r[REG_R13]};
    memcpy(entries.args[at], args, sizeof(args));
    entries.number[at] = number;
    uint64_t offset = (uint64_t)r[REG_RIP] - (uint64_t)(uintptr_t)image;
    entries.legal[at] = number < ZX_SYS_COUNT && offset == syscall_return_offsets[number];
    r[REG_RAX] = entries.answers[at];
    r[REG_RCX] = r[REG_R11] = 0x5a5a5a5a; // what the instruction destroys
}

// cmocka puts its own handlers in place before each test: ours comes back here.
static void begin(int64_t first_answer) {
    struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    assert_int_equal(sigaction(SIGSYS, &action, nullptr), 0);
    memset(&entries, 0, sizeof(entries));
    entries.answers[0] = first_answer;
}

static int catch_entries(void** state) {
    (void)state;
    if (map_image(nullptr) != 0) {
        return -1;
    }
    uint64_t start = (uint64_t)(uintptr_t)image, end = start + vdso_layout.size;
    assert_int_equal(start >> 32, (end - 1) >> 32); // the filter compares the low words only
    uint32_t ip = offsetof(struct seccomp_data, instruction_pointer);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(start >> 32), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)start, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)(end - 1), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return -1;
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// Calls a public function with eight recognisable arguments, the kernel answering `first`, then 7.
static int64_t call(const char* name, int64_t first) {
    char full[80];
    snprintf(full, sizeof(full), "zx_%s", name);
    begin(first);
    for (size_t i = 1; i < ENTRIES_MAX; i++) {
        entries.answers[i] = i == 1 && first == ZX_ERR_INTERNAL_INTR_RETRY ? first : 7;
    }
    int64_t (*function)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t) = symbol(full);
    return function(0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8);
}

static bool enters_directly(const struct syscall_model* m) {
    return (m->flags & (SYSCALL_FLAG_VDSO | SYSCALL_FLAG_INTERNAL | SYSCALL_FLAG_NORETURN)) == 0;
}

static void every_stub_passes_its_arguments(void** state) {
    (void)state;
    size_t checked = 0;
    for (size_t i = 0; i < syscall_model_count; i++) {
        const struct syscall_model* m = &syscall_models[i];
        if (!enters_directly(m)) {
            continue;
        }
        assert_int_equal((int32_t)call(m->name, 42), 42);
        assert_int_equal(entries.count, 1);
        assert_int_equal(entries.number[0], m->number);
        if (!entries.legal[0]) {
            fail_msg("%s returns to a place that the kernel refuses", m->name);
        }
        for (size_t k = 0; k < m->arg_count; k++) {
            assert_int_equal(entries.args[0][k], 0xa1 + k);
        }
        checked++;
    }
    assert_true(checked > 90);
}

static void interrupted_calls_are_repeated(void** state) {
    (void)state;
    size_t checked = 0;
    for (size_t i = 0; i < syscall_model_count; i++) {
        const struct syscall_model* m = &syscall_models[i];
        bool resumed = strncmp(m->name, "channel_", 8) == 0;
        if (!enters_directly(m) || (m->flags & SYSCALL_FLAG_BLOCKING) == 0 || resumed) {
            continue;
        }
        assert_int_equal(call(m->name, ZX_ERR_INTERNAL_INTR_RETRY), 7);
        assert_int_equal(entries.count, 3); // interrupted twice
        for (size_t n = 0; n < 3; n++) {
            assert_true(entries.legal[n]);
            assert_int_equal(entries.number[n], m->number);
            assert_memory_equal(entries.args[n], entries.args[0], m->arg_count * sizeof(uint64_t));
        }
        checked++;
    }
    assert_true(checked >= 5);
}

static void an_interrupted_call_is_not_sent_again(void** state) {
    (void)state;
    static const struct {
        const char* name;
        uint64_t finish;
    } calls[] = {{"channel_call", ZX_SYS_channel_call_finish},
                 {"channel_call_etc", ZX_SYS_channel_call_etc_finish}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(call(calls[i].name, ZX_ERR_INTERNAL_INTR_RETRY), 7);
        assert_int_equal(entries.count, 3);
        for (size_t n = 1; n < 3; n++) {
            assert_true(entries.legal[n]);
            assert_int_equal(entries.number[n], calls[i].finish);
            // deadline, args, actual_bytes, actual_handles
            const uint64_t expected[4] = {0xa3, 0xa4, 0xa5, 0xa6};
            assert_memory_equal(entries.args[n], expected, sizeof(expected));
        }
    }
}

static void an_interrupted_server_does_not_reply_again(void** state) {
    (void)state;
    assert_int_equal(call("channel_reply_wait", ZX_ERR_INTERNAL_INTR_RETRY), 7);
    assert_int_equal(entries.count, 3);
    for (size_t n = 1; n < 3; n++) {
        assert_true(entries.legal[n]);
        assert_int_equal(entries.number[n], ZX_SYS_channel_reply_wait);
        assert_int_equal(entries.args[n][1], 0xa2 | ZX_CHANNEL_REPLY_WAIT_SKIP_REPLY);
        assert_int_equal(entries.args[n][0], 0xa1);
        assert_int_equal(entries.args[n][3], 0xa4);
    }
}

static void an_untrusted_counter_is_asked_of_the_kernel(void** state) {
    (void)state;
    fill(&(struct clock_scale){.base_ticks = 5, .mult = 99, .shift = 9, .trusted = false});
    begin(123456789);
    int64_t (*monotonic)(void) = symbol("zx_clock_get_monotonic");
    assert_int_equal(monotonic(), 123456789);
    assert_int_equal(entries.count, 1);
    assert_true(entries.legal[0]);
    assert_int_equal(entries.number[0], ZX_SYS_ticks_get_via_kernel);
    assert_int_equal(((int64_t (*)(void))symbol("zx_ticks_per_second"))(), 1000000000);
}

static void random_bytes_are_drawn_in_pieces(void** state) {
    (void)state;
    static char buffer[600];
    begin(0);
    ((void (*)(void*, size_t))symbol("zx_cprng_draw"))(buffer, sizeof(buffer));
    assert_int_equal(entries.count, 3);
    const uint64_t sizes[3] = {256, 256, 88};
    for (size_t n = 0; n < 3; n++) {
        assert_true(entries.legal[n]);
        assert_int_equal(entries.number[n], ZX_SYS_cprng_draw_once);
        assert_int_equal(entries.args[n][0], (uintptr_t)buffer + 256 * n);
        assert_int_equal(entries.args[n][1], sizes[n]);
    }
    begin(0);
    ((void (*)(void*, size_t))symbol("zx_cprng_draw"))(buffer, 0);
    assert_int_equal(entries.count, 0);
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: vdso_test IMAGE\n");
        return 2;
    }
    image_path = argv[1];
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(constants_reach_the_functions),
        cmocka_unit_test(a_long_version_is_cut),
        cmocka_unit_test(clocks_scale_the_counter),
        cmocka_unit_test(deadlines_saturate),
    };
    static const struct CMUnitTest entering[] = {
        cmocka_unit_test(every_stub_passes_its_arguments),
        cmocka_unit_test(interrupted_calls_are_repeated),
        cmocka_unit_test(an_interrupted_call_is_not_sent_again),
        cmocka_unit_test(an_interrupted_server_does_not_reply_again),
        cmocka_unit_test(an_untrusted_counter_is_asked_of_the_kernel),
        cmocka_unit_test(random_bytes_are_drawn_in_pieces),
    };
    int failed = cmocka_run_group_tests_name("constants", plain, map_image, nullptr);
    return failed + cmocka_run_group_tests_name("entries", entering, catch_entries, nullptr);
}
