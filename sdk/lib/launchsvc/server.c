// What a connection has collected is bounded by what one bootstrap message can carry; a client that
// goes beyond it loses its connection. So does one that asks for more launches at once than
// WORKS_MAX.
//
// A work holds a reference to its connection, so that the answer finds out whether there is still
// somebody to answer. References are counted on the connections' thread only.
#include <launchsvc/server.h>

#include <stdlib.h>
#include <string.h>

#include <fidl/fuchsia.ldsvc.h>
#include <fidl/fuchsia.process.h>
#include <launcher/source.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

constexpr uint32_t STRINGS_MAX = FUCHSIA_PROCESS_MAX_STRINGS;
constexpr uint32_t HANDLES_MAX = ZX_CHANNEL_MAX_MSG_HANDLES - launch_own_handles;
constexpr uint32_t WORKS_MAX = 8; // of one connection
// How long a client's loader service may take to find an interpreter, or its server of files to
// give a file's pages; and how long, without pages, to have the file read.
constexpr zx_duration_t PATIENCE = ZX_SEC(10);
constexpr zx_duration_t READING_PATIENCE = ZX_SEC(60);

// Strings, terminated, in memory of their own.
struct strings {
    char* text;
    size_t len;
    uint32_t count;
};

struct collected {
    struct strings args, environ, names;
    struct launch_handle handles[HANDLES_MAX];
    uint32_t handle_count;
    launch_mode_t mode;
    uint64_t stack_len;
};

struct launchsvc_connection {
    struct launchsvc_service* service;
    zx_handle_t channel; // ZX_HANDLE_INVALID: it has ended
    void* owner;
    uint32_t refs; // the owner's, and one for each work
    uint32_t works;
    struct collected collected;
};

struct launchsvc_work {
    struct launchsvc_connection* connection;
    struct collected collected;
    struct fidl_txn txn;
    bool starts; // Launch, not CreateWithoutStarting
    zx_handle_t executable, job;
    char name[ZX_MAX_NAME_LEN + 1];
    // The outcome. On success, of a Launch the process, else all of `made`.
    zx_status_t status;
    zx_handle_t process;
    struct launched made;
};

// Everything collected is closed and freed; handles that were used up are ZX_HANDLE_INVALID by
// then.
static void forget(struct collected* c) {
    for (uint32_t i = 0; i < c->handle_count; i++) {
        (void)zx_handle_close(c->handles[i].handle);
    }
    free(c->args.text);
    free(c->environ.text);
    free(c->names.text);
    *c = (struct collected){};
}

// ---- connections ----

struct launchsvc_connection* launchsvc_connection_new(struct launchsvc_service* service,
                                                      zx_handle_t channel, void* owner) {
    struct launchsvc_connection* c = calloc(1, sizeof(*c));
    if (c != nullptr) {
        c->service = service;
        c->channel = channel;
        c->owner = owner;
        c->refs = 1;
    }
    return c;
}

static void connection_unref(struct launchsvc_connection* c) {
    if (--c->refs == 0) {
        free(c);
    }
}

void launchsvc_connection_end(struct launchsvc_connection* c) {
    c->channel = ZX_HANDLE_INVALID;
    forget(&c->collected);
    connection_unref(c);
}

// ---- collecting ----

static zx_status_t add_string(struct strings* s, const void* bytes, size_t len) {
    if (len != 0 && memchr(bytes, 0, len) != nullptr) {
        return ZX_ERR_INVALID_ARGS; // it would be two
    }
    if (s->count == STRINGS_MAX || len >= ZX_CHANNEL_MAX_MSG_BYTES - s->len) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    char* text = realloc(s->text, s->len + len + 1);
    if (text == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    if (len != 0) {
        memcpy(text + s->len, bytes, len);
    }
    text[s->len + len] = '\0';
    s->text = text;
    s->len += len + 1;
    s->count++;
    return ZX_OK;
}

static zx_status_t add_strings(struct strings* s,
                               const struct fuchsia_process_vector_of_vector_of_uint8* from) {
    zx_status_t status = ZX_OK;
    for (uint64_t i = 0; i < from->count && status == ZX_OK; i++) {
        status = add_string(s, from->data[i].data, from->data[i].count);
    }
    return status;
}

static zx_status_t add_handle(struct collected* c, uint32_t info, zx_handle_t* handle) {
    if (c->handle_count == HANDLES_MAX) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    c->handles[c->handle_count++] = (struct launch_handle){info, fidl_take(handle)};
    return ZX_OK;
}

static zx_status_t handle_args(void* ctx, struct fuchsia_process_launcher_add_args_request* r) {
    struct launchsvc_connection* c = ctx;
    return add_strings(&c->collected.args, &r->args);
}

static zx_status_t handle_environs(void* ctx,
                                   struct fuchsia_process_launcher_add_environs_request* r) {
    struct launchsvc_connection* c = ctx;
    return add_strings(&c->collected.environ, &r->environ);
}

static zx_status_t handle_names(void* ctx, struct fuchsia_process_launcher_add_names_request* r) {
    struct collected* c = &((struct launchsvc_connection*)ctx)->collected;
    zx_status_t status = ZX_OK;
    for (uint64_t i = 0; i < r->names.count && status == ZX_OK; i++) {
        struct fuchsia_process_name_info* info = &r->names.data[i];
        uint32_t index = c->names.count;
        status = add_string(&c->names, info->path.data, info->path.count);
        if (status == ZX_OK) {
            status = add_handle(c, PA_HND(PA_NS_DIR, index), &info->directory);
        }
    }
    return status;
}

static zx_status_t handle_handles(void* ctx,
                                  struct fuchsia_process_launcher_add_handles_request* r) {
    struct collected* c = &((struct launchsvc_connection*)ctx)->collected;
    zx_status_t status = ZX_OK;
    for (uint64_t i = 0; i < r->handles.count && status == ZX_OK; i++) {
        status = add_handle(c, r->handles.data[i].id, &r->handles.data[i].handle);
    }
    return status;
}

static zx_status_t handle_options(void* ctx,
                                  struct fuchsia_process_launcher_set_options_request* r) {
    struct collected* c = &((struct launchsvc_connection*)ctx)->collected;
    const fuchsia_process_mode_t* mode = fuchsia_process_options_get_mode(&r->options);
    const uint64_t* stack = fuchsia_process_options_get_stack_size(&r->options);
    c->mode = mode != nullptr && *mode == FUCHSIA_PROCESS_MODE_LINUX ? LAUNCH_LINUX : LAUNCH_NATIVE;
    c->stack_len = stack != nullptr ? *stack : 0;
    return ZX_OK;
}

// ---- works ----

static void work_free(struct launchsvc_work* w) {
    forget(&w->collected);
    (void)zx_handle_close(w->executable);
    (void)zx_handle_close(w->job);
    w->connection->works--;
    connection_unref(w->connection);
    free(w);
}

static zx_status_t begin(struct launchsvc_connection* c, struct fuchsia_process_launch_info* info,
                         const struct fidl_txn* txn, bool starts) {
    struct launchsvc_work* w = c->works < WORKS_MAX ? calloc(1, sizeof(*w)) : nullptr;
    if (w == nullptr) {
        return ZX_ERR_NO_RESOURCES;
    }
    w->connection = c;
    c->refs++;
    c->works++;
    w->collected = c->collected;
    c->collected = (struct collected){};
    w->txn = *txn;
    w->starts = starts;
    w->executable = fidl_take(&info->executable);
    w->job = fidl_take(&info->job);
    memcpy(w->name, info->name.data,
           info->name.count); // at most ZX_MAX_NAME_LEN: the protocol's limit
    zx_status_t status = c->service->begin(c->service, w);
    if (status != ZX_OK) {
        work_free(w);
    }
    return status;
}

static zx_status_t handle_launch(void* ctx, struct fuchsia_process_launcher_launch_request* r,
                                 struct fidl_txn* txn) {
    return begin(ctx, &r->info, txn, true);
}

static zx_status_t handle_create(void* ctx,
                                 struct fuchsia_process_launcher_create_without_starting_request* r,
                                 struct fidl_txn* txn) {
    return begin(ctx, &r->info, txn, false);
}

static const struct fuchsia_process_launcher_ops ops = {
    .add_args = handle_args,
    .add_environs = handle_environs,
    .add_names = handle_names,
    .add_handles = handle_handles,
    .launch = handle_launch,
    .set_options = handle_options,
    .create_without_starting = handle_create,
};

zx_status_t launchsvc_handle(struct launchsvc_connection* c, struct fidl_message* message,
                             struct fidl_storage storage) {
    return fuchsia_process_launcher_dispatch(&ops, c, c->channel, message, storage);
}

// ---- launching: on any thread, nothing of the connection is touched ----

// Pointers to the strings; `*at` moves on.
static const char* const* point(const struct strings* s, const char*** at) {
    const char** first = *at;
    const char* text = s->text;
    for (uint32_t i = 0; i < s->count; i++) {
        *(*at)++ = text;
        text += strlen(text) + 1;
    }
    return first;
}

// The client's loader service, taken out of the collected handles.
static zx_handle_t take_loader(struct collected* c) {
    for (uint32_t i = 0; i < c->handle_count; i++) {
        if (c->handles[i].info == PA_HND(PA_LDSVC_LOADER, 0)) {
            zx_handle_t loader = c->handles[i].handle;
            c->handles[i] = c->handles[--c->handle_count];
            return loader;
        }
    }
    return ZX_HANDLE_INVALID;
}

struct finder {
    zx_handle_t loader;
    zx_handle_t found;
};

static zx_status_t find_interpreter(void* ctx, const char* path, struct launch_file* out) {
    struct finder* f = ctx;
    struct fuchsia_ldsvc_loader_load_object_request request = {
        .object_name = {.count = strlen(path), .data = (char*)path}};
    alignas(8) char bytes[1024];
    void* response;
    zx_status_t status =
        fidl_call(f->loader, zx_deadline_after(PATIENCE), &fuchsia_ldsvc_loader_load_object_method,
                  &request, (struct fidl_storage){bytes, sizeof(bytes)}, &response);
    if (status != ZX_OK) {
        return status;
    }
    struct fuchsia_ldsvc_loader_load_object_response* answer = response;
    f->found = fidl_take(&answer->object);
    status = answer->rv;
    if (status == ZX_OK) {
        status = zx_vmo_get_size(f->found, &out->len);
    }
    out->vmo = f->found;
    return status;
}

// A VMO, or else a connection to a file: who is no channel either is no file.
static zx_status_t open_executable(struct launchsvc_work* w, struct launch_source* out) {
    zx_handle_t executable = fidl_take(&w->executable);
    uint64_t len;
    zx_status_t status = zx_vmo_get_size(executable, &len);
    if (status == ZX_ERR_WRONG_TYPE) {
        status = launch_source_open(executable, zx_deadline_after(PATIENCE), out);
        out->deadline = zx_deadline_after(READING_PATIENCE);
        return status;
    }
    *out = (struct launch_source){.vmo = executable, .len = len};
    if (status != ZX_OK) {
        launch_source_close(out);
    }
    return status;
}

static void launch_collected(struct launchsvc_work* w, const char** pointers) {
    struct collected* c = &w->collected;
    struct finder finder = {.loader = take_loader(c)};
    bool has_loader = finder.loader != ZX_HANDLE_INVALID;
    struct launch_source source;
    w->status = open_executable(w, &source);
    if (w->status != ZX_OK) {
        (void)zx_handle_close(finder.loader);
        return;
    }
    struct launch_request request = {.mode = c->mode,
                                     .job = w->job,
                                     .name = w->name,
                                     .file = launch_source_file(&source),
                                     .vdso = w->connection->service->vdso,
                                     .args = point(&c->args, &pointers),
                                     .arg_count = c->args.count,
                                     .environ = point(&c->environ, &pointers),
                                     .environ_count = c->environ.count,
                                     .names = point(&c->names, &pointers),
                                     .name_count = c->names.count,
                                     .handles = c->handles,
                                     .handle_count = c->handle_count,
                                     .stack_len = c->stack_len,
                                     .find_interpreter = has_loader ? find_interpreter : nullptr,
                                     .find_ctx = &finder,
                                     .loader_service = finder.loader};
    w->status = w->starts ? launch(&request, &w->process).status
                          : launch_prepare(&request, &w->made).status;
    launch_source_close(&source);
    (void)zx_handle_close(finder.found);
}

void launchsvc_work_run(struct launchsvc_work* w) {
    const struct collected* c = &w->collected;
    size_t count = (size_t)c->args.count + c->environ.count + c->names.count;
    const char** pointers = malloc((count + 1) * sizeof(*pointers));
    if (pointers == nullptr) {
        w->status = ZX_ERR_NO_MEMORY;
        return;
    }
    launch_collected(w, pointers);
    free(pointers);
}

// ---- answering ----

static zx_status_t answer_launch(struct launchsvc_work* w) {
    struct fuchsia_process_launcher_launch_response response = {.status = w->status,
                                                                .process = w->process};
    w->process = ZX_HANDLE_INVALID;
    return fidl_reply(&w->txn, &response);
}

static zx_status_t answer_create(struct launchsvc_work* w) {
    struct launched* m = &w->made;
    struct fuchsia_process_process_start_data data = {.process = m->process,
                                                      .root_vmar = m->root_vmar,
                                                      .thread = m->thread,
                                                      .entry = m->entry,
                                                      .stack = m->stack,
                                                      .bootstrap = m->their_bootstrap,
                                                      .vdso_base = m->vdso_base,
                                                      .base = m->image_base};
    // Our end has done its work: the message is in theirs, and stays there.
    (void)zx_handle_close(m->bootstrap);
    bool made = w->status == ZX_OK;
    *m = (struct launched){};
    struct fuchsia_process_launcher_create_without_starting_response response = {
        .status = w->status, .data = made ? &data : nullptr};
    return fidl_reply(&w->txn, &response);
}

// Nobody waits any more: a process that was started runs on, as after a lost answer; one that was
// not is given up.
static void drop(struct launchsvc_work* w) {
    (void)zx_handle_close(w->process);
    if (w->made.process != ZX_HANDLE_INVALID) {
        launch_abandon(&w->made);
    }
}

zx_status_t launchsvc_work_finish(struct launchsvc_work* w, struct fidl_storage storage,
                                  void** owner) {
    struct launchsvc_connection* c = w->connection;
    zx_status_t status = ZX_OK;
    if (c->channel == ZX_HANDLE_INVALID) {
        drop(w);
    } else {
        w->txn.storage = storage;
        status = w->starts ? answer_launch(w) : answer_create(w);
        *owner = c->owner;
    }
    work_free(w);
    return status;
}
