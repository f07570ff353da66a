// What zx_iommu_create() is told about the unit.
#pragma once

#include <stdint.h>
#include <zircon/compiler.h>

#define ZX_IOMMU_TYPE_DUMMY ((uint32_t)0u)
#define ZX_IOMMU_TYPE_INTEL ((uint32_t)1u)

#define ZX_IOMMU_MAX_DESC_LEN 4096

// ZX_IOMMU_TYPE_DUMMY: no unit; devices see physical addresses.
typedef struct zx_iommu_desc_dummy {
    uint8_t reserved;
} zx_iommu_desc_dummy_t;
ZX_ABI_SIZE(zx_iommu_desc_dummy_t, 1);
