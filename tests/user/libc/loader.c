// Programs that get their libraries from a loader service, which is played by a thread of this one.
#include <utest/utest.h>

#include <stdio.h>
#include <string.h>

#include <bootsvc/client.h>
#include <fidl/channel.h>
#include <fidl/fuchsia.ldsvc.h>
#include <io/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>

GROUP("libc_loader");

// Of the libraries of this source: what they have in `shared_counter`.
constexpr int64_t IN_BOOT_LIB = 40;
constexpr int64_t OF_THE_LOADER = 70; // libutest_other.so, under whatever name
constexpr int64_t NOT_LINKED = 127;

typedef enum behaviour : uint8_t {
    SERVES,
    HAS_NOTHING,
    REFUSES,
    DIES,
    HANGS,
    TALKS_NONSENSE,
    CONTRADICTS_ITSELF, // says that all is well, and sends no library
} behaviour_t;

// ---- the service ----

struct loader {
    zx_handle_t channel;
    zx_handle_t library, late; // what it has, which it hands out
    behaviour_t behaviour;
    uint32_t asked;
    zx_status_t problem;
};

static zx_handle_t open_boot(const char* path) {
    zx_handle_t vmo;
    uint64_t len;
    EXPECT_OK(bootsvc_open(bootsvc_startup(), path, &vmo, &len));
    return vmo;
}

static bool is_late(const struct fidl_string* name) {
    static const char wanted[] = "libutest_late.so";
    return name->count == sizeof(wanted) - 1 && memcmp(name->data, wanted, name->count) == 0;
}

static zx_status_t load_object(void* ctx, struct fuchsia_ldsvc_loader_load_object_request* request,
                               struct fidl_txn* txn) {
    struct loader* l = ctx;
    struct fuchsia_ldsvc_loader_load_object_response response = {};
    l->asked++;
    switch (l->behaviour) {
    case SERVES:
        response.rv = zx_handle_duplicate(is_late(&request->object_name) ? l->late : l->library,
                                          ZX_RIGHT_SAME_RIGHTS, &response.object);
        break;
    case HAS_NOTHING:
        response.rv = ZX_ERR_NOT_FOUND;
        break;
    case REFUSES:
        response.rv = ZX_ERR_ACCESS_DENIED;
        break;
    case CONTRADICTS_ITSELF:
        break;
    case TALKS_NONSENSE: {
        struct {
            uint32_t txid;
            char text[20];
        } message = {.txid = txn->txid, .text = "no answer of FIDL's"};
        return zx_channel_write(l->channel, 0, &message, sizeof(message), nullptr, 0);
    }
    case DIES:
        return ZX_ERR_STOP;
    case HANGS:
        return ZX_OK; // the answer is owed for ever
    }
    return fidl_reply(txn, &response);
}

static const struct fuchsia_ldsvc_loader_ops ops = {.load_object = load_object};

static zx_status_t serve_one(struct loader* l) {
    alignas(8) char bytes[2048];
    alignas(8) char answer[2048];
    uint32_t count;
    struct fidl_message message = {.bytes = bytes};
    uint32_t len = 0;
    zx_status_t status =
        zx_channel_read(l->channel, 0, bytes, nullptr, sizeof(bytes), 0, &len, &count);
    message.len = len;
    return status == ZX_OK
               ? fuchsia_ldsvc_loader_dispatch(&ops, l, l->channel, &message,
                                               (struct fidl_storage){answer, sizeof(answer)})
               : status;
}

// Until the program has closed its end, or the service dies.
static void serve(void* arg) {
    struct loader* l = arg;
    zx_status_t status;
    do {
        status = zx_object_wait_one(l->channel, ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                                    ZX_TIME_INFINITE, nullptr);
        if (status == ZX_OK) {
            status = serve_one(l);
        }
    } while (status == ZX_OK);
    bool is_expected =
        status == ZX_ERR_PEER_CLOSED || (status == ZX_ERR_STOP && l->behaviour == DIES);
    l->problem = is_expected ? ZX_OK : status;
    (void)zx_handle_close(l->channel);
}

// ---- the program ----

static zx_status_t find_interpreter(void* ctx, const char* path, struct launch_file* out) {
    EXPECT(strcmp(path, "ld.so.1") == 0);
    out->vmo = *(zx_handle_t*)ctx;
    return zx_vmo_get_size(out->vmo, &out->len);
}

struct started {
    int64_t code;
    char said[256]; // on its standard error
};

struct program {
    const char* library; // to load at run time; null: none
    const char* environment;
    bool sees_boot;
};

static struct started end_of(zx_handle_t process, zx_handle_t socket) {
    struct started s = {};
    EXPECT_OK(zx_object_wait_one(process, ZX_PROCESS_TERMINATED, utest_after_ms(60'000), nullptr));
    zx_info_process_t info;
    EXPECT_OK(zx_object_get_info(process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr));
    s.code = info.return_code;
    size_t got = 0;
    zx_status_t status = zx_socket_read(socket, 0, s.said, sizeof(s.said) - 1, &got);
    EXPECT(status == ZX_OK || status == ZX_ERR_PEER_CLOSED);
    EXPECT_CLOSE(process);
    EXPECT_CLOSE(socket);
    return s;
}

// The loader is consumed.
static struct started run(const struct program* p, zx_handle_t loader) {
    zx_handle_t interpreter = open_boot("lib/ld.so.1");
    struct launch_file file = {.vmo = open_boot("measure/libc_linked")};
    EXPECT_OK(zx_vmo_get_size(file.vmo, &file.len));
    struct launch_vdso vdso;
    EXPECT_EQ(launch_vdso_init(&vdso, zx_vmo_vdso()).error, LAUNCH_OK);
    zx_handle_t socket, theirs, boot;
    EXPECT_OK(zx_socket_create(0, &socket, &theirs));
    EXPECT_OK(bootsvc_clone(bootsvc_startup(), &boot));
    struct launch_handle handles[] = {{PA_HND(PA_FD, 2), theirs}, {PA_HND(PA_NS_DIR, 0), boot}};
    const char* args[] = {"libc_linked", p->library};
    const char* const names[] = {p->sees_boot ? "/boot" : "/nowhere"};
    struct launch_request request = {.job = zx_job_default(),
                                     .name = "libc_linked",
                                     .file = file,
                                     .vdso = &vdso,
                                     .args = args,
                                     .arg_count = p->library != nullptr ? 2 : 1,
                                     .environ = &p->environment,
                                     .environ_count = p->environment != nullptr,
                                     .names = names,
                                     .name_count = 1,
                                     .handles = handles,
                                     .handle_count = 2,
                                     .find_interpreter = find_interpreter,
                                     .find_ctx = &interpreter,
                                     .loader_service = loader};
    zx_handle_t process;
    EXPECT_EQ(launch(&request, &process).error, LAUNCH_OK);
    EXPECT_CLOSE(interpreter);
    EXPECT_CLOSE(file.vmo);
    return end_of(process, socket);
}

static struct started run_with(const struct program* p, behaviour_t behaviour, uint32_t asked) {
    struct utest_pair channel = utest_channel();
    struct loader l = {.channel = channel.a,
                       .library = open_boot("lib/libutest_other.so"),
                       .late = open_boot("lib/libutest_late.so"),
                       .behaviour = behaviour};
    struct utest_thread thread;
    utest_thread_start(&thread, serve, &l);
    struct started s = run(p, channel.b);
    utest_thread_join(&thread);
    EXPECT_OK(l.problem);
    EXPECT_EQ(l.asked, asked);
    EXPECT_CLOSE(l.library);
    EXPECT_CLOSE(l.late);
    return s;
}

// The program's first library was not found, for this reason.
static void expect_said(const struct started* s, const char* reason) {
    char line[160];
    int len = snprintf(line, sizeof(line), "Error loading shared library libutest_early.so: %s (",
                       reason);
    EXPECT_EQ(s->code, NOT_LINKED);
    if (strncmp(s->said, line, (size_t)len) != 0) {
        FAIL("it said '%s'", s->said);
    }
}

static const struct program plain = {.sees_boot = true};

// ---- cases ----

static zx_handle_t system_loader(void) {
    static const char protocol[] = "fuchsia.ldsvc.Loader";
    struct utest_pair channel = utest_channel();
    uint32_t i = 0;
    while (zx_startup_name(i) != nullptr && strcmp(zx_startup_name(i), "/svc") != 0) {
        i++;
    }
    EXPECT_OK(io_connect(utest_startup_peek(PA_HND(PA_NS_DIR, i)), protocol, sizeof(protocol) - 1,
                         channel.b));
    return channel.a;
}

// It has what is in /boot/lib, and the program sees nothing of /boot itself.
CASE(the_systems_own) {
    struct program p = {.sees_boot = false, .library = "libutest_late.so"};
    struct started s = run(&p, system_loader());
    EXPECT_EQ(s.code, IN_BOOT_LIB);
}

CASE(goes_before_the_system_s_places) {
    struct started s = run_with(&plain, SERVES, 1);
    EXPECT_EQ(s.code, OF_THE_LOADER);
}

CASE(no_namespace_is_needed) {
    struct program p = {.sees_boot = false};
    struct started s = run_with(&p, SERVES, 1);
    EXPECT_EQ(s.code, OF_THE_LOADER);
    s = run_with(&p, HAS_NOTHING, 1);
    expect_said(&s, "No such file or directory");
}

CASE(what_it_does_not_have_is_looked_for_elsewhere) {
    struct started s = run_with(&plain, HAS_NOTHING, 1);
    EXPECT_EQ(s.code, IN_BOOT_LIB);
    s = run(&plain, ZX_HANDLE_INVALID);
    EXPECT_EQ(s.code, IN_BOOT_LIB);
}

CASE(what_the_environment_names_goes_first) {
    struct program p = {.sees_boot = true, .environment = "LD_LIBRARY_PATH=/boot/lib"};
    struct started s = run_with(&p, SERVES, 0);
    EXPECT_EQ(s.code, IN_BOOT_LIB);
    p.environment = "LD_LIBRARY_PATH=/boot/bin";
    s = run_with(&p, SERVES, 1);
    EXPECT_EQ(s.code, OF_THE_LOADER);
}

// Asked once for each: a library that is there already is known by its name.
CASE(at_run_time) {
    struct program p = {.sees_boot = false, .library = "libutest_late.so"};
    struct started s = run_with(&p, SERVES, 2);
    EXPECT_EQ(s.code, IN_BOOT_LIB); // what the loader gives under this name
}

// An answer is an answer: a library of that name that lies elsewhere is not taken for it.
CASE(a_refusal_is_final) {
    struct started s = run_with(&plain, REFUSES, 1);
    expect_said(&s, "Permission denied");
}

CASE(dies) {
    struct started s = run_with(&plain, DIES, 1);
    expect_said(&s, "Connection reset by peer");
    struct utest_pair channel = utest_channel();
    EXPECT_CLOSE(channel.a);
    s = run(&plain, channel.b);
    expect_said(&s, "Connection reset by peer");
}

CASE(talks_nonsense) {
    struct started s = run_with(&plain, TALKS_NONSENSE, 1);
    expect_said(&s, "Protocol error");
    s = run_with(&plain, CONTRADICTS_ITSELF, 1);
    expect_said(&s, "Protocol error");
}

// It is asked once: there is no further question to a service that owes an answer.
CASE_WITHIN(hangs, 60) {
    struct started s = run_with(&plain, HANGS, 1);
    expect_said(&s, "Operation timed out");
}
