// /tmp of this program's own: memfs in a thread, in the namespace before main() runs.
#pragma once

// How many nodes there are besides the root: a case that leaves some has failed.
unsigned long own_tmp_nodes(void);
