// For tests that type: reads from the console's terminal and says what came.
//
//   terminal line          one line, as the terminal gives it
//   terminal raw COUNT     that many bytes, one by one, without echo
//   terminal interrupt     waits for control-C as the terminal's controller
//   terminal control       asks for the control by an open of its own, and says what came of it
//   terminal stopped       writes while output may be stopped
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <io/client.h>
#include <jacinth/startup.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

static struct io_opened terminal;

static void must(zx_status_t status, const char* what) {
    if (status != ZX_OK) {
        fprintf(stderr, "terminal: %s: %s\n", what, zx_status_get_string(status));
        exit(EXIT_FAILURE);
    }
}

static void open_terminal(void) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), "/dev") == 0) {
            must(io_open(zx_take_startup_handle(PA_HND(PA_NS_DIR, i)), "console", 7,
                         JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_WRITE, 0, &terminal, nullptr),
                 "open");
            return;
        }
    }
    must(ZX_ERR_NOT_FOUND, "/dev");
}

// The terminal that it was started at: the same open as its starter's.
static void take_terminal(void) {
    zx_handle_t handle;
    while ((handle = zx_take_startup_handle(PA_HND(PA_FD, 0))) != ZX_HANDLE_INVALID) {
        zx_info_handle_basic_t info = {};
        (void)zx_object_get_info(handle, ZX_INFO_HANDLE_BASIC, &info, sizeof(info), nullptr,
                                 nullptr);
        *(info.type == ZX_OBJ_TYPE_CHANNEL ? &terminal.connection : &terminal.events) = handle;
    }
    must(terminal.connection != ZX_HANDLE_INVALID ? ZX_OK : ZX_ERR_NOT_FOUND, "descriptor 0");
}

static void await(zx_signals_t event) {
    must(zx_object_wait_one(terminal.events, event, ZX_TIME_INFINITE, nullptr), "wait");
}

static size_t read_some(void* bytes, size_t capacity) {
    for (;;) {
        size_t count;
        zx_status_t status = io_terminal_read(terminal.connection, bytes, capacity, &count);
        if (status != ZX_ERR_SHOULD_WAIT) {
            must(status, "read");
            return count;
        }
        await(JACINTH_IO_EVENT_READABLE);
    }
}

static void say(const char* text) {
    size_t at = 0;
    while (text[at] != '\0') {
        size_t count = 0;
        zx_status_t status =
            io_terminal_write(terminal.connection, text + at, strlen(text + at), &count);
        if (status == ZX_ERR_SHOULD_WAIT) {
            await(JACINTH_IO_EVENT_WRITABLE);
        } else {
            must(status, "write");
        }
        at += count;
    }
}

static void read_line(void) {
    char line[256];
    char text[2 * sizeof(line)];
    say("line?");
    size_t count = read_some(line, sizeof(line));
    bool ended = count > 0 && line[count - 1] == '\n';
    (void)snprintf(text, sizeof(text), "[%.*s]%s\n", (int)(count - ended), line,
                   ended ? "" : " end");
    say(text);
}

static void read_raw(uint32_t count) {
    struct jacinth_io_mode before, mode;
    must(io_terminal_get_mode(terminal.connection, &before), "mode");
    mode = before;
    mode.input = 0;
    mode.local = 0;
    must(io_terminal_set_mode(terminal.connection, &mode, JACINTH_IO_WHEN_NOW), "raw");
    say("raw?");
    for (uint32_t i = 0; i < count; i++) {
        uint8_t byte;
        char text[8];
        (void)read_some(&byte, 1);
        (void)snprintf(text, sizeof(text), "<%02x>", byte);
        say(text);
    }
    must(io_terminal_set_mode(terminal.connection, &before, JACINTH_IO_WHEN_NOW), "restore");
    say("\n");
}

static void await_interrupt(void) {
    zx_handle_t ours, theirs;
    must(zx_eventpair_create(0, &ours, &theirs), "eventpair");
    must(io_terminal_set_controller(terminal.connection, theirs), "controller");
    say("interrupt?");
    must(zx_object_wait_one(ours, JACINTH_IO_EVENT_INTERRUPT, ZX_TIME_INFINITE, nullptr), "wait");
    say(" interrupted\n");
}

static void ask_for_control(void) {
    char text[64];
    zx_handle_t ours, theirs;
    must(zx_eventpair_create(0, &ours, &theirs), "eventpair");
    zx_status_t status = io_terminal_set_controller(terminal.connection, theirs);
    (void)snprintf(text, sizeof(text), "control: %s\n", zx_status_get_string(status));
    say(text);
}

static void write_when_stopped(void) {
    say("stop?");
    must(zx_object_wait_one(terminal.events, JACINTH_IO_EVENT_WRITABLE, 0, nullptr), "writable");
    // Until the key has come.
    while (zx_object_wait_one(terminal.events, JACINTH_IO_EVENT_WRITABLE, 0, nullptr) == ZX_OK) {
        (void)zx_nanosleep(zx_clock_get_monotonic() + 1'000'000);
    }
    (void)zx_debug_write("stopped!", 8);
    say(" going on\n");
}

int main(int argc, char** argv) {
    const char* what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "interrupt") == 0) {
        take_terminal();
    } else {
        open_terminal();
    }
    if (strcmp(what, "line") == 0) {
        read_line();
    } else if (strcmp(what, "raw") == 0 && argc > 2) {
        read_raw((uint32_t)strtoull(argv[2], nullptr, 10));
    } else if (strcmp(what, "interrupt") == 0) {
        await_interrupt();
    } else if (strcmp(what, "control") == 0) {
        ask_for_control();
    } else if (strcmp(what, "stopped") == 0) {
        write_when_stopped();
    } else {
        return 2;
    }
    return EXIT_SUCCESS;
}
