"""Reads what QEMU's `blklogwrites` driver records: every write, flush and discard of a guest.

The format is that of Linux's dm-log-writes target (Documentation/admin-guide/device-mapper/
log-writes.rst): a superblock, then entries of one sector each, each followed by its data. QEMU
counts the entries in the superblock as often as `log-super-update-interval` says: every time, for us.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

_MAGIC = 0x6A736677736872
_VERSION = 1
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_FLUSH, _DISCARD = 1 << 0, 1 << 2
# The log counts in sectors of its own size, the superblock says which.
_SIZES = (512, 1024, 2048, 4096)


class LogError(Exception):
    """Not a log, or one that ends early."""


@dataclass(frozen=True)
class Entry:
    """One request. A flush has no data; what is discarded may read as zeros or as it was."""

    offset: int
    length: int
    data: bytes
    is_flush: bool
    is_discard: bool


def read_log(path: Path) -> list[Entry]:
    raw = path.read_bytes()
    if len(raw) < _SUPER.size:
        raise LogError(f"{path}: too short")
    magic, version, count, sector = _SUPER.unpack_from(raw)
    if magic != _MAGIC or version != _VERSION or sector not in _SIZES:
        raise LogError(f"{path}: not a log of writes")
    entries = []
    at = sector
    for _ in range(count):
        if at + _ENTRY.size > len(raw):
            raise LogError(f"{path}: ends within its entries")
        first, sectors, flags, _ = _ENTRY.unpack_from(raw, at)
        at += sector
        length = sectors * sector
        has_data = length > 0 and flags & _DISCARD == 0
        data = raw[at : at + length] if has_data else b""
        if has_data and len(data) != length:
            raise LogError(f"{path}: ends within its data")
        at += len(data)
        entries.append(
            Entry(first * sector, length, data, flags & _FLUSH != 0, flags & _DISCARD != 0)
        )
    return entries


def write_log(path: Path, entries: list[Entry], sector: int = 512) -> None:
    """The same, written: for tests of what reads it."""
    with path.open("wb") as file:
        file.write(_SUPER.pack(_MAGIC, _VERSION, len(entries), sector).ljust(sector, b"\0"))
        for entry in entries:
            flags = (_FLUSH if entry.is_flush else 0) | (_DISCARD if entry.is_discard else 0)
            head = _ENTRY.pack(entry.offset // sector, entry.length // sector, flags, 0)
            file.write(head.ljust(sector, b"\0") + entry.data)
