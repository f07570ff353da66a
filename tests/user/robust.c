// What a program does to itself must not be felt by anybody else. Each case starts children that do
// their worst and looks at how they ended; afterwards an ordinary child runs.
#include <utest/utest.h>

#include <jacinth/startup.h>

GROUP("robust");

constexpr size_t PAGE = 4096;

CHILD(ordinary) {
    zx_handle_t event;
    return zx_event_create(0, &event) == ZX_OK && zx_handle_close(event) == ZX_OK ? 42 : 1;
}

// Ends by an exception, and the next program runs normally.
static void expect_exception(const char* child) {
    utest_context(child);
    EXPECT_EQ(utest_child_run(child), ZX_TASK_RETCODE_EXCEPTION_KILL);
    EXPECT_EQ(utest_child_run("ordinary"), 42);
    utest_context(nullptr);
}

// ---- instructions ----

CHILD(ud2) {
    __asm__ volatile("ud2");
    return 1;
}

CHILD(int3) {
    __asm__ volatile("int3");
    return 1;
}

CHILD(divide_by_zero) {
    __asm__ volatile("xorl %%ecx, %%ecx\n movl $1, %%eax\n cltd\n idivl %%ecx" ::
                         : "eax", "ecx", "edx");
    return 1;
}

#define PRIVILEGED(name, ...)          \
    CHILD(name) {                      \
        __asm__ volatile(__VA_ARGS__); \
        return 1;                      \
    }
PRIVILEGED(hlt, "hlt")
PRIVILEGED(cli, "cli")
PRIVILEGED(sti, "sti")
PRIVILEGED(in_port, "inb $0x60, %%al" :: : "eax")
PRIVILEGED(out_port, "outb %%al, $0x80" :: : "eax")
PRIVILEGED(read_cr0, "movq %%cr0, %%rax" :: : "rax")
PRIVILEGED(write_cr3, "movq %%rax, %%cr3" :: : "rax")
PRIVILEGED(rdmsr, "movl $0xc0000080, %%ecx\n rdmsr" :: : "eax", "ecx", "edx")
PRIVILEGED(wrmsr, "movl $0xc0000101, %%ecx\n wrmsr" :: : "eax", "ecx", "edx")
PRIVILEGED(swapgs, "swapgs")
PRIVILEGED(sysretq, "sysretq")
PRIVILEGED(iret_to_kernel, "pushq $0x10\n pushq %%rsp\n pushfq\n pushq $0x8\n"
                           "pushq $0\n iretq" :: : "memory")
PRIVILEGED(lgdt, "lgdt (%%rsp)" :: : "memory")
PRIVILEGED(ltr, "movl $0x28, %%eax\n ltr %%ax" :: : "eax")
PRIVILEGED(invlpg, "invlpg (%%rsp)" :: : "memory")
PRIVILEGED(load_kernel_ss, "movl $0x10, %%eax\n movw %%ax, %%ss" :: : "eax")
PRIVILEGED(load_bad_ds, "movl $0x1234, %%eax\n movw %%ax, %%ds" :: : "eax")
PRIVILEGED(far_jump, "pushq $0x8\n pushq $0\n lretq" :: : "memory")

CASE_WITHIN(instructions, 300) {
    static const char* const children[] = {"ud2",      "int3",      "divide_by_zero", "hlt",
                                           "cli",      "sti",       "in_port",        "out_port",
                                           "read_cr0", "write_cr3", "rdmsr",          "wrmsr",
                                           "swapgs",   "sysretq",   "iret_to_kernel", "lgdt",
                                           "ltr",      "invlpg",    "load_kernel_ss", "load_bad_ds",
                                           "far_jump"};
    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
        expect_exception(children[i]);
    }
}

// Every software interrupt, one child per vector.
static uint8_t vector;

CHILD(software_interrupt) {
    uint32_t bytes;
    if (zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr) != ZX_OK ||
        zx_channel_read(channel, 0, &vector, nullptr, 1, 0, &bytes, nullptr) != ZX_OK) {
        return 2;
    }
    // int N; ret, in memory of its own.
    uint8_t code[] = {0xcd, vector, 0xc3};
    zx_handle_t plain;
    zx_handle_t vmo;
    zx_vaddr_t at;
    if (zx_vmo_create(PAGE, 0, &plain) != ZX_OK ||
        zx_vmo_write(plain, code, 0, sizeof(code)) != ZX_OK ||
        zx_vmo_replace_as_executable(plain, ZX_HANDLE_INVALID, &vmo) != ZX_OK ||
        zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE, 0, vmo, 0, PAGE,
                    &at) != ZX_OK) {
        return 3;
    }
    ((void (*)(void))at)();
    return 4;
}

CASE_WITHIN(software_interrupts, 600) {
    for (uint32_t v = 0; v < 256; v += v < 34 ? 1 : 17) {
        struct utest_child c;
        utest_child_start(&c, "software_interrupt", ZX_HANDLE_INVALID);
        uint8_t byte = (uint8_t)v;
        EXPECT_OK(zx_channel_write(c.channel, 0, &byte, 1, nullptr, 0));
        EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_EXCEPTION_KILL);
    }
    EXPECT_EQ(utest_child_run("ordinary"), 42);
}

// ---- jumps and memory ----

static void jump_to(uintptr_t where) {
    __asm__ volatile("jmp *%0" ::"r"(where));
}

// A compiler need not believe in a call of data.
static void call(uintptr_t where) {
    __asm__ volatile("call *%0" ::"r"(where)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
}

CHILD(jump_null) {
    jump_to(0);
    return 1;
}

CHILD(jump_kernel) {
    jump_to(0xffffffff80000000);
    return 1;
}

CHILD(jump_non_canonical) {
    jump_to(0x0000800000000000);
    return 1;
}

CHILD(return_non_canonical) {
    __asm__ volatile("pushq %0\n ret" ::"r"(0x8000000000000000));
    return 1;
}

CHILD(execute_stack) {
    volatile uint8_t code[] = {0xc3};
    call((uintptr_t)code);
    return 1;
}

CHILD(execute_data) {
    static volatile uint8_t code[] = {0xc3};
    call((uintptr_t)code);
    return 1;
}

CHILD(write_text) {
    *(volatile uint8_t*)(uintptr_t)jump_to = 0x90;
    return 1;
}

CHILD(write_vdso) {
    *(volatile uint8_t*)(uintptr_t)zx_nanosleep = 0x90;
    return 1;
}

CHILD(read_null) {
    return *(volatile uint8_t*)8;
}

CHILD(read_kernel) {
    return *(volatile uint8_t*)0xffffffff80000000;
}

CHILD(write_kernel) {
    *(volatile uint8_t*)0xffff800000001000 = 1;
    return 1;
}

CHILD(read_non_canonical) {
    return *(volatile uint8_t*)0x1234567800000000;
}

static uint32_t recurse(volatile uint32_t* n) {
    volatile uint8_t block[1024];
    block[0] = (uint8_t)++*n;
    if (*n == UINT32_MAX) {
        return 0; // the stack ends long before
    }
    return recurse(n) + block[0];
}

CHILD(stack_overflow) {
    volatile uint32_t n = 0;
    return recurse(&n);
}

CHILD(no_stack) {
    __asm__ volatile("xorl %%esp, %%esp\n pushq %%rax" ::: "memory");
    return 1;
}

CHILD(kernel_stack_pointer) {
    __asm__ volatile("movq $-4096, %%rsp\n pushq %%rax" ::: "memory");
    return 1;
}

CASE_WITHIN(jumps_and_memory, 300) {
    static const char* const children[] = {
        "jump_null",      "jump_kernel",  "jump_non_canonical",  "return_non_canonical",
        "execute_stack",  "execute_data", "write_text",          "write_vdso",
        "read_null",      "read_kernel",  "write_kernel",        "read_non_canonical",
        "stack_overflow", "no_stack",     "kernel_stack_pointer"};
    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
        expect_exception(children[i]);
    }
}

// ---- flags, bases, alignment ----

// Single step through a system call: a debug exception, in user mode only.
CHILD(single_step_through_call) {
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n"
                     "xorl %%edi, %%edi\n call zx_thread_legacy_yield@PLT" ::
                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
    return 1;
}

// The shadow of mov ss delays what is pending to after the next instruction.
CHILD(mov_ss_then_int3) {
    __asm__ volatile("movw %%ss, %%ax\n movw %%ax, %%ss\n int3" ::: "eax");
    return 1;
}

CHILD(mov_ss_with_trap_flag_then_syscall) {
    // A syscall outside the vDSO besides: either way an exception.
    __asm__ volatile("movw %%ss, %%dx\n"
                     "pushfq\n orq $0x100, (%%rsp)\n movl $0, %%eax\n popfq\n"
                     "movw %%dx, %%ss\n syscall" ::
                         : "rax", "rcx", "rdx", "r11", "memory");
    return 1;
}

// AC is set: an access that is not aligned traps where the machine does that, in this program only.
CHILD(alignment_check) {
    __asm__ volatile("pushfq\n orq $0x40000, (%%rsp)\n popfq\n movl 1(%%rsp), %%eax" ::
                         : "rax", "memory");
    zx_thread_legacy_yield(0); // the kernel's own accesses are not meant
    __asm__ volatile("pushfq\n andq $~0x40000, (%%rsp)\n popfq" ::: "memory");
    return 42;
}

// There is no local descriptor table: a selector into it is refused without a look at memory, so
// LAR says no, and loading it is a protection fault (13), not a page fault at address 0.
CHILD(no_local_table) {
    for (uint32_t selector = 4; selector < 0x10000; selector += 0x1ff8) {
        uint8_t valid;
        __asm__ volatile("larl %2, %%eax\n setz %0"
                         : "=r"(valid)
                         : "0"(0), "r"(selector)
                         : "eax", "cc");
        if (valid != 0) {
            return 1;
        }
    }
    return 42;
}

CHILD(local_selector) {
    __asm__ volatile("movw %w0, %%ds" ::"r"(7));
    return 1;
}

CHILD(unaligned_sse) {
    __asm__ volatile("movaps 1(%%rsp), %%xmm0" ::: "xmm0", "memory");
    return 1;
}

CASE_WITHIN(traps, 200) {
    static const char* const children[] = {"single_step_through_call", "mov_ss_then_int3",
                                           "mov_ss_with_trap_flag_then_syscall", "unaligned_sse",
                                           "local_selector"};
    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
        expect_exception(children[i]);
    }
}

// The direction flag is the program's own: the kernel copies in its own direction.
CHILD(direction_flag) {
    uint8_t out[64];
    uint8_t in[64] = {};
    for (size_t i = 0; i < sizeof(out); i++) {
        out[i] = (uint8_t)i;
    }
    zx_handle_t vmo;
    if (zx_vmo_create(PAGE, 0, &vmo) != ZX_OK) {
        return 1;
    }
    __asm__ volatile("std" ::: "cc");
    zx_status_t write = zx_vmo_write(vmo, out, 100, sizeof(out));
    __asm__ volatile("std" ::: "cc");
    zx_status_t read = zx_vmo_read(vmo, in, 100, sizeof(in));
    __asm__ volatile("cld" ::: "cc");
    for (size_t i = 0; i < sizeof(out); i++) {
        if (in[i] != i) {
            return 2;
        }
    }
    return write == ZX_OK && read == ZX_OK ? 42 : 3;
}

// Any bases: the kernel finds its own data whatever they are.
CHILD(strange_bases) {
    static const uintptr_t bases[] = {0, 0x1000, 0x00007fffffffffff, 0x123456789};
    zx_handle_t self = zx_thread_self();
    uintptr_t fs;
    __asm__ volatile("movq %%fs:0, %0" : "=r"(fs));
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            if (zx_object_set_property(self, ZX_PROP_REGISTER_GS, &bases[i], 8) != ZX_OK ||
                zx_object_set_property(self, ZX_PROP_REGISTER_FS, &bases[j], 8) != ZX_OK) {
                return 2;
            }
            zx_thread_legacy_yield(0);
            zx_nanosleep(zx_deadline_after(1000));
        }
    }
    uintptr_t kernel = 0xffff800000000000;
    zx_status_t status = zx_object_set_property(self, ZX_PROP_REGISTER_GS, &kernel, 8);
    if (zx_object_set_property(self, ZX_PROP_REGISTER_FS, &fs, 8) != ZX_OK) {
        return 3;
    }
    return status == ZX_ERR_INVALID_ARGS ? 42 : 4;
}

// By instruction, where the CPU allows it: also bases that the call refuses.
CHILD(base_by_instruction) {
    for (uint32_t i = 0; i < 100; i++) {
        __asm__ volatile("wrgsbase %0" ::"r"(0xffff800000000000 + i));
        zx_thread_legacy_yield(0);
        zx_nanosleep(zx_deadline_after(1000));
        __asm__ volatile("wrgsbase %0" ::"r"(0ul));
    }
    return 42;
}

// Selectors that a program may load, and what the kernel does about them.
CHILD(null_selectors) {
    for (uint32_t i = 0; i < 20; i++) {
        __asm__ volatile("movw %0, %%ds\n movw %0, %%es\n movw %0, %%gs" ::"r"((uint16_t)0));
        zx_thread_legacy_yield(0);
        zx_nanosleep(zx_deadline_after(1000));
    }
    return 42;
}

CASE_WITHIN(flags_and_bases, 60) {
    static const char* const children[] = {"direction_flag", "strange_bases", "null_selectors",
                                           "no_local_table"};
    for (size_t i = 0; i < 4; i++) {
        utest_context(children[i]);
        EXPECT_EQ(utest_child_run(children[i]), 42);
    }
    // What not every CPU has.
    static const char* const optional[] = {"base_by_instruction", "alignment_check"};
    for (size_t i = 0; i < 2; i++) {
        utest_context(optional[i]);
        int64_t code = utest_child_run(optional[i]);
        EXPECT(code == 42 || code == ZX_TASK_RETCODE_EXCEPTION_KILL);
    }
    EXPECT_EQ(utest_child_run("ordinary"), 42);
}

// ---- system calls where none may be ----

CHILD(raw_syscall) {
    __asm__ volatile("xorl %%eax, %%eax\n syscall" ::: "rax", "rcx", "r11", "memory");
    return 1;
}

CHILD(raw_sysenter) {
    __asm__ volatile("xorl %%eax, %%eax\n sysenter" ::: "rax", "rcx", "rdx", "memory");
    return 1;
}

CHILD(raw_int80) {
    __asm__ volatile("xorl %%eax, %%eax\n int $0x80" ::: "rax", "memory");
    return 1;
}

// Into the vDSO, to a syscall instruction that belongs to another number.
CHILD(wrong_number) {
    const uint8_t* code = (const uint8_t*)(uintptr_t)zx_nanosleep;
    while (code[0] != 0x0f || code[1] != 0x05) {
        code++;
    }
    uint64_t result;
    __asm__ volatile("movl $3, %%eax\n call *%1"
                     : "=a"(result)
                     : "r"(code)
                     : "rcx", "r11", "memory");
    return 1;
}

CASE_WITHIN(stray_system_calls, 100) {
    static const char* const children[] = {"raw_syscall", "raw_sysenter", "raw_int80",
                                           "wrong_number"};
    for (size_t i = 0; i < 4; i++) {
        utest_context(children[i]);
        int64_t code = utest_child_run(children[i]);
        EXPECT(code == ZX_TASK_RETCODE_EXCEPTION_KILL || code == ZX_TASK_RETCODE_VDSO_KILL);
        EXPECT_EQ(utest_child_run("ordinary"), 42);
    }
}

// ---- floating point state ----

static volatile uint32_t quit;

static void scribble(void*) {
    while (quit == 0) {
        __asm__ volatile("pcmpeqb %%xmm0, %%xmm0\n movaps %%xmm0, %%xmm15\n fld1" ::: "memory");
        __asm__ volatile("fstp %%st" ::: "memory");
        zx_thread_legacy_yield(0);
    }
}

// Registers survive other threads, sleeps and calls.
CHILD(vector_state) {
    struct utest_thread t[3];
    for (uint32_t i = 0; i < 3; i++) {
        utest_thread_start(&t[i], scribble, nullptr);
    }
    int64_t code = 42;
    for (uint64_t i = 1; i < 200 && code == 42; i++) {
        uint64_t back;
        __asm__ volatile("movq %1, %%xmm15\n"
                         "xorl %%edi, %%edi\n call zx_thread_legacy_yield@PLT\n"
                         "movq %%xmm15, %0"
                         : "=&r"(back)
                         : "r"(i)
                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm15",
                           "memory");
        code = back == i ? 42 : 5;
    }
    quit = 1;
    for (uint32_t i = 0; i < 3; i++) {
        utest_thread_join(&t[i]);
    }
    return code;
}

CASE_WITHIN(vector_state, 60) {
    EXPECT_EQ(utest_child_run("vector_state"), 42);
}

// ---- too much of everything ----

constexpr uint32_t MANY_HANDLES = 1000000;

CHILD(a_million_handles) {
    zx_handle_t event;
    zx_handle_t copy;
    if (zx_event_create(0, &event) != ZX_OK) {
        return 1;
    }
    uint32_t count = 0;
    zx_status_t status = ZX_OK;
    while (count < MANY_HANDLES && status == ZX_OK) {
        status = zx_handle_duplicate(event, ZX_RIGHT_SAME_RIGHTS, &copy);
        count += status == ZX_OK;
    }
    // Refused for want of memory is as good as a million.
    zx_info_handle_count_t info;
    if (zx_object_get_info(event, ZX_INFO_HANDLE_COUNT, &info, sizeof(info), nullptr, nullptr) !=
            ZX_OK ||
        info.handle_count != count + 1) {
        return 2;
    }
    return status == ZX_OK || status == ZX_ERR_NO_MEMORY ? 42 : 3;
}

CASE_WITHIN(a_million_handles, 240) {
    EXPECT_EQ(utest_child_run("a_million_handles"), 42);
    EXPECT_EQ(utest_child_run("ordinary"), 42);
}

// As many objects of a kind as there is memory for.
static int64_t make_until_refused(zx_status_t (*make)(void)) {
    zx_status_t status = ZX_OK;
    for (uint32_t i = 0; i < 2000000 && status == ZX_OK; i++) {
        status = make();
    }
    return status == ZX_ERR_NO_MEMORY || status == ZX_OK ? 42 : 100 - status;
}

static zx_status_t make_committed_memory(void) {
    zx_handle_t vmo;
    zx_status_t status = zx_vmo_create(4 << 20, 0, &vmo);
    return status != ZX_OK ? status
                           : zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, 4 << 20, nullptr, 0);
}

static zx_status_t make_port(void) {
    zx_handle_t h;
    return zx_port_create(0, &h);
}

static zx_status_t make_channel_with_message(void) {
    static uint8_t bytes[60000];
    zx_handle_t a;
    zx_handle_t b;
    zx_status_t status = zx_channel_create(0, &a, &b);
    return status != ZX_OK ? status : zx_channel_write(a, 0, bytes, sizeof(bytes), nullptr, 0);
}

static zx_status_t make_thread(void) {
    zx_handle_t h;
    return zx_thread_create(zx_process_self(), "t", 1, 0, &h);
}

static zx_status_t make_process(void) {
    zx_handle_t h;
    zx_handle_t root;
    return zx_process_create(zx_job_default(), "p", 1, 0, &h, &root);
}

static zx_status_t make_mapping(void) {
    static zx_handle_t vmo;
    if (vmo == ZX_HANDLE_INVALID && zx_vmo_create(2 << 20, 0, &vmo) != ZX_OK) {
        return ZX_ERR_NO_MEMORY;
    }
    zx_vaddr_t at;
    zx_status_t status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0,
                                     vmo, 0, 2 << 20, &at);
    if (status == ZX_OK) {
        *(volatile uint8_t*)at = 1; // a page table of its own
    }
    return status;
}

CHILD(memory) {
    return make_until_refused(make_committed_memory);
}
CHILD(ports) {
    return make_until_refused(make_port);
}
CHILD(messages) {
    return make_until_refused(make_channel_with_message);
}
CHILD(threads) {
    return make_until_refused(make_thread);
}
CHILD(processes) {
    return make_until_refused(make_process);
}
CHILD(mappings) {
    return make_until_refused(make_mapping);
}

static void expect_refused(const char* child) {
    zx_handle_t job;
    EXPECT_OK(zx_job_create(zx_job_default(), 0, &job));
    struct utest_child c;
    utest_child_start(&c, child, job);
    EXPECT_OK(
        zx_object_wait_one(c.process, ZX_PROCESS_TERMINATED, utest_after_ms(200000), nullptr));
    int64_t code = utest_child_join(&c);
    // Refused, or ended because a page could not be had: not more.
    if (code != 42 && code != ZX_TASK_RETCODE_OOM_KILL && code != ZX_TASK_RETCODE_EXCEPTION_KILL) {
        FAIL("%s ended with %ld", child, code);
    }
    EXPECT_OK(zx_task_kill(job));
    EXPECT_OK(zx_object_wait_one(job, ZX_JOB_TERMINATED, utest_after_ms(20000), nullptr));
    EXPECT_CLOSE(job);
    EXPECT_EQ(utest_child_run("ordinary"), 42);
}

CASE_WITHIN(memory, 240) {
    expect_refused("memory");
}
CASE_WITHIN(ports, 240) {
    expect_refused("ports");
}
CASE_WITHIN(messages, 240) {
    expect_refused("messages");
}
CASE_WITHIN(threads, 240) {
    expect_refused("threads");
}
CASE_WITHIN(processes, 240) {
    expect_refused("processes");
}
CASE_WITHIN(mappings, 240) {
    expect_refused("mappings");
}
