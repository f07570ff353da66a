#include <shell/shell.h>

#include <stdio.h>
#include <string.h>

#include <bootsvc/client.h>
#include <shell/words.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/system.h>
#include <zircon/time.h>

constexpr size_t PATH_MAX = 256;

// ---- programs ----

// The path of a command in the boot image, or of an interpreter: a plain name lies in `folder`.
// False: too long.
static bool path_of(const char* command, const char* folder, char path[PATH_MAX]) {
    if (strncmp(command, "/boot/", 6) == 0) {
        command += 6;
    }
    bool is_plain = strchr(command, '/') == nullptr;
    return snprintf(path, PATH_MAX, "%s%s", is_plain ? folder : "", command) < (int)PATH_MAX;
}

// Where a program's interpreter comes from, and its file while a launch needs it.
struct finder {
    zx_handle_t boot_files;
    zx_handle_t vmo;
};

static zx_status_t find_interpreter(void* ctx, const char* path, struct launch_file* out) {
    struct finder* f = ctx;
    char found[PATH_MAX];
    if (!path_of(path, "lib/", found)) {
        return ZX_ERR_BAD_PATH;
    }
    zx_status_t status = bootsvc_open(f->boot_files, found, &f->vmo, &out->len);
    out->vmo = f->vmo;
    return status;
}

static void report_failure(const char* command, struct launch_result result) {
    fflush(stdout);
    if (result.elf != ELF_OK) {
        fprintf(stderr, "%s: %s: %s (%s)\n", command, launch_error_text(result.error),
                elf_error_text(result.elf), elf_error_name(result.elf));
    } else {
        fprintf(stderr, "%s: %s (%s)\n", command, launch_error_text(result.error),
                zx_status_get_string(result.status));
    }
}

// Waits for the end; kills the program when it is told to.
static zx_status_t wait_for_end(const struct shell* sh, zx_handle_t process) {
    if (sh->interrupt != ZX_HANDLE_INVALID) {
        zx_wait_item_t items[] = {{.handle = process, .waitfor = ZX_PROCESS_TERMINATED},
                                  {.handle = sh->interrupt, .waitfor = sh->interrupt_signal}};
        zx_status_t status = zx_object_wait_many(items, 2, ZX_TIME_INFINITE);
        if (status != ZX_OK) {
            return status;
        }
        if ((items[1].pending & sh->interrupt_signal) != 0) {
            (void)zx_task_kill(process);
        }
    }
    return zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr);
}

static int64_t return_code_of(const struct shell* sh, zx_handle_t process) {
    zx_info_process_t info = {};
    zx_status_t status = wait_for_end(sh, process);
    if (status == ZX_OK) {
        status =
            zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr);
    }
    return status == ZX_OK ? info.return_code : shell_not_startable;
}

// The names of what is given, and one more that no handle refers to: where the program lies, for
// the C library's programs that start themselves again (/proc/self/exe).
struct names {
    const char* list[32];
    uint32_t count;
    char own[PATH_MAX + 32];
};

static void collect_names(struct names* names, const struct shell_gift* gift, const char* path) {
    uint32_t most = sizeof(names->list) / sizeof(names->list[0]) - 1;
    for (; names->count < gift->name_count && names->count < most; names->count++) {
        names->list[names->count] = gift->names[names->count];
    }
    (void)snprintf(names->own, sizeof(names->own), "jacinth.process exe=/boot/%s", path);
    names->list[names->count++] = names->own;
}

static int64_t run_file(const struct shell* sh, const struct shell_words* words, const char* path,
                        const struct launch_file* file) {
    zx_handle_t job;
    struct shell_gift gift;
    if (!sh->give(sh->ctx, path, words->word[0], &job, &gift)) {
        fprintf(stderr, "%s: no job\n", words->word[0]);
        return shell_not_startable;
    }
    struct names names = {};
    collect_names(&names, &gift, path);
    struct finder finder = {.boot_files = sh->boot_files};
    struct launch_request request = {.job = job,
                                     .name = words->word[0],
                                     .file = *file,
                                     .vdso = sh->vdso,
                                     .args = words->word,
                                     .arg_count = words->count,
                                     .environ = gift.environ,
                                     .environ_count = gift.environ_count,
                                     .names = names.list,
                                     .name_count = names.count,
                                     .handles = gift.handles,
                                     .handle_count = gift.handle_count,
                                     .find_interpreter = find_interpreter,
                                     .find_ctx = &finder};
    zx_handle_t process;
    struct launch_result result = launch(&request, &process);
    (void)zx_handle_close(finder.vmo);
    int64_t code = shell_not_startable;
    if (result.error == LAUNCH_OK) {
        code = return_code_of(sh, process);
        (void)zx_handle_close(process);
    } else {
        report_failure(words->word[0], result);
    }
    // Nothing that a command started outlives it.
    (void)zx_task_kill(job);
    (void)zx_handle_close(job);
    sh->ended(sh->ctx);
    return code;
}

static int64_t run_program(const struct shell* sh, const struct shell_words* words) {
    char path[PATH_MAX];
    struct launch_file file = {};
    zx_status_t status = path_of(words->word[0], "bin/", path)
                             ? bootsvc_open(sh->boot_files, path, &file.vmo, &file.len)
                             : ZX_ERR_BAD_PATH;
    if (status == ZX_ERR_NOT_FOUND || status == ZX_ERR_BAD_PATH) {
        fprintf(stderr, "%s: no such command\n", words->word[0]);
        return shell_not_found;
    }
    if (status != ZX_OK) {
        fprintf(stderr, "%s: %s\n", words->word[0], zx_status_get_string(status));
        return shell_not_startable;
    }
    fflush(stdout);
    int64_t code = run_file(sh, words, path, &file);
    (void)zx_handle_close(file.vmo);
    return code;
}

// ---- built-in words ----

struct builtin {
    const char* name;
    const char* usage;
    const char* help;
    int64_t (*run)(const struct shell* sh, const struct shell_words* words);
};

static int64_t run_help(const struct shell* sh, const struct shell_words* words);

// k WORDS: the kernel's own console.
static int64_t run_k(const struct shell* sh, const struct shell_words* words) {
    char text[shell_line_max];
    size_t used = 0;
    if (words->count == 1) {
        fprintf(stderr, "usage: k WORDS (k help lists them)\n");
        return shell_bad_line;
    }
    for (uint32_t i = 1; i < words->count; i++) {
        int len =
            snprintf(text + used, sizeof(text) - used, "%s%s", i > 1 ? " " : "", words->word[i]);
        if ((size_t)len >= sizeof(text) - used) {
            return shell_bad_line;
        }
        used += (size_t)len;
    }
    fflush(stdout);
    zx_status_t status = zx_debug_send_command(sh->debug, text, used);
    if (status == ZX_OK) {
        return 0;
    }
    if (status == ZX_ERR_NOT_FOUND) {
        return shell_not_found; // the kernel has said so
    }
    fprintf(stderr, "k %s: %s\n", text, zx_status_get_string(status));
    return 1;
}

static int64_t power(const struct shell* sh, uint32_t command, const char* what) {
    fflush(stdout);
    sh->power_ends(sh->ctx);
    zx_status_t status = zx_system_powerctl(sh->power, command, nullptr);
    fprintf(stderr, "%s: %s\n", what, zx_status_get_string(status));
    return 1;
}

static int64_t run_poweroff(const struct shell* sh, const struct shell_words*) {
    return power(sh, ZX_SYSTEM_POWERCTL_SHUTDOWN, "poweroff");
}

static int64_t run_reboot(const struct shell* sh, const struct shell_words*) {
    return power(sh, ZX_SYSTEM_POWERCTL_REBOOT, "reboot");
}

static const struct builtin builtins[] = {
    {"help", "help", "this list", run_help},
    {"k", "k WORDS", "a command of the kernel's console (k help)", run_k},
    {"poweroff", "poweroff", "switch the machine off", run_poweroff},
    {"reboot", "reboot", "start it again", run_reboot},
};

// Six to a line.
static bool print_item(void* ctx, const struct bootsvc_item* item) {
    uint32_t* column = ctx;
    *column = *column % 6 + 1;
    printf(*column < 6 ? "  %-11.*s" : "  %.*s\n", (int)item->name_len, item->name);
    return true;
}

static int64_t run_help(const struct shell* sh, const struct shell_words*) {
    for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
        printf("  %-12s %s\n", builtins[i].usage, builtins[i].help);
    }
    printf("  %-12s a shell: pipes, jobs, history, scripts\n", "sh");
    printf("Programs (/boot/bin/NAME; others by path; most know --help):\n");
    uint32_t column = 0;
    (void)bootsvc_list(sh->boot_files, "bin", print_item, &column);
    if (column % 6 != 0) {
        printf("\n");
    }
    return 0;
}

// ---- a line ----

int64_t shell_run(const struct shell* sh, const char* line) {
    struct shell_words words;
    shell_words_error_t error = shell_words_split(line, &words);
    if (error != SHELL_WORDS_OK) {
        fprintf(stderr, "%s\n", shell_words_error_text(error));
        return shell_bad_line;
    }
    if (words.count == 0) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
        if (strcmp(words.word[0], builtins[i].name) == 0) {
            int64_t code = builtins[i].run(sh, &words);
            fflush(stdout);
            return code;
        }
    }
    return run_program(sh, &words);
}

void shell_explain(int64_t code) {
    switch (code) {
    case 0:
    case shell_not_found: // has been said
    case shell_not_startable:
        return;
    case ZX_TASK_RETCODE_SYSCALL_KILL:
        printf("killed\n");
        return;
    case ZX_TASK_RETCODE_OOM_KILL:
        printf("killed: out of memory\n");
        return;
    case ZX_TASK_RETCODE_POLICY_KILL:
        printf("killed by a policy of its job\n");
        return;
    case ZX_TASK_RETCODE_VDSO_KILL:
        printf("killed by the vDSO's checks\n");
        return;
    case ZX_TASK_RETCODE_EXCEPTION_KILL:
        printf("killed by an exception\n");
        return;
    case ZX_TASK_RETCODE_CRITICAL_PROCESS_KILL:
        printf("killed with a critical process\n");
        return;
    default:
        printf("exit code %lld\n", (long long)code);
    }
}
