"""Writes and reads the file that has the functions of all programs of a boot image.

All numbers are little-endian. system/lib/symbols reads it on the machine.

    header     "JXSYMS1\\0", u32: modules, names, offset of the names' blocks, of their text,
               of the functions, length of the file
    modules    ascending by build id: u64 first eight bytes of it, u32 offset (from the functions) and
               length of its functions
    blocks     u32 each: where, in the text, every 16th name begins
    text       the names, ascending: one byte, how much of the name before it is repeated (0 for the first of
               a block), the rest of it, a zero byte
    functions  of each module, ascending: how far behind the one before (the first: behind 0), and the name's
               number, 0 being the empty one: it ends the function before it

Distances and numbers are in groups of seven bits, the lowest first, the highest bit saying that there is more. A
distance that is a multiple of 16 is written as an eighth of it, any other as its double plus 1.
"""

import struct
from collections.abc import Iterable

from symbols.elf_symbols import Module

MAGIC = b"JXSYMS1\0"
HEADER = struct.Struct("<8sIIIIII")
MODULE = struct.Struct("<QII")
BLOCK_NAMES = 16


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _distance(value: int) -> bytes:
    return _number(value // 8 if value % 16 == 0 else value * 2 + 1)


def _shared(one: bytes, other: bytes) -> int:
    most = min(len(one), len(other), 255)
    return next((i for i in range(most) if one[i] != other[i]), most)


def _names(names: list[bytes]) -> tuple[list[int], bytes]:
    blocks: list[int] = []
    text = bytearray()
    before = b""
    for index, name in enumerate(names):
        first = index % BLOCK_NAMES == 0
        if first:
            blocks.append(len(text))
        shared = 0 if first else _shared(before, name)
        text.append(shared)
        text += name[shared:] + b"\0"
        before = name
    return blocks, bytes(text)


def _functions(module: Module, numbers: dict[str, int]) -> bytes:
    out = bytearray()
    before = 0
    for offset, name in module.functions:
        out += _distance(offset - before) + _number(numbers[name])
        before = offset
    return bytes(out)


def write(modules: Iterable[Module]) -> bytes:
    """The file; of modules with one build id, one counts."""
    by_id = {int.from_bytes(module.build_id[:8], "little"): module for module in modules}
    names = sorted({""} | {name for module in by_id.values() for _, name in module.functions})
    numbers = {name: number for number, name in enumerate(names)}
    blocks, text = _names([name.encode() for name in names])
    blocks_at = HEADER.size + MODULE.size * len(by_id)
    text_at = blocks_at + 4 * len(blocks)
    functions_at = text_at + len(text)
    table, functions = bytearray(), bytearray()
    for build_id in sorted(by_id):
        own = _functions(by_id[build_id], numbers)
        table += MODULE.pack(build_id, len(functions), len(own))
        functions += own
    length = functions_at + len(functions)
    head = HEADER.pack(MAGIC, len(by_id), len(names), blocks_at, text_at, functions_at, length)
    return head + table + struct.pack(f"<{len(blocks)}I", *blocks) + text + functions
