// Who can reach whom, as text for dot and as a picture. Both show the same: a box for each
// paragraph, a box for each thing that no service serves (resources, jobs), and an arrow for each
// grant.

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "services_priv.h"

constexpr uint32_t THINGS_MAX = 64;

// ---- what the boxes are ----

struct thing {
    const char* kind;
    const char* name;
};

struct graph {
    const struct services* s;
    services_emit_fn emit;
    void* ctx;
    struct thing things[THINGS_MAX];
    uint32_t thing_count;
    uint32_t from; // while the grants of one paragraph are visited
    // Picture only: columns, and the place of each box in its column.
    uint32_t column[SERVICES_PARAGRAPHS_MAX];
    uint32_t row[SERVICES_PARAGRAPHS_MAX];
    uint32_t columns, rows;
    bool changed;
};

// /boot and its like are everybody's: arrows to them would hide the others.
static bool is_shown(const struct services_grant* g) {
    return g->server != SERVICES_NONE ||
           (strcmp(g->kind, "namespace") != 0 && strcmp(g->kind, "device") != 0);
}

static uint32_t find_thing(const struct graph* g, const struct services_grant* grant) {
    for (uint32_t i = 0; i < g->thing_count; i++) {
        if (strcmp(g->things[i].kind, grant->kind) == 0 &&
            strcmp(g->things[i].name, grant->name) == 0) {
            return i;
        }
    }
    return THINGS_MAX;
}

static bool collect_thing(void* ctx, const struct services_grant* grant) {
    struct graph* g = ctx;
    if (is_shown(grant) && grant->server == SERVICES_NONE && find_thing(g, grant) == THINGS_MAX &&
        g->thing_count < THINGS_MAX) {
        g->things[g->thing_count++] = (struct thing){grant->kind, grant->name};
    }
    return true;
}

static void each_grant(struct graph* g, services_grant_fn visit) {
    for (g->from = 0; g->from < g->s->paragraph_count; g->from++) {
        (void)services_grants(g->s, g->from, visit, g);
    }
}

[[gnu::format(printf, 2, 3)]] static void put(struct graph* g, const char* format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    g->emit(g->ctx, text);
}

// Text in which `special` characters are replaced; `with` has one replacement for each of them.
static void put_escaped(struct graph* g, const char* text, const char* special,
                        const char* const* with) {
    for (; *text != '\0'; text++) {
        const char* found = strchr(special, *text);
        if (found != nullptr) {
            g->emit(g->ctx, with[found - special]);
        } else {
            put(g, "%c", *text);
        }
    }
}

// ---- dot ----

static void put_quoted(struct graph* g, const char* text) {
    static const char* const with[] = {"\\\"", "\\\\"};
    put_escaped(g, text, "\"\\", with);
}

static bool dot_edge(void* ctx, const struct services_grant* grant) {
    struct graph* g = ctx;
    if (!is_shown(grant)) {
        return true;
    }
    if (grant->server != SERVICES_NONE) {
        put(g, "  p%u -> p%u [label=\"", g->from, grant->server);
        put_quoted(g, grant->name);
        put(g, "\"];\n");
    } else {
        put(g, "  p%u -> t%u;\n", g->from, find_thing(g, grant));
    }
    return true;
}

void services_write_dot(const struct services* s, services_emit_fn emit, void* ctx) {
    struct graph g = {.s = s, .emit = emit, .ctx = ctx};
    each_grant(&g, collect_thing);
    put(&g, "digraph authority {\n  rankdir=LR;\n  node [shape=box];\n");
    for (uint32_t i = 0; i < s->paragraph_count; i++) {
        put(&g, "  p%u [label=\"", i);
        put_quoted(&g, s->paragraphs[i].name);
        put(&g, "\"%s];\n", s->paragraphs[i].is_service ? "" : ", style=rounded");
    }
    for (uint32_t i = 0; i < g.thing_count; i++) {
        put(&g, "  t%u [label=\"", i);
        put_quoted(&g, g.things[i].kind);
        put(&g, " ");
        put_quoted(&g, g.things[i].name);
        put(&g, "\", shape=ellipse];\n");
    }
    each_grant(&g, dot_edge);
    put(&g, "}\n");
}

// ---- the picture ----

constexpr uint32_t BOX_WIDTH = 170;
constexpr uint32_t BOX_HEIGHT = 28;
constexpr uint32_t COLUMN_STEP = 330;
constexpr uint32_t ROW_STEP = 44;
constexpr uint32_t MARGIN = 20;

// Who is reached stands right of whoever reaches it, as far as there is no circle.
static bool push_right(void* ctx, const struct services_grant* grant) {
    struct graph* g = ctx;
    if (grant->server != SERVICES_NONE && grant->server != g->from &&
        g->column[grant->server] <= g->column[g->from] &&
        g->column[g->from] + 1 < g->s->paragraph_count) {
        g->column[grant->server] = g->column[g->from] + 1;
        g->changed = true;
    }
    return true;
}

static void lay_out(struct graph* g) {
    // In a circle this would go on to the last column: as many rounds as a picture stays readable.
    constexpr uint32_t rounds = 4;
    g->changed = true;
    for (uint32_t i = 0; i < rounds && g->changed; i++) {
        g->changed = false;
        each_grant(g, push_right);
    }
    uint32_t used[SERVICES_PARAGRAPHS_MAX + 1] = {};
    for (uint32_t i = 0; i < g->s->paragraph_count; i++) {
        g->row[i] = used[g->column[i]]++;
        g->columns = g->column[i] + 1 > g->columns ? g->column[i] + 1 : g->columns;
        g->rows = g->row[i] + 1 > g->rows ? g->row[i] + 1 : g->rows;
    }
    g->rows = g->thing_count > g->rows ? g->thing_count : g->rows;
}

static void put_text(struct graph* g, const char* text) {
    static const char* const with[] = {"&lt;", "&gt;", "&amp;", "&quot;"};
    put_escaped(g, text, "<>&\"", with);
}

static void put_box(struct graph* g, uint32_t column, uint32_t row, const char* shape,
                    const char* kind, const char* name) {
    uint32_t x = MARGIN + column * COLUMN_STEP;
    uint32_t y = MARGIN + row * ROW_STEP;
    put(g, "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" rx=\"%u\"/>\n", shape,
        x, y, BOX_WIDTH, BOX_HEIGHT, strcmp(shape, "s") == 0 ? 2u : BOX_HEIGHT / 2);
    put(g, "<text x=\"%u\" y=\"%u\" text-anchor=\"middle\">", x + BOX_WIDTH / 2,
        y + BOX_HEIGHT / 2 + 4);
    put_text(g, kind);
    put_text(g, *kind != '\0' ? " " : "");
    put_text(g, name);
    put(g, "</text>\n");
}

static bool svg_edge(void* ctx, const struct services_grant* grant) {
    struct graph* g = ctx;
    if (!is_shown(grant)) {
        return true;
    }
    bool served = grant->server != SERVICES_NONE;
    uint32_t column = served ? g->column[grant->server] : g->columns;
    uint32_t row = served ? g->row[grant->server] : find_thing(g, grant);
    uint32_t x1 = MARGIN + g->column[g->from] * COLUMN_STEP + BOX_WIDTH;
    uint32_t y1 = MARGIN + g->row[g->from] * ROW_STEP + BOX_HEIGHT / 2;
    uint32_t x2 = MARGIN + column * COLUMN_STEP;
    uint32_t y2 = MARGIN + row * ROW_STEP + BOX_HEIGHT / 2;
    put(g, "<path d=\"M%u %u C%u %u %u %u %u %u\"><title>", x1, y1, x1 + COLUMN_STEP / 4, y1,
        x2 > COLUMN_STEP / 4 ? x2 - COLUMN_STEP / 4 : 0, y2, x2, y2);
    put_text(g, grant->kind);
    put_text(g, ":");
    put_text(g, grant->name);
    put(g, "</title></path>\n");
    return true;
}

void services_write_svg(const struct services* s, services_emit_fn emit, void* ctx) {
    struct graph g = {.s = s, .emit = emit, .ctx = ctx};
    each_grant(&g, collect_thing);
    lay_out(&g);
    uint32_t columns = g.columns + (g.thing_count > 0 ? 1 : 0);
    put(&g,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n",
        2 * MARGIN + columns * COLUMN_STEP, 2 * MARGIN + g.rows * ROW_STEP);
    put(&g, "<style>rect{fill:#eef;stroke:#446}.p{fill:#efe}.t{fill:#fee}"
            "path{fill:none;stroke:#888}path:hover{stroke:#c00}</style>\n");
    each_grant(&g, svg_edge);
    for (uint32_t i = 0; i < s->paragraph_count; i++) {
        put_box(&g, g.column[i], g.row[i], s->paragraphs[i].is_service ? "s" : "p", "",
                s->paragraphs[i].name);
    }
    for (uint32_t i = 0; i < g.thing_count; i++) {
        put_box(&g, g.columns, i, "t", g.things[i].kind, g.things[i].name);
    }
    put(&g, "</svg>\n");
}
