// What jacinth.ramdisk/Control does to the disk.
#pragma once

#include <ramdisk/ramdisk.h>

void ramdisk_hold(struct ramdisk* disk, bool holds);
void ramdisk_hold_reads(struct ramdisk* disk, uint64_t first, uint64_t count, bool carry_out);
void ramdisk_cut(struct ramdisk* disk, uint64_t writes, uint64_t seed);
void ramdisk_restore(struct ramdisk* disk);
