// Any bytes on a screen of any size: the cursor and the region stay on it.
#include <stdlib.h>

#include <console/vt.h>

static void ignore(void* ctx, const char*, size_t count) {
    *(size_t*)ctx += count;
}

static void check(bool right) {
    if (!right) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    if (len < 3) {
        return 0;
    }
    uint32_t rows = data[0] % 12 + 1;
    uint32_t columns = data[1] % 24 + 1;
    uint32_t history = data[2] % 5;
    struct vt_cell* cells = malloc(vt_cells(rows, columns, history) * sizeof(*cells));
    struct vt vt;
    size_t answered = 0;
    check(cells != nullptr && vt_init(&vt, rows, columns, history, cells, ignore, &answered));
    for (size_t at = 3; at < len; at += 16) {
        vt_write(&vt, data + at, len - at < 16 ? len - at : 16);
        vt_scroll_view(&vt, (int32_t)(data[at] % 7) - 3);
        check(vt.cursor.row < rows && vt.cursor.column < columns);
        check(vt.top < vt.bottom && vt.bottom <= rows);
        check(vt.view <= vt.history_count && vt.history_count <= history);
        for (uint32_t row = 0; row < rows; row++) {
            const struct vt_cell* line = vt_row(&vt, row);
            for (uint32_t i = 0; i < columns; i++) {
                check(line[i].code >= ' ' && line[i].code <= 0x10ffff);
            }
        }
    }
    free(cells);
    return 0;
}
