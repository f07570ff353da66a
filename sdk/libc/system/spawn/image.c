#include "image.h"

#include <stdlib.h>
#include <string.h>

#include <fd/server.h>
#include <libc/abi.h>
#include <libc/error.h>
#include <libc/operations.h>
#include <names/namespace.h>
#include <zircon/syscalls.h>

static size_t count_of(char* const* argv) {
    size_t count = 0;
    while (argv != nullptr && argv[count] != nullptr) {
        count++;
    }
    return count;
}

static char* place(char** at, const char* text) {
    size_t len = strlen(text) + 1;
    char* placed = memcpy(*at, text, len);
    *at += len;
    return placed;
}

// The script's path takes argv[0]'s place, behind the interpreter and its argument.
static long follow(struct image* image, const struct script_line* line) {
    if (image->depth == script_depth_max) {
        return -ABI_ELOOP;
    }
    size_t given = count_of(image->argv);
    size_t pointers = (given > 0 ? given : 1) + 3;
    size_t text_len = strlen(line->interpreter) + strlen(line->argument) + strlen(image->path) + 3;
    char** argv = malloc(pointers * sizeof(argv[0]) + text_len);
    if (argv == nullptr) {
        return -ABI_ENOMEM;
    }
    char* text = (char*)(argv + pointers);
    size_t at = 0;
    argv[at++] = place(&text, line->interpreter);
    if (line->argument[0] != '\0') {
        argv[at++] = place(&text, line->argument);
    }
    argv[at++] = place(&text, image->path);
    for (size_t i = 1; i < given; i++) {
        argv[at++] = image->argv[i];
    }
    argv[at] = nullptr;
    image->memory[image->depth++] = argv;
    image->argv = argv;
    image->path = argv[0];
    return 0;
}

// What cannot be mapped to be executed may be a script all the same: it is only read. As with any
// file, somebody must have said that it is meant to be run.
static long open_unmappable(struct image* image, struct script_line* line) {
    long fd = sys_open(image->path, ABI_O_RDONLY | ABI_O_CLOEXEC, 0);
    if (fd < 0) {
        return fd;
    }
    struct abi_stat stat;
    char head[script_line_max];
    long len = sys_fstat((int)fd, &stat);
    bool may_run = len == 0 && (stat.mode & ABI_S_IFMT) == ABI_S_IFREG && (stat.mode & 0111) != 0;
    len = may_run ? sys_pread64((int)fd, head, sizeof(head), 0) : -ABI_EACCES;
    (void)sys_close((int)fd);
    if (len < 0) {
        return len;
    }
    bool whole = stat.size <= (int64_t)sizeof(head);
    return script_parse(head, (size_t)len, whole, line) == SCRIPT_GOOD ? 1 : -ABI_EACCES;
}

static long open_source(const char* path, struct launch_source* out) {
    zx_handle_t connection;
    long error = names_open_program(ABI_AT_FDCWD, path, &connection);
    return error != 0 ? error
                      : fd_server_error(launch_source_open(connection, ZX_TIME_INFINITE, out));
}

// Opens image->path. 1: it is a script, and *line says whose.
static long open_file(struct image* image, struct script_line* line) {
    long error = open_source(image->path, &image->source);
    if (error != 0) {
        return error == -ABI_EACCES ? open_unmappable(image, line) : error;
    }
    char head[script_line_max];
    size_t len;
    zx_status_t status = launch_source_read(&image->source, 0, head, sizeof(head), &len);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    switch (script_parse(head, len, image->source.len <= sizeof(head), line)) {
    case SCRIPT_NONE:
        return len >= 4 && memcmp(head, "\177ELF", 4) == 0 ? 0 : -ABI_ENOEXEC;
    case SCRIPT_GOOD:
        return 1;
    default:
        return -ABI_ENOEXEC;
    }
}

long image_open(const char* path, char* const* argv, struct image* out) {
    *out = (struct image){.argv = argv, .path = path};
    struct script_line line;
    long result;
    while ((result = open_file(out, &line)) == 1) {
        launch_source_close(&out->source);
        result = follow(out, &line);
        if (result != 0) {
            break;
        }
    }
    if (result != 0) {
        image_close(out);
    }
    return result;
}

void image_close(struct image* image) {
    launch_source_close(&image->source);
    while (image->depth > 0) {
        free(image->memory[--image->depth]);
    }
}

long image_open_interpreter(const char* name, struct launch_source* out) {
    if (name[0] == '/') {
        return open_source(name, out);
    }
    const char* slash = strrchr(name, '/');
    const char* file = slash != nullptr ? slash + 1 : name;
    static const char* const folders[] = {"/boot/lib/", "/lib/"};
    long error = -ABI_ENOENT;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && error != 0; i++) {
        char path[64];
        size_t folder_len = strlen(folders[i]);
        if (strlen(file) >= sizeof(path) - folder_len) {
            return -ABI_ENOENT;
        }
        memcpy(path, folders[i], folder_len);
        memcpy(path + folder_len, file, strlen(file) + 1);
        error = open_source(path, out);
    }
    return error;
}
