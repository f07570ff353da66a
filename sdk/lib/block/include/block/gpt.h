// The GUID partition table of a disk (UEFI specification 2.10, chapter 5). Pure: it reads through a
// function, keeps nothing, and believes nothing that its checksums do not cover.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// One block into `buffer`, which has room for it.
typedef zx_status_t (*gpt_read_fn)(void* ctx, uint64_t block, void* buffer);

struct gpt_disk {
    gpt_read_fn read;
    void* ctx;
    uint32_t block_size; // 512 to GPT_BLOCK_MAX, a power of two
    uint64_t block_count;
};

constexpr uint32_t GPT_BLOCK_MAX = 4096;

struct gpt_partition {
    uint8_t type[16]; // as on the disk: the first three fields have their lowest byte first
    uint8_t id[16];
    uint64_t first, count; // blocks
    char name[112];        // UTF-8; what is beyond the basic plane is '?'
};

// EBD0A0A2-..., C12A7328-... and so on are written by firmware and installers; this one is Linux's
// for file systems: 0FC63DAF-8483-4772-8E79-3D69D8477DE4.
extern const uint8_t gpt_type_filesystem[16];

// The first `max` partitions in the table's order, from its second copy if the first is damaged.
//   NOT_FOUND          there is no table
//   IO_DATA_INTEGRITY  there is one, and neither copy is whole: wrong sums, partitions that overlap
//                      or leave the disk, a layout that the specification does not allow
//   INVALID_ARGS       block_size
// and what reading returns.
zx_status_t gpt_read(const struct gpt_disk* disk, struct gpt_partition* out, size_t max,
                     size_t* count);
