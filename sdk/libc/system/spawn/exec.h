// exec() without vfork().
#pragma once

// For a parent that is not this library's, and knows nothing of programs that go on as another
// process: this process stays, waits for the child, passes signals on, and ends as it ends.
[[noreturn]] void exec_stand_in(int pid);
