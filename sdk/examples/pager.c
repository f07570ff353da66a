// A pager that serves a synthetic file: a gibibyte in which word n is n squared. Nobody ever writes
// it: a page is made when somebody looks at it, and may be forgotten when memory is short.
//
//     pager N...          prints words of the file
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

#include <zircon/process.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/port.h>

constexpr uint64_t PAGE = 4096;
constexpr uint64_t FILE_SIZE = 1 << 30;
constexpr uint64_t AT_ONCE = 16; // pages given at once

static struct {
    zx_handle_t pager, port, file;
    zx_handle_t pages; // made here, and moved into the file
    uint64_t* words;   // a mapping of them
    uint64_t given;
} server;

static void must(zx_status_t status, const char* what) {
    if (status != ZX_OK) {
        printf("pager: %s: %d\n", what, status);
        zx_process_exit(1);
    }
}

static void* map(zx_handle_t vmo, zx_vm_option_t options, uint64_t size) {
    zx_vaddr_t at = 0;
    must(zx_vmar_map(zx_vmar_root_self(), options, 0, vmo, 0, size, &at), "map");
    return (void*)at;
}

// The kernel asks for a range. More than that may be given, or the same in several parts; who waits
// for a page goes on when it comes.
static zx_status_t give(uint64_t offset, uint64_t length) {
    for (uint64_t end = offset + length; offset < end; offset += AT_ONCE * PAGE) {
        uint64_t size = end - offset < AT_ONCE * PAGE ? end - offset : AT_ONCE * PAGE;
        for (uint64_t i = 0; i < size / sizeof(uint64_t); i++) {
            uint64_t n = offset / sizeof(uint64_t) + i;
            server.words[i] = n * n;
        }
        server.given += size / PAGE; // before whoever waits goes on
        zx_status_t status =
            zx_pager_supply_pages(server.pager, server.file, offset, size, server.pages, 0);
        if (status != ZX_OK) {
            return status;
        }
    }
    return ZX_OK;
}

static int serve(void*) {
    zx_port_packet_t packet;
    while (zx_port_wait(server.port, ZX_TIME_INFINITE, &packet) == ZX_OK) {
        const zx_packet_page_request_t* request = &packet.page_request;
        if (request->command == ZX_PAGER_VMO_READ &&
            give(request->offset, request->length) != ZX_OK) {
            // Whoever waits gets an error, or an exception if it is for a mapping.
            (void)zx_pager_op_range(server.pager, ZX_PAGER_OP_FAIL, server.file, request->offset,
                                    request->length, (uint64_t)ZX_ERR_IO);
        }
    }
    return 0;
}

static void start_server(void) {
    must(zx_pager_create(0, &server.pager), "pager");
    must(zx_port_create(0, &server.port), "port");
    must(zx_pager_create_vmo(server.pager, 0, server.port, 0, FILE_SIZE, &server.file), "file");
    must(zx_vmo_create(AT_ONCE * PAGE, 0, &server.pages), "pages");
    server.words = map(server.pages, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, AT_ONCE * PAGE);
    thrd_t thread;
    must(thrd_create(&thread, serve, nullptr) == thrd_success ? ZX_OK : ZX_ERR_NO_MEMORY, "thread");
}

int main(int argc, char** argv) {
    start_server();
    // A pager may fail, so a mapping of its file may fault.
    const uint64_t* file = map(server.file, ZX_VM_PERM_READ | ZX_VM_ALLOW_FAULTS, FILE_SIZE);
    for (int i = 1; i < argc; i++) {
        uint64_t n = strtoul(argv[i], nullptr, 10) % (FILE_SIZE / sizeof(uint64_t));
        printf("%lu squared is %lu\n", n, file[n]);
    }
    printf("%lu of %lu pages were made\n", server.given, FILE_SIZE / PAGE);
    return 0;
}
