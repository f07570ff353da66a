// Starts itself once more with less: in a job that may make no sockets, with a handle through which
// a VMO can be read and one end of a channel, and nothing else. The child tries what it may not;
// then it is killed with its job.
//
//     parent          bin/parent must be this program
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/process.h>
#include <zircon/processargs.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/policy.h>

// The words under which the child finds its handles.
#define LETTER PA_HND(PA_USER0, 0)
#define ANSWER PA_HND(PA_USER1, 0)

static void say(const char* what, zx_status_t status) {
    printf("child: %s: %s\n", what, zx_status_get_string(status));
}

// ---- the child: has what it was given ----

static int child(zx_handle_t parents_job) {
    zx_handle_t letter = zx_take_startup_handle(LETTER);
    zx_handle_t answer = zx_take_startup_handle(ANSWER);
    zx_handle_t made, other;

    char text[16] = {};
    say("read the VMO", zx_vmo_read(letter, text, 0, sizeof(text) - 1));
    say("write to it", zx_vmo_write(letter, text, 0, sizeof(text)));
    say("duplicate its handle", zx_handle_duplicate(letter, ZX_RIGHT_SAME_RIGHTS, &made));
    say("signal it", zx_object_signal(letter, 0, ZX_USER_SIGNAL_0));
    say("make a socket", zx_socket_create(0, &made, &other));
    say("start a process", zx_process_create(zx_job_default(), "p", 1, 0, &made, &other));
    say("use the parent's number", zx_task_kill(parents_job));

    // What it may: make an event, and give it away.
    say("make an event", zx_event_create(0, &made));
    say("send it", zx_channel_write(answer, 0, text, sizeof(text), &made, 1));
    say("use it after that", zx_object_signal(made, 0, ZX_EVENT_SIGNALED));
    (void)zx_handle_close(answer);
    return (int)zx_nanosleep(ZX_TIME_INFINITE);
}

// ---- the parent ----

// A VMO with a text, and a handle to it that allows to read, to be waited on and to be sent.
static zx_status_t make_letter(const char* text, zx_handle_t* out) {
    zx_handle_t whole;
    zx_status_t status = zx_vmo_create(4096, 0, &whole);
    if (status == ZX_OK) {
        status = zx_vmo_write(whole, text, 0, strlen(text));
    }
    if (status == ZX_OK) {
        status = zx_handle_duplicate(whole, ZX_RIGHT_READ | ZX_RIGHT_WAIT | ZX_RIGHT_TRANSFER, out);
    }
    (void)zx_handle_close(whole);
    return status;
}

// A job in which no process can make a socket.
static zx_status_t make_job(zx_handle_t* out) {
    const zx_policy_basic_v2_t rule = {.condition = ZX_POL_NEW_SOCKET,
                                       .action = ZX_POL_ACTION_DENY,
                                       .flags = ZX_POL_OVERRIDE_DENY};
    zx_status_t status = zx_job_create(zx_job_default(), 0, out);
    if (status != ZX_OK) {
        return status;
    }
    return zx_job_set_policy(*out, ZX_JOB_POL_ABSOLUTE, ZX_JOB_POL_BASIC_V2, &rule, 1);
}

// Starts bin/parent in the job; the two handles go with it.
static zx_status_t start_child(zx_handle_t job, zx_handle_t letter, zx_handle_t answer,
                               zx_handle_t* process) {
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", job); // worth nothing to anybody else
    const char* args[] = {"parent", number};
    struct launch_handle handles[] = {{LETTER, letter}, {ANSWER, answer}};
    struct launch_vdso vdso;
    struct launch_request request = {.job = job,
                                     .name = "child",
                                     .vdso = &vdso,
                                     .args = args,
                                     .arg_count = 2,
                                     .handles = handles,
                                     .handle_count = 2};
    zx_status_t status =
        bootsvc_open(bootsvc_startup(), "bin/parent", &request.file.vmo, &request.file.len);
    struct launch_result result = {.status = status};
    if (status == ZX_OK) {
        result = launch_vdso_init(&vdso, zx_vmo_vdso());
    }
    if (result.status == ZX_OK) {
        result = launch(&request, process);
        (void)zx_handle_close(request.file.vmo);
    }
    if (result.status != ZX_OK) {
        printf("parent: %s: %s\n", launch_error_name(result.error),
               zx_status_get_string(result.status));
    }
    return result.status;
}

// Takes what the child has sent, once it has closed its end: messages outlive their sender.
static zx_status_t take_answer(zx_handle_t channel) {
    char text[32] = {};
    zx_handle_t event = ZX_HANDLE_INVALID;
    uint32_t bytes, handles;
    zx_status_t status =
        zx_object_wait_one(channel, ZX_CHANNEL_PEER_CLOSED, zx_deadline_after(ZX_SEC(10)), nullptr);
    if (status == ZX_OK) {
        status = zx_channel_read(channel, 0, text, &event, sizeof(text), 1, &bytes, &handles);
    }
    if (status == ZX_OK) {
        status = zx_object_signal(event, 0, ZX_EVENT_SIGNALED);
        printf("parent: got \"%s\" and an event; signal it: %s\n", text,
               zx_status_get_string(status));
        (void)zx_handle_close(event);
    }
    return status;
}

// Ends everything in the job, and says how the process ended.
static zx_status_t end_job(zx_handle_t job, zx_handle_t process) {
    zx_info_process_t info;
    zx_status_t status = zx_task_kill(job);
    if (status == ZX_OK) {
        status = zx_object_wait_one(process, ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr);
    }
    if (status == ZX_OK) {
        status =
            zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr);
    }
    if (status == ZX_OK) {
        printf("parent: the child ended with %lld\n", (long long)info.return_code);
    }
    return status;
}

static zx_status_t parent(void) {
    zx_handle_t letter, ours, theirs, job, process;
    zx_status_t status = make_letter("what is written", &letter);
    if (status == ZX_OK) {
        status = zx_channel_create(0, &ours, &theirs);
    }
    if (status == ZX_OK) {
        status = make_job(&job);
    }
    if (status == ZX_OK) {
        status = start_child(job, letter, theirs, &process);
    }
    if (status == ZX_OK) {
        status = take_answer(ours);
    }
    return status == ZX_OK ? end_job(job, process) : status; // the rest ends with this process
}

int main(int argc, char** argv) {
    if (argc > 1) {
        return child((zx_handle_t)strtoull(argv[1], nullptr, 10));
    }
    zx_status_t status = parent();
    if (status != ZX_OK) {
        printf("parent: %s\n", zx_status_get_string(status));
    }
    return status == ZX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
