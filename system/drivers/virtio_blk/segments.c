#include "segments.h"

constexpr uint64_t PAGE = 4096;

uint16_t segments_make(const zx_paddr_t pages[], uint64_t offset, uint64_t length,
                       bool device_writes, struct virtq_segment out[], uint16_t capacity) {
    uint16_t count = 0;
    uint64_t end = 0; // of the last segment, as the device sees it
    while (length > 0) {
        uint64_t in_page = offset % PAGE;
        uint64_t piece = PAGE - in_page < length ? PAGE - in_page : length;
        uint64_t address = pages[offset / PAGE] + in_page;
        if (count > 0 && address == end && out[count - 1].len <= UINT32_MAX - piece) {
            out[count - 1].len += (uint32_t)piece;
        } else if (count < capacity) {
            out[count++] = (struct virtq_segment){address, (uint32_t)piece, device_writes};
        } else {
            return 0;
        }
        end = address + piece;
        offset += piece;
        length -= piece;
    }
    return count;
}
