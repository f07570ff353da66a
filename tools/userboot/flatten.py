"""Makes of the linked userboot what the kernel carries: whole pages and a table of segments.

    flatten.py --elf userboot --image userboot.img --source userboot_image.S --table userboot_image.c

The kernel parses no ELF, so everything it needs to know is said here, in a C table. Rules, each an error:
a position-independent executable without interpreter, segments page aligned and disjoint, none both writable
and executable, the entry point inside an executable one.
"""

from __future__ import annotations

import argparse
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from syscallgen.ctext import banner  # noqa: E402
from syscallgen.main import write_if_changed  # noqa: E402
from syscallgen.vdso_image import Elf  # noqa: E402

PAGE = 4096
_PT_LOAD, _PT_INTERP = 1, 3
_ET_DYN = 3
_EXECUTE, _WRITE, _READ = 1, 2, 4


class FlattenError(Exception):
    """The program breaks a rule."""


@dataclass(frozen=True)
class FlatSegment:
    """One run of pages with one protection."""

    address: int  # link-time, page aligned
    image_offset: int
    image_size: int  # whole pages that the image holds
    memory_size: int  # whole pages; what exceeds image_size is zero
    flags: int


@dataclass(frozen=True)
class FlatImage:
    data: bytes
    segments: list[FlatSegment]
    span: int
    entry: int


def _round_up(value: int) -> int:
    return -(-value // PAGE) * PAGE


def flatten(data: bytes) -> FlatImage:
    elf = Elf(data)
    entry: int = struct.unpack_from("<Q", data, 24)[0]
    if elf.type != _ET_DYN:
        raise FlattenError("not a position-independent executable")
    if any(s.kind == _PT_INTERP for s in elf.segments):
        raise FlattenError("wants an interpreter")
    image = bytearray()
    segments: list[FlatSegment] = []
    end = 0
    for load in (s for s in elf.segments if s.kind == _PT_LOAD and s.memory_size > 0):
        start = load.address // PAGE * PAGE
        lead = load.address - start
        if start < end:
            raise FlattenError(f"segment at {load.address:#x} shares a page with the one before")
        if load.flags & _WRITE and load.flags & _EXECUTE:
            raise FlattenError(f"segment at {load.address:#x} is writable and executable")
        content = bytes(lead) + data[load.offset:load.offset + load.file_size]
        padded = content + bytes(_round_up(len(content)) - len(content))
        memory = _round_up(lead + load.memory_size)
        segments.append(FlatSegment(start, len(image), len(padded), memory, load.flags))
        image += padded
        end = start + memory
    if not any(s.flags & _EXECUTE and s.address <= entry < s.address + s.image_size for s in segments):
        raise FlattenError("the entry point is not in an executable segment")
    return FlatImage(bytes(image), segments, end, entry)


def _permissions(flags: int) -> str:
    names = [(_READ, "ZX_VM_PERM_READ"), (_WRITE, "ZX_VM_PERM_WRITE"), (_EXECUTE, "ZX_VM_PERM_EXECUTE")]
    return " | ".join(name for bit, name in names if flags & bit)


def table(flat: FlatImage) -> str:
    lines = [banner("Where the parts of userboot's image are."),
             '#include "kernel/top/userboot_image.h"\n',
             "const struct userboot_layout userboot_layout = {",
             f"    .image_size = {len(flat.data):#x},",
             f"    .span = {flat.span:#x},",
             f"    .entry = {flat.entry:#x},",
             f"    .segment_count = {len(flat.segments)},",
             "    .segments = {"]
    lines += [f"        {{.address = {s.address:#x}, .image_offset = {s.image_offset:#x}, .image_size = {s.image_size:#x}, "
              f".memory_size = {s.memory_size:#x}, .permissions = {_permissions(s.flags)}}},"
              for s in flat.segments]
    return "\n".join([*lines, "    },", "};", ""])


def source(image: Path) -> str:
    return "\n".join([
        "// Generated: userboot's pages, in the kernel's data.",
        '    .section .data.userboot_image, "aw", @progbits', "    .balign 4096",
        "    .globl userboot_image", "    .hidden userboot_image", "userboot_image:",
        f'    .incbin "{image}"', "    .balign 4096",
        '    .section .note.GNU-stack, "", @progbits', ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("elf", "image", "source", "table"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    try:
        flat = flatten(args.elf.read_bytes())
    except FlattenError as error:
        print(f"{args.elf}: {error}", file=sys.stderr)
        return 1
    args.image.write_bytes(flat.data)
    write_if_changed(args.source, source(args.image))
    write_if_changed(args.table, table(flat))
    return 0


if __name__ == "__main__":
    sys.exit(main())
