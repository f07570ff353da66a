#!/usr/bin/env python3
"""Writes a corpus of malformed ELF files, each with the error a loader must name.

    malformed.py --out-dir DIR

DIR gets one file for each case, and index.txt with lines "FILE ERROR". ERROR is a name from
sdk/lib/elf/include/elf/error.h, or OK for the one sound file that all others are made from. The
program in it does nothing but trap, so that even a loader that is too generous does no harm.
"""

import argparse
import struct
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

PAGE = 4096
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR, PT_TLS = 1, 2, 3, 4, 6, 7
PT_GNU_STACK, PT_GNU_RELRO = 0x6474E551, 0x6474E552
R, W, X = 4, 2, 1
MAX64 = (1 << 64) - 1
USER_END = 0x7FFFFFFFF000
UD2 = b"\x0f\x0b"


@dataclass(frozen=True)
class Segment:
    """A program header."""

    kind: int
    flags: int = R
    offset: int = 0
    vaddr: int = 0
    filesz: int = 0
    memsz: int = 0
    align: int = PAGE

    def pack(self) -> bytes:
        return struct.pack(
            "<IIQQQQQQ",
            self.kind, self.flags, self.offset, self.vaddr, self.vaddr, self.filesz, self.memsz, self.align,
        )  # fmt: skip


def sound_segments() -> tuple[Segment, ...]:
    return (
        Segment(PT_LOAD, R, 0, 0, PAGE, PAGE),
        Segment(PT_LOAD, R | X, PAGE, PAGE, PAGE, PAGE),
        Segment(PT_LOAD, R | W, 2 * PAGE, 2 * PAGE, PAGE, 3 * PAGE),
        Segment(PT_GNU_STACK, R | W, align=16),
    )


@dataclass(frozen=True)
class Elf:
    """A file to be; every field may be wrong."""

    ident: bytes = b"\x7fELF\x02\x01\x01"
    type: int = 3
    machine: int = 62
    version: int = 1
    entry: int = PAGE
    phoff: int = 64
    ehsize: int = 64
    phentsize: int = 56
    phnum: int | None = None  # None: as many as there are
    segments: tuple[Segment, ...] = field(default_factory=sound_segments)
    length: int = 3 * PAGE
    patches: tuple[tuple[int, bytes], ...] = ()

    def pack(self) -> bytes:
        phnum = len(self.segments) if self.phnum is None else self.phnum
        header = self.ident.ljust(16, b"\0") + struct.pack(
            "<HHIQQQIHHHHHH",
            self.type, self.machine, self.version, self.entry, self.phoff, 0, 0,
            self.ehsize, self.phentsize, phnum, 0, 0, 0,
        )  # fmt: skip
        data = bytearray(max(self.length, 3 * PAGE))
        data[: len(header)] = header
        table = b"".join(segment.pack() for segment in self.segments)
        data[64 : 64 + len(table)] = table
        data[PAGE : 2 * PAGE] = UD2 * (PAGE // 2)
        for at, patch in self.patches:
            data[at : at + len(patch)] = patch
        return bytes(data[: self.length])

    def with_segment(self, index: int, **changes: int) -> "Elf":
        segments = list(self.segments)
        segments[index] = replace(segments[index], **changes)
        return replace(self, segments=tuple(segments))

    def with_extra(self, *extra: Segment) -> "Elf":
        return replace(self, segments=self.segments + extra)


def header_cases(base: Elf) -> list[tuple[str, str, Elf]]:
    return [
        ("empty", "TRUNCATED", replace(base, length=0)),
        ("one_byte", "BAD_MAGIC", replace(base, length=1)),
        ("magic_only", "TRUNCATED", replace(base, length=4)),
        ("header_cut", "TRUNCATED", replace(base, length=63)),
        ("headers_cut", "HEADERS_OUTSIDE_FILE", replace(base, length=100)),
        ("script", "BAD_MAGIC", replace(base, patches=((0, b"#!/boot/bin/sh\n"),))),
        ("class32", "BAD_CLASS", replace(base, ident=b"\x7fELF\x01\x01\x01")),
        ("class_none", "BAD_CLASS", replace(base, ident=b"\x7fELF\x00\x01\x01")),
        ("big_endian", "BAD_BYTE_ORDER", replace(base, ident=b"\x7fELF\x02\x02\x01")),
        ("ident_version", "BAD_VERSION", replace(base, ident=b"\x7fELF\x02\x01\x02")),
        ("version", "BAD_VERSION", replace(base, version=0)),
        ("machine", "BAD_MACHINE", replace(base, machine=183)),
        ("relocatable", "BAD_TYPE", replace(base, type=1)),
        ("core", "BAD_TYPE", replace(base, type=4)),
        ("fixed", "FIXED_ADDRESS", replace(base, type=2)),
        ("ehsize", "BAD_HEADER_SIZE", replace(base, ehsize=52)),
        ("phentsize", "BAD_HEADER_SIZE", replace(base, phentsize=32)),
        ("phnum_0", "NO_HEADERS", replace(base, phnum=0)),
        ("phnum_65535", "TOO_MANY_HEADERS", replace(base, phnum=65535)),
        ("phnum_65", "TOO_MANY_HEADERS", replace(base, phnum=65)),
        ("phoff_beyond", "HEADERS_OUTSIDE_FILE", replace(base, phoff=base.length)),
        ("phoff_wraps", "HEADERS_OUTSIDE_FILE", replace(base, phoff=MAX64 - 55)),
        ("entry_0", "ENTRY_OUTSIDE", replace(base, entry=0)),
        ("entry_in_data", "ENTRY_OUTSIDE", replace(base, entry=2 * PAGE)),
        ("entry_kernel", "ENTRY_OUTSIDE", replace(base, entry=0xFFFFFFFF80000000)),
    ]


def segment_cases(base: Elf) -> list[tuple[str, str, Elf]]:
    many = tuple(Segment(PT_LOAD, R | X, 0, i * PAGE, PAGE, PAGE) for i in range(33))
    notes = tuple(Segment(PT_NOTE) for _ in range(3))
    return [
        ("nothing_to_load", "NO_SEGMENTS", replace(base, segments=notes)),
        ("many_segments", "TOO_MANY_SEGMENTS", replace(base, segments=many)),
        ("align_3", "SEGMENT_ALIGNMENT", base.with_segment(1, align=3)),
        ("align_huge", "SEGMENT_ALIGNMENT", base.with_segment(1, align=1 << 40)),
        ("misaligned", "SEGMENT_MISALIGNED", base.with_segment(1, vaddr=PAGE + 8)),
        ("filesz_over_memsz", "SEGMENT_FILE_SIZE", base.with_segment(2, memsz=PAGE - 1)),
        ("offset_beyond", "SEGMENT_OUTSIDE_FILE", base.with_segment(2, offset=3 * PAGE)),
        ("offset_wraps", "SEGMENT_OUTSIDE_FILE", base.with_segment(2, offset=MAX64 - PAGE + 1)),
        ("filesz_huge", "SEGMENT_OUTSIDE_FILE", base.with_segment(2, filesz=MAX64, memsz=MAX64)),
        ("memsz_huge", "SEGMENT_ADDRESS", base.with_segment(2, memsz=MAX64)),
        ("memsz_over_user", "SEGMENT_ADDRESS", base.with_segment(2, memsz=USER_END)),
        ("vaddr_kernel", "SEGMENT_ADDRESS", base.with_segment(2, vaddr=0xFFFFFFFF80000000)),
        ("vaddr_noncanonical", "SEGMENT_ADDRESS", base.with_segment(2, vaddr=1 << 47)),
        ("descending", "SEGMENT_ORDER", base.with_segment(2, vaddr=0)),
        ("overlap", "SEGMENT_OVERLAP", base.with_segment(1, memsz=PAGE + 1)),
        ("same_place", "SEGMENT_OVERLAP", base.with_segment(2, vaddr=PAGE)),
        (
            "shared_page",
            "SEGMENT_SHARED_PAGE",
            base.with_segment(1, filesz=0x800, memsz=0x800).with_segment(
                2, vaddr=PAGE + 0x900, offset=PAGE + 0x900, filesz=0x100, memsz=0x100
            ),
        ),
        ("write_exec", "SEGMENT_WRITE_EXEC", base.with_segment(2, flags=R | W | X)),
    ]


def single_cases(base: Elf) -> list[tuple[str, str, Elf]]:
    path_at = 0x800
    with_path = replace(base, patches=((path_at, b"ld.so.1\0a\0b\0" + b"x" * 300),))

    def interp(offset: int, filesz: int) -> Elf:
        return with_path.with_extra(Segment(PT_INTERP, offset=offset, filesz=filesz, memsz=filesz))

    def data_range(kind: int, vaddr: int, length: int, **more: int) -> Elf:
        return base.with_extra(Segment(kind, vaddr=vaddr, filesz=length, memsz=length, **more))

    data = 2 * PAGE
    return [
        ("exec_stack", "EXEC_STACK", base.with_segment(3, flags=R | W | X)),
        ("two_stacks", "DUPLICATE_HEADER", base.with_extra(Segment(PT_GNU_STACK))),
        ("interp_empty", "BAD_INTERP", interp(path_at, 0)),
        ("interp_nul", "BAD_INTERP", interp(path_at + 7, 1)),
        ("interp_open", "BAD_INTERP", interp(path_at, 7)),
        ("interp_inner_nul", "BAD_INTERP", interp(path_at, 12)),
        ("interp_long", "BAD_INTERP", interp(path_at + 12, 300)),
        ("interp_beyond", "BAD_INTERP", interp(3 * PAGE, 8)),
        ("interp_wraps", "BAD_INTERP", interp(MAX64, 8)),
        ("dynamic_odd", "BAD_DYNAMIC", data_range(PT_DYNAMIC, data + 4, 32)),
        ("dynamic_outside", "BAD_DYNAMIC", data_range(PT_DYNAMIC, 16 * PAGE, 32)),
        ("dynamic_in_bss", "BAD_DYNAMIC", data_range(PT_DYNAMIC, data + PAGE, 32)),
        ("dynamic_wraps", "BAD_DYNAMIC", data_range(PT_DYNAMIC, MAX64 - 7, 32)),
        ("tls_outside", "BAD_TLS", data_range(PT_TLS, 16 * PAGE, 32, align=8)),
        ("tls_align", "BAD_TLS", data_range(PT_TLS, data, 32, align=24)),
        ("relro_in_text", "BAD_RELRO", data_range(PT_GNU_RELRO, PAGE, PAGE)),
        ("relro_beyond", "BAD_RELRO", data_range(PT_GNU_RELRO, data, 4 * PAGE)),
        ("phdr_elsewhere", "BAD_PHDR", data_range(PT_PHDR, data, 280)),
    ]


def cases() -> list[tuple[str, str, bytes]]:
    """(name, error, contents) of every file."""
    base = Elf()
    listed = header_cases(base) + segment_cases(base) + single_cases(base)
    return [("sound", "OK", base.pack())] + [(name, error, elf.pack()) for name, error, elf in listed]


def write_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, error, contents in cases():
        (folder / name).write_bytes(contents)
        lines.append(f"{name} {error}\n")
    (folder / "index.txt").write_text("".join(lines))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="write malformed ELF files for loader tests")
    parser.add_argument("--out-dir", type=Path, required=True)
    args = parser.parse_args(argv)
    write_all(args.out_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
