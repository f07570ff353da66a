// The order of a launch, and who closes what when it fails.
#include <launcher/launcher.h>

#include <string.h>

#include <zircon/syscalls.h>

#include "launcher_priv.h"

static const char* const error_names[] = {
#define LAUNCH_ERROR_NAME(name, text) #name,
    LAUNCH_ERRORS(LAUNCH_ERROR_NAME)};
static const char* const error_texts[] = {
#define LAUNCH_ERROR_TEXT(name, text) text,
    LAUNCH_ERRORS(LAUNCH_ERROR_TEXT)};

const char* launch_error_name(launch_error_t error) {
    return error < LAUNCH_ERROR_COUNT ? error_names[error] : "UNKNOWN";
}

const char* launch_error_text(launch_error_t error) {
    return error < LAUNCH_ERROR_COUNT ? error_texts[error] : "unknown error";
}

// What a launch is about while it goes on. Handles that are not invalid are its own.
struct launch_work {
    const struct launch_request* request;
    struct launched made;
    struct elf_plan* program;
    struct elf_plan* interpreter; // made if there is one
    // With VMOs: those that were given, or copies of what was read, which are the launch's own.
    struct launch_file program_file, interpreter_file;
    zx_handle_t program_copy, interpreter_copy;
    bool has_interpreter;
    struct launch_image image;             // of what is mapped: NATIVE: program or interpreter
    struct launch_image interpreter_image; // LINUX
    struct launch_stack stack;
};

// ---- planning: only the files are looked at ----

static struct elf_rules rules_for(launch_mode_t mode) {
    return mode == LAUNCH_LINUX
               ? elf_rules_linux(ELF_MACHINE_X86_64, launch_address_min, launch_address_end)
               : elf_rules_native(ELF_MACHINE_X86_64, launch_address_end);
}

static bool is_file(const struct launch_file* file) {
    return file->vmo != ZX_HANDLE_INVALID || file->read != nullptr;
}

// *out is the file with pages; *copy is theirs if they had to be read.
static struct launch_result plan_file(const struct launch_work* w, const struct launch_file* file,
                                      launch_error_t error, struct elf_plan* plan,
                                      struct launch_file* out, zx_handle_t* copy) {
    struct elf_rules rules = rules_for(w->request->mode);
    *out = *file;
    if (file->vmo != ZX_HANDLE_INVALID) {
        return launch_plan(file, &rules, error, plan);
    }
    struct launch_result result = launch_copy(w->request, file, &rules, error, plan, copy);
    out->vmo = *copy;
    return result;
}

static struct launch_result plan_interpreter(struct launch_work* w) {
    const struct launch_request* r = w->request;
    if (r->find_interpreter == nullptr) {
        return launch_failure(LAUNCH_NO_INTERPRETER, ZX_ERR_NOT_FOUND);
    }
    struct launch_file found = {};
    zx_status_t status = r->find_interpreter(r->find_ctx, w->program->interp, &found);
    if (status != ZX_OK || !is_file(&found)) {
        return launch_failure(LAUNCH_NO_INTERPRETER, status != ZX_OK ? status : ZX_ERR_NOT_FOUND);
    }
    struct launch_result result = plan_file(w, &found, LAUNCH_BAD_INTERPRETER, w->interpreter,
                                            &w->interpreter_file, &w->interpreter_copy);
    if (result.error == LAUNCH_OK && w->interpreter->interp_len != 0) {
        return launch_failure(LAUNCH_NESTED_INTERPRETER, ZX_ERR_IO_DATA_INTEGRITY);
    }
    w->has_interpreter = true;
    return result;
}

static struct launch_result plan_files(struct launch_work* w) {
    const struct launch_request* r = w->request;
    if (!is_file(&r->file) || r->vdso == nullptr || r->name == nullptr) {
        return launch_failure(LAUNCH_BAD_REQUEST, ZX_ERR_INVALID_ARGS);
    }
    if (r->handle_count > ZX_CHANNEL_MAX_MSG_HANDLES - launch_own_handles) {
        return launch_failure(LAUNCH_TOO_MANY_HANDLES, ZX_ERR_OUT_OF_RANGE);
    }
    struct launch_result result =
        plan_file(w, &r->file, LAUNCH_BAD_PROGRAM, w->program, &w->program_file, &w->program_copy);
    return result.error != LAUNCH_OK || w->program->interp_len == 0 ? result : plan_interpreter(w);
}

// ---- making the process ----

static struct launch_result create(struct launch_work* w) {
    const struct launch_request* r = w->request;
    size_t name_len = strnlen(r->name, ZX_MAX_NAME_LEN - 1);
    struct launched* m = &w->made;
    zx_status_t status =
        zx_process_create(r->job, r->name, name_len, 0, &m->process, &m->root_vmar);
    if (status != ZX_OK) {
        return launch_failure(LAUNCH_CREATE_PROCESS, status);
    }
    static const char thread_name[] = "initial-thread";
    status = zx_thread_create(m->process, thread_name, sizeof(thread_name) - 1, 0, &m->thread);
    if (status == ZX_OK) {
        status = zx_channel_create(0, &m->bootstrap, &m->their_bootstrap);
    }
    return launch_step(LAUNCH_CREATE_PROCESS, status);
}

static struct launch_result map_images(struct launch_work* w) {
    const struct launch_request* r = w->request;
    bool only_interpreter = r->mode == LAUNCH_NATIVE && w->has_interpreter;
    struct launch_result result =
        only_interpreter
            ? launch_map(w->made.root_vmar, r, &w->interpreter_file, w->interpreter, "interpreter",
                         &w->image)
            : launch_map(w->made.root_vmar, r, &w->program_file, w->program, r->name, &w->image);
    if (result.error == LAUNCH_OK && r->mode == LAUNCH_LINUX && w->has_interpreter) {
        result = launch_map(w->made.root_vmar, r, &w->interpreter_file, w->interpreter,
                            "interpreter", &w->interpreter_image);
    }
    if (result.error == LAUNCH_OK) {
        result = launch_map_vdso(w->made.root_vmar, r->vdso, &w->made.vdso_base);
    }
    return result;
}

static uint64_t stack_len(const struct launch_work* w) {
    uint64_t len = w->request->stack_len != 0 ? w->request->stack_len : w->program->stack_len;
    if (len == 0) {
        len = launch_stack_default;
    }
    len = len < launch_stack_max ? len : launch_stack_max;
    return (len + launch_page_len - 1) & ~(launch_page_len - 1);
}

static struct launch_result make_stack(struct launch_work* w) {
    struct launch_result result = launch_make_stack(w->made.root_vmar, stack_len(w), &w->stack);
    if (result.error != LAUNCH_OK) {
        return result;
    }
    bool through_interpreter = w->has_interpreter;
    const struct launch_image* entry_image =
        w->request->mode == LAUNCH_LINUX && through_interpreter ? &w->interpreter_image : &w->image;
    const struct elf_plan* entry_plan = through_interpreter ? w->interpreter : w->program;
    w->made.entry = entry_plan->entry + entry_image->bias;
    w->made.image_base = w->image.base;
    // As after a call: a function in C may be the entry point.
    w->made.stack = w->stack.top - 8;
    if (w->request->mode == LAUNCH_LINUX) {
        struct launch_linux_image linux_image = {
            .plan = w->program,
            .image = &w->image,
            .interpreter_base = through_interpreter ? w->interpreter_image.base : 0,
            .vdso_base = w->made.vdso_base};
        result = launch_fill_linux_stack(w->request, &linux_image, &w->stack, &w->made.stack);
    }
    return result;
}

// ---- messages ----

// The interpreter's message comes first; the program's stays in the channel for the program.
static struct launch_result send_loader_message(struct launch_work* w) {
    const struct launch_request* r = w->request;
    struct launch_handle own[] = {
        {PA_HND(PA_PROC_SELF, 0), w->made.process},
        {PA_HND(PA_VMAR_ROOT, 0), w->made.root_vmar},
        {PA_HND(PA_VMAR_LOADED, 0), w->image.region},
        {PA_HND(PA_VMO_EXECUTABLE, 0), w->program_file.vmo},
    };
    struct launch_handle moved[] = {{PA_HND(PA_LDSVC_LOADER, 0), r->loader_service}};
    struct launch_message message = {.own = own,
                                     .own_count = sizeof(own) / sizeof(own[0]),
                                     .moved = moved,
                                     .moved_count = r->loader_service != ZX_HANDLE_INVALID,
                                     .strings = r};
    struct launch_result result = launch_send(w->made.bootstrap, &message);
    launch_close_handles(moved, 1); // what did not go
    return result;
}

static struct launch_result send_messages(struct launch_work* w) {
    const struct launch_request* r = w->request;
    if (r->mode == LAUNCH_NATIVE && w->has_interpreter) {
        struct launch_result result = send_loader_message(w);
        if (result.error != LAUNCH_OK) {
            return result;
        }
    } else {
        (void)zx_handle_close(r->loader_service);
    }
    struct launch_handle own[launch_own_handles] = {
        {PA_HND(PA_PROC_SELF, 0), w->made.process},   {PA_HND(PA_THREAD_SELF, 0), w->made.thread},
        {PA_HND(PA_VMAR_ROOT, 0), w->made.root_vmar}, {PA_HND(PA_VMAR_LOADED, 0), w->image.region},
        {PA_HND(PA_VMO_VDSO, 0), r->vdso->vmo},       {PA_HND(PA_VMO_STACK, 0), w->stack.vmo},
    };
    struct launch_message message = {.own = own,
                                     .own_count = launch_own_handles,
                                     .moved = r->handles,
                                     .moved_count = r->handle_count,
                                     .strings = r};
    return launch_send(w->made.bootstrap, &message);
}

// ---- the whole ----

void launch_abandon(struct launched* l) {
    if (l->process != ZX_HANDLE_INVALID) {
        (void)zx_task_kill(l->process);
    }
    zx_handle_t handles[] = {l->thread, l->root_vmar, l->bootstrap, l->their_bootstrap, l->process};
    (void)zx_handle_close_many(handles, sizeof(handles) / sizeof(handles[0]));
    *l = (struct launched){};
}

struct launch_result launch_prepare(const struct launch_request* request, struct launched* out) {
    __attribute__((uninitialized)) struct elf_plan program, interpreter;
    struct launch_work w = {.request = request, .program = &program, .interpreter = &interpreter};
    *out = (struct launched){};
    struct launch_result (*const steps[])(struct launch_work*) = {plan_files, create, map_images,
                                                                  make_stack, send_messages};
    struct launch_result result = LAUNCH_GOOD;
    bool sent = false;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && result.error == LAUNCH_OK; i++) {
        sent = steps[i] == send_messages;
        result = steps[i](&w);
    }
    zx_handle_t done[] = {w.image.region, w.interpreter_image.region, w.stack.vmo, w.program_copy,
                          w.interpreter_copy};
    (void)zx_handle_close_many(done, sizeof(done) / sizeof(done[0]));
    if (result.error == LAUNCH_OK) {
        *out = w.made;
        return result;
    }
    if (!sent) {
        (void)zx_handle_close(request->loader_service);
    }
    launch_close_handles(request->handles, request->handle_count);
    launch_abandon(&w.made);
    return result;
}

struct launch_result launch_start(struct launched* l, zx_handle_t* process) {
    zx_status_t status = zx_process_start(l->process, l->thread, l->entry, l->stack,
                                          l->their_bootstrap, l->vdso_base);
    l->their_bootstrap = ZX_HANDLE_INVALID; // gone, even when the call fails
    if (status != ZX_OK) {
        launch_abandon(l);
        return launch_failure(LAUNCH_START, status);
    }
    zx_handle_t handles[] = {l->thread, l->root_vmar, l->bootstrap};
    (void)zx_handle_close_many(handles, sizeof(handles) / sizeof(handles[0]));
    if (process != nullptr) {
        *process = l->process;
    } else {
        (void)zx_handle_close(l->process);
    }
    *l = (struct launched){};
    return LAUNCH_GOOD;
}

struct launch_result launch(const struct launch_request* request, zx_handle_t* process) {
    struct launched launched;
    struct launch_result result = launch_prepare(request, &launched);
    return result.error == LAUNCH_OK ? launch_start(&launched, process) : result;
}
