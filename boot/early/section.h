#pragma once

/*
 * Included in front of every boot source in the kernel's build (-include): puts the stages that run
 * before the kernel into sections of their own, outside the image that stays (kernel/kernel.ld).
 */

#pragma clang section text = ".boot.text" rodata = ".boot.rodata" bss = ".boot.bss"
