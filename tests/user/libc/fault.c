// Handlers that are entered in the middle of a program's code: for faults, and for signals that
// come while it computes.
#include "children.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#include <zircon/process.h>
#include <zircon/syscalls.h>

GROUP("libc_fault");

static void handle(int signal, void (*handler)(int, siginfo_t*, void*), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    EXPECT_EQ(sigaction(signal, &action, nullptr), 0);
}

static void leave(int sig) {
    EXPECT(signal(sig, SIG_DFL) != SIG_ERR);
}

static sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

static sigjmp_buf back;

static void jump_back(int signal, siginfo_t*, void*) {
    siglongjmp(back, signal);
}

// What the library makes at the first handler for a fault, and keeps.
__attribute__((constructor)) static void catch_once(void) {
    handle(SIGSEGV, jump_back, 0);
    leave(SIGSEGV);
}

// ---- faults ----

static struct {
    int signal, code;
    void* address;
    int count;
    void* page;     // made writable by the handler, if not null
    uintptr_t skip; // where to go on, if not 0
} fault;

static void on_fault(int signal, siginfo_t* info, void* context) {
    ucontext_t* c = context;
    fault.signal = signal;
    fault.code = info->si_code;
    fault.address = info->si_addr;
    fault.count++;
    if (fault.page != nullptr) {
        EXPECT_EQ(mprotect(fault.page, 4096, PROT_READ | PROT_WRITE), 0);
    }
    if (fault.skip != 0) {
        c->uc_mcontext.gregs[REG_RIP] = (greg_t)fault.skip;
    }
}

static void expect_fault(int signal, int code, const void* address) {
    EXPECT_EQ(fault.count, 1);
    EXPECT_EQ(fault.signal, signal);
    EXPECT_EQ(fault.code, code);
    EXPECT(fault.address == address);
    memset(&fault, 0, sizeof(fault));
}

static char* closed_page(void) {
    char* page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(page != MAP_FAILED);
    return page;
}

// Returning makes the access again.
CASE(a_page_is_opened_on_demand) {
    handle(SIGSEGV, on_fault, 0);
    volatile char* page = closed_page();
    fault.page = (void*)page;
    page[100] = 7;
    EXPECT_EQ(page[100], 7);
    expect_fault(SIGSEGV, SEGV_ACCERR, (void*)(page + 100));
    EXPECT_EQ(munmap((void*)page, 4096), 0);
    leave(SIGSEGV);
}

// What each of these executes faults; the handler goes on behind it. They answer where it was.

static uintptr_t divide(int by) {
    uintptr_t at;
    int dividend = 1;
    __asm__ volatile("lea 2f(%%rip), %0\n\t"
                     "mov %0, %2\n\t"
                     "lea 1f(%%rip), %0\n\t"
                     "cltd\n"
                     "1: idivl %3\n"
                     "2:"
                     : "=&r"(at), "+a"(dividend), "=m"(fault.skip)
                     : "r"(by)
                     : "edx", "memory");
    return at;
}

static uintptr_t undefined(void) {
    uintptr_t at;
    __asm__ volatile("lea 2f(%%rip), %0\n\t"
                     "mov %0, %1\n\t"
                     "lea 1f(%%rip), %0\n"
                     "1: ud2\n"
                     "2:"
                     : "=&r"(at), "=m"(fault.skip)
                     :
                     : "memory");
    return at;
}

static uintptr_t breakpoint(void) {
    uintptr_t after;
    __asm__ volatile("lea 1f(%%rip), %0\n\t"
                     "int3\n"
                     "1:"
                     : "=&r"(after)
                     :
                     : "memory");
    return after;
}

static uintptr_t read_at(const void* where) {
    uintptr_t at;
    __asm__ volatile("lea 2f(%%rip), %0\n\t"
                     "mov %0, %1\n\t"
                     "lea 1f(%%rip), %0\n"
                     "1: movb (%2), %%cl\n"
                     "2:"
                     : "=&r"(at), "=m"(fault.skip)
                     : "r"(where)
                     : "rcx", "memory");
    return at;
}

// By the x87 unit: QEMU's emulation raises nothing for the other.
static void divide_doubles(void) {
    static const uint16_t unmasked = 0x37f & ~0x04; // division by zero
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t"
                     "mov %%rax, %0\n\t"
                     "fldcw %1\n\t"
                     "fld1\n\tfldz\n\tfdivrp\n\tfwait\n"
                     "1: fninit"
                     : "=m"(fault.skip)
                     : "m"(unmasked)
                     : "rax", "memory");
}

CASE(each_fault_has_its_signal) {
    const int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        handle(all[i], on_fault, 0);
    }
    uintptr_t at = divide(0);
    expect_fault(SIGFPE, FPE_INTDIV, (void*)at);
    divide_doubles();
    expect_fault(SIGFPE, FPE_FLTDIV, fault.address);
    at = undefined();
    expect_fault(SIGILL, ILL_ILLOPN, (void*)at);
    at = breakpoint();
    expect_fault(SIGTRAP, TRAP_BRKPT, (void*)at);
    (void)read_at((void*)16);
    expect_fault(SIGSEGV, SEGV_MAPERR, (void*)16);
    (void)read_at((void*)(UINT64_C(1) << 63)); // not canonical: the CPU does not say which
    expect_fault(SIGSEGV, SI_KERNEL, nullptr);

    zx_handle_t vmo;
    uintptr_t memory;
    EXPECT_OK(zx_vmo_create(4096, ZX_VMO_RESIZABLE, &vmo));
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_ALLOW_FAULTS, 0, vmo, 0,
                          4096, &memory));
    EXPECT_OK(zx_vmo_set_size(vmo, 0));
    (void)read_at((void*)memory);
    expect_fault(SIGBUS, BUS_ADRERR, (void*)memory);
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), memory, 4096));
    EXPECT_CLOSE(vmo);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        leave(all[i]);
    }
}

// Everything in registers is as before, what lies below the stack pointer, too. (Which is 256 bytes
// lower, because the compiler uses the zone itself.)
static uint64_t registers_around(volatile char* page) {
    uint64_t sum;
    static const double ones[2] = {1, 1};
    __asm__ volatile("sub $256, %%rsp\n\t"
                     "movups %2, %%xmm15\n\t"
                     "movq $0x1111, -8(%%rsp)\n\t"
                     "movq $0x2222, -128(%%rsp)\n\t"
                     "mov $3, %%rax\n\tmov $5, %%rcx\n\tmov $7, %%rdx\n\tmov $11, %%rsi\n\t"
                     "mov $13, %%r8\n\tmov $17, %%r9\n\tmov $19, %%r10\n\tmov $23, %%r11\n\t"
                     "mov $29, %%r12\n\tmov $31, %%r13\n\tmov $37, %%r14\n\tmov $41, %%r15\n\t"
                     "fld1\n\t"
                     "stc\n\t"
                     "movb $1, (%1)\n\t"
                     "adc $0, %%rax\n\t" // the carry
                     "add %%rcx, %%rax\n\tadd %%rdx, %%rax\n\tadd %%rsi, %%rax\n\t"
                     "add %%r8, %%rax\n\tadd %%r9, %%rax\n\tadd %%r10, %%rax\n\t"
                     "add %%r11, %%rax\n\tadd %%r12, %%rax\n\tadd %%r13, %%rax\n\t"
                     "add %%r14, %%rax\n\tadd %%r15, %%rax\n\t"
                     "add -8(%%rsp), %%rax\n\tadd -128(%%rsp), %%rax\n\t"
                     "fistpq -8(%%rsp)\n\tadd -8(%%rsp), %%rax\n\t"
                     "cvtsd2si %%xmm15, %%rcx\n\tadd %%rcx, %%rax\n\t"
                     "add $256, %%rsp\n\t"
                     : "=&a"(sum)
                     : "D"(page), "m"(ones)
                     : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "xmm15", "memory", "cc");
    return sum;
}

static void on_fault_that_computes(int signal, siginfo_t* info, void* context) {
    volatile double x = 2;
    for (int i = 0; i < 10; i++) {
        x = x * x / (x + 1);
    }
    __asm__ volatile("xorps %%xmm15, %%xmm15\n\tfninit" : : : "xmm15");
    on_fault(signal, info, context);
}

CASE(registers_are_kept) {
    handle(SIGSEGV, on_fault_that_computes, 0);
    char* page = closed_page();
    uint64_t want =
        3 + 1 + 5 + 7 + 11 + 13 + 17 + 19 + 23 + 29 + 31 + 37 + 41 + 0x1111 + 0x2222 + 2;
    fault.page = page;
    EXPECT_EQ(registers_around(page), want);
    expect_fault(SIGSEGV, SEGV_ACCERR, page);
    EXPECT_EQ(registers_around(page), want); // no fault any more
    EXPECT_EQ(fault.count, 0);
    EXPECT_EQ(munmap(page, 4096), 0);
    leave(SIGSEGV);
}

CASE(handlers_jump_out) {
    handle(SIGSEGV, jump_back, 0);
    handle(SIGFPE, jump_back, 0);
    volatile int faults = 0;
    for (volatile int i = 0; i < 200; i++) {
        int got = sigsetjmp(back, 1);
        if (got == 0) {
            if (i % 2 == 0) {
                *(volatile int*)8 = 1;
            } else {
                (void)divide(0);
            }
            FAIL("it went on");
        }
        EXPECT_EQ(got, i % 2 == 0 ? SIGSEGV : SIGFPE);
        faults++;
    }
    EXPECT_EQ(faults, 200);
    sigset_t mask;
    EXPECT_EQ(sigprocmask(SIG_BLOCK, nullptr, &mask), 0);
    EXPECT_EQ(sigismember(&mask, SIGSEGV), 0);
    leave(SIGFPE);
    leave(SIGSEGV);
}

// ---- a stack of one's own ----

static struct {
    stack_t seen;
    int error;
    uintptr_t sp;
} on_stack;

static void note_stack(int signal, siginfo_t* info, void* context) {
    stack_t none = {.ss_flags = SS_DISABLE};
    EXPECT_EQ(sigaltstack(nullptr, &on_stack.seen), 0);
    on_stack.error = sigaltstack(&none, nullptr) == 0 ? 0 : errno;
    on_stack.sp = (uintptr_t)__builtin_frame_address(0);
    jump_back(signal, info, context);
}

static int overflow(int depth) {
    volatile char much[4096];
    much[0] = (char)depth;
    much[sizeof(much) - 1] = (char)depth;
    return depth == -1 ? 0 : overflow(depth + 1) + much[0];
}

static void* overflow_here(void*) {
    static char stack[16384];
    stack_t mine = {.ss_sp = stack, .ss_size = sizeof(stack)}, before;
    EXPECT_EQ(sigaltstack(&mine, &before), 0);
    EXPECT_EQ(before.ss_flags, SS_DISABLE);
    for (int i = 0; i < 3; i++) {
        memset(&on_stack, 0, sizeof(on_stack));
        if (sigsetjmp(back, 1) == 0) {
            (void)overflow(0);
        }
        EXPECT(on_stack.sp - (uintptr_t)stack < sizeof(stack));
        EXPECT(on_stack.seen.ss_flags == SS_ONSTACK && on_stack.seen.ss_sp == stack);
        EXPECT_EQ(on_stack.error, EPERM);
    }
    mine.ss_flags = SS_DISABLE;
    EXPECT_EQ(sigaltstack(&mine, &before), 0);
    EXPECT(before.ss_flags == 0 && before.ss_size == sizeof(stack));
    return nullptr;
}

CASE(a_stack_that_is_full) {
    handle(SIGSEGV, note_stack, SA_ONSTACK);
    (void)overflow_here(nullptr);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, overflow_here, nullptr), 0);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    stack_t bad = {.ss_sp = &thread, .ss_size = 64};
    EXPECT_EQ(sigaltstack(&bad, nullptr), -1);
    EXPECT_EQ(errno, ENOMEM);
    bad = (stack_t){.ss_sp = &on_stack, .ss_size = 1 << 20, .ss_flags = 77};
    EXPECT_EQ(sigaltstack(&bad, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    leave(SIGSEGV);
}

// ---- what ends all the same ----

static int child_signal(const char* what, const char* how) {
    return exit_signal(start(nullptr, ARGS((char*)what, (char*)how)));
}

CASE(faults_that_end) {
    EXPECT_EQ(child_signal("fatal", "blocked"), SIGSEGV);
    EXPECT_EQ(child_signal("fatal", "ignored"), SIGSEGV);
    EXPECT_EQ(child_signal("fatal", "once"), SIGFPE);    // SA_RESETHAND, and it divides again
    EXPECT_EQ(child_signal("fatal", "nested"), SIGSEGV); // in the handler itself
    EXPECT_EQ(child_signal("fatal", "stack"), SIGSEGV);  // no room for a frame
    EXPECT_EQ(child_signal("fatal", "layer"), SIGSEGV);  // inside the library's lower half
    EXPECT_EQ(child_signal("fatal", "abort"), SIGABRT);  // with a handler that returns
}

// ---- several threads ----

constexpr int THREADS = 6, ROUNDS = 50;

static thread_local sigjmp_buf back_of_thread;

static void jump_back_in_thread(int signal, siginfo_t* info, void*) {
    siglongjmp(back_of_thread, (int)(uintptr_t)info->si_addr + signal);
}

static void* fault_often(void* arg) {
    uintptr_t mine = 64 + (uintptr_t)arg * 8;
    for (volatile int i = 0; i < ROUNDS; i++) {
        int got = sigsetjmp(back_of_thread, 1);
        if (got == 0) {
            *(volatile int*)mine = 1;
        }
        if (got != (int)mine + SIGSEGV) {
            return (void*)1;
        }
    }
    return nullptr;
}

CASE(all_threads_fault_at_once) {
    handle(SIGSEGV, jump_back_in_thread, 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        EXPECT_EQ(pthread_create(&threads[i], nullptr, fault_often, (void*)(uintptr_t)i), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void* wrong;
        EXPECT_EQ(pthread_join(threads[i], &wrong), 0);
        EXPECT(wrong == nullptr);
    }
    leave(SIGSEGV);
}

// ---- signals that come while the program computes ----

static _Atomic int hits;

static void hit(int, siginfo_t*, void* context) {
    hits += ((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP] != 0 ? 1 : 1000;
}

static void spin_until(int count) {
    while (hits < count) {
    }
}

CASE(an_alarm_in_a_loop) {
    handle(SIGALRM, hit, 0);
    hits = 0;
    struct itimerval often = {.it_value.tv_usec = 2000, .it_interval.tv_usec = 2000};
    EXPECT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
    spin_until(10);
    EXPECT_EQ(setitimer(ITIMER_REAL, &(struct itimerval){}, nullptr), 0);
    leave(SIGALRM);
}

static void jump_out_of_loop(int signal, siginfo_t* info, void* context) {
    hit(signal, info, context);
    jump_back(signal, info, context);
}

CASE(out_of_an_endless_loop) {
    handle(SIGALRM, jump_out_of_loop, 0);
    for (volatile int i = 0; i < 5; i++) {
        struct itimerval once = {.it_value.tv_usec = 1000};
        if (sigsetjmp(back, 1) == 0) {
            EXPECT_EQ(setitimer(ITIMER_REAL, &once, nullptr), 0);
            for (;;) {
                __asm__ volatile("");
            }
        }
    }
    leave(SIGALRM);
}

// A thread computes; its result does not depend on how often it is interrupted.
static _Atomic bool stop;

static uint64_t compute(uint64_t rounds) {
    uint64_t a = 1, b = 2, c = 3;
    double x = 0.5;
    for (uint64_t i = 0; i < rounds; i++) {
        a = a * 6364136223846793005u + b;
        b = (b << 7 | b >> 57) ^ a;
        c += a % (b | 1);
        x = x * 3.75 * (1 - x);
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return a ^ b ^ c ^ bits;
}

static void* compute_always(void* want) {
    uint64_t wrong = 0;
    while (!stop) {
        wrong += compute(20'000) != *(const uint64_t*)want;
    }
    return (void*)wrong;
}

// In and out of operations all the time, with locks and memory.
static void* call_always(void*) {
    uint64_t wrong = 0;
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    while (!stop) {
        char byte = 0;
        wrong += write(ends[1], "x", 1) != 1 || read(ends[0], &byte, 1) != 1 || byte != 'x';
        wrong += getppid() < 0;
        sigset_t set = set_of(SIGUSR1), old;
        wrong += pthread_sigmask(SIG_BLOCK, &set, &old) != 0;
        int before = hits;
        wrong += pthread_sigmask(SIG_SETMASK, &old, nullptr) != 0;
        (void)before;
        // Not by the vDSO alone: what is in the clock's code is found outside of it some time.
        wrong += zx_clock_get_monotonic() == 0;
    }
    EXPECT_EQ(close(ends[0]), 0);
    EXPECT_EQ(close(ends[1]), 0);
    return (void*)wrong;
}

CASE_WITHIN(threads_are_interrupted, 120) {
    static uint64_t want;
    want = compute(20'000);
    handle(SIGUSR1, hit, SA_RESTART);
    hits = 0;
    stop = false;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(pthread_create(&threads[i], nullptr, i < 2 ? compute_always : call_always, &want),
                  0);
    }
    // A signal that pends already is not counted again: each is waited for.
    for (int i = 0; i < 100; i++) {
        int before = hits;
        EXPECT_EQ(pthread_kill(threads[i % 4], SIGUSR1), 0);
        while (hits == before) {
            (void)zx_nanosleep(zx_deadline_after(100'000));
        }
    }
    // And as many as there can be.
    for (int i = 0; i < 2000; i++) {
        EXPECT_EQ(pthread_kill(threads[i % 4], SIGUSR1), 0);
    }
    stop = true;
    for (int i = 0; i < 4; i++) {
        void* wrong;
        EXPECT_EQ(pthread_join(threads[i], &wrong), 0);
        EXPECT(wrong == nullptr);
    }
    leave(SIGUSR1);
}

static void* compute_blocked(void*) {
    sigset_t set = set_of(SIGUSR2), old;
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    hits = -1; // it is blocked from here on
    while (hits == -1) {
    }
    for (int i = 0; i < 200; i++) {
        (void)compute(10'000);
    }
    int seen = hits;
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &old, nullptr), 0); // here it comes
    return (void*)(uintptr_t)(seen * 10 + hits);
}

CASE(a_mask_is_respected) {
    handle(SIGUSR2, hit, 0);
    hits = 0;
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, compute_blocked, nullptr), 0);
    while (hits != -1) {
    }
    EXPECT_EQ(pthread_kill(thread, SIGUSR2), 0);
    hits = 0;
    void* seen;
    EXPECT_EQ(pthread_join(thread, &seen), 0);
    EXPECT_EQ((uintptr_t)seen, 1);
    leave(SIGUSR2);
}

// A call of the kernel's that the library does not know of is not interrupted; nor is it harmed.
static void* sleep_natively(void*) {
    hits = 0;
    (void)zx_nanosleep(zx_deadline_after(50'000'000));
    spin_until(1);
    return nullptr;
}

CASE(a_native_call_is_not_harmed) {
    handle(SIGUSR1, hit, 0);
    hits = -1;
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, sleep_natively, nullptr), 0);
    while (hits == -1) {
    }
    EXPECT_EQ(pthread_kill(thread, SIGUSR1), 0);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    EXPECT_EQ(hits, 1);
    leave(SIGUSR1);
}

CASE(a_child_that_computes) {
    int out;
    pid_t pid = start(&out, ARGS((char*)"spin_handle", (char*)"2"));
    (void)line_of(out);
    EXPECT_EQ(kill(pid, SIGINT), 0);
    EXPECT_EQ(exit_code(pid), 100 + SIGINT);
    EXPECT_EQ(close(out), 0);
}
