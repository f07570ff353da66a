"""A disk image with a GUID partition table (UEFI specification, chapter 5) around volumes.

The disk's and the partition's identifiers are derived from the volumes' contents: the same contents
give the same image, byte for byte.
"""

import hashlib
import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BLOCK = 512
_ALIGN = 1 << 20
_ENTRY_BYTES, _ENTRY_COUNT = 128, 128
_TABLE_BLOCKS = _ENTRY_BYTES * _ENTRY_COUNT // BLOCK
_HEADER_BYTES = 92
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
# What Linux's tools call a file system of theirs.
FILE_SYSTEM = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Volume:
    """What a partition holds, and how the table calls it."""

    path: Path
    kind: uuid.UUID
    name: str


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


def _digest(paths: Sequence[Path]) -> bytes:
    state = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(_COPY_BYTES):
                state.update(piece)
    return state.digest()


def _round_up(size: int) -> int:
    return (size + _ALIGN - 1) // _ALIGN * _ALIGN


def _entry(volume: Volume, start: int, digest: bytes) -> bytes:
    last = (start + volume.path.stat().st_size) // BLOCK - 1
    own = _identifier(digest, f"partition {start}")
    return struct.pack(
        "<16s16sQQQ72s", volume.kind.bytes_le, own.bytes_le, start // BLOCK, last, 0,
        volume.name.encode("utf-16-le"),
    )  # fmt: skip


def write_disk(output: Path, volumes: Sequence[Volume]) -> None:
    """Writes a disk with a partition for each volume, in their order, each at a whole MiB."""
    starts, end = [], _ALIGN
    for volume in volumes:
        size = volume.path.stat().st_size
        if size == 0 or size % BLOCK != 0:
            raise ValueError(f"{volume.path}: not a whole number of blocks")
        starts.append(end)
        end = _round_up(end + size)
    blocks = _round_up(end + (1 + _TABLE_BLOCKS) * BLOCK) // BLOCK
    digest = _digest([volume.path for volume in volumes])
    entries = [_entry(v, start, digest) for v, start in zip(volumes, starts, strict=True)]
    table = b"".join(entries).ljust(_ENTRY_BYTES * _ENTRY_COUNT, b"\0")
    crc, disk = zlib.crc32(table), _identifier(digest, "disk")
    last = blocks - 1
    with output.open("wb") as out:
        out.truncate(blocks * BLOCK)
        out.write(_protective_mbr(blocks))
        out.write(_header(1, last, 2, blocks, disk, crc))
        out.write(table)
        for volume, start in zip(volumes, starts, strict=True):
            _copy_sparse(volume.path, out, start)
        out.seek((last - _TABLE_BLOCKS) * BLOCK)
        out.write(table)
        out.write(_header(last, 1, last - _TABLE_BLOCKS, blocks, disk, crc))


def _copy_sparse(path: Path, out: BinaryIO, at: int) -> None:
    """What is zero stays a hole."""
    with path.open("rb") as file:
        while piece := file.read(_COPY_BYTES):
            if piece.count(0) != len(piece):
                out.seek(at)
                out.write(piece)
            at += len(piece)
