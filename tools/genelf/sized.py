#!/usr/bin/env python3
"""Writes an ELF file of any size that only its mapping is about: an executable for Linux, with an interpreter.

Three segments as linkers lay them out: read-only data (a quarter), code, and at the end a little data with bss. The file has
contents around the beginning of each, as far as a file system may read ahead; the rest is a hole.
"""

import argparse
import struct
import sys
from pathlib import Path

PAGE = 4096
_BASE = 0x400000
_AROUND = 1 << 20
_INTERPRETER = b"/lib64/ld-linux-x86-64.so.2\0"
_EHDR, _PHDR = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_LOAD, _INTERP, _STACK = 1, 3, 0x6474E551
_R, _W, _X = 4, 2, 1


def write(path: Path, size: int) -> None:
    """`size` in bytes, at least 128 pages; rounded down to whole pages."""
    pages = size // PAGE
    if pages < 128:
        raise ValueError(f"{size} bytes are too few")
    data_at = (pages - 60) * PAGE
    code_at = pages // 4 * PAGE
    data = b"data" * 29000  # ends within a page, and something that is not loaded follows
    headers = [
        (_INTERP, _R, 0x400, 0x400, len(_INTERPRETER), len(_INTERPRETER), 1),
        (_LOAD, _R, 0, 0, code_at, code_at, PAGE),
        (_LOAD, _R | _X, code_at, code_at, data_at - code_at, data_at - code_at, PAGE),
        (_LOAD, _R | _W, data_at, data_at, len(data), len(data) + 10 * PAGE, PAGE),
        (_STACK, _R | _W, 0, 0, 0, 0, 16),
    ]
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    entry = _BASE + code_at
    with path.open("wb") as file:
        file.truncate(pages * PAGE)
        for at in (0, code_at, data_at):
            start, end = max(0, at - _AROUND), min(pages * PAGE, at + _AROUND)
            file.seek(start)
            file.write(b"contents" * ((end - start) // 8))
        file.seek(0)
        file.write(_EHDR.pack(ident, 2, 62, 1, entry, 64, 0, 0, 64, 56, len(headers), 64, 0, 0))
        for kind, flags, offset, vaddr, filesz, memsz, align in headers:
            address = _BASE + vaddr if kind != _STACK else 0
            file.write(_PHDR.pack(kind, flags, offset, address, address, filesz, memsz, align))
        file.seek(0x400)
        file.write(_INTERPRETER)
        file.seek(code_at)
        file.write(b"\xcc" * 64)
        file.seek(data_at)
        file.write(data)
    path.chmod(0o755)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="write a sparse ELF file of some size")
    parser.add_argument("size", type=int, help="bytes")
    parser.add_argument("output", type=Path)
    args = parser.parse_args(argv)
    try:
        write(args.output, args.size)
    except (OSError, ValueError) as error:
        print(f"sized.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
