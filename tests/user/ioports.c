// I/O ports from user mode. The ports are those of the PCI configuration mechanism (an address
// register that reads back what was written) and of the DMA page registers (bytes that do): both
// are in any PC, and the kernel uses neither.
#include <utest/exceptions.h>

#include <stdatomic.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls/resource.h>

GROUP("ioports");

constexpr uint16_t PCI_ADDRESS = 0xcf8;
constexpr uint16_t PCI_DATA = 0xcfc;
constexpr uint32_t PCI_ENABLE = 1u << 31;
constexpr uint16_t DMA_PAGE = 0x81; // and 0x82, 0x83
constexpr uint64_t TRAP_FLAG = 1u << 8;
constexpr uint32_t DR6_STEP = 1u << 14;

static zx_handle_t whole(void) {
    zx_handle_t h = utest_startup_peek(PA_HND(PA_IOPORT_RESOURCE, 0));
    if (h == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    return h;
}

static zx_handle_t part(uint64_t base, size_t size) {
    zx_handle_t out;
    EXPECT_OK(zx_resource_create(whole(), ZX_RSRC_KIND_IOPORT, base, size, "part", 4, &out));
    return out;
}

static inline void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
static inline uint8_t in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline void out32(uint16_t port, uint32_t value) {
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
static inline uint32_t in32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static void need_pci(void) {
    out32(PCI_ADDRESS, PCI_ENABLE);
    if (in32(PCI_ADDRESS) != PCI_ENABLE) {
        EXPECT_OK(zx_ioports_release(whole(), PCI_ADDRESS, 8));
        utest_skip("this machine has no PCI configuration ports");
    }
}

// With `count` of the page registers granted.
static void need_dma(uint32_t count) {
    out8(DMA_PAGE, 0x6d);
    if (in8(DMA_PAGE) != 0x6d) {
        EXPECT_OK(zx_ioports_release(whole(), DMA_PAGE, count));
        utest_skip("this machine has no DMA page registers");
    }
}

// ---- accesses that fault: made in a thread, caught, stepped over ----

static _Atomic(uint32_t) attempts_done;

static void run_code(void* arg) {
    uint64_t* a = arg;
    uint64_t rax = a[1];
    __asm__ volatile("call *%1" : "+a"(rax) : "r"(a[0]), "d"(a[2]) : "memory", "cc");
    a[1] = rax;
    atomic_fetch_add(&attempts_done, 1);
}

// Memory that can be executed, written through another mapping.
struct code_page {
    uint8_t* write;
    uint8_t* run;
    zx_handle_t vmo;
};

static void code_page_make(struct code_page* c, size_t pages) {
    zx_handle_t vmex;
    zx_handle_t vmo = utest_vmo(pages * 4096);
    zx_vaddr_t w;
    zx_vaddr_t x;
    zx_handle_t system = utest_startup_peek(PA_HND(PA_SYSTEM_RESOURCE, 0));
    EXPECT_OK(zx_resource_create(system, ZX_RSRC_KIND_SYSTEM, ZX_RSRC_SYSTEM_VMEX_BASE, 1, "x", 1,
                                 &vmex));
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0,
                          pages * 4096, &w));
    EXPECT_OK(zx_vmo_replace_as_executable(vmo, vmex, &vmo));
    EXPECT_OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE, 0, vmo, 0,
                          pages * 4096, &x));
    EXPECT_CLOSE(vmex);
    *c = (struct code_page){(uint8_t*)w, (uint8_t*)x, vmo};
}

static void code_page_drop(struct code_page* c, size_t pages) {
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), (zx_vaddr_t)c->write, pages * 4096));
    EXPECT_OK(zx_vmar_unmap(zx_vmar_root_self(), (zx_vaddr_t)c->run, pages * 4096));
    EXPECT_CLOSE(c->vmo);
}

// Runs `code` in a thread. True: it came through; false: it faulted, with the frame untouched.
static bool try_code(struct code_page* c, size_t at, const char* code, size_t len, uint16_t dx,
                     uint64_t* rax) {
    memcpy(c->write + at, code, len);
    c->write[at + len] = 0xc3; // ret
    uint64_t args[3] = {(uint64_t)c->run + at, *rax, dx};
    uint32_t before = atomic_load(&attempts_done);
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct utest_thread t;
    utest_thread_start(&t, run_code, args);
    zx_wait_item_t items[] = {{.handle = channel, .waitfor = ZX_CHANNEL_READABLE},
                              {.handle = t.handle, .waitfor = ZX_THREAD_TERMINATED}};
    EXPECT_OK(zx_object_wait_many(items, 2, utest_after_ms(20000)));
    const bool faulted = (items[0].pending & ZX_CHANNEL_READABLE) != 0;
    if (faulted) {
        struct utest_exception e = utest_catch(channel, ZX_EXCP_GENERAL);
        zx_handle_t thread = utest_thread_of(&e);
        EXPECT_EQ(utest_registers(thread).rip, (uint64_t)c->run + at);
        EXPECT_EQ(utest_registers(thread).rax, *rax);
        EXPECT_CLOSE(thread);
        utest_skip_instruction(&e, (uint32_t)len);
        utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    }
    utest_thread_join(&t);
    EXPECT_EQ(atomic_load(&attempts_done), before + 1);
    EXPECT_CLOSE(channel);
    *rax = args[1];
    return !faulted;
}

#define TRY_CODE(c, code, dx, rax) try_code(c, 0, code, sizeof(code) - 1, dx, rax)

static bool can_read(struct code_page* c, uint16_t port) {
    uint64_t rax = 0;
    return TRY_CODE(c, "\xec", port, &rax);
}

// ---- the calls ----

CASE(errors) {
    zx_handle_t all = whole();
    EXPECT_STATUS(zx_ioports_request(all, 0x81, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_ioports_request(all, 0xffff, 2), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_ioports_request(all, 0, 0x10001), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_ioports_request(all, 1, UINT32_MAX), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_ioports_release(all, 0x81, 0), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_ioports_release(all, 0xffff, 2), ZX_ERR_INVALID_ARGS);
    zx_handle_t some = part(0x300, 16);
    EXPECT_STATUS(zx_ioports_request(some, 0x2ff, 2), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_ioports_request(some, 0x30f, 2), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_ioports_request(some, 0x310, 1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_STATUS(zx_ioports_release(some, 0x310, 1), ZX_ERR_OUT_OF_RANGE);
    EXPECT_OK(zx_ioports_request(some, 0x300, 16));
    EXPECT_OK(zx_ioports_request(some, 0x300, 16)); // twice is once
    EXPECT_OK(zx_ioports_release(some, 0x300, 16));
    EXPECT_OK(zx_ioports_release(some, 0x300, 16));
    EXPECT_CLOSE(some);
    zx_handle_t mmio = utest_startup_peek(PA_HND(PA_MMIO_RESOURCE, 0));
    EXPECT_STATUS(zx_ioports_request(mmio, 0x81, 1), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_ioports_release(mmio, 0x81, 1), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_ioports_request(zx_process_self(), 0x81, 1), ZX_ERR_WRONG_TYPE);
    EXPECT_STATUS(zx_ioports_request(utest_stale_handle(), 0x81, 1), ZX_ERR_BAD_HANDLE);
    EXPECT_STATUS(zx_ioports_release(utest_stale_handle(), 0x81, 1), ZX_ERR_BAD_HANDLE);
}

// What the kernel drives itself nobody gets: the interrupt controllers, the console.
CASE(ports_of_the_kernel) {
    EXPECT_STATUS(zx_ioports_request(whole(), 0x20, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_ioports_request(whole(), 0xa1, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_ioports_request(whole(), 0x3ff, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_ioports_request(whole(), 0x3f0, 9), ZX_ERR_ACCESS_DENIED);
    EXPECT_STATUS(zx_ioports_request(whole(), 0, 0x10000), ZX_ERR_ACCESS_DENIED);
}

// ---- accesses ----

CASE(granted_ports_work) {
    EXPECT_OK(zx_ioports_request(whole(), PCI_ADDRESS, 8));
    need_pci();
    out32(PCI_ADDRESS, PCI_ENABLE | 0xff00);
    EXPECT_EQ(in32(PCI_ADDRESS), PCI_ENABLE | 0xff00);
    out32(PCI_ADDRESS, PCI_ENABLE); // the host bridge: its vendor, as a whole and in parts
    uint32_t id = in32(PCI_DATA);
    EXPECT_EQ(id & 0xffff, 0x8086);
    EXPECT_EQ(in8(PCI_DATA), id & 0xff);
    EXPECT_EQ(in8(PCI_DATA + 3), id >> 24);
    uint16_t half;
    __asm__ volatile("inw %1, %0" : "=a"(half) : "d"((uint16_t)(PCI_DATA + 2)) : "memory");
    EXPECT_EQ(half, id >> 16);
    EXPECT_OK(zx_ioports_release(whole(), PCI_ADDRESS, 8));
}

CASE(all_forms) {
    EXPECT_OK(zx_ioports_request(whole(), DMA_PAGE, 2));
    need_dma(2);
    struct code_page c;
    code_page_make(&c, 1);
    uint64_t rax = 0x1122334455667711;
    EXPECT(TRY_CODE(&c, "\xe6\x81", 0, &rax)); // out 0x81, al
    EXPECT_EQ(rax, 0x1122334455667711);
    rax = 0x22;
    EXPECT(TRY_CODE(&c, "\xee", 0x82, &rax)); // out dx, al
    rax = UINT64_MAX;
    EXPECT(TRY_CODE(&c, "\xe4\x81", 0, &rax)); // in al, 0x81
    EXPECT_EQ(rax, 0xffffffffffffff11);
    rax = UINT64_MAX;
    EXPECT(TRY_CODE(&c, "\x66\xed", 0x81, &rax)); // in ax, dx: both
    EXPECT_EQ(rax, 0xffffffffffff2211);
    rax = 0x4433;
    EXPECT(TRY_CODE(&c, "\x66\xe7\x81", 0, &rax)); // out 0x81, ax
    rax = 0;
    EXPECT(TRY_CODE(&c, "\xf3\x2e\x66\xe5\x81", 0, &rax)); // prefixes that mean nothing
    EXPECT_EQ(rax, 0x4433);
    // 4 ports, of which 2 are granted; and at the end of all ports.
    EXPECT(!TRY_CODE(&c, "\xed", 0x81, &rax));
    EXPECT(!TRY_CODE(&c, "\xef", 0x81, &rax));
    EXPECT(!TRY_CODE(&c, "\xed", 0xfffe, &rax));
    EXPECT(!TRY_CODE(&c, "\x6c", 0x81, &rax));     // insb
    EXPECT(!TRY_CODE(&c, "\xf3\x6e", 0x81, &rax)); // rep outsb
    EXPECT(!TRY_CODE(&c, "\xf4", 0x81, &rax));     // hlt is still what it was
    EXPECT(!TRY_CODE(&c, "\xfa", 0x81, &rax));     // and cli
    EXPECT_OK(zx_ioports_release(whole(), DMA_PAGE, 2));
    code_page_drop(&c, 1);
}

// The last instruction before memory that is not there, and one across two pages.
CASE(at_the_end_of_a_page) {
    EXPECT_OK(zx_ioports_request(whole(), DMA_PAGE, 1));
    need_dma(1);
    struct code_page c;
    code_page_make(&c, 2);
    uint64_t rax = 0x5a;
    EXPECT(try_code(&c, 4095, "\xe6\x81", 2, 0, &rax));
    rax = 0;
    EXPECT(try_code(&c, 4093, "\x3e\x3e\x3e\xe4\x81", 5, 0, &rax));
    EXPECT_EQ(rax, 0x5a);
    EXPECT(try_code(&c, 8190, "\xec", 1, DMA_PAGE, &rax)); // `ret` is the last byte
    EXPECT_OK(zx_ioports_release(whole(), DMA_PAGE, 1));
    code_page_drop(&c, 2);
}

CASE(others_fault) {
    struct code_page c;
    code_page_make(&c, 1);
    EXPECT(!can_read(&c, DMA_PAGE)); // before anything was granted
    EXPECT_OK(zx_ioports_request(whole(), 0x7f, 3));
    EXPECT(!can_read(&c, 0x7e));
    EXPECT(can_read(&c, 0x7f));
    EXPECT(can_read(&c, 0x81));
    EXPECT(!can_read(&c, 0x82));
    EXPECT(!can_read(&c, 0x3f8)); // the console
    EXPECT_OK(zx_ioports_release(whole(), 0x80, 1));
    EXPECT(can_read(&c, 0x7f));
    EXPECT(!can_read(&c, 0x80));
    EXPECT(can_read(&c, 0x81));
    EXPECT_OK(zx_ioports_release(whole(), 0x40, 0x50));
    EXPECT(!can_read(&c, 0x7f));
    EXPECT(!can_read(&c, 0x81));
    code_page_drop(&c, 1);
}

// ---- processes and threads ----

CHILD(reads_a_port) {
    return in8(DMA_PAGE);
}

CASE(not_inherited) {
    EXPECT_OK(zx_ioports_request(whole(), DMA_PAGE, 1));
    need_dma(1);
    out8(DMA_PAGE, 7);
    struct utest_prepared p;
    utest_child_prepare(&p, "reads_a_port", ZX_HANDLE_INVALID);
    zx_handle_t channel = utest_listen(p.process, 0);
    EXPECT_OK(zx_process_start(p.process, p.thread, p.entry, p.stack, p.bootstrap, p.vdso_base));
    p.bootstrap = ZX_HANDLE_INVALID;
    struct utest_exception e = utest_catch(channel, ZX_EXCP_GENERAL);
    EXPECT_EQ(in8(DMA_PAGE), 7); // and ours are what they were
    EXPECT_OK(zx_task_kill(p.process));
    EXPECT_OK(zx_object_wait_one(p.process, ZX_PROCESS_TERMINATED, utest_after_ms(10000), nullptr));
    EXPECT_CLOSE(e.handle);
    EXPECT_CLOSE(channel);
    utest_prepared_close(&p);
    EXPECT_OK(zx_ioports_release(whole(), DMA_PAGE, 1));
}

static _Atomic(uint64_t) accesses;

static void read_until_it_faults(void*) {
    for (;;) {
        uint32_t gone = 0;
        // A handler that finds ecx 1 there moves the thread on and sets it to 0.
        __asm__ volatile("movl $1, %%ecx\n\tinb %%dx, %%al\n\txorl $1, %%ecx\n\tmovl %%ecx, %0"
                         : "=r"(gone)
                         : "d"(DMA_PAGE)
                         : "rax", "rcx", "cc");
        if (gone != 0) {
            return;
        }
        atomic_fetch_add(&accesses, 1);
    }
}

// Threads on several CPUs have what one of them was granted, and lose it when it is released.
CASE_WITHIN(threads_on_all_cpus, 60) {
    constexpr uint32_t COUNT = 4;
    EXPECT_OK(zx_ioports_request(whole(), DMA_PAGE, 1));
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct utest_thread t[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        utest_thread_start(&t[i], read_until_it_faults, nullptr);
    }
    while (atomic_load(&accesses) < 4 * 100) {
        utest_sleep_ms(1);
    }
    EXPECT_EQ(utest_signals(channel, ZX_CHANNEL_READABLE), 0);
    EXPECT_OK(zx_ioports_release(whole(), DMA_PAGE, 1));
    // One access per thread may have been made already and not yet be counted.
    uint64_t then = atomic_load(&accesses);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct utest_exception e = utest_catch(channel, ZX_EXCP_GENERAL);
        zx_handle_t thread = utest_thread_of(&e);
        zx_thread_state_general_regs_t r = utest_registers(thread);
        r.rip++;
        r.rcx = 0; // the xor makes it 1
        utest_set_registers(thread, &r);
        EXPECT_CLOSE(thread);
        utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        utest_thread_join(&t[i]);
    }
    EXPECT(atomic_load(&accesses) <= then + COUNT);
    EXPECT_CLOSE(channel);
}

// ---- debuggers ----

// A stepped IN is one step, as if the CPU had made it.
CASE(single_step) {
    EXPECT_OK(zx_ioports_request(whole(), DMA_PAGE, 1));
    need_dma(1);
    out8(DMA_PAGE, 0x33);
    struct code_page c;
    code_page_make(&c, 1);
    memcpy(c.write, "\x0f\x0b\xec\x90\xc3", 5); // ud2; in al, dx; nop; ret
    uint64_t args[3] = {(uint64_t)c.run, 0, DMA_PAGE};
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    struct utest_thread t;
    utest_thread_start(&t, run_code, args);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_UNDEFINED_INSTRUCTION);
    zx_handle_t thread = utest_thread_of(&e);
    zx_thread_state_general_regs_t r = utest_registers(thread);
    r.rip += 2;
    r.rflags |= TRAP_FLAG;
    utest_set_registers(thread, &r);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    e = utest_catch(channel, ZX_EXCP_HW_BREAKPOINT);
    r = utest_registers(thread);
    EXPECT_EQ(r.rip, (uint64_t)c.run + 3);
    EXPECT_EQ(r.rax, 0x33);
    zx_thread_state_debug_regs_t d;
    EXPECT_OK(zx_thread_read_state(thread, ZX_THREAD_STATE_DEBUG_REGS, &d, sizeof(d)));
    EXPECT((d.dr6 & DR6_STEP) != 0);
    r.rflags &= ~TRAP_FLAG;
    utest_set_registers(thread, &r);
    EXPECT_CLOSE(thread);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    utest_thread_join(&t);
    EXPECT_EQ(args[1], 0x33);
    EXPECT_CLOSE(channel);
    code_page_drop(&c, 1);
    EXPECT_OK(zx_ioports_release(whole(), DMA_PAGE, 1));
}
