#include "commands.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <shell/shell.h>
#include <shell/words.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>
#include <zircon/syscalls/system.h>

#include "console.h"
#include "marker.h"
#include "supervisor.h"

constexpr uint64_t RUN_LIST_MAX = 1 << 20;
constexpr char prompt_text[] = "jacinth> ";

static struct {
    const struct authority* a;
    char* list;
    uint32_t prompt; // the paragraph
    bool has_console;
    struct shell shell;
    struct given given; // of the program that is being started
    alignas(16) uint8_t stack[64 * 1024];
} commands;

// ---- the terminal ----

static zx_status_t open_console(uint32_t paragraph) {
    zx_handle_t dev, theirs;
    zx_status_t status = zx_channel_create(0, &dev, &theirs);
    if (status == ZX_OK) {
        supervisor_attach(SUPERVISOR_PREFIX, paragraph, "/dev", theirs);
        status = console_start(dev);
    }
    return status;
}

// A program that wants a terminal gets one, also from the run list. The prompt has opened it
// already.
static void give_terminal(uint32_t paragraph, struct given* g) {
    bool wanted = paragraph != SERVICES_NONE &&
                  commands.a->services.paragraphs[paragraph].words[SERVICES_TERMINAL] != nullptr;
    if (wanted && !commands.has_console) {
        commands.has_console = open_console(paragraph) == ZX_OK;
    }
    if (wanted || commands.list == nullptr) {
        console_give(g);
    }
}

// ---- what programs are given ----

static bool give(void*, const char* path, const char* name, zx_handle_t* job,
                 struct shell_gift* gift) {
    const struct authority* a = commands.a;
    uint32_t paragraph = services_for_program(&a->services, path);
    struct given* g = &commands.given;
    if (authority_make_job(a, paragraph, a->programs, name, job) != ZX_OK) {
        return false;
    }
    authority_give(a, paragraph, *job, g);
    give_terminal(paragraph, g);
    *gift = (struct shell_gift){.handles = g->handles,
                                .handle_count = g->handle_count,
                                .names = g->names,
                                .name_count = g->name_count,
                                .environ = g->environ,
                                .environ_count = g->environ_count};
    return true;
}

// Whoever measures what a program leaves behind should not find init in the middle of its cleaning.
static void ended(void*) {
    supervisor_settle();
}

static void power_ends(void*) {
    supervisor_sync();
}

// Ends the machine; if that fails userboot does, after this process.
[[noreturn]] static void power_off(int code) {
    (void)fflush(stdout);
    supervisor_sync();
    (void)zx_system_powerctl(commands.shell.power, ZX_SYSTEM_POWERCTL_SHUTDOWN, nullptr);
    exit(code);
}

// ---- the run list ----

zx_status_t commands_read_list(const struct authority* a, char** out) {
    zx_handle_t vmo;
    uint64_t size;
    zx_status_t status = bootsvc_open(a->boot_files, "etc/run", &vmo, &size);
    if (status != ZX_OK) {
        return status;
    }
    char* text = size <= RUN_LIST_MAX ? malloc(size + 1) : nullptr;
    status = text != nullptr ? zx_vmo_read(vmo, text, 0, size) : ZX_ERR_NO_MEMORY;
    (void)zx_handle_close(vmo);
    if (status == ZX_OK) {
        text[size] = '\0';
        *out = text;
    }
    return status;
}

static void run_list(char* text) {
    uint32_t index = 0;
    while (*text != '\0') {
        char* line = text;
        char* newline = strchr(text, '\n');
        text = newline != nullptr ? newline + 1 : text + strlen(text);
        if (newline != nullptr) {
            *newline = '\0';
        }
        if (line[0] == '\0') {
            continue;
        }
        mark("[run] %u %s", index++, line);
        int64_t code = shell_run(&commands.shell, line);
        mark("[exit] %lld", (long long)code);
    }
    mark("[done]");
}

// ---- the prompt ----

static void run_prompt(uint32_t paragraph) {
    static char line[shell_line_max];
    zx_status_t status = open_console(paragraph);
    commands.has_console = status == ZX_OK;
    if (status != ZX_OK) {
        fprintf(stderr, "init: no console: %s\n", zx_status_get_string(status));
        return;
    }
    printf("Type help for help.\n");
    (void)fflush(stdout);
    mark("[ready]");
    for (;;) {
        console_result_t result = console_read_line(prompt_text, line, sizeof(line));
        if (result == CONSOLE_END) {
            return;
        }
        if (result == CONSOLE_LINE) {
            commands.shell.interrupt = console_controller(&commands.shell.interrupt_signal);
            shell_explain(shell_run(&commands.shell, line));
            if (shell_words_are_for_a_shell(line)) {
                printf("(| & ; < > $ ` * are plain characters here: sh is a shell)\n");
            }
            (void)fflush(stdout);
        }
    }
}

static void run(uintptr_t, uintptr_t) {
    if (commands.list != nullptr) {
        run_list(commands.list);
    } else {
        run_prompt(commands.prompt);
    }
    power_off(EXIT_SUCCESS);
}

zx_status_t commands_start(const struct authority* a, char* list, uint32_t prompt) {
    if (commands.a != nullptr) {
        return ZX_ERR_ALREADY_EXISTS;
    }
    commands.a = a;
    commands.list = list;
    commands.prompt = prompt;
    commands.shell =
        (struct shell){.boot_files = a->boot_files,
                       .vdso = &a->vdso,
                       .debug = authority_system_part(a, ZX_RSRC_SYSTEM_DEBUG_BASE, "debug"),
                       .power = authority_system_part(a, ZX_RSRC_SYSTEM_POWER_BASE, "power"),
                       .give = give,
                       .ended = ended,
                       .power_ends = power_ends};
    zx_handle_t thread;
    zx_status_t status = zx_thread_create(zx_process_self(), "commands", 8, 0, &thread);
    if (status != ZX_OK) {
        return status;
    }
    // As after a call: a multiple of 16, less the return address.
    uintptr_t top = (uintptr_t)commands.stack + sizeof(commands.stack) - 8;
    status = zx_thread_start(thread, (zx_vaddr_t)run, top, 0, 0);
    (void)zx_handle_close(thread);
    return status;
}
