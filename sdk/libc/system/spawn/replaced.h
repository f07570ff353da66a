// What a program that execs leaves for its parent in the channel of signals: "I go on as this
// process". The old process ends with spawn_retcode_replaced after the new one runs.
#pragma once

#include <zircon/types.h>

// Takes `process`, and `signals`, the parent's end of its channel of signals. `heard`: how many of
// the parent's messages the old process has read. False: the parent cannot be told.
bool replaced_send(zx_handle_t channel, zx_handle_t process, zx_handle_t signals, uint64_t heard);
// False: there is no such message.
bool replaced_receive(zx_handle_t channel, zx_handle_t* process, zx_handle_t* signals,
                      uint64_t* heard);
