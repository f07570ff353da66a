// Programs and libraries that the dynamic linker puts together.
#include <utest/exceptions.h>
#include <utest/utest.h>

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <zircon/process.h>

#include "shared.h"

GROUP("libc_dynamic");

CASE(a_library_of_the_program) {
    EXPECT_EQ(shared_is_constructed(), 1);
    EXPECT_EQ(shared_counter, 40);
    shared_counter = 50;
    EXPECT_EQ(shared_add(2), 52);
    EXPECT_EQ(shared_counter, 52);
    char text[32];
    EXPECT_EQ(shared_print(text, sizeof(text), "hello"), 13);
    EXPECT(strcmp(text, "shared: hello") == 0);
    // One allocator for all.
    free(shared_allocate(100));
    shared_counter = 40;
}

static void* count_in_thread(void*) {
    int first = shared_next_of_thread();
    return (void*)(intptr_t)(first * 10 + shared_next_of_thread());
}

CASE(thread_local_data_of_a_library) {
    EXPECT_EQ(shared_next_of_thread(), 5);
    for (uint32_t i = 0; i < 3; i++) {
        pthread_t thread;
        void* result;
        EXPECT_EQ(pthread_create(&thread, nullptr, count_in_thread, nullptr), 0);
        EXPECT_EQ(pthread_join(thread, &result), 0);
        EXPECT_EQ((intptr_t)result, 56);
    }
    EXPECT_EQ(shared_next_of_thread(), 6);
}

// ---- at run time ----

static int (*next_of_thread)(void);

static void* count_loaded(void*) {
    int first = next_of_thread();
    return (void*)(intptr_t)(first * 10 + next_of_thread());
}

CASE(a_library_at_run_time) {
    void* library = dlopen("libutest_late.so", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        FAIL("%s", dlerror());
    }
    EXPECT(dlopen("libutest_late.so", RTLD_NOW) == library);
    int (*is_constructed)(void) = (int (*)(void))dlsym(library, "shared_is_constructed");
    EXPECT(is_constructed != nullptr && is_constructed != shared_is_constructed);
    EXPECT_EQ(is_constructed(), 1);
    // Its own thread-local data, in threads that were there before it and in new ones.
    next_of_thread = (int (*)(void))dlsym(library, "shared_next_of_thread");
    EXPECT(next_of_thread != nullptr);
    EXPECT_EQ(next_of_thread(), 5);
    pthread_t thread;
    void* result;
    EXPECT_EQ(pthread_create(&thread, nullptr, count_loaded, nullptr), 0);
    EXPECT_EQ(pthread_join(thread, &result), 0);
    EXPECT_EQ((intptr_t)result, 56);
    Dl_info info;
    EXPECT(dladdr((void*)is_constructed, &info) != 0);
    EXPECT(strcmp(info.dli_sname, "shared_is_constructed") == 0);
    EXPECT(strstr(info.dli_fname, "libutest_late.so") != nullptr);
    EXPECT_EQ(dlclose(library), 0);
}

CASE(what_is_not_there) {
    EXPECT(dlopen("libnowhere.so", RTLD_NOW) == nullptr);
    EXPECT(strstr(dlerror(), "libnowhere.so") != nullptr);
    EXPECT(dlsym(RTLD_DEFAULT, "no_such_function") == nullptr);
    EXPECT(dlerror() != nullptr);
    EXPECT(dlsym(RTLD_DEFAULT, "shared_add") == (void*)shared_add);
    // Of the vDSO, which is a library, too.
    EXPECT(dlsym(RTLD_DEFAULT, "zx_clock_get_monotonic") == (void*)zx_clock_get_monotonic);
}

static int count_one(struct dl_phdr_info* info, size_t, void* count) {
    (void)info;
    ++*(int*)count;
    return 0;
}

CASE(all_of_them) {
    int count = 0;
    EXPECT_EQ(dl_iterate_phdr(count_one, &count), 0);
    EXPECT(count >= 4); // the program, the C library, the vDSO, the library above
}

// ---- where the pages come from ----

static zx_info_maps_t mapping_of(uintptr_t address) {
    static zx_info_maps_t maps[256];
    size_t actual;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_MAPS, maps, sizeof(maps),
                                 &actual, nullptr));
    for (size_t i = 0; i < actual; i++) {
        const zx_info_maps_t* m = &maps[i];
        if (m->type == ZX_INFO_MAPS_TYPE_MAPPING && m->base <= address &&
            address < m->base + m->size) {
            return *m;
        }
    }
    FAIL("nothing is mapped at 0x%lx", address);
}

static zx_info_vmo_t memory_of(zx_koid_t koid) {
    static zx_info_vmo_t vmos[256];
    size_t actual;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_VMOS, vmos, sizeof(vmos),
                                 &actual, nullptr));
    for (size_t i = 0; i < actual; i++) {
        if (vmos[i].koid == koid) {
            return vmos[i];
        }
    }
    FAIL("no such memory");
}

// What is executed is the boot image's own memory.
CASE(text_is_not_a_copy) {
    zx_info_maps_t text = mapping_of((uintptr_t)shared_add);
    EXPECT_EQ(text.u.mapping.mmu_flags, ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE);
    zx_info_vmo_t file = memory_of(text.u.mapping.vmo_koid);
    EXPECT_EQ(file.flags & ZX_INFO_VMO_IS_COW_CLONE, 0);
    EXPECT(file.parent_koid != ZX_KOID_INVALID); // a part of the image
}

// ---- what may be written ----

constexpr size_t PAGE = 4096;

static uint32_t permissions_at(const void* address) {
    return mapping_of((uintptr_t)address).u.mapping.mmu_flags;
}

static void* write_there(void* address) {
    // Three bytes long, which the case relies on.
    __asm__ volatile("movb $1, (%0)" ::"D"(address) : "memory");
    return nullptr;
}

static void expect_write_faults(void* address) {
    zx_handle_t channel = utest_listen(zx_process_self(), 0);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, nullptr, write_there, address), 0);
    struct utest_exception e = utest_catch(channel, ZX_EXCP_FATAL_PAGE_FAULT);
    utest_skip_instruction(&e, 3);
    utest_let_go(&e, ZX_EXCEPTION_STATE_HANDLED);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    EXPECT_CLOSE(channel);
}

struct protected {
    const void* member; // an address in the image that is looked for
    char* first;        // the first page that is to be read-only
};

static int find_relro(struct dl_phdr_info* info, size_t, void* ctx) {
    struct protected* p = ctx;
    char* relro = nullptr;
    bool is_it = false;
    for (uint32_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr)* h = &info->dlpi_phdr[i];
        uintptr_t at = info->dlpi_addr + h->p_vaddr;
        is_it |= h->p_type == PT_LOAD && (uintptr_t)p->member - at < h->p_memsz;
        relro = h->p_type == PT_GNU_RELRO ? (char*)at : relro;
    }
    if (is_it) {
        p->first = relro;
    }
    return is_it;
}

static char* relro_of(const void* member) {
    struct protected p = {.member = member};
    EXPECT_EQ(dl_iterate_phdr(find_relro, &p), 1);
    EXPECT(p.first != nullptr);
    return p.first;
}

// Pointers that the linker has filled in: of the program, a library of its, the C library (which is
// the linker itself) and one that is loaded at run time.
CASE(what_was_relocated_is_read_only) {
    void* library = dlopen("libutest_late.so", RTLD_NOW | RTLD_LOCAL);
    EXPECT(library != nullptr);
    const void* members[] = {(const void*)find_relro, (const void*)shared_add, (const void*)malloc,
                             dlsym(library, "shared_add")};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        char* page = relro_of(members[i]);
        EXPECT_EQ(permissions_at(page), ZX_VM_PERM_READ);
        expect_write_faults(page);
    }
    EXPECT_EQ(dlclose(library), 0);
}

alignas(4096) static char own_pages[3 * 4096];

// What mprotect can do to memory of an image, as to any other.
static void expect_protect_works(char* page) {
    EXPECT_EQ(mprotect(page, PAGE, PROT_READ), 0);
    EXPECT_EQ(permissions_at(page), ZX_VM_PERM_READ);
    expect_write_faults(page);
    EXPECT_EQ(mprotect(page, PAGE, PROT_NONE), 0);
    EXPECT_EQ(permissions_at(page), 0);
    EXPECT_EQ(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
    EXPECT_EQ(permissions_at(page), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE);
    page[0]++;
    EXPECT(mprotect(page, PAGE, PROT_READ | PROT_EXEC) == -1 && errno == EACCES);
}

CASE(any_mapping_can_be_protected) {
    char* mapped = mmap(nullptr, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(mapped != MAP_FAILED);
    expect_protect_works(mapped);
    EXPECT_EQ(munmap(mapped, PAGE), 0);
    expect_protect_works(own_pages + PAGE);
    // (What the linker has filled in is read all the time.)
    const void* members[] = {(const void*)find_relro, (const void*)shared_add, (const void*)malloc};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        char* page = relro_of(members[i]);
        EXPECT_EQ(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
        EXPECT_EQ(permissions_at(page), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE);
        EXPECT_EQ(mprotect(page, PAGE, PROT_READ), 0);
        expect_write_faults(page);
    }
}

// (A page of it, while this runs: the first of the functions of the library, not those that run.)
CASE(code_is_executed_or_read) {
    char* code = (char*)((uintptr_t)shared_add & ~(PAGE - 1));
    EXPECT_EQ(mprotect(code, PAGE, PROT_READ), 0);
    EXPECT_EQ(permissions_at(code), ZX_VM_PERM_READ);
    EXPECT_EQ(mprotect(code, PAGE, PROT_READ | PROT_EXEC), 0);
    EXPECT_EQ(shared_is_constructed(), 1);
    EXPECT(mprotect(code, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
    EXPECT_EQ(shared_is_constructed(), 1);
}

// Memory of an image can be replaced and taken away like any other.
CASE(pages_of_an_image_are_replaced) {
    char* page = own_pages + PAGE;
    memset(own_pages, 'x', sizeof(own_pages));
    EXPECT(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) == page);
    EXPECT(page[0] == 0 && page[-1] == 'x' && page[PAGE] == 'x');
    EXPECT_EQ(munmap(page, PAGE), 0);
    EXPECT(mprotect(page, PAGE, PROT_READ) == -1 && errno == ENOMEM);
    EXPECT_EQ(munmap(page, PAGE), 0); // nothing is there
    EXPECT(mmap(page, PAGE, PROT_READ | PROT_WRITE,
                MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == page);
    EXPECT(page[-1] == 'x' && page[PAGE] == 'x');
}

// Where an image begins and ends, in whole pages.
static void ends_of(const struct dl_phdr_info* info, uintptr_t* begin, uintptr_t* end) {
    *begin = UINTPTR_MAX;
    *end = 0;
    for (uint32_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr)* h = &info->dlpi_phdr[i];
        uintptr_t from = (info->dlpi_addr + h->p_vaddr) & ~(PAGE - 1);
        uintptr_t to = (info->dlpi_addr + h->p_vaddr + h->p_memsz + PAGE - 1) & ~(PAGE - 1);
        if (h->p_type == PT_LOAD) {
            *begin = from < *begin ? from : *begin;
            *end = to > *end ? to : *end;
        }
    }
}

// Pages next to images that are ours alone. What is next to one image is a matter of chance: small
// mappings lie in one block of 2 MiB with it. So any image will do.
struct neighbours {
    char* before;
    char* behind;
    size_t images;
};

static char* take_page(uintptr_t at, int protection) {
    constexpr int flags = MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS;
    char* page = mmap((void*)at, PAGE, protection, flags, -1, 0);
    EXPECT(page == (char*)at || (page == MAP_FAILED && errno == EEXIST));
    return page != MAP_FAILED ? page : nullptr;
}

static int take_neighbours(struct dl_phdr_info* info, size_t, void* ctx) {
    struct neighbours* n = ctx;
    uintptr_t begin, end;
    ends_of(info, &begin, &end);
    n->images++;
    if (n->before == nullptr) {
        n->before = take_page(begin - PAGE, PROT_READ | PROT_WRITE);
    }
    if (n->behind == nullptr) {
        n->behind = take_page(end, PROT_READ);
    }
    return n->before != nullptr && n->behind != nullptr;
}

// From memory that mmap has made into an image, and out of it.
CASE(a_range_over_the_end_of_an_image) {
    void* library = dlopen("libutest_late.so", RTLD_NOW | RTLD_LOCAL); // one image more
    EXPECT(library != nullptr);
    struct neighbours n = {};
    if (dl_iterate_phdr(take_neighbours, &n) != 1) {
        FAIL("something is next to each of %zu images", n.images);
    }
    EXPECT_EQ(mprotect(n.before, 2 * PAGE, PROT_READ), 0);
    EXPECT_EQ(permissions_at(n.before), ZX_VM_PERM_READ);
    EXPECT_EQ(permissions_at(n.before + PAGE), ZX_VM_PERM_READ);
    EXPECT_EQ(munmap(n.before, PAGE), 0);
    char* last = n.behind - PAGE;
    EXPECT_EQ(mprotect(last, 2 * PAGE, PROT_READ | PROT_WRITE), 0);
    EXPECT_EQ(permissions_at(last), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE);
    EXPECT_EQ(permissions_at(n.behind), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE);
    EXPECT_EQ(munmap(n.behind, PAGE), 0);
    EXPECT(mprotect(last, SIZE_MAX - 2 * PAGE, PROT_READ) == -1 && errno == ENOMEM);
    EXPECT_EQ(dlclose(library), 0);
}
