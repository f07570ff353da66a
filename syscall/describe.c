// Decodes system calls by the generated model. See <syscall/describe.h>.
#include <syscall/describe.h>

#include <lib/fmt.h>
#include <syscall/model.h>

struct text {
    char* at;
    size_t cap;
    size_t length; // of the whole text, also of what did not fit
};

static void text_sink(void* ctx, const char* run, size_t length) {
    struct text* t = ctx;
    for (size_t i = 0; i < length; i++, t->length++) {
        if (t->length + 1 < t->cap) {
            t->at[t->length] = run[i];
        }
    }
}

static size_t text_end(struct text* t) {
    if (t->cap > 0) {
        t->at[t->length < t->cap ? t->length : t->cap - 1] = '\0';
    }
    return t->length;
}

static const struct syscall_model* model_of(uint64_t number) {
    if (number >= syscall_model_count || syscall_models[number].number != (int32_t)number) {
        return nullptr;
    }
    return &syscall_models[number];
}

static void scalar(struct text* t, const struct syscall_arg_model* arg, uint64_t value) {
    if (arg->is_time && value == (uint64_t)INT64_MAX) {
        fmt_write(text_sink, t, "infinite");
    } else if (arg->is_signed) {
        int64_t shown = arg->size == 4 ? (int32_t)value : (int64_t)value;
        fmt_write(text_sink, t, "%lld", (long long)shown);
    } else {
        uint64_t shown = arg->size < 8 ? value & (((uint64_t)1 << 8 * arg->size) - 1) : value;
        fmt_write(text_sink, t, shown < 4096 ? "%llu" : "0x%llx", (unsigned long long)shown);
    }
}

static void pointer(struct text* t, const struct syscall_model* m,
                    const struct syscall_arg_model* arg, const uint64_t args[8]) {
    uint64_t value = args[arg - m->args];
    if (value == 0) {
        fmt_write(text_sink, t, "null");
        return;
    }
    fmt_write(text_sink, t, "0x%llx", (unsigned long long)value);
    if (arg->count[0] != 0) {
        uint64_t count = args[arg->count[0] - 1];
        if (m->args[arg->count[0] - 1].size == 4) {
            count = (uint32_t)count;
        }
        if (arg->count[1] != 0) {
            count *= args[arg->count[1] - 1];
        }
        fmt_write(text_sink, t, "[%llu]", (unsigned long long)count);
    }
}

size_t syscall_describe(char* text, size_t cap, uint64_t number, const uint64_t args[8]) {
    struct text t = {.at = text, .cap = cap};
    const struct syscall_model* m = model_of(number);
    if (m == nullptr) {
        fmt_write(text_sink, &t, "syscall_%llu(...)", (unsigned long long)number);
        return text_end(&t);
    }
    fmt_write(text_sink, &t, "%s(", m->name);
    for (size_t i = 0; i < m->arg_count; i++) {
        const struct syscall_arg_model* arg = &m->args[i];
        fmt_write(text_sink, &t, "%s%s=", i == 0 ? "" : ", ", arg->name);
        if (arg->kind == SYSCALL_ARG_SCALAR) {
            scalar(&t, arg, args[i]);
        } else if (arg->kind == SYSCALL_ARG_HANDLE) {
            fmt_write(text_sink, &t, "0x%x", (unsigned)args[i]);
        } else {
            pointer(&t, m, arg, args);
        }
    }
    fmt_write(text_sink, &t, ")");
    return text_end(&t);
}

static const char* status_name(int32_t status) {
    switch (status) {
#define CASE(name)  \
    case ZX_##name: \
        return "ZX_" #name;
        ZX_STATUS_LIST(CASE)
#undef CASE
    default:
        return nullptr;
    }
}

size_t syscall_describe_result(char* text, size_t cap, uint64_t number, int64_t result) {
    struct text t = {.at = text, .cap = cap};
    const struct syscall_model* m = model_of(number);
    bool is_status = m != nullptr && m->result_size == 4;
    const char* name = is_status ? status_name((int32_t)result) : nullptr;
    if (name != nullptr) {
        fmt_write(text_sink, &t, "-> %s", name);
    } else if (is_status) {
        fmt_write(text_sink, &t, "-> %d", (int32_t)result);
    } else {
        fmt_write(text_sink, &t, "-> 0x%llx", (unsigned long long)result);
    }
    return text_end(&t);
}
