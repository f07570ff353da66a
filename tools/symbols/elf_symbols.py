"""The functions of an ELF file, by its .symtab.

Only 64-bit little-endian files are read; anything else, or a file without .symtab or build id, has none.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_NOTE = struct.Struct("<III")
_PT_LOAD, _PT_NOTE = 1, 4
_SHT_SYMTAB = 2
_STT_FUNC = 2
_NT_GNU_BUILD_ID = 3
# Between two functions lies padding; more than that is something without a name.
_PADDING_MAX = 64
_NAME_MAX = 255


@dataclass(frozen=True)
class Module:
    """A file's build id and its functions: (offset into the image, name), ascending, each offset once.

    An empty name ends the function before it: what follows has no name.
    """

    build_id: bytes
    functions: list[tuple[int, str]]


def _build_id(data: bytes, headers: list[tuple[int, ...]]) -> bytes:
    for kind, _, offset, _, _, size, _, _ in headers:
        at, end = offset, offset + size
        while kind == _PT_NOTE and at + _NOTE.size <= min(end, len(data)):
            name_len, text_len, note = _NOTE.unpack_from(data, at)
            name = at + _NOTE.size
            text = name + (name_len + 3) // 4 * 4
            if note == _NT_GNU_BUILD_ID and data[name : name + name_len] == b"GNU\0":
                return data[text : text + text_len]
            at = text + (text_len + 3) // 4 * 4
    return b""


def _choice(name: str) -> tuple[int, int, str]:
    """Of several names for one place, the one that people know: few underscores, then short."""
    return len(name) - len(name.lstrip("_")), len(name), name


def _named(places: dict[int, tuple[int, str]]) -> list[tuple[int, str]]:
    functions: list[tuple[int, str]] = []
    end = None
    for start in sorted(places):
        size, name = places[start]
        if end is not None and start - end > _PADDING_MAX:
            functions.append((end, ""))
        functions.append((start, name))
        end = start + size if size else None
    if end is not None:
        functions.append((end, ""))
    return functions


def _symbols(data: bytes, sections: list[tuple[int, ...]], bias: int) -> dict[int, tuple[int, str]]:
    """By offset into the image: the size, and the best name."""
    table = next((s for s in sections if s[1] == _SHT_SYMTAB), None)
    if table is None or table[6] >= len(sections):
        return {}
    strings = sections[table[6]]
    text = data[strings[4] : strings[4] + strings[5]]
    places: dict[int, tuple[int, str]] = {}
    records = data[table[4] : table[4] + table[5]]
    for name, info, _, section, value, size in _SYMBOL.iter_unpack(
        records[: len(records) // _SYMBOL.size * _SYMBOL.size]
    ):
        if info & 15 != _STT_FUNC or section == 0 or value < bias:
            continue
        word = text[name : text.find(b"\0", name)].decode("ascii", "replace")[:_NAME_MAX]
        if not word or not word.isprintable():
            continue
        other = places.get(value - bias)
        if other is None:
            places[value - bias] = size, word
        else:
            places[value - bias] = max(size, other[0]), min(word, other[1], key=_choice)
    return places


def read(data: bytes) -> Module | None:
    """What a file says of itself; None: nothing that is of use."""
    if len(data) < _HEADER.size or data[:6] != b"\x7fELF\x02\x01":
        return None
    head = _HEADER.unpack_from(data)
    program_at, section_at, program_count, section_count = head[5], head[6], head[10], head[12]
    try:
        programs = [_PROGRAM.unpack_from(data, program_at + i * _PROGRAM.size) for i in range(program_count)]
        sections = [_SECTION.unpack_from(data, section_at + i * _SECTION.size) for i in range(section_count)]
    except (struct.error, OverflowError):  # (an offset near 2^64)
        return None
    bias = min((p[3] & ~0xFFF for p in programs if p[0] == _PT_LOAD), default=0)
    build_id = _build_id(data, programs)
    functions = _named(_symbols(data, sections, bias))
    return Module(build_id, functions) if len(build_id) >= 8 and functions else None


def with_symbols(path: Path) -> Path:
    """The file that has the symbols of a file of the image: what the build strips lies one folder above."""
    if "stripped" in path.parts:
        parts = list(path.parts)
        parts.reverse()
        parts.remove("stripped")
        whole = Path(*reversed(parts))
        if whole.is_file():
            return whole
    return path
