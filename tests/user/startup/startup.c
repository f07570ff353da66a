// What a program finds when main() begins, and the small C library under it.
#include <utest/utest.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <io/client.h>
#include <jacinth/startup.h>
#include <zircon/processargs.h>
#include <zircon/tls.h>

GROUP("startup");

// ---- thread-local storage ----

static thread_local uint64_t tls_value = 0x1122334455667788;
static thread_local uint32_t tls_zero[100];
static thread_local alignas(128) char tls_aligned = 'x';

static uintptr_t thread_pointer(void) {
    uintptr_t pointer;
    __asm__("movq %%fs:0, %0" : "=r"(pointer));
    return pointer;
}

CASE(thread_local_variables) {
    EXPECT_EQ(tls_value, 0x1122334455667788);
    for (size_t i = 0; i < 100; i++) {
        EXPECT_EQ(tls_zero[i], 0);
    }
    EXPECT_EQ(tls_aligned, 'x');
    EXPECT_EQ((uintptr_t)&tls_aligned % 128, 0);
    tls_value++;
    EXPECT_EQ(tls_value, 0x1122334455667789);
}

CASE(thread_block) {
    uintptr_t pointer = thread_pointer();
    EXPECT_EQ(*(uintptr_t*)pointer, pointer);
    uintptr_t canary = *(uintptr_t*)(pointer + ZX_TLS_STACK_GUARD_OFFSET);
    EXPECT(canary != 0);
    EXPECT_EQ(*(uintptr_t*)(pointer + 0x28), canary);
}

// ---- handles ----

static zx_obj_type_t type_of(zx_handle_t handle) {
    zx_info_handle_basic_t info;
    EXPECT_OK(
        zx_object_get_info(handle, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr, nullptr));
    return info.type;
}

CASE(own_handles) {
    EXPECT_EQ(type_of(zx_process_self()), ZX_OBJ_TYPE_PROCESS);
    EXPECT_EQ(type_of(zx_thread_self()), ZX_OBJ_TYPE_THREAD);
    EXPECT_EQ(type_of(zx_vmar_root_self()), ZX_OBJ_TYPE_VMAR);
    EXPECT_EQ(type_of(zx_job_default()), ZX_OBJ_TYPE_JOB);
    EXPECT_EQ(type_of(zx_vmo_vdso()), ZX_OBJ_TYPE_VMO);
}

CASE(a_handle_is_taken_once) {
    uint32_t info = PA_HND(PA_VMAR_LOADED, 0);
    zx_handle_t handle = zx_take_startup_handle(info);
    EXPECT_EQ(type_of(handle), ZX_OBJ_TYPE_VMAR);
    EXPECT_EQ(zx_take_startup_handle(info), ZX_HANDLE_INVALID);
    zx_put_startup_handle(info, handle);
    EXPECT_EQ(zx_take_startup_handle(info), handle);
    zx_put_startup_handle(info, handle);
    EXPECT_EQ(zx_take_startup_handle(PA_HND(PA_USER1, 99)), ZX_HANDLE_INVALID);
}

CASE(names) {
    // What init's list of services says of test programs.
    static const char* const names_given[] = {"/boot", "/bin", "/tmp", "/dev", "/svc"};
    constexpr uint32_t count = sizeof(names_given) / sizeof(names_given[0]);
    for (uint32_t i = 0; i < count; i++) {
        EXPECT(strcmp(zx_startup_name(i), names_given[i]) == 0);
    }
    EXPECT(zx_startup_name(count) == nullptr || strncmp(zx_startup_name(count), "/", 1) != 0);
}

// ---- the heap ----

static void fill(unsigned char* block, size_t size, unsigned char with) {
    for (size_t i = 0; i < size; i++) {
        block[i] = with;
    }
}

static bool is_filled(const unsigned char* block, size_t size, unsigned char with) {
    for (size_t i = 0; i < size; i++) {
        if (block[i] != with) {
            return false;
        }
    }
    return true;
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

// Blocks of all sizes come and go in no order; none loses its contents.
CASE(blocks_keep_their_contents) {
    static struct {
        unsigned char* memory;
        size_t size;
    } block[64];
    uint32_t random = 1;
    for (uint32_t round = 0; round < 4000; round++) {
        random = random * 1664525 + 1013904223;
        uint32_t i = (random >> 8) % 64;
        unsigned char with = (unsigned char)i;
        if (block[i].memory != nullptr) {
            EXPECT(is_filled(block[i].memory, block[i].size, with));
        }
        size_t size = (size_t)1 << (random >> 16) % 18;
        size += (random >> 4) % size;
        if (random % 3 == 0) {
            free(block[i].memory);
            block[i].memory = nullptr;
            continue;
        }
        size_t kept = block[i].memory == nullptr ? 0 : min_size(size, block[i].size);
        unsigned char* moved = realloc(block[i].memory, size);
        EXPECT(moved != nullptr);
        EXPECT_EQ((uintptr_t)moved % 16, 0);
        EXPECT(is_filled(moved, kept, with));
        fill(moved, size, with);
        block[i].memory = moved;
        block[i].size = size;
    }
    for (uint32_t i = 0; i < 64; i++) {
        free(block[i].memory);
        block[i].memory = nullptr;
    }
}

CASE(impossible_sizes_are_refused) {
    volatile size_t huge = SIZE_MAX;
    EXPECT(malloc(huge) == nullptr);
    EXPECT(malloc(huge - 4096) == nullptr);
    EXPECT(calloc(huge / 2, 3) == nullptr);
    EXPECT(malloc((size_t)1 << 47) == nullptr);
}

CASE(calloc_clears_what_was_used) {
    unsigned char* block = malloc(1000);
    EXPECT(block != nullptr);
    fill(block, 1000, 0xee);
    free(block);
    block = calloc(10, 100);
    EXPECT(is_filled(block, 1000, 0));
    free(block);
}

// ---- numbers and text ----

CASE(numbers) {
    char* end;
    EXPECT_EQ(strtoull("  0x1fz", &end, 0), 0x1f);
    EXPECT_EQ(*end, 'z');
    EXPECT_EQ(strtoull("0x", &end, 0), 0);
    EXPECT_EQ(*end, 'x');
    EXPECT_EQ(strtoull("077", nullptr, 0), 077);
    EXPECT_EQ(strtoull("18446744073709551616", nullptr, 10), UINT64_MAX);
    EXPECT_EQ(strtoll("-9223372036854775808", nullptr, 10), INT64_MIN);
    EXPECT_EQ(strtoll("-9223372036854775809", nullptr, 10), INT64_MIN);
    EXPECT_EQ(strtoll("9223372036854775808", nullptr, 10), INT64_MAX);
    const char* none = "+x";
    EXPECT_EQ(strtoll(none, &end, 10), 0);
    EXPECT_EQ(end, none);
}

CASE(text) {
    char buffer[16];
    EXPECT_EQ(snprintf(buffer, sizeof(buffer), "%s %d", "abc", -5), 6);
    EXPECT(strcmp(buffer, "abc -5") == 0);
    EXPECT_EQ(snprintf(buffer, 4, "%d", 123456), 6);
    EXPECT(strcmp(buffer, "123") == 0);
    EXPECT(strcmp(strrchr("a/b/c", '/'), "/c") == 0);
    EXPECT(strrchr("abc", '/') == nullptr);
}

// ---- the boot files ----

static bool see_init(void* ctx, const struct bootsvc_item* item) {
    bool* seen = ctx;
    *seen = *seen || (item->name_len == 4 && memcmp(item->name, "init", 4) == 0);
    return true;
}

CASE(boot_files) {
    zx_handle_t service;
    EXPECT_OK(bootsvc_clone(bootsvc_startup(), &service));
    zx_handle_t vmo;
    uint64_t size;
    EXPECT_OK(bootsvc_open(service, "/boot/doc/LICENSE", &vmo, &size));
    char head[11];
    EXPECT_OK(zx_vmo_read(vmo, head, 0, sizeof(head)));
    EXPECT(memcmp(head, "MIT License", sizeof(head)) == 0);
    EXPECT_STATUS(zx_vmo_write(vmo, head, 0, 1), ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(vmo);
    EXPECT_STATUS(bootsvc_open(service, "doc", &vmo, &size), ZX_ERR_NOT_FILE);
    EXPECT_STATUS(bootsvc_open(service, "", &vmo, &size), ZX_ERR_NOT_FILE);
    EXPECT_STATUS(bootsvc_open(service, "doc/LICENSE/x", &vmo, &size), ZX_ERR_NOT_DIR);
    EXPECT_STATUS(bootsvc_open(service, "doc/none", &vmo, &size), ZX_ERR_NOT_FOUND);
    bool seen = false;
    EXPECT_OK(bootsvc_list(service, "/boot/bin/", see_init, &seen));
    EXPECT(seen);
    EXPECT_STATUS(bootsvc_list(service, "/boot/bi", see_init, &seen), ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(service);
}

static void expect_served(void) {
    zx_handle_t vmo;
    uint64_t size;
    EXPECT_OK(bootsvc_open(bootsvc_startup(), "bin/hello", &vmo, &size));
    EXPECT_CLOSE(vmo);
}

// A client that asks and never reads an answer loses its connection; others are served as before.
CASE_WITHIN(boot_files_flooded, 60) {
    zx_handle_t service;
    EXPECT_OK(bootsvc_clone(bootsvc_startup(), &service));
    alignas(8) uint8_t bytes[64];
    struct fidl_storage storage = {bytes, sizeof(bytes)};
    zx_status_t status = ZX_OK;
    for (uint32_t i = 0; i < 20000 && status != ZX_ERR_PEER_CLOSED; i++) {
        status =
            fidl_request(service, 1, &jacinth_io_directory_get_attributes_method, storage, nullptr);
        if (status == ZX_ERR_SHOULD_WAIT) {
            utest_sleep_ms(1); // until the server has caught up
        }
    }
    EXPECT_OK(zx_object_wait_one(service, ZX_CHANNEL_PEER_CLOSED, utest_after_ms(10000), nullptr));
    EXPECT_CLOSE(service);
    expect_served();
}

// More connections than its share: those beyond are closed at once, and the one who gave the share
// away is served as before.
CASE_WITHIN(boot_files_connections, 60) {
    constexpr uint32_t COUNT = 5000;
    static zx_handle_t service[COUNT];
    EXPECT_OK(bootsvc_clone(bootsvc_startup(), &service[0]));
    for (uint32_t i = 1; i < COUNT; i++) {
        EXPECT_OK(bootsvc_clone(service[0], &service[i]));
        if (i % 500 == 499) {
            EXPECT_OK(io_sync(service[0])); // the requests before are done
            expect_served();
        }
    }
    EXPECT_EQ(utest_signals(service[0], ZX_CHANNEL_PEER_CLOSED), 0);
    EXPECT_EQ(utest_signals(service[COUNT - 1], ZX_CHANNEL_PEER_CLOSED), ZX_CHANNEL_PEER_CLOSED);
    for (uint32_t i = 0; i < COUNT; i++) {
        EXPECT_CLOSE(service[i]);
    }
    expect_served();
    // Until all are forgotten there.
    zx_handle_t again = ZX_HANDLE_INVALID;
    for (uint32_t i = 0; i < 1000 && again == ZX_HANDLE_INVALID; i++) {
        EXPECT_OK(bootsvc_clone(bootsvc_startup(), &again));
        expect_served();
        if (utest_signals(again, ZX_CHANNEL_PEER_CLOSED) != 0) {
            EXPECT_CLOSE(again);
            again = ZX_HANDLE_INVALID;
            utest_sleep_ms(1);
        }
    }
    EXPECT(again != ZX_HANDLE_INVALID);
    EXPECT_CLOSE(again);
}

// What is no channel is not served.
CASE(boot_files_for_no_channel) {
    struct utest_pair pair = utest_eventpair();
    zx_handle_t service;
    EXPECT_OK(bootsvc_clone(bootsvc_startup(), &service));
    struct fidl_header header = {
        .at_rest_flags = {2}, .magic = 1, .ordinal = JACINTH_IO_NODE_CLONE_ORDINAL};
    uint32_t message[6] = {};
    memcpy(message, &header, sizeof(header));
    message[4] = UINT32_MAX; // a handle is there
    EXPECT_OK(zx_channel_write(service, 0, message, sizeof(message), &pair.b, 1));
    EXPECT_OK(zx_object_wait_one(pair.a, ZX_EVENTPAIR_PEER_CLOSED, utest_after_ms(10000), nullptr));
    EXPECT_OK(zx_object_wait_one(service, ZX_CHANNEL_PEER_CLOSED, utest_after_ms(10000), nullptr));
    EXPECT_CLOSE(pair.a);
    EXPECT_CLOSE(service);
    expect_served();
}

// Sends bytes and a handle that the server must close; the handle's peer tells.
static void send_bad(zx_handle_t service, const void* bytes, uint32_t len) {
    zx_handle_t ours;
    zx_handle_t theirs;
    EXPECT_OK(zx_eventpair_create(0, &ours, &theirs));
    EXPECT_OK(zx_channel_write(service, 0, bytes, len, &theirs, 1));
    EXPECT_OK(zx_object_wait_one(ours, ZX_EVENTPAIR_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
    EXPECT_CLOSE(ours);
}

// Each ends its connection, and only that one.
CASE(malformed_requests) {
    for (int kind = 0; kind < 4; kind++) {
        zx_handle_t service;
        EXPECT_OK(bootsvc_clone(bootsvc_startup(), &service));
        struct fidl_header header = {.txid = 1,
                                     .at_rest_flags = {2},
                                     .magic = 1,
                                     .ordinal = kind == 0 ? 12345 // no such method
                                                          : JACINTH_IO_DIRECTORY_OPEN_ORDINAL};
        uint64_t message[5] = {0, 0, 4000, UINT64_MAX}; // a path that is not there
        memcpy(message, &header, sizeof(header));
        static const uint32_t lens[] = {16, 16, 40, 3}; // no body; too short a body; no header
        send_bad(service, message, lens[kind]);
        EXPECT_OK(zx_object_wait_one(service, ZX_CHANNEL_PEER_CLOSED, ZX_TIME_INFINITE, nullptr));
        EXPECT_CLOSE(service);
        expect_served();
    }
}
