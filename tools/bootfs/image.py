"""Writes and reads bootfs images. The layout is described in bootfs/include/bootfs/bootfs.h.

The format has no links. Files with the same contents share their place instead, so a program that
goes by many names is in the image once.
"""

import hashlib
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Sequence

from bootfs.manifest import Entry

MAGIC = 0xA56D3FF9
PAGE_LEN = 4096
HEADER = struct.Struct("<IIII")
ENTRY_HEAD = struct.Struct("<III")


class ImageError(Exception):
    """The image cannot be made, or is malformed."""


def round_up(value: int, alignment: int) -> int:
    return (value + alignment - 1) // alignment * alignment


@dataclass(frozen=True)
class PlacedFile:
    """A file with its place in the image."""

    entry: Entry
    offset: int
    length: int
    is_shared: bool  # an earlier file of the list has brought these bytes


@dataclass(frozen=True)
class Layout:
    """Where everything goes."""

    files: list[PlacedFile]
    dir_len: int
    image_len: int


def entry_len(name: str) -> int:
    return round_up(ENTRY_HEAD.size + len(name.encode()) + 1, 4)


def _digests(entries: Sequence[Entry]) -> dict[Path, bytes]:
    """Of the files whose length another one has, too: only they can be equal."""
    lengths: dict[int, set[Path]] = {}
    for entry in entries:
        lengths.setdefault(entry.host_path.stat().st_size, set()).add(entry.host_path)
    found: dict[Path, bytes] = {}
    for paths in lengths.values():
        for path in paths if len(paths) > 1 else ():
            with path.open("rb") as file:
                found[path] = hashlib.file_digest(file, "sha256").digest()
    return found


def plan(entries: Sequence[Entry]) -> Layout:
    """Places checked entries in the given order; equal contents get one place."""
    dir_len = sum(entry_len(entry.boot_path) for entry in entries)
    offset = round_up(HEADER.size + dir_len, PAGE_LEN)
    digests = _digests(entries)
    places: dict[Path | bytes, int] = {}
    files = []
    for entry in entries:
        length = entry.host_path.stat().st_size
        contents = digests.get(entry.host_path, entry.host_path)
        place = places.setdefault(contents, offset)
        files.append(PlacedFile(entry, place, length, is_shared=place != offset))
        if place == offset:
            offset = round_up(offset + length, PAGE_LEN)
    if offset >= 1 << 32:
        raise ImageError(f"the image would have {offset} bytes; the format ends at 4 GiB")
    return Layout(files, dir_len, offset)


def _pad(out: BinaryIO, written: int, target: int) -> None:
    out.write(bytes(target - written))


def write(layout: Layout, out: BinaryIO) -> None:
    """Writes exactly layout.image_len bytes. File contents are streamed."""
    out.write(HEADER.pack(MAGIC, layout.dir_len, 0, 0))
    at = HEADER.size
    for file in layout.files:
        name = file.entry.boot_path.encode() + b"\0"
        record = ENTRY_HEAD.pack(len(name), file.length, file.offset) + name
        padded_len = entry_len(file.entry.boot_path)
        out.write(record.ljust(padded_len, b"\0"))
        at += padded_len
    for file in layout.files:
        if file.is_shared:
            continue
        _pad(out, at, file.offset)
        start = out.tell()
        with file.entry.host_path.open("rb") as source:
            shutil.copyfileobj(source, out, 1 << 20)
        if out.tell() - start != file.length:
            raise ImageError(f"{file.entry.host_path} changed while it was read")
        at = file.offset + file.length
    _pad(out, at, layout.image_len)


def read(image: bytes) -> dict[str, bytes]:
    """The files of an image, with every check that the C reader makes."""
    if len(image) < HEADER.size:
        raise ImageError("too short")
    magic, dir_len, _, _ = HEADER.unpack_from(image)
    if magic != MAGIC:
        raise ImageError("not a bootfs image")
    if HEADER.size + dir_len > len(image):
        raise ImageError("the directory is longer than the image")
    files: dict[str, bytes] = {}
    at = HEADER.size
    end = HEADER.size + dir_len
    while at < end:
        if end - at < ENTRY_HEAD.size:
            raise ImageError("the directory ends inside an entry")
        name_len, length, offset = ENTRY_HEAD.unpack_from(image, at)
        step = round_up(ENTRY_HEAD.size + name_len, 4)
        raw_name = image[at + ENTRY_HEAD.size : at + ENTRY_HEAD.size + name_len]
        if step > end - at or not raw_name.endswith(b"\0"):
            raise ImageError("malformed name")
        if offset % PAGE_LEN or offset < end or round_up(offset + length, PAGE_LEN) > len(image):
            raise ImageError("a file lies outside the image")
        files[raw_name[:-1].decode()] = image[offset : offset + length]
        at += step
    return files
