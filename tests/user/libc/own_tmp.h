// /tmp of this program's own: memfs in a thread, in the namespace before main() runs.
#pragma once

#include <stdint.h>

// How many nodes there are besides the root, once the server has noticed what was closed (it has
// handles of its own, which are this process's, too): a case that leaves some has failed.
uint64_t own_tmp_nodes(void);
