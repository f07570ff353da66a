// See <minic/terminal.h>.
#include <io/client.h>
#include <minic/terminal.h>

zx_status_t minic_terminal_write(zx_handle_t terminal, const char* text, size_t len,
                                 size_t* written) {
    return io_terminal_write(terminal, text, len, written);
}
