"""Checks the linked vDSO and makes of it what the kernel carries.

    vdso_image.py --types T --elf libzircon.so --image OUT --source OUT.S --table OUT.c group.def...

The image is the file up to the end of its code, padded to pages: what the kernel maps. The rules,
each an error here: a shared object of exactly two segments, R then RX, page-aligned, with equal
file offset and address; nothing to relocate, nothing writable, nothing imported; every public call
exported under both names; one `syscall` instruction for each number and no other.
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
from syscallgen.model import DefinitionError, Interface  # noqa: E402
from syscallgen.parser import parse  # noqa: E402

PAGE = 4096
_SYSCALL = b"\x0f\x05"
_PT_LOAD, _PT_DYNAMIC, _PT_TLS = 1, 2, 7
_SHT_SYMTAB, _SHT_DYNSYM = 2, 11
# Dynamic tags that mean work for a loader.
_FORBIDDEN_TAGS = {1: "NEEDED", 7: "RELA", 12: "INIT", 13: "FINI", 17: "REL", 22: "TEXTREL",
                   23: "JMPREL", 25: "INIT_ARRAY", 26: "FINI_ARRAY", 36: "RELR"}
_WANTED_TAGS = {14: "SONAME", 0x6FFFFEF5: "GNU_HASH"}


class ImageError(Exception):
    """The vDSO breaks a rule."""


@dataclass(frozen=True)
class Segment:
    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    alignment: int


@dataclass(frozen=True)
class Symbol:
    name: str
    value: int
    size: int
    section: int


class Elf:
    """As much of ELF64 as is needed here."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        if data[:6] != b"\x7fELF\x02\x01":
            raise ImageError("not a little-endian ELF64 file")
        (self.type, self.machine, _, _, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum,
         _) = struct.unpack_from("<HHIQQQIHHHHHH", data, 16)
        self.segments = [self._segment(phoff + i * phentsize) for i in range(phnum)]
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * shentsize)
                         for i in range(shnum)]

    def _segment(self, at: int) -> Segment:
        kind, flags, offset, address, _, file_size, memory_size, alignment = struct.unpack_from(
            "<IIQQQQQQ", self.data, at)
        return Segment(kind, flags, offset, address, file_size, memory_size, alignment)

    def symbols(self, section_type: int) -> list[Symbol]:
        out: list[Symbol] = []
        for section in self.sections:
            if section[1] != section_type:
                continue
            strings = self.sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], 24):
                name, _, _, index, value, size = struct.unpack_from("<IBBHQQ", self.data, at)
                start = strings + name
                text = self.data[start:self.data.index(b"\0", start)].decode()
                out.append(Symbol(text, value, size, index))
        return out

    def dynamic_tags(self) -> dict[int, int]:
        tags: dict[int, int] = {}
        for segment in self.segments:
            if segment.kind == _PT_DYNAMIC:
                for at in range(segment.offset, segment.offset + segment.file_size, 16):
                    tag, value = struct.unpack_from("<qQ", self.data, at)
                    tags.setdefault(tag, value)
        return tags


@dataclass(frozen=True)
class Layout:
    """What the kernel has to know about the image."""

    size: int
    code_offset: int
    code_size: int
    constants_offset: int
    return_offsets: dict[str, int]


def _check_segments(elf: Elf) -> tuple[Segment, Segment]:
    if elf.type != 3:
        raise ImageError("not a shared object")
    if any(s.kind == _PT_TLS for s in elf.segments):
        raise ImageError("has thread-local storage")
    loads = [s for s in elf.segments if s.kind == _PT_LOAD]
    if [s.flags for s in loads] != [4, 5]:
        raise ImageError(f"segments have flags {[s.flags for s in loads]}, not R, RX")
    for segment in loads:
        if segment.offset != segment.address or segment.address % PAGE != 0:
            raise ImageError(
                f"segment at {segment.address:#x} lies at file offset {segment.offset:#x}")
        if segment.file_size != segment.memory_size:
            raise ImageError(f"segment at {segment.address:#x} has memory beyond the file")
    if loads[0].offset != 0:
        raise ImageError("the first segment does not begin with the file")
    return loads[0], loads[1]


def _check_dynamic(elf: Elf) -> None:
    tags = elf.dynamic_tags()
    for tag, name in _FORBIDDEN_TAGS.items():
        if tag in tags:
            raise ImageError(f"the dynamic section has {name}")
    for tag, name in _WANTED_TAGS.items():
        if tag not in tags:
            raise ImageError(f"the dynamic section has no {name}")
    imported = [s.name for s in elf.symbols(_SHT_DYNSYM) if s.section == 0 and s.name]
    if imported:
        raise ImageError(f"imports {' '.join(imported)}")


def _check_exports(elf: Elf, interface: Interface) -> None:
    exported = {s.name for s in elf.symbols(_SHT_DYNSYM) if s.section != 0}
    wanted = {prefix + c.name for c in interface.calls if c.is_public for prefix in ("zx_", "_zx_")}
    if exported != wanted:
        names = " ".join(sorted(exported ^ wanted))
        raise ImageError(f"exports differ from the definitions: {names}")


def _check_instructions(elf: Elf, code: Segment, returns: dict[str, int]) -> None:
    legal = {at - len(_SYSCALL) for at in returns.values()}
    if len(legal) != len(returns):
        raise ImageError("two numbers share an instruction")
    found: set[int] = set()
    at = elf.data.find(_SYSCALL, code.offset, code.offset + code.file_size)
    while at != -1:
        found.add(at)
        at = elf.data.find(_SYSCALL, at + 1, code.offset + code.file_size)
    if found != legal:
        places = " ".join(f"{place:#x}" for place in sorted(found ^ legal))
        raise ImageError(f"`syscall` bytes and return points disagree at {places}")


def check(data: bytes, interface: Interface) -> Layout:
    elf = Elf(data)
    rodata, code = _check_segments(elf)
    _check_dynamic(elf)
    _check_exports(elf, interface)
    symbols = {s.name: s for s in elf.symbols(_SHT_SYMTAB)}
    try:
        returns = {c.name: symbols[f"syscall_return_{c.name}"].value for c in interface.numbered}
        constants = symbols["vdso_constants"]
    except KeyError as error:
        raise ImageError(f"no symbol {error}") from error
    _check_instructions(elf, code, returns)
    if constants.value + constants.size > rodata.file_size:
        raise ImageError("the constants are not in the read-only segment")
    end = code.offset + code.file_size
    return Layout(-(-end // PAGE) * PAGE, code.offset, -(-code.file_size // PAGE) * PAGE,
                  constants.value, returns)


def image(data: bytes, layout: Layout) -> bytes:
    """The mapped part, without the section table that lies behind it."""
    out = bytearray(data[:layout.code_offset + layout.code_size])
    del out[layout.size:]
    segments_end = max(s.offset + s.file_size for s in Elf(data).segments if s.kind == _PT_LOAD)
    del out[segments_end:]
    out += bytes(layout.size - len(out))
    struct.pack_into("<Q", out, 40, 0)  # e_shoff
    struct.pack_into("<HHH", out, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    return bytes(out)


def table(interface: Interface, layout: Layout) -> str:
    out = [banner("Where the vDSO's parts are, and where each system call returns to."),
           "#include <syscall/vdso_image.h>\n",
           "#include <arch/upcalls.h>",
           "#include <vdso/constants.h>",
           "#include <zircon/syscall_numbers.h>\n",
           "const struct vdso_layout vdso_layout = {",
           f"    .size = {layout.size:#x},",
           f"    .code_offset = {layout.code_offset:#x},",
           f"    .code_size = {layout.code_size:#x},",
           f"    .constants_offset = {layout.constants_offset:#x},",
           "};\n",
           "const uint32_t syscall_return_offsets[ZX_SYS_COUNT] = {"]
    for call in interface.numbered:
        out.append(f"    [ZX_SYS_{call.name}] = {layout.return_offsets[call.name]:#x},")
    out.append("};")
    return "\n".join(out) + "\n"


def source(image_path: str) -> str:
    """The image as data of the kernel: writable, because the constants are filled in at boot."""
    return banner("The vDSO's image.") + f"""
    .section .data.vdso_image, "aw", @progbits
    .balign {PAGE}
    .globl vdso_image
    .hidden vdso_image
    .type vdso_image, @object
vdso_image:
    .incbin "{image_path}"
    .size vdso_image, . - vdso_image
    .balign {PAGE}

    .section .note.GNU-stack, "", @progbits
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    for name in ("types", "elf", "image", "source", "table"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("groups", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    try:
        interface = parse(options.types, options.groups)
        data = options.elf.read_bytes()
        layout = check(data, interface)
    except (DefinitionError, ImageError) as error:
        print(f"vdso_image: {options.elf}: {error}", file=sys.stderr)
        return 1
    options.image.parent.mkdir(parents=True, exist_ok=True)
    options.image.write_bytes(image(data, layout))
    write_if_changed(options.source, source(str(options.image)))
    write_if_changed(options.table, table(interface, layout))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
