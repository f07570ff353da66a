#!/usr/bin/env python3
"""Turns half of a program's RELATIVE entries of RELA into REL, so that it has all three kinds.

Linkers for x86-64 write RELA, and RELR for aligned words, never REL beside them; a loader that claims
to apply REL needs a program that has some. The entries at the end of the RELATIVE run become a REL
table in the room that they leave, their addends move into the words they relocate, and three
entries of the dynamic section that nothing at run time needs make room for DT_REL, DT_RELSZ and
DT_RELENT.
"""

import argparse
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

PT_LOAD = 1
PT_DYNAMIC = 2
DT_NULL, DT_RELA, DT_RELASZ, DT_REL, DT_RELSZ, DT_RELENT, DT_DEBUG = 0, 7, 8, 17, 18, 19, 21
DT_FLAGS, DT_FLAGS_1, DT_RELACOUNT = 30, 0x6FFFFFFB, 0x6FFFFFF9
SPARE_TAGS = (DT_DEBUG, DT_RELACOUNT, DT_FLAGS_1, DT_FLAGS)
R_RELATIVE = 8

PHDR = struct.Struct("<IIQQQQQQ")
DYN = struct.Struct("<qQ")
RELA = struct.Struct("<QQq")
REL = struct.Struct("<QQ")


class SplitError(Exception):
    """The program is not one that can be split."""


@dataclass(frozen=True)
class Segment:
    offset: int
    vaddr: int
    file_len: int


class Program:
    """An ELF file in memory, addressed by offset or by virtual address."""

    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise SplitError("not a little-endian ELF64 file")
        self.data = bytearray(data)
        (phoff,) = struct.unpack_from("<Q", data, 32)
        (phnum,) = struct.unpack_from("<H", data, 56)
        self.loads: list[Segment] = []
        self.dynamic_at = 0
        self.dynamic_len = 0
        for index in range(phnum):
            kind, _, offset, vaddr, _, filesz, _, _ = PHDR.unpack_from(data, phoff + index * PHDR.size)
            if kind == PT_LOAD:
                self.loads.append(Segment(offset, vaddr, filesz))
            elif kind == PT_DYNAMIC:
                self.dynamic_at, self.dynamic_len = offset, filesz
        if self.dynamic_len == 0:
            raise SplitError("no dynamic section")

    def offset_of(self, vaddr: int, length: int) -> int:
        for segment in self.loads:
            if segment.vaddr <= vaddr and vaddr + length <= segment.vaddr + segment.file_len:
                return segment.offset + vaddr - segment.vaddr
        raise SplitError(f"address {vaddr:#x} is not in the file")

    def dynamic(self) -> list[tuple[int, int]]:
        entries = []
        for at in range(self.dynamic_at, self.dynamic_at + self.dynamic_len, DYN.size):
            entry = DYN.unpack_from(self.data, at)
            if entry[0] == DT_NULL:
                break
            entries.append(entry)
        return entries

    def set_dynamic(self, entries: list[tuple[int, int]]) -> None:
        packed = b"".join(DYN.pack(*entry) for entry in entries) + bytes(DYN.size)
        if len(packed) > self.dynamic_len:
            raise SplitError("no room in the dynamic section")
        self.data[self.dynamic_at : self.dynamic_at + self.dynamic_len] = packed.ljust(
            self.dynamic_len, b"\0"
        )


def split(data: bytes) -> tuple[bytes, int]:
    """Returns the changed file and how many entries became REL."""
    program = Program(data)
    tags = dict(program.dynamic())
    if DT_REL in tags or DT_RELA not in tags:
        raise SplitError("expected RELA and no REL")
    table_vaddr, table_len = tags[DT_RELA], tags[DT_RELASZ]
    table_at = program.offset_of(table_vaddr, table_len)
    entries = [RELA.unpack_from(program.data, table_at + i) for i in range(0, table_len, RELA.size)]
    relative = [entry for entry in entries if entry[1] == R_RELATIVE]
    others = [entry for entry in entries if entry[1] != R_RELATIVE]
    moved = relative[len(relative) // 2 :]
    if not moved:
        raise SplitError("no RELATIVE entries to move")
    kept = relative[: len(relative) // 2] + others
    for place, _, addend in moved:
        struct.pack_into("<q", program.data, program.offset_of(place, 8), addend)
    kept_bytes = b"".join(RELA.pack(*entry) for entry in kept)
    rel_bytes = b"".join(REL.pack(place, info) for place, info, _ in moved)
    table = (kept_bytes + rel_bytes).ljust(table_len, b"\0")
    program.data[table_at : table_at + table_len] = table
    spared = [entry for entry in program.dynamic() if entry[0] not in SPARE_TAGS]
    changed = [(tag, len(kept_bytes) if tag == DT_RELASZ else value) for tag, value in spared]
    program.set_dynamic(
        changed
        + [
            (DT_REL, table_vaddr + len(kept_bytes)),
            (DT_RELSZ, len(rel_bytes)),
            (DT_RELENT, REL.size),
        ]
    )
    return bytes(program.data), len(moved)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="turn half of the RELATIVE relocations into REL")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args(argv)
    try:
        data, _ = split(args.input.read_bytes())
    except (SplitError, struct.error, OSError) as error:
        print(f"split_rel.py: {args.input}: {error}", file=sys.stderr)
        return 1
    args.output.write_bytes(data)
    args.output.chmod(0o755)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
