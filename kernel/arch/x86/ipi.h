// Inter-processor interrupts, inside the port.
#pragma once

void x86_ipi_calls_run(void); // IPI_CALL arrived; interrupts off
