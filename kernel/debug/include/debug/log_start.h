// For kernel/top only.
#pragma once

// Threads run: from here on the log reaches the console by deferred work. `to_serial` false: port
// 0xE9 only.
void log_start(bool to_serial);
