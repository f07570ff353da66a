#!/usr/bin/env python3
"""Generates the contents of a very large position-independent program that checks itself.

The program exercises what a loader must get right when a file is far larger than it would ever
buffer: read-only data, code and data of many megabytes, functions spread over all of the code,
thousands of pointers into all parts. Written to the output folder:

    big_blobs.bin    the random contents, in one file
    big_image.S      sections, labels, functions, pointer tables
    big_layout.h     how many of everything there is, and the sum the program must come to
    big.expected     the line that the program prints

The sum depends on every page, on the order of pages, on every pointer and on every function, and
not on the address where the program is loaded. The same arguments give the same files. Several
shapes have a name (SHAPES): one that is large, one larger than the memory of the machine that runs
it, one that is all relocations, one that is all bss.
"""

import argparse
import random
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path

PAGE_LEN = 4096
WORD_MASK = (1 << 64) - 1
MIX = 0x9E3779B97F4A7C15
FUNCTION_SEED = 0x0123456789ABCDEF


@dataclass(frozen=True)
class Shape:
    """How much of everything; pages count 4 KiB of random contents each."""

    rodata_pages: int
    text_pages: int  # a multiple of functions
    data_pages: int
    functions: int
    pointers: int
    odd_pointers: int  # one byte off, so that RELR cannot express them; half become REL (split_rel.py)
    bss_len: int
    imports: int = 0  # pointers to a symbol of the vDSO: not relative


def shape_for(mib: int, functions: int = 64, pointers: int = 10000, odd_pointers: int = 2000) -> Shape:
    """Splits about `mib` MiB: three tenths read-only data, the rest half code and half data."""
    pages = mib * 256
    rodata = pages * 3 // 10
    text = (pages - rodata) // 2 // functions * functions
    return Shape(rodata, text, pages - rodata - text, functions, pointers, odd_pointers, mib << 21)


def _shape(rodata_mib: int, text_mib: int, data_mib: int, **rest: int) -> Shape:
    return Shape(rodata_mib << 8, text_mib << 8, data_mib << 8, 64, **rest)


SHAPES = {
    "big": shape_for(96),
    # Little of it is ever written, so that it runs where there is far less memory than its file has.
    "huge": _shape(66, 60, 2, pointers=10000, odd_pointers=2000, bss_len=1 << 20),
    "tables": _shape(1, 1, 1, pointers=100_000, odd_pointers=200_000, bss_len=1 << 20, imports=10_000),
    "bss": _shape(1, 1, 1, pointers=100, odd_pointers=100, bss_len=1 << 30),
    "small": _shape(1, 1, 1, pointers=1000, odd_pointers=200, bss_len=1 << 20),
}


class Sum:
    """The running checksum, the same as in tests/user/big/big_sum.c."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, word: int) -> None:
        self.value = (self.value * MIX + word + 1) & WORD_MASK


@dataclass(frozen=True)
class Target:
    """A word somewhere in the contents: what a pointer points at."""

    label: str
    offset: int
    value: int


class Image:
    """The contents, and everything derived from them."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self._random = random.Random(seed)
        self.page_count = shape.rodata_pages + shape.text_pages + shape.data_pages
        self.blob = self._random.randbytes(self.page_count * PAGE_LEN)
        words = array("Q", self.blob)
        if sys.byteorder != "little":
            words.byteswap()
        self.words = words
        self.constants = [
            (self._random.getrandbits(64) | 1, self._random.getrandbits(64))
            for _ in range(shape.functions)
        ]
        self.pointers = [self._pick_target() for _ in range(shape.pointers)]
        self.odd_pointers = [self._pick_target() for _ in range(shape.odd_pointers)]

    def _pick_target(self) -> Target:
        index = self._random.randrange(len(self.words))
        page, offset = divmod(index * 8, PAGE_LEN)
        label, first_page = self._label_of(page)
        return Target(label, (page - first_page) * PAGE_LEN + offset, self.words[index])

    def _label_of(self, page: int) -> tuple[str, int]:
        shape = self.shape
        if page < shape.rodata_pages:
            return "big_rodata", 0
        page -= shape.rodata_pages
        if page < shape.text_pages:
            step = shape.text_pages // shape.functions
            chunk = page // step
            return f"big_text_{chunk}", shape.rodata_pages + chunk * step
        return "big_data", shape.rodata_pages + shape.text_pages

    def sum(self) -> int:
        total = Sum()
        page_words = PAGE_LEN // 8
        for page in range(self.page_count):
            total.add(sum(self.words[page * page_words : (page + 1) * page_words]))
        for target in self.pointers + self.odd_pointers:
            total.add(target.value)
        x = FUNCTION_SEED
        for factor, term in self.constants:
            x = (x * factor + term) & WORD_MASK
            total.add(x)
        total.add(0)  # all of the bss
        for _ in range(self.shape.imports):
            total.add(1)  # it is the same as the first
        return total.value

    def _text_lines(self) -> list[str]:
        step = self.shape.text_pages // self.shape.functions * PAGE_LEN
        start = self.shape.rodata_pages * PAGE_LEN
        lines = ['    .section .text.big, "ax", @progbits', "    .balign 4096"]
        for index, (factor, term) in enumerate(self.constants):
            lines += [
                "    .balign 8",
                f"big_text_{index}:",
                f'    .incbin "big_blobs.bin", {start + index * step}, {step}',
                f"big_function_{index}:",
                f"    movabsq ${factor:#x}, %rax",
                "    imulq %rdi, %rax",
                f"    movabsq ${term:#x}, %rcx",
                "    addq %rcx, %rax",
                "    ret",
            ]
        return lines

    def assembly(self) -> str:
        shape = self.shape
        data_start = (shape.rodata_pages + shape.text_pages) * PAGE_LEN
        lines = [
            '    .section .rodata.big, "a", @progbits',
            "    .balign 4096",
            "    .globl big_rodata",
            "big_rodata:",
            f'    .incbin "big_blobs.bin", 0, {shape.rodata_pages * PAGE_LEN}',
            *self._text_lines(),
            '    .section .data.big, "aw", @progbits',
            "    .balign 4096",
            "    .globl big_data, big_pointers, big_functions, big_text, big_odd_pointers, big_imports",
            "big_data:",
            f'    .incbin "big_blobs.bin", {data_start}, {shape.data_pages * PAGE_LEN}',
            "big_pointers:",
            *(f"    .quad {target.label} + {target.offset}" for target in self.pointers),
            "big_functions:",
            *(f"    .quad big_function_{index}" for index in range(shape.functions)),
            "big_text:",
            *(f"    .quad big_text_{index}" for index in range(shape.functions)),
            "big_imports:",
            *(["    .quad zx_clock_get_monotonic"] * shape.imports),
            "    # One byte off: a packed relative relocation cannot express these.",
            '    .section .data.big_odd, "aw", @progbits',
            "    .balign 2",
            "    .byte 0",
            "big_odd_pointers:",
            *(f"    .quad {target.label} + {target.offset}" for target in self.odd_pointers),
            '    .section .note.GNU-stack, "", @progbits',
        ]
        return "\n".join(lines) + "\n"

    def header(self) -> str:
        shape = self.shape
        return "\n".join(
            [
                "// Generated. The shape of the big test program and the sum it must come to.",
                "#pragma once",
                "#include <stdint.h>",
                f"constexpr uint32_t BIG_RODATA_PAGES = {shape.rodata_pages};",
                f"constexpr uint32_t BIG_TEXT_PAGES = {shape.text_pages};",
                f"constexpr uint32_t BIG_DATA_PAGES = {shape.data_pages};",
                f"constexpr uint32_t BIG_FUNCTION_COUNT = {shape.functions};",
                f"constexpr uint32_t BIG_POINTER_COUNT = {shape.pointers};",
                f"constexpr uint32_t BIG_ODD_POINTER_COUNT = {shape.odd_pointers};",
                f"constexpr uint32_t BIG_IMPORT_COUNT = {shape.imports};",
                f"constexpr uint64_t BIG_BSS_LEN = {shape.bss_len};",
                f"constexpr uint64_t BIG_EXPECTED_SUM = {self.sum():#x};",
                "",
            ]
        )

    def expected_line(self) -> str:
        return f"big: sum {self.sum():016x}\n"


def write_all(image: Image, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "big_blobs.bin").write_bytes(image.blob)
    (folder / "big_image.S").write_text(image.assembly())
    (folder / "big_layout.h").write_text(image.header())
    (folder / "big.expected").write_text(image.expected_line())


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="generate the big test program's contents")
    parser.add_argument("--shape", choices=SHAPES, default="big")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out-dir", type=Path, required=True)
    args = parser.parse_args(argv)
    write_all(Image(SHAPES[args.shape], args.seed), args.out_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
