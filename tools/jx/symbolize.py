"""Puts functions, files and lines in the place of `{{{bt:...}}}` in a panic or crash report."""

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

_BIAS = re.compile(r"\{\{\{bias:0x([0-9a-fA-F]+)\}\}\}")
_FRAME = re.compile(r"\{\{\{bt:(\d+):0x([0-9a-fA-F]+)(?::([^}:]+))?\}\}\}")
_FRAME_BYTES = re.compile(_FRAME.pattern.encode())
# A frame with the name that the machine itself knows.
_NAMED = re.compile(r"(?m)^#(\d+) +[^ \n]+\+0x[0-9a-f]+ \(([^ +\n]+)\+0x([0-9a-f]+)\)(?=\r?$)")
_NAMED_BYTES = re.compile(_NAMED.pattern.encode().replace(b"$", b"\n"))
# A frame, at the beginning of a line, that a piece of output ends in the middle of.
_BEGUN = re.compile(rb"(?<=\n)(?:\{(?:\{(?:\{[^{}\n]{0,200}\}{0,2})?)?|#\d{0,2}(?:(?<=\d) [^\n]{0,400})?)\Z")
_SYMBOLIZER = "llvm-symbolizer-19"
_NO_LINE = " at ??:0"  # it knows the function only
_BUILT_AS = {"ld.so.1": "libc.so"}  # files of the boot image with another name than the build's

# Answers "what is at this link-time address of this file" with one line per inlined function.
Lookup = Callable[[Path, int], list[str]]


def llvm_lookup(image: Path, address: int) -> list[str]:
    """Asks llvm-symbolizer; an empty list if it is not there or knows nothing."""
    command = [_SYMBOLIZER, f"--obj={image}", "--output-style=GNU", "--pretty-print", hex(address)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    return [] if lines[:1] == ["?? at ??:0"] else lines


class Symbolizer:
    """Rewrites a report line by line. It remembers the bias; lines before that keep their address."""

    def __init__(
        self,
        kernel: Path,
        programs: Sequence[Path],
        lookup: Lookup = llvm_lookup,
        added: Sequence[tuple[Path, str]] = (),
    ) -> None:
        self._kernel = kernel
        self._programs = programs
        self._added = {place: file for file, place in added}
        self._lookup = lookup
        self._bias: int | None = None

    def line(self, text: str) -> str:
        bias = _BIAS.search(text)
        if bias is not None:
            self._bias = int(bias.group(1), 16)
        return _NAMED.sub(self._named, _FRAME.sub(self._frame, text))

    def report(self, text: str) -> str:
        """A whole report. The bias may stand anywhere in it."""
        bias = _BIAS.search(text)
        if bias is not None:
            self._bias = int(bias.group(1), 16)
        return "".join(self.line(line) for line in text.splitlines(keepends=True))

    def _program(self, path: str) -> Path:
        """The file of a program in bootfs: test/NAME keeps its folder, bin/NAME does not.

        What was added to the image comes before what the build has under the same name.
        """
        plain = path.removeprefix("/boot/").removeprefix("/")
        for place in (plain, f"bin/{plain}", f"lib/{plain}"):
            if place in self._added:
                return self._added[place]
        folder = "test/" if Path(path).parent.name == "test" else ""
        name = folder + _BUILT_AS.get(plain.removeprefix("lib/"), Path(path).name)
        places = [place / name for place in self._programs]
        return next((place for place in places if place.is_file()), places[0])

    def _frame(self, match: re.Match[str]) -> str:
        index, address, program = int(match.group(1)), int(match.group(2), 16), match.group(3)
        shown, places = self._places(index, address, program)
        if not places:
            return shown
        return "\n    ".join([f"{shown} {places[0].removesuffix(_NO_LINE)}", *places[1:]])

    def _places(self, index: int, address: int, program: str | None) -> tuple[str, list[str]]:
        """The frame without what stands there, and what does."""
        shown = f"#{index:<2} 0x{address:016x}"
        if program is not None:
            image, link_address = self._program(program), address
            shown += f" ({program})"
        elif self._bias is not None:
            image, link_address = self._kernel, (address - self._bias) % 2**64
        else:
            return shown, []
        # A return address may be the first of the next line, or function: look at the call.
        if index > 0 and link_address > 0:
            link_address -= 1
        return shown, self._lookup(image, link_address) if image.is_file() else []

    def _named(self, match: re.Match[str]) -> str:
        """With file and line; as it was, if nobody here knows them."""
        index, address = int(match.group(1)), int(match.group(3), 16)
        shown, places = self._places(index, address, match.group(2))
        if not places or places[0].endswith(_NO_LINE):
            return match.group(0)
        return "\n    ".join([f"{shown} {places[0]}", *places[1:]])


class FrameStream:
    """Output that comes in pieces, with the frames of programs' crash reports in words.

    Held back is only what may be the beginning of a frame; flush() gives what is left of it.
    """

    def __init__(self, symbolizer: Symbolizer, newline: bytes = b"\n") -> None:
        self._symbolizer = symbolizer
        self._newline = newline
        self._last = b"\n"  # stands for what came before the next piece: a line feed, or something else
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        begun = _BEGUN.search(self._last + data)
        end = begun.start() - 1 if begun is not None else len(data)
        self._held = data[end:]
        # With what stands before it: a line of the second kind has to begin as one.
        text = self._last + data[:end]
        self._last = b"\n" if text.endswith(b"\n") else b" "
        return _NAMED_BYTES.sub(self._frame, _FRAME_BYTES.sub(self._frame, text))[1:]

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _frame(self, match: re.Match[bytes]) -> bytes:
        text = self._symbolizer.line(match.group(0).decode("utf-8", "replace"))
        return text.encode().replace(b"\n", self._newline)
