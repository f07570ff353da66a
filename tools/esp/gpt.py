"""A disk image with a GUID partition table (UEFI specification, chapter 5) around one volume.

The disk's and the partition's identifiers are derived from the volume's contents: the same contents
give the same image, byte for byte.
"""

import hashlib
import struct
import uuid
import zlib
from pathlib import Path

BLOCK = 512
_ALIGN = 1 << 20
_ENTRY_BYTES, _ENTRY_COUNT = 128, 128
_TABLE_BLOCKS = _ENTRY_BYTES * _ENTRY_COUNT // BLOCK
_HEADER_BYTES = 92
_EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_COPY_BYTES = 1 << 20


def _identifier(digest: bytes, what: str) -> uuid.UUID:
    data = bytearray(hashlib.sha256(digest + what.encode()).digest()[:16])
    data[6] = data[6] & 0x0F | 0x80  # version 8: made up by its own rule
    data[8] = data[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(data))


def _protective_mbr(blocks: int) -> bytes:
    """One partition of type 0xEE over the whole disk, for tools that know no GPT."""
    size = min(blocks - 1, 0xFFFF_FFFF)
    entry = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, size)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def _header(own: int, other: int, table: int, blocks: int, disk: uuid.UUID, crc: int) -> bytes:
    first = 2 + _TABLE_BLOCKS
    last = blocks - 2 - _TABLE_BLOCKS

    def pack(header_crc: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, _HEADER_BYTES, header_crc, 0, own, other,
            first, last, disk.bytes_le, table, _ENTRY_COUNT, _ENTRY_BYTES, crc,
        )  # fmt: skip

    return pack(zlib.crc32(pack(0))).ljust(BLOCK, b"\0")


def _digest(path: Path) -> bytes:
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_COPY_BYTES):
            state.update(piece)
    return state.digest()


def wrap_volume(volume: Path, output: Path, name: str) -> None:
    """Writes a disk whose only partition, an EFI system partition called `name`, is the volume."""
    size = volume.stat().st_size
    if size == 0 or size % BLOCK != 0:
        raise ValueError(f"{volume}: not a whole number of blocks")
    start = _ALIGN // BLOCK
    volume_blocks = size // BLOCK
    end_bytes = _ALIGN + size + (1 + _TABLE_BLOCKS) * BLOCK
    blocks = (end_bytes + _ALIGN - 1) // _ALIGN * _ALIGN // BLOCK
    digest = _digest(volume)
    entry = struct.pack(
        "<16s16sQQQ72s", _EFI_SYSTEM.bytes_le, _identifier(digest, "partition").bytes_le, start,
        start + volume_blocks - 1, 0, name.encode("utf-16-le"),
    )  # fmt: skip
    table = entry.ljust(_ENTRY_BYTES * _ENTRY_COUNT, b"\0")
    crc, disk = zlib.crc32(table), _identifier(digest, "disk")
    last = blocks - 1
    with output.open("wb") as out, volume.open("rb") as file:
        out.truncate(blocks * BLOCK)
        out.write(_protective_mbr(blocks))
        out.write(_header(1, last, 2, blocks, disk, crc))
        out.write(table)
        out.seek(_ALIGN)
        while piece := file.read(_COPY_BYTES):
            out.write(piece)
        out.seek((last - _TABLE_BLOCKS) * BLOCK)
        out.write(table)
        out.write(_header(last, 1, last - _TABLE_BLOCKS, blocks, disk, crc))
