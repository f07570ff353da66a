// For kernel/top only.
#pragma once

// False: what is logged goes to port 0xE9 only. To be said before the first record.
void log_set_serial(bool to_serial);

// Threads run: from here on the log reaches the console by deferred work.
void log_start(void);
