/*
 * Files of the EFI system partition. A file is read straight to where it will stay; nothing is
 * buffered. Firmware file drivers may return short reads and may dislike huge ones, so reads go in
 * pieces and a read of nothing before the end is an error.
 */

#include "uefi.h"

static const EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static const EFI_GUID file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;

constexpr uint64_t READ_PIECE_BYTES = 16u << 20;

bool uefi_volume_open(const struct uefi* uefi, struct uefi_volume* out) {
    EFI_LOADED_IMAGE* loaded = nullptr;
    EFI_GUID guid = loaded_image_guid;
    if (EFI_ERROR(uefi->boot->HandleProtocol(uefi->image, &guid, (void**)&loaded))) {
        return false;
    }
    EFI_SIMPLE_FILE_SYSTEM_PROTOCOL* file_system = nullptr;
    guid = file_system_guid;
    if (EFI_ERROR(uefi->boot->HandleProtocol(loaded->DeviceHandle, &guid, (void**)&file_system))) {
        return false;
    }
    return !EFI_ERROR(file_system->OpenVolume(file_system, &out->root));
}

bool uefi_file_open(const struct uefi_volume* volume, const CHAR16* name,
                    EFI_FILE_PROTOCOL** out_file, uint64_t* out_bytes) {
    EFI_FILE_PROTOCOL* file = nullptr;
    // The prototype lacks const; the firmware does not write to the name.
    if (EFI_ERROR(volume->root->Open(volume->root, &file, (CHAR16*)name, EFI_FILE_MODE_READ, 0))) {
        return false;
    }
    // Seeking to all ones means the end; this saves the variable-sized file information record.
    uint64_t bytes = 0;
    if (EFI_ERROR(file->SetPosition(file, UINT64_MAX)) ||
        EFI_ERROR(file->GetPosition(file, &bytes)) || EFI_ERROR(file->SetPosition(file, 0))) {
        file->Close(file);
        return false;
    }
    *out_file = file;
    *out_bytes = bytes;
    return true;
}

bool uefi_file_read(EFI_FILE_PROTOCOL* file, void* to, uint64_t bytes) {
    uint8_t* at = to;
    while (bytes != 0) {
        UINTN piece = bytes < READ_PIECE_BYTES ? bytes : READ_PIECE_BYTES;
        if (EFI_ERROR(file->Read(file, &piece, at)) || piece == 0 || piece > bytes) {
            return false;
        }
        at += piece;
        bytes -= piece;
    }
    return true;
}
