// What the allocator needs from the machine: this CPU's number with interrupts off, one lock, and a
// way to map a page of the page array. The host's version is for tests.
//
//   irq_state_t port_cpu_enter(uint32_t* cpu)    interrupts off
//   void port_cpu_leave(irq_state_t state)
//   irq_state_t port_lock(void), void port_unlock(irq_state_t state)
//   void port_map_array_page(at, pa, table)      maps and clears; `table` gives table pages
//   void port_on_every_cpu(fn)                   runs fn on each CPU, interrupts off there
//   bool port_injected(void)                     this allocation is to fail (vm/heap.h)
#pragma once

#ifdef JX_HOST
#include "pmm_port_host.h"
#else
#include "pmm_port_kernel.h"
#endif
