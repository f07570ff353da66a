// From a path to a node. The text lies in one of two buffers; a link's text and what is left behind
// it are put together in the other, and the walk goes on there. So the work is bounded by the
// length of a path times the number of links.
#include <string.h>

#include "server_priv.h"

constexpr unsigned LINKS_MAX = 40;

struct walker {
    struct io_connection* c;
    struct io_server* server;
    struct io_node* at; // with a reference
    const char* text;
    size_t len;
    unsigned links;
};

// The next component and what is behind it.
struct step {
    struct io_name name;
    bool is_last;
    bool has_slash; // behind it
};

static bool next_step(struct walker* w, struct step* out) {
    while (w->len > 0 && *w->text == '/') {
        w->text++;
        w->len--;
    }
    if (w->len == 0) {
        return false;
    }
    const char* slash = memchr(w->text, '/', w->len);
    size_t len = slash != nullptr ? (size_t)(slash - w->text) : w->len;
    *out = (struct step){.name = {w->text, len}, .has_slash = slash != nullptr};
    w->text += len;
    w->len -= len;
    size_t slashes = 0;
    while (slashes < w->len && w->text[slashes] == '/') {
        slashes++;
    }
    out->is_last = slashes == w->len;
    return true;
}

static bool is_name(struct io_name name, const char* text) {
    return name.len == strlen(text) && memcmp(name.text, text, name.len) == 0;
}

// Goes on at `node`, whose reference it takes.
static void move_to(struct walker* w, struct io_node* node) {
    io_node_unref(w->server, w->at);
    w->at = node;
}

static void move_up(struct walker* w) {
    struct io_node* parent = w->at != w->c->root ? w->server->ops->parent(w->at) : nullptr;
    if (parent != nullptr) {
        move_to(w, parent);
    }
}

// The link's text and what is left, in the buffer that is not in use.
static zx_status_t expand(struct walker* w, struct io_node* link) {
    struct io_server* s = w->server;
    struct io_name target = s->ops->read_link(link);
    if (++w->links > LINKS_MAX) {
        return ZX_ERR_IO_OVERRUN;
    }
    if (target.len == 0) {
        return ZX_ERR_NOT_FOUND;
    }
    // What is left begins with a slash, or is nothing.
    if (target.len > IO_SERVER_PATH_MAX || w->len > IO_SERVER_PATH_MAX - target.len) {
        return ZX_ERR_BAD_PATH;
    }
    s->path_in_use ^= 1;
    char* buffer = s->paths[s->path_in_use];
    memcpy(buffer, target.text, target.len);
    memcpy(buffer + target.len, w->text, w->len);
    w->text = buffer;
    w->len += target.len;
    return ZX_OK;
}

static zx_status_t end_at_name(struct walker* w, const struct step* step, struct io_node* node,
                               struct io_walk* out) {
    out->directory = io_node_ref(w->at);
    out->node = node;
    memcpy(out->name, step->name.text, step->name.len);
    out->name_len = step->name.len;
    out->must_be_directory = step->has_slash;
    return ZX_OK;
}

// One component. *done: `out` says where the path leads.
static zx_status_t take_step(struct walker* w, const struct step* step, bool follow,
                             struct io_walk* out, bool* done) {
    if (is_name(step->name, ".")) {
        return ZX_OK;
    }
    if (is_name(step->name, "..")) {
        move_up(w);
        return ZX_OK;
    }
    if (step->name.len > IO_SERVER_NAME_MAX) {
        return ZX_ERR_BAD_PATH;
    }
    struct io_node* node = nullptr;
    zx_status_t status = w->server->ops->lookup(w->at, step->name, &node);
    if (status == ZX_ERR_NOT_FOUND && step->is_last) {
        *done = true;
        return end_at_name(w, step, nullptr, out);
    }
    if (status != ZX_OK) {
        return status;
    }
    if (node->kind == JACINTH_IO_KIND_SYMLINK && (!step->is_last || step->has_slash || follow)) {
        status = expand(w, node);
        io_node_unref(w->server, node);
        if (status == ZX_OK && *w->text == '/') {
            *done = out->leaves = true;
            out->rest = (struct io_name){w->text, w->len};
        }
        return status;
    }
    if (step->is_last) {
        *done = true;
        return end_at_name(w, step, node, out);
    }
    if (node->kind != JACINTH_IO_KIND_DIRECTORY) {
        io_node_unref(w->server, node);
        return ZX_ERR_NOT_DIR;
    }
    move_to(w, node);
    return ZX_OK;
}

static zx_status_t walk(struct walker* w, bool follow, struct io_walk* out) {
    struct step step;
    bool done = false;
    while (!done && next_step(w, &step)) {
        zx_status_t status = take_step(w, &step, follow, out, &done);
        if (status != ZX_OK) {
            return status;
        }
    }
    if (!done) {
        out->node = io_node_ref(w->at);
    }
    return ZX_OK;
}

zx_status_t io_walk(struct io_connection* c, const struct fidl_vector_of_uint8* path, bool follow,
                    struct io_walk* out) {
    struct io_server* s = c->server;
    out->directory = out->node = nullptr;
    out->name_len = 0;
    out->must_be_directory = out->leaves = false;
    if (path->count != 0 &&
        (path->data[0] == '/' || memchr(path->data, 0, path->count) != nullptr)) {
        return ZX_ERR_INVALID_ARGS;
    }
    s->path_in_use = 0;
    memcpy(s->paths[0], path->data, path->count);
    struct walker w = {
        .c = c, .server = s, .at = io_node_ref(c->node), .text = s->paths[0], .len = path->count};
    zx_status_t status = walk(&w, follow, out);
    io_node_unref(s, w.at);
    if (status == ZX_OK && out->must_be_directory && out->node != nullptr &&
        out->node->kind != JACINTH_IO_KIND_DIRECTORY) {
        status = ZX_ERR_NOT_DIR;
    }
    if (status != ZX_OK) {
        io_walk_end(s, out);
    }
    return status;
}

void io_walk_end(struct io_server* server, struct io_walk* walk) {
    if (walk->node != nullptr) {
        io_node_unref(server, walk->node);
    }
    if (walk->directory != nullptr) {
        io_node_unref(server, walk->directory);
    }
    walk->node = walk->directory = nullptr;
}
