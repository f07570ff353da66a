#include <launchsvc/client.h>

#include <stdlib.h>
#include <string.h>

#include <fidl/fuchsia.process.h>
#include <zircon/syscalls.h>

typedef struct fuchsia_process_vector_of_vector_of_uint8 byte_vectors_t;

// Room for a message with these strings and elements of at most 32 bytes; null: no memory.
static struct fidl_storage storage_for(const char* const* strings, uint32_t count) {
    size_t capacity = 64 + 32 * (size_t)count;
    for (uint32_t i = 0; strings != nullptr && i < count; i++) {
        capacity += strlen(strings[i]) + 8;
    }
    // What is longer cannot be sent.
    capacity = capacity < ZX_CHANNEL_MAX_MSG_BYTES ? capacity : ZX_CHANNEL_MAX_MSG_BYTES;
    return (struct fidl_storage){malloc(capacity), (uint32_t)capacity};
}

static zx_status_t send_strings(zx_handle_t service, const struct fidl_method* method,
                                const char* const* strings, uint32_t count) {
    struct fidl_storage storage = storage_for(strings, count);
    struct fidl_vector_of_uint8* elements = malloc((count + 1) * sizeof(*elements));
    zx_status_t status = ZX_ERR_NO_MEMORY;
    if (storage.bytes != nullptr && elements != nullptr) {
        for (uint32_t i = 0; i < count; i++) {
            elements[i] = (struct fidl_vector_of_uint8){strlen(strings[i]), (uint8_t*)strings[i]};
        }
        // AddArgs and AddEnvirons have requests of the same shape.
        byte_vectors_t request = {count, elements};
        status = fidl_send(service, method, storage, &request);
    }
    free(elements);
    free(storage.bytes);
    return status == ZX_ERR_BUFFER_TOO_SMALL ? ZX_ERR_OUT_OF_RANGE : status;
}
static_assert(sizeof(struct fuchsia_process_launcher_add_args_request) == sizeof(byte_vectors_t));
static_assert(sizeof(struct fuchsia_process_launcher_add_environs_request) ==
              sizeof(byte_vectors_t));

zx_status_t launchsvc_add_args(zx_handle_t service, const char* const* args, uint32_t count) {
    return send_strings(service, &fuchsia_process_launcher_add_args_method, args, count);
}

zx_status_t launchsvc_add_environs(zx_handle_t service, const char* const* environ,
                                   uint32_t count) {
    return send_strings(service, &fuchsia_process_launcher_add_environs_method, environ, count);
}

static zx_status_t give_up(const zx_handle_t* handles, uint32_t count, zx_status_t status) {
    (void)zx_handle_close_many(handles, count);
    return status;
}

zx_status_t launchsvc_add_names(zx_handle_t service, const char* const* paths,
                                const zx_handle_t* directories, uint32_t count) {
    struct fidl_storage storage = storage_for(paths, count);
    struct fuchsia_process_name_info infos[ZX_CHANNEL_MAX_MSG_HANDLES];
    if (storage.bytes == nullptr || count > ZX_CHANNEL_MAX_MSG_HANDLES) {
        free(storage.bytes);
        return give_up(directories, count,
                       storage.bytes == nullptr ? ZX_ERR_NO_MEMORY : ZX_ERR_OUT_OF_RANGE);
    }
    for (uint32_t i = 0; i < count; i++) {
        infos[i] =
            (struct fuchsia_process_name_info){{strlen(paths[i]), (char*)paths[i]}, directories[i]};
    }
    struct fuchsia_process_launcher_add_names_request request = {{count, infos}};
    zx_status_t status =
        fidl_send(service, &fuchsia_process_launcher_add_names_method, storage, &request);
    free(storage.bytes);
    return status == ZX_ERR_BUFFER_TOO_SMALL ? ZX_ERR_OUT_OF_RANGE : status;
}

zx_status_t launchsvc_add_handles(zx_handle_t service, const uint32_t* ids,
                                  const zx_handle_t* handles, uint32_t count) {
    struct fuchsia_process_handle_info infos[ZX_CHANNEL_MAX_MSG_HANDLES];
    if (count > ZX_CHANNEL_MAX_MSG_HANDLES) {
        return give_up(handles, count, ZX_ERR_OUT_OF_RANGE);
    }
    for (uint32_t i = 0; i < count; i++) {
        infos[i] = (struct fuchsia_process_handle_info){handles[i], ids[i]};
    }
    alignas(8) char bytes[64 + sizeof(infos)];
    struct fuchsia_process_launcher_add_handles_request request = {{count, infos}};
    return fidl_send(service, &fuchsia_process_launcher_add_handles_method,
                     (struct fidl_storage){bytes, sizeof(bytes)}, &request);
}

zx_status_t launchsvc_set_options(zx_handle_t service, const struct launchsvc_options* options) {
    alignas(8) char bytes[128];
    union fidl_envelope members[FUCHSIA_PROCESS_OPTIONS_MEMBERS] = {};
    struct fuchsia_process_launcher_set_options_request request = {
        {.fidl = {FUCHSIA_PROCESS_OPTIONS_MEMBERS, members}}};
    fuchsia_process_mode_t mode =
        options->is_linux ? FUCHSIA_PROCESS_MODE_LINUX : FUCHSIA_PROCESS_MODE_NATIVE;
    uint64_t stack_size = options->stack_size;
    fuchsia_process_options_set_mode(&request.options, mode);
    if (stack_size != 0) {
        fuchsia_process_options_set_stack_size(&request.options, &stack_size);
    }
    return fidl_send(service, &fuchsia_process_launcher_set_options_method,
                     (struct fidl_storage){bytes, sizeof(bytes)}, &request);
}

// Of Launch and CreateWithoutStarting, whose requests are alike. `bytes` holds the answer.
static zx_status_t ask(zx_handle_t service, const struct fidl_method* method,
                       zx_handle_t executable, zx_handle_t job, const char* name,
                       struct fidl_storage storage, void** response) {
    zx_handle_t handles[] = {executable, job};
    if (strlen(name) > ZX_MAX_NAME_LEN) {
        return give_up(handles, 2, ZX_ERR_INVALID_ARGS);
    }
    struct fuchsia_process_launch_info info = {
        .executable = executable, .job = job, .name = {strlen(name), (char*)name}};
    return fidl_call(service, ZX_TIME_INFINITE, method, &info, storage, response);
}
static_assert(sizeof(struct fuchsia_process_launcher_launch_request) ==
              sizeof(struct fuchsia_process_launch_info));
static_assert(sizeof(struct fuchsia_process_launcher_create_without_starting_request) ==
              sizeof(struct fuchsia_process_launch_info));

zx_status_t launchsvc_launch(zx_handle_t service, zx_handle_t executable, zx_handle_t job,
                             const char* name, zx_handle_t* process) {
    alignas(8) char bytes[256];
    void* response;
    zx_status_t status = ask(service, &fuchsia_process_launcher_launch_method, executable, job,
                             name, (struct fidl_storage){bytes, sizeof(bytes)}, &response);
    if (status != ZX_OK) {
        return status;
    }
    struct fuchsia_process_launcher_launch_response* answer = response;
    if ((answer->status == ZX_OK) != (answer->process != ZX_HANDLE_INVALID)) {
        return give_up(&answer->process, 1, ZX_ERR_IO_INVALID);
    }
    *process = answer->process;
    return answer->status;
}

zx_status_t launchsvc_create(zx_handle_t service, zx_handle_t executable, zx_handle_t job,
                             const char* name, struct launchsvc_created* out) {
    alignas(8) char bytes[256];
    void* response;
    zx_status_t status =
        ask(service, &fuchsia_process_launcher_create_without_starting_method, executable, job,
            name, (struct fidl_storage){bytes, sizeof(bytes)}, &response);
    if (status != ZX_OK) {
        return status;
    }
    struct fuchsia_process_launcher_create_without_starting_response* answer = response;
    const struct fuchsia_process_process_start_data* d = answer->data;
    if ((answer->status == ZX_OK) != (d != nullptr)) {
        fidl_close_handles(&fuchsia_process_launcher_create_without_starting_response_type, answer);
        return ZX_ERR_IO_INVALID;
    }
    if (d != nullptr) {
        *out = (struct launchsvc_created){.process = d->process,
                                          .root_vmar = d->root_vmar,
                                          .thread = d->thread,
                                          .bootstrap = d->bootstrap,
                                          .entry = d->entry,
                                          .stack = d->stack,
                                          .vdso_base = d->vdso_base,
                                          .base = d->base};
    }
    return answer->status;
}
