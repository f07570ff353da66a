"""Writes and reads ZBI containers. The layout is described in bootfs/include/bootfs/zbi.h.

The writer needs a seekable file: lengths and checksums are filled in when an item is complete.
"""

import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Iterator

HEADER = struct.Struct("<IIIIIIII")
ITEM_MAGIC = 0xB5781729
CONTAINER_MAGIC = 0x868CF7E6
NO_CRC32 = 0x4A87E8D6
FLAG_VERSION = 0x00010000
FLAG_CRC32 = 0x00020000

TYPE_CONTAINER = 0x544F4F42
TYPE_DISCARD = 0x50494B53
TYPE_BOOTFS = 0x42534642
TYPE_RAMDISK = 0x4B534452
TYPE_CMDLINE = 0x4C444D43

PAGE_LEN = 4096


class ContainerError(Exception):
    """The container cannot be made, or is malformed."""


@dataclass(frozen=True)
class Item:
    """An item as read back."""

    type: int
    extra: int
    payload: bytes
    payload_offset: int


def _pack_header(type_: int, length: int, extra: int, crc: int | None) -> bytes:
    flags = FLAG_VERSION if crc is None else FLAG_VERSION | FLAG_CRC32
    field = NO_CRC32 if crc is None else crc
    return HEADER.pack(type_, length, extra, flags, 0, 0, ITEM_MAGIC, field)


class Writer:
    """Appends items to a new container that starts at the file's beginning."""

    def __init__(self, out: BinaryIO, with_crc: bool = False) -> None:
        self._out = out
        self._with_crc = with_crc
        self._out.write(_pack_header(TYPE_CONTAINER, 0, CONTAINER_MAGIC, None))

    @contextmanager
    def item(self, type_: int, extra: int = 0) -> Iterator[BinaryIO]:
        """The payload is what the body writes to the file it gets."""
        header_at = self._out.tell()
        self._out.write(bytes(HEADER.size))
        start = self._out.tell()
        yield self._out
        length = self._out.tell() - start
        if length >= 1 << 32:
            raise ContainerError(f"an item of {length} bytes does not fit the format")
        crc = self._crc(start, length, type_, extra) if self._with_crc else None
        self._out.seek(header_at)
        self._out.write(_pack_header(type_, length, extra, crc))
        self._out.seek(start + length)
        self._out.write(bytes(-length % 8))

    def _crc(self, start: int, length: int, type_: int, extra: int) -> int:
        crc = zlib.crc32(_pack_header(type_, length, extra, 0))
        self._out.seek(start)
        left = length
        while left > 0:
            chunk = self._out.read(min(left, 1 << 20))
            if not chunk:
                raise ContainerError("the output file ends early")
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
        return crc

    def align_payload(self, alignment: int = PAGE_LEN) -> None:
        """Adds a DISCARD item so that the next item's payload begins at a multiple of alignment."""
        at = self._out.tell()
        if (at + HEADER.size) % alignment == 0:
            return
        with self.item(TYPE_DISCARD) as out:
            out.write(bytes(-(at + 2 * HEADER.size) % alignment))

    def finish(self) -> int:
        """Completes the container; returns its length."""
        end = self._out.tell()
        if end - HEADER.size >= 1 << 32:
            raise ContainerError(f"a container of {end} bytes does not fit the format")
        self._out.seek(0)
        self._out.write(_pack_header(TYPE_CONTAINER, end - HEADER.size, CONTAINER_MAGIC, None))
        self._out.seek(end)
        return end


def _read_header(image: bytes, at: int) -> tuple[int, int, int, int, int]:
    if at + HEADER.size > len(image):
        raise ContainerError("truncated header")
    type_, length, extra, flags, _, _, magic, crc = HEADER.unpack_from(image, at)
    if magic != ITEM_MAGIC or not flags & FLAG_VERSION:
        raise ContainerError(f"malformed header at {at}")
    if not flags & FLAG_CRC32 and crc != NO_CRC32:
        raise ContainerError(f"wrong crc32 field at {at}")
    return type_, length, extra, flags, crc


def read(image: bytes) -> list[Item]:
    """All items; checks everything, checksums included."""
    type_, length, extra, _, _ = _read_header(image, 0)
    if type_ != TYPE_CONTAINER or extra != CONTAINER_MAGIC or HEADER.size + length > len(image):
        raise ContainerError("not a whole container")
    items = []
    at = HEADER.size
    end = HEADER.size + length
    while at < end:
        type_, length, extra, flags, crc = _read_header(image, at)
        start = at + HEADER.size
        if start + length > end:
            raise ContainerError(f"item at {at} reaches beyond the container")
        payload = image[start : start + length]
        if flags & FLAG_CRC32:
            actual = zlib.crc32(payload, zlib.crc32(_pack_header(type_, length, extra, 0)))
            if actual != crc:
                raise ContainerError(f"item at {at} has a wrong checksum")
        items.append(Item(type_, extra, payload, start))
        at = start + (length + 7) // 8 * 8
    return items
