// Programs and libraries that the dynamic linker puts together.
#include <utest/utest.h>

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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
