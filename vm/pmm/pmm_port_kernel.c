// The allocator's lock.
#include "pmm_port_kernel.h"

spinlock_t pmm_lock = SPINLOCK_INIT(LOCK_CLASS_PMM);
