// Groups and sessions, as other modules ask for them.
#pragma once

// Whether a terminal's foreground may be this group: the calling thread's own, or one of children.
bool spawn_group_exists(int group);
// kill(-group, signal); also this process's own. Allocates nothing.
long spawn_signal_group(int group, int signal);
