"""The flat kernel image in a kernel ELF: what the UEFI application loads.

kernel/kernel.ld puts a header at the image's start (boot/early/include/early/image.h); the image is
the bytes from there to the end of .data as the loadable segments hold them. Symbols and debug
information stay behind.
"""

import struct
from typing import NamedTuple

IMAGE_MAGIC = 0x316567616D496A00
IMAGE_VERSION = 1
_HEADER = struct.Struct("<QIIQQQQQQQQQ")
_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_PT_LOAD = 1


class FlatKernelError(Exception):
    """The file is no kernel of ours; the text says why."""


class _Segment(NamedTuple):
    offset: int
    address: int
    file_bytes: int


def _segments(elf: bytes) -> list[_Segment]:
    if len(elf) < _ELF_HEADER.size or elf[:7] != b"\x7fELF\x02\x01\x01":
        raise FlatKernelError("not a 64-bit little-endian ELF file")
    fields = _ELF_HEADER.unpack_from(elf)
    table, entry_bytes, count = fields[5], fields[9], fields[10]
    if entry_bytes != _PROGRAM_HEADER.size or table + count * entry_bytes > len(elf):
        raise FlatKernelError("the program headers are damaged")
    found = []
    for index in range(count):
        kind, _, offset, address, _, file_bytes, _, _ = _PROGRAM_HEADER.unpack_from(
            elf, table + index * entry_bytes
        )
        if kind != _PT_LOAD or file_bytes == 0:
            continue
        if offset + file_bytes > len(elf):
            raise FlatKernelError("a segment reaches past the end of the file")
        found.append(_Segment(offset, address, file_bytes))
    return found


def flatten(elf: bytes) -> bytes:
    """The image; gaps between segments become zeros."""
    segments = _segments(elf)
    for segment in segments:
        if segment.file_bytes < _HEADER.size:
            continue
        magic, version, header_bytes, base, _, _, file_end, *_ = _HEADER.unpack_from(
            elf, segment.offset
        )
        if magic == IMAGE_MAGIC:
            break
    else:
        raise FlatKernelError("there is no kernel image in it")
    if version != IMAGE_VERSION or header_bytes != _HEADER.size or base != segment.address:
        raise FlatKernelError("its image header is of another version")
    image = bytearray(file_end)
    for segment in segments:
        first = max(segment.address, base)
        last = min(segment.address + segment.file_bytes, base + file_end)
        if first < last:
            start = segment.offset + first - segment.address
            image[first - base : last - base] = elf[start : start + last - first]
    return bytes(image)
